//! What a server tells its operator: the access log and the metrics.

use std::net::IpAddr;
use std::time::Duration;

use nostr_nests::server::AccessLogEntry;
use nostr_nests::server::serve::{BackendHealth, Metrics};
use serde_json::json;

#[test]
fn an_entry_in_all_forms() {
    let entry = AccessLogEntry {
        time_ms: 1_795_417_759_894,
        client_ip: IpAddr::from([203, 0, 113, 7]),
        method: "POST".into(),
        path: "/api/v1/nests/a\"b/restart".into(),
        status: Some(200),
        elapsed_ms: 12,
        note: "restart a RM_a → RM_b".into(),
    };
    let expected = "2026-11-23T07:09:19Z 200 POST /api/v1/nests/a\"b/restart 12 ms 203.0.113.7 · restart a RM_a → RM_b";
    assert_eq!(entry.to_string(), expected);
    assert_eq!(entry.brief(), "200 POST /api/v1/nests/a\"b/restart 12 ms · restart a RM_a → RM_b");
    let json = entry.json();
    assert_eq!((&json["status"], &json["address"]), (&json!(200), &json!("203.0.113.7")));
    assert_eq!(json.to_string().lines().count(), 1);
    let token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln";
    let leaky = AccessLogEntry { path: format!("/rtc/{token}"), status: None, note: String::new(), ..entry };
    assert_eq!(leaky.brief(), "--- POST /rtc/*** 12 ms");
    assert!(!leaky.to_string().contains(token) && !leaky.json().to_string().contains(token));
}

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
