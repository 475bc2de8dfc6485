//! Inside the room: whether it is the restarted one, whether it stays, when it closes, and that nothing is left behind.

use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Mutex;
use std::time::Duration;

use livekit_protocol as proto;
use nostr_nests::clock::{Clock, rfc3339};
use nostr_nests::livekit::RestartWindow;
use nostr_nests::livekit::check::{Check, Tools, run};
use nostr_nests::livekit::endpoint::{Candidate, Hints, candidates};
use nostr_nests::livekit::offset::Offset;
use nostr_nests::livekit::report::{CheckReport, Verdict};
use nostr_nests::livekit::signal::{self, Ending, JoinMode};
use nostr_nests::net::reach::Reach;
use nostr_nests::net::tls;
use nostr_nests::report::Status;
use nostr_nests::reporter::{Reporter, Warning};
use proto::DisconnectReason as Reason;
use serde_json::json;

use crate::support::check::{check, client, now_ms, report, step, token};
use crate::support::fake_livekit::{Act, FakeLiveKit, Script, join, leave, person, update};

fn at(server: &FakeLiveKit) -> Vec<Candidate> {
    candidates(Hints { returned: &[server.url()], streaming: &[], api: None, allow_http: false })
}

/// The check of a room that was restarted `ago_ms` ago.
async fn restarted(script: Script, ago_ms: i64, hold: Option<Duration>) -> CheckReport {
    let server = FakeLiveKit::start(script).await;
    let sent_ms = now_ms() - ago_ms;
    let restarted = Some(RestartWindow { sent_ms, answered_ms: sent_ms + 10 });
    let guest = token("demo", "guest-1");
    report(&Check { restarted, hold, ..check("demo", &guest, &at(&server)) }).await
}

fn room(change: impl FnOnce(&mut proto::Room)) -> proto::JoinResponse {
    let mut join = join();
    change(join.room.as_mut().unwrap());
    join
}

#[tokio::test]
async fn the_document_has_the_names_of_the_contract() {
    let report = restarted(Script::joining(join(), &[Act::Serve]), 5000, None).await;
    let document = nostr_nests::cli::document::report(&report);
    let names = |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&document), ["verdict", "endpoint", "server", "room", "steps"]);
    assert_eq!(names(&document["server"]), ["version", "region"]);
    assert_eq!(names(&document["room"]), ["sid", "createdAt", "closesAt", "participants"]);
    for timed in [0, 1, 3] {
        assert_eq!(names(&document["steps"][timed]), ["name", "status", "elapsedMs", "detail"]);
    }
    assert_eq!(names(&document["steps"][2]), ["name", "status", "elapsedMs", "detail", "hint"]);
    assert_eq!(document["verdict"], "joinable");
    assert_eq!(document["steps"][4]["status"], "notChecked");
    let steps: Vec<_> = report.steps.iter().map(|step| step.name).collect();
    assert_eq!(steps, ["token", "endpoint", "signal", "fresh", "media", "publish", "hold"]);
}

#[tokio::test]
async fn an_old_room() {
    let two_hours_ago = now_ms() - 7_200_000;
    let old = room(|room| (room.creation_time_ms, room.creation_time) = (two_hours_ago, two_hours_ago / 1000));
    let report = restarted(Script::joining(old, &[Act::Serve]), 50, None).await;
    assert_eq!(report.verdict, Verdict::Unhealthy);
    assert_eq!(
        step(&report, "fresh").detail,
        "The server reports success, but LiveKit still runs the old room (RM_fake_livekit, created 2 h ago). Nobody was \
         disconnected."
    );
    assert_eq!(report.failed().map(|step| step.name), Some("fresh"));
}

/// Waits until so many milliseconds of a second are over.
async fn in_a_second(part: Range<i64>) {
    while !part.contains(&(now_ms() % 1000)) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Older servers tell times in whole seconds: then nothing is claimed that cannot be known.
#[tokio::test]
async fn whole_seconds_are_not_enough() {
    // The second began before the restart.
    in_a_second(300..800).await;
    let mut blurred = room(|room| room.creation_time_ms = 0);
    blurred.participant.as_mut().unwrap().joined_at_ms = 0;
    let told = restarted(Script::joining(blurred.clone(), &[Act::Serve]), 100, None).await;
    assert_eq!(step(&told, "fresh").status, Status::Warned);
    assert_eq!(told.verdict, Verdict::Joinable);
    let told = restarted(Script::joining(blurred, &[Act::Serve]), 5000, None).await;
    assert_eq!(step(&told, "fresh").status, Status::Passed);
    let silent = room(|room| (room.creation_time_ms, room.creation_time) = (0, 0));
    let told = restarted(Script::joining(silent, &[Act::Serve]), 5000, None).await;
    assert_eq!(step(&told, "fresh").status, Status::NotChecked);
}

/// LiveKit's own 20 s where the server does not say; only people keep a room open.
#[tokio::test]
async fn when_an_empty_room_closes() {
    let silent = room(|room| room.departure_timeout = 0);
    let told = restarted(Script::joining(silent, &[Act::Serve]), 5000, None).await;
    let closes = told.closes_at_ms.unwrap();
    assert!((19_000..=20_000).contains(&(closes - now_ms())));
    assert_eq!(told.room.as_ref().unwrap().closes_at, rfc3339(closes));
    assert_eq!(step(&told, "signal").status, Status::Warned);
    assert!(step(&told, "signal").hint.as_ref().unwrap().starts_with("The nest is empty, and this check has joined"));

    for (kind, closes) in
        [(proto::participant_info::Kind::Standard, false), (proto::participant_info::Kind::Agent, true)]
    {
        let mut other = join();
        other.other_participants = vec![proto::ParticipantInfo { kind: kind.into(), ..person("bb") }];
        let told = restarted(Script::joining(other, &[Act::Serve]), 5000, None).await;
        assert_eq!(told.closes_at_ms.is_some(), closes, "{kind:?}");
        assert_eq!(told.room.unwrap().participants, usize::from(!closes));
    }
}

#[tokio::test]
async fn comings_and_goings_count() {
    let gone = |identity| {
        let state = proto::participant_info::State::Disconnected.into();
        proto::ParticipantInfo { state, ..person(identity) }
    };
    let mut two = join();
    two.other_participants = vec![person("aa"), person("bb")];
    let acts = [update(vec![person("cc"), gone("aa"), person("guest-1")]), Act::Serve];
    let told = restarted(Script::joining(two.clone(), &acts), 5000, Some(Duration::from_millis(100))).await;
    assert_eq!(told.room.unwrap().participants, 2);
    let acts = [update(vec![gone("aa"), gone("bb")]), Act::Serve];
    let told = restarted(Script::joining(two, &acts), 5000, Some(Duration::from_millis(100))).await;
    assert!(told.closes_at_ms.is_some());
}

/// A room that is torn down late, and every other way in which a stay ends.
#[tokio::test]
async fn how_a_stay_ends() {
    let short = Act::Pause(Duration::from_millis(30));
    let cases: [(Act, i64, Status, &str); 9] = [
        (
            leave(Reason::RoomDeleted),
            12_000,
            Status::Failed,
            "Room closed 12 s after the restart: LiveKit was still deleting the old one.",
        ),
        (leave(Reason::RoomClosed), 12_000, Status::Failed, "Room closed 12 s after the restart"),
        (leave(Reason::RoomDeleted), 600_000, Status::Failed, " ms (10 min after the restart): the room was deleted"),
        (leave(Reason::DuplicateIdentity), 9, Status::Failed, "the same identity has joined elsewhere"),
        (leave(Reason::ParticipantRemoved), 9, Status::Failed, "an admin has removed us"),
        (
            leave(Reason::JoinFailure),
            9,
            Status::NotChecked,
            "and the room stayed; then LiveKit ended this check's visit",
        ),
        (Act::Close("bye"), 12_000, Status::Failed, " ms (12 s after the restart): bye"),
        (Act::SayBytes(vec![0xff; 9]), 9, Status::Failed, "what is no LiveKit message"),
        (Act::Drop, 12_000, Status::Failed, " ms (12 s after the restart): "),
    ];
    for (act, ago_ms, status, told) in cases {
        let script = Script::joining(join(), &[short.clone(), act]);
        let report = restarted(script, ago_ms, Some(Duration::from_secs(20))).await;
        let hold = step(&report, "hold");
        assert!(hold.status == status && hold.detail.contains(told), "{hold:?}, expected {told}");
        assert_eq!(report.closes_at_ms, None, "we did not leave: {told}");
        assert_eq!(report.verdict == Verdict::Joinable, status == Status::NotChecked);
    }
    let stays = restarted(Script::joining(join(), &[Act::Serve]), 9, Some(Duration::from_millis(50))).await;
    assert_eq!(step(&stays, "hold").detail, "Nothing closed the room for 50 ms");
}

/// A server that says to the second when we joined is asked for its clock, where a second is too coarse.
#[tokio::test]
async fn a_clock_that_is_known_too_badly_is_read_again() {
    for (act, status, text) in [
        (Act::Serve, Status::Passed, "created after the restart was asked for"),
        (Act::Hang, Status::Warned, "the clocks are not exact enough"),
    ] {
        // Early in a second: what is left of it is longer than since the restart.
        in_a_second(0..200).await;
        let mut join = room(|room| (room.creation_time_ms, room.creation_time) = (now_ms(), now_ms() / 1000));
        join.participant.as_mut().unwrap().joined_at_ms = 0;
        let report = restarted(Script::joining(join, &[act]), 400, None).await;
        let fresh = step(&report, "fresh");
        assert!(fresh.status == status && fresh.detail.contains(text), "{fresh:?}");
    }
}

/// What the server said before it closed the connection is read, even if our next word does not get through.
#[tokio::test]
async fn the_last_words_are_heard() {
    let server = FakeLiveKit::start(Script::joining(join(), &[leave(Reason::RoomDeleted), Act::Drop])).await;
    let (guest, candidates, tls) = (token("demo", "guest-1"), at(&server), tls::client_config(&[]));
    let limits = candidates[0].dial_limits(Duration::from_secs(5));
    // Whether it reads or speaks first is a matter of luck.
    for _ in 0..20 {
        let connection = candidates[0].connect(&tls, &Reach::ANYWHERE, limits).await.unwrap();
        let joining = signal::join(
            JoinMode::SignalOnly,
            Vec::new(),
            connection,
            &candidates[0],
            &guest,
            limits,
            Clock::default(),
        );
        let mut session = joining.await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
        let ended = session.hold(Duration::from_secs(5)).await.unwrap_err();
        assert_eq!(ended.how, Ending::SentAway(Reason::RoomDeleted));
    }
}

/// A room that somebody else has restarted says when.
#[tokio::test]
async fn the_room_tells_of_its_restart() {
    let join = room(|room| room.metadata = json!({"nestId": "demo", "restartedAt": now_ms() - 40_000}).to_string());
    let server = FakeLiveKit::start(Script::joining(join, &[Act::Close("bye")])).await;
    let (guest, candidates) = (token("demo", "guest-1"), at(&server));
    let hold = Some(Duration::from_secs(20));
    let exact = Some(Offset { min_ms: 20_000, max_ms: 20_000 });
    for (api_clock, told) in [(exact, " ms (60 s after the restart): bye"), (None, " ms: bye")] {
        let report = report(&Check { api_clock, hold, ..check("demo", &guest, &candidates) }).await;
        assert!(step(&report, "hold").detail.ends_with(told), "{report:?}");
    }
}

/// `ping_timeout` of the stand-in is 2 s.
#[tokio::test]
async fn a_server_that_stops_answering() {
    let report = restarted(Script::joining(join(), &[Act::Hang]), 9, Some(Duration::from_secs(20))).await;
    let hold = step(&report, "hold");
    assert!(hold.status == Status::Failed && hold.detail.starts_with("The media server stopped answering"), "{hold:?}");
}

#[tokio::test]
async fn sent_away_at_the_door() {
    let script = Script { acts: vec![leave(Reason::ServerShutdown)], ..Script::joining(join(), &[]) };
    let report = restarted(script, 9, None).await;
    let signal = step(&report, "signal");
    assert_eq!(signal.detail, "The media server sends us away: the media server is shutting down");
    assert_eq!(report.verdict, Verdict::Unhealthy);
    assert_eq!(step(&report, "endpoint").status, Status::Passed);
    assert_eq!(step(&report, "fresh").status, Status::NotChecked);
}

#[derive(Default)]
struct Everything(Mutex<String>);

impl Reporter for Everything {
    fn warning(&self, warning: &Warning) {
        write!(self.0.lock().unwrap(), "{warning:?}").unwrap();
    }

    fn detail(&self, _level: u8, text: &str) {
        self.0.lock().unwrap().push_str(text);
    }
}

#[tokio::test]
async fn no_token_is_ever_told() {
    let server = FakeLiveKit::start(Script::joining(join(), &[Act::Serve])).await;
    let (guest, host) = (token("demo", "guest-1"), token("demo", "aa"));
    let candidates = at(&server);
    let heard = Everything::default();
    let request =
        Check { host_token: Some(&host), hold: Some(Duration::from_millis(20)), ..check("demo", &guest, &candidates) };
    let tls = tls::client_config(&[]);
    let tools = Tools { http: &client(&tls), tls: &tls, preconnect: None, clock: Clock::default(), reporter: &heard };
    let report = run(&request, &tools).await;
    let all = format!(
        "{request:?} {tools:?} {report:?} {} {}",
        serde_json::to_string(&report).unwrap(),
        heard.0.lock().unwrap()
    );
    assert!(all.contains("trying ws://127.0.0.1:") && !all.contains("eyJ"), "{all}");
}
