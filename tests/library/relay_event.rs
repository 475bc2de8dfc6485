//! What a nest's event says, in either vocabulary, and what stays of it in a new version.

use nostr::nips::nip19::{FromBech32, Nip19Coordinate};
use nostr::{Event, EventId, Keys, Kind, PublicKey, RelayUrl, Tag, Timestamp, UnsignedEvent};
use nostr_nests::api::address::ApiUrl;
use nostr_nests::clock::Clock;
use nostr_nests::relay::{MediaOverQuic, NotARoom, Person, Role, RoomEvent, Status, other_spelling};
use nostr_nests::room::{RoomId, RoomRef};
use proptest::prelude::*;

use crate::support::relays::{NOW, room, signed, tags};

const API: &str = "https://api.example/api/v1/nests";

type Tags<'a> = &'a [&'a [&'a str]];

fn event(more: &[&[&str]]) -> RoomEvent {
    RoomEvent::new(room(&Keys::generate(), "weekly", 5, more)).unwrap()
}

fn now() -> i64 {
    i64::try_from(NOW).unwrap()
}

fn texts(event: &UnsignedEvent) -> Vec<Vec<&str>> {
    event.tags.iter().map(|tag| tag.as_slice().iter().map(String::as_str).collect()).collect()
}

#[test]
fn both_vocabularies_are_read() {
    let guest = Keys::generate().public_key();
    let event = event(&[
        &["room", "Weekly"],
        &["summary", "about"],
        &["image", "https://h.example/i.png"],
        &["status", " Private "],
        &["service", "https://api.example"],
        &["streaming", "wss+livekit://a.example"],
        &["streaming"],
        &["streaming", "ws+livekit://b.example"],
        &["relays", "wss://r.example", "nonsense", "wss://r.example", "wss://s.example"],
        &["t", "nostr"],
        &["t", "audio"],
        &["p", &guest.to_hex(), "", "Moderator"],
        &["p", &guest.to_hex(), "", "SPEAKER"],
        &["p", "nobody", "", "host"],
        &["p", &guest.to_hex()],
        &["starts", "1795400000"],
        &["ends", "1795400010000"],
    ]);
    assert_eq!((event.title(), event.summary()), (Some("Weekly"), Some("about")));
    assert_eq!((event.image(), event.topics()), (Some("https://h.example/i.png"), vec!["nostr", "audio"]));
    assert_eq!(event.status(), Status::Private);
    assert_eq!(event.service(), Some("https://api.example"));
    assert_eq!(event.api().unwrap().as_str(), API);
    assert_eq!(event.streaming(), ["wss+livekit://a.example", "ws+livekit://b.example"]);
    assert_eq!(event.relays().iter().map(RelayUrl::as_str).collect::<Vec<_>>(), ["wss://r.example", "wss://s.example"]);
    let roles = [Role::Admin, Role::Speaker, Role::Other(String::new())];
    assert_eq!(event.people(), roles.map(|role| Person { key: guest, role }));
    assert_eq!((event.starts(), event.ends()), (Some(1_795_400_000), Some(1_795_400_010)));
    assert_eq!(event.reference().coordinate(), Some(event.coordinate()));

    let other = self::event(&[&["title", "T"], &["room", "R"], &["service", API], &["starts", "soon"]]);
    assert_eq!((other.title(), other.api().unwrap().as_str(), other.starts()), (Some("T"), API, None));
    assert_eq!(other.status(), Status::Unknown(String::new()));
}

#[test]
fn over_open_or_neither() {
    for (status, ends, over, open) in [
        ("open", None, false, true),
        ("private", None, false, true),
        ("planned", None, false, false),
        ("LIVE", Some(NOW + 1), false, true),
        ("live", Some(NOW), true, false),
        ("closed", None, true, false),
        ("ended", Some(NOW + 1), true, false),
        ("paused", None, false, false),
        ("paused", Some(NOW - 1), true, false),
    ] {
        let mut list = vec![vec!["status".to_owned(), status.to_owned()]];
        list.extend(ends.map(|at| vec!["ends".to_owned(), at.to_string()]));
        let list: Vec<Vec<&str>> = list.iter().map(|tag| tag.iter().map(String::as_str).collect()).collect();
        let event = event(&list.iter().map(Vec::as_slice).collect::<Vec<_>>());
        assert_eq!((event.is_over(now()), event.is_open(now())), (over, open), "{status} {ends:?}");
    }
}

#[test]
fn what_is_no_nest_is_refused() {
    let keys = Keys::generate();
    assert_eq!(RoomEvent::new(signed(&keys, 30311, 1, tags(&[&["d", "x"]]))), Err(NotARoom::Kind(30311)));
    for d in ["", ".", ".."] {
        assert_eq!(RoomEvent::new(room(&keys, d, 1, &[])), Err(NotARoom::NoId));
    }
    assert_eq!(RoomEvent::new(signed(&keys, 30312, 1, Vec::new())), Err(NotARoom::NoId));
}

#[test]
fn media_over_quic_is_recognised() {
    let relay = "https://moq.example:4443";
    let auth = "https://auth.example";
    let here = |relay, auth| Some(MediaOverQuic { relay, auth });
    for (tags, expected) in [
        (vec![["streaming", relay], ["auth", auth]], here(Some(relay), Some(auth))),
        (vec![["service", " "], ["streaming", relay]], here(Some(relay), None)),
        (vec![["auth", auth]], here(None, Some(auth))),
        (vec![["service", API], ["streaming", relay], ["auth", auth]], here(Some(relay), Some(auth))),
        (vec![["service", API], ["streaming", relay]], here(Some(relay), None)),
        (vec![["endpoint", API], ["streaming", "wss+livekit://a.example"], ["auth", auth]], here(None, Some(auth))),
        // The names of EGG-01's drafts.
        (vec![["endpoint", relay], ["auth", auth]], here(Some(relay), Some(auth))),
        (vec![["service", auth], ["streaming", relay]], here(Some(relay), Some(auth))),
        (vec![["endpoint", auth], ["service", API], ["streaming", relay]], here(Some(relay), None)),
        (vec![["endpoint", relay], ["streaming", "http://moq.example"], ["auth", auth]], here(None, Some(auth))),
        (vec![["endpoint", "http://moq.example"], ["service", relay], ["auth", auth]], here(None, Some(auth))),
        (vec![["room", "W"], ["status", "open"], ["endpoint", relay], ["service", auth]], None),
        (vec![["service", API], ["streaming", "https://cdn.example/live.m3u8"]], None),
        (vec![["streaming", relay], ["streaming", "WSS+livekit://a.example"]], None),
        (vec![["streaming", "https://cdn.example/live.m3u8"]], None),
        (vec![], None),
    ] {
        let list: Vec<&[&str]> = tags.iter().map(<[&str; 2]>::as_slice).collect();
        assert_eq!(event(&list).media_over_quic(), expected, "{tags:?}");
    }
}

/// NIP-53: `endpoint` is the API, and `service` the page. Without an `endpoint`, `service` is the API.
#[test]
fn the_endpoint_is_the_api_and_the_service_a_page() {
    let api = |event: &RoomEvent| event.api().map(|api| api.to_string());
    let (page, other) = ("https://nests.example/weekly", ApiUrl::parse("https://new.example").unwrap());
    let event = event(&[&["service", page], &["endpoint", "https://api.example"]]);
    assert_eq!((api(&event).as_deref(), event.page().map(String::from).as_deref()), (Some(API), Some(page)));
    let moved = RoomEvent::new(room(&Keys::generate(), "w", 5, &[&["service", page], &["endpoint", API]])).unwrap();
    let moved = moved.rewrite(Clock::default()).set_api(&other).build();
    assert_eq!(texts(&moved)[1..], [vec!["service", page], vec!["endpoint", other.as_str()]]);
    // An older use of the word: a media server, in an event whose service is the API.
    let old = self::event(&[&["service", API], &["endpoint", "wss://live.example"]]);
    assert_eq!((api(&old).as_deref(), old.page()), (Some(API), None));
    let quic = |list: &[&[&str]]| self::event(list).page().map(String::from);
    assert_eq!(
        quic(&[&["endpoint", API], &["streaming", "https://moq.example"], &["service", "https://auth.example"]]),
        None
    );
    let both: [&[&str]; 3] = [&["endpoint", API], &["auth", "https://auth.example"], &["service", page]];
    assert_eq!(quic(&both).as_deref(), Some(page));
    let broken = self::event(&[&["service", API], &["endpoint", "https://"]]);
    assert_eq!(api(&broken), None, "the page is not taken for the API");
}

#[test]
fn what_is_planned_is_neither_open_nor_over_and_is_not_opened_before_its_time() {
    let clock = Clock::default();
    let at = |offset: i64| (clock.now_s() + offset).to_string();
    for (starts, opened) in [(Some(at(3600)), "planned"), (Some(at(-60)), "live"), (None, "live")] {
        let mut list = vec![vec!["status", "planned"]];
        list.extend(starts.as_deref().map(|at| vec!["starts", at]));
        let event = event(&list.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let now_s = clock.now_s();
        assert_eq!((event.is_planned(now_s), event.is_open(now_s), event.is_over(now_s)), (true, false, false));
        let next = RoomEvent::new(event.rewrite(clock).set_open().build().sign_with_keys(&Keys::generate()).unwrap());
        let next = next.unwrap();
        assert_eq!(next.status().as_str(), opened, "{starts:?}");
        assert_eq!(next.starts() == event.starts(), opened == "planned", "{starts:?}");
        let heir = event.successor_with(&RoomId::new("new").unwrap(), None, clock).build();
        assert!(texts(&heir).contains(&vec!["status", opened]), "{starts:?}");
    }
    let ends = at(-1);
    let past = event(&[&["status", "planned"], &["ends", &ends]]);
    assert!(past.is_over(clock.now_s()) && !past.is_planned(clock.now_s()));
}

#[test]
fn what_is_over_says_since_when() {
    let ends = |list: &[&[&str]]| {
        let last = event(list).rewrite(Clock::default()).set_over().build();
        let ends: Vec<i64> =
            texts(&last).iter().filter(|tag| tag[0] == "ends").map(|tag| tag[1].parse().unwrap()).collect();
        assert_eq!(ends.len(), 1, "{last:?}");
        ends[0]
    };
    let now_s = Clock::default().now_s();
    let later = (now_s + 3600).to_string();
    for list in [&[&["status", "open"][..]][..], &[&["ends", &later], &["status", "live"]], &[&["ends", "soon"]]] {
        assert!((0..60).contains(&(ends(list) - now_s)), "{list:?}");
    }
    assert_eq!(ends(&[&["ends", "1000"], &["status", "live"]]), 1000, "it was over before");
}

#[test]
fn hosts_have_several_names_and_proofs_stay_with_the_old_id() {
    let key = Keys::generate().public_key().to_hex();
    let [owner, moderator, plain] = [
        &["p", &key, "wss://r.example", "Owner", "proof"][..],
        &["p", &key, "", "Moderator", "proof", "more"],
        &["p", &key],
    ];
    let event = event(&[owner, moderator, plain]);
    let roles: Vec<_> = event.people().into_iter().map(|person| person.role).collect();
    assert_eq!(roles, [Role::Host, Role::Admin, Role::Other(String::new())]);
    let people = |event: &UnsignedEvent| -> Vec<Vec<String>> {
        let tags = event.tags.iter().map(|tag| tag.as_slice().to_vec());
        tags.filter(|tag| tag[0] == "p").collect()
    };
    let same = people(&event.rewrite(Clock::default()).set_over().build());
    assert_eq!(same, [owner, moderator, plain], "the same id: they hold");
    let heir = people(&event.successor_with(&RoomId::new("new").unwrap(), None, Clock::default()).build());
    assert_eq!(heir, [&owner[..4], &moderator[..4], plain]);
}

#[test]
fn an_naddr_leads_back() {
    let seen = RelayUrl::parse("wss://seen.example").unwrap();
    let event = event(&[&["relays", "wss://a.example", "wss://seen.example", "wss://b.example", "wss://c.example"]]);
    let naddr = event.naddr(std::slice::from_ref(&seen)).unwrap();
    let read = Nip19Coordinate::from_bech32(&naddr).unwrap();
    assert_eq!(read.coordinate, event.coordinate());
    let hints: Vec<_> = read.relays.iter().map(RelayUrl::as_str).collect();
    assert_eq!(hints, ["wss://seen.example", "wss://a.example", "wss://b.example"]);
    assert_eq!(RoomRef::parse(&naddr).unwrap().host, Some(event.host()));

    // Its length would not fit into the one byte that it has.
    let long = RoomEvent::new(room(&Keys::generate(), &"x".repeat(256), 5, &[])).unwrap();
    assert_eq!(long.naddr(&[]), None);
}

#[test]
fn a_new_version_keeps_what_it_does_not_change() {
    let base = ApiUrl::parse("https://new.example").unwrap();
    let old = event(&[
        &["room", "Weekly", "extra"],
        &["streaming", "wss+livekit://old.example"],
        &["x", "unknown"],
        &["status", "closed"],
        &["streaming", "wss+livekit://older.example"],
        &["service", "https://old.example/"],
        &["ends", "1"],
    ]);
    let new = old
        .rewrite(Clock::default())
        .set_open()
        .set_streaming(["wss+livekit://a.example", "wss+livekit://b.example"])
        .set_api(&base)
        .build();
    let starts = RoomEvent::new(new.clone().sign_with_keys(&Keys::generate()).unwrap()).unwrap().starts().unwrap();
    assert!((0..60).contains(&(Clock::default().now_s() - starts)));
    assert_eq!(
        texts(&new),
        [
            &["d", "weekly"][..],
            &["room", "Weekly", "extra"],
            &["streaming", "wss+livekit://a.example"],
            &["streaming", "wss+livekit://b.example"],
            &["x", "unknown"],
            &["status", "open"],
            &["service", "https://new.example"],
            &["starts", &starts.to_string()],
        ]
    );
    assert_eq!((new.pubkey, new.kind), (old.host(), old.event().kind));
    assert!(new.created_at > old.event().created_at);
}

#[test]
fn every_event_keeps_its_vocabulary() {
    for (list, open, over) in [
        (vec![["status", "open"]], "open", "closed"),
        (vec![["status", "closed"], ["title", "t"]], "open", "closed"),
        (vec![["status", "private"]], "private", "closed"),
        (vec![["status", "planned"]], "live", "ended"),
        (vec![["status", "ended"], ["room", "r"]], "live", "ended"),
        (vec![["status", "Live"]], "Live", "ended"),
        (vec![["status", "odd"], ["room", "r"]], "open", "closed"),
        (vec![["room", "r"], ["title", "t"]], "live", "ended"),
        (vec![], "live", "ended"),
    ] {
        let tags: Vec<&[&str]> = list.iter().map(<[&str; 2]>::as_slice).collect();
        let event = event(&tags);
        let status = |event: UnsignedEvent| texts(&event).iter().find(|tag| tag[0] == "status").unwrap()[1].to_owned();
        assert_eq!(status(event.rewrite(Clock::default()).set_open().build()), open, "{list:?}");
        assert_eq!(status(event.rewrite(Clock::default()).set_over().build()), over, "{list:?}");
    }
}

#[test]
fn a_new_version_is_newer_even_when_the_clock_is_behind() {
    let behind = Clock { offset_ms: -10_000_000_000 };
    let old = event(&[]);
    let next = old.rewrite(behind).build();
    assert_eq!(next.created_at, old.event().created_at + 1);
}

#[test]
fn an_heir_takes_over_and_the_old_one_points_to_it() {
    let clock = Clock::default();
    let relay = RelayUrl::parse("wss://r.example").unwrap();
    let keys = Keys::generate();
    let of = |unsigned: UnsignedEvent| RoomEvent::new(unsigned.sign_with_keys(&keys).unwrap()).unwrap();
    let guest = keys.public_key().to_hex();
    let tags: [&[&str]; 6] = [
        &["title", "Weekly"],
        &["p", &guest, "", "speaker"],
        &["status", "ended"],
        &["service", "https://old.example/api/v1/nests"],
        &["ends", "1"],
        &["a", "30312:x:y"],
    ];
    let old = RoomEvent::new(room(&keys, "old:id", 5, &tags)).unwrap();

    let successor =
        old.successor_with(&RoomId::new("new").unwrap(), Some(&relay), clock).set_api(&ApiUrl::parse(API).unwrap());
    let successor = of(successor.set_streaming(["wss+livekit://a.example"]).build());
    assert_eq!((successor.id().as_str(), successor.title(), successor.status()), ("new", Some("Weekly"), Status::Live));
    assert_eq!((successor.service(), successor.streaming()), (Some(API), vec!["wss+livekit://a.example"]));
    assert_eq!((successor.people().len(), successor.ends()), (1, None));
    assert!((clock.now_s() - successor.starts().unwrap()) < 60);
    assert_eq!((successor.predecessor(), successor.successor()), (Some(old.coordinate()), None));

    let last = of(old.superseded_by(&successor.coordinate(), Some(&relay), clock).build());
    assert_eq!((last.id(), last.status(), last.successor()), (old.id(), Status::Ended, Some(successor.coordinate())));
    assert!(last.replaces(&old) && !old.replaces(&last));
    assert_eq!(last.event().tags.iter().filter(|tag| tag.as_slice()[0] == "a").count(), 2);

    // The successor of an successor has one pointer back, and the second superseded_by one pointer on.
    let third = of(successor.successor_with(&RoomId::new("third").unwrap(), None, clock).build());
    assert_eq!(third.predecessor(), Some(successor.coordinate()));
    assert_eq!(third.event().tags.iter().filter(|tag| tag.as_slice()[0] == "a").count(), 2);
    let again = of(last.superseded_by(&third.coordinate(), None, clock).build());
    assert_eq!(again.successor(), Some(third.coordinate()));
}

/// What `set_live` and `set_moq` make of these tags. `{now}` and `{later}` stand for times.
fn made_live(list: &[&[&str]], moq: bool) -> Vec<Vec<String>> {
    let clock = Clock::default();
    let now = clock.now_s();
    let times = [("{now}", now.to_string()), ("{later}", (now + 3600).to_string())];
    let list: Vec<Vec<String>> = list
        .iter()
        .map(|tag| tag.iter().map(|text| times.iter().fold((*text).to_owned(), |t, (k, v)| t.replace(k, v))).collect())
        .collect();
    let list: Vec<Vec<&str>> = list.iter().map(|tag| tag.iter().map(String::as_str).collect()).collect();
    let old = event(&list.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let live = old.rewrite(clock).set_live();
    let next = if moq { live.set_moq("https://moq.example/", "https://auth.example") } else { live }.build();
    assert!(next.created_at > old.event().created_at);
    let offset = |text: &str| text.parse().map_or(-1, |at: i64| at - now);
    let shorten = |text: &str| match offset(text) {
        0..60 => "{now}".to_owned(),
        3600..3660 => "{later}".to_owned(),
        _ => text.to_owned(),
    };
    texts(&next)[1..].iter().map(|tag| tag.iter().map(|text| shorten(text)).collect()).collect()
}

#[test]
fn a_nest_on_media_over_quic_is_live_in_the_words_that_clients_read() {
    let cases: [(Tags, Tags); 9] = [
        (&[&["status", "live", "x"], &["starts", "1000"]], &[&["status", "live", "x"], &["starts", "1000"]]),
        (&[&["status", "Live"], &["starts", "{now}"]], &[&["status", "live"], &["starts", "{now}"]]),
        (
            &[&["status", "planned"], &["starts", "{later}"], &["ends", "{later}"]],
            &[&["status", "live"], &["starts", "{now}"], &["ends", "{later}"]],
        ),
        (
            &[&["ends", "1000"], &["x", "y"], &["status", "closed"], &["status", "live"], &["starts", "soon"]],
            &[&["x", "y"], &["status", "live"], &["starts", "{now}"]],
        ),
        (
            &[&["room", "Weekly", "more"], &["summary", " "], &["p", "k", "", "host", "proof"]],
            &[
                &["title", "Weekly"],
                &["summary", " "],
                &["p", "k", "", "host", "proof"],
                &["starts", "{now}"],
                &["status", "live"],
            ],
        ),
        (
            &[&["title", "A", "b"], &["room", "A"], &["room", "B"], &["starts", "1"], &["status", "live"]],
            &[&["title", "A", "b"], &["room", "B"], &["starts", "1"], &["status", "live"]],
        ),
        (
            &[
                &["relays", "wss://a", "nonsense"],
                &["t", "x"],
                &["relays"],
                &["relays", "wss://b", "wss://a"],
                &["starts", "1"],
                &["status", "live"],
            ],
            &[&["relays", "wss://a", "nonsense", "wss://b"], &["t", "x"], &["starts", "1"], &["status", "live"]],
        ),
        (
            &[&["relays", "wss://a", "wss://a"], &["starts", "1"], &["status", "live"]],
            &[&["relays", "wss://a", "wss://a"], &["starts", "1"], &["status", "live"]],
        ),
        (&[], &[&["starts", "{now}"], &["status", "live"]]),
    ];
    for (old, new) in cases {
        assert_eq!(made_live(old, false), new, "{old:?}");
    }
    // From LiveKit to Media over QUIC, and from the names of EGG-01's drafts.
    let livekit: [&[&str]; 6] = [
        &["room", "Weekly"],
        &["service", API],
        &["streaming", "wss+livekit://a.example"],
        &["x", ""],
        &["streaming", "wss+livekit://b.example"],
        &["status", "private"],
    ];
    let (relay, auth) = (&["streaming", "https://moq.example/"][..], &["auth", "https://auth.example"][..]);
    let (starts, status) = (&["starts", "{now}"][..], &["status", "live"][..]);
    let private = &["status", "private"][..];
    assert_eq!(made_live(&livekit, true), [&["title", "Weekly"], auth, relay, &["x", ""], private, starts]);
    let draft: [&[&str]; 4] =
        [&["status", "open"], &["endpoint", "https://a"], &["auth", "https://b"], &["service", "https://c"]];
    assert_eq!(made_live(&draft, true), [status, relay, auth, starts]);
    assert_eq!(made_live(&[], true), [starts, status, relay, auth]);
}

#[test]
fn a_nest_on_media_over_quic_ends_in_the_word_that_clients_read() {
    let status = |event: UnsignedEvent| texts(&event).iter().find(|tag| tag[0] == "status").unwrap()[1].to_owned();
    let quic = event(&[&["room", "W"], &["status", "open"], &["streaming", "https://moq.example"]]);
    assert_eq!(status(quic.rewrite(Clock::default()).set_over().build()), "ended");
    let moved = event(&[&["room", "W"], &["status", "open"]]).rewrite(Clock::default());
    assert_eq!(status(moved.set_moq("https://moq.example", "https://auth.example").set_over().build()), "ended");
}

#[test]
fn another_spelling_is_the_same_relay() {
    for (one, other) in [
        ("https://moq.example:4443", "https://moq.example:4443/"),
        ("https://moq.example", "https://moq.example/"),
        ("https://moq.example/a", "https://moq.example/a/"),
    ] {
        assert_eq!(other_spelling(one).as_deref(), Some(other));
        assert_eq!(other_spelling(other).as_deref(), Some(one));
    }
    for none in [
        "https://",
        "http://moq.example",
        "wss://moq.example",
        "moq.example",
        "https://m.example?a=/",
        "https://m.example/#a",
        "",
    ] {
        assert_eq!(other_spelling(none), None, "{none}");
    }
}

const NAMES: [&str; 17] = [
    "d",
    "room",
    "title",
    "status",
    "service",
    "endpoint",
    "streaming",
    "relays",
    "p",
    "starts",
    "ends",
    "image",
    "summary",
    "t",
    "a",
    "auth",
    "x",
];

fn any_tag() -> impl Strategy<Value = Vec<String>> {
    let word = prop_oneof![
        any::<String>(),
        proptest::sample::select(vec!["open", "closed", "live", "ended", "wss://r.example", API, "1795400000", "-1"])
            .prop_map(str::to_owned),
    ];
    (proptest::sample::select(&NAMES[..]), proptest::collection::vec(word, 0..5))
        .prop_map(|(name, rest)| std::iter::once(name.to_owned()).chain(rest).collect())
}

fn unsigned_room(list: &[Vec<String>], created_at: u64) -> RoomEvent {
    let author = PublicKey::from_byte_array([1; 32]);
    let mut all = tags(&[&["d", "weekly"]]);
    all.extend(list.iter().map(|tag| Tag::parse(tag).unwrap()));
    let signature = room(&Keys::generate(), "x", 0, &[]).sig;
    let kind = Kind::from(30312);
    RoomEvent::new(Event::new(EventId::all_zeros(), author, Timestamp::from(created_at), kind, all, "", signature))
        .unwrap()
}

proptest! {
    #[test]
    fn any_tags_are_read_without_a_panic(list in proptest::collection::vec(any_tag(), 0..12), at in any::<u64>(), now in any::<i64>()) {
        let event = unsigned_room(&list, at);
        let _ = (event.title(), event.summary(), event.image(), event.topics(), event.status(), event.people());
        let _ = (event.api(), event.streaming(), event.relays(), event.starts(), event.ends(), event.media_over_quic());
        let _ = (event.successor(), event.predecessor(), event.reference(), event.replaces(&event));
        prop_assert!(!(event.is_open(now) && event.is_over(now)));
        prop_assert!(event.naddr(&event.relays()).is_some());
    }

    #[test]
    fn any_tags_are_kept(list in proptest::collection::vec(any_tag(), 0..12), at in 0..u64::MAX) {
        let event = unsigned_room(&list, at);
        let kept = |tags: Vec<Vec<&str>>| -> Vec<Vec<String>> {
            let changed = ["d", "status", "streaming", "service", "endpoint", "starts", "ends", "a"];
            let kept = tags.into_iter().filter(|tag| !changed.contains(&tag[0]));
            let proof = |tag: &[&str]| if tag[0] == "p" { 4 } else { tag.len() };
            kept.map(|tag| tag[..proof(&tag).min(tag.len())].iter().map(|&text| text.to_owned()).collect()).collect()
        };
        let same = event.rewrite(Clock::default()).build();
        prop_assert_eq!(&same.tags, &event.event().tags);
        prop_assert!(same.created_at > event.event().created_at);

        let base = ApiUrl::parse(API).unwrap();
        let changed = event.rewrite(Clock::default()).set_open().set_streaming(["wss://s"]).set_api(&base);
        let changed = changed.build();
        prop_assert_eq!(kept(texts(&changed)), kept(texts(&same)));
        let successor = event.successor_with(&RoomId::new("new").unwrap(), None, Clock::default()).build();
        prop_assert_eq!(kept(texts(&successor)), kept(texts(&same)));
        let last = event.superseded_by(&event.coordinate(), None, Clock::default()).build();
        prop_assert_eq!(kept(texts(&last)), kept(texts(&same)));
        prop_assert!(last.tags.iter().any(|tag| Status::parse(tag.content().unwrap_or_default()).is_over()));

        let live = event.rewrite(Clock::default()).set_live().set_moq("https://moq.example", "https://auth.example").build();
        let changed = ["title", "room", "relays", "auth"];
        let others = |tags| kept(tags).into_iter().filter(|tag| !changed.contains(&tag[0].as_str())).collect::<Vec<_>>();
        prop_assert_eq!(others(texts(&live)), others(texts(&same)));
        let live = unsigned_room(&live.tags.iter().map(|tag| tag.as_slice().to_vec()).collect::<Vec<_>>(), at);
        prop_assert_eq!((live.status(), live.title()), (Status::Live, event.title()));
        prop_assert_eq!(live.relays(), event.relays());
        let media = MediaOverQuic { relay: Some("https://moq.example"), auth: Some("https://auth.example") };
        prop_assert_eq!(live.media_over_quic(), Some(media));
    }
}
