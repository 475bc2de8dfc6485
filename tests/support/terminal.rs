//! A person at a terminal.

use std::process::Command;
use std::time::{Duration, Instant};

use expectrl::process::Termios as _;
use expectrl::process::unix::WaitStatus;
use expectrl::{Eof, Expect as _, Session};

use super::nest::Nest;

pub struct Terminal {
    pub session: expectrl::session::OsSession,
    _home: tempfile::TempDir,
}

impl Terminal {
    pub fn at(nest: Nest) -> Self {
        let (command, home) = nest.env("TERM", "xterm-256color").into_parts();
        // The library gives out terminals that show nothing of what is typed; a person's does.
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", r#"/bin/stty echo && exec "$0" "$@""#]).arg(command.get_program()).args(command.get_args());
        shell.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        shell.current_dir(command.get_current_dir().unwrap());
        let mut session = Session::spawn(shell).unwrap();
        session.set_expect_timeout(Some(Duration::from_secs(10)));
        Self { session, _home: home }
    }

    pub fn sees(&mut self, text: &str) {
        self.session.expect(text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
    }

    /// Types a secret, once the terminal does not show it any more: what was typed before is thrown away.
    pub fn types(&mut self, secret: &str) {
        let since = Instant::now();
        while self.session.is_echo().unwrap() {
            assert!(since.elapsed() < Duration::from_secs(10), "everybody would see it");
            std::thread::sleep(Duration::from_millis(1));
        }
        self.session.send_line(secret).unwrap();
    }

    /// What is left on the screen, and the exit code.
    pub fn ends(mut self) -> (String, i32) {
        let rest = self.session.expect(Eof).unwrap();
        let rest = String::from_utf8_lossy(rest.as_bytes()).into_owned();
        let code = match self.session.get_process().wait().unwrap() {
            WaitStatus::Exited(_, code) => code,
            other => panic!("{other:?}"),
        };
        (rest, code)
    }
}
