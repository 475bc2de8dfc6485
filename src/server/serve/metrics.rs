//! `/metrics`, in the text format of Prometheus.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::sync::Mutex;
use std::time::Duration;

use super::BackendHealth;
use crate::server::lock;

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
        let _ = write(&mut text, &calls, health, connections);
        text
    }
}

fn write(out: &mut String, calls: &Calls, health: &BackendHealth, connections: usize) -> fmt::Result {
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
