//! `nest doctor`: every link between a host and a nest, in the order in which they depend on each other.
//!
//! Nothing is changed, and an empty nest is not joined: that would shorten its life.

mod connection;
mod findings;
mod media;
mod words;

use serde::Serialize;

use self::findings::Findings;
use super::{Error, Job, Stop};
use crate::report::{Status, Step};
use crate::room::RoomRef;

/// What to look at.
#[derive(Clone, Debug)]
pub struct Request {
    /// The nest; without one, what all nests of a server have in common.
    pub room: Option<RoomRef>,
    /// As it was named, for the commands to paste.
    pub named: String,
    /// What the configuration was read from, for people.
    pub config: String,
}

/// What it all amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// Nothing is wrong, as far as it was looked at.
    Healthy,
    /// Something is.
    Unhealthy,
}

/// The doctor's document.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// What it all amounts to.
    pub verdict: Verdict,
    /// What to do next: a command, or a sentence where none would do.
    pub next: String,
    /// One for each link, in the order in which they depend on each other.
    pub steps: Vec<Step>,
}

/// One link, and what to do next if it is the first that is broken.
pub(super) struct Link {
    step: Step,
    next: Option<String>,
}

impl Link {
    fn new(name: &'static str, status: Status, detail: impl Into<String>) -> Self {
        Self { step: Step::new(name, status, detail), next: None }
    }

    fn took(self, time: std::time::Duration) -> Self {
        Self { step: self.step.took(time), ..self }
    }

    fn hint(self, hint: impl Into<String>) -> Self {
        Self { step: self.step.hint(hint), ..self }
    }

    /// What to do next, in place of the hint.
    fn next(self, next: impl Into<String>) -> Self {
        Self { next: Some(next.into()), ..self }
    }
}

/// Looks at everything; ends within about the time-out, once the key is there.
///
/// # Errors
/// [`Error::Interrupted`], and what [`super::Settings::api_named`] says against the name.
pub async fn run(job: &Job<'_>, request: &Request, stop: &Stop) -> Result<Report, Error> {
    stop.unless(async {
        let findings = Box::pin(Findings::gather(job, request.room.as_ref())).await?;
        Ok(report(words::links(&findings, request), request))
    })
    .await
}

fn report(links: Vec<Link>, request: &Request) -> Report {
    let broken = links.iter().find(|link| link.step.status == Status::Failed);
    let verdict = if broken.is_some() { Verdict::Unhealthy } else { Verdict::Healthy };
    let next = match (broken, &request.room) {
        (Some(link), _) => link.next.clone().or_else(|| link.step.hint.clone()).unwrap_or_default(),
        (None, Some(_)) => format!("nest check {}", request.named),
        (None, None) => "nest doctor ROOM".into(),
    };
    Report { verdict, next, steps: links.into_iter().map(|link| link.step).collect() }
}
