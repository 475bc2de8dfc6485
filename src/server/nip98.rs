//! Verification of NIP-98 signatures, as strict as the strictest of the servers in the field.
//!
//! Shares nothing with the code that signs: each is the other's judge.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nostr::{Event, EventId, JsonUtil, Kind, PublicKey};
use sha2::{Digest, Sha256};

/// How far `created_at` may be from the server's clock, in seconds.
const WINDOW_S: i64 = 60;
/// How long an event id is to be remembered: longer than it can be valid.
pub const MEMORY: Duration = Duration::from_secs(150);

/// Why a request is not authenticated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No header.
    #[error("Missing Authorization header")]
    Missing,
    /// Another scheme, or the right one in other letters.
    #[error("Authorization scheme must be exactly 'Nostr'")]
    Scheme,
    /// Url-safe, unpadded, or no base64 at all.
    #[error("Authorization is not padded standard base64")]
    Base64,
    /// Base64 of something else.
    #[error("Authorization is not a Nostr event")]
    NotAnEvent,
    /// Not kind 27235.
    #[error("Wrong event kind: {0}, expected 27235")]
    Kind(u16),
    /// The id does not fit the event, or the signature not the id.
    #[error("Invalid event id or signature")]
    Signature,
    /// NIP-98: SHOULD be empty.
    #[error("Event content must be empty")]
    Content,
    /// Too old or from the future.
    #[error("Event is {} s {}; check the clock", .0.abs(), if *.0 > 0 { "old" } else { "ahead" })]
    Time(
        /// Age in seconds.
        i64,
    ),
    /// None, or more than one.
    #[error("Event must have exactly one '{0}' tag")]
    Tags(&'static str),
    /// Signed for another URL.
    #[error("Event is for another URL, this is {0}")]
    Url(
        /// What should have been signed.
        String,
    ),
    /// Signed for another method, or in lower case.
    #[error("Event is for another method, this is {0}")]
    Method(String),
    /// The hash is missing or that of another body.
    #[error("Event payload hash does not match the body")]
    Payload,
    /// Seen before.
    #[error("Event was already used")]
    Replayed,
}

/// What a signature has to fit.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The value of the header.
    pub authorization: Option<&'a str>,
    /// The method as it came.
    pub method: &'a str,
    /// The whole URL.
    pub url: &'a str,
    /// The body; empty when there is none.
    pub body: &'a [u8],
}

/// A signature that is right and fresh; whether it was used before is for the store to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signed {
    /// Who signed.
    pub key: PublicKey,
    /// The id of the event.
    pub event: EventId,
}

/// Who signed this request, if it was signed as NIP-98 says and is fresh at `now_s`.
pub fn verify(request: &Request<'_>, now_s: i64) -> Result<Signed, Refusal> {
    let value = request.authorization.ok_or(Refusal::Missing)?;
    let encoded = value.strip_prefix("Nostr ").ok_or(Refusal::Scheme)?;
    let json = STANDARD.decode(encoded).map_err(|_| Refusal::Base64)?;
    let event = Event::from_json(json).map_err(|_| Refusal::NotAnEvent)?;
    if event.kind != Kind::HttpAuth {
        return Err(Refusal::Kind(event.kind.as_u16()));
    }
    event.verify().map_err(|_| Refusal::Signature)?;
    if !event.content.is_empty() {
        return Err(Refusal::Content);
    }
    let age = now_s - i64::try_from(event.created_at.as_secs()).unwrap_or(i64::MAX);
    if age.abs() > WINDOW_S {
        return Err(Refusal::Time(age));
    }
    if only(&event, "u")? != request.url {
        return Err(Refusal::Url(request.url.into()));
    }
    if only(&event, "method")? != request.method || request.method != request.method.to_ascii_uppercase() {
        return Err(Refusal::Method(request.method.into()));
    }
    if !request.body.is_empty() && only(&event, "payload")? != hex(&Sha256::digest(request.body)) {
        return Err(Refusal::Payload);
    }
    Ok(Signed { key: event.pubkey, event: event.id })
}

/// The value of the only tag of this name.
fn only<'a>(event: &'a Event, name: &'static str) -> Result<&'a str, Refusal> {
    let mut values = event.tags.iter().filter(|tag| tag.as_slice().first().is_some_and(|first| first == name));
    match (values.next().and_then(|tag| tag.content()), values.next()) {
        (Some(value), None) => Ok(value),
        _ => Err(Refusal::Tags(name)),
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
