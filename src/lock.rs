//! One restart of a room at a time on one machine: a locked file for each room, which also remembers the room's SID, and
//! that a check has left it empty.

use std::fs::{File, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use nostr::hashes::Hash as _;
use nostr::hashes::sha256;

use crate::state;

/// How often a lock that somebody else holds is tried again.
const PAUSE: Duration = Duration::from_millis(50);

/// The most that is read of what the last restart left behind.
const MAX_NOTE: u64 = 256;

/// Why there is no lock.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    #[error("another restart of this room is running on this machine")]
    Busy,
    /// The file cannot be used, or others can: whoever holds it then need not be a restart.
    #[error("cannot lock {path}: {source}")]
    File { path: String, source: io::Error },
}

/// A check from this machine has left a nest in which nobody was. Milliseconds since the Unix epoch, by the clock here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Departure {
    pub left_ms: i64,
    /// When the nest closes because of that, unless somebody joins.
    pub closes_ms: i64,
}

impl Departure {
    /// What is remembered of the room whose URL is `room`; whoever holds its lock is not waited for.
    pub fn last(folder: &Path, room: &str) -> Option<Self> {
        let note = read(&mut state::open(&path(folder, room)).ok()?)?;
        let mut numbers = note.lines().nth(1)?.split(' ').map(str::parse);
        Some(Self { left_ms: numbers.next()?.ok()?, closes_ms: numbers.next()?.ok()? })
    }
}

fn path(folder: &Path, room: &str) -> PathBuf {
    let name = sha256::Hash::hash(room.as_bytes()).to_string();
    folder.join(format!("{}.lock", &name[..32]))
}

/// The note in a lock file: a SID, and on the next line the departure, if there was one after that.
fn read(file: &mut impl io::Read) -> Option<String> {
    let mut note = String::new();
    file.take(MAX_NOTE).read_to_string(&mut note).ok()?;
    note.starts_with("RM_").then_some(note)
}

/// When its lock was last let go; `None` where the file is new.
fn let_go_at(file: &File) -> Option<SystemTime> {
    let known = file.metadata().ok()?;
    let changed = known.modified().ok()?;
    known.created().map_or(true, |created| created != changed).then_some(changed)
}

/// Held until it is dropped, or the process ends.
#[derive(Debug)]
pub struct RoomLock {
    file: File,
    /// When it was last let go, by the clock here; `None` if that is not known to have happened.
    last_held: Option<SystemTime>,
}

impl RoomLock {
    /// Locks the room whose URL is `room`, waiting up to `wait` for whoever holds it.
    ///
    /// # Errors
    /// [`LockError::Busy`] when the wait is over, [`LockError::File`] when the folder cannot be written, or is not ours.
    pub async fn acquire(folder: &Path, room: &str, wait: Duration) -> Result<Self, LockError> {
        let path = path(folder, room);
        let failed = |source| LockError::File { path: path.display().to_string(), source };
        let file = state::open_or_create(&path).map_err(failed)?;
        let since = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self { last_held: let_go_at(&file), file }),
                Err(TryLockError::WouldBlock) if since.elapsed() < wait => tokio::time::sleep(PAUSE).await,
                Err(TryLockError::WouldBlock) => return Err(LockError::Busy),
                Err(TryLockError::Error(source)) => return Err(failed(source)),
            }
        }
    }

    /// Whether somebody else may have had it since then: what was looked at before may have changed.
    pub fn was_held_since(&self, time: SystemTime) -> bool {
        self.last_held.is_some_and(|last| last >= time)
    }

    /// The SID that the last check of this room on this machine saw.
    pub fn last_sid(&self) -> Option<String> {
        (&self.file).rewind().ok()?;
        read(&mut &self.file)?.lines().next().map(str::to_owned)
    }

    /// Remembers the SID for the next restart, and whether a check has left that room empty.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn remember(&self, sid: &str, left: Option<Departure>) -> io::Result<()> {
        let left = left.map(|Departure { left_ms, closes_ms }| format!("{left_ms} {closes_ms}\n"));
        let note = format!("{sid}\n{}", left.unwrap_or_default());
        // Empty lines cover the rest of a longer note. A file that is emptied first is written to the disk when it is closed
        // (ext4), which takes longer than all the rest.
        let length = usize::try_from(self.file.metadata()?.len().min(MAX_NOTE)).unwrap_or_default();
        (&self.file).rewind()?;
        (&self.file).write_all(format!("{note:\n<length$}").as_bytes())
    }
}

impl Drop for RoomLock {
    fn drop(&mut self) {
        // Without it, whoever comes next does not look again, and does what was done already.
        let _ = self.file.set_modified(SystemTime::now());
    }
}
