//! A Nostr relay in memory, for tests: `EVENT`, `REQ` and `CLOSE` of NIP-01 and, where it is to ask who is there, `AUTH`
//! of NIP-42.

use std::collections::HashMap;
use std::sync::Mutex;

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

/// How many events are kept; the oldest of them go first.
const EVENTS_MAX: usize = 10_000;

/// How many subscriptions a connection has at most.
const SUBSCRIPTIONS_MAX: usize = 64;

/// How many new events wait for a connection that does not read; one more, and it is closed.
const UNREAD_MAX: usize = 1024;

const MESSAGE_MAX: usize = 1024 * 1024;

const AUTH_REQUIRED: &str = "auth-required: say who you are";

pub(super) struct Relay {
    /// What clients name when they say who they are.
    url: RelayUrl,
    /// In the order in which they came.
    events: Mutex<Vec<Event>>,
    new: broadcast::Sender<Event>,
}

/// What a connection has said so far.
struct Connection {
    subscriptions: HashMap<SubscriptionId, Vec<Filter>>,
    /// Until it is answered, nothing else is.
    challenge: Option<String>,
}

impl Relay {
    pub(super) fn new(url: RelayUrl) -> Self {
        Self { url, events: Mutex::default(), new: broadcast::channel(UNREAD_MAX).0 }
    }

    pub(super) fn limits() -> WebSocketConfig {
        WebSocketConfig::default().max_message_size(Some(MESSAGE_MAX)).max_frame_size(Some(MESSAGE_MAX))
    }

    /// Takes an event whose signature holds; what the `OK` says otherwise, and whether it is a success all the same.
    pub(super) fn take(&self, event: Event) -> Result<(), (bool, &'static str)> {
        event.verify().map_err(|_| (false, "invalid: id or signature does not hold"))?;
        if event.is_expired() {
            return Err((false, "invalid: it has expired"));
        }
        let mut events = lock(&self.events);
        if events.iter().any(|known| known.id == event.id) {
            return Err((true, "duplicate: it is here already"));
        }
        if let Some(place) = place(&event) {
            let newer = |known: &Event| (known.created_at, event.id) > (event.created_at, known.id);
            let mut versions = events.iter().filter(|known| self::place(known) == Some(place));
            if versions.any(newer) {
                return Err((false, "replaced: a newer one is here"));
            }
            events.retain(|known| self::place(known) != Some(place));
        }
        if !event.kind.is_ephemeral() {
            if events.len() >= EVENTS_MAX {
                events.remove(0);
            }
            events.push(event.clone());
        }
        // Nobody may be connected.
        let _ = self.new.send(event);
        Ok(())
    }

    /// The events that a filter asks for, the newest first.
    fn stored(&self, filters: &[Filter]) -> Vec<Event> {
        let events = lock(&self.events);
        let mut found: Vec<&Event> = Vec::new();
        for filter in filters {
            let mut fit: Vec<_> = events.iter().filter(|event| fits(filter, event)).collect();
            fit.sort_by(|a, b| b.created_at.cmp(&a.created_at).then(a.id.cmp(&b.id)));
            fit.truncate(filter.limit.unwrap_or(usize::MAX));
            found.extend(fit);
        }
        found.sort_by(|a, b| b.created_at.cmp(&a.created_at).then(a.id.cmp(&b.id)));
        found.dedup_by_key(|event| event.id);
        found.into_iter().cloned().collect()
    }

    /// Serves a client until it goes; `asks` who it is before it serves it.
    pub(super) async fn serve(&self, mut socket: ServerSocket, asks: bool) {
        // An error is a client that has gone, or that sends more than is read.
        let _ = self.converse(&mut socket, asks).await;
        let _ = socket.close(None).await;
    }

    async fn converse(&self, socket: &mut ServerSocket, asks: bool) -> Result<(), WebSocketError> {
        let mut new = self.new.subscribe();
        let challenge = asks.then(|| random_text(24));
        let mut connection = Connection { subscriptions: HashMap::new(), challenge };
        if let Some(challenge) = &connection.challenge {
            socket.send(frame(&RelayMessage::auth(challenge))).await?;
        }
        loop {
            tokio::select! {
                said = socket.next() => {
                    let Some(said) = said.transpose()? else { return Ok(()) };
                    // Pings are answered by the library.
                    let Message::Text(text) = said else { continue };
                    for answer in connection.answers(self, &text) {
                        socket.send(frame(&answer)).await?;
                    }
                }
                event = new.recv() => match event {
                    Ok(event) => {
                        for (id, filters) in &connection.subscriptions {
                            if filters.iter().any(|filter| fits(filter, &event)) {
                                socket.send(frame(&RelayMessage::event(id.clone(), event.clone()))).await?;
                            }
                        }
                    }
                    Err(RecvError::Lagged(_) | RecvError::Closed) => return Ok(()),
                },
            }
        }
    }
}

impl Connection {
    fn answers(&mut self, relay: &Relay, text: &str) -> Vec<RelayMessage<'static>> {
        let Ok(message) = ClientMessage::from_json(text) else {
            return vec![RelayMessage::notice("invalid: this is no message of NIP-01")];
        };
        match message {
            ClientMessage::Auth(event) => {
                let genuine = |challenge: &String| is_valid_auth_event(&event, &relay.url, challenge);
                let known = event.verify().is_ok() && self.challenge.take_if(|challenge| genuine(challenge)).is_some();
                let words = if known { "" } else { "invalid: this does not answer the challenge" };
                vec![RelayMessage::ok(event.id, known, words)]
            }
            ClientMessage::Event(event) if self.challenge.is_some() => {
                vec![RelayMessage::ok(event.id, false, AUTH_REQUIRED)]
            }
            ClientMessage::Event(event) => {
                let (id, taken) = (event.id, relay.take(event.into_owned()));
                let (success, words) = taken.err().unwrap_or((true, ""));
                vec![RelayMessage::ok(id, success, words)]
            }
            ClientMessage::Req { subscription_id, .. } if self.challenge.is_some() => {
                vec![RelayMessage::closed(subscription_id.into_owned(), AUTH_REQUIRED)]
            }
            ClientMessage::Req { subscription_id, filters } => {
                let id = subscription_id.into_owned();
                if self.subscriptions.len() >= SUBSCRIPTIONS_MAX && !self.subscriptions.contains_key(&id) {
                    return vec![RelayMessage::closed(id, "error: too many subscriptions")];
                }
                let filters: Vec<_> = filters.into_iter().map(std::borrow::Cow::into_owned).collect();
                let stored = relay.stored(&filters).into_iter().map(|event| RelayMessage::event(id.clone(), event));
                let answers = stored.chain([RelayMessage::eose(id.clone())]).collect();
                self.subscriptions.insert(id, filters);
                answers
            }
            ClientMessage::Close(id) => {
                self.subscriptions.remove(&id);
                Vec::new()
            }
            _ => vec![RelayMessage::notice("unsupported: only what NIP-01 and NIP-42 have")],
        }
    }
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

fn frame(message: &RelayMessage<'_>) -> Message {
    Message::text(message.as_json())
}
