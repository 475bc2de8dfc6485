//! Relays in another implementation: `nostr-relay` of the Python index, in `target/tools/nostr-relay`.

use std::time::Duration;

use nostr::{Keys, RelayUrl};
use nostr_nests::clock::Clock;
use nostr_nests::relay::{RelayError, RelayTrouble, Relays, Status};

use crate::support::nostr_judge;
use crate::support::nostr_relay::{NostrRelay, RESTRICTED};
use crate::support::relays::*;

fn relays(server: &NostrRelay, signer: Option<&Keys>) -> Relays {
    let mut settings = settings(Duration::from_secs(30));
    settings.signer = signer.map(self::signer);
    Relays::new([RelayUrl::parse(&server.url).unwrap()], settings)
}

#[tokio::test]
#[ignore = "needs nostr-relay"]
async fn an_event_is_published_fetched_listed_and_replaced() {
    let server = NostrRelay::start("");
    let url = RelayUrl::parse(&server.url).unwrap();
    let relays = relays(&server, None);
    let host = Keys::generate();
    let wanted = coordinate(host.public_key(), "a:b ü");
    assert_eq!(relays.fetch(&wanted).await.unwrap().room, None);

    let first = room(&host, "a:b ü", 100, &[&["title", "Weekly"], &["status", "live"]]);
    let other = room(&host, "other", 50, &[&["room", "Other"], &["status", "open"]]);
    let foreign = room(&Keys::generate(), "a:b ü", 1, &[]);
    for event in [&first, &other, &foreign, &first] {
        assert_eq!(relays.publish(event).await[0].outcome, Ok(()));
    }
    let found = relays.fetch(&wanted).await.unwrap().room.unwrap();
    assert_eq!((found.event.event(), &found.seen_on), (&first, &vec![url]));

    let next = found.event.rewrite(Clock::default()).set_over().build().sign_with_keys(&host).unwrap();
    assert_eq!(relays.publish(&next).await[0].outcome, Ok(()));
    assert_eq!(nostr_judge::nest(&server.url, host.public_key(), "a:b ü"), next);
    let listed = relays.list_of(host.public_key(), |_| {}).await.unwrap();
    let rooms: Vec<_> = listed.rooms.iter().map(|room| (room.event.title(), room.event.status())).collect();
    assert_eq!(rooms, [(Some("Weekly"), Status::Ended), (Some("Other"), Status::Open)]);

    let forged: nostr::Event = {
        let mut value = serde_json::to_value(&other).unwrap();
        value["content"] = "changed".into();
        serde_json::from_value(value).unwrap()
    };
    let refused = relays.publish(&forged).await.remove(0).outcome;
    assert!(matches!(refused, Err(RelayTrouble::Refused(_))), "{refused:?}");
}

#[tokio::test]
#[ignore = "needs nostr-relay"]
async fn it_is_told_who_asks_when_it_restricts() {
    let server = NostrRelay::start(RESTRICTED);
    let host = Keys::generate();
    let event = room(&host, "weekly", 5, &[]);
    let wanted = coordinate(host.public_key(), "weekly");

    let unknown = relays(&server, None);
    let refused = RelayTrouble::Refused("restricted: permission denied".into());
    let Err(RelayError::AllFailed(failed)) = unknown.fetch(&wanted).await else { panic!() };
    assert_eq!(failed[0].trouble, refused);
    assert_eq!(unknown.publish(&event).await[0].outcome, Err(refused.clone()));
    // A key that it does not know either.
    assert_eq!(relays(&server, Some(&Keys::generate())).publish(&event).await[0].outcome, Err(refused));

    server.admit(&host.public_key().to_hex());
    let known = relays(&server, Some(&host));
    assert_eq!(known.publish(&event).await[0].outcome, Ok(()));
    assert_eq!(known.fetch(&wanted).await.unwrap().room.unwrap().event.event(), &event);
}
