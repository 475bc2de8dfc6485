//! A Nostr relay in memory, for tests: `EVENT`, `REQ` and `CLOSE` of NIP-01 and, where it is to ask who is there, `AUTH`
//! of NIP-42.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use nostr::filter::MatchEventOptions;
use nostr::nips::nip42::is_valid_auth_event;
use nostr::{ClientMessage, Event, Filter, JsonUtil as _, RelayMessage, RelayUrl, SubscriptionId};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error as WebSocketError, Message};

use super::http::ServerSocket;
use super::{lock, random_text};
use crate::net::dial::websocket_config;

/// How many bytes of events are kept, as JSON; the oldest of them go first.
const EVENTS_MAX: usize = 32 << 20;

/// How many subscriptions a connection has at most, and how many filters each of them.
const SUBSCRIPTIONS_MAX: usize = 20;
const FILTERS_MAX: usize = 20;

/// How many new events wait for a connection that does not read; one more, and it is closed.
const UNREAD_MAX: usize = 64;

/// How long a connection may take to read a message before it is closed.
const READ_WITHIN: Duration = Duration::from_secs(30);

/// In bytes.
const MESSAGE_MAX: usize = 256 << 10;

const AUTH_REQUIRED: &str = "auth-required: say who you are";

pub(super) struct Relay {
    /// What clients name when they say who they are.
    url: RelayUrl,
    stored: Mutex<Stored>,
    new: broadcast::Sender<Arc<Event>>,
}

#[derive(Default)]
struct Stored {
    /// Events sort themselves as NIP-01 has them: the newest first, of two in one second that with the lower id.
    events: BTreeSet<Arc<Event>>,
    /// Of all of them, as JSON.
    bytes: usize,
}

/// A client, and what it has said so far.
struct Connection<'a> {
    relay: &'a Relay,
    socket: ServerSocket,
    subscriptions: HashMap<SubscriptionId, Vec<Filter>>,
    /// Until it is answered, nothing else is.
    challenge: Option<String>,
}

impl Relay {
    pub(super) fn new(url: RelayUrl) -> Self {
        Self { url, stored: Mutex::default(), new: broadcast::channel(UNREAD_MAX).0 }
    }

    pub(super) fn limits() -> WebSocketConfig {
        websocket_config(MESSAGE_MAX)
    }

    /// Takes an event whose signature holds; what the `OK` says otherwise, and whether it is a success all the same.
    pub(super) fn take(&self, event: Event) -> Result<(), (bool, &'static str)> {
        event.verify().map_err(|_| (false, "invalid: id or signature does not hold"))?;
        if event.is_expired() {
            return Err((false, "invalid: it has expired"));
        }
        let mut stored = lock(&self.stored);
        if stored.events.contains(&event) {
            return Err((true, "duplicate: it is here already"));
        }
        if let Some(place) = place(&event) {
            let version = stored.events.iter().find(|known| self::place(known) == Some(place)).cloned();
            match version {
                Some(newer) if *newer < event => return Err((false, "replaced: a newer one is here")),
                Some(older) => stored.remove(&older),
                None => {}
            }
        }
        let event = Arc::new(event);
        if !event.kind.is_ephemeral() {
            stored.bytes += size(&event);
            stored.events.insert(event.clone());
            while stored.bytes > EVENTS_MAX
                && let Some(oldest) = stored.events.last().cloned()
            {
                stored.remove(&oldest);
            }
        }
        // Nobody may be connected.
        let _ = self.new.send(event);
        Ok(())
    }

    /// The events that one of the filters asks for, each once.
    fn stored(&self, filters: &[Filter]) -> Vec<Arc<Event>> {
        let stored = lock(&self.stored);
        let asked_for = |filter: &Filter| {
            let fit = stored.events.iter().filter(|event| fits(filter, event));
            fit.take(filter.limit.unwrap_or(usize::MAX)).cloned().collect::<Vec<_>>()
        };
        filters.iter().flat_map(asked_for).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Serves a client until it goes; `asks` who it is before it serves it.
    pub(super) async fn serve(&self, socket: ServerSocket, asks: bool) {
        let challenge = asks.then(|| random_text(24));
        let mut connection = Connection { relay: self, socket, subscriptions: HashMap::new(), challenge };
        // An error is a client that has gone, or that sends more than is read.
        let _ = connection.converse().await;
        let _ = connection.socket.close(None).await;
    }
}

impl Stored {
    fn remove(&mut self, event: &Arc<Event>) {
        if self.events.remove(event) {
            self.bytes -= size(event);
        }
    }
}

impl Connection<'_> {
    async fn converse(&mut self) -> Result<(), WebSocketError> {
        let mut new = self.relay.new.subscribe();
        if let Some(challenge) = &self.challenge {
            send(&mut self.socket, &RelayMessage::auth(challenge)).await?;
        }
        loop {
            tokio::select! {
                said = self.socket.next() => {
                    let Some(said) = said.transpose()? else { return Ok(()) };
                    // Pings are answered by the library.
                    let Message::Text(text) = said else { continue };
                    if let Some(answer) = self.answer(&text).await? {
                        send(&mut self.socket, &answer).await?;
                    }
                }
                event = new.recv() => match event {
                    Ok(event) => {
                        for (id, filters) in &self.subscriptions {
                            if filters.iter().any(|filter| fits(filter, &event)) {
                                send(&mut self.socket, &told(id, &event)).await?;
                            }
                        }
                    }
                    Err(RecvError::Lagged(_) | RecvError::Closed) => return Ok(()),
                },
            }
        }
    }

    /// What is said to a message of the client; events that it asks for are sent before that.
    async fn answer(&mut self, text: &str) -> Result<Option<RelayMessage<'static>>, WebSocketError> {
        let Ok(message) = ClientMessage::from_json(text) else {
            return Ok(Some(RelayMessage::notice("invalid: this is no message of NIP-01")));
        };
        Ok(Some(match message {
            ClientMessage::Auth(event) => {
                let genuine = |challenge: &String| is_valid_auth_event(&event, &self.relay.url, challenge);
                let known = event.verify().is_ok() && self.challenge.take_if(|challenge| genuine(challenge)).is_some();
                let words = if known { "" } else { "invalid: this does not answer the challenge" };
                RelayMessage::ok(event.id, known, words)
            }
            ClientMessage::Event(event) if self.challenge.is_some() => RelayMessage::ok(event.id, false, AUTH_REQUIRED),
            ClientMessage::Event(event) => {
                let (id, taken) = (event.id, self.relay.take(event.into_owned()));
                let (success, words) = taken.err().unwrap_or((true, ""));
                RelayMessage::ok(id, success, words)
            }
            ClientMessage::Req { subscription_id, .. } if self.challenge.is_some() => {
                RelayMessage::closed(subscription_id.into_owned(), AUTH_REQUIRED)
            }
            ClientMessage::Req { subscription_id, filters } => {
                let id = subscription_id.into_owned();
                let full = self.subscriptions.len() >= SUBSCRIPTIONS_MAX && !self.subscriptions.contains_key(&id);
                if full || filters.len() > FILTERS_MAX {
                    return Ok(Some(RelayMessage::closed(id, "error: too many subscriptions or filters")));
                }
                let filters: Vec<_> = filters.into_iter().map(Cow::into_owned).collect();
                for event in self.relay.stored(&filters) {
                    send(&mut self.socket, &told(&id, &event)).await?;
                }
                self.subscriptions.insert(id.clone(), filters);
                RelayMessage::eose(id)
            }
            ClientMessage::Close(id) => {
                self.subscriptions.remove(&id);
                return Ok(None);
            }
            _ => RelayMessage::notice("unsupported: only what NIP-01 and NIP-42 have"),
        }))
    }
}

/// An error is a client that has gone, or that does not read.
async fn send(socket: &mut ServerSocket, message: &RelayMessage<'_>) -> Result<(), WebSocketError> {
    let sent = tokio::time::timeout(READ_WITHIN, socket.send(Message::text(message.as_json())));
    sent.await.unwrap_or(Err(WebSocketError::ConnectionClosed))
}

fn told<'a>(id: &'a SubscriptionId, event: &'a Event) -> RelayMessage<'a> {
    RelayMessage::Event { subscription_id: Cow::Borrowed(id), event: Cow::Borrowed(event) }
}

fn size(event: &Event) -> usize {
    event.as_json().len()
}

fn fits(filter: &Filter, event: &Event) -> bool {
    !event.is_expired() && filter.match_event(event, MatchEventOptions::default())
}

/// What of several events only the newest has (NIP-01): the kind, the author, and the `d` where that counts.
fn place(event: &Event) -> Option<(u16, nostr::PublicKey, &str)> {
    let d = if event.kind.is_addressable() { event.tags.identifier().unwrap_or_default() } else { "" };
    let single = event.kind.is_addressable() || event.kind.is_replaceable();
    single.then_some((event.kind.as_u16(), event.pubkey, d))
}
