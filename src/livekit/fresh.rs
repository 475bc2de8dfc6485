//! Whether the room that answers is the restarted one: every piece of evidence, weighed with its uncertainty. Pure.

use serde::Deserialize;

use super::offset::{Offset, Span};
use super::signal::{Joined, Reading};

/// Clocks of two media servers of one house may differ by this much: a new SID then weighs more than a creation time.
const SKEW_MS: i64 = 2000;
/// A room made within so short a span around the request was made by it.
const NARROW_MS: i64 = 100;

/// A restart that the API reports as done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restarted {
    /// Just before the request, by the clock here, in milliseconds since the Unix epoch.
    pub sent_ms: i64,
    pub answered_ms: i64,
}

#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    pub restarted: Option<Restarted>,
    pub sid_before: Option<&'a str>,
    /// Any room will do, a nest's or not.
    pub any_room: bool,
    pub api_clock: Option<Offset>,
    /// The media server's clock, by its HTTP `Date`.
    pub media_clock: Option<Offset>,
    pub joined: &'a Joined,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
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
    /// Another SID than before.
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
    /// Made before the request.
    Created,
    /// Last restarted before the request.
    RestartedAt,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Metadata {
    nest_id: Option<serde_json::Value>,
    restarted_at: Option<serde_json::Value>,
}

impl Metadata {
    fn of(joined: &Joined) -> Self {
        serde_json::from_str(&joined.metadata).unwrap_or_default()
    }
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

/// When the room says that it was restarted, by the clock here.
fn restarted_here(metadata: &Metadata, api_clock: Option<Offset>) -> Option<Span> {
    let ms = metadata.restarted_at.as_ref()?.as_i64()?;
    Some(api_clock?.here(ms, 1))
}

/// When the nest was last restarted, by the clock here: the restart that we know of, else the one that the room tells of.
pub fn last_restart(evidence: &Evidence<'_>) -> Option<Span> {
    match evidence.restarted {
        Some(Restarted { answered_ms, .. }) => Some(Span { from_ms: answered_ms, to_ms: answered_ms }),
        None => restarted_here(&Metadata::of(evidence.joined), evidence.api_clock),
    }
}

pub fn judge(evidence: &Evidence<'_>) -> Verdict {
    let joined = evidence.joined;
    if evidence.any_room {
        return Verdict::NoRestart;
    }
    let metadata = Metadata::of(joined);
    let created = created_here(joined, evidence.media_clock);
    if metadata.nest_id.is_none() {
        let ours = created.is_some_and(|span| span.to_ms >= joined.sent_ms) && joined.people.is_empty();
        return match (ours, evidence.restarted) {
            (true, _) => Verdict::OurOwn,
            (false, Some(_)) => Verdict::Foreign,
            (false, None) => Verdict::NoRestart,
        };
    }
    let Some(restarted) = evidence.restarted else { return Verdict::NoRestart };

    let sid_changed = evidence.sid_before.map(|before| before != joined.sid);
    let created = created.map(|span| lean(span, restarted.sent_ms));
    let restarted_at = restarted_here(&metadata, evidence.api_clock).map(|span| lean(span, restarted.sent_ms));

    match (sid_changed, created) {
        (Some(false), _) => return Verdict::Old(Sign::Sid),
        (Some(true), Some(Leaning::Before(by))) if by > SKEW_MS => return Verdict::Old(Sign::Created),
        (Some(true), _) => return Verdict::Fresh(Proof::Sid),
        (None, Some(Leaning::Before(_))) => return Verdict::Old(Sign::Created),
        (None, Some(Leaning::After)) => return Verdict::Fresh(Proof::Created),
        (None, _) => {}
    }
    match restarted_at {
        Some(Leaning::Before(_)) => return Verdict::Old(Sign::RestartedAt),
        Some(Leaning::After) => return Verdict::Fresh(Proof::RestartedAt),
        _ => {}
    }
    let width = [created, restarted_at].into_iter().flatten().filter_map(|leaning| match leaning {
        Leaning::Around(width) => Some(width),
        _ => None,
    });
    match width.min() {
        Some(width) if width <= NARROW_MS => Verdict::Fresh(Proof::Moment(width)),
        Some(width) => Verdict::Unsure(width),
        None => Verdict::NoEvidence,
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SENT: i64 = 1_795_417_759_894;
    /// The API's clock is ahead of the one here, the media server's is behind: neither stands in for the other.
    const API_MS: i64 = 5_000;
    const MEDIA_MS: i64 = -40_000;
    const API: Option<Offset> = Some(Offset { min_ms: API_MS - 2, max_ms: API_MS + 2 });
    const EXACT: Option<Offset> = Some(Offset { min_ms: MEDIA_MS - 2, max_ms: MEDIA_MS + 2 });
    const ROUGH: Option<Offset> = Some(Offset { min_ms: MEDIA_MS - 600, max_ms: MEDIA_MS + 600 });

    /// A room made `age_ms` before the request, by the media server's clock; joined 100 ms after it.
    fn room(sid: &str, age_ms: i64, clock: Option<Offset>, metadata: &str) -> Joined {
        Joined {
            version: None,
            region: None,
            sid: sid.into(),
            created: Some(Reading { ms: SENT - age_ms + MEDIA_MS, resolution_ms: 1 }),
            metadata: metadata.into(),
            departure_timeout_s: 60,
            identity: "guest".into(),
            people: std::collections::BTreeSet::new(),
            ping_interval: std::time::Duration::from_secs(5),
            ping_timeout: std::time::Duration::from_secs(15),
            clock,
            sent_ms: SENT + 100,
        }
    }

    fn verdict(joined: &Joined, sid_before: Option<&str>, api_clock: Option<Offset>) -> Verdict {
        let restarted = Some(Restarted { sent_ms: SENT, answered_ms: SENT + 50 });
        judge(&Evidence { restarted, sid_before, any_room: false, api_clock, media_clock: ROUGH, joined })
    }

    #[test]
    fn the_table() {
        use Verdict::*;
        let nest = r#"{"nestId":"demo"}"#;
        let at = |ms: i64| format!(r#"{{"nestId":"demo","restartedAt":{}}}"#, ms + API_MS);
        let two_hours = 7_200_000;
        for (name, joined, before, api_clock, expected) in [
            ("same SID", room("RM_a", two_hours, EXACT, nest), Some("RM_a"), None, Old(Sign::Sid)),
            ("same SID, new time", room("RM_a", -10, EXACT, nest), Some("RM_a"), None, Old(Sign::Sid)),
            ("new SID", room("RM_b", -10, EXACT, nest), Some("RM_a"), None, Fresh(Proof::Sid)),
            ("new SID, skewed clocks", room("RM_b", 1500, EXACT, nest), Some("RM_a"), None, Fresh(Proof::Sid)),
            ("somebody else's restart", room("RM_b", 9000, EXACT, nest), Some("RM_a"), None, Old(Sign::Created)),
            ("old", room("RM_a", two_hours, EXACT, nest), None, None, Old(Sign::Created)),
            ("old by a little", room("RM_a", 10, EXACT, nest), None, None, Old(Sign::Created)),
            ("new", room("RM_b", -10, EXACT, nest), None, None, Fresh(Proof::Created)),
            ("the very moment", room("RM_b", -1, EXACT, nest), None, None, Fresh(Proof::Moment(5))),
            ("whole seconds", room("RM_b", -10, None, nest), None, None, Unsure(1201)),
            ("whole seconds, API helps", room("RM_b", -10, None, &at(SENT + 20)), None, API, Fresh(Proof::RestartedAt)),
            ("whole seconds, kept", room("RM_b", 300, None, &at(SENT - 300)), None, API, Old(Sign::RestartedAt)),
            ("whole seconds, old", room("RM_b", 5000, None, nest), None, None, Old(Sign::Created)),
            ("updated, but kept", room("RM_a", two_hours, EXACT, &at(SENT + 20)), None, API, Old(Sign::Created)),
            ("no metadata, ours", room("RM_b", -101, EXACT, ""), None, None, OurOwn),
            ("no metadata, ours, SID new", room("RM_b", -101, EXACT, "{}"), Some("RM_a"), None, OurOwn),
            ("no metadata, not ours", room("RM_b", 9000, EXACT, "hello"), None, None, Foreign),
        ] {
            assert_eq!(verdict(&joined, before, api_clock), expected, "{name}");
        }
        let mut silent = room("RM_b", 0, None, nest);
        silent.created = None;
        assert_eq!(verdict(&silent, None, None), NoEvidence);
        for (metadata, expected) in [(nest, NoRestart), ("", NoRestart)] {
            let joined = room("RM_a", two_hours, EXACT, metadata);
            let evidence = Evidence {
                restarted: None,
                sid_before: None,
                any_room: false,
                api_clock: None,
                media_clock: None,
                joined: &joined,
            };
            assert_eq!(judge(&evidence), expected);
        }
    }

    proptest! {
        /// Whatever a stranger writes on a room, and however old it is: a kept room is never called fresh.
        #[test]
        fn a_kept_room_is_never_fresh(metadata in ".{0,40}", age_ms in 6_i64..100_000_000, rough in any::<bool>()) {
            let metadata = format!(r#"{{"nestId":1,"restartedAt":{},"x":{:?}}}"#, SENT + API_MS + 20, metadata);
            let joined = room("RM_a", age_ms, if rough { None } else { EXACT }, &metadata);
            let verdict = verdict(&joined, None, None);
            prop_assert!(!matches!(verdict, Verdict::Fresh(_)), "{verdict:?}");
        }
    }
}
