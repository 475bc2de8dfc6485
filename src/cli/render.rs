//! Outcomes as text and as documents. Nothing is printed here.

mod look;

use serde::Serialize;
use serde_json::{Value, json};

pub use self::look::{check_document, checked_text, doctor_text, failure_document, standing_document};

use super::error::Failure;
use super::messages::notices;
use super::terminal::{Paint, clean};
use crate::clock;
use crate::commands::restart::Done;
use crate::commands::{Error, Warning};
use crate::livekit::CheckReport;
use crate::report::{Status, Step};

/// The document of one room's outcome.
#[must_use]
pub fn restart_document(room: &str, result: &Result<Done, Error>, failure: Option<&Failure>) -> Value {
    let mut document = match result {
        Ok(Done::Restarted(restarted))
        | Err(
            Error::Unhealthy(restarted)
            | Error::Interrupted { done: Some(restarted), .. }
            | Error::NotPublished { done: Some(restarted), .. },
        ) => with_warnings(restarted, &restarted.warnings),
        Ok(Done::Planned(planned)) => json!(planned),
        Err(_) => json!({ "roomId": room }),
    };
    if let Some(failure) = failure {
        document["error"] = failure.json();
    }
    document
}

/// A document with the texts of its warnings.
#[must_use]
pub fn with_warnings(outcome: &impl Serialize, warnings: &[Warning]) -> Value {
    let mut document = json!(outcome);
    document["warnings"] = warnings.iter().map(notices::warning).collect();
    document
}

/// One step of a check or of the doctor's report, and what to do about it.
pub(super) fn step_line(step: &Step, paint: Paint) -> String {
    let time = step.elapsed_ms.filter(|ms| *ms > 0).map(|ms| paint.dim(&format!(" · {ms} ms"))).unwrap_or_default();
    let detail = clean(&step.detail);
    let detail = if step.status == Status::NotChecked { paint.dim(&detail) } else { detail };
    let mut line = format!("  {} {:<9} {detail}{time}", paint.mark(step.status), step.name);
    if let Some(hint) = &step.hint {
        line = format!("{line}\n              {} {}", paint.good("hint:"), clean(hint));
    }
    line
}

/// By which way audio goes, and after how long that was known.
pub(super) fn joinable(check: &CheckReport) -> String {
    let way = check.media.as_ref().map(|media| format!(" by {}", media.protocol)).unwrap_or_default();
    let after = check.media_after.or(check.joined_after);
    format!("joinable{way}{}", after.map(|time| format!(" in {} ms", time.as_millis())).unwrap_or_default())
}

pub(super) fn failed_steps(check: &CheckReport) -> String {
    let failed = check.steps.iter().filter(|step| step.status == Status::Failed);
    failed.map(|step| step.name).collect::<Vec<_>>().join(", ")
}

/// When an empty nest closes, if that is known.
pub(super) fn closes(check: &CheckReport) -> String {
    let closes_at = check.room.as_ref().and_then(|room| room.closes_at.as_deref()).and_then(local_time);
    closes_at.map(|time| format!("closes at {time} while empty")).unwrap_or_default()
}

/// An RFC 3339 time as the clock on the wall shows it.
pub(super) fn local_time(rfc3339: &str) -> Option<String> {
    clock::parse_rfc3339(rfc3339).and_then(clock::local_hour_minute)
}
