//! What the commands say of a nest, and what the servers say of it themselves, before and after: a table of situations, on
//! a real Redis, a real livekit-server and a relay in Python.
//!
//! Exit code, document and servers agree in all of them; and no nest is worse for having been asked: whoever was inside
//! still is, record and event are the same to the byte, the room is the same, and if it is empty it does not close sooner.
//!
//! `SITUATION=TEXT` plays those alone whose name contains it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

use serde_json::{Value, json};
use tokio::runtime::Handle;

use super::world::Given::{self, *};
use super::world::{Seen, Shared, World};
use crate::support::nest::{Output, at_once};

/// One row of the table.
struct Situation {
    given: &'static [Given],
    /// The arguments: see [`World::nest`].
    line: &'static str,
    code: i32,
    /// What the document of the nest says, among other things; null: nothing. `failed` are the names of steps.
    says: Value,
    then: Truth,
}

/// What the servers say afterwards.
#[derive(Clone, Copy)]
struct Truth {
    room: Fate,
    other: Fate,
    /// That of the other nest goes with its room.
    record: Fate,
    /// The status of a new version of the event, if there is one.
    event: Option<&'static str>,
    /// The room closes because it was joined and left, when the document says.
    closes: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// As it was, or missing as before.
    Same,
    New,
    Gone,
    Any,
}

const UNTOUCHED: Truth = Truth { room: Fate::Same, other: Fate::Same, record: Fate::Same, event: None, closes: false };
const RESTARTED: Truth = Truth { room: Fate::New, record: Fate::New, ..UNTOUCHED };
const BOTH_RESTARTED: Truth = Truth { other: Fate::New, ..RESTARTED };
/// LiveKit forgets all rooms when it ends.
const NO_ROOMS: Truth = Truth { room: Fate::Gone, other: Fate::Gone, ..UNTOUCHED };
const CLOSED: Truth = Truth { room: Fate::Gone, record: Fate::Gone, event: Some("closed"), ..UNTOUCHED };

fn row(given: &'static [Given], line: &'static str, code: i32, says: Value, then: Truth) -> Situation {
    Situation { given, line, code, says, then }
}

fn error(kind: &str) -> Value {
    json!({ "error": { "kind": kind } })
}

fn proof(proof: &str) -> Value {
    json!({ "proof": proof })
}

fn state(state: &str) -> Value {
    json!({ "state": state })
}

fn verdict(verdict: &str) -> Value {
    json!({ "verdict": verdict })
}

fn table() -> Vec<Situation> {
    [restarts(), checks(), statuses(), lists_and_doctors(), tokens_and_pages(), changes()]
        .into_iter()
        .flatten()
        .collect()
}

#[rustfmt::skip]
fn restarts() -> Vec<Situation> {
    let restart_checked = || json!({ "proof": "fresh", "check": { "verdict": "joinable", "failed": [], "room": { "closesAt": null } }, "error": null });
    let nothing_sent = || json!({ "attempts": 0, "proof": null, "token": null });
    vec![
        row(&[], "restart NEST", 0, proof("fresh"), RESTARTED),
        row(&[Inside(1)], "restart NEST", 0, proof("fresh"), RESTARTED),
        row(&[Inside(4)], "restart NEST", 0, proof("fresh"), RESTARTED),
        row(&[Inside(1)], "restart ID", 0, proof("fresh"), RESTARTED),
        row(&[NoRoom], "restart NEST", 0, proof("fresh"), RESTARTED),
        row(&[NoRecord, Inside(1)], "restart NEST", 6, error("notFound"), UNTOUCHED),
        row(&[NoRecord, NoRoom], "restart NEST", 6, error("notFound"), UNTOUCHED),
        row(&[], "restart NOBODYS", 6, error("notFound"), UNTOUCHED),
        row(&[NoEvent], "restart NEST", 0, proof("fresh"), RESTARTED),
        row(&[Stranger, Inside(1)], "restart NEST", 5, json!({ "error": { "kind": "notHost", "status": null } }), UNTOUCHED),
        row(&[Stranger, Inside(1)], "restart ID", 5, json!({ "error": { "kind": "notHost", "status": 403 } }), UNTOUCHED),
        row(&[ByEvent], "restart NEST", 0, proof("fresh"), RESTARTED),
        row(&[Status("closed"), ByEvent, NoRoom], "restart NEST", 0, proof("fresh"), RESTARTED),
        row(&[Status("closed"), NoRoom], "restart NEST --publish-status", 0, json!({ "published": { "status": "open" } }), Truth { event: Some("open"), ..RESTARTED }),
        row(&[Status("ended"), NoRoom], "restart NEST --publish-status", 0, json!({ "published": { "status": "live" } }), Truth { event: Some("live"), ..RESTARTED }),
        row(&[Status("planned"), ByEvent, NoRoom], "restart NEST", 0, proof("fresh"), RESTARTED),
        row(&[], "restart NEST --publish-status", 0, json!({ "published": null }), RESTARTED),
        row(&[RelayGone], "restart NEST", 0, proof("fresh"), RESTARTED),
        row(&[RelayGone, ByEvent], "restart NEST", 8, error("unreachable"), UNTOUCHED),
        row(&[Inside(1)], "restart NEST --dry-run", 0, json!({ "method": "POST" }), UNTOUCHED),
        row(&[WrongSecret, Inside(1)], "restart NEST --retries 0", 7, error("server"), UNTOUCHED),
        row(&[RedisFrozen, Inside(1)], "restart NEST --retries 0", 7, error("server"), UNTOUCHED),
        row(&[RedisGone, Inside(1)], "restart NEST --retries 0", 7, error("server"), UNTOUCHED),
        row(&[LiveKitFrozen, Inside(1)], "restart NEST --retries 0", 7, error("server"), UNTOUCHED),
        row(&[LiveKitFrozen], "restart NEST --timeout 300ms", 9, error("unknown"), RESTARTED),
        row(&[LiveKitGone], "restart NEST --retries 0", 7, error("server"), NO_ROOMS),
        row(&[ApiGone, Inside(1)], "restart NEST --retries 0", 8, error("unreachable"), UNTOUCHED),
        row(&[ApiFrozen, Inside(1)], "restart NEST --timeout 1s", 9, error("unknown"), RESTARTED),
        row(&[AnswerLost("restart"), Inside(1)], "restart NEST --timeout 1s", 0, proof("unproven"), RESTARTED),
        row(&[AnswerLost("restart"), NoRoom], "restart NEST --timeout 1s --if-inactive", 0, proof("unproven"), RESTARTED),
        row(&[AnswerLost("restart"), ByEvent], "restart NEST --timeout 2s --check", 0, restart_checked(), RESTARTED),
        row(&[AnswerLost("restart"), Inside(1)], "restart NEST --timeout 2s --check", 0, restart_checked(), RESTARTED),
        row(&[AnswerLost("restart"), AnswerLost("info"), Inside(1)], "restart NEST --timeout 1s", 9, error("unknown"), RESTARTED),
        row(&[RequestLost("restart"), Inside(1)], "restart NEST --timeout 1s", 9, error("unknown"), UNTOUCHED),
        row(&[Upstream("drop-after"), Inside(1)], "restart NEST", 0, proof("unproven"), RESTARTED),
        row(&[Upstream("drop-before"), Inside(1)], "restart NEST --timeout 2s", 9, error("unknown"), UNTOUCHED),
        row(&[Upstream("gateway-timeout"), NoRoom], "restart NEST --if-inactive", 0, proof("unproven"), RESTARTED),
        row(&[Upstream("status=500"), Inside(1)], "restart NEST --retries 0", 7, error("server"), UNTOUCHED),
        row(&[Upstream("no-restart"), Inside(1)], "restart NEST", 6, error("notFound"), UNTOUCHED),
        row(&[Upstream(""), Inside(1)], "restart NEST", 0, proof("fresh"), RESTARTED),
        row(&[Upstream("old-room-kept"), Old, Inside(1)], "restart NEST", 10, json!({ "proof": "oldRoom", "error": { "kind": "unhealthy" } }), Truth { record: Fate::New, ..UNTOUCHED }),
        row(&[Upstream("old-room-kept"), Old, Inside(1)], "restart NEST --check", 10, json!({ "proof": "oldRoom", "check": { "failed": ["fresh"] } }), Truth { record: Fate::New, ..UNTOUCHED }),
        row(&[Upstream("old-room-kept"), Old, Inside(4)], "restart NEST --evict --yes", 0, json!({ "proof": "fresh", "error": null }), RESTARTED),
        row(&[Upstream("old-room-kept"), Old, Inside(1)], "restart NEST --evict --yes --check", 0, json!({ "proof": "fresh", "check": { "verdict": "joinable" } }), RESTARTED),
        row(&[Upstream("old-room-kept"), Inside(1)], "restart NEST --evict", 2, error("usage"), UNTOUCHED),
        row(&[Inside(4)], "restart NEST --evict --yes", 0, json!({ "proof": "fresh", "attempts": 1 }), RESTARTED),
        row(&[Upstream("no-room"), Inside(1)], "restart NEST", 10, json!({ "proof": "noRoom", "error": { "kind": "unhealthy" } }), Truth { room: Fate::Gone, ..RESTARTED }),
        row(&[Upstream("no-room"), NoRoom], "restart NEST --check", 10, json!({ "proof": "noRoom", "check": { "verdict": "unknown" } }), Truth { record: Fate::New, ..UNTOUCHED }),
        row(&[Upstream("late-teardown=1s"), Inside(1)], "restart NEST --check --hold 5s", 10, json!({ "check": { "failed": ["hold"] } }), Truth { room: Fate::Gone, ..RESTARTED }),
        row(&[], "restart NEST --check", 0, restart_checked(), RESTARTED),
        row(&[Inside(4)], "restart NEST --check", 0, restart_checked(), RESTARTED),
        row(&[NoRoom], "restart NEST --check --transport tcp", 0, json!({ "check": { "media": { "protocol": "tcp" } } }), RESTARTED),
        row(&[], "restart NEST --check --hold 1s", 0, restart_checked(), RESTARTED),
        row(&[], "restart NEST --if-inactive", 0, nothing_sent(), UNTOUCHED),
        row(&[Inside(4)], "restart NEST --if-inactive", 0, nothing_sent(), UNTOUCHED),
        row(&[NoRoom], "restart NEST --if-inactive", 0, proof("fresh"), RESTARTED),
        row(&[RedisFrozen, Briefly, Inside(1)], "restart NEST", 0, proof("fresh"), RESTARTED),
        row(&[LiveKitFrozen, Briefly, Inside(1)], "restart NEST", 0, proof("fresh"), RESTARTED),
        row(&[LiveKitFrozen, Briefly], "restart NEST --check", 0, restart_checked(), RESTARTED),
        row(&[Upstream("redis-hang=2s@restart"), Inside(1)], "restart NEST --timeout 1s", 9, error("unknown"), RESTARTED),
        row(&[Upstream("redis-hang=1s"), Inside(1)], "restart NEST", 0, proof("fresh"), RESTARTED),
        row(&[Upstream("wrong-secret"), Inside(1)], "restart NEST", 0, json!({ "proof": "unproven", "warnings": "…signed with another secret" }), RESTARTED),
        row(&[Upstream("wrong-secret"), Inside(1)], "restart NEST --check", 10, proof("unproven"), RESTARTED),
        row(&[Upstream("")], "restart NEST --check", 0, json!({ "proof": "fresh", "check": { "verdict": "joinable" } }), RESTARTED),
        row(&[Upstream(""), NoRoom], "restart NEST --check", 0, proof("fresh"), RESTARTED),
        row(&[Upstream("internal-endpoint"), ByEvent, Inside(1)], "restart NEST --check", 0, proof("fresh"), RESTARTED),
        row(&[Inside(1)], "restart NEST --check --as-host --publish", 0, proof("fresh"), RESTARTED),
        row(&[Upstream("internal-endpoint"), Inside(1)], "restart NEST --check", 10, json!({ "proof": "unproven", "check": { "failed": ["endpoint"] } }), RESTARTED),
        row(&[Upstream("other-room"), Inside(1)], "restart NEST", 7, error("server"), RESTARTED),
        row(&[Upstream("token-object"), Inside(1)], "restart NEST", 7, error("server"), RESTARTED),
        row(&[Upstream("half-body"), Inside(1)], "restart NEST --timeout 2s", 0, proof("unproven"), RESTARTED),
        row(&[Upstream("clock=+90s"), Inside(1)], "restart NEST", 0, proof("fresh"), RESTARTED),
        row(&[Upstream("livekit-down"), Inside(1)], "restart NEST --retries 0", 7, error("server"), UNTOUCHED),
        row(&[Upstream("livekit-down@api"), Inside(1)], "restart NEST --if-inactive --retries 0", 7, error("server"), UNTOUCHED),
        row(&[Inside(1)], "restart NEST NEST", 0, proof("fresh"), RESTARTED),
        row(&[LiveKitFrozen, Inside(1)], "restart NEST --if-inactive", 7, error("server"), UNTOUCHED),
        row(&[RedisFrozen, Inside(1)], "restart NEST --if-inactive", 0, nothing_sent(), UNTOUCHED),
        row(&[RequestLost("guest"), Inside(1)], "restart NEST --if-inactive --timeout 1s", 8, error("unreachable"), UNTOUCHED),
        row(&[Inside(1)], "restart NEST OTHER", 0, proof("fresh"), BOTH_RESTARTED),
        row(&[], "restart NEST NOBODYS", 6, proof("fresh"), RESTARTED),
        row(&[Limited], "restart NEST OTHER -j1 --max-wait 1s", 11, proof("fresh"), RESTARTED),
        row(&[NoRoom], "restart --all-inactive", 0, proof("fresh"), RESTARTED),
        row(&[Inside(1)], "restart --all-inactive", 0, Value::Null, UNTOUCHED),
        row(&[NoRoom, Status("closed")], "restart --all-inactive", 0, Value::Null, UNTOUCHED),
        row(&[NoRoom, Status("planned")], "restart --all-inactive", 0, Value::Null, UNTOUCHED),
        row(&[NoRoom, NoRecord], "restart --all-inactive", 6, error("notFound"), UNTOUCHED),
        row(&[LiveKitFrozen, Inside(1)], "restart --all-inactive", 7, error("server"), UNTOUCHED),
        row(&[RelayGone, NoRoom], "restart --all-inactive", 8, error("unreachable"), UNTOUCHED),
        row(&[Stranger, NoRoom], "restart --all-inactive", 0, Value::Null, UNTOUCHED),
    ]
}

#[rustfmt::skip]
fn checks() -> Vec<Situation> {
    let joinable = |inside: u64| json!({ "verdict": "joinable", "room": { "participants": inside, "closesAt": null }, "failed": [] });
    vec![
        row(&[], "check NEST", 0, joinable(0), UNTOUCHED),
        row(&[], "check ID", 0, joinable(0), UNTOUCHED),
        row(&[Inside(1)], "check NEST", 0, joinable(1), UNTOUCHED),
        row(&[Inside(4)], "check NEST --hold 1s", 0, joinable(4), UNTOUCHED),
        row(&[], "check NEST --join", 0, joinable(0), UNTOUCHED),
        row(&[Inside(1)], "check NEST --as-host --publish", 0, joinable(1), UNTOUCHED),
        row(&[], "check NEST --as-host", 0, verdict("joinable"), Truth { closes: true, ..UNTOUCHED }),
        row(&[LiveKitFrozen, Briefly, Inside(1)], "check NEST --timeout 10s", 7, error("server"), UNTOUCHED),
        row(&[Stranger, Inside(1)], "check NEST", 0, joinable(1), UNTOUCHED),
        row(&[NoRoom], "check NEST", 6, error("notFound"), UNTOUCHED),
        row(&[NoRecord, Inside(1)], "check NEST", 0, joinable(1), UNTOUCHED),
        row(&[NoRecord, NoRoom], "check NEST", 6, error("notFound"), UNTOUCHED),
        row(&[], "check NOBODYS", 6, error("notFound"), UNTOUCHED),
        row(&[Status("closed"), Inside(1)], "check NEST", 0, joinable(1), UNTOUCHED),
        row(&[Status("planned"), NoRoom], "check NEST", 6, error("notFound"), UNTOUCHED),
        row(&[RelayGone, Inside(1)], "check NEST", 0, joinable(1), UNTOUCHED),
        row(&[RedisFrozen, Inside(1)], "check NEST", 0, joinable(1), UNTOUCHED),
        row(&[RedisGone], "check NEST", 0, joinable(0), UNTOUCHED),
        row(&[LiveKitFrozen, Inside(1)], "check NEST --timeout 3s", 7, error("server"), UNTOUCHED),
        row(&[LiveKitGone], "check NEST", 7, error("server"), NO_ROOMS),
        row(&[WrongSecret, Inside(1)], "check NEST", 7, error("server"), UNTOUCHED),
        row(&[ApiGone, Inside(1)], "check NEST", 8, error("unreachable"), UNTOUCHED),
        row(&[ApiFrozen, Inside(1)], "check NEST --timeout 1s", 9, error("unknown"), UNTOUCHED),
        row(&[Upstream("")], "check NEST", 0, json!({ "verdict": "reachable", "room": null }), UNTOUCHED),
        row(&[Upstream(""), Inside(1)], "check NEST", 0, joinable(1), UNTOUCHED),
        row(&[Upstream("")], "check NEST --join", 0, verdict("joinable"), Truth { closes: true, ..UNTOUCHED }),
        row(&[Upstream("wrong-secret"), Inside(1)], "check NEST", 10, json!({ "verdict": "unhealthy", "failed": ["token", "signal"] }), UNTOUCHED),
    ]
}

#[rustfmt::skip]
fn statuses() -> Vec<Situation> {
    let running = |inside: u64| json!({ "state": "running", "participants": inside, "record": true, "audioRoom": true, "troubles": [], "error": null });
    vec![
        row(&[], "status NEST", 0, running(0), UNTOUCHED),
        row(&[Inside(4)], "status NEST", 0, running(4), UNTOUCHED),
        row(&[Inside(1)], "status ID", 0, running(1), UNTOUCHED),
        row(&[], "status NEST OTHER", 0, running(0), UNTOUCHED),
        row(&[NoRoom], "status NEST OTHER", 10, state("inactive"), UNTOUCHED),
        row(&[NoRecord], "status NEST", 0, json!({ "state": "running", "record": false }), UNTOUCHED),
        row(&[NoRecord, NoRoom], "status NEST", 10, state("gone"), UNTOUCHED),
        row(&[], "status NOBODYS", 10, state("gone"), UNTOUCHED),
        row(&[Status("closed"), NoRoom], "status NEST", 10, state("over"), UNTOUCHED),
        row(&[Status("closed"), Inside(1)], "status NEST", 0, json!({ "state": "running", "event": { "over": true } }), UNTOUCHED),
        row(&[Status("planned"), NoRoom], "status NEST", 10, state("planned"), UNTOUCHED),
        row(&[RelayGone], "status NEST", 0, json!({ "state": "running", "event": null }), UNTOUCHED),
        row(&[RedisFrozen, Inside(1)], "status NEST", 0, json!({ "state": "running", "record": null }), UNTOUCHED),
        row(&[RedisGone, NoRoom], "status NEST", 10, json!({ "state": "unknown", "record": null, "audioRoom": null }), UNTOUCHED),
        row(&[LiveKitFrozen, Inside(1)], "status NEST", 10, state("unknown"), UNTOUCHED),
        row(&[LiveKitGone], "status NEST", 10, state("unknown"), NO_ROOMS),
        row(&[WrongSecret, Inside(1)], "status NEST", 10, state("unknown"), UNTOUCHED),
        row(&[ApiGone, Inside(1)], "status NEST", 10, state("unknown"), UNTOUCHED),
        row(&[ApiFrozen, Inside(1)], "status NEST --timeout 1s", 10, state("unknown"), UNTOUCHED),
        row(&[AnswerLost("guest"), Inside(1)], "status NEST --timeout 1s", 10, json!({ "state": "unknown", "record": true, "audioRoom": null, "error": { "kind": "unhealthy" } }), UNTOUCHED),
    ]
}

#[rustfmt::skip]
fn lists_and_doctors() -> Vec<Situation> {
    let broken = |steps: &[&str]| json!({ "verdict": "unhealthy", "failed": steps });
    vec![
        row(&[], "list", 0, json!({ "state": "running", "people": 0, "record": true }), UNTOUCHED),
        row(&[Inside(4)], "list", 0, json!({ "state": "running", "people": 4 }), UNTOUCHED),
        row(&[NoRoom], "list --inactive", 0, state("inactive"), UNTOUCHED),
        row(&[Inside(1)], "list --inactive", 0, Value::Null, UNTOUCHED),
        row(&[NoRecord, NoRoom], "list", 0, state("gone"), UNTOUCHED),
        row(&[Status("closed"), Inside(1)], "list", 0, state("over"), UNTOUCHED),
        row(&[Status("planned"), NoRoom], "list", 0, state("planned"), UNTOUCHED),
        row(&[LiveKitFrozen, Inside(1)], "list", 0, state("unknown"), UNTOUCHED),
        row(&[RedisFrozen, Inside(1)], "list", 0, json!({ "state": "running", "record": null, "people": null }), UNTOUCHED),
        row(&[RelayGone, Inside(1)], "list", 8, error("unreachable"), UNTOUCHED),
        row(&[], "doctor NEST", 0, json!({ "verdict": "healthy", "failed": [] }), UNTOUCHED),
        row(&[Inside(4)], "doctor NEST", 0, json!({ "verdict": "healthy", "failed": [] }), UNTOUCHED),
        row(&[NoRoom], "doctor NEST", 10, broken(&["room"]), UNTOUCHED),
        row(&[NoRecord], "doctor NEST", 10, broken(&["record"]), UNTOUCHED),
        row(&[NoRecord, NoRoom], "doctor NEST", 10, broken(&["record"]), UNTOUCHED),
        row(&[RedisFrozen, Inside(1)], "doctor NEST", 10, broken(&["api"]), UNTOUCHED),
        // In less time LiveKit is not known to be silent, but only to be late.
        row(&[LiveKitFrozen, Inside(1)], "doctor NEST --timeout 8s", 10, broken(&["api", "signal"]), UNTOUCHED),
        row(&[LiveKitFrozen, Inside(1)], "doctor NEST --timeout 4s", 10, broken(&["api"]), UNTOUCHED),
        row(&[LiveKitGone], "doctor NEST", 10, broken(&["api", "signal"]), NO_ROOMS),
        row(&[WrongSecret, Inside(1)], "doctor NEST", 10, broken(&["api"]), UNTOUCHED),
        row(&[ApiGone, Inside(1)], "doctor NEST", 10, broken(&["tcp"]), UNTOUCHED),
        row(&[Status("closed"), NoRoom], "doctor NEST", 0, verdict("healthy"), UNTOUCHED),
        row(&[Status("planned"), NoRoom], "doctor NEST", 0, verdict("healthy"), UNTOUCHED),
        row(&[Stranger, Inside(1)], "doctor NEST", 0, verdict("healthy"), UNTOUCHED),
        row(&[RelayGone, Inside(1)], "doctor NEST", 0, verdict("healthy"), UNTOUCHED),
        row(&[Upstream("livekit-down"), Inside(1)], "doctor NEST", 10, verdict("unhealthy"), UNTOUCHED),
        row(&[Upstream("")], "doctor NEST", 0, verdict("healthy"), UNTOUCHED),
    ]
}

#[rustfmt::skip]
fn tokens_and_pages() -> Vec<Situation> {
    vec![
        row(&[], "token NEST", 0, json!({ "isAdmin": true, "mayPublish": true }), UNTOUCHED),
        row(&[Inside(4)], "token NEST", 0, json!({ "isAdmin": true }), UNTOUCHED),
        row(&[Stranger, Inside(1)], "token NEST", 0, json!({ "isAdmin": false, "mayPublish": false }), UNTOUCHED),
        row(&[NoRoom], "token NEST", 6, error("notFound"), UNTOUCHED),
        row(&[NoRecord, Inside(1)], "token NEST", 6, error("notFound"), UNTOUCHED),
        row(&[LiveKitFrozen, Inside(1)], "token NEST --retries 0", 7, error("server"), UNTOUCHED),
        row(&[Inside(1)], "open NEST", 0, json!({ "error": null }), UNTOUCHED),
        row(&[RelayGone, Inside(1)], "open NEST", 8, error("unreachable"), UNTOUCHED),
        row(&[NoEvent, Inside(1)], "open NEST", 6, error("notFound"), UNTOUCHED),
    ]
}

#[rustfmt::skip]
fn changes() -> Vec<Situation> {
    vec![
        row(&[Inside(4)], "close NEST", 0, json!({ "deleted": true, "status": "closed" }), CLOSED),
        row(&[NoRoom], "close NEST", 0, json!({ "deleted": true }), CLOSED),
        row(&[NoRecord, NoRoom], "close NEST", 0, json!({ "deleted": false }), Truth { event: Some("closed"), ..UNTOUCHED }),
        row(&[NoRecord, Inside(1)], "close NEST", 10, error("unhealthy"), UNTOUCHED),
        row(&[Stranger, Inside(1)], "close NEST", 5, error("notHost"), UNTOUCHED),
        row(&[LiveKitGone], "close NEST --retries 0", 7, error("server"), NO_ROOMS),
        // LiveKit has been told to delete the room, and may do so when it goes on.
        row(&[LiveKitFrozen, Inside(1)], "close NEST --retries 0", 7, error("server"), Truth { room: Fate::Any, ..UNTOUCHED }),
        row(&[RedisFrozen, Inside(1)], "close NEST --retries 0", 7, error("server"), UNTOUCHED),
        row(&[RelayGone, Inside(1)], "close NEST", 8, error("unreachable"), UNTOUCHED),
        // Like upstream's, the API has let the nest go although it could not tell LiveKit.
        row(&[Upstream("livekit-down@delete"), Inside(1)], "close NEST", 10, error("unhealthy"), Truth { record: Fate::Gone, ..UNTOUCHED }),
        row(&[NoEvent, Inside(1)], "close NEST", 0, json!({ "deleted": true, "status": null }), Truth { event: None, ..CLOSED }),
        row(&[Status("closed"), Inside(1)], "close NEST", 0, json!({ "deleted": true, "published": null }), Truth { event: None, ..CLOSED }),
        row(&[AnswerLost("ID"), Inside(1)], "close NEST --timeout 1s", 9, error("unknown"), Truth { event: None, ..CLOSED }),
        row(&[NoRecord, NoRoom], "recreate NEST --yes", 0, json!({ "created": true }), Truth { event: Some("closed"), ..UNTOUCHED }),
        row(&[NoRecord, NoRoom], "recreate NEST --dry-run", 0, json!({ "created": null }), UNTOUCHED),
        row(&[Inside(1)], "recreate NEST --yes", 1, error("failed"), UNTOUCHED),
        row(&[RedisFrozen, Inside(1)], "recreate NEST --yes --retries 0", 7, error("server"), UNTOUCHED),
        row(&[NoRecord, NoRoom, AnswerLost("nests")], "recreate NEST --yes --timeout 1s", 9, error("unknown"), UNTOUCHED),
        row(&[NoRecord, NoRoom, RelayGone], "recreate NEST --yes", 8, error("unreachable"), UNTOUCHED),
        row(&[Stranger, NoRecord, NoRoom], "recreate NEST --yes", 5, error("notHost"), UNTOUCHED),
    ]
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis, livekit and nostr-relay"]
async fn verdict_exit_code_and_servers_agree() {
    let wanted = std::env::var("SITUATION").unwrap_or_default();
    let table: Vec<_> = table().into_iter().filter(|row| row.name().contains(&wanted)).enumerate().collect();
    assert!(!table.is_empty(), "no situation is called {wanted:?}");
    let (shared, runtime, failed) = (Shared::start(), Handle::current(), Mutex::new(Vec::new()));
    at_once(&table, |(number, row)| {
        let played = catch_unwind(AssertUnwindSafe(|| runtime.block_on(row.play(*number, &shared))));
        let wrong = played.unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().map_or("", String::as_str);
            vec![format!("it was not played to its end: {text}")]
        });
        if !wrong.is_empty() {
            failed.lock().unwrap().push(format!("{}\n    {}", row.name(), wrong.join("\n    ")));
        }
    });
    let failed = failed.into_inner().unwrap();
    println!("{} situations", table.len());
    assert!(failed.is_empty(), "{} of {} situations:\n\n{}", failed.len(), table.len(), failed.join("\n\n"));
}

/// A judge that lets everything pass is none.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis, livekit and nostr-relay"]
async fn whatever_is_not_so_is_found_out() {
    let running = || state("running");
    let lies = [
        (row(&[], "status NEST", 10, running(), UNTOUCHED), "exit code 0, expected 10"),
        (row(&[NoRoom], "status NEST", 10, running(), UNTOUCHED), "/state is \"inactive\", expected \"running\""),
        (row(&[], "list --inactive", 0, running(), UNTOUCHED), "says None"),
        (row(&[Inside(1)], "restart NEST", 0, proof("fresh"), UNTOUCHED), "0 are still inside, expected 1"),
        (row(&[], "restart NEST OTHER", 0, proof("fresh"), RESTARTED), "the other room was"),
        (row(&[], "status NEST", 0, running(), RESTARTED), "expected another"),
        (row(&[NoRoom], "close NEST", 0, Value::Null, UNTOUCHED), "the record was"),
        (row(&[NoRecord, NoRoom], "close NEST", 0, Value::Null, UNTOUCHED), "a new event says Some(\"closed\")"),
        (row(&[Upstream("")], "check NEST --join", 0, verdict("joinable"), UNTOUCHED), "later: the room was"),
    ];
    let (shared, runtime) = (Shared::start(), Handle::current());
    let lies: Vec<_> = lies.iter().enumerate().collect();
    at_once(&lies, |(number, (row, wrong))| {
        let found = runtime.block_on(row.play(*number, &shared));
        assert!(found.iter().any(|found| found.contains(wrong)), "{}: {wrong}: {found:#?}", row.name());
    });
    let seen = |room: Option<&str>, inside: usize| {
        let (room, inside) = (room.map(str::to_owned), vec![String::new(); inside]);
        Seen { room, inside, record: None, event: None }
    };
    for (document, before, after) in [
        (json!({ "proof": "fresh" }), seen(Some("a"), 0), seen(Some("a"), 0)),
        (json!({ "proof": "fresh" }), seen(None, 0), seen(None, 0)),
        (json!({ "proof": "oldRoom" }), seen(Some("a"), 0), seen(Some("b"), 0)),
        (json!({ "proof": "noRoom" }), seen(None, 0), seen(Some("b"), 0)),
        (json!({ "check": { "verdict": "joinable" } }), seen(None, 0), seen(None, 0)),
        (json!({ "room": { "sid": "a" } }), seen(Some("a"), 0), seen(Some("b"), 0)),
        (json!({ "state": "gone" }), seen(Some("a"), 0), seen(Some("a"), 0)),
        (json!({ "record": true }), seen(None, 0), seen(None, 0)),
        (json!({ "audioRoom": false }), seen(Some("a"), 0), seen(Some("a"), 0)),
        (json!({ "people": 1 }), seen(Some("a"), 2), seen(Some("a"), 2)),
        (json!({ "published": { "eventId": "a" } }), seen(None, 0), seen(None, 0)),
        (json!({ "error": { "message": "not restarted: why" } }), seen(Some("a"), 0), seen(Some("b"), 0)),
    ] {
        assert_ne!(contradictions(&document, &before, &after), Vec::<String>::new(), "{document}");
        assert_eq!(contradictions(&json!({}), &before, &after), Vec::<String>::new());
    }
}

impl Situation {
    fn name(&self) -> String {
        format!("nest {}, given {:?}", self.line, self.given)
    }

    /// Everything that is not as it should be.
    async fn play(&self, number: usize, shared: &Shared) -> Vec<String> {
        let mut world = World::new(number, self.given, shared).await;
        let before = world.look().await;
        world.strike().await;
        let nest = world.nest(self.line);
        let running = std::thread::spawn(|| nest.run());
        world.thaw_soon();
        let output = running.join().unwrap();
        world.mend();
        let documents = output.documents();
        let of = |id: &str| documents.iter().find(|document| document["roomId"] == id);
        let only = || documents.first().filter(|_| documents.len() == 1);
        let mut wrong = Vec::new();
        if output.code != self.code {
            wrong.push(format!("exit code {}, expected {}", output.code, self.code));
        }
        match of(&world.nests[0]).or_else(only) {
            Some(document) if !self.says.is_null() => says("", &self.says, &with_failed(document), &mut wrong),
            None if self.says.is_null() => {}
            found => wrong.push(format!("says {found:?}, expected {}", self.says)),
        }
        // The doctor's verdict is its error.
        let bad = |document: &Value| document.get("error").is_some() || document["verdict"] == "unhealthy";
        if documents.iter().any(bad) != (output.code != 0) && documents.iter().all(|it| it["verdict"] != "unknown") {
            wrong.push(format!("exit code {} does not go with the documents", output.code));
        }
        let settled = world.settled(|after| self.then.differs(&before, after)).await;
        let as_expected = settled.is_empty();
        wrong.extend(settled);
        let after = world.look().await;
        for (id, (before, after)) in world.nests.iter().zip(before.iter().zip(&after)) {
            let Some(document) = of(id) else { continue };
            wrong.extend(contradictions(document, before, after));
            let well = document.get("error").is_none() && document["proof"] != "unproven";
            if let Some(token) = document["token"].as_str().filter(|_| well && after.room.is_some())
                && !world.validates(token).await
            {
                wrong.push("LiveKit does not accept the token".into());
            }
        }
        for document in documents.iter().filter(|document| document.get("replaces").is_some()) {
            let Seen { room, record, event, .. } = world.look_at(document["roomId"].as_str().unwrap()).await;
            if room.is_none() || record.is_none() || event.as_ref().map(status) != Some("open") {
                wrong.push(format!("what takes its place has {room:?}, {record:?}, {event:?}"));
            }
        }
        let inside = world.still_inside().await;
        let expected = if self.then.room == Fate::Same { before[0].inside.len() } else { 0 };
        if self.then.room != Fate::Any && inside != expected {
            wrong.push(format!("{inside} are still inside, expected {expected}"));
        }
        // What is to come must not change it either.
        if self.then.closes {
            world.until_closed(&world.nests[0]).await;
            let said = only().and_then(|it| it.pointer("/room/closesAt")).and_then(Value::as_str);
            let said = said.and_then(|time| time.parse::<jiff::Timestamp>().ok());
            if said.is_none_or(|time| jiff::Timestamp::now().duration_since(time).as_secs() > 10) {
                wrong.push(format!("the room is closed, which was said for {said:?}"));
            }
        } else if as_expected && after.iter().any(|nest| nest.room.is_some() && nest.inside.is_empty()) {
            world.outlast_departure().await;
            wrong.extend(self.then.differs(&before, &world.look().await).iter().map(|it| format!("later: {it}")));
        }
        if !wrong.is_empty() {
            let Output { stdout, stderr, .. } = output;
            wrong.push(format!("before: {before:?}\nafter: {after:?}\nstdout: {stdout}\nstderr: {stderr}"));
        }
        wrong
    }
}

impl Truth {
    fn differs(&self, before: &[Seen; 2], after: &[Seen; 2]) -> Vec<String> {
        let mut wrong = Vec::new();
        let other_record = if self.other == Fate::New { Fate::New } else { Fate::Same };
        let fates = [("the", self.room, self.record), ("the other", self.other, other_record)];
        for ((which, room, record), (before, after)) in fates.into_iter().zip(before.iter().zip(after)) {
            wrong.extend(room.differs(&format!("{which} room"), before.room.as_ref(), after.room.as_ref()));
            wrong.extend(record.differs(&format!("{which} record"), before.record.as_ref(), after.record.as_ref()));
            if record == Fate::New && unrestarted(before) != unrestarted(after) {
                wrong.push(format!("{which} record has changed too much: {:?}", after.record));
            }
            let inside = if room == Fate::Same { before.inside.as_slice() } else { &[] };
            if room != Fate::Any && inside != after.inside {
                wrong.push(format!("in {which} room are {:?}, expected {inside:?}", after.inside));
            }
        }
        let new = after[0].event.as_ref().filter(|after| before[0].event.as_ref() != Some(after)).map(status);
        if new != self.event || before[1].event != after[1].event {
            wrong.push(format!("a new event says {new:?}, expected {:?}, and no other", self.event));
        }
        wrong
    }
}

impl Fate {
    fn differs(self, name: &str, before: Option<&String>, after: Option<&String>) -> Option<String> {
        let (right, expected) = match self {
            Self::Same => (before == after, "as it was"),
            Self::New => (after.is_some() && before != after, "another"),
            Self::Gone => (after.is_none(), "none"),
            Self::Any => (true, ""),
        };
        (!right).then(|| format!("{name} was {before:?} and is {after:?}, expected {expected}"))
    }
}

/// The record without that which a restart writes into it.
fn unrestarted(nest: &Seen) -> Option<Value> {
    let mut record: Value = serde_json::from_str(nest.record.as_ref()?).unwrap();
    record.as_object_mut().unwrap().remove("restartedAt");
    Some(record)
}

fn status(event: &Value) -> &str {
    let tags = event["tags"].as_array().unwrap();
    tags.iter().find(|tag| tag[0] == "status").and_then(|tag| tag[1].as_str()).unwrap_or_default()
}

/// The document with the names of the steps that have failed.
fn with_failed(document: &Value) -> Value {
    let mut document = document.clone();
    for pointer in ["", "/check"] {
        let Some(report) = document.pointer_mut(pointer) else { continue };
        if let Some(steps) = report["steps"].as_array() {
            let failed = steps.iter().filter(|step| step["status"] == "failed").map(|step| step["name"].clone());
            report["failed"] = failed.collect();
        }
    }
    document
}

/// What a document says instead of what is wanted. What is not there is null; after `…` comes a part of a text.
fn says(path: &str, wanted: &Value, seen: &Value, wrong: &mut Vec<String>) {
    if let Value::Object(fields) = wanted {
        for (name, wanted) in fields {
            says(&format!("{path}/{name}"), wanted, &seen[name], wrong);
        }
    } else if let Some(part) = wanted.as_str().and_then(|wanted| wanted.strip_prefix('…')) {
        if !seen.to_string().contains(part) {
            wrong.push(format!("{path} is {seen}, expected to contain {part:?}"));
        }
    } else if wanted != seen {
        wrong.push(format!("{path} is {seen}, expected {wanted}"));
    }
}

/// What a document says that the servers deny, whatever was expected.
fn contradictions(document: &Value, before: &Seen, after: &Seen) -> Vec<String> {
    let (room, record) = (before.room.is_some(), before.record.is_some());
    let failed = document.get("error").is_some();
    let claims = [
        // It may have been torn down since.
        ("/proof", json!("fresh"), before.room != after.room && (after.room.is_some() || failed)),
        ("/proof", json!("oldRoom"), after.room.is_some() && before.room == after.room),
        ("/proof", json!("noRoom"), after.room.is_none()),
        ("/verdict", json!("joinable"), after.room.is_some()),
        ("/check/verdict", json!("joinable"), after.room.is_some()),
        ("/state", json!("running"), room),
        ("/state", json!("inactive"), !room && record),
        ("/state", json!("gone"), !room && !record),
        ("/audioRoom", json!(!room), false),
        ("/record", json!(!record), false),
        ("/deleted", json!(true), after.record.is_none()),
    ];
    let at = |pointer: &str| document.pointer(pointer);
    let denied = claims.into_iter().filter(|(name, value, right)| !right && at(name) == Some(value));
    let mut wrong: Vec<_> = denied.map(|(name, value, _)| format!("{name} is {value}, which is not so")).collect();
    let mut agree = |names: &[&str], truth: Value| {
        let denied = names.iter().filter_map(|name| at(name)).filter(|said| **said != truth);
        wrong.extend(denied.map(|said| format!("{names:?}: it says {said}, and it is {truth}")));
    };
    agree(&["/participants", "/people", "/room/participants"], json!(before.inside.len()));
    if after.room.is_some() {
        let checked = if at("/renewedAs").is_some() { "/renewedAs" } else { "/check/room/sid" };
        agree(&["/room/sid", checked], json!(after.room));
    }
    agree(&["/published/eventId"], after.event.as_ref().map_or(Value::Null, |event| event["id"].clone()));
    let message = at("/error/message").and_then(Value::as_str).unwrap_or_default();
    let no_change = ["not restarted", "nothing was", "not closed"].iter().any(|words| message.contains(words));
    if no_change && after.room.is_some() && before.room != after.room {
        wrong.push(format!("{message:?}, and yet the room is another one"));
    }
    wrong
}
