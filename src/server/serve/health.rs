//! What the server tells its operator: whether what is behind the API answers (`/health`), and in the text format of
//! Prometheus what was answered (`/metrics`).

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use hyper::StatusCode;
use hyper::header::RETRY_AFTER;
use serde_json::json;
use url::Url;

use super::NestServer;
use crate::clock::{Clock, rfc3339};
use crate::server::answer::{HttpAnswer, RETRY_S};
use crate::server::lock;

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

#[derive(Debug, Default)]
pub struct Metrics(Mutex<Calls>);

type Calls = BTreeMap<&'static str, Answers>;

#[derive(Debug, Default)]
struct Answers {
    statuses: BTreeMap<u16, u64>,
    buckets: [u64; BUCKETS.len()],
    count: u64,
    seconds: f64,
}

impl Metrics {
    pub fn answered(&self, call: &'static str, status: u16, elapsed: Duration) {
        let seconds = elapsed.as_secs_f64();
        let mut calls = lock(&self.0);
        let answers = calls.entry(call).or_default();
        *answers.statuses.entry(status).or_default() += 1;
        for (count, _) in answers.buckets.iter_mut().zip(BUCKETS).filter(|(_, end)| seconds <= *end) {
            *count += 1;
        }
        answers.count += 1;
        answers.seconds += seconds;
    }

    pub fn text(&self, health: &BackendHealth, connections: usize) -> String {
        let (calls, mut text) = (lock(&self.0), String::new());
        // Writing into a string does not fail.
        let _ = write_metrics(&mut text, &calls, health, connections);
        text
    }
}

fn write_metrics(out: &mut String, calls: &Calls, health: &BackendHealth, connections: usize) -> fmt::Result {
    let name = "nest_serve_requests_total";
    writeln!(out, "# HELP {name} Requests that were answered.\n# TYPE {name} counter")?;
    for (call, answers) in calls {
        for (status, count) in &answers.statuses {
            writeln!(out, "{name}{{call=\"{call}\",status=\"{status}\"}} {count}")?;
        }
    }
    let name = "nest_serve_request_seconds";
    writeln!(out, "# HELP {name} From the head of a request to that of its answer.\n# TYPE {name} histogram")?;
    for (call, answers) in calls {
        for (count, end) in answers.buckets.iter().zip(BUCKETS) {
            writeln!(out, "{name}_bucket{{call=\"{call}\",le=\"{end}\"}} {count}")?;
        }
        writeln!(out, "{name}_bucket{{call=\"{call}\",le=\"+Inf\"}} {}", answers.count)?;
        writeln!(out, "{name}_sum{{call=\"{call}\"}} {}", answers.seconds)?;
        writeln!(out, "{name}_count{{call=\"{call}\"}} {}", answers.count)?;
    }
    let name = "nest_serve_connections";
    writeln!(out, "# HELP {name} Connections that are open.\n# TYPE {name} gauge\n{name} {connections}")?;
    let name = "nest_serve_up";
    writeln!(out, "# HELP {name} Whether what is behind the API answers.\n# TYPE {name} gauge")?;
    writeln!(out, "{name}{{service=\"redis\"}} {}", u8::from(health.redis.is_ok()))?;
    writeln!(out, "{name}{{service=\"livekit\"}} {}", u8::from(health.livekit.is_ok()))
}
