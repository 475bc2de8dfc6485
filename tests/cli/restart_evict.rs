//! `nest restart --evict`: where the server keeps the old room, everybody is removed until it has closed.

use std::thread::JoinHandle;
use std::time::Duration;

use expectrl::Expect as _;
use livekit_protocol::DisconnectReason;
use nostr_nests::server::{Mock, Options};
use serde_json::json;

use crate::support::nest::{Nest, Output, parse};
use crate::support::signal::Signal;
use crate::support::terminal::Terminal;

const RESTART: &str = "/api/v1/nests/demo/restart";

/// A server that keeps the old room, which closes a second after the last one has left it.
fn keeper() -> Mock {
    let departure_timeout = Duration::from_secs(1);
    Mock::start(Options { faults: parse(&["old-room-kept"]), departure_timeout, ..Options::default() }).unwrap()
}

fn token(mock: &Mock) -> String {
    Nest::new(mock).args(["token", "demo", "--output", "token"]).run().expect(0).stdout.trim().to_owned()
}

fn start(nest: Nest) -> JoinHandle<Output> {
    std::thread::spawn(|| nest.run())
}

#[tokio::test]
async fn the_old_room_is_emptied_until_it_closes_and_the_restart_is_proven() {
    let mock = keeper();
    let token = token(&mock);
    let mut inside = Signal::join(mock.livekit(), &token).await.unwrap();
    let old = mock.room("demo").unwrap().sid;
    let hints =
        Nest::new(&mock).args(["restart", "demo", "--json"]).run().expect(10).document()["error"]["hints"].clone();
    let hint = "removes everybody, waits 1 s until the old room has closed, and restarts: `nest restart demo --evict`";
    assert!(hints[0].as_str().unwrap().ends_with(hint), "{hints}");

    let running = start(Nest::new(&mock).args(["restart", "demo", "--evict", "--yes", "--json"]));
    assert_eq!(inside.farewell().await, DisconnectReason::ParticipantRemoved);
    // Somebody who comes back at once would keep the old room open.
    let mut back = Signal::join(mock.livekit(), &token).await.unwrap();
    assert_eq!(back.join.room.as_ref().unwrap().sid, old);
    assert_eq!(back.farewell().await, DisconnectReason::ParticipantRemoved);
    let document = running.join().unwrap().expect(0).document();
    assert_eq!(document["proof"], "fresh");
    assert_ne!(mock.room("demo").unwrap().sid, old);
    let warning = "one person is removed from the old room, and out for about 1 s, until it has closed";
    assert_eq!(document["warnings"], json!([warning]));
    assert_eq!(mock.requests(RESTART), 3);
}

#[tokio::test]
async fn a_check_joins_the_room_that_came_after() {
    let mock = keeper();
    let inside = Signal::join(mock.livekit(), &token(&mock)).await.unwrap();
    let old = mock.room("demo").unwrap().sid;
    let output =
        start(Nest::new(&mock).args(["restart", "demo", "--evict", "-yv", "--check"])).join().unwrap().expect(0);
    let new = mock.room("demo").unwrap().sid;
    assert!(output.stdout.contains(&format!("restarted · {old} → {new} · joinable in ")), "{output:?}");
    drop(inside);
}

#[test]
fn without_a_person_to_ask_nothing_is_sent() {
    let mock = keeper();
    let output = Nest::new(&mock).args(["restart", "demo", "--evict"]).run().expect(2);
    let message = "error: --evict removes people from a nest, and nobody is here to be asked; nothing was sent\n  \
                   hint: --evict --yes asks nothing\n";
    assert_eq!((output.stderr.as_str(), mock.all_requests()), (message, 0));
}

#[tokio::test]
async fn a_person_hears_for_how_long_people_will_be_out() {
    let mock = keeper();
    let inside = Signal::join(mock.livekit(), &token(&mock)).await.unwrap();
    let mut person = Terminal::at(Nest::new(&mock).args(["restart", "demo", "--evict"]));
    person.sees("One person is in this nest and will be disconnected. Restart?");
    person.session.send("y\r").unwrap();
    person
        .sees("The old room still runs. To have it closed, one person is removed from the old room, and out for about");
    person.sees("Do it?");
    person.session.send("n\r").unwrap();
    let (screen, code) = person.ends();
    assert_eq!((code, mock.participants("demo").len()), (10, 1), "{screen}");
    assert_eq!(mock.requests(RESTART), 1);
    drop(inside);
}

#[test]
fn nobody_is_removed_where_that_is_no_help() {
    // A server that restarts.
    let mock = Mock::start(Options::default()).unwrap();
    let restart = |mock: &Mock| Nest::new(mock).args(["restart", "demo", "--evict", "--yes", "--json"]).run();
    let document = restart(&mock).expect(0).document();
    assert_eq!((&document["proof"], &document["warnings"]), (&json!("fresh"), &json!([])));
    assert_eq!(mock.requests(RESTART), 1);
    // An old room in which nobody is.
    let mock = keeper();
    let document = restart(&mock).expect(10).document();
    let warnings = json!(["the old room was not closed: nobody is inside"]);
    assert_eq!((&document["proof"], &document["warnings"]), (&json!("oldRoom"), &warnings));
    assert_eq!(mock.requests(RESTART), 1);
}

#[tokio::test]
async fn an_interruption_meanwhile_does_not_claim_a_restart() {
    let mock = keeper();
    let token = token(&mock);
    let mut inside = Signal::join(mock.livekit(), &token).await.unwrap();
    let (mut command, _home) = Nest::new(&mock).args(["restart", "demo", "--evict", "--yes"]).into_parts();
    let child = command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    assert_eq!(inside.farewell().await, DisconnectReason::ParticipantRemoved);
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(130), "{said}");
    assert!(said.contains("nest restart demo --if-inactive") && !said.contains("the nest was restarted"), "{said}");
}
