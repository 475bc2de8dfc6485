//! One nest's event, and all of a host, from several relays at once.

use std::time::{Duration, Instant};

use nostr::{Keys, RelayUrl};
use nostr_nests::relay::gather::may_lead_to;
use nostr_nests::relay::{Asked, RelayError, RelayTrouble};
use nostr_relay_builder::RelayBuilder;
use nostr_relay_builder::builder::{RelayBuilderNip42, RelayBuilderNip42Mode};

use crate::support::relays::*;

fn troubles(asked: &Asked) -> Vec<(&RelayUrl, &RelayTrouble)> {
    asked.failed.iter().map(|failed| (&failed.relay, &failed.trouble)).collect()
}

#[tokio::test]
async fn the_newest_version_wins_wherever_it_is() {
    let host = Keys::generate();
    let old = room(&host, "weekly", 100, &[&["status", "closed"]]);
    let new = room(&host, "weekly", 5, &[&["status", "open"]]);
    let other = room(&host, "other", 1, &[]);
    let (_a, with_old) = relay(&[&old, &other]).await;
    let (_b, with_new) = relay(&[&new]).await;
    let (_c, with_none) = relay(&[&other]).await;

    let found = relays(&[&with_old, &with_new, &with_none]).fetch(&coordinate(host.public_key(), "weekly")).await;

    let found = found.unwrap();
    let room = found.room.unwrap();
    assert_eq!(room.event.event(), &new);
    assert_eq!((room.seen_on, room.stale_on), (vec![with_new.clone()], vec![with_old.clone()]));
    assert_eq!(found.asked.answered, [with_old, with_new, with_none]);
    assert!(found.asked.failed.is_empty() && found.asked.unheard.is_empty());
}

#[tokio::test]
async fn at_the_same_second_the_lower_id_wins() {
    let host = Keys::generate();
    let one = room(&host, "weekly", 5, &[&["title", "one"]]);
    let two = room(&host, "weekly", 5, &[&["title", "two"]]);
    let (_a, a) = relay(&[&one]).await;
    let (_b, b) = relay(&[&two]).await;

    let found = relays(&[&a, &b]).fetch(&coordinate(host.public_key(), "weekly")).await.unwrap();

    let winner = if one.id < two.id { one } else { two };
    assert_eq!(found.room.unwrap().event.event(), &winner);
}

#[tokio::test]
async fn a_relay_that_is_down_is_a_warning() {
    let host = Keys::generate();
    let event = room(&host, "a:b ü", 5, &[]);
    let (_up, up) = relay(&[&event]).await;
    let (_down, down) = dead();

    let found = relays(&[&down, &up]).fetch(&coordinate(host.public_key(), "a:b ü")).await.unwrap();

    assert_eq!(found.room.unwrap().event.id().as_str(), "a:b ü");
    assert_eq!(found.asked.answered, [up]);
    assert_eq!(troubles(&found.asked), [(&down, &RelayTrouble::Unreachable("Connection refused".into()))]);
}

#[tokio::test]
async fn nobody_has_it_is_not_the_same_as_nobody_answers() {
    let host = Keys::generate().public_key();
    let (_up, up) = relay(&[]).await;
    let (_down, down) = dead();

    let found = relays(&[&down, &up]).fetch(&coordinate(host, "weekly")).await.unwrap();
    assert_eq!((found.room, found.asked.answered), (None, vec![up]));

    let started = Instant::now();
    let failed = relays(&[&down]).fetch(&coordinate(host, "weekly")).await.unwrap_err();
    assert!(matches!(&failed, RelayError::AllFailed(failed) if failed.len() == 1), "{failed}");
    assert!(started.elapsed() < Duration::from_secs(5));
    assert_eq!(relays(&[]).list_of(host).await.unwrap_err(), RelayError::NoRelays);
}

#[tokio::test]
async fn one_that_never_answers_is_waited_for_only_as_long_as_it_matters() {
    let host = Keys::generate();
    let event = room(&host, "weekly", 5, &[]);
    let (_up, up) = relay(&[&event]).await;
    let mute = mute().await;
    let deaf = stub(|_| (Vec::new(), Then::Listen)).await;
    let wanted = coordinate(host.public_key(), "weekly");

    let started = Instant::now();
    let found = relays(&[&mute, &deaf, &up]).fetch(&wanted).await.unwrap();
    assert!(found.room.is_some() && started.elapsed() < Duration::from_secs(5));
    assert_eq!(found.asked.unheard, [mute.clone(), deaf.clone()]);
    assert!(found.asked.failed.is_empty());

    let started = Instant::now();
    let listed = relays(&[&mute, &up]).list_of(host.public_key()).await.unwrap();
    assert!(listed.rooms.len() == 1 && started.elapsed() < Duration::from_secs(5));

    let limit = Duration::from_millis(300);
    let silent = relays_within(limit, &[&mute, &deaf]).fetch(&wanted).await.unwrap_err();
    let RelayError::AllFailed(failed) = silent else { panic!("{silent}") };
    assert!(failed.len() == 2 && failed.iter().all(|failed| failed.trouble == RelayTrouble::Silent(limit)));
}

#[tokio::test]
async fn an_event_counts_even_if_the_relay_never_says_that_it_is_all() {
    let host = Keys::generate();
    let event = room(&host, "weekly", 5, &[]);
    let sent = event.clone();
    let endless = stub(move |text| match subscription(text) {
        Some(id) => (vec![json(&serde_json::json!(["EVENT", id, sent]))], Then::Listen),
        None => (Vec::new(), Then::Listen),
    })
    .await;

    let found = relays(&[&endless]).fetch(&coordinate(host.public_key(), "weekly")).await.unwrap();

    assert_eq!(found.room.unwrap().event.event(), &event);
    assert_eq!(found.asked.unheard, [endless]);
}

#[tokio::test]
async fn what_is_not_found_is_looked_for_on_the_hosts_own_relays() {
    let host = Keys::generate();
    let event = room(&host, "weekly", 5, &[]);
    let (_home, home) = relay(&[&event]).await;
    let (_reads, reads) = relay(&[&event]).await;
    let list = tags(&[&["r", home.as_str(), "write"], &["r", reads.as_str(), "read"], &["r", "nonsense"]]);
    let outbox = signed(&host, 10002, 50, list);
    let (_known, known) = relay(&[&outbox]).await;
    let wanted = coordinate(host.public_key(), "weekly");

    let found = relays(&[&known]).fetch(&wanted).await.unwrap();
    assert_eq!(found.room.unwrap().seen_on, std::slice::from_ref(&home));
    assert_eq!(found.asked.answered, [known.clone(), home.clone()]);

    // Not needed for one that is found.
    let (_both, both) = relay(&[&outbox, &event]).await;
    assert_eq!(relays(&[&both]).fetch(&wanted).await.unwrap().asked.answered, [both]);
    // Always needed for a list.
    assert_eq!(relays(&[&known]).list_of(host.public_key()).await.unwrap().asked.answered, [known, home]);
}

#[tokio::test]
async fn a_relay_that_wants_to_know_who_asks_is_told_if_there_is_a_signer() {
    let host = Keys::generate();
    let event = room(&host, "weekly", 5, &[]);
    let nip42 = RelayBuilderNip42 { mode: RelayBuilderNip42Mode::Both };
    let (_relay, url) = relay_with(RelayBuilder::default().nip42(nip42), &[&event]).await;
    let wanted = coordinate(host.public_key(), "weekly");

    let refused = relays(&[&url]).fetch(&wanted).await.unwrap_err();
    let RelayError::AllFailed(failed) = &refused else { panic!("{refused}") };
    assert!(matches!(&failed[0].trouble, RelayTrouble::AuthRequired(_)), "{refused}");

    let mut settings = settings(Duration::from_secs(20));
    settings.signer = Some(signer(&host));
    let relays = nostr_nests::relay::Relays::new([url], settings);
    assert_eq!(relays.fetch(&wanted).await.unwrap().room.unwrap().event.event(), &event);
    assert_eq!(relays.list_of(host.public_key()).await.unwrap().rooms.len(), 1);
}

#[tokio::test]
async fn a_list_has_each_nest_once_newest_first() {
    let host = Keys::generate();
    let mut old: Vec<_> = (0..200).map(|n| room(&host, &format!("nest-{n}"), 1000 - n, &[])).collect();
    let new = room(&host, "nest-7", 1, &[&["title", "seven"]]);
    let foreign = room(&Keys::generate(), "foreign", 1, &[]);
    old.push(foreign);
    let (_a, a) = relay(&old.iter().collect::<Vec<_>>()).await;
    let (_b, b) = relay(&[&new]).await;

    let started = Instant::now();
    let listed = relays(&[&a, &b]).list_of(host.public_key()).await.unwrap();

    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    assert_eq!(listed.rooms.len(), 200);
    assert_eq!(listed.rooms[0].event.title(), Some("seven"));
    assert_eq!((&listed.rooms[0].seen_on, &listed.rooms[0].stale_on), (&vec![b], &vec![a]));
    assert!(listed.rooms.is_sorted_by_key(|room| std::cmp::Reverse(room.event.created_at())));
}

#[test]
fn a_list_from_elsewhere_does_not_lead_to_this_machine() {
    let relay = |url: &str| RelayUrl::parse(url).unwrap();
    for (from, to, allow_http, expected) in [
        ("wss://far.example", "wss://other.example", false, true),
        ("wss://far.example", "ws://other.example", false, false),
        ("wss://far.example", "ws://other.example", true, true),
        ("wss://far.example", "ws://127.0.0.1:6379", true, false),
        ("wss://far.example", "wss://localhost", false, false),
        ("ws://127.0.0.1:7777", "ws://[::1]:7778", false, true),
    ] {
        assert_eq!(may_lead_to(&relay(from), &relay(to), allow_http), expected, "{from} {to}");
    }
}
