//! `nest doctor`.

use super::prelude::*;
use crate::cli::document::{DoctorDocument, DoctorVerdict};
use crate::cli::messages::{self, Step};
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
    app.terminal.outcome(
        false,
        || document::of(&report),
        |paint| Some(text(&report, app.terminal.style.verbose > 0, paint)),
    );
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

fn text(report: &DoctorDocument, verbose: bool, paint: Paint) -> String {
    if !report.begin.is_empty() && !verbose {
        return report.begin.join("\n");
    }
    let mut lines: Vec<_> = if verbose {
        report.steps.iter().map(|step| step_line(step, paint)).collect()
    } else {
        // What to do next is said once.
        let once = |step: &Step| Step { hint: step.hint.clone().filter(|hint| *hint != report.next), ..step.clone() };
        parts(&report.steps.iter().map(once).collect::<Vec<_>>(), &report.missed, paint)
    };
    let verdict = match failed(&report.steps).as_str() {
        "" if !report.missed.is_empty() => {
            let missed = parts_of(&report.steps, |step| report.missed.contains(&step.name));
            paint.warn(&format!("could not be checked: {missed}"))
        }
        "" if report.steps.iter().any(|step| step.status == Status::Warned) => {
            paint.warn("nothing is wrong, but something should be known")
        }
        "" => paint.good("nothing is wrong"),
        failed => paint.bad(&format!("broken: {failed}")),
    };
    let next = clean(&report.next);
    let next = if report.next_is_command { format!("`{next}`") } else { next };
    lines.extend([String::new(), verdict, format!("{} {HANG}{next}", paint.good("next:"))]);
    lines.join("\n")
}
