//! `nest check`, between the arguments and the terminal.

use std::path::Path;

use super::args::{CheckArgs, Format};
use super::context::Context;
use super::error::Failure;
use super::exit::Exit;
use super::ui::Ui;
use super::{render, restart, rooms};
use crate::commands::check::{self, Checked, Done, Options};
use crate::commands::pick::Purpose;
use crate::commands::restart::Done as RestartDone;
use crate::commands::{Error, Job, Stop};
use crate::key::file;
use crate::room::RoomRef;
use crate::secret::Secret;

/// The longest token that is read, in bytes.
const MAX_TOKEN: u64 = 64 * 1024;

/// Checks a nest or a session, and shows what was seen.
pub(super) async fn run(context: &Context<'_>, args: &CheckArgs, ui: &Ui, stop: &Stop) -> Result<u8, Failure> {
    rooms::no_token(ui)?;
    let settings = context.settings(&args.server, &args.key, 1)?;
    let job = rooms::job(settings, ui)?;
    let options = Options {
        hold: args.hold,
        as_host: args.as_host,
        signal_only: false,
        transport: args.transport.map(Into::into),
        publish: args.publish,
    };
    if let (Some(url), Some(path)) = (&args.url, &args.token_file) {
        let token = read_token(path).await?;
        let result = check::endpoint(&job, url, &token, options, stop).await;
        return Ok(show(ui, None, &result));
    }
    let room = rooms::one_or_chosen(context, args.room.as_ref(), Purpose::Check, &job, ui, stop).await?;
    nest(&job, &room, options, ui, stop).await
}

async fn nest(job: &Job<'_>, room: &RoomRef, options: Options, ui: &Ui, stop: &Stop) -> Result<u8, Failure> {
    let result = match check::run(job, room, options, stop).await {
        Ok(Done::Joinable(checked)) => Ok(*checked),
        // A person wanted a restart in between: what came of that is the result.
        Ok(Done::Restarted(restarted)) => {
            let result = Ok(RestartDone::Restarted(restarted));
            return Ok(restart::show(ui, room.id.as_str(), &result, false).map_or(0, Exit::code));
        }
        Err(error @ (Error::Unhealthy(_) | Error::Interrupted { done: Some(_), .. })) => {
            return Ok(restart::show(ui, room.id.as_str(), &Err(error), false).map_or(0, Exit::code));
        }
        Err(error) => Err(error),
    };
    Ok(show(ui, Some(room.id.as_str()), &result))
}

/// Shows what came of it; returns the exit code.
fn show(ui: &Ui, room: Option<&str>, result: &Result<Checked, Error>) -> u8 {
    let checked = match result {
        Ok(checked) => Some(checked),
        Err(Error::Unjoinable(checked)) => Some(&**checked),
        Err(_) => None,
    };
    let name = room.or(checked.map(|checked| checked.room.as_str())).unwrap_or_default();
    ui.end_row(name);
    let failure = result.as_ref().err().map(|error| Failure::of(error, name));
    match (ui.manner().format, checked, &failure) {
        (Format::Json, Some(checked), failure) => {
            ui.result(&render::document(&render::check_document(checked, failure.as_ref()), false));
        }
        (Format::Json, None, Some(failure)) => {
            ui.result(&render::document(&render::failure_document(room, failure), false));
        }
        (_, Some(checked), _) if !ui.manner().quiet => ui.result(&render::checked_text(checked, ui.manner().out)),
        _ => {}
    }
    if let Some(failure) = &failure {
        ui.failure(None, failure);
    }
    failure.map_or(0, |failure| failure.exit.code())
}

/// A token is short-lived: its file may be one that others can read.
async fn read_token(path: &Path) -> Result<Secret, Failure> {
    let refused = |why: String| Failure::new(Exit::Usage, format!("cannot read the token: {why}"));
    let text = if path == Path::new("-") {
        file::read(path).await.map_err(|error| refused(error.to_string()))?
    } else {
        let file = std::fs::File::open(path).map_err(|error| refused(format!("{}: {error}", path.display())))?;
        let mut text = String::new();
        std::io::Read::read_to_string(&mut std::io::Read::take(file, MAX_TOKEN), &mut text)
            .map_err(|error| refused(format!("{}: {error}", path.display())))?;
        Secret::new(text)
    };
    Ok(Secret::new(text.expose().trim()))
}
