//! Outcomes as text and as documents. Nothing is printed here.

mod look;

use serde::Serialize;
use serde_json::{Value, json};

pub use self::look::{
    check_document, checked_text, doctor_text, failure_document, standing_document, standing_text, token_text,
};

use super::advice::{self, Advice};
use super::error::Failure;
use super::messages::notices;
use super::style::{Paint, clean, clean_json};
use crate::clock;
use crate::commands::restart::{Done, Planned, Restarted};
use crate::commands::{Error, Published, Warning};
use crate::livekit::{CheckReport, Verdict};
use crate::report::{Status, Step};
use crate::secret::Secret;

/// A document on one line, or on several for one that stands alone.
#[must_use]
pub fn document(value: &Value, one_line: bool) -> String {
    let text = if one_line { value.to_string() } else { format!("{value:#}") };
    clean_json(&text)
}

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

/// The bare token, if there is one.
#[must_use]
pub fn token(result: &Result<Done, Error>) -> Option<&str> {
    restarted(result)?.token.as_ref().map(Secret::expose)
}

/// The restart behind an outcome, well or not.
#[must_use]
pub fn restarted(result: &Result<Done, Error>) -> Option<&Restarted> {
    match result {
        Ok(Done::Restarted(restarted)) | Err(Error::Unhealthy(restarted)) => Some(restarted),
        Err(Error::Interrupted { done, .. } | Error::NotPublished { done, .. }) => done.as_deref(),
        _ => None,
    }
}

/// What a person sees of a nest that was restarted, or found running.
#[must_use]
pub fn restarted_text(restarted: &Restarted, paint: Paint) -> String {
    let room = paint.strong(&clean(&restarted.room_id));
    if restarted.attempts == 0 {
        let running = format!("{} {room} is running; nothing was sent", paint.mark(Status::Passed));
        let published = restarted.published.as_ref().map(|published| published_line(published, paint));
        return std::iter::once(running).chain(published).collect::<Vec<_>>().join("\n");
    }
    let well = restarted.check.as_ref().is_none_or(|check| check.verdict == Verdict::Joinable);
    let mark = paint.mark(if well { Status::Passed } else { Status::Warned });
    let mut lines = vec![format!("{mark} {room} · {}", clean(&restarted.message))];
    let mut row = |name: &str, value: &str| lines.push(format!("  {} {value}", paint.dim(&format!("{name:<9}"))));
    for endpoint in &restarted.endpoints {
        row("endpoint", &clean(endpoint));
    }
    if let Some(token) = &restarted.token {
        row("token", token.expose());
    }
    if let Some(time) = restarted.expires_at.as_deref().and_then(local_time) {
        let Advice { cause, hint, .. } = advice::REJOIN;
        row("valid", &format!("until {time}; {cause}: {hint}"));
    }
    lines.extend(restarted.published.as_ref().map(|published| published_line(published, paint)));
    if let Some(check) = &restarted.check {
        lines.push(String::new());
        lines.extend(check.steps.iter().map(|step| step_line(step, paint)));
        lines.push(String::new());
        lines.push(proof(restarted, check, paint));
    }
    lines.join("\n")
}

/// What an event says now, and which relays have it.
#[must_use]
pub fn published_line(published: &Published, paint: Paint) -> String {
    let status = clean(&published.status);
    format!("  {} {status} on {}", paint.dim(&format!("{:<9}", "event")), clean(&published.accepted.join(", ")))
}

fn step_line(step: &Step, paint: Paint) -> String {
    let time = step.elapsed_ms.filter(|ms| *ms > 0).map(|ms| paint.dim(&format!(" · {ms} ms"))).unwrap_or_default();
    let detail = clean(&step.detail);
    let detail = if step.status == Status::NotChecked { paint.dim(&detail) } else { detail };
    let mut line = format!("  {} {:<9} {detail}{time}", paint.mark(step.status), step.name);
    if let Some(hint) = &step.hint {
        line = format!("{line}\n              {} {}", paint.good("hint:"), clean(hint));
    }
    line
}

/// The proof in one line, or what there is in its place.
fn proof(restarted: &Restarted, check: &CheckReport, paint: Paint) -> String {
    let sid = check.room.as_ref().map(|room| room.sid.as_str());
    let before = restarted.sid_before.as_deref().filter(|before| Some(*before) != sid);
    let sids = before.into_iter().chain(sid).map(clean).collect::<Vec<_>>().join(" → ");
    let (first, verdict) = match check.verdict {
        Verdict::Joinable => ("restarted", paint.good(&joinable(check))),
        Verdict::Unhealthy => ("not well", paint.bad(&format!("failed: {}", failed_steps(check)))),
        Verdict::Unknown => ("restarted", paint.warn("whether it can be joined is not known")),
    };
    let parts = [first.to_owned(), sids, verdict, closes(check)];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" · ")
}

/// By which way audio goes, and after how long that was known.
fn joinable(check: &CheckReport) -> String {
    let way = check.media.as_ref().map(|media| format!(" by {}", media.protocol)).unwrap_or_default();
    let after = check.media_after.or(check.joined_after);
    format!("joinable{way}{}", after.map(|time| format!(" in {} ms", time.as_millis())).unwrap_or_default())
}

fn failed_steps(check: &CheckReport) -> String {
    let failed = check.steps.iter().filter(|step| step.status == Status::Failed);
    failed.map(|step| step.name).collect::<Vec<_>>().join(", ")
}

/// When an empty nest closes, if that is known.
fn closes(check: &CheckReport) -> String {
    let closes_at = check.room.as_ref().and_then(|room| room.closes_at.as_deref()).and_then(local_time);
    closes_at.map(|time| format!("closes at {time} while empty")).unwrap_or_default()
}

/// An RFC 3339 time as the clock on the wall shows it.
fn local_time(rfc3339: &str) -> Option<String> {
    clock::parse_rfc3339(rfc3339).and_then(clock::local_hour_minute)
}

/// What would be sent, as HTTP writes it, and the event behind the signature.
#[must_use]
pub fn planned_text(planned: &Planned) -> String {
    let headers: Vec<_> = planned.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    let Planned { method, url, event, .. } = planned;
    clean_json(&format!("{method} {url}\n{}\n\n{event:#}", headers.join("\n")))
}
