//! `nest close`.

use super::prelude::*;
use crate::cli::messages::init;
use crate::commands::close::{self, Closed};

#[derive(Debug, Args)]
#[command(
    before_help = "\
Examples:
  nest close @weekly                              asks first if a person is at the terminal
  nest close https://nostrnests.com/naddr1… --yes
",
    after_help = exit_help()
)]
pub struct CloseArgs {
    #[command(flatten)]
    pub nest: NestArg,
    /// Ask nothing
    #[arg(short, long)]
    pub yes: bool,
    #[command(flatten)]
    pub signed: SignedArgs,
}

pub(super) async fn run(app: &App<'_>, args: &CloseArgs) -> Result<u8, Failure> {
    let (job, room) = app.signed_job(&args.signed, args.nest.room.as_ref(), Purpose::Close).await?;
    let closed = close::run(&job, &room, args.yes, &app.stop).await;
    let closed = closed.map_err(|error| Failure::of(&error, Verb::Close, &room.name));
    if closed.is_ok() {
        warn_of_timers(app, &room);
    }
    Ok(app.conclude(&room, &closed, |closed| document::warned(closed, &closed.warnings), text))
}

/// A timer of `nest init` would go on, and fail each time.
fn warn_of_timers(app: &App<'_>, closed: &RoomRef) {
    let is_it = |(name, room): &(String, RoomRef)| {
        *name == closed.name || (room.id == closed.id && room.host.is_some() && room.host == closed.host)
    };
    for (name, _) in app.sources.aliased().filter(is_it) {
        let timer = init::timer(name.trim_start_matches('@'));
        if app.sources.units_dir().is_some_and(|folder| folder.join(&timer).exists()) {
            app.terminal.warn(&init::timer_goes_on(&timer));
        }
    }
}

fn text(closed: &Closed, paint: Paint) -> String {
    let api = match (&closed.api, closed.deleted) {
        (Some(api), Some(true)) => format!("deleted at {}", clean(api)),
        (Some(api), _) => format!("{} had no record of it any more", clean(api)),
        (None, _) => "it has no room at an API".into(),
    };
    let head = format!("{} {HANG}{} is over: {api}", paint.mark(Status::Passed), paint.strong(&clean(&closed.room_id)));
    let event = match (&closed.published, &closed.status) {
        (Some(published), _) => published_row("event", published, paint),
        (None, Some(status)) => paint.row("event", &format!("says {} already", clean(status))),
        (None, None) => paint.row("event", "no relay has one"),
    };
    format!("{head}\n{event}")
}
