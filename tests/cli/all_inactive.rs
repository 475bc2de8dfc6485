//! `nest restart --all-inactive`: what is open and dead is restarted, and nothing else.

use std::collections::BTreeSet;

use nostr_nests::server::Mock;
use nostr_sdk::Keys;

use crate::support::nest::{Nest, mock};
use crate::support::nostr_client::{NostrClient, Relay, event, now, remember};

fn sweep(mock: &Mock, relay: &str) -> Nest {
    Nest::new(mock).without("NEST_API").env("NEST_RELAYS", relay).args(["restart", "--all-inactive"])
}

fn restarts(mock: &Mock, id: &str) -> usize {
    mock.requests(&format!("/api/v1/nests/{id}/restart"))
}

#[test]
fn those_and_only_those() {
    let mock = mock(&[]);
    let (host, api, outside) = (mock.host(), mock.api(), NostrClient::at(&mock.relay()));
    let past = (now() - 60).to_string();
    let later = (now() + 3600).to_string();
    let nests: [(&str, &[&[&str]]); 10] = [
        ("asleep", &[&["status", "live"]]),
        ("private", &[&["status", "private"]]),
        ("planned", &[&["status", "planned"], &["starts", &later]]),
        ("planned-past", &[&["status", "planned"], &["starts", &past]]),
        ("planned-some-day", &[&["status", "planned"]]),
        ("closed", &[&["status", "closed"]]),
        ("ended", &[&["status", "ended"]]),
        ("past", &[&["status", "open"], &["ends", &past]]),
        ("odd", &[&["status", "maybe"]]),
        ("running", &[&["status", "open"]]),
    ];
    for (n, (id, tags)) in (1..).zip(nests) {
        remember(&mock, id);
        let service = ["service", &*api];
        let tags: Vec<_> = tags.iter().copied().chain([&service[..]]).collect();
        outside.publish(&event(host, id, n, &tags));
    }
    // Somebody else's, on the same relay.
    remember(&mock, "foreign");
    outside.publish(&event(&Keys::generate(), "foreign", 1, &[&["status", "open"], &["service", &api]]));
    Nest::new(&mock).args(["restart", "running"]).run().expect(0);
    let sid = mock.room("running").unwrap().sid;

    let output = sweep(&mock, &mock.relay()).args(["--json"]).run().expect(0);
    let documents = output.documents();
    assert_eq!(output.stdout.lines().count(), documents.len(), "one document a line");
    let done: BTreeSet<_> = documents.iter().map(|document| document["roomId"].as_str().unwrap()).collect();
    assert_eq!(done, BTreeSet::from(["asleep", "demo", "private"]));
    let left = ["closed", "ended", "past", "odd", "foreign", "planned", "planned-past", "planned-some-day"];
    for id in left {
        assert_eq!((restarts(&mock, id), mock.room(id).is_none()), (0, true), "{id} stays as it was");
    }
    assert_eq!((restarts(&mock, "running"), mock.room("running").unwrap().sid), (1, sid));

    // Nothing is left to do.
    let again = sweep(&mock, &mock.relay()).run().expect(0);
    assert_eq!(again.stdout, "");
    assert!(again.stderr.contains("nothing to restart"), "{}", again.stderr);
    assert_eq!(sweep(&mock, &mock.relay()).args(["-q"]).run().expect(0).stderr, "");
    assert_eq!(restarts(&mock, "asleep"), 1);

    // What is over is restarted when it is named.
    Nest::new(&mock).args(["restart", "closed"]).run().expect(0);
    // So is what is planned, and then it runs.
    Nest::new(&mock).args(["restart", "planned"]).run().expect(0);
    let list = Nest::new(&mock).env("NEST_RELAYS", mock.relay()).args(["list", "--json"]).run().expect(0);
    let states = list.documents().into_iter().filter(|row| row["status"] == "planned");
    let states: BTreeSet<_> =
        states.map(|row| format!("{} {}", row["roomId"], row["state"]).replace('"', "")).collect();
    assert_eq!(
        states,
        BTreeSet::from(["planned running", "planned-past planned", "planned-some-day planned"].map(String::from))
    );
}

#[test]
fn what_could_not_be_looked_at_is_no_success() {
    let mock = mock(&["rate-limit=9"]);
    let api = mock.api();
    let nests =
        (0..12).map(|n| event(mock.host(), &format!("room-{n}"), n, &[&["status", "open"], &["service", &api]]));
    let relay = Relay::with(nests.collect());
    let output = sweep(&mock, &relay.url).args(["--json", "--retries", "0"]).run();
    assert_ne!(output.code, 0);
    let limited = output.documents().iter().filter(|document| document["error"]["kind"] == "rateLimited").count();
    assert!(limited >= 8, "{output:?}");
    assert_eq!(output.documents().len(), 12);
}

#[test]
fn a_nest_whose_record_is_gone_is_named() {
    let mock = mock(&[]);
    let relay = Relay::with(vec![event(mock.host(), "lost", 5, &[&["status", "open"], &["service", &mock.api()]])]);
    let output = sweep(&mock, &relay.url).args(["--json"]).run().expect(6);
    let error = &output.document()["error"];
    assert!(error["hints"].to_string().contains("nest recreate naddr1"), "{error}");
}

#[test]
fn a_sweep_has_its_own_usage() {
    let mock = mock(&[]);
    sweep(&mock, &mock.relay()).args(["demo"]).run().expect(2);
    sweep(&mock, &mock.relay()).args(["--output", "token"]).run().expect(2);
    let down = sweep(&mock, "ws://127.0.0.1:9,ws://127.0.0.1:1").run().expect(8);
    let each_once = "none of the relays answered: ws://127.0.0.1:9, ws://127.0.0.1:1: it cannot be reached";
    let either = [each_once.to_owned(), each_once.replace(":9, ws://127.0.0.1:1:", ":1, ws://127.0.0.1:9:")];
    assert!(either.iter().any(|words| down.stderr.contains(words)), "{}", down.stderr);
    assert!(down.stderr.contains("hint: is this machine online?"), "the API does not help: {}", down.stderr);
    let listed = Nest::new(&mock).args(["list", "--relay", "ws://127.0.0.1:9"]).run().expect(8);
    assert!(listed.stderr.contains("hint: is this machine online?"), "{}", listed.stderr);
    assert_eq!(mock.all_requests(), 0);
}
