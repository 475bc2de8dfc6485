//! `nest token`.

use super::prelude::*;
use crate::commands::token::{self, Fetched};

#[derive(Debug, Args)]
#[command(
    before_help = "\
Examples:
  nest token https://nostrnests.com/naddr1…       a fresh token; the nest goes on as it is
  TOKEN=$(nest token ROOM --output token)         the bare token for a script
",
    after_help = exit_help()
)]
pub struct TokenArgs {
    #[command(flatten)]
    pub nest: RoomArg,
    #[command(flatten)]
    pub signed: SignedArgs,
}

pub(super) async fn run(app: &App<'_>, args: &TokenArgs) -> Result<u8, Failure> {
    let (job, room) = app.signed_job(&args.signed, args.nest.room.as_ref(), Purpose::Token).await?;
    let fetched = token::run(&job, &room, &app.stop).await;
    let fetched = fetched.map_err(|error| Failure::of(&error, Verb::Token, &room.name));
    if app.terminal.style.format == Format::Token
        && let Ok(fetched) = &fetched
    {
        app.terminal.end_rows();
        app.terminal.result(fetched.token.expose());
        return Ok(0);
    }
    Ok(app.conclude(&room, &fetched, |fetched| document::warned(fetched, &fetched.warnings), text))
}

fn text(fetched: &Fetched, paint: Paint) -> String {
    let may = match (fetched.is_admin, fetched.may_publish) {
        (true, _) => "this token may run the nest",
        (false, true) => "this token may speak",
        (false, false) => "this token may only listen",
    };
    let mut lines =
        vec![format!("{} {HANG}{} · {may}", paint.mark(Status::Passed), paint.strong(&clean(&fetched.room_id)))];
    lines.push(paint.row("token", fetched.token.expose()));
    if let Some(time) = fetched.expires_at.as_deref().and_then(local_time) {
        lines.push(paint.row("valid", &format!("until {time}")));
    }
    lines.join("\n")
}
