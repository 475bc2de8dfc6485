//! `nest doctor`, between the arguments and the terminal.

use serde_json::json;

use super::args::{DoctorArgs, Format};
use super::context::Context;
use super::error::Failure;
use super::exit::Exit;
use super::ui::Ui;
use super::{render, rooms};
use crate::commands::Stop;
use crate::commands::doctor::{self, Request, Verdict};
use crate::report::Status;

/// Looks at every link and shows them.
pub(super) async fn run(context: &Context<'_>, args: DoctorArgs, ui: &Ui, stop: &Stop) -> Result<u8, Failure> {
    rooms::no_token(ui)?;
    let settings = context.settings(&args.server, &args.key, 1)?;
    let named = args.room.unwrap_or_default();
    let room = if named.is_empty() { None } else { Some(context.room(&named)?) };
    let request = Request { room, named, config: context.origin().to_owned() };
    let result = doctor::run(&rooms::job(settings, ui)?, &request, stop).await;
    ui.end_rows();
    let report = result.map_err(|error| Failure::of(&error, &request.named))?;
    match ui.manner().format {
        Format::Json => ui.result(&render::document(&json!(report), false)),
        _ if ui.manner().quiet => {
            let broken = report.steps.iter().find(|step| step.status == Status::Failed);
            if let Some(step) = broken {
                let failure = Failure::new(Exit::Unhealthy, format!("{}: {}", step.name, step.detail));
                ui.failure(None, &failure.hint(report.next.clone()));
            }
        }
        _ => ui.result(&render::doctor_text(&report, ui.manner().out)),
    }
    Ok(if report.verdict == Verdict::Healthy { 0 } else { Exit::Unhealthy.code() })
}
