//! What the server tells its operator: whether what is behind the API answers (`/health`), and for Prometheus what was
//! answered (`/metrics`).

use std::time::{Duration, Instant};

use hyper::StatusCode;
use hyper::header::RETRY_AFTER;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use serde_json::json;
use url::Url;

use super::NestServer;
use crate::clock::{Clock, rfc3339};
use crate::server::answer::{HttpAnswer, RETRY_S};

/// How long an answer of Redis and LiveKit is as good as new: those who ask often cost nothing.
const FRESH: Duration = Duration::from_millis(250);

/// What Redis and LiveKit say when they are asked, unless they are well. A wrong LiveKit key is not well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendHealth {
    pub redis: Result<(), String>,
    pub livekit: Result<(), String>,
}

impl NestServer {
    pub(crate) async fn backend_health(&self) -> BackendHealth {
        const NOBODY: &str = "nest-serve-health";
        let mut known = self.health.lock().await;
        if let Some((asked, health)) = &*known
            && asked.elapsed() < FRESH
        {
            return health.clone();
        }
        let (redis, livekit) = tokio::join!(self.nests.store.get(NOBODY), self.nests.media.find(NOBODY));
        let (redis, livekit) = (redis.map(drop), livekit.map(drop));
        let health =
            BackendHealth { redis: redis.map_err(|e| e.to_string()), livekit: livekit.map_err(|e| e.to_string()) };
        *known = Some((Instant::now(), health.clone()));
        health
    }
}

/// `/health`: upstream's fields, and what is true. What is wrong in detail is for the operator's log.
pub(super) fn health(health: &BackendHealth, endpoint: &Url) -> HttpAnswer {
    let word = |result: &Result<(), String>| if result.is_ok() { "up" } else { "down" };
    let ready = health.redis.is_ok() && health.livekit.is_ok();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let document = json!({
        "status": if ready { "healthy" } else { "unhealthy" },
        "timestamp": rfc3339(Clock::default().now_ms()),
        "version": env!("CARGO_PKG_VERSION"),
        "livekit": endpoint.as_str().trim_end_matches('/'),
        "alive": true,
        "ready": ready,
        "redis": word(&health.redis),
        "mediaServer": word(&health.livekit),
    });
    let answer = HttpAnswer::json(status, &document);
    if ready {
        return answer;
    }
    let wrong = [&health.redis, &health.livekit].into_iter().filter_map(|result| result.as_ref().err());
    let note = wrong.map(String::as_str).collect::<Vec<_>>().join("; ");
    answer.header(RETRY_AFTER, RETRY_S).note(note)
}

/// Upper ends of the buckets, in seconds.
const BUCKETS: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5];

/// One label, a name and a value.
type Label<T = &'static str> = [(&'static str, T); 1];

/// What was answered since the start.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<(Label, Label<u16>), Counter>,
    seconds: Family<Label, Histogram, fn() -> Histogram>,
    connections: Gauge,
    up: Family<Label, Gauge>,
}

impl Default for Metrics {
    fn default() -> Self {
        let seconds: fn() -> Histogram = || Histogram::new(BUCKETS);
        let mut metrics = Self {
            registry: Registry::with_prefix("nest_serve"),
            requests: Family::default(),
            seconds: Family::new_with_constructor(seconds),
            connections: Gauge::default(),
            up: Family::default(),
        };
        let registry = &mut metrics.registry;
        registry.register("requests", "Requests that were answered", metrics.requests.clone());
        registry.register(
            "request_seconds",
            "From the head of a request to that of its answer",
            metrics.seconds.clone(),
        );
        registry.register("connections", "Connections that are open", metrics.connections.clone());
        registry.register("up", "Whether what is behind the API answers", metrics.up.clone());
        metrics
    }
}

impl Metrics {
    pub fn answered(&self, call: &'static str, status: u16, time: Duration) {
        self.requests.get_or_create(&([("call", call)], [("status", status)])).inc();
        self.seconds.get_or_create(&[("call", call)]).observe(time.as_secs_f64());
    }

    /// In the format of `OpenMetrics` 1.0, which Prometheus reads.
    pub fn text(&self, health: &BackendHealth, connections: usize) -> String {
        self.connections.set(i64::try_from(connections).unwrap_or(i64::MAX));
        self.up.get_or_create(&[("service", "redis")]).set(health.redis.is_ok().into());
        self.up.get_or_create(&[("service", "livekit")]).set(health.livekit.is_ok().into());
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("writing into a string does not fail");
        text
    }
}
