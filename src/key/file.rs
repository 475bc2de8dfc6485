//! Files that hold a secret: read with care for who else could, written for the owner alone.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use zeroize::Zeroizing;

use super::on_thread;
use super::parse::MAX_BYTES;
use crate::files;
use crate::secret::Secret;
use crate::state;

/// How long the writer of a pipe may take; a password manager may have to ask a person first.
const PATIENCE: Duration = Duration::from_mins(2);

/// Where systemd puts the credentials of a service; access lists guard them, and look like permissions of the group.
const CREDENTIALS: &str = "/run/credentials/";

#[derive(Debug, thiserror::Error)]
pub enum SecretFileError {
    #[error("there is no file {}", .0.display())]
    NotFound(PathBuf),
    #[error("{} is a directory", .0.display())]
    Directory(PathBuf),
    /// The user may not read it, or may not write there.
    #[error("no permission for {}", .0.display())]
    Denied(PathBuf),
    /// Its owner can read it, and change it.
    #[error("{} belongs to another user (uid {uid})", path.display())]
    NotOurs { path: PathBuf, uid: u32 },
    #[error("{} is open to others (mode {mode:04o})", path.display())]
    TooOpen { path: PathBuf, mode: u32 },
    #[error("{} is longer than {MAX_BYTES} bytes", name(.0))]
    TooLong(PathBuf),
    #[error("{} is not text", name(.0))]
    NotText(PathBuf),
    #[error("nothing came from {} within {} s", name(path), limit.as_secs())]
    Silent { path: PathBuf, limit: Duration },
    #[error("stdin was read already")]
    StdinTaken,
    #[error("{} exists already", .0.display())]
    Exists(PathBuf),
    #[error("{}: {cause}", name(path))]
    Io { path: PathBuf, cause: io::Error },
}

impl SecretFileError {
    fn io(path: &Path, cause: io::Error) -> Self {
        let path = path.to_owned();
        match cause.kind() {
            io::ErrorKind::NotFound => Self::NotFound(path),
            io::ErrorKind::IsADirectory => Self::Directory(path),
            io::ErrorKind::PermissionDenied => Self::Denied(path),
            io::ErrorKind::AlreadyExists => Self::Exists(path),
            _ => Self::Io { path, cause },
        }
    }
}

/// Reads a secret from a file, or from stdin when the path is `-`, which works once.
///
/// A regular file has to be ours or root's, and its owner's alone. Pipes, stdin and systemd's credentials are exempt.
pub async fn read(path: &Path) -> Result<Secret, SecretFileError> {
    read_within(PATIENCE, path, is_credential(path)).await
}

/// Like [`read`] for a systemd credential, wherever it is: who may read it is systemd's business.
pub async fn read_credential(path: &Path) -> Result<Secret, SecretFileError> {
    read_within(PATIENCE, path, stays_below(path)).await
}

fn is_credential(path: &Path) -> bool {
    path.starts_with(CREDENTIALS) && stays_below(path)
}

/// Whether a path leads into the folders that it names: with `..` in it, it may lead anywhere.
fn stays_below(path: &Path) -> bool {
    !path.components().any(|part| part == Component::ParentDir)
}

async fn read_within(limit: Duration, path: &Path, exempt: bool) -> Result<Secret, SecretFileError> {
    // Only a pipe keeps its reader waiting; a thread for the other case takes longer than the file itself.
    if fs::metadata(path).is_ok_and(|about| about.is_file()) {
        return read_now(path, exempt);
    }
    let owned = path.to_owned();
    let read = on_thread(move || read_now(&owned, exempt));
    match tokio::time::timeout(limit, read).await {
        Ok(Ok(result)) => result,
        Ok(Err(cause)) => Err(SecretFileError::io(path, cause)),
        Err(_) => Err(SecretFileError::Silent { path: path.to_owned(), limit }),
    }
}

fn read_now(path: &Path, exempt: bool) -> Result<Secret, SecretFileError> {
    static STDIN_TAKEN: AtomicBool = AtomicBool::new(false);
    if path == Path::new("-") {
        if STDIN_TAKEN.swap(true, Ordering::Relaxed) {
            return Err(SecretFileError::StdinTaken);
        }
        return read_bounded(io::stdin().lock(), path);
    }
    // What is looked at is what is read: the open file, not its name.
    let file = File::open(path).map_err(|e| SecretFileError::io(path, e))?;
    let about = file.metadata().map_err(|e| SecretFileError::io(path, e))?;
    if about.is_dir() {
        return Err(SecretFileError::Directory(path.to_owned()));
    }
    if !exempt && about.is_file() {
        if let Some(uid) = state::other_owner(&about) {
            return Err(SecretFileError::NotOurs { path: path.to_owned(), uid });
        }
        private(path, &about)?;
    }
    read_bounded(file, path)
}

#[cfg(unix)]
fn private(path: &Path, about: &fs::Metadata) -> Result<(), SecretFileError> {
    use std::os::unix::fs::PermissionsExt;
    const OTHERS: u32 = 0o077;
    let mode = about.permissions().mode() & 0o7777;
    if mode & OTHERS == 0 { Ok(()) } else { Err(SecretFileError::TooOpen { path: path.to_owned(), mode }) }
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "the same shape as on unix")]
fn private(_: &Path, _: &fs::Metadata) -> Result<(), SecretFileError> {
    Ok(())
}

fn read_bounded(from: impl Read, path: &Path) -> Result<Secret, SecretFileError> {
    // With all the room it can need from the start, the buffer never moves and leaves no copy behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_BYTES + 2));
    from.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(|e| SecretFileError::io(path, e))?;
    if bytes.len() > MAX_BYTES {
        return Err(SecretFileError::TooLong(path.to_owned()));
    }
    match String::from_utf8(std::mem::take(&mut *bytes)) {
        Ok(text) => Ok(Secret::new(text)),
        Err(error) => {
            drop(Zeroizing::new(error.into_bytes()));
            Err(SecretFileError::NotText(path.to_owned()))
        }
    }
}

/// Writes a secret and a line end to a new file that only its owner can read (mode 0600). Nothing is ever overwritten.
pub fn create(path: &Path, secret: &Secret) -> Result<(), SecretFileError> {
    let mut file = files::private().write(true).create_new(true).open(path).map_err(|e| match e.kind() {
        // It is the folder that is missing.
        io::ErrorKind::NotFound => SecretFileError::Io { path: path.to_owned(), cause: e },
        _ => SecretFileError::io(path, e),
    })?;
    let written =
        file.write_all(secret.expose().as_bytes()).and_then(|()| file.write_all(b"\n")).and_then(|()| file.sync_all());
    written.map_err(|e| {
        // Half a key is of no use, and would be in the way of the next attempt.
        let _ = fs::remove_file(path);
        SecretFileError::io(path, e)
    })
}

fn name(path: &Path) -> String {
    if path == Path::new("-") { "stdin".into() } else { path.display().to_string() }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_credential_lies_below_systemds_folder() {
        let is_credential = |path| is_credential(Path::new(path));
        assert!(is_credential("/run/credentials/nest.service/nest-key"));
        assert!(!is_credential("/run/credentials/../../home/me/key") && !is_credential("/run/credentials/a/../../key"));
        assert!(!is_credential("/run/credentials-of-mine/key") && !is_credential("run/credentials/key"));
    }

    #[tokio::test]
    async fn a_pipe_that_nobody_writes_to_is_given_up() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        let limit = Duration::from_millis(20);
        let silent = read_within(limit, &fifo, false).await;
        assert!(matches!(silent, Err(SecretFileError::Silent { path, limit: l }) if path == fifo && l == limit));
    }
}
