//! Requests whose answer is lost: `nest` looks before it repeats, and never says that nothing happened.

use std::time::{Duration, Instant};

use nostr_nests::clock::{Clock, http_date};
use nostr_nests::server::Mock;

use crate::support::nest::{Nest, Output, at_once, mock, parse};
use crate::support::raw::Raw;

const RESTART: &str = "/api/v1/nests/demo/restart";
/// Losing its answer is what each of these does to a restart.
const LOSSES: [(&str, &str); 6] = [
    ("gateway-timeout", "the gateway gave up waiting (status 504)"),
    ("drop-before", "the connection was lost before there was an answer"),
    ("drop-after", "the connection was lost before there was an answer"),
    ("half-body", "the answer was cut off"),
    ("slow-body", "no whole answer within 2s"),
    ("no-answer", "no answer within 2s"),
];

fn restart(mock: &Mock, args: &[&str]) -> Output {
    Nest::new(mock).args(["restart", "demo", "--timeout", "2s", "--retries", "3"]).args(args).run()
}

fn not_seen(why: &str) -> String {
    format!(
        "error: the restart was sent and not answered: not seen so far, it may still happen
  caused by: the request was sent, then: {why}
  hint: wait a minute, then see whether it runs: `nest status demo`
"
    )
}

#[test]
fn a_lost_answer_with_proof_of_a_restart_is_a_success() {
    let carried_out: Vec<_> = LOSSES.into_iter().filter(|(fault, _)| *fault != "drop-before").collect();
    at_once(&carried_out, |&(fault, why)| {
        for proof in [&[][..], &["--if-inactive"]] {
            let mock = mock(&[fault]);
            let output = restart(&mock, &[proof, &["--json"]].concat()).expect(0);
            let warning = format!("{why}, but the nest was restarted; the token was fetched afterwards");
            assert_eq!(output.stderr, format!("warning: {warning}\n"), "{fault}");
            let document = output.document();
            assert_eq!(document["warnings"], serde_json::json!([warning]));
            assert_eq!(document["attempts"], 1);
            assert!(document["token"].is_string() && document["expiresAt"].is_string(), "{document}");
            assert_eq!(mock.requests(RESTART), 1, "{fault}: not repeated");
        }
    });
}

#[test]
fn a_lost_answer_without_proof_is_unknown() {
    at_once(&LOSSES, |&(fault, why)| {
        // The nest runs already, and says that it was restarted: long ago, or just now.
        let mock = mock(&[]);
        restart(&mock, &[]).expect(0);
        mock.set_faults(parse(&["drop-before"]));
        if fault != "drop-before" {
            // Carried out, but the API does not say so.
            mock.set_faults(parse(&[fault, "status=500@info"]));
        }
        let output = restart(&mock, &["--json"]).expect(9);
        assert_eq!(output.stderr, not_seen(why), "{fault}");
        let error = &output.document()["error"];
        assert_eq!(error["kind"], "unknown");
        assert!(error.get("status").is_none());
        assert!(!output.stderr.contains("not restarted") && !output.stdout.contains("not restarted"));
        assert_eq!(mock.requests(RESTART), 2, "{fault}: not repeated");
    });
}

#[test]
fn a_server_that_finishes_later_is_seen() {
    let mock = mock(&["redis-hang=2300ms@restart"]);
    let output = Nest::new(&mock).args(["restart", "demo", "--timeout", "2s"]).run().expect(0);
    let warning = "warning: no answer within 2s, but the nest was restarted; the token was fetched afterwards\n";
    assert_eq!(output.stderr, warning);
    assert_eq!(mock.requests(RESTART), 1);
}

#[test]
fn a_token_that_cannot_be_fetched_is_no_success() {
    let mock = mock(&["drop-after", "status=500@token"]);
    let output = Nest::new(&mock).args(["restart", "demo", "--retries", "0", "--output", "token"]).run().expect(1);
    assert_eq!(output.stdout, "");
    assert_eq!(
        output.stderr,
        "error: the nest was restarted, but its token could not be fetched
  caused by: the API failed with status 500
  caused by: the server says: Failed to restart nest
  caused by: the trouble is on the server's side
  hint: ask for it again: `nest token demo`\n"
    );
}

#[test]
fn the_look_goes_by_the_clock_of_the_api() {
    at_once(&["clock=+15s", "clock=-15s", "clock=+94s", "clock=-94s"], |&clock| {
        // Restarted just now by somebody else, which is no proof of this restart.
        let mock = mock(&[clock]);
        restart(&mock, &[]).expect(0);
        mock.set_faults(parse(&[clock, "drop-before"]));
        restart(&mock, &[]).expect(9);
    });
    at_once(&["clock=+15s", "clock=-15s"], |&clock| {
        // Carried out later than such a clock can be wrong by.
        let mock = mock(&[clock, "redis-hang=1200ms@restart", "drop-after"]);
        let output = Nest::new(&mock).args(["restart", "demo", "--timeout", "4s"]).run().expect(0);
        assert!(output.stderr.contains("the connection was lost"), "{}", output.stderr);
    });
}

#[test]
fn cloudflare_gives_up_waiting_with_numbers_of_its_own() {
    at_once(&[520, 524], |status| {
        let server = Raw::answering(format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n"));
        let mock = mock(&[]);
        let output = Nest::new(&mock).env("NEST_API", server.url()).args(["restart", "demo", "--timeout", "2s"]);
        let output = output.run().expect(9);
        let why = format!("the gateway gave up waiting (status {status})");
        assert_eq!(output.stderr, not_seen(&why));
    });
}

#[test]
fn what_is_no_http_is_an_answer_lost() {
    at_once(&["SSH-2.0-OpenSSH_9.2\r\n", "\0\u{1}\u{2}\r\n\r\n", "HTTP/1.1 9999 \r\n\r\n"], |bytes| {
        let server = Raw::answering(*bytes);
        let mock = mock(&[]);
        let output = Nest::new(&mock).env("NEST_API", server.url()).args(["restart", "demo", "--timeout", "2s"]);
        assert_eq!(output.run().expect(9).stderr, not_seen("the answer was no HTTP"));
        assert!(server.asked() >= 1);
    });
}

#[test]
fn a_look_that_is_not_answered_restarts_nothing() {
    let mock = mock(&["no-answer@guest"]);
    let output = restart(&mock, &["--if-inactive"]).expect(8);
    assert_eq!(
        output.stderr,
        "error: not restarted: the API does not say whether the nest runs\n  caused by: no answer within 2s\n"
    );
    assert_eq!(mock.requests(RESTART), 0);
}

#[test]
fn every_wait_has_an_end() {
    let since = Instant::now();
    let mock = mock(&["slow-body=40ms@all", "redis-hang@info"]);
    let output = restart(&mock, &["--check", "--hold", "300ms"]);
    assert!(matches!(output.code, 9 | 10), "{output:?}");
    assert!(since.elapsed() < Duration::from_secs(8), "{:?}", since.elapsed());
}

#[test]
fn an_old_restart_is_no_proof_by_a_clock_that_runs_ahead() {
    // The API's clock is an hour ahead: a restart of half an hour ago bears a time that has not come yet here.
    let now = Clock::default().now_ms();
    let (there, before) = (now + 3_600_000, now + 1_800_000);
    let server = Raw::with(move |_, head| {
        let body = match head.lines().next().unwrap() {
            line if line.starts_with("POST") => return Vec::new(),
            line if line.contains("/info") => format!("{{\"restartedAt\":{before}}}"),
            _ => "{\"token\":\"e30.e30.c2ln\"}".into(),
        };
        let head = format!("HTTP/1.1 200 OK\r\nDate: {}\r\nContent-Length: {}\r\n\r\n", http_date(there), body.len());
        (head + &body).into_bytes()
    });
    let output = Nest::new(&mock(&[])).env("NEST_API", server.url()).args(["restart", "demo", "--timeout", "2s"]);
    output.run().expect(9);
}
