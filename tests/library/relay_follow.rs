//! Relays that are followed: nostr-sdk keeps the connections, on a transport that does without its traps.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nostr::{Event, Filter, Keys, Kind, RelayUrl};
use nostr_nests::net::relay::follow::{Follower, Heard};
use nostr_nests::relay::{RelaySettings, RelayTrouble};
use nostr_nests::room::ROOM_KIND;
use serde_json::json as value;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use crate::support::relays::*;

async fn follow(list: &[&RelayUrl], settings: RelaySettings) -> Follower {
    let filter = Filter::new().kind(Kind::from(ROOM_KIND));
    Follower::new(list.iter().copied().cloned().collect(), vec![filter], settings).await
}

/// What is heard until all of the relays have told what they have, so many times together.
async fn heard(follower: &mut Follower, stored: usize) -> Vec<(RelayUrl, Heard)> {
    let mut all = Vec::new();
    while all.iter().filter(|(_, heard)| *heard == Heard::Stored).count() < stored {
        let next = timeout(Duration::from_secs(30), follower.next()).await;
        all.push(next.unwrap_or_else(|_| panic!("nothing more after {all:?}")));
    }
    all
}

fn events(heard: &[(RelayUrl, Heard)]) -> Vec<&Event> {
    let event = |(_, heard): &'_ (RelayUrl, Heard)| matches!(heard, Heard::Event(_));
    let events = heard.iter().filter(|heard| event(heard));
    events.map(|(_, heard)| if let Heard::Event(event) = heard { &**event } else { unreachable!() }).collect()
}

fn in_time() -> RelaySettings {
    settings(Duration::from_secs(20))
}

/// What a relay sends in answer to a request, before `EOSE`.
async fn relay_of(answer: impl Fn(usize, &str) -> (Vec<serde_json::Value>, Then) + Send + Sync + 'static) -> RelayUrl {
    let requests = AtomicUsize::new(0);
    stub(move |text| {
        let Some(id) = subscription(text) else { return (Vec::new(), Then::Listen) };
        let (messages, then) = answer(requests.fetch_add(1, Ordering::SeqCst), &id);
        (messages.iter().map(json).collect(), then)
    })
    .await
}

/// nostr-sdk takes an id that it has verified for a proof, whatever else is in the event.
#[tokio::test]
async fn a_forgery_under_a_known_id_is_named_and_left_out() {
    let host = Keys::generate();
    let event = room(&host, "weekly", 5, &[&["status", "open"]]);
    let mut copy = serde_json::to_value(&event).unwrap();
    copy["tags"][1][1] = "closed".into();
    let copy: Event = serde_json::from_value(copy).unwrap();
    assert_eq!(event.id, copy.id);
    let (honest, liar) = (teller(&[&event]).await, teller(&[&event, &copy, &copy]).await);

    let heard = heard(&mut follow(&[&honest, &liar], in_time()).await, 2).await;

    assert_eq!(events(&heard), [&event, &event]);
    let forging: Vec<_> = heard.iter().filter(|(_, heard)| *heard == Heard::Forged).collect();
    assert_eq!(forging, [&(liar, Heard::Forged)]);
}

/// nostr-sdk drops it without a word (NIP-40).
#[tokio::test]
async fn an_event_that_has_expired_is_told() {
    let event = room(&Keys::generate(), "weekly", 5, &[&["expiration", "1700000000"]]);
    let relay = teller(&[&event]).await;
    assert_eq!(events(&heard(&mut follow(&[&relay], in_time()).await, 1).await), [&event]);
}

/// nostr-sdk's ring loses what is not read in time.
#[tokio::test]
async fn nothing_is_lost_however_slowly_it_is_read() {
    let event = room(&Keys::generate(), "weekly", 5, &[]);
    let told = event.clone();
    let relay = relay_of(move |_, id| {
        let mut messages = vec![value!(["NOTICE", "x"]); 30_000];
        messages.extend(vec![value!(["EVENT", id, told]); 1_000]);
        messages.push(value!(["EOSE", id]));
        (messages, Then::Listen)
    })
    .await;
    let mut follower = follow(&[&relay], in_time()).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(events(&heard(&mut follower, 1).await).len(), 1_000);
}

#[tokio::test]
async fn a_flood_ends_the_connection() {
    let relay = relay_of(|_, _| (vec![value!(["NOTICE", "x".repeat(900_000)]); 40], Then::Listen)).await;
    let mut follower = follow(&[&relay], in_time()).await;
    assert_eq!(follower.next().await.1, Heard::Connected);
    assert_eq!(follower.next().await.1, Heard::Trouble(RelayTrouble::TooMuch));
}

/// nostr-sdk would answer any challenge, and show the key to every relay that sends one.
#[tokio::test]
async fn nobody_is_told_who_asks_unless_it_refuses_to_answer_without() {
    let host = Keys::generate();
    let event = room(&host, "weekly", 5, &[]);
    let (curious, strict) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Vec::new())));
    let relay = async |log: Arc<Mutex<Vec<String>>>, refuses: bool| {
        let event = event.clone();
        stub(move |text| {
            let kind = serde_json::from_str::<serde_json::Value>(text).unwrap()[0].as_str().unwrap().to_owned();
            let known = log.lock().unwrap().contains(&"AUTH".to_owned());
            log.lock().unwrap().push(kind);
            let Some(id) = subscription(text) else { return (Vec::new(), Then::Listen) };
            let answer = if refuses && !known {
                vec![value!(["AUTH", "prove it"]), value!(["CLOSED", id, "auth-required: members only"])]
            } else {
                vec![value!(["AUTH", "prove it"]), value!(["EVENT", id, event]), value!(["EOSE", id])]
            };
            (answer.iter().map(json).collect(), Then::Listen)
        })
        .await
    };
    let list = [relay(curious.clone(), false).await, relay(strict.clone(), true).await];
    let signing = RelaySettings { signer: Some(signer(&host)), ..in_time() };

    let heard = heard(&mut follow(&[&list[0], &list[1]], signing).await, 2).await;

    assert_eq!(events(&heard), [&event, &event]);
    assert_eq!(
        (&**curious.lock().unwrap(), &**strict.lock().unwrap()),
        (&["REQ".into()][..], &["REQ".into(), "AUTH".into(), "REQ".into()][..])
    );
    let mut unknown = follow(&[&list[1]], in_time()).await;
    strict.lock().unwrap().clear();
    assert_eq!(unknown.next().await.1, Heard::Connected);
    let why = RelayTrouble::AuthRequired("auth-required: members only".into());
    assert_eq!(unknown.next().await.1, Heard::Trouble(why));
}

/// Each refusal once became a question of its own, a minute later.
#[tokio::test]
async fn refusals_without_end_are_one() {
    let relay = relay_of(|_, id| {
        let mut messages = vec![value!(["NOTICE", "error: not now"]); 500];
        messages.push(value!(["EOSE", id]));
        (messages, Then::Listen)
    })
    .await;
    let heard = heard(&mut follow(&[&relay], in_time()).await, 1).await;
    let heard: Vec<_> = heard.into_iter().map(|(_, heard)| heard).collect();
    let refused = Heard::Trouble(RelayTrouble::Refused("error: not now".into()));
    assert_eq!(heard, [Heard::Connected, refused, Heard::Stored]);
}

/// A relay that refuses however often it is told who asks would otherwise have the key sign without end.
#[tokio::test]
async fn the_key_answers_once_a_connection() {
    let said = Arc::new(Mutex::new(Vec::new()));
    let log = said.clone();
    let relay = stub(move |text| {
        let kind = serde_json::from_str::<serde_json::Value>(text).unwrap()[0].as_str().unwrap().to_owned();
        log.lock().unwrap().push(kind);
        let Some(id) = subscription(text) else { return (Vec::new(), Then::Listen) };
        let answer = [value!(["AUTH", "prove it"]), value!(["CLOSED", id, "auth-required: once more"])];
        (answer.iter().map(json).collect(), Then::Listen)
    })
    .await;
    let signing = RelaySettings { signer: Some(signer(&Keys::generate())), ..in_time() };
    let mut follower = follow(&[&relay], signing).await;
    assert_eq!(follower.next().await.1, Heard::Connected);
    let refused = RelayTrouble::Refused("auth-required: once more".into());
    assert_eq!(follower.next().await.1, Heard::Trouble(refused));
    assert_eq!(*said.lock().unwrap(), ["REQ", "AUTH", "REQ"]);
}

#[tokio::test]
async fn what_a_relay_may_send_does_not_begin_anew_with_a_connection() {
    let relay = relay_of(|_, _| (vec![value!(["NOTICE", "x".repeat(900_000)]); 10], Then::HangUp)).await;
    let mut follower = follow(&[&relay], in_time()).await;
    assert_eq!(follower.next().await.1, Heard::Connected);
    assert!(matches!(follower.next().await.1, Heard::Trouble(RelayTrouble::ConnectionLost(_))));
    assert_eq!(follower.next().await.1, Heard::Connected);
    assert_eq!(follower.next().await.1, Heard::Trouble(RelayTrouble::TooMuch));
}

/// Nobody has to ask for a pong (RFC 6455, 5.5.3). nostr-sdk ends the connection with one that it has not asked for.
#[tokio::test]
async fn a_pong_that_nobody_asked_for_does_no_harm() {
    let event = room(&Keys::generate(), "weekly", 5, &[]);
    let told = event.clone();
    let relay = stub(move |text| {
        let Some(id) = subscription(text) else { return (Vec::new(), Then::Listen) };
        let mut messages = vec![Message::Pong(vec![7; 8].into()), Message::Pong(b"hello".as_slice().into())];
        messages.extend([value!(["EVENT", id, told]), value!(["EOSE", id])].iter().map(json));
        (messages, Then::Listen)
    })
    .await;
    let heard = heard(&mut follow(&[&relay], in_time()).await, 1).await;
    assert_eq!(
        heard,
        [(relay.clone(), Heard::Connected), (relay.clone(), Heard::Event(Box::new(event))), (relay, Heard::Stored)]
    );
}

#[tokio::test]
async fn a_relay_that_comes_back_is_asked_again() {
    let event = room(&Keys::generate(), "weekly", 5, &[]);
    let told = event.clone();
    let relay = relay_of(move |request, id| match request {
        0 => (vec![value!(["EOSE", id])], Then::HangUp),
        // nostr-sdk forgets a question that is refused like this.
        1 => (vec![value!(["CLOSED", id, "error: shutting down"])], Then::HangUp),
        _ => (vec![value!(["EVENT", id, told]), value!(["EOSE", id])], Then::Listen),
    })
    .await;
    let started = Instant::now();
    let heard = heard(&mut follow(&[&relay], in_time()).await, 2).await;
    let heard: Vec<_> = heard.into_iter().map(|(_, heard)| heard).collect();
    let lost = Heard::Trouble(RelayTrouble::ConnectionLost(String::new()));
    let refused = Heard::Trouble(RelayTrouble::Refused("error: shutting down".into()));
    let expected = [
        Heard::Connected,
        Heard::Stored,
        lost.clone(),
        Heard::Connected,
        refused,
        lost,
        Heard::Connected,
        Heard::Event(Box::new(event)),
        Heard::Stored,
    ];
    assert_eq!(heard, expected);
    assert!(started.elapsed() > Duration::from_secs(2), "a relay that has gone is given time to come back");
}

/// nostr-sdk waits for a minute, and writes why it failed into its log only.
#[tokio::test]
async fn a_relay_that_cannot_be_reached_is_named_in_time() {
    let ((_held, dead), mute) = (dead(), mute().await);
    let limit = Duration::from_millis(500);
    let mut follower = follow(&[&dead, &mute], settings(limit)).await;
    let refused = follower.next().await;
    let silent = timeout(Duration::from_secs(5), follower.next()).await.unwrap();
    assert_eq!(refused, (dead, Heard::Trouble(RelayTrouble::Unreachable("Connection refused".into()))));
    assert_eq!(silent, (mute, Heard::Trouble(RelayTrouble::Silent(limit))));
}

/// A pool that is given up while it connects would stay connecting for ever: each has a pool of its own.
#[tokio::test]
async fn whoever_follows_again_begins_anew() {
    let event = room(&Keys::generate(), "weekly", 5, &[]);
    let relay = teller(&[&event]).await;
    for _ in 0..3 {
        drop(follow(&[&relay], in_time()).await);
    }
    assert_eq!(events(&heard(&mut follow(&[&relay], in_time()).await, 1).await), [&event]);
}
