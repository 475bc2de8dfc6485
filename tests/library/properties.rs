//! Any bytes in: never a panic, never an endless pause, never a secret handed on.

use std::time::Duration;

use nostr_nests::api::retry::Next;
use nostr_nests::api::{ApiUrl, HttpReply, RetryPolicy, RoomId, TransportError, answer};
use nostr_nests::livekit::token;
use nostr_nests::room::RoomRef;
use nostr_nests::secret::scrub;
use proptest::prelude::*;
use url::Url;

use crate::support::arbitrary::body;

fn reply(status: u16, body: Vec<u8>) -> HttpReply {
    HttpReply {
        status,
        date_ms: None,
        sent_ms: 0,
        received_ms: 0,
        retry_after: None,
        location: None,
        html: false,
        body,
        oversized: false,
        cut: false,
        rate_limit: None,
    }
}

/// Anything that somebody might take for the name of a nest.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "(nostr:)?(naddr1|NADDR1|npub1|nevent1)[a-z0-9é]{0,120}",
        "(https?|ws|file)://[a-z0-9.:@\\[\\]]{0,20}/?(api/v1/nests|naddr1)?/?[^ ]{0,30}",
        "[0-9]{0,6}:[0-9a-fé]{0,70}:.{0,20}",
    ]
}

proptest! {
    #[test]
    fn a_name_is_read_or_refused(text in name()) {
        if let Ok(room) = RoomRef::parse(&text) {
            let id = room.id.as_str();
            prop_assert!(!matches!(id, "" | "." | ".."));
            // It is one segment of the path, whatever is in it, and comes back as it was.
            let base = ApiUrl::parse("https://h.example/pre").unwrap();
            let url = base.room(&room.id, "/restart");
            let segments: Vec<_> = url.path_segments().unwrap().collect();
            prop_assert_eq!((segments.len(), segments[5]), (6, "restart"));
            prop_assert_eq!(RoomRef::parse(url.as_str()).unwrap().id, room.id.clone());
        }
    }

    #[test]
    fn a_bare_id_is_kept(id in "[a-zA-Z0-9 %_~é/-]{1,60}") {
        prop_assume!(!id.to_lowercase().starts_with('n'));
        let room = RoomRef::parse(&id).unwrap();
        prop_assert_eq!(room.id.as_str(), id);
    }

    #[test]
    fn an_answer_means_something(
        status in 100..=999_u16, body in body(), html in any::<bool>(), location in any::<Option<String>>(),
        date_ms in any::<Option<i64>>(), sent_ms in any::<i64>(),
    ) {
        let url = Url::parse("https://h.example/api/v1/nests/demo/restart").unwrap();
        let reply = HttpReply { html, location, date_ms, sent_ms, ..reply(status, body) };
        let asked = RoomId::new("demo").unwrap();
        match answer::session(&reply, &url, &asked) {
            Ok((session, token)) => {
                prop_assert!((200..300).contains(&status) && session.room_id == "demo");
                prop_assert_eq!(token.expose().split('.').count(), 3);
            }
            Err(error) => {
                prop_assert!(!error.to_string().is_empty());
                prop_assert_eq!(error.status(), Some(status).filter(|_| !matches!(error, answer::ApiError::OtherRoom { .. })).or(Some(200)));
            }
        }
        prop_assert!(reply.text().chars().count() <= 301);
    }

    #[test]
    fn a_token_is_read_or_refused(text in prop_oneof![any::<String>(), "[A-Za-z0-9_=-]{0,60}(\\.[A-Za-z0-9_=-]{0,60}){0,4}"], now in any::<i64>()) {
        if let Ok(claims) = token::decode(&text) {
            let _ = (claims.problems("demo", now), claims.may_publish());
        }
    }

    #[test]
    fn claims_are_read_or_refused(json in "\\{(\"(exp|nbf|sub|video|metadata)\":(-?[0-9]{1,25}|\"x\"|\\{\\}|null|1e999),?){0,5}\\}", now in any::<i64>()) {
        use base64::Engine as _;
        let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(json);
        if let Ok(claims) = token::decode(&format!("e30.{payload}.e30")) {
            let _ = (claims.problems("demo", now), claims.may_publish());
        }
    }

    #[test]
    fn what_looks_like_a_secret_is_masked(before in "[^A-Za-z0-9+/_=.%-]{0,20}", tail in "[A-Za-z0-9_-]{12,80}", after in "[^A-Za-z0-9+/_=.%-]{0,20}") {
        for mark in ["eyJ", "nsec1", "NSEC1", "ncryptsec1", "access_token=", "secret="] {
            let text = format!("{before}{mark}{tail}{after}");
            let scrubbed = scrub(&text);
            prop_assert!(!scrubbed.contains(&tail), "{scrubbed}");
            prop_assert!(scrubbed.starts_with(&before) && scrubbed.ends_with(&after));
        }
    }

    #[test]
    fn no_pause_is_longer_than_allowed(
        status in 400..600_u16, after_s in any::<Option<u64>>(), attempt in 1..40_u32, retries in 0..40_u32,
        max_ms in 1..120_000_u64, random in 0.0..1.0_f64,
    ) {
        let max_wait = Duration::from_millis(max_ms);
        let policy = RetryPolicy { retries, max_wait };
        let retry_after = after_s.map(Duration::from_secs);
        let outcome = Ok(HttpReply { retry_after, ..reply(status, Vec::new()) });
        match policy.next(&outcome, attempt, random) {
            Next::Again(pause) => {
                prop_assert!(attempt <= retries && matches!(status, 429 | 500 | 502 | 503));
                prop_assert!(pause <= max_wait + Duration::from_millis(500), "{pause:?}");
                prop_assert!(!matches!(status, 429 | 503) || retry_after.is_none_or(|wait| wait <= pause));
            }
            Next::Stop => {}
        }
        let failed = Ok(reply(500, Vec::new()));
        let pause = |random| policy.next(&failed, 1, random);
        prop_assert!(retries == 0 || max_ms < 500 || pause(0.0) != pause(0.9), "not all at once");
        let sent: Result<HttpReply, TransportError> = Err(TransportError::Unanswered("x".into()));
        prop_assert_eq!(policy.next(&sent, 1, random), Next::Stop, "what was sent is never sent again");
    }
}
