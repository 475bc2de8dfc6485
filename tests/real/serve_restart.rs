//! `nest serve` on a real Redis and a real LiveKit: what a restart does, and what it leaves alone.

use std::time::{Duration, Instant};

use livekit_protocol::{CreateRoomRequest, DisconnectReason};
use nostr::Keys;
use nostr_nests::secret::Secret;
use nostr_nests::server::media::{Livekit, LivekitConfig, MediaServer};
use redis::AsyncCommands as _;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::AsyncBufReadExt as _;

use crate::support::api_contract::{Subject, contract};
use crate::support::livekit::{LiveKit, Spec};
use crate::support::nests_api::claims;
use crate::support::redis::Redis;
use crate::support::serve::{KEY, PUBLIC, SECRET, Serve, Setup};
use crate::support::signal::Signal;

/// Everything that a nest needs.
struct Scene {
    redis: Redis,
    livekit: LiveKit,
    serve: Serve,
    host: Keys,
}

impl Scene {
    fn new() -> Self {
        Self::with(true)
    }

    fn with(auto_create: bool) -> Self {
        let (redis, livekit) = (Redis::start(), LiveKit::start(auto_create));
        let serve = Setup::new(&redis.url(), &livekit.url).announcing(&livekit.url);
        Self { redis, livekit, serve, host: Keys::generate() }
    }

    /// LiveKit without the API in between.
    fn media(&self) -> Livekit {
        media(&self.livekit.url)
    }

    async fn sid(&self, id: &str) -> Option<String> {
        self.media().find(id).await.unwrap().map(|room| room.sid)
    }

    async fn restart(&self, id: &str) -> Value {
        let reply = self.serve.restart(&self.host, id).await;
        assert_eq!(reply.status, 200, "{:?}", self.serve.lines());
        reply.json()
    }

    async fn record(&self, id: &str) -> Option<Value> {
        let text: Option<String> = self.redis.connect().await.get(format!("nest:{id}")).await.unwrap();
        text.map(|text| serde_json::from_str(&text).unwrap())
    }

    async fn token(&self, keys: &Keys, id: &str) -> String {
        let reply = self.serve.call(keys, Method::GET, &format!("/api/v1/nests/{id}"), None).await.expect(200);
        reply.json()["token"].as_str().unwrap().to_owned()
    }
}

fn media(url: &str) -> Livekit {
    Livekit::new(LivekitConfig { url: url.into(), key: KEY.into(), secret: Secret::new(SECRET) }).unwrap()
}

/// As the other implementation writes it, with a field that only it knows.
fn foreign_record(id: &str, host: &Keys) -> Value {
    let host = host.public_key().to_hex();
    json!({
        "id": id, "host": host, "speakers": [host], "admins": [host], "relays": ["wss://relay.example"],
        "hls_stream": false, "createdAt": 1_795_417_759_894_i64, "status": "active",
        "theirs": { "deep": [1, 2.5, null, "ü"] },
    })
}

#[tokio::test]
#[ignore = "needs redis and livekit"]
async fn whoever_is_inside_is_thrown_out_and_comes_back() {
    let scene = Scene::new();
    let id = scene.serve.create(&scene.host).await;
    let guest = scene.serve.get(&format!("/api/v1/nests/{id}/guest")).await.expect(200).json();
    let guest = guest["token"].as_str().unwrap().to_owned();
    let mut inside = Signal::join(&scene.livekit.url, &guest).await.unwrap();
    let mut host = Signal::join(&scene.livekit.url, &scene.token(&scene.host, &id).await).await.unwrap();
    let first = scene.sid(&id).await.unwrap();
    let before = inside.join.room.clone().unwrap();

    let (answer, (back, downtime)) = tokio::join!(scene.restart(&id), async {
        assert_eq!(inside.farewell().await, DisconnectReason::RoomDeleted);
        let thrown_out = Instant::now();
        while scene.sid(&id).await.is_none_or(|sid| sid == first) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // The token is still good.
        let back = Signal::join(&scene.livekit.url, &guest).await.unwrap();
        (back, thrown_out.elapsed())
    });
    println!("back in after {downtime:?}");
    assert_eq!(host.farewell().await, DisconnectReason::RoomDeleted);
    let after = back.join.room.unwrap();
    assert_ne!(after.sid, first);
    assert_eq!(scene.sid(&id).await.unwrap(), after.sid);

    // The same nest: its id, its timeouts, its metadata.
    assert_eq!(
        (after.empty_timeout, after.departure_timeout, after.max_participants),
        (before.empty_timeout, before.departure_timeout, before.max_participants)
    );
    let metadata = |room: &livekit_protocol::Room| serde_json::from_str::<Value>(&room.metadata).unwrap();
    let (old, new) = (metadata(&before), metadata(&after));
    for field in ["nestId", "host", "relays", "createdAt"] {
        assert_eq!(old[field], new[field], "{field}");
    }
    assert_eq!(new["restartedAt"], scene.record(&id).await.unwrap()["restartedAt"]);

    let room = json!({ "sid": after.sid, "sidBefore": first, "createdAtMs": after.creation_time_ms });
    assert_eq!(answer["room"], room, "which LiveKit says as well");

    // A new token, good from now on, for the host, who gets in.
    assert_eq!(answer["endpoints"], json!([scene.livekit.url.replace("ws://", "wss+livekit://")]));
    assert_eq!((&answer["roomId"], &answer["message"]), (&json!(id), &json!("Nest restarted successfully")));
    let token = claims(answer["token"].as_str().unwrap());
    let now = i64::try_from(nostr::Timestamp::now().as_secs()).unwrap();
    assert!((token["nbf"].as_i64().unwrap() - now).abs() <= 2, "{token}");
    assert_eq!(token["sub"], scene.host.public_key().to_hex());
    Signal::join(&scene.livekit.url, answer["token"].as_str().unwrap()).await.unwrap();
}

/// LiveKit's own client for Python, with audio connected; it knows why it was disconnected, and connects again.
#[tokio::test]
#[ignore = "needs redis, livekit and its Python client"]
async fn a_client_that_others_wrote_is_thrown_out_and_comes_back() {
    const SCRIPT: &str = "\
import asyncio, os, sys
from livekit import rtc

async def enter(url, token):
    for left in reversed(range(3)):  # On a busy machine it gives up now and then.
        room = rtc.Room()
        try:
            await room.connect(url, token)
            return room
        except Exception:
            if not left:
                raise

async def main(url, token):
    room, ended = await enter(url, token), asyncio.Event()

    @room.on('disconnected')
    def disconnected(reason):
        print(rtc.DisconnectReason.Name(reason), flush=True)
        ended.set()

    print(await room.sid, flush=True)
    await asyncio.wait_for(ended.wait(), 20)
    again = await enter(url, token)
    print(await again.sid, flush=True)
    await again.disconnect()

asyncio.run(main(*sys.argv[1:]))
os._exit(0)  # Its own threads abort the process now and then, where Python ends in the usual way.";
    let scene = Scene::with(false);
    let id = scene.serve.create(&scene.host).await;
    let (before, token) = (scene.sid(&id).await.unwrap(), scene.token(&Keys::generate(), &id).await);
    let mut client = tokio::process::Command::new("target/tools/livekit-py/bin/python")
        .args(["-c", SCRIPT, &scene.livekit.url, &token])
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("target/tools/livekit-py is a virtual environment with livekit");
    let mut lines = tokio::io::BufReader::new(client.stdout.take().unwrap()).lines();
    assert_eq!(lines.next_line().await.unwrap().unwrap(), before);
    scene.restart(&id).await;
    assert_eq!(lines.next_line().await.unwrap().unwrap(), "ROOM_DELETED");
    assert_eq!(lines.next_line().await.unwrap().unwrap(), scene.sid(&id).await.unwrap());
    assert_eq!(client.wait().await.unwrap().code(), Some(0));
}

#[tokio::test]
#[ignore = "needs redis and livekit"]
async fn a_nest_that_is_dead_comes_back() {
    let scene = Scene::with(false);
    let id = scene.serve.create(&scene.host).await;
    scene.media().delete(&id).await.unwrap();
    let dead = scene.serve.call(&scene.host, Method::GET, &format!("/api/v1/nests/{id}"), None).await.expect(404);
    assert_eq!(dead.json()["error"], "Nest is no longer active");
    let guest = scene.serve.get(&format!("/api/v1/nests/{id}/guest")).await.expect(404);
    assert_eq!(guest.json()["error"], "Nest not found or no longer active");
    let answer = scene.restart(&id).await;
    Signal::join(&scene.livekit.url, answer["token"].as_str().unwrap()).await.unwrap();
    let room = scene.media().find(&id).await.unwrap().unwrap();
    assert_eq!(room.empty_timeout, 1800);
    assert_eq!(
        answer["room"],
        json!({ "sid": room.sid, "createdAtMs": room.creation_time_ms }),
        "there was none before"
    );
}

/// Others may have rooms on the same media server.
#[tokio::test]
#[ignore = "needs redis and livekit"]
async fn guests_get_into_nests_only() {
    let scene = Scene::new();
    let guest = async |id: &str| scene.serve.get(&format!("/api/v1/nests/{id}/guest")).await;
    let create = async |id: &str, metadata: &str| {
        let (name, metadata) = (id.to_owned(), metadata.to_owned());
        scene.media().create(&CreateRoomRequest { name, metadata, ..CreateRoomRequest::default() }).await.unwrap();
    };
    for (id, metadata) in [("meeting", ""), ("stage", "theirs"), ("class", r#"{"host":"x"}"#)] {
        create(id, metadata).await;
        let refused = guest(id).await.expect(404);
        assert_eq!(refused.json()["error"], "Nest not found or no longer active");
    }
    // A nest whose record is gone, and one whose room was made by somebody's join.
    create("forgotten", r#"{"nestId":"forgotten"}"#).await;
    guest("forgotten").await.expect(200);
    let record = foreign_record("meeting", &scene.host).to_string();
    let () = scene.redis.connect().await.set("nest:meeting", record).await.unwrap();
    guest("meeting").await.expect(200);
}

#[tokio::test]
#[ignore = "needs redis and livekit"]
async fn records_of_the_other_implementation_survive() {
    let scene = Scene::new();
    let record = foreign_record("theirs", &scene.host);
    let mut redis = scene.redis.connect().await;
    let () = redis.set_ex("nest:theirs", record.to_string(), 100).await.unwrap();
    // As it makes its rooms, with timeouts of its own.
    let room = CreateRoomRequest {
        name: "theirs".into(),
        empty_timeout: 900,
        departure_timeout: 30,
        max_participants: 77,
        metadata: json!({ "nestId": "theirs", "theirs": true }).to_string(),
        ..CreateRoomRequest::default()
    };
    let before = scene.media().create(&room).await.unwrap();
    scene.restart("theirs").await;
    let after = scene.media().find("theirs").await.unwrap().unwrap();
    assert_ne!(after.sid, before.sid);
    assert_eq!((after.empty_timeout, after.departure_timeout, after.max_participants), (900, 30, 77));
    assert_eq!(serde_json::from_str::<Value>(&after.metadata).unwrap()["theirs"], true);

    let mut now = scene.record("theirs").await.unwrap();
    assert!(now.as_object_mut().unwrap().remove("restartedAt").unwrap().is_i64());
    assert_eq!(now, record);
    let ttl: i64 = redis.ttl("nest:theirs").await.unwrap();
    assert!((86_300..=86_400).contains(&ttl), "{ttl}");

    // What it cannot have meant is left out of the way.
    let () = redis
        .set("nest:odd", json!({ "id": "odd", "host": scene.host.public_key().to_hex() }).to_string())
        .await
        .unwrap();
    scene.restart("odd").await;
    let forever: i64 = redis.ttl("nest:odd").await.unwrap();
    assert_eq!(forever, -1, "a record without an end keeps none");
    let () = redis.set("nest:broken", "{").await.unwrap();
    let broken = scene.serve.restart(&scene.host, "broken").await.expect(500);
    assert_eq!(broken.json()["error"], "Failed to restart nest");
}

/// They once were a 503, again and again, which said nothing of the key.
#[tokio::test]
#[ignore = "needs redis and livekit"]
async fn what_cannot_be_a_record_is_an_error_that_names_the_key() {
    let scene = Scene::new();
    let mut redis = scene.redis.connect().await;
    let () = redis.set("nest:broken", "{").await.unwrap();
    let () = redis.set("nest:bytes", b"\xff\xfe".as_slice()).await.unwrap();
    let () = redis.hset("nest:hash", "host", "x").await.unwrap();
    let () = redis.rpush("nest:list", "x").await.unwrap();
    for (id, kind) in [("broken", "not a record"), ("bytes", "a string"), ("hash", "a hash"), ("list", "a list")] {
        let path = format!("/api/v1/nests/{id}");
        for (method, path, text) in [
            (Method::POST, format!("{path}/restart"), "Failed to restart nest"),
            (Method::GET, format!("{path}/info"), "Failed to get nest info"),
            (Method::DELETE, path, "Failed to delete nest"),
        ] {
            let reply = scene.serve.call(&scene.host, method, &path, None).await.expect(500);
            assert_eq!((&reply.json()["error"], reply.header("retry-after")), (&json!(text), ""));
            let line = scene.serve.lines_with(&path, 1).concat();
            assert!(line.contains(&format!("nest:{id} is {kind}")), "{line}");
        }
    }
    // Nor does a key of its own that somebody else has written stop anything but its nest.
    let id = scene.serve.create(&scene.host).await;
    let () = redis.set(format!("nest-serve:leases:{id}"), "theirs").await.unwrap();
    scene.serve.restart(&scene.host, &id).await.expect(500);
    let line = scene.serve.lines_with("/restart", 1).concat();
    assert!(line.contains(&format!("nest-serve:leases:{id} is a string")), "{line}");
}

/// What the other implementation reads: its names, its types, its lifetime.
#[tokio::test]
#[ignore = "needs redis and livekit"]
async fn records_are_what_the_other_implementation_reads() {
    let (redis, livekit) = (Redis::start(), LiveKit::start(true));
    let serve = Setup::new(&redis.url(), &livekit.url).args(["--record-ttl", "2h"]).announcing(&livekit.url);
    let scene = Scene { redis, livekit, serve, host: Keys::generate() };
    let id = scene.serve.create(&scene.host).await;
    let host = scene.host.public_key().to_hex();
    let record = scene.record(&id).await.unwrap();
    let created = record["createdAt"].as_i64().unwrap();
    let now = i64::try_from(nostr::Timestamp::now().as_secs()).unwrap();
    assert!((created / 1000 - now).abs() <= 2, "milliseconds: {created}");
    let expected = json!({
        "id": id, "host": host, "speakers": [host], "admins": [host], "relays": ["wss://relay.example"],
        "hls_stream": false, "createdAt": created, "status": "active",
    });
    assert_eq!(record, expected);
    scene.restart(&id).await;
    let mut record = scene.record(&id).await.unwrap();
    let restarted = record.as_object_mut().unwrap().remove("restartedAt").unwrap().as_i64().unwrap();
    assert!(restarted >= created && record == expected, "{restarted} {record}");
    let mut redis = scene.redis.connect().await;
    let ttl: i64 = redis.ttl(format!("nest:{id}")).await.unwrap();
    assert!((7_190..=7_200).contains(&ttl), "--record-ttl: {ttl}");
    let others: Vec<String> = redis.keys("*").await.unwrap();
    assert!(others.iter().all(|key| key.starts_with("nest-serve:") || *key == format!("nest:{id}")), "{others:?}");
}

#[tokio::test]
#[ignore = "needs redis and livekit"]
async fn use_renews_a_record() {
    let scene = Scene::new();
    let id = scene.serve.create(&scene.host).await;
    let key = format!("nest:{id}");
    let mut redis = scene.redis.connect().await;
    for keys in [&scene.host, &Keys::generate()] {
        let () = redis.expire(&key, 50).await.unwrap();
        scene.token(keys, &id).await;
        let ttl: i64 = redis.ttl(&key).await.unwrap();
        assert!(ttl > 86_300, "{ttl}");
    }
    let () = redis.expire(&key, 200_000).await.unwrap();
    scene.token(&scene.host, &id).await;
    scene.restart(&id).await;
    let ttl: i64 = redis.ttl(&key).await.unwrap();
    assert!(ttl > 199_000, "never shortened: {ttl}");
    // Looking is no use.
    let () = redis.expire(&key, 50).await.unwrap();
    scene.serve.get(&format!("/api/v1/nests/{id}/info")).await.expect(200);
    let ttl: i64 = redis.ttl(&key).await.unwrap();
    assert!(ttl <= 50, "{ttl}");
}

#[tokio::test]
#[ignore = "needs redis and livekit"]
async fn the_contract_is_kept() {
    let scene = Scene::new();
    contract(&Subject { origin: scene.serve.url(""), public: PUBLIC.into(), mimics_upstream: false }).await;
}

#[tokio::test]
#[ignore = "needs redis and livekit"]
async fn two_nodes_of_livekit_are_one() {
    let redis = Redis::start();
    let more = format!("redis: {{address: \"127.0.0.1:{}\"}}\nnode_selector: {{kind: random}}", redis.port);
    let cluster = Spec { auto_create: true, more, ..Spec::default() };
    let nodes = [LiveKit::start_as(&cluster), LiveKit::start_as(&cluster)];
    let host = Keys::generate();
    let one = Setup::new(&redis.url(), &nodes[0].url).announcing(&nodes[0].url);
    let other = Setup::new(&redis.url(), &nodes[1].url).announcing(&nodes[1].url);
    let id = one.create(&host).await;
    let mut sid = media(&nodes[0].url).find(&id).await.unwrap().unwrap().sid;
    for round in 0..6 {
        let token = other.get(&format!("/api/v1/nests/{id}/guest")).await.expect(200).json()["token"].clone();
        let mut inside = Signal::join(&nodes[round % 2].url, token.as_str().unwrap()).await.unwrap();
        assert_eq!(inside.join.room.as_ref().unwrap().sid, sid);
        let answer = if round % 2 == 0 { &one } else { &other }.restart(&host, &id).await.expect(200).json();
        assert_eq!(inside.farewell().await, DisconnectReason::RoomDeleted, "round {round}");
        let back = Signal::join(&nodes[(round + 1) % 2].url, answer["token"].as_str().unwrap()).await.unwrap();
        let new = back.join.room.as_ref().unwrap().sid.clone();
        assert_ne!(new, sid, "round {round}");
        for node in &nodes {
            assert_eq!(media(&node.url).find(&id).await.unwrap().unwrap().sid, new, "round {round}");
        }
        sid = new;
    }
}
