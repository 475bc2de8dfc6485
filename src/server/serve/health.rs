//! Whether what is behind the API answers.

use std::time::{Duration, Instant};

use hyper::StatusCode;
use hyper::header::RETRY_AFTER;
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
pub(super) fn answer(health: &BackendHealth, endpoint: &Url) -> HttpAnswer {
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
