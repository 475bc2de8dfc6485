//! Which source answers, in which order, and what each is called.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use nostr::{Keys, PublicKey, SecretKey};
use tokio::sync::OnceCell;

use super::keyring::{self, Keyring};
use super::pairing::BunkerUri;
use super::parse::{self, Key};
use super::sessions::{SessionError, Sessions};
use super::signer::{RemoteSigner, SignerError, SignerNetwork};
use super::{HostKey, KeyError, file};
use crate::reporter::{Reporter, SecretPrompt, Warning};
use crate::secret::Secret;

const ATTEMPTS: usize = 3;

#[derive(Clone, Debug)]
pub enum KeySource {
    /// A file that was named for this run; `-` is stdin.
    KeyFile(PathBuf),
    /// `NEST_KEY_FILE`; `-` is stdin.
    EnvFile(PathBuf),
    /// `NEST_KEY`: the key itself.
    Env(Secret),
    /// The key itself, from a program that uses the library.
    Caller(Secret),
    /// The systemd credential `nest-key`; counts only if the file exists.
    Credential(PathBuf),
    /// The key file that the profile names.
    Profile(PathBuf),
    /// A remote signer that was paired with, by its name.
    Signer(String),
    /// `NEST_BUNKER`: what leads to a remote signer that is paired with in this run.
    EnvBunker(Secret),
    /// The remote signer that the profile names.
    ProfileSigner(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyOrigin {
    KeyFile(PathBuf),
    EnvFile(PathBuf),
    Env,
    Caller,
    Credential(PathBuf),
    Profile(PathBuf),
    Keyring,
    Prompt,
    /// A remote signer, by its name.
    Signer(String),
    EnvBunker,
}

impl KeyOrigin {
    /// A word for scripts.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::KeyFile(_) | Self::EnvFile(_) | Self::Profile(_) => "file",
            Self::Env => "environment",
            Self::Caller => "caller",
            Self::Credential(_) => "credential",
            Self::Keyring => "keyring",
            Self::Prompt => "prompt",
            Self::Signer(_) | Self::EnvBunker => "signer",
        }
    }
}

impl fmt::Display for KeyOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeyFile(path) | Self::EnvFile(path) if path == Path::new("-") => f.write_str("stdin"),
            Self::KeyFile(path) => write!(f, "the key file {}", path.display()),
            Self::EnvFile(path) => write!(f, "NEST_KEY_FILE {}", path.display()),
            Self::Env => f.write_str("NEST_KEY"),
            Self::Caller => f.write_str("the caller"),
            Self::Credential(path) => write!(f, "the systemd credential {}", path.display()),
            Self::Profile(path) => write!(f, "the configuration's key file {}", path.display()),
            Self::Keyring => f.write_str("the OS keyring"),
            Self::Prompt => f.write_str("the prompt"),
            Self::Signer(name) => write!(f, "the signer {name}"),
            Self::EnvBunker => f.write_str("the signer of NEST_BUNKER"),
        }
    }
}

impl KeySource {
    pub fn origin(&self) -> KeyOrigin {
        match self {
            Self::KeyFile(path) => KeyOrigin::KeyFile(path.clone()),
            Self::EnvFile(path) => KeyOrigin::EnvFile(path.clone()),
            Self::Env(_) => KeyOrigin::Env,
            Self::Caller(_) => KeyOrigin::Caller,
            Self::Credential(path) => KeyOrigin::Credential(path.clone()),
            Self::Profile(path) => KeyOrigin::Profile(path.clone()),
            Self::Signer(name) | Self::ProfileSigner(name) => KeyOrigin::Signer(name.clone()),
            Self::EnvBunker(_) => KeyOrigin::EnvBunker,
        }
    }

    pub async fn read(&self) -> Result<Secret, KeyError> {
        let text = match self {
            Self::Env(text) | Self::Caller(text) => Ok(text.clone()),
            Self::Credential(path) => file::read_credential(path).await,
            Self::KeyFile(path) | Self::EnvFile(path) | Self::Profile(path) => file::read(path).await,
            Self::Signer(_) | Self::EnvBunker(_) | Self::ProfileSigner(_) => {
                return Err(KeyError::StaysInSigner { origin: self.origin() });
            }
        };
        text.map_err(|cause| KeyError::Unreadable { origin: self.origin(), cause })
    }

    /// Whether the key is in a remote signer, and there is no text of it.
    pub fn is_signer(&self) -> bool {
        matches!(self, Self::Signer(_) | Self::EnvBunker(_) | Self::ProfileSigner(_))
    }

    pub fn is_stdin(&self) -> bool {
        matches!(self, Self::KeyFile(path) | Self::EnvFile(path) | Self::Profile(path) if path == Path::new("-"))
    }
}

#[derive(Clone, Debug, Default)]
pub struct KeyPlan {
    /// What the user named, in the order in which it counts. The first answers, and its error is final.
    pub explicit: Vec<KeySource>,
    /// Asked only when nothing was named.
    pub keyring: Option<Keyring>,
    /// What opens an encrypted key; without it, a person is asked.
    pub passphrase_file: Option<PathBuf>,
    /// How remote signers are found; without it there are none.
    pub signers: Option<Signers>,
}

/// Where remote signers are remembered, and how they are reached.
#[derive(Clone)]
pub struct Signers {
    pub network: SignerNetwork,
    sessions: Option<Sessions>,
    /// The session that was named, once it is there: it has one connection.
    opened: Arc<OnceCell<RemoteSigner>>,
    /// The pairing of this run, which goes on whoever waits for it: a secret works once.
    paired: Arc<OnceLock<SharedPairing>>,
}

type SharedPairing = Shared<BoxFuture<'static, Result<RemoteSigner, SignerError>>>;

impl fmt::Debug for Signers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signers")
            .field("network", &self.network)
            .field("sessions", &self.sessions)
            .finish_non_exhaustive()
    }
}

impl Signers {
    pub fn new(network: SignerNetwork, sessions: Option<Sessions>) -> Self {
        Self { network, sessions, opened: Arc::default(), paired: Arc::default() }
    }

    /// The signer of this source, if it is one.
    async fn load(&self, source: &KeySource) -> Option<Result<HostKey, KeyError>> {
        let (network, origin) = (self.network.clone(), source.origin());
        let signer = match source {
            KeySource::Signer(name) | KeySource::ProfileSigner(name) => {
                let open = async {
                    let unknown = || SessionError::Unknown { name: name.clone(), known: Vec::new() };
                    Ok(self.sessions.as_ref().ok_or_else(unknown)?.open(name, network).await?)
                };
                self.opened.get_or_try_init(|| open).await.cloned()
            }
            KeySource::EnvBunker(uri) => match BunkerUri::parse(uri.expose()) {
                Ok(uri) => {
                    let pairing = self.paired.get_or_init(|| pair(uri, network).boxed().shared());
                    pairing.clone().await.map_err(|cause| KeyError::Signer { origin: origin.clone(), cause })
                }
                Err(cause) => Err(KeyError::Bunker(cause)),
            },
            _ => return None,
        };
        Some(signer.map(|signer| HostKey::remote(signer, origin)))
    }
}

impl KeyPlan {
    /// The source that answers, if the user named one: the key is then the same for every room.
    pub fn named(&self) -> Option<&KeySource> {
        self.explicit.iter().find(|source| !matches!(source, KeySource::Credential(path) if !path.exists()))
    }

    /// Whether a key, for a room of `host`, is there without anybody being asked to type one.
    pub fn is_at_hand(&self, host: Option<PublicKey>) -> bool {
        let kept = |keyring: &Keyring| !matches!(keyring.choose(host), Ok(None));
        self.named().is_some() || self.keyring.as_ref().is_some_and(kept)
    }
}

/// Pairs in a task of its own: whoever asks first may not wait for the end.
fn pair(
    uri: BunkerUri,
    network: SignerNetwork,
) -> impl Future<Output = Result<RemoteSigner, SignerError>> + Send + 'static {
    let task = tokio::spawn(async move { uri.pair(Keys::generate(), network).await });
    async { task.await.unwrap_or_else(|died| Err(SignerError::Unreachable(died.to_string()))) }
}

/// Finds the host's key. `wanted` is the host of the room, if it is known: it decides between several keys in the keyring.
pub async fn load(plan: &KeyPlan, wanted: Option<PublicKey>, reporter: &dyn Reporter) -> Result<HostKey, KeyError> {
    let opener = KeyOpener { passphrase_file: plan.passphrase_file.as_deref(), reporter };
    let named = plan.named();
    if let (Some(source), Some(signers)) = (named, &plan.signers)
        && let Some(loaded) = signers.load(source).await
    {
        return loaded;
    }
    if let (None, Some(keyring)) = (named, &plan.keyring)
        && let Some(chosen) = keyring.choose(wanted)?
    {
        return Ok(HostKey::local(opener.open_stored(keyring, chosen).await?, KeyOrigin::Keyring));
    }
    let (text, origin) = opener.read(named).await?;
    Ok(HostKey::local(opener.open(&text, &origin).await?, origin))
}

/// Opens keys, with the passphrase from a file or else from a person.
#[derive(Clone, Copy)]
pub struct KeyOpener<'a> {
    /// Holds the passphrase on its only line.
    pub passphrase_file: Option<&'a Path>,
    pub reporter: &'a dyn Reporter,
}

impl KeyOpener<'_> {
    /// The text of a key: from the source, or typed by a person, without being shown.
    pub(crate) async fn read(&self, source: Option<&KeySource>) -> Result<(Secret, KeyOrigin), KeyError> {
        if let Some(source) = source {
            return Ok((source.read().await?, source.origin()));
        }
        let typed = self.reporter.secret(SecretPrompt::HostKey).await;
        Ok((typed.ok_or(KeyError::Missing)?, KeyOrigin::Prompt))
    }

    /// Makes a secret key of a text, asking for the passphrase if there is one.
    pub async fn open(&self, text: &Secret, origin: &KeyOrigin) -> Result<SecretKey, KeyError> {
        let unusable = |cause| KeyError::Unusable { origin: origin.clone(), cause };
        let encrypted = match parse::parse(text.expose()).map_err(unusable)? {
            Key::Plain(key) => return Ok(key),
            Key::Encrypted(encrypted) => encrypted,
        };
        if let Some(path) = self.passphrase_file {
            return parse::decrypt(encrypted, passphrase(path).await?).await.map_err(unusable);
        }
        let place = origin.to_string();
        for attempt in 1.. {
            let typed = self.reporter.secret(SecretPrompt::Passphrase { origin: &place }).await;
            let Some(passphrase) = typed else { break };
            match parse::decrypt(encrypted, passphrase).await {
                Err(parse::KeyParseError::WrongPassphrase) if attempt < ATTEMPTS => {
                    self.reporter.warning(&Warning::WrongPassphrase);
                }
                result => return result.map_err(unusable),
            }
        }
        Err(KeyError::PassphraseNeeded { origin: origin.clone() })
    }

    pub async fn open_stored(&self, keyring: &Keyring, key: PublicKey) -> Result<SecretKey, KeyError> {
        let opened = self.open(&keyring.get(key).await?, &KeyOrigin::Keyring).await?;
        if nostr::Keys::new(opened.clone()).public_key() == key {
            Ok(opened)
        } else {
            Err(keyring::KeyringError::Mixed { npub: super::npub(&key) }.into())
        }
    }
}

/// Reads a passphrase. Editors end a file with a line end; all other whitespace belongs to the passphrase.
pub async fn passphrase(path: &Path) -> Result<Secret, KeyError> {
    let text = file::read(path).await.map_err(KeyError::Passphrase)?;
    let text = text.expose();
    let line = text.strip_suffix('\n').unwrap_or(text);
    Ok(Secret::new(line.strip_suffix('\r').unwrap_or(line)))
}
