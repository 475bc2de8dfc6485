//! Whether what is behind the API answers.

use std::time::{Duration, Instant};

use hyper::StatusCode;
use hyper::header::RETRY_AFTER;
use serde_json::json;
use tokio::sync::Mutex;

use super::PublicEndpoint;
use crate::clock::{Clock, rfc3339};
use crate::server::answer::{HttpAnswer, RETRY_S};
use crate::server::api::NestsApi;

/// How long an answer of Redis and LiveKit is as good as new: those who ask often cost nothing.
const FRESH: Duration = Duration::from_millis(250);

/// What Redis and LiveKit say when they are asked, unless they are well. A wrong LiveKit key is not well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BackendHealth {
    pub(crate) redis: Result<(), String>,
    pub(crate) livekit: Result<(), String>,
}

impl BackendHealth {
    /// Whether requests can be carried out.
    fn ready(&self) -> bool {
        self.redis.is_ok() && self.livekit.is_ok()
    }

    async fn of(nests: &NestsApi) -> Self {
        let (redis, livekit) = tokio::join!(nests.store.ping(), nests.media.find("nest-serve-health"));
        Self { redis: redis.map_err(|e| e.to_string()), livekit: livekit.map(drop).map_err(|e| e.to_string()) }
    }
}

/// The health as it was when it was last asked for.
#[derive(Default)]
pub(super) struct HealthCache(Mutex<Option<(Instant, BackendHealth)>>);

impl HealthCache {
    pub(super) async fn get(&self, nests: &NestsApi) -> BackendHealth {
        let mut known = self.0.lock().await;
        match &*known {
            Some((asked, health)) if asked.elapsed() < FRESH => health.clone(),
            _ => {
                let health = BackendHealth::of(nests).await;
                *known = Some((Instant::now(), health.clone()));
                health
            }
        }
    }
}

/// `/health`: upstream's fields, and what is true. What is wrong in detail is for the operator's log.
pub(super) fn answer(health: &BackendHealth, endpoint: &PublicEndpoint) -> HttpAnswer {
    let word = |result: &Result<(), String>| if result.is_ok() { "up" } else { "down" };
    let ready = health.ready();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let document = json!({
        "status": if ready { "healthy" } else { "unhealthy" },
        "timestamp": rfc3339(Clock::default().now_ms()),
        "version": env!("CARGO_PKG_VERSION"),
        "livekit": endpoint.to_string(),
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
