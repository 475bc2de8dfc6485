//! `nest doctor`.

use clap::Args;
use serde_json::json;

use super::App;
use crate::cli::args::{Format, KeyArgs, ServerArgs};
use crate::cli::error::Failure;
use crate::cli::exit::Exit;
use crate::cli::render;
use crate::commands::doctor::{self, Request, Verdict};
use crate::report::Status;

#[derive(Debug, Args)]
#[command(
    before_help = "\
Examples:
  nest doctor --api https://nostrnests.com        key, clock, network, server, signature
  nest doctor https://nostrnests.com/naddr1…      and all that is between you and this nest
  nest doctor ROOM --json | jq -r '.steps[] | select(.status == \"failed\") | .name'
",
    after_help = "\
Nothing is changed. An empty nest is not joined, since that would shorten its life; nest check does it.

Exit codes:
    0                nothing is wrong
    2  usage         wrong usage or configuration
   10  unhealthy     something is"
)]
pub struct DoctorArgs {
    /// The nest: a room id, naddr1…, a link to the nest, the room's API URL, 30312:<pubkey>:<d>, or @ALIAS
    #[arg(value_name = "ROOM")]
    pub room: Option<String>,
    #[command(flatten)]
    pub server: ServerArgs,
    #[command(flatten)]
    pub key: KeyArgs,
}

pub(super) async fn run(app: &App<'_>, args: DoctorArgs) -> Result<u8, Failure> {
    let settings = app.sources.settings(&args.server, &args.key)?;
    let named = args.room.unwrap_or_default();
    let room = if named.is_empty() { None } else { Some(app.sources.room(&named)?) };
    let request = Request { room, named, config: app.sources.origin.clone() };
    let report = doctor::run(&app.job(settings)?, &request, &app.stop).await;
    app.terminal.end_rows();
    let report = report.map_err(|error| Failure::of(&error, &request.named))?;
    app.terminal.outcome(false, || json!(report), |paint| Some(render::doctor_text(&report, paint)));
    let style = app.terminal.style;
    if style.quiet
        && style.format != Format::Json
        && let Some(step) = report.steps.iter().find(|step| step.status == Status::Failed)
    {
        let failure = Failure::new(Exit::Unhealthy, format!("{}: {}", step.name, step.detail));
        app.terminal.failure(None, &failure.hint(report.next.clone()));
    }
    Ok(if report.verdict == Verdict::Healthy { 0 } else { Exit::Unhealthy.code() })
}
