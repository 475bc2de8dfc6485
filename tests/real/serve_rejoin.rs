//! `nest serve` on a real Redis and a real LiveKit: people who come back while the room is being replaced.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::join_all;
use livekit_protocol::signal_response::Message;
use livekit_protocol::{CreateRoomRequest, DisconnectReason, Room};
use nostr::Keys;
use nostr_nests::clock::Clock;
use nostr_nests::secret::Secret;
use nostr_nests::server::media::{Livekit, LivekitConfig, MediaServer};
use nostr_nests::server::token::{Claims, Grants, Issuer};
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::task::block_in_place;

use crate::support::livekit::LiveKit;
use crate::support::redis::Redis;
use crate::support::serve::{KEY, SECRET, Serve, Setup};
use crate::support::signal::Signal;
use crate::support::tap::Tap;

/// `nest serve` and what it needs, which it reaches through a tap.
struct Scene {
    _redis: Redis,
    livekit: LiveKit,
    tap: Tap,
    serve: Serve,
    host: Keys,
    id: String,
}

impl Scene {
    async fn new(auto_create: bool) -> Self {
        let (redis, livekit) = (Redis::start(), LiveKit::start(auto_create));
        let tap = Tap::before(&livekit.url).await;
        let serve = Setup::new(&redis.url(), &tap.url).announcing(&livekit.url);
        let host = Keys::generate();
        let id = serve.create(&host).await;
        Self { _redis: redis, livekit, tap, serve, host, id }
    }

    /// LiveKit without anything in between.
    fn media(&self) -> Livekit {
        let config = LivekitConfig { url: self.livekit.url.clone(), key: KEY.into(), secret: Secret::new(SECRET) };
        Livekit::new(config).unwrap()
    }

    async fn room(&self) -> Room {
        self.media().find(&self.id).await.unwrap().unwrap()
    }

    /// A token of the API for somebody who listens.
    async fn guest(&self) -> String {
        let guest = self.serve.get(&format!("/api/v1/nests/{}/guest", self.id)).await.expect(200).json();
        guest["token"].as_str().unwrap().to_owned()
    }

    /// One of another implementation.
    fn foreign(&self) -> String {
        let issuer = Issuer { key: KEY.into(), secret: Secret::new(SECRET) };
        let grants = Grants { room: Some(self.id.clone()), room_join: Some(true), ..Grants::default() };
        let exp = Some(Clock::default().now_s() + 600);
        issuer.mint(&Claims { sub: "somebody".into(), exp, video: Some(grants), ..Claims::default() })
    }

    /// A restart; the SID that it says is the new one's, unless it is refused. (LiveKit may list an old one again later.)
    async fn try_restart(&self) -> Option<String> {
        let reply = self.serve.restart(&self.host, &self.id).await;
        let line = self.serve.lines_with("/restart", 1).pop().unwrap();
        assert!([200, 503].contains(&reply.status), "{line}");
        (reply.status == 200).then(|| line.rsplit("→ ").next().unwrap().to_owned())
    }

    async fn restart(&self) -> String {
        self.try_restart().await.unwrap()
    }
}

/// LiveKit gives a room back, with its old SID, to somebody who joins while it is being deleted.
#[tokio::test]
#[ignore = "needs redis and livekit"]
async fn whoever_comes_back_at_once_does_not_keep_the_old_room() {
    for auto_create in [false, true] {
        let scene = Scene::new(auto_create).await;
        let guests = (0..2).map(|_| async {
            let guest = scene.guest().await;
            loop {
                match Signal::join(&scene.livekit.url, &guest).await {
                    Ok(mut inside) => while inside.next().await.is_some() {},
                    Err(_) => tokio::time::sleep(Duration::from_millis(2)).await,
                }
            }
        });
        let restarts = async {
            let (mut sids, mut refused) = (vec![scene.room().await.sid], 0);
            while sids.len() < 40 {
                // A new room or an error; one of the next, within seconds, mends it.
                let Some(sid) = scene.try_restart().await else {
                    refused += 1;
                    assert!(refused < 8, "{sids:?}");
                    continue;
                };
                assert!(!sids.contains(&sid), "{sid} again after {sids:?}");
                sids.push(sid);
            }
        };
        tokio::select! {
            () = restarts => {}
            _ = join_all(guests) => {}
        }
    }
}

/// Between the deletion and the creation somebody joins, and so makes the room: it stays, and becomes the nest's.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis and livekit"]
async fn whoever_comes_back_first_stays() {
    let scene = Scene::new(true).await;
    // What a token of this API makes is as the API would have made it; with another one LiveKit decides.
    for (token, limits) in [(scene.guest().await, (1800, 60, 500)), (scene.foreign(), (300, 20, 0))] {
        let before = scene.room().await;
        scene.tap.forget();
        let inside = Arc::<Mutex<Option<Signal>>>::default();
        let (comes, url) = (inside.clone(), scene.livekit.url.clone());
        scene.tap.hook(move |call| {
            if call == "CreateRoom" {
                let joined = block_in_place(|| Handle::current().block_on(Signal::join(&url, &token)));
                *comes.lock().unwrap() = Some(joined.unwrap());
            }
            true
        });
        let sid = scene.restart().await;
        scene.tap.unhook();
        let after = scene.room().await;
        let mut inside = inside.lock().unwrap().take().unwrap();
        assert_ne!(sid, before.sid);
        assert_eq!([&inside.join.room.as_ref().unwrap().sid, &after.sid], [&sid; 2]);
        assert_eq!((after.empty_timeout, after.departure_timeout, after.max_participants), limits);
        let metadata: Value = serde_json::from_str(&after.metadata).unwrap();
        assert_eq!(metadata["nestId"], scene.id);
        assert!(metadata["restartedAt"].is_i64(), "{metadata}");
        assert_eq!(scene.tap.count("DeleteRoom"), 1);
        let left = inside.until(|message| matches!(message, Message::Leave(_)).then_some(())).now_or_never();
        assert!(left.is_none(), "thrown out again");
    }
    // What the room was to be like is not forgotten.
    scene.restart().await;
    let after = scene.room().await;
    assert_eq!((after.empty_timeout, after.departure_timeout, after.max_participants), (1800, 60, 500));
    assert!(!after.metadata.contains("roomConfig"), "{}", after.metadata);
}

/// The new room is made, and a moment later another one stands there.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis and livekit"]
async fn a_room_that_does_not_stay_is_replaced_again() {
    let scene = Scene::new(false).await;
    let before = scene.room().await.sid;
    let mut inside = Signal::join(&scene.livekit.url, &scene.guest().await).await.unwrap();
    let (media, id) = (scene.media(), scene.id.clone());
    let (created, looks) = (AtomicBool::new(false), AtomicUsize::new(0));
    let between = Arc::<Mutex<Option<String>>>::default();
    let stranger = between.clone();
    scene.tap.hook(move |call| {
        // Whether the new one is there, and then whether it stays.
        if call == "CreateRoom" {
            created.store(true, Ordering::Relaxed);
        } else if created.load(Ordering::Relaxed) && looks.fetch_add(1, Ordering::Relaxed) == 1 {
            let other = async {
                media.delete(&id).await.unwrap();
                media.create(&other_room(&id, "")).await.unwrap().sid
            };
            *stranger.lock().unwrap() = Some(block_in_place(|| Handle::current().block_on(other)));
        }
        true
    });
    let sid = scene.restart().await;
    assert_eq!(inside.farewell().await, DisconnectReason::RoomDeleted);
    let between = between.lock().unwrap().take().unwrap();
    assert!(sid != before && sid != between, "{sid} after {before} and {between}");
    let after = scene.room().await;
    assert_eq!((after.sid, after.max_participants), (sid, 500));
    assert_eq!(scene.tap.count("DeleteRoom"), 2);
}

/// One of the restarts before has left a room that LiveKit did not list, and hands out now.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis and livekit"]
async fn an_older_room_is_not_taken_for_a_new_one() {
    let scene = Scene::new(false).await;
    let (media, id) = (scene.media(), scene.id.clone());
    media.delete(&id).await.unwrap();
    let old = Arc::<Mutex<Option<String>>>::default();
    let back = old.clone();
    scene.tap.hook(move |call| {
        let mut back = back.lock().unwrap();
        if call == "CreateRoom" && back.is_none() {
            let room = other_room(&id, &json!({ "nestId": id, "restartedAt": 1 }).to_string());
            *back = Some(block_in_place(|| Handle::current().block_on(media.create(&room))).unwrap().sid);
        }
        true
    });
    let sid = scene.restart().await;
    assert_ne!(old.lock().unwrap().take(), Some(sid.clone()));
    let after = scene.room().await;
    assert_eq!((after.sid, after.max_participants), (sid, 500));
}

fn other_room(id: &str, metadata: &str) -> CreateRoomRequest {
    CreateRoomRequest {
        name: id.into(),
        empty_timeout: 60,
        departure_timeout: 60,
        max_participants: 5,
        metadata: metadata.into(),
        ..CreateRoomRequest::default()
    }
}
