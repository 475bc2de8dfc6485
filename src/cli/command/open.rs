//! `nest open`.

use std::process::Stdio;
use std::time::Duration;

use serde_json::json;
use tokio::process::Command;
use tokio::time::timeout;

use super::prelude::*;
use crate::cli::settings::vars;
use crate::commands::open;

const OPENER: &str = if cfg!(target_os = "macos") {
    "open"
} else if cfg!(windows) {
    "explorer"
} else {
    "xdg-open"
};

/// An opener that has not failed by then has become the browser itself, or waits for it.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Debug, Args)]
#[command(
    before_help = "\
Examples:
  nest open                                       choose one of your nests
  nest open @weekly
  nest open @weekly --qr                          for a phone
",
    after_help = exit_help()
)]
pub struct OpenArgs {
    /// The nest: naddr1…, 30312:<pubkey>:<d>, its id, or @ALIAS; at a terminal, without one: choose
    #[arg(value_name = "ROOM")]
    pub room: Option<String>,
    /// Print the link as a QR code, and open no browser
    #[arg(long, conflicts_with = "json")]
    pub qr: bool,
    #[command(flatten)]
    pub server: ServerArgs,
    #[command(flatten)]
    pub key: KeyArgs,
}

pub(super) async fn run(app: &App<'_>, args: &OpenArgs) -> Result<u8, Failure> {
    let job = app.job(app.sources.settings(&args.server, &args.key)?)?;
    let room = app.room(args.room.as_ref(), Purpose::Open, &job).await?;
    let link = open::link(&job, &room, &app.stop).await;
    let link = link.map_err(|error| Failure::of(&error, Verb::Open, &room.name));
    let code = app.conclude(&room, &link, |link| json!({ "link": link }), |link, _| clean(link));
    let Ok(link) = link else { return Ok(code) };
    if args.qr {
        app.terminal.qr(&link);
        return Ok(code);
    }
    Ok(if show_page(&link, &app.terminal).await { 0 } else { Exit::Failed.code() })
}

/// Has a page shown, and warns if that fails; whether it was.
pub(super) async fn show_page(page: &str, terminal: &Terminal) -> bool {
    let shown = show(page).await;
    if let Err(why) = &shown {
        terminal.warn(&format!("no browser was opened: {why}; open {page} yourself"));
    }
    shown.is_ok()
}

/// Has the page shown, by a browser that learns nothing of the key.
async fn show(link: &str) -> Result<(), String> {
    let mut command = Command::new(OPENER);
    for name in vars::SECRETS {
        command.env_remove(name);
    }
    command.arg(link).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut opener = command.spawn().map_err(|error| format!("{OPENER}: {error}"))?;
    match timeout(PATIENCE, opener.wait()).await {
        // Explorer says 1 when all is well.
        Ok(Ok(status)) if !status.success() && !cfg!(windows) => Err(format!("{OPENER}: {status}")),
        Ok(Err(error)) => Err(format!("{OPENER}: {error}")),
        _ => Ok(()),
    }
}
