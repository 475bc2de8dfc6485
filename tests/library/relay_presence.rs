//! Who is in a nest, the host's own presence, and the host's list of servers.

use nostr::{Event, Keys, Timestamp, UnsignedEvent};
use nostr_nests::clock::Clock;
use nostr_nests::relay::presence::{PRESENCE_KIND, Presence, Presences, off_stage, on_stage};
use nostr_nests::relay::servers::{MoqServer, SERVERS_KIND, derived_auth, servers};

use crate::support::relays::{NOW, coordinate, signed, tags};

fn now() -> i64 {
    i64::try_from(NOW).unwrap()
}

/// A presence in the nest of this key, of this many seconds ago.
fn presence(who: &Keys, host: &Keys, age: u64, flags: &[&[&str]]) -> Event {
    let nest = coordinate(host.public_key(), "a:b").to_string();
    let tags = tags(&[&["a", &nest]]).into_iter().chain(tags(flags));
    signed(who, PRESENCE_KIND, age, tags.collect())
}

#[test]
fn a_presence_is_read_tolerantly() {
    let (host, who) = (Keys::generate(), Keys::generate());
    let read = |flags: &[&[&str]]| Presence::read(&presence(&who, &host, 7, flags)).unwrap();
    let full = read(&[&["hand", "1"], &["publishing", "0"], &["muted", "1"], &["onstage", "1"], &["onstage", "0"]]);
    assert_eq!((full.who, &full.nest), (who.public_key(), &coordinate(host.public_key(), "a:b")));
    assert_eq!((full.at_s, full.age_s(now())), (now() - 7, 7));
    assert_eq!((full.onstage, full.hand, full.publishing, full.muted), (true, true, false, true));
    let bare = read(&[&["hand", "true"], &["muted"], &["onstage", " 1"]]);
    assert_eq!((bare.onstage, bare.hand, bare.publishing, bare.muted), (false, false, false, false));

    let nest = coordinate(host.public_key(), "d").to_string();
    let of = |list: &[&[&str]]| Presence::read(&signed(&who, PRESENCE_KIND, 0, tags(list))).map(|p| p.nest.to_string());
    let meeting = nest.replace("30312", "30313");
    assert_eq!(of(&[&["a"], &["a", "nonsense"], &["a", &meeting], &["a", &nest, "wss://r.example"]]), Some(nest));
    assert_eq!(of(&[&["onstage", "1"]]), None);
}

#[test]
fn the_latest_of_each_key_counts_until_it_is_old() {
    let host = Keys::generate();
    let [first, second, third, fourth] = [(); 4].map(|()| Keys::generate());
    let mut presences = Presences::default();
    let mut enter = |who: &Keys, age: u64, flags: &[&[&str]]| {
        presences.enter(Presence::read(&presence(who, &host, age, flags)).unwrap(), now());
    };
    enter(&first, 10, &[&["onstage", "1"]]);
    enter(&first, 20, &[&["onstage", "0"]]);
    enter(&second, 299, &[&["hand", "1"]]);
    enter(&third, 300, &[&["onstage", "1"]]);
    enter(&fourth, 50, &[]);
    enter(&fourth, 5, &[]);
    let people = |now_s| presences.people(now_s).iter().map(|p| (p.who, p.age_s(now_s))).collect::<Vec<_>>();
    let [first, second, third, fourth] = [first, second, third, fourth].map(|keys| keys.public_key());
    assert_eq!(people(now()), [(first, 10), (second, 299), (fourth, 5)], "stage, hand, others");
    assert_eq!(people(now() - 1), [(first, 9), (third, 299), (second, 298), (fourth, 4)]);
    assert_eq!((presences.count(now()), presences.count(now() + 300)), (3, 0));
    assert_eq!((presences.last_s(false), presences.last_s(true)), (Some(now() - 5), Some(now() - 10)));

    presences.leave(&fourth);
    presences.leave(&first);
    assert_eq!((presences.last_s(false), presences.last_s(true)), (Some(now() - 299), Some(now() - 300)));
    assert_eq!((Presences::default().last_s(false), Presences::default().count(now())), (None, 0));
}

#[test]
fn one_that_is_dated_ahead_counts_no_longer_than_others() {
    let host = Keys::generate();
    let mut presences = Presences::default();
    let there = || Presence::read(&presence(&host, &host, 0, &[])).unwrap();
    presences.enter(there(), now() - 50);
    assert_eq!((presences.count(now() + 249), presences.count(now() + 250)), (1, 0));
    // So far ahead it says nothing about now.
    let mut presences = Presences::default();
    presences.enter(there(), now() - 100);
    assert_eq!(presences.count(now()), 0);
}

#[test]
fn the_host_is_on_stage_and_then_is_not() {
    let nest = coordinate(Keys::generate().public_key(), "weekly");
    let clock = Clock::default();
    let read = |unsigned: UnsignedEvent| {
        let texts: Vec<_> = unsigned.tags.iter().map(|tag| tag.as_slice().join(" ")).collect();
        (unsigned.pubkey, unsigned.kind.as_u16(), texts)
    };
    let tags = |onstage: &str| {
        [format!("a {nest}"), "hand 0".into(), "publishing 0".into(), "muted 1".into(), format!("onstage {onstage}")]
            .to_vec()
    };
    let on = on_stage(&nest, clock, None);
    assert!((0..60).contains(&(Timestamp::now().as_secs() - on.created_at.as_secs())));
    let off = off_stage(&nest, clock, Some(on.created_at + 500));
    assert_eq!(off.created_at, on.created_at + 501, "the relays keep the later one");
    assert_eq!(read(on), (nest.public_key, PRESENCE_KIND, tags("1")));
    assert_eq!(read(off), (nest.public_key, PRESENCE_KIND, tags("0")));
}

#[test]
fn servers_come_in_pairs() {
    let list: [&[&str]; 13] = [
        &["alt", "servers"],
        &["server", "https://moq.example:4443", "https://auth.example:8443"],
        &["server", "https://moq.example:4443/", "https://other.example"],
        &["relay", "https://moq.old.example:4443/path"],
        &["server", " https://live.example ", " "],
        &["server", "http://moq.example"],
        &["server", "wss://moq.example"],
        &["server", "https://10.0.0.1:4443"],
        &["server", "https://10.0.0.1:4443", "http://10.0.0.1"],
        &["server", "https://b.example", "ftp://b.example"],
        &["server", "nonsense", "https://auth.example"],
        &["server", ""],
        &["server"],
    ];
    let found = servers(&signed(&Keys::generate(), SERVERS_KIND, 0, tags(&list)));
    let pair = |relay: &str, auth: &str| MoqServer { relay: relay.into(), auth: auth.into() };
    assert_eq!(
        found,
        [
            pair("https://moq.example:4443", "https://auth.example:8443"),
            pair("https://moq.old.example:4443/path", "https://moq-auth.old.example"),
            pair("https://live.example", "https://moq-auth.live.example"),
            pair("https://10.0.0.1:4443", "http://10.0.0.1"),
        ]
    );
    let many: Vec<String> = (0..70).map(|n| format!("https://r{n}.example")).collect();
    let many: Vec<[&str; 2]> = many.iter().map(|url| ["server", url.as_str()]).collect();
    let many: Vec<&[&str]> = many.iter().map(<[&str; 2]>::as_slice).collect();
    assert_eq!(servers(&signed(&Keys::generate(), SERVERS_KIND, 0, tags(&many))).len(), 64);
}

#[test]
fn an_auth_service_is_derived_from_its_relay() {
    for (relay, auth) in [
        ("https://moq.nostrnests.com:4443", Some("https://moq-auth.nostrnests.com")),
        ("https://relay.example.com:4443/x?y", Some("https://moq-auth.relay.example.com")),
        ("https://MOQ.example.com", Some("https://moq-auth.example.com")),
        ("https://moqs.example.com", Some("https://moq-auth.moqs.example.com")),
        ("https://a.moq.example.com", Some("https://moq-auth.a.moq.example.com")),
        ("https://[::1]:4443", None),
        ("https://127.0.0.1", None),
        ("moq.example", None),
        ("", None),
    ] {
        assert_eq!(derived_auth(relay).as_deref(), auth, "{relay}");
    }
}
