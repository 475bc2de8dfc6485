//! What looking at a nest came to: checks, standings, tokens, the doctor's report.

use serde_json::{Value, json};

use super::super::error::Failure;
use super::super::style::{Paint, clean};
use super::{closes, failed_steps, joinable, local_time, step_line};
use crate::commands::check::Checked;
use crate::commands::doctor;
use crate::commands::list::NestState;
use crate::commands::status::Standing;
use crate::commands::token::Fetched;
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

/// What a person sees of a nest's standing: one line, and what to do about it.
#[must_use]
pub fn standing_text(standing: &Standing, failure: Option<&Failure>, paint: Paint) -> String {
    let event_over = standing.event.as_ref().is_some_and(|event| event.over);
    let (mark, word) = match standing.state {
        NestState::Running if event_over || standing.record == Some(false) => (Status::Warned, paint.warn("running")),
        NestState::Running => (Status::Passed, paint.good("running")),
        NestState::MediaOverQuic if failure.is_none() => (Status::Passed, paint.good("Media over QUIC")),
        NestState::MediaOverQuic => (Status::NotChecked, "Media over QUIC".into()),
        NestState::Inactive => (Status::Failed, paint.bad("inactive")),
        NestState::Gone => (Status::Failed, paint.bad("gone")),
        NestState::Over => (Status::NotChecked, "over".into()),
        NestState::NotChecked | NestState::Unknown => (Status::Warned, paint.warn("not known")),
    };
    let mut parts = vec![paint.strong(&clean(&standing.room_id)), word];
    parts.extend(standing.event.as_ref().map(|event| {
        let title = event.title.as_ref().map(|title| format!(" ({})", clean(title))).unwrap_or_default();
        format!("event {}{title}", clean(if event.status.is_empty() { "without status" } else { &event.status }))
    }));
    let since = standing.since_at.as_deref().and_then(local_time).map(|time| format!(" since {time}"));
    parts.extend(standing.record.map(|there| match since {
        _ if !there => "no record".into(),
        Some(since) => format!("record{since}"),
        None => "record".into(),
    }));
    parts.extend(standing.audio_room.map(|there| if there { "audio room" } else { "no audio room" }.to_owned()));
    parts.extend(standing.participants.map(|people| match people {
        0 => "nobody inside".into(),
        1 => "1 person inside".into(),
        n => format!("{n} people inside"),
    }));
    let closes = standing.closes_at.as_deref().and_then(local_time);
    parts.extend(closes.map(|time| format!("closes at {time} at the latest while empty")));
    let mut lines = vec![format!("{} {}", paint.mark(mark), parts.join(" · "))];
    let mut hint = |text: &str| lines.push(format!("    {} {}", paint.good("hint:"), clean(text)));
    match standing.state {
        NestState::Running if event_over => hint("its event says that it is over: clients will not show it as live"),
        NestState::Running if standing.record == Some(false) => {
            hint("its record has expired: it runs, but no restart can bring it back once it has closed");
        }
        NestState::NotChecked | NestState::Unknown => {}
        _ => failure.iter().flat_map(|failure| &failure.hints).for_each(|text| hint(text)),
    }
    lines.join("\n")
}

/// What a person sees of a token.
#[must_use]
pub fn token_text(fetched: &Fetched, paint: Paint) -> String {
    let may = match (fetched.is_admin, fetched.may_publish) {
        (true, _) => "this token may run the nest",
        (false, true) => "this token may speak",
        (false, false) => "this token may only listen",
    };
    let mut lines = vec![format!("{} {} · {may}", paint.mark(Status::Passed), paint.strong(&clean(&fetched.room_id)))];
    let mut row = |name: &str, value: &str| lines.push(format!("  {} {value}", paint.dim(&format!("{name:<9}"))));
    row("token", fetched.token.expose());
    if let Some(time) = fetched.expires_at.as_deref().and_then(local_time) {
        row("valid", &format!("until {time}"));
    }
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
