//! Verification of NIP-98 signatures, as strict as the strictest of the servers in the field, except that a body needs no
//! `payload`: NIP-98 only says that it SHOULD have one, and some clients never send it.
//!
//! Shares nothing with the code that signs: each is the other's judge.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nostr::hashes::Hash as _;
use nostr::hashes::sha256::Hash as Sha256Hash;
use nostr::{Event, EventId, JsonUtil, Kind, PublicKey};

/// How far `created_at` may be from the server's clock, in seconds.
const WINDOW_S: u64 = 60;
/// How long an event id is to be remembered: longer than it can be valid.
pub(super) const MEMORY: Duration = Duration::from_secs(150);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Nip98Error {
    #[error("Missing Authorization header")]
    Missing,
    #[error("Authorization scheme must be exactly 'Nostr'")]
    Scheme,
    /// Url-safe, unpadded, or no base64 at all.
    #[error("Authorization is not padded standard base64")]
    Base64,
    #[error("Authorization is not a Nostr event")]
    NotAnEvent,
    #[error("Wrong event kind: {0}, expected 27235")]
    Kind(u16),
    /// The id does not fit the event, or the signature not the id.
    #[error("Invalid event id or signature")]
    Signature,
    /// NIP-98: SHOULD be empty.
    #[error("Event content must be empty")]
    Content,
    /// The age of the event in seconds.
    #[error("Event is {} s {}; check the clock", .0.unsigned_abs(), if *.0 > 0 { "old" } else { "ahead" })]
    Time(i64),
    #[error("Event must have exactly one '{0}' tag")]
    Tags(&'static str),
    #[error("Event is for another URL, this is {0}")]
    Url(String),
    #[error("Event is for another method, this is {0}")]
    Method(String),
    #[error("Event payload hash does not match the body")]
    Payload,
    #[error("Event was already used")]
    Replayed,
}

/// The key that has signed this request and the id of the event, if it is signed as NIP-98 says and fresh at `now_s`.
/// Whether the event was used before is for the store to say.
pub fn verify(
    authorization: Option<&str>,
    method: &str,
    url: &str,
    body: &[u8],
    now_s: i64,
) -> Result<(PublicKey, EventId), Nip98Error> {
    let value = authorization.ok_or(Nip98Error::Missing)?;
    let encoded = value.strip_prefix("Nostr ").ok_or(Nip98Error::Scheme)?;
    let json = STANDARD.decode(encoded).map_err(|_| Nip98Error::Base64)?;
    let event = Event::from_json(json).map_err(|_| Nip98Error::NotAnEvent)?;
    if event.kind != Kind::HttpAuth {
        return Err(Nip98Error::Kind(event.kind.as_u16()));
    }
    event.verify().map_err(|_| Nip98Error::Signature)?;
    if !event.content.is_empty() {
        return Err(Nip98Error::Content);
    }
    let age = now_s.saturating_sub(i64::try_from(event.created_at.as_secs()).unwrap_or(i64::MAX));
    if age.unsigned_abs() > WINDOW_S {
        return Err(Nip98Error::Time(age));
    }
    if only(&event, "u")? != url {
        return Err(Nip98Error::Url(url.into()));
    }
    if only(&event, "method")? != method || method != method.to_ascii_uppercase() {
        return Err(Nip98Error::Method(method.into()));
    }
    let hash = Sha256Hash::hash(body).to_string();
    if values(&event, "payload").any(|payload| payload != Some(&hash)) {
        return Err(Nip98Error::Payload);
    }
    Ok((event.pubkey, event.id))
}

/// The value of the only tag of this name.
fn only<'a>(event: &'a Event, name: &'static str) -> Result<&'a str, Nip98Error> {
    let mut values = values(event, name);
    match (values.next().flatten(), values.next()) {
        (Some(value), None) => Ok(value),
        _ => Err(Nip98Error::Tags(name)),
    }
}

/// The values of all tags of this name; a tag may have none.
fn values<'a>(event: &'a Event, name: &str) -> impl Iterator<Item = Option<&'a str>> {
    let tags = event.tags.iter().filter(move |tag| tag.as_slice().first().is_some_and(|first| first == name));
    tags.map(|tag| tag.content())
}
