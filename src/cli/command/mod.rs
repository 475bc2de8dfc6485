//! The commands: each in a file of its own, with its arguments, its call into [`crate::commands`] and its text.
#![allow(clippy::doc_markdown, rustdoc::invalid_html_tags, reason = "the comments on arguments are the help")]

mod auth;
mod check;
mod close;
mod doctor;
mod generate;
mod init;
mod key;
mod list;
mod mock;
mod open;
mod recreate;
mod restart;
mod serve;
mod status;
mod token;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Subcommand;
use serde_json::Value;

#[cfg(test)]
pub(super) use self::init::InitDocument;
use self::prelude::*;
pub(super) use self::serve::ServeArgs;
use super::args::{Deferred, SignerRelayArgs, TEMPLATE};
use super::messages::{PARTS, Step, errors, is_telling, notices, part};
use super::settings::Sources;
use crate::clock;
use crate::commands::key::KeyCommandError;
use crate::commands::pick::{self, Choice};
use crate::commands::{Published, Stop, Warning};
use crate::key::{HostKey, KeyPlan, Signers, load};
use crate::livekit::CheckReport;
use crate::reporter::Reporter as _;

/// What nearly every command needs.
mod prelude {
    pub(super) use clap::Args;

    pub(super) use super::{
        App, closes, closes_at, failed, joinable, joined, local_time, parts, parts_of, published_row, step_line,
    };
    pub(super) use crate::cli::args::{
        FollowArgs, Format, JobsArg, KeyArgs, NestArg, RoomArg, RoomsArg, ServerArgs, SignedArgs, Transport, duration,
        exit_help,
    };
    pub(super) use crate::cli::document;
    pub(super) use crate::cli::messages::Verb;
    pub(super) use crate::cli::messages::errors::{Exit, Failure};
    pub(super) use crate::cli::terminal::{HANG, Paint, Terminal, clean, clean_json};
    pub(super) use crate::commands::pick::Purpose;
    pub(super) use crate::commands::{Error, Job, Settings};
    pub(super) use crate::report::Status;
    pub(super) use crate::room::RoomRef;
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Begin: your server, your key, a short name for your nest, and a timer that looks after it
    Init(Deferred<init::InitArgs>),
    /// Bring nests back, and say whether people can join
    Restart(Deferred<restart::RestartArgs>),
    /// See at a glance whether nests run; nobody joins
    Status(Deferred<status::StatusArgs>),
    /// Prove that a nest can be joined, as a listener would
    Check(Deferred<check::CheckArgs>),
    /// Look at every link between you and a nest, and say what to do next
    Doctor(Deferred<doctor::DoctorArgs>),
    /// Get a fresh token without a restart
    Token(Deferred<token::TokenArgs>),
    /// Show the nests of a host: what Nostr, the API and LiveKit say of each
    List(Deferred<list::ListArgs>),
    /// Open a new nest in the place of one that its server has lost
    ///
    /// Short names of the old one in the configuration stand for the new one afterwards.
    Recreate(Deferred<recreate::RecreateArgs>),
    /// End a nest: in the API, and in its event
    Close(Deferred<close::CloseArgs>),
    /// Open the page of a nest in the browser
    Open(Deferred<open::OpenArgs>),
    /// Sign a request for another program: the value of its Authorization header (NIP-98)
    Auth(Deferred<auth::AuthArgs>),
    /// Keep host keys: in the OS keyring, in a file, or in a remote signer
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Start the bundled server on loopback: Nests API, LiveKit signal, relay
    Mock(Deferred<mock::MockArgs>),
    /// Serve the Nests API for real, on Redis and LiveKit
    Serve(Deferred<serve::ServeArgs>),
    /// Print a script that teaches your shell the commands and options
    #[command(help_template = TEMPLATE, before_help = "\
Examples:
  mkdir -p ~/.local/share/bash-completion/completions
  nest completions bash > ~/.local/share/bash-completion/completions/nest
  mkdir -p ~/.zfunc                                with fpath=(~/.zfunc $fpath) before compinit in ~/.zshrc
  nest completions zsh > ~/.zfunc/_nest
  mkdir -p ~/.config/fish/completions
  nest completions fish > ~/.config/fish/completions/nest.fish
")]
    Completions {
        /// Which shell
        #[arg(value_name = "SHELL", required_unless_present = "words")]
        shell: Option<clap_complete::Shell>,
        /// What the scripts ask for when the Tab key is pressed: words that only this machine knows
        #[arg(long, value_name = "KIND", hide = true, conflicts_with = "shell", value_delimiter = ',')]
        words: Vec<generate::Words>,
    },
    /// Print the help of a command
    Help {
        /// Which command; without one, all of them are named
        #[arg(value_name = "COMMAND")]
        command: Vec<String>,
    },
    /// Print a man page
    #[command(help_template = TEMPLATE, before_help = "\
Examples:
  nest man restart | man -l -                      read it
  nest man key-import | man -l -                   of a command below another
  mkdir -p ~/.local/share/man/man1
  nest man > ~/.local/share/man/man1/nest.1        keep it
")]
    Man {
        /// Of which command; without one, of nest itself
        #[arg(value_name = "COMMAND")]
        command: Vec<String>,
    },
}

impl Command {
    /// Whether it writes a configuration, or a profile of it, that may not be there yet.
    pub fn begins(&self) -> bool {
        use key::KeyCommand::{Connect, Import};
        matches!(self, Self::Init(_) | Self::Key(Connect(_) | Import(_)))
    }

    /// The one nest that it names: its id, or what was written where that is no name of a nest.
    pub fn room(&self) -> Option<String> {
        let only = |rooms: &[String]| if let [room] = rooms { Some(room.clone()) } else { None };
        let written = match self {
            Self::Restart(args) => only(&args.nests.rooms),
            Self::Status(args) => only(&args.nests.rooms),
            Self::Check(args) => args.nest.room.clone(),
            Self::Token(args) => args.nest.room.clone(),
            Self::Recreate(args) => args.nest.room.clone(),
            Self::Close(args) => args.nest.room.clone(),
            Self::Open(args) => args.room.clone(),
            _ => None,
        }?;
        Some(RoomRef::parse(&written).map_or(written, |room| room.id.to_string()))
    }

    pub async fn run(self, app: &App<'_>) -> Result<u8, Failure> {
        use Command::{Auth, Check, Close, Doctor, Init, List, Open, Recreate, Status};
        let has_no_token = matches!(
            self,
            Init(_) | Status(_) | Check(_) | Doctor(_) | List(_) | Recreate(_) | Close(_) | Open(_) | Auth(_)
        );
        if app.terminal.style.format == Format::Token && has_no_token {
            return Err(Failure::usage("--output token prints a token, and this command fetches none")
                .hint("fetch one: `nest token ROOM --output token`"));
        }
        match self {
            Self::Init(args) => init::run(app, &args).await,
            Self::Restart(args) => restart::run(app, &args).await,
            Self::Status(args) => status::run(app, &args).await,
            Self::Check(args) => check::run(app, &args).await,
            Self::Doctor(args) => doctor::run(app, args.0).await,
            Self::Token(args) => token::run(app, &args).await,
            Self::List(args) => list::run(app, &args).await,
            Self::Recreate(args) => recreate::run(app, &args).await,
            Self::Close(args) => close::run(app, &args).await,
            Self::Open(args) => open::run(app, &args).await,
            Self::Auth(args) => auth::run(app, &args).await,
            Self::Key(command) => key::run(app, command).await,
            Self::Mock(args) => mock::run(app, args.0).await,
            Self::Serve(args) => serve::run(app, args.0).await,
            Self::Completions { shell: Some(shell), .. } => Ok(generate::completions(app, shell)),
            Self::Completions { words, .. } => Ok(generate::words(app, &words)),
            Self::Man { command } => generate::man(app, &command),
            // The arguments are parsed once more with the flag for it, before it comes to this.
            Self::Help { .. } => Ok(0),
        }
    }
}

pub(super) struct App<'a> {
    pub sources: Sources<'a>,
    pub terminal: Arc<Terminal>,
    pub stop: Stop,
}

impl App<'_> {
    /// The exit code of what goes on until it is interrupted: that is no failure to be told.
    fn followed(result: Result<(), Error>) -> Result<u8, Failure> {
        match result {
            Err(Error::Stopped(signal)) => Ok(Exit::from(signal).code()),
            result => result.map(|()| 0).map_err(|error| Failure::of(&error, Verb::List, "ROOM")),
        }
    }

    fn job(&self, mut settings: Settings) -> Result<Job<'_>, Failure> {
        settings.key.signers = settings.key.signers.map(|signers| self.told(signers, false));
        Job::new(settings, &*self.terminal).map_err(|error| Failure::of(&error, Verb::Restart, "ROOM"))
    }

    /// The same signers, which tell here what a person should know, and have a page opened, once, if that is wanted.
    fn told(&self, mut signers: Signers, open: bool) -> Signers {
        let (terminal, may_open) = (Arc::clone(&self.terminal), AtomicBool::new(open));
        signers.network.listener = Some(Arc::new(move |warning: &Warning| match warning {
            Warning::SignerAwaited { .. } => terminal.status(&notices::warning(warning)),
            Warning::ApproveAt { url } => {
                terminal.page_to_open(&notices::warning(warning), url);
                if may_open.swap(false, Ordering::Relaxed) {
                    let (url, terminal) = (url.clone(), Arc::clone(&terminal));
                    tokio::spawn(async move { open::show_page(&url, &terminal).await });
                }
            }
            warning => terminal.warning(warning),
        }));
        signers
    }

    /// The key of a command that talks to no server.
    async fn own_key(&self, args: &KeyArgs, relays: SignerRelayArgs) -> Result<HostKey, Failure> {
        let server = relays.into();
        let signers = self.sources.signers(&server, &self.sources.network(&server)?, args.signer_timeout);
        let plan = KeyPlan { signers: Some(self.told(signers, false)), ..self.sources.key_plan(args) };
        let key = load(&plan, None, &*self.terminal).await;
        key.map_err(|error| errors::of_key_command(&KeyCommandError::Key(error)))
    }

    /// The job of a command that sends signed requests about one nest, and the nest.
    async fn signed_job(
        &self,
        args: &SignedArgs,
        name: Option<&String>,
        purpose: Purpose,
    ) -> Result<(Job<'_>, RoomRef), Failure> {
        let job = self.job(self.sources.signed(args)?)?;
        let room = self.room(name, purpose, &job).await?;
        Ok((job, room))
    }

    /// Reads the name of a nest; without one, a person at the terminal chooses.
    async fn room(&self, name: Option<&String>, purpose: Purpose, job: &Job<'_>) -> Result<RoomRef, Failure> {
        if let Some(name) = name {
            return self.sources.room(name);
        }
        let choice = pick::choice(job, purpose, &self.stop).await;
        self.terminal.end_rows();
        let failed = |error| Failure::of(&error, Verb::List, "ROOM");
        let Choice { nests, only_first_suits } = choice.map_err(failed)?;
        let asked = async {
            if only_first_suits {
                let yes = self.terminal.yes_or_no(&notices::this_one(purpose, &nests[0])).await;
                return Ok(yes.filter(|yes| *yes).map(|_| 0));
            }
            let items: Vec<_> = nests.iter().map(notices::choice).collect();
            Ok(self.terminal.choose(notices::which(purpose).0, &items).await)
        };
        let chosen = self.stop.unless(asked).await.map_err(failed)?;
        let nest = chosen.and_then(|at| nests.get(at)).ok_or_else(|| failed(Error::Cancelled))?;
        Ok(nest.reference())
    }

    /// Reads names of nests; the same room twice is one room.
    fn rooms(&self, names: &[String], settings: &Settings) -> Result<Vec<RoomRef>, Failure> {
        let mut rooms: Vec<RoomRef> = Vec::new();
        let mut seen = HashSet::new();
        for name in names {
            let room = self.sources.room(name)?;
            let api = settings.api_named(&room).map_err(|error| Failure::of(&error, Verb::Restart, name))?;
            // Without an API two hosts may have rooms of the same id.
            let host = if api.is_none() { room.host } else { None };
            if seen.insert((api, host, room.id.clone())) {
                rooms.push(room);
            }
        }
        Ok(rooms)
    }

    /// Prints what came of one nest: its document, or its text and what went wrong. Returns the exit code.
    fn conclude<T>(
        &self,
        room: &RoomRef,
        result: &Result<T, Failure>,
        document_of: impl FnOnce(&T) -> Value,
        text: impl FnOnce(&T, Paint) -> String,
    ) -> u8 {
        self.terminal.end_rows();
        let whole = || match result {
            Ok(done) => document_of(done),
            Err(failure) => document::failure(Some(room.id.as_str()), failure),
        };
        self.terminal.outcome(false, whole, |paint| result.as_ref().ok().map(|done| text(done, paint)));
        let Err(failure) = result else { return 0 };
        self.terminal.failure(None, failure);
        failure.exit.code()
    }
}

fn published_row(name: &str, published: &Published, paint: Paint) -> String {
    paint.row(name, &format!("{} on {}", clean(&published.status), clean(&published.accepted.join(", "))))
}

fn step_line(step: &Step, paint: Paint) -> String {
    let time = step.elapsed_ms.filter(|ms| *ms > 0).map(|ms| paint.dim(&format!(" · {ms} ms"))).unwrap_or_default();
    let detail = clean(&step.detail);
    let detail = if step.status == Status::NotChecked { paint.dim(&detail) } else { detail };
    let mut line = format!("  {} {:<9} {HANG}{detail}{time}", paint.mark(step.status), step.name);
    if let Some(hint) = &step.hint {
        line = format!("{line}\n              {} {HANG}{}", paint.good("hint:"), clean(hint));
    }
    line
}

/// The steps as a host thinks of them, by the parts of a nest: what says something, and what is wrong or was `missed`. Of a
/// part of which nothing is known, why.
fn parts(steps: &[Step], missed: &[&str], paint: Paint) -> Vec<String> {
    let mut lines = Vec::new();
    for label in PARTS {
        let of_part = || steps.iter().filter(|step| part(step.name) == label);
        let shown = |step: &&Step| match step.status {
            Status::Failed | Status::Warned => true,
            Status::Passed => is_telling(step.name),
            // A hint says how it would be.
            Status::NotChecked => missed.contains(&step.name) || step.hint.is_some(),
        };
        let unknown = of_part().all(|step| step.status == Status::NotChecked && !shown(&step));
        let first = if unknown { of_part().next() } else { None };
        for (at, step) in of_part().filter(shown).chain(first).enumerate() {
            let detail = clean(&step.detail);
            let detail = if step.status == Status::NotChecked { paint.dim(&detail) } else { detail };
            let label = paint.strong(&format!("{:<10}", if at == 0 { label } else { "" }));
            lines.push(format!("{} {label}  {HANG}{detail}", paint.mark(step.status)));
            let hint = step.hint.as_ref().map(|hint| format!("{:14}{} {HANG}{}", "", paint.good("hint:"), clean(hint)));
            lines.extend(hint);
        }
    }
    lines
}

/// The parts that these steps are about, for a verdict.
fn parts_of(steps: &[Step], of: impl Fn(&Step) -> bool) -> String {
    let named = PARTS.iter().filter(|label| steps.iter().any(|step| of(step) && part(step.name) == **label));
    named.map(|label| label.to_lowercase()).collect::<Vec<_>>().join(", ")
}

fn failed(steps: &[Step]) -> String {
    parts_of(steps, |step| step.status == Status::Failed)
}

fn joinable(check: &CheckReport) -> String {
    let by = check.media.as_ref().map(|media| format!(" by {}", media.protocol)).unwrap_or_default();
    let after = check.media_after.or(check.joined_after);
    format!("joinable{by}{}", after.map(|time| format!(" in {} ms", time.as_millis())).unwrap_or_default())
}

fn closes(check: &CheckReport) -> String {
    closes_at(check.room.as_ref().and_then(|room| room.closes_at.as_deref()))
}

/// `rfc3339`: when that is; empty where it is not known.
fn closes_at(rfc3339: Option<&str>) -> String {
    rfc3339.and_then(local_time).map(|time| format!("closes at {time} while empty")).unwrap_or_default()
}

/// The parts that are there, with dots between them.
fn joined(parts: impl IntoIterator<Item = String>) -> String {
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" · ")
}

/// An RFC 3339 time as the clock on the wall shows it.
fn local_time(rfc3339: &str) -> Option<String> {
    clock::parse_rfc3339(rfc3339).and_then(clock::local_time)
}
