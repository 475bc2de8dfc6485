//! The JSON documents: what the commands came to, and the words for it. What is not known is absent, never null.

use serde::Serialize;
use serde_json::{Value, json};

use super::messages::errors::Failure;
use super::messages::{Step, check, moq, notices};
use crate::commands::check::{Checked, Report};
use crate::commands::list::Nest;
use crate::commands::moq::{MoqReport, Shown};
use crate::commands::restart::{RestartOutcome, Restarted};
use crate::commands::status::Standing;
use crate::commands::{Error, NestKind, Warning};
use crate::livekit::CheckReport;

/// What went wrong.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "Failure"))]
pub(super) struct ErrorDocument {
    /// One for each exit code.
    #[cfg_attr(test, schemars(extend("enum" = super::schema::kinds())))]
    pub kind: &'static str,
    /// The HTTP status behind it.
    pub status: Option<u16>,
    /// What failed, and why.
    pub message: String,
    /// What to do.
    pub hints: Vec<String>,
}

/// Nothing to show but what went wrong.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct FailureDocument<'a> {
    /// As it was asked for; absent if the failure belongs to no room.
    room_id: Option<&'a str>,
    error: ErrorDocument,
}

/// The check's document.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "CheckReport"))]
pub(super) struct ReportDocument {
    #[serde(flatten)]
    #[cfg_attr(test, schemars(with = "CheckReport"))]
    report: Value,
    /// Seven of them, always in the same order; others for a nest on Media over QUIC.
    steps: Vec<Step>,
}

/// What was seen. With `error`: people cannot join, or something else is wrong.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct CheckedDocument<'a> {
    /// The nest; for a session without one, what its token says. Absent inside a restart.
    room_id: Option<&'a str>,
    /// What carries its sound. Absent inside a restart.
    kind: Option<NestKind>,
    #[serde(flatten)]
    report: ReportDocument,
    /// The SID of the room that stays, where the nest was kept open, left empty, and restarted after that.
    renewed_as: Option<&'a str>,
    /// When that room closes if it stays empty, RFC 3339.
    closes_at: Option<&'a str>,
    error: Option<ErrorDocument>,
}

/// An outcome with the texts of its warnings.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "{T}"))]
pub(super) struct Warned<T> {
    #[serde(flatten)]
    outcome: T,
    /// What the user should know although it worked.
    warnings: Vec<String>,
}

/// A nest that is back, or was found running. With `error`: restarted, and not well (`unhealthy`) or not published, or
/// interrupted.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct RestartedDocument<'a> {
    #[serde(flatten)]
    restarted: Warned<&'a Restarted>,
    /// As the API gave it; without an answer of the API, how it is known that the nest runs.
    message: &'a str,
    /// The proof.
    check: Option<ReportDocument>,
    /// Which clients show a nest on Media over QUIC.
    shown: Option<Vec<ShownDocument>>,
    error: Option<ErrorDocument>,
}

/// Whether a client shows a nest.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "Shown"))]
pub(super) struct ShownDocument {
    /// Its name.
    client: &'static str,
    /// The version whose rules these are.
    version: &'static str,
    shows: bool,
    /// Why it does not.
    why: Option<String>,
}

/// A nest of the list.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct NestDocument<'a> {
    /// A short name that every command on this machine accepts: an alias, or one that stays as long as it is remembered.
    short_id: Option<&'a str>,
    #[serde(flatten)]
    nest: &'a Nest,
    /// Which clients show it; absent as long as that is not known.
    shown: Option<Vec<ShownDocument>>,
}

/// How a nest stands. With `error`: people cannot join, or it is not known.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct StandingDocument<'a> {
    #[serde(flatten)]
    standing: &'a Standing,
    /// Which clients show it; absent where its event is not known.
    shown: Option<Vec<ShownDocument>>,
    error: Option<ErrorDocument>,
}

/// The doctor's document.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "Report"))]
pub(super) struct DoctorDocument {
    /// What it all amounts to.
    pub verdict: DoctorVerdict,
    /// What to do next: a command, or a sentence where none would do.
    pub next: String,
    /// Whether that is one to be pasted.
    #[serde(skip)]
    pub next_is_command: bool,
    /// With neither a key nor a server: how to begin.
    #[serde(skip)]
    pub begin: Vec<String>,
    /// The steps that should have been looked at, and could not be.
    #[serde(skip)]
    pub missed: Vec<&'static str>,
    /// One for each link, in the order in which they depend on each other.
    pub steps: Vec<Step>,
}

/// What it all amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "Verdict"))]
#[serde(rename_all = "camelCase")]
pub(super) enum DoctorVerdict {
    /// Nothing is wrong, as far as it was looked at.
    Healthy,
    /// Something is.
    Unhealthy,
    /// Nothing is known to be wrong, but not everything could be looked at.
    Unknown,
}

impl From<&CheckReport> for ReportDocument {
    fn from(report: &CheckReport) -> Self {
        Self { report: json!(report), steps: check::steps(report) }
    }
}

impl From<&MoqReport> for ReportDocument {
    fn from(report: &MoqReport) -> Self {
        Self { report: json!(report), steps: check::over_quic(report) }
    }
}

impl<T> Warned<T> {
    pub(super) fn new(outcome: T, warnings: &[Warning]) -> Self {
        Self { outcome, warnings: warnings.iter().map(notices::warning).collect() }
    }
}

/// As JSON, without what is null.
pub(super) fn of(document: &impl Serialize) -> Value {
    let mut value = json!(document);
    remove_nulls(&mut value);
    value
}

fn remove_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            fields.values_mut().for_each(remove_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(remove_nulls),
        _ => {}
    }
}

pub(super) fn warned(outcome: &impl Serialize, warnings: &[Warning]) -> Value {
    of(&Warned::new(outcome, warnings))
}

pub(super) fn failure(room_id: Option<&str>, failure: &Failure) -> Value {
    of(&FailureDocument { room_id, error: failure.document() })
}

/// Of a check of LiveKit alone, without the room and what went wrong.
pub fn report(report: &CheckReport) -> Value {
    of(&ReportDocument::from(report))
}

pub(super) fn checked(checked: &Checked, failure: Option<&Failure>) -> Value {
    let (kind, report) = match &checked.report {
        Report::LiveKit(report) => (NestKind::LiveKit, json!(report)),
        Report::OverQuic(report) => (NestKind::Moq, json!(report)),
    };
    let report = ReportDocument { report, steps: check::of(&checked.report) };
    let renewed = checked.renewed.as_ref();
    of(&CheckedDocument {
        room_id: Some(&checked.room),
        kind: Some(kind),
        report,
        renewed_as: renewed.and_then(|renewed| Some(renewed.room.as_ref()?.sid.as_str())),
        closes_at: renewed.and_then(|renewed| renewed.closes_at.as_deref()),
        error: failure.map(Failure::document),
    })
}

pub(super) fn restart(room: &str, result: &Result<RestartOutcome, Error>, failure: Option<&Failure>) -> Value {
    let error = failure.map(Failure::document);
    match result {
        Ok(RestartOutcome::Restarted(restarted))
        | Err(
            Error::Unhealthy(restarted)
            | Error::Interrupted { done: Some(restarted), .. }
            | Error::NotPublished { done: Some(restarted), .. },
        ) => {
            let check = restarted.check.as_ref().map(Into::into);
            let check = check.or_else(|| restarted.over_quic.as_ref().map(Into::into));
            of(&RestartedDocument {
                restarted: Warned::new(&**restarted, &restarted.warnings),
                message: notices::evidence(&restarted.evidence),
                check,
                shown: shown(&restarted.shown),
                error,
            })
        }
        Ok(RestartOutcome::Planned(planned)) => of(planned),
        Err(_) => failure.map(|failure| self::failure(Some(room), failure)).unwrap_or_default(),
    }
}

pub(super) fn standing(standing: &Standing, failure: Option<&Failure>) -> Value {
    of(&StandingDocument { standing, shown: shown(&standing.shown), error: failure.map(Failure::document) })
}

pub(super) fn nest(nest: &Nest, short_id: Option<&str>) -> Value {
    of(&NestDocument { short_id, nest, shown: shown(&nest.shown) })
}

fn shown(clients: &[Shown]) -> Option<Vec<ShownDocument>> {
    let one = |Shown { client, hidden }: &Shown| ShownDocument {
        client: client.name,
        version: client.version,
        shows: hidden.is_none(),
        why: hidden.as_ref().map(moq::hidden_words),
    };
    (!clients.is_empty()).then(|| clients.iter().map(one).collect())
}
