//! `nest status`.

use std::fmt::Display;
use std::sync::mpsc;

use super::prelude::*;
use crate::api::Missing;
use crate::cli::messages::{errors, moq, people};
use crate::clock;
use crate::commands::NestKind;
use crate::commands::list::NestState;
use crate::commands::status::{self, Event, Standing};
use crate::reporter::Reporter as _;

#[derive(Debug, Args)]
#[command(
    before_help = "\
Examples:
  nest status https://nostrnests.com/naddr1…      event, record, audio room, people; nobody joins
  nest status A B C --json | jq -r 'select(.state != \"running\") | .roomId'
  nest status --follow ROOM                       stay, and tell what changes
  nest status ROOM -q || nest restart ROOM -q     the same as nest restart ROOM --if-inactive
",
    after_help = "\
Exit codes:
    0                all of them run
    2  usage         wrong usage or configuration
   10  unhealthy     one of them does not, or it is not known"
)]
pub struct StatusArgs {
    #[command(flatten)]
    pub nests: RoomsArg,
    #[command(flatten)]
    pub follow: FollowArgs,
    #[command(flatten)]
    pub jobs: JobsArg,
    #[command(flatten)]
    pub server: ServerArgs,
}

pub(super) async fn run(app: &App<'_>, args: &StatusArgs) -> Result<u8, Failure> {
    let settings = app.sources.settings(&args.server, &KeyArgs::default())?;
    let job = app.job(Settings { jobs: args.jobs.jobs.into(), ..settings })?;
    let rooms = match args.nests.rooms.as_slice() {
        [] => vec![app.room(None, Purpose::Status, &job).await?],
        names => app.rooms(names, job.settings())?,
    };
    let several = rooms.len() > 1 || args.follow.follow;
    let terminal = &*app.terminal;
    let (failed, exits) = mpsc::channel();
    let done = |room: &RoomRef, result: Result<Standing, Error>| {
        if let Some(exit) = show(terminal, room, &result, several) {
            let _ = failed.send(exit);
        }
    };
    if args.follow.follow {
        match App::followed(status::follow(&job, &rooms, args.follow.interval, &app.stop, &done).await) {
            // None of them can be followed.
            Ok(0) => {}
            ended => return ended,
        }
    } else {
        status::run(&job, &rooms, &app.stop, &done).await;
    }
    let failed: Vec<_> = exits.try_iter().collect();
    let mixed = failed.contains(&Exit::Usage) && failed.contains(&Exit::Unhealthy);
    Ok(if mixed { Exit::Unhealthy.code() } else { errors::common(&failed) })
}

/// Prints what came of one nest; returns why it is not a success, if it is none.
fn show(terminal: &Terminal, room: &RoomRef, result: &Result<Standing, Error>, several: bool) -> Option<Exit> {
    let (id, name) = (room.id.as_str(), room.name.as_str());
    terminal.end_row(id);
    let failure = match result {
        Ok(standing) => failure(standing, name),
        Err(error) => Some(Failure::of(error, Verb::Status, name)),
    };
    let standing = result.as_ref().ok();
    let whole = || match standing {
        Some(standing) => document::standing(standing, failure.as_ref()),
        None => failure.as_ref().map(|failure| document::failure(Some(id), failure)).unwrap_or_default(),
    };
    terminal.outcome(several, whole, |paint| standing.map(|standing| text(standing, failure.as_ref(), paint)));
    if let Some(Standing { kind: NestKind::LiveKit, shown, .. }) = standing.filter(|it| !it.shown.is_empty()) {
        terminal.detail(1, &format!("{id}: {}", moq::shown(shown)));
    }
    // That a nest does not run is no failure of this program; that it is not known may be one.
    let known = standing.is_some_and(|standing| standing.state != NestState::Unknown);
    if let Some(failure) = failure.as_ref().filter(|_| !known) {
        terminal.failure(several.then_some(id), failure);
    }
    failure.map(|failure| failure.exit)
}

/// Why the standing is not a good one; `None` if people can join.
fn failure(standing: &Standing, room: &str) -> Option<Failure> {
    let new = |message: &str| Failure::new(Exit::Unhealthy, message);
    Some(match standing.state {
        NestState::Running => return None,
        NestState::Inactive if standing.kind == NestKind::Moq => {
            moq::inactive(&standing.shown, standing.parts.as_ref(), room)
        }
        NestState::Inactive => {
            new(&Missing::AudioRoom.to_string()).hint(format!("restart it: {}", Verb::Restart.on(room)))
        }
        NestState::Gone => errors::gone(standing.no_event, room),
        NestState::Over => {
            let failure = new("this nest is over: its event says so");
            match standing.event.as_ref().and_then(|event| event.successor.as_ref()) {
                Some(successor) => failure.hint(format!("another nest took its place: {}", Verb::Status.on(successor))),
                None => failure.hint(format!("to bring it back all the same: {}", back(standing, room))),
            }
        }
        NestState::Planned => errors::planned(standing.event.as_ref().and_then(starts), room),
        NestState::Unknown if standing.no_api => {
            standing.troubles.iter().fold(Failure::of(&Error::NoApi, Verb::Status, room), Failure::cause)
        }
        NestState::NotChecked | NestState::Unknown => {
            let failure = new("whether this nest runs is not known");
            let failure = standing.troubles.iter().fold(failure, Failure::cause);
            failure.hint(format!("see which link is broken: {}", Verb::Doctor.on(room)))
        }
    })
}

/// What brings a nest back that is over. Without a record no restart does.
fn back(standing: &Standing, room: &str) -> impl Display {
    match standing.record {
        Some(false) => Verb::Recreate.on(room),
        _ => Verb::Restart.on(room).with("--publish-status", ""),
    }
}

fn starts(event: &Event) -> Option<i64> {
    event.starts_at.as_deref().and_then(clock::parse_rfc3339)
}

fn text(standing: &Standing, failure: Option<&Failure>, paint: Paint) -> String {
    let event_over = standing.event.as_ref().is_some_and(|event| event.over);
    let (mark, word) = match standing.state {
        NestState::Running if standing.kind == NestKind::LiveKit && (event_over || standing.record != Some(true)) => {
            (Status::Warned, paint.warn("running"))
        }
        NestState::Running => (Status::Passed, paint.good("running")),
        NestState::Inactive => (Status::Failed, paint.bad("inactive")),
        NestState::Gone => (Status::Failed, paint.bad("gone")),
        NestState::Over => (Status::NotChecked, "over".into()),
        NestState::Planned => (Status::NotChecked, "planned".into()),
        NestState::NotChecked | NestState::Unknown => (Status::Warned, paint.warn("not known")),
    };
    let mut parts = vec![paint.strong(&clean(&standing.room_id)), word];
    parts.extend(standing.event.as_ref().map(|event| {
        let title = event.title.as_ref().map(|title| format!(" ({})", clean(title))).unwrap_or_default();
        format!("event {}{title}", clean(if event.status.is_empty() { "without status" } else { &event.status }))
    }));
    let since = standing.since_at.as_deref().and_then(local_time).map(|time| format!(" since {time}"));
    parts.extend(standing.record.map(|there| match since {
        _ if !there => "no record".into(),
        Some(since) => format!("record{since}"),
        None => "record".into(),
    }));
    // A record that did not answer is not the same as one that is not told.
    let unanswered = standing.troubles.iter().find(|trouble| trouble.starts_with("record: "));
    parts.extend(unanswered.map(|trouble| clean(trouble)));
    parts.extend(standing.audio_room.map(|there| if there { "audio room" } else { "no audio room" }.to_owned()));
    parts.extend(standing.participants.map(people));
    parts.extend(standing.on_stage.map(|people| format!("{people} on stage")));
    parts.extend(standing.hands.filter(|hands| *hands > 0).map(|hands| format!("{hands} with a hand up")));
    parts.extend(standing.present.map(|present| format!("{present} present on Nostr")));
    let closes = standing.closes_at.as_deref().and_then(local_time);
    parts.extend(closes.map(|time| match standing.left_at.as_deref().and_then(local_time) {
        Some(left) => format!("closes at {time} while empty: a check from here left it at {left}"),
        None => format!("closes at {time} at the latest while empty"),
    }));
    let time = standing.observed_at.as_deref().and_then(local_time).map(|time| paint.dim(&time) + " ");
    let mut lines = vec![format!("{}{} {HANG}{}", time.unwrap_or_default(), paint.mark(mark), parts.join(" · "))];
    lines.extend(standing.link.iter().map(|link| format!("    {}", clean(link))));
    if standing.kind == NestKind::Moq {
        let more = moq::standing(&standing.shown, standing.parts.as_ref());
        lines.extend(more.map(|text| format!("    {}", clean(&text))));
    }
    let mut hint = |text: &str| lines.push(format!("    {} {HANG}{}", paint.good("hint:"), clean(text)));
    match standing.state {
        NestState::Running if event_over => hint("its event says that it is over: clients will not show it as live"),
        NestState::Running if standing.record == Some(false) => {
            hint("its record has expired: it runs, but no restart can bring it back once it has closed");
        }
        NestState::NotChecked | NestState::Unknown => {}
        _ => failure.iter().flat_map(|failure| &failure.hints).for_each(|text| hint(text)),
    }
    lines.join("\n")
}
