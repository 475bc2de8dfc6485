//! A person at a terminal.

use std::num::NonZero;
use std::process::Command;
use std::time::{Duration, Instant};

use expectrl::process::Termios as _;
use expectrl::process::unix::WaitStatus;
use expectrl::{Eof, Expect as _, Session};

use super::nest::Nest;

pub struct Terminal {
    pub session: expectrl::session::OsSession,
    /// All that was read so far.
    seen: Vec<u8>,
    columns: u16,
    _home: tempfile::TempDir,
}

const ROWS: u16 = 200;

impl Terminal {
    pub fn at(nest: Nest) -> Self {
        Self::of_width(200, nest)
    }

    pub fn of_width(columns: u16, nest: Nest) -> Self {
        let (command, home) = nest.env("TERM", "xterm-256color").into_parts();
        let mut shell = Command::new("/bin/sh");
        shell.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        shell.current_dir(command.get_current_dir().unwrap());
        // The library gives out terminals that show nothing of what is typed, and says their size when they run already.
        let size = format!("{ROWS} {columns}");
        let wait = r#"/bin/stty echo; until [ "$(/bin/stty size)" = "$0" ]; do /bin/sleep 0.01; done; exec "$@""#;
        shell.args(["-c", wait, &size]).arg(command.get_program()).args(command.get_args());
        let mut session = Session::spawn(shell).unwrap();
        session.get_process_mut().set_window_size(columns, ROWS).unwrap();
        session.set_expect_timeout(Some(Duration::from_secs(10)));
        Self { session, seen: Vec::new(), columns, _home: home }
    }

    pub fn sees(&mut self, text: &str) {
        let found = self.session.expect(text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
        self.seen.extend_from_slice(found.as_bytes());
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

    /// What a person has before them in the end, line by line, and the exit code. Nothing may be broken by the terminal but
    /// what is to be copied in one piece.
    pub fn shows(mut self) -> (Vec<String>, i32) {
        let (seen, columns) = (std::mem::take(&mut self.seen), self.columns);
        let (rest, code) = self.ends();
        let nonzero = |size| NonZero::new(size).unwrap();
        let mut screen = vt100::Parser::new(nonzero(ROWS), nonzero(columns), 0);
        screen.process(&seen);
        screen.process(rest.as_bytes());
        // As a copy of them has it.
        let mut lines = vec![String::new()];
        for (at, row) in (0..ROWS).zip(screen.screen().rows(0, columns)) {
            let broken = screen.screen().row_wrapped(at);
            let line = format!("{}{row}", lines.last().unwrap());
            let command = line.contains('`') || line.contains("nest ");
            let piece = row.rsplit(' ').next().map(|piece| piece.chars().count()).unwrap_or_default();
            let whole = command || piece > usize::from(columns) / 2;
            assert!(!broken || whole, "{columns} columns: {row:?} is broken by the terminal");
            *lines.last_mut().unwrap() = line;
            if !broken {
                lines.push(String::new());
            }
        }
        lines.truncate(lines.iter().rposition(|line| !line.is_empty()).map_or(0, |last| last + 1));
        (lines, code)
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
