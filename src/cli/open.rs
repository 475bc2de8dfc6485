//! `nest open`, between the arguments, the terminal and the browser.

use std::process::Stdio;
use std::time::Duration;

use serde_json::json;
use tokio::process::Command;
use tokio::time::timeout;

use super::args::{Format, OpenArgs};
use super::context::{Context, vars};
use super::error::Failure;
use super::exit::Exit;
use super::style::clean;
use super::ui::Ui;
use super::{render, rooms};
use crate::commands::pick::Purpose;
use crate::commands::{Stop, open};

/// What shows a page, by the platform's own choice of a browser.
const OPENER: &str = if cfg!(target_os = "macos") {
    "open"
} else if cfg!(windows) {
    "explorer"
} else {
    "xdg-open"
};

/// An opener that has not failed by then has become the browser itself, or waits for it.
const PATIENCE: Duration = Duration::from_secs(2);

/// Prints the address of the page, and has it shown.
pub(super) async fn run(context: &Context<'_>, args: &OpenArgs, ui: &Ui, stop: &Stop) -> Result<u8, Failure> {
    rooms::no_token(ui)?;
    let settings = context.settings(&args.server, &args.key, 1)?;
    let job = rooms::job(settings, ui)?;
    let room = rooms::one_or_chosen(context, args.room.as_ref(), Purpose::Open, &job, ui, stop).await?;
    let link = open::link(&job, &room, stop).await;
    ui.end_rows();
    let link = match link {
        Ok(link) => link,
        Err(error) => return Ok(rooms::failed(ui, args.room.as_ref(), Some(&room), &error)),
    };
    match ui.manner().format {
        Format::Json => ui.result(&render::document(&json!({ "link": link }), false)),
        _ if ui.manner().quiet => {}
        _ => ui.result(&clean(&link)),
    }
    show(&link).await.map(|()| 0).map_err(|why| {
        Failure::new(Exit::Failed, format!("no browser was opened: {why}")).hint("open the link yourself")
    })
}

/// Has the page shown, by a browser that learns nothing of the key.
pub(super) async fn show(link: &str) -> Result<(), String> {
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
