//! `nest doctor`, as users and scripts see it: each link broken in turn.

use std::time::{Duration, Instant};

use nostr::Keys;
use nostr::nips::nip19::ToBech32 as _;
use nostr_nests::server::Mock;
use serde_json::{Value, json};

use crate::support::check::token;
use crate::support::nest::{Nest, Output, at_once, mock, parse};
use crate::support::raw::Raw;
use crate::support::room_event;
use crate::support::signal::Signal;
use crate::support::tls;

const SERVER: [&str; 9] = ["config", "key", "clock", "dns", "proxy", "tcp", "tls", "api", "signature"];
const NEST: [&str; 7] = ["event", "record", "host", "room", "endpoints", "signal", "media"];

/// A record leads to its event: no other relays are to be asked for it.
fn nest(mock: &Mock) -> Nest {
    Nest::new(mock).env("NEST_RELAYS", mock.relay())
}

fn doctor(mock: &Mock, room: &str) -> Nest {
    nest(mock).args(["doctor", room, "--json"])
}

fn restart(mock: &Mock) -> String {
    Nest::new(mock).args(["restart", "demo", "--output", "token"]).run().expect(0).stdout.trim().to_owned()
}

/// The steps that have this status.
fn with(document: &Value, status: &str) -> Vec<String> {
    let steps = document["steps"].as_array().unwrap().iter().filter(|step| step["status"] == status);
    steps.map(|step| step["name"].as_str().unwrap().to_owned()).collect()
}

fn step<'a>(document: &'a Value, name: &str) -> &'a Value {
    document["steps"].as_array().unwrap().iter().find(|step| step["name"] == name).unwrap()
}

#[track_caller]
fn says(document: &Value, name: &str, status: &str, text: &str) {
    let step = step(document, name);
    assert_eq!(step["status"], status, "{step}");
    assert!(step["detail"].as_str().unwrap().contains(text), "{step}");
}

/// The whole report has every link; the broken one is the first that failed, and the next command mends it.
fn broken(output: Output, name: &str, next: &str) -> Value {
    let document = output.expect(10).document();
    assert_eq!(document["verdict"], "unhealthy");
    assert_eq!(with(&document, "failed")[0], name, "{document:#}");
    assert!(document["next"].as_str().unwrap().contains(next), "{}", document["next"]);
    document
}

#[test]
fn all_links_in_order_and_nothing_is_touched() {
    let mock = mock(&[]);
    restart(&mock);
    let record = mock.record("demo");
    let document = doctor(&mock, &room_event::naddr(&mock)).run().expect(0).document();
    let names: Vec<_> = document["steps"].as_array().unwrap().iter().map(|step| step["name"].clone()).collect();
    assert_eq!(names, [SERVER.as_slice(), &NEST].concat());
    assert_eq!(document["verdict"], "healthy");
    assert_eq!(document["next"], format!("nest check {}", room_event::naddr(&mock)));
    assert_eq!(with(&document, "notChecked"), ["tls", "media"]);
    assert_eq!(with(&document, "warned"), Vec::<String>::new());
    says(&document, "key", "passed", &mock.host().public_key().to_bech32().unwrap());
    says(&document, "api", "passed", concat!("version ", env!("CARGO_PKG_VERSION")));
    says(&document, "event", "passed", "\"Demo nest\", status \"open\"");
    says(&document, "host", "passed", "it is your nest");
    says(&document, "room", "passed", "nobody is inside");
    says(&document, "signal", "passed", "nobody joined");
    assert_eq!((mock.requests("/rtc"), mock.record("demo")), (0, record));
}

#[test]
fn without_a_nest_the_server_is_looked_at() {
    let mock = mock(&[]);
    let document = nest(&mock).args(["doctor", "--json"]).run().expect(0).document();
    assert_eq!(document["steps"].as_array().unwrap().len(), SERVER.len());
    says(&document, "signature", "passed", "accepted");
    assert_eq!(document["next"], "nest doctor ROOM");
    let document = broken(Nest::alone().args(["doctor", "--json"]).run(), "api", "nest doctor --api https://…");
    assert_eq!(with(&document, "failed"), ["api"]);
    says(&document, "key", "warned", "there is none");
}

#[tokio::test]
async fn with_people_inside_it_joins() {
    let mock = mock(&[]);
    let inside = Signal::join(mock.livekit(), &restart(&mock)).await.unwrap();
    let document = doctor(&mock, "demo").run().expect(0).document();
    says(&document, "signal", "passed", "Joined RM_");
    says(&document, "media", "notChecked", "signal only");
    assert_eq!(mock.participants("demo").len(), 1, "and has left");
    drop(inside);
}

#[test]
fn a_dead_nest_is_found_and_the_restart_named() {
    let mock = mock(&[]);
    let document = broken(doctor(&mock, "demo").run(), "room", "nest restart demo");
    assert_eq!(with(&document, "failed"), ["room"]);
    says(&document, "signal", "passed", "LiveKit answers");
    let other = Keys::generate().secret_key().to_secret_hex();
    let document =
        broken(doctor(&mock, "demo").env("NEST_KEY", other).run(), "room", "ask its host to restart it: npub1");
    says(&document, "host", "warned", "the host is npub1");
    let quiet = nest(&mock).args(["doctor", "demo", "-q"]).run().expect(10);
    assert_eq!(quiet.stdout, "");
    assert!(quiet.stderr.starts_with("error: room: there is no audio room"), "{quiet:?}");
    assert!(quiet.stderr.ends_with("; hint: nest restart demo\n"), "{quiet:?}");
}

#[test]
fn what_depends_on_a_broken_link_is_not_checked() {
    let nowhere = Nest::alone().env("NEST_KEY", Keys::generate().secret_key().to_secret_hex());
    let document = broken(
        nowhere.args(["doctor", "demo", "--json", "--api", "http://127.0.0.1:1"]).run(),
        "tcp",
        "curl -v http://127.0.0.1:1/health",
    );
    assert_eq!(with(&document, "failed"), ["tcp"], "{document:#}");
    let rest = ["clock", "tls", "api", "signature", "event", "record", "host", "room", "signal", "media"];
    assert_eq!(with(&document, "notChecked"), rest, "{document:#}");

    let unknown = Nest::alone().args(["doctor", "demo", "--json", "--api", "https://nests.invalid"]);
    let document = broken(unknown.run(), "dns", "check the spelling of nests.invalid");
    assert_eq!(with(&document, "failed"), ["dns"], "{document:#}");
}

#[test]
fn key_troubles_are_told_apart() {
    let mock = mock(&[]);
    restart(&mock);
    let none = doctor(&mock, "demo").without("NEST_KEY").run().expect(0).document();
    says(&none, "key", "warned", "there is none");
    says(&none, "signature", "notChecked", "no key");
    says(&none, "host", "notChecked", "the host is npub1");
    let wrong = broken(doctor(&mock, "demo").env("NEST_KEY", "nonsense").run(), "key", "--key-file PATH");
    assert_eq!(with(&wrong, "failed"), ["key"]);
    says(&wrong, "signature", "notChecked", "the key cannot be used");
}

#[test]
fn clocks_are_compared() {
    let mock = mock(&["clock=+94s"]);
    restart(&mock);
    let document = doctor(&mock, "demo").run().expect(0).document();
    says(&document, "clock", "warned", "s behind the API's");
    says(&document, "signature", "warned", "only when signed with the server's time");
    mock.set_faults(parse(&["clock=2001"]));
    let document = broken(doctor(&mock, "demo").run(), "clock", "timedatectl");
    says(&document, "signature", "failed", "refused");
}

#[test]
fn a_refused_signature_is_told() {
    let mock = mock(&[]);
    restart(&mock);
    mock.set_faults(parse(&["echo-authorization@token"]));
    let output = doctor(&mock, "demo").run();
    assert!(!format!("{output:?}").contains("eyJ"), "{output:?}");
    broken(output, "signature", "nest doctor demo --api https://…");
}

#[test]
fn records_and_rooms() {
    let mock = mock(&[]);
    restart(&mock);
    mock.set_faults(parse(&["lost-record"]));
    let document = broken(doctor(&mock, "demo").run(), "record", "nest recreate demo");
    says(&document, "record", "failed", "the nest still runs, but the server no longer has it");
    // 404 is also what the API says when its media server is down.
    mock.set_faults(parse(&["livekit-down"]));
    let document = broken(doctor(&mock, "demo").run(), "room", "is LiveKit running");
    assert_eq!(with(&document, "failed"), ["room", "signal"]);
    mock.set_faults(parse(&["wrong-secret"]));
    let document = broken(doctor(&mock, "demo").run(), "signal", "LIVEKIT_API_SECRET");
    says(&document, "signal", "failed", "another secret");
}

#[tokio::test]
async fn events_are_judged() {
    let mock = mock(&[]);
    let naddr = room_event::naddr(&mock);
    let service = format!("{}/api/v1/nests", mock.api());
    let internal = ["streaming", "wss+livekit://livekit:7880"];
    room_event::publish(&mock, &[&["status", "closed"], &["service", &service], &internal]).await;
    // The event alone says which API it is.
    let document =
        Nest::alone().args(["doctor", &naddr, "--relay", &mock.relay(), "--json"]).run().expect(0).document();
    says(&document, "event", "warned", "status \"closed\"");
    says(&document, "room", "warned", "no audio room");
    says(&document, "endpoints", "warned", "wss://livekit:7880 (an internal name");

    room_event::publish(&mock, &[&["status", "planned"], &["service", &service]]).await;
    let document =
        Nest::alone().args(["doctor", &naddr, "--relay", &mock.relay(), "--json"]).run().expect(0).document();
    says(&document, "room", "warned", "no audio room");
    let next = format!("nest check {naddr} --relay {}", mock.relay());
    assert_eq!(document["next"], next, "nobody is told to begin it before its time");

    room_event::publish(&mock, &[&["status", "live"], &["streaming", "https://moq.example/anon"]]).await;
    let document =
        Nest::alone().args(["doctor", &naddr, "--relay", &mock.relay(), "--json"]).run().expect(10).document();
    says(&document, "event", "passed", "Media over QUIC at https://moq.example/anon");
    says(&document, "api", "notChecked", "needs none");
    says(&document, "relay", "failed", "moq.example");

    let gone = room_event::naddr(&mock).replace("naddr1", "nostr:naddr1");
    let document = doctor(&mock, &gone).args(["--relay", "ws://127.0.0.1:1"]).run().document();
    says(&document, "event", "warned", "none of the relays answered");
}

#[tokio::test]
async fn tls_is_shown_with_issuer_and_days() {
    let mock = mock(&[]);
    let authority = tls::Authority::new();
    let days = |years| {
        let port = authority.front("localhost", years, mock.address());
        let call = Nest::alone().file("ca.pem", &authority.pem, 0o644);
        call.args(["doctor", "--json", "--api", &format!("https://localhost:{port}"), "--cacert", "ca.pem"])
    };
    let good = days(tls::NOW);
    let expired = days((2000, 2001));
    let document = tokio::task::spawn_blocking(|| good.run().expect(0).document()).await.unwrap();
    says(&document, "tls", "passed", "TLS 1.3, issued by \"Home CA\", ");
    let end = jiff::civil::date(2099, 1, 1).to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp();
    let left = (end - jiff::Timestamp::now()).get_seconds() / 86_400;
    says(&document, "tls", "passed", &format!(", {left} days left"));
    says(&document, "dns", "passed", "localhost is at ");
    let output = tokio::task::spawn_blocking(|| expired.run()).await.unwrap();
    let document = broken(output, "tls", "renew it");
    says(&document, "tls", "failed", "expired on 2001-01-01");
    says(&document, "api", "notChecked", "no connection");
}

#[tokio::test]
async fn a_proxy_is_named() {
    let mock = mock(&[]);
    let authority = tls::Authority::new();
    let port = tls::proxy(([127, 0, 0, 1], authority.front("nests.example", tls::NOW, mock.address())).into());
    let through = |port: u16| {
        let call = Nest::alone().file("ca.pem", &authority.pem, 0o644);
        let call = call.env("HTTPS_PROXY", format!("http://me:hunter2@127.0.0.1:{port}"));
        call.args(["doctor", "--json", "--api", "https://nests.example", "--cacert", "ca.pem"])
    };
    let (good, bad) = (through(port), through(1));
    let output = tokio::task::spawn_blocking(|| good.run()).await.unwrap();
    assert!(!format!("{output:?}").contains("hunter2"), "{output:?}");
    let document = output.expect(0).document();
    says(&document, "proxy", "passed", &format!("127.0.0.1:{port} (HTTPS_PROXY)"));
    says(&document, "tls", "passed", "the certificate is good");
    assert_eq!(with(&document, "notChecked"), ["dns", "tcp", "signature"]);
    let output = tokio::task::spawn_blocking(|| bad.run()).await.unwrap();
    let document = broken(output, "proxy", "HTTPS_PROXY");
    assert_eq!(with(&document, "failed"), ["proxy"], "{document:#}");
}

#[test]
fn what_hangs_is_not_waited_for() {
    let mock = mock(&[]);
    restart(&mock);
    mock.set_faults(parse(&["redis-hang@info", "redis-hang@token"]));
    let begun = Instant::now();
    let document = doctor(&mock, "demo").args(["--timeout", "1s"]).run().expect(10).document();
    assert_eq!(document["verdict"], "unknown");
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    says(&document, "record", "notChecked", "the API does not say");
    says(&document, "signature", "notChecked", "");
    says(&document, "room", "passed", "there is an audio room");
}

#[test]
fn another_server_is_no_api() {
    let mock = mock(&["html@health", "empty@guest", "empty@info", "empty@token"]);
    let document = broken(doctor(&mock, "demo").run(), "api", "check --api");
    says(&document, "signature", "notChecked", "no call to try it with");
    let strange = nest(&mock).args(["doctor", "30311:x:y", "--json"]).run().expect(2);
    assert_eq!(strange.document()["error"]["kind"], "usage");
}

/// Nothing that was seen is wrong; but what matters was not seen.
#[test]
fn what_could_not_be_looked_at_is_not_called_healthy() {
    let cases = [
        ("no-answer@info", ["record, signal", "nest, audio room"]),
        ("no-answer@token", ["signature, signal", "your key, audio room"]),
        ("redis-hang", ["signature, record, signal", "your key, nest, audio room"]),
    ];
    at_once(&cases, |&(fault, [missed, parts])| {
        let mock = mock(&[]);
        Nest::new(&mock).args(["restart", "demo"]).run().expect(0);
        mock.set_faults(parse(&[fault]));
        let doctor = |more: &[&str]| {
            Nest::new(&mock).args(["doctor", "demo", "--timeout", "1500ms"]).args(more).run().expect(10)
        };
        let output = doctor(&[]);
        let verdict = format!("could not be checked: {parts}\nnext: it may need more time (--timeout); ");
        assert!(output.stdout.contains(&verdict), "{fault}: {}", output.stdout);
        assert_eq!(doctor(&["--json"]).document()["verdict"], "unknown");
        let quiet = doctor(&["-q"]).stderr;
        assert!(quiet.contains(&format!("could not be checked: {missed}")), "{quiet}");
    });
}

#[test]
fn an_endpoint_that_was_guessed_wrong_is_not_known() {
    let api = Raw::with(|_, head| {
        let (status, body) = match head.split(' ').nth(1).unwrap() {
            path if path.ends_with("/guest") => (200, json!({ "token": token("demo", "guest-1").expose() })),
            path if path.ends_with("/info") => (200, json!({ "participantCount": 0 })),
            "/health" => (200, json!({ "status": "healthy" })),
            _ => (404, json!({ "error": "Endpoint not found" })),
        };
        let body = body.to_string();
        let length = body.len();
        format!("HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes()
    });
    let document = Nest::alone().args(["doctor", "demo", "--api", &api.url(), "--json"]).run().expect(10).document();
    assert_eq!(document["verdict"], "unknown", "{document}");
    for name in ["endpoints", "signal"] {
        says(&document, name, "notChecked", "nobody says where the media server is");
    }
}
