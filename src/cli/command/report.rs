//! The lines of a report of steps: what a check, the doctor and a restart with a check have in common.

use crate::cli::messages::Step;
use crate::cli::terminal::{Paint, clean};
use crate::clock;
use crate::livekit::CheckReport;
use crate::report::Status;

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

pub(super) fn failed(steps: &[Step]) -> Vec<&'static str> {
    steps.iter().filter(|step| step.status == Status::Failed).map(|step| step.name).collect()
}

pub(super) fn joinable(check: &CheckReport) -> String {
    let way = check.media.as_ref().map(|media| format!(" by {}", media.protocol)).unwrap_or_default();
    let after = check.media_after.or(check.joined_after);
    format!("joinable{way}{}", after.map(|time| format!(" in {} ms", time.as_millis())).unwrap_or_default())
}

pub(super) fn closes(check: &CheckReport) -> String {
    let closes_at = check.room.as_ref().and_then(|room| room.closes_at.as_deref()).and_then(local_time);
    closes_at.map(|time| format!("closes at {time} while empty")).unwrap_or_default()
}

/// The parts that are there, with dots between them.
pub(super) fn joined(parts: impl IntoIterator<Item = String>) -> String {
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" · ")
}

/// An RFC 3339 time as the clock on the wall shows it.
pub(super) fn local_time(rfc3339: &str) -> Option<String> {
    clock::parse_rfc3339(rfc3339).and_then(clock::local_hour_minute)
}
