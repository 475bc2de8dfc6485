//! What looking at a nest came to: checks, standings, tokens, the doctor's report.

use serde_json::{Value, json};

use super::super::error::Failure;
use super::super::terminal::{Paint, clean};
use super::{closes, failed_steps, joinable, step_line};
use crate::commands::check::Checked;
use crate::commands::doctor;
use crate::commands::status::Standing;
use crate::livekit::Verdict;
use crate::report::Status;

/// The document of a check.
#[must_use]
pub fn check_document(checked: &Checked, failure: Option<&Failure>) -> Value {
    let mut document = json!({ "roomId": checked.room });
    merge(&mut document, json!(checked.report));
    with_error(document, failure)
}

/// A document of what went wrong alone.
#[must_use]
pub fn failure_document(room: Option<&str>, failure: &Failure) -> Value {
    let document = room.map_or_else(|| json!({}), |room| json!({ "roomId": room }));
    with_error(document, Some(failure))
}

/// The document of a nest's standing.
#[must_use]
pub fn standing_document(standing: &Standing, failure: Option<&Failure>) -> Value {
    with_error(json!(standing), failure)
}

fn with_error(mut document: Value, failure: Option<&Failure>) -> Value {
    if let Some(failure) = failure {
        document["error"] = failure.json();
    }
    document
}

fn merge(document: &mut Value, more: Value) {
    if let (Value::Object(document), Value::Object(more)) = (document, more) {
        document.extend(more);
    }
}

/// What a person sees of a check.
#[must_use]
pub fn checked_text(checked: &Checked, paint: Paint) -> String {
    let report = &checked.report;
    let (mark, verdict) = match report.verdict {
        Verdict::Joinable if report.room.is_none() => {
            (Status::Passed, paint.good("what Media over QUIC needs is there"))
        }
        Verdict::Joinable => (Status::Passed, paint.good(&joinable(report))),
        Verdict::Unhealthy => (Status::Failed, paint.bad(&format!("failed: {}", failed_steps(report)))),
        Verdict::Unknown => (Status::Warned, paint.warn("whether it can be joined is not known")),
    };
    let mut lines: Vec<_> = report.steps.iter().map(|step| step_line(step, paint)).collect();
    lines.push(String::new());
    let sid = report.room.as_ref().map(|room| clean(&room.sid)).unwrap_or_default();
    let parts = [paint.strong(&clean(&checked.room)), verdict, sid, closes(report)];
    let parts = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>();
    lines.push(format!("{} {}", paint.mark(mark), parts.join(" · ")));
    lines.join("\n")
}

/// What a person sees of the doctor's report.
#[must_use]
pub fn doctor_text(report: &doctor::Report, paint: Paint) -> String {
    let mut lines: Vec<_> = report.steps.iter().map(|step| step_line(step, paint)).collect();
    let failed: Vec<_> =
        report.steps.iter().filter(|step| step.status == Status::Failed).map(|step| step.name).collect();
    let warned = report.steps.iter().filter(|step| step.status == Status::Warned).count();
    let verdict = match (failed.as_slice(), warned) {
        ([], 0) => paint.good("nothing is wrong"),
        ([], _) => paint.warn("nothing is wrong, but something should be known"),
        (failed, _) => paint.bad(&format!("broken: {}", failed.join(", "))),
    };
    lines.push(String::new());
    lines.push(format!("{verdict} · {} {}", paint.good("next:"), clean(&report.next)));
    lines.join("\n")
}
