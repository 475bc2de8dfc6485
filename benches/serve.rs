//! What a restart by `nest serve` costs: those inside, the one who asks, and the machine. On a real Redis and a real
//! livekit-server over loopback, beside what these take themselves. Needs `redis-server` and `target/tools/server`;
//! `NEST_BIN=target/dist/nest cargo bench --bench serve` measures that build.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "figures are for people")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use livekit_protocol::CreateRoomRequest;
use nostr::Keys;
use nostr_nests::secret::Secret;
use nostr_nests::server::media::{Livekit, LivekitConfig, MediaServer};
use nostr_nests::server::store::{LeaseAnswer, Redis, RedisConfig, RestartAnswer, RoomStore, UsedSignature};
use serde_json::Value;
use support::livekit::LiveKit;
use support::nests_api::{Draft, client};
use support::redis::Redis as RedisServer;
use support::serve::{KEY, SECRET, Serve, Setup};
use support::signal::Signal;
use support::tap::Tap;
use tokio::sync::watch;

const ROOMS: usize = 200;
const AT_ONCE: usize = 16;
/// Restarts, and deletions and creations, that many at once have to do.
const MANY: usize = 4000;
const DOWNTIMES: usize = 30;
const PUBLIC: &str = "https://nests.example/api/v1/nests";
/// No client is back sooner over a network; LiveKit loses one who is, and throws it out after a minute.
const ON_ITS_WAY: Duration = Duration::from_millis(5);
/// Requests for a guest's token: each second, and for how long.
const GUESTS: (u32, u32) = (1000, 8);

/// A running API with nests, and what it stands on.
struct Scene {
    redis: RedisServer,
    livekit: LiveKit,
    serve: Serve,
    http: reqwest::Client,
    host: Keys,
    rooms: Vec<String>,
}

impl Scene {
    async fn new(rooms: usize) -> Self {
        // As an API wants it: only who restarts makes rooms.
        let (redis, livekit) = (RedisServer::start(), LiveKit::start(false));
        let serve = start(&redis, &livekit, &livekit.url);
        let mut scene = Self { redis, livekit, serve, http: client(), host: Keys::generate(), rooms: Vec::new() };
        for _ in 0..rooms {
            let body = r#"{"relays":["wss://relay.example"]}"#;
            let header = Draft::new("PUT", PUBLIC, body.as_bytes()).header(&scene.host);
            let request = scene.http.put(scene.serve.url("/api/v1/nests")).header("authorization", header).body(body);
            let answer = request.send().await.unwrap().bytes().await.unwrap();
            let answer: Value = serde_json::from_slice(&answer).unwrap();
            scene.rooms.push(answer["roomId"].as_str().unwrap().to_owned());
        }
        scene
    }

    fn media(&self) -> Livekit {
        let config = LivekitConfig { url: self.livekit.url.clone(), key: KEY.into(), secret: Secret::new(SECRET) };
        Livekit::new(config).unwrap()
    }

    fn store(&self) -> Redis {
        let config = RedisConfig { url: Secret::new(self.redis.url()), password: None };
        Redis::new(&config, Duration::from_secs(86_400)).unwrap()
    }

    /// A signed restart that is only to be sent.
    fn restart(&self, id: &str) -> reqwest::RequestBuilder {
        let header = Draft::new("POST", &format!("{PUBLIC}/{id}/restart"), b"").header(&self.host);
        self.http.post(self.serve.url(&format!("/api/v1/nests/{id}/restart"))).header("authorization", header)
    }
}

fn start(redis: &RedisServer, livekit: &LiveKit, reached_at: &str) -> Serve {
    let program = std::env::var("NEST_BIN").unwrap_or_else(|_| env!("CARGO_BIN_EXE_nest").into());
    let program = std::fs::canonicalize(program).unwrap();
    let setup = Setup::of(program.to_str().unwrap(), &redis.url(), reached_at);
    setup.args(["--rate-limit", "0", "--key-rate-limit", "0"]).announcing(&livekit.url)
}

async fn sent(request: reqwest::RequestBuilder) {
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.bytes().await.unwrap();
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    restarts().await;
    downtime().await;
    memory().await;
}

/// In three ways: one after the other, then many at once.
async fn restarts() {
    let scene = Scene::new(ROOMS).await;
    let (media, store, host) = (scene.media(), scene.store(), scene.host.public_key().to_hex());
    let (mut bare, mut asked, mut whole) = (Vec::new(), Vec::new(), Vec::new());
    // The first of each goes uncounted: connections are made, scripts loaded.
    for (n, id) in scene.rooms[..1].iter().chain(&scene.rooms).enumerate() {
        let room = like(id);
        let times = [
            timed(recreate(&media, &room)).await,
            timed(questions(&media, &store, &host, &room, n)).await,
            timed(sent(scene.restart(id))).await,
        ];
        for (list, time) in [&mut bare, &mut asked, &mut whole].into_iter().zip(times).filter(|_| n > 0) {
            list.push(time);
        }
    }
    let restart = show("nest serve: restart", &mut whole);
    show("the same questions, asked without it", &mut asked);
    let bare = show("RoomService: delete and create", &mut bare);
    println!("{:<44} {:>8.2}      (aim: at most 1.8)", "restart : delete and create", restart / bare);

    // Many of one kind in a row: LiveKit puts off work, which would fall on the next kind.
    let rooms: Vec<_> = scene.rooms.iter().map(|id| like(id)).collect();
    let all = scene.rooms.iter().cycle().take(MANY).map(|id| sent(scene.restart(id))).collect();
    let restarts = per_second(&format!("nest serve: restarts, {AT_ONCE} at once"), all).await;
    let all = rooms.iter().cycle().take(MANY).map(|room| recreate(&media, room)).collect();
    let bare = per_second(&format!("RoomService: delete and create, {AT_ONCE} at once"), all).await;
    let new = ROOMS + 1;
    let all = rooms.iter().cycle().zip(new..new + MANY).map(|(room, n)| questions(&media, &store, &host, room, n));
    let asked = per_second(&format!("the same questions without it, {AT_ONCE} at once"), all.collect()).await;
    println!("{:<44} {:>8.2}      (aim: at least 0.75)", "restarts : delete and create", restarts / bare);
    println!("{:<44} {:>8.2}", "the same questions : delete and create", asked / bare);
}

async fn per_second(name: &str, all: Vec<impl Future<Output = ()>>) -> f64 {
    let (count, begun) = (all.len(), Instant::now());
    stream::iter(all).for_each_concurrent(AT_ONCE, |each| each).await;
    let rate = f64::from(u32::try_from(count).unwrap()) / begun.elapsed().as_secs_f64();
    println!("{name:<44} {rate:>8.0} /s");
    rate
}

fn like(id: &str) -> CreateRoomRequest {
    CreateRoomRequest {
        name: id.into(),
        empty_timeout: 1800,
        departure_timeout: 60,
        max_participants: 500,
        metadata: format!(r#"{{"nestId":"{id}"}}"#),
        ..CreateRoomRequest::default()
    }
}

async fn recreate(media: &Livekit, room: &CreateRoomRequest) {
    assert!(media.delete(&room.name).await.unwrap());
    media.create(room).await.unwrap();
}

/// Everything that a restart asks Redis and LiveKit, in its order, by the same connections.
async fn questions(media: &Livekit, store: &Redis, host: &str, room: &CreateRoomRequest, n: usize) {
    let (id, memory) = (&room.name, Duration::from_secs(150));
    let signature = UsedSignature { id: format!("{id}-{n}"), from: IpAddr::V4(Ipv4Addr::LOCALHOST) };
    let begun = store.begin_restart(id, host, signature, memory).await.unwrap();
    let RestartAnswer::Host(LeaseAnswer::Granted(lease), _, record) = begun else { panic!("{begun:?}") };
    let (old, people) = tokio::join!(media.find(id), media.participants(id));
    assert!(old.unwrap().is_some() && people.unwrap().is_empty());
    recreate(media, room).await;
    assert!(store.finish_restart(lease, &record, &record).await.unwrap());
}

/// From the call that deletes the room, on its way to LiveKit, to the answer that lets somebody into the new one.
async fn downtime() {
    let mut scene = Scene::new(1).await;
    let tap = Tap::before(&scene.livekit.url).await;
    scene.serve = start(&scene.redis, &scene.livekit, &tap.url);
    let deleted: Arc<Mutex<Option<Instant>>> = Arc::default();
    let seen = deleted.clone();
    tap.hook(move |method| {
        if method == "DeleteRoom" {
            *seen.lock().unwrap() = Some(Instant::now());
        }
        true
    });
    let id = scene.rooms[0].clone();
    let token = scene.http.get(scene.serve.url(&format!("/api/v1/nests/{id}/guest"))).send().await.unwrap();
    let token: Value = serde_json::from_slice(&token.bytes().await.unwrap()).unwrap();
    let token = token["token"].as_str().unwrap();
    let mut inside = Signal::join(&scene.livekit.url, token).await.unwrap();
    let (media, mut all) = (scene.media(), Vec::new());
    for _ in 0..=DOWNTIMES {
        let (told, mut known) = watch::channel(None);
        let restarted = async {
            sent(scene.restart(&id)).await;
            told.send_replace(media.find(&id).await.unwrap().map(|room| room.sid));
        };
        let rejoined = async {
            inside.farewell().await;
            tokio::time::sleep(ON_ITS_WAY).await;
            loop {
                let Ok(mut back) = Signal::join(&scene.livekit.url, token).await else {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                    continue;
                };
                let since = deleted.lock().unwrap().unwrap().elapsed();
                // Whoever is quicker than the API is in a room that ends.
                let room = back.join.room.as_ref().map(|room| room.sid.clone());
                let stays = tokio::select! {
                    () = async { while back.next().await.is_some() {} } => false,
                    new = known.wait_for(Option::is_some) => *new.unwrap() == room,
                };
                if stays {
                    all.push(since);
                    break back;
                }
            }
        };
        inside = tokio::join!(restarted, rejoined).1;
    }
    // The first is without warm connections.
    all.remove(0);
    show("downtime (aim: 200)", &mut all);
}

/// Guests' tokens, as many each second as there are, whether the ones before were answered or not.
async fn memory() {
    let scene = Scene::new(1).await;
    let url = scene.serve.url(&format!("/api/v1/nests/{}/guest", scene.rooms[0]));
    let before = scene.serve.memory();
    let (rate, seconds) = GUESTS;
    let begun = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..rate * seconds {
        tokio::time::sleep_until((begun + Duration::from_secs(1) / rate * n).into()).await;
        let request = scene.http.get(&url);
        tasks.spawn(timed(sent(request)));
    }
    let mut all = tasks.join_all().await;
    let reached = f64::from(rate * seconds) / begun.elapsed().as_secs_f64();
    show(&format!("/guest at {reached:.0} requests/s"), &mut all);
    let mib = |kib: u64| f64::from(u32::try_from(kib).unwrap()) / 1024.0;
    let (name, after) = ("memory, most of it ever resident (aim: 30)", scene.serve.memory());
    println!("{name:<44} {:>8.1} MiB  (before: {:.1})", mib(after), mib(before));
}

async fn timed(work: impl Future<Output = ()>) -> Duration {
    let begun = Instant::now();
    work.await;
    begun.elapsed()
}

/// Prints the median and the range in milliseconds; the median.
fn show(name: &str, all: &mut [Duration]) -> f64 {
    all.sort();
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    let (least, median, most) = (ms(all[0]), ms(all[all.len() / 2]), ms(all[all.len() - 1]));
    println!("{name:<44} {median:>8.2} ms   ({least:.2} to {most:.2}, 99 %: {:.2})", ms(all[all.len() * 99 / 100]));
    median
}
