//! `nest doctor`.

use super::prelude::*;
use crate::cli::document::{DoctorDocument, DoctorVerdict};
use crate::cli::messages;
use crate::commands::doctor;

#[derive(Debug, Args)]
#[command(
    before_help = "\
Examples:
  nest doctor --api https://nostrnests.com        key, clock, network, server, signature
  nest doctor https://nostrnests.com/naddr1…      and all that is between you and this nest
  nest doctor ROOM --json | jq -r '.steps[] | select(.status == \"failed\") | .name'
",
    after_help = "\
Nothing is changed. An empty nest is not joined, since that would shorten its life.

Exit codes:
    0                nothing is wrong
    2  usage         wrong usage or configuration
   10  unhealthy     something is, or not everything could be looked at"
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
    let found = doctor::run(&app.job(settings)?, room.as_ref(), &app.stop).await;
    app.terminal.end_rows();
    let found = found.map_err(|error| Failure::of(&error, Verb::Doctor, &named))?;
    let report = messages::doctor::document(&found, &named, &app.sources.origin);
    app.terminal.outcome(false, || document::of(&report), |paint| Some(text(&report, paint)));
    let style = app.terminal.style;
    if style.quiet && style.format != Format::Json && report.verdict != DoctorVerdict::Healthy {
        let message = match report.steps.iter().find(|step| step.status == Status::Failed) {
            Some(step) => format!("{}: {}", step.name, step.detail),
            None => format!("could not be checked: {}", report.missed.join(", ")),
        };
        app.terminal.failure(None, &Failure::new(Exit::Unhealthy, message).hint(report.next.clone()));
    }
    Ok(if report.verdict == DoctorVerdict::Healthy { 0 } else { Exit::Unhealthy.code() })
}

fn text(report: &DoctorDocument, paint: Paint) -> String {
    let mut lines: Vec<_> = report.steps.iter().map(|step| step_line(step, paint)).collect();
    let warned = report.steps.iter().any(|step| step.status == Status::Warned);
    let verdict = match (failed(&report.steps).as_slice(), warned) {
        ([], _) if !report.missed.is_empty() => {
            paint.warn(&format!("could not be checked: {}", report.missed.join(", ")))
        }
        ([], false) => paint.good("nothing is wrong"),
        ([], true) => paint.warn("nothing is wrong, but something should be known"),
        (failed, _) => paint.bad(&format!("broken: {}", failed.join(", "))),
    };
    lines.push(String::new());
    lines.push(format!("{verdict} · {} {}", paint.good("next:"), clean(&report.next)));
    lines.join("\n")
}
