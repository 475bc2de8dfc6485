//! Files that are remembered from run to run: for their user alone, whatever the umask, and believed only where nobody
//! else can have made or changed them.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use crate::files;

/// Why a file or folder is not believed.
#[derive(Debug, thiserror::Error)]
#[cfg_attr(not(unix), expect(dead_code, reason = "it is not known there"))]
enum Foreign {
    #[error("{} belongs to another user (uid {uid})", path.display())]
    Owned { path: PathBuf, uid: u32 },
    #[error("other users can write to {} (mode {mode:04o})", path.display())]
    Writable { path: PathBuf, mode: u32 },
}

/// Opens a file that is there.
///
/// # Errors
/// As of the file system; `PermissionDenied` where the file, or the folder that it is in, is not ours.
pub fn open(path: &Path) -> io::Result<File> {
    open_with(OpenOptions::new().read(true), path)
}

/// Opens a file for reading and writing, and makes it and its folder where they are missing.
///
/// # Errors
/// As [`open`].
pub fn open_or_create(path: &Path) -> io::Result<File> {
    let open = || open_with(files::private().read(true).write(true).create(true).truncate(false), path);
    match open() {
        // Nearly always the folder is there.
        Err(error) if error.kind() == io::ErrorKind::NotFound => files::create_folder_of(path).and_then(|()| open()),
        opened => opened,
    }
}

/// Puts these bytes in the place of what the file holds: all of them or none.
///
/// # Errors
/// As [`open`].
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    files::replace_with(path, bytes, |draft, options| open_with(options, draft))
}

/// The owner, if that is neither whoever runs this nor root: what is theirs, they can change at any time.
#[cfg(unix)]
pub fn other_owner(about: &Metadata) -> Option<u32> {
    let uid = std::os::unix::fs::MetadataExt::uid(about);
    (uid != 0 && uid != rustix::process::geteuid().as_raw()).then_some(uid)
}

#[cfg(not(unix))]
pub fn other_owner(_: &Metadata) -> Option<u32> {
    None
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The folder is looked at first: in one that others can write to, opening a file may already do harm.
fn open_with(options: &OpenOptions, path: &Path) -> io::Result<File> {
    let folder = folder_of(path);
    let about = fs::metadata(folder)?;
    believe(folder, &if tighten(folder, &about)? { fs::metadata(folder)? } else { about })?;
    // Whoever owns the folder above can put another in its place.
    if let Some(above) = folder.parent().filter(|above| !above.as_os_str().is_empty()) {
        owned(above, &fs::metadata(above)?)?;
    }
    let file = options.open(path)?;
    let about = file.metadata()?;
    believe(path, &if tighten(path, &about)? { file.metadata()? } else { about })?;
    Ok(file)
}

/// What is our own is closed to others from now on, where it is as a umask of 002 or 022 makes it. Anything more open was
/// opened on purpose, and who knows for whom. Whether it was changed.
#[cfg(unix)]
fn tighten(path: &Path, about: &Metadata) -> io::Result<bool> {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    let mode = about.permissions().mode() & 0o7777;
    let open = mode & 0o077 != 0 && mode & 0o7002 == 0 && about.uid() == rustix::process::geteuid().as_raw();
    if open {
        fs::set_permissions(path, fs::Permissions::from_mode(mode & !0o077))?;
    }
    Ok(open)
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "the same shape as on unix")]
fn tighten(_: &Path, _: &Metadata) -> io::Result<bool> {
    Ok(false)
}

fn owned(path: &Path, about: &Metadata) -> io::Result<()> {
    other_owner(about).map_or(Ok(()), |uid| Err(denied(Foreign::Owned { path: path.to_owned(), uid })))
}

#[cfg(unix)]
fn believe(path: &Path, about: &Metadata) -> io::Result<()> {
    const OTHERS_WRITE: u32 = 0o022;
    owned(path, about)?;
    let mode = std::os::unix::fs::PermissionsExt::mode(&about.permissions()) & 0o7777;
    if mode & OTHERS_WRITE == 0 { Ok(()) } else { Err(denied(Foreign::Writable { path: path.to_owned(), mode })) }
}

#[cfg(not(unix))]
fn believe(path: &Path, about: &Metadata) -> io::Result<()> {
    owned(path, about)
}

fn denied(why: Foreign) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, why)
}
