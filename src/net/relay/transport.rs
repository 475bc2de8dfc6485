//! What nostr-sdk connects with: the same dialler and the same sieve as everybody else's. What a relay says goes straight
//! to whoever follows it, and slows the relay down where it is not read.
//!
//! nostr-sdk itself sees no events. It would drop those that have expired (NIP-40), pass on a forgery under an id that it
//! knows, and lose what is not taken from its ring in time.

use std::collections::HashMap;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use async_wsocket::{ConnectionMode, Message as Wire};
use futures_util::stream::{SplitSink, SplitStream, try_unfold};
use futures_util::{Sink, SinkExt as _, Stream, StreamExt as _};
use nostr::util::BoxedFuture;
use nostr::{JsonUtil as _, RelayMessage, RelayUrl};
use nostr_sdk::pool::transport::error::TransportError;
use nostr_sdk::pool::transport::websocket::{WebSocketSink, WebSocketStream, WebSocketTransport};
use tokio::sync::mpsc::Sender;
use tokio_tungstenite::tungstenite::{self, Message};
use url::Url;

use super::follow::Heard;
use super::sieve::Sieve;
use super::{RelaySettings, RelayTrouble, SUBSCRIPTION, refusal};
use crate::net::dial::WebSocket;
use crate::reporter::locked;

/// How long nostr-sdk waits for a pong: it sends one ping in so many seconds.
const PING_INTERVAL: Duration = Duration::from_secs(55);

/// Messages that are read of a relay before others have their turn.
const IN_A_ROW: u32 = 64;

pub(super) struct Transport {
    settings: RelaySettings,
    heard: Sender<(RelayUrl, Heard)>,
    /// The relays, under the names that the follower knows them by, and what each has sent over all its connections.
    sieves: HashMap<RelayUrl, Arc<Mutex<Sieve>>>,
}

impl Transport {
    pub fn new(relays: &[RelayUrl], settings: RelaySettings, heard: Sender<(RelayUrl, Heard)>) -> Self {
        let sieve = |relay: &RelayUrl| (relay.clone(), Arc::new(Mutex::new(Sieve::of_stream())));
        Self { settings, heard, sieves: relays.iter().map(sieve).collect() }
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport").field("relays", &self.sieves.keys()).finish_non_exhaustive()
    }
}

impl WebSocketTransport for Transport {
    fn support_ping(&self) -> bool {
        true
    }

    /// The limit of nostr-sdk, a minute, does not matter: the settings have one.
    fn connect<'a>(
        &'a self,
        url: &'a Url,
        _: &'a ConnectionMode,
        _: Duration,
    ) -> BoxedFuture<'a, Result<(WebSocketSink, WebSocketStream), TransportError>> {
        Box::pin(async move {
            let known = self.sieves.iter().find(|(relay, _)| <&Url>::from(*relay) == url);
            let (relay, sieve) = known.ok_or(TransportError::backend(RelayTrouble::Insecure))?;
            let relay = relay.clone();
            let mut link = Link { relay, heard: self.heard.clone(), sent: Arc::default(), forged: false, ended: false };
            let socket = match self.settings.dial(url).await {
                Ok(socket) => socket,
                Err(trouble) => return Err(link.end(trouble).await),
            };
            locked(sieve).connected_anew();
            link.tell(Heard::Connected).await;
            let (sink, stream) = socket.split();
            let outgoing = Outgoing { sink, sent: Arc::clone(&link.sent) };
            Ok((
                Box::new(outgoing) as WebSocketSink,
                Box::pin(incoming(stream, sieve.clone(), link)) as WebSocketStream,
            ))
        })
    }
}

/// What became of what nostr-sdk sends.
#[derive(Default)]
struct Sent {
    /// The content of the last ping.
    ping: Vec<u8>,
    failed: Option<RelayTrouble>,
}

/// What nostr-sdk gets of what a relay sends.
fn incoming(
    socket: SplitStream<WebSocket>,
    sieve: Arc<Mutex<Sieve>>,
    link: Link,
) -> impl Stream<Item = Result<Wire, TransportError>> + Send {
    try_unfold((socket, sieve, link), |(mut socket, sieve, mut link)| async move {
        let mut read = 0;
        loop {
            // A relay that always has more would let nobody else come to their turn.
            read = (read + 1) % IN_A_ROW;
            if read == 0 {
                tokio::task::yield_now().await;
            }
            let frame = socket.next().await;
            // Nobody has to ask for a pong (RFC 6455, 5.5.3), and nostr-sdk ends a connection with one that it did not ask
            // for.
            let wire = if let Some(Ok(Message::Pong(data))) = &frame {
                (**data == *locked(&link.sent).ping).then(|| Wire::Pong(data.to_vec()))
            } else {
                let sifted = locked(&sieve).sift(frame);
                match sifted {
                    Ok(None) => None,
                    Ok(Some(message)) => link.pass(message).await.map(|message| Wire::Text(message.as_json())),
                    Err(trouble) => return Err(link.end(trouble).await),
                }
            };
            if let Some(wire) = wire {
                return Ok(Some((wire, (socket, sieve, link))));
            }
        }
    })
}

/// A connection to a relay, as whoever follows the relay hears of it.
struct Link {
    relay: RelayUrl,
    heard: Sender<(RelayUrl, Heard)>,
    sent: Arc<Mutex<Sent>>,
    /// Whether a forgery has been told of: once is enough.
    forged: bool,
    ended: bool,
}

impl Link {
    /// An error means that nobody follows any more.
    async fn tell(&self, heard: Heard) {
        let _ = self.heard.send((self.relay.clone(), heard)).await;
    }

    async fn end(&mut self, trouble: RelayTrouble) -> TransportError {
        self.ended = true;
        self.tell(Heard::Trouble(trouble.clone())).await;
        TransportError::backend(trouble)
    }

    /// Tells what a relay says; hands back what nostr-sdk has to know.
    async fn pass(&mut self, message: RelayMessage<'static>) -> Option<RelayMessage<'static>> {
        if let Some(why) = refusal(&message) {
            self.tell(Heard::Refused(why.to_owned())).await;
            return Some(message);
        }
        match message {
            RelayMessage::Event { subscription_id, event } if subscription_id.as_str() == SUBSCRIPTION => {
                if event.verify().is_ok() {
                    self.tell(Heard::Event(Box::new(event.into_owned()))).await;
                } else if !std::mem::replace(&mut self.forged, true) {
                    self.tell(Heard::Forged).await;
                }
                None
            }
            RelayMessage::EndOfStoredEvents(ref id) if id.as_str() == SUBSCRIPTION => {
                self.tell(Heard::Stored).await;
                Some(message)
            }
            RelayMessage::Auth { challenge } => {
                self.tell(Heard::Challenge(challenge.into_owned())).await;
                None
            }
            RelayMessage::Ok { status: false, message, event_id } => {
                self.tell(Heard::NotTaken { event: event_id, why: message.into_owned() }).await;
                None
            }
            _ => None,
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if !self.ended {
            // nostr-sdk has given the relay up: it could not send, or there was no pong. Or nobody follows any more.
            let failed = locked(&self.sent).failed.take().unwrap_or(RelayTrouble::Silent(PING_INTERVAL));
            let _ = self.heard.try_send((self.relay.clone(), Heard::Trouble(failed)));
        }
    }
}

struct Outgoing {
    sink: SplitSink<WebSocket, Message>,
    sent: Arc<Mutex<Sent>>,
}

impl Outgoing {
    fn failed(&self, error: &tungstenite::Error) -> TransportError {
        let trouble = Sieve::of_stream().connection_error(error);
        locked(&self.sent).failed = Some(trouble.clone());
        TransportError::backend(trouble)
    }
}

impl Sink<Wire> for Outgoing {
    type Error = TransportError;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        self.sink.poll_ready_unpin(cx).map_err(|error| self.failed(&error))
    }

    fn start_send(mut self: Pin<&mut Self>, item: Wire) -> Result<(), TransportError> {
        if let Wire::Ping(data) = &item {
            locked(&self.sent).ping.clone_from(data);
        }
        self.sink.start_send_unpin(item.into()).map_err(|error| self.failed(&error))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        self.sink.poll_flush_unpin(cx).map_err(|error| self.failed(&error))
    }

    /// Says goodbye without waiting: nostr-sdk would give a peer that does not read ten seconds.
    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        let _ = self.sink.poll_close_unpin(cx);
        Poll::Ready(Ok(()))
    }
}
