//! The Nests API of the bundled server, asked by a client that shares no code with it.

use std::time::Duration;

use nostr::Keys;
use nostr_nests::secret::Secret;
use nostr_nests::server::media::LivekitConfig;
use nostr_nests::server::{DEMO, Mock, Options};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

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

async fn get(url: String) -> (u16, Value) {
    let answer = client().get(url).send().await.unwrap();
    (answer.status().as_u16(), json_of(answer).await)
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
async fn checks_come_in_the_order_that_clients_know() {
    let mock = mock();
    let stranger = Keys::generate();
    let url = |id, action| room(&mock, id, action);
    let post = |keys, id, action| signed(keys, Method::POST, &room(&mock, id, action), None);

    // The body before the signature, the signature before the record, the record before the rights.
    let (status, _) = error(client().put(format!("{}/api/v1/nests", mock.api())).body("{")).await;
    assert_eq!(status, 400);
    assert_eq!(error(client().post(url("nowhere", "/restart"))).await, (401, "Missing Authorization header".into()));
    assert_eq!(error(post(&stranger, "nowhere", "/restart")).await, (404, "Nest not found".into()));
    let refused = error(post(&stranger, DEMO, "/restart")).await;
    assert_eq!(refused, (403, "Only the host can restart the nest".into()));
    let refused = error(signed(&stranger, Method::DELETE, &url(DEMO, ""), None)).await;
    assert_eq!(refused, (403, "Only the host can delete the nest".into()));
    let inactive = error(signed(&stranger, Method::GET, &url(DEMO, ""), None)).await;
    assert_eq!(inactive, (404, "Nest is no longer active".into()));
    assert_eq!(error(client().get(url(DEMO, "/guest"))).await, (404, "Nest not found or no longer active".into()));
    assert_eq!(error(client().get(url("nowhere", "/info"))).await, (404, "Nest not found".into()));
    assert_eq!(error(client().get(url(DEMO, "/restart"))).await, (404, "Endpoint not found".into()));
    assert_eq!(error(client().get(format!("{}/rtc/v1", mock.api()))).await, (404, "Endpoint not found".into()));
    assert_eq!(mock.room(DEMO), None, "nothing of this may have created a room");
}

#[tokio::test]
async fn a_nest_is_created_joined_described_and_deleted() {
    let mock = mock();
    let (host, speaker) = (Keys::generate(), Keys::generate());
    let relays = json!(["wss://relay.example"]);
    let base = format!("{}/api/v1/nests", mock.api());
    let put = |body| signed(&host, Method::PUT, &base, Some(body));

    let created = json_of(put(json!({ "relays": relays, "hls_stream": true })).send().await.unwrap()).await;
    let id = created["roomId"].as_str().unwrap().to_owned();
    assert_eq!(created.get("message"), None);
    assert_eq!(created["endpoints"][1], format!("{}/api/v1/live/{id}/live.m3u8", mock.api()));
    let record = mock.record(&id).unwrap();
    assert_eq!((record.hls_stream, record.restarted_at), (true, None));
    assert_eq!(record.speakers, [host.public_key().to_hex()]);

    let url = |action: &str| room(&mock, &id, action);
    let guest = get(url("/guest")).await.1["token"].as_str().unwrap().to_owned();
    assert_eq!(claims(&guest)["video"]["canPublish"], false);
    assert!(claims(&guest)["sub"].as_str().unwrap().starts_with("guest-"));
    let _inside = Signal::join(mock.livekit(), &guest).await.unwrap();

    let (_, info) = get(url("/info")).await;
    assert_eq!(info["participantCount"], 1);
    assert_eq!(info["host"], host.public_key().to_hex());
    assert!(info["link"].as_str().unwrap().starts_with("naddr1"));
    assert_eq!((&info["createdAt"], &info["status"]), (&json!(record.created_at), &json!("active")));

    let participant = speaker.public_key().to_hex();
    let token = async |keys| {
        let answer = signed(keys, Method::GET, &url(""), None).send().await.unwrap();
        claims(json_of(answer).await["token"].as_str().unwrap())
    };
    assert_eq!(token(&speaker).await["video"]["canPublish"], false);
    let permit = async |keys: &Keys, body: Value| {
        signed(keys, Method::POST, &url("/permissions"), Some(body)).send().await.unwrap().status().as_u16()
    };
    let may_speak = json!({ "participant": participant, "can_publish": true });
    assert_eq!(permit(&speaker, may_speak.clone()).await, 403);
    assert_eq!(permit(&host, may_speak.clone()).await, 201);
    assert_eq!(permit(&host, may_speak).await, 204);
    assert_eq!(token(&speaker).await["video"]["canPublish"], true);
    assert_eq!(token(&speaker).await["video"]["roomAdmin"], false);
    assert_eq!(permit(&host, json!({ "participant": participant, "is_admin": true })).await, 201);
    assert_eq!(token(&speaker).await["name"], "Admin");
    let refused = signed(
        &speaker,
        Method::POST,
        &url("/permissions"),
        Some(json!({ "participant": participant, "is_admin": false })),
    );
    assert_eq!(error(refused).await, (403, "Only host can manage admin permissions".into()));

    let again = restart_as(&host, &url("/restart")).await;
    assert_eq!(again["endpoints"][1], created["endpoints"][1], "the HLS choice is kept");
    let kept = mock.record(&id).unwrap();
    assert_eq!((kept.speakers.len(), kept.admins.len(), kept.created_at), (2, 2, record.created_at));

    let deleted = signed(&host, Method::DELETE, &url(""), None).send().await.unwrap();
    assert_eq!(deleted.status(), StatusCode::NO_CONTENT);
    assert_eq!((mock.record(&id), mock.room(&id)), (None, None));
}

async fn restart_as(keys: &Keys, url: &str) -> Value {
    json_of(signed(keys, Method::POST, url, None).send().await.unwrap()).await
}

#[tokio::test]
async fn bodies_are_validated_in_upstreams_words() {
    let mock = mock();
    let base = format!("{}/api/v1/nests", mock.api());
    let many = vec!["wss://r"; 11];
    for (body, text) in [
        (json!({}), "\"relays\" is required"),
        (json!({ "relays": [] }), "At least one relay is required"),
        (json!({ "relays": many }), "Maximum 10 relays allowed"),
        (json!({ "relays": ["https://r"] }), "Relays must be valid WebSocket URLs"),
        (json!({ "relays": ["wss://r"], "hls_stream": "yes" }), "hls_stream must be a boolean"),
        (json!({ "relays": ["wss://r"], "title": "x" }), "\"title\" is not allowed"),
    ] {
        assert_eq!(error(signed(mock.host(), Method::PUT, &base, Some(body))).await, (400, text.into()));
    }
    let url = room(&mock, DEMO, "/permissions");
    for (body, text) in [
        (json!({}), "Participant pubkey is required"),
        (json!({ "participant": "npub1" }), "Participant must be a valid hex pubkey"),
        (json!({ "participant": "a".repeat(64), "can_publish": 1 }), "can_publish must be a boolean"),
    ] {
        assert_eq!(error(signed(mock.host(), Method::POST, &url, Some(body))).await, (400, text.into()));
    }
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
    use std::sync::{Arc, Mutex};
    let lines = Arc::new(Mutex::new(Vec::new()));
    let sink = lines.clone();
    let log: nostr_nests::server::LogSink = Arc::new(move |line| sink.lock().unwrap().push(line));
    let mock = Mock::start(Options { log: Some(log), ..Options::default() }).unwrap();
    let answer = restart(&mock, DEMO).await;
    let token = answer["token"].as_str().unwrap();
    let _signal = Signal::join(mock.livekit(), token).await.unwrap();
    let _ = Signal::join(mock.livekit(), &format!("{token}x")).await;
    let lines = lines.lock().unwrap();
    let sid = mock.room(DEMO).unwrap().sid;
    assert_eq!(lines[0].note, format!("restart demo no room → {sid}"));
    assert_eq!((lines[1].path.as_str(), lines[1].status), ("/rtc", Some(101)));
    assert_eq!((lines[2].status, lines[2].note.as_str()), (Some(401), "join refused"));
    let text = format!("{lines:?} {}", lines.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "));
    for secret in [token, "eyJ", "Nostr ", "access_token"] {
        assert!(!text.contains(secret), "{secret} in {text}");
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
