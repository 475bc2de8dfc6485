//! Whether a room is the restarted one, whatever the clocks of three machines say.

use nostr_nests::livekit::Offset;
use nostr_nests::livekit::check::Check;
use nostr_nests::livekit::fresh::{FreshnessVerdict, Proof, RestartWindow, Sign, created_since, judge};
use nostr_nests::livekit::signal::{Joined, Reading};
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
        participant_sid: "PA_guest".into(),
        people: std::collections::BTreeSet::new(),
        ping_interval: std::time::Duration::from_secs(5),
        ping_timeout: std::time::Duration::from_secs(15),
        clock,
        sent_ms: SENT + 100,
    }
}

fn verdict(joined: &Joined, sid_before: Option<&str>, api_clock: Option<Offset>) -> FreshnessVerdict {
    let restarted = Some(RestartWindow { sent_ms: SENT, answered_ms: SENT + 50 });
    judge(&Check { restarted, sid_before, api_clock, ..Check::default() }, joined, ROUGH)
}

#[test]
fn the_table() {
    use FreshnessVerdict::*;
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
        assert_eq!(judge(&Check::default(), &joined, None), expected);
    }
}

proptest! {
    /// Whatever a stranger writes on a room, and however old it is: a kept room is never called fresh.
    #[test]
    fn a_kept_room_is_never_fresh(metadata in ".{0,40}", age_ms in 6_i64..100_000_000, rough in any::<bool>()) {
        let metadata = format!(r#"{{"nestId":1,"restartedAt":{},"x":{:?}}}"#, SENT + API_MS + 20, metadata);
        let joined = room("RM_a", age_ms, if rough { None } else { EXACT }, &metadata);
        let verdict = verdict(&joined, None, None);
        prop_assert!(!matches!(verdict, FreshnessVerdict::Fresh(_)), "{verdict:?}");
    }
}

proptest! {
    /// Whatever the clocks do: the true moment lies in the span that is computed from a reading.
    #[test]
    fn the_truth_lies_within(
        offset_us in -10_000_000_i64..10_000_000,
        sent_us in 0_i64..1_000_000_000,
        there_us in 0_i64..5_000_000,
        back_us in 0_i64..5_000_000,
        event_us in 0_i64..2_000_000_000,
        resolution_ms in prop_oneof![Just(1_i64), Just(1000)],
    ) {
        let seen_by_server = |us: i64| {
            let ms = (us + offset_us).div_euclid(1000);
            ms.div_euclid(resolution_ms) * resolution_ms
        };
        let read_us = sent_us + there_us;
        let reading = Offset::from_reading(
            seen_by_server(read_us), resolution_ms, sent_us / 1000, (read_us + back_us) / 1000,
        );
        prop_assert!(reading.min_ms * 1000 <= offset_us && offset_us <= reading.max_ms * 1000, "{reading:?}");
        let span = reading.here(seen_by_server(event_us), resolution_ms);
        prop_assert!(span.from_ms * 1000 <= event_us && event_us <= span.to_ms * 1000, "{span:?}");
    }
}

#[test]
fn two_readings_sharpen_each_other() {
    let rough = Offset { min_ms: -500, max_ms: 500 };
    assert_eq!(rough.and(Offset { min_ms: 100, max_ms: 900 }), Some(Offset { min_ms: 100, max_ms: 500 }));
    assert_eq!(rough.and(Offset { min_ms: 501, max_ms: 900 }), None);
}

#[test]
fn a_creation_time_alone_tells_what_it_can() {
    // By an HTTP date, which leaves a second open; the first of the two clocks agrees with the one here.
    let (same, apart) =
        (Offset { min_ms: -600, max_ms: 450 }, Offset { min_ms: MEDIA_MS - 600, max_ms: MEDIA_MS + 450 });
    for (clock, created_ms, expected) in [
        (Some(same), SENT, Some(true)),
        (Some(same), SENT + 300, Some(true)),
        (Some(same), SENT - 1, None),
        (Some(same), SENT - 500, None),
        (Some(same), SENT - 700, Some(false)),
        (Some(apart), SENT + MEDIA_MS, None),
        (Some(apart), SENT + MEDIA_MS + 500, Some(true)),
        (Some(apart), SENT + MEDIA_MS - 700, Some(false)),
        (None, SENT + 300, None),
    ] {
        assert_eq!(created_since(created_ms, clock, SENT), expected, "{clock:?} {}", created_ms - SENT);
    }
}
