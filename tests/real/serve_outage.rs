//! `nest serve` while Redis or LiveKit is stopped, frozen and back again; and while it is told to stop itself.

use std::time::{Duration, Instant};

use nostr::Keys;
use reqwest::Method;
use serde_json::json;

use crate::support::livekit::LiveKit;
use crate::support::nest::Nest;
use crate::support::nests_api::client;
use crate::support::process;
use crate::support::redis::Redis;
use crate::support::serve::{Reply, Scene, Setup};
use crate::support::tap::Tap;

/// No wait without a limit.
const LIMIT: Duration = Duration::from_secs(2);

impl Scene {
    fn path(&self, rest: &str) -> String {
        format!("/api/v1/nests/{}{rest}", self.id)
    }

    /// Every call, and how long it took.
    async fn everything(&self) -> Vec<(&'static str, Reply)> {
        let body = json!({ "relays": ["wss://relay.example"], "hls_stream": false });
        let permit = json!({ "participant": "a".repeat(64), "can_publish": true });
        let mut replies = Vec::new();
        for (name, method, path, body) in [
            ("create", Method::PUT, "/api/v1/nests".to_owned(), Some(body)),
            ("restart", Method::POST, self.path("/restart"), None),
            ("token", Method::GET, self.path(""), None),
            ("guest", Method::GET, self.path("/guest"), None),
            ("info", Method::GET, self.path("/info"), None),
            ("permissions", Method::POST, self.path("/permissions"), Some(permit)),
            ("delete", Method::DELETE, self.path(""), None),
            ("health", Method::GET, "/health".to_owned(), None),
        ] {
            let begun = Instant::now();
            let reply = self.serve.call(&self.host, method, &path, body).await;
            assert!(begun.elapsed() < LIMIT, "{name}: {:?}", begun.elapsed());
            replies.push((name, reply));
        }
        replies
    }

    /// Those calls are told to come back, and the others work.
    async fn unavailable(&self, which: &[&str]) {
        self.serve.until_ready(false).await;
        for (name, reply) in self.everything().await {
            if which.contains(&name) {
                assert_eq!((reply.status, reply.header("retry-after")), (503, "2"), "{name}: {}", reply.text);
                assert!(reply.json().is_object(), "{name}");
            } else {
                assert!(reply.status < 300, "{name}: {} {}", reply.status, reply.text);
            }
        }
    }

    /// What is down is the first that is broken.
    async fn doctor_names(&self, down: &str) {
        let (api, id) = (self.serve.url(""), self.id.clone());
        let doctor = move || Nest::alone().args(["doctor", &id, "--json", "--api", &api]).run().expect(10).document();
        let document = tokio::task::spawn_blocking(doctor).await.unwrap();
        let next = document["next"].as_str().unwrap();
        assert!(next.starts_with(&format!("for the operator: {down}")), "{document:#}");
    }

    async fn well(&self) {
        self.serve.until_ready(true).await;
        self.serve.restart(&self.host, &self.id).await.expect(200);
        self.serve.get(&self.path("/guest")).await.expect(200);
    }
}

const WITH_REDIS: &[&str] = &["create", "restart", "token", "info", "permissions", "delete", "health"];
const WITH_LIVEKIT: &[&str] = &["create", "restart", "token", "guest", "info", "delete", "health"];

#[tokio::test]
#[ignore = "needs redis and livekit"]
async fn redis_stops_and_comes_back() {
    let mut scene = Scene::new().await;
    scene.redis.stop();
    scene.unavailable(WITH_REDIS).await;
    let health = scene.serve.get("/health").await.expect(503).json();
    assert_eq!(
        (&health["alive"], &health["redis"], &health["mediaServer"]),
        (&json!(true), &json!("down"), &json!("up"))
    );
    scene.serve.get("/health/alive").await.expect(200);
    scene.doctor_names("Redis is down").await;
    scene.redis.resume();
    scene.well().await;
}

#[tokio::test]
#[ignore = "needs redis and livekit"]
async fn redis_freezes_and_thaws() {
    let scene = Scene::new().await;
    scene.redis.freeze();
    scene.unavailable(WITH_REDIS).await;
    scene.redis.thaw();
    scene.well().await;
}

#[tokio::test]
#[ignore = "needs redis and livekit"]
async fn redis_restarts_between_two_requests_and_nobody_notices() {
    let mut scene = Scene::new().await;
    scene.redis.stop();
    scene.redis.resume();
    // The connection is made again in the background, at the latest after 200 ms.
    tokio::time::sleep(Duration::from_millis(400)).await;
    scene.serve.restart(&scene.host, &scene.id).await.expect(200);
}

#[tokio::test]
#[ignore = "needs redis and livekit"]
async fn livekit_stops_and_comes_back() {
    let mut scene = Scene::new().await;
    scene.livekit.stop();
    scene.unavailable(WITH_LIVEKIT).await;
    let health = scene.serve.get("/health").await.expect(503).json();
    assert_eq!((&health["redis"], &health["mediaServer"]), (&json!("up"), &json!("down")));
    scene.doctor_names("LiveKit is down").await;
    scene.livekit.resume();
    scene.well().await;
}

/// Rate limit, body, signature, record, rights, and LiveKit last: it is not there, and nobody notices before.
#[tokio::test]
#[ignore = "needs redis and livekit"]
async fn checks_come_in_the_order_that_clients_know() {
    let (redis, mut livekit) = (Redis::start(), LiveKit::start(false));
    let setup = Setup::new(&redis.url(), &livekit.url).args(["--rate-limit", "7"]);
    let serve = setup.announcing(&livekit.url);
    let (host, stranger) = (Keys::generate(), Keys::generate());
    let id = serve.create(&host).await;
    livekit.stop();
    let put = async |body: &'static str| {
        Reply::of(client().put(serve.url("/api/v1/nests")).body(body).send().await.unwrap()).await
    };
    let error = |reply: Reply, status: u16| reply.expect(status).json()["error"].as_str().unwrap().to_owned();
    assert_eq!(error(put("{").await, 400), "Body is not JSON");
    assert_eq!(error(put("{}").await, 401), "Missing Authorization header");
    let invalid = serve.call(&host, Method::PUT, "/api/v1/nests", Some(json!({}))).await;
    assert_eq!(error(invalid, 400), "\"relays\" is required");
    assert_eq!(error(serve.restart(&stranger, "nowhere").await, 404), "Nest not found");
    assert_eq!(error(serve.restart(&stranger, &id).await, 403), "Only the host can restart the nest");
    serve.restart(&host, &id).await.expect(503);
    assert_eq!(error(put("{").await, 429), "Too many requests, please try again later");
}

#[tokio::test]
#[ignore = "needs redis and livekit"]
async fn livekit_freezes_and_thaws() {
    let scene = Scene::new().await;
    process::signal(scene.livekit.id(), "STOP");
    scene.unavailable(WITH_LIVEKIT).await;
    process::signal(scene.livekit.id(), "CONT");
    scene.well().await;
}

#[tokio::test]
#[ignore = "needs redis and livekit"]
async fn it_starts_before_what_it_needs() {
    let (mut redis, mut livekit) = (Redis::start(), LiveKit::start(false));
    redis.stop();
    livekit.stop();
    let serve = Setup::new(&redis.url(), &livekit.url).announcing(&livekit.url);
    serve.until_ready(false).await;
    redis.resume();
    livekit.resume();
    serve.until_ready(true).await;
    let host = Keys::generate();
    let id = serve.create(&host).await;
    serve.restart(&host, &id).await.expect(200);
    let said = serve.lines().join("\n");
    assert!(said.contains("warning: Redis is not there yet") && said.contains("warning: LiveKit"), "{said}");
}

#[tokio::test]
#[ignore = "needs redis and livekit"]
async fn a_wrong_secret_is_no_health() {
    let (redis, livekit) = (Redis::start(), LiveKit::start(true));
    let serve = Setup::new(&redis.url(), &livekit.url).key("nobody").announcing(&livekit.url);
    let health = serve.get("/health").await.expect(503).json();
    assert_eq!((&health["redis"], &health["mediaServer"]), (&json!("up"), &json!("down")));
}

#[tokio::test]
#[ignore = "needs redis and livekit"]
async fn sigterm_finishes_what_runs() {
    let (redis, livekit) = (Redis::start(), LiveKit::start(false));
    let tap = Tap::before(&livekit.url).await;
    let mut serve = Setup::new(&redis.url(), &tap.url).announcing(&livekit.url);
    let host = Keys::generate();
    let id = serve.create(&host).await;
    let (process, origin) = (serve.child.id(), serve.origin.clone());
    // In the middle of the restart, which is not done before the server was told to stop and refuses others.
    tap.hook(move |called| {
        if called == "CreateRoom" {
            process::signal(process, "TERM");
            let address = origin.trim_start_matches("http://");
            while std::net::TcpStream::connect(address).is_ok() {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        true
    });
    let path = format!("/api/v1/nests/{id}/restart");
    let request = serve.request(&host, Method::POST, &path, None);
    let reply = Reply::of(tokio::spawn(request.send()).await.unwrap().unwrap()).await.expect(200);
    assert_eq!(reply.json()["message"], "Nest restarted successfully");
    let status = tokio::task::spawn_blocking(move || serve.child.wait().unwrap()).await.unwrap();
    assert_eq!(status.code(), Some(0));
}
