//! A server to play with: on loopback, on a thread of its own, with a nest called `demo`.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, PoisonError, mpsc};
use std::thread::{self, JoinHandle};

use livekit_protocol::Room;
use nostr::{Event, EventBuilder, Keys, Kind, Tag};
use nostr_relay_builder::prelude::NostrDatabase as _;
use tokio::sync::oneshot;

use super::Options;
use super::app::{App, Seen};
use super::faults::Fault;
use super::media::{Embedded, MediaServer};
use super::store::Record;
use super::token::Claims;
use crate::clock::Clock;
use crate::room::ROOM_KIND;

/// The nest that is there from the start: its record and its event (open) exist. Its audio room does only where a fault
/// is about one that does.
pub const DEMO: &str = "demo";

/// A running server; it stops when dropped. Usable with and without a runtime.
pub struct Mock {
    app: Arc<App>,
    address: SocketAddr,
    host: Keys,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Mock {
    /// Starts on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// See [`Mock::on`].
    pub fn start(options: Options) -> io::Result<Self> {
        Self::on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?, options)
    }

    /// Starts on a listener.
    ///
    /// # Errors
    /// When the listener cannot be used, the LiveKit URL is none, or no thread can be started.
    pub fn on(listener: TcpListener, options: Options) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let app = App::new(address, options, Some(Seen::default()))?;
        let host = Keys::generate();
        let record = demo_record(&host, &format!("ws://{address}/relay"));
        app.memory.write(record.clone());
        let lives = app.options.faults.iter().any(Fault::needs_a_room);
        let event = demo_event(&host, address, app.media.url())?;
        let (stop, stopped) = oneshot::channel();
        let (ready, started) = mpsc::channel();
        let serving = app.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = thread::Builder::new().name("nest-mock".into()).spawn(move || {
            runtime.block_on(async move {
                let begun = async {
                    serving.events.save_event(&event).await.map_err(io::Error::other)?;
                    if lives {
                        serving.open(&record).await.map_err(io::Error::other)?;
                    }
                    tokio::net::TcpListener::from_std(listener)
                };
                match begun.await {
                    Ok(listener) => {
                        let _ = ready.send(Ok(()));
                        let stopped = async { drop(stopped.await) };
                        serving.serve(listener, stopped).await;
                    }
                    Err(error) => drop(ready.send(Err(error))),
                }
            });
        })?;
        let mock = Self { app, address, host, stop: Some(stop), thread: Some(thread) };
        started.recv().map_err(io::Error::other)??;
        Ok(mock)
    }

    /// The origin of the Nests API.
    #[must_use]
    pub fn api(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The URL of the relay.
    #[must_use]
    pub fn relay(&self) -> String {
        format!("ws://{}/relay", self.address)
    }

    /// The URL of the media server, the embedded one or the real one.
    #[must_use]
    pub fn livekit(&self) -> &str {
        self.app.media.url()
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The key that hosts the nest `demo`; a new one each time.
    #[must_use]
    pub fn host(&self) -> &Keys {
        &self.host
    }

    /// From now on these faults, and no others.
    pub fn set_faults(&self, faults: Vec<Fault>) {
        self.app.faults.set(faults);
    }

    /// How many requests came for a path (without query).
    #[must_use]
    pub fn requests(&self, path: &str) -> usize {
        self.seen(|seen| seen.requests.get(path).copied().unwrap_or_default())
    }

    /// How many requests came at all.
    #[must_use]
    pub fn all_requests(&self) -> usize {
        self.seen(|seen| seen.requests.values().sum())
    }

    /// The `Authorization` that came last.
    #[must_use]
    pub fn last_authorization(&self) -> Option<String> {
        self.seen(|seen| seen.authorization.clone())
    }

    /// What is remembered of a nest.
    #[must_use]
    pub fn record(&self, id: &str) -> Option<Record> {
        self.app.memory.peek(id)
    }

    /// Writes what is remembered of a nest; its lifetime begins anew.
    pub fn remember(&self, record: Record) {
        self.app.memory.write(record);
    }

    /// Forgets a nest, as the store does after a day.
    pub fn forget(&self, id: &str) {
        self.app.memory.forget(id);
    }

    /// An audio room of the embedded media server.
    #[must_use]
    pub fn room(&self, id: &str) -> Option<Room> {
        self.embedded()?.room(id)
    }

    /// Who is in an audio room of the embedded media server.
    #[must_use]
    pub fn participants(&self, id: &str) -> Vec<String> {
        self.embedded().map(|media| media.identities(id)).unwrap_or_default()
    }

    /// A token that the media server accepts, with these claims.
    #[must_use]
    pub fn mint(&self, claims: &Claims) -> String {
        self.app.media.issuer().mint(claims)
    }

    /// The media server, the embedded one or the real one.
    #[must_use]
    pub fn media(&self) -> Arc<dyn MediaServer> {
        self.app.media.clone()
    }

    fn seen<T: Default>(&self, look: impl FnOnce(&Seen) -> T) -> T {
        let seen = self.app.seen.as_ref().map(|seen| seen.lock().unwrap_or_else(PoisonError::into_inner));
        seen.map(|seen| look(&seen)).unwrap_or_default()
    }

    fn embedded(&self) -> Option<&Embedded> {
        self.app.embedded.as_deref()
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // It may have ended already.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn demo_record(host: &Keys, relay: &str) -> Record {
    let host = host.public_key().to_hex();
    Record {
        id: DEMO.into(),
        speakers: vec![host.clone()],
        admins: vec![host.clone()],
        host,
        relays: vec![relay.into()],
        hls_stream: false,
        created_at: Clock::default().now_ms() - 2 * 3600 * 1000,
        status: "active".into(),
        restarted_at: None,
        rest: serde_json::Map::new(),
    }
}

fn demo_event(host: &Keys, address: SocketAddr, livekit: &str) -> io::Result<Event> {
    let streaming = livekit.trim_start_matches("ws://").trim_start_matches("wss://");
    let tags = [
        vec!["d", DEMO],
        vec!["room", "Demo nest"],
        vec!["title", "Demo nest"],
        vec!["status", "open"],
        vec!["service", &format!("http://{address}/api/v1/nests")],
        vec!["streaming", &format!("wss+livekit://{streaming}")],
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
