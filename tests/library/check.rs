//! A restart through the bundled server, and what the check makes of it.

use std::time::Duration;

use nostr_nests::clock::{parse_http_date, rfc3339};
use nostr_nests::livekit::RestartWindow;
use nostr_nests::livekit::Transport;
use nostr_nests::livekit::check::{Check, Joining};
use nostr_nests::livekit::endpoint::{Candidate, Hints, candidates};
use nostr_nests::livekit::offset::Offset;
use nostr_nests::livekit::report::{CheckReport, Verdict};
use nostr_nests::report::Status;
use nostr_nests::secret::Secret;
use nostr_nests::server::{DEMO, Fault, Mock, Options};
use reqwest::Method;
use serde_json::Value;

use crate::support::check::{check, now_ms, report, step};
use crate::support::nests_api;

fn mock(faults: &[&str]) -> Mock {
    let faults: Vec<Fault> = faults.iter().map(|fault| fault.parse().unwrap()).collect();
    Mock::start(Options { faults, ..Options::default() }).unwrap()
}

struct Session {
    host_token: Secret,
    guest: Secret,
    candidates: Vec<Candidate>,
    restarted: RestartWindow,
    api_clock: Offset,
}

/// Restarts the nest `demo` and fetches a guest's token.
async fn restart(mock: &Mock) -> Session {
    let url = format!("{}/api/v1/nests/{DEMO}", mock.api());
    let sent_ms = now_ms();
    let answer = nests_api::signed(mock.host(), Method::POST, &format!("{url}/restart"), None).send().await.unwrap();
    let answered_ms = now_ms();
    let date = parse_http_date(answer.headers()["date"].to_str().unwrap()).unwrap();
    let body: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    let guest = nests_api::client().get(format!("{url}/guest")).send().await.unwrap();
    let guest: Value = serde_json::from_slice(&guest.bytes().await.unwrap()).unwrap();
    let returned = [body["endpoints"][0].as_str().unwrap().to_owned()];
    let hints = Hints { returned: &returned, streaming: &[], api: Some(&url.parse().unwrap()), allow_http: false };
    Session {
        host_token: Secret::new(body["token"].as_str().unwrap()),
        guest: Secret::new(guest["token"].as_str().unwrap()),
        candidates: candidates(hints),
        restarted: RestartWindow { sent_ms, answered_ms },
        api_clock: Offset::from_reading(date, 1000, sent_ms, answered_ms),
    }
}

fn request(session: &Session) -> Check<'_> {
    Check {
        host_token: Some(&session.host_token),
        restarted: Some(session.restarted),
        api_clock: Some(session.api_clock),
        ..check(DEMO, &session.guest, &session.candidates)
    }
}

fn told(report: &CheckReport, name: &str, status: Status, text: &str) {
    let found = step(report, name);
    assert!(found.status == status && found.detail.contains(text), "{found:?}");
}

#[tokio::test]
async fn a_restarted_nest_is_joinable() {
    // A restart that takes longer than a join.
    let mock = mock(&["redis-hang=500ms@restart"]);
    let session = restart(&mock).await;
    let report = report(&request(&session)).await;
    assert_eq!(report.verdict, Verdict::Joinable);
    let (room, truth) = (report.room.as_ref().unwrap(), mock.room(DEMO).unwrap());
    assert_eq!(room.sid, truth.sid);
    assert_eq!(room.created_at, rfc3339(truth.creation_time_ms));
    told(&report, "token", Status::Passed, "The host's token is accepted: ");
    told(&report, "fresh", Status::Passed, "is the restarted room");
    assert!((59_000..=60_000).contains(&(report.closes_at_ms.unwrap() - now_ms())));
    assert_eq!(mock.participants(DEMO), Vec::<String>::new());
    assert_eq!(mock.requests("/rtc/validate"), 1);
}

/// The bundled server does signal only. TURN that was asked for and is not there is no way in.
#[tokio::test]
async fn audio_that_is_not_offered_is_not_checked() {
    let mock = mock(&[]);
    let session = restart(&mock).await;
    for transport in [None, Some(Transport::Udp), Some(Transport::Relay)] {
        let asked = Check { signal_only: false, transport, publish: true, ..request(&session) };
        let started = std::time::Instant::now();
        let report = report(&asked).await;
        assert!(started.elapsed() < Duration::from_secs(2));
        let refused = cfg!(feature = "media") && transport == Some(Transport::Relay);
        assert_eq!(report.verdict, if refused { Verdict::Unhealthy } else { Verdict::Joinable });
        assert_eq!((report.media.as_ref(), report.media_after), (None, None));
        let why = match transport {
            _ if cfg!(not(feature = "media")) => "This nest was built without audio",
            Some(Transport::Relay) => "The media server advertises no TURN server",
            _ => "The server offers no audio: it does signal only",
        };
        told(&report, "media", if refused { Status::Failed } else { Status::NotChecked }, why);
        told(&report, "publish", Status::NotChecked, "There is no audio connection to speak on");
        assert_eq!(mock.participants(DEMO), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_nest_that_ran_before_has_another_sid() {
    let mock = mock(&[]);
    restart(&mock).await;
    let before = mock.room(DEMO).unwrap().sid;
    let session = restart(&mock).await;
    let report = report(&Check { sid_before: Some(&before), ..request(&session) }).await;
    told(&report, "fresh", Status::Passed, &format!("is the restarted room: before it was {before}"));
}

#[tokio::test]
async fn a_kept_room_is_told_without_knowing_its_sid() {
    let mock = mock(&["old-room-kept"]);
    restart(&mock).await;
    // Longer than a join takes.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let session = restart(&mock).await;
    let report = report(&request(&session)).await;
    assert_eq!(report.verdict, Verdict::Unhealthy);
    told(&report, "fresh", Status::Failed, "The server reports success, but LiveKit still runs the old room (RM_");
}

#[tokio::test]
async fn a_wrong_secret_is_told() {
    let mock = mock(&["wrong-secret"]);
    let session = restart(&mock).await;
    let report = report(&request(&session)).await;
    assert_eq!(report.verdict, Verdict::Unhealthy);
    told(&report, "token", Status::Failed, "refuses the host's token: it is signed with another secret");
    told(&report, "endpoint", Status::Passed, "answers");
    assert_eq!(mock.participants(DEMO), Vec::<String>::new());
}

#[tokio::test]
async fn behind_an_internal_endpoint_the_usual_place_is_found() {
    // No label may be longer than 63: the resolver knows without asking anybody.
    let name = format!("{}.internal", "a".repeat(64));
    let mock = mock(&[&format!("internal-endpoint={name}:1")]);
    let session = restart(&mock).await;
    let report = report(&request(&session)).await;
    assert_eq!(report.verdict, Verdict::Joinable);
    assert_eq!(report.endpoint, Some(format!("ws://{}/livekit", mock.address())));
    told(&report, "endpoint", Status::Warned, &format!("wss://{name}:1 (from the API, a name of a local network) "));
    assert!(step(&report, "endpoint").hint.as_ref().unwrap().starts_with("For the operator: the API hands out"));
    told(&report, "token", Status::Passed, "The host's token is accepted");
}

#[tokio::test]
async fn a_late_teardown_is_told() {
    let mock = mock(&["late-teardown=1500ms"]);
    let session = restart(&mock).await;
    let hold = Some(Duration::from_secs(20));
    let report = report(&Check { hold, ..request(&session) }).await;
    told(&report, "hold", Status::Failed, "s after the restart: LiveKit was still deleting the old one.");
    assert_eq!(step(&report, "hold").hint.as_deref(), Some("Wait 30 s and restart again"));
}

#[tokio::test]
async fn joining_as_the_host_does_not_need_a_guest() {
    let mock = mock(&[]);
    let session = restart(&mock).await;
    let join = Some(Joining { token: &session.host_token, host: true });
    let report = report(&Check { join, ..request(&session) }).await;
    assert_eq!(report.verdict, Verdict::Joinable);
    told(&report, "token", Status::Passed, "The host's token is accepted");
}

#[tokio::test]
async fn escapes_of_a_server_do_not_hide_what_it_says() {
    let mock = mock(&["control-characters"]);
    let session = restart(&mock).await;
    let report = report(&request(&session)).await;
    assert_eq!(report.verdict, Verdict::Joinable);
}
