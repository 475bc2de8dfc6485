//! `nest restart --publish-status`: the event says again that the nest is open, and where.

use nostr_nests::server::Mock;

use crate::support::nest::{Nest, mock};
use crate::support::nostr_client::{
    NostrClient, Relay, coordinate, event, naddr, now, remember, tags_without, value, values,
};

fn endpoint(mock: &Mock) -> String {
    mock.livekit().replace("ws://", "wss+livekit://")
}

/// An event with more in it than any program knows.
fn rich(mock: &Mock, id: &str, name: &str, status: &str) -> nostr_sdk::Event {
    let host = mock.host();
    let past = (now() - 60).to_string();
    remember(mock, id);
    event(
        host,
        id,
        1000,
        &[
            &["summary", "About", "more"],
            &[name, "Weekly"],
            &["x-unknown", "1", "2", "3"],
            &["status", status],
            &["t", "music"],
            &["service", &mock.api()],
            &["streaming", &endpoint(mock)],
            &["p", &host.public_key().to_hex(), "", "Host"],
            &["p", "aa4fc8665f5696e33db7e1a572e3b0f5b3d615837b0f362dcb1c8068b098c7b4", "", "Speaker"],
            &["starts", "1000"],
            &["ends", &past],
        ],
    )
}

#[test]
fn a_nest_that_is_over_is_opened_in_its_own_words() {
    let mock = mock(&[]);
    let outside = NostrClient::at(&mock.relay());
    for (id, name, over, open) in [("a", "room", "closed", "open"), ("b", "title", "ended", "live")] {
        let old = rich(&mock, id, name, over);
        outside.publish(&old);
        let room = coordinate(&old);
        let plain = Nest::new(&mock).without("NEST_API").env("NEST_RELAYS", mock.relay()).args(["restart", &room]);
        let plain = plain.run().expect(0);
        assert!(plain.stderr.contains(&format!("the event says {over}")), "{}", plain.stderr);
        assert!(plain.stderr.contains("--publish-status"), "{}", plain.stderr);
        assert_eq!(value(&outside.nest(old.pubkey, id), "status"), Some(over), "nothing is published unasked");

        let nest = Nest::new(&mock).without("NEST_API").env("NEST_RELAYS", mock.relay());
        let output = nest.args(["restart", &room, "--publish-status", "--json"]).run().expect(0);
        let published = &output.document()["published"];
        assert_eq!(published["status"], open);
        assert_eq!(published["accepted"].as_array().unwrap().len(), 1, "{published}");
        let new = outside.nest(old.pubkey, id);
        assert_eq!(published["eventId"], new.id.to_hex());
        assert_eq!((value(&new, "status"), value(&new, "ends")), (Some(open), None));
        assert!(value(&new, "starts").unwrap().parse::<u64>().unwrap() + 60 > now());
        let changed = ["status", "starts", "ends"];
        assert_eq!(
            tags_without(&new, &changed),
            tags_without(&old, &changed),
            "all other tags are kept, in their order"
        );
        new.verify().unwrap();

        // Once it is right, it is left alone.
        let nest = Nest::new(&mock).env("NEST_RELAYS", mock.relay());
        let again = nest.args(["restart", &room, "--publish-status", "--json"]).run().expect(0);
        assert!(again.document().get("published").is_none());
        assert_eq!(outside.nest(old.pubkey, id).id, new.id);
    }
}

#[test]
fn other_endpoints_are_put_right_and_all_relays_are_told() {
    let mock = mock(&[]);
    let (first, second) = (Relay::with(Vec::new()), Relay::with(Vec::new()));
    let dead = "ws://127.0.0.1:9";
    let old = event(
        mock.host(),
        "demo",
        1000,
        &[
            &["title", "Weekly"],
            &["status", "live"],
            &["relays", &first.url, &second.url, dead],
            &["service", &mock.api()],
            &["streaming", "wss+livekit://old.example"],
            &["streaming", "https://old.example/live.m3u8"],
        ],
    );
    NostrClient::at(&first.url).publish(&old);
    // A bare id and a known API: the event is looked for under the key's own name.
    let nest = Nest::new(&mock).args(["restart", "demo", "--publish-status", "--relay", &first.url]);
    let output = nest.run().expect(0);
    assert!(output.stdout.contains("live on ws://127.0.0.1"), "{}", output.stdout);
    assert!(output.stderr.contains(&format!("warning: {dead}")), "{}", output.stderr);
    for relay in [&first, &second] {
        let new = NostrClient::at(&relay.url).nest(old.pubkey, "demo");
        assert_eq!(values(&new, "streaming"), [endpoint(&mock)]);
        assert!(value(&new, "starts").is_some());
        assert!(output.stdout.contains(&relay.url), "{}", output.stdout);
    }
}

#[test]
fn a_running_nest_is_put_right_without_a_restart() {
    let mock = mock(&[]);
    Nest::new(&mock).args(["restart", "demo"]).run().expect(0);
    let old = event(mock.host(), "demo", 1000, &[&["room", "Demo"], &["status", "closed"], &["service", &mock.api()]]);
    let relay = Relay::with(vec![old.clone()]);
    let nest = Nest::new(&mock).env("NEST_RELAYS", &relay.url);
    let output = nest.args(["restart", "demo", "--if-inactive", "--publish-status"]).run().expect(0);
    assert!(output.stdout.contains("is running") && output.stdout.contains("open on"), "{}", output.stdout);
    assert_eq!(mock.requests("/api/v1/nests/demo/restart"), 1);
    assert_eq!(value(&NostrClient::at(&relay.url).nest(old.pubkey, "demo"), "status"), Some("open"));
}

#[test]
fn a_restart_that_cannot_be_published_keeps_its_token() {
    let mock = mock(&[]);
    let nothing = Relay::with(Vec::new());
    for relay in ["ws://127.0.0.1:9", &nothing.url] {
        let nest = Nest::new(&mock).env("NEST_RELAYS", relay).args(["restart", "demo", "--publish-status", "--json"]);
        let document = nest.run().expect(1).document();
        assert!(document["token"].is_string());
        let message = document["error"]["message"].as_str().unwrap();
        assert!(message.contains("restarted, but its event could not be published"), "{message}");
    }
}

#[test]
fn a_link_brings_its_relays_along() {
    let mock = mock(&[]);
    let old = event(mock.host(), "demo", 1000, &[&["room", "Demo"], &["status", "closed"], &["service", &mock.api()]]);
    let relay = Relay::with(vec![old.clone()]);
    let link = format!("https://nests.example/{}", naddr(&old, &[&relay.url]));
    Nest::new(&mock).without("NEST_API").args(["restart", &link, "--publish-status"]).run().expect(0);
    assert_eq!(value(&NostrClient::at(&relay.url).nest(old.pubkey, "demo"), "status"), Some("open"));
}

#[test]
fn a_nest_that_is_planned_is_opened_in_its_time_and_not_before() {
    let mock = mock(&[]);
    let outside = NostrClient::at(&mock.relay());
    for (id, starts, status) in [("later", now() + 3600, "planned"), ("due", now() - 60, "live")] {
        let starts = starts.to_string();
        remember(&mock, id);
        let tags: [&[&str]; 4] =
            [&["title", "Weekly"], &["status", "planned"], &["starts", &starts], &["service", &mock.api()]];
        let old = event(mock.host(), id, 1000, &tags);
        outside.publish(&old);
        let nest = Nest::new(&mock).env("NEST_RELAYS", mock.relay());
        nest.args(["restart", &coordinate(&old), "--publish-status"]).run().expect(0);
        let new = outside.nest(old.pubkey, id);
        assert_eq!(value(&new, "status"), Some(status));
        assert_eq!(value(&new, "starts") == Some(&starts), status == "planned");
    }
}
