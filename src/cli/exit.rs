//! The exit codes: one table for the program, its help and the README.

use crate::commands::Signal;

/// How the program ends, other than well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Exit {
    /// In a way that none of the others names.
    Failed,
    /// Another restart of the room has the lock.
    Busy,
    /// Wrong usage or configuration.
    Usage,
    /// No usable host key.
    Key,
    /// 401.
    Unauthorized,
    /// 403.
    NotHost,
    /// 404.
    NotFound,
    /// 5xx, other 4xx, a redirect, an answer without sense.
    Server,
    /// Nothing was sent.
    Unreachable,
    /// Sent and not answered.
    Unknown,
    /// It cannot be joined.
    Unhealthy,
    /// 429.
    RateLimited,
    /// SIGINT.
    Interrupted,
    /// SIGTERM.
    Terminated,
}

/// One line of the table.
#[derive(Debug)]
pub struct Row {
    /// The value.
    pub exit: Exit,
    /// The number that the shell sees.
    pub code: u8,
    /// `error.kind` in JSON.
    pub kind: &'static str,
    /// For help and README.
    pub meaning: &'static str,
}

const fn row(exit: Exit, code: u8, kind: &'static str, meaning: &'static str) -> Row {
    Row { exit, code, kind, meaning }
}

/// All of them, in the order of their codes.
pub const TABLE: [Row; 14] = [
    row(
        Exit::Failed,
        1,
        "failed",
        "failed in a way that no other code names; several rooms failed for different reasons",
    ),
    row(Exit::Busy, 1, "busy", "another restart of this room is running on this machine"),
    row(Exit::Usage, 2, "usage", "wrong usage or configuration"),
    row(Exit::Key, 3, "key", "no usable host key: none, unreadable, wrong passphrase, locked keyring"),
    row(Exit::Unauthorized, 4, "unauthorized", "the API rejected the signature (401)"),
    row(Exit::NotHost, 5, "notHost", "not the host of this nest (403)"),
    row(Exit::NotFound, 6, "notFound", "no such nest, no audio room, or no such endpoint (404)"),
    row(Exit::Server, 7, "server", "the server failed: 5xx, other 4xx, a redirect, an answer that makes no sense"),
    row(Exit::Unreachable, 8, "unreachable", "DNS, connect or TLS failed; nothing was sent"),
    row(Exit::Unknown, 9, "unknown", "sent but never answered: it may have restarted"),
    row(
        Exit::Unhealthy,
        10,
        "unhealthy",
        "restarted, or asked to check, but it cannot be joined, or the old room still runs",
    ),
    row(Exit::RateLimited, 11, "rateLimited", "the API takes no more requests for now (429)"),
    row(Exit::Interrupted, 130, "interrupted", "interrupted by Ctrl-C; it says whether the request was out"),
    row(Exit::Terminated, 143, "interrupted", "ended by SIGTERM; it says whether the request was out"),
];

impl Exit {
    /// Its line of the table.
    #[must_use]
    pub fn row(self) -> &'static Row {
        // The values are numbered in the order of the table; a test holds them to it.
        &TABLE[self as usize]
    }

    /// The number that the shell sees.
    #[must_use]
    pub fn code(self) -> u8 {
        self.row().code
    }

    /// `error.kind` in JSON.
    #[must_use]
    pub fn kind(self) -> &'static str {
        self.row().kind
    }
}

impl From<Signal> for Exit {
    fn from(signal: Signal) -> Self {
        match signal {
            Signal::Interrupt => Self::Interrupted,
            Signal::Terminate => Self::Terminated,
        }
    }
}

/// The code of a run over several rooms: an interruption before all, else the common one, else 1.
#[must_use]
pub fn common(exits: &[Exit]) -> u8 {
    let interrupted = exits.iter().find(|exit| matches!(exit, Exit::Interrupted | Exit::Terminated));
    match (interrupted, exits) {
        (Some(exit), _) => exit.code(),
        (None, []) => 0,
        (None, [first, rest @ ..]) if rest.iter().all(|exit| exit == first) => first.code(),
        _ => Exit::Failed.code(),
    }
}

/// The table for `--help` and the man page.
#[must_use]
pub fn help() -> String {
    let lines = TABLE.iter().map(|row| format!("  {:>3}  {:<13} {}", row.code, row.kind, row.meaning));
    std::iter::once("    0                done".to_owned()).chain(lines).collect::<Vec<_>>().join("\n")
}

/// The table for the README.
#[must_use]
pub fn markdown() -> String {
    let lines = TABLE.iter().map(|row| format!("| {} | `{}` | {} |\n", row.code, row.kind, row.meaning));
    format!(
        "| code | kind | meaning |\n|---|---|---|\n| 0 | | done; with `--check`: done and joinable |\n{}",
        lines.collect::<String>()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_has_one_line() {
        for row in &TABLE {
            assert_eq!(row.exit.row().exit, row.exit);
        }
    }

    #[test]
    fn several_rooms_have_one_code() {
        assert_eq!(common(&[]), 0);
        assert_eq!(common(&[Exit::NotFound, Exit::NotFound]), 6);
        assert_eq!(common(&[Exit::NotFound, Exit::Server]), 1);
        assert_eq!(common(&[Exit::NotFound, Exit::Interrupted]), 130);
    }
}
