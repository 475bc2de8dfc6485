//! The truth about what is behind the API.

use std::time::{Duration, Instant};

use hyper::StatusCode;
use hyper::header::RETRY_AFTER;
use serde_json::json;
use tokio::sync::Mutex;

use super::Endpoint;
use crate::clock::rfc3339;
use crate::server::answer::Answer;
use crate::server::api::{Nests, RETRY_S};

/// How long a state is as good as new: those who ask often cost nothing.
const FRESH: Duration = Duration::from_millis(250);

/// What works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// What Redis says, unless it is well.
    pub redis: Result<(), String>,
    /// What LiveKit says, unless it is well; a wrong key is no health.
    pub livekit: Result<(), String>,
}

impl State {
    /// Whether requests can be carried out.
    #[must_use]
    pub fn ready(&self) -> bool {
        self.redis.is_ok() && self.livekit.is_ok()
    }

    async fn of(nests: &Nests) -> Self {
        let text = |error: &dyn std::error::Error| error.to_string();
        let (redis, livekit) = tokio::join!(nests.store.ping(), nests.media.find("nest-serve-health"));
        Self { redis: redis.map_err(|e| text(&e)), livekit: livekit.map(drop).map_err(|e| text(&e)) }
    }
}

/// Asks, but not more often than is useful.
#[derive(Default)]
pub(super) struct Health(Mutex<Option<(Instant, State)>>);

impl Health {
    pub(super) async fn state(&self, nests: &Nests) -> State {
        let mut known = self.0.lock().await;
        match &*known {
            Some((asked, state)) if asked.elapsed() < FRESH => state.clone(),
            _ => {
                let state = State::of(nests).await;
                *known = Some((Instant::now(), state.clone()));
                state
            }
        }
    }
}

/// `/health`: as upstream has it, and true. What is wrong in detail is for the operator's log.
pub(super) fn answer(state: &State, livekit: &Endpoint, now_ms: i64) -> Answer {
    let word = |result: &Result<(), String>| if result.is_ok() { "up" } else { "down" };
    let ready = state.ready();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let document = json!({
        "status": if ready { "healthy" } else { "unhealthy" },
        "timestamp": rfc3339(now_ms),
        "version": env!("CARGO_PKG_VERSION"),
        "livekit": livekit.to_string(),
        "alive": true,
        "ready": ready,
        "redis": word(&state.redis),
        "mediaServer": word(&state.livekit),
    });
    let answer = Answer::json(status, &document);
    if ready {
        return answer;
    }
    let wrong = [&state.redis, &state.livekit].into_iter().filter_map(|result| result.as_ref().err());
    let note = wrong.map(String::as_str).collect::<Vec<_>>().join("; ");
    answer.header(RETRY_AFTER, RETRY_S).note(note)
}
