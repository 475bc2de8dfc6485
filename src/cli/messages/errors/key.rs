//! What goes wrong with keys.

use super::{Failure, troubles};
use crate::cli::exit::Exit;
use crate::commands::key as command;
use crate::key::{Error, file, keyring};

pub(in crate::cli) fn failure(error: &Error) -> Failure {
    let failure = Failure::new(Exit::Key, error.to_string());
    match error {
        Error::Missing => failure.because(troubles::no_key()),
        Error::Unreadable { cause, .. } | Error::Passphrase(cause) => unreadable(failure, cause),
        Error::PassphraseNeeded { .. } => {
            failure.hint("give the passphrase in a file: --passphrase-file PATH (mode 0600)")
        }
        Error::Keyring(error) => of_keyring(failure, error),
        _ => failure.with_sources(error),
    }
}

pub(in crate::cli) fn of_command(error: &command::Error) -> Failure {
    let new = |exit| Failure::new(exit, error.to_string());
    match error {
        command::Error::Key(error) => failure(error),
        command::Error::WhichOne { npubs } => {
            npubs.iter().map(|npub| format!("nest key remove {npub}")).fold(new(Exit::Usage), Failure::hint)
        }
        command::Error::NotConfirmed { .. } => new(Exit::Failed).hint("--yes asks nothing"),
        command::Error::NoPassphrase => {
            new(Exit::Key).hint("give it in a file: --passphrase-file PATH (mode 0600; - is stdin)")
        }
        command::Error::NotWritten(file::Error::Exists(_)) => {
            new(Exit::Usage).with_sources(error).hint("nothing is ever overwritten: name another file")
        }
        _ => new(Exit::Key).with_sources(error),
    }
}

fn unreadable(failure: Failure, cause: &file::Error) -> Failure {
    match cause {
        file::Error::TooOpen { path, mode } => {
            failure.because(troubles::key_mode(path.display(), format!("{mode:04o}")))
        }
        file::Error::NotFound(_) => failure.cause(cause.to_string()).hint("correct the path; - stands for stdin"),
        other => failure.cause(other.to_string()),
    }
}

fn of_keyring(failure: Failure, error: &keyring::Error) -> Failure {
    let failure = failure.with_sources(error);
    match error {
        keyring::Error::Unusable(_) => failure.hint(troubles::keyring().hint),
        keyring::Error::Undecided { npubs } | keyring::Error::Unknown { npubs, .. } => {
            npubs.iter().map(|npub| format!("nest key default {npub}")).fold(failure, Failure::hint)
        }
        keyring::Error::Empty | keyring::Error::Gone { .. } => failure.hint("put it there: nest key import"),
        _ => failure,
    }
}
