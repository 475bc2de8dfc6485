//! What a mock answers: the API, the signal endpoint and the relay, struck by faults.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, HOST, RETRY_AFTER};
use hyper::{HeaderMap, Request, StatusCode};
use hyper_util::rt::TokioIo;
use nostr_relay_builder::prelude::{MemoryDatabase, MemoryDatabaseOptions};
use nostr_relay_builder::{LocalRelay, RelayBuilder};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::Options;
use crate::clock::Clock;
use crate::secret::Secret;
use crate::server::answer::HttpAnswer;
use crate::server::api::{ApiRequest, NestsApi};
use crate::server::call::{ApiCall, HttpRoute};
use crate::server::faults::{ActiveFaults, Faults, FaultyMedia, FaultyStore};
use crate::server::http::{self, ConnectionDropped, HttpFront, HttpLimits, HttpService};
use crate::server::media::{self, Embedded, Livekit, MediaServer, signal};
use crate::server::rate_limit::{Quota, RateLimiter};
use crate::server::store::{Memory, Record};
use crate::server::token::Issuer;
use crate::server::{BackendError, lock, random_text};

/// Whoever plays with the mock may take all the time that a test takes.
const LIMITS: HttpLimits =
    HttpLimits { connections: Semaphore::MAX_PERMITS, body: 1024 * 1024, arrival: Duration::from_secs(3600) };

/// Upstream counts requests for so long.
const RATE_WINDOW: Duration = Duration::from_secs(15 * 60);

pub(super) struct MockService {
    pub(super) faults: Faults,
    pub(super) media: Arc<dyn MediaServer>,
    /// The same media server, if it is the embedded one.
    pub(super) embedded: Option<Arc<Embedded>>,
    pub(super) memory: Arc<Memory>,
    pub(super) events: MemoryDatabase,
    relay: LocalRelay,
    departure_timeout_s: u32,
    rate_limiter: RateLimiter<IpAddr>,
    pub(super) address: SocketAddr,
    public_origin: Option<String>,
    pub(super) seen: Mutex<SeenRequests>,
    front: HttpFront,
}

#[derive(Debug, Default)]
pub(super) struct SeenRequests {
    pub(super) requests: HashMap<String, usize>,
    pub(super) authorization: Option<String>,
}

impl MockService {
    pub(super) fn new(address: SocketAddr, options: Options) -> io::Result<Arc<Self>> {
        let Options { faults, livekit, media, record_ttl, departure_timeout, public_origin, log } = options;
        let (media, embedded): (Arc<dyn MediaServer>, _) = if let Some(config) = livekit {
            let livekit = Livekit::new(config).map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e))?;
            (Arc::new(livekit), None)
        } else {
            let issuer = Issuer { key: "nest-mock".into(), secret: Secret::new(random_text(40)) };
            let embedded = Embedded::new(format!("ws://{address}"), issuer, media);
            (embedded.clone(), Some(embedded))
        };
        let events = MemoryDatabase::with_opts(MemoryDatabaseOptions { events: true, max_events: Some(10_000) });
        Ok(Arc::new(Self {
            faults: Faults(Mutex::new(faults)),
            media,
            embedded,
            memory: Arc::new(Memory::new(record_ttl)),
            relay: LocalRelay::new(RelayBuilder::default().database(events.clone())),
            events,
            departure_timeout_s: media::seconds(departure_timeout),
            rate_limiter: RateLimiter::default(),
            address,
            public_origin,
            seen: Mutex::default(),
            front: HttpFront::new(LIMITS, log),
        }))
    }

    /// Serves until `stop` is ready, then ends everything at once.
    pub(super) async fn serve(self: &Arc<Self>, listener: TcpListener, stop: impl Future<Output = ()>) {
        http::serve(self, listener, stop, Duration::ZERO).await;
        self.relay.shutdown();
    }

    /// Opens the audio room of a record, as if that had been done when the record was made.
    pub(super) async fn open(&self, record: &Record) -> Result<(), BackendError> {
        self.media.create(&self.nests(&ActiveFaults::default()).room_of(record, None)).await?;
        if let Some(embedded) = &self.embedded {
            embedded.backdate(&record.id, record.created_at);
        }
        Ok(())
    }

    /// The media server as clients are told to dial it.
    pub(super) fn endpoint(&self) -> String {
        format!("wss+livekit://{}", self.media.url().trim_start_matches("ws://").trim_start_matches("wss://"))
    }

    fn nests(&self, faults: &ActiveFaults) -> Arc<NestsApi> {
        Arc::new(NestsApi {
            store: Arc::new(FaultyStore::new(self.memory.clone(), faults.clone())),
            media: Arc::new(FaultyMedia::new(self.media.clone(), faults.clone())),
            clock: self.faults.clock(),
            endpoint: self.endpoint(),
            departure_timeout_s: self.departure_timeout_s,
            mimic_upstream: true,
            key_limit: None,
        })
    }

    /// The origin of a request, as the client has to have signed it.
    fn origin(&self, headers: &HeaderMap) -> String {
        let localhost = format!("localhost:{}", self.address.port());
        match &self.public_origin {
            Some(origin) => origin.trim_end_matches('/').to_owned(),
            None if headers.get(HOST).is_some_and(|host| *host == *localhost) => format!("http://{localhost}"),
            None => format!("http://{}", self.address),
        }
    }

    async fn api(
        &self,
        call: ApiCall,
        id: String,
        request: Request<Incoming>,
        client: IpAddr,
    ) -> Result<HttpAnswer, ConnectionDropped> {
        let faults = self.faults.strike(call);
        let (head, body) = request.into_parts();
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        if let Some(answer) = faults.before(path, head.headers.get(AUTHORIZATION))? {
            return faults.after(answer).await;
        }
        let quota = self.faults.rate_limit().map(|limit| Quota { limit, window: RATE_WINDOW });
        let budget = quota.map(|quota| self.rate_limiter.count(quota, client));
        if let Some(budget) = budget.filter(|budget| budget.exceeded) {
            let text = "Too many requests from this IP, please try again later.";
            let answer = HttpAnswer::text(StatusCode::TOO_MANY_REQUESTS, "text/html; charset=utf-8", text);
            return Ok(answer.with_budget(Some(budget)).header(RETRY_AFTER, budget.reset_s));
        }
        let body = match self.front.read_body(body).await {
            Ok(body) => body,
            Err(refused) => return Ok(*refused),
        };
        let (nests, origin) = (self.nests(&faults), self.origin(&head.headers));
        let request = ApiRequest { nests, call, id, head, origin, body };
        let answer = self.front.carry_out(request.answer()).await.ok_or(ConnectionDropped)?;
        faults.after(answer.with_budget(budget)).await
    }

    async fn signal(
        &self,
        media: &Arc<Embedded>,
        join: bool,
        request: Request<Incoming>,
    ) -> Result<HttpAnswer, ConnectionDropped> {
        let faults = self.faults.strike(ApiCall::Signal);
        if faults.media_down() {
            return Err(ConnectionDropped);
        }
        let answer = match faults.before(request.uri().path(), None)? {
            Some(answer) => answer,
            None if join => signal::connect(&self.front, media.clone(), faults.text(signal::VERSION), request),
            None => signal::validate(media, &request),
        };
        faults.after(answer).await
    }

    fn relay(&self, mut request: Request<Incoming>, client: SocketAddr) -> HttpAnswer {
        let Some((answer, upgraded)) = http::upgrade_to_websocket(&mut request) else {
            return HttpAnswer::error(StatusCode::UPGRADE_REQUIRED, "This is a Nostr relay");
        };
        let relay = self.relay.clone();
        self.front.spawn(async move {
            if let Ok(stream) = upgraded.await {
                // An error is a client that has gone.
                let _ = relay.take_connection(TokioIo::new(stream), client).await;
            }
        });
        answer
    }

    fn note(&self, request: &Request<Incoming>) {
        let mut seen = lock(&self.seen);
        *seen.requests.entry(request.uri().path().to_owned()).or_default() += 1;
        if let Some(value) = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok()) {
            seen.authorization = Some(value.to_owned());
        }
    }
}

impl HttpService for MockService {
    fn front(&self) -> &HttpFront {
        &self.front
    }

    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        client: SocketAddr,
    ) -> Result<HttpAnswer, ConnectionDropped> {
        self.note(&request);
        // The media server's clock is right when that of the API is wrong.
        let (api_clock, media_clock) = (self.faults.clock(), Clock::default());
        let (answer, clock) = match (HttpRoute::of(request.method(), request.uri().path()), &self.embedded) {
            (HttpRoute::Api(call, id), _) => (self.api(call, id, request, client.ip()).await?, api_clock),
            (HttpRoute::Relay, _) => (self.relay(request, client), api_clock),
            (HttpRoute::Signal, Some(media)) => (self.signal(media, true, request).await?, media_clock),
            (HttpRoute::Validate, Some(media)) => (self.signal(media, false, request).await?, media_clock),
            (HttpRoute::Signal | HttpRoute::Validate, None) => (HttpAnswer::no_endpoint(), media_clock),
            (HttpRoute::Nowhere, _) => (HttpAnswer::no_endpoint(), api_clock),
        };
        Ok(HttpAnswer { clock, ..answer })
    }
}
