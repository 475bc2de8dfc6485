//! What the check finds after a restart that the API calls a success.

use nostr_nests::server::Mock;
use serde_json::Value;

use crate::support::nest::{self, Nest, Output, mock, parse, plain};

/// Restarts a nest that this machine has restarted before.
fn again(mock: &Mock, fault: &str, args: &[&str]) -> Output {
    mock.set_faults(Vec::new());
    let home = tempfile::tempdir().unwrap();
    let state = home.path().to_str().unwrap();
    let call = |args: &[&str]| Nest::new(mock).env("XDG_STATE_HOME", state).args(["restart", "demo"]).args(args).run();
    call(&["--check"]).expect(0);
    mock.set_faults(parse(&[fault]));
    call(args)
}

/// Restarted and not well: both are in the document, and the token is not lost.
#[track_caller]
fn unhealthy(mock: &Mock, output: &Output, step: &str, causes: &str) -> Value {
    assert_eq!(output.code, 10, "{output:?}");
    let message = format!("the API says that the nest was restarted, but the check failed at `{step}`");
    assert_eq!(output.said(mock), format!("error: {message}\n{causes}"));
    let document = output.document();
    assert_eq!(document["error"]["kind"], "unhealthy");
    assert_eq!(document["check"]["verdict"], "unhealthy");
    assert!(document["token"].is_string() && document["message"].is_string() && document["endpoints"].is_array());
    let steps = document["check"]["steps"].as_array().unwrap();
    let failed = steps.iter().find(|step| step["status"] == "failed").unwrap();
    assert_eq!(failed["name"], step);
    document
}

#[test]
fn the_old_room_still_runs() {
    let mock = mock(&[]);
    let output = again(&mock, "old-room-kept", &["--check", "--json"]);
    unhealthy(
        &mock,
        &output,
        "fresh",
        "  caused by: The server reports success, but LiveKit still runs the old room (RM_x, the same as before). Nobody was disconnected.
  hint: For the operator: this Nests API does not delete the room when it restarts a nest. Until it does, this removes everybody, waits 60 s until the old room has closed, and restarts: `nest restart demo --evict`
",
    );
}

#[test]
fn the_old_room_is_torn_down_late() {
    let mock = mock(&["late-teardown=2s"]);
    let output = Nest::new(&mock).args(["restart", "demo", "--check", "--hold", "5s", "--json"]).run();
    let causes = "  caused by: Room closed 2 s after the restart: LiveKit was still deleting the old one.\n  \
                  hint: Wait 30 s and restart again\n";
    unhealthy(&mock, &output, "hold", causes);
}

#[test]
fn an_internal_endpoint_is_named_and_the_next_one_tried() {
    let mock = mock(&["internal-endpoint"]);
    let document = Nest::new(&mock).args(["restart", "demo", "--check", "--json"]).run().expect(0).document();
    assert_eq!(document["endpoints"][0], "wss+livekit://livekit:7880", "as the API gave it");
    let step = &document["check"]["steps"][1];
    let detail = plain(step["detail"].as_str().unwrap(), &mock);
    assert!(detail.starts_with("wss://livekit:7880 (from the API, an internal name, "), "{detail}");
    assert!(detail.ends_with("; ws://MOCK/livekit (the usual place) answers"), "{detail}");
    let hint = step["hint"].as_str().unwrap();
    assert!(hint.contains("LIVEKIT_URL") && hint.contains("wss://live.example.com"), "{hint}");
}

#[test]
fn the_media_server_refuses_the_fresh_token() {
    let mock = mock(&["wrong-secret"]);
    let output = Nest::new(&mock).args(["restart", "demo", "--check", "--json"]).run();
    unhealthy(
        &mock,
        &output,
        "token",
        "  caused by: The media server refuses the host's token: it is signed with another secret than this media server's
  hint: For the operator: the Nests API signs with LIVEKIT_API_KEY and LIVEKIT_API_SECRET, and this LiveKit does not know them under `keys`; or this is not the API's own LiveKit
",
    );
    mock.set_faults(parse(&["clock=-7h"]));
    let output = Nest::new(&mock).args(["restart", "demo", "--check", "--json"]).run().expect(10);
    let error = output.document()["error"].clone();
    assert!(error["message"].as_str().unwrap().ends_with("it has expired by this media server's clock"), "{error}");
    assert_eq!(error["hints"][0], "For the operator: LiveKit's clock is 7 h ahead of the API's; turn NTP on for both");
}

#[test]
fn a_restart_does_not_remove_people() {
    let mock = mock(&[]);
    let output = Nest::new(&mock).args(["restart", "demo", "-v"]).run().expect(0);
    let said = plain(&output.stdout, &mock);
    let line = "  valid     until hh:mm; tokens given out before stay valid too: a restart does not remove people\n";
    assert!(said.contains(line), "{said}");
}

#[test]
fn when_an_empty_nest_closes_is_said_and_nobody_joins_unasked() {
    let mock = mock(&[]);
    let document = Nest::new(&mock).args(["restart", "demo", "--json"]).run().expect(0).document();
    let minutes = |document: &serde_json::Value| {
        let closes: jiff::Timestamp = document["closesAt"].as_str().unwrap().parse().unwrap();
        closes.duration_since(jiff::Timestamp::now()).as_mins()
    };
    assert!((28..=30).contains(&minutes(&document)), "nobody has shortened its life");
    Nest::new(&mock).args(["restart", "demo", "--if-inactive"]).run().expect(0);
    assert_eq!(mock.requests("/rtc") + mock.requests("/livekit/rtc") + mock.requests("/rtc/validate"), 0);
}

#[test]
fn a_media_server_that_is_down_is_not_a_healthy_nest() {
    let mock = mock(&["livekit-down@signal"]);
    let output = Nest::new(&mock).args(["restart", "demo", "--check", "--json", "--timeout", "2s"]).run().expect(10);
    let document = output.document();
    assert!(document["token"].is_string());
    assert_eq!(document["check"]["steps"][1]["status"], "failed", "{document}");
}

#[test]
fn no_guest_token_is_no_proof() {
    let mock = mock(&["status=500@guest"]);
    let output = Nest::new(&mock).args(["restart", "demo", "--check", "--json"]).run().expect(10);
    assert_eq!(
        output.stderr,
        "error: the nest was restarted, but the check came to no result
  caused by: There is no token to join with: the API failed with status 500
  hint: Once the API gives one, check again\n"
    );
    assert_eq!(output.document()["check"]["verdict"], "unknown");
}

#[test]
fn one_time_limit_holds_for_the_token_and_the_check_together() {
    // The guest's token takes most of it, and then the media server says nothing.
    let mock = mock(&["slow-body=3ms@guest", "no-answer@signal"]);
    let call = Nest::new(&mock).args(["restart", "demo", "--check", "--json", "--timeout", "2500ms"]);
    let output = call.run().expect(10);
    let elapsed_ms = output.document()["elapsedMs"].as_u64().unwrap();
    assert!((1000..3500).contains(&elapsed_ms), "{elapsed_ms} ms: {output:?}");
}

/// The API's clock is another than the media server's and the one here: the fresh token is good all the same.
#[test]
fn an_api_whose_clock_is_off_is_not_unhealthy() {
    // The room is made so long after the request that no slow join blurs which came first.
    let mock = mock(&["clock=+94s", "redis-hang=1s@restart"]);
    nest::early_in_a_second();
    let output = Nest::new(&mock).args(["restart", "demo", "--check", "--json"]).run();
    assert_eq!(output.code, 0, "{output:?}");
    assert!(output.stderr.contains("94 s behind"), "{output:?}");
    let document = output.document();
    assert_eq!(document["check"]["verdict"], "joinable");
    let steps = document["check"]["steps"].as_array().unwrap();
    assert!(steps.iter().any(|step| step["name"] == "fresh" && step["status"] == "passed"), "{document:#}");
}
