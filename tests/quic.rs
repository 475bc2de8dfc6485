//! Nests on Media over QUIC have no audio room at a Nests API (field trouble 5).
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "support/nest.rs"]
mod nest;
#[path = "support/outside.rs"]
mod outside;

use nest::{Nest, mock};
use nostr_sdk::Event;
use outside::{Relay, coordinate, event, naddr};

fn quic(mock: &nostr_nests::server::Mock, id: &str, tags: &[&[&str]]) -> Event {
    let all: Vec<_> = [&["title", "Quic"][..], &["status", "live"]].into_iter().chain(tags.iter().copied()).collect();
    event(mock.host(), id, 9, &all)
}

#[test]
fn it_is_recognised_and_explained_by_every_command() {
    let mock = mock(&[]);
    let first = quic(&mock, "quic", &[&["streaming", "https://moq.example/anon"], &["auth", "https://auth.example"]]);
    let second = quic(&mock, "auth-only", &[&["auth", "https://auth.example"]]);
    let relay = Relay::with(vec![first.clone(), second.clone()]);
    for (args, room) in [
        (&["restart"][..], coordinate(&first)),
        (&["restart", "--if-inactive"], coordinate(&first)),
        (&["restart"], naddr(&second, &[&relay.url])),
        (&["recreate", "--yes"], coordinate(&first)),
    ] {
        // With the API known or not: it does not have the nest either way.
        for api in [None, Some(mock.api())] {
            let nest = Nest::new(&mock).without("NEST_API").env("NEST_RELAYS", &relay.url);
            let nest = if let Some(api) = api { nest.env("NEST_API", api) } else { nest };
            let output = nest.args(args).args([room.as_str(), "--json"]).run().expect(1);
            let error = &output.document()["error"];
            let message = error["message"].as_str().unwrap();
            assert!(message.contains("Media over QUIC"), "{args:?}: {error}");
            assert!(message.contains("moq.example") || message.contains("auth.example"), "{error}");
            assert_eq!(error["kind"], "failed");
        }
    }
    assert!(mock.room("quic").is_none() && mock.requests("/api/v1/nests") == 0);
    let nest = Nest::new(&mock).env("NEST_RELAYS", &relay.url).args(["restart", "--all-inactive"]);
    assert!(nest.run().expect(0).stderr.contains("nothing to restart"));
    let rows = Nest::new(&mock).env("NEST_RELAYS", &relay.url).args(["list", "--json"]).run().expect(0).documents();
    assert!(rows.len() == 2 && rows.iter().all(|row| row["state"] == "mediaOverQuic"), "{rows:?}");
}
