//! What the tests of relays share: events, honest relays in this process, and relays that misbehave on demand.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use nostr::nips::nip01::Coordinate;
use nostr::{Event, EventBuilder, Keys, Kind, PublicKey, RelayUrl, Tag, Timestamp};
use nostr_nests::key::{HostKey, KeyOrigin};
use nostr_nests::net::reach::Reach;
use nostr_nests::relay::{RelaySettings, Relays, Signer};
use nostr_nests::room::ROOM_KIND;
use nostr_relay_builder::prelude::{MemoryDatabase, MemoryDatabaseOptions, NostrDatabase};
use nostr_relay_builder::{LocalRelay, RelayBuilder};
use rustls::RootCertStore;
use tokio::net::{TcpListener, TcpSocket};
use tokio_tungstenite::accept_async;
use tokio_tungstenite::tungstenite::Message;

pub const NOW: u64 = 1_795_400_000;

pub fn tls(roots: RootCertStore) -> Arc<rustls::ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    Arc::new(config.with_root_certificates(roots).with_no_client_auth())
}

pub fn settings(timeout: Duration) -> RelaySettings {
    RelaySettings { timeout, tls: tls(RootCertStore::empty()), reach: Reach::ANYWHERE, allow_http: false, signer: None }
}

/// These relays, with more time than any test takes.
pub fn relays(list: &[&RelayUrl]) -> Relays {
    relays_within(Duration::from_secs(20), list)
}

pub fn relays_within(timeout: Duration, list: &[&RelayUrl]) -> Relays {
    Relays::new(list.iter().copied().cloned(), settings(timeout))
}

pub fn signer(keys: &Keys) -> Signer {
    let key = HostKey::local(keys.secret_key().clone(), KeyOrigin::Prompt);
    Signer::new(key.public_key(), move |event| {
        let key = key.clone();
        Box::pin(async move { key.sign(event).await.map_err(|e| e.to_string()) })
    })
}

pub fn tags(list: &[&[&str]]) -> Vec<Tag> {
    list.iter().map(|tag| Tag::parse(tag.iter().copied()).unwrap()).collect()
}

/// A nest's event, `age` seconds before [`NOW`].
pub fn room(keys: &Keys, d: &str, age: u64, more: &[&[&str]]) -> Event {
    let mut all = tags(&[&["d", d]]);
    all.extend(tags(more));
    signed(keys, ROOM_KIND, age, all)
}

pub fn signed(keys: &Keys, kind: u16, age: u64, tags: Vec<Tag>) -> Event {
    // By itself the builder leaves out a `p` of the author.
    let event = EventBuilder::new(Kind::from(kind), "").tags(tags).allow_self_tagging();
    event.custom_created_at(Timestamp::from(NOW - age)).sign_with_keys(keys).unwrap()
}

pub fn coordinate(host: PublicKey, d: &str) -> Coordinate {
    Coordinate::new(Kind::from(ROOM_KIND), host).identifier(d)
}

/// A relay that has these events, for as long as it is held.
pub async fn relay(events: &[&Event]) -> (LocalRelay, RelayUrl) {
    relay_with(RelayBuilder::default(), events).await
}

pub async fn relay_with(builder: RelayBuilder, events: &[&Event]) -> (LocalRelay, RelayUrl) {
    let database = MemoryDatabase::with_opts(MemoryDatabaseOptions { events: true, max_events: None });
    for event in events {
        database.save_event(event).await.unwrap();
    }
    let builder = builder.database(database);
    loop {
        // It picks its port before it binds it: another test may have been quicker.
        let relay = LocalRelay::new(builder.clone());
        if relay.run().await.is_ok() {
            let url = relay.url().await;
            return (relay, url);
        }
    }
}

/// A port that refuses, for as long as it is held.
pub fn dead() -> (TcpSocket, RelayUrl) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = RelayUrl::parse(&format!("ws://{}", socket.local_addr().unwrap())).unwrap();
    (socket, url)
}

/// Accepts connections and says nothing, not even HTTP.
pub async fn mute() -> RelayUrl {
    let (listener, url) = listen().await;
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
    url
}

pub async fn listen() -> (TcpListener, RelayUrl) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = RelayUrl::parse(&format!("ws://{}", listener.local_addr().unwrap())).unwrap();
    (listener, url)
}

/// What a relay does after a message.
pub enum Then {
    Listen,
    HangUp,
}

/// A relay that answers each message of a client with what `answer` makes of it.
pub async fn stub(answer: impl Fn(&str) -> (Vec<Message>, Then) + Send + Sync + 'static) -> RelayUrl {
    let (listener, url) = listen().await;
    let answer = Arc::new(answer);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                let Ok(mut socket) = accept_async(stream).await else { return };
                while let Some(Ok(message)) = socket.next().await {
                    // A ping, most likely: it is answered by itself.
                    let Message::Text(text) = message else { continue };
                    let (messages, then) = answer(&text);
                    for message in messages {
                        if socket.send(message).await.is_err() {
                            return;
                        }
                    }
                    if matches!(then, Then::HangUp) {
                        return;
                    }
                }
            });
        }
    });
    url
}

/// A relay that answers a request with these events, whatever they are, and `EOSE`.
pub async fn teller(events: &[&Event]) -> RelayUrl {
    let events: Vec<Event> = events.iter().copied().cloned().collect();
    stub(move |text| {
        let Some(id) = subscription(text) else { return (Vec::new(), Then::Listen) };
        let mut messages: Vec<Message> =
            events.iter().map(|event| json(&serde_json::json!(["EVENT", id, event]))).collect();
        messages.push(json(&serde_json::json!(["EOSE", id])));
        (messages, Then::Listen)
    })
    .await
}

/// The id of a request's subscription.
pub fn subscription(text: &str) -> Option<String> {
    let message: serde_json::Value = serde_json::from_str(text).unwrap();
    (message[0] == "REQ").then(|| message[1].as_str().unwrap().to_owned())
}

pub fn json(value: &serde_json::Value) -> Message {
    Message::text(value.to_string())
}
