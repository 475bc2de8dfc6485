//! The exit codes: one table for the program, its help and the README.

use crate::commands::Signal;

#[derive(Debug)]
pub struct Row {
    pub exit: Exit,
    pub code: u8,
    /// `error.kind` in JSON.
    pub kind: &'static str,
    pub meaning: &'static str,
}

macro_rules! exits {
    ($($exit:ident $code:literal $kind:literal $meaning:literal;)*) => {
        /// How the program ends, other than well.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Exit {
            $(#[doc = $meaning] $exit,)*
        }

        pub const TABLE: [Row; 14] = [$(Row { exit: Exit::$exit, code: $code, kind: $kind, meaning: $meaning }),*];
    };
}

exits! {
    Failed 1 "failed" "failed in a way that no other code names; several rooms failed for different reasons";
    Busy 1 "busy" "another restart of this room is running on this machine";
    Usage 2 "usage" "wrong usage or configuration";
    Key 3 "key" "no usable host key: none, unreadable, wrong passphrase, locked keyring";
    Unauthorized 4 "unauthorized" "the API rejected the signature (401)";
    NotHost 5 "notHost" "not the host of this nest (403)";
    NotFound 6 "notFound" "no such nest, no audio room, or no such endpoint (404)";
    Server 7 "server" "the server failed: 5xx, other 4xx, a redirect, an answer that makes no sense";
    Unreachable 8 "unreachable" "DNS, connect or TLS failed; nothing was sent";
    Unknown 9 "unknown" "sent but never answered: it may have restarted";
    Unhealthy 10 "unhealthy" "restarted, or asked to check, but it cannot be joined, or the old room still runs";
    RateLimited 11 "rateLimited" "the API takes no more requests for now (429)";
    Interrupted 130 "interrupted" "interrupted by Ctrl-C; it says whether the request was out";
    Terminated 143 "interrupted" "ended by SIGTERM; it says whether the request was out";
}

impl Exit {
    fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }

    pub fn code(self) -> u8 {
        self.row().code
    }

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
pub fn help() -> String {
    let lines = TABLE.iter().map(|row| format!("  {:>3}  {:<13} {}", row.code, row.kind, row.meaning));
    std::iter::once("    0                done".to_owned()).chain(lines).collect::<Vec<_>>().join("\n")
}

/// The table for the README.
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
