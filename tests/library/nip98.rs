//! The event that signs a request.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nostr::{Event, JsonUtil as _, Keys};
use nostr_nests::nip98::{Request, authorization, event};

#[test]
fn the_event_says_what_is_asked() {
    let keys = Keys::generate();
    let url = "https://h.example/api/v1/nests/A%20b/restart";
    let request = Request { method: "POST", url, body: None };
    let signed = event(request, keys.public_key(), 1_795_417_759, "n1").sign_with_keys(&keys).unwrap();
    signed.verify().unwrap();
    let tags: Vec<_> = signed.tags.iter().map(|t| t.as_slice().join("=")).collect();
    assert_eq!(tags, [format!("u={url}"), "method=POST".into(), "nonce=n1".into()]);
    assert_eq!((signed.kind.as_u16(), signed.content.as_str()), (27235, ""));
    assert_eq!(signed.created_at.as_secs(), 1_795_417_759);
    let value = authorization(&signed);
    let decoded = STANDARD.decode(value.expose().strip_prefix("Nostr ").unwrap()).unwrap();
    assert_eq!(Event::from_json(decoded).unwrap(), signed);
}

#[test]
fn a_body_is_hashed_and_no_two_attempts_are_the_same() {
    let author = Keys::generate().public_key();
    let request = Request { method: "PUT", url: "https://h", body: Some(b"{}") };
    let first = event(request, author, 1, "n1");
    let payload = first.tags.iter().find(|t| t.as_slice()[0] == "payload").unwrap().as_slice()[1].clone();
    assert_eq!(payload, "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a");
    assert_ne!(first.id, event(request, author, 1, "n2").id);
}
