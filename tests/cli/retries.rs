//! What is tried again, how often, after how long; clocks that are repaired; one restart of a room at a time.

use std::net::TcpListener;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nostr_nests::clock::{Clock, http_date};
use nostr_nests::server::{Mock, Options};

use crate::support::nest::{self, Nest, Output, at_once, mock, parse};
use crate::support::raw::Raw;

const RESTART: &str = "/api/v1/nests/demo/restart";

fn restart(mock: &Mock, args: &[&str]) -> Output {
    Nest::new(mock).args(["restart", "demo"]).args(args).run()
}

/// Restarts and returns how often it was tried, and how long it took.
#[track_caller]
fn tries(faults: &[&str], args: &[&str], code: i32) -> (usize, Duration) {
    let mock = mock(faults);
    let since = Instant::now();
    restart(&mock, args).expect(code);
    (mock.requests(RESTART), since.elapsed())
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn what_is_safe_to_repeat_is_repeated() {
    at_once(&[429, 500, 502, 503], |status| {
        assert_eq!(tries(&[&format!("status={status}x1")], &[], 0).0, 2, "{status}");
        assert_eq!(
            tries(&[&format!("status={status}")], &["--retries", "0"], if *status == 429 { 11 } else { 7 }).0,
            1
        );
    });
    at_once(&[(301, 7), (400, 7), (401, 4), (403, 5), (404, 6), (501, 7), (504, 9)], |&(status, code)| {
        assert_eq!(tries(&[&format!("status={status}")], &["--timeout", "5s"], code).0, 1, "{status}");
    });
}

#[test]
fn the_pauses_grow() {
    // 250–500 ms, then 500–1000 ms.
    let (tried, took) = tries(&["status=500"], &["--retries", "2"], 7);
    assert_eq!(tried, 3);
    assert!((ms(750)..ms(2500)).contains(&took), "{took:?}");
}

#[test]
fn retry_after_is_honoured_within_max_wait() {
    let (tried, took) = tries(&["status=429,1sx1"], &[], 0);
    assert_eq!(tried, 2);
    assert!((ms(1000)..ms(2500)).contains(&took), "{took:?}");
    let (tried, took) = tries(&["plain-text=429,20s"], &["--max-wait", "1s"], 11);
    assert_eq!(tried, 1);
    assert!(took < ms(1000), "{took:?}");
    assert_eq!(tries(&["status=503,61s"], &[], 7).0, 1, "a minute, unless told otherwise");
}

#[test]
fn impossible_pauses_are_survived() {
    for pause in ["18446744073709551615", "-1", "1e9", "soon", "", "Mon, 01 Jan 9999 00:00:00 GMT"] {
        let server = Raw::answering(format!(
            "HTTP/1.1 429 Too Many\r\nRetry-After: {pause}\r\nContent-Length: 4\r\nContent-Type: text/html\r\n\r\nslow"
        ));
        let output = Nest::new(&mock(&[])).env("NEST_API", server.url()).args(["restart", "demo", "--retries", "0"]);
        let stderr = output.run().expect(11).stderr;
        assert!(stderr.contains("the server says: slow\n") && stderr.contains("hint: try again "), "{stderr}");
    }
}

#[test]
fn a_refusal_is_not_forgotten_when_the_server_goes_away() {
    // It answers 500 and is gone: then something was sent after all.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        let (mut stream, _) = listener.accept().unwrap();
        drop(listener);
        let _ = stream.read(&mut [0; 4096]).unwrap();
        let body = "{\"error\":\"Failed to restart nest\"}";
        write!(stream, "HTTP/1.1 500 X\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
    });
    let output = Nest::new(&mock(&[])).env("NEST_API", url).args(["restart", "demo", "--retries", "1"]).run().expect(7);
    server.join().unwrap();
    assert!(output.stderr.starts_with("warning: attempt 2: cannot reach 127.0.0.1:"), "{}", output.stderr);
    assert!(output.stderr.contains("error: the restart failed with status 500, tried 2 times\n"), "{}", output.stderr);
    assert!(!output.stderr.contains("nothing was sent"), "{}", output.stderr);
}

/// A 404 that follows a 502 once passed for proof that nothing was restarted.
#[test]
fn a_404_after_a_gateway_gave_up_proves_nothing() {
    let first = AtomicBool::new(true);
    let server = Raw::with(move |_, head| {
        let gave_up = head.starts_with("POST ") && first.swap(false, Ordering::SeqCst);
        let (status, body) = if gave_up { (502, "") } else { (404, "{\"error\":\"Nest not found\"}") };
        let length = body.len();
        format!("HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes()
    });
    let nest = Nest::new(&mock(&[])).env("NEST_API", server.url());
    let output = nest.args(["restart", "demo", "--retries", "1"]).run().expect(6);
    assert_eq!(server.posted(), 2);
    assert!(!output.stderr.contains("not restarted"), "{}", output.stderr);
}

#[test]
fn a_clock_that_runs_wrong_is_repaired() {
    for (clock, side) in [("clock=-94s", "94 s ahead of"), ("clock=+94s", "94 s behind"), ("clock=+23h", "23 h behind")]
    {
        let mock = mock(&[clock]);
        nest::early_in_a_second();
        let output = restart(&mock, &["--retries", "0", "--json"]).expect(0);
        let warning = format!(
            "your clock is {side} the server's; signed again with the server's time. \
             Set the clock right: `timedatectl set-ntp true`"
        );
        assert_eq!(output.stderr, format!("warning: {warning}\n"));
        let document = output.document();
        assert_eq!((&document["warnings"][0], &document["attempts"]), (&warning.into(), &2.into()));
        assert_eq!(mock.requests(RESTART), 2);
    }
}

#[test]
fn a_clock_that_lies_is_not_believed() {
    for clock in ["clock=2099", "clock=1971", "clock=-25h"] {
        let mock = mock(&[clock]);
        let stderr = restart(&mock, &[]).expect(4).stderr;
        assert_eq!(mock.requests(RESTART), 1, "{clock}");
        assert!(stderr.contains("\n  caused by: the server's clock says "), "{stderr}");
        assert!(
            stderr.contains("; signatures are valid for a minute\n  hint: if the clock here is wrong: "),
            "{stderr}"
        );
        assert!(!stderr.contains("signed was"), "one reason is enough: {stderr}");
    }
}

/// A server that refuses every signature, and whose clock is so many milliseconds ahead.
fn refusing(ahead_ms: i64) -> Raw {
    Raw::with(move |_, _| {
        let date = http_date(Clock::default().now_ms() + ahead_ms);
        format!("HTTP/1.1 401 X\r\nDate: {date}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n").into_bytes()
    })
}

#[test]
fn the_bounds_of_the_repair() {
    for (ahead_s, asked) in [(18, 1), (-18, 1), (20, 2), (-21, 2), (86_399, 2), (-86_399, 2), (86_403, 1), (-86_403, 1)]
    {
        let server = refusing(ahead_s * 1000);
        nest::early_in_a_second();
        let output = Nest::new(&mock(&[])).env("NEST_API", server.url()).args(["restart", "demo"]).run().expect(4);
        assert_eq!(server.posted(), asked, "{ahead_s} s: {}", output.stderr);
        // Signed with the server's time and refused again: then the clock is not why.
        assert_eq!(output.stderr.contains("signed was"), ahead_s.abs() < 86_400, "{}", output.stderr);
    }
}

#[test]
fn over_plain_http_nobody_vouches_for_a_clock() {
    let server = refusing(94_000);
    // The same server, by a name that is not loopback's.
    let url = server.url().replace("127.0.0.1", "0.0.0.0");
    let call = Nest::new(&mock(&[])).env("NEST_API", url).args(["restart", "demo", "--allow-http"]);
    nest::early_in_a_second();
    let stderr = call.run().expect(4).stderr;
    assert_eq!(server.posted(), 1);
    assert!(stderr.contains("your clock is 94 s behind the server's; signatures are valid for a minute"), "{stderr}");
}

#[test]
fn two_at_once_go_one_after_the_other() {
    let mock = mock(&["redis-hang=300ms@restart"]);
    let home = tempfile::tempdir().unwrap();
    let state = home.path().to_str().unwrap();
    let since = Instant::now();
    std::thread::scope(|scope| {
        let one = || Nest::new(&mock).env("XDG_STATE_HOME", state).args(["restart", "demo"]).run().expect(0);
        let (first, second) = (scope.spawn(one), scope.spawn(one));
        assert_eq!(first.join().unwrap().stderr, "");
        assert_eq!(second.join().unwrap().stderr, "");
    });
    assert!(since.elapsed() >= ms(600), "{:?}", since.elapsed());
    assert_eq!(mock.requests(RESTART), 2, "the second does its own");
}

#[test]
fn who_does_not_want_to_wait_is_told() {
    let mock = mock(&["no-answer"]);
    let home = tempfile::tempdir().unwrap();
    let state = home.path().to_str().unwrap();
    let first = Nest::new(&mock).env("XDG_STATE_HOME", state).args(["restart", "demo", "--timeout", "20s"]);
    let (mut command, _home) = first.into_parts();
    let mut first = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while mock.requests(RESTART) == 0 {
        std::thread::yield_now();
    }
    let call = || Nest::new(&mock).env("XDG_STATE_HOME", state);
    let output = call().args(["restart", "demo", "--no-wait", "--json"]).run().expect(1);
    assert_eq!(output.document()["error"]["kind"], "busy");
    assert_eq!(
        output.stderr,
        "error: not restarted
  caused by: another restart of this room is running on this machine
  hint: to wait for its end and then restart, leave out --no-wait\n"
    );
    // Another room is nobody's business.
    mock.set_faults(parse(&[]));
    call().args(["restart", "other", "--no-wait"]).run().expect(6);
    first.kill().unwrap();
    first.wait().unwrap();
    call().args(["restart", "demo", "--no-wait"]).run().expect(0);
}

#[test]
fn a_nest_that_runs_is_left_alone_if_asked() {
    let mock = mock(&[]);
    restart(&mock, &["--if-inactive"]).expect(0);
    let (sid, asked) = (mock.room("demo").unwrap().sid, mock.all_requests());
    let call = |args: &[&str]| {
        // No key is needed to look.
        Nest::new(&mock).without("NEST_KEY").args(["restart", "demo", "--if-inactive"]).args(args).run().expect(0)
    };
    assert_eq!(call(&[]).stdout, "✓ demo is running; nothing was sent\n");
    assert_eq!(call(&["--output", "token"]).stdout, "");
    let document = call(&["--json", "--check"]).document();
    assert_eq!(document["message"], "The nest is running; nothing was sent");
    assert!(document.get("token").is_none() && document.get("check").is_none(), "{document}");
    assert_eq!((mock.room("demo").unwrap().sid, mock.all_requests()), (sid, asked + 3));
    assert_eq!(mock.requests("/rtc"), 0, "looking is not joining");
}

#[test]
fn of_two_that_restart_only_what_is_inactive_one_does() {
    let mock = mock(&["redis-hang=300ms@restart"]);
    let home = tempfile::tempdir().unwrap();
    let call = || {
        let call = Nest::new(&mock).env("XDG_STATE_HOME", home.path());
        call.args(["restart", "demo", "--if-inactive", "--json"]).run().expect(0).document()
    };
    let both = std::thread::scope(|scope| [scope.spawn(call), scope.spawn(call)].map(|one| one.join().unwrap()));
    assert_eq!(mock.requests(RESTART), 1, "the nest that the first has brought back runs: {both:?}");
    assert_eq!(both.iter().filter(|document| document.get("token").is_some()).count(), 1, "{both:?}");
    let idle = both.iter().find(|document| document.get("token").is_none()).unwrap();
    assert_eq!(idle["message"], "The nest is running; nothing was sent");
}

#[test]
fn if_the_server_has_no_guests_nothing_is_restarted() {
    let mock = Mock::start(Options { faults: parse(&["html=404@guest"]), ..Options::default() }).unwrap();
    let output = restart(&mock, &["--if-inactive"]).expect(6);
    assert!(output.stderr.starts_with("error: not restarted: this server has no such endpoint\n"), "{}", output.stderr);
    assert_eq!(mock.requests(RESTART), 0);
}
