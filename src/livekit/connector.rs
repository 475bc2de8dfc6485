//! How the check gets a connection to an endpoint, and joins on it.
//!
//! Making a connection takes several round trips, and so does fetching the token for it. They run at the same time:
//!
//! ```text
//! Preconnect::begin    DNS, TCP, TLS ──────────────┐
//! the API              GET …/guest: the token ─────┴─ Connector: WebSocket upgrade with the token, join
//! ```
//!
//! Nothing is said on the early connection, so the server may have closed it meanwhile. Then another one is made.

use std::mem::take;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use livekit_protocol::signal_request::Message as Request;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::check::Tools;
use super::endpoint::Candidate;
use super::signal::{self, JoinError, JoinMode, SignalSession};
use crate::net::dial::{self, Connection, DialCause, DialError, DialLayer, DialLimits};
use crate::net::reach::Reach;
use crate::secret::Secret;

/// For one layer of a connection to an internal address, where an answer would be a surprise.
const INTERNAL_LIMIT: Duration = Duration::from_secs(3);

impl Candidate {
    /// How long each layer of a connection to it may take, if there is `share` for all of them.
    pub fn dial_limits(&self, share: Duration) -> DialLimits {
        let each = if self.internal.is_some() { INTERNAL_LIMIT } else { dial::LAYER_LIMIT };
        DialLimits { each, until: Instant::now() + share }
    }

    pub async fn connect(
        &self,
        tls: &rustls::ClientConfig,
        reach: &Reach,
        limits: DialLimits,
    ) -> Result<Connection, DialError> {
        dial::connect(&self.url, tls, reach, Some("http/1.1"), limits).await
    }
}

/// A connection that is being made while the token for it is still being fetched. Dropped, it is given up.
pub struct Preconnect {
    candidate: Candidate,
    dialling: Mutex<JoinSet<Result<Connection, DialError>>>,
}

impl Preconnect {
    /// Begins with the first of `candidates` that may see a token: the host's, if `host`. `limit` is for all of them.
    pub fn begin(
        candidates: &[Candidate],
        host: bool,
        tls: &Arc<rustls::ClientConfig>,
        reach: &Reach,
        limit: Duration,
    ) -> Option<Self> {
        let candidate = candidates.iter().find(|candidate| candidate.takes(host))?.clone();
        let limits = candidate.dial_limits(limit / u32::try_from(candidates.len()).unwrap_or(u32::MAX));
        let (dialled, tls, reach) = (candidate.clone(), Arc::clone(tls), reach.clone());
        let mut dialling = JoinSet::new();
        dialling.spawn(async move { dialled.connect(&tls, &reach, limits).await });
        Some(Self { candidate, dialling: Mutex::new(dialling) })
    }

    /// What came of it, once, if it leads to `candidate`.
    async fn take(&self, candidate: &Candidate) -> Option<Result<Connection, DialError>> {
        if self.candidate.url != candidate.url {
            return None;
        }
        let mut dialling = take(&mut *self.dialling.lock().unwrap_or_else(PoisonError::into_inner));
        dialling.join_next().await?.ok()
    }
}

/// A connection to an endpoint on which nobody has joined yet.
pub(super) struct Dialled {
    pub connection: Connection,
    /// It was made in advance: the server may have closed it meanwhile.
    early: bool,
}

#[derive(Clone, Copy)]
pub(super) struct Connector<'a> {
    pub candidate: &'a Candidate,
    pub token: &'a Secret,
    pub tools: &'a Tools<'a>,
    pub limits: DialLimits,
    /// For everything after the join.
    pub until: Instant,
}

impl Connector<'_> {
    /// Takes the connection that was made in advance, if there is one, and else makes one.
    pub async fn connect(&self) -> Result<Dialled, DialError> {
        let early = async { self.tools.preconnect?.take(self.candidate).await };
        match timeout_at(self.limits.until, early).await {
            Ok(Some(early)) => Ok(self.dialled(early?, true)),
            // If waiting for it has used up the time, this fails at once.
            Ok(None) | Err(_) => self.connect_anew().await,
        }
    }

    async fn connect_anew(&self) -> Result<Dialled, DialError> {
        Ok(self.dialled(self.candidate.connect(self.tools.tls, self.tools.http.reach(), self.limits).await?, false))
    }

    fn dialled(&self, connection: Connection, early: bool) -> Dialled {
        let told = format!("{} is {}", self.candidate.as_str(), connection.remote_address);
        self.tools.reporter.detail(2, &told);
        Dialled { connection, early }
    }

    pub async fn join(&self, dialled: Dialled) -> Result<SignalSession, JoinError> {
        self.join_as(JoinMode::SignalOnly, &[], dialled).await
    }

    /// Joins and says `first`, which is an offer; servers that do not know this way are asked in the older one.
    #[cfg(feature = "media")]
    pub async fn join_offering(&self, dialled: Dialled, first: &[Request]) -> Result<SignalSession, JoinError> {
        match self.join_as(JoinMode::OneConnection, first, dialled).await {
            Err(JoinError::Dial(DialError { cause: DialCause::NoWebSocket { status: 400..=499, .. }, .. })) => {
                self.join_as(JoinMode::Legacy, first, self.connect_anew().await?).await
            }
            done => done,
        }
    }

    async fn join_as(&self, mode: JoinMode, first: &[Request], dialled: Dialled) -> Result<SignalSession, JoinError> {
        let Self { candidate, token, tools, limits, .. } = *self;
        let Dialled { connection, early } = dialled;
        let joining =
            |connection| signal::join(mode, first.to_vec(), connection, candidate, token, limits, tools.clock);
        match joining(connection).await {
            // It was closed before anything was said: nobody has been asked.
            Err(JoinError::Dial(DialError { layer: DialLayer::WebSocket, cause: DialCause::Broken(_), .. }))
                if early =>
            {
                joining(self.connect_anew().await?.connection).await
            }
            done => done,
        }
    }
}
