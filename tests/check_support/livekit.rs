//! The real livekit-server, one process a test.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nostr_nests::clock::Clock;
use nostr_nests::livekit::endpoint::Candidate;
use nostr_nests::livekit::signal::Session;
use nostr_nests::livekit::{dial, signal};
use nostr_nests::tls;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{client, jwt, now_ms, of, token};

pub const KEY: &str = "devkey";
pub const SECRET: &str = "a-secret-of-at-least-thirty-two-characters";

/// A livekit-server of one test; ends with it.
pub struct LiveKit {
    process: Child,
    pub port: u16,
    pub http: reqwest::Client,
    _folder: tempfile::TempDir,
}

impl Drop for LiveKit {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl LiveKit {
    pub async fn start(auto_create: bool) -> Self {
        let binary = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/tools/server");
        let folder = tempfile::tempdir().unwrap();
        let (port, tcp, udp) = (free_port(), free_port(), free_port());
        let config = folder.path().join("livekit.yaml");
        let text = format!(
            "port: {port}\nbind_addresses: [\"127.0.0.1\"]\nkeys: {{{KEY}: \"{SECRET}\"}}\n\
             rtc: {{tcp_port: {tcp}, udp_port: {udp}, use_external_ip: false, enable_loopback_candidate: true, \
             node_ip: 127.0.0.1}}\nroom: {{auto_create: {auto_create}}}\n"
        );
        fs::write(&config, text).unwrap();
        let process = Command::new(binary)
            .arg("--config")
            .arg(config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("target/tools/server is livekit-server");
        let http = client(&tls::client_config(&[]));
        let server = Self { process, port, http, _folder: folder };
        let ready = Instant::now() + Duration::from_secs(10);
        while server.http.get(server.url("http", "/")).send().await.is_err() {
            assert!(Instant::now() < ready, "livekit-server does not answer");
            sleep(Duration::from_millis(5)).await;
        }
        server
    }

    pub fn url(&self, scheme: &str, path: &str) -> String {
        format!("{scheme}://127.0.0.1:{}{path}", self.port)
    }

    async fn call(&self, method: &str, body: Value) -> Value {
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

    pub fn candidates(&self) -> Vec<Candidate> {
        of(&[self.url("wss+livekit", "")])
    }

    /// Somebody who sits in the room.
    pub async fn guest(&self, room: &str, identity: &str) -> Session {
        let candidate = &self.candidates()[0];
        let patience = dial::Patience { each: Duration::from_secs(5), until: Instant::now() + Duration::from_secs(5) };
        let connection = dial::connect(candidate, &tls::client_config(&[]), patience).await.unwrap();
        signal::join(connection, candidate, &token(room, identity), patience, Clock::default()).await.unwrap()
    }
}
