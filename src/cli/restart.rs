//! `nest restart`, between the arguments and the terminal.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use super::args::{Format, RestartArgs};
use super::context::Context;
use super::error::Failure;
use super::exit::{self, Exit};
use super::ui::Ui;
use super::{render, rooms};
use crate::commands::restart::{self, Done, Request, Which};
use crate::commands::{Error, Stop, check, list};
use crate::room::RoomRef;

/// Restarts the rooms; the exit code is the common one of those that failed.
pub(super) async fn run(context: &Context<'_>, args: &RestartArgs, ui: &Ui, stop: &Stop) -> Result<u8, Failure> {
    let settings = context.settings(&args.server, &args.key, args.jobs)?;
    let rooms = rooms::several(context, &args.rooms, &settings)?;
    let several = rooms.len() > 1 || args.all_inactive;
    if several && ui.manner().format == Format::Token {
        return Err(Failure::new(Exit::Usage, "--output token prints one token, and several nests are meant")
            .hint("use --json for several"));
    }
    let request = Request {
        which: match rooms {
            _ if args.all_inactive => Which::AllInactive,
            rooms if rooms.is_empty() => Which::Chosen,
            rooms => Which::Named(rooms),
        },
        check: args.check.then_some(check::Options {
            hold: args.hold,
            as_host: args.as_host,
            ..check::Options::default()
        }),
        if_inactive: args.if_inactive,
        publish_status: args.publish_status,
        no_wait: args.no_wait,
        yes: args.yes,
        dry_run: args.dry_run,
    };
    let failed = Mutex::new(Vec::new());
    let any = AtomicBool::new(false);
    let done = |room: &RoomRef, result: Result<Done, Error>| {
        ui.end_row(list::ROW);
        any.store(true, Ordering::Relaxed);
        if let Some(exit) = show(ui, room.id.as_str(), &result, several) {
            failed.lock().unwrap_or_else(PoisonError::into_inner).push(exit);
        }
    };
    let told = restart::run(&settings, &request, ui, stop, &done).await;
    ui.end_row(list::ROW);
    told.map_err(|error| Failure::of(&error, "ROOM"))?;
    if !any.into_inner() {
        ui.status("no nest of yours is open and inactive: nothing to restart");
    }
    Ok(exit::common(&failed.into_inner().unwrap_or_else(PoisonError::into_inner)))
}

/// Shows what came of one room; returns how it failed, if it did.
fn show(ui: &Ui, room: &str, result: &Result<Done, Error>, several: bool) -> Option<Exit> {
    ui.end_row(room);
    let failure = result.as_ref().err().map(|error| Failure::of(error, room));
    match ui.manner().format {
        Format::Json => {
            let document = render::restart_document(room, result, failure.as_ref());
            ui.result(&render::document(&document, several));
        }
        Format::Token => {
            if let Some(token) = render::token(result) {
                ui.result(token);
            }
        }
        Format::Text if ui.manner().quiet => {}
        Format::Text => {
            let text = match result {
                Ok(Done::Planned(planned)) => Some(render::planned_text(planned)),
                other => render::restarted(other).map(|done| render::restarted_text(done, ui.manner().out)),
            };
            if let Some(text) = text {
                ui.result(&text);
            }
        }
    }
    if let Some(failure) = &failure {
        let told = *ui.manner();
        // The report right above says it all already.
        let brief = told.together && told.format == Format::Text && !told.quiet && render::restarted(result).is_some();
        let brief = brief.then(|| Failure { causes: Vec::new(), hints: Vec::new(), ..failure.clone() });
        ui.failure(several.then_some(room), brief.as_ref().unwrap_or(failure));
    }
    failure.map(|failure| failure.exit)
}
