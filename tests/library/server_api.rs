//! The Nests API of the bundled server, asked by a client that shares no code with it.

use std::time::Duration;

use livekit_protocol::CreateRoomRequest;
use nostr::Keys;
use nostr_nests::secret::Secret;
use nostr_nests::server::media::LivekitConfig;
use nostr_nests::server::{DEMO, Mock, Options, REQUESTS};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::api_contract::{Subject, contract};
use crate::support::log::Log;
use crate::support::nests_api::{claims, client, signed};
use crate::support::signal::Signal;

fn mock() -> Mock {
    Mock::start(Options::default()).unwrap()
}

fn room(mock: &Mock, id: &str, action: &str) -> String {
    format!("{}/api/v1/nests/{id}{action}", mock.api())
}

async fn restart(mock: &Mock, id: &str) -> Value {
    let answer = signed(mock.host(), Method::POST, &room(mock, id, "/restart"), None).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    json_of(answer).await
}

async fn json_of(answer: reqwest::Response) -> Value {
    serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
}

async fn error(request: reqwest::RequestBuilder) -> (u16, String) {
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    let body = json_of(answer).await;
    (status, body["error"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_restart_brings_the_dead_nest_back() {
    let mock = mock();
    assert_eq!(mock.room(DEMO), None);
    let before = mock.record(DEMO).unwrap();

    let answer = restart(&mock, DEMO).await;
    assert_eq!(answer["roomId"], DEMO);
    assert_eq!(answer["message"], "Nest restarted successfully");
    let endpoint = format!("wss+livekit://{}", mock.address());
    assert_eq!(answer["endpoints"], json!([endpoint]));

    let room = mock.room(DEMO).unwrap();
    let record = mock.record(DEMO).unwrap();
    let metadata: Value = serde_json::from_str(&room.metadata).unwrap();
    let host = mock.host().public_key().to_hex();
    assert_eq!(
        metadata,
        json!({ "nestId": DEMO, "host": host, "relays": [mock.relay()], "createdAt": before.created_at,
            "restartedAt": record.restarted_at.unwrap() })
    );
    assert_eq!((room.empty_timeout, room.departure_timeout, room.max_participants), (1800, 60, 500));
    assert_eq!(nostr_nests::server::store::Record { restarted_at: None, ..record }, before);

    let token = answer["token"].as_str().unwrap();
    let claims = claims(token);
    assert_eq!(claims["sub"], host);
    assert_eq!(claims["nbf"], 0);
    assert_eq!(claims.get("iat"), None);
    assert_eq!(
        claims["video"],
        json!({ "room": DEMO, "roomJoin": true, "canPublish": true, "canSubscribe": true, "roomAdmin": true,
            "roomRecord": true })
    );
    let metadata: Value = serde_json::from_str(claims["metadata"].as_str().unwrap()).unwrap();
    assert_eq!(metadata, json!({ "role": "host", "pubkey": host }));

    let signal = Signal::join(mock.livekit(), token).await.unwrap();
    assert_eq!(signal.join.room.as_ref().unwrap().sid, room.sid);
    assert_eq!(mock.participants(DEMO), [host]);
}

#[tokio::test]
async fn a_restart_of_a_live_nest_makes_a_new_room_and_disconnects_people() {
    let mock = mock();
    let token = restart(&mock, DEMO).await["token"].as_str().unwrap().to_owned();
    let first = mock.room(DEMO).unwrap().sid;
    let mut inside = Signal::join(mock.livekit(), &token).await.unwrap();
    restart(&mock, DEMO).await;
    assert_eq!(inside.farewell().await, livekit_protocol::DisconnectReason::RoomDeleted);
    assert_ne!(mock.room(DEMO).unwrap().sid, first);
    assert_eq!(mock.participants(DEMO), Vec::<String>::new());
}

#[tokio::test]
async fn the_contract_is_kept() {
    let mock = mock();
    contract(&Subject { origin: mock.api(), public: mock.api(), mimics_upstream: true }).await;
}

/// What is asked of a dead nest makes no room for it, and is refused in its own words.
#[tokio::test]
async fn a_dead_nest_stays_dead_until_it_is_restarted() {
    let mock = mock();
    let inactive = error(signed(&Keys::generate(), Method::GET, &room(&mock, DEMO, ""), None)).await;
    assert_eq!(inactive, (404, "Nest is no longer active".into()));
    let guest = error(client().get(room(&mock, DEMO, "/guest"))).await;
    assert_eq!(guest, (404, "Nest not found or no longer active".into()));
    assert_eq!(mock.room(DEMO), None);
    let token = restart(&mock, DEMO).await["token"].as_str().unwrap().to_owned();
    let _inside = Signal::join(mock.livekit(), &token).await.unwrap();
    let info = json_of(client().get(room(&mock, DEMO, "/info")).send().await.unwrap()).await;
    assert_eq!(info["participantCount"], 1);
}

/// As upstream, which does not ask whose room it is.
#[tokio::test]
async fn guests_get_into_any_room() {
    let mock = mock();
    let meeting = CreateRoomRequest { name: "meeting".into(), ..CreateRoomRequest::default() };
    mock.media().create(&meeting).await.unwrap();
    assert_eq!(client().get(room(&mock, "meeting", "/guest")).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn records_expire() {
    let mock = Mock::start(Options { record_ttl: Duration::ZERO, ..Options::default() }).unwrap();
    let answer = error(signed(mock.host(), Method::POST, &room(&mock, DEMO, "/restart"), None)).await;
    assert_eq!(answer, (404, "Nest not found".into()));
}

#[tokio::test]
async fn ids_are_taken_byte_for_byte() {
    let mock = mock();
    let record = mock.record(DEMO).unwrap();
    mock.remember(nostr_nests::server::store::Record { id: "A b/ü".into(), ..record });
    assert_eq!(restart(&mock, "A%20b%2F%C3%BC").await["roomId"], "A b/ü");
    assert!(mock.room("A b/ü").is_some());
}

#[tokio::test]
async fn health_dates_and_counts() {
    let mock = mock();
    let url = format!("{}/health", mock.api());
    let answer = client().get(&url).send().await.unwrap();
    assert!(answer.headers().contains_key("date"));
    let health = json_of(answer).await;
    assert_eq!((&health["status"], &health["livekit"]), (&json!("healthy"), &json!(mock.livekit())));
    assert_eq!((mock.requests("/health"), mock.requests("/other"), mock.all_requests()), (1, 0, 1));
    assert_eq!(mock.last_authorization(), None);
}

#[tokio::test]
async fn the_demo_nest_is_on_the_relay() {
    use futures_util::{SinkExt as _, StreamExt as _};
    use nostr::JsonUtil as _;
    use tokio_tungstenite::tungstenite::Message;
    let mock = mock();
    let (mut socket, _) = tokio_tungstenite::connect_async(mock.relay()).await.unwrap();
    socket.send(Message::text(r#"["REQ","x",{"kinds":[30312]}]"#)).await.unwrap();
    let answer: Value = serde_json::from_str(socket.next().await.unwrap().unwrap().to_text().unwrap()).unwrap();
    let event = nostr::Event::from_json(answer[2].to_string()).unwrap();
    event.verify().unwrap();
    assert_eq!(event.pubkey, mock.host().public_key());
    let tag = |name: &str| answer[2]["tags"].as_array().unwrap().iter().find(|tag| tag[0] == name).unwrap()[1].clone();
    assert_eq!((tag("d"), tag("status")), (json!(DEMO), json!("open")));
    assert_eq!(tag("service"), format!("{}/api/v1/nests", mock.api()));
    assert_eq!(tag("relays"), mock.relay());
}

#[tokio::test]
async fn requests_are_logged_without_secrets() {
    let (log, _listening) = Log::listen();
    let mock = mock();
    let answer = restart(&mock, DEMO).await;
    let token = answer["token"].as_str().unwrap();
    let _signal = Signal::join(mock.livekit(), token).await.unwrap();
    let _ = Signal::join(mock.livekit(), &format!("{token}x")).await;
    let lines = log.of(REQUESTS);
    let sid = mock.room(DEMO).unwrap().sid;
    assert!(lines[0].contains(&format!("note=\"restart demo no room → {sid}\"")), "{}", lines[0]);
    assert!(lines[1].starts_with(" status=101 method=GET path=\"/rtc\""), "{}", lines[1]);
    assert!(lines[2].contains("status=401") && lines[2].contains("note=\"join refused\""), "{}", lines[2]);
    for secret in [token, "eyJ", "Nostr ", "access_token"] {
        assert!(!log.all().contains(secret), "{secret} in {}", log.all());
    }
}

#[tokio::test]
async fn a_livekit_that_is_not_there_is_told_as_upstream_does() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = LivekitConfig { url: format!("ws://{nobody}"), key: "key".into(), secret: Secret::new("hunter2") };
    assert!(!format!("{config:?}").contains("hunter2"));
    let mock = Mock::start(Options { livekit: Some(config), ..Options::default() }).unwrap();
    let base = format!("{}/api/v1/nests/{DEMO}", mock.api());
    let answer = signed(mock.host(), Method::POST, &format!("{base}/restart"), None).send().await.unwrap();
    assert_eq!(answer.status(), 500);
    assert_eq!(answer.bytes().await.unwrap(), r#"{"error":"Failed to restart nest"}"#);
    assert_eq!(client().get(format!("{base}/guest")).send().await.unwrap().status(), 404);
    assert_eq!(client().get(format!("{base}/info")).send().await.unwrap().status(), 200);
}
