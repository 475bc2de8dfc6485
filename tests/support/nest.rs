//! The real binary in an environment of its own.

use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use nostr_nests::server::faults::TABLE;
use nostr_nests::server::{Fault, Mock, Options};
use serde_json::Value;

/// A call of `nest` that is being put together. Its home is empty, and nothing of the caller's environment gets in.
pub struct Nest {
    command: Command,
    home: tempfile::TempDir,
    stdin: Vec<u8>,
}

/// What came of it.
#[derive(Debug)]
pub struct Output {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Nest {
    /// With the API and the host's key of `mock` in the environment.
    pub fn new(mock: &Mock) -> Self {
        Self::alone().env("NEST_API", mock.api()).env("NEST_KEY", mock.host().secret_key().to_secret_hex())
    }

    /// With nothing but a home.
    pub fn alone() -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_nest"));
        command.env_clear().env("HOME", home.path()).env("TZ", at_night()).current_dir(home.path());
        Self { command, home, stdin: Vec::new() }
    }

    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.command.args(args);
        self
    }

    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.command.env(name, value.into());
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    pub fn stdin(mut self, text: impl Into<Vec<u8>>) -> Self {
        self.stdin = text.into();
        self
    }

    /// A file in its home, with this mode.
    pub fn file(self, name: &str, text: &str, mode: u32) -> Self {
        use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
        let path = self.home.path().join(name);
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        self
    }

    /// What a person would have typed.
    pub fn command_line(&self) -> String {
        let args = self.command.get_args().map(|arg| arg.to_str().unwrap());
        std::iter::once("nest").chain(args).collect::<Vec<_>>().join(" ")
    }

    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Runs it to its end. Its home is gone afterwards.
    pub fn run(mut self) -> Output {
        self.keep_off_public_relays();
        let stdio = |pipe| if pipe { Stdio::piped() } else { Stdio::null() };
        let pipe = !self.stdin.is_empty();
        let mut child = self.command.stdin(stdio(pipe)).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(&self.stdin).unwrap();
        }
        let output = child.wait_with_output().unwrap();
        Output {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The command, for tests that watch it while it runs; and its home, which must outlive it.
    pub fn into_parts(mut self) -> (Command, tempfile::TempDir) {
        self.keep_off_public_relays();
        (self.command, self.home)
    }

    /// Nothing but these looks for the event of a nest that is named by its id alone, and on relays of the world
    /// unless others are named: here on one where nobody listens.
    fn keep_off_public_relays(&mut self) {
        let args: Vec<_> = self.command.get_args().filter_map(OsStr::to_str).collect();
        let looks =
            matches!(args[..], ["restart" | "check" | "status" | "doctor", "demo", ..]) && !args.contains(&"--relay");
        if looks && self.command.get_envs().all(|(name, _)| name != "NEST_RELAYS") {
            self.command.env("NEST_RELAYS", "ws://127.0.0.1:9");
        }
    }
}

impl Output {
    /// The documents on stdout.
    pub fn documents(&self) -> Vec<Value> {
        let documents = serde_json::Deserializer::from_str(&self.stdout).into_iter();
        documents.collect::<Result<_, _>>().unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The only document on stdout.
    pub fn document(&self) -> Value {
        let documents = self.documents();
        assert_eq!(documents.len(), 1, "{self:?}");
        documents.into_iter().next().unwrap()
    }

    /// What it said on stderr, without what differs from run to run.
    pub fn said(&self, mock: &Mock) -> String {
        plain(&self.stderr, mock)
    }

    /// The same, if it ended with this code.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        self
    }
}

/// That it ended with this code, and said all of these words on stderr.
#[track_caller]
pub fn says(output: &Output, code: i32, words: &[&str]) {
    assert_eq!(output.code, code, "{output:?}");
    for words in words {
        assert!(output.stderr.contains(words), "{words:?}: {output:?}");
    }
}

/// Where the binary keeps what it remembers, below its home.
pub fn state_dir(home: &Path) -> PathBuf {
    home.join(".local/state/nest")
}

/// The bundled server with these faults.
pub fn mock(faults: &[&str]) -> Mock {
    Mock::start(Options { faults: parse(faults), ..Options::default() }).unwrap()
}

/// Every fault once, as it is given to a mock; those that hold something up do so for a second or two.
pub fn all_faults() -> impl Iterator<Item = String> {
    TABLE.iter().map(|row| {
        let value = match row.name {
            "late-teardown" => "=100ms",
            "status" => "=500",
            "plain-text" => "=429",
            "rate-limit" => "=0",
            "slow-body" => "=5ms",
            "redis-hang" => "=1500ms",
            "clock" => "=2001",
            "moq-event" => "=alone",
            _ => "",
        };
        format!("{}{value}", row.name)
    })
}

pub fn parse(faults: &[&str]) -> Vec<Fault> {
    faults.iter().map(|fault| fault.parse().unwrap()).collect()
}

/// Waits until no `Date`, which is cut to whole seconds, is about to change.
pub fn early_in_a_second() {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let over = (now.subsec_millis() + 800) % 1000;
    if over > 100 {
        std::thread::sleep(std::time::Duration::from_millis(u64::from(1000 - over)));
    }
}

/// Runs `test` on all of `cases`, sixteen at once: most of the time they wait.
pub fn at_once<T: Sync>(cases: &[T], test: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..cases.len().min(16) {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    test(case);
                }
            });
        }
    });
}

/// The time zone (POSIX) in which it is past three in the morning: the next hours are of the same day, and so have no date.
fn at_night() -> String {
    let hour = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() / 3600 % 24;
    format!("NST{}", i64::try_from(hour).unwrap() - 3)
}

/// A text without what differs from run to run: the mock's address, SIDs, times of day, milliseconds.
pub fn plain(text: &str, mock: &Mock) -> String {
    let text = text.replace(&mock.address().to_string(), "MOCK");
    let words = text.split_inclusive([' ', '\n', '(', ')', ',', ';']).map(|word| {
        let (body, end) = word.split_at(word.trim_end_matches([' ', '\n', '(', ')', ',', ';', '.']).len());
        let digits = body.chars().filter(char::is_ascii_digit).count();
        match body {
            _ if body.starts_with("RM_") => format!("RM_x{end}"),
            _ if body.len() == 5 && digits == 4 && body.as_bytes()[2] == b':' => format!("hh:mm{end}"),
            _ => word.to_owned(),
        }
    });
    words.collect()
}
