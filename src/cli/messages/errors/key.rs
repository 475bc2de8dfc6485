//! What goes wrong with keys.

use super::{Failure, troubles};
use crate::cli::exit::Exit;
use crate::commands::key as command;
use crate::key::{KeyError, file, keyring};

pub(in crate::cli) fn failure(error: &KeyError) -> Failure {
    let failure = Failure::new(Exit::Key, error.to_string());
    match error {
        KeyError::Missing => failure.because(troubles::no_key()),
        KeyError::Unreadable { cause, .. } | KeyError::Passphrase(cause) => unreadable(failure, cause),
        KeyError::PassphraseNeeded { .. } => {
            failure.hint("give the passphrase in a file: --passphrase-file PATH (mode 0600)")
        }
        KeyError::Keyring(error) => of_keyring(failure, error),
        _ => failure.with_sources(error),
    }
}

pub(in crate::cli) fn of_command(error: &command::KeyCommandError) -> Failure {
    let new = |exit| Failure::new(exit, error.to_string());
    match error {
        command::KeyCommandError::Key(error) => failure(error),
        command::KeyCommandError::WhichOne { npubs } => {
            npubs.iter().map(|npub| format!("nest key remove {npub}")).fold(new(Exit::Usage), Failure::hint)
        }
        command::KeyCommandError::NotConfirmed { .. } => new(Exit::Failed).hint("--yes asks nothing"),
        command::KeyCommandError::NoPassphrase => {
            new(Exit::Key).hint("give it in a file: --passphrase-file PATH (mode 0600; - is stdin)")
        }
        command::KeyCommandError::NotWritten(file::SecretFileError::Exists(_)) => {
            new(Exit::Usage).with_sources(error).hint("nothing is ever overwritten: name another file")
        }
        _ => new(Exit::Key).with_sources(error),
    }
}

fn unreadable(failure: Failure, cause: &file::SecretFileError) -> Failure {
    match cause {
        file::SecretFileError::TooOpen { path, mode } => {
            failure.because(troubles::key_mode(path.display(), format!("{mode:04o}")))
        }
        file::SecretFileError::NotFound(_) => {
            failure.cause(cause.to_string()).hint("correct the path; - stands for stdin")
        }
        other => failure.cause(other.to_string()),
    }
}

fn of_keyring(failure: Failure, error: &keyring::KeyringError) -> Failure {
    let failure = failure.with_sources(error);
    match error {
        keyring::KeyringError::Unusable(_) => failure.hint(troubles::keyring().hint),
        keyring::KeyringError::Undecided { npubs } | keyring::KeyringError::Unknown { npubs, .. } => {
            npubs.iter().map(|npub| format!("nest key default {npub}")).fold(failure, Failure::hint)
        }
        keyring::KeyringError::Empty | keyring::KeyringError::Gone { .. } => {
            failure.hint("put it there: nest key import")
        }
        _ => failure,
    }
}
