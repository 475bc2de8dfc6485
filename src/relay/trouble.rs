//! What a relay can do wrong.

use std::time::Duration;

use crate::secret::scrub;

/// Longer words of a relay are cut: they are strangers' text.
const WORDS_MAX: usize = 300;

/// Why a relay was of no use. Its own words are scrubbed of secrets and cut; a terminal has to escape them still.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Trouble {
    /// `ws://` to another machine, without leave.
    #[error("it is not encrypted (ws://)")]
    Insecure,
    /// DNS, TCP or TLS.
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    /// It speaks HTTP, but not WebSocket; the status that it answered with.
    #[error("it answered with HTTP {0} instead of a WebSocket")]
    NoWebSocket(u16),
    /// Nothing, or not all, in the time that it had.
    #[error("it did not answer within {} s", .0.as_secs_f32())]
    Silent(Duration),
    /// It ended the connection; with what it said last, if anything.
    #[error("it ended the connection{}", said(.0))]
    Lost(String),
    /// What it sent is not Nostr's.
    #[error("what it sends is not Nostr's")]
    Nonsense,
    /// A message or an answer beyond all measure.
    #[error("it sent more than can be believed")]
    TooMuch,
    /// It did not take the request or the event.
    #[error("it refused{}", said(.0))]
    Refused(String),
    /// It wants to know who asks (NIP-42), and there is no signer.
    #[error("it wants to know who asks{}", said(.0))]
    AuthRequired(String),
    /// It was told who asks, and refused.
    #[error("it does not serve this key{}", said(.0))]
    AuthRefused(String),
    /// The signer did not sign what the relay asked for.
    #[error("the signer did not answer the relay's challenge: {0}")]
    NotSigned(String),
}

fn said(words: &str) -> String {
    if words.is_empty() { String::new() } else { format!(": {words}") }
}

/// A stranger's words, fit to be kept.
pub(super) fn words(text: &str) -> String {
    let text = text.trim();
    // A megabyte is not searched for secrets where a few words of it are kept.
    let text = scrub(&text[..text.floor_char_boundary(8 * WORDS_MAX)]);
    match text.char_indices().nth(WORDS_MAX) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.into_owned(),
    }
}
