//! `nest close`: the end of a nest, in the API and in the words of its own event.

use nostr_nests::server::Mock;
use nostr_sdk::Keys;
use nostr_sdk::nips::nip19::ToBech32 as _;

use crate::support::nest::{Nest, mock, parse};
use crate::support::nostr_client::{NostrClient, Relay, coordinate, event, now, outbox, remember, tags_without, value};

fn close(mock: &Mock, room: &str) -> Nest {
    Nest::new(mock).without("NEST_API").env("NEST_RELAYS", mock.relay()).args(["close", room, "--json"])
}

#[test]
fn api_and_event_in_its_own_words() {
    let mock = mock(&[]);
    let outside = NostrClient::at(&mock.relay());
    for (id, name, open, over) in [("a", "room", "private", "closed"), ("b", "title", "live", "ended")] {
        remember(&mock, id);
        let host = mock.host();
        let old =
            event(host, id, 50, &[&["x", "1", "2"], &[name, "Weekly"], &["status", open], &["service", &mock.api()]]);
        outside.publish(&old);
        Nest::new(&mock).args(["restart", id]).run().expect(0);
        let document = close(&mock, id).run().expect(0).document();
        assert_eq!((&document["deleted"], &document["status"]), (&true.into(), &over.into()));
        assert!(mock.record(id).is_none() && mock.room(id).is_none());
        let last = outside.nest(old.pubkey, id);
        assert_eq!(value(&last, "status"), Some(over));
        assert!(value(&last, "ends").unwrap().parse::<u64>().unwrap() + 60 > now());
        assert_eq!(tags_without(&last, &["status", "ends"]), tags_without(&old, &["status"]));
        assert_eq!(document["published"]["eventId"], last.id.to_hex());

        let again = close(&mock, id).run().expect(0).document();
        assert_eq!((&again["deleted"], again.get("published")), (&false.into(), None));
        assert_eq!(outside.nest(old.pubkey, id).id, last.id);

        // Nothing was lost, and cron is told so.
        let nest = Nest::new(&mock).env("NEST_RELAYS", mock.relay());
        let error = nest.args(["restart", id, "--if-inactive", "--json"]).run().expect(6).document()["error"].clone();
        assert!(error["message"].as_str().unwrap().contains("over by its event"), "{error:#}");
        assert!(error["hints"][0].as_str().unwrap().contains(&format!("`nest recreate {id}`")), "{error:#}");
        assert_eq!(error["status"], 404);
    }
}

#[test]
fn a_nest_that_cannot_be_closed_in_the_api_stays_open_in_its_event() {
    let mock = mock(&["status=500x9@delete"]);
    close(&mock, "demo").args(["--retries", "0"]).run().expect(7);
    let host = mock.host().public_key();
    assert_eq!(value(&NostrClient::at(&mock.relay()).nest(host, "demo"), "status"), Some("open"));
    close(&mock, "demo").env("NEST_RELAYS", "ws://127.0.0.1:9").run().expect(8);
    assert!(mock.record("demo").is_some());
    let stranger = Keys::generate().secret_key().to_secret_hex();
    let room = format!("30312:{}:demo", host.to_hex());
    close(&mock, &room).env("NEST_KEY", stranger.clone()).run().expect(5);
    // Nobody else has an event of that name: where the API is known, it is asked, and knows better.
    mock.set_faults(Vec::new());
    let refused = close(&mock, "demo").env("NEST_KEY", stranger).env("NEST_API", mock.api()).run().expect(5);
    assert_eq!(refused.document()["error"]["status"], 403);
    assert!(mock.record("demo").is_some());
}

#[test]
fn without_an_event_the_api_is_enough_where_it_is_named() {
    let mock = mock(&[]);
    let nothing = Relay::with(Vec::new());
    close(&mock, "demo").env("NEST_RELAYS", &nothing.url).run().expect(6);
    assert!(mock.record("demo").is_some());
    let output = close(&mock, "demo").env("NEST_RELAYS", &nothing.url).env("NEST_API", mock.api()).run().expect(0);
    assert!(mock.record("demo").is_none());
    assert_eq!(output.document()["warnings"].as_array().unwrap().len(), 1);

    // Now neither of them knows it: that is no success.
    let unknown = close(&mock, "demo").env("NEST_RELAYS", &nothing.url).env("NEST_API", mock.api()).run().expect(6);
    let error = &unknown.document()["error"];
    assert_eq!((&error["kind"], error["message"].as_str().unwrap().contains("neither")), (&"notFound".into(), true));
}

#[test]
fn media_over_quic_has_an_event_only() {
    let mock = mock(&[]);
    let old = event(
        mock.host(),
        "quic",
        9,
        &[&["title", "Quic"], &["status", "live"], &["streaming", "https://moq.example"]],
    );
    let outside = NostrClient::at(&mock.relay());
    outside.publish(&old);
    let document = close(&mock, &coordinate(&old)).env("NEST_API", mock.api()).run().expect(0).document();
    assert_eq!((document.get("api"), &document["status"]), (None, &"ended".into()));
    assert_eq!(value(&outside.nest(old.pubkey, "quic"), "status"), Some("ended"));
    assert_eq!(mock.requests("/api/v1/nests/quic"), 0);
}

/// NIP-65: the host's followers look there first.
#[test]
fn the_relays_that_the_host_writes_to_are_told() {
    let mock = mock(&[]);
    let [write, both, read] = [(); 3].map(|()| Relay::with(Vec::new()));
    let list = outbox(mock.host(), &[(&write.url, Some("write")), (&both.url, None), (&read.url, Some("read"))]);
    NostrClient::at(&mock.relay()).publish(&list);
    let document = close(&mock, "demo").run().expect(0).document();
    assert_eq!(document["published"]["accepted"].as_array().unwrap().len(), 3, "{document:#}");
    let host = mock.host().public_key();
    for relay in [&write, &both] {
        assert_eq!(value(&NostrClient::at(&relay.url).nest(host, "demo"), "status"), Some("closed"));
    }
    assert!(NostrClient::at(&read.url).nests(host).is_empty());
}

#[test]
fn a_room_that_runs_without_a_record_is_not_over() {
    let mock = mock(&[]);
    Nest::new(&mock).args(["restart", "demo"]).run().expect(0);
    mock.set_faults(parse(&["lost-record"]));
    let error = close(&mock, "demo").run().expect(10).document()["error"].clone();
    assert_eq!(error["kind"], "unhealthy");
    assert!(error["message"].as_str().unwrap().starts_with("not closed: the API says"), "{error}");
    assert!(mock.room("demo").is_some());
    let host = mock.host().public_key();
    assert_eq!(value(&NostrClient::at(&mock.relay()).nest(host, "demo"), "status"), Some("open"));
    // Nor is one whose server only says that it has deleted it.
    mock.set_faults(parse(&["status=204@delete"]));
    let false_success = close(&mock, "demo").run().expect(10).document();
    assert_eq!(false_success["error"]["message"], error["message"], "{false_success:#}");
    assert_eq!(value(&NostrClient::at(&mock.relay()).nest(host, "demo"), "status"), Some("open"));
    // Whether it runs is not known: that is no success either.
    mock.set_faults(parse(&["lost-record", "status=500@guest"]));
    close(&mock, "demo").run().expect(7);
    assert_eq!(value(&NostrClient::at(&mock.relay()).nest(host, "demo"), "status"), Some("open"));
}

/// What was sent and not answered may have been done: `token` and `recreate` say so as well.
#[test]
fn without_an_answer_it_says_how_to_see_what_happened() {
    let mock = mock(&["lost-record@info", "no-answer@delete", "no-answer@token", "no-answer@create"]);
    for (verb, happened) in
        [("close", "may have been closed"), ("token", "may have been given out"), ("recreate", "may be there")]
    {
        let yes = (verb != "token").then_some("--yes");
        let nest = Nest::new(&mock).env("NEST_RELAYS", mock.relay()).args([verb, "demo", "--json", "--timeout", "1s"]);
        let error = nest.args(["--retries", "0"]).args(yes).run().expect(9).document()["error"].clone();
        assert!(error["message"].as_str().unwrap().contains(happened), "{error}");
        let hints = error["hints"].to_string();
        let look = if verb == "recreate" { "nest list" } else { "nest status demo" };
        assert!(hints.contains(look), "{error}");
    }
}

/// Nobody who wants to close a nest is told to restart it, nor that it was not restarted.
#[test]
fn its_errors_speak_of_closing() {
    let faults = [
        "status=500@delete",
        "status=400@delete",
        "plain-text=429@delete",
        "html@delete",
        "empty@delete",
        "redirect@delete",
        "gateway-timeout@delete",
        "no-answer@delete",
        "drop-before@delete",
        "echo-authorization@delete",
        "status=403@delete",
        "no-restart@delete",
        "clock=2001",
        "livekit-down",
    ];
    let mut failed = 0;
    for fault in faults {
        let mock = mock(&[fault]);
        let output = close(&mock, "demo").args(["--retries", "0", "--timeout", "1s"]).run();
        let said = format!("{}{}", output.stdout, output.stderr).to_ascii_lowercase();
        // What the server says is the server's.
        let ours = said.replace("failed to restart nest", "").replace("only the host can restart the nest", "");
        assert!(!ours.contains("restart"), "{fault}: {output:?}");
        failed += i32::from(output.code != 0);
    }
    assert!(failed > 10, "{failed}");
    let mock = mock(&[]);
    let stranger = Keys::generate().secret_key().to_secret_hex();
    for room in ["demo".to_owned(), format!("30312:{}:demo", mock.host().public_key().to_hex())] {
        let refused = close(&mock, &room).env("NEST_KEY", &stranger).env("NEST_API", mock.api()).run().expect(5);
        let error = refused.document()["error"].clone();
        assert!(error["message"].as_str().unwrap().contains("only the host can close this nest"), "{error}");
        assert!(error["hints"][0].as_str().unwrap().contains("nest close "), "{error}");
        assert!(!error.to_string().contains("restart"), "{error}");
    }
}

#[test]
fn after_a_403_the_host_is_named() {
    let mock = mock(&[]);
    let stranger = Keys::generate().secret_key().to_secret_hex();
    let nest = Nest::new(&mock).env("NEST_KEY", stranger).env("NEST_RELAYS", mock.relay());
    let refused = nest.args(["close", "demo", "--yes"]).run().expect(5).stderr;
    assert!(refused.contains(&mock.host().public_key().to_bech32().unwrap()), "{refused}");
    assert!(mock.record("demo").is_some());
}
