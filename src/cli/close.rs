//! `nest close`, between the arguments and the terminal.

use serde_json::json;

use super::args::{CloseArgs, Format};
use super::context::{Context, policy};
use super::messages::errors::Failure;
use super::style::{Paint, clean};
use super::ui::Ui;
use super::{render, rooms};
use crate::commands::close::{self, Closed, Request};
use crate::commands::{Settings, Stop};
use crate::report::Status;

/// Closes one nest.
pub(super) async fn run(context: &Context<'_>, args: &CloseArgs, ui: &Ui, stop: &Stop) -> Result<u8, Failure> {
    rooms::no_token(ui)?;
    let settings = Settings { retry: policy(&args.retry), ..context.settings(&args.server, &args.key, 1)? };
    let room = rooms::one(context, args.room.as_ref())?;
    let request = Request { room: room.clone(), yes: args.yes };
    let result = close::run(&settings, &request, ui, stop).await;
    ui.end_rows();
    let closed = match result {
        Ok(closed) => closed,
        Err(error) => return Ok(rooms::failed(ui, args.room.as_ref(), room.as_ref(), &error)),
    };
    match ui.manner().format {
        Format::Json => ui.result(&render::document(&json!(closed), false)),
        _ if ui.manner().quiet => {}
        _ => ui.result(&text(&closed, ui.manner().out)),
    }
    Ok(0)
}

fn text(closed: &Closed, paint: Paint) -> String {
    let api = match (&closed.api, closed.deleted) {
        (Some(api), Some(true)) => format!("deleted at {}", clean(api)),
        (Some(api), _) => format!("{} had no record of it any more", clean(api)),
        (None, _) => "it has no room at an API".into(),
    };
    let head = format!("{} {} is over: {api}", paint.mark(Status::Passed), paint.strong(&clean(&closed.room_id)));
    let event = match (&closed.published, &closed.status) {
        (Some(published), _) => render::published_line(published, paint),
        (None, Some(status)) => format!("  {} says {} already", paint.dim("event    "), clean(status)),
        (None, None) => format!("  {} no relay has one", paint.dim("event    ")),
    };
    format!("{head}\n{event}")
}
