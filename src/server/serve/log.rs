//! One line for each request.

use std::fmt;
use std::net::IpAddr;

use serde_json::{Value, json};

use crate::clock::rfc3339;
use crate::secret::scrub;

/// A request that was answered. Holds no secrets (neither query strings nor headers), but words of strangers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When the answer was ready, in milliseconds since the Unix epoch.
    pub time_ms: i64,
    /// Who asked.
    pub address: IpAddr,
    /// As it came.
    pub method: String,
    /// As it came, without the query.
    pub path: String,
    /// The HTTP status.
    pub status: u16,
    /// Milliseconds from the head of the request to that of the answer.
    pub elapsed_ms: u64,
    /// What happened, in a few words; may be empty.
    pub note: String,
}

impl Entry {
    /// For machines, on one line.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({
            "time": rfc3339(self.time_ms),
            "status": self.status,
            "method": self.method,
            "path": scrub(&self.path),
            "elapsedMs": self.elapsed_ms,
            "address": self.address,
            "note": scrub(&self.note),
        })
    }
}

/// For people.
impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, method, status, elapsed_ms, .. } = self;
        let time = rfc3339(self.time_ms).unwrap_or_default();
        write!(f, "{time} {status} {method} {} {elapsed_ms} ms {address}", scrub(&self.path))?;
        if self.note.is_empty() { Ok(()) } else { write!(f, " · {}", scrub(&self.note)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms() {
        let entry = Entry {
            time_ms: 1_795_417_759_894,
            address: IpAddr::from([203, 0, 113, 7]),
            method: "POST".into(),
            path: "/api/v1/nests/a\"b/restart".into(),
            status: 200,
            elapsed_ms: 12,
            note: "restart a RM_a → RM_b".into(),
        };
        let expected =
            "2026-11-23T07:09:19Z 200 POST /api/v1/nests/a\"b/restart 12 ms 203.0.113.7 · restart a RM_a → RM_b";
        assert_eq!(entry.to_string(), expected);
        let json = entry.json();
        assert_eq!((&json["status"], &json["address"]), (&json!(200), &json!("203.0.113.7")));
        assert_eq!(json.to_string().lines().count(), 1);
        let token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln";
        let leaky = Entry { path: format!("/rtc/{token}"), ..entry };
        assert!(!leaky.to_string().contains(token) && !leaky.json().to_string().contains(token));
    }
}
