//! `nest recreate`.

use super::prelude::*;
use crate::cli::messages::notices;
use crate::commands::recreate::{self, PlannedRecreation, RecreateOutcome, RecreateRequest, Recreated};
use crate::room::{self, RoomId};

#[derive(Debug, Args)]
#[command(
    before_help = "\
Examples:
  nest recreate https://nostrnests.com/naddr1…    asks, then prints the new link
  nest recreate ROOM --dry-run                    show both events, publish nothing
  nest recreate ROOM --yes --json | jq -r .link   for a script; to repeat it does no harm
",
    after_help = exit_help()
)]
pub struct RecreateArgs {
    #[command(flatten)]
    pub nest: NestArg,
    /// Ask nothing
    #[arg(short, long)]
    pub yes: bool,
    /// Create and publish nothing; show the request and both events
    #[arg(long)]
    pub dry_run: bool,
    /// Print the new link as a QR code too
    #[arg(long, conflicts_with_all = ["dry_run", "json"])]
    pub qr: bool,
    #[command(flatten)]
    pub signed: SignedArgs,
}

pub(super) async fn run(app: &App<'_>, args: &RecreateArgs) -> Result<u8, Failure> {
    let (job, room) = app.signed_job(&args.signed, args.nest.room.as_ref(), Purpose::Recreate).await?;
    let request = RecreateRequest { room, yes: args.yes, dry_run: args.dry_run };
    let done = recreate::run(&job, &request, &app.stop).await;
    let mut done = done.map_err(|error| Failure::of(&error, Verb::Recreate, &request.room.name));
    if let Ok(RecreateOutcome::Recreated(recreated)) = &mut done
        && !args.dry_run
    {
        pass_on_names(app, &request.room, recreated);
    }
    let document = |done: &RecreateOutcome| match done {
        RecreateOutcome::Recreated(recreated) => document::warned(recreated, &recreated.warnings),
        RecreateOutcome::Planned(planned) => document::of(planned),
    };
    let text = |done: &RecreateOutcome, paint| match done {
        RecreateOutcome::Recreated(recreated) => recreated_text(recreated, paint),
        RecreateOutcome::Planned(planned) => planned_text(planned),
    };
    let code = app.conclude(&request.room, &done, document, text);
    if let Ok(RecreateOutcome::Recreated(recreated)) = &done
        && let Some(link) = recreated.link.as_ref().filter(|_| args.qr)
    {
        app.terminal.qr(link);
    }
    Ok(code)
}

/// Has the configuration's short names of the old nest stand for the new one: otherwise a timer would go on looking after what
/// is gone.
fn pass_on_names(app: &App<'_>, old: &RoomRef, recreated: &mut Recreated) {
    let new = |name: &str, text: &str| {
        let room = RoomRef::parse(text).ok()?;
        let id = room.id.as_str();
        if id == recreated.room_id || (id != old.id.as_str() && id != recreated.replaces) {
            return None;
        }
        match (room.host, room.api) {
            (Some(host), _) => (host.to_hex() == recreated.host).then(|| address(recreated)),
            // It goes on naming the API too.
            (None, Some(api)) if api.as_str() == recreated.api => {
                Some(api.room(&RoomId::new(&*recreated.room_id).ok()?, "").to_string())
            }
            (None, Some(_)) => None,
            // A bare id is the one that was meant only where it was named.
            (None, None) => {
                let named = room::alias(&old.name) == Some(name)
                    && app.sources.configured(&["alias".into(), name.into()]).as_deref() == Some(text);
                named.then(|| address(recreated))
            }
        }
    };
    if let Ok(config) = app.sources.config_file() {
        match config.pass_on(new) {
            Ok(names) => recreated.aliases = names.into_iter().map(|name| format!("@{name}")).collect(),
            Err(error) => app.terminal.warn(&notices::names_stay(&config.path, &error, &address(recreated))),
        }
    }
}

/// What leads to the new nest.
fn address(recreated: &Recreated) -> String {
    recreated.naddr.clone().unwrap_or_else(|| format!("30312:{}:{}", recreated.host, recreated.room_id))
}

fn recreated_text(recreated: &Recreated, paint: Paint) -> String {
    let (new, old) = (paint.strong(&clean(&recreated.room_id)), clean(&recreated.replaces));
    let before = if recreated.created { "" } else { " already" };
    let mut lines = vec![format!("{} {HANG}{new} takes the place of {old}{before}", paint.mark(Status::Passed))];
    lines.extend(recreated.opened.as_ref().map(|opened| published_row("opened", opened, paint)));
    lines.extend(match recreated.granted.len() {
        0 => None,
        1 => Some(paint.row("people", "one more may speak")),
        n => Some(paint.row("people", &format!("{n} more may speak"))),
    });
    lines.extend(recreated.closed.as_ref().map(|closed| published_row("closed", closed, paint)));
    if !recreated.aliases.is_empty() {
        lines.push(paint.row("names", &clean(&notices::names_passed_on(&recreated.aliases))));
    }
    lines.push(paint.row("link", &clean(recreated.link.as_ref().unwrap_or(&address(recreated)))));
    lines.join("\n")
}

fn planned_text(planned: &PlannedRecreation) -> String {
    let PlannedRecreation { request, opened, closed, relays, .. } = planned;
    let relays = relays.join(", ");
    clean_json(&format!("request\n{request:#}\n\nto {relays}\n{opened:#}\n\nto {relays}\n{closed:#}"))
}
