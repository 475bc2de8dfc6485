//! Publishing an event: what each relay answers, and how one version follows another.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use nostr::util::BoxedFuture;
use nostr::{Event, Keys, RelayUrl};
use nostr_nests::clock::Clock;
use nostr_nests::relay::{Delivery, RelayTrouble, Relays, Status};
use nostr_relay_builder::RelayBuilder;
use nostr_relay_builder::builder::{PolicyResult, RelayBuilderNip42, RelayBuilderNip42Mode, WritePolicy};

use crate::support::relays::*;

fn outcomes(deliveries: &[Delivery]) -> Vec<(&RelayUrl, Result<(), &RelayTrouble>)> {
    deliveries.iter().map(|d| (&d.relay, d.outcome.as_ref().copied())).collect()
}

/// Takes nothing, and says so in words that a terminal and a log should not have.
#[derive(Debug)]
struct Closed;

impl WritePolicy for Closed {
    fn admit_event<'a>(&'a self, _: &'a Event, _: &'a SocketAddr) -> BoxedFuture<'a, PolicyResult> {
        Box::pin(async { PolicyResult::Reject("members only, not nsec1qqqqqqqqqqqqqqqq".into()) })
    }
}

#[tokio::test]
async fn each_relay_speaks_for_itself() {
    let host = Keys::generate();
    let event = room(&host, "weekly", 5, &[]);
    let (_open, open) = relay(&[]).await;
    let (_closed, closed) = relay_with(RelayBuilder::default().write_policy(Closed), &[]).await;
    let (_dead, dead) = dead();
    let mute = mute().await;
    let limit = Duration::from_secs(2);

    let started = Instant::now();
    let deliveries = relays_within(limit, &[&closed, &dead, &mute, &open]).publish(&event).await;

    assert!(started.elapsed() < Duration::from_secs(10));
    assert_eq!(
        outcomes(&deliveries),
        [
            (&closed, Err(&RelayTrouble::Refused("blocked: members only, not ***".into()))),
            (&dead, Err(&RelayTrouble::Unreachable("Connection refused".into()))),
            (&mute, Err(&RelayTrouble::Silent(limit))),
            (&open, Ok(())),
        ]
    );
    let found = relays(&[&open]).fetch(&coordinate(host.public_key(), "weekly")).await.unwrap();
    assert_eq!(found.room.unwrap().event.event(), &event);
    // Twice is once.
    assert!(relays(&[&open]).publish(&event).await[0].outcome.is_ok());
}

#[tokio::test]
async fn a_relay_that_takes_events_of_those_it_knows_is_told_who_asks() {
    let host = Keys::generate();
    let event = room(&host, "weekly", 5, &[]);
    let nip42 = RelayBuilderNip42 { mode: RelayBuilderNip42Mode::Write };
    let (_relay, url) = relay_with(RelayBuilder::default().nip42(nip42), &[]).await;

    let unknown = relays(&[&url]).publish(&event).await;
    assert!(matches!(unknown[0].outcome, Err(RelayTrouble::AuthRequired(_))), "{unknown:?}");

    let mut settings = settings(Duration::from_secs(20));
    settings.signer = Some(signer(&host));
    let known = Relays::new([url], settings.clone());
    assert_eq!(known.publish(&event).await[0].outcome, Ok(()));

    settings.signer =
        Some(nostr_nests::relay::Signer::new(host.public_key(), |_| Box::pin(async { Err("not today".into()) })));
    let unwilling = Relays::new(known.list().to_vec(), settings).publish(&room(&host, "other", 5, &[])).await;
    assert_eq!(unwilling[0].outcome, Err(RelayTrouble::NotSigned("not today".into())));
}

#[tokio::test]
async fn answers_that_are_not_by_the_book_are_understood() {
    let host = Keys::generate();
    let event = room(&host, "weekly", 5, &[]);
    let id = event.id.to_hex();
    for (answer, expected) in [
        (
            serde_json::json!(["OK", "", false, "invalid: too old"]),
            Err(RelayTrouble::Refused("invalid: too old".into())),
        ),
        (serde_json::json!(["OK", id, false, "duplicate: have it"]), Ok(())),
        (serde_json::json!(["OK", id, false, ""]), Err(RelayTrouble::Refused(String::new()))),
    ] {
        let other = serde_json::json!(["OK", "0".repeat(63) + "1", true, ""]);
        let url = stub(move |_| (vec![json(&other), json(&answer)], Then::Listen)).await;
        assert_eq!(relays(&[&url]).publish(&event).await[0].outcome, expected);
    }
}

#[tokio::test]
async fn a_relay_that_refuses_whoever_it_is_told_is_asked_only_twice() {
    let host = Keys::generate();
    let event = room(&host, "weekly", 5, &[]);
    let id = event.id.to_hex();
    let url = stub(move |text| {
        let message: serde_json::Value = serde_json::from_str(text).unwrap();
        let about = if message[0] == "AUTH" { message[1]["id"].as_str().unwrap().to_owned() } else { id.clone() };
        let challenge = serde_json::json!(["AUTH", "again"]);
        let verdict = serde_json::json!(["OK", about, message[0] == "AUTH", "auth-required: who are you"]);
        (vec![json(&challenge), json(&verdict)], Then::Listen)
    })
    .await;
    let mut settings = settings(Duration::from_secs(20));
    settings.signer = Some(signer(&host));

    let outcome = Relays::new([url], settings).publish(&event).await.remove(0).outcome;

    assert_eq!(outcome, Err(RelayTrouble::Refused("auth-required: who are you".into())));
}

#[tokio::test]
async fn the_next_version_goes_wherever_there_is_one() {
    let host = Keys::generate();
    let wanted = coordinate(host.public_key(), "weekly");
    let (_b, b) = relay(&[]).await;
    let old = room(&host, "weekly", 100, &[&["status", "ended"], &["relays", b.as_str()]]);
    let new = room(&host, "weekly", 5, &[&["status", "ended"], &["relays", b.as_str()]]);
    let (_a, a) = relay(&[&old]).await;
    let (_c, c) = relay(&[&new]).await;
    let relays = relays(&[&a, &c]);

    let room = relays.fetch(&wanted).await.unwrap().room.unwrap();
    assert_eq!(room.homes(), [c.clone(), a.clone(), b.clone()]);
    let next = room.event.rewrite(Clock::default()).set_open().build().sign_with_keys(&host).unwrap();
    let deliveries = relays.instead(room.homes()).publish(&next).await;
    assert!(deliveries.iter().all(|delivery| delivery.outcome.is_ok()), "{deliveries:?}");

    let everywhere = relays.also([b.clone()]).fetch(&wanted).await.unwrap().room.unwrap();
    assert_eq!((everywhere.event.status(), everywhere.seen_on.len()), (Status::Live, 3));
    assert!(everywhere.stale_on.is_empty());
}
