//! `nest serve` and those who only look whether a nest can be joined: nothing changes for anybody else.

use std::time::{Duration, Instant};

use livekit_protocol::participant_info::Kind;
use livekit_protocol::request_response::Reason;
use livekit_protocol::signal_request::Message as Ask;
use livekit_protocol::signal_response::Message;
use livekit_protocol::{AddTrackRequest, CreateRoomRequest, Room, TrackType};
use nostr::Keys;
use nostr_nests::secret::Secret;
use nostr_nests::server::media::{Livekit, LivekitConfig, MediaServer};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::livekit::LiveKit;
use crate::support::nest::Nest;
use crate::support::nests_api::claims;
use crate::support::port;
use crate::support::redis::Redis;
use crate::support::serve::{KEY, SECRET, Serve, Setup};
use crate::support::signal::Signal;

struct Scene {
    livekit: LiveKit,
    serve: Serve,
    media: Livekit,
    _redis: Redis,
}

impl Scene {
    fn new() -> Self {
        let (redis, livekit) = (Redis::start(), LiveKit::start(false));
        let serve = Setup::new(&redis.url(), &livekit.url).announcing(&livekit.url);
        let config = LivekitConfig { url: livekit.url.clone(), key: KEY.into(), secret: Secret::new(SECRET) };
        Self { livekit, serve, media: Livekit::new(config).unwrap(), _redis: redis }
    }

    /// The room of a nest that lives long while nobody comes, and closes soon once somebody has left.
    async fn room(&self, name: &str) -> Room {
        let room = CreateRoomRequest {
            name: name.into(),
            empty_timeout: 300,
            departure_timeout: 2,
            metadata: json!({ "nestId": name }).to_string(),
            ..CreateRoomRequest::default()
        };
        self.media.create(&room).await.unwrap()
    }

    async fn token(&self, id: &str, query: &str) -> String {
        let answer = self.serve.get(&format!("/api/v1/nests/{id}/guest{query}")).await.expect(200).json();
        answer["token"].as_str().unwrap().to_owned()
    }

    async fn join(&self, id: &str, query: &str) -> Signal {
        Signal::join(&self.livekit.url, &self.token(id, query).await).await.unwrap()
    }
}

/// Whether LiveKit takes a track that is announced.
async fn may_publish(signal: &mut Signal) -> bool {
    let track = AddTrackRequest {
        cid: "microphone".into(),
        name: "microphone".into(),
        r#type: TrackType::Audio.into(),
        ..AddTrackRequest::default()
    };
    signal.ask(Ask::AddTrack(track)).await;
    let answer = |message| match message {
        Message::TrackPublished(_) => Some(true),
        Message::RequestResponse(response) => {
            assert_eq!(response.reason(), Reason::NotAllowed);
            Some(false)
        }
        _ => None,
    };
    signal.until(answer).await
}

#[tokio::test]
#[ignore = "needs redis and livekit"]
async fn a_probe_token_allows_nothing_but_to_join() {
    let scene = Scene::new();
    let host = Keys::generate();
    let id = scene.serve.create(&host).await;
    let now = i64::try_from(nostr::Timestamp::now().as_secs()).unwrap();
    let token = claims(&scene.token(&id, "?probe=1").await);
    assert_eq!(token["kind"], "agent");
    let grants = json!({ "room": id, "roomJoin": true, "canPublish": false, "canSubscribe": false, "roomAdmin": false,
        "hidden": true });
    assert_eq!(token["video"], grants);
    assert!((50..=62).contains(&(token["exp"].as_i64().unwrap() - now)), "{token}");
    for query in ["", "?probe=0", "?probe", "?x=1"] {
        let guest = claims(&scene.token(&id, query).await);
        assert_eq!((guest.get("kind"), &guest["video"]["canSubscribe"]), (None, &json!(true)), "{query}");
    }

    let mut probe = scene.join(&id, "?probe=1").await;
    let is = probe.join.participant.clone().unwrap();
    assert_eq!(is.kind(), Kind::Agent);
    let allowed = is.permission.unwrap();
    assert!(allowed.hidden && !allowed.can_publish && !allowed.can_publish_data && !allowed.can_subscribe);
    assert!(!may_publish(&mut probe).await);

    // Others do not see it, and neither does the API.
    let path = format!("/api/v1/nests/{id}");
    let token = scene.serve.call(&host, Method::GET, &path, None).await.expect(200).json()["token"].clone();
    let mut inside = Signal::join(&scene.livekit.url, token.as_str().unwrap()).await.unwrap();
    assert_eq!(inside.join.other_participants, []);
    assert!(may_publish(&mut inside).await);
    let another = scene.join(&id, "?probe=1").await;
    let seen = scene.join(&id, "").await.join.other_participants;
    let seen: Vec<_> = seen.iter().map(|person| person.identity.as_str()).collect();
    assert_eq!(seen, [host.public_key().to_hex()]);
    let begun = Instant::now();
    loop {
        let info = scene.serve.get(&format!("{path}/info")).await.expect(200).json();
        // The guest above is gone, or on its way.
        match info["participantCount"].as_u64().unwrap() {
            1 => break,
            count => assert!(count == 2 && begun.elapsed() < Duration::from_secs(20), "{count}"),
        }
    }
    another.leave().await;
    probe.leave().await;
}

#[tokio::test]
#[ignore = "needs redis and livekit"]
async fn a_probe_does_not_shorten_the_life_of_an_empty_nest() {
    let scene = Scene::new();
    let (probed, visited) = (scene.room("probed").await, scene.room("visited").await);
    let probe = scene.join("probed", "?probe=1").await;
    assert_eq!(probe.join.room.as_ref().unwrap().sid, probed.sid);
    probe.leave().await;
    // A guest does: the room that it has left, later than the probe has left the other, is closed.
    let guest = scene.join("visited", "").await;
    assert_eq!(guest.join.room.as_ref().unwrap().sid, visited.sid);
    guest.leave().await;
    let begun = Instant::now();
    while scene.media.find("visited").await.unwrap().is_some() {
        assert!(begun.elapsed() < Duration::from_secs(30), "it stays");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(begun.elapsed() > Duration::from_secs(1), "by its departure timeout");
    assert_eq!(scene.media.find("probed").await.unwrap().unwrap().sid, probed.sid);
}

/// LiveKit's own client for Python: three of them, with media connected.
#[tokio::test]
#[ignore = "needs redis, livekit and its Python client"]
async fn a_probe_hears_nothing_and_says_nothing() {
    const SCRIPT: &str = "\
import asyncio, json, os, sys
from livekit import rtc

async def main(url, *tokens):
    host, probe, guest = rooms = [rtc.Room() for _ in tokens]
    seen, heard, guest_seen, guest_hears = [], [], asyncio.Event(), asyncio.Event()

    @host.on('participant_connected')
    def host_sees(person):
        seen.append(person.identity)
        if person.identity.startswith('guest'):
            guest_seen.set()

    @probe.on('track_subscribed')
    def probe_hears(*_):
        heard.append('probe')

    @guest.on('track_subscribed')
    def guest_has_heard(*_):
        heard.append('guest')
        guest_hears.set()

    def microphone():
        return rtc.LocalAudioTrack.create_audio_track('microphone', rtc.AudioSource(48000, 1))

    await host.connect(url, tokens[0])
    await host.local_participant.publish_track(microphone())
    await probe.connect(url, tokens[1])
    try:
        await asyncio.wait_for(probe.local_participant.publish_track(microphone()), 5)
        published = True
    except Exception:
        published = False
    await guest.connect(url, tokens[2])
    for event in guest_seen, guest_hears:
        await asyncio.wait_for(event.wait(), 20)
    others = [list(room.remote_participants) for room in (host, guest)]
    print(json.dumps({'seen': seen, 'heard': heard, 'published': published, 'others': others}), flush=True)
    for room in rooms:
        await room.disconnect()

asyncio.run(main(*sys.argv[1:]))
os._exit(0)  # Its own threads abort the process now and then, where Python ends in the usual way.";
    let scene = Scene::new();
    let host = Keys::generate();
    let id = scene.serve.create(&host).await;
    let answer = scene.serve.call(&host, Method::GET, &format!("/api/v1/nests/{id}"), None).await.expect(200).json();
    let guest = scene.token(&id, "").await;
    let output = tokio::process::Command::new("target/tools/livekit-py/bin/python")
        .args(["-c", SCRIPT, &scene.livekit.url, answer["token"].as_str().unwrap()])
        .args([&scene.token(&id, "?probe=1").await, &guest])
        .kill_on_drop(true)
        .output()
        .await
        .expect("target/tools/livekit-py is a virtual environment with livekit");
    let said: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    let (host, guest) = (host.public_key().to_hex(), claims(&guest)["sub"].clone());
    let expected = json!({ "seen": [guest], "heard": ["guest"], "published": false, "others": [[guest], [host]] });
    assert_eq!(said, expected);
}

/// The program itself: a restart is proven by what the answer says, and a check may join an empty nest.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis and livekit"]
async fn a_check_by_the_program_costs_an_empty_nest_nothing() {
    let (redis, livekit, host) = (Redis::start(), LiveKit::start(false), Keys::generate());
    let address = format!("127.0.0.1:{}", port::reserved());
    let origin = format!("http://{address}");
    let serve = Setup::new(&redis.url(), &livekit.url).listen(&address).public(&origin).announcing(&livekit.url);
    let id = serve.create(&host).await;
    let nest = |args: &[&str]| {
        let key = host.secret_key().to_secret_hex();
        let nest = Nest::alone().env("NEST_API", &origin).env("NEST_KEY", key).args(args);
        nest.args([&*id, "--json"]).run().expect(0).document()
    };
    let restarted = nest(&["restart"]);
    assert_eq!((&restarted["proof"], &restarted["warnings"]), (&json!("fresh"), &json!([])));
    let restarted = nest(&["restart", "--check"]);
    assert_eq!((&restarted["proof"], &restarted["check"]["verdict"]), (&json!("fresh"), &json!("joinable")));
    for checked in [&restarted["check"], &nest(&["check"])] {
        assert_eq!((&checked["verdict"], &checked["room"]["participants"]), (&json!("joinable"), &json!(0)));
        assert!(checked["room"].get("closesAt").is_none(), "nothing has shortened its life: {checked}");
        assert_eq!(checked["media"]["protocol"], "udp");
    }
    // Who holds the door open has to count, and so its leaving does: the nest is renewed.
    let kept = nest(&["check", "--keep=300ms"]);
    assert!(kept["renewedAs"].is_string() && kept["renewedAs"] != kept["room"]["sid"], "{kept}");
}
