//! Audio on a real livekit-server over loopback, judged by the server's own records and by an independent client.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use nostr_nests::livekit::Transport;
use nostr_nests::livekit::check::{Check, LONGEST_HOLD};
use nostr_nests::livekit::report::{CheckReport, Verdict};
use nostr_nests::report::Status;
use nostr_nests::secret::Secret;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use crate::support::check::{check, jwt, now_ms, of, report, speaker, step, token};
use crate::support::livekit::{LiveKit, Spec};
use crate::support::port;

fn told(report: &CheckReport, name: &str, status: Status, text: &str) {
    let found = step(report, name);
    assert!(found.status == status && found.detail.contains(text), "{found:?}");
}

fn protocol(report: &CheckReport) -> Option<Transport> {
    report.media.as_ref().map(|media| media.protocol)
}

async fn with_room(spec: Spec<'_>) -> LiveKit {
    let server = LiveKit::start_as(&spec);
    server.create("demo", 60).await;
    server
}

/// Audio by `transport`.
async fn tried(server: &LiveKit, transport: Option<Transport>) -> CheckReport {
    let guest = token("demo", "guest-1");
    report(&Check { signal_only: false, transport, ..check("demo", &guest, &server.candidates()) }).await
}

/// The threads of this process, but for those that look up names and read files for tokio.
fn threads() -> usize {
    std::fs::read_dir("/proc/self/task")
        .unwrap()
        .filter(|task| {
            let name = std::fs::read_to_string(task.as_ref().unwrap().path().join("comm")).unwrap_or_default();
            !name.starts_with("tokio")
        })
        .count()
}

#[tokio::test]
#[ignore = "needs livekit"]
async fn by_udp_and_nothing_stays_behind() {
    let server = with_room(Spec::default()).await;
    let (tasks, before) = (tokio::runtime::Handle::current().metrics().num_alive_tasks(), threads());
    let report = tried(&server, None).await;
    assert_eq!(report.verdict, Verdict::Joinable);
    told(&report, "media", Status::Passed, "Sound gets through by UDP: ");
    told(&report, "media", Status::Passed, &format!("TCP port {} is open too", server.tcp));
    // Which of its addresses, by IPv4 or IPv6, is the machine's affair.
    let media = report.media.as_ref().unwrap();
    assert_eq!(media.protocol, Transport::Udp);
    assert!(media.remote.ends_with(&format!(":{}", server.udp)), "{media:?}");
    assert!(media.rtt_ms.unwrap() < 100.0);
    assert!(report.media_after.unwrap() > report.joined_after.unwrap());
    println!("joined after {:?}, media after {:?}", report.joined_after.unwrap(), report.media_after.unwrap());
    let document = nostr_nests::cli::document::report(&report);
    assert_eq!(document["media"]["protocol"], "udp");
    assert!(document["media"]["rttMs"].is_number());
    assert_eq!(server.settled("demo", 0).await, 0, "the check has left");
    drop(server);
    sleep(Duration::from_millis(50)).await;
    assert!(tokio::runtime::Handle::current().metrics().num_alive_tasks() <= tasks, "a task was left behind");
    assert!(threads() <= before, "a thread was left behind");
}

#[tokio::test]
#[ignore = "needs livekit"]
async fn each_way_can_be_forced() {
    let server = with_room(Spec::default()).await;
    let report = tried(&server, Some(Transport::Udp)).await;
    assert_eq!(protocol(&report), Some(Transport::Udp));
    assert!(!step(&report, "media").detail.contains("TCP"));

    let report = tried(&server, Some(Transport::Tcp)).await;
    told(&report, "media", Status::Passed, "Sound gets through by TCP: ");
    assert_eq!(protocol(&report), Some(Transport::Tcp));
    assert!(report.media.as_ref().unwrap().remote.ends_with(&format!(":{}", server.tcp)));

    let report = tried(&server, Some(Transport::Relay)).await;
    assert_eq!(report.verdict, Verdict::Unhealthy);
    told(&report, "media", Status::Failed, "The media server advertises no TURN server");
    assert_eq!(server.settled("demo", 0).await, 0);
}

#[tokio::test]
#[ignore = "needs livekit"]
async fn a_server_that_wants_tcp_alone() {
    let rtc = format!("{}, force_tcp: true", Spec::default().rtc);
    let server = with_room(Spec { rtc, ..Spec::default() }).await;
    let report = tried(&server, None).await;
    told(&report, "media", Status::Passed, "by TCP, which is all that the server offers");
    assert_eq!(protocol(&report), Some(Transport::Tcp));
    assert!(report.media_after.unwrap() < Duration::from_millis(700), "there was nothing to wait for");

    let report = tried(&server, Some(Transport::Udp)).await;
    assert_eq!(report.verdict, Verdict::Unhealthy);
    told(&report, "media", Status::Failed, "The media server takes no audio by UDP");
}

#[tokio::test]
#[ignore = "needs livekit"]
async fn turn_that_is_advertised_but_not_there() {
    let (udp, tls) = (port::reserved(), port::reserved());
    let servers = format!(
        "{}, turn_servers: [{{host: 127.0.0.1, port: {udp}, protocol: udp, username: u, credential: top-secret}}, \
         {{host: 127.0.0.1, port: {tls}, protocol: tls, username: u, credential: top-secret}}]",
        Spec::default().rtc
    );
    let server = with_room(Spec { rtc: servers, ..Spec::default() }).await;
    let report = tried(&server, None).await;
    told(&report, "media", Status::Passed, "by UDP");
    assert!(!serde_json::to_string(&report).unwrap().contains("turn"), "it was not tried");

    let report = tried(&server, Some(Transport::Relay)).await;
    assert_eq!(report.verdict, Verdict::Unhealthy);
    told(&report, "media", Status::Failed, &format!("turn:127.0.0.1:{udp}?transport=udp does not work: "));
    told(
        &report,
        "media",
        Status::Failed,
        &format!("turns:127.0.0.1:{tls}?transport=tcp does not work: connection refused"),
    );
    assert!(!serde_json::to_string(&report).unwrap().contains("top-secret"));

    // Too little time to say.
    let guest = token("demo", "guest-1");
    let (candidates, timeout) = (server.candidates(), Duration::from_millis(800));
    let request = Check { timeout, ..check("demo", &guest, &candidates) };
    let started = Instant::now();
    let report = self::report(&Check { signal_only: false, transport: Some(Transport::Relay), ..request }).await;
    assert!(started.elapsed() < timeout + Duration::from_secs(1));
    told(&report, "media", Status::NotChecked, "Time was up");
}

#[tokio::test]
#[ignore = "needs livekit"]
async fn without_a_room_or_with_a_wrong_secret_audio_is_not_checked() {
    let server = LiveKit::start(false);
    let report = tried(&server, None).await;
    told(&report, "signal", Status::Failed, "has no room \"demo\"");
    told(&report, "media", Status::NotChecked, "The room was not entered");
    server.create("demo", 60).await;
    let wrong = json!({"iss": "devkey", "sub": "g", "exp": now_ms() / 1000 + 60,
        "video": {"room": "demo", "roomJoin": true}});
    let wrong = Secret::new(jwt(&wrong, "another-secret-of-thirty-two-characters"));
    let report = self::report(&Check { signal_only: false, ..check("demo", &wrong, &server.candidates()) }).await;
    told(&report, "token", Status::Failed, "it is signed with another secret");
    told(&report, "media", Status::NotChecked, "The room was not entered");
}

/// A LiveKit from before the single peer connection: it knows `/rtc` alone.
#[tokio::test]
#[ignore = "needs livekit"]
async fn an_older_server_is_spoken_to_in_the_older_way() {
    let server = with_room(Spec::default()).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (front, port) = (listener.local_addr().unwrap().port(), server.port);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = [0; 64];
                let read = stream.peek(&mut head).await.unwrap();
                if head[..read].starts_with(b"GET /rtc/v1") {
                    let answer = b"HTTP/1.1 404 Not Found\r\nContent-Length: 19\r\n\r\n404 page not found\n";
                    stream.write_all(answer).await.unwrap();
                    // What the client sent must be read, or the answer is lost with the connection.
                    let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut [0; 8192]).await;
                    return;
                }
                let mut backend = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                let _ = copy_bidirectional(&mut stream, &mut backend).await;
            });
        }
    });
    let speaker = speaker("demo", "speaker-1");
    let candidates = of(&[format!("ws://127.0.0.1:{front}")]);
    let request = check("demo", &speaker, &candidates);
    let report = self::report(&Check { signal_only: false, publish: true, ..request }).await;
    assert_eq!(report.verdict, Verdict::Joinable);
    assert_eq!(protocol(&report), Some(Transport::Udp));
    told(&report, "publish", Status::Passed, "The media server hears us: ");
    assert_eq!(server.settled("demo", 0).await, 0);
}

#[tokio::test]
#[ignore = "needs livekit"]
async fn a_listener_does_not_speak() {
    let server = with_room(Spec::default()).await;
    let guest = token("demo", "guest-1");
    let candidates = server.candidates();
    let request = Check { signal_only: false, publish: true, ..check("demo", &guest, &candidates) };
    let report = self::report(&request).await;
    assert_eq!(report.verdict, Verdict::Joinable);
    told(&report, "media", Status::Passed, "by UDP");
    told(&report, "publish", Status::NotChecked, "This token only listens");
}

/// An independent client sits in the room and hears the silence.
#[tokio::test]
#[ignore = "needs livekit and its Python client"]
async fn silence_is_heard_by_somebody_else() {
    let server = with_room(Spec::default()).await;
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let mut listener = tokio::process::Command::new(root.join("target/tools/livekit-py/bin/python"))
        .arg(root.join("tests/support/listener.py"))
        .args([&server.url("ws", ""), token("demo", "listener").expose()])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("target/tools/livekit-py is a virtual environment with livekit");
    let mut lines = BufReader::new(listener.stdout.take().unwrap()).lines();
    assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("connected"));

    let speaker = speaker("demo", "speaker-1");
    let candidates = server.candidates();
    let request = Check { signal_only: false, publish: true, ..check("demo", &speaker, &candidates) };
    let report = self::report(&request).await;
    told(&report, "publish", Status::Passed, "The media server hears us: ");
    let detail = &step(&report, "publish").detail;
    let heard: u32 = detail.split_once("us: ").unwrap().1.split_once(" of ").unwrap().0.parse().unwrap();
    assert!(heard >= 25, "{detail}");

    let line = lines.next_line().await.unwrap().unwrap();
    let (identity, packets) = line.split_once(' ').unwrap();
    assert_eq!(identity, "speaker-1");
    assert!(packets.parse::<u32>().unwrap() >= 25, "{line}");
    listener.wait().await.unwrap();
}

/// More than a minute long, so run by hand: with audio, nobody is thrown out.
#[tokio::test]
#[ignore = "needs livekit and a minute"]
async fn with_audio_a_hold_may_be_long() {
    let server = with_room(Spec::default()).await;
    let guest = token("demo", "guest-1");
    let hold = LONGEST_HOLD + Duration::from_secs(15);
    let candidates = server.candidates();
    let request = Check { signal_only: false, hold: Some(hold), ..check("demo", &guest, &candidates) };
    let report = self::report(&request).await;
    told(&report, "hold", Status::Passed, "Nothing closed the room for 70 s");
}

#[tokio::test]
#[ignore = "needs livekit"]
async fn a_server_that_dies_during_the_hold_is_told() {
    let server = with_room(Spec::default()).await;
    let guest = token("demo", "guest-1");
    let candidates = server.candidates();
    let hold = Some(Duration::from_secs(20));
    let request = Check { signal_only: false, hold, ..check("demo", &guest, &candidates) };
    let dying = async move {
        sleep(Duration::from_secs(5)).await;
        drop(server);
    };
    let (report, ()) = tokio::join!(self::report(&request), dying);
    assert_eq!(step(&report, "hold").status, Status::Failed);
    assert_eq!(step(&report, "media").status, Status::Passed);
}
