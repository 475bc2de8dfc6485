//! `nest recreate`, between the arguments and the terminal.

use serde_json::json;

use super::args::{Format, RecreateArgs};
use super::context::{Context, policy};
use super::error::Failure;
use super::style::{Paint, clean, clean_json};
use super::ui::Ui;
use super::{render, rooms};
use crate::commands::pick::Purpose;
use crate::commands::recreate::{self, Done, Planned, Recreated, Request};
use crate::commands::{Settings, Stop};
use crate::report::Status;

/// Recreates one nest.
pub(super) async fn run(context: &Context<'_>, args: &RecreateArgs, ui: &Ui, stop: &Stop) -> Result<u8, Failure> {
    rooms::no_token(ui)?;
    let settings = Settings { retry: policy(&args.retry), ..context.settings(&args.server, &args.key, 1)? };
    let job = rooms::job(settings, ui)?;
    let room = rooms::one_or_chosen(context, args.room.as_ref(), Purpose::Recreate, &job, ui, stop).await?;
    let request = Request { room, yes: args.yes, dry_run: args.dry_run };
    let result = recreate::run(&job, &request, stop).await;
    ui.end_rows();
    let done = match result {
        Ok(done) => done,
        Err(error) => return Ok(rooms::failed(ui, args.room.as_ref(), Some(&request.room), &error)),
    };
    let document = match &done {
        Done::Recreated(recreated) => render::with_warnings(recreated, &recreated.warnings),
        Done::Planned(planned) => json!(planned),
    };
    match ui.manner().format {
        Format::Json => ui.result(&render::document(&document, false)),
        _ if ui.manner().quiet => {}
        _ => ui.result(&match &done {
            Done::Recreated(recreated) => recreated_text(recreated, ui.manner().out),
            Done::Planned(planned) => planned_text(planned),
        }),
    }
    Ok(0)
}

fn recreated_text(recreated: &Recreated, paint: Paint) -> String {
    let (new, old) = (paint.strong(&clean(&recreated.room_id)), clean(&recreated.replaces));
    let before = if recreated.created { "" } else { " already" };
    let mut lines = vec![format!("{} {new} takes the place of {old}{before}", paint.mark(Status::Passed))];
    let mut row = |name: &str, value: String| lines.push(format!("  {} {value}", paint.dim(&format!("{name:<9}"))));
    if let Some(opened) = &recreated.opened {
        row("opened", format!("{} on {}", clean(&opened.status), clean(&opened.accepted.join(", "))));
    }
    match recreated.granted.len() {
        0 => {}
        1 => row("people", "one more may speak".into()),
        n => row("people", format!("{n} more may speak")),
    }
    if let Some(closed) = &recreated.closed {
        row("closed", format!("{} on {}", clean(&closed.status), clean(&closed.accepted.join(", "))));
    }
    let id = || format!("30312:{}:{}", recreated.host, clean(&recreated.room_id));
    row("link", recreated.link.as_deref().map_or_else(id, clean));
    lines.join("\n")
}

fn planned_text(planned: &Planned) -> String {
    let Planned { request, opened, closed, relays, .. } = planned;
    let relays = relays.join(", ");
    clean_json(&format!("request\n{request:#}\n\nto {relays}\n{opened:#}\n\nto {relays}\n{closed:#}"))
}
