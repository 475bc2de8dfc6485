//! `nest serve` as a process of its own.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use nostr::Keys;
use reqwest::Method;
use serde_json::Value;

use super::livekit::LiveKit;
use super::nests_api::{client, signed};
use super::process;
use super::redis::Redis;

pub const KEY: &str = "devkey";
pub const SECRET: &str = "a-secret-of-at-least-thirty-two-characters";

/// A process that is being put together.
pub struct Setup {
    command: Command,
    home: tempfile::TempDir,
    key: String,
    public: Option<String>,
    listen: String,
    /// How many lines of the log are read before the test asks for them.
    lines_ahead: usize,
}

impl Setup {
    pub fn new(redis: &str, livekit: &str) -> Self {
        Self::of(env!("CARGO_BIN_EXE_nest"), redis, livekit)
    }

    /// With nothing behind it: nothing listens at these ports.
    pub fn alone() -> Self {
        Self::new("redis://127.0.0.1:9", "ws://127.0.0.1:9")
    }

    /// Of another build of the program.
    pub fn of(program: &str, redis: &str, livekit: &str) -> Self {
        use std::os::unix::fs::PermissionsExt as _;
        let home = tempfile::tempdir().unwrap();
        let secret = home.path().join("secret");
        std::fs::write(&secret, format!("{SECRET}\n")).unwrap();
        std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
        let mut command = Command::new(program);
        command.env_clear().env("HOME", home.path()).current_dir(home.path());
        command.args(["serve", "--allow-internal-endpoint"]);
        command.args(["--redis", redis, "--livekit", livekit, "--livekit-secret-file"]);
        command.arg(secret);
        Self { command, home, key: KEY.into(), public: None, listen: "127.0.0.1:0".into(), lines_ahead: 100_000 }
    }

    /// Another API key of LiveKit.
    pub fn key(mut self, name: &str) -> Self {
        self.key = name.into();
        self
    }

    /// Another API secret of LiveKit.
    pub fn secret(self, secret: &str) -> Self {
        std::fs::write(self.home.path().join("secret"), secret).unwrap();
        self
    }

    pub fn listen(mut self, address: &str) -> Self {
        self.listen = address.into();
        self
    }

    pub fn args<const N: usize>(mut self, args: [&str; N]) -> Self {
        self.command.args(args);
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// What clients sign, when it is not the usual.
    pub fn public(mut self, url: &str) -> Self {
        self.public = Some(url.into());
        self
    }

    /// Nobody reads its log before the test does.
    pub fn unread(mut self) -> Self {
        self.lines_ahead = 0;
        self
    }

    pub fn start(self) -> Serve {
        self.announcing("ws://127.0.0.1:7880")
    }

    /// Starts; `livekit` is what clients are told.
    pub fn announcing(mut self, livekit: &str) -> Serve {
        let public = self.public.unwrap_or_else(|| PUBLIC.into());
        self.command.args(["--listen", &self.listen, "--livekit-key", &self.key]);
        self.command.args(["--public-livekit-url", livekit, "--public-url", &public]);
        let mut child =
            self.command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, log) = sync_channel(self.lines_ahead);
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| drop(sender.send(line))));
        let first = log.recv_timeout(Duration::from_secs(10)).expect("it says where it listens");
        let (_, address) = first.split_once("listening on ").unwrap_or_else(|| panic!("{first}"));
        let address = address.trim_end_matches(['"', '}']);
        Serve { origin: format!("http://{address}"), public, log, child, _home: self.home }
    }
}

/// The origin that clients sign, unless told otherwise: proxies are not what is tested.
pub const PUBLIC: &str = "https://nests.example";

/// A running process; it ends when dropped.
pub struct Serve {
    /// Where it listens.
    pub origin: String,
    public: String,
    pub log: Receiver<String>,
    pub child: Child,
    _home: tempfile::TempDir,
}

/// Status, headers, body.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
}

impl Reply {
    pub async fn of(answer: reqwest::Response) -> Self {
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        Self { status, headers, text: String::from_utf8(answer.bytes().await.unwrap().to_vec()).unwrap() }
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {:?}", self.text))
    }

    /// The same, if it has this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl Serve {
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    /// A signed call, as it reaches this process through its proxy.
    pub fn request(&self, keys: &Keys, method: Method, path: &str, body: Option<Value>) -> reqwest::RequestBuilder {
        let request = signed(keys, method, &format!("{}{path}", self.public), body).build().unwrap();
        let (method, headers) = (request.method().clone(), request.headers().clone());
        let body = request.body().and_then(|body| body.as_bytes()).unwrap_or_default().to_vec();
        client().request(method, self.url(path)).headers(headers).body(body)
    }

    pub async fn call(&self, keys: &Keys, method: Method, path: &str, body: Option<Value>) -> Reply {
        Reply::of(self.request(keys, method, path, body).send().await.unwrap()).await
    }

    pub async fn get(&self, path: &str) -> Reply {
        Reply::of(client().get(self.url(path)).send().await.unwrap()).await
    }

    pub async fn create(&self, host: &Keys) -> String {
        let body = serde_json::json!({ "relays": ["wss://relay.example"], "hls_stream": false });
        let reply = self.call(host, Method::PUT, "/api/v1/nests", Some(body)).await.expect(200);
        reply.json()["roomId"].as_str().unwrap().to_owned()
    }

    pub async fn restart(&self, host: &Keys, id: &str) -> Reply {
        self.call(host, Method::POST, &format!("/api/v1/nests/{id}/restart"), None).await
    }

    /// The lines so far.
    pub fn lines(&self) -> Vec<String> {
        self.log.try_iter().collect()
    }

    /// The next so many lines that hold this text: what is logged before an answer arrives here a little later.
    pub fn lines_with(&self, text: &str, count: usize) -> Vec<String> {
        let next = || self.log.recv_timeout(Duration::from_secs(5)).expect("it says more");
        std::iter::repeat_with(next).filter(|line| line.contains(text)).take(count).collect()
    }

    pub fn signal(&self, name: &str) {
        process::signal(self.child.id(), name);
    }

    /// Waits until `/health` says so.
    pub async fn until_ready(&self, ready: bool) {
        let begun = Instant::now();
        while self.get("/health").await.json()["ready"] != ready {
            assert!(begun.elapsed() < Duration::from_secs(10), "not {}ready", if ready { "" } else { "un" });
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The most that it ever had of resident memory, in KiB.
    pub fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A nest on a server of its own, with Redis and LiveKit.
pub struct Scene {
    pub redis: Redis,
    pub livekit: LiveKit,
    pub serve: Serve,
    pub host: Keys,
    pub id: String,
}

impl Scene {
    pub async fn new() -> Self {
        let (redis, livekit) = (Redis::start(), LiveKit::start(false));
        let serve = Setup::new(&redis.url(), &livekit.url).announcing(&livekit.url);
        let host = Keys::generate();
        let id = serve.create(&host).await;
        Self { redis, livekit, serve, host, id }
    }
}
