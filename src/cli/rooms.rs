//! The names of nests among the arguments.

use std::collections::HashSet;

use super::args::Format;
use super::context::Context;
use super::error::Failure;
use super::exit::Exit;
use super::ui::Ui;
use crate::commands::Settings;
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

/// Reads the name, where there is one.
pub(super) fn one(context: &Context<'_>, name: Option<&String>) -> Result<Option<RoomRef>, Failure> {
    name.map(|name| context.room(name)).transpose()
}

/// Refuses `--output token` where there is no token.
pub(super) fn no_token(ui: &Ui) -> Result<(), Failure> {
    match ui.manner().format {
        Format::Token => Err(Failure::new(Exit::Usage, "--output token prints a token, and this command fetches none")
            .hint("nest token ROOM --output token")),
        _ => Ok(()),
    }
}
