//! What the check's findings mean, in words for a host at four in the morning: what is the case, why, what to do.

mod media;
mod room;
pub mod said;
mod token;
mod way;

use super::findings::Findings;
use crate::clock::{local_hour_minute, rfc3339, span};
use crate::report::Step;

/// All seven steps, in the order in which they depend on each other.
pub(super) fn steps(findings: &Findings<'_>) -> Vec<Step> {
    let mut steps = vec![
        token::step(findings),
        way::endpoint(findings),
        way::signal(findings),
        room::fresh(findings),
        media::media(findings),
        media::publish(findings),
        room::hold(findings),
    ];
    for step in &mut steps {
        step.detail = sentence(&step.detail);
        step.hint = step.hint.as_deref().map(sentence);
    }
    steps
}

/// The time of day here, if it is near enough to `now_ms` to be understood, else the whole date.
fn moment(ms: i64, now_ms: i64) -> String {
    let near = ms.abs_diff(now_ms) < 20 * 3600 * 1000;
    let told = if near { local_hour_minute(ms) } else { rfc3339(ms) };
    told.unwrap_or_else(|| "an impossible time".into())
}

/// `text` with a capital letter in front, unless it begins with an address.
fn sentence(text: &str) -> String {
    if text.starts_with("ws") {
        return text.to_owned();
    }
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
