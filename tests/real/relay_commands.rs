//! What the commands about nests publish, on a relay in another implementation and judged by another client.

use nostr_nests::server::{DEMO_MOQ, Mock, Options};
use nostr_sdk::{Event, Keys};

use crate::support::following::Following;
use crate::support::nest::{Nest, mock};
use crate::support::nostr_client::{
    NostrClient, Relay, coordinate, event, now, read_only, remember, tags_without, value, values,
};
use crate::support::nostr_judge;
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
    let host = mock.host().public_key();
    let old = event(
        mock.host(),
        "a:b ü",
        500,
        &[
            &["title", "Weekly \"\\\n\u{7f}/ß"],
            &["x-unknown", "1", "2"],
            &["status", "live"],
            &["service", &mock.api()],
            &["streaming", "wss+livekit://old.example"],
            &["p", &host.to_hex(), "", "Host"],
            &["p", &speaker, "", "Speaker"],
        ],
    );
    let outside = NostrClient::at(&server.url);
    outside.publish(&old);
    let judge = |d: &str| nostr_judge::nest(&server.url, host, d);
    assert_eq!(judge("a:b ü"), old);
    let all = [server.url.as_str()];
    assert_eq!(call(&mock, &all, &["list"])["state"], "gone");

    let recreated = call(&mock, &all, &["recreate", &coordinate(&old), "--yes"]);
    let id = recreated["roomId"].as_str().unwrap();
    let (new, last) = (judge(id), judge("a:b ü"));
    assert_eq!(recreated["opened"]["eventId"], new.id.to_hex());
    assert_eq!(recreated["closed"]["eventId"], last.id.to_hex());
    let changed = ["d", "status", "starts", "streaming", "a"];
    assert_eq!(tags_without(&new, &changed), tags_without(&old, &changed));
    assert_eq!(value(&new, "status"), Some("live"));
    assert_eq!(values(&new, "streaming"), [mock.livekit().replace("ws://", "wss+livekit://")]);
    assert!(value(&new, "starts").unwrap().parse::<u64>().unwrap() + 60 > now());
    assert_eq!(tags_without(&last, &["status", "a", "ends"]), tags_without(&old, &["status", "a"]));
    assert!(value(&last, "ends").unwrap().parse::<u64>().unwrap() + 60 > now());
    assert_eq!(value(&last, "status"), Some("ended"));
    assert_eq!((values(&new, "a"), values(&last, "a")), (vec![&*coordinate(&old)], vec![&*coordinate(&new)]));
    assert!(mock.record(id).unwrap().speakers.contains(&speaker));

    let document = call(&mock, &all, &["close", id]);
    let closed = judge(id);
    assert_eq!((&document["status"], &document["published"]["eventId"]), (&"ended".into(), &closed.id.to_hex().into()));
    assert_eq!(tags_without(&closed, &["status", "ends"]), tags_without(&new, &["status"]));
    assert!(value(&closed, "ends").unwrap().parse::<u64>().unwrap() + 60 > now());
    assert_eq!(value(&closed, "status"), Some("ended"));

    remember(&mock, id);
    let document = call(&mock, &all, &["restart", &coordinate(&new), "--publish-status"]);
    let open = judge(id);
    let published = (&document["published"]["status"], &document["published"]["eventId"]);
    assert_eq!(published, (&"live".into(), &open.id.to_hex().into()));
    assert_eq!(tags_without(&open, &["status", "starts"]), tags_without(&new, &["status", "starts"]));
    assert_eq!(value(&open, "status"), Some("live"));
    assert!(value(&open, "starts").unwrap().parse::<u64>().unwrap() + 60 > now());
}

#[test]
#[ignore = "needs nostr-relay"]
fn the_mock_publishes_its_nest() {
    let mock = mock(&[]);
    let host = mock.host().public_key();
    let event = nostr_judge::nest(&mock.relay(), host, "demo");
    let streaming = mock.livekit().replace("ws://", "wss+livekit://");
    let expected = [
        &["d", "demo"][..],
        &["room", "Demo nest"],
        &["title", "Demo nest"],
        &["status", "open"],
        &["service", &format!("{}/api/v1/nests", mock.api())],
        &["streaming", &streaming],
        &["relays", &mock.relay()],
        &["p", &host.to_hex(), "", "Host"],
    ];
    assert_eq!((serde_json::to_value(&event.tags).unwrap(), &*event.content), (serde_json::json!(expected), ""));
    // Put right at the relay of the mock too.
    let closed = call(&mock, &[&mock.relay()], &["close", "demo"]);
    let last = nostr_judge::nest(&mock.relay(), host, "demo");
    assert_eq!(closed["published"]["eventId"], last.id.to_hex());
    assert_eq!(tags_without(&last, &["status", "ends"]), tags_without(&event, &["status"]));
}

/// A judge that lets everything pass is none.
#[test]
#[ignore = "needs nostr-relay"]
fn what_is_forged_is_found_out() {
    let host = Keys::generate();
    let [true_one, other] = ["1", "2"].map(|title| event(&host, "demo", 5, &[&["title", title]]));
    let forged = |id: &Event, tags: &Event, signature: &Event| {
        Event::new(id.id, host.public_key(), tags.created_at, tags.kind, tags.tags.iter().cloned(), "", signature.sig)
    };
    for (event, genuine) in [
        (forged(&true_one, &true_one, &true_one), true),
        (forged(&other, &true_one, &true_one), false),
        (forged(&true_one, &other, &true_one), false),
        (forged(&true_one, &true_one, &other), false),
    ] {
        let output = nostr_judge::ask(&read_only(vec![event], || true), host.public_key());
        assert_eq!(output.status.success(), genuine, "{output:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr).contains("forged: "), !genuine, "{output:?}");
    }
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
    let new = nostr_judge::nest(&open.url, old.pubkey, "demo");
    assert_eq!(restarted["published"]["eventId"], new.id.to_hex());
    let changed = ["status", "starts", "streaming"];
    assert_eq!(tags_without(&new, &changed), tags_without(&old, &changed));
    assert_eq!(value(&new, "status"), Some("open"));
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

/// From LiveKit to Media over QUIC, again, present, and over: each version as another client reads it.
#[test]
#[ignore = "needs nostr-relay"]
fn a_nest_on_media_over_quic_is_moved_restarted_kept_and_closed() {
    let mock = Mock::start(Options { moq: true, ..Options::default() }).unwrap();
    let server = NostrRelay::start("");
    let host = mock.host().public_key();
    let demo = NostrClient::at(&mock.relay()).nest(host, DEMO_MOQ);
    let [relay, auth] = ["streaming", "auth"].map(|name| value(&demo, name).unwrap());
    let old = event(
        mock.host(),
        "weekly",
        9 * 3600,
        &[
            &["room", "Weekly \"\\\n/ß"],
            &["x-unknown", "1", "2"],
            &["status", "open"],
            &["service", &mock.api()],
            &["streaming", "wss+livekit://old.example"],
            &["relays", &server.url],
        ],
    );
    NostrClient::at(&server.url).publish(&old);
    let judge = || nostr_judge::nest(&server.url, host, "weekly");
    let (all, room) = ([server.url.as_str()], coordinate(&old));
    let changed = ["room", "title", "status", "service", "streaming", "auth", "starts", "ends"];

    let moved = call(&mock, &all, &["restart", &room, "--relay-url", relay, "--auth-url", auth]);
    let new = judge();
    assert_eq!((&moved["published"]["eventId"], &moved["kind"]), (&new.id.to_hex().into(), &"moq".into()));
    let told = ["title", "status", "streaming", "auth", "room", "service"].map(|name| value(&new, name));
    assert_eq!(told, [Some("Weekly \"\\\n/ß"), Some("live"), Some(relay), Some(auth), None, None]);
    assert_eq!(tags_without(&new, &changed), tags_without(&old, &changed));

    let kept = call(&mock, &all, &["restart", &room, "--keep=300ms"]);
    assert_eq!(kept["proof"], "fresh");
    assert_eq!(value(&judge(), "streaming"), Some(&*format!("{relay}/")));
    let presence = nostr_sdk::Filter::new().kind(nostr_sdk::Kind::from(10312)).author(host);
    let presences = NostrClient::at(&server.url).stored(presence);
    assert_eq!(presences.iter().map(|event| value(event, "onstage")).collect::<Vec<_>>(), [Some("0")]);

    call(&mock, &all, &["close", &room, "--yes"]);
    let last = judge();
    assert_eq!((value(&last, "status"), value(&last, "title")), (Some("ended"), value(&new, "title")));
}
