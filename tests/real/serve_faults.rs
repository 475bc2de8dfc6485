//! `nest serve` while what it stands on is emptied, replaced, started anew, or told another time: nothing is lost that was
//! not taken away, and nothing is called a success that is none.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use nostr::{Keys, Timestamp};
use nostr_nests::secret::Secret;
use nostr_nests::server::media::{Livekit, LivekitConfig, MediaServer};
use redis::AsyncCommands as _;

use crate::support::livekit::LiveKit;
use crate::support::nest::Nest;
use crate::support::nests_api::{Draft, client};
use crate::support::port;
use crate::support::redis::Redis;
use crate::support::serve::{KEY, PUBLIC, Reply, SECRET, Scene, Setup};
use crate::support::tap::Tap;

async fn sid(livekit: &str, id: &str) -> Option<String> {
    let config = LivekitConfig { url: livekit.to_owned(), key: KEY.into(), secret: Secret::new(SECRET) };
    Livekit::new(config).unwrap().find(id).await.unwrap().map(|room| room.sid)
}

impl Scene {
    async fn sid(&self) -> Option<String> {
        sid(&self.livekit.url, &self.id).await
    }

    async fn restart(&self) -> Reply {
        self.serve.restart(&self.host, &self.id).await
    }

    /// Redis has forgotten the nest: nobody touches its room, others come and go, and with its record it is back.
    async fn forgotten(&self, record: &str) {
        let before = self.sid().await.unwrap();
        assert_eq!(self.restart().await.expect(404).json()["error"], "Nest not found");
        assert_eq!(self.sid().await, Some(before.clone()));
        let other = self.serve.create(&self.host).await;
        self.serve.restart(&self.host, &other).await.expect(200);
        let () = self.redis.connect().await.set(format!("nest:{}", self.id), record).await.unwrap();
        let restarted = self.restart().await.expect(200).json();
        assert_eq!(restarted["room"]["sidBefore"], before);
        assert_eq!(self.sid().await.unwrap(), restarted["room"]["sid"].as_str().unwrap());
    }

    async fn record(&self) -> String {
        self.redis.connect().await.get(format!("nest:{}", self.id)).await.unwrap()
    }
}

#[tokio::test]
#[ignore = "needs redis and livekit"]
async fn redis_is_emptied() {
    let scene = Scene::new().await;
    let record = scene.record().await;
    let () = redis::cmd("FLUSHALL").query_async(&mut scene.redis.connect().await).await.unwrap();
    scene.forgotten(&record).await;
}

#[tokio::test]
#[ignore = "needs redis and livekit"]
async fn redis_is_replaced() {
    let mut scene = Scene::new().await;
    let record = scene.record().await;
    scene.redis.replace();
    scene.serve.until_ready(true).await;
    scene.forgotten(&record).await;
}

/// With the lease: the restart is not the one that anybody may call done.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis and livekit"]
async fn redis_is_emptied_in_the_middle_of_a_restart() {
    let (redis, livekit) = (Redis::start(), LiveKit::start(false));
    let tap = Tap::before(&livekit.url).await;
    let serve = Setup::new(&redis.url(), &tap.url).announcing(&livekit.url);
    let host = Keys::generate();
    let id = serve.create(&host).await;
    let mut emptied = redis::Client::open(redis.url()).unwrap().get_connection().unwrap();
    let emptied = Mutex::new(move || redis::cmd("FLUSHALL").exec(&mut emptied).unwrap());
    tap.hook(move |called| {
        if called == "CreateRoom" {
            emptied.lock().unwrap()();
        }
        true
    });
    assert_eq!(serve.restart(&host, &id).await.expect(404).json()["error"], "Nest not found");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis and livekit"]
async fn livekit_starts_anew_in_the_middle_of_a_restart() {
    let (redis, livekit) = (Redis::start(), LiveKit::start(false));
    let url = livekit.url.clone();
    let tap = Tap::before(&url).await;
    let serve = Setup::new(&redis.url(), &tap.url).announcing(&url);
    let (host, livekit) = (Keys::generate(), Arc::new(Mutex::new(livekit)));
    for at in ["ListRooms", "DeleteRoom", "CreateRoom"] {
        let id = serve.create(&host).await;
        let before = sid(&url, &id).await;
        let (restarted, livekit) = (AtomicBool::new(false), livekit.clone());
        tap.hook(move |called| {
            if called == at && !restarted.swap(true, Ordering::SeqCst) {
                let mut livekit = livekit.lock().unwrap();
                livekit.stop();
                livekit.resume();
            }
            true
        });
        let reply = serve.restart(&host, &id).await;
        tap.unhook();
        // A failure may be told: LiveKit was away. A success is one.
        let reply = if reply.status == 503 { serve.restart(&host, &id).await } else { reply }.expect(200);
        let made = reply.json()["room"]["sid"].as_str().map(str::to_owned);
        assert!(made.is_some() && made != before, "{at}");
        assert_eq!(sid(&url, &id).await, made, "{at}");
    }
}

/// A clock that somebody sets while it runs. LiveKit has another one, and may refuse what is dated by this one.
#[tokio::test]
#[ignore = "needs redis, livekit and faketime"]
async fn the_clock_is_set_two_days_on_and_back() {
    let (redis, livekit, folder) = (Redis::start(), LiveKit::start(false), tempfile::tempdir().unwrap());
    let time = folder.path().join("time");
    std::fs::write(&time, "+0").unwrap();
    let setup = Setup::new(&redis.url(), &livekit.url)
        .env("LD_PRELOAD", "libfaketimeMT.so.1")
        .env("LD_LIBRARY_PATH", "/usr/lib/x86_64-linux-gnu/faketime:/usr/lib/aarch64-linux-gnu/faketime")
        .env("FAKETIME_TIMESTAMP_FILE", time.to_str().unwrap())
        .env("FAKETIME_NO_CACHE", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    let serve = setup.announcing(&livekit.url);
    let host = Keys::generate();
    let id = serve.create(&host).await;
    for (set, ahead_s) in [("+2d", 172_800), ("-2d", -172_800)] {
        serve.restart(&host, &id).await.expect(200);
        let before = sid(&livekit.url, &id).await;
        std::fs::write(&time, set).unwrap();
        let refused = serve.restart(&host, &id).await.expect(401).json()["error"].to_string();
        let side = if ahead_s > 0 { "old" } else { "ahead" };
        assert!(refused.contains("Event is 1728") && refused.contains(side), "{refused}");
        let path = format!("/api/v1/nests/{id}/restart");
        let mut draft = Draft::new("POST", &format!("{PUBLIC}{path}"), b"");
        draft.created_at = Timestamp::from((Timestamp::now().as_secs().cast_signed() + ahead_s).cast_unsigned());
        let request = client().post(serve.url(&path)).header("authorization", draft.header(&host));
        let reply = Reply::of(request.send().await.unwrap()).await;
        let now = sid(&livekit.url, &id).await;
        match reply.status {
            200 => assert_eq!(reply.json()["room"]["sid"].as_str(), now.as_deref(), "{set}"),
            500 | 503 => assert_eq!(now, before, "{set}"),
            other => panic!("{set}: {other} {}", reply.text),
        }
        serve.get("/health/alive").await.expect(200);
        serve.get("/metrics").await.expect(200);
        std::fs::write(&time, "+0").unwrap();
    }
    serve.restart(&host, &id).await.expect(200);
    serve.get(&format!("/api/v1/nests/{id}/guest")).await.expect(200);
}

/// A disk of one page, mounted at a folder.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn with(inodes: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = format!("size=4k,nr_inodes={inodes}");
        let mut mount = Command::new("mount");
        assert!(mount.args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(folder.path()).status().unwrap().success());
        let disk = Self(folder);
        std::fs::create_dir_all(disk.0.path().join("nest/rooms")).unwrap();
        std::fs::write(disk.0.path().join("full"), [0; 4096]).unwrap();
        assert!(std::fs::write(disk.0.path().join("nest/more"), "x").is_err(), "there is room on it");
        // An empty file needs no room, but an inode.
        let _ = std::fs::remove_file(disk.0.path().join("nest/more"));
        disk
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

/// Where the locks are, and what was seen of rooms: neither is needed for a restart.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis, livekit and root"]
async fn the_disk_with_the_state_of_a_host_is_full() {
    let (redis, livekit) = (Redis::start(), LiveKit::start(false));
    let address = format!("127.0.0.1:{}", port::reserved());
    let public = format!("http://{address}");
    let setup = Setup::new(&redis.url(), &livekit.url).listen(&address).public(&public);
    let serve = setup.announcing(&livekit.url);
    let host = Keys::generate();
    let id = serve.create(&host).await;
    // Room for the folders and the file that fills it; and for a lock besides.
    for (inodes, warned) in [(4, true), (5, false)] {
        let (disk, before) = (SmallDisk::with(inodes), sid(&livekit.url, &id).await);
        let nest =
            Nest::alone().env("XDG_STATE_HOME", disk.0.path()).env("NEST_KEY", host.secret_key().to_secret_hex());
        let nest = nest.args(["restart", &id, "--api", &public]);
        let output = tokio::task::spawn_blocking(move || nest.run().expect(0)).await.unwrap();
        assert_eq!(output.stderr.contains("going on without a lock"), warned, "{}", output.stderr);
        assert!(sid(&livekit.url, &id).await.is_some_and(|now| Some(now) != before));
    }
}
