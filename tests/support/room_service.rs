//! The real livekit-server, asked and arranged by its own `RoomService`.

use std::time::Duration;

use nostr_nests::clock::Clock;
use nostr_nests::livekit::endpoint::{Candidate, Hints, candidates};
use nostr_nests::livekit::signal;
use nostr_nests::livekit::signal::{JoinMode, SignalSession};
use nostr_nests::net::reach::Reach;
use nostr_nests::net::tls;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::check::{jwt, now_ms, token};
use super::livekit::{KEY, LiveKit, SECRET};

impl LiveKit {
    pub fn url(&self, scheme: &str, path: &str) -> String {
        format!("{scheme}{}{path}", self.url.trim_start_matches("ws"))
    }

    pub async fn call(&self, method: &str, body: Value) -> Value {
        let video = json!({"roomCreate": true, "roomList": true, "roomAdmin": true, "room": body["room"]});
        let claims = json!({"iss": KEY, "sub": "judge", "exp": now_ms() / 1000 + 60, "video": video});
        let answer = self
            .http
            .post(self.url("http", &format!("/twirp/livekit.RoomService/{method}")))
            .bearer_auth(jwt(&claims, SECRET))
            .header("content-type", "application/json")
            .body(body.to_string())
            .send()
            .await
            .unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(status.is_success(), "{method}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// As upstream's Nests API calls it.
    pub async fn create(&self, room: &str, departure_s: u32) -> Value {
        let now = now_ms();
        let metadata = json!({"nestId": room, "host": "aa", "relays": [], "createdAt": now, "restartedAt": now});
        let body = json!({
            "name": room, "emptyTimeout": 1800, "departureTimeout": departure_s, "maxParticipants": 500,
            "metadata": metadata.to_string(),
        });
        self.call("CreateRoom", body).await
    }

    pub async fn delete(&self, room: &str) {
        self.call("DeleteRoom", json!({"room": room})).await;
    }

    pub async fn sid(&self, room: &str) -> Option<String> {
        let rooms = self.call("ListRooms", json!({"names": [room]})).await;
        rooms["rooms"][0]["sid"].as_str().map(str::to_owned)
    }

    pub async fn inside(&self, room: &str) -> usize {
        let all = self.call("ListParticipants", json!({"room": room})).await;
        all["participants"].as_array().map_or(0, Vec::len)
    }

    /// How many are inside, once it is as many as this or two seconds are over: who says goodbye is let go first and
    /// counted out afterwards.
    pub async fn settled(&self, room: &str, wanted: usize) -> usize {
        let until = Instant::now() + Duration::from_secs(2);
        loop {
            let inside = self.inside(room).await;
            if inside == wanted || Instant::now() > until {
                return inside;
            }
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// What the API would return, in a network that is trusted.
    pub fn candidates(&self) -> Vec<Candidate> {
        let api = "https://nests.example/".parse().unwrap();
        let returned = [self.url("ws+livekit", "")];
        let mut all = candidates(Hints { returned: &returned, streaming: &[], api: Some(&api), allow_http: true });
        all.pop();
        all
    }

    /// Somebody who sits in the room.
    pub async fn guest(&self, room: &str, identity: &str) -> SignalSession {
        let candidate = &self.candidates()[0];
        let limits = candidate.dial_limits(Duration::from_secs(5));
        let connection = candidate.connect(&tls::client_config(&[]), &Reach::ANYWHERE, limits).await.unwrap();
        let token = token(room, identity);
        let joining =
            signal::join(JoinMode::SignalOnly, vec![], connection, candidate, &token, limits, Clock::default());
        joining.await.unwrap()
    }
}
