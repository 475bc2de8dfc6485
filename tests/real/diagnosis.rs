//! What `nest` says of a nest is what the livekit-server's own `RoomService` and an independent client say.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nostr_nests::secret::Secret;
use nostr_nests::server::media::LivekitConfig;
use nostr_nests::server::{Mock, Options};
use serde_json::{Value, json};

use crate::support::check::{certificate, now_ms, tls_listener, token};
use crate::support::livekit::{KEY, LiveKit, SECRET, Spec};
use crate::support::nest::{Nest, parse};
use crate::support::room_event;
use crate::support::signal::Signal;

/// A situation, and what is called in it.
struct Row {
    name: &'static str,
    auto_create: bool,
    faults: &'static [&'static str],
    arrange: &'static [Arrange],
    call: &'static [&'static str],
    /// The first link that the doctor calls broken; `None`: nothing is wrong.
    broken: Option<&'static str>,
}

#[derive(Clone, Copy, PartialEq)]
enum Arrange {
    /// The API restarts the nest.
    Restart,
    /// A real restart deletes the room at the media server only.
    DeleteRoom,
    /// Somebody comes in and stays.
    Guest,
    /// The API forgets the nest.
    Forget,
    /// The event names an address that only the server knows, before the right one.
    InternalFirst,
    /// The event names the media server behind TLS only.
    Tls,
    /// The event names a place where nobody listens, and no other.
    Elsewhere,
    /// The nest is called by its id alone, and its event names the media server.
    Bare,
    /// The media server takes no audio by UDP.
    ForceTcp,
}

use Arrange::{Bare, DeleteRoom, Elsewhere, ForceTcp, Forget, Guest, InternalFirst, Restart, Tls};

const CHECK: &[&str] = &["check", "--join"];
const CHECK_RESTART: &[&str] = &["restart", "--check"];
const HOLD_RESTART: &[&str] = &["restart", "--check", "--hold", "5s"];

#[rustfmt::skip]
const ROWS: &[Row] = &[
    Row { name: "dead", auto_create: false, faults: &[], arrange: &[], call: CHECK, broken: Some("room") },
    Row { name: "dead, where joining makes rooms", auto_create: true, faults: &[], arrange: &[], call: CHECK, broken: Some("room") },
    Row { name: "alive", auto_create: false, faults: &[], arrange: &[Restart], call: CHECK, broken: None },
    Row { name: "alive with people", auto_create: false, faults: &[], arrange: &[Restart, Guest], call: CHECK, broken: None },
    Row { name: "alive without a record", auto_create: false, faults: &[], arrange: &[Restart, Forget], call: CHECK, broken: Some("record") },
    Row { name: "gone at the media server", auto_create: false, faults: &[], arrange: &[Restart, DeleteRoom], call: CHECK, broken: Some("room") },
    Row { name: "restarted from dead", auto_create: false, faults: &[], arrange: &[], call: CHECK_RESTART, broken: None },
    Row { name: "restarted from alive", auto_create: false, faults: &[], arrange: &[Restart, Guest], call: CHECK_RESTART, broken: None },
    Row { name: "restarted, where joining makes rooms", auto_create: true, faults: &[], arrange: &[Restart, Guest], call: CHECK_RESTART, broken: None },
    Row { name: "restarted in words only", auto_create: false, faults: &["old-room-kept"], arrange: &[Restart, Guest], call: CHECK_RESTART, broken: None },
    Row { name: "restarted in words only, nobody inside", auto_create: true, faults: &["old-room-kept"], arrange: &[Restart], call: CHECK_RESTART, broken: None },
    Row { name: "tokens of another secret", auto_create: false, faults: &["wrong-secret"], arrange: &[Restart], call: CHECK, broken: Some("signal") },
    Row { name: "restarted with another secret", auto_create: false, faults: &["wrong-secret"], arrange: &[], call: CHECK_RESTART, broken: Some("signal") },
    Row { name: "tokens of yesterday", auto_create: false, faults: &["clock=-24h"], arrange: &[Restart], call: CHECK, broken: Some("signal") },
    Row { name: "an internal name first", auto_create: false, faults: &[], arrange: &[Restart, InternalFirst], call: CHECK, broken: None },
    Row { name: "behind TLS", auto_create: false, faults: &[], arrange: &[Restart, Tls], call: CHECK, broken: None },
    Row { name: "nobody at the endpoint", auto_create: false, faults: &[], arrange: &[Restart, Elsewhere], call: CHECK, broken: Some("signal") },
    Row { name: "by its bare name", auto_create: false, faults: &[], arrange: &[Restart, Bare], call: CHECK, broken: None },
    Row { name: "restarted, then torn down", auto_create: false, faults: &["late-teardown=1200ms"], arrange: &[Restart], call: HOLD_RESTART, broken: Some("room") },
    Row { name: "by TCP only", auto_create: false, faults: &[], arrange: &[ForceTcp, Restart], call: CHECK, broken: None },
];

/// What is the case, as the media server and an independent client have it.
#[derive(Debug, PartialEq)]
struct Truth {
    sid: Option<String>,
    inside: usize,
    /// The API's own guest token, at the address that people use, lets the independent client in.
    joins: bool,
}

impl Truth {
    async fn of(server: &LiveKit, mock: &Mock, at: &str) -> Self {
        let sid = server.sid("demo").await;
        let inside = if sid.is_some() { server.inside("demo").await } else { 0 };
        let guest: Value = {
            let url = format!("{}/api/v1/nests/demo/guest", mock.api());
            serde_json::from_str(&server.http.get(url).send().await.unwrap().text().await.unwrap()).unwrap()
        };
        let joins = match guest["token"].as_str() {
            Some(token) if sid.is_some() => joins(at, token),
            _ => false,
        };
        Self { sid, inside, joins }
    }
}

/// LiveKit's own client, from another registry, media included. Its threads abort the process now and then, where Python
/// ends in the usual way.
fn joins(url: &str, token: &str) -> bool {
    const SCRIPT: &str = "import asyncio, os, sys\nfrom livekit import rtc\nasync def main():\n    room = rtc.Room()\n    \
        await asyncio.wait_for(room.connect(sys.argv[1], sys.argv[2]), 10)\n    await room.disconnect()\nasyncio.run(main())\nos._exit(0)";
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/livekit-py/bin/python");
    let enters = || Command::new(&python).args(["-c", SCRIPT, url, token]).output().unwrap().status.success();
    // On a busy machine that client gives up now and then.
    enters() || enters()
}

/// What has to be said of it.
fn expected(row: &Row, before: &Truth, after: &Truth) -> i32 {
    let restarted = row.call[0] == "restart";
    match (&after.sid, after.joins) {
        (None, _) => {
            if restarted {
                10
            } else {
                6
            }
        }
        (Some(_), false) => 10,
        (Some(_), true) if restarted && before.sid == after.sid => 10,
        (Some(_), true) => 0,
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs livekit"]
async fn the_verdict_is_the_truth() {
    for row in ROWS {
        let server = LiveKit::start_as(&Spec {
            auto_create: row.auto_create,
            rtc: format!(
                "{}{}",
                Spec::default().rtc,
                if row.arrange.contains(&ForceTcp) { ", force_tcp: true" } else { "" }
            ),
            ..Spec::default()
        });
        let config = LivekitConfig { url: server.url("ws", ""), key: KEY.into(), secret: Secret::new(SECRET) };
        let mock = Mock::start(Options { livekit: Some(config), ..Options::default() }).unwrap();
        let mut inside = Vec::new();
        let mut authority = None;
        for arrange in row.arrange {
            match arrange {
                Restart => drop(Nest::new(&mock).args(["restart", "demo"]).run().expect(0)),
                DeleteRoom => server.delete("demo").await,
                Guest => {
                    inside.push(Signal::join(&server.url("ws", ""), token("demo", "guest-1").expose()).await.unwrap());
                }
                Forget => mock.forget("demo"),
                InternalFirst => {
                    let right = server.url("wss+livekit", "");
                    name_endpoints(&mock, &["wss+livekit://livekit:7880", &right]).await;
                }
                Tls => {
                    let (certificate, root) = certificate("localhost", -1..1);
                    let port = tls_listener(server.port, certificate).await;
                    name_endpoints(&mock, &[&format!("wss://localhost:{port}")]).await;
                    authority = Some(pem(&root));
                }
                Bare => name_endpoints(&mock, &[&server.url("wss+livekit", "")]).await,
                ForceTcp => {}
                Elsewhere => name_endpoints(&mock, &["wss+livekit://127.0.0.1:1"]).await,
            }
        }
        mock.set_faults(parse(row.faults));
        let before = Truth::of(&server, &mock, &server.url("ws", "")).await;
        if row.call[0] == "restart" {
            // Tells a room that was kept from one that was made at the same moment.
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        let name = if row.arrange.contains(&Bare) { "demo".to_owned() } else { room_event::naddr(&mock) };
        let call = |verb: &str| {
            let nest = Nest::new(&mock).env("NEST_RELAYS", mock.relay()).args([verb, &name, "--json"]);
            match &authority {
                Some(pem) => nest.file("ca.pem", pem, 0o644).args(["--cacert", "ca.pem"]),
                None => nest,
            }
        };
        let (verb, more) = row.call.split_first().unwrap();
        let nest = call(verb).args(more);
        let output = tokio::task::spawn_blocking(|| nest.run()).await.unwrap();
        let document = output.document();
        let report = document.get("check").unwrap_or(&document);
        let room = &report["room"];
        // Two who have joined and left would be two too many: the check first, then the client.
        let told = room["participants"].as_u64().map_or(0, |count| usize::try_from(count).unwrap());
        let inside_now = if before.sid.is_some() { server.settled("demo", told).await } else { 0 };
        let after = {
            let elsewhere = row.arrange.contains(&Elsewhere);
            Truth::of(&server, &mock, &if elsewhere { "ws://127.0.0.1:1".into() } else { server.url("ws", "") }).await
        };
        let context = format!("{}: {before:?}, {after:?}\n{output:?}", row.name);
        assert_eq!(output.code, expected(row, &before, &after), "{context}");
        if let Some(sid) = after.sid.as_ref().filter(|_| !room.is_null()) {
            assert_eq!(room["participants"], inside_now, "{context}");
            let renewed = row.call == CHECK_RESTART && output.code == 0;
            let told = told_of_room(&document, room, renewed);
            assert_eq!(told, (json!(sid), (inside_now == 0).then_some(true)), "{context}");
        }
        if output.code == 0 {
            assert_eq!(report["verdict"], "joinable", "{context}");
            let way = if row.arrange.contains(&ForceTcp) { "tcp" } else { "udp" };
            assert_eq!(report["media"]["protocol"], way, "{context}");
        }

        // Whoever only looks says the same of the room, and leaves everything as it is.
        let before = (server.sid("demo").await, inside.len());
        let status = call("status");
        let status = tokio::task::spawn_blocking(|| status.run()).await.unwrap();
        let standing = status.document();
        let (state, code) = match before.0 {
            Some(_) => ("running", 0),
            None if row.arrange.contains(&Forget) => ("gone", 10),
            None => ("inactive", 10),
        };
        assert_eq!((standing["state"].as_str(), status.code), (Some(state), code), "{context}\n{standing:#}");
        assert_eq!(standing["audioRoom"], before.0.is_some(), "{context}\n{standing:#}");
        if before.0.is_some() && !row.arrange.contains(&Forget) {
            let told = usize::try_from(standing["participants"].as_u64().unwrap()).unwrap();
            assert_eq!(told, server.settled("demo", told).await, "{context}\n{standing:#}");
        }
        let doctor = call("doctor");
        let doctor = tokio::task::spawn_blocking(|| doctor.run()).await.unwrap();
        let told = doctor.document();
        let first = told["steps"].as_array().unwrap().iter().find(|step| step["status"] == "failed");
        let verdict = if row.broken.is_some() { ("unhealthy", 10) } else { ("healthy", 0) };
        assert_eq!(first.map(|step| step["name"].as_str().unwrap()), row.broken, "{context}\n{told:#}");
        assert_eq!((told["verdict"].as_str().unwrap(), doctor.code), verdict, "{context}\n{told:#}");
        assert_eq!(server.sid("demo").await, before.0, "{context}");
    }
}

/// The SID of the room that stays, and whether it closes in due time, if it does.
fn told_of_room(document: &Value, checked: &Value, renewed: bool) -> (Value, Option<bool>) {
    let (sid, closes, life_s) = if renewed {
        (&document["renewedAs"], &document["closesAt"], 1785..=1800)
    } else {
        (&checked["sid"], &checked["closesAt"], 45..=60)
    };
    let left_s = closes.as_str().map(|at| at.parse::<jiff::Timestamp>().unwrap().as_second() - now_ms() / 1000);
    (sid.clone(), left_s.map(|left_s| life_s.contains(&left_s)))
}

async fn name_endpoints(mock: &Mock, endpoints: &[&str]) {
    let service = format!("{}/api/v1/nests", mock.api());
    let streaming: Vec<_> = endpoints.iter().map(|endpoint| ["streaming", *endpoint]).collect();
    let mut tags: Vec<&[&str]> = vec![&["status", "open"]];
    let service = ["service", service.as_str()];
    tags.push(&service);
    tags.extend(streaming.iter().map(<[_; 2]>::as_slice));
    room_event::publish(mock, &tags).await;
}

fn pem(certificate: &rustls::pki_types::CertificateDer<'_>) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(certificate);
    format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
}
