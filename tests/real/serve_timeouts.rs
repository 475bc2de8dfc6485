//! `nest serve` and clients that take too long.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use nostr::Keys;
use reqwest::Method;

use crate::support::livekit::LiveKit;
use crate::support::nest::at_once;
use crate::support::nests_api::client;
use crate::support::redis::Redis;
use crate::support::serve::{Reply, Serve, Setup};

#[test]
#[ignore = "needs 15 s"]
fn whoever_takes_too_long_is_cut_off() {
    let serve = Setup::alone().start();
    let head = "POST /api/v1/nests/a/restart HTTP/1.1\r\nhost: x\r\n";
    let slow = [
        ("", String::new()),
        ("half a head", head.to_owned()),
        ("half a body", format!("{head}content-length: 10\r\n\r\n{{")),
        ("nothing more", "GET /health/alive HTTP/1.1\r\nhost: x\r\n\r\n".to_owned()),
    ];
    at_once(&slow, |(name, request)| {
        let begun = Instant::now();
        let mut stream = TcpStream::connect(serve.origin.trim_start_matches("http://")).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(25))).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(begun.elapsed() < Duration::from_secs(20), "{name}: {:?}", begun.elapsed());
        if *name == "half a body" {
            assert!(answer.starts_with("HTTP/1.1 408 ") && answer.ends_with("takes too long\"}"), "{answer}");
        }
    });
}

/// Hyper waits for ever for somebody to read: so a few clients could have had all connections.
#[test]
#[ignore = "needs 15 s"]
fn whoever_does_not_read_is_cut_off() {
    let serve = Setup::alone().args(["--max-connections", "1", "--rate-limit", "0"]).start();
    let address = serve.origin.trim_start_matches("http://").to_owned();
    let mut stream = TcpStream::connect(&address).unwrap();
    stream.set_write_timeout(Some(Duration::from_secs(2))).unwrap();
    let requests = "GET /nowhere HTTP/1.1\r\nhost: x\r\n\r\n".repeat(1000);
    // Until the answers to them fill all that the system keeps, and nothing more is read.
    let begun = Instant::now();
    while stream.write_all(requests.as_bytes()).is_ok() {
        assert!(begun.elapsed() < Duration::from_secs(30), "it reads on");
    }
    let answered = || {
        let mut other = TcpStream::connect(&address).unwrap();
        other.write_all(b"GET /nowhere HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        // Refused without a look at the request.
        let _ = other.read_to_string(&mut answer);
        answer.starts_with("HTTP/1.1 404 ")
    };
    assert!(!answered(), "there is one connection only");
    while !answered() {
        assert!(begun.elapsed() < Duration::from_secs(45), "it is still there");
        std::thread::sleep(Duration::from_millis(500));
    }
}

fn connect(serve: &Serve) -> TcpStream {
    TcpStream::connect(serve.origin.trim_start_matches("http://")).unwrap()
}

/// The status of the answer to one request on a connection of its own; nothing if it was closed.
fn ask(serve: &Serve, path: &str) -> String {
    let mut stream = connect(serve);
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    let mut answer = String::new();
    // It may be closed before the request is written.
    let _ = stream.write_all(request.as_bytes()).and_then(|()| stream.read_to_string(&mut answer).map(drop));
    answer.split(' ').nth(1).unwrap_or_default().to_owned()
}

/// Holds so many connections, each of which has begun to send this.
fn crowd(serve: &Serve, count: usize, request: &str) -> Vec<TcpStream> {
    let open = |_| {
        let mut stream = connect(serve);
        stream.set_nonblocking(true).unwrap();
        // As much as is taken: where nobody reads the answers, nobody reads the requests.
        let _ = stream.write(request.as_bytes());
        stream
    };
    (0..count).map(open).collect()
}

/// No event for a while: everybody waits for somebody.
fn until_quiet(serve: &Serve) {
    while serve.log.recv_timeout(Duration::from_millis(500)).is_ok() {}
}

/// A server on Redis and LiveKit, and what its readers ask for: an answer of ten kilobytes, many times.
struct Crowded {
    _redis: Redis,
    _livekit: LiveKit,
    serve: Serve,
    readers: String,
}

impl Crowded {
    async fn new(connections: &str) -> Self {
        let (redis, livekit) = (Redis::start(), LiveKit::start(false));
        let setup = Setup::new(&redis.url(), &livekit.url);
        let serve = setup.args(["--rate-limit", "0", "--max-connections", connections]).announcing(&livekit.url);
        // The metrics have ten lines for each call that was made.
        for (method, path) in [
            (Method::PUT, ""),
            (Method::POST, "/a/restart"),
            (Method::GET, "/a"),
            (Method::GET, "/a/guest"),
            (Method::GET, "/a/info"),
            (Method::POST, "/a/permissions"),
            (Method::DELETE, "/a"),
            (Method::POST, "/webhook"),
        ] {
            serve.call(&Keys::generate(), method, &format!("/api/v1/nests{path}"), None).await;
        }
        let readers = "GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n".repeat(30);
        Self { _redis: redis, _livekit: livekit, serve, readers }
    }
}

#[tokio::test]
#[ignore = "needs redis, livekit and a minute"]
async fn a_thousand_who_do_not_read_are_outlived() {
    let Crowded { serve, readers, .. } = &Crowded::new("1024").await;
    let _crowd = crowd(serve, 1024, readers);
    until_quiet(serve);
    let begun = Instant::now();
    assert_eq!(ask(serve, "/health/alive"), "200");
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    until_empty(serve).await;
    assert!(serve.memory() < 200 * 1024, "{} KiB", serve.memory());
}

#[tokio::test]
#[ignore = "needs redis, livekit and a minute"]
async fn slow_heads_bodies_and_readers_do_not_stop_a_restart() {
    let Crowded { serve, readers, .. } = &Crowded::new("2000").await;
    let host = Keys::generate();
    let id = serve.create(&host).await;
    let head = "POST /api/v1/nests/a/restart HTTP/1.1\r\nhost: x\r\n";
    let _heads = crowd(serve, 500, head);
    let _bodies = crowd(serve, 500, &format!("{head}content-length: 10\r\n\r\n{{"));
    let _readers = crowd(serve, 500, readers);
    until_quiet(serve);
    let begun = Instant::now();
    serve.restart(&host, &id).await.expect(200);
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    until_empty(serve).await;
}

/// Waits until all have been closed who do not go on; meanwhile it always says that it lives.
async fn until_empty(serve: &Serve) {
    let begun = Instant::now();
    loop {
        assert_eq!(ask(serve, "/health/alive"), "200");
        let metrics = serve.get("/metrics").await.text;
        if metrics.lines().any(|line| line == "nest_serve_connections 1") {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "they are still there: {metrics}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Once the first thing that failed was what it had to ask Redis and LiveKit.
#[tokio::test]
#[ignore = "needs redis and livekit"]
async fn strangers_do_not_use_up_its_file_descriptors() {
    use std::os::unix::fs::PermissionsExt as _;
    let (redis, livekit) = (Redis::start(), LiveKit::start(false));
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("nest");
    let few = format!("#!/bin/sh\nulimit -n 100\nexec {} \"$@\"\n", env!("CARGO_BIN_EXE_nest"));
    std::fs::write(&program, few).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let serve = Setup::of(program.to_str().unwrap(), &redis.url(), &livekit.url).announcing(&livekit.url);
    let host = Keys::generate();
    // A host is there before the crowd is, on a connection that stays.
    let connected = client();
    let id = serve.create(&host).await;
    let restart = serve.request(&host, Method::POST, &format!("/api/v1/nests/{id}/restart"), None);
    let restart = restart.build().unwrap();
    Reply::of(connected.get(serve.url("/health")).send().await.unwrap()).await.expect(200);
    let _crowd = crowd(&serve, 500, "GET / HTTP/1.1\r\n");
    let begun = Instant::now();
    while ask(&serve, "/health/alive") != "200" {
        assert!(begun.elapsed() < Duration::from_secs(10), "it does not answer");
    }
    assert_eq!(ask(&serve, "/nowhere"), "503");
    Reply::of(connected.execute(restart).await.unwrap()).await.expect(200);
    assert!(serve.lines().concat().contains("warning: no more than 36 connections"));
}
