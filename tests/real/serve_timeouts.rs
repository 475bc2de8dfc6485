//! `nest serve` and clients that take too long.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::support::nest::at_once;
use crate::support::serve::Setup;

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
    let alive = || {
        let mut other = TcpStream::connect(&address).unwrap();
        other.write_all(b"GET /health/alive HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        // Refused without a look at the request.
        let _ = other.read_to_string(&mut answer);
        answer.starts_with("HTTP/1.1 200 ")
    };
    assert!(!alive(), "there is one connection only");
    while !alive() {
        assert!(begun.elapsed() < Duration::from_secs(45), "it is still there");
        std::thread::sleep(Duration::from_millis(500));
    }
}
