//! How long it takes to prove that people can join: on a real livekit-server over loopback, beside the bare signal
//! connection and beside LiveKit's own Python client. Needs `target/tools/server`; `cargo bench --bench check`.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "figures are for people")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use nostr_nests::api::{ApiUrl, Network, RetryPolicy};
use nostr_nests::clock::Clock;
use nostr_nests::commands::restart::{self, RestartOutcome, RestartRequest, Which};
use nostr_nests::commands::{ApiSources, Job, RelaySources, Settings, Stop};
use nostr_nests::key::{KeyPlan, KeySource};
use nostr_nests::livekit::check::{Check, Tools, run};
use nostr_nests::livekit::{CheckReport, Transport};
use nostr_nests::net::reach::Reach;
use nostr_nests::net::tls;
use nostr_nests::reporter::{Reporter, Silent, Stage};
use nostr_nests::room::RoomRef;
use nostr_nests::secret::Secret;
use nostr_nests::server::media::LivekitConfig;
use nostr_nests::server::{DEMO, Mock, Options};
use support::check::{check, client, token};
use support::livekit::{KEY, LiveKit, SECRET, Spec};

const ROUNDS: usize = 20;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let server = LiveKit::start_as(&Spec::default());
    server.create("demo", 60).await;
    // The room lives, and the server is warm.
    let _inside = server.guest("demo", "warm").await;

    let mut bare = Vec::new();
    for _ in 0..ROUNDS {
        let started = Instant::now();
        let session = server.guest("demo", "bare").await;
        bare.push(started.elapsed());
        session.leave().await;
    }
    show("signal, bare", &mut bare);
    let signal = |report: &CheckReport| report.joined_after.unwrap();
    let media = |report: &CheckReport| report.media_after.unwrap();
    show("check without audio: joined", &mut checks(&server, true, None, signal).await);
    show("check: joined", &mut checks(&server, false, None, signal).await);
    let udp = show("check: audio by UDP", &mut checks(&server, false, Some(Transport::Udp), media).await);
    let tcp = show("check: audio by TCP", &mut checks(&server, false, Some(Transport::Tcp), media).await);
    println!("{:<40} {}", "  aim: at most 5 ms after UDP", verdict(tcp <= udp + Duration::from_millis(5)));
    show("check: audio by the best way", &mut checks(&server, false, None, media).await);
    let proof = restarts(&server).await;
    println!("{:<40} {}", "  aim: at most 60 ms", verdict(proof <= Duration::from_millis(60)));
    if let Some(client) = python(&server).await {
        println!("{:<40} {}", "  aim: that proof in half of it", verdict(proof <= client / 2));
    }
}

fn verdict(met: bool) -> &'static str {
    if met { "   met" } else { "MISSED" }
}

async fn checks(
    server: &LiveKit,
    signal_only: bool,
    transport: Option<Transport>,
    figure: impl Fn(&CheckReport) -> Duration,
) -> Vec<Duration> {
    let (guest, candidates, tls) = (token("demo", "guest-1"), server.candidates(), tls::client_config(&[]));
    let http = client(&tls);
    let tools = Tools { http: &http, tls: &tls, preconnect: None, clock: Clock::default(), reporter: &Silent };
    let mut all = Vec::new();
    for _ in 0..ROUNDS {
        let request = Check { signal_only, transport, ..check("demo", &guest, &candidates) };
        all.push(figure(&run(&request, &tools).await));
    }
    all
}

/// `nest restart --check` from the question to the proof: the API deletes and creates the room on LiveKit. Returns how
/// long it takes with audio.
async fn restarts(server: &LiveKit) -> Duration {
    let config = LivekitConfig { url: server.url("ws", ""), key: KEY.into(), secret: Secret::new(SECRET) };
    let mock = Mock::start(Options { livekit: Some(config), ..Options::default() }).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    std::fs::write(&key, mock.host().secret_key().to_secret_hex()).unwrap();
    #[cfg(unix)]
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let network =
        Network { timeout: Duration::from_secs(30), tls: tls::client_config(&[]), proxy: None, reach: Reach::ANYWHERE };
    let settings = Settings {
        network,
        api: ApiSources { given: Some(ApiUrl::parse(&mock.api()).unwrap()), ..ApiSources::default() },
        relays: RelaySources { given: vec![], profile: vec![], addresses: vec![], timeout: Duration::from_secs(5) },
        allow_http: true,
        key: KeyPlan { explicit: vec![KeySource::KeyFile(PathBuf::from(&key))], ..KeyPlan::default() },
        retry: RetryPolicy { retries: 0, max_wait: Duration::ZERO },
        jobs: 1,
        state_dir: None,
        interactive: false,
    };
    let mut proof = Duration::ZERO;
    for (name, signal_only) in [("restart and proof by signal", true), ("restart and proof with audio", false)] {
        let options = nostr_nests::commands::check::CheckOptions { signal_only, ..Default::default() };
        let which = Which::Named(vec![RoomRef::parse(DEMO).unwrap()]);
        let request = RestartRequest { check: Some(options), ..RestartRequest::default() };
        let mut all = Vec::new();
        for _ in 0..ROUNDS {
            let (watch, proved) = (Stopwatch::default(), Mutex::new(Duration::ZERO));
            let started = Instant::now();
            let job = Job::new(settings.clone(), &watch).unwrap();
            restart::run(&job, &which, &request, &Stop::never(), &|_, result| {
                let Ok(RestartOutcome::Restarted(nest)) = result else { panic!("{result:?}") };
                let report = nest.check.unwrap();
                let check_began = watch.0.lock().unwrap().unwrap();
                let after = if signal_only { report.joined_after } else { report.media_after };
                *proved.lock().unwrap() = check_began - started + after.unwrap();
            })
            .await
            .unwrap();
            all.push(proved.into_inner().unwrap());
        }
        proof = show(name, &mut all);
    }
    proof
}

/// When the check began.
#[derive(Default)]
struct Stopwatch(Mutex<Option<Instant>>);

impl Reporter for Stopwatch {
    fn step(&self, _: &str, step: Stage) {
        if step == Stage::Check {
            *self.0.lock().unwrap() = Some(Instant::now());
        }
    }
}

/// How long LiveKit's own client takes, where it is installed.
async fn python(server: &LiveKit) -> Option<Duration> {
    let python = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/tools/livekit-py/bin/python");
    if !python.exists() {
        println!("{:<40} not installed in target/tools/livekit-py", "livekit for Python: connected");
        return None;
    }
    let script = "import asyncio, sys, time\n\
                  from livekit import rtc\n\
                  async def main():\n\
                  \x20   for _ in range(int(sys.argv[3])):\n\
                  \x20       room = rtc.Room()\n\
                  \x20       started = time.perf_counter()\n\
                  \x20       await room.connect(sys.argv[1], sys.argv[2])\n\
                  \x20       print(time.perf_counter() - started, flush=True)\n\
                  \x20       await room.disconnect()\n\
                  asyncio.run(main())\n";
    let output = tokio::process::Command::new(python)
        .args(["-c", script, &server.url("ws", ""), token("demo", "python").expose(), &ROUNDS.to_string()])
        .output()
        .await
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let mut all: Vec<_> = text.lines().map(|line| Duration::from_secs_f64(line.parse().unwrap())).collect();
    Some(show("livekit for Python: connected", &mut all))
}

/// Prints and returns the median.
fn show(name: &str, all: &mut [Duration]) -> Duration {
    all.sort();
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    let (least, median, most) = (all[0], all[all.len() / 2], all[all.len() - 1]);
    println!("{name:<40} {:>7.1} ms   ({:.1} to {:.1})", ms(median), ms(least), ms(most));
    median
}
