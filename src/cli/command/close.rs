//! `nest close`.

use clap::Args;

use super::{App, published_row};
use crate::cli::args::{KeyArgs, NestArg, RetryArgs, ServerArgs, exit_help};
use crate::cli::document;
use crate::cli::messages::errors::Failure;
use crate::cli::settings::policy;
use crate::cli::terminal::{Paint, clean};
use crate::commands::Settings;
use crate::commands::close::{self, Closed};
use crate::commands::pick::Purpose;
use crate::report::Status;

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
    pub server: ServerArgs,
    #[command(flatten)]
    pub retry: RetryArgs,
    #[command(flatten)]
    pub key: KeyArgs,
}

pub(super) async fn run(app: &App<'_>, args: &CloseArgs) -> Result<u8, Failure> {
    let settings = app.sources.settings(&args.server, &args.key)?;
    let job = app.job(Settings { retry: policy(&args.retry), ..settings })?;
    let name = args.nest.room.as_ref();
    let room = app.room(name, Purpose::Close, &job).await?;
    let closed = close::run(&job, &room, args.yes, &app.stop).await.map_err(|error| super::failure(&error, name));
    Ok(app.conclude(&room, &closed, |closed| document::warned(closed, &closed.warnings), text))
}

fn text(closed: &Closed, paint: Paint) -> String {
    let api = match (&closed.api, closed.deleted) {
        (Some(api), Some(true)) => format!("deleted at {}", clean(api)),
        (Some(api), _) => format!("{} had no record of it any more", clean(api)),
        (None, _) => "it has no room at an API".into(),
    };
    let head = format!("{} {} is over: {api}", paint.mark(Status::Passed), paint.strong(&clean(&closed.room_id)));
    let event = match (&closed.published, &closed.status) {
        (Some(published), _) => published_row("event", published, paint),
        (None, Some(status)) => paint.row("event", &format!("says {} already", clean(status))),
        (None, None) => paint.row("event", "no relay has one"),
    };
    format!("{head}\n{event}")
}
