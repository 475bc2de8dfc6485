//! Several `nest serve` on one Redis and one LiveKit: restarts at once, processes that are killed, webhooks, replays.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nostr::Keys;
use nostr_nests::secret::Secret;
use nostr_nests::server::media::{Livekit, LivekitConfig, MediaServer};
use nostr_nests::server::token::{Claims, Issuer};
use redis::AsyncCommands as _;
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::livekit::{LiveKit, Spec};
use crate::support::nests_api::{client, client_at};
use crate::support::port;
use crate::support::process;
use crate::support::redis::Redis;
use crate::support::serve::{KEY, Reply, SECRET, Serve, Setup};
use crate::support::signal::Signal;
use crate::support::tap::Tap;

/// Two processes that reach LiveKit through a tap.
struct Scene {
    redis: Redis,
    livekit: LiveKit,
    tap: Tap,
    serves: [Serve; 2],
    host: Keys,
    id: String,
}

impl Scene {
    async fn new() -> Self {
        let (redis, livekit) = (Redis::start(), LiveKit::start(false));
        let tap = Tap::before(&livekit.url).await;
        let serves = [(); 2].map(|()| Setup::new(&redis.url(), &tap.url).announcing(&livekit.url));
        let host = Keys::generate();
        let id = serves[0].create(&host).await;
        Self { redis, livekit, tap, serves, host, id }
    }

    async fn sid(&self) -> Option<String> {
        let config = LivekitConfig { url: self.livekit.url.clone(), key: KEY.into(), secret: Secret::new(SECRET) };
        Livekit::new(config).unwrap().find(&self.id).await.unwrap().map(|room| room.sid)
    }

    async fn restarted_at(&self) -> Value {
        self.record().await["restartedAt"].clone()
    }

    async fn record(&self) -> Value {
        let text: String = self.redis.connect().await.get(format!("nest:{}", self.id)).await.unwrap();
        serde_json::from_str(&text).unwrap()
    }

    /// Kills the first process as soon as it calls `method`, in the middle of a restart.
    async fn kill_at(&self, method: &'static str) {
        self.kill_when(move |called| called == method).await;
    }

    async fn kill_when(&self, then: impl Fn(&str) -> bool + Send + Sync + 'static) {
        let id = self.serves[0].child.id();
        self.tap.hook(move |called| {
            let now = then(called);
            if now {
                process::signal(id, "KILL");
            }
            !now
        });
        let path = format!("/api/v1/nests/{}/restart", self.id);
        let lost = self.serves[0].request(&self.host, Method::POST, &path, None).send().await;
        assert!(lost.is_err(), "it was killed");
        self.tap.unhook();
    }

    async fn guest(&self, serve: usize) -> u16 {
        self.serves[serve].get(&format!("/api/v1/nests/{}/guest", self.id)).await.status
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis and livekit"]
async fn twenty_restarts_at_once_are_one() {
    let scene = Scene::new().await;
    let before = scene.sid().await.unwrap();
    scene.tap.forget();
    // All have come before it is done.
    scene.tap.hook(|called| {
        if called == "DeleteRoom" {
            std::thread::sleep(Duration::from_millis(700));
        }
        true
    });
    let all = (0..20).map(|n| scene.serves[n % 2].restart(&scene.host, &scene.id));
    let mut rooms = Vec::new();
    for reply in futures_util::future::join_all(all).await {
        let answer = reply.expect(200).json();
        rooms.extend(answer.get("room").cloned());
        assert_eq!(answer["message"], "Nest restarted successfully");
        assert_eq!(answer["token"].as_str().unwrap().split('.').count(), 3);
    }
    // Nobody is inside, whom LiveKit would have to be asked about again after each step. The first two are asked at once.
    let mut calls = scene.tap.calls();
    calls[..2].sort();
    assert_eq!(calls, ["ListParticipants", "ListRooms", "DeleteRoom", "CreateRoom"]);
    scene.tap.unhook();
    let after = scene.sid().await.unwrap();
    assert_ne!(after, before);
    // Only one of them has made it; the others know no more than that it was made.
    assert_eq!(rooms.len(), 1, "{rooms:?}");
    assert_eq!((&rooms[0]["sid"], &rooms[0]["sidBefore"]), (&json!(after), &json!(before)));

    // One after the other, each is its own.
    let mut sids = HashSet::from([after]);
    for n in 0..4 {
        scene.serves[n % 2].restart(&scene.host, &scene.id).await.expect(200);
        assert!(sids.insert(scene.sid().await.unwrap()), "the same room again");
    }
    assert_eq!(scene.tap.count("DeleteRoom"), 5);
}

/// It says that it has deleted the room, and has not.
#[tokio::test]
#[ignore = "needs redis and livekit"]
async fn a_livekit_that_keeps_the_old_room_is_no_success() {
    let scene = Scene::new().await;
    let before = scene.sid().await;
    scene.tap.forget();
    scene.tap.swallow("DeleteRoom");
    let refused = scene.serves[0].restart(&scene.host, &scene.id).await.expect(503);
    assert_eq!(refused.header("retry-after"), "2");
    assert!(refused.json().get("token").is_none());
    assert_eq!((scene.sid().await, scene.restarted_at().await), (before, Value::Null));
    // LiveKit is asked once for the new room, hands out the old one, and is not believed again.
    assert_eq!(scene.tap.count("CreateRoom"), 1);
}

#[tokio::test]
#[ignore = "needs redis and livekit"]
async fn killed_between_delete_and_create_the_next_restart_mends_it() {
    let scene = Scene::new().await;
    let before = scene.sid().await.unwrap();
    scene.kill_at("CreateRoom").await;
    assert_eq!(scene.sid().await, None, "deleted, not created");
    scene.serves[1].restart(&scene.host, &scene.id).await.expect(200);
    assert_ne!(scene.sid().await.unwrap(), before);
    assert!(scene.restarted_at().await.is_i64());
    scene.serves[1].restart(&scene.host, &scene.id).await.expect(200);
}

#[tokio::test]
#[ignore = "needs redis and livekit"]
async fn killed_between_delete_and_create_whoever_comes_next_mends_it() {
    let scene = Scene::new().await;
    scene.kill_at("CreateRoom").await;
    assert_eq!(scene.guest(1).await, 200);
    assert!(scene.sid().await.is_some() && scene.restarted_at().await.is_i64());
    // A nest that was not left half way is dead, and nobody but its host may change that.
    let config = LivekitConfig { url: scene.livekit.url.clone(), key: KEY.into(), secret: Secret::new(SECRET) };
    Livekit::new(config).unwrap().delete(&scene.id).await.unwrap();
    assert_eq!((scene.guest(1).await, scene.sid().await), (404, None));
}

#[tokio::test]
#[ignore = "needs redis and livekit"]
async fn killed_before_delete_nothing_has_happened() {
    let scene = Scene::new().await;
    let before = scene.sid().await;
    scene.kill_at("DeleteRoom").await;
    assert_eq!((scene.sid().await, scene.guest(1).await), (before.clone(), 200));
    scene.serves[1].restart(&scene.host, &scene.id).await.expect(200);
    assert_ne!(scene.sid().await, before);
}

#[tokio::test]
#[ignore = "needs redis and livekit"]
async fn killed_after_create_the_room_is_there_for_everybody() {
    let scene = Scene::new().await;
    let before = scene.sid().await;
    // Because of somebody who is inside, it looks once more whether the room is there before it writes its record.
    let guest = scene.serves[1].get(&format!("/api/v1/nests/{}/guest", scene.id)).await.expect(200).json();
    let _inside = Signal::join(&scene.livekit.url, guest["token"].as_str().unwrap()).await.unwrap();
    let created = std::sync::atomic::AtomicBool::new(false);
    scene
        .kill_when(move |called| {
            let made = created.fetch_or(called == "CreateRoom", Ordering::SeqCst);
            made && called == "ListRooms"
        })
        .await;
    let made = scene.sid().await;
    assert!(made.is_some() && made != before && scene.restarted_at().await.is_null());
    assert_eq!((scene.guest(1).await, scene.sid().await), (200, made.clone()));
    scene.serves[1].restart(&scene.host, &scene.id).await.expect(200);
    assert!(scene.sid().await != made && scene.restarted_at().await.is_i64());
}

/// Before each call to LiveKit that a restart makes, with somebody inside, because of whom it makes more of them.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis and livekit"]
async fn killed_at_any_step_nothing_is_lost() {
    let ran = futures_util::future::join_all((0..20).map(killed_before_call)).await;
    assert!(ran[0] && !ran[19], "{ran:?}: not at every step");
}

/// Whether there was such a call.
async fn killed_before_call(number: usize) -> bool {
    let scene = Scene::new().await;
    let before = scene.sid().await;
    let guest = scene.serves[1].get(&format!("/api/v1/nests/{}/guest", scene.id)).await.expect(200).json();
    let _inside = Signal::join(&scene.livekit.url, guest["token"].as_str().unwrap()).await.unwrap();
    let (process, calls) = (scene.serves[0].child.id(), AtomicUsize::new(0));
    scene.tap.hook(move |_| {
        let now = calls.fetch_add(1, Ordering::SeqCst) == number;
        if now {
            process::signal(process, "KILL");
        }
        !now
    });
    let path = format!("/api/v1/nests/{}/restart", scene.id);
    let answered = scene.serves[0].request(&scene.host, Method::POST, &path, None).send().await;
    scene.tap.unhook();
    assert_eq!(scene.record().await["host"], scene.host.public_key().to_hex(), "{number}");
    // Whoever comes next finds a room, whether that is the old one or had to be made.
    assert_eq!(scene.guest(1).await, 200, "{number}");
    scene.serves[1].restart(&scene.host, &scene.id).await.expect(200);
    assert!(scene.sid().await.is_some_and(|sid| Some(sid) != before), "{number}");
    answered.is_err()
}

#[tokio::test]
#[ignore = "needs redis and livekit"]
async fn a_process_that_slept_through_its_turn_leaves_the_next_one_alone() {
    let scene = Scene::new().await;
    let id = scene.serves[0].child.id();
    scene.tap.hook(move |called| {
        if called == "CreateRoom" {
            process::signal(id, "STOP");
        }
        called != "CreateRoom"
    });
    let (path, host) = (format!("/api/v1/nests/{}/restart", scene.id), scene.host.clone());
    let asleep = tokio::spawn(scene.serves[0].request(&host, Method::POST, &path, None).send());
    while scene.tap.count("CreateRoom") == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    scene.tap.unhook();
    scene.serves[1].restart(&scene.host, &scene.id).await.expect(200);
    let (sid, at) = (scene.sid().await.unwrap(), scene.restarted_at().await);
    scene.tap.forget();
    process::signal(id, "CONT");
    // It may say that it failed, or hand out a token of the restart that was done for it.
    let status = asleep.await.unwrap().unwrap().status().as_u16();
    assert!(status == 200 || status == 503, "{status}");
    assert_eq!((scene.sid().await.unwrap(), scene.restarted_at().await), (sid, at));
    assert_eq!(scene.tap.count("DeleteRoom"), 0);
}

#[tokio::test]
#[ignore = "needs redis and livekit"]
async fn a_failed_restart_is_told_to_all_who_wait_for_it() {
    let mut scene = Scene::new().await;
    process::signal(scene.livekit.id(), "STOP");
    let begun = Instant::now();
    let all = (0..10).map(|n| scene.serves[n % 2].restart(&scene.host, &scene.id));
    for reply in futures_util::future::join_all(all).await {
        assert_eq!(reply.expect(503).header("retry-after"), "2");
    }
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    process::signal(scene.livekit.id(), "CONT");
    scene.serves[0].until_ready(true).await;
    scene.serves[0].restart(&scene.host, &scene.id).await.expect(200);
    scene.livekit.stop();
}

#[tokio::test]
#[ignore = "needs redis and livekit"]
async fn a_signature_is_good_once_for_all_processes() {
    let scene = Scene::new().await;
    let path = format!("/api/v1/nests/{}", scene.id);
    let request = scene.serves[0].request(&scene.host, Method::GET, &path, None).build().unwrap();
    let header = request.headers()["authorization"].clone();
    let send_from = async |address: IpAddr, serve: &Serve| {
        let request = client_at(address).get(serve.url(&path)).header("authorization", header.clone());
        Reply::of(request.send().await.unwrap()).await
    };
    let send = async |serve: &Serve| send_from(IpAddr::from([127, 0, 0, 1]), serve).await;
    send(&scene.serves[0]).await.expect(200);
    for serve in &scene.serves {
        send_from(IpAddr::from([127, 0, 0, 2]), serve).await.expect(401);
        send(serve).await.expect(200);
    }
    let mut redis = scene.redis.connect().await;
    let used: Vec<String> = redis.keys("nest-serve:used:*").await.unwrap();
    let ttl: i64 = redis.ttl(&used[0]).await.unwrap();
    assert!((120..=150).contains(&ttl), "longer than it could be valid, and no longer: {ttl}");

    let path = format!("{path}/restart");
    let request = scene.serves[0].request(&scene.host, Method::POST, &path, None).build().unwrap();
    let header = request.headers()["authorization"].clone();
    for (serve, status) in [(&scene.serves[0], 200), (&scene.serves[0], 401), (&scene.serves[1], 401)] {
        let request = client().post(serve.url(&path)).header("authorization", header.clone());
        let reply = Reply::of(request.send().await.unwrap()).await.expect(status);
        assert_eq!(reply.header("retry-after"), if status == 401 { "1" } else { "" });
    }
}

/// Whoever had seen one request of a host could once use up what the host may ask for.
#[tokio::test]
#[ignore = "needs redis and livekit"]
async fn a_signature_that_is_used_again_costs_its_key_nothing() {
    let (redis, livekit) = (Redis::start(), LiveKit::start(false));
    let serve = Setup::new(&redis.url(), &livekit.url).args(["--key-rate-limit", "4"]).announcing(&livekit.url);
    let host = Keys::generate();
    let id = serve.create(&host).await;
    let record = format!("/api/v1/nests/{id}");
    for (method, path) in [(Method::POST, format!("{record}/restart")), (Method::GET, record)] {
        let request = serve.request(&host, method.clone(), &path, None).build().unwrap();
        let header = request.headers()["authorization"].clone();
        let send_from = async |address: [u8; 4]| {
            let request = client_at(IpAddr::from(address)).request(method.clone(), serve.url(&path));
            Reply::of(request.header("authorization", header.clone()).send().await.unwrap()).await
        };
        send_from([127, 0, 0, 1]).await.expect(200);
        for _ in 0..6 {
            let replayed = send_from([127, 0, 0, 2]).await.expect(401);
            assert_eq!(replayed.header("ratelimit-limit"), "600", "that of the address");
        }
    }
    assert_eq!(serve.restart(&host, &id).await.expect(200).header("ratelimit-remaining"), "0");
    serve.restart(&host, &id).await.expect(429);
}

/// A webhook as LiveKit sends it.
fn webhook(secret: &str, exp_in: i64, signed: &str) -> String {
    let now = i64::try_from(nostr::Timestamp::now().as_secs()).unwrap();
    let sha256 = STANDARD.encode(Sha256::digest(signed));
    Issuer { key: KEY.into(), secret: Secret::new(secret) }.mint(&Claims {
        exp: Some(now + exp_in),
        sha256,
        ..Claims::default()
    })
}

async fn tell(serve: &Serve, token: Option<String>, body: &str) -> Reply {
    let mut request = client().post(serve.url("/api/v1/nests/webhook")).body(body.to_owned());
    if let Some(token) = token {
        request = request.header("authorization", token);
    }
    Reply::of(request.send().await.unwrap()).await
}

#[tokio::test]
#[ignore = "needs redis and livekit"]
async fn the_end_of_the_old_room_is_not_that_of_the_new_one() {
    let scene = Scene::new().await;
    let old = scene.sid().await.unwrap();
    scene.serves[0].restart(&scene.host, &scene.id).await.expect(200);
    let (record, new) = (scene.record().await, scene.sid().await.unwrap());
    let event = |name: &str, sid: &str| json!({ "event": name, "room": { "sid": sid, "name": scene.id } }).to_string();
    let good = |body: &str| Some(webhook(SECRET, 300, body));

    let finished = event("room_finished", &old);
    for (token, why) in [
        (None, "Missing Authorization header"),
        (Some("nonsense".into()), "Invalid webhook signature"),
        (Some(webhook("another secret of thirty-two characters", 300, &finished)), "Invalid webhook signature"),
        (Some(webhook(SECRET, -120, &finished)), "Invalid webhook signature"),
        (Some(webhook(SECRET, 300, "another body")), "Webhook signature is for another body"),
    ] {
        assert_eq!(tell(&scene.serves[0], token, &finished).await.expect(401).json()["error"], why);
    }
    tell(&scene.serves[0], good("{"), "{").await.expect(400);

    tell(&scene.serves[0], good(&finished), &finished).await.expect(200);
    assert_eq!(scene.record().await, record, "the old room's end");

    // The present room closes: the nest is inactive, and its host can bring it back.
    let config = LivekitConfig { url: scene.livekit.url.clone(), key: KEY.into(), secret: Secret::new(SECRET) };
    Livekit::new(config).unwrap().delete(&scene.id).await.unwrap();
    let finished = event("room_finished", &new);
    tell(&scene.serves[1], good(&finished), &finished).await.expect(200);
    assert_eq!(scene.record().await["status"], "inactive");
    scene.serves[0].restart(&scene.host, &scene.id).await.expect(200);
    assert_eq!(scene.record().await["status"], "active");
    // Told late.
    tell(&scene.serves[1], good(&finished), &finished).await.expect(200);
    assert_eq!(scene.record().await["status"], "active");
}

#[tokio::test]
#[ignore = "needs redis and livekit"]
async fn livekit_itself_tells_through_its_webhook() {
    let (redis, host) = (Redis::start(), Keys::generate());
    // LiveKit has to know the address before the API has one.
    let port = port::reserved();
    let hook = format!("webhook: {{api_key: {KEY}, urls: [\"http://127.0.0.1:{port}/api/v1/nests/webhook\"]}}");
    let livekit = LiveKit::start_as(&Spec { more: hook, ..Spec::default() });
    let setup = Setup::new(&redis.url(), &livekit.url).listen(&format!("127.0.0.1:{port}"));
    let serve = setup.announcing(&livekit.url);
    let id = serve.create(&host).await;
    serve.restart(&host, &id).await.expect(200);
    let told = async |event: &str| {
        let begun = Instant::now();
        loop {
            let told = |line: &String| line.contains("nests/webhook") && line.contains(event);
            if let Some(line) = serve.lines().into_iter().find(told) {
                return line;
            }
            assert!(begun.elapsed() < Duration::from_secs(5), "nothing about {event}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let line = told("room_finished").await;
    assert!(line.contains(" 200 POST ") && line.ends_with("ignored"), "{line}");
    let status = async || serve.get(&format!("/api/v1/nests/{id}/info")).await.expect(200).json()["status"].clone();
    assert_eq!(status().await, "active");
    let config = LivekitConfig { url: livekit.url.clone(), key: KEY.into(), secret: Secret::new(SECRET) };
    Livekit::new(config).unwrap().delete(&id).await.unwrap();
    let line = told("room_finished").await;
    assert!(!line.ends_with("ignored"), "{line}");
    assert_eq!(status().await, "inactive");
}
