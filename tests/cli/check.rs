//! `nest check`, as hosts, listeners and scripts see it.

use std::time::Duration;

use livekit_protocol::DisconnectReason;
use nostr::Keys;
use nostr::nips::nip19::ToBech32 as _;
use nostr_nests::server::{Mock, Options};
use serde_json::{Value, json};

use crate::support::check::token;
use crate::support::nest::{Nest, Output, mock, parse};
use crate::support::raw::Raw;
use crate::support::room_event;
use crate::support::signal::Signal;

/// As somebody calls it who has no key.
fn listener(mock: &Mock, room: &str) -> Nest {
    Nest::new(mock).without("NEST_KEY").args(["check", room, "--join"])
}

/// The nest is back, without anybody having joined.
fn running(faults: &[&str]) -> (Mock, String) {
    let mock = mock(&[]);
    let restarted = Nest::new(&mock).args(["restart", "demo", "--output", "token"]).run().expect(0);
    mock.set_faults(parse(faults));
    (mock, restarted.stdout.trim().to_owned())
}

fn step<'a>(document: &'a Value, name: &str) -> &'a Value {
    document["steps"].as_array().unwrap().iter().find(|step| step["name"] == name).unwrap()
}

fn npub(mock: &Mock) -> String {
    mock.host().public_key().to_bech32().unwrap()
}

#[test]
fn a_listener_needs_no_key() {
    let (mock, _) = running(&[]);
    let signed = mock.last_authorization();
    let document = listener(&mock, "demo").args(["--json"]).run().expect(0).document();
    assert_eq!((&document["roomId"], &document["verdict"]), (&json!("demo"), &json!("joinable")));
    assert_eq!(document["room"]["sid"], mock.room("demo").unwrap().sid);
    assert_eq!(document["steps"].as_array().unwrap().len(), 7);
    assert!(step(&document, "token")["detail"].as_str().unwrap().contains("guest-"), "{document}");
    assert_eq!(mock.last_authorization(), signed, "nobody signed");
    assert_eq!(mock.participants("demo"), Vec::<String>::new(), "the check has left");
    assert_eq!(listener(&mock, "demo").args(["-q"]).run().expect(0).stdout, "");
}

/// The event's `streaming` counts when the name leads to it; with its `service` no API need be named.
#[test]
fn a_link_is_enough() {
    let (mock, _) = running(&[]);
    let link = format!("https://nests.example/{}", room_event::naddr(&mock));
    let host = Nest::alone().env("NEST_KEY", mock.host().secret_key().to_secret_hex());
    let document = host.args(["check", &link, "--join", "--json"]).run().expect(0).document();
    assert_eq!(document["endpoint"], mock.livekit());
    let told = step(&document, "endpoint")["detail"].as_str().unwrap();
    assert!(told.contains("(from the nest's event)"), "{told}");
}

#[tokio::test]
async fn an_internal_name_is_named_and_the_next_endpoint_tried() {
    let (mock, _) = running(&[]);
    let service = format!("{}/api/v1/nests", mock.api());
    let streaming = ["streaming", "wss+livekit://livekit:7880"];
    room_event::publish(&mock, &[&["status", "open"], &["service", &service], &streaming]).await;
    let document = listener(&mock, &room_event::naddr(&mock)).args(["--json"]).run().expect(0).document();
    let endpoint = step(&document, "endpoint");
    assert_eq!(endpoint["status"], "warned");
    assert!(endpoint["detail"].as_str().unwrap().contains("an internal name"), "{endpoint}");
    assert!(endpoint["hint"].as_str().unwrap().contains("LIVEKIT_URL"), "{endpoint}");
    assert_eq!(document["endpoint"], format!("{}/livekit", mock.livekit()));
}

#[test]
fn a_dead_nest_tells_a_listener_whom_to_ask() {
    let mock = mock(&[]);
    let output = listener(&mock, "demo").run().expect(6);
    assert_eq!(output.stdout, "");
    assert!(output.stderr.contains(&npub(&mock)), "{output:?}");
    let detail = listener(&mock, "demo").args(["-v"]).run().expect(6).stderr;
    let guest = format!("GET {}/api/v1/nests/demo/guest?probe=1: 404 Nest not found or no longer active\n", mock.api());
    assert!(detail.contains(&guest) && detail.contains("/info: 200\n"), "{detail}");
    let document = listener(&mock, "demo").args(["--json"]).run().expect(6).document();
    assert_eq!((&document["error"]["kind"], &document["error"]["status"]), (&json!("notFound"), &json!(404)));
    assert_eq!(mock.requests("/rtc"), 0);
}

/// Whoever joins an empty nest and leaves it shortens its life from half an hour to a minute.
#[test]
fn an_empty_nest_is_not_joined_unless_that_is_asked_for() {
    let departure_timeout = Duration::from_secs(1);
    let mock = Mock::start(Options { departure_timeout, ..Options::default() }).unwrap();
    Nest::new(&mock).args(["restart", "demo"]).run().expect(0);
    let check = |more: &[&str]| Nest::new(&mock).args(["check", "demo"]).args(more).run();
    let document = check(&["--json"]).expect(0).document();
    assert_eq!((&document["verdict"], &document["endpoint"]), (&json!("reachable"), &json!(mock.livekit())));
    assert!(document.get("room").is_none(), "{document}");
    let statuses: Vec<_> = document["steps"].as_array().unwrap().iter().map(|step| &step["status"]).collect();
    assert_eq!(statuses[..3], ["passed", "passed", "notChecked"], "{document}");
    let text = check(&[]).expect(0).stdout;
    assert!(text.ends_with("✓ demo · reachable; nobody is inside, and nobody has joined\n"), "{text}");
    // What holds it open may be recommended, and nothing that shortens its life.
    assert!(text.contains("hint: --keep joins it, and stays until somebody comes\n"), "{text}");
    for harmful in ["--join", "--hold", "--publish", "--as-host", "--transport"] {
        assert!(!text.contains(harmful), "{harmful}: {text}");
    }
    let joins = || mock.requests("/rtc");
    assert_eq!(joins(), 0);
    std::thread::sleep(Duration::from_millis(2500));
    assert!(mock.room("demo").is_some(), "it has its whole life still");
    for (before, more) in
        [&["--join"][..], &["--hold", "10ms"], &["--as-host"], &["--transport", "udp"]].iter().enumerate()
    {
        check(more);
        assert_eq!(joins(), before + 1, "{more:?}");
        Nest::new(&mock).args(["restart", "demo"]).run().expect(0);
    }
}

#[tokio::test]
async fn a_nest_with_people_in_it_is_joined() {
    let (mock, token) = running(&[]);
    let _inside = Signal::join(mock.livekit(), &token).await.unwrap();
    let document = Nest::new(&mock).args(["check", "demo", "--json"]).run().expect(0).document();
    assert_eq!((&document["verdict"], &document["room"]["participants"]), (&json!("joinable"), &json!(1)));
}

#[test]
fn from_outside_much_can_be_seen_to_be_wrong() {
    for (fault, failed) in [
        ("wrong-secret", "token"),
        ("status=502@signal", "endpoint"),
        ("html=404@signal", "endpoint"),
        ("livekit-down@signal", "endpoint"),
    ] {
        let (mock, _) = running(&[fault]);
        let document = Nest::new(&mock).args(["check", "demo", "--json"]).run().expect(10).document();
        assert_eq!((&document["verdict"], &step(&document, failed)["status"]), (&json!("unhealthy"), &json!("failed")));
    }
}

/// An API that does not say where its LiveKit is, which is not where it usually is either.
#[test]
fn a_guess_that_was_wrong_is_no_finding() {
    let api = |health: &'static str, elsewhere: Option<String>| {
        Raw::with(move |_, head| {
            let token = token("demo", "guest-1");
            let livekit = elsewhere.as_ref().map(|url| json!({ "livekit": url }));
            let (status, body) = match head.split(' ').nth(1).unwrap() {
                path if path.ends_with("/guest?probe=1") => (200, json!({ "token": token.expose() })),
                path if path.ends_with("/info") => (200, json!({ "participantCount": 1 })),
                "/health" => (200, livekit.unwrap_or_else(|| json!({ "status": health }))),
                _ => (404, json!({ "error": "Endpoint not found" })),
            };
            let body = body.to_string();
            let length = body.len();
            format!("HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes()
        })
    };
    let check = |api: &Raw| Nest::alone().args(["check", "demo", "--api", &api.url(), "--json"]).run();
    let document = check(&api("healthy", None)).expect(10).document();
    assert_eq!(document["verdict"], "unknown", "{document}");
    for name in ["endpoint", "signal"] {
        assert_eq!(step(&document, name)["status"], "notChecked", "{document}");
    }
    let detail = step(&document, "endpoint")["detail"].as_str().unwrap();
    assert!(detail.starts_with("Nobody says where the media server is: "), "{detail}");
    // What the API says is not guessed.
    let mock = mock(&[]);
    let document = check(&api("healthy", Some(mock.livekit().to_owned()))).expect(10).document();
    assert_eq!(step(&document, "token")["status"], "failed", "it was shown to the right place: {document}");
    assert_eq!(step(&document, "endpoint")["status"], "passed", "{document}");
}

#[test]
fn a_dead_nest_tells_its_host_what_to_run() {
    let mock = mock(&[]);
    let output = Nest::new(&mock).args(["check", "demo"]).run().expect(6);
    assert!(output.stderr.ends_with("\n  hint: you are its host: `nest restart demo`\n"), "{output:?}");
    assert_eq!(mock.requests("/api/v1/nests/demo/restart"), 0);
    // Another key is not the host's.
    let other = Keys::generate().secret_key().to_secret_hex();
    let output = Nest::new(&mock).env("NEST_KEY", other).args(["check", "demo"]).run().expect(6);
    assert!(output.stderr.contains(&npub(&mock)), "{output:?}");
    // One that cannot be used is nobody's business here.
    let output = Nest::new(&mock).env("NEST_KEY", "nonsense").args(["check", "demo"]).run().expect(6);
    assert!(output.stderr.contains(&npub(&mock)), "{output:?}");
}

#[tokio::test]
async fn a_nest_that_is_over_or_gone_is_told() {
    let mock = mock(&[]);
    room_event::publish(&mock, &[&["status", "ended"], &["title", "x"]]).await;
    let output = listener(&mock, &room_event::naddr(&mock)).run().expect(6);
    assert!(output.stderr.contains("caused by: its event says ended: the nest is over\n"), "{output:?}");
    assert!(!output.stderr.contains("try again"), "{output:?}");
    mock.forget("demo");
    let output = listener(&mock, "demo").run().expect(6);
    assert!(output.stderr.starts_with("error: the server no longer has this nest\n"), "{output:?}");
}

/// Before an endpoint is dialled, the code is that of what went wrong.
#[test]
fn what_the_api_says_decides_the_code() {
    let codes = [
        ("status=500@guest", 7, "server"),
        ("html=200@guest", 7, "server"),
        ("token-object@guest", 7, "server"),
        ("redirect@guest", 7, "server"),
        ("rate-limit=0", 11, "rateLimited"),
        ("no-answer@guest", 9, "unknown"),
        ("drop-after@guest", 9, "unknown"),
        ("empty@guest", 6, "notFound"),
    ];
    let (mock, _) = running(&[]);
    for (fault, code, kind) in codes {
        mock.set_faults(parse(&[fault]));
        let document = listener(&mock, "demo").args(["--json", "--timeout", "3s"]).run().expect(code).document();
        assert_eq!((&document["roomId"], &document["error"]["kind"]), (&json!("demo"), &json!(kind)), "{fault}");
        assert!(document.get("steps").is_none(), "{fault}");
    }
    let output = Nest::alone().args(["check", "demo", "--api", "http://127.0.0.1:1"]).run().expect(8);
    assert!(
        output.stderr.contains("hint: see which link is broken: `nest doctor demo --api http://127.0.0.1:1`"),
        "{output:?}"
    );
    Nest::alone().args(["check", "demo"]).run().expect(2);
    // That no relay answers was once told as an API that nobody names.
    let address = format!("30312:{}:demo", Keys::generate().public_key());
    Nest::alone().args(["check", &address, "--relay", "ws://127.0.0.1:1"]).run().expect(8);
    assert_eq!(mock.requests("/rtc"), 0);
}

#[test]
fn a_refused_token_is_explained() {
    let (mock, _) = running(&["wrong-secret"]);
    let output = listener(&mock, "demo").args(["--json"]).run().expect(10);
    let document = output.document();
    assert_eq!((&document["verdict"], &document["error"]["kind"]), (&json!("unhealthy"), &json!("unhealthy")));
    assert_eq!(step(&document, "token")["status"], "failed");
    assert!(step(&document, "token")["detail"].as_str().unwrap().contains("another secret"), "{document}");
    assert!(output.stderr.contains("LIVEKIT_API_SECRET"), "{output:?}");
    assert!(output.stderr.contains(&format!("if the nest is not yours, tell its host: {}", npub(&mock))), "{output:?}");
    assert!(!format!("{output:?}").contains("eyJ"), "{output:?}");
}

#[test]
fn a_dead_media_server_is_unhealthy() {
    let (mock, _) = running(&["status=502@signal"]);
    let document = listener(&mock, "demo").args(["--json"]).run().expect(10).document();
    assert_eq!((&document["verdict"], &step(&document, "endpoint")["status"]), (&json!("unhealthy"), &json!("failed")));
}

/// By its host, perhaps: only our own restart can be what an old room's teardown has spoilt.
#[test]
fn hold_sees_that_a_room_is_closed() {
    let (mock, _) = running(&[]);
    let document = std::thread::scope(|scope| {
        let check = scope.spawn(|| listener(&mock, "demo").args(["--hold", "50s", "--json"]).run());
        while mock.participants("demo").is_empty() {
            std::thread::sleep(Duration::from_millis(5));
        }
        let torn_down = tokio::runtime::Runtime::new().unwrap().block_on(mock.media().delete("demo"));
        assert!(torn_down.unwrap());
        check.join().unwrap().expect(10).document()
    });
    let hold = step(&document, "hold");
    assert_eq!(hold["status"], "failed");
    let detail = hold["detail"].as_str().unwrap();
    assert!(detail.ends_with(" after the restart): the room was deleted"), "{hold}");
    assert_eq!(hold["hint"], "Restart the nest, unless its host has just closed it");
}

#[tokio::test]
async fn only_as_host_ejects_the_host() {
    let (mock, token) = running(&[]);
    let mut host = Signal::join(mock.livekit(), &token).await.unwrap();
    let document = Nest::new(&mock).args(["check", "demo", "--join", "--json"]).run().expect(0).document();
    assert_eq!(document["room"]["participants"], 1);
    assert_eq!(mock.participants("demo"), [mock.host().public_key().to_hex()], "still there");
    listener(&mock, "demo").args(["--as-host"]).run().expect(3);
    let document = Nest::new(&mock).args(["check", "demo", "--as-host", "--json"]).run().expect(0).document();
    assert!(step(&document, "token")["detail"].as_str().unwrap().starts_with("The host's token is accepted"));
    assert_eq!(host.farewell().await, DisconnectReason::DuplicateIdentity);
}

/// A relay that is silent and an API that hangs have one time-out together.
#[test]
fn the_whole_ends_within_the_timeout() {
    let (mock, _) = running(&["redis-hang@info", "no-answer@signal"]);
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let relay = format!("ws://{}", silent.local_addr().unwrap());
    let begun = std::time::Instant::now();
    let output =
        listener(&mock, &room_event::naddr(&mock)).args(["--relay", &relay, "--timeout", "1s"]).run().expect(10);
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    assert!(output.stderr.contains("warning: none of the relays answered"), "{output:?}");
}

/// Without it, relays have five seconds.
#[test]
fn a_silent_relay_has_the_time_of_its_own_option() {
    let (mock, _) = running(&[]);
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let relay = format!("ws://{}", silent.local_addr().unwrap());
    // What the event says is not known to the doctor then; a check gets on without it.
    for (command, told, code) in
        [("check", "warning: none of the relays answered", 0), ("doctor", "could not be checked: nest", 10)]
    {
        let nest = Nest::new(&mock).args([command, &room_event::naddr(&mock), "--relay", &relay]);
        let begun = std::time::Instant::now();
        let output = nest.args(["--relay-timeout", "200ms"]).run().expect(code);
        assert!(begun.elapsed() < Duration::from_secs(4), "{command}: {:?}", begun.elapsed());
        assert!(format!("{}{}", output.stdout, output.stderr).contains(told), "{output:?}");
    }
}

fn session(url: &str, token: &str, more: &[&str]) -> Output {
    Nest::alone().stdin(token).args(["check", "--url", url, "--token-file", "-", "--json"]).args(more).run()
}

#[test]
fn any_session_can_be_checked() {
    let (mock, token) = running(&[]);
    let document = session(mock.livekit(), &format!("{token}\n"), &[]).expect(0).document();
    assert_eq!((&document["roomId"], &document["verdict"]), (&json!("demo"), &json!("joinable")));
    let (mock, token) = running(&[]);
    let with_path = format!("{}/livekit", mock.livekit().replace("ws://", "wss+livekit://"));
    let file = Nest::alone().file("token", &token, 0o644);
    file.args(["check", "--url", &with_path, "--token-file", "token"]).run().expect(0);

    let other = session(mock.livekit(), &running(&[]).1, &[]).expect(10);
    assert!(other.stderr.contains("another secret"), "{other:?}");
    assert!(!format!("{other:?}").contains("eyJ"), "{other:?}");
    for (url, token) in [(mock.livekit(), "no token"), ("moq://h", &token), ("127.0.0.1", &token)] {
        assert_eq!(session(url, token, &[]).expect(2).document()["error"]["kind"], "usage");
    }
    // A token never travels in the clear.
    let far = session("ws://media.example", &token, &[]).expect(10);
    assert!(far.stderr.contains("in the clear"), "{far:?}");
    Nest::alone().args(["check", "--url", "wss://h"]).run().expect(2);
    Nest::alone().args(["check"]).run().expect(2);
}
