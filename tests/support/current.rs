//! Files that the program writes and the repository keeps.

use std::fs;
use std::path::{Path, PathBuf};

/// A path in the repository.
pub fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Compares a file with what it should hold, or writes it.
#[track_caller]
pub fn current(path: &str, wanted: &str) {
    let file = root(path);
    if std::env::var_os("UPDATE").is_some() {
        fs::write(file, wanted).unwrap();
        return;
    }
    let found = fs::read_to_string(&file).unwrap_or_default();
    let differs = found.lines().zip(wanted.lines()).position(|(a, b)| a != b);
    let line = differs.unwrap_or_else(|| found.lines().count().min(wanted.lines().count())) + 1;
    assert!(found == wanted, "{path} is stale from line {line} on; renew it: UPDATE=1 cargo test current");
}
