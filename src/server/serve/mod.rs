//! The Nests API for real: on Redis and LiveKit, as one of several processes that share them.

mod health;
pub mod proxy;

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::body::Incoming;
use hyper::header::CACHE_CONTROL;
use hyper::http::request::Parts;
use hyper::{HeaderMap, Request, StatusCode};
use ipnet::IpNet;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use url::Url;

pub use self::health::{BackendHealth, Metrics};
pub(crate) use self::proxy::{network, public_endpoint, public_origin};
use super::answer::HttpAnswer;
use super::api::{ApiRequest, DEPARTURE_TIMEOUT_S, NestsApi};
pub(crate) use super::http::Quota;
use super::http::{self, ConnectionDropped, HttpFront, HttpLimits, HttpService, LogSink, RateAllowance, RateLimiter};
use super::media::{Livekit, LivekitConfig};
use super::store::{Redis, RedisConfig};
use super::{ApiCall, BackendError, HttpRoute};
use crate::clock::Clock;

/// The longest head of a request to the API, in bytes: a signature has less than 2000.
const HEAD_LIMIT: usize = 16 * 1024;

const BODY_LIMIT: usize = 64 * 1024;

/// How long a head or a body may take to arrive, and an idle connection stays.
const ARRIVAL: Duration = Duration::from_secs(15);

/// How long a request may take, whatever it waits for.
const REQUEST: Duration = Duration::from_secs(15);

pub(crate) struct ServeSettings {
    pub(crate) redis: RedisConfig,
    pub(crate) livekit: LivekitConfig,
    /// Where clients find this API, as [`public_origin`] has checked it.
    pub(crate) origin: String,
    /// Where clients find LiveKit, as [`public_endpoint`] has checked it.
    pub(crate) endpoint: Url,
    /// How long a record lives after its last use.
    pub(crate) record_ttl: Duration,
    pub(crate) trusted: Vec<IpNet>,
    /// How much an address may ask for; `None`: no limit.
    pub(crate) address_quota: Option<Quota>,
    /// How much a key may ask for; `None`: no limit.
    pub(crate) key_quota: Option<Quota>,
    pub(crate) connections: usize,
    pub(crate) log: LogSink,
}

pub(crate) struct NestServer {
    nests: Arc<NestsApi>,
    origin: String,
    endpoint: Url,
    trusted: Vec<IpNet>,
    address_limit: Option<(Quota, RateLimiter<IpAddr>)>,
    /// When it was asked for, and what it was.
    health: Mutex<Option<(Instant, BackendHealth)>>,
    metrics: Metrics,
    front: HttpFront,
}

impl NestServer {
    /// Connects to nothing yet: what is not there may come later. Needs a runtime; an error is about one of the URLs.
    pub(crate) fn new(settings: ServeSettings) -> Result<Arc<Self>, BackendError> {
        let nests = NestsApi {
            store: Arc::new(Redis::new(&settings.redis, settings.record_ttl)?),
            media: Arc::new(Livekit::new(settings.livekit)?),
            clock: Clock::default(),
            endpoint: proxy::announced(&settings.endpoint),
            departure_timeout_s: DEPARTURE_TIMEOUT_S,
            mimic_upstream: false,
            key_limit: settings.key_quota.map(|quota| (quota, RateLimiter::default())),
        };
        let limits = HttpLimits { connections: settings.connections, body: BODY_LIMIT, arrival: ARRIVAL };
        Ok(Arc::new(Self {
            nests: Arc::new(nests),
            origin: settings.origin,
            endpoint: settings.endpoint,
            trusted: settings.trusted,
            address_limit: settings.address_quota.map(|quota| (quota, RateLimiter::default())),
            health: Mutex::default(),
            metrics: Metrics::default(),
            front: HttpFront::new(limits, Some(settings.log)),
        }))
    }

    /// Serves until `stop` is ready, then finishes what is under way, but not for longer than `grace`.
    pub(crate) async fn run(self: &Arc<Self>, listener: TcpListener, stop: impl Future<Output = ()>, grace: Duration) {
        http::serve(self, listener, stop, grace).await;
    }

    /// What kind of request it was, for the metrics, and its answer.
    async fn route(&self, head: Parts, body: Incoming, client_ip: IpAddr) -> (&'static str, HttpAnswer) {
        let path = head.uri.path();
        match (head.method.as_str(), path) {
            ("GET", "/health") => return ("health", health::health(&self.backend_health().await, &self.endpoint)),
            ("GET", "/health/alive") => return ("health", HttpAnswer::json(StatusCode::OK, &json!({ "alive": true }))),
            ("GET", "/metrics") => {
                let text = self.metrics.text(&self.backend_health().await, self.front.open_connections());
                return ("metrics", HttpAnswer::text(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", text));
            }
            _ => {}
        }
        match HttpRoute::of(&head.method, path) {
            HttpRoute::Api(call, id) if call != ApiCall::Health => {
                // LiveKit is not limited.
                let budget = if call == ApiCall::Webhook { None } else { self.count(client_ip) };
                let answer = match budget {
                    Some(budget) if budget.exceeded => HttpAnswer::too_many(budget),
                    _ => self.api(call, id, head, body).await,
                };
                let tighter = budget.map(|budget| budget.tighter(answer.key_budget)).or(answer.key_budget);
                (call.name(), answer.header(CACHE_CONTROL, "no-store").with_budget(tighter))
            }
            _ => {
                let answer = match self.count(client_ip) {
                    Some(budget) if budget.exceeded => HttpAnswer::too_many(budget).with_budget(Some(budget)),
                    _ => HttpAnswer::no_endpoint(),
                };
                ("nowhere", answer)
            }
        }
    }

    fn count(&self, client_ip: IpAddr) -> Option<RateAllowance> {
        let (quota, limiter) = self.address_limit.as_ref()?;
        Some(limiter.count(*quota, proxy::bucket(client_ip)))
    }

    async fn api(&self, call: ApiCall, id: String, head: Parts, body: Incoming) -> HttpAnswer {
        let headers: usize = head.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        let path = head.uri.path_and_query().map_or(0, |path| path.as_str().len());
        if headers + path > HEAD_LIMIT {
            let text = "Request header fields too large";
            return HttpAnswer::error(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, text);
        }
        let body = match self.front.read_body(body).await {
            Ok(body) => body,
            Err(refused) => return *refused,
        };
        let request = ApiRequest { nests: self.nests.clone(), call, id, head, origin: self.origin.clone(), body };
        let answer = self.front.carry_out(tokio::time::timeout(REQUEST, request.answer())).await;
        answer.map_or_else(
            || HttpAnswer::error(StatusCode::INTERNAL_SERVER_ERROR, "Internal server error").note("panic"),
            |in_time| in_time.unwrap_or_else(|_| HttpAnswer::unavailable().note("took too long")),
        )
    }
}

impl HttpService for NestServer {
    fn front(&self) -> &HttpFront {
        &self.front
    }

    fn client(&self, connected: SocketAddr, headers: &HeaderMap) -> SocketAddr {
        SocketAddr::new(proxy::client_ip(connected.ip(), headers, &self.trusted), connected.port())
    }

    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        client: SocketAddr,
    ) -> Result<HttpAnswer, ConnectionDropped> {
        let begun = Instant::now();
        let (head, body) = request.into_parts();
        let (call, answer) = self.route(head, body, client.ip()).await;
        self.metrics.answered(call, answer.status.as_u16(), begun.elapsed());
        Ok(answer)
    }
}
