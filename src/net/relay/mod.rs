//! Relays: dialled, sifted and spoken to. A relay is a stranger: whatever it sends is bounded here, for everybody.
//!
//! | module | what |
//! |---|---|
//! | `sieve` | what a relay sends: bounded, and read |
//! | `session` | one short call: ask for events, hand one in, say who asks (NIP-42) |
//! | `follow`, `transport` | what lives long, on nostr-sdk: connects again, asks again |

pub mod follow;
pub(crate) mod session;
pub mod sieve;
mod transport;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use nostr::message::MachineReadablePrefix as Prefix;
use nostr::{Event, EventBuilder, PublicKey, RelayMessage, RelayUrl, UnsignedEvent};
use url::Url;

use super::dial::{self, DialCause, DialError, DialLimits, WebSocket};
use super::is_loopback;
use super::reach::{Barred, Reach};
use crate::secret::scrub;

/// A room event has a few kilobytes; with hundreds of people in it a few dozen.
const MESSAGE_MAX: usize = 1 << 20;
/// Longer words of a relay are cut: they are strangers' text.
const WORDS_MAX: usize = 300;
/// The one subscription of a connection.
const SUBSCRIPTION: &str = "nest";

/// Why a relay was of no use. Its own words are scrubbed of secrets and cut; a terminal has to escape them still.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RelayTrouble {
    /// `ws://` to another machine, without leave.
    #[error("it is not encrypted (ws://)")]
    Insecure,
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    /// It was not called.
    #[error("{0}")]
    Barred(Barred),
    /// It speaks HTTP, but not WebSocket; the status that it answered with.
    #[error("it answered with HTTP {0} instead of a WebSocket")]
    NoWebSocket(u16),
    /// Nothing, or not all, in the time that it had.
    #[error("it did not answer within {} s", .0.as_secs_f32())]
    Silent(Duration),
    /// It ended the connection; with what it said last, if anything.
    #[error("it ended the connection{}", with_reason(.0))]
    ConnectionLost(String),
    #[error("what it sends is not Nostr's")]
    Nonsense,
    #[error("it sent more than can be believed")]
    TooMuch,
    #[error("it sends pings without end")]
    PingFlood,
    #[error("it refused{}", with_reason(.0))]
    Refused(String),
    /// It wants to know who asks (NIP-42), and there is no signer.
    #[error("it wants to know who asks{}", with_reason(.0))]
    AuthRequired(String),
    #[error("it does not serve this key{}", with_reason(.0))]
    AuthRefused(String),
    #[error("the signer did not answer the relay's challenge: {0}")]
    NotSigned(String),
}

fn with_reason(words: &str) -> String {
    if words.is_empty() { String::new() } else { format!(": {words}") }
}

fn words(text: &str) -> String {
    let text = text.trim();
    // A megabyte is not searched for secrets where a few words of it are kept.
    let text = scrub(&text[..text.floor_char_boundary(8 * WORDS_MAX)]);
    match text.char_indices().nth(WORDS_MAX) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.into_owned(),
    }
}

/// Why a relay refuses the subscription, if that is what the message says.
fn refusal<'a>(message: &'a RelayMessage<'_>) -> Option<&'a str> {
    match message {
        RelayMessage::Closed { subscription_id, message } if subscription_id.as_str() == SUBSCRIPTION => Some(message),
        // Relays from before NIP-42 had `CLOSED` refuse like this.
        RelayMessage::Notice(message) if Prefix::parse(message).is_some() => Some(message),
        _ => None,
    }
}

pub type Signing = Pin<Box<dyn Future<Output = Result<Event, String>> + Send>>;

/// Answers for a key when a relay wants to know who asks (NIP-42).
#[derive(Clone)]
pub struct Signer {
    key: PublicKey,
    sign: Arc<dyn Fn(UnsignedEvent) -> Signing + Send + Sync>,
}

impl Signer {
    /// `sign` signs for `key`, or says why not.
    pub fn new(key: PublicKey, sign: impl Fn(UnsignedEvent) -> Signing + Send + Sync + 'static) -> Self {
        Self { key, sign: Arc::new(sign) }
    }

    /// Who is to be named to a relay that has refused, if that is why it has.
    fn named_by_refusal<'a>(
        signer: Option<&'a Self>,
        challenged: bool,
        refusal: &str,
    ) -> Result<&'a Self, RelayTrouble> {
        match (Prefix::parse(refusal), signer) {
            (Some(Prefix::AuthRequired), None) => Err(RelayTrouble::AuthRequired(words(refusal))),
            (Some(Prefix::AuthRequired), Some(signer)) => Ok(signer),
            (Some(Prefix::Restricted), Some(signer)) if challenged => Ok(signer),
            _ => Err(RelayTrouble::Refused(words(refusal))),
        }
    }

    /// The event that answers a relay's challenge.
    async fn answer(&self, challenge: String, relay: &RelayUrl) -> Result<Event, RelayTrouble> {
        let unsigned = EventBuilder::auth(challenge, relay.clone()).build(self.key);
        (self.sign)(unsigned).await.map_err(|why| RelayTrouble::NotSigned(words(&why)))
    }
}

#[derive(Clone)]
pub struct RelaySettings {
    /// For all that one call does: connecting included, and relays that are only found on the way.
    pub timeout: Duration,
    /// Whom to trust; its ALPN does not matter.
    pub tls: Arc<rustls::ClientConfig>,
    /// Whom to call at whose word.
    pub reach: Reach,
    pub allow_http: bool,
    /// Who answers when a relay wants to know who asks; asked only then.
    pub signer: Option<Signer>,
}

/// Whether a relay is encrypted, or need not be.
pub fn may_be_dialled(address: &Url, allow_http: bool) -> bool {
    address.scheme() == "wss" || allow_http || is_loopback(address)
}

impl RelaySettings {
    /// Connects to a relay.
    async fn dial(&self, address: &Url) -> Result<WebSocket, RelayTrouble> {
        if !may_be_dialled(address, self.allow_http) {
            return Err(RelayTrouble::Insecure);
        }
        let limits = DialLimits::within(self.timeout);
        let dialled = async {
            let connection = dial::connect(address, &self.tls, &self.reach, None, limits).await?;
            connection.upgrade(address, MESSAGE_MAX, limits).await
        };
        let (socket, _) = dialled.await.map_err(|DialError { cause, .. }| match cause {
            DialCause::NoWebSocket { status, .. } => RelayTrouble::NoWebSocket(status),
            DialCause::TimedOut(_) => RelayTrouble::Silent(self.timeout),
            DialCause::NoConnection(mut tried) => {
                RelayTrouble::Unreachable(tried.pop().map_or(String::new(), |(_, why)| why))
            }
            DialCause::NoAddress(text) | DialCause::Broken(text) => RelayTrouble::Unreachable(words(&text)),
            DialCause::Barred(barred) => RelayTrouble::Barred(barred),
            DialCause::Tls(failure) => RelayTrouble::Unreachable(words(&failure.to_string())),
        })?;
        Ok(socket)
    }
}
