//! What an answer of the API says to a person.

use std::time::Duration;

use nostr_nests::api::answer::session;
use nostr_nests::api::http::{rate_limit, retry_after};
use nostr_nests::api::wire::Session;
use nostr_nests::api::{ApiError, HttpReply, RoomId};
use nostr_nests::clock;
use reqwest::header::HeaderMap;

fn reply(status: u16, html: bool, body: &str) -> HttpReply {
    HttpReply {
        status,
        date_ms: Some(10_000),
        sent_ms: 104_000,
        received_ms: 105_000,
        retry_after: None,
        rate_limit: None,
        location: None,
        html,
        body: body.into(),
        oversized: false,
        cut: false,
    }
}

#[test]
fn error_texts_of_all_kinds() {
    assert_eq!(reply(404, false, r#"{"error":"Nest not found"}"#).text(), "Nest not found");
    assert_eq!(reply(429, true, "Too many requests,\n please wait").text(), "Too many requests, please wait");
    assert_eq!(reply(502, true, "<html><h1>Bad Gateway</h1>").text(), "");
    assert_eq!(reply(400, false, r#"{"error":{"a":1}}"#).text(), r#"{"a":1}"#);
    assert_eq!(reply(401, false, r#"{"error":"bad Nostr eyJpZCI6IjEyMzQ1Njc4OTAi"}"#).text(), "bad Nostr ***");
    assert_eq!(reply(500, false, &"x".repeat(900)).text().chars().count(), 301);
    assert_eq!(reply(404, false, r#"{"error":"Nes"#).text(), r#"{"error":"Nes…"#);
    assert_eq!(HttpReply { cut: true, ..reply(404, false, "") }.text(), "");
}

#[test]
fn the_clock_of_the_server() {
    assert_eq!(reply(401, false, "").clock_ahead_s(), Some(94));
}

#[test]
fn retry_after_in_both_forms() {
    assert_eq!(retry_after("120", 0), Some(Duration::from_mins(2)));
    let date = clock::http_date(1_795_417_759_000);
    assert_eq!(retry_after(&date, 1_795_417_749_000), Some(Duration::from_secs(10)));
    assert_eq!(retry_after(&date, 1_795_417_799_000), Some(Duration::ZERO));
    assert_eq!(retry_after("soon", 0), None);
}

#[test]
fn what_is_left_of_a_limit_in_all_spellings() {
    for (fields, left) in [
        (&[("ratelimit-remaining", "7"), ("ratelimit-reset", "50")][..], Some((7, Some(50)))),
        (&[("x-ratelimit-remaining", "7"), ("x-ratelimit-reset", "1795417759")], Some((7, None))),
        (&[("ratelimit", "limit=100, remaining=7, reset=50")], Some((7, Some(50)))),
        (&[("ratelimit", "\"default\";r=7;t=50")], Some((7, Some(50)))),
        (&[("ratelimit-remaining", "7")], Some((7, None))),
        (&[("ratelimit", "soon")], None),
    ] {
        let fields = fields.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        let headers: HeaderMap = fields.collect();
        let limit = rate_limit(&headers).map(|limit| (limit.remaining, limit.reset.map(|reset| reset.as_secs())));
        assert_eq!(limit, left, "{headers:?}");
    }
}

#[test]
fn the_room_of_a_restart() {
    let room = |room: &str| {
        let session: Session = serde_json::from_str(&format!(r#"{{"roomId":"x","token":"t"{room}}}"#)).unwrap();
        session.room.map(|room| (room.sid, room.sid_before, room.created_at_ms))
    };
    let known = r#","room":{"sid":"RM_b","sidBefore":"RM_a","createdAtMs":5,"more":1}"#;
    assert_eq!(room(known), Some(("RM_b".into(), Some("RM_a".into()), 5)));
    assert_eq!(room(r#","room":{"sid":"RM_b","createdAtMs":5}"#), Some(("RM_b".into(), None, 5)));
    // What another server means by that name is not known, and does no harm.
    for other in ["", r#","room":null"#, r#","room":"x""#, r#","room":{"sid":1}"#] {
        assert_eq!(room(other), None, "{other}");
    }
}

#[test]
fn a_token_is_three_parts_of_base64url_or_none() {
    let (url, room) = ("https://nests.example/".parse().unwrap(), RoomId::new("x").unwrap());
    let read = |token: &str| {
        let body = serde_json::json!({ "roomId": "x", "token": token }).to_string();
        session(&reply(200, false, &body), &url, &room).map(|(_, token)| token.expose().to_owned())
    };
    let good = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln";
    assert_eq!(read(good).unwrap(), good);
    for bad in [
        "",
        "..",
        "e30.e30.",
        "e30.e30",
        "a-b_.e.f",
        "e30.e30.c2k=",
        "e30.e30.c2l",
        "==.==.==",
        "e30.e30.c2ln\n",
        &format!("{good}.c2ln"),
    ] {
        let why = read(bad).unwrap_err();
        assert!(
            matches!(&why, ApiError::Nonsense { status: 200, why } if why == "without a usable token"),
            "{bad:?}: {why}"
        );
    }
}
