//! A check that has joined an empty nest and left it does not cost the nest its life: it is restarted once more.

use std::thread;
use std::time::Duration;

use nostr_nests::server::Mock;
use serde_json::Value;

use crate::support::nest::{Nest, Output, mock, parse, plain};

const RESTART: &str = "/api/v1/nests/demo/restart";

/// Seconds until the nest closes, by a restart's document.
fn closes_in(document: &Value) -> i64 {
    let closes: jiff::Timestamp = document["closesAt"].as_str().unwrap().parse().unwrap();
    closes.duration_since(jiff::Timestamp::now()).as_secs()
}

/// A restart with a check, and what happens while the check is inside.
fn meanwhile(mock: &Mock, happens: impl FnOnce()) -> Output {
    let nest = Nest::new(mock).args(["restart", "demo", "--check", "--hold", "1s", "--json"]);
    let running = thread::spawn(|| nest.run());
    while mock.participants("demo").is_empty() {
        thread::sleep(Duration::from_millis(5));
    }
    happens();
    running.join().unwrap()
}

#[test]
fn the_room_that_stays_has_its_full_life() {
    let mock = mock(&[]);
    let document = Nest::new(&mock).args(["restart", "demo", "--check", "--json"]).run().expect(0).document();
    let room = mock.room("demo").unwrap();
    assert_eq!(document["renewedAs"], room.sid);
    assert_ne!(document["check"]["room"]["sid"], room.sid);
    assert!((1790..=1800).contains(&closes_in(&document)), "{document}");
    assert!(document["check"]["room"].get("closesAt").is_none(), "that room is gone: {document}");
    assert_eq!((&document["proof"], &document["attempts"]), (&"fresh".into(), &1.into()));
    assert_eq!(mock.requests(RESTART), 2);
    assert_eq!(document["warnings"], serde_json::json!([]));
}

#[test]
fn a_nest_that_somebody_has_come_to_is_left_alone() {
    let mock = mock(&[]);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let token = Nest::new(&mock).args(["token", "demo", "--output", "token"]);
    let mut inside = None;
    let output = meanwhile(&mock, || {
        let token = token.run().expect(0).stdout;
        inside = Some(runtime.block_on(crate::support::signal::Signal::join(mock.livekit(), token.trim())).unwrap());
    });
    let document = output.expect(0).document();
    assert_eq!(document["check"]["room"]["participants"], 1);
    assert_eq!(document["check"]["room"]["sid"], mock.room("demo").unwrap().sid);
    assert!(document.get("renewedAs").is_none() && document.get("closesAt").is_none(), "{document}");
    assert_eq!((mock.requests(RESTART), mock.participants("demo").len()), (1, 1));
}

/// It works the first time, and not the second: then the document says when the nest closes.
#[test]
fn without_a_proven_renewal_it_says_when_the_nest_closes() {
    for (fault, restarts, why) in [
        ("old-room-kept", 2, "the server says that it was, and the room is still the same"),
        ("status=500", 2, "the API failed with status 500"),
        ("status=429,1s", 2, "the API takes no more requests from this address for now"),
        ("livekit-down@signal", 1, "who is inside is not known: "),
    ] {
        let mock = mock(&[]);
        let output = meanwhile(&mock, || mock.set_faults(parse(&[fault])));
        let document = output.expect(0).document();
        assert_eq!(document["check"]["room"]["sid"], mock.room("demo").unwrap().sid, "{fault}");
        assert!(document.get("renewedAs").is_none(), "{fault}: {document}");
        assert!((50..=60).contains(&closes_in(&document)), "{fault}: {document}");
        assert_eq!(document["closesAt"], document["check"]["room"]["closesAt"]);
        assert_eq!(mock.requests(RESTART), restarts, "{fault}");
        let warning = plain(document["warnings"][0].as_str().unwrap(), &mock);
        let begins = "the nest is empty, and this check has joined and left it: it closes at hh:mm unless somebody \
                      joins before. It was not renewed: ";
        assert!(warning.starts_with(&format!("{begins}{why}")), "{fault}: {warning}");
    }
}

#[test]
fn a_renewal_whose_answer_is_lost_is_proven_all_the_same() {
    let mock = mock(&[]);
    let document = meanwhile(&mock, || mock.set_faults(parse(&["drop-after"]))).expect(0).document();
    assert_eq!(document["renewedAs"], mock.room("demo").unwrap().sid);
    assert!((1790..=1800).contains(&closes_in(&document)), "{document}");
}

#[test]
fn a_renewal_that_loses_the_room_is_no_success() {
    let mock = mock(&[]);
    let output = meanwhile(&mock, || mock.set_faults(parse(&["no-room"]))).expect(10);
    let document = output.document();
    assert_eq!((&document["proof"], &document["check"]["verdict"]), (&"noRoom".into(), &"joinable".into()));
    assert!(document.get("renewedAs").is_none() && document.get("closesAt").is_none(), "{document}");
    let message = "the nest was joinable, and one more restart, for its full life, has left it without an audio room";
    assert!(document["error"]["message"].as_str().unwrap().starts_with(message), "{document}");
    assert!(document["error"]["hints"][0].as_str().unwrap().contains("`nest doctor demo`"), "{document}");
}
