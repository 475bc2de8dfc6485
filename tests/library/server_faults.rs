//! Every fault of the bundled server, as it is written and as a client gets to see it.

use std::time::{Duration, Instant};

use nostr_nests::clock::{Clock, parse_http_date};
use nostr_nests::server::faults::{Fault, FaultError, Kind, Scope, TABLE};
use nostr_nests::server::{ApiCall, DEMO, Mock, Options};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};

use crate::support::nests_api::{claims, client, hex, signed};
use crate::support::signal::Signal;

fn mock(faults: &[&str]) -> Mock {
    let faults = faults.iter().map(|fault| fault.parse().unwrap()).collect();
    Mock::start(Options { faults, ..Options::default() }).unwrap()
}

fn url(mock: &Mock, action: &str) -> String {
    format!("{}/api/v1/nests/{DEMO}{action}", mock.api())
}

fn request(mock: &Mock) -> RequestBuilder {
    signed(mock.host(), Method::POST, &url(mock, "/restart"), None)
}

async fn restart(mock: &Mock) -> Response {
    request(mock).send().await.unwrap()
}

async fn status(mock: &Mock) -> u16 {
    restart(mock).await.status().as_u16()
}

async fn get(mock: &Mock, action: &str) -> u16 {
    client().get(url(mock, action)).send().await.unwrap().status().as_u16()
}

async fn text(answer: Response) -> String {
    String::from_utf8(answer.bytes().await.unwrap().to_vec()).unwrap()
}

async fn json_of(answer: Response) -> Value {
    serde_json::from_str(&text(answer).await).unwrap()
}

fn header<'a>(answer: &'a Response, name: &str) -> Option<&'a str> {
    answer.headers().get(name).map(|value| value.to_str().unwrap())
}

#[tokio::test]
async fn the_old_room_is_kept() {
    let mock = mock(&[]);
    let answer = json_of(restart(&mock).await).await;
    let before = mock.room(DEMO).unwrap();
    let mut inside = Signal::join(mock.livekit(), answer["token"].as_str().unwrap()).await.unwrap();
    mock.set_faults(vec!["old-room-kept".parse().unwrap()]);
    let answer = json_of(restart(&mock).await).await;
    assert_eq!(answer["message"], "Nest restarted successfully");
    let after = mock.room(DEMO).unwrap();
    assert_eq!((after.sid, after.metadata), (before.sid, before.metadata));
    // Whoever was inside still is.
    inside.ask(livekit_protocol::signal_request::Message::Ping(1)).await;
    inside.until(|m| matches!(m, livekit_protocol::signal_response::Message::Pong(_)).then_some(())).await;
}

#[tokio::test]
async fn the_new_room_is_torn_down_late() {
    let mock = mock(&["late-teardown=2s"]);
    let answer = json_of(restart(&mock).await).await;
    let mut inside = Signal::join(mock.livekit(), answer["token"].as_str().unwrap()).await.unwrap();
    assert_eq!(inside.farewell().await, livekit_protocol::DisconnectReason::RoomDeleted);
    assert_eq!(mock.room(DEMO), None);
}

#[tokio::test]
async fn tokens_and_endpoints_lead_nowhere() {
    let mock = mock(&["wrong-secret", "internal-endpoint"]);
    let answer = json_of(restart(&mock).await).await;
    assert_eq!(answer["endpoints"], json!(["wss+livekit://livekit:7880"]));
    let token = answer["token"].as_str().unwrap();
    let refused = Signal::join(mock.livekit(), token).await.err().unwrap();
    assert_eq!(refused.0, 401);
    let query = format!("{}/rtc/validate?access_token={token}", mock.api());
    let refusal = text(client().get(query).send().await.unwrap()).await;
    assert_eq!(refusal, format!("invalid token: {token}, error: token signature is invalid: signature is invalid"));

    mock.set_faults(vec!["token-object".parse().unwrap(), "other-room".parse().unwrap()]);
    let answer = json_of(restart(&mock).await).await;
    assert_eq!(answer["token"], json!({}));
    assert_ne!(answer["roomId"], DEMO);
}

#[tokio::test]
async fn errors_come_as_often_as_they_were_ordered() {
    let mock = mock(&["status=500x2", "status=503,3sx1"]);
    let first = restart(&mock).await;
    assert_eq!((first.status().as_u16(), header(&first, "retry-after")), (500, None));
    assert_eq!(json_of(first).await, json!({ "error": "Failed to restart nest" }));
    assert_eq!(mock.room(DEMO), None, "an error means that nothing was done");
    assert_eq!((status(&mock).await, status(&mock).await), (500, 200));
    assert_eq!(get(&mock, "/info").await, 200, "other calls are as ever");

    mock.set_faults(vec!["status=503,3sx1".parse().unwrap()]);
    let answer = restart(&mock).await;
    assert_eq!((answer.status().as_u16(), header(&answer, "retry-after")), (503, Some("3")));
    mock.set_faults(vec!["plain-text=429,7s".parse().unwrap()]);
    let answer = restart(&mock).await;
    assert_eq!((answer.status().as_u16(), header(&answer, "retry-after")), (429, Some("7")));
    assert_eq!(header(&answer, "content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(text(answer).await, "Too many requests from this IP, please try again later.");
    mock.set_faults(vec!["html".parse().unwrap()]);
    let answer = restart(&mock).await;
    assert_eq!(answer.status(), 502);
    assert!(text(answer).await.contains("<h1>502 Bad Gateway</h1>"));
    mock.set_faults(vec!["html=200".parse().unwrap()]);
    assert_eq!(status(&mock).await, 200);
    mock.set_faults(vec!["empty".parse().unwrap()]);
    let answer = restart(&mock).await;
    assert_eq!((answer.status().as_u16(), header(&answer, "content-type")), (404, None));
    assert_eq!(text(answer).await, "");
    mock.set_faults(vec!["no-restart".parse().unwrap()]);
    assert_eq!(json_of(restart(&mock).await).await, json!({ "error": "Endpoint not found" }));
}

#[tokio::test]
async fn the_rate_limit_counts_everything() {
    let mock = mock(&["rate-limit=2"]);
    let answer = client().get(url(&mock, "/info")).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), header(&answer, "ratelimit-remaining")), (200, Some("1")));
    assert_eq!(status(&mock).await, 200);
    let answer = restart(&mock).await;
    assert_eq!(answer.status(), 429);
    let seconds: u64 = header(&answer, "retry-after").unwrap().parse().unwrap();
    assert!((890..=900).contains(&seconds), "{seconds}");
    assert_eq!(text(answer).await, "Too many requests from this IP, please try again later.");
}

#[tokio::test]
async fn a_redirect_names_its_target() {
    let mock = mock(&["redirect"]);
    let answer = restart(&mock).await;
    let target = format!("/moved/api/v1/nests/{DEMO}/restart");
    assert_eq!((answer.status().as_u16(), header(&answer, "location")), (301, Some(target.as_str())));
    assert_eq!(mock.requests(&target), 0);
    mock.set_faults(vec!["redirect=308".parse().unwrap()]);
    assert_eq!(status(&mock).await, 308);
}

#[tokio::test]
async fn connections_are_lost_before_and_after() {
    let mock = mock(&["drop-before"]);
    assert!(request(&mock).send().await.is_err());
    assert_eq!(mock.room(DEMO), None);
    mock.set_faults(vec!["drop-after".parse().unwrap()]);
    assert!(request(&mock).send().await.is_err());
    assert!(mock.room(DEMO).is_some());
}

#[tokio::test]
async fn what_is_never_answered_is_done_all_the_same() {
    for (fault, expected) in [("no-answer", None), ("gateway-timeout", Some(504))] {
        let mock = mock(&[fault]);
        let answer = request(&mock).timeout(Duration::from_secs(2)).send().await;
        assert_eq!(answer.ok().map(|answer| answer.status().as_u16()), expected, "{fault}");
        assert!(mock.room(DEMO).is_some(), "{fault}");
    }
}

#[tokio::test]
async fn a_hanging_store_delays_and_does_not_prevent() {
    let mock = mock(&["redis-hang=4s"]);
    let impatient = request(&mock).timeout(Duration::from_secs(1)).send().await;
    assert!(impatient.unwrap_err().is_timeout());
    assert_eq!(client().get(format!("{}/health", mock.api())).send().await.unwrap().status(), 200);
    assert_eq!(mock.room(DEMO), None);
    let begun = Instant::now();
    while mock.room(DEMO).is_none() {
        assert!(begun.elapsed() < Duration::from_secs(10), "forgotten");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    mock.set_faults(vec!["redis-hang".parse().unwrap()]);
    let info = client().get(url(&mock, "/info")).timeout(Duration::from_secs(1)).send().await;
    assert!(info.unwrap_err().is_timeout());
    let unsigned = client().post(url(&mock, "/restart")).send().await.unwrap();
    assert_eq!(unsigned.status(), 401, "the signature is looked at before the store");
}

#[tokio::test]
async fn bodies_are_slow_short_or_endless() {
    let mock = mock(&["slow-body=5ms@guest"]);
    let begun = Instant::now();
    let length = text(client().get(url(&mock, "/guest")).send().await.unwrap()).await.len();
    assert!(begun.elapsed() > Duration::from_millis(5) * u32::try_from(length).unwrap());

    mock.set_faults(vec!["half-body".parse().unwrap()]);
    let mut answer = restart(&mock).await;
    let promised: usize = header(&answer, "content-length").unwrap().parse().unwrap();
    let mut received = 0;
    let end = loop {
        match answer.chunk().await {
            Ok(Some(chunk)) => received += chunk.len(),
            other => break other,
        }
    };
    assert!(end.is_err());
    assert_eq!(received, promised / 2);

    mock.set_faults(vec!["huge-body".parse().unwrap()]);
    let mut answer = restart(&mock).await;
    assert_eq!(header(&answer, "content-length"), Some("1000000000"));
    let mut received = 0;
    while received < 2_000_000 {
        received += answer.chunk().await.unwrap().unwrap().len();
    }
    mock.set_faults(vec!["huge-body=100001".parse().unwrap()]);
    assert_eq!(restart(&mock).await.bytes().await.unwrap().len(), 100_001);
}

#[tokio::test]
async fn secrets_are_echoed() {
    let mock = mock(&["echo-authorization"]);
    let answer = restart(&mock).await;
    assert_eq!(answer.status(), 401);
    let error = json_of(answer).await["error"].as_str().unwrap().to_owned();
    assert!(error.ends_with(&mock.last_authorization().unwrap()) && error.contains("Nostr eyJ"), "{error}");
    mock.set_faults(vec!["echo-token".parse().unwrap()]);
    let answer = restart(&mock).await;
    assert_eq!(answer.status(), 500);
    let error = json_of(answer).await["error"].as_str().unwrap().to_owned();
    assert_eq!(claims(error.split(' ').next_back().unwrap())["video"]["room"], DEMO);
}

#[tokio::test]
async fn texts_are_full_of_escapes() {
    let mock = mock(&["control-characters"]);
    let answer = json_of(restart(&mock).await).await;
    for text in [&answer["message"], &answer["endpoints"][0]] {
        let text = text.as_str().unwrap();
        assert!(text.contains("\x1b]0;owned\x07") && text.contains('\u{202e}'), "{}", hex(text.as_bytes()));
    }
    assert_eq!(answer["roomId"], DEMO);
    let signal = Signal::join(mock.livekit(), answer["token"].as_str().unwrap()).await.unwrap();
    assert!(signal.join.server_info.unwrap().version.contains('\x1b'));
    let refused = text(client().get(format!("{}/rtc/validate", mock.api())).send().await.unwrap()).await;
    assert!(refused.contains('\x1b'));
    let gone = json_of(client().get(format!("{}/api/v1/nests/x/info", mock.api())).send().await.unwrap()).await;
    assert!(gone["error"].as_str().unwrap().contains('\x1b'));
}

#[tokio::test]
async fn what_is_behind_the_api_is_down() {
    let mock = mock(&[]);
    assert_eq!(status(&mock).await, 200);
    mock.set_faults(vec!["livekit-down".parse().unwrap()]);
    let answer = restart(&mock).await;
    assert_eq!(answer.status(), 500);
    assert_eq!(json_of(answer).await, json!({ "error": "Failed to restart nest" }));
    assert_eq!((get(&mock, "/guest").await, get(&mock, "/info").await), (404, 200));
    assert!(client().get(format!("{}/rtc/validate", mock.api())).send().await.is_err());
    assert_eq!(client().get(format!("{}/health", mock.api())).send().await.unwrap().status(), 200);
    mock.set_faults(vec!["lost-record".parse().unwrap()]);
    assert_eq!(json_of(restart(&mock).await).await, json!({ "error": "Nest not found" }));
    // As upstream: the room is still there.
    assert_eq!((get(&mock, "/guest").await, get(&mock, "/info").await), (200, 404));
}

#[tokio::test]
async fn the_clock_is_wrong() {
    for (fault, ahead) in [("clock=+94s", 94_000), ("clock=-2m", -120_000)] {
        let mock = mock(&[fault]);
        let answer = restart(&mock).await;
        assert_eq!(answer.status(), 401);
        let date = parse_http_date(header(&answer, "date").unwrap()).unwrap();
        let off = date - Clock::default().now_ms();
        assert!((off - ahead).abs() < 3000, "{fault}: {off}");
        let media = client().get(format!("{}/rtc/validate", mock.api())).send().await.unwrap();
        let date = parse_http_date(header(&media, "date").unwrap()).unwrap();
        assert!((date - Clock::default().now_ms()).abs() < 3000, "the media server has its own clock");
    }
    let mock = mock(&["clock=2099"]);
    let answer = restart(&mock).await;
    assert!(header(&answer, "date").unwrap().contains(" Jan 2099 "));
}

#[tokio::test]
async fn faults_strike_other_calls_when_told_to() {
    let mock = mock(&["status=503@info", "no-answerx1@guest", "html@signal"]);
    assert_eq!(status(&mock).await, 200);
    assert_eq!(get(&mock, "/info").await, 503);
    let guest = client().get(url(&mock, "/guest")).timeout(Duration::from_secs(2)).send().await;
    assert!(guest.unwrap_err().is_timeout());
    assert_eq!(get(&mock, "/guest").await, 200);
    assert_eq!(client().get(format!("{}/rtc/validate", mock.api())).send().await.unwrap().status(), 502);
}

fn parse(text: &str) -> Result<Fault, FaultError> {
    text.parse()
}

#[test]
fn faults_are_read_from_text() {
    let fault = |kind, scope, times| Ok(Fault { kind, scope, times });
    let status = |code, retry_after| Kind::Status { code, retry_after };
    for (text, expected) in [
        ("old-room-kept", fault(Kind::OldRoomKept, Scope::Only(ApiCall::Restart), None)),
        ("status=500x2", fault(status(500, None), Scope::Only(ApiCall::Restart), Some(2))),
        ("status=503,3sx1@api", fault(status(503, Some(3)), Scope::Api, Some(1))),
        ("late-teardown=12s", fault(Kind::LateTeardown(Duration::from_secs(12)), Scope::Only(ApiCall::Restart), None)),
        ("no-answer@info", fault(Kind::NoAnswer, Scope::Only(ApiCall::Info), None)),
        ("clock=+94s", fault(Kind::ClockAhead(94_000), Scope::All, None)),
        ("clock=-2m", fault(Kind::ClockAhead(-120_000), Scope::All, None)),
        ("clock=2099", fault(Kind::ClockYear(2099), Scope::All, None)),
        ("internal-endpoint", fault(Kind::InternalEndpoint("livekit:7880".into()), Scope::Api, None)),
        ("huge-body", fault(Kind::HugeBody(1_000_000_000), Scope::Only(ApiCall::Restart), None)),
        ("huge-body=5x3", fault(Kind::HugeBody(5), Scope::Only(ApiCall::Restart), Some(3))),
    ] {
        assert_eq!(parse(text), expected, "{text}");
    }
}

#[test]
fn what_is_no_fault_is_refused() {
    assert_eq!(parse("nonsense"), Err(FaultError::Unknown("nonsense".into())));
    assert_eq!(parse("no-answer@nobody"), Err(FaultError::Call("nobody".into())));
    for text in ["old-room-kept=1", "status", "status=99", "status=500,soon", "late-teardown=12", "clock=94s"] {
        assert!(matches!(parse(text), Err(FaultError::Value(..))), "{text}");
    }
}

#[test]
fn every_row_parses_by_its_own_name() {
    for row in TABLE {
        let example = match row.argument {
            "=TIME" => "=2s",
            "=CODE[,TIME]" => "=500",
            "=±TIME|YEAR" => "=+1s",
            "=DEATH" => "=alone",
            _ => "",
        };
        assert!(parse(&format!("{}{example}", row.name)).is_ok(), "{}", row.name);
    }
}

#[tokio::test]
async fn a_fault_strikes_as_often_as_it_was_told_to() {
    let mock = mock(&["status=500x2"]);
    assert_eq!(get(&mock, "/info").await, 200);
    assert_eq!([status(&mock).await, status(&mock).await], [500, 500]);
    assert_eq!(status(&mock).await, 200);
}
