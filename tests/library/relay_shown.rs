//! Which clients show a nest: each rule on both sides of its limit, and the web client's against its own code.

use nostr::{EventBuilder, Keys, Kind, Timestamp};
use nostr_nests::relay::RoomEvent;
use nostr_nests::relay::presence::{Presence, Presences};
use nostr_nests::relay::shown::{CLIENTS, Hidden, hidden, shown_by};
use nostr_nests::room::ROOM_KIND;

use crate::support::relays::{NOW, coordinate, tags};

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;
const RELAY: [&str; 2] = ["streaming", "https://moq.example:4443"];
const AUTH: [&str; 2] = ["auth", "https://moq-auth.example"];
const TITLE: [&str; 2] = ["title", "Weekly"];
const LIVE: [&str; 2] = ["status", "live"];
const OLD: i64 = HOUR;

type Tags<'a> = &'a [&'a [&'a str]];

fn now() -> i64 {
    i64::try_from(NOW).unwrap()
}

fn aged(keys: &Keys, age: i64, list: &[&[&str]]) -> RoomEvent {
    let at = Timestamp::from(u64::try_from(now() - age).unwrap());
    let all = tags(&[&["d", "weekly"]]).into_iter().chain(tags(list));
    let event = EventBuilder::new(Kind::from(ROOM_KIND), "").tags(all).custom_created_at(at);
    RoomEvent::new(event.sign_with_keys(keys).unwrap()).unwrap()
}

/// People of the host's nest: how old the presence of each is, and its `onstage`.
fn people(host: &Keys, list: &[(i64, &str)]) -> Presences {
    let nest = coordinate(host.public_key(), "weekly");
    let mut presences = Presences::default();
    for (age, onstage) in list {
        let who = Keys::generate().public_key();
        let flags = Presence {
            who,
            nest: nest.clone(),
            at_s: now() - age,
            onstage: *onstage == "1",
            hand: false,
            publishing: false,
            muted: false,
        };
        presences.enter(flags, now());
    }
    presences
}

/// What the web client and Amethyst have against a nest.
fn judged(age: i64, list: &[&[&str]], present: &[(i64, &str)]) -> [Option<Hidden>; 2] {
    let host = Keys::generate();
    let event = aged(&host, age, list);
    let shown = shown_by(&event, &people(&host, present), now());
    let names: Vec<_> = shown.iter().map(|(client, _)| client.name).collect();
    assert_eq!(names, ["nostrnests.com", "Amethyst"]);
    shown.into_iter().map(|(_, hidden)| hidden).collect::<Vec<_>>().try_into().unwrap()
}

fn nobody(last_s: Option<i64>) -> [Hidden; 2] {
    [false, true].map(|onstage| Hidden::NobodyPresent { last_s, onstage })
}

#[test]
fn a_new_event_needs_nobody_and_an_old_one_somebody() {
    let all: [&[&str]; 4] = [&TITLE, &LIVE, &RELAY, &AUTH];
    let [web, amethyst] = nobody(None);
    for (age, expected) in [
        (-1, [None, Some(Hidden::DatedAhead { by_s: 1 })]),
        (0, [None, None]),
        (599, [None, None]),
        (600, [None, Some(amethyst.clone())]),
        (601, [Some(web), Some(amethyst)]),
    ] {
        assert_eq!(judged(age, &all, &[]), expected, "event of {age} s");
    }
    let [web, amethyst] = nobody(Some(601));
    for (age, expected) in [
        (-1, [None, None]),
        (599, [None, None]),
        (600, [None, Some(Hidden::NobodyPresent { last_s: Some(600), onstage: true })]),
        (601, [Some(web), Some(amethyst)]),
    ] {
        assert_eq!(judged(OLD, &all, &[(age, "1")]), expected, "presence of {age} s");
    }
    let [_, amethyst] = nobody(Some(700));
    assert_eq!(judged(OLD, &all, &[(5, "0"), (700, "1")]), [None, Some(amethyst)], "a listener counts for web only");
    assert_eq!(judged(OLD, &all, &[(840, "1"), (900, "1")])[0], Some(nobody(Some(840))[0].clone()), "the last one");
}

#[test]
fn an_event_ages_whoever_is_present() {
    let all: [&[&str]; 4] = [&TITLE, &LIVE, &RELAY, &AUTH];
    let too_old = |age_s, limit_s| Some(Hidden::TooOld { age_s, limit_s });
    for (age, expected) in [
        (8 * HOUR, [None, None]),
        (8 * HOUR + 1, [None, too_old(8 * HOUR + 1, 8 * HOUR)]),
        (7 * DAY, [None, too_old(7 * DAY, 8 * HOUR)]),
        (7 * DAY + 1, [too_old(7 * DAY + 1, 7 * DAY), too_old(7 * DAY + 1, 8 * HOUR)]),
    ] {
        assert_eq!(judged(age, &all, &[(5, "1")]), expected, "{age}");
        assert_eq!(
            judged(age, &[&TITLE, &["status", "planned"], &RELAY, &AUTH, &["starts", &(NOW + 5).to_string()]], &[]),
            expected
        );
    }
}

#[test]
fn words_are_read_as_each_client_does() {
    let odd = |word: &str| Some(Hidden::Status(word.to_owned()));
    for (words, expected) in [
        (&["live"][..], [None, None]),
        (&["Live"], [odd("Live"), odd("Live")]),
        (&["open"], [odd("open"), None]),
        (&["private"], [odd("private"), None]),
        (&["ended"], [Some(Hidden::Over), Some(Hidden::Over)]),
        (&["closed"], [Some(Hidden::Over), Some(Hidden::Over)]),
        (&["paused"], [odd("paused"), odd("paused")]),
        (&[""], [odd(""), Some(Hidden::Missing("status"))]),
        (&[], [None, Some(Hidden::Missing("status"))]),
        (&["paused", "live"], [odd("paused"), None]),
        (&["live", "ended"], [None, None]),
    ] {
        let words: Vec<[&str; 2]> = words.iter().map(|word| ["status", word]).collect();
        let mut list: Vec<&[&str]> = vec![&TITLE, &RELAY, &AUTH];
        list.extend(words.iter().map(<[&str; 2]>::as_slice));
        assert_eq!(judged(5, &list, &[]), expected, "{words:?}");
    }
}

#[test]
fn tags_are_required_under_the_names_that_a_client_knows() {
    let (missing, cleartext) = (|tag| Some(Hidden::Missing(tag)), |tag| Some(Hidden::NotHttps(tag)));
    let livekit = || Some(Hidden::StillLiveKit);
    let cases: [(Tags, [Option<Hidden>; 2]); 15] = [
        (&[&LIVE, &RELAY, &AUTH], [missing("title"), missing("title")]),
        (&[&["room", "Weekly"], &LIVE, &RELAY, &AUTH], [missing("title"), None]),
        (&[&["title", " "], &LIVE, &RELAY, &AUTH], [None, missing("title")]),
        (&[&["title", ""], &TITLE, &LIVE, &RELAY, &AUTH], [missing("title"), None]),
        (&[&TITLE, &LIVE, &AUTH], [missing("streaming"), missing("streaming")]),
        (&[&TITLE, &LIVE, &AUTH, &["endpoint", RELAY[1]]], [missing("streaming"), None]),
        (
            &[&TITLE, &LIVE, &AUTH, &["streaming", "http://moq.example"]],
            [cleartext("streaming"), cleartext("streaming")],
        ),
        (&[&TITLE, &LIVE, &RELAY], [None, missing("auth")]),
        (&[&TITLE, &LIVE, &RELAY, &["service", AUTH[1]]], [None, None]),
        (&[&TITLE, &LIVE, &RELAY, &["auth", "http://auth.example"]], [None, cleartext("auth")]),
        (&[&TITLE, &LIVE, &RELAY, &AUTH, &["streaming", "wss+livekit://lk.example"]], [livekit(), None]),
        (
            &[&TITLE, &LIVE, &AUTH, &["streaming", "wss+livekit://lk.example"]],
            [cleartext("streaming"), cleartext("streaming")],
        ),
        (&[&TITLE, &LIVE, &["streaming", "wss+livekit://lk.example"]], [livekit(), livekit()]),
        (
            &[&["room", "W"], &["status", "open"], &["service", "https://api.example/api/v1/nests"]],
            [livekit(), livekit()],
        ),
        (&[&TITLE, &LIVE], [missing("streaming"), missing("streaming")]),
    ];
    for (list, expected) in cases {
        assert_eq!(judged(5, list, &[]), expected, "{list:?}");
    }
}

#[test]
fn what_is_planned_has_its_time() {
    let not_yet = |in_s| Some(Hidden::NotYet { in_s, limit_s: 30 * DAY });
    let overdue = |by_s| Some(Hidden::Overdue { by_s, limit_s: HOUR });
    for (starts, expected) in [
        (now() - HOUR + 1, None),
        (now() - HOUR, overdue(HOUR)),
        (now() - HOUR - 1, overdue(HOUR + 1)),
        (now() + 30 * DAY - 1, None),
        (now() + 30 * DAY, not_yet(30 * DAY)),
        (now() + 30 * DAY + 1, not_yet(30 * DAY + 1)),
    ] {
        let list: [&[&str]; 5] = [&TITLE, &["status", "planned"], &RELAY, &AUTH, &["starts", &starts.to_string()]];
        assert_eq!(judged(5, &list, &[]), [expected.clone(), expected], "{starts}");
    }
    let without: [&[&str]; 4] = [&TITLE, &["status", "planned"], &RELAY, &AUTH];
    assert_eq!(judged(HOUR - 1, &without, &[]), [None, None]);
    assert_eq!(judged(HOUR, &without, &[]), [overdue(HOUR), None], "web takes the time of the event");
}

/// `lobby_cases.json` is a table of ours; where each nest is listed was found out by running the web client's own lobby
/// code (nostrnests/nests 4fd42b6, `useRoomList`) on it, at the time `NOW`.
#[test]
fn the_web_client_agrees() {
    let cases: serde_json::Value = serde_json::from_str(include_str!("lobby_cases.json")).unwrap();
    let host = Keys::generate();
    for case in cases.as_array().unwrap() {
        let list: Vec<Vec<String>> = serde_json::from_value(case["tags"].clone()).unwrap();
        let list: Vec<Vec<&str>> = list.iter().map(|tag| tag.iter().map(String::as_str).collect()).collect();
        let present: Vec<(i64, String)> = serde_json::from_value(case["presences"].clone()).unwrap();
        let present: Vec<_> = present.iter().map(|(age, onstage)| (*age, onstage.as_str())).collect();
        let list: Vec<&[&str]> = list.iter().map(Vec::as_slice).collect();
        let event = aged(&host, case["age"].as_i64().unwrap(), &list);
        let hidden = hidden(&CLIENTS[0], &event, &people(&host, &present), now());
        assert_eq!(hidden.is_some(), case["web"] == "hidden", "{case}: {hidden:?}");
    }
}
