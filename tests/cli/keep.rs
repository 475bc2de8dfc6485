//! `--keep`: a host holds a door open, as a listener, until somebody comes.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Stdio};

use nostr_nests::server::Mock;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::support::nest::{Nest, mock};
use crate::support::signal;

const RESTART: &str = "/api/v1/nests/demo/restart";

/// A run that stays in a nest, and what happens while it does; the exit code, the document, the rest of stderr.
struct Stay {
    child: Child,
    stderr: BufReader<std::process::ChildStderr>,
    _home: tempfile::TempDir,
}

impl Stay {
    fn begin(nest: Nest) -> Self {
        let (mut command, home) = nest.args(["--json", "-v"]).into_parts();
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("staying until somebody comes") {
            line.clear();
            assert_ne!(stderr.read_line(&mut line).unwrap(), 0, "it does not stay");
        }
        Self { child, stderr, _home: home }
    }

    fn send(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn end(mut self) -> (Option<i32>, Value, String) {
        let mut said = String::new();
        self.stderr.read_to_string(&mut said).unwrap();
        let output = self.child.wait_with_output().unwrap();
        (output.status.code(), serde_json::from_slice(&output.stdout).unwrap(), said)
    }
}

/// Minutes until a nest closes.
fn closes_in(closes_at: &Value) -> i64 {
    let closes: jiff::Timestamp = closes_at.as_str().unwrap().parse().unwrap();
    closes.duration_since(jiff::Timestamp::now()).as_mins()
}

fn restart(mock: &Mock) -> Nest {
    Nest::new(mock).args(["restart", "demo"])
}

/// What the step `hold` says.
fn stay(check: &Value) -> (&str, &str) {
    let step = &check["steps"][6];
    (step["status"].as_str().unwrap(), step["detail"].as_str().unwrap())
}

#[test]
fn ctrl_c_ends_the_stay_and_the_nest_is_renewed() {
    let mock = mock(&[]);
    let inside = Stay::begin(restart(&mock).args(["--keep"]));
    assert_eq!(mock.participants("demo").len(), 1);
    inside.send(Signal::INT);
    let (code, document, said) = inside.end();
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(document["renewedAs"], mock.room("demo").unwrap().sid);
    assert_eq!(closes_in(&document["closesAt"]), 29);
    let (status, detail) = stay(&document["check"]);
    assert!(status == "passed" && detail.starts_with("Nobody has come for "), "{document}");
    assert_eq!(mock.requests(RESTART), 2);
}

#[test]
fn when_the_time_is_over_too() {
    let mock = mock(&[]);
    let document = restart(&mock).args(["--keep=700ms", "--json"]).run().expect(0).document();
    assert_eq!(document["renewedAs"], mock.room("demo").unwrap().sid);
    assert!(document["check"]["steps"][6]["elapsedMs"].as_u64().unwrap() >= 700, "{document}");
}

#[test]
fn sigterm_interrupts() {
    let mock = mock(&[]);
    let inside = Stay::begin(restart(&mock).args(["--keep"]));
    inside.send(Signal::TERM);
    let (code, document, said) = inside.end();
    assert_eq!((code, &document["error"]["kind"]), (Some(143), &json!("interrupted")), "{said}");
    assert_eq!(mock.requests(RESTART), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_comes_is_left_alone() {
    let mock = mock(&[]);
    let inside = Stay::begin(restart(&mock).args(["--keep"]));
    let token = Nest::new(&mock).args(["token", "demo", "--output", "token"]).run().expect(0).stdout;
    let guest = signal::Signal::join(mock.livekit(), token.trim()).await.unwrap();
    let (code, document, said) = inside.end();
    assert_eq!(code, Some(0), "{said}");
    let (status, detail) = stay(&document["check"]);
    assert!(status == "passed" && detail.starts_with("Somebody else is inside after "), "{document}");
    assert_eq!((mock.participants("demo").len(), mock.requests(RESTART)), (1, 1));
    assert!(document.get("renewedAs").is_none() && document.get("closesAt").is_none(), "{document}");
    drop(guest);
}

#[test]
fn a_check_renews_the_nest_of_the_key_at_hand_and_no_other() {
    let mock = mock(&[]);
    restart(&mock).run().expect(0);
    let checked = Nest::new(&mock).without("NEST_KEY").args(["check", "demo", "--keep=300ms", "--json"]);
    let document = checked.run().expect(0).document();
    assert_eq!(closes_in(&document["room"]["closesAt"]), 0, "it says when it closes: {document}");
    assert_eq!(mock.requests(RESTART), 1);

    let checked = Nest::new(&mock).args(["check", "demo", "--keep"]);
    let inside = Stay::begin(checked);
    inside.send(Signal::INT);
    let (code, document, said) = inside.end();
    assert_eq!(code, Some(0), "{said}");
    let room = mock.room("demo").unwrap();
    assert_eq!((&document["renewedAs"], mock.requests(RESTART)), (&json!(room.sid), 2), "{said}");
    assert!(document["room"].get("closesAt").is_none() && document["room"]["sid"] != json!(room.sid), "{document}");
    assert_eq!(closes_in(&document["closesAt"]), 29);

    let text = Nest::new(&mock).args(["check", "demo", "--keep=100ms"]).run().expect(0).stdout;
    let new = mock.room("demo").unwrap().sid;
    assert!(text.contains(&format!("{} (checked) → {new} · closes at ", room.sid)), "{text}");
}
