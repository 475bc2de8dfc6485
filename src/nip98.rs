//! The event that stands for a request (NIP-98), and the header value made of it. Pure: clock and nonce are passed in.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nostr::hashes::Hash as _;
use nostr::hashes::sha256;
use nostr::{Event, EventBuilder, JsonUtil as _, Kind, PublicKey, Tag, TagKind, Timestamp, UnsignedEvent};

use crate::secret::Secret;

/// A request that is to be signed.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// `POST` and the like, upper case.
    pub method: &'a str,
    /// The URL exactly as it is sent.
    pub url: &'a str,
    pub body: Option<&'a [u8]>,
}

/// The event for one attempt at `request`. The `nonce` makes two events of the same second differ, so that a server
/// that refuses replays accepts both. `created_at` is in seconds since the Unix epoch.
pub fn event(request: Request<'_>, author: PublicKey, created_at: i64, nonce: &str) -> UnsignedEvent {
    let tag = |name: &str, value: &str| Tag::custom(TagKind::custom(name), [value]);
    let mut tags = vec![tag("u", request.url), tag("method", request.method), tag("nonce", nonce)];
    if let Some(body) = request.body {
        tags.push(tag("payload", &sha256::Hash::hash(body).to_string()));
    }
    EventBuilder::new(Kind::HttpAuth, "")
        .tags(tags)
        .custom_created_at(Timestamp::from(u64::try_from(created_at).unwrap_or_default()))
        .build(author)
}

/// The value of the `Authorization` header: padded standard base64.
pub fn authorization(event: &Event) -> Secret {
    Secret::new(format!("Nostr {}", STANDARD.encode(event.as_json())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use nostr::Keys;

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
}
