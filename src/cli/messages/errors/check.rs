//! Nests that cannot be joined: for the host, and for whoever only wanted to listen.

use super::api::{self, Asking};
use super::{Failure, troubles};
use crate::api::{Error, Lost, Missing};
use crate::cli::exit::Exit;
use crate::cli::messages::{Step, check};
use crate::commands::check::{Checked, Unavailable};
use crate::key::npub;
use crate::livekit::CheckReport;
use crate::report::Status;

impl Failure {
    fn step(self, step: Step) -> Self {
        let failure = self.cause(step.detail);
        step.hint.into_iter().fold(failure, Self::hint)
    }
}

/// There is nothing to join, or nobody says whether there is.
pub(super) fn unavailable(why: &Unavailable, room: &str) -> Failure {
    let mut failure = api::failure(&why.source, Asking { command: "nest check", room, signed: false });
    if let Error::Lost(Lost::Unanswered(why)) = &why.source {
        failure.message = "the API does not say whether this nest runs".into();
        failure.causes = vec![why.clone()];
    }
    if let Some(status) = &why.over {
        failure.causes.push(format!("its event says {status}: the nest is over"));
    }
    let missing = if let Error::NotFound { missing, .. } = &why.source { Some(*missing) } else { None };
    match missing {
        Some(Missing::AudioRoom) if why.ours => {
            Failure { hints: vec![format!("you are its host: nest restart {room} --check")], ..failure }
        }
        Some(Missing::Record) if why.ours => failure,
        Some(Missing::Endpoint | Missing::Unsaid) => failure,
        Some(Missing::AudioRoom | Missing::Record) => {
            let failure = Failure { hints: vec![host(why, "its host can bring it back")], ..failure };
            if why.over.is_some() {
                return failure;
            }
            failure.hint(format!("or wait, and try again: nest check {room}"))
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

/// An endpoint was tried, and people cannot join: the steps that failed are the causes.
pub(super) fn unjoinable(checked: &Checked) -> Failure {
    let steps = check::of(&checked.report);
    let failed: Vec<_> = steps.into_iter().filter(|step| step.status == Status::Failed).collect();
    let message = match failed.first() {
        Some(step) => format!("this nest is not well: the check failed at `{}`", step.name),
        None => "nobody was let in, and nothing shows why: the check came to no result".into(),
    };
    let failure = failed.into_iter().fold(Failure::new(Exit::Unhealthy, message), Failure::step);
    match &checked.host {
        Some(host) => failure.hint(format!("if the nest is not yours, tell its host: {}", npub(host))),
        None => failure,
    }
}

pub(super) fn unhealthy(report: Option<&CheckReport>) -> Failure {
    let steps = report.map(check::steps).unwrap_or_default();
    let Some(first) = steps.iter().position(|step| step.status == Status::Failed) else {
        let failure = Failure::new(Exit::Unhealthy, "the nest was restarted, but the check came to no result");
        return steps.into_iter().filter(|step| step.name == "signal").fold(failure, Failure::step);
    };
    let name = steps[first].name;
    let message = format!("the API says that the nest was restarted, but the check failed at `{name}`");
    // A step that has no advice of its own failed because the one before it did.
    let telling = |step: &Step| step.status == Status::Failed && (step.name == name || step.hint.is_some());
    steps.into_iter().filter(telling).fold(Failure::new(Exit::Unhealthy, message), Failure::step)
}

/// A nest without a record: no restart helps.
pub(in crate::cli) fn gone(room: &str) -> Failure {
    Failure::new(Exit::Unhealthy, Missing::Record.to_string()).because(troubles::record_gone(room))
}
