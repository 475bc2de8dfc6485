//! The whole program, the bundled API, and a real livekit-server behind it.

use std::time::Duration;

use livekit_protocol::DisconnectReason;
use nostr_nests::secret::Secret;
use nostr_nests::server::media::LivekitConfig;
use nostr_nests::server::{Mock, Options};
use serde_json::json;

use crate::support::check::{jwt, now_ms};
use crate::support::livekit::{KEY, LiveKit, SECRET};
use crate::support::nest::Nest;
use crate::support::room_event;
use crate::support::signal::Signal;

fn api_before(server: &LiveKit) -> Mock {
    api_closing_after(server, Options::default().departure_timeout)
}

/// One whose rooms close so long after the last one has left.
fn api_closing_after(server: &LiveKit, departure_timeout: Duration) -> Mock {
    let config = LivekitConfig { url: server.url("ws", ""), key: KEY.into(), secret: Secret::new(SECRET) };
    Mock::start(Options { livekit: Some(config), departure_timeout, ..Options::default() }).unwrap()
}

#[tokio::test]
#[ignore = "needs livekit"]
async fn the_room_in_the_report_is_the_room_of_the_media_server() {
    let server = LiveKit::start(false);
    let mock = api_before(&server);
    let first = Nest::new(&mock).args(["restart", "demo", "--check", "--json"]).run().expect(0).document();
    let before = server.sid("demo").await.unwrap();
    assert_eq!(first["renewedAs"], before);
    let mut inside = Signal::join(&server.url("ws", ""), first["token"].as_str().unwrap()).await.unwrap();

    let second = Nest::new(&mock).args(["restart", "demo", "--check", "--json"]).run().expect(0).document();
    let after = server.sid("demo").await.unwrap();
    assert_eq!(second["renewedAs"], after);
    assert_ne!(before, after);
    assert_eq!(second["check"]["steps"][3]["status"], "passed");
    assert_eq!(inside.farewell().await, DisconnectReason::RoomDeleted, "whoever was inside has been disconnected");
    assert_eq!(server.settled("demo", 0).await, 0, "the check has left");

    let shown = Nest::new(&mock).args(["restart", "demo", "--check", "-v"]).run().expect(0).stdout;
    let last = server.sid("demo").await.unwrap();
    assert!(shown.contains(&format!(" (checked) → {last} · joinable by UDP in ")), "{shown}");
}

/// A room closes two seconds after the last one has left it; the nest of a check stays.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs livekit"]
async fn a_check_after_a_restart_does_not_cost_the_nest_its_life() {
    let server = LiveKit::start(false);
    let mock = api_closing_after(&server, Duration::from_secs(2));
    let document = document(Nest::new(&mock).args(["restart", "demo", "--check"]));
    let closes: jiff::Timestamp = document["closesAt"].as_str().unwrap().parse().unwrap();
    assert!((1790..=1800).contains(&closes.duration_since(jiff::Timestamp::now()).as_secs()), "{document}");
    assert_ne!(document["check"]["room"]["sid"], document["renewedAs"]);
    // Somebody leaves another room after the check has left the nest: that room is closed, and the nest is still there.
    server.create("visited", 2).await;
    server.guest("visited", "visitor").await.leave().await;
    while server.sid("visited").await.is_some() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(server.sid("demo").await.as_deref(), document["renewedAs"].as_str());
}

/// The API that most people run keeps the old room for as long as somebody is in it.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs livekit"]
async fn an_old_room_closes_once_everybody_is_removed() {
    let server = LiveKit::start(false);
    let mock = api_closing_after(&server, Duration::from_secs(2));
    let token = document(Nest::new(&mock).args(["restart", "demo"]))["token"].as_str().unwrap().to_owned();
    let old = server.sid("demo").await.unwrap();
    let mut host = Signal::join(&server.url("ws", ""), &token).await.unwrap();
    let guest = server.guest("demo", "guest").await;
    tokio::time::sleep(Duration::from_millis(2100)).await; // A `Date` tells seconds only.
    mock.set_faults(vec!["old-room-kept".parse().unwrap()]);
    let nest = Nest::new(&mock).args(["restart", "demo", "--evict", "--yes"]);
    let running = std::thread::spawn(|| document(nest));
    assert_eq!(host.farewell().await, DisconnectReason::ParticipantRemoved);
    let document = running.join().unwrap();
    let new = server.sid("demo").await.unwrap();
    assert_ne!(new, old);
    assert_eq!((&document["proof"], server.inside("demo").await), (&json!("fresh"), 0));
    let warning = "2 people are removed from the old room, and out for about 2 s, until it has closed";
    assert_eq!(document["warnings"], json!([warning]));
    drop(guest);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs livekit"]
async fn a_host_holds_the_door_open_until_somebody_comes() {
    let server = LiveKit::start(false);
    let mock = api_closing_after(&server, Duration::from_secs(2));
    let nest = Nest::new(&mock).args(["restart", "demo", "--keep"]);
    let running = std::thread::spawn(|| document(nest));
    while server.sid("demo").await.is_none() || server.inside("demo").await == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let sid = server.sid("demo").await.unwrap();
    let guest = server.guest("demo", "guest").await;
    let document = running.join().unwrap();
    assert_eq!((&document["check"]["media"]["protocol"], server.settled("demo", 1).await), (&json!("udp"), 1));
    assert!(document["check"]["steps"][6]["detail"].as_str().unwrap().starts_with("Somebody else"), "{document}");
    assert_eq!((server.sid("demo").await.unwrap(), document.get("closesAt")), (sid, None));
    drop(guest);
}

/// A recorder or an agent is nobody for the check, and LiveKit tells of it: it is not thrown out.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs livekit"]
async fn whoever_is_inside_is_not_thrown_out_for_a_longer_life() {
    let server = LiveKit::start(false);
    let mock = api_before(&server);
    let nest = Nest::new(&mock).args(["restart", "demo", "--check", "--hold", "3s", "--json"]);
    let running = std::thread::spawn(|| nest.run());
    while server.sid("demo").await.is_none() || server.inside("demo").await == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let video = json!({"room": "demo", "roomJoin": true});
    let exp = now_ms() / 1000 + 60;
    let agent = jwt(&json!({"iss": KEY, "sub": "agent", "kind": "agent", "exp": exp, "video": video}), SECRET);
    let inside = Signal::join(&server.url("ws", ""), &agent).await.unwrap();
    let sid = inside.join.room.as_ref().unwrap().sid.clone();
    let document = running.join().unwrap().expect(0).document();
    assert_eq!(document["check"]["room"]["participants"], 0);
    assert!(document.get("renewedAs").is_none() && document.get("closesAt").is_none(), "{document}");
    assert_eq!((server.sid("demo").await.unwrap(), server.inside("demo").await), (sid, 1));
}

#[tokio::test]
#[ignore = "needs livekit"]
async fn a_room_that_was_not_deleted_is_found_out() {
    let server = LiveKit::start(false);
    let mock = api_before(&server);
    Nest::new(&mock).args(["restart", "demo"]).run().expect(0);
    let before = server.sid("demo").await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
    mock.set_faults(vec!["old-room-kept".parse().unwrap()]);
    let output = Nest::new(&mock).args(["restart", "demo", "--check", "--json"]).run().expect(10);
    let document = output.document();
    assert_eq!(server.sid("demo").await.unwrap(), before);
    assert_eq!(document["check"]["room"]["sid"], before);
    assert_eq!(document["message"], "Nest restarted successfully");
    assert!(output.stderr.contains("still runs the old room"), "{}", output.stderr);
}

/// The same from the command line, with the secret in a file.
#[tokio::test]
#[ignore = "needs livekit"]
async fn the_mock_serves_a_real_media_server() {
    let server = LiveKit::start(false);
    let url = server.url("ws", "");
    let mock = ["mock", "--livekit", &url, "--livekit-key", KEY, "--livekit-secret-file", "secret", "--"];
    let call = |secret| Nest::alone().env("PATH", "/usr/bin:/bin").file("secret", secret, 0o600);
    let inner = ["nest", "restart", "demo", "--check", "--json"];
    let document = call(SECRET).args(mock).args(inner).run().expect(0).document();
    assert_eq!(document["renewedAs"], server.sid("demo").await.unwrap());
    // RoomService refuses the token that another secret has signed.
    call("another-secret-of-at-least-thirty-two-chars").args(mock).args(inner).args(["--retries", "0"]).run().expect(7);
}

/// Doctor and check find the event by the same way, and so the media server that it names.
#[tokio::test]
#[ignore = "needs livekit"]
async fn the_doctor_and_the_check_agree_on_a_bare_name() {
    let server = LiveKit::start(false);
    let url = server.url("ws", "");
    let script = "nest restart demo -q; nest doctor demo --json; nest check demo --join --json";
    let call = Nest::alone().env("PATH", "/usr/bin:/bin").file("secret", SECRET, 0o600);
    let mock = ["mock", "--livekit", &url, "--livekit-key", KEY, "--livekit-secret-file", "secret", "--"];
    let documents = call.args(mock).args(["sh", "-c", script]).run().expect(0).documents();
    let [doctor, check] = documents.as_slice() else { panic!("{documents:#?}") };
    assert_eq!(doctor["verdict"], "healthy", "{doctor:#}");
    assert_eq!(doctor["next"], "nest check demo");
    assert_eq!(check["verdict"], "joinable", "{check:#}");
    assert_eq!(check["endpoint"], url.as_str());
    assert_eq!(check["room"]["sid"], server.sid("demo").await.unwrap());
}

fn document(nest: Nest) -> serde_json::Value {
    nest.args(["--json"]).run().expect(0).document()
}

/// LiveKit lets an identity in once: a check as a guest is somebody else, a check as the host is the host.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs livekit"]
async fn only_a_check_as_the_host_ejects_the_host() {
    let server = LiveKit::start(false);
    let mock = api_before(&server);
    let naddr = room_event::naddr(&mock);
    let token = document(Nest::new(&mock).args(["restart", "demo"]))["token"].as_str().unwrap().to_owned();
    let mut host = Signal::join(&server.url("ws", ""), &token).await.unwrap();
    let inside = document(Nest::new(&mock).args(["check", &naddr, "--join"]));
    assert_eq!(inside["room"]["participants"], 1, "the host is inside, and stays");
    assert_eq!(server.settled("demo", 1).await, 1);
    document(Nest::new(&mock).args(["check", &naddr, "--as-host"]));
    assert_eq!(host.farewell().await, DisconnectReason::DuplicateIdentity);
    assert_eq!(server.settled("demo", 0).await, 0);
}

#[tokio::test]
#[ignore = "needs livekit"]
async fn a_token_of_before_still_lets_in_after_the_restart() {
    let server = LiveKit::start(false);
    let mock = api_before(&server);
    let restart = || document(Nest::new(&mock).args(["restart", "demo"]))["token"].as_str().unwrap().to_owned();
    let token = restart();
    let before = server.sid("demo").await.unwrap();
    restart();
    let inside = Signal::join(&server.url("ws", ""), &token).await.unwrap();
    let after = server.sid("demo").await.unwrap();
    assert_ne!(before, after);
    assert_eq!(inside.join.room.unwrap().sid, after);
}

#[tokio::test]
#[ignore = "needs livekit"]
async fn sound_goes_by_tcp_where_that_is_asked_for() {
    let server = LiveKit::start(false);
    let mock = api_before(&server);
    document(Nest::new(&mock).args(["restart", "demo"]));
    let document = document(Nest::new(&mock).args(["check", &room_event::naddr(&mock), "--transport", "tcp"]));
    assert_eq!(document["media"]["protocol"], "tcp", "{document:#}");
    let remote = format!("127.0.0.1:{}", server.tcp);
    assert_eq!(document["media"]["remote"], remote.as_str());
}

#[tokio::test]
#[ignore = "needs livekit"]
async fn the_host_is_heard_after_the_restart() {
    let server = LiveKit::start(false);
    let mock = api_before(&server);
    let document = document(Nest::new(&mock).args(["restart", "demo", "--check", "--as-host", "--publish"]));
    let publish = &document["check"]["steps"][5];
    assert_eq!((&publish["name"], &publish["status"]), (&"publish".into(), &"passed".into()), "{document:#}");
    assert!(publish["detail"].as_str().unwrap().starts_with("The media server hears us: "), "{publish}");
}

#[tokio::test]
#[ignore = "needs livekit"]
async fn a_plain_restart_is_proven_without_joining() {
    let server = LiveKit::start(false);
    let mock = api_before(&server);
    let restart = |code| Nest::new(&mock).args(["restart", "demo", "--json"]).run().expect(code).document();
    let document = restart(0);
    assert_eq!((&document["proof"], &document["warnings"]), (&json!("fresh"), &json!([])));
    assert!(document["closesAt"].is_string(), "{document}");
    let first = server.sid("demo").await.unwrap();
    assert_eq!(restart(0)["proof"], "fresh", "with a new room in place of a new room");
    assert_ne!(server.sid("demo").await.unwrap(), first);

    // The API that most people run: it says so, and LiveKit hands the old room out again.
    let kept = server.sid("demo").await.unwrap();
    tokio::time::sleep(Duration::from_millis(2100)).await; // A `Date` tells seconds only.
    mock.set_faults(vec!["old-room-kept".parse().unwrap()]);
    assert_eq!(restart(10)["proof"], "oldRoom");
    assert_eq!(server.sid("demo").await.unwrap(), kept);
    mock.set_faults(vec!["no-room".parse().unwrap()]);
    assert_eq!(restart(10)["proof"], "noRoom");
}
