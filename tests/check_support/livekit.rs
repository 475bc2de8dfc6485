//! The real livekit-server, one process a test.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nostr_nests::clock::Clock;
use nostr_nests::livekit::endpoint::{Candidate, Hints, candidates};
use nostr_nests::livekit::signal::Session;
use nostr_nests::livekit::{dial, signal};
use nostr_nests::tls;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{client, jwt, now_ms, token};

pub const KEY: &str = "devkey";
pub const SECRET: &str = "a-secret-of-at-least-thirty-two-characters";

/// Where and how a server runs.
#[derive(Clone)]
pub struct Spec<'a> {
    /// A network namespace to run in.
    pub namespace: Option<&'a str>,
    pub ip: &'a str,
    pub auto_create: bool,
    /// More of the `rtc` section, a comma in front.
    pub rtc: String,
    /// More sections.
    pub more: String,
}

impl Default for Spec<'_> {
    fn default() -> Self {
        Self {
            namespace: None,
            ip: "127.0.0.1",
            auto_create: false,
            rtc: ", enable_loopback_candidate: true, node_ip: 127.0.0.1".into(),
            more: String::new(),
        }
    }
}

/// A livekit-server of one test; ends with it.
pub struct LiveKit {
    process: Child,
    ip: String,
    pub port: u16,
    /// Of ICE over TCP.
    pub tcp: u16,
    /// Of everything by UDP.
    pub udp: u16,
    pub http: reqwest::Client,
    folder: tempfile::TempDir,
}

impl Drop for LiveKit {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl LiveKit {
    pub async fn start(auto_create: bool) -> Self {
        Self::start_as(Spec { auto_create, ..Spec::default() }).await
    }

    pub async fn start_as(spec: Spec<'_>) -> Self {
        let binary = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/tools/server");
        let folder = tempfile::tempdir().unwrap();
        let (port, tcp, udp) = (free_port(), free_port(), free_port());
        let config = folder.path().join("livekit.yaml");
        let Spec { namespace, ip, auto_create, rtc, more } = spec;
        let text = format!(
            "port: {port}\nbind_addresses: [\"{ip}\"]\nkeys: {{{KEY}: \"{SECRET}\"}}\n\
             rtc: {{tcp_port: {tcp}, udp_port: {udp}, use_external_ip: false{rtc}}}\n\
             room: {{auto_create: {auto_create}}}\n{more}"
        );
        fs::write(&config, text).unwrap();
        let mut command = match namespace {
            Some(name) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", name]).arg(binary);
                command
            }
            None => Command::new(binary),
        };
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let process = command
            .arg("--config")
            .arg(config)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("target/tools/server is livekit-server");
        let http = client(&tls::client_config(&[]));
        let server = Self { process, ip: ip.into(), port, tcp, udp, http, folder };
        let ready = Instant::now() + Duration::from_secs(10);
        while server.http.get(server.url("http", "/")).send().await.is_err() {
            let log = || fs::read_to_string(server.folder.path().join("log")).unwrap_or_default();
            assert!(Instant::now() < ready, "livekit-server does not answer: {}", log());
            sleep(Duration::from_millis(5)).await;
        }
        server
    }

    pub fn url(&self, scheme: &str, path: &str) -> String {
        format!("{scheme}://{}:{}{path}", self.ip, self.port)
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
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
    pub async fn guest(&self, room: &str, identity: &str) -> Session {
        let candidate = &self.candidates()[0];
        let patience = dial::Patience { each: Duration::from_secs(5), until: Instant::now() + Duration::from_secs(5) };
        let connection = dial::connect(candidate, &tls::client_config(&[]), patience).await.unwrap();
        signal::join(connection, candidate, &token(room, identity), patience, Clock::default()).await.unwrap()
    }
}
