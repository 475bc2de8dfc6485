//! `nest close`.

use super::prelude::*;
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
    Ok(app.conclude(&room, &closed, |closed| document::warned(closed, &closed.warnings), text))
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
