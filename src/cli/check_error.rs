//! Nests that cannot be joined, as text and hints: for the host, and for whoever only wanted to listen.

use super::advice;
use super::api_error::{self, Asking};
use super::error::Failure;
use super::exit::Exit;
use crate::api::{Error, Lost, Missing};
use crate::commands::check::{Checked, Unavailable};
use crate::key::npub;
use crate::report::Status;

/// What to show when there is nothing to join, or nobody says whether there is.
pub(super) fn unavailable(why: &Unavailable, room: &str) -> Failure {
    let mut failure = api_error::failure(&why.source, Asking::check(room));
    if let Error::Lost(Lost::Unanswered(why)) = &why.source {
        failure.message = "the API does not say whether this nest runs".into();
        failure.causes = vec![why.clone()];
    }
    let missing = if let Error::NotFound { missing, .. } = &why.source { Some(*missing) } else { None };
    if let Some(status) = &why.over {
        failure.causes.push(format!("its event says {status}: the nest is over"));
    }
    match missing {
        Some(Missing::AudioRoom) if why.ours => {
            failure.hints = vec![format!("you are its host: nest restart {room} --check")];
            failure
        }
        Some(Missing::Record) if why.ours => failure,
        Some(Missing::Endpoint | Missing::Unsaid) => failure,
        Some(Missing::AudioRoom | _) => {
            failure.hints = vec![host(why, "its host can bring it back")];
            if why.over.is_none() {
                failure.hints.push(format!("or wait, and try again: nest check {room}"));
            }
            failure
        }
        None => {
            let failure = failure.hint(format!("wait a little, and try again: nest check {room}"));
            if why.host.is_some() { failure.hint(host(why, "its host may know more")) } else { failure }
        }
    }
}

fn host(why: &Unavailable, what: &str) -> String {
    match &why.host {
        Some(host) => format!("{what}: write to {}", npub(host)),
        None => format!("{what}; who that is, the nest's link or naddr says"),
    }
}

/// What to show when an endpoint was tried: the steps that failed are the causes.
pub(super) fn unjoinable(checked: &Checked) -> Failure {
    let report = &checked.report;
    let failed = report.steps.iter().filter(|step| step.status == Status::Failed);
    let message = match report.failed() {
        Some(step) => format!("this nest is not well: the check failed at `{}`", step.name),
        None => "nobody was let in, and nothing shows why: the check came to no result".into(),
    };
    let failure = failed.fold(Failure::new(Exit::Unhealthy, message), |failure, step| {
        let failure = failure.cause(step.detail.clone());
        step.hint.iter().fold(failure, |failure, hint| failure.hint(hint.clone()))
    });
    match &checked.host {
        Some(host) => failure.hint(format!("if the nest is not yours, tell its host: {}", npub(host))),
        None => failure,
    }
}

/// What to show for a nest without a record: no restart helps.
pub(super) fn gone(room: &str) -> Failure {
    Failure::new(Exit::Unhealthy, Missing::Record.to_string()).advised(&advice::RECORD_GONE, &[("room", room)])
}
