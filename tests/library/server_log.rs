//! What a server tells its operator: the metrics. The log is in `server_api` and, as it is printed, in `cli/serve`.

use std::time::Duration;

use nostr_nests::server::serve::{BackendHealth, Metrics};

#[test]
fn requests_are_counted_by_call_status_and_time() {
    let metrics = Metrics::default();
    metrics.answered("restart", 200, Duration::from_millis(8));
    metrics.answered("restart", 503, Duration::from_secs(3));
    let text = metrics.text(&BackendHealth { redis: Ok(()), livekit: Err("down".into()) }, 4);
    for line in [
        "nest_serve_requests_total{call=\"restart\",status=\"200\"} 1",
        "nest_serve_request_seconds_bucket{le=\"0.005\",call=\"restart\"} 0",
        "nest_serve_request_seconds_bucket{le=\"0.01\",call=\"restart\"} 1",
        "nest_serve_request_seconds_bucket{le=\"2.5\",call=\"restart\"} 1",
        "nest_serve_request_seconds_bucket{le=\"+Inf\",call=\"restart\"} 2",
        "nest_serve_request_seconds_count{call=\"restart\"} 2",
        "nest_serve_connections 4",
        "nest_serve_up{service=\"livekit\"} 0",
    ] {
        assert!(text.lines().any(|is| is == line), "{line}\n{text}");
    }
}
