//! One connection to one relay: ask for events, hand one in, say who asks when the relay wants to know (NIP-42).
//!
//! Connecting is limited in time here; for the rest the caller sets the limit, by dropping the future.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use nostr::{
    ClientMessage, Event, EventBuilder, EventId, Filter, JsonUtil, PublicKey, RelayMessage, RelayUrl, SubscriptionId,
    UnsignedEvent, message::MachineReadablePrefix as Prefix,
};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{self, Message, error::ProtocolError};
use url::Url;

use crate::net::dial::{self, DialCause, DialError, DialLimits, WebSocket};
use crate::net::{io_text, is_loopback};
use crate::secret::scrub;

/// A room event has a few kilobytes; with hundreds of people in it a few dozen.
const MESSAGE_MAX: usize = 1 << 20;
/// For all messages of one answer.
const ANSWER_MAX: usize = 16 << 20;
/// For all events of one answer, whatever they are.
const EVENTS_MAX: usize = 2_000;
/// Messages that nobody can read before the relay is given up.
const NONSENSE_MAX: usize = 10;
/// Longer words of a relay are cut: they are strangers' text.
const WORDS_MAX: usize = 300;

/// How long a relay has to say that it knows now who asks.
const AUTH_VERDICT: Duration = Duration::from_secs(1);

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

pub type Signing = Pin<Box<dyn Future<Output = Result<Event, String>> + Send>>;

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
}

#[derive(Clone)]
pub struct RelaySettings {
    /// For all that one call does: connecting included, and relays that are only found on the way.
    pub timeout: Duration,
    /// Whom to trust; its ALPN does not matter.
    pub tls: Arc<rustls::ClientConfig>,
    pub allow_http: bool,
    /// Who answers when a relay wants to know who asks; asked only then.
    pub signer: Option<Signer>,
}

pub(super) struct RelaySession<'a> {
    socket: WebSocket,
    url: &'a RelayUrl,
    signer: Option<&'a Signer>,
    challenge: Option<String>,
    authenticated: bool,
    /// The relay's last `NOTICE`: often the only reason that it gives.
    notice: String,
    bytes: usize,
    nonsense: usize,
}

impl<'a> RelaySession<'a> {
    pub async fn open(url: &'a RelayUrl, settings: &'a RelaySettings) -> Result<Self, RelayTrouble> {
        let address: &Url = url.into();
        if !(address.scheme() == "wss" || settings.allow_http || is_loopback(address)) {
            return Err(RelayTrouble::Insecure);
        }
        let limits = DialLimits::within(settings.timeout);
        let dialled = async {
            let connection = dial::connect(address, &settings.tls, None, limits).await?;
            connection.upgrade(address, MESSAGE_MAX, limits).await
        };
        let (socket, _) = dialled.await.map_err(|DialError { cause, .. }| match cause {
            DialCause::NoWebSocket { status, .. } => RelayTrouble::NoWebSocket(status),
            DialCause::TimedOut(_) => RelayTrouble::Silent(settings.timeout),
            DialCause::NoConnection(mut tried) => {
                RelayTrouble::Unreachable(tried.pop().map_or(String::new(), |(_, why)| why))
            }
            DialCause::NoAddress(text) | DialCause::Broken(text) => RelayTrouble::Unreachable(words(&text)),
            DialCause::Tls(failure) => RelayTrouble::Unreachable(words(&failure.to_string())),
        })?;
        Ok(Self {
            socket,
            url,
            signer: settings.signer.as_ref(),
            challenge: None,
            authenticated: false,
            notice: String::new(),
            bytes: 0,
            nonsense: 0,
        })
    }

    /// Asks for the events that one of the filters fits, and hands over each one that the relay calls an answer:
    /// nothing about them has been checked.
    pub async fn ask(&mut self, filters: &[Filter], mut heard: impl FnMut(Event)) -> Result<(), RelayTrouble> {
        let id = SubscriptionId::new(SUBSCRIPTION);
        let request = ClientMessage::req(id.clone(), filters.to_vec());
        self.send(&request).await?;
        let mut events = 0;
        loop {
            let refusal = match self.next().await? {
                RelayMessage::Event { subscription_id, event } if *subscription_id == id => {
                    events += 1;
                    if events > EVENTS_MAX {
                        return Err(RelayTrouble::TooMuch);
                    }
                    heard(event.into_owned());
                    continue;
                }
                RelayMessage::EndOfStoredEvents(done) if *done == id => return Ok(()),
                RelayMessage::Closed { subscription_id, message } if *subscription_id == id => message,
                // Relays from before NIP-42 had `CLOSED` refuse like this.
                RelayMessage::Notice(message) if Prefix::parse(&message).is_some() => message,
                _ => continue,
            };
            self.authenticate(&refusal).await?;
            self.send(&request).await?;
        }
    }

    /// Hands the event in and waits until the relay has said that it took it.
    pub async fn publish(&mut self, event: &Event) -> Result<(), RelayTrouble> {
        let message = ClientMessage::event(event.clone());
        loop {
            self.send(&message).await?;
            match self.verdict(event.id).await? {
                (true, _) => return Ok(()),
                // Some relays call the event a duplicate and the answer no.
                (false, reason) if Prefix::parse(&reason) == Some(Prefix::Duplicate) => return Ok(()),
                (false, reason) => self.authenticate(&reason).await?,
            }
        }
    }

    pub async fn close(mut self) {
        let _ = self.socket.close(None).await;
    }

    /// Says who asks, once, if that is why the relay refused.
    async fn authenticate(&mut self, refusal: &str) -> Result<(), RelayTrouble> {
        let signer = match (Prefix::parse(refusal), self.signer) {
            _ if self.authenticated => return Err(RelayTrouble::Refused(words(refusal))),
            (Some(Prefix::AuthRequired), None) => return Err(RelayTrouble::AuthRequired(words(refusal))),
            (Some(Prefix::AuthRequired), Some(signer)) => signer,
            (Some(Prefix::Restricted), Some(signer)) if self.challenge.is_some() => signer,
            _ => return Err(RelayTrouble::Refused(words(refusal))),
        };
        let challenge = loop {
            match self.challenge.take() {
                Some(challenge) => break challenge,
                None => drop(self.next().await?),
            }
        };
        let unsigned = EventBuilder::auth(challenge, self.url.clone()).build(signer.key);
        let event = (signer.sign)(unsigned).await.map_err(|why| RelayTrouble::NotSigned(words(&why)))?;
        self.send(&ClientMessage::auth(event.clone())).await?;
        self.authenticated = true;
        match timeout(AUTH_VERDICT, self.verdict(event.id)).await {
            Ok(Ok((false, reason))) => Err(RelayTrouble::AuthRefused(words(&reason))),
            Ok(Err(trouble)) => Err(trouble),
            // No answer is no refusal: some relays say nothing at all.
            Ok(Ok((true, _))) | Err(_) => Ok(()),
        }
    }

    async fn verdict(&mut self, id: EventId) -> Result<(bool, String), RelayTrouble> {
        loop {
            if let RelayMessage::Ok { event_id, status, message } = self.next().await?
                && (event_id == id || event_id == EventId::all_zeros())
            {
                return Ok((status, message.into_owned()));
            }
        }
    }

    async fn send(&mut self, message: &ClientMessage<'_>) -> Result<(), RelayTrouble> {
        self.socket.send(Message::text(message.as_json())).await.map_err(|error| self.connection_error(&error))
    }

    /// The next message that can be read; a challenge is kept for when it is needed, a notice for when all is lost.
    async fn next(&mut self) -> Result<RelayMessage<'static>, RelayTrouble> {
        loop {
            let text = match self.socket.next().await {
                Some(Ok(Message::Text(text))) => text,
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => continue,
                Some(Ok(Message::Binary(_))) => {
                    self.unreadable()?;
                    continue;
                }
                Some(Ok(Message::Close(frame))) => {
                    let reason = frame.map_or(String::new(), |frame| words(&frame.reason));
                    let why = if reason.is_empty() { self.notice.clone() } else { reason };
                    return Err(RelayTrouble::ConnectionLost(why));
                }
                Some(Err(error)) => return Err(self.connection_error(&error)),
                None => return Err(RelayTrouble::ConnectionLost(self.notice.clone())),
            };
            self.bytes += text.len();
            if self.bytes > ANSWER_MAX {
                return Err(RelayTrouble::TooMuch);
            }
            let Some(message) = RelayMessage::from_json(text.as_bytes()).ok().or_else(|| unnamed_verdict(&text)) else {
                self.unreadable()?;
                continue;
            };
            match &message {
                RelayMessage::Notice(notice) => self.notice = words(notice),
                RelayMessage::Auth { challenge } => self.challenge = Some(challenge.to_string()),
                _ => {}
            }
            return Ok(message);
        }
    }

    fn unreadable(&mut self) -> Result<(), RelayTrouble> {
        self.nonsense += 1;
        if self.nonsense < NONSENSE_MAX { Ok(()) } else { Err(RelayTrouble::Nonsense) }
    }

    fn connection_error(&self, error: &tungstenite::Error) -> RelayTrouble {
        match error {
            tungstenite::Error::Capacity(_) | tungstenite::Error::WriteBufferFull(_) => RelayTrouble::TooMuch,
            tungstenite::Error::Io(error) if self.notice.is_empty() => {
                RelayTrouble::ConnectionLost(words(&io_text(error)))
            }
            tungstenite::Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)
            | tungstenite::Error::ConnectionClosed
            | tungstenite::Error::AlreadyClosed
            | tungstenite::Error::Io(_) => RelayTrouble::ConnectionLost(self.notice.clone()),
            _ => RelayTrouble::Nonsense,
        }
    }
}

/// `["OK", "", false, "…"]`: some relays do not say which event they refuse. Only one is ever under way.
fn unnamed_verdict(text: &str) -> Option<RelayMessage<'static>> {
    let (kind, _, status, message): (String, String, bool, String) = serde_json::from_str(text).ok()?;
    (kind == "OK").then(|| RelayMessage::ok(EventId::all_zeros(), status, message))
}
