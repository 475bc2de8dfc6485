//! Remote signers that were paired with, by name. What is public about each is in a file of its own; the key that the
//! signer knows this client by is in the OS keyring, or in that file where there is no keyring.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use nostr::nips::nip19::FromBech32 as _;
use nostr::{Keys, PublicKey, RelayUrl, SecretKey};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::keyring::Keyring;
use super::signer::{RemoteSigner, SignerNetwork, SignerSession};
use super::{KeyError, npub, parse};
use crate::secret::Secret;
use crate::state;

const EXTENSION: &str = "json";

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// No such signer was paired with; `known` are those that were.
    #[error("no signer named {name} was paired with")]
    Unknown { name: String, known: Vec<String> },
    #[error("what is kept of the signer {name} is damaged: {why}")]
    Damaged { name: String, why: String },
    /// `verb` is `read` or `written`.
    #[error("{} cannot be {verb}", path.display())]
    File {
        path: PathBuf,
        verb: &'static str,
        #[source]
        cause: io::Error,
    },
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
    /// The npub of the key that the signer signs with.
    user: String,
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
        (1..=32).contains(&name.len()) && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
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
    /// [`SessionError`].
    pub fn user(&self, name: &str) -> Result<PublicKey, SessionError> {
        self.read(name).and_then(|kept| public_key(name, &kept.user))
    }

    /// The signer of this name, which is not connected to yet.
    ///
    /// # Errors
    /// [`KeyError::Session`], and [`KeyError::Keyring`] where the client's key is there and does not come out.
    pub async fn open(&self, name: &str, network: SignerNetwork) -> Result<RemoteSigner, KeyError> {
        let kept = self.read(name)?;
        let client = public_key(name, &kept.client)?;
        let key = match kept.client_key {
            Some(key) => Secret::new(key.as_str()),
            None => self.keyring.get(client).await?,
        };
        let damaged = |why: &str| SessionError::Damaged { name: name.to_owned(), why: why.to_owned() };
        let key = SecretKey::from_bech32(key.expose()).map_err(|_| damaged("its key is none"))?;
        let keys = Keys::new(key);
        if keys.public_key() != client {
            return Err(damaged("its key is another one").into());
        }
        let relays = kept.relays.iter().map(|relay| RelayUrl::parse(relay));
        let relays = relays.collect::<Result<_, _>>().map_err(|_| damaged("it names relays that are none"))?;
        let session = SignerSession { client: keys, signer: public_key(name, &kept.signer)?, relays };
        Ok(RemoteSigner::new(session, public_key(name, &kept.user)?, network))
    }

    /// The name that a session for the key of `user` can have: this one, or one like it where this is that of another key's.
    pub fn free_name(&self, name: &str, user: PublicKey) -> String {
        let free = |name: &String| match self.user(name) {
            Ok(other) => other == user,
            Err(error) => matches!(error, SessionError::Unknown { .. }),
        };
        let others = (2..).map(|number| format!("{name}-{number}"));
        std::iter::once(name.to_owned()).chain(others).find(free).unwrap_or_default()
    }

    /// Keeps a session, in the place of one of this name; the client's key in the keyring if that can be used and `in_file`
    /// does not say otherwise. Returns the file that has the client's key, if one has.
    ///
    /// # Errors
    /// [`KeyError::Session`].
    pub async fn keep(&self, name: &str, signer: &RemoteSigner, in_file: bool) -> Result<Option<PathBuf>, KeyError> {
        let SignerSession { client, signer: remote, relays } = signer.session();
        let nsec = parse::nsec(client.secret_key());
        let kept = !in_file && self.keyring.file_away(client.public_key(), nsec.clone()).await.is_ok();
        let session = OnDisk {
            user: npub(&signer.public_key()),
            signer: npub(remote),
            relays: relays.iter().map(ToString::to_string).collect(),
            client: npub(&client.public_key()),
            client_key: (!kept).then(|| Zeroizing::new(nsec.expose().to_owned())),
        };
        let path = self.path(name);
        let old = self.read(name).ok();
        let json = serde_json::to_vec_pretty(&session).map(Zeroizing::new).map_err(io::Error::from);
        json.and_then(|json| state::replace(&path, &json)).map_err(|cause| SessionError::File {
            path: path.clone(),
            verb: "written",
            cause,
        })?;
        if let Some(old) = old {
            // Where the keyring cannot be used any more, nobody can use that key either.
            let _ = self.forget_key(name, &old).await;
        }
        Ok((!kept).then_some(path))
    }

    /// Forgets a session. The signer does not hear of it.
    ///
    /// # Errors
    /// As [`Sessions::open`].
    pub async fn remove(&self, name: &str) -> Result<PublicKey, KeyError> {
        let kept = self.read(name)?;
        self.forget_key(name, &kept).await?;
        let path = self.path(name);
        fs::remove_file(&path).map_err(|cause| SessionError::File { path, verb: "written", cause })?;
        Ok(public_key(name, &kept.user)?)
    }

    async fn forget_key(&self, name: &str, kept: &OnDisk) -> Result<(), KeyError> {
        match &kept.client_key {
            Some(_) => Ok(()),
            None => Ok(self.keyring.take_away(public_key(name, &kept.client)?).await.map(drop)?),
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
        let mut bytes = Zeroizing::new(Vec::new());
        match read_all(&path, &mut bytes) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(unknown()),
            Err(cause) => return Err(SessionError::File { path, verb: "read", cause }),
            Ok(()) => {}
        }
        serde_json::from_slice(&bytes)
            // The message of serde would show what it has read.
            .map_err(|error| SessionError::Damaged { name: name.to_owned(), why: format!("line {}", error.line()) })
    }
}

fn read_all(path: &Path, bytes: &mut Vec<u8>) -> io::Result<()> {
    state::open(path)?.read_to_end(bytes).map(drop)
}

fn public_key(name: &str, text: &str) -> Result<PublicKey, SessionError> {
    let damaged = |_| SessionError::Damaged { name: name.to_owned(), why: "a public key in it is none".into() };
    PublicKey::from_bech32(text).map_err(damaged)
}
