//! Remote signers that were paired with, by name. What is public about each is in a file of its own; the key that the
//! signer knows this client by is in the OS keyring, or in that file where there is no keyring.

use std::error::Error as _;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use nostr::nips::nip19::FromBech32 as _;
use nostr::{Keys, PublicKey, RelayUrl, SecretKey};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::keyring::{Keyring, KeyringError};
use super::signer::{RemoteSigner, SignerNetwork, SignerSession};
use super::{npub, parse};
use crate::secret::Secret;
use crate::state;

const EXTENSION: &str = "json";

const NAME_MAX: usize = 32;

/// Room for any file of these: a buffer that grows leaves copies of what it held behind.
const FILE_ROOM: usize = 8192;

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// No such signer was paired with; `known` are those that were.
    #[error("no signer named {name} was paired with")]
    Unknown { name: String, known: Vec<String> },
    #[error("what is kept of the signer {name} is damaged: {why}")]
    Damaged { name: String, why: String },
    /// It was asked to pair, and has not said yes so far.
    #[error("the pairing with the signer {name} did not come to its end")]
    Unfinished { name: String },
    /// What the signer knows this machine by is in the keyring, and does not come out.
    #[error("what the signer {name} knows this machine by cannot be had")]
    ClientKey {
        name: String,
        #[source]
        cause: KeyringError,
    },
    /// `verb` is `read` or `written`.
    #[error("{} cannot be {verb}", path.display())]
    File {
        path: PathBuf,
        verb: &'static str,
        #[source]
        cause: io::Error,
    },
}

/// A file that has the key by which a signer knows this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InFile {
    pub path: PathBuf,
    /// Why it is not in the keyring, if that was not wanted.
    pub why: Option<String>,
}

/// Where the sessions are.
#[derive(Clone, Debug)]
pub struct Sessions {
    folder: PathBuf,
    keyring: Keyring,
}

/// A session as it is kept.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct OnDisk {
    /// The npub of the key that the signer signs with; none as long as it has not accepted the pairing.
    user: Option<String>,
    /// The npub of the signer itself.
    signer: String,
    relays: Vec<String>,
    /// The npub of the client's key, under which the keyring has it.
    client: String,
    /// The client's key as nsec, where there is no keyring.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_key: Option<Zeroizing<String>>,
}

impl Sessions {
    pub fn new(folder: impl Into<PathBuf>, keyring: Keyring) -> Self {
        Self { folder: folder.into(), keyring }
    }

    /// Whether it can be the name of a session: up to 32 letters, digits, `-` and `_`.
    pub fn is_name(name: &str) -> bool {
        (1..=NAME_MAX).contains(&name.len()) && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
    }

    /// The names of all sessions, sorted.
    pub fn names(&self) -> Vec<String> {
        let files = fs::read_dir(&self.folder).into_iter().flatten().flatten().map(|entry| entry.path());
        let name = |path: PathBuf| {
            let name = path.file_stem()?.to_str()?.to_owned();
            (path.extension()? == EXTENSION && Self::is_name(&name)).then_some(name)
        };
        let mut names: Vec<_> = files.filter_map(name).collect();
        names.sort_unstable();
        names
    }

    /// The key that a signer signs with; nothing that could block is touched.
    ///
    /// # Errors
    /// [`SessionError`], but not [`SessionError::ClientKey`].
    pub fn user(&self, name: &str) -> Result<PublicKey, SessionError> {
        self.read(name)?.user(name)
    }

    /// Whether the key by which the signer knows this machine is in the keyring.
    pub fn is_in_keyring(&self, name: &str) -> bool {
        self.read(name).is_ok_and(|kept| kept.client_key.is_none())
    }

    /// The signer of this name, which is not connected to yet.
    ///
    /// # Errors
    /// [`SessionError`].
    pub async fn open(&self, name: &str, network: SignerNetwork) -> Result<RemoteSigner, SessionError> {
        let kept = self.read(name)?;
        let user = kept.user(name)?;
        let relays = kept.relays.iter().map(|relay| RelayUrl::parse(relay)).collect::<Result<_, _>>();
        let relays = relays.map_err(|_| damaged(name, "it names relays that are none"))?;
        let signer = public_key(name, &kept.signer)?;
        let session = SignerSession { client: self.client(name, &kept).await?, signer, relays };
        Ok(RemoteSigner::new(session, user, network))
    }

    async fn client(&self, name: &str, kept: &OnDisk) -> Result<Keys, SessionError> {
        let client = public_key(name, &kept.client)?;
        let key = if let Some(key) = &kept.client_key {
            Secret::new(key.as_str())
        } else {
            let key = self.keyring.get(client).await;
            key.map_err(|cause| SessionError::ClientKey { name: name.to_owned(), cause })?
        };
        let key = SecretKey::from_bech32(key.expose()).map_err(|_| damaged(name, "its key is none"))?;
        let keys = Keys::new(key);
        if keys.public_key() == client { Ok(keys) } else { Err(damaged(name, "its key is another one")) }
    }

    /// A pairing with this signer that did not come to its end: its name, and the key that the signer was asked to know this
    /// machine by. A signer that allows it only later, or whose answer was lost, accepts the same secret from that again.
    ///
    /// # Errors
    /// [`SessionError::ClientKey`] and [`SessionError::Damaged`].
    pub async fn unfinished(&self, signer: PublicKey) -> Result<Option<(String, Keys)>, SessionError> {
        for name in self.names() {
            let Ok(kept) = self.read(&name) else { continue };
            if kept.user.is_none() && public_key(&name, &kept.signer).is_ok_and(|kept| kept == signer) {
                let client = self.client(&name, &kept).await?;
                return Ok(Some((name, client)));
            }
        }
        Ok(None)
    }

    /// The name that a session for the key of `user` can have, who may not be known yet, and which has `begun` under some
    /// name: this one, or one like it where this is another session's. What is damaged is replaced.
    pub fn free_name(&self, name: &str, user: Option<PublicKey>, begun: Option<&str>) -> String {
        let free = |name: &String| match self.user(name) {
            Ok(other) => Some(other) == user,
            Err(SessionError::Unfinished { .. }) => begun == Some(name),
            // Whatever is wrong with the folder is said when it is written to.
            Err(SessionError::File { .. }) => !self.path(name).exists(),
            Err(_) => true,
        };
        let others = (2..).map(|number| {
            let end = format!("-{number}");
            format!("{}{end}", &name[..name.len().min(NAME_MAX - end.len())])
        });
        std::iter::once(name.to_owned()).chain(others).find(free).unwrap_or_default()
    }

    /// Keeps a session, in the place of one of this name; the client's key in the keyring, if that can be used and `in_file`
    /// does not say otherwise. `user` is not known before the signer has accepted the pairing. Returns the file that has the
    /// client's key, if one has.
    ///
    /// # Errors
    /// [`SessionError::File`]
    pub async fn keep(
        &self,
        name: &str,
        session: &SignerSession,
        user: Option<PublicKey>,
        in_file: bool,
    ) -> Result<Option<InFile>, SessionError> {
        let SignerSession { client, signer, relays } = session;
        let nsec = parse::nsec(client.secret_key());
        let why = if in_file {
            None
        } else {
            let filed = self.keyring.file_away(client.public_key(), nsec.clone()).await;
            filed.err().map(|error| error.source().map_or_else(|| error.to_string(), ToString::to_string))
        };
        let in_file = in_file || why.is_some();
        let kept = OnDisk {
            user: user.as_ref().map(npub),
            signer: npub(signer),
            relays: relays.iter().map(ToString::to_string).collect(),
            client: npub(&client.public_key()),
            client_key: in_file.then(|| Zeroizing::new(nsec.expose().to_owned())),
        };
        let (path, old) = (self.path(name), self.read(name).ok());
        let mut json = Zeroizing::new(Vec::with_capacity(FILE_ROOM));
        let written = serde_json::to_writer_pretty(&mut *json, &kept).map_err(io::Error::from);
        if let Err(cause) = written.and_then(|()| state::replace(&path, &json)) {
            // An entry that nothing leads to would stay for ever; that it cannot be removed is the lesser trouble.
            if old.is_none_or(|old| old.client != kept.client) {
                let _ = self.forget_key(name, &kept).await;
            }
            return Err(SessionError::File { path, verb: "written", cause });
        }
        if let Some(old) = old.filter(|old| old.client != kept.client || kept.client_key.is_some()) {
            // Where the keyring cannot be used any more, nobody can use that key either.
            let _ = self.forget_key(name, &old).await;
        }
        Ok(in_file.then_some(InFile { path, why }))
    }

    /// Forgets a session, even one of which nothing can be read. The signer does not hear of it. Returns why its key is still
    /// in the keyring, if it is.
    ///
    /// # Errors
    /// [`SessionError::Unknown`], and [`SessionError::File`].
    pub async fn remove(&self, name: &str) -> Result<Option<KeyringError>, SessionError> {
        let left = match self.read(name) {
            Err(error @ SessionError::Unknown { .. }) => return Err(error),
            Err(_) => None,
            Ok(kept) => self.forget_key(name, &kept).await.err(),
        };
        self.remove_file(name)?;
        Ok(left)
    }

    /// Removes what is kept of a session, but not its key, which may be that of another.
    ///
    /// # Errors
    /// [`SessionError::File`]
    pub fn remove_file(&self, name: &str) -> Result<(), SessionError> {
        let path = self.path(name);
        fs::remove_file(&path).map_err(|cause| SessionError::File { path, verb: "written", cause })
    }

    async fn forget_key(&self, name: &str, kept: &OnDisk) -> Result<(), KeyringError> {
        match (&kept.client_key, public_key(name, &kept.client)) {
            (None, Ok(client)) => self.keyring.take_away(client).await.map(drop),
            _ => Ok(()),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.{EXTENSION}"))
    }

    fn read(&self, name: &str) -> Result<OnDisk, SessionError> {
        let unknown = || SessionError::Unknown { name: name.to_owned(), known: self.names() };
        if !Self::is_name(name) {
            return Err(unknown());
        }
        let path = self.path(name);
        let mut bytes = Zeroizing::new(Vec::with_capacity(FILE_ROOM));
        match read_all(&path, &mut bytes) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(unknown()),
            Err(cause) => return Err(SessionError::File { path, verb: "read", cause }),
            Ok(()) => {}
        }
        // The message of serde would show what it has read.
        serde_json::from_slice(&bytes).map_err(|error| damaged(name, &format!("line {}", error.line())))
    }
}

impl OnDisk {
    fn user(&self, name: &str) -> Result<PublicKey, SessionError> {
        let unfinished = || SessionError::Unfinished { name: name.to_owned() };
        public_key(name, self.user.as_ref().ok_or_else(unfinished)?)
    }
}

fn read_all(path: &Path, bytes: &mut Vec<u8>) -> io::Result<()> {
    state::open(path)?.read_to_end(bytes).map(drop)
}

fn damaged(name: &str, why: &str) -> SessionError {
    SessionError::Damaged { name: name.to_owned(), why: why.to_owned() }
}

fn public_key(name: &str, text: &str) -> Result<PublicKey, SessionError> {
    PublicKey::from_bech32(text).map_err(|_| damaged(name, "a public key in it is none"))
}
