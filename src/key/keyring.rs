//! Keys in the OS keyring: Secret Service, Keychain or Windows Credential Manager.
//!
//! The service is `nest`, the user is the npub, the secret is the nsec, or the ncryptsec as it was given.

use std::error::Error as StdError;
use std::fmt;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ::keyring::v1::{Entry, Error as StoreError};
use nostr::PublicKey;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout_at};

use super::{npub, on_thread};
use crate::secret::Secret;
use crate::state;

/// How long a keyring may take that nobody is there to unlock.
pub const LIMIT: Duration = Duration::from_secs(3);

/// How long a person may take to unlock it.
pub const PATIENCE: Duration = Duration::from_mins(1);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    #[error("there is no session bus: {0}")]
    NoSessionBus(String),
    #[error("no program on the session bus keeps secrets: {0}")]
    NoService(String),
    #[error("it did not answer within {} s", .0.as_secs_f32())]
    Silent(Duration),
    /// It answered, but not with the key: most likely it asks somebody to unlock it, somewhere.
    #[error("it is locked or stuck: nothing came within {} s", .0.as_secs_f32())]
    Waiting(Duration),
    #[error("it is locked, or was never set up: {0}")]
    Locked(String),
    #[error("it has {0} entries of the same name")]
    Ambiguous(usize),
    #[error("{0}")]
    Other(String),
}

#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    #[error("the OS keyring cannot be used")]
    Unusable(#[source] VaultError),
    #[error("the key of {npub} is no longer in the OS keyring")]
    Gone { npub: String },
    /// What is filed under this npub is another key, or not what was just put there.
    #[error("the OS keyring has something else in place of the key of {npub}")]
    Mixed { npub: String },
    #[error("there are {} keys in the OS keyring and none is the default", npubs.len())]
    Undecided { npubs: Vec<String> },
    /// No such key has been imported; `npubs` are those that have.
    #[error("{npub} is not in the OS keyring")]
    Unknown { npub: String, npubs: Vec<String> },
    #[error("there is no key in the OS keyring")]
    Empty,
    #[error("the list of keys {} is damaged: {why}", path.display())]
    Damaged { path: PathBuf, why: String },
    /// `verb` is `read` or `written`.
    #[error("the list of keys {} cannot be {verb}", path.display())]
    List {
        path: PathBuf,
        verb: &'static str,
        #[source]
        cause: io::Error,
    },
}

/// What keeps the secrets. All calls may block, some for ever.
pub trait Vault: Send + Sync {
    /// Connects, without touching anything that may be locked.
    fn open(&self) -> Result<(), VaultError>;
    /// What is filed under the name, if anything is.
    fn get(&self, name: &str) -> Result<Option<Secret>, VaultError>;
    fn set(&self, name: &str, secret: &Secret) -> Result<(), VaultError>;
    /// Removes what is filed under the name. False if nothing was.
    fn delete(&self, name: &str) -> Result<bool, VaultError>;
}

/// Keys in a vault, and the list of them, with a limit on every wait.
#[derive(Clone)]
pub struct Keyring {
    vault: Arc<dyn Vault>,
    index: PathBuf,
    limit: Duration,
}

impl Keyring {
    pub fn new(index: impl Into<PathBuf>) -> Self {
        Self::over(Arc::new(OsVault), index)
    }

    pub fn over(vault: Arc<dyn Vault>, index: impl Into<PathBuf>) -> Self {
        Self { vault, index: index.into(), limit: LIMIT }
    }

    /// The same with a person there who can unlock it: [`PATIENCE`] instead of [`LIMIT`], once it has answered at all.
    pub fn patient(self) -> Self {
        Self { limit: PATIENCE, ..self }
    }

    pub(crate) fn index(&self) -> Result<Index, KeyringError> {
        Index::load(&self.index)
    }

    /// The key to use, without touching the keyring: the one that is `wanted`, or the default, or the only one, if any.
    pub fn choose(&self, wanted: Option<PublicKey>) -> Result<Option<PublicKey>, KeyringError> {
        let index = self.index()?;
        match wanted.filter(|key| index.keys.contains(key)).or(index.default_key()) {
            None if !index.keys.is_empty() => Err(KeyringError::Undecided { npubs: npubs(&index) }),
            chosen => Ok(chosen),
        }
    }

    /// What is filed for this key: an nsec or an ncryptsec.
    pub async fn get(&self, key: PublicKey) -> Result<Secret, KeyringError> {
        let npub = npub(&key);
        let name = npub.clone();
        self.ask(move |vault| vault.get(&name)).await?.ok_or(KeyringError::Gone { npub })
    }

    /// Files a key, reads it back, and puts it on the list. False if it was on the list before.
    pub async fn put(&self, key: PublicKey, secret: Secret) -> Result<bool, KeyringError> {
        let mut index = self.index()?;
        self.file_away(key, secret).await?;
        let new = index.add(key);
        index.save(&self.index)?;
        Ok(new)
    }

    /// Files a key and reads it back. It is not on the list: it is nobody's key to sign with.
    pub(super) async fn file_away(&self, key: PublicKey, secret: Secret) -> Result<(), KeyringError> {
        let npub = npub(&key);
        let name = npub.clone();
        let kept = self.ask(move |vault| {
            vault.set(&name, &secret)?;
            Ok(vault.get(&name)?.is_some_and(|back| back == secret))
        });
        if kept.await? { Ok(()) } else { Err(KeyringError::Mixed { npub }) }
    }

    /// Removes what is filed for a key. False if nothing was.
    pub(super) async fn take_away(&self, key: PublicKey) -> Result<bool, KeyringError> {
        let name = npub(&key);
        self.ask(move |vault| vault.delete(&name)).await
    }

    pub fn set_default(&self, key: PublicKey) -> Result<(), KeyringError> {
        let mut index = self.index()?;
        if !index.keys.contains(&key) {
            return Err(KeyringError::Unknown { npub: npub(&key), npubs: npubs(&index) });
        }
        index.default = Some(key);
        index.save(&self.index)
    }

    /// Removes a key from the keyring and the list; one of the two is enough.
    pub async fn remove(&self, key: PublicKey) -> Result<(), KeyringError> {
        let mut index = self.index()?;
        let deleted = self.take_away(key).await?;
        match index.keys.iter().position(|known| *known == key) {
            None if deleted => return Ok(()),
            None => return Err(KeyringError::Unknown { npub: npub(&key), npubs: npubs(&index) }),
            Some(at) => index.keys.remove(at),
        };
        index.default = index.default.filter(|default| *default != key);
        index.save(&self.index)
    }

    /// Connects, which tells whether there is a keyring at all.
    pub async fn open(&self) -> Result<(), KeyringError> {
        let vault = Arc::clone(&self.vault);
        within(Instant::now() + LIMIT, VaultError::Silent(LIMIT), move || vault.open()).await
    }

    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&dyn Vault) -> Result<T, VaultError> + Send + 'static,
    ) -> Result<T, KeyringError> {
        let start = Instant::now();
        self.open().await?;
        let vault = Arc::clone(&self.vault);
        within(start + self.limit, VaultError::Waiting(self.limit), move || question(&*vault)).await
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring").field("index", &self.index).field("limit", &self.limit).finish_non_exhaustive()
    }
}

async fn within<T: Send + 'static>(
    deadline: Instant,
    late: VaultError,
    work: impl FnOnce() -> Result<T, VaultError> + Send + 'static,
) -> Result<T, KeyringError> {
    let result = match timeout_at(deadline, on_thread(work)).await {
        Ok(Ok(result)) => result,
        Ok(Err(died)) => Err(VaultError::Other(died.to_string())),
        Err(_) => Err(late),
    };
    result.map_err(KeyringError::Unusable)
}

fn npubs(index: &Index) -> Vec<String> {
    index.keys.iter().map(npub).collect()
}

/// The keys in the keyring, in the order in which they came, and which of them is meant when nothing else is said. It is
/// kept in a JSON file of npubs, for a keyring cannot be listed without being unlocked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Index {
    pub keys: Vec<PublicKey>,
    default: Option<PublicKey>,
}

#[derive(Serialize, Deserialize)]
struct OnDisk {
    default: Option<String>,
    keys: Vec<String>,
}

impl Index {
    /// Reads the list; a missing file is an empty list.
    pub fn load(path: &Path) -> Result<Self, KeyringError> {
        let mut bytes = Vec::new();
        match state::open(path).and_then(|mut file| file.read_to_end(&mut bytes)) {
            Ok(_) => {}
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(cause) => return Err(KeyringError::List { path: path.to_owned(), verb: "read", cause }),
        }
        let damaged = |why: String| KeyringError::Damaged { path: path.to_owned(), why };
        let disk: OnDisk = serde_json::from_slice(&bytes).map_err(|e| damaged(e.to_string()))?;
        let read = |npub: &String| PublicKey::parse(npub).map_err(|_| damaged(format!("{npub:?} is no npub")));
        let mut index = Self::default();
        for key in &disk.keys {
            index.add(read(key)?);
        }
        index.default = disk.default.as_ref().map(read).transpose()?.filter(|key| index.keys.contains(key));
        Ok(index)
    }

    /// Writes the list, all of it or nothing.
    pub fn save(&self, path: &Path) -> Result<(), KeyringError> {
        let disk = OnDisk { default: self.default.as_ref().map(npub), keys: self.keys.iter().map(npub).collect() };
        let written =
            serde_json::to_vec_pretty(&disk).map_err(io::Error::from).and_then(|json| state::replace(path, &json));
        written.map_err(|cause| KeyringError::List { path: path.to_owned(), verb: "written", cause })
    }

    /// The key that is meant when nothing else is said: the one that was chosen, or the only one.
    pub fn default_key(&self) -> Option<PublicKey> {
        match self.keys[..] {
            [only] => Some(only),
            _ => self.default,
        }
    }

    /// Adds a key; the first becomes the default. False if it was there.
    pub fn add(&mut self, key: PublicKey) -> bool {
        if self.keys.contains(&key) {
            return false;
        }
        if self.keys.is_empty() {
            self.default = Some(key);
        }
        self.keys.push(key);
        true
    }
}

#[derive(Clone, Copy, Debug)]
struct OsVault;

impl Vault for OsVault {
    fn open(&self) -> Result<(), VaultError> {
        Entry::store_status().as_ref().map(|&()| ()).map_err(|error| {
            let text = words(error);
            // With a bus, it is the bus that says by a name of its own why there is no service.
            if text.contains("org.freedesktop.DBus.Error.") {
                VaultError::NoService(text)
            } else {
                VaultError::NoSessionBus(text)
            }
        })
    }

    fn get(&self, name: &str) -> Result<Option<Secret>, VaultError> {
        match entry(name)?.get_password() {
            Ok(text) => Ok(Some(Secret::new(text))),
            Err(StoreError::NoEntry) => Ok(None),
            Err(error) => Err(reason(error)),
        }
    }

    fn set(&self, name: &str, secret: &Secret) -> Result<(), VaultError> {
        entry(name)?.set_password(secret.expose()).map_err(reason)
    }

    fn delete(&self, name: &str) -> Result<bool, VaultError> {
        match entry(name)?.delete_credential() {
            Ok(()) => Ok(true),
            Err(StoreError::NoEntry) => Ok(false),
            Err(error) => Err(reason(error)),
        }
    }
}

fn entry(name: &str) -> Result<Entry, VaultError> {
    Entry::new("nest", name).map_err(reason)
}

fn reason(error: StoreError) -> VaultError {
    match error {
        StoreError::NoStorageAccess(_) => VaultError::Locked(words(&error)),
        StoreError::Ambiguous(entries) => VaultError::Ambiguous(entries.len()),
        other => VaultError::Other(words(&other)),
    }
}

/// The bus's own words, without those of the two crates around it. Display of these shows no data; Debug would.
fn words(error: &StoreError) -> String {
    let store = error.source();
    let bus = store.and_then(StdError::source);
    bus.or(store).map_or_else(|| error.to_string(), ToString::to_string)
}
