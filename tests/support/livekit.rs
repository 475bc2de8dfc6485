//! A real LiveKit server on loopback. The binary is `target/tools/server`.
#![allow(dead_code)] // Every test file uses a part of it.

use std::io::{BufRead as _, BufReader};
use std::net::{TcpListener, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// The API key of every server that is started here.
pub const KEY: &str = "devkey";
/// Its secret.
pub const SECRET: &str = "a-secret-of-at-least-thirty-two-characters";

/// A running server; it ends when dropped.
pub struct LiveKit {
    /// `ws://127.0.0.1:PORT`
    pub url: String,
    process: Child,
    /// Holds the configuration.
    folder: tempfile::TempDir,
}

impl LiveKit {
    /// Starts a server as LiveKit is by default.
    pub fn start() -> Self {
        Self::with("room: {auto_create: true}")
    }

    /// Starts a server with these lines of YAML added to its configuration.
    pub fn with(yaml: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("livekit.yaml");
        let [port, tcp] = free_ports();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let text = format!(
            "port: {port}\nbind_addresses: [\"127.0.0.1\"]\nkeys: {{{KEY}: \"{SECRET}\"}}\nlogging: {{level: info}}\n\
             rtc: {{tcp_port: {tcp}, udp_port: {udp}, use_external_ip: false, enable_loopback_candidate: true, \
             node_ip: 127.0.0.1}}\n{yaml}\n"
        );
        std::fs::write(&config, text).unwrap();
        let process = run(&folder);
        Self { url: format!("ws://127.0.0.1:{port}"), process, folder }
    }

    /// Its process, for signals.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Ends it at once.
    pub fn stop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Starts it again where it was.
    pub fn resume(&mut self) {
        self.process = run(&self.folder);
    }
}

fn run(folder: &tempfile::TempDir) -> Child {
    let mut process = Command::new(binary())
        .arg("--config")
        .arg(folder.path().join("livekit.yaml"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("LiveKit does not start");
    let mut log = BufReader::new(process.stderr.take().unwrap()).lines();
    let mut said = String::new();
    // It says so once its listeners are bound.
    while !said.contains("starting LiveKit server") {
        said = log.next().expect("LiveKit ended before it had begun").unwrap();
    }
    // A full pipe would stop it.
    std::thread::spawn(move || log.for_each(drop));
    process
}

impl Drop for LiveKit {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn binary() -> PathBuf {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/tools/server");
    assert!(path.exists(), "no LiveKit server at {}", path.display());
    path
}

fn free_ports<const N: usize>() -> [u16; N] {
    // All held at once, so that they differ.
    let held = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    held.map(|listener| listener.local_addr().unwrap().port())
}
