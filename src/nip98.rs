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
