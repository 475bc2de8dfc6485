//! The Nests API for real: on Redis and LiveKit, as one of several processes that share them.

mod front;
mod health;
mod log;
mod metrics;
mod peer;
mod public;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

pub use self::health::State;
pub use self::log::Entry;
pub use self::peer::Network;
pub use self::public::{Endpoint, Origin};
use super::Options;
use super::api::{Nests, Rules};
use super::limit::Limiter;
pub use super::limit::Quota;
use super::media::{self, Livekit};
use super::store::{self, Redis};
use crate::clock::Clock;

/// How a server is to be.
pub struct Settings {
    /// Where the records are.
    pub redis: store::redis::Config,
    /// Where the rooms are.
    pub livekit: media::livekit::Config,
    /// Where clients find this API.
    pub origin: Origin,
    /// Where clients find LiveKit.
    pub endpoint: Endpoint,
    /// How long a record lives after its last use.
    pub record_ttl: Duration,
    /// Whose `X-Forwarded-For` is believed.
    pub trusted: Vec<Network>,
    /// What an address may ask for; `None`: anything.
    pub address_quota: Option<Quota>,
    /// What a key may ask for; `None`: anything.
    pub key_quota: Option<Quota>,
    /// Connections at the same time.
    pub connections: usize,
    /// Hears of every request.
    pub log: LogSink,
}

/// Where log entries go.
pub type LogSink = Arc<dyn Fn(Entry) + Send + Sync>;

/// Why a server cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The Redis URL.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The LiveKit URL.
    #[error(transparent)]
    Media(#[from] media::Error),
}

/// A server that does not listen yet.
pub struct Server(Arc<front::Front>);

impl Server {
    /// Connects to nothing yet: what is not there now may be there later. Needs a runtime.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn new(settings: Settings) -> Result<Self, Error> {
        let usual = Options::default();
        let nests = Nests {
            store: Arc::new(Redis::new(&settings.redis, settings.record_ttl)?),
            media: Arc::new(Livekit::new(settings.livekit)?),
            clock: Clock::default(),
            rules: Arc::new(Rules {
                endpoint: settings.endpoint.announced(),
                empty_timeout: usual.empty_timeout,
                departure_timeout: usual.departure_timeout,
                frank: true,
            }),
            keys: settings.key_quota.map(|quota| Arc::new(Limiter::new(quota))),
        };
        Ok(Self(Arc::new(front::Front::new(front::Parts {
            nests: Arc::new(nests),
            origin: settings.origin,
            livekit: settings.endpoint,
            trusted: settings.trusted,
            addresses: settings.address_quota.map(Limiter::new),
            connections: settings.connections,
            log: settings.log,
        }))))
    }

    /// What is behind it, as it is now.
    pub async fn state(&self) -> State {
        self.0.state().await
    }

    /// Serves until `stop` is ready, then finishes what is under way, but not for longer than `grace`.
    pub async fn run(&self, listener: TcpListener, stop: impl Future<Output = ()>, grace: Duration) {
        self.0.clone().serve(listener, stop, grace).await;
    }
}
