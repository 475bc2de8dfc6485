//! The names of nests among the arguments.

use std::collections::HashSet;

use super::args::{Command, Format};
use super::context::Context;
use super::error::Failure;
use super::exit::Exit;
use super::messages::notices;
use super::render;
use super::ui::Ui;
use crate::commands::pick::{self, Choice, Purpose};
use crate::commands::{Error, Job, Settings, Stop};
use crate::room::RoomRef;

/// Reads the names; the same room twice is one room.
pub(super) fn several(context: &Context<'_>, names: &[String], settings: &Settings) -> Result<Vec<RoomRef>, Failure> {
    let mut rooms: Vec<RoomRef> = Vec::new();
    let mut seen = HashSet::new();
    for name in names {
        let room = context.room(name)?;
        let api = settings.api_named(&room).map_err(|error| Failure::of(&error, name))?;
        // Without an API two hosts may have rooms of the same id.
        let host = if api.is_none() { room.host } else { None };
        if seen.insert((api, host, room.id.clone())) {
            rooms.push(room);
        }
    }
    Ok(rooms)
}

/// The one nest that a command names: its id, or what was written where that is no name of a nest.
pub(super) fn named(command: &Command) -> Option<String> {
    let only = |rooms: &[String]| if let [room] = rooms { Some(room.clone()) } else { None };
    let written = match command {
        Command::Restart(args) => only(&args.rooms),
        Command::Status(args) => only(&args.rooms),
        Command::Check(args) => args.room.clone(),
        Command::Token(args) => args.room.clone(),
        Command::Recreate(args) => args.room.clone(),
        Command::Close(args) => args.room.clone(),
        Command::Open(args) => args.room.clone(),
        _ => None,
    }?;
    Some(RoomRef::parse(&written).map_or(written, |room| room.id.to_string()))
}

/// Reads the name; without one, a person at the terminal chooses.
pub(super) async fn one_or_chosen(
    context: &Context<'_>,
    name: Option<&String>,
    purpose: Purpose,
    job: &Job<'_>,
    ui: &Ui,
    stop: &Stop,
) -> Result<RoomRef, Failure> {
    if let Some(name) = name {
        return context.room(name);
    }
    let choice = pick::choice(job, purpose, stop).await;
    ui.end_rows();
    let failed = |error| Failure::of(&error, "ROOM");
    let Choice { nests, only_first_suits } = choice.map_err(failed)?;
    let asked = async {
        if only_first_suits {
            return Ok(ui.yes_or_no(&notices::this_one(purpose, &nests[0])).await.filter(|yes| *yes).map(|_| 0));
        }
        let items: Vec<_> = nests.iter().map(notices::choice).collect();
        Ok(ui.choose(notices::which(purpose), &items).await)
    };
    let chosen = stop.unless(asked).await.map_err(failed)?;
    let nest = chosen.and_then(|at| nests.get(at)).ok_or_else(|| failed(Error::Cancelled))?;
    Ok(nest.reference())
}

/// What the command works with.
pub(super) fn job(settings: Settings, ui: &Ui) -> Result<Job<'_>, Failure> {
    Job::new(settings, ui).map_err(|error| Failure::of(&error, "ROOM"))
}

/// Refuses `--output token` where there is no token.
pub(super) fn no_token(ui: &Ui) -> Result<(), Failure> {
    match ui.manner().format {
        Format::Token => Err(Failure::new(Exit::Usage, "--output token prints a token, and this command fetches none")
            .hint("nest token ROOM --output token")),
        _ => Ok(()),
    }
}

/// Tells what went wrong with the room that was written as `name`; returns the exit code.
pub(super) fn failed(ui: &Ui, name: Option<&String>, room: Option<&RoomRef>, error: &Error) -> u8 {
    let failure = Failure::of(error, name.map_or("ROOM", String::as_str));
    if ui.manner().format == Format::Json {
        let room = room.map(|room| room.id.as_str());
        ui.result(&render::document(&render::failure_document(room, &failure), false));
    }
    ui.failure(None, &failure);
    failure.exit.code()
}
