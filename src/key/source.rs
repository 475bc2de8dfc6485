//! Which source answers, in which order, and what each is called.

use std::fmt;
use std::path::{Path, PathBuf};

use nostr::{PublicKey, SecretKey};

use super::keyring::{self, Keyring};
use super::parse::{self, Key};
use super::{Error, HostKey, file};
use crate::reporter::{Reporter, Warning};
use crate::secret::Secret;

/// How often a person may mistype a passphrase.
const ATTEMPTS: usize = 3;

/// A place that the user named.
#[derive(Clone, Debug)]
pub enum Source {
    /// `--key-file`; `-` is stdin.
    KeyFile(PathBuf),
    /// `NEST_KEY_FILE`; `-` is stdin.
    EnvFile(PathBuf),
    /// `NEST_KEY`: the key itself.
    Env(Secret),
    /// The systemd credential `nest-key`; counts only if the file exists.
    Credential(PathBuf),
    /// The key file that the profile names.
    Profile(PathBuf),
}

/// Where a key came from, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// `--key-file`.
    KeyFile(PathBuf),
    /// `NEST_KEY_FILE`.
    EnvFile(PathBuf),
    /// `NEST_KEY`.
    Env,
    /// A systemd credential.
    Credential(PathBuf),
    /// The profile's key file.
    Profile(PathBuf),
    /// The OS keyring.
    Keyring,
    /// A person typed it.
    Prompt,
    /// A remote signer, by its public key or address without secrets.
    Signer(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeyFile(path) | Self::EnvFile(path) if path == Path::new("-") => f.write_str("stdin"),
            Self::KeyFile(path) => write!(f, "--key-file {}", path.display()),
            Self::EnvFile(path) => write!(f, "NEST_KEY_FILE {}", path.display()),
            Self::Env => f.write_str("NEST_KEY"),
            Self::Credential(path) => write!(f, "the systemd credential {}", path.display()),
            Self::Profile(path) => write!(f, "the profile's key file {}", path.display()),
            Self::Keyring => f.write_str("the OS keyring"),
            Self::Prompt => f.write_str("the prompt"),
            Self::Signer(name) => write!(f, "the signer {name}"),
        }
    }
}

impl Source {
    /// What it is called.
    #[must_use]
    pub fn origin(&self) -> Origin {
        match self {
            Self::KeyFile(path) => Origin::KeyFile(path.clone()),
            Self::EnvFile(path) => Origin::EnvFile(path.clone()),
            Self::Env(_) => Origin::Env,
            Self::Credential(path) => Origin::Credential(path.clone()),
            Self::Profile(path) => Origin::Profile(path.clone()),
        }
    }

    /// The text that it holds.
    ///
    /// # Errors
    /// [`Error::Unreadable`].
    pub async fn read(&self) -> Result<Secret, Error> {
        let text = match self {
            Self::Env(text) => Ok(text.clone()),
            Self::Credential(path) => file::read_credential(path).await,
            Self::KeyFile(path) | Self::EnvFile(path) | Self::Profile(path) => file::read(path).await,
        };
        text.map_err(|cause| Error::Unreadable { origin: self.origin(), cause })
    }

    /// Whether it can be read only once.
    #[must_use]
    pub fn is_stdin(&self) -> bool {
        matches!(self, Self::KeyFile(path) | Self::EnvFile(path) | Self::Profile(path) if path == Path::new("-"))
    }

    fn is_there(&self) -> bool {
        !matches!(self, Self::Credential(path) if !path.exists())
    }
}

/// Where to look for the host's key, as the settings have it.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// What the user named, in the order in which it counts. The first answers, and its error is final.
    pub explicit: Vec<Source>,
    /// Asked only when nothing was named.
    pub keyring: Option<Keyring>,
    /// What opens an encrypted key; without it, a person is asked.
    pub passphrase_file: Option<PathBuf>,
}

impl Plan {
    /// The source that answers, if the user named one: the key is then the same for every room.
    #[must_use]
    pub fn named(&self) -> Option<&Source> {
        self.explicit.iter().find(|source| source.is_there())
    }
}

/// Finds the host's key. `wanted` is the host of the room, if it is known: it decides between several keys in the keyring.
///
/// # Errors
/// See [`Error`].
pub async fn load(plan: &Plan, wanted: Option<PublicKey>, reporter: &dyn Reporter) -> Result<HostKey, Error> {
    let opener = Opener { passphrase_file: plan.passphrase_file.as_deref(), reporter };
    if let Some(source) = plan.named() {
        let text = source.read().await?;
        return Ok(HostKey::local(opener.open(&text, &source.origin()).await?, source.origin()));
    }
    if let Some(keyring) = &plan.keyring
        && let Some(chosen) = keyring.choose(wanted)?
    {
        return Ok(HostKey::local(opener.open_stored(keyring, chosen).await?, Origin::Keyring));
    }
    let text = opener.ask_key().await?;
    Ok(HostKey::local(opener.open(&text, &Origin::Prompt).await?, Origin::Prompt))
}

/// Opens keys, with the passphrase from a file or else from a person.
#[derive(Clone, Copy)]
pub struct Opener<'a> {
    /// Holds the passphrase on its only line.
    pub passphrase_file: Option<&'a Path>,
    /// Who can be asked.
    pub reporter: &'a dyn Reporter,
}

impl Opener<'_> {
    /// Asks for a key that is not shown while it is typed.
    ///
    /// # Errors
    /// [`Error::Missing`] when there is nobody to ask.
    pub async fn ask_key(&self) -> Result<Secret, Error> {
        self.reporter.secret("Host key (nsec, ncryptsec or hex; not shown)").await.ok_or(Error::Missing)
    }

    /// Makes a secret key of a text, asking for the passphrase if there is one.
    ///
    /// # Errors
    /// [`Error::Unusable`], [`Error::Passphrase`], [`Error::PassphraseNeeded`].
    pub async fn open(&self, text: &Secret, origin: &Origin) -> Result<SecretKey, Error> {
        let unusable = |cause| Error::Unusable { origin: origin.clone(), cause };
        let encrypted = match parse::parse(text.expose()).map_err(unusable)? {
            Key::Plain(key) => return Ok(key),
            Key::Encrypted(encrypted) => encrypted,
        };
        if let Some(path) = self.passphrase_file {
            return parse::decrypt(encrypted, passphrase(path).await?).await.map_err(unusable);
        }
        for attempt in 1.. {
            let question = format!("Passphrase of the host key from {origin}");
            let Some(passphrase) = self.reporter.secret(&question).await else { break };
            match parse::decrypt(encrypted, passphrase).await {
                Err(parse::Error::WrongPassphrase) if attempt < ATTEMPTS => {
                    self.reporter.warning(&Warning::WrongPassphrase);
                }
                result => return result.map_err(unusable),
            }
        }
        Err(Error::PassphraseNeeded { origin: origin.clone() })
    }

    /// Takes a key out of the keyring and opens it.
    ///
    /// # Errors
    /// [`Error::Keyring`] and those of [`Opener::open`].
    pub async fn open_stored(&self, keyring: &Keyring, key: PublicKey) -> Result<SecretKey, Error> {
        let opened = self.open(&keyring.get(key).await?, &Origin::Keyring).await?;
        if nostr::Keys::new(opened.clone()).public_key() == key {
            Ok(opened)
        } else {
            Err(keyring::Error::Mixed { npub: super::npub(&key) }.into())
        }
    }
}

/// Reads a passphrase. Editors end a file with a line end; all other whitespace belongs to the passphrase.
///
/// # Errors
/// [`Error::Passphrase`].
pub async fn passphrase(path: &Path) -> Result<Secret, Error> {
    let text = file::read(path).await.map_err(Error::Passphrase)?;
    let text = text.expose();
    let line = text.strip_suffix('\n').unwrap_or(text);
    Ok(Secret::new(line.strip_suffix('\r').unwrap_or(line)))
}
