//! The Nests API in front of a real LiveKit server.

use livekit_protocol::DisconnectReason;
use nostr_nests::secret::Secret;
use nostr_nests::server::media::LivekitConfig;
use nostr_nests::server::{DEMO, Mock, Options};
use reqwest::Method;
use serde_json::Value;

use crate::support::livekit::{self, LiveKit};
use crate::support::nests_api::{client, signed};
use crate::support::signal::Signal;

async fn restart(mock: &Mock) -> Value {
    let url = format!("{}/api/v1/nests/{DEMO}/restart", mock.api());
    let answer = signed(mock.host(), Method::POST, &url, None).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
}

async fn sid(mock: &Mock) -> Option<String> {
    mock.media().find(DEMO).await.unwrap().map(|room| room.sid)
}

#[tokio::test]
#[ignore = "needs livekit"]
async fn a_restart_deletes_and_creates_on_livekit() {
    let server = LiveKit::start(true);
    let config =
        LivekitConfig { url: server.url.clone(), key: livekit::KEY.into(), secret: Secret::new(livekit::SECRET) };
    let mock = Mock::start(Options { livekit: Some(config), ..Options::default() }).unwrap();
    assert_eq!((mock.livekit(), sid(&mock).await), (server.url.as_str(), None));

    let answer = restart(&mock).await;
    assert_eq!(answer["endpoints"][0], server.url.replace("ws://", "wss+livekit://"));
    let first = sid(&mock).await.unwrap();
    let mut inside = Signal::join(&server.url, answer["token"].as_str().unwrap()).await.unwrap();
    assert_eq!(inside.join.room.as_ref().unwrap().sid, first);
    let metadata: Value = serde_json::from_str(&inside.join.room.as_ref().unwrap().metadata).unwrap();
    assert_eq!(metadata["restartedAt"], mock.record(DEMO).unwrap().restarted_at.unwrap());

    restart(&mock).await;
    assert_eq!(inside.farewell().await, DisconnectReason::RoomDeleted);
    let second = sid(&mock).await.unwrap();
    assert_ne!(second, first);

    mock.set_faults(vec!["old-room-kept".parse().unwrap()]);
    assert_eq!(restart(&mock).await["message"], "Nest restarted successfully");
    assert_eq!(sid(&mock).await.unwrap(), second);

    // The media server is elsewhere.
    assert_eq!(client().get(format!("{}/rtc/validate", mock.api())).send().await.unwrap().status(), 404);
}
