//! `nest restart`.

use std::sync::mpsc;
use std::time::Duration;

use url::Url;

use super::prelude::*;
use crate::cli::messages::{Step, check as check_words, errors, moq, notices, troubles};
use crate::commands::NestKind;
use crate::commands::restart::{
    self, Evidence, PlannedRestart, RequestedServers, RestartOutcome, RestartProof, RestartRequest, Restarted, Which,
};
use crate::commands::{check, list};
use crate::livekit::{CheckReport, Verdict};
use crate::net::is_loopback;

#[derive(Debug, Args)]
#[command(
    before_help = "\
Examples:
  nest restart https://nostrnests.com/naddr1… --api https://nostrnests.com
  nest restart 2f9a…-uuid --check --hold 45s      prove that people can join, and that it lasts
  TOKEN=$(nest restart ROOM --output token)       the bare token for a script
  nest restart A B C --json | jq .error           several at once, one JSON document a line
  nest restart --all-inactive -q                  whatever is open and dead; what is over stays over
",
    after_help = exit_help()
)]
pub struct RestartArgs {
    #[command(flatten)]
    pub nests: RoomsArg,
    /// All nests of the host that are open by their event and have no audio room, and no others
    #[arg(long, conflicts_with = "rooms")]
    pub all_inactive: bool,
    /// Prove that the new session can be joined (as a listener)
    #[arg(long)]
    pub check: bool,
    /// With --check: stay inside this long, and tell if anything closes the room (at most 55s without audio)
    #[arg(long, value_name = "TIME", value_parser = duration, requires = "check")]
    pub hold: Option<Duration>,
    /// Check, and stay inside as a silent listener until somebody comes, TIME is over, or Ctrl-C; renew the nest if nobody came
    #[arg(long, value_name = "TIME", value_parser = duration, num_args = 0..=1, require_equals = true,
        conflicts_with_all = ["hold", "as_host"])]
    #[allow(clippy::option_option, reason = "so clap has it: the flag, and its value if there is one")]
    pub keep: Option<Option<Duration>>,
    /// With --check: the one way that audio is to take
    #[arg(long, value_name = "WAY", requires = "check")]
    pub transport: Option<Transport>,
    /// With --check --as-host: send a second of silence, and see that it arrives
    #[arg(long, requires = "as_host")]
    pub publish: bool,
    /// With --check: join with the host's token; ejects a host who is connected elsewhere
    #[arg(long, requires = "check")]
    pub as_host: bool,
    /// Open the nest's page in the browser once it is back
    #[arg(long, conflicts_with = "dry_run")]
    pub open: bool,
    /// Print the nest's link as a QR code too
    #[arg(long, conflicts_with_all = ["dry_run", "json"])]
    pub qr: bool,
    /// Do nothing for a nest that runs
    #[arg(long)]
    pub if_inactive: bool,
    /// If the old room still runs after the restart: remove everybody, wait until it has closed, and restart again; asks first
    #[arg(long, conflicts_with_all = ["all_inactive", "if_inactive", "dry_run"])]
    pub evict: bool,
    /// Put the event right if it says that the nest is over, or names other endpoints
    #[arg(long)]
    pub publish_status: bool,
    /// End at once if another restart of the room is running on this machine
    #[arg(long)]
    pub no_wait: bool,
    /// Move a nest on Media over QUIC to this relay, or one from LiveKit to there
    #[arg(long, value_name = "URL", value_parser = relay_url, conflicts_with = "all_inactive")]
    pub relay_url: Option<String>,
    /// The auth service of that relay [default: that of your list of servers, or derived from the relay's name]
    #[arg(long, value_name = "URL", value_parser = auth_url, conflicts_with = "all_inactive")]
    pub auth_url: Option<String>,
    /// Publish the event of a nest on Media over QUIC although its relay or its auth service does not answer
    #[arg(long)]
    pub force: bool,
    /// Ask nothing
    #[arg(short, long)]
    pub yes: bool,
    /// Send nothing; show what would be sent, the signature masked
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub jobs: JobsArg,
    #[command(flatten)]
    pub signed: SignedArgs,
}

pub(super) async fn run(app: &App<'_>, args: &RestartArgs) -> Result<u8, Failure> {
    let terminal = &*app.terminal;
    let job = app.job(Settings { jobs: args.jobs.jobs.into(), ..app.sources.signed(&args.signed)? })?;
    let mut rooms = app.rooms(&args.nests.rooms, job.settings())?;
    let several = rooms.len() > 1 || args.all_inactive;
    if several && terminal.style.format == Format::Token {
        return Err(Failure::usage("--output token prints one token, and several nests are meant")
            .hint("use --json for several"));
    }
    if rooms.is_empty() && !args.all_inactive {
        rooms.push(app.room(None, Purpose::Restart, &job).await?);
    }
    if args.evict && !args.yes && !job.settings().interactive {
        return Err(Failure::usage(
            "--evict removes people from a nest, and nobody is here to be asked; nothing was sent",
        )
        .hint("--evict --yes asks nothing"));
    }
    let (tell, outcomes) = mpsc::channel();
    let done = |room: &RoomRef, result: Result<RestartOutcome, Error>| {
        terminal.end_row(list::ROW);
        let back = restarted(&result).filter(|_| args.open || args.qr).cloned();
        let _ = tell.send((back, show(terminal, room, &result, several)));
    };
    let which = if args.all_inactive { Which::AllInactive } else { Which::Named(rooms) };
    let run = restart::run(&job, &which, &request(args, terminal), &app.stop, &done).await;
    terminal.end_row(list::ROW);
    // A sweep begins with a list.
    let verb = if args.all_inactive { Verb::List } else { Verb::Restart };
    run.map_err(|error| Failure::of(&error, verb, "ROOM"))?;
    let outcomes: Vec<_> = outcomes.try_iter().collect();
    for (restarted, _) in &outcomes {
        if let Some(restarted) = restarted {
            follow_up(args, restarted, terminal).await;
        }
    }
    if outcomes.is_empty() {
        terminal.status("no nest of yours is open and inactive: nothing to restart");
    }
    Ok(errors::common(&outcomes.iter().filter_map(|(.., exit)| *exit).collect::<Vec<_>>()))
}

/// Clients show no nest whose relay is not `https`.
fn relay_url(text: &str) -> Result<String, String> {
    server_url(text, |url| url.scheme() == "https")
}

fn auth_url(text: &str) -> Result<String, String> {
    server_url(text, |url| url.scheme() == "https" || url.scheme() == "http" && is_loopback(url))
}

/// As it is written: it is published so.
fn server_url(text: &str, secure: impl Fn(&Url) -> bool) -> Result<String, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    let bare = url.has_host() && url.username().is_empty() && url.query().is_none() && url.fragment().is_none();
    if bare && secure(&url) { Ok(text.to_owned()) } else { Err("it has to be a plain https:// URL".into()) }
}

fn request(args: &RestartArgs, terminal: &Terminal) -> RestartRequest {
    RestartRequest {
        check: (args.check || args.keep.is_some()).then_some(check::CheckOptions {
            hold: args.hold.or(args.keep.flatten()),
            keep: args.keep.is_some(),
            as_host: args.as_host,
            join: true,
            signal_only: false,
            transport: args.transport.map(Into::into),
            publish: args.publish,
        }),
        if_inactive: args.if_inactive,
        evict: args.evict,
        publish_status: args.publish_status,
        no_wait: args.no_wait,
        servers: RequestedServers { relay: args.relay_url.clone(), auth: args.auth_url.clone() },
        force: args.force,
        // A script has the nest's name, and its time is dear.
        titled: terminal.style.format == Format::Text && !terminal.style.quiet,
        yes: args.yes,
        dry_run: args.dry_run,
    }
}

/// Shows the link, and opens the page; that it does not open changes nothing about the restart.
async fn follow_up(args: &RestartArgs, restarted: &Restarted, terminal: &Terminal) {
    let Some(link) = &restarted.link else { return terminal.warn("nobody knows the address of the nest's page") };
    if args.qr {
        terminal.qr(link);
    }
    if args.open {
        super::open::show_page(link, terminal).await;
    }
}

fn restarted(result: &Result<RestartOutcome, Error>) -> Option<&Restarted> {
    match result {
        Ok(RestartOutcome::Restarted(restarted)) | Err(Error::Unhealthy(restarted)) => Some(restarted),
        Err(Error::Interrupted { done, .. } | Error::NotPublished { done, .. }) => done.as_deref(),
        _ => None,
    }
}

pub(super) fn show(
    terminal: &Terminal,
    room: &RoomRef,
    result: &Result<RestartOutcome, Error>,
    several: bool,
) -> Option<Exit> {
    let id = room.id.as_str();
    terminal.end_row(id);
    let style = terminal.style;
    let failure = result.as_ref().err().map(|error| Failure::of(error, Verb::Restart, &room.name));
    if style.format == Format::Token {
        if let Some(token) = restarted(result).and_then(|restarted| restarted.token.as_ref()) {
            terminal.result(token.expose());
        }
    } else {
        let whole = || document::restart(id, result, failure.as_ref());
        terminal.outcome(several, whole, |paint| match result {
            Ok(RestartOutcome::Planned(planned)) => Some(planned_text(planned)),
            other => restarted(other).map(|restarted| restarted_text(restarted, several, style.verbose > 0, paint)),
        });
    }
    let mut failure = failure?;
    let exit = failure.exit;
    // The report right above says it all already.
    let together = style.streams.stdout && style.streams.stderr && style.format == Format::Text && !style.quiet;
    let check = restarted(result).and_then(|restarted| restarted.check.as_ref());
    if together && check.is_some_and(|check| check.verdict == Verdict::Unhealthy) {
        failure = Failure { causes: Vec::new(), hints: Vec::new(), ..failure };
    }
    terminal.failure(several.then_some(id), &failure);
    Some(exit)
}

/// One line for a nest that is well: the rest, `verbose` or not, where something is not.
fn restarted_text(restarted: &Restarted, several: bool, verbose: bool, paint: Paint) -> String {
    let untouched = match restarted.evidence {
        Evidence::Running => Some("is running; nothing was sent"),
        Evidence::LeftAlone => Some("is over, or to come, by its event; nothing was sent"),
        _ => None,
    };
    let report = restarted.check.as_ref();
    let steps = report.map(check_words::steps).unwrap_or_default();
    let (status, came) = match restarted.telling_check() {
        _ if untouched.is_some() => (Status::Passed, String::new()),
        Some(check) => {
            let well = check.verdict == Verdict::Joinable && restarted.proof != Some(RestartProof::NoRoom);
            let verdict = verdict(restarted, check, &steps, paint);
            (if well { Status::Passed } else { Status::Warned }, joined(verdict.map(String::from)))
        }
        None => (notices::proven(restarted), clean(&notices::proof(restarted))),
    };
    let name = format!(
        "{}{}",
        called(restarted, several, paint),
        untouched.map(|text| format!(" {text}")).unwrap_or_default()
    );
    let link = restarted.link.as_deref().filter(|_| !paint.links).map(clean).unwrap_or_default();
    let published = restarted.published.as_ref();
    let head = joined([name, came, closes_at(restarted.closes_at.as_deref()), link]);
    let mut lines = vec![format!("{} {HANG}{head}", paint.mark(status))];
    if restarted.kind == NestKind::Moq && (verbose || restarted.shown.iter().any(|shown| shown.hidden.is_some())) {
        lines.push(paint.row("shown", &clean(&moq::shown(&restarted.shown))));
    }
    lines.extend(
        published
            .map(|published| published_row("event", published, paint))
            .filter(|_| verbose || restarted.kind == NestKind::LiveKit),
    );
    if !verbose {
        let wrong = steps.iter().any(|step| matches!(step.status, Status::Failed | Status::Warned));
        lines.extend(if wrong { parts(&steps, &[], paint) } else { Vec::new() });
        return lines.join("\n");
    }
    if let Evidence::Answer(message) = &restarted.evidence {
        lines.push(paint.row("answer", &clean(message)));
    }
    lines.extend(restarted.endpoints.iter().map(|endpoint| paint.row("endpoint", &clean(endpoint))));
    lines.extend(restarted.auth.iter().map(|auth| paint.row("auth", &clean(auth))));
    lines.extend(restarted.token.iter().map(|token| paint.row("token", token.expose())));
    if let Some(time) = restarted.expires_at.as_deref().and_then(local_time) {
        let rejoin = troubles::rejoin();
        let rejoin = format!("; {}: {}", rejoin.cause, rejoin.hint);
        let rejoin = if restarted.kind == NestKind::Moq { "" } else { &rejoin };
        lines.push(paint.row("valid", &format!("until {time}{rejoin}")));
    }
    if let Some(room) = restarted.room.as_ref().filter(|_| report.is_none()) {
        let sids = restarted.sid_before.iter().chain([&room.sid]).map(|sid| clean(sid)).collect::<Vec<_>>();
        lines.push(paint.row("room", &sids.join(" → ")));
    }
    if let Some(check) = report {
        lines.push(String::new());
        lines.extend(steps.iter().map(|step| step_line(step, paint)));
        lines.push(String::new());
        lines.push(proof(restarted, check, &steps, paint));
    }
    lines.join("\n")
}

/// What people call the nest, which leads to its page. Of several, each has its id too.
fn called(restarted: &Restarted, several: bool, paint: Paint) -> String {
    let (id, title) = (clean(&restarted.room_id), restarted.title.as_deref().map(clean));
    let name = paint.strong(title.as_ref().unwrap_or(&id));
    let name = restarted.link.as_deref().map_or(name.clone(), |link| paint.link(&name, &clean(link)));
    if several && title.is_some() { format!("{name} ({id})") } else { name }
}

/// What has become of it, and whether people can join.
fn verdict(restarted: &Restarted, check: &CheckReport, steps: &[Step], paint: Paint) -> [String; 2] {
    let (first, verdict) = match check.verdict {
        Verdict::Joinable if restarted.proof == Some(RestartProof::NoRoom) => {
            ("not well", paint.bad("there is no audio room any more"))
        }
        // A restarted nest is joined.
        Verdict::Reachable => ("restarted", paint.warn("nobody has joined")),
        Verdict::Joinable => ("restarted", paint.good(&joinable(check))),
        Verdict::Unhealthy => ("not well", paint.bad(&format!("failed: {}", failed(steps)))),
        Verdict::Unknown => ("restarted", paint.warn("whether it can be joined is not known")),
    };
    [first.to_owned(), verdict]
}

fn proof(restarted: &Restarted, check: &CheckReport, steps: &[Step], paint: Paint) -> String {
    let sid = check.room.as_ref().map(|room| room.sid.as_str());
    let before = restarted.sid_before.as_deref().filter(|before| Some(*before) != sid);
    let renewed = restarted.renewed_as.as_deref();
    let mark = if renewed.is_some() { " (checked)" } else { "" };
    let checked = sid.map(|sid| format!("{}{mark}", clean(sid)));
    let sids = before.map(clean).into_iter().chain(checked).chain(renewed.map(clean)).collect::<Vec<_>>().join(" → ");
    let [first, verdict] = verdict(restarted, check, steps, paint);
    joined([first, sids, verdict, closes_at(restarted.closes_at.as_deref())])
}

/// What would be sent, as HTTP writes it, and the event behind the signature.
fn planned_text(planned: &PlannedRestart) -> String {
    let headers: Vec<_> = planned.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    let PlannedRestart { method, url, event, .. } = planned;
    clean_json(&format!("{method} {url}\n{}\n\n{event:#}", headers.join("\n")))
}
