//! `nest restart`, between the arguments and the terminal.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use nostr::PublicKey;

use super::args::{Format, RestartArgs};
use super::context::{Context, policy};
use super::error::Failure;
use super::exit::{self, Exit};
use super::ui::Ui;
use super::{open, render, rooms};
use crate::api::Base;
use crate::commands::pick::Purpose;
use crate::commands::restart::{self, Done, Request, Restarted, Which};
use crate::commands::{Error, Settings, Stop, check, list, open as open_page};
use crate::room::RoomRef;

/// Restarts the rooms; the exit code is the common one of those that failed.
pub(super) async fn run(context: &Context<'_>, args: &RestartArgs, ui: &Ui, stop: &Stop) -> Result<u8, Failure> {
    let settings = Settings { retry: policy(&args.retry), ..context.settings(&args.server, &args.key, args.jobs)? };
    let job = rooms::job(settings, ui)?;
    let rooms = rooms::several(context, &args.rooms, job.settings())?;
    let several = rooms.len() > 1 || args.all_inactive;
    if several && ui.manner().format == Format::Token {
        return Err(Failure::new(Exit::Usage, "--output token prints one token, and several nests are meant")
            .hint("use --json for several"));
    }
    let request = Request {
        which: match rooms {
            _ if args.all_inactive => Which::AllInactive,
            rooms if rooms.is_empty() => {
                Which::Named(vec![rooms::one_or_chosen(context, None, Purpose::Restart, &job, ui, stop).await?])
            }
            rooms => Which::Named(rooms),
        },
        check: args.check.then_some(check::Options {
            hold: args.hold,
            as_host: args.as_host,
            signal_only: false,
            transport: args.transport.map(Into::into),
            publish: args.publish,
        }),
        if_inactive: args.if_inactive,
        publish_status: args.publish_status,
        no_wait: args.no_wait,
        yes: args.yes,
        dry_run: args.dry_run,
    };
    let (failed, back) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    let any = AtomicBool::new(false);
    let done = |room: &RoomRef, result: Result<Done, Error>| {
        ui.end_row(list::ROW);
        any.store(true, Ordering::Relaxed);
        if let Some(restarted) = render::restarted(&result).filter(|_| args.open) {
            back.lock().unwrap_or_else(PoisonError::into_inner).push((room.clone(), restarted.clone()));
        }
        if let Some(exit) = show(ui, room.id.as_str(), &result, several) {
            failed.lock().unwrap_or_else(PoisonError::into_inner).push(exit);
        }
    };
    let told = restart::run(&job, &request, stop, &done).await;
    ui.end_row(list::ROW);
    told.map_err(|error| Failure::of(&error, "ROOM"))?;
    for (room, restarted) in back.into_inner().unwrap_or_else(PoisonError::into_inner) {
        show_page(page(context, &args.rooms, &room, &restarted), ui).await;
    }
    if !any.into_inner() {
        ui.status("no nest of yours is open and inactive: nothing to restart");
    }
    Ok(exit::common(&failed.into_inner().unwrap_or_else(PoisonError::into_inner)))
}

/// The page of a nest that is back: the very link by which it was named, or else that of the web client.
fn page(context: &Context<'_>, written: &[String], room: &RoomRef, restarted: &Restarted) -> Option<String> {
    let is_link = |name: &&String| name.starts_with("http") && room.api.is_none();
    let link = written.iter().filter(is_link).find(|name| context.room(name).as_ref() == Ok(room));
    if link.is_some() {
        return link.cloned();
    }
    // Where its name does not say it, the host is whose key has restarted it.
    let host = room.host.or_else(|| PublicKey::from_hex(restarted.host.as_deref()?).ok());
    open_page::page_of(&RoomRef { host, ..room.clone() }, &Base::parse(&restarted.api).ok()?)
}

/// Opens a page; that it does not open changes nothing about the restart.
async fn show_page(page: Option<String>, ui: &Ui) {
    match page {
        None => ui.warn("nobody knows the address of the nest's page"),
        Some(page) => {
            if let Err(why) = open::show(&page).await {
                ui.warn(&format!("no browser was opened: {why}; open {page} yourself"));
            }
        }
    }
}

/// Shows what came of one room; returns how it failed, if it did.
pub(super) fn show(ui: &Ui, room: &str, result: &Result<Done, Error>, several: bool) -> Option<Exit> {
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
