//! `nest token`, between the arguments and the terminal.

use super::api_error::{self, Asking};
use super::args::{Format, TokenArgs};
use super::context::{Context, policy};
use super::error::Failure;
use super::ui::Ui;
use super::{render, rooms};
use crate::commands::pick::Purpose;
use crate::commands::{Error, Settings, Stop, token};

/// Fetches a token and shows it.
pub(super) async fn run(context: &Context<'_>, args: &TokenArgs, ui: &Ui, stop: &Stop) -> Result<u8, Failure> {
    let settings = Settings { retry: policy(&args.retry), ..context.settings(&args.server, &args.key, 1)? };
    let job = rooms::job(settings, ui)?;
    let room = rooms::one_or_chosen(context, args.room.as_ref(), Purpose::Token, &job, ui, stop).await?;
    let name = room.id.as_str();
    let result = token::run(&job, &room, stop).await;
    ui.end_row(name);
    let fetched = match result {
        Ok(fetched) => fetched,
        Err(error) => {
            let failure = match &error {
                Error::Api(error) => api_error::failure(error, Asking::token(name)),
                other => Failure::of(other, name),
            };
            if ui.manner().format == Format::Json {
                ui.result(&render::document(&render::failure_document(Some(name), &failure), false));
            }
            ui.failure(None, &failure);
            return Ok(failure.exit.code());
        }
    };
    match ui.manner().format {
        Format::Json => ui.result(&render::document(&render::with_warnings(&fetched, &fetched.warnings), false)),
        Format::Token => ui.result(fetched.token.expose()),
        Format::Text if ui.manner().quiet => {}
        Format::Text => ui.result(&render::token_text(&fetched, ui.manner().out)),
    }
    Ok(0)
}
