//! What strangers can make this machine do: whom to call, and what to remember.

use std::io::Write as _;
use std::net::TcpListener;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nostr_sdk::nips::nip01::Coordinate;
use nostr_sdk::nips::nip19::{Nip19Coordinate, ToBech32 as _};
use nostr_sdk::{Keys, Kind, RelayUrl};
use tokio::task::spawn_blocking;
use tokio_tungstenite::tungstenite;

use crate::support::check::token;
use crate::support::fake_livekit::{Act, FakeLiveKit, Script, join};
use crate::support::nest::{Nest, at_once, mock};
use crate::support::nostr_client::{Relay, event, naddr};
use crate::support::process::signal;
use crate::support::raw::Raw;

/// A link whose relay is this machine: nobody is called, and the hint says how to call it all the same.
#[test]
fn a_link_does_not_lead_to_this_machine() {
    let here = TcpListener::bind("127.0.0.1:0").unwrap();
    here.set_nonblocking(true).unwrap();
    let relay = format!("ws://{}", here.local_addr().unwrap());
    let link = naddr(&event(&Keys::generate(), "d", 0, &[]), &[&relay]);
    for command in ["status", "check", "doctor", "token", "restart", "close"] {
        let output = Nest::alone().args([command, &link, "--timeout", "2s"]).run();
        assert!(output.code != 0 && here.accept().is_err(), "{command}: {output:?}");
        let said = output.stdout + &output.stderr;
        let why = format!("{relay}: only a link or an event that anybody may have written leads to 127.0.0.1");
        assert!(matches!(command, "token" | "restart" | "close") || said.contains(&why), "{command}: {said}");
    }
    let hint = format!("name it yourself: --relay {relay}");
    let output = Nest::alone().args(["check", &link, "--timeout", "2s"]).run();
    assert!(output.stderr.contains(&hint), "{}", output.stderr);
    Nest::alone().args(["status", &link, "--timeout", "2s", "--relay", &relay]).run();
    assert!(here.accept().is_ok());
}

/// A public event that names the networks around this machine. Its relay is here, and so others here may be called; the
/// rest is what the event says alone.
#[test]
fn an_event_does_not_lead_into_private_networks() {
    let host = Keys::generate();
    let service = ["service", "http://192.168.77.77/api/v1/nests"];
    let media = [["streaming", "https://10.77.77.77:4443"], ["auth", "https://10.77.77.77/auth"]];
    let titled =
        |id: &str, more: &[&[&str]]| event(&host, id, 0, &[&[&["title", "T"][..], &["status", "live"]], more].concat());
    let livekit = titled("a", &[&service]);
    let quic = titled("b", &[&media[0], &media[1]]);
    let relay = Relay::with(vec![livekit.clone(), quic.clone()]);
    let at = |event, args: &[&str]| {
        let link = naddr(event, &[&relay.url]);
        let nest = Nest::alone().args(args).args([&*link, "--relay", &relay.url, "--allow-http", "--timeout", "20s"]);
        let began = std::time::Instant::now();
        let output = nest.run();
        assert!(began.elapsed().as_secs() < 10, "{args:?}: something was called");
        output.stdout + &output.stderr
    };
    for command in ["status", "check", "doctor"] {
        let said = at(&livekit, &[command]);
        assert!(said.contains("leads to 192.168.77.77, an address of a private network"), "{command}: {said}");
        let said = at(&quic, &[if command == "doctor" { "check" } else { command }]);
        assert!(said.contains("leads to 10.77.77.77, an address of a private network"), "{command}: {said}");
    }
    assert!(at(&livekit, &["check"]).contains("name it yourself: --api http://192.168.77.77/api/v1/nests"));
}

/// Neither does what such an event says of the media server, where its API is one that may be called.
#[test]
fn an_event_does_not_lead_to_a_private_media_server() {
    let mock = mock(&[]);
    Nest::new(&mock).args(["restart", "demo"]).run().expect(0);
    let service = format!("{}/api/v1/nests", mock.api());
    let tags: [&[&str]; 3] = [&["status", "open"], &["service", &service], &["streaming", "wss://10.77.77.77"]];
    let event = event(mock.host(), "demo", 0, &tags);
    let relay = Relay::with(vec![event.clone()]);
    let link = naddr(&event, &[&relay.url]);
    let check = |key: &Keys| {
        let args = ["check", &link, "--join", "--relay", &relay.url, "--timeout", "3s", "--json"];
        let document = Nest::alone().env("NEST_KEY", key.secret_key().to_secret_hex()).args(args).run().document();
        document["steps"][1]["detail"].as_str().unwrap().to_owned()
    };
    let why = "leads to 10.77.77.77, an address of a private network";
    let said = check(&Keys::generate());
    assert!(said.contains(why), "{said}");
    // The host's own event may.
    let said = check(mock.host());
    assert!(!said.contains(why) && said.contains("10.77.77.77"), "{said}");
}

/// Few of the addresses that a media server names are dialled, and none after the first 64.
#[cfg(feature = "media")]
#[tokio::test(flavor = "multi_thread")]
async fn a_media_server_does_not_make_us_dial_without_end() {
    use livekit_protocol::signal_response::Message as Response;
    use livekit_protocol::{IceServer, JoinResponse, SignalTarget, TrickleRequest};

    let trickle = |transport: &str, port: u16| {
        let candidate = format!("candidate:1 1 {transport} 1671430143 127.0.0.1 {port} typ host tcptype passive");
        let candidate_init = serde_json::json!({ "candidate": candidate, "sdpMLineIndex": 0 }).to_string();
        let trickle = TrickleRequest { candidate_init, target: SignalTarget::Publisher.into(), r#final: false };
        Act::Say(Box::new(Response::Trickle(trickle)))
    };
    // So many by UDP, so many by TCP, and then so many more by TCP.
    for (udp, first, more, dialled) in [(0, 64, 0, (8, 0)), (60, 4, 50, (4, 0)), (50, 4, 10, (4, 4))] {
        let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let [one, other] = listeners.each_ref().map(|listener| listener.local_addr().unwrap().port());
        let mut acts: Vec<_> = (0..udp).map(|_| trickle("udp", one)).collect();
        acts.extend((0..first).map(|_| trickle("tcp", one)));
        acts.extend((0..more).map(|_| trickle("tcp", other)));
        acts.push(Act::Serve);
        // One that names no such server is taken for one without audio.
        let ice = IceServer { urls: vec!["stun:127.0.0.1:9".into()], ..IceServer::default() };
        let server =
            FakeLiveKit::start(Script::joining(JoinResponse { ice_servers: vec![ice], ..join() }, &acts)).await;
        let args = ["check", "--url", &server.url(), "--token-file", "token", "--timeout", "2s"].map(str::to_owned);
        let nest = Nest::alone().file("token", token("demo", "guest-1").expose(), 0o600).args(args);
        spawn_blocking(move || nest.run()).await.unwrap();
        let [one, other] = listeners.map(|listener| {
            listener.set_nonblocking(true).unwrap();
            std::iter::from_fn(|| listener.accept().ok()).count()
        });
        assert_eq!((one, other), dialled, "{udp} {first} {more}");
    }
}

/// An API that the user has named may say where its media server is, and one that only an event names may not.
#[test]
fn an_api_leads_where_its_own_name_may() {
    let mock = mock(&["internal-endpoint=10.77.77.77:7880"]);
    let said = Nest::new(&mock).args(["check", "demo", "--timeout", "3s"]).run();
    assert!(!said.stderr.contains("is not called"), "{said:?}");
    let api = Raw::with(|_, _| Vec::new());
    let host = Keys::generate();
    let event = event(
        &host,
        "a",
        0,
        &[&["title", "T"], &["status", "live"], &["service", &format!("{}/api/v1/nests", api.url())]],
    );
    let relay = Relay::with(vec![event.clone()]);
    let link = naddr(&event, &[&relay.url]);
    Nest::alone().args(["status", &link, "--relay", &relay.url, "--timeout", "2s"]).run();
    assert!(api.asked() > 0, "the relay that was named is on this machine, too");
}

/// Pings without end, and not one pong is read; or huge messages, a little at a time.
#[test]
fn a_hostile_relay_costs_little_memory() {
    let mock = mock(&[]);
    let coordinate = Coordinate::new(Kind::from(30312), mock.host().public_key()).identifier("demo");
    let naddr = |relay: &str| {
        let relays = vec![RelayUrl::parse(relay).unwrap()];
        Nip19Coordinate { coordinate: coordinate.clone(), relays }.to_bech32().unwrap()
    };
    let ping = [0x89, 0x7d];
    let huge = [&[0x81, 0x7f][..], &900_000_u64.to_be_bytes()].concat();
    let relays = [hostile(&ping, 125, true), hostile(&huge, 900_000, false)];
    let commands =
        ["list", "list -f", "status", "status -f", "restart", "check", "doctor", "token", "recreate", "close"];
    let cases: Vec<_> = relays.iter().flat_map(|relay| commands.map(|command| (relay, command))).collect();
    let measured = AtomicUsize::new(0);
    at_once(&cases, |(relay, command)| {
        let mut args: Vec<_> = command.split(' ').map(str::to_owned).collect();
        if args[0] != "list" {
            args.push(naddr(relay));
        }
        args.extend(["--relay", relay, "--relay-timeout", "2s"].map(str::to_owned));
        let (most, _) = watched(Nest::new(&mock).args(&args));
        assert!(most < 30_000, "{args:?}: {most} kB");
        measured.fetch_add(usize::from(most > 500), Ordering::Relaxed);
    });
    // Some give up on such a relay sooner than one can look.
    assert!(measured.into_inner() * 2 > cases.len());
}

/// The same from a media server, before it has let anybody in and after.
#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_media_server_costs_little_memory() {
    let flood = || Act::Flood([&[0x89, 0x7d][..], &[0; 125]].concat());
    let closed = Script { acts: vec![flood()], ..Script::joining(join(), &[]) };
    for (script, when) in [(closed, "before"), (Script::joining(join(), &[flood()]), "after")] {
        let server = FakeLiveKit::start(script).await;
        for more in [&[][..], &["--hold", "5s"]] {
            let args = ["check", "--url", &server.url(), "--token-file", "token", "--timeout", "8s"].map(str::to_owned);
            let nest = Nest::alone().file("token", token("demo", "guest-1").expose(), 0o600).args(args).args(more);
            let (most, said) = spawn_blocking(move || watched(nest)).await.unwrap();
            assert!(most < 30_000, "{when} {more:?}: {most} kB");
            assert!(said.contains("sends pings without end"), "{when} {more:?}: {said}");
        }
    }
}

/// Runs it for four seconds at most; the most memory that it has filled itself, in kilobytes, and what it said.
fn watched(nest: Nest) -> (u64, String) {
    let (mut command, _home) = nest.into_parts();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let (begun, mut most) = (Instant::now(), 0);
    while child.try_wait().unwrap().is_none() && begun.elapsed() < Duration::from_secs(4) {
        most = most.max(anonymous_kb(child.id()));
        thread::sleep(Duration::from_millis(10));
    }
    if child.try_wait().unwrap().is_none() {
        signal(child.id(), "INT");
    }
    (most, String::from_utf8(child.wait_with_output().unwrap().stderr).unwrap())
}

/// Memory that a process has filled itself, in kilobytes; nothing once it has ended. Before it becomes nest, it is a copy of
/// this test and has its memory and its name.
fn anonymous_kb(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    if !status.starts_with("Name:\tnest\n") {
        return 0;
    }
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    line.map_or(0, |line| line.trim().trim_end_matches(" kB").parse().unwrap())
}

/// The URL of a relay that reads nothing and sends frames of so many zeros without end, as fast as it can or little by
/// little.
fn hostile(head: &[u8], zeros: usize, fast: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let frame = [head, &vec![0; zeros]].concat();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let frame = frame.clone();
            thread::spawn(move || {
                let Ok(mut socket) = tungstenite::accept(stream.unwrap()) else { return };
                let pieces = if fast { frame.len() } else { 10_000 };
                for piece in frame.chunks(pieces).cycle() {
                    if socket.get_mut().write_all(piece).is_err() {
                        return;
                    }
                    thread::sleep(Duration::from_millis(if fast { 0 } else { 20 }));
                }
            });
        }
    });
    url
}
