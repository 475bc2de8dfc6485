//! `nest check`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ArgGroup;

use super::prelude::*;
use super::restart;
use crate::cli::messages;
use crate::commands::check::{self, CheckOptions, CheckOutcome, Checked, Report};
use crate::commands::restart::RestartOutcome;
use crate::key::file;
use crate::livekit::Verdict;
use crate::secret::Secret;

/// The longest token that is read, in bytes.
const MAX_TOKEN: u64 = 64 * 1024;

#[derive(Debug, Args)]
#[command(
    before_help = "\
Examples:
  nest check https://nostrnests.com/naddr1…              can a listener join? No key is needed
  nest check ROOM --api https://nostrnests.com --hold 45s and does it last?
  nest check --url wss://live.example.com --token-file -  any LiveKit server, with any token for it
",
    after_help = exit_help(),
    group = ArgGroup::new("target").args(["room", "url"])
)]
pub struct CheckArgs {
    #[command(flatten)]
    pub nest: RoomArg,
    /// A media server, instead of a nest
    #[arg(long, value_name = "WS_URL", requires = "token_file")]
    pub url: Option<String>,
    /// A file with a token for it, or - for stdin
    #[arg(long, value_name = "PATH", requires = "url")]
    pub token_file: Option<PathBuf>,
    /// Join with the host's own token; ejects a host who is connected elsewhere
    #[arg(long, conflicts_with = "url")]
    pub as_host: bool,
    /// Join even if nobody is inside: a minute after this check has left, the nest closes
    #[arg(long)]
    pub join: bool,
    /// Stay inside this long, and tell if anything closes the room (at most 55s without audio)
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub hold: Option<Duration>,
    /// Stay inside as a silent listener until somebody comes, TIME is over, or Ctrl-C; then renew your own nest if nobody came
    #[arg(long, value_name = "TIME", value_parser = duration, num_args = 0..=1, require_equals = true,
        conflicts_with_all = ["hold", "as_host", "url"])]
    #[allow(clippy::option_option, reason = "so clap has it: the flag, and its value if there is one")]
    pub keep: Option<Option<Duration>>,
    /// The one way that audio is to take
    #[arg(long, value_name = "WAY")]
    pub transport: Option<Transport>,
    /// Send a second of silence, and see that it arrives; needs a token that may speak
    #[arg(long)]
    pub publish: bool,
    #[command(flatten)]
    pub server: ServerArgs,
    #[command(flatten)]
    pub key: KeyArgs,
}

pub(super) async fn run(app: &App<'_>, args: &CheckArgs) -> Result<u8, Failure> {
    let job = app.job(app.sources.settings(&args.server, &args.key)?)?;
    let options = CheckOptions {
        hold: args.hold.or(args.keep.flatten()),
        keep: args.keep.is_some(),
        as_host: args.as_host,
        join: args.join,
        signal_only: false,
        transport: args.transport.map(Into::into),
        publish: args.publish,
    };
    if let (Some(url), Some(path)) = (&args.url, &args.token_file) {
        let token = read_token(path).await?;
        let result = check::endpoint(&job, url, &token, options, &app.stop).await;
        return Ok(show(app, None, &result));
    }
    let room = app.room(args.nest.room.as_ref(), Purpose::Check, &job).await?;
    Ok(nest(app, &job, &room, options).await)
}

async fn nest(app: &App<'_>, job: &Job<'_>, room: &RoomRef, options: CheckOptions) -> u8 {
    // A person may want a restart in between: what came of that is the result.
    let restarted = match check::run(job, room, options, &app.stop).await {
        Ok(CheckOutcome::Restarted(restarted)) => Ok(RestartOutcome::Restarted(restarted)),
        Err(error @ (Error::Unhealthy(_) | Error::Interrupted { done: Some(_), .. })) => Err(error),
        Ok(CheckOutcome::Joinable(checked)) => return show(app, Some(room), &Ok(*checked)),
        Err(error) => return show(app, Some(room), &Err(error)),
    };
    restart::show(&app.terminal, room, &restarted, false).map_or(0, Exit::code)
}

fn show(app: &App<'_>, room: Option<&RoomRef>, result: &Result<Checked, Error>) -> u8 {
    let checked = match result {
        Ok(checked) => Some(checked),
        Err(Error::Unjoinable(checked)) => Some(&**checked),
        Err(_) => None,
    };
    let id = room.map(|room| room.id.as_str());
    app.terminal.end_row(id.or(checked.map(|checked| checked.room.as_str())).unwrap_or_default());
    let name = room.map(|room| room.name.as_str()).unwrap_or_default();
    let failure = result.as_ref().err().map(|error| Failure::of(error, Verb::Check, name));
    let whole = || match checked {
        Some(checked) => document::checked(checked, failure.as_ref()),
        None => failure.as_ref().map(|failure| document::failure(id, failure)).unwrap_or_default(),
    };
    let verbose = app.terminal.style.verbose > 0;
    app.terminal.outcome(false, whole, |paint| checked.map(|checked| text(checked, verbose, paint)));
    failure.map_or(0, |mut failure| {
        let style = app.terminal.style;
        let together = style.streams.stdout && style.streams.stderr && style.format == Format::Text && !style.quiet;
        // The report right above says the same.
        if let Some(checked) = checked.filter(|_| together) {
            let steps = messages::check::of(&checked.report);
            failure.causes.retain(|cause| steps.iter().all(|step| step.detail != *cause));
            failure.hints.retain(|hint| steps.iter().all(|step| step.hint.as_ref() != Some(hint)));
        }
        app.terminal.failure(None, &failure);
        failure.exit.code()
    })
}

fn text(checked: &Checked, verbose: bool, paint: Paint) -> String {
    let steps = messages::check::of(&checked.report);
    let (mark, verdict) = match (checked.report.verdict(), &checked.report) {
        (Verdict::Joinable, Report::OverQuic(_)) => (Status::Passed, paint.good("what Media over QUIC needs is there")),
        (Verdict::Joinable, Report::LiveKit(report)) => (Status::Passed, paint.good(&joinable(report))),
        (Verdict::Reachable, _) => (Status::Passed, paint.good("reachable; nobody is inside, and nobody has joined")),
        (Verdict::Unhealthy, _) => (Status::Failed, paint.bad(&format!("failed: {}", failed(&steps)))),
        (Verdict::Unknown, _) => (Status::Warned, paint.warn("whether it can be joined is not known")),
    };
    let (sid, closes) = match &checked.report {
        Report::LiveKit(report) => {
            let sid = report.room.as_ref().map(|room| clean(&room.sid)).unwrap_or_default();
            match &checked.renewed {
                Some(renewed) => {
                    let new = renewed.room.as_ref().map(|room| clean(&room.sid)).unwrap_or_default();
                    (format!("{sid} (checked) → {new}"), closes_at(renewed.closes_at.as_deref()))
                }
                None => (sid, closes(report)),
            }
        }
        Report::OverQuic(_) => (String::new(), String::new()),
    };
    let mut lines: Vec<_> =
        if verbose { steps.iter().map(|step| step_line(step, paint)).collect() } else { parts(&steps, &[], paint) };
    lines.push(String::new());
    let summary = joined([paint.strong(&clean(&checked.room)), verdict, sid, closes]);
    lines.push(format!("{} {HANG}{summary}", paint.mark(mark)));
    lines.join("\n")
}

/// A token is short-lived: its file may be one that others can read.
async fn read_token(path: &Path) -> Result<Secret, Failure> {
    let refused = |why: String| Failure::usage(format!("cannot read the token: {why}"));
    let text = if path == Path::new("-") {
        file::read(path).await.map_err(|error| refused(error.to_string()))?
    } else {
        let file = std::fs::File::open(path).map_err(|error| refused(format!("{}: {error}", path.display())))?;
        let mut text = String::new();
        std::io::Read::read_to_string(&mut std::io::Read::take(file, MAX_TOKEN), &mut text)
            .map_err(|error| refused(format!("{}: {error}", path.display())))?;
        Secret::new(text)
    };
    Ok(Secret::new(text.expose().trim()))
}
