//! A server to play with: on loopback, on a thread of its own, with a nest called `demo`.

mod service;

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use livekit_protocol::Room;
use nostr::{Event, EventBuilder, Keys, Kind, Tag};
use nostr_relay_builder::prelude::NostrDatabase as _;
use tokio::sync::oneshot;

use self::service::MockService;
use super::access_log::LogSink;
use super::api::DEPARTURE_TIMEOUT_S;
use super::faults::Fault;
use super::lock;
use super::media::{EmbeddedSettings, LivekitConfig, MediaServer};
use super::store::Record;
use super::token::Claims;
use crate::clock::Clock;
use crate::room::ROOM_KIND;

/// The nest that is there from the start: its record and its event (open) exist. Its audio room does only where a fault
/// is about one that does.
pub const DEMO: &str = "demo";

/// How a mock is to be; the defaults are upstream's.
#[derive(Clone)]
pub struct Options {
    pub faults: Vec<Fault>,
    pub livekit: Option<LivekitConfig>,
    pub media: EmbeddedSettings,
    pub record_ttl: Duration,
    pub departure_timeout: Duration,
    /// The origin that clients sign, when it is not the listener's: `https://host[:port]`.
    pub public_origin: Option<String>,
    pub log: Option<LogSink>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            faults: Vec::new(),
            livekit: None,
            media: EmbeddedSettings::default(),
            record_ttl: Duration::from_secs(24 * 3600),
            departure_timeout: Duration::from_secs(DEPARTURE_TIMEOUT_S.into()),
            public_origin: None,
            log: None,
        }
    }
}

/// A running server; it stops when dropped. Usable with and without a runtime.
pub struct Mock {
    service: Arc<MockService>,
    host: Keys,
    /// The server ends when this is dropped.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Mock {
    /// Starts on a free port of 127.0.0.1.
    pub fn start(options: Options) -> io::Result<Self> {
        Self::on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?, options)
    }

    pub fn on(listener: TcpListener, options: Options) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let has_room = options.faults.iter().any(Fault::needs_a_room);
        let service = MockService::new(address, options)?;
        let host = Keys::generate();
        let two_hours_ago = Clock::default().now_ms() - 2 * 3600 * 1000;
        let relays = vec![format!("ws://{address}/relay")];
        let record = Record::new(DEMO.into(), &host.public_key().to_hex(), relays, two_hours_ago);
        service.memory.write(record.clone());
        let event = demo_event(&host, address, &service.endpoint())?;
        let (stop, stopped) = oneshot::channel();
        let (ready, started) = mpsc::channel();
        let serving = service.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = thread::Builder::new().name("nest-mock".into()).spawn(move || {
            runtime.block_on(async move {
                let begun = async {
                    serving.events.save_event(&event).await.map_err(io::Error::other)?;
                    if has_room {
                        serving.open(&record).await.map_err(io::Error::other)?;
                    }
                    tokio::net::TcpListener::from_std(listener)
                };
                match begun.await {
                    Ok(listener) => {
                        let _ = ready.send(Ok(()));
                        serving.serve(listener, async { drop(stopped.await) }).await;
                    }
                    Err(error) => drop(ready.send(Err(error))),
                }
            });
        })?;
        let mock = Self { service, host, stop: Some(stop), thread: Some(thread) };
        started.recv().map_err(io::Error::other)??;
        Ok(mock)
    }

    pub fn api(&self) -> String {
        format!("http://{}", self.service.address)
    }

    pub fn relay(&self) -> String {
        format!("ws://{}/relay", self.service.address)
    }

    pub fn livekit(&self) -> &str {
        self.service.media.url()
    }

    pub fn address(&self) -> SocketAddr {
        self.service.address
    }

    /// The key that hosts the nest `demo`; a new one each time.
    pub fn host(&self) -> &Keys {
        &self.host
    }

    /// From now on these faults, and no others.
    pub fn set_faults(&self, faults: Vec<Fault>) {
        *lock(&self.service.faults.0) = faults;
    }

    /// How many requests came for a path (without query).
    pub fn requests(&self, path: &str) -> usize {
        lock(&self.service.seen).requests.get(path).copied().unwrap_or_default()
    }

    pub fn all_requests(&self) -> usize {
        lock(&self.service.seen).requests.values().sum()
    }

    pub fn last_authorization(&self) -> Option<String> {
        lock(&self.service.seen).authorization.clone()
    }

    pub fn record(&self, id: &str) -> Option<Record> {
        self.service.memory.peek(id)
    }

    /// Writes the record of a nest; its lifetime begins anew.
    pub fn remember(&self, record: Record) {
        self.service.memory.write(record);
    }

    /// Forgets the record of a nest, as the store does after a day.
    pub fn forget(&self, id: &str) {
        self.service.memory.forget(id);
    }

    pub fn room(&self, id: &str) -> Option<Room> {
        self.service.embedded.as_ref()?.room(id)
    }

    pub fn participants(&self, id: &str) -> Vec<String> {
        self.service.embedded.as_ref().map(|media| media.identities(id)).unwrap_or_default()
    }

    pub fn mint(&self, claims: &Claims) -> String {
        self.service.media.issuer().mint(claims)
    }

    pub fn media(&self) -> Arc<dyn MediaServer> {
        self.service.media.clone()
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn demo_event(host: &Keys, address: SocketAddr, endpoint: &str) -> io::Result<Event> {
    let tags = [
        vec!["d", DEMO],
        vec!["room", "Demo nest"],
        vec!["title", "Demo nest"],
        vec!["status", "open"],
        vec!["service", &format!("http://{address}/api/v1/nests")],
        vec!["streaming", endpoint],
        vec!["relays", &format!("ws://{address}/relay")],
        vec!["p", &host.public_key().to_hex(), "", "Host"],
    ]
    .map(|tag| Tag::parse(tag).expect("no tag is empty"));
    EventBuilder::new(Kind::from(ROOM_KIND), "")
        .tags(tags)
        .allow_self_tagging()
        .sign_with_keys(host)
        .map_err(io::Error::other)
}
