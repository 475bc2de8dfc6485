//! One restart of a room at a time on one machine: a locked file for each room, which also remembers the room's SID.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use nostr::hashes::Hash as _;
use nostr::hashes::sha256;

/// How often a lock that somebody else holds is tried again.
const PAUSE: Duration = Duration::from_millis(50);

/// The most that is read of what the last restart left behind.
const MAX_NOTE: u64 = 256;

/// Why there is no lock.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    #[error("another restart of this room is running on this machine")]
    Busy,
    /// The file cannot be used.
    #[error("cannot lock {path}: {source}")]
    File { path: String, source: io::Error },
}

/// Held until it is dropped, or the process ends.
#[derive(Debug)]
pub struct RoomLock {
    file: File,
}

impl RoomLock {
    /// Locks the room whose URL is `room`, waiting up to `wait` for whoever holds it.
    ///
    /// # Errors
    /// [`LockError::Busy`] when the wait is over, [`LockError::File`] when the folder cannot be written.
    pub async fn acquire(folder: &Path, room: &str, wait: Duration) -> Result<Self, LockError> {
        let name = sha256::Hash::hash(room.as_bytes()).to_string();
        let path = folder.join(format!("{}.lock", &name[..32]));
        let failed = |source| LockError::File { path: path.display().to_string(), source };
        std::fs::create_dir_all(folder).map_err(failed)?;
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
        let since = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self { file }),
                Err(TryLockError::WouldBlock) if since.elapsed() < wait => tokio::time::sleep(PAUSE).await,
                Err(TryLockError::WouldBlock) => return Err(LockError::Busy),
                Err(TryLockError::Error(source)) => return Err(failed(source)),
            }
        }
    }

    /// The SID that the last check of this room on this machine saw.
    pub fn last_sid(&self) -> Option<String> {
        let mut note = String::new();
        (&self.file).rewind().ok()?;
        (&self.file).take(MAX_NOTE).read_to_string(&mut note).ok()?;
        note.starts_with("RM_").then(|| note.trim_end().to_owned())
    }

    /// Remembers the SID for the next restart.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn remember_sid(&self, sid: &str) -> io::Result<()> {
        (&self.file).rewind()?;
        self.file.set_len(0)?;
        writeln!(&self.file, "{sid}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_second_waits_for_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let take = |wait| RoomLock::acquire(folder.path(), "https://h/r", wait);
        let first = take(Duration::ZERO).await.unwrap();
        assert!(matches!(take(Duration::ZERO).await, Err(LockError::Busy)));
        assert_eq!(first.last_sid(), None);
        first.remember_sid("RM_long-long-long").unwrap();
        first.remember_sid("RM_a").unwrap();
        let (second, ()) = tokio::join!(take(Duration::from_secs(5)), async { drop(first) });
        assert_eq!(second.unwrap().last_sid().as_deref(), Some("RM_a"));
        RoomLock::acquire(folder.path(), "https://h/other", Duration::ZERO).await.unwrap();
    }
}
