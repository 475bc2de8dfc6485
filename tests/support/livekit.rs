//! A real LiveKit server on loopback. The binary is `target/tools/server`.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use super::{nests_api, port};

/// The API key of every server that is started here.
pub const KEY: &str = "devkey";
/// Its secret.
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

/// A running server; it ends when dropped.
pub struct LiveKit {
    /// `ws://IP:PORT`
    pub url: String,
    pub port: u16,
    /// Of ICE over TCP.
    pub tcp: u16,
    /// Of everything by UDP.
    pub udp: u16,
    pub http: reqwest::Client,
    process: Child,
    namespace: Option<String>,
    /// Holds the configuration.
    folder: tempfile::TempDir,
}

impl LiveKit {
    /// With `auto_create`, which is LiveKit's own choice, whoever joins makes the room.
    pub fn start(auto_create: bool) -> Self {
        Self::start_as(&Spec { auto_create, ..Spec::default() })
    }

    pub fn start_as(spec: &Spec<'_>) -> Self {
        // Its ports were free a moment ago: another server may have been quicker.
        let mut failures = Vec::new();
        for start in (0..5).map(|_| Self::try_start(spec)) {
            match start {
                Ok(server) => return server,
                Err(said) => failures.push(said),
            }
        }
        panic!("LiveKit ends before it has begun: {failures:#?}")
    }

    /// An error is all that it said before it ended.
    fn try_start(spec: &Spec<'_>) -> Result<Self, String> {
        let folder = tempfile::tempdir().unwrap();
        let (port, tcp) = (port::reserved(), port::reserved());
        let udp = port::udp();
        let Spec { namespace, ip, auto_create, rtc, more } = spec;
        let text = format!(
            "port: {port}\nbind_addresses: [\"{ip}\"]\nkeys: {{{KEY}: \"{SECRET}\"}}\nlogging: {{level: info}}\n\
             rtc: {{tcp_port: {tcp}, udp_port: {udp}, use_external_ip: false{rtc}}}\n\
             room: {{auto_create: {auto_create}}}\n{more}\n"
        );
        std::fs::write(folder.path().join("livekit.yaml"), text).unwrap();
        let (process, namespace) = (run(*namespace, &folder)?, namespace.map(str::to_owned));
        let (url, http) = (format!("ws://{ip}:{port}"), nests_api::client());
        Ok(Self { url, port, tcp, udp, http, process, namespace, folder })
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
        self.process = run(self.namespace.as_deref(), &self.folder).unwrap();
    }
}

/// An error is all that it said before it ended.
fn run(namespace: Option<&str>, folder: &tempfile::TempDir) -> Result<Child, String> {
    let mut command = match namespace {
        Some(name) => {
            let mut command = Command::new("ip");
            command.args(["netns", "exec", name]).arg(binary());
            command
        }
        None => Command::new(binary()),
    };
    let mut process = command
        .arg("--config")
        .arg(folder.path().join("livekit.yaml"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("LiveKit does not start");
    let mut log = BufReader::new(process.stderr.take().unwrap()).lines();
    let mut stdout = process.stdout.take().unwrap();
    let mut said = String::new();
    // It says so once its listeners are bound.
    while !said.contains("starting LiveKit server") {
        let Some(line) = log.next() else {
            // Why it has ended is on the other stream.
            stdout.read_to_string(&mut said).unwrap();
            process.wait().unwrap();
            return Err(said);
        };
        said += &line.unwrap();
        said.push('\n');
    }
    // A full pipe would stop it.
    std::thread::spawn(move || log.for_each(drop));
    std::thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()));
    Ok(process)
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
