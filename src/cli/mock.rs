//! `nest mock`, between the arguments and the terminal.

use std::path::Path;
use std::sync::Arc;

use super::args::MockArgs;
use super::context::Context;
use super::error::Failure;
use super::exit::Exit;
use super::ui::Ui;
use crate::commands::Stop;
use crate::commands::mock::{self, Announcement, MockError, MockRequest, SearchPath};
use crate::key::file;
use crate::reporter::Reporter as _;
use crate::secret::Secret;
use crate::server::media::LivekitConfig;

/// Serves until interrupted, or as long as the command runs; then everything of its own goes to stderr.
pub(super) async fn run(context: &Context<'_>, args: MockArgs, ui: &Arc<Ui>, stop: &Stop) -> Result<u8, Failure> {
    let livekit = livekit(&args).await?;
    let alone = args.command.is_empty();
    // Around a command the requests are detail: the command is what one wants to see.
    let level = u8::from(!alone);
    let log = ui.clone();
    let request = MockRequest {
        listen: args.listen,
        faults: args.fault,
        livekit,
        command: args.command,
        log: Some(Arc::new(move |line| log.detail(level, &line.brief()))),
    };
    let own = std::env::current_exe().ok().and_then(|path| path.parent().map(Path::to_path_buf));
    let search = SearchPath { own, path: context.search_path().unwrap_or_default() };
    let announce = |served: &Announcement| {
        if alone {
            ui.result(&served.shell());
            let state = if served.runs { "runs" } else { "is dead" };
            ui.status(&format!("\nThe nest `{}` {state}; in another shell, after pasting these lines:", served.room));
            ui.status(&format!("  nest restart {} --check\n\nCtrl-C ends it.", served.room));
        } else {
            ui.detail(1, &format!("serving {}, relay {}, LiveKit {}", served.api, served.relays, served.livekit));
        }
    };
    mock::run(request, &search, announce, stop).await.map_err(|error| failure(&error))
}

fn failure(error: &MockError) -> Failure {
    let exit = if matches!(error, MockError::NotLoopback(_)) { Exit::Usage } else { Exit::Failed };
    let failure = Failure::new(exit, error.to_string());
    std::error::Error::source(error).into_iter().fold(failure, |failure, source| failure.cause(source.to_string()))
}

async fn livekit(args: &MockArgs) -> Result<Option<LivekitConfig>, Failure> {
    let (Some(url), Some(key), Some(path)) = (&args.livekit, &args.livekit_key, &args.livekit_secret_file) else {
        return Ok(None);
    };
    let secret = file::read(path)
        .await
        .map_err(|error| Failure::new(Exit::Usage, format!("cannot read the LiveKit secret: {error}")))?;
    Ok(Some(LivekitConfig { url: url.clone(), key: key.clone(), secret: Secret::new(secret.expose().trim()) }))
}
