//! A relay that others wrote, in another language: `nostr-relay` of the Python index, in `target/tools/nostr-relay`.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

use tempfile::TempDir;

use super::port;

/// What makes it ask who is there, and serve only those who were admitted.
pub const RESTRICTED: &str =
    "authentication:\n  enabled: true\n  relay_urls: [\"URL\"]\n  actions:\n    save: w\n    query: w\n";

/// Of the environment that `pip install nostr-relay` went into; its scripts name the place where that was done.
pub const PYTHON: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/tools/nostr-relay/bin/python3");

pub struct NostrRelay {
    child: Child,
    pub url: String,
    home: TempDir,
}

impl NostrRelay {
    /// Starts it with these lines in its configuration, where `URL` stands for its address.
    pub fn start(more: &str) -> Self {
        assert!(Path::new(PYTHON).exists(), "{PYTHON}: nostr-relay is not installed");
        // It has to know its own address.
        let port = port::reserved();
        let url = format!("ws://127.0.0.1:{port}");
        let home = tempfile::tempdir().unwrap();
        let config = format!(
            "storage:\n  sqlalchemy.url: sqlite+aiosqlite:///{}/events.sqlite3\n  validators:\n    \
             - nostr_relay.validators.is_signed\ngunicorn:\n  bind: 127.0.0.1:{port}\n  workers: 1\n  loglevel: info\n{}",
            home.path().display(),
            more.replace("URL", &url)
        );
        fs::write(home.path().join("config.yaml"), config).unwrap();
        let mut child = command(home.path())
            .arg("serve")
            .process_group(0)
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        // The socket is open from here on: who connects is served as soon as the worker is up.
        assert!(log.any(|line| line.unwrap().contains("Listening at: http://")), "it did not start");
        thread::spawn(move || log.for_each(drop));
        Self { child, url, home }
    }

    /// Lets a key, as hex, read and write where the relay restricts both.
    pub fn admit(&self, key: &str) {
        let role = ["role", "set", "-p", key, "-r", "w"];
        assert!(command(self.home.path()).args(role).output().unwrap().status.success());
    }
}

impl Drop for NostrRelay {
    fn drop(&mut self) {
        // Its worker too.
        let group = format!("-{}", self.child.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = self.child.wait();
    }
}

fn command(home: &Path) -> Command {
    let mut command = Command::new(PYTHON);
    command.env_clear().env("HOME", home).env("PATH", "/usr/bin:/bin").current_dir(home);
    command.args(["-c", "from nostr_relay.cli import main; main()", "-c", "config.yaml"]);
    command
}
