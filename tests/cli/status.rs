//! `nest status`, as users and scripts see it.

use std::time::Duration;

use nostr_nests::server::{Mock, Options};
use serde_json::{Value, json};

use crate::support::nest::{self, Nest, mock};
use crate::support::room_event;
use crate::support::signal::Signal;

fn status(mock: &Mock, room: &str) -> Nest {
    Nest::new(mock).without("NEST_KEY").args(["status", room])
}

fn document(mock: &Mock, room: &str, code: i32) -> Value {
    status(mock, room).args(["--json"]).run().expect(code).document()
}

fn restart(mock: &Mock) -> String {
    Nest::new(mock).args(["restart", "demo", "--output", "token"]).run().expect(0).stdout.trim().to_owned()
}

#[test]
fn a_dead_nest_is_inactive_and_nobody_signs_or_joins() {
    let mock = mock(&[]);
    let document = document(&mock, "demo", 10);
    assert_eq!(document["state"], "inactive");
    assert_eq!((&document["record"], &document["audioRoom"]), (&json!(true), &json!(false)));
    assert_eq!(document["host"], mock.host().public_key().to_hex());
    assert_eq!(document["error"]["kind"], "unhealthy");
    assert_eq!(document["error"]["hints"], json!(["restart it: `nest restart demo`"]));
    assert_eq!(mock.all_requests(), 2, "/guest and /info");
    assert_eq!(mock.last_authorization(), None);

    let output = status(&mock, "demo").run().expect(10);
    assert_eq!(output.stderr, "");
}

#[tokio::test]
async fn people_are_counted() {
    let mock = mock(&[]);
    let token = restart(&mock);
    let empty = document(&mock, "demo", 0);
    assert_eq!((&empty["state"], &empty["participants"]), (&json!("running"), &json!(0)));
    let time = |name: &str| empty[name].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    assert_eq!((time("closesAt") - time("sinceAt")).get_seconds(), 1800, "nobody has been inside yet");
    assert!(empty.get("error").is_none());
    let inside = Signal::join(mock.livekit(), &token).await.unwrap();
    let full = document(&mock, "demo", 0);
    assert_eq!(full["participants"], 1);
    assert!(full.get("closesAt").is_none());
    assert!(status(&mock, "demo").run().expect(0).stdout.contains(" · audio room · 1 person inside\n"));
    drop(inside);
}

#[tokio::test]
async fn the_event_is_shown_beside_it() {
    let mock = mock(&[]);
    let naddr = room_event::naddr(&mock);
    let open = document(&mock, &naddr, 10);
    assert_eq!((&open["event"]["status"], &open["event"]["over"]), (&json!("open"), &json!(false)));
    assert_eq!(open["event"]["title"], "Demo nest");
    assert_eq!(open["event"]["relays"], json!([mock.relay()]));

    let service = format!("{}/api/v1/nests", mock.api());
    room_event::publish(&mock, &[&["status", "closed"], &["service", &service]]).await;
    // The event alone says which API it is.
    let over = Nest::alone().args(["status", &naddr, "--relay", &mock.relay(), "--json"]).run().expect(10).document();
    assert_eq!((&over["state"], &over["event"]["over"]), (&json!("over"), &json!(true)));
    restart(&mock);
    let output = status(&mock, &naddr).run().expect(0);
    assert!(output.stdout.starts_with("! demo · running · event closed · "), "{output:?}");
    assert!(output.stdout.contains("clients will not show it as live"), "{output:?}");
}

/// A bare name does not lead to the event; the record does.
#[tokio::test]
async fn what_is_over_is_over_by_its_bare_name_too() {
    let mock = mock(&[]);
    room_event::publish(&mock, &[&["status", "closed"]]).await;
    let document = status(&mock, "demo").args(["--relay", &mock.relay(), "--json"]).run().expect(10).document();
    assert_eq!(document["state"], "over", "{document:#}");
    assert_eq!(document["event"]["status"], "closed");
}

#[tokio::test]
async fn a_nest_on_media_over_quic_has_no_audio_room() {
    let mock = mock(&[]);
    let naddr = room_event::naddr(&mock);
    let media = ["streaming", "https://127.0.0.1:1/anon"];
    room_event::publish(&mock, &[&["status", "live"], &media]).await;
    let live = Nest::alone().args(["status", &naddr, "--relay", &mock.relay(), "--json"]).run().expect(10).document();
    assert_eq!((&live["kind"], &live["state"]), (&"moq".into(), &"inactive".into()), "{live:#}");
    assert_eq!(live["event"]["streaming"], "https://127.0.0.1:1/anon");
    assert!(live["error"]["message"].as_str().unwrap().contains("cannot be reached by UDP"), "{live:#}");
    // An API that is named all the same knows nothing of it.
    mock.forget("demo");
    assert_eq!(document(&mock, &naddr, 10)["kind"], "moq");
}

#[test]
fn a_nest_without_a_record_is_gone() {
    let mock = mock(&["lost-record"]);
    let document = document(&mock, "demo", 10);
    assert_eq!(document["state"], "gone");
    assert!(document["error"]["message"].as_str().unwrap().contains("records live 24 h"), "{document}");
    assert!(document["error"]["hints"][0].as_str().unwrap().ends_with("`nest recreate demo`"), "{document}");
    // It may still run.
    mock.set_faults(Vec::new());
    restart(&mock);
    mock.set_faults(nest::parse(&["lost-record"]));
    let output = status(&mock, "demo").run().expect(0);
    assert!(output.stdout.starts_with("! demo · running · no record · audio room\n"), "{output:?}");
}

#[test]
fn several_are_looked_at_together() {
    let mock = mock(&[]);
    restart(&mock);
    let output = status(&mock, "demo").args(["gone", "demo", "--json", "-j2"]).run().expect(10);
    assert_eq!(output.stdout.lines().count(), 2, "the same room twice is one: {output:?}");
    let mut states: Vec<_> = output.documents().iter().map(|one| one["state"].as_str().unwrap().to_owned()).collect();
    states.sort_unstable();
    assert_eq!(states, ["gone", "running"]);
}

#[test]
fn what_is_not_known_is_not_called_dead() {
    let mock = mock(&["status=500@guest"]);
    let document = document(&mock, "demo", 10);
    assert_eq!((&document["state"], &document["record"]), (&json!("unknown"), &json!(true)));
    assert!(document.get("audioRoom").is_none());
    assert_eq!(document["troubles"], json!(["audio room: the API failed with status 500"]));

    let nobody = Nest::alone().args(["status", "demo", "--api", "http://127.0.0.1:1"]);
    let output = nobody.args(["-q"]).run().expect(10);
    assert_eq!(output.stdout, "");
    assert!(
        output.stderr.starts_with("error: whether this nest runs is not known; audio room: cannot reach 127.0.0.1:1: "),
        "{output:?}"
    );
    assert!(
        output.stderr.ends_with("; hint: see which link is broken: `nest doctor demo --api http://127.0.0.1:1`\n"),
        "{output:?}"
    );
    let output = Nest::alone().args(["status", "demo"]).run().expect(2);
    assert!(output.stderr.starts_with("error: which server is this nest on?"), "{output:?}");
}

#[test]
fn quiet_leaves_the_exit_code() {
    let mock = mock(&[]);
    let output = status(&mock, "demo").args(["-q"]).run().expect(10);
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("", ""));
    let output = status(&mock, "demo").args(["--output", "token"]).run().expect(2);
    assert!(output.stderr.contains("nest token ROOM"), "{output:?}");
}

#[test]
fn a_record_that_did_not_answer_is_told() {
    let mock = mock(&["no-answer@info"]);
    restart(&mock);
    let status = Nest::new(&mock).args(["status", "demo", "--timeout", "1500ms"]).run().expect(0).stdout;
    assert_eq!(status, "! demo · running · record: no answer within 1.5s · audio room\n");
}

/// What only looks leaves an empty nest its half hour; what joins says when it closes, and it does.
#[test]
fn looking_does_not_shorten_the_life_of_an_empty_nest() {
    let departure_timeout = Duration::from_secs(1);
    let mock = Mock::start(Options { departure_timeout, ..Options::default() }).unwrap();
    restart(&mock);
    for looking in
        [["status", "demo"], ["doctor", "demo"], ["token", "demo"], ["check", "demo"], ["restart", "--if-inactive"]]
    {
        Nest::new(&mock).args(looking).args(looking.contains(&"restart").then_some("demo")).run().expect(0);
    }
    std::thread::sleep(Duration::from_millis(2500));
    assert!(mock.room("demo").is_some());
    assert_eq!(mock.requests("/rtc"), 0, "nobody joined");

    let check = Nest::new(&mock).args(["check", "demo", "--join", "--json"]).run().expect(0).document();
    let closes: jiff::Timestamp = check["room"]["closesAt"].as_str().unwrap().parse().unwrap();
    let hint = check["steps"][2]["hint"].as_str().unwrap();
    assert!(hint.contains("it closes at "), "{hint}");
    while mock.room("demo").is_some() {
        assert!(jiff::Timestamp::now() < closes + Duration::from_secs(4), "the room lives on");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(jiff::Timestamp::now() >= closes);
    assert_eq!(document(&mock, "demo", 10)["state"], "inactive");
}

#[tokio::test]
async fn what_is_planned_is_not_dead() {
    let mock = mock(&[]);
    let naddr = room_event::naddr(&mock);
    room_event::publish(&mock, &[&["status", "planned"], &["starts", "4000000000"]]).await;
    let document = document(&mock, &naddr, 10);
    assert_eq!((&document["state"], &document["audioRoom"]), (&json!("planned"), &json!(false)));
    assert_eq!(document["event"]["startsAt"], "2096-10-02T07:06:40Z");
    let error = document["error"].to_string();
    assert!(error.contains("this nest is planned") && error.contains("starts at 2096-10-0"), "{error}");
    // Nor lost, where it was announced before it was made.
    mock.forget("demo");
    assert_eq!(self::document(&mock, &naddr, 10)["state"], "planned");
    let output = status(&mock, &naddr).run().expect(10);
    assert!(output.stdout.starts_with("– demo · planned · event planned"), "{output:?}");
    // One on Media over QUIC as well, which has no API to ask.
    let mock = nest::mock(&[]);
    let naddr = room_event::naddr(&mock);
    room_event::publish(&mock, &[&["status", "planned"], &["auth", "https://auth.example"]]).await;
    let quic = Nest::alone().args(["status", &naddr, "--relay", &mock.relay(), "--json"]).run().expect(10).document();
    assert_eq!(quic["state"], "planned", "{quic:#}");
}

#[tokio::test]
async fn an_event_may_tell_of_any_time() {
    for time in ["253402300800", "9223372036854775807", "-9223372036854775808"] {
        let mock = nest::mock(&[]);
        let naddr = room_event::naddr(&mock);
        room_event::publish(&mock, &[&["status", "planned"], &["starts", time], &["ends", time]]).await;
        status(&mock, &naddr).run().expect(10);
        self::document(&mock, &naddr, 10);
        for format in [&["list"][..], &["list", "--json"]] {
            Nest::new(&mock).env("NEST_RELAYS", mock.relay()).args(format).run().expect(0);
        }
        Nest::new(&mock).args(["restart", &naddr, "--publish-status"]).run().expect(0);
    }
}

#[test]
fn a_check_from_here_that_has_shortened_a_life_is_told() {
    let mock = mock(&[]);
    let home = tempfile::tempdir().unwrap();
    let call =
        |args: &[&str]| Nest::new(&mock).env("XDG_STATE_HOME", home.path()).args(args).args(["--json"]).run().expect(0);
    let status = || call(&["status", "demo"]).document();
    call(&["restart", "demo"]);
    let whole = status()["closesAt"].clone();
    let checked = call(&["check", "demo", "--join"]).document();
    let shortened = status();
    assert_eq!(shortened["closesAt"], checked["room"]["closesAt"]);
    assert!(shortened["leftAt"].is_string() && shortened["closesAt"] != whole, "{shortened}");
    let text = Nest::new(&mock).env("XDG_STATE_HOME", home.path()).args(["status", "demo"]).run().expect(0).stdout;
    assert!(text.contains(" while empty: a check from here left it at "), "{text}");

    // A restart through us makes a new room, one by somebody else too.
    call(&["restart", "demo"]);
    assert!(status().get("leftAt").is_none());
    call(&["check", "demo", "--join"]);
    assert!(status()["leftAt"].is_string());
    restart(&mock);
    assert!(status().get("leftAt").is_none());
    // What a restart's own check has left is gone, since the nest was renewed.
    call(&["restart", "demo", "--check"]);
    assert!(status().get("leftAt").is_none());
    call(&["check", "demo", "--join"]);
    let token = Nest::new(&mock).args(["token", "demo", "--output", "token"]).run().expect(0).stdout;
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let inside = runtime.block_on(Signal::join(mock.livekit(), token.trim())).unwrap();
    assert!(status().get("closesAt").is_none(), "somebody is inside");
    drop(inside);
}
