//! `nest close`, between the arguments and the terminal.

use super::args::{CloseArgs, Format};
use super::context::{Context, policy};
use super::error::Failure;
use super::style::{Paint, clean};
use super::ui::Ui;
use super::{render, rooms};
use crate::commands::close::{self, Closed};
use crate::commands::pick::Purpose;
use crate::commands::{Settings, Stop};
use crate::report::Status;

/// Closes one nest.
pub(super) async fn run(context: &Context<'_>, args: &CloseArgs, ui: &Ui, stop: &Stop) -> Result<u8, Failure> {
    rooms::no_token(ui)?;
    let settings = Settings { retry: policy(&args.retry), ..context.settings(&args.server, &args.key, 1)? };
    let job = rooms::job(settings, ui)?;
    let room = rooms::one_or_chosen(context, args.room.as_ref(), Purpose::Close, &job, ui, stop).await?;
    let result = close::run(&job, &room, args.yes, stop).await;
    ui.end_rows();
    let closed = match result {
        Ok(closed) => closed,
        Err(error) => return Ok(rooms::failed(ui, args.room.as_ref(), Some(&room), &error)),
    };
    match ui.manner().format {
        Format::Json => ui.result(&render::document(&render::with_warnings(&closed, &closed.warnings), false)),
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
