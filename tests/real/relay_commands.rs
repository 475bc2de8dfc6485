//! The commands about nests on a relay in another implementation, read by another client.

use nostr_nests::server::Mock;
use nostr_sdk::Keys;

use crate::support::following::Following;
use crate::support::nest::{Nest, mock};
use crate::support::nostr_client::{NostrClient, Relay, coordinate, event, remember, value, values};
use crate::support::nostr_relay::{NostrRelay, RESTRICTED};

fn call(mock: &Mock, relays: &[&str], args: &[&str]) -> serde_json::Value {
    let nest = Nest::new(mock).without("NEST_API").env("NEST_RELAYS", relays.join(","));
    nest.args(args).args(["--json", "--relay-timeout", "30s"]).run().expect(0).document()
}

#[test]
#[ignore = "needs nostr-relay"]
fn a_nest_is_listed_recreated_put_right_and_closed() {
    let mock = mock(&[]);
    let server = NostrRelay::start("");
    let speaker = Keys::generate().public_key().to_hex();
    let old = event(
        mock.host(),
        "a:b ü",
        500,
        &[
            &["title", "Weekly"],
            &["status", "live"],
            &["service", &mock.api()],
            &["p", &mock.host().public_key().to_hex(), "", "Host"],
            &["p", &speaker, "", "Speaker"],
        ],
    );
    let outside = NostrClient::at(&server.url);
    outside.publish(&old);
    let all = [server.url.as_str()];
    assert_eq!(call(&mock, &all, &["list"])["state"], "gone");

    let recreated = call(&mock, &all, &["recreate", &coordinate(&old), "--yes"]);
    let id = recreated["roomId"].as_str().unwrap();
    let (new, last) = (outside.nest(old.pubkey, id), outside.nest(old.pubkey, "a:b ü"));
    assert_eq!((value(&new, "status"), value(&last, "status")), (Some("live"), Some("ended")));
    assert_eq!(values(&last, "a"), [coordinate(&new)]);
    assert!(mock.record(id).unwrap().speakers.contains(&speaker));

    assert_eq!(call(&mock, &all, &["close", id])["status"], "ended");
    assert_eq!(value(&outside.nest(old.pubkey, id), "status"), Some("ended"));
    remember(&mock, id);
    let restarted = call(&mock, &all, &["restart", &coordinate(&new), "--publish-status"]);
    assert_eq!(restarted["published"]["status"], "live");
    assert_eq!(value(&outside.nest(old.pubkey, id), "status"), Some("live"));
}

#[test]
#[ignore = "needs nostr-relay"]
fn a_relay_that_asks_who_is_there_is_told() {
    let mock = mock(&[]);
    let server = NostrRelay::start(RESTRICTED);
    let old = event(
        mock.host(),
        "demo",
        500,
        &[&["room", "Weekly"], &["status", "closed"], &["service", &mock.api()], &["relays", &server.url]],
    );
    // Where the event is read, and where it is to be written as well.
    let open = Relay::with(vec![old.clone()]);
    server.admit(&mock.host().public_key().to_hex());
    let restarted = call(&mock, &[&open.url], &["restart", &coordinate(&old), "--publish-status"]);
    let accepted = restarted["published"]["accepted"].as_array().unwrap();
    assert!(accepted.contains(&server.url.as_str().into()), "{restarted}");
    // Only there: it is read after it was told who asks.
    let listed = call(&mock, &[&server.url], &["list"]);
    assert_eq!((&listed["status"], &listed["state"]), (&"open".into(), &"running".into()));
    let stranger = Nest::new(&mock).env("NEST_KEY", Keys::generate().secret_key().to_secret_hex());
    let stranger = stranger.args(["list", "--relay", &server.url, "--relay-timeout", "30s"]).run();
    assert_eq!(stranger.code, 8, "{stranger:?}");
}

#[test]
#[ignore = "needs nostr-relay"]
fn a_relay_is_followed_once_it_knows_who_asks() {
    let mock = mock(&[]);
    let server = NostrRelay::start(RESTRICTED);
    server.admit(&mock.host().public_key().to_hex());
    let nest = |title: &str, age| {
        event(
            mock.host(),
            "demo",
            age,
            &[&["title", title], &["status", "live"], &["service", &mock.api()], &["relays", &server.url]],
        )
    };
    // Where the event is read, and where it is to be written as well.
    let open = Relay::with(vec![nest("Before", 500)]);
    call(&mock, &[&open.url], &["restart", &coordinate(&nest("", 0)), "--publish-status"]);

    let args = ["list", "--follow", "--interval", "200ms", "--json", "--relay", &server.url, "--relay-timeout", "30s"];
    let mut following = Following::start(Nest::new(&mock).args(args));
    assert_eq!(following.next()["status"], "live");
    call(&mock, &[&open.url], &["close", &coordinate(&nest("", 0)), "--yes"]);
    following.until("status", "ended");
    assert_eq!(following.interrupt(), "");
}
