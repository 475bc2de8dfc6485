//! `nest mock`.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use futures_util::future::join;
use tokio::sync::oneshot;

use super::prelude::*;
use crate::cli::terminal::LogStyle;
use crate::commands::mock::{self, MockError, MockRequest, SearchPath};
use crate::key::file;
use crate::reporter::Reporter as _;
use crate::secret::Secret;
use crate::server::media::LivekitConfig;
use crate::server::{DEMO, Fault, Mock, faults};

#[derive(Debug, Args)]
#[command(
    before_help = "\
Examples:
  nest mock -- nest restart demo --check                    one command against a server of its own
  nest mock --fault old-room-kept -- nest restart demo --check
  nest mock --listen 127.0.0.1:8080                         stay, and print what to paste into a shell
",
    after_help = faults_help()
)]
pub struct MockArgs {
    /// A loopback address; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// Let something go wrong; may be given several times
    #[arg(long, value_name = "FAULT", value_parser = fault)]
    pub fault: Vec<Fault>,
    /// Use a real LiveKit server instead of the embedded one
    #[arg(long, value_name = "URL", requires_all = ["livekit_key", "livekit_secret_file"])]
    pub livekit: Option<String>,
    /// Its API key
    #[arg(long, value_name = "NAME", requires = "livekit")]
    pub livekit_key: Option<String>,
    /// A file with its API secret
    #[arg(long, value_name = "PATH", requires = "livekit")]
    pub livekit_secret_file: Option<PathBuf>,
    /// Open the page of the nest in the browser
    #[arg(long, conflicts_with = "no_page")]
    pub open: bool,
    /// Serve no pages of nests (/n/ROOM)
    #[arg(long)]
    pub no_page: bool,
    /// Run this command against the server, and end with its exit code
    #[arg(last = true, value_name = "CMD")]
    pub command: Vec<OsString>,
}

fn fault(text: &str) -> Result<Fault, String> {
    text.parse().map_err(|error: faults::FaultError| match error {
        faults::FaultError::Unknown(_) => format!("{error}; nest mock --help lists them"),
        other => other.to_string(),
    })
}

fn faults_help() -> String {
    let rows =
        faults::TABLE.iter().map(|row| format!("  {:<32}{}", format!("{}{}", row.name, row.argument), row.shows));
    let scope =
        "  Behind each: xN for the first N requests only, @CALL for another call than the usual one (@api, @all)";
    let lines: Vec<_> = rows.chain([String::new(), scope.to_owned()]).collect();
    format!("Faults:\n{}", lines.join("\n"))
}

/// Serves until interrupted, or as long as the command runs; then everything of its own goes to stderr.
pub(super) async fn run(app: &App<'_>, args: MockArgs) -> Result<u8, Failure> {
    let livekit = livekit(&args).await?;
    let alone = args.command.is_empty();
    let state = if args.fault.iter().any(Fault::needs_a_room) { "runs" } else { "is dead" };
    let terminal = &app.terminal;
    // Around a command the requests are detail: the command is what one wants to see.
    terminal.print_log(LogStyle::Brief(u8::from(!alone)));
    let request =
        MockRequest { listen: args.listen, faults: args.fault, livekit, page: !args.no_page, command: args.command };
    let own = std::env::current_exe().ok().and_then(|path| path.parent().map(Path::to_path_buf));
    let search = SearchPath { own, path: app.sources.search_path().unwrap_or_default() };
    let (started, page) = oneshot::channel();
    let announce = |mock: &Mock| {
        // Nobody may be waiting for it.
        let _ = started.send(mock.page());
        if alone {
            terminal.result(&mock::exports(mock));
            terminal.status(&format!("\nThe nest `{DEMO}` {state}; in another shell, after pasting these lines:"));
            terminal.status(&format!("  nest restart {DEMO} --check"));
            if let Some(page) = mock.page() {
                terminal.status(&format!("\nIts page, for a browser: {page}"));
            }
            terminal.status("\nCtrl-C ends it.");
        } else {
            terminal.detail(1, &format!("serving {}, relay {}, LiveKit {}", mock.api(), mock.relay(), mock.livekit()));
        }
    };
    let opened = async {
        if let (true, Ok(Some(page))) = (args.open, page.await) {
            super::open::show_page(&page, terminal).await;
        }
    };
    let (served, ()) = join(mock::run(request, &search, announce, &app.stop), opened).await;
    served.map_err(|error| {
        let exit = if matches!(error, MockError::NotLoopback(_)) { Exit::Usage } else { Exit::Failed };
        Failure::new(exit, error.to_string()).with_sources(&error)
    })
}

async fn livekit(args: &MockArgs) -> Result<Option<LivekitConfig>, Failure> {
    let (Some(url), Some(key), Some(path)) = (&args.livekit, &args.livekit_key, &args.livekit_secret_file) else {
        return Ok(None);
    };
    let secret =
        file::read(path).await.map_err(|error| Failure::usage(format!("cannot read the LiveKit secret: {error}")))?;
    Ok(Some(LivekitConfig { url: url.clone(), key: key.clone(), secret: Secret::new(secret.expose().trim()) }))
}
