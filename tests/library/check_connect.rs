//! Connecting to a media server: which layer failed, how it is explained, and who sees which token.

use std::time::{Duration, Instant};

use nostr_nests::clock::Clock;
use nostr_nests::livekit::check::{Check, Joining};
use nostr_nests::livekit::endpoint::{Candidate, Hints, candidates};
use nostr_nests::livekit::report::{CheckReport, Verdict};
use nostr_nests::livekit::validate;
use nostr_nests::net::tls;
use nostr_nests::report::Status;
use nostr_nests::secret::Secret;

use crate::support::check::{certificate, check, client, report, report_with, step, tls_front, tls_listener, token};
use crate::support::fake_livekit::{Act, FakeLiveKit, Script, answer, join};
use crate::support::port;

/// Candidates as a local API and an event name them.
fn near(returned: &[&str], streaming: &[&str]) -> Vec<Candidate> {
    let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
    let api = "http://localhost:1/".parse().unwrap();
    let (returned, streaming) = (owned(returned), owned(streaming));
    let mut all = candidates(Hints { returned: &returned, streaming: &streaming, api: Some(&api), allow_http: false });
    all.pop();
    all
}

fn told(report: &CheckReport, name: &str, status: Status, text: &str) {
    let found = step(report, name);
    assert_eq!(found.status, status, "{found:?}");
    assert!(found.detail.contains(text), "{found:?}");
}

async fn of_endpoint(url: &str) -> CheckReport {
    let guest = token("demo", "guest-1");
    report(&check("demo", &guest, &near(&[url], &[]))).await
}

#[tokio::test]
async fn a_name_that_does_not_exist() {
    // No label may be longer than 63: the resolver knows without asking anybody.
    let report = of_endpoint(&format!("wss://{}.example", "a".repeat(64))).await;
    assert_eq!(report.verdict, Verdict::Unhealthy);
    told(&report, "endpoint", Status::Failed, "cannot be found in DNS: ");
    told(&report, "signal", Status::NotChecked, "No media server was reached");
    told(&report, "token", Status::NotChecked, "The guest's token looks right (guest-1, listens only");
}

#[tokio::test]
async fn a_port_where_nobody_listens() {
    let port = port::reserved();
    let report = of_endpoint(&format!("ws://127.0.0.1:{port}")).await;
    assert_eq!(report.verdict, Verdict::Unhealthy);
    told(&report, "endpoint", Status::Failed, &format!("(127.0.0.1:{port}: connection refused)"));
    assert!(step(&report, "endpoint").hint.as_ref().unwrap().contains("firewall"));
}

#[tokio::test]
async fn of_several_addresses_the_living_one_is_found() {
    let server = FakeLiveKit::start(Script::joining(join(), &[Act::Serve])).await;
    // `localhost` is ::1 as well, where nobody listens.
    let report = of_endpoint(&format!("ws://localhost:{}", server.port)).await;
    assert_eq!(report.verdict, Verdict::Joinable);
    assert!(*server.left.lock().unwrap(), "the check says goodbye");
}

#[tokio::test]
async fn certificates_that_are_refused() {
    let server = FakeLiveKit::start(Script::joining(join(), &[Act::Serve])).await;
    let guest = token("demo", "guest-1");
    for (certified, names, days, told_as) in [
        (true, "localhost", -3..-1, "its certificate expired on "),
        (true, "localhost", 2..9, "its certificate begins on "),
        (true, "other.example", -1..9, "its certificate is for other.example, not for localhost"),
        (false, "localhost", -1..9, "its certificate was issued by \"Test CA\", which is not trusted here"),
    ] {
        let (certificate, root) = certificate(names, days);
        let port = tls_listener(server.port, certificate).await;
        let tls = tls::client_config(if certified { std::slice::from_ref(&root) } else { &[] });
        let candidates = near(&[&format!("wss://localhost:{port}")], &[]);
        let report = report_with(&check("demo", &guest, &candidates), &tls).await;
        assert_eq!(report.verdict, Verdict::Unhealthy);
        told(&report, "endpoint", Status::Failed, &format!("cannot be trusted: {told_as}"));
        assert!(step(&report, "endpoint").hint.is_some());
        // The HTTP client says the same.
        let asked =
            validate::ask(&client(&tls), &candidates[0], Some(&guest), Duration::from_secs(5), Clock::default()).await;
        assert!(
            matches!(&asked, Err(validate::ValidateError::Unreachable(text)) if text.contains(told_as)),
            "{asked:?}"
        );
    }
    let (port, root) = tls_front(server.port).await;
    let report = report_with(
        &check("demo", &guest, &near(&[&format!("wss://localhost:{port}/sub")], &[])),
        &tls::client_config(&[root]),
    )
    .await;
    assert_eq!(report.verdict, Verdict::Joinable);
    assert!(server.seen().last().unwrap().starts_with("GET /sub/rtc?access_token="));
}

/// As APIs, events and people write endpoints.
#[tokio::test]
async fn every_spelling_is_dialled() {
    let server = FakeLiveKit::start(Script::joining(join(), &[Act::Serve])).await;
    let (port, root) = tls_front(server.port).await;
    let (tls, guest, plain) = (tls::client_config(&[root]), token("demo", "guest-1"), server.port);
    for (text, dialled) in [
        (format!("wss://localhost:{port}"), format!("wss://localhost:{port}")),
        (format!("https://localhost:{port}/sub/"), format!("wss://localhost:{port}/sub")),
        (format!("wss+livekit://https://localhost:{port}"), format!("wss://localhost:{port}")),
        (format!("wss+livekit://wss://localhost:{port}/sub"), format!("wss://localhost:{port}/sub")),
        (format!("ws+livekit://wss://localhost:{port}"), format!("wss://localhost:{port}")),
        (format!("ws://127.0.0.1:{plain}"), format!("ws://127.0.0.1:{plain}")),
        (format!("http://127.0.0.1:{plain}/sub"), format!("ws://127.0.0.1:{plain}/sub")),
        (format!("ws+livekit://127.0.0.1:{plain}"), format!("ws://127.0.0.1:{plain}")),
        // A server on this machine, which names itself as it would elsewhere.
        (format!("wss+livekit://127.0.0.1:{plain}/sub"), format!("ws://127.0.0.1:{plain}/sub")),
    ] {
        let report = report_with(&check("demo", &guest, &near(&[&text], &[])), &tls).await;
        assert_eq!((report.verdict, report.endpoint), (Verdict::Joinable, Some(dialled)), "{text}");
        let path = if text.contains("/sub") { "GET /sub/rtc?" } else { "GET /rtc?" };
        assert!(server.seen().last().unwrap().starts_with(path), "{text}: {:?}", server.seen());
    }
}

#[tokio::test]
async fn plain_http_where_tls_is_expected() {
    let server = FakeLiveKit::start(Script::refusing("400 Bad Request", "")).await;
    let report = of_endpoint(&format!("wss://127.0.0.1:{}", server.port)).await;
    told(&report, "endpoint", Status::Failed, "it does not speak TLS");
}

#[tokio::test]
async fn what_is_no_livekit() {
    let secret = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln";
    let elsewhere = format!("301 Moved\r\nLocation: https://h.example/rtc?access_token={secret}");
    for (head, body, told_as) in [
        ("404 Not Found", "404 page not found", "is no LiveKit server: it answers 404"),
        ("200 OK", "<html>Welcome</html>", "is no LiveKit server: it answers 200"),
        ("502 Bad Gateway", "<html>nginx</html>", "answers 502: the proxy there does not reach LiveKit"),
        (elsewhere.as_str(), "", "points elsewhere (301): https://h.example/rtc?access_token=***"),
    ] {
        let server = FakeLiveKit::start(Script::refusing(head, body)).await;
        let report = of_endpoint(&server.url()).await;
        assert_eq!(report.verdict, Verdict::Unhealthy);
        told(&report, "endpoint", Status::Failed, told_as);
        told(&report, "signal", Status::NotChecked, "No media server was reached");
    }
}

/// A client may get to see the head of a refusal only: the reason then comes from `/rtc/validate`.
#[tokio::test]
async fn a_refusal_without_its_reason_is_asked_for() {
    let guest = token("demo", "guest-1");
    let echo = format!("invalid token: {}, error: token signature is invalid: signature is invalid", guest.expose());
    let server = FakeLiveKit::start(Script {
        validate: answer("401 Unauthorized", &echo),
        refuse: Some(answer("401 Unauthorized", "")),
        acts: Vec::new(),
    })
    .await;
    let report = report(&check("demo", &guest, &near(&[&server.url()], &[]))).await;
    told(
        &report,
        "token",
        Status::Failed,
        "The media server refuses the guest's token: it is signed with another secret",
    );
    told(&report, "endpoint", Status::Passed, "answers");
    told(&report, "signal", Status::Failed, "refuses the token");
    assert!(!serde_json::to_string(&report).unwrap().contains("eyJ"));
}

#[tokio::test]
async fn silence_is_unknown_and_ends_in_time() {
    let quiet = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://127.0.0.1:{}", quiet.local_addr().unwrap().port());
    let hanging =
        FakeLiveKit::start(Script { validate: answer("200 OK", "success"), refuse: None, acts: vec![Act::Hang] }).await;
    let guest = token("demo", "guest-1");
    let candidates = near(&[&url, &hanging.url()], &[]);
    let started = Instant::now();
    let request =
        Check { timeout: Duration::from_secs(2), host_token: Some(&guest), ..check("demo", &guest, &candidates) };
    let report = report(&request).await;
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
    assert_eq!(report.verdict, Verdict::Unknown);
    told(&report, "endpoint", Status::Warned, "had not answered when the time was up: no WebSocket within ");
    told(&report, "signal", Status::NotChecked, "had not answered when the time was up: no word from the room within ");
    assert_eq!(report.failed(), None);
}

#[tokio::test]
async fn the_hosts_token_goes_only_where_the_api_says() {
    let (guest, host) = (token("demo", "guest-1"), token("demo", "aa"));
    let servers =
        |script: Script| async move { [FakeLiveKit::start(script.clone()).await, FakeLiveKit::start(script).await] };
    // The address of the second is no host of the API's.
    let [returned, named] = servers(Script::refusing("404 Not Found", "gone")).await;
    let urls = [returned.url(), named.url()];
    let candidates = near(&[&urls[0]], &[&urls[1]]);
    let request = Check { host_token: Some(&host), ..check("demo", &guest, &candidates) };
    report(&request).await;
    let shown = |server: &FakeLiveKit, token: &Secret| server.seen().iter().any(|line| line.contains(token.expose()));
    assert!(shown(&returned, &host) && shown(&returned, &guest));
    assert!(shown(&named, &guest) && !shown(&named, &host));

    let [returned, named] = servers(Script::refusing("404 Not Found", "gone")).await;
    let urls = [returned.url(), named.url()];
    let candidates = near(&[&urls[0]], &[&urls[1]]);
    let join = Some(Joining { token: &host, host: true });
    let report = report(&Check { join, ..check("demo", &guest, &candidates) }).await;
    assert!(shown(&returned, &host) && named.seen().is_empty());
    told(&report, "endpoint", Status::Failed, "was not dialled: a host's token goes only where the API says");
}

#[tokio::test]
async fn what_is_no_token_for_this_nest_is_sent_to_nobody() {
    for (text, why) in [
        ("{}".to_owned(), "cannot be used: it is no JWT"),
        (token("other", "guest-1").expose().to_owned(), "does not fit this nest: it is for another room, \"other\""),
    ] {
        let server = FakeLiveKit::start(Script::joining(join(), &[Act::Serve])).await;
        let bad = Secret::new(text);
        let report = report(&check("demo", &bad, &near(&[&server.url()], &[]))).await;
        assert_eq!(report.verdict, Verdict::Unhealthy);
        told(&report, "token", Status::Failed, why);
        told(&report, "signal", Status::NotChecked, "Nothing was dialled");
        assert_eq!(server.seen(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn tokens_do_not_travel_in_the_clear() {
    let guest = token("demo", "guest-1");
    let far = candidates(Hints {
        returned: &["ws+livekit://h.example".into()],
        streaming: &[],
        api: None,
        allow_http: false,
    });
    let report = report(&check("demo", &guest, &far)).await;
    told(&report, "endpoint", Status::Failed, "was not dialled: the token would travel in the clear");
    assert!(step(&report, "endpoint").hint.as_ref().unwrap().contains("--allow-http"));
}

#[tokio::test]
async fn nowhere_to_go() {
    let guest = token("demo", "guest-1");
    let report = report(&check("demo", &guest, &[])).await;
    assert_eq!(report.verdict, Verdict::Unhealthy);
    told(&report, "endpoint", Status::Failed, "Nobody says where the media server is");
}
