//! Commands that stay, and tell what changes.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::nest::Nest;
use super::process::signal;

/// A command that goes on until it is interrupted.
pub struct Following {
    pub child: Child,
    _home: tempfile::TempDir,
    pub lines: Receiver<String>,
}

/// A test that fails leaves nothing behind.
impl Drop for Following {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Following {
    pub fn start(nest: Nest) -> Self {
        let (mut command, home) = nest.into_parts();
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || {
            for line in stdout.lines() {
                let _ = sender.send(line.unwrap());
            }
        });
        Self { child, _home: home, lines }
    }

    /// The next document.
    #[track_caller]
    pub fn next(&mut self) -> Value {
        let Ok(line) = self.lines.recv_timeout(Duration::from_secs(30)) else {
            self.child.kill().unwrap();
            panic!("nothing more was told: {}", self.said());
        };
        serde_json::from_str(&line).unwrap()
    }

    /// The first document in which `field` has this value.
    #[track_caller]
    pub fn until(&mut self, field: &str, wanted: impl Into<Value>) -> Value {
        let wanted = wanted.into();
        loop {
            let document = self.next();
            if document[field] == wanted {
                return document;
            }
        }
    }

    /// Ends it as a person does; what it said on stderr.
    pub fn interrupt(mut self) -> String {
        signal(self.child.id(), "INT");
        let status = self.child.wait().unwrap();
        assert_eq!(status.code(), Some(130));
        self.said()
    }

    /// What it has said on stderr, once it has ended.
    fn said(&mut self) -> String {
        let mut said = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        said
    }
}
