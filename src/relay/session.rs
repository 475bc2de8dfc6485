//! One connection to one relay: ask for events, hand one in, say who asks when the relay wants to know (NIP-42).
//!
//! The caller sets the limit of time, by dropping the future.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::select_ok;
use futures_util::{SinkExt, StreamExt};
use nostr::{
    ClientMessage, Event, EventBuilder, EventId, Filter, JsonUtil, PublicKey, RelayMessage, RelayUrl, SubscriptionId,
    UnsignedEvent, message::MachineReadablePrefix as Prefix,
};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{self, Message, error::ProtocolError, protocol::WebSocketConfig};
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream, client_async_tls_with_config};
use url::Url;

use super::trouble::{Trouble, words};
use crate::api::address::is_loopback;

/// A room event has a few kilobytes; with hundreds of people in it a few dozen.
const MESSAGE_MAX: usize = 1 << 20;
/// For all messages of one answer.
const ANSWER_MAX: usize = 16 << 20;
/// For all events of one answer, whatever they are.
const EVENTS_MAX: usize = 2_000;
/// Messages that nobody can read before the relay is given up.
const NONSENSE_MAX: usize = 10;
/// Addresses of one name that are tried, all at once.
const ADDRESSES_MAX: usize = 8;

/// How long a relay has to say that it knows now who asks.
const AUTH_VERDICT: Duration = Duration::from_secs(1);

const SUBSCRIPTION: &str = "nest";

/// A signature on its way.
pub type Signing = Pin<Box<dyn Future<Output = Result<Event, String>> + Send>>;

/// Whoever answers when a relay wants to know who asks.
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

/// How relays are reached.
#[derive(Clone)]
pub struct Settings {
    /// For all that one call does: connecting included, and relays that are only found on the way.
    pub timeout: Duration,
    /// Whom to trust; its ALPN does not matter.
    pub tls: Arc<rustls::ClientConfig>,
    /// Whether `ws://` may leave this machine.
    pub allow_http: bool,
    /// Who answers when a relay wants to know who asks; asked only then.
    pub signer: Option<Signer>,
}

/// An open connection.
pub(super) struct Session<'a> {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    url: &'a RelayUrl,
    signer: Option<&'a Signer>,
    challenge: Option<String>,
    authenticated: bool,
    /// The relay's last `NOTICE`: often the only reason that it gives.
    notice: String,
    bytes: usize,
    nonsense: usize,
}

impl<'a> Session<'a> {
    pub async fn open(url: &'a RelayUrl, settings: &'a Settings) -> Result<Self, Trouble> {
        let address: &Url = url.into();
        if !(address.scheme() == "wss" || settings.allow_http || is_loopback(address)) {
            return Err(Trouble::Insecure);
        }
        let tcp = connect(address).await.map_err(|e| Trouble::Unreachable(plain(&e)))?;
        let limits = WebSocketConfig::default().max_message_size(Some(MESSAGE_MAX)).max_frame_size(Some(MESSAGE_MAX));
        let mut tls = rustls::ClientConfig::clone(&settings.tls);
        tls.alpn_protocols.clear();
        let connector = Connector::Rustls(Arc::new(tls));
        let (socket, _) = client_async_tls_with_config(address.as_str(), tcp, Some(limits), Some(connector))
            .await
            .map_err(|error| match error {
                tungstenite::Error::Http(response) => Trouble::NoWebSocket(response.status().as_u16()),
                tungstenite::Error::Io(error) => Trouble::Unreachable(plain(&error)),
                other => Trouble::Unreachable(words(&other.to_string())),
            })?;
        let signer = settings.signer.as_ref();
        Ok(Self {
            socket,
            url,
            signer,
            challenge: None,
            authenticated: false,
            notice: String::new(),
            bytes: 0,
            nonsense: 0,
        })
    }

    /// Asks for the events that one of the filters fits, and hands over each one that the relay calls an answer:
    /// nothing about them has been checked.
    pub async fn ask(&mut self, filters: &[Filter], mut heard: impl FnMut(Event)) -> Result<(), Trouble> {
        let id = SubscriptionId::new(SUBSCRIPTION);
        let request = ClientMessage::req(id.clone(), filters.to_vec());
        self.send(&request).await?;
        let mut events = 0;
        loop {
            let refusal = match self.next().await? {
                RelayMessage::Event { subscription_id, event } if *subscription_id == id => {
                    events += 1;
                    if events > EVENTS_MAX {
                        return Err(Trouble::TooMuch);
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
    pub async fn publish(&mut self, event: &Event) -> Result<(), Trouble> {
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

    /// Says goodbye, without waiting for the answer.
    pub async fn close(mut self) {
        let _ = self.socket.close(None).await;
    }

    /// Says who asks, once, if that is why the relay refused.
    async fn authenticate(&mut self, refusal: &str) -> Result<(), Trouble> {
        let signer = match (Prefix::parse(refusal), self.signer) {
            _ if self.authenticated => return Err(Trouble::Refused(words(refusal))),
            (Some(Prefix::AuthRequired), None) => return Err(Trouble::AuthRequired(words(refusal))),
            (Some(Prefix::AuthRequired), Some(signer)) => signer,
            (Some(Prefix::Restricted), Some(signer)) if self.challenge.is_some() => signer,
            _ => return Err(Trouble::Refused(words(refusal))),
        };
        let challenge = loop {
            match self.challenge.take() {
                Some(challenge) => break challenge,
                None => drop(self.next().await?),
            }
        };
        let unsigned = EventBuilder::auth(challenge, self.url.clone()).build(signer.key);
        let event = (signer.sign)(unsigned).await.map_err(|why| Trouble::NotSigned(words(&why)))?;
        self.send(&ClientMessage::auth(event.clone())).await?;
        self.authenticated = true;
        match timeout(AUTH_VERDICT, self.verdict(event.id)).await {
            Ok(Ok((false, reason))) => Err(Trouble::AuthRefused(words(&reason))),
            Ok(Err(trouble)) => Err(trouble),
            // No answer is no refusal: some relays say nothing at all.
            Ok(Ok((true, _))) | Err(_) => Ok(()),
        }
    }

    /// What the relay says about an event that it was sent.
    async fn verdict(&mut self, id: EventId) -> Result<(bool, String), Trouble> {
        loop {
            if let RelayMessage::Ok { event_id, status, message } = self.next().await?
                && (event_id == id || event_id == EventId::all_zeros())
            {
                return Ok((status, message.into_owned()));
            }
        }
    }

    async fn send(&mut self, message: &ClientMessage<'_>) -> Result<(), Trouble> {
        self.socket.send(Message::text(message.as_json())).await.map_err(|error| self.lost(&error))
    }

    /// The next message that can be read; a challenge is kept for when it is needed, a notice for when all is lost.
    async fn next(&mut self) -> Result<RelayMessage<'static>, Trouble> {
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
                    return Err(Trouble::Lost(if reason.is_empty() { self.notice.clone() } else { reason }));
                }
                Some(Err(error)) => return Err(self.lost(&error)),
                None => return Err(Trouble::Lost(self.notice.clone())),
            };
            self.bytes += text.len();
            if self.bytes > ANSWER_MAX {
                return Err(Trouble::TooMuch);
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

    fn unreadable(&mut self) -> Result<(), Trouble> {
        self.nonsense += 1;
        if self.nonsense < NONSENSE_MAX { Ok(()) } else { Err(Trouble::Nonsense) }
    }

    fn lost(&self, error: &tungstenite::Error) -> Trouble {
        match error {
            tungstenite::Error::Capacity(_) => Trouble::TooMuch,
            tungstenite::Error::Io(error) if self.notice.is_empty() => Trouble::Lost(plain(error)),
            tungstenite::Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)
            | tungstenite::Error::ConnectionClosed
            | tungstenite::Error::AlreadyClosed
            | tungstenite::Error::Io(_) => Trouble::Lost(self.notice.clone()),
            _ => Trouble::Nonsense,
        }
    }
}

async fn connect(url: &Url) -> std::io::Result<TcpStream> {
    let port = url.port_or_known_default().unwrap_or(443);
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let mut tries =
        lookup_host((host, port)).await?.take(ADDRESSES_MAX).map(|at| Box::pin(TcpStream::connect(at))).peekable();
    if tries.peek().is_none() {
        return Err(std::io::Error::other("it has no address"));
    }
    let (tcp, _) = select_ok(tries).await?;
    tcp.set_nodelay(true)?;
    Ok(tcp)
}

/// The error without its number.
fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text.strip_prefix("failed to lookup address information: ").unwrap_or(&text);
    words(text.split(" (os error").next().unwrap_or_default())
}

/// `["OK", "", false, "…"]`: some relays do not say which event they refuse. Only one is ever under way.
fn unnamed_verdict(text: &str) -> Option<RelayMessage<'static>> {
    let (kind, _, status, message): (String, String, bool, String) = serde_json::from_str(text).ok()?;
    (kind == "OK").then(|| RelayMessage::ok(EventId::all_zeros(), status, message))
}
