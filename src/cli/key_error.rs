//! What goes wrong with keys, as text and hints.

use super::advice;
use super::error::Failure;
use super::exit::Exit;
use crate::commands::key as command;
use crate::key::{KeyError, file, keyring};

/// What to show when there is no usable key.
pub(super) fn failure(error: &KeyError) -> Failure {
    let failure = Failure::new(Exit::Key, error.to_string());
    match error {
        KeyError::Missing => failure.because(&advice::NO_KEY),
        KeyError::Unreadable { cause, .. } | KeyError::Passphrase(cause) => unreadable(failure, cause),
        KeyError::PassphraseNeeded { .. } => {
            failure.hint("give the passphrase in a file: --passphrase-file PATH (mode 0600)")
        }
        KeyError::Keyring(error) => of_keyring(failure, error),
        _ => with_sources(failure, error),
    }
}

/// What to show when `nest key` fails.
pub(super) fn of_command(error: &command::KeyCommandError) -> Failure {
    match error {
        command::KeyCommandError::Key(error) => failure(error),
        command::KeyCommandError::WhichOne { npubs } => {
            let choices = npubs.iter().map(|npub| format!("nest key remove {npub}"));
            choices.fold(Failure::new(Exit::Usage, error.to_string()), Failure::hint)
        }
        command::KeyCommandError::NotConfirmed { .. } => {
            Failure::new(Exit::Failed, error.to_string()).hint("--yes asks nothing")
        }
        command::KeyCommandError::NoPassphrase => Failure::new(Exit::Key, error.to_string())
            .hint("give it in a file: --passphrase-file PATH (mode 0600; - is stdin)"),
        command::KeyCommandError::NotWritten(file::SecretFileError::Exists(_)) => {
            with_sources(Failure::new(Exit::Usage, error.to_string()), error)
                .hint("nothing is ever overwritten: name another file")
        }
        _ => with_sources(Failure::new(Exit::Key, error.to_string()), error),
    }
}

fn unreadable(failure: Failure, cause: &file::SecretFileError) -> Failure {
    match cause {
        file::SecretFileError::TooOpen { path, mode } => {
            let (path, mode) = (path.display().to_string(), format!("{mode:04o}"));
            failure.advised(&advice::KEY_MODE, &[("path", &path), ("mode", &mode)])
        }
        file::SecretFileError::NotFound(_) => {
            failure.cause(cause.to_string()).hint("correct the path; - stands for stdin")
        }
        other => failure.cause(other.to_string()),
    }
}

fn of_keyring(failure: Failure, error: &keyring::KeyringError) -> Failure {
    let failure = with_sources(failure, error);
    match error {
        keyring::KeyringError::Unusable(_) => failure.hint(advice::KEYRING.hint),
        keyring::KeyringError::Undecided { npubs } | keyring::KeyringError::Unknown { npubs, .. } => {
            let choices = npubs.iter().map(|npub| format!("nest key default {npub}"));
            choices.fold(failure, Failure::hint)
        }
        keyring::KeyringError::Empty | keyring::KeyringError::Gone { .. } => {
            failure.hint("put it there: nest key import")
        }
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
