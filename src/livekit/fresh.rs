//! Whether the room that answers is the restarted one: every piece of evidence, weighed with its uncertainty. Pure.

use serde_json::Value;

use super::check::Check;
use super::offset::{Offset, Span};
use super::signal::{Joined, Reading};

/// Clocks of two media servers of one house may differ by this much: a new SID then weighs more than a creation time.
const SKEW_MS: i64 = 2000;
/// A room made within so short a span around the request was made by it.
const NARROW_MS: i64 = 100;

/// A restart that the API reports as done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestartWindow {
    /// Just before the request, by the clock here, in milliseconds since the Unix epoch.
    pub sent_ms: i64,
    pub answered_ms: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FreshnessVerdict {
    NoRestart,
    Fresh(Proof),
    /// A room from before the restart.
    Old(Sign),
    /// Made by our own join: there was no room.
    OurOwn,
    /// Not made by a Nests API.
    Foreign,
    /// Made around the time of the restart, give or take so many milliseconds.
    Unsure(i64),
    NoEvidence,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    Sid,
    /// Made after the request, by the media server's clock.
    Created,
    /// It says that it was restarted after the request, by the API's clock.
    RestartedAt,
    /// Made at the moment of the request, as exactly as can be measured: milliseconds.
    Moment(i64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    Sid,
    Created,
    RestartedAt,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Leaning {
    Before(i64),
    After,
    Around(i64),
}

/// When the room was made, by the clock here; `None` when the server does not say or its clock is not known.
pub fn created_here(joined: &Joined, media_clock: Option<Offset>) -> Option<Span> {
    // The moment of our joining is exact to milliseconds, and of the very server that has the room.
    let clock = joined.clock.or(media_clock)?;
    let Reading { ms, resolution_ms } = joined.created?;
    Some(clock.here(ms, resolution_ms))
}

/// What the Nests API wrote on the room.
fn metadata(joined: &Joined) -> Value {
    serde_json::from_str(&joined.metadata).unwrap_or_default()
}

/// When the room says that it was restarted, by the clock here.
fn restarted_here(metadata: &Value, api_clock: Option<Offset>) -> Option<Span> {
    Some(api_clock?.here(metadata["restartedAt"].as_i64()?, 1))
}

/// When the nest was last restarted, by the clock here: the restart that we know of, else the one that the room tells of,
/// or else its record.
pub fn last_restart(check: &Check<'_>, joined: &Joined) -> Option<Span> {
    match check.restarted {
        Some(RestartWindow { answered_ms, .. }) => Some(Span { from_ms: answered_ms, to_ms: answered_ms }),
        None => restarted_here(&metadata(joined), check.api_clock)
            .or_else(|| Some(check.api_clock?.here(check.restarted_at_ms?, 1))),
    }
}

/// `media_clock` is the media server's, by its HTTP `Date`.
pub fn judge(check: &Check<'_>, joined: &Joined, media_clock: Option<Offset>) -> FreshnessVerdict {
    if check.any_room {
        return FreshnessVerdict::NoRestart;
    }
    let metadata = metadata(joined);
    let created = created_here(joined, media_clock);
    if metadata["nestId"].is_null() {
        let ours = created.is_some_and(|span| span.to_ms >= joined.sent_ms) && joined.people.is_empty();
        return match (ours, check.restarted) {
            (true, _) => FreshnessVerdict::OurOwn,
            (false, Some(_)) => FreshnessVerdict::Foreign,
            (false, None) => FreshnessVerdict::NoRestart,
        };
    }
    let Some(restarted) = check.restarted else { return FreshnessVerdict::NoRestart };

    let sid_changed = check.sid_before.map(|before| before != joined.sid);
    let created = created.map(|span| lean(span, restarted.sent_ms));
    let restarted_at = restarted_here(&metadata, check.api_clock).map(|span| lean(span, restarted.sent_ms));

    match (sid_changed, created) {
        (Some(false), _) => return FreshnessVerdict::Old(Sign::Sid),
        (Some(true), Some(Leaning::Before(by))) if by > SKEW_MS => return FreshnessVerdict::Old(Sign::Created),
        (Some(true), _) => return FreshnessVerdict::Fresh(Proof::Sid),
        (None, Some(Leaning::Before(_))) => return FreshnessVerdict::Old(Sign::Created),
        (None, Some(Leaning::After)) => return FreshnessVerdict::Fresh(Proof::Created),
        (None, _) => {}
    }
    match restarted_at {
        Some(Leaning::Before(_)) => return FreshnessVerdict::Old(Sign::RestartedAt),
        Some(Leaning::After) => return FreshnessVerdict::Fresh(Proof::RestartedAt),
        _ => {}
    }
    let width = [created, restarted_at].into_iter().flatten().filter_map(|leaning| match leaning {
        Leaning::Around(width) => Some(width),
        _ => None,
    });
    match width.min() {
        Some(width) if width <= NARROW_MS => FreshnessVerdict::Fresh(Proof::Moment(width)),
        Some(width) => FreshnessVerdict::Unsure(width),
        None => FreshnessVerdict::NoEvidence,
    }
}

/// Whether a room was created after a restart was asked for, by the media server's clock alone; `None`: that cannot be
/// told. Where that clock agrees with the one here, as far as its `Date` shows, a time after the request is believed.
pub fn created_since(created_ms: i64, media_clock: Option<Offset>, sent_ms: i64) -> Option<bool> {
    const SAME: Offset = Offset { min_ms: 0, max_ms: 0 };
    let clock = media_clock?;
    match lean(clock.here(created_ms, 1), sent_ms) {
        Leaning::Before(_) => Some(false),
        Leaning::After => Some(true),
        Leaning::Around(_) => (clock.and(SAME).is_some() && created_ms >= sent_ms).then_some(true),
    }
}

fn lean(event: Span, sent_ms: i64) -> Leaning {
    if event.from_ms > sent_ms {
        Leaning::After
    } else if event.to_ms < sent_ms {
        Leaning::Before(sent_ms.saturating_sub(event.to_ms))
    } else {
        Leaning::Around(event.width_ms())
    }
}
