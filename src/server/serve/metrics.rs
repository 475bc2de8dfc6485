//! `/metrics`, in the text format of Prometheus.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::BackendHealth;

/// Upper ends of the buckets, in seconds.
const BUCKETS: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5];

/// The answers so far to each kind of request.
#[derive(Debug, Default)]
pub(super) struct Metrics(Mutex<BTreeMap<&'static str, Answers>>);

#[derive(Debug, Default)]
struct Answers {
    statuses: BTreeMap<u16, u64>,
    buckets: [u64; BUCKETS.len()],
    count: u64,
    seconds: f64,
}

impl Metrics {
    pub(super) fn answered(&self, call: &'static str, status: u16, elapsed: Duration) {
        let seconds = elapsed.as_secs_f64();
        let mut calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let answers = calls.entry(call).or_default();
        *answers.statuses.entry(status).or_default() += 1;
        for (count, _) in answers.buckets.iter_mut().zip(BUCKETS).filter(|(_, end)| seconds <= *end) {
            *count += 1;
        }
        answers.count += 1;
        answers.seconds += seconds;
    }

    pub(super) fn text(&self, health: &BackendHealth, connections: usize) -> String {
        let mut text = String::new();
        // Writing into a string does not fail.
        let _ = self.write(&mut text, health, connections);
        text
    }

    fn write(&self, out: &mut String, health: &BackendHealth, connections: usize) -> std::fmt::Result {
        let calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(out, "# HELP nest_serve_requests_total Requests that were answered.")?;
        writeln!(out, "# TYPE nest_serve_requests_total counter")?;
        for (call, answers) in &*calls {
            for (status, count) in &answers.statuses {
                writeln!(out, "nest_serve_requests_total{{call=\"{call}\",status=\"{status}\"}} {count}")?;
            }
        }
        writeln!(out, "# HELP nest_serve_request_seconds From the head of a request to that of its answer.")?;
        writeln!(out, "# TYPE nest_serve_request_seconds histogram")?;
        for (call, answers) in &*calls {
            let name = "nest_serve_request_seconds";
            for (count, end) in answers.buckets.iter().zip(BUCKETS) {
                writeln!(out, "{name}_bucket{{call=\"{call}\",le=\"{end}\"}} {count}")?;
            }
            writeln!(out, "{name}_bucket{{call=\"{call}\",le=\"+Inf\"}} {}", answers.count)?;
            writeln!(out, "{name}_sum{{call=\"{call}\"}} {}", answers.seconds)?;
            writeln!(out, "{name}_count{{call=\"{call}\"}} {}", answers.count)?;
        }
        writeln!(out, "# HELP nest_serve_connections Connections that are open.")?;
        writeln!(out, "# TYPE nest_serve_connections gauge")?;
        writeln!(out, "nest_serve_connections {connections}")?;
        writeln!(out, "# HELP nest_serve_up Whether what is behind the API answers.")?;
        writeln!(out, "# TYPE nest_serve_up gauge")?;
        writeln!(out, "nest_serve_up{{service=\"redis\"}} {}", u8::from(health.redis.is_ok()))?;
        writeln!(out, "nest_serve_up{{service=\"livekit\"}} {}", u8::from(health.livekit.is_ok()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_call_status_and_time() {
        let metrics = Metrics::default();
        metrics.answered("restart", 200, Duration::from_millis(8));
        metrics.answered("restart", 503, Duration::from_secs(3));
        let text = metrics.text(&BackendHealth { redis: Ok(()), livekit: Err("down".into()) }, 4);
        for line in [
            "nest_serve_requests_total{call=\"restart\",status=\"200\"} 1",
            "nest_serve_request_seconds_bucket{call=\"restart\",le=\"0.005\"} 0",
            "nest_serve_request_seconds_bucket{call=\"restart\",le=\"0.01\"} 1",
            "nest_serve_request_seconds_bucket{call=\"restart\",le=\"2.5\"} 1",
            "nest_serve_request_seconds_bucket{call=\"restart\",le=\"+Inf\"} 2",
            "nest_serve_request_seconds_count{call=\"restart\"} 2",
            "nest_serve_connections 4",
            "nest_serve_up{service=\"livekit\"} 0",
        ] {
            assert!(text.lines().any(|is| is == line), "{line}\n{text}");
        }
    }
}
