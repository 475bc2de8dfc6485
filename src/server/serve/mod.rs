//! The Nests API for real: on Redis and LiveKit, as one of several processes that share them.

mod health;
pub mod proxy;

use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Extension;
use axum::extract::{Request, State};
use axum::routing::get;
use hyper::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Method, StatusCode};
use ipnet::IpNet;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tower_http::cors::{AllowOrigin, CorsLayer};
use url::Url;

pub use self::health::{BackendHealth, Metrics};
pub(crate) use self::proxy::{network, public_endpoint, public_origin, web_origin};
use super::answer::HttpAnswer;
use super::api::{self, DEPARTURE_TIMEOUT_S, NestsApi};
pub(crate) use super::http::Quota;
use super::http::{ALIVE, ClientIp, HttpFront, HttpLimits, RateLimiter};
use super::media::{Livekit, LivekitConfig};
use super::store::{Redis, RedisConfig};
use super::{ApiCall, BackendError};
use crate::clock::Clock;

/// The longest head of a request to the API, in bytes: a signature has less than 2000.
const HEAD_LIMIT: usize = 16 * 1024;

const BODY_LIMIT: usize = 64 * 1024;

/// How long a head or a body may take to arrive, and an idle connection stays.
const ARRIVAL: Duration = Duration::from_secs(15);

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
    /// The origins of the web clients that may call; none: any origin.
    pub(crate) web_origins: Vec<HeaderValue>,
    /// How much an address may ask for; `None`: no limit.
    pub(crate) address_quota: Option<Quota>,
    /// How much a key may ask for; `None`: no limit.
    pub(crate) key_quota: Option<Quota>,
    pub(crate) connections: usize,
    /// Whether nests have a page.
    pub(crate) page: bool,
    /// The web client to which it leads.
    pub(crate) web_client: Option<String>,
}

pub(crate) struct NestServer {
    settings: ServeSettings,
    nests: Arc<NestsApi>,
    address_limiter: RateLimiter<IpAddr>,
    /// When it was asked for, and what it was.
    health: Mutex<Option<(Instant, BackendHealth)>>,
    metrics: Metrics,
    front: Arc<HttpFront>,
}

impl NestServer {
    /// Connects to nothing yet: what is not there may come later. Needs a runtime; an error is about one of the URLs.
    pub(crate) fn new(settings: ServeSettings) -> Result<Arc<Self>, BackendError> {
        let nests = NestsApi {
            store: Arc::new(Redis::new(&settings.redis, settings.record_ttl)?),
            issuer: settings.livekit.issuer(),
            media: Arc::new(Livekit::new(settings.livekit.clone())?),
            clock: Clock::default(),
            endpoint: proxy::announced(&settings.endpoint),
            departure_timeout_s: DEPARTURE_TIMEOUT_S,
            tells_page: settings.page,
            web_client: settings.web_client.clone(),
            mimic_upstream: false,
            key_limit: settings.key_quota.map(|quota| (quota, RateLimiter::default())),
        };
        let (connections, trusted) = (settings.connections, settings.trusted.clone());
        let limits = HttpLimits { connections, body: BODY_LIMIT, arrival: ARRIVAL, request: REQUEST, trusted };
        Ok(Arc::new(Self {
            settings,
            nests: Arc::new(nests),
            address_limiter: RateLimiter::default(),
            health: Mutex::default(),
            metrics: Metrics::default(),
            front: HttpFront::new(limits),
        }))
    }

    /// Serves until `stop` is ready, then finishes what is under way, but not for longer than `grace`.
    pub(crate) async fn run(self: &Arc<Self>, listener: TcpListener, stop: impl Future<Output = ()>, grace: Duration) {
        let routes = api::routes(self.settings.page, Self::api)
            .route("/health", get(health))
            .route(ALIVE, get(alive))
            .route("/metrics", get(metrics))
            .fallback(nowhere)
            .method_not_allowed_fallback(nowhere)
            .layer(cors(self.settings.web_origins.clone()))
            .with_state(self.clone());
        self.front.serve(routes, listener, stop, grace).await;
    }

    async fn api(self: Arc<Self>, call: ApiCall, id: String, request: Request) -> HttpAnswer {
        let client = ClientIp::of(request.extensions());
        // LiveKit is not limited.
        let is_livekit = call == ApiCall::Webhook && self.nests.is_webhook_of_livekit(request.headers());
        let answer = async {
            if head_len(&request) > HEAD_LIMIT {
                let text = "Request header fields too large";
                return HttpAnswer::error(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, text);
            }
            self.nests.clone().answer(&self.front, call, id, self.settings.origin.clone(), request).await
        };
        let answer = if is_livekit {
            self.measured(call.name(), answer).await
        } else {
            self.limited(call.name(), client, answer).await
        };
        if answer.headers.contains_key(CACHE_CONTROL) { answer } else { answer.header(CACHE_CONTROL, "no-store") }
    }

    /// Counts a request for the limit of its client, and answers if that is not exceeded.
    async fn limited(
        &self,
        call: &'static str,
        ClientIp(ip): ClientIp,
        answer: impl Future<Output = HttpAnswer>,
    ) -> HttpAnswer {
        let quota = self.settings.address_quota;
        let answer = async {
            let budget = quota.map(|quota| self.address_limiter.count(quota, proxy::bucket(ip)));
            match budget {
                Some(budget) if budget.exceeded => HttpAnswer::too_many(budget),
                _ => answer.await.with_budget(budget),
            }
        };
        self.measured(call, answer).await
    }

    /// Counts an answer to this `call` for the metrics.
    async fn measured(&self, call: &'static str, answer: impl Future<Output = HttpAnswer>) -> HttpAnswer {
        let begun = Instant::now();
        let answer = answer.await;
        self.metrics.answered(call, answer.status.as_u16(), begun.elapsed());
        answer
    }
}

fn head_len(request: &Request) -> usize {
    let headers = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len());
    headers.sum::<usize>() + request.uri().path_and_query().map_or(0, |path| path.as_str().len())
}

/// Web clients at these origins, or at any if none is named, may call, and read how much they may still ask for. They send
/// no cookies.
fn cors(origins: Vec<HeaderValue>) -> CorsLayer {
    let allowed = if origins.is_empty() { AllowOrigin::any() } else { AllowOrigin::list(origins) };
    let told = ["date", "retry-after", "ratelimit-limit", "ratelimit-policy", "ratelimit-remaining", "ratelimit-reset"];
    CorsLayer::new()
        .allow_origin(allowed)
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
        .allow_headers([AUTHORIZATION, CONTENT_TYPE])
        .expose_headers(told.map(HeaderName::from_static))
        .max_age(Duration::from_hours(1))
}

type Server = State<Arc<NestServer>>;
type Client = Extension<ClientIp>;

async fn health(State(server): Server, Extension(client): Client) -> HttpAnswer {
    let answer = async { health::health(&server.backend_health().await, &server.settings.endpoint) };
    server.limited("health", client, answer).await
}

/// Not limited: whoever restarts what does not answer must not do so because of what strangers ask.
async fn alive(State(server): Server) -> HttpAnswer {
    server.measured("health", async { HttpAnswer::json(StatusCode::OK, &json!({ "alive": true })) }).await
}

async fn metrics(State(server): Server, Extension(client): Client) -> HttpAnswer {
    let answer = async {
        let text = server.metrics.text(&server.backend_health().await, server.front.open_connections());
        HttpAnswer::text(StatusCode::OK, "application/openmetrics-text; version=1.0.0; charset=utf-8", text)
    };
    server.limited("metrics", client, answer).await
}

async fn nowhere(State(server): Server, Extension(client): Client) -> HttpAnswer {
    server.limited("nowhere", client, async { HttpAnswer::no_endpoint() }).await
}
