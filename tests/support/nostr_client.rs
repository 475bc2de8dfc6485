//! Events as nostr-sdk reads and writes them, and a relay to put them on. The program stands on the same crates: what it
//! publishes is judged by a client of another making in `tests/real/relay_commands.rs`, tag by tag.

use std::net::TcpListener;
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::{SinkExt as _, StreamExt as _};
use nostr_nests::server::Mock;
use nostr_nests::server::store::Record;
use nostr_relay_builder::prelude::{MemoryDatabase, MemoryDatabaseOptions, NostrDatabase as _};
use nostr_relay_builder::{LocalRelay, RelayBuilder};
use nostr_sdk::nips::nip01::Coordinate;
use nostr_sdk::nips::nip19::{Nip19Coordinate, ToBech32 as _};
use nostr_sdk::{Client, Event, EventBuilder, Filter, Keys, Kind, PublicKey, RelayUrl, Tag, Timestamp};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio_tungstenite::tungstenite::Message;

const ROOM: u16 = 30312;

/// nostr-sdk at one relay.
pub struct NostrClient {
    runtime: Runtime,
    client: Client,
}

impl NostrClient {
    pub fn at(relay: &str) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let client = Client::default();
        runtime.block_on(async {
            client.add_relay(relay).await.unwrap();
            assert!(client.try_connect(Duration::from_secs(10)).await.failed.is_empty());
        });
        Self { runtime, client }
    }

    pub fn publish(&self, event: &Event) {
        let output = self.runtime.block_on(self.client.send_event(event)).unwrap();
        assert!(output.failed.is_empty(), "{output:?}");
    }

    /// What the relay has.
    pub fn stored(&self, filter: Filter) -> Vec<Event> {
        self.runtime.block_on(self.client.fetch_events(filter, Duration::from_secs(10))).unwrap().into_iter().collect()
    }

    /// All nests of a host.
    pub fn nests(&self, host: PublicKey) -> Vec<Event> {
        self.stored(Filter::new().kind(Kind::from(ROOM)).author(host))
    }

    pub fn nest(&self, host: PublicKey, d: &str) -> Event {
        let found = self.nests(host).into_iter().find(|event| value(event, "d") == Some(d));
        found.unwrap_or_else(|| panic!("no event of {d}"))
    }
}

/// A relay that has these events, and whatever comes after.
pub struct Relay {
    pub url: String,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Relay {
    pub fn with(events: Vec<Event>) -> Self {
        let (stop, stopped) = oneshot::channel();
        let (ready, started) = mpsc::channel();
        let thread = thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let database = MemoryDatabase::with_opts(MemoryDatabaseOptions { events: true, max_events: None });
                for event in &events {
                    database.save_event(event).await.unwrap();
                }
                let relay = loop {
                    // It picks its port before it binds it: another test may have been quicker.
                    let relay = LocalRelay::new(RelayBuilder::default().database(database.clone()));
                    if relay.run().await.is_ok() {
                        break relay;
                    }
                };
                ready.send(relay.url().await.to_string()).unwrap();
                let _ = stopped.await;
            });
        });
        Self { url: started.recv().unwrap(), stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        drop(self.stop.take());
        self.thread.take().unwrap().join().unwrap();
    }
}

/// The URL of a relay that tells of these events as soon as it is `ready`, and swallows what it is given. It stays.
pub fn read_only(events: Vec<Event>, ready: impl Fn() -> bool + Send + Sync + 'static) -> String {
    spawn(Told { events: Mutex::new(events), ready, keeps: false })
}

/// The URL of a relay that keeps what it is given, and never says so. It stays.
pub fn mute(events: Vec<Event>) -> String {
    spawn(Told { events: Mutex::new(events), ready: || true, keeps: true })
}

struct Told<R> {
    events: Mutex<Vec<Event>>,
    ready: R,
    keeps: bool,
}

fn spawn(told: Told<impl Fn() -> bool + Send + Sync + 'static>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    listener.set_nonblocking(true).unwrap();
    let told = Arc::new(told);
    thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(tell(stream, told.clone()));
            }
        });
    });
    url
}

async fn tell(stream: TcpStream, told: Arc<Told<impl Fn() -> bool>>) {
    let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else { return };
    while let Some(Ok(message)) = socket.next().await {
        // A ping, most likely: it is answered by itself.
        let Message::Text(text) = message else { continue };
        let message: Value = serde_json::from_str(&text).unwrap();
        if message[0] == "EVENT" && told.keeps {
            told.events.lock().unwrap().push(serde_json::from_value(message[1].clone()).unwrap());
        }
        if message[0] != "REQ" {
            continue;
        }
        while !(told.ready)() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let events: Vec<_> =
            told.events.lock().unwrap().iter().map(|event| json!(["EVENT", message[1], event])).collect();
        for text in events.into_iter().chain([json!(["EOSE", message[1]])]) {
            if socket.send(Message::text(text.to_string())).await.is_err() {
                return;
            }
        }
    }
}

pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// The event of a nest, `age` seconds old.
pub fn event(host: &Keys, d: &str, age: u64, tags: &[&[&str]]) -> Event {
    let id = ["d", d];
    let tags = std::iter::once(&id[..]).chain(tags.iter().copied());
    let tags = tags.map(|tag| Tag::parse(tag.iter().copied()).unwrap());
    let builder = EventBuilder::new(Kind::from(ROOM), "").tags(tags).allow_self_tagging();
    builder.custom_created_at(Timestamp::from(now() - age)).sign_with_keys(host).unwrap()
}

/// The list of a host's relays (NIP-65), each with what it is for; without a word, for both.
pub fn outbox(host: &Keys, relays: &[(&str, Option<&str>)]) -> Event {
    let tag = |(url, what): &(&str, Option<&str>)| Tag::parse(["r", url].into_iter().chain(*what)).unwrap();
    EventBuilder::new(Kind::RelayList, "").tags(relays.iter().map(tag)).sign_with_keys(host).unwrap()
}

/// The first value of a tag.
pub fn value<'a>(event: &'a Event, name: &str) -> Option<&'a str> {
    values(event, name).first().copied()
}

pub fn values<'a>(event: &'a Event, name: &str) -> Vec<&'a str> {
    let tags = event.tags.iter().map(Tag::as_slice).filter(|tag| tag[0] == name);
    tags.map(|tag| tag.get(1).map_or("", String::as_str)).collect()
}

/// All tags but those of these names.
pub fn tags_without(event: &Event, names: &[&str]) -> Vec<Vec<String>> {
    let tags = event.tags.iter().map(|tag| tag.as_slice().to_vec());
    tags.filter(|tag| !names.contains(&tag[0].as_str())).collect()
}

pub fn coordinate(event: &Event) -> String {
    format!("{ROOM}:{}:{}", event.pubkey.to_hex(), value(event, "d").unwrap())
}

pub fn naddr(event: &Event, relays: &[&str]) -> String {
    let coordinate = Coordinate::new(event.kind, event.pubkey).identifier(value(event, "d").unwrap());
    let relays = relays.iter().map(|relay| RelayUrl::parse(relay).unwrap()).collect();
    Nip19Coordinate { coordinate, relays }.to_bech32().unwrap()
}

/// The record of a nest of the mock's host.
pub fn remember(mock: &Mock, id: &str) {
    mock.remember(Record { id: id.into(), ..mock.record("demo").unwrap() });
}

/// Two more nests of the host: one that is over, and one with this title of which nobody says on which API it is.
pub fn publish_two_more(mock: &Mock, title: &str) {
    let outside = NostrClient::at(&mock.relay());
    for (id, age_s, tags) in [
        ("past", 7200, [["room", "日本語の部屋"], ["status", "closed"]]),
        ("homeless", 90_000, [["title", title], ["status", "open"]]),
    ] {
        outside.publish(&event(mock.host(), id, age_s, &tags.each_ref().map(|tag| &tag[..])));
    }
}
