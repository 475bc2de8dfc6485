//! What goes wrong with keys, as text and hints.

use super::advice;
use super::error::Failure;
use super::exit::Exit;
use crate::commands::key as command;
use crate::key::{Error, file, keyring};

/// What to show when there is no usable key.
pub(super) fn failure(error: &Error) -> Failure {
    let failure = Failure::new(Exit::Key, error.to_string());
    match error {
        Error::Missing => failure.because(&advice::NO_KEY),
        Error::Unreadable { cause, .. } | Error::Passphrase(cause) => unreadable(failure, cause),
        Error::PassphraseNeeded { .. } => {
            failure.hint("give the passphrase in a file: --passphrase-file PATH (mode 0600)")
        }
        Error::Keyring(error) => of_keyring(failure, error),
        _ => with_sources(failure, error),
    }
}

/// What to show when `nest key` fails.
pub(super) fn of_command(error: &command::Error) -> Failure {
    match error {
        command::Error::Key(error) => failure(error),
        command::Error::WhichOne { npubs } => {
            let choices = npubs.iter().map(|npub| format!("nest key remove {npub}"));
            choices.fold(Failure::new(Exit::Usage, error.to_string()), Failure::hint)
        }
        command::Error::NotConfirmed { .. } => Failure::new(Exit::Failed, error.to_string()).hint("--yes asks nothing"),
        command::Error::NoPassphrase => Failure::new(Exit::Key, error.to_string())
            .hint("give it in a file: --passphrase-file PATH (mode 0600; - is stdin)"),
        command::Error::NotWritten(file::Error::Exists(_)) => {
            with_sources(Failure::new(Exit::Usage, error.to_string()), error)
                .hint("nothing is ever overwritten: name another file")
        }
        _ => with_sources(Failure::new(Exit::Key, error.to_string()), error),
    }
}

fn unreadable(failure: Failure, cause: &file::Error) -> Failure {
    match cause {
        file::Error::TooOpen { path, mode } => {
            let (path, mode) = (path.display().to_string(), format!("{mode:04o}"));
            failure.advised(&advice::KEY_MODE, &[("path", &path), ("mode", &mode)])
        }
        file::Error::NotFound(_) => failure.cause(cause.to_string()).hint("correct the path; - stands for stdin"),
        other => failure.cause(other.to_string()),
    }
}

fn of_keyring(failure: Failure, error: &keyring::Error) -> Failure {
    let failure = with_sources(failure, error);
    match error {
        keyring::Error::Unusable(_) => failure.hint(advice::KEYRING.hint),
        keyring::Error::Undecided { npubs } | keyring::Error::Unknown { npubs, .. } => {
            let choices = npubs.iter().map(|npub| format!("nest key default {npub}"));
            choices.fold(failure, Failure::hint)
        }
        keyring::Error::Empty | keyring::Error::Gone { .. } => failure.hint("put it there: nest key import"),
        _ => failure,
    }
}

fn with_sources(mut failure: Failure, error: &dyn std::error::Error) -> Failure {
    let mut source = error.source();
    while let Some(error) = source {
        failure = failure.cause(error.to_string());
        source = error.source();
    }
    failure
}
