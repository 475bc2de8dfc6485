//! Other users of the same machine, who own what is found there.

use std::io::Read as _;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nostr_nests::server::{Mock, Options};

use crate::support::nest::{Nest, state_dir};

/// Nobody whom the machine knows.
const STRANGER: u32 = 54_321;

fn give_away(path: &Path) {
    chown(path, Some(STRANGER), Some(STRANGER)).unwrap();
    if path.is_dir() {
        for entry in std::fs::read_dir(path).unwrap() {
            give_away(&entry.unwrap().path());
        }
    }
}

/// A lock that a process of the stranger's holds, until its standard input is closed.
fn held_by_a_stranger(lock: &Path) -> std::process::Child {
    let mut flock = Command::new("flock");
    flock.arg(lock).args(["sh", "-c", "echo; cat"]).uid(STRANGER).gid(STRANGER).current_dir("/");
    let mut child = flock.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
    child
}

#[test]
#[ignore = "needs root"]
fn nothing_in_a_state_folder_of_somebody_else_is_believed() {
    let mock = Mock::start(Options::default()).unwrap();
    let home = tempfile::tempdir().unwrap();
    std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let state = state_dir(home.path());
    let call = |args: &[&str]| Nest::new(&mock).env("HOME", home.path()).args(args).run();
    call(&["restart", "demo"]).expect(0);
    call(&["check", "demo", "--join"]).expect(0);
    let status = || call(&["status", "demo", "--json"]).expect(0).document();
    assert!(status()["leftAt"].is_string());

    give_away(&home.path().join(".local"));
    assert!(status().get("leftAt").is_none(), "what it says of a check is not read");
    let lock: PathBuf = std::fs::read_dir(state.join("rooms")).unwrap().next().unwrap().unwrap().path();
    let mut stranger = held_by_a_stranger(&lock);
    let restarted = call(&["restart", "demo", "--no-wait"]).expect(0);
    let rooms = state.join("rooms").display().to_string();
    let why = format!("{rooms} belongs to another user (uid {STRANGER}); going on without a lock\n");
    assert!(restarted.stderr.starts_with("warning: cannot lock ") && restarted.stderr.ends_with(&why), "{restarted:?}");
    drop(stranger.stdin.take());
    stranger.wait().unwrap();

    // Whoever owns only the folder above can put their own in the place of ours.
    chown(state.join("rooms"), Some(0), Some(0)).unwrap();
    let said = call(&["restart", "demo", "--no-wait"]).expect(0).stderr;
    assert!(
        said.ends_with("/.local/state/nest belongs to another user (uid 54321); going on without a lock\n"),
        "{said}"
    );

    // A list of keys says which is used.
    std::fs::write(state.join("keys.json"), r#"{"default":null,"keys":[]}"#).unwrap();
    let listed = call(&["key", "list"]).expect(3).stderr;
    assert!(listed.contains("belongs to another user (uid 54321)"), "{listed}");
}

#[test]
#[ignore = "needs root"]
fn a_key_file_of_somebody_else_is_refused_and_a_copy_of_ones_own_helps() {
    let mock = Mock::start(Options::default()).unwrap();
    let key = mock.host().secret_key().to_secret_hex();
    let nest = || Nest::new(&mock).without("NEST_KEY").file("their key", &key, 0o600);
    let theirs = nest();
    chown(theirs.home().join("their key"), Some(STRANGER), None).unwrap();
    let refused = theirs.args(["restart", "demo", "--key-file", "their key"]).run().expect(3).stderr;
    assert!(refused.contains("'their key' belongs to another user (uid 54321), who can read it"), "{refused}");
    let hint = refused.split('`').nth(1).unwrap();

    let (_, home) = nest().into_parts();
    chown(home.path().join("their key"), Some(STRANGER), None).unwrap();
    let helped = Command::new("/bin/sh").args(["-c", hint]).current_dir(home.path()).status().unwrap();
    assert!(helped.success(), "{hint}");
    let own = home.path().join("nest.key");
    let call = |key: &Path| Nest::new(&mock).without("NEST_KEY").env("NEST_KEY_FILE", key).args(["restart", "demo"]);
    call(&own).run().expect(0);
    call(&home.path().join("their key")).run().expect(3);

    // To its owner it is not somebody else's.
    std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let (mut command, _home) = call(&own).env("HOME", "/").into_parts();
    chown(&own, Some(STRANGER), None).unwrap();
    let status = command.uid(STRANGER).current_dir("/").stderr(Stdio::null()).stdout(Stdio::null()).status().unwrap();
    assert_eq!(status.code(), Some(0));
}
