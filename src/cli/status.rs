//! `nest status`, between the arguments and the terminal.

use std::sync::{Mutex, PoisonError};

use super::args::{Format, KeyArgs, StatusArgs};
use super::check_error;
use super::context::Context;
use super::error::Failure;
use super::exit::{self, Exit};
use super::ui::Ui;
use super::{render, rooms};
use crate::api::Missing;
use crate::commands::list::NestState;
use crate::commands::pick::Purpose;
use crate::commands::status::{self, Standing};
use crate::commands::{Error, Stop};
use crate::room::RoomRef;

/// Shows how the nests stand; 0 if all of them run.
pub(super) async fn run(context: &Context<'_>, args: &StatusArgs, ui: &Ui, stop: &Stop) -> Result<u8, Failure> {
    rooms::no_token(ui)?;
    let settings = context.settings(&args.server, &KeyArgs::default(), args.jobs)?;
    let job = rooms::job(settings, ui)?;
    let rooms = match args.rooms.as_slice() {
        [] => vec![rooms::one_or_chosen(context, None, Purpose::Status, &job, ui, stop).await?],
        names => rooms::several(context, names, job.settings())?,
    };
    let several = rooms.len() > 1;
    let failed = Mutex::new(Vec::new());
    let done = |room: &RoomRef, result: Result<Standing, Error>| {
        if let Some(exit) = show(ui, room.id.as_str(), &result, several) {
            failed.lock().unwrap_or_else(PoisonError::into_inner).push(exit);
        }
    };
    status::run(&job, &rooms, stop, &done).await;
    let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mixed = failed.contains(&Exit::Usage) && failed.contains(&Exit::Unhealthy);
    Ok(if mixed { Exit::Unhealthy.code() } else { exit::common(&failed) })
}

fn show(ui: &Ui, room: &str, result: &Result<Standing, Error>, several: bool) -> Option<Exit> {
    ui.end_row(room);
    let failure = match result {
        Ok(standing) => failure(standing, room),
        Err(error) => Some(Failure::of(error, room)),
    };
    match (ui.manner().format, result, &failure) {
        (Format::Json, Ok(standing), failure) => {
            ui.result(&render::document(&render::standing_document(standing, failure.as_ref()), several));
        }
        (Format::Json, Err(_), Some(failure)) => {
            ui.result(&render::document(&render::failure_document(Some(room), failure), several));
        }
        (_, Ok(standing), failure) if !ui.manner().quiet => {
            ui.result(&render::standing_text(standing, failure.as_ref(), ui.manner().out));
        }
        _ => {}
    }
    // That a nest does not run is no failure of this program; that it is not known may be one.
    let known = matches!(result, Ok(standing) if standing.state != NestState::Unknown);
    if let Some(failure) = failure.as_ref().filter(|_| !known) {
        ui.failure(several.then_some(room), failure);
    }
    failure.map(|failure| failure.exit)
}

/// Why the standing is not a good one; `None` if people can join.
fn failure(standing: &Standing, room: &str) -> Option<Failure> {
    let new = |message: &str| Failure::new(Exit::Unhealthy, message);
    Some(match standing.state {
        NestState::Running => return None,
        NestState::MediaOverQuic if standing.event.as_ref().is_some_and(|event| !event.over) => return None,
        NestState::MediaOverQuic => new("this nest runs on Media over QUIC, and its event says that it is over")
            .hint("to reopen it, publish its event again from the web app"),
        NestState::Inactive => {
            new(&Missing::AudioRoom.to_string()).hint(format!("restart it: nest restart {room} --check"))
        }
        NestState::Gone => check_error::gone(room),
        NestState::Over => new("this nest is over: its event says so")
            .hint(format!("to bring it back all the same: nest restart {room} --check")),
        NestState::Unknown if standing.no_api => Failure::of(&Error::NoApi, room),
        NestState::NotChecked | NestState::Unknown => {
            let failure = new("whether this nest runs is not known");
            let failure = standing.troubles.iter().fold(failure, Failure::cause);
            failure.hint(format!("see which link is broken: nest doctor {room}"))
        }
    })
}
