//! The connection check on a real livekit-server: what it says is what the server's own `RoomService` says.

use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nostr_nests::clock::{Clock, rfc3339};
use nostr_nests::livekit::RestartWindow;
use nostr_nests::livekit::check::{Check, LONGEST_HOLD};
use nostr_nests::livekit::report::Verdict;
use nostr_nests::livekit::{signal, validate};
use nostr_nests::net::tls;
use nostr_nests::report::Status;
use nostr_nests::secret::Secret;
use serde_json::json;
use tokio::time::sleep;

use crate::support::check::{check, jwt, now_ms, of, report, report_with, step, tls_front, token, with};
use crate::support::livekit::{KEY, LiveKit, SECRET};
use crate::support::nest::Nest;

#[tokio::test]
#[ignore = "needs livekit"]
async fn a_restarted_room_is_joinable_and_says_when_it_closes() {
    let server = LiveKit::start(false);
    let before = server.create("demo", 60).await["sid"].as_str().unwrap().to_owned();
    server.delete("demo").await;
    let sent_ms = now_ms();
    let created = server.create("demo", 60).await;
    let restarted = Some(RestartWindow { sent_ms, answered_ms: now_ms() });

    let (guest, host) = (token("demo", "guest-1"), token("demo", "aa"));
    let candidates = server.candidates();
    let request =
        Check { host_token: Some(&host), restarted, sid_before: Some(&before), ..check("demo", &guest, &candidates) };
    let report = report(&request).await;
    assert_eq!(report.verdict, Verdict::Joinable);
    assert_eq!(report.endpoint.as_deref(), Some(server.url("ws", "").as_str()));
    assert_eq!(report.server.as_ref().unwrap().version.as_deref(), Some("1.13.5"));
    let room = report.room.as_ref().unwrap();
    assert_eq!(Some(&room.sid), server.sid("demo").await.as_ref());
    let created_ms: i64 = created["creation_time_ms"].as_str().unwrap().parse().unwrap();
    assert_eq!(room.created_at, rfc3339(created_ms));
    let closes_in = report.closes_at_ms.unwrap() - now_ms();
    assert!((58_000..=60_000).contains(&closes_in), "{closes_in}");
    let statuses: Vec<_> = report.steps.iter().map(|step| (step.name, step.status)).collect();
    assert_eq!(
        statuses,
        [
            ("token", Status::Passed),
            ("endpoint", Status::Passed),
            ("signal", Status::Warned),
            ("fresh", Status::Passed),
            ("media", Status::NotChecked),
            ("publish", Status::NotChecked),
            ("hold", Status::NotChecked),
        ]
    );
    assert_eq!(server.settled("demo", 0).await, 0, "the check has left");
}

#[tokio::test]
#[ignore = "needs livekit"]
async fn the_creation_time_alone_proves_a_restart() {
    let server = LiveKit::start(false);
    let guest = token("demo", "guest-1");
    let candidates = server.candidates();
    let sent_ms = now_ms();
    // The way from here to the API, its own work, and the way to LiveKit: longer than a join takes.
    sleep(Duration::from_millis(500)).await;
    server.create("demo", 60).await;
    let restarted = Some(RestartWindow { sent_ms, answered_ms: now_ms() });
    let report = report(&Check { restarted, ..check("demo", &guest, &candidates) }).await;
    assert_eq!(step(&report, "fresh").detail.split_once(": ").unwrap().1, "created after the restart was asked for");
    assert_eq!(report.verdict, Verdict::Joinable);
}

/// Upstream's restart calls `CreateRoom` for a room that lives.
#[tokio::test]
#[ignore = "needs livekit"]
async fn a_kept_room_is_told() {
    let server = LiveKit::start(true);
    let made = Instant::now();
    let first = server.create("demo", 60).await;
    let mut inside = server.guest("demo", "listener").await;
    sleep(Duration::from_millis(1100)).await;
    let sent_ms = now_ms();
    let second = server.create("demo", 60).await;
    assert_eq!(first["sid"], second["sid"], "LiveKit hands the live room back");
    let restarted = Some(RestartWindow { sent_ms, answered_ms: now_ms() });

    let guest = token("demo", "guest-1");
    let candidates = server.candidates();
    for sid_before in [None, first["sid"].as_str()] {
        let report = report(&Check { restarted, sid_before, ..check("demo", &guest, &candidates) }).await;
        assert_eq!(report.verdict, Verdict::Unhealthy);
        let sid = first["sid"].as_str().unwrap();
        let fresh = step(&report, "fresh");
        let told = format!("The server reports success, but LiveKit still runs the old room ({sid}, created ");
        let age =
            fresh.detail.strip_prefix(&told).and_then(|rest| rest.strip_suffix(" s ago). Nobody was disconnected."));
        assert!((1..=made.elapsed().as_secs() + 1).contains(&age.unwrap().parse().unwrap()), "{fresh:?}");
        assert_eq!(report.room.as_ref().unwrap().participants, 1);
        assert_eq!(report.closes_at_ms, None, "somebody is inside");
    }
    assert!(inside.hold(Duration::from_millis(50)).await.is_ok(), "nobody was disconnected");
    server.delete("demo").await;
    let closed = inside.hold(Duration::from_secs(5)).await.unwrap_err();
    assert_eq!(closed.how, signal::Ending::SentAway(signal::DisconnectReason::RoomDeleted));
}

#[tokio::test]
#[ignore = "needs livekit"]
async fn a_room_that_the_join_has_made_is_no_proof() {
    let server = LiveKit::start(true);
    let guest = token("demo", "guest-1");
    let candidates = server.candidates();
    let restarted = Some(RestartWindow { sent_ms: now_ms(), answered_ms: now_ms() });
    let report = report(&Check { restarted, ..check("demo", &guest, &candidates) }).await;
    assert_eq!(report.verdict, Verdict::Unhealthy);
    assert!(step(&report, "fresh").detail.starts_with("There was no room: LiveKit made RM_"));
}

#[tokio::test]
#[ignore = "needs livekit"]
async fn a_room_that_does_not_exist_is_told() {
    let server = LiveKit::start(false);
    let guest = token("demo", "guest-1");
    let report = report(&check("demo", &guest, &server.candidates())).await;
    assert_eq!(report.verdict, Verdict::Unhealthy);
    assert_eq!(step(&report, "token").status, Status::Passed);
    assert_eq!(step(&report, "endpoint").status, Status::Passed);
    assert_eq!(step(&report, "signal").status, Status::Failed);
    assert!(step(&report, "signal").detail.contains("has no room \"demo\""));
    assert_eq!(server.sid("demo").await, None);
}

/// What the real server says of each kind of bad token.
#[tokio::test]
#[ignore = "needs livekit"]
async fn refused_tokens_are_explained() {
    let server = LiveKit::start(false);
    server.create("demo", 60).await;
    let candidates = server.candidates();
    let (now_s, join) = (now_ms() / 1000, json!({"room": "demo", "roomJoin": true}));
    let other = "another-secret-of-thirty-two-characters";
    let good = json!({"iss": KEY, "sub": "g", "exp": now_s + 600, "nbf": 0, "video": join});
    for (claims, secret, told) in [
        (good.clone(), other, "refuses the guest's token: it is signed with another secret"),
        (with(&good, "iss", json!("otherkey")), SECRET, "it is signed by the API key \"otherkey\""),
        (with(&good, "video", json!({"room": "demo", "canPublish": true})), SECRET, "it does not allow to join"),
        (with(&good, "exp", json!(now_s - 90)), SECRET, "it has expired by this media server's clock"),
        (with(&good, "nbf", json!(now_s + 90)), SECRET, "it is not valid yet by this media server's clock"),
        (with(&good, "sub", json!("")), SECRET, "it names no participant"),
        (with(&good, "video", json!({"room": "", "roomJoin": true})), SECRET, "it names no room"),
    ] {
        let token = Secret::new(jwt(&claims, secret));
        for as_host in [false, true] {
            let told = if as_host { told.replace("guest", "host") } else { told.to_owned() };
            let host_token = as_host.then_some(&token);
            let report = report(&Check { host_token, ..check("demo", &token, &candidates) }).await;
            assert_eq!(report.verdict, Verdict::Unhealthy);
            let found = step(&report, "token");
            assert_eq!(found.status, Status::Failed, "{}", found.detail);
            assert!(found.detail.contains(&told), "{}", found.detail);
            assert!(found.hint.is_some());
            assert_eq!(step(&report, "signal").status, Status::Failed);
            let all = serde_json::to_string(&report).unwrap();
            assert!(!all.contains(token.expose()) && !all.contains("eyJ"), "{all}");
        }
    }
    // What LiveKit forgives, the check forgives.
    for (name, value) in [("exp", now_s - 50), ("nbf", now_s + 50)] {
        let token = Secret::new(jwt(&with(&good, name, json!(value)), SECRET));
        assert_eq!(report(&check("demo", &token, &candidates)).await.verdict, Verdict::Joinable);
    }
}

#[tokio::test]
#[ignore = "needs livekit"]
async fn a_bad_host_token_is_told_although_guests_get_in() {
    let server = LiveKit::start(false);
    server.create("demo", 60).await;
    let (guest, host) = (
        token("demo", "g"),
        Secret::new(jwt(&json!({"iss": KEY, "sub": "aa"}), "another-secret-of-thirty-two-characters")),
    );
    let candidates = server.candidates();
    let report = report(&Check { host_token: Some(&host), ..check("demo", &guest, &candidates) }).await;
    assert_eq!(report.verdict, Verdict::Unhealthy);
    assert_eq!(step(&report, "token").status, Status::Failed);
    assert!(report.room.is_some(), "the guest was in");
}

#[tokio::test]
#[ignore = "needs livekit"]
async fn behind_tls_and_after_an_internal_name() {
    let server = LiveKit::start(false);
    server.create("demo", 60).await;
    let (port, root) = tls_front(server.port).await;
    let tls = tls::client_config(&[root]);
    let guest = token("demo", "g");
    let all = of(&[
        "wss+livekit://livekit.invalid:7880".into(),
        "wss+livekit://livekit".into(),
        format!("wss://localhost:{port}"),
    ]);
    let untrusted = report(&check("demo", &guest, &all[2..])).await;
    let report = report_with(&check("demo", &guest, &all), &tls).await;
    assert_eq!(report.verdict, Verdict::Joinable);
    assert_eq!(report.endpoint, Some(format!("wss://localhost:{port}")));
    let endpoint = step(&report, "endpoint");
    assert_eq!(endpoint.status, Status::Warned);
    assert!(endpoint.detail.contains("wss://livekit (from the API, an internal name"), "{}", endpoint.detail);
    assert!(step(&report, "signal").detail.contains("TLS "));

    assert!(step(&untrusted, "endpoint").detail.contains("issued by \"Test CA\""), "{untrusted:?}");
}

/// Any session at all, however its address is written, with the token from a file and from a pipe.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs livekit"]
async fn any_session_is_checked_by_its_address() {
    let server = LiveKit::start(true);
    let (port, root) = tls_front(server.port).await;
    let pem = format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(&root));
    let plain = server.port;
    for (url, endpoint) in [
        (format!("ws://127.0.0.1:{plain}"), format!("ws://127.0.0.1:{plain}")),
        (format!("ws+livekit://127.0.0.1:{plain}"), format!("ws://127.0.0.1:{plain}")),
        (format!("wss+livekit://127.0.0.1:{plain}"), format!("ws://127.0.0.1:{plain}")),
        (format!("wss://localhost:{port}"), format!("wss://localhost:{port}")),
        (format!("https://localhost:{port}"), format!("wss://localhost:{port}")),
    ] {
        let guest = token("any", "g").expose().to_owned();
        let call = ["check", "--url", &url, "--json", "--cacert", "ca.pem", "--token-file"];
        let nest = || Nest::alone().file("ca.pem", &pem, 0o644).args(call);
        let calls = [nest().file("token", &guest, 0o600).args(["token"]), nest().stdin(guest).args(["-"])];
        for call in calls {
            let document = tokio::task::spawn_blocking(|| call.run().expect(0).document()).await.unwrap();
            assert_eq!((&document["endpoint"], &document["roomId"]), (&json!(endpoint), &json!("any")), "{url}");
            assert_eq!(document["server"]["version"], "1.13.5", "{url}");
        }
    }
}

/// An empty nest that was joined and left closes when the report says so, give or take the server's
/// own rounding; a nest that was looked at by `/rtc/validate` alone does not.
#[tokio::test]
#[ignore = "needs livekit"]
async fn the_room_closes_when_the_report_says_so() {
    let server = LiveKit::start(false);
    server.create("demo", 2).await;
    server.create("other", 2).await;
    let (guest, host) = (token("demo", "g"), token("other", "aa"));
    let candidates = server.candidates();
    let report_demo = report(&check("demo", &guest, &candidates)).await;
    let only_host = Check { host_token: Some(&host), join: None, ..check("other", &host, &candidates) };
    let report_other = report(&only_host).await;
    assert_eq!(report_other.verdict, Verdict::Unknown);
    assert_eq!(step(&report_other, "token").status, Status::Passed);
    let closes = report_demo.closes_at_ms.unwrap();
    while server.sid("demo").await.is_some() {
        assert!(now_ms() < closes + 4000, "the room lives on");
        sleep(Duration::from_millis(50)).await;
    }
    assert!(now_ms() > closes - 500, "the room closed {} ms too early", closes - now_ms());
    assert!(server.sid("other").await.is_some());
}

#[tokio::test]
#[ignore = "needs livekit"]
async fn a_late_teardown_is_seen_by_hold() {
    let server = Arc::new(LiveKit::start(false));
    let sent_ms = now_ms();
    server.create("demo", 60).await;
    let restarted = Some(RestartWindow { sent_ms, answered_ms: now_ms() });
    let guest = token("demo", "g");
    let candidates = server.candidates();
    let deleting = tokio::spawn({
        let server = server.clone();
        async move {
            sleep(Duration::from_secs(3)).await;
            server.delete("demo").await;
        }
    });
    let hold = Some(Duration::from_secs(20));
    let report = report(&Check { restarted, hold, ..check("demo", &guest, &candidates) }).await;
    deleting.await.unwrap();
    assert_eq!(report.verdict, Verdict::Unhealthy);
    let hold = step(&report, "hold");
    assert_eq!(hold.detail, "Room closed 3 s after the restart: LiveKit was still deleting the old one.");
    assert_eq!(hold.hint.as_deref(), Some("Wait 30 s and restart again"));
    assert_eq!(report.closes_at_ms, None);
}

#[tokio::test]
#[ignore = "needs livekit"]
async fn a_quiet_hold_passes_and_people_are_counted_when_it_ends() {
    let server = Arc::new(LiveKit::start(false));
    server.create("demo", 60).await;
    let guest = token("demo", "g");
    let candidates = server.candidates();
    let coming = tokio::spawn({
        let server = server.clone();
        async move {
            sleep(Duration::from_millis(300)).await;
            server.guest("demo", "late").await
        }
    });
    // LiveKit tells of those who only listen every 3 s.
    let hold = Some(Duration::from_secs(4));
    let report = report(&Check { hold, ..check("demo", &guest, &candidates) }).await;
    let _late = coming.await.unwrap();
    assert_eq!(step(&report, "hold").status, Status::Passed);
    assert_eq!(report.room.unwrap().participants, 1);
    assert_eq!(report.closes_at_ms, None);
}

#[tokio::test]
#[ignore = "needs livekit"]
async fn validating_joins_nobody_and_tells_the_servers_time() {
    let server = LiveKit::start(false);
    server.create("demo", 60).await;
    let (candidates, limit) = (server.candidates(), Duration::from_secs(10));
    let guest = token("demo", "g");
    let answer = validate::ask(&server.http.clone().into(), &candidates[0], Some(&guest), limit, Clock::default())
        .await
        .unwrap();
    assert_eq!(answer.verdict, Ok(()));
    let clock = answer.clock.unwrap();
    let width = i64::try_from(answer.elapsed.as_millis()).unwrap() + 1010;
    assert!(clock.min_ms <= 0 && clock.max_ms >= 0 && clock.max_ms - clock.min_ms < width, "{clock:?}");
    assert_eq!(server.settled("demo", 0).await, 0);

    // The moment of joining tells it too, and much more exactly.
    let asked = Instant::now();
    let session = server.guest("demo", "g").await;
    let (took, exact) = (i64::try_from(asked.elapsed().as_millis()).unwrap(), session.joined.clock.unwrap());
    assert!(exact.min_ms <= 0 && exact.max_ms >= 0 && exact.max_ms - exact.min_ms <= took + 10, "{exact:?}");
    assert_eq!(server.inside("demo").await, 1);
    session.leave().await;
    assert_eq!(server.settled("demo", 0).await, 0, "leaving takes effect soon");
}

/// A minute long, so run by hand: no client without media is thrown out before [`LONGEST_HOLD`] is over.
#[tokio::test]
#[ignore = "needs livekit and a minute"]
async fn the_longest_hold_is_not_too_long() {
    let server = LiveKit::start(false);
    server.create("demo", 60).await;
    let guest = token("demo", "g");
    let candidates = server.candidates();
    let request = Check { hold: Some(Duration::from_secs(100)), ..check("demo", &guest, &candidates) };
    let report = report(&request).await;
    assert_eq!(step(&report, "hold").status, Status::Passed);
    assert_eq!(step(&report, "hold").elapsed_ms, u64::try_from(LONGEST_HOLD.as_millis()).ok());
}
