//! The access log: one entry for each request.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::clock::rfc3339;
use crate::secret::scrub;

/// Hears of every request once it is answered, or dropped.
pub type LogSink = Arc<dyn Fn(AccessLogEntry) + Send + Sync>;

/// One request in the access log. Holds no secrets (neither query strings nor headers), but words of strangers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessLogEntry {
    /// When the answer was ready, in milliseconds since the Unix epoch.
    pub time_ms: i64,
    /// The client's address; behind a trusted proxy, the one that the proxy names.
    pub client_ip: IpAddr,
    pub method: String,
    /// The path as it came, without the query.
    pub path: String,
    /// The HTTP status; `None` when the connection was dropped on purpose.
    pub status: Option<u16>,
    /// Milliseconds from the head of the request to that of the answer.
    pub elapsed_ms: u64,
    /// What the request did, or why it did not; may be empty.
    pub note: String,
}

impl AccessLogEntry {
    /// For machines, on one line.
    pub fn json(&self) -> Value {
        json!({
            "time": rfc3339(self.time_ms),
            "status": self.status,
            "method": self.method,
            "path": scrub(&self.path),
            "elapsedMs": self.elapsed_ms,
            "address": self.client_ip,
            "note": scrub(&self.note),
        })
    }

    /// For people who serve nobody but themselves: without time and address.
    pub fn brief(&self) -> String {
        self.line("", "")
    }

    fn line(&self, start: &str, end: &str) -> String {
        let status = self.status.map_or_else(|| "---".into(), |status| status.to_string());
        let note = if self.note.is_empty() { String::new() } else { format!(" · {}", scrub(&self.note)) };
        format!("{start}{status} {} {} {} ms{end}{note}", self.method, scrub(&self.path), self.elapsed_ms)
    }
}

/// For people who run a server.
impl fmt::Display for AccessLogEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = rfc3339(self.time_ms).unwrap_or_default();
        f.write_str(&self.line(&format!("{time} "), &format!(" {}", self.client_ip)))
    }
}
