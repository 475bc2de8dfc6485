//! `nest restart`, between the arguments and the terminal.

use std::sync::{Mutex, PoisonError};

use super::args::{Format, RestartArgs};
use super::context::Context;
use super::error::Failure;
use super::exit::{self, Exit};
use super::render;
use super::ui::Ui;
use crate::commands::restart::{self, Done, Request};
use crate::commands::{Error, Settings, Stop, check};
use crate::room::RoomRef;

/// Restarts the rooms; the exit code is the common one of those that failed.
pub(super) async fn run(context: &Context<'_>, args: &RestartArgs, ui: &Ui, stop: &Stop) -> Result<u8, Failure> {
    let settings = context.settings(&args.server, &args.key, args.jobs)?;
    let rooms = rooms(&args.rooms, &settings)?;
    let several = rooms.len() > 1;
    if several && ui.manner().format == Format::Token {
        return Err(Failure::new(Exit::Usage, "--output token prints one token, and several nests are named")
            .hint("use --json for several"));
    }
    let request = Request {
        rooms,
        check: args.check.then_some(check::Options {
            hold: args.hold,
            as_host: args.as_host,
            ..check::Options::default()
        }),
        if_inactive: args.if_inactive,
        no_wait: args.no_wait,
        yes: args.yes,
        dry_run: args.dry_run,
    };
    let failed = Mutex::new(Vec::new());
    let done = |room: &RoomRef, result: Result<Done, Error>| {
        if let Some(exit) = show(ui, room.id.as_str(), &result, several) {
            failed.lock().unwrap_or_else(PoisonError::into_inner).push(exit);
        }
    };
    restart::run(&settings, &request, ui, stop, &done).await;
    Ok(exit::common(&failed.into_inner().unwrap_or_else(PoisonError::into_inner)))
}

/// Reads the names of the rooms; the same room twice is one room.
fn rooms(names: &[String], settings: &Settings) -> Result<Vec<RoomRef>, Failure> {
    let mut rooms: Vec<RoomRef> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for name in names {
        let room = RoomRef::parse(name).map_err(|error| Failure::of(&error.into(), name))?;
        let api = settings.api_named(&room).map_err(|error| Failure::of(&error, name))?;
        // Without an API two hosts may have rooms of the same id.
        let host = if api.is_none() { room.host } else { None };
        if seen.insert((api, host, room.id.clone())) {
            rooms.push(room);
        }
    }
    Ok(rooms)
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
