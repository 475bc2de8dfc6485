//! What a plain restart claims: only what it knows, and it knows it without joining.

use std::time::{Duration, Instant};

use livekit_protocol::Room;
use prost::Message as _;
use serde_json::{Value, json};

use crate::support::nest::{self, Nest, Output, mock, parse};
use crate::support::raw::Raw;

fn restart(faults: &[&str], args: &[&str]) -> Output {
    Nest::new(&mock(faults)).args(["restart", "demo"]).args(args).run()
}

#[test]
fn a_new_room_is_proven_and_keeps_what_the_api_has_written() {
    let mock = mock(&[]);
    let document = Nest::new(&mock).args(["restart", "demo", "--json"]).run().expect(0).document();
    assert_eq!((&document["proof"], &document["warnings"]), (&json!("fresh"), &json!([])));
    let (room, record) = (mock.room("demo").unwrap(), mock.record("demo").unwrap());
    let metadata: Value = serde_json::from_str(&room.metadata).unwrap();
    // An old room would otherwise look as if it had been restarted.
    assert_eq!(metadata, json!({ "nestId": "demo", "host": record.host, "createdAt": record.created_at }));
    assert_eq!(mock.requests("/rtc") + mock.requests("/livekit/rtc"), 0, "nobody joins");
    // The life that an empty nest has: half an hour.
    let closes: jiff::Timestamp = document["closesAt"].as_str().unwrap().parse().unwrap();
    assert!((1790..=1800).contains(&closes.duration_since(jiff::Timestamp::now()).as_secs()));
}

#[test]
fn a_room_that_was_there_before_is_no_success() {
    for format in [&["--json"][..], &[]] {
        let output = restart(&["old-room-kept"], format).expect(10);
        assert!(output.stderr.contains("still runs the old room (RM_"), "{}", output.stderr);
        assert!(output.stderr.contains(", created 2 h ago)"), "{}", output.stderr);
        if format.is_empty() {
            assert!(output.stdout.starts_with("✗ demo · the old room still runs · "), "{}", output.stdout);
        } else {
            let document = output.document();
            assert_eq!((&document["proof"], &document["error"]["kind"]), (&json!("oldRoom"), &json!("unhealthy")));
            assert!(document["token"].is_string(), "the token is never lost");
        }
    }
    let token = restart(&["old-room-kept"], &["--output", "token"]).expect(10);
    assert_eq!(token.stdout.trim().split('.').count(), 3);
}

/// Within the same second no clock tells it, but this machine knows the room.
#[test]
fn the_room_of_the_restart_before_is_known_by_its_sid() {
    let mock = mock(&[]);
    let home = Nest::new(&mock);
    let state = nest::state_dir(home.home());
    let again = || Nest::new(&mock).env("XDG_STATE_HOME", state.clone()).args(["restart", "demo", "--json"]).run();
    again().expect(0);
    mock.set_faults(parse(&["old-room-kept"]));
    assert_eq!(again().expect(10).document()["proof"], "oldRoom");
    mock.set_faults(Vec::new());
    assert_eq!(again().expect(0).document()["proof"], "fresh");
}

#[test]
fn success_without_a_room_is_none() {
    let output = restart(&["no-room"], &["--json"]).expect(10);
    let document = output.document();
    assert_eq!((&document["proof"], &document["error"]["kind"]), (&json!("noRoom"), &json!("unhealthy")));
    assert!(output.stderr.contains("but there is no audio room"), "{}", output.stderr);
    assert!(output.stderr.contains("hint: see which link is broken: `nest doctor demo`."), "{}", output.stderr);
}

#[test]
fn the_doctor_does_not_send_back_to_the_restart() {
    let mock = mock(&["no-room"]);
    Nest::new(&mock).args(["restart", "demo"]).run().expect(10);
    let document = Nest::new(&mock).args(["doctor", "demo", "--json"]).run().expect(10).document();
    assert!(document["next"].as_str().unwrap().starts_with("for the operator: "), "{document:#}");
}

#[test]
fn what_livekit_does_not_tell_is_accepted_and_not_proven() {
    for (fault, why) in [
        ("wrong-secret", "it refuses: permissions denied"),
        ("html=404@signal", "it does not know the question (status 404)"),
        ("status=500@signal", "it does not know the question (status 500)"),
        ("livekit-down@signal", "the connection was lost before there was an answer"),
    ] {
        let output = restart(&[fault], &[]).expect(0);
        assert!(output.stdout.starts_with("! demo · accepted, not proven · "), "{fault}: {}", output.stdout);
        assert!(
            output
                .stderr
                .starts_with("warning: the server says that it has restarted the nest, and nothing proves it: ")
        );
        assert!(output.stderr.contains(why), "{fault}: {}", output.stderr);
        assert!(
            output.stderr.trim_end().ends_with("; see whether people can join: `nest check demo`"),
            "{}",
            output.stderr
        );
        let document = restart(&[fault], &["--json"]).expect(0).document();
        assert_eq!(document["proof"], "unproven", "{fault}");
        assert!(document["warnings"][0].as_str().unwrap().contains(why), "{fault}");
    }
}

#[test]
fn it_is_waited_for_a_second_at_most() {
    let begun = Instant::now();
    let document = restart(&["no-answer@signal"], &["--json"]).expect(0).document();
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!(document["proof"], "unproven");
    assert!(document["warnings"][0].as_str().unwrap().contains("no answer within 1000 ms"), "{document}");
}

#[test]
fn a_record_that_is_not_told_changes_nothing() {
    for fault in ["status=500@info", "no-answer@info"] {
        assert_eq!(restart(&[fault], &["--json"]).expect(0).document()["proof"], "fresh", "{fault}");
    }
}

#[test]
fn the_proof_of_a_check_is_the_same() {
    let proof = |faults: &[&str], code| {
        restart(faults, &["--check", "--json"]).expect(code).document()["proof"].as_str().unwrap().to_owned()
    };
    assert_eq!(proof(&[], 0), "fresh");
    assert_eq!(proof(&["old-room-kept"], 10), "oldRoom");
    assert_eq!(proof(&["wrong-secret"], 10), "unproven");
    let mock = mock(&["old-room-kept"]);
    let running = Nest::new(&mock).args(["restart", "demo", "--if-inactive", "--json"]).run().expect(0).document();
    assert!(running.get("proof").is_none(), "nothing was sent: {running}");
}

/// What no calendar has, wherever an API or LiveKit writes a time; some of it once was a panic.
#[test]
fn times_that_no_calendar_has_are_survived() {
    const TOKEN: &str = "e30.eyJleHAiOjkyMjMzNzIwMzY4NTQ3NzU4MDd9.c2ln";
    const YEAR_10000_S: i64 = 253_402_300_800;
    for (ms, s) in [(0, i64::MAX), (i64::MAX, 0), (YEAR_10000_S * 1000, YEAR_10000_S), (i64::MIN, i64::MIN)] {
        let answer = |told: bool| {
            Raw::with(move |_, head| {
                let (empty_timeout, sid) = (u32::MAX, "RM_a".to_owned());
                let room = Room { sid, creation_time: s, creation_time_ms: ms, empty_timeout, ..Room::default() };
                let session = json!({ "sid": "RM_b", "sidBefore": "RM_a", "createdAtMs": ms });
                let info = json!({ "host": "aa", "createdAt": s, "restartedAt": ms, "participantCount": 0 });
                let (kind, body) = match head.split(' ').nth(1).unwrap() {
                    path if path.contains("/twirp/") => ("protobuf", room.encode_to_vec()),
                    path if path.ends_with("/info") => ("json", info.to_string().into()),
                    _ => {
                        let session = told.then_some(session);
                        let answer = json!({ "roomId": "demo", "token": TOKEN, "endpoints": [], "room": session });
                        ("json", answer.to_string().into())
                    }
                };
                let head = format!(
                    "HTTP/1.1 200 OK\r\nDate: Fri, 31 Dec 9999 23:59:59 GMT\r\nConnection: close\r\n\
                     Content-Type: application/{kind}\r\nContent-Length: {}\r\n\r\n",
                    body.len()
                );
                [head.into_bytes(), body].concat()
            })
        };
        let mock = mock(&[]);
        for server in [answer(true), answer(false)] {
            for args in
                ["restart demo", "restart demo --check", "status demo", "token demo", "doctor demo", "check demo"]
            {
                let call = Nest::new(&mock).env("NEST_API", server.url()).args(args.split(' '));
                let output = call.args(["--timeout", "2s"]).run();
                assert!([0, 10].contains(&output.code) && !output.stderr.contains("panicked"), "{args}: {output:?}");
            }
        }
    }
}
