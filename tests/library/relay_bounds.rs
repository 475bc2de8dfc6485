//! Relays are not trusted: what they send is bounded, and believed only where the host has signed it.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use nostr::{Event, Keys, RelayUrl};
use nostr_nests::relay::{Found, RelayError, RelayTrouble, Relays, parse_url};
use proptest::prelude::*;
use rustls::RootCertStore;
use rustls::pki_types::PrivateKeyDer;
use tokio_tungstenite::tungstenite::{self, Message};

use crate::support::relays::*;

/// What is wrong with the only relay.
async fn trouble(url: &RelayUrl) -> RelayTrouble {
    let host = Keys::generate().public_key();
    let started = Instant::now();
    match relays(&[url]).fetch(&coordinate(host, "weekly")).await {
        Err(RelayError::AllFailed(failed)) => {
            assert!(started.elapsed() < Duration::from_secs(10), "{failed:?}");
            failed.into_iter().next().unwrap().trouble
        }
        other => panic!("{other:?}"),
    }
}

async fn fetch(host: &Keys, list: &[&RelayUrl]) -> Found {
    relays(list).fetch(&coordinate(host.public_key(), "weekly")).await.unwrap()
}

/// The same event with something in it changed by somebody who cannot sign.
fn forged(event: &Event, change: impl FnOnce(&mut serde_json::Value)) -> Event {
    let mut value = serde_json::to_value(event).unwrap();
    change(&mut value);
    serde_json::from_value(value).unwrap()
}

#[tokio::test]
async fn only_what_the_host_has_signed_is_believed() {
    let (host, stranger) = (Keys::generate(), Keys::generate());
    let true_one = room(&host, "weekly", 100, &[&["service", "https://api.example"]]);
    let newer = room(&host, "weekly", 5, &[&["service", "https://evil.example"]]);
    let by_stranger = room(&stranger, "weekly", 5, &[&["service", "https://evil.example"]]);
    let bad_signature = forged(&newer, |event| event["sig"] = serde_json::to_value(by_stranger.sig).unwrap());
    let bad_id = forged(&true_one, |event| event["content"] = "changed".into());
    let bad_author = forged(&by_stranger, |event| event["pubkey"] = serde_json::to_value(host.public_key()).unwrap());
    let other_room = room(&host, "other", 5, &[]);
    let other_kind = signed(&host, 30311, 5, tags(&[&["d", "weekly"]]));
    let no_d = signed(&host, 30312, 5, Vec::new());
    let liar = teller(&[&bad_id, &bad_signature, &bad_author, &by_stranger, &other_room, &other_kind, &no_d]).await;
    let (_honest, honest) = relay(&[&true_one]).await;

    let found = fetch(&host, &[&liar, &honest]).await;
    let room = found.room.unwrap();
    assert_eq!((room.event.event(), &room.seen_on, &room.stale_on), (&true_one, &vec![honest], &Vec::new()));
    assert_eq!(found.asked.forging, std::slice::from_ref(&liar));

    let found = fetch(&host, &[&liar]).await;
    assert_eq!((found.room, found.asked.answered), (None, vec![liar.clone()]));

    // The other nest is real, and belongs in a list; nothing else does.
    let listed = relays(&[&liar]).list_of(host.public_key(), |_| {}).await.unwrap();
    assert_eq!(listed.rooms.iter().map(|room| room.event.event()).collect::<Vec<_>>(), [&other_room]);
}

#[tokio::test]
async fn a_forged_copy_does_not_pass_because_the_true_one_is_known() {
    let host = Keys::generate();
    let event = room(&host, "weekly", 5, &[&["status", "open"]]);
    let copy = forged(&event, |event| event["tags"][1][1] = "closed".into());
    assert_eq!(event.id, copy.id);
    let liar = teller(&[&event, &copy]).await;

    let found = fetch(&host, &[&liar]).await;

    assert_eq!(found.room.unwrap().event.event(), &event);
    assert_eq!(found.asked.forging, [liar]);
}

#[tokio::test]
async fn a_forged_relay_list_leads_nowhere() {
    let host = Keys::generate();
    let (_home, home) = relay(&[&room(&host, "weekly", 5, &[])]).await;
    let outbox = signed(&host, 10002, 5, Vec::new());
    let outbox = forged(&outbox, |event| event["tags"] = serde_json::json!([["r", home.as_str()]]));
    let liar = teller(&[&outbox]).await;

    let found = fetch(&host, &[&liar]).await;

    assert_eq!((found.room, found.asked.answered, found.asked.forging), (None, vec![liar.clone()], vec![liar]));
}

#[tokio::test]
async fn garbage_is_borne_up_to_a_point() {
    let garbage = || {
        let mut frames = vec![Message::binary(vec![0xff; 64])];
        for text in ["", "[]", "{", "[\"EVENT\"]", "[\"OK\",1,2,3]", "[[[[", "null", "\u{1b}[2J"] {
            frames.push(Message::text(text));
        }
        frames
    };
    let some = stub(move |text| {
        let mut frames = garbage();
        frames.extend(subscription(text).map(|id| json(&serde_json::json!(["EOSE", id]))));
        (frames, Then::Listen)
    })
    .await;
    let only = stub(move |_| ([garbage(), garbage()].concat(), Then::Listen)).await;

    let host = Keys::generate();
    assert_eq!(fetch(&host, &[&some]).await.asked.answered, [some]);
    assert_eq!(trouble(&only).await, RelayTrouble::Nonsense);
}

#[tokio::test]
async fn nobody_can_fill_the_memory() {
    let frame = stub(|_| (vec![Message::text(" ".repeat(2 << 20))], Then::Listen)).await;
    assert_eq!(trouble(&frame).await, RelayTrouble::TooMuch);

    let notices = stub(|_| {
        let notice = json(&serde_json::json!(["NOTICE", "x".repeat(900_000)]));
        (vec![notice; 20], Then::Listen)
    })
    .await;
    assert_eq!(trouble(&notices).await, RelayTrouble::TooMuch);

    let event = room(&Keys::generate(), "weekly", 5, &[]);
    let flood = stub(move |text| {
        let id = subscription(text).unwrap_or_default();
        (vec![json(&serde_json::json!(["EVENT", id, event])); 2_100], Then::Listen)
    })
    .await;
    assert_eq!(trouble(&flood).await, RelayTrouble::TooMuch);

    let pings = stub(|_| (vec![Message::Ping(vec![0; 125].into()); 700], Then::Listen)).await;
    assert_eq!(trouble(&pings).await, RelayTrouble::PingFlood);
}

#[tokio::test]
async fn what_a_relay_says_is_kept_without_secrets() {
    let secret = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0";
    let notice = format!("go away, {secret}! {}", "x".repeat(1_000));
    let hangs_up = stub(move |_| (vec![json(&serde_json::json!(["NOTICE", notice]))], Then::HangUp)).await;
    let RelayTrouble::ConnectionLost(words) = trouble(&hangs_up).await else { panic!() };
    assert!(words.starts_with("go away, ***! xxx") && words.ends_with('…') && words.len() < 400, "{words}");

    for (answer, expected) in [
        ("CLOSED", RelayTrouble::Refused("blocked: not you".into())),
        ("NOTICE", RelayTrouble::Refused("blocked: not you".into())),
    ] {
        let refuses = stub(move |text| {
            let Some(id) = subscription(text) else { return (Vec::new(), Then::Listen) };
            let mut message = vec![answer, &id, "blocked: not you"];
            message.retain(|part| answer == "CLOSED" || *part != id);
            (vec![json(&serde_json::json!(message))], Then::Listen)
        })
        .await;
        assert_eq!(trouble(&refuses).await, expected);
    }
}

#[tokio::test]
async fn what_is_no_relay_is_named() {
    for (answer, status) in [
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", 404),
        ("HTTP/1.1 301 Moved Permanently\r\nLocation: ws://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", 301),
    ] {
        assert_eq!(trouble(&web_server(answer)).await, RelayTrouble::NoWebSocket(status));
    }
    let not_http = web_server("SSH-2.0-OpenSSH_9.6\r\n");
    assert!(matches!(trouble(&not_http).await, RelayTrouble::Unreachable(_)));

    let started = Instant::now();
    let far = RelayUrl::parse("ws://192.0.2.1").unwrap();
    assert_eq!(trouble(&far).await, RelayTrouble::Insecure);
    assert!(started.elapsed() < Duration::from_secs(1));
}

fn web_server(answer: &'static str) -> RelayUrl {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = RelayUrl::parse(&format!("ws://{}", listener.local_addr().unwrap())).unwrap();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]);
        stream.write_all(answer.as_bytes()).unwrap();
        // Until the client has gone.
        let _ = stream.read(&mut [0; 1]);
    });
    url
}

#[tokio::test]
async fn a_private_authority_is_trusted_only_if_told_to() {
    let certified = rcgen::generate_simple_self_signed(["localhost".into()]).unwrap();
    let url = tls_relay(&certified);
    let host = Keys::generate().public_key();

    let RelayTrouble::Unreachable(why) = trouble(&url).await else { panic!() };
    assert!(why.contains("certificate"), "{why}");

    let mut roots = RootCertStore::empty();
    roots.add(certified.cert.der().clone()).unwrap();
    let mut config = rustls::ClientConfig::clone(&tls(roots));
    // As for HTTP: a relay that took it at its word would not speak WebSocket.
    config.alpn_protocols = vec![b"h2".to_vec()];
    let mut settings = settings(Duration::from_secs(20));
    settings.tls = Arc::new(config);
    let found = Relays::new([url.clone()], settings).fetch(&coordinate(host, "weekly")).await.unwrap();
    assert_eq!(found.asked.answered, [url]);
}

/// A relay without events that speaks TLS.
fn tls_relay(certified: &rcgen::CertifiedKey<rcgen::KeyPair>) -> RelayUrl {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = config.with_no_client_auth().with_single_cert(vec![certified.cert.der().clone()], key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = RelayUrl::parse(&format!("wss://localhost:{}", listener.local_addr().unwrap().port())).unwrap();
    thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            let tls = rustls::ServerConnection::new(config.clone()).unwrap();
            let Ok(mut socket) = tungstenite::accept(rustls::StreamOwned::new(tls, stream)) else { continue };
            assert_eq!(socket.get_ref().conn.alpn_protocol(), None);
            while let Ok(Message::Text(text)) = socket.read() {
                if let Some(id) = subscription(&text) {
                    socket.send(json(&serde_json::json!(["EOSE", id]))).unwrap();
                }
            }
        }
    });
    url
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_frames_end_in_an_answer(frames in proptest::collection::vec(any_frame(), 0..20), hangs_up: bool) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let then = move || if hangs_up { Then::HangUp } else { Then::Listen };
            let url = stub(move |_| (frames.iter().cloned().map(Message::text).collect(), then())).await;
            let host = Keys::generate().public_key();
            let relays = relays_within(Duration::from_millis(50), &[&url]);
            let started = Instant::now();
            if let Ok(found) = relays.fetch(&coordinate(host, "weekly")).await {
                assert_eq!(found.room, None);
            }
            relays.publish(&room(&Keys::generate(), "weekly", 5, &[])).await;
            assert!(started.elapsed() < Duration::from_secs(5));
        });
    }
}

fn any_frame() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        any::<String>().prop_map(serde_json::Value::from),
        any::<bool>().prop_map(serde_json::Value::from),
        any::<i64>().prop_map(serde_json::Value::from),
        Just(serde_json::json!({"id": "", "tags": [[]]})),
        Just(serde_json::Value::from("nest")),
        Just(serde_json::Value::from("auth-required: x")),
    ];
    let name = proptest::sample::select(vec!["EVENT", "OK", "EOSE", "CLOSED", "NOTICE", "AUTH", "COUNT", "?"]);
    let message = (name, proptest::collection::vec(part, 0..5))
        .prop_map(|(name, parts)| std::iter::once(name.into()).chain(parts).collect::<serde_json::Value>().to_string());
    prop_oneof![any::<String>(), message]
}

#[test]
fn addresses_are_read_without_showing_passwords() {
    assert_eq!(parse_url(" wss://relay.example/path ").unwrap().as_str(), "wss://relay.example/path");
    for text in
        ["", "relay.example", "https://relay.example", "wss://", "wss://me:hunter2@relay.example", "me:hunter2@h"]
    {
        let error = parse_url(text).unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }
}
