//! Which keys are in the OS keyring: a small JSON file with npubs and nothing secret, since a keyring cannot be listed
//! without being unlocked.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use nostr::PublicKey;
use serde::{Deserialize, Serialize};

use super::npub;

/// Why the list cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Not what this program writes.
    #[error("the list of keys {} is damaged: {why}", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// What the system says.
    #[error("the list of keys {} cannot be {verb}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// `read` or `written`.
        verb: &'static str,
        /// In the system's words.
        #[source]
        cause: io::Error,
    },
}

/// The keys in the keyring, in the order in which they came, and which of them is meant when nothing else is said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Index {
    keys: Vec<PublicKey>,
    default: Option<PublicKey>,
}

#[derive(Serialize, Deserialize)]
struct OnDisk {
    default: Option<String>,
    keys: Vec<String>,
}

impl Index {
    /// Reads the list; a missing file is an empty list.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn load(path: &Path) -> Result<Self, Error> {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(cause) => return Err(Error::Io { path: path.to_owned(), verb: "read", cause }),
        };
        let damaged = |why: String| Error::Damaged { path: path.to_owned(), why };
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
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        let disk = OnDisk { default: self.default.as_ref().map(npub), keys: self.keys.iter().map(npub).collect() };
        let written = serde_json::to_vec_pretty(&disk).map_err(io::Error::from).and_then(|json| replace(path, &json));
        written.map_err(|cause| Error::Io { path: path.to_owned(), verb: "written", cause })
    }

    /// All keys.
    #[must_use]
    pub fn keys(&self) -> &[PublicKey] {
        &self.keys
    }

    /// The key that is meant when nothing else is said: the one that was chosen, or the only one.
    #[must_use]
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

    /// Makes a key the default. False if it is not in the list.
    pub fn set_default(&mut self, key: PublicKey) -> bool {
        let known = self.keys.contains(&key);
        if known {
            self.default = Some(key);
        }
        known
    }

    /// Takes a key out. False if it was not there.
    pub fn remove(&mut self, key: PublicKey) -> bool {
        let before = self.keys.len();
        self.keys.retain(|other| *other != key);
        self.default = self.default.filter(|default| *default != key);
        self.keys.len() < before
    }
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut draft = path.as_os_str().to_owned();
    draft.push(format!(".{}.new", std::process::id()));
    let draft = PathBuf::from(draft);
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .open(&draft)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&draft, path));
    if written.is_err() {
        let _ = fs::remove_file(&draft);
    }
    written
}
