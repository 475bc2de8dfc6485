//! The one place where errors become text, hints and an exit code.

pub(in crate::cli) mod api;

use std::path::Path;
use std::time::Duration;

use self::api::RequestContext;
use super::advice::quoted;
use super::troubles::{self, Trouble};
use super::{Step, Verb, check, moment, moq, says_over};
use crate::api::{ApiError, Missing, TransportError, address};
use crate::cli::document::ErrorDocument;
use crate::clock::Clock;
use crate::commands::check::{Checked, Report, Unavailable};
use crate::commands::key::KeyCommandError;
use crate::commands::restart::{RestartProof, Restarted, RoomAfter};
use crate::commands::{Error, HalfDone, NestKind, Progress, Signal};
use crate::key::file::SecretFileError;
use crate::key::keyring::KeyringError;
use crate::key::parse::KeyParseError;
use crate::key::{BunkerUriError, KeyError, KeyOrigin, SessionError, SignerError, npub};
use crate::livekit::{CheckReport, Verdict};
use crate::report::Status;
use crate::{lock, relay, room};

const AGAIN: &str = "run it again: what was done is not done twice";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub exit: Exit,
    pub status: Option<u16>,
    pub message: String,
    /// The line that it is about, and a mark below it.
    pub excerpt: Vec<String>,
    pub causes: Vec<String>,
    pub hints: Vec<String>,
}

impl Failure {
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, status: None, message: message.into(), excerpt: Vec::new(), causes: Vec::new(), hints: Vec::new() }
    }

    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    pub fn cause(mut self, cause: impl Into<String>) -> Self {
        self.causes.push(cause.into());
        self
    }

    pub(crate) fn because(self, trouble: Trouble) -> Self {
        self.cause(trouble.cause).hint(trouble.hint)
    }

    pub(in crate::cli) fn with_sources(mut self, error: &dyn std::error::Error) -> Self {
        let mut source = error.source();
        while let Some(error) = source {
            self = self.cause(error.to_string());
            source = error.source();
        }
        self
    }

    fn step(self, step: Step) -> Self {
        let failure = self.cause(step.detail);
        step.hint.into_iter().fold(failure, Self::hint)
    }

    pub(in crate::cli) fn document(&self) -> ErrorDocument {
        let message = std::iter::once(&self.message).chain(&self.causes).map(String::as_str);
        ErrorDocument {
            kind: self.exit.kind(),
            message: message.collect::<Vec<_>>().join(": "),
            hints: self.hints.clone(),
            status: self.status,
        }
    }

    /// What to show for `error`, which befell the room that the user calls `room`.
    pub fn of(error: &Error, verb: Verb, room: &str) -> Self {
        let new = |exit| Self::new(exit, error.to_string());
        match error {
            Error::Room(error) => of_room(error),
            Error::NoApi => new(Exit::Usage)
                .cause("neither the room nor the settings name the API that serves it")
                .hint("name it with --api https://…, or set NEST_API")
                .hint(format!("or have it kept in the configuration: {}", Verb::Init.alone())),
            Error::NoEvent { .. } => {
                new(Exit::NotFound).hint("name a relay that has it: --relay wss://…, or the API: --api https://…")
            }
            Error::NoHost => no_host(new(Exit::Usage)),
            Error::NoRoom { keyless: false } => new(Exit::Usage)
                .cause("none is named, and nobody is at the terminal to be asked")
                .hint(format!("{} shows them; a name is an id, naddr1…, a link, or @ALIAS", Verb::List.alone())),
            Error::NoRoom { keyless: true } => new(Exit::Usage)
                .cause("none is named, and there is no key whose nests could be shown to choose from")
                .hint("name it: an id, naddr1…, a link, or @ALIAS")
                .hint(format!("or set it up, once, with your server, your key and your nest: {}", Verb::Init.alone())),
            Error::NothingToChoose => new(Exit::NotFound)
                .cause("the relays have no nest of this key")
                .hint("name a relay that has: --relay wss://…"),
            Error::Address { .. } => new(Exit::Usage).hint("give the key itself: --host npub1…"),
            Error::StillThere => new(Exit::Failed)
                .cause("a restart is enough, and keeps its links")
                .hint(format!("restart it: {}", Verb::Restart.on(room)))
                .hint(format!("to have a new one all the same, close this one first: {}", Verb::Close.on(room))),
            Error::NotPublished { refused, done } => {
                let failure = match done {
                    Some(_) => Self::new(Exit::Failed, "the nest was restarted, but its event could not be published"),
                    None => new(Exit::Failed).hint(AGAIN),
                };
                refused.iter().fold(failure, Self::cause)
            }
            Error::Relays(relay::RelayError::AllFailed(failed)) => {
                // To others the event of a nest only says where its API is.
                let needs_event = matches!(verb, Verb::List | Verb::Recreate | Verb::Close | Verb::Open);
                unheard(new(Exit::Unreachable), failed, needs_event)
            }
            Error::Relays(_) => new(Exit::Usage),
            Error::OverQuic(_) => new(Exit::Failed)
                .cause("a restart publishes its event anew")
                .hint(format!("restart it: {}", Verb::Restart.on(room))),
            Error::NotRepublished(checked) => failed_steps(checked)
                .chain(unanswered_steps(checked))
                .fold(new(Exit::Unhealthy), Self::step)
                .hint(format!("to publish it all the same: {}", Verb::Restart.on(room).with("--force", ""))),
            Error::NoServers => new(Exit::Usage).hint("name them: --relay-url https://… --auth-url https://…"),
            Error::StateUnknown { why } => {
                new(Exit::Unhealthy).cause(why).hint(format!("to restart it all the same: {}", Verb::Restart.on(room)))
            }
            Error::Auth { auth, source } => moq::no_token(auth, source),
            Error::ApiConflict { .. } => new(Exit::Usage).hint("leave out --api"),
            Error::Unavailable(why) => unavailable(why, room),
            Error::Unjoinable(checked) => unjoinable(checked),
            Error::NotAToken => no_session("what --token-file names is no token"),
            Error::NotAMediaServer => no_session("what --url names is no media server"),
            Error::Key(error) => of_key(error),
            Error::HalfSigned { done, source } => half_signed(new(Exit::Key), *done, source, room),
            Error::NotHost { you, host, asked } => {
                let host = host.as_ref().map_or_else(|| "somebody else".into(), npub);
                let message = if *asked {
                    format!("{}: only the host can {} this nest", verb.not_done(), verb.name())
                } else {
                    format!("only the host can {} this nest; nothing was sent", verb.name())
                };
                Self { status: asked.then_some(403), ..Self::new(Exit::NotHost, message) }.because(troubles::not_host(
                    npub(you),
                    host,
                    verb.on(room).with("--key-file", "PATH"),
                ))
            }
            Error::Api(error) => api::failure(error, RequestContext::signed(verb, room)),
            Error::NotKnown => new(Exit::NotFound)
                .hint(format!("is the name right, and the API? {} shows your nests", Verb::List.alone()))
                .hint("name a relay that has its event: --relay wss://…"),
            Error::Elsewhere { .. } | Error::Over { .. } => not_here(error, room),
            Error::StillRuns => new(Exit::Unhealthy).cause("its event was left as it is").hint(format!(
                "the audio room closes once everybody has left; then run this again. Is anybody inside? {}",
                Verb::Status.on(room)
            )),
            Error::NotRestarted(error) => api::not_restarted(error, room),
            Error::Server { source, attempts, signs } => api::server(source, *attempts, signs, room),
            Error::NoToken(source) => api::no_token(source, room),
            Error::Unknown { why } => {
                Self::new(Exit::Unknown, "the restart was sent and not answered: not seen so far, it may still happen")
                    .because(troubles::lost_answer(why, Verb::Status.on(room)))
            }
            Error::Busy { source: lock::LockError::Busy, waited } => busy(*waited),
            Error::Busy { source, .. } => Self::new(Exit::Failed, source.to_string()),
            Error::Declined => new(Exit::Failed).hint("--yes asks nothing"),
            Error::Cancelled => new(Exit::Failed),
            Error::NotConfirmed => {
                new(Exit::Usage).hint(format!("to say yes beforehand: {}", Verb::Recreate.on(room).with("--yes", "")))
            }
            Error::Unhealthy(restarted) if restarted.kind == NestKind::Moq => moq::unhealthy(restarted, room),
            Error::Unhealthy(restarted) => not_well(restarted, room),
            Error::Stopped(signal) => new(Exit::from(*signal)).hint(AGAIN),
            Error::Interrupted { signal, progress, done } => interrupted(*signal, *progress, done.is_some(), room),
        }
    }
}

pub(in crate::cli) fn of_room(error: &room::RoomRefError) -> Failure {
    Failure::usage(error.to_string()).hint(match error {
        room::RoomRefError::WrongKind(30311) => {
            "30311 is a live stream, or a nest of the old kind: use the link of a new nest"
        }
        room::RoomRefError::LinkWithoutNest(_) => {
            "a link to a nest contains naddr1…, or ends in /n/<id>; a room of the API ends in /api/v1/nests/<id>"
        }
        room::RoomRefError::Address(address::AddressError::Insecure(_)) => {
            "use https://, or accept the risk with --allow-http"
        }
        _ => "a nest is named by its id, naddr1…, its link, its API URL, or 30312:<pubkey>:<d>",
    })
}

fn no_host(failure: Failure) -> Failure {
    failure
        .cause("nothing names a key, and the keyring has none")
        .hint(format!("--key-file PATH, or once for all: {}", Verb::KeyImport.alone()))
        .hint(format!("or somebody's: {}", Verb::List.alone().with("--host", "npub1…")))
}

/// The API has no record, and the event says why.
fn not_here(error: &Error, room: &str) -> Failure {
    let hint = match error {
        Error::Elsewhere { api } => format!("restart it there: {}", Verb::Restart.on(room).with("--api", api)),
        Error::Over { successor: Some(successor) } => {
            format!("another nest took its place: {}", Verb::Restart.on(successor))
        }
        _ => format!("to bring it back all the same: {}", Verb::Recreate.on(room)),
    };
    Failure { status: Some(404), ..Failure::new(Exit::NotFound, error.to_string()) }.hint(hint)
}

fn half_signed(failure: Failure, done: HalfDone, source: &KeyError, room: &str) -> Failure {
    let key = of_key(source);
    let failure = std::iter::once(key.message).chain(key.causes).fold(failure, Failure::cause);
    let next = match done {
        HalfDone::Restarted => format!("for its token: {}", Verb::Token.on(room)),
        HalfDone::Evicted => format!("nobody can join until it is restarted: {}", Verb::Restart.on(room)),
        HalfDone::Closed | HalfDone::Created => AGAIN.into(),
    };
    key.hints.into_iter().fold(failure, Failure::hint).hint(next)
}

fn no_session(message: &str) -> Failure {
    Failure::usage(message).hint("both are to be named: `nest check --url wss://… --token-file PATH`")
}

fn busy(waited: Duration) -> Failure {
    let failure = Failure::new(Exit::Busy, "not restarted").because(troubles::busy());
    if waited.is_zero() {
        return failure;
    }
    let hint = format!("it has not ended in {} s: find it with `pgrep -a nest`", waited.as_secs());
    Failure { hints: vec![hint], ..failure }
}

fn interrupted(signal: Signal, progress: Progress, done: bool, room: &str) -> Failure {
    let failure = |message: &str| Failure::new(Exit::from(signal), message);
    match progress {
        _ if done => failure("interrupted; the nest was restarted, and the check was not finished"),
        Progress::NothingSent => failure("interrupted; nothing was sent"),
        Progress::Refused => failure("interrupted before the next attempt; not restarted"),
        Progress::MayBeDone => failure("interrupted after the restart was sent: the nest may have restarted")
            .hint(format!("restart it only if it is still dead: {}", Verb::Restart.on(room).with("--if-inactive", ""))),
    }
}

fn unavailable(why: &Unavailable, room: &str) -> Failure {
    let mut failure = api::failure(&why.source, RequestContext { verb: Verb::Check, room, signed: false });
    if let ApiError::Transport(TransportError::Unanswered(why)) = &why.source {
        failure.message = "the API does not say whether this nest runs".into();
        failure.causes = vec![why.clone()];
    }
    if let Some(status) = &why.over {
        failure.causes.push(format!("its event says {}: the nest is over", says_over(status)));
    }
    let missing = if let ApiError::NotFound { missing, .. } = &why.source { Some(*missing) } else { None };
    if let Some(down) = why.down {
        return Failure { hints: Vec::new(), ..failure }.because(troubles::backend_down(down));
    }
    match missing {
        Some(Missing::AudioRoom) if why.ours => {
            Failure { hints: vec![format!("you are its host: {}", Verb::Restart.on(room))], ..failure }
        }
        Some(Missing::Record) if why.ours => failure,
        Some(Missing::Endpoint | Missing::Unsaid) => failure,
        Some(Missing::AudioRoom | Missing::Record) => {
            Failure { hints: vec![host(why, "its host can bring it back")], ..failure }
        }
        None => {
            let failure = failure.hint(format!("see which link is broken: {}", Verb::Doctor.on(room)));
            if why.host.is_some() && !why.ours { failure.hint(host(why, "its host may know more")) } else { failure }
        }
    }
}

fn host(why: &Unavailable, what: &str) -> String {
    match &why.host {
        Some(host) => format!("{what}: write to {}", npub(host)),
        None => format!("{what}; who that is, the nest's link or naddr says"),
    }
}

fn failed_steps(checked: &Checked) -> impl Iterator<Item = Step> {
    check::of(&checked.report).into_iter().filter(|step| step.status == Status::Failed)
}

/// The servers of a nest on Media over QUIC that would have needed more time.
fn unanswered_steps(checked: &Checked) -> impl Iterator<Item = Step> {
    let steps = if let Report::OverQuic(report) = &checked.report { report.steps.as_slice() } else { &[] };
    steps.iter().filter(|step| step.had_no_time()).map(moq::in_words)
}

/// An endpoint was tried, and people cannot join: the steps that failed are the causes.
fn unjoinable(checked: &Checked) -> Failure {
    let failed: Vec<_> = failed_steps(checked).collect();
    let message = match failed.first() {
        Some(step) => format!("this nest is not well: the check failed at `{}`", step.name),
        None => "nobody was let in, and nothing shows why: the check came to no result".into(),
    };
    let failure = failed.into_iter().fold(Failure::new(Exit::Unhealthy, message), Failure::step);
    match &checked.host {
        Some(host) => failure.hint(format!("if the nest is not yours, tell its host: {}", npub(host))),
        None => failure,
    }
}

/// Restarted, and people cannot join.
fn not_well(restarted: &Restarted, room: &str) -> Failure {
    let failure = |message: &str| Failure::new(Exit::Unhealthy, message);
    let Some(report) = restarted.telling_check() else {
        return match (restarted.proof, &restarted.room) {
            (
                Some(RestartProof::OldRoom),
                Some(RoomAfter { sid, created_ms, closes_after_s: Some(seconds), empty }),
            ) => {
                let age = check::created(Some(Clock::default().now_ms().saturating_sub(*created_ms)));
                let (restart, check) = (Verb::Restart.on(room), Verb::Check.on(room).with("--join", ""));
                failure("the API says that the nest was restarted, but the old room still runs").because(if *empty {
                    troubles::old_empty_room(sid, age, seconds, check, restart)
                } else {
                    troubles::old_room(sid, age, seconds, restart.with("--evict", ""))
                })
            }
            _ => failure("the API says that the nest was restarted, but there is no audio room")
                .because(troubles::no_room(Verb::Doctor.on(room))),
        };
    };
    match restarted.proof {
        _ if report.verdict != Verdict::Joinable => unhealthy(report),
        Some(RestartProof::NoRoom) => {
            failure("the nest was joinable, and one more restart, for its full life, has left it without an audio room")
                .because(troubles::no_room(Verb::Doctor.on(room)))
        }
        _ => failure("the nest was joinable, and one more restart, for its full life, came to no result")
            .hint(format!("see whether it still runs: {}", Verb::Status.on(room))),
    }
}

fn unhealthy(report: &CheckReport) -> Failure {
    let steps = check::steps(report);
    let Some(first) = steps.iter().position(|step| step.status == Status::Failed) else {
        let failure = Failure::new(Exit::Unhealthy, "the nest was restarted, but the check came to no result");
        return steps.into_iter().filter(|step| step.name == "signal").fold(failure, Failure::step);
    };
    let name = steps[first].name;
    let message = format!("the API says that the nest was restarted, but the check failed at `{name}`");
    // A step that has no advice of its own failed because the one before it did.
    let telling = |step: &Step| step.status == Status::Failed && (step.name == name || step.hint.is_some());
    steps.into_iter().filter(telling).fold(Failure::new(Exit::Unhealthy, message), Failure::step)
}

/// A nest without a record: no restart helps.
pub(in crate::cli) fn gone(no_event: bool, room: &str) -> Failure {
    if no_event {
        return Failure { exit: Exit::Unhealthy, ..Failure::of(&Error::NotKnown, Verb::Status, room) };
    }
    Failure::new(Exit::Unhealthy, Missing::Record.to_string()).because(troubles::record_gone(Verb::Recreate.on(room)))
}

/// A nest whose event says that it is to come; `starts_ms` is when.
pub(in crate::cli) fn planned(starts_ms: Option<i64>, room: &str) -> Failure {
    let failure = Failure::new(Exit::Unhealthy, "this nest is planned, and has not begun");
    let failure = match starts_ms.map(moment) {
        Some((time, _)) => failure.cause(format!("its event says that it starts at {time}")),
        None => failure.cause("its event does not say when it starts"),
    };
    failure.hint(format!("when its time has come: {}", Verb::Restart.on(room).with("--publish-status", "")))
}

pub(super) fn of_key(error: &KeyError) -> Failure {
    let failure = Failure::new(Exit::Key, error.to_string());
    match error {
        KeyError::Missing => failure.because(troubles::no_key()),
        KeyError::Unreadable { cause, .. } | KeyError::Passphrase(cause) => unreadable(failure, cause),
        KeyError::PassphraseNeeded { .. } => {
            failure.hint("give the passphrase in a file: --passphrase-file PATH (mode 0600)")
        }
        KeyError::Keyring(error) => of_keyring(failure, error),
        KeyError::Signer { origin, cause } => of_signer(failure, *origin == KeyOrigin::EnvBunker, cause),
        KeyError::Unusable { cause: KeyParseError::Bunker, .. } => {
            failure.with_sources(error).hint(format!("pair with the signer instead: {}", Verb::KeyConnect.alone()))
        }
        KeyError::Bunker(BunkerUriError::Scheme) => failure
            .with_sources(error)
            .hint("it holds a whole bunker:// URI; the name of a signer is for --bunker NAME"),
        KeyError::Bunker(_) => {
            failure.with_sources(error).hint("a signer shows it whole: bunker://<key>?relay=wss://…")
        }
        KeyError::Session(error) => of_session(error),
        KeyError::StaysInSigner { .. } => {
            failure.hint(format!("a signer is paired with, once, and then named: {}", Verb::KeyConnect.alone()))
        }
        _ => failure.with_sources(error),
    }
}

/// A signer that has not said no may do so later, or be asked again.
fn not_paired(failure: Failure, cause: &SignerError) -> Failure {
    match cause {
        SignerError::Unreachable(why) => failure.because(troubles::meeting(why)),
        SignerError::Silent { .. } | SignerError::Gone { .. } => failure.because(troubles::pairing_silent(cause)),
        SignerError::NotApproved { url, .. } => failure.because(troubles::pairing_not_approved(cause, url)),
        cause => of_signer(failure, false, cause),
    }
}

/// `each_run`: it is paired with in each run.
fn of_signer(failure: Failure, each_run: bool, cause: &SignerError) -> Failure {
    let again = Verb::KeyConnect.alone();
    let trouble = match cause {
        SignerError::Unreachable(why) => troubles::signer_unreachable(why, again),
        SignerError::Silent { .. } | SignerError::Gone { .. } => troubles::signer_silent(cause),
        SignerError::NotApproved { url, .. } => troubles::signer_not_approved(cause, url),
        SignerError::Refused(why) => troubles::signer_refused(why, again),
        SignerError::NotPaired { why, secret: false } => troubles::signer_without_secret(why),
        SignerError::NotPaired { why, .. } if each_run => troubles::signer_each_run(why, again),
        SignerError::NotPaired { why, .. } => troubles::signer_not_paired(why),
        SignerError::TooLong(_) => troubles::signer_too_long(cause),
        SignerError::TooLate(_) => troubles::signer_too_late(cause),
        SignerError::OtherKey { .. } => troubles::signer_of_other_key(cause, again),
        SignerError::Nonsense(_) | SignerError::Forged => troubles::signer_forges(cause),
    };
    failure.because(trouble)
}

pub(in crate::cli) fn of_session(error: &SessionError) -> Failure {
    let failure = Failure::new(Exit::Key, error.to_string()).with_sources(error);
    match error {
        SessionError::Unknown { name, known } => {
            let pair = failure.hint(format!("pair with it: {}", Verb::KeyConnect.alone().with("--name", name)));
            if known.is_empty() { pair } else { pair.hint(format!("known are {}", known.join(", "))) }
        }
        SessionError::Damaged { .. } => failure.hint(format!("pair again: {}", Verb::KeyConnect.alone())),
        SessionError::Unfinished { .. } => failure.hint(format!(
            "allow nest in the signer, and pair again, with the same bunker:// URI: {}",
            Verb::KeyConnect.alone()
        )),
        SessionError::ClientKey { cause: KeyringError::Unusable(_), .. } => failure.hint(format!(
            "unlock the keyring; or pair again, and have it kept in a file: {}",
            Verb::KeyConnect.alone().with("--to-file", "")
        )),
        SessionError::ClientKey { .. } => failure.hint(format!("pair again: {}", Verb::KeyConnect.alone())),
        SessionError::File { .. } => failure,
    }
}

/// A key that is not there cannot be taken away.
pub(in crate::cli) fn of_key_removal(error: &KeyCommandError) -> Failure {
    let hint = match error {
        KeyCommandError::Key(KeyError::Keyring(KeyringError::Unknown { .. } | KeyringError::Empty)) => {
            format!("{} shows those that are there", Verb::KeyList.alone())
        }
        KeyCommandError::Key(KeyError::Keyring(KeyringError::Unusable(_))) => {
            "call it in the desktop session that the keyring belongs to".into()
        }
        _ => return of_key_command(error),
    };
    Failure { hints: vec![hint], ..of_key_command(error) }
}

/// A key that is to be imported may be there, and not be named.
pub(in crate::cli) fn of_key_import(error: &KeyCommandError) -> Failure {
    let failure = of_new_key(error, "run this again with --to-file");
    match error {
        KeyCommandError::Key(KeyError::Missing) => {
            Failure { hints: vec!["name where it is: --key-file PATH, or - for stdin".into()], ..failure }
        }
        _ => failure,
    }
}

/// A command that would have kept a key in the keyring, and does without if it is told so.
pub(in crate::cli) fn of_new_key(error: &KeyCommandError, in_file: &str) -> Failure {
    let failure = of_key_command(error);
    match error {
        KeyCommandError::Key(KeyError::Keyring(KeyringError::Unusable(_))) => {
            Failure { hints: vec![format!("without a desktop session keep it in a file: {in_file}")], ..failure }
        }
        _ => failure,
    }
}

pub(in crate::cli) fn of_key_command(error: &KeyCommandError) -> Failure {
    let new = |exit| Failure::new(exit, error.to_string());
    match error {
        KeyCommandError::Key(error) => of_key(error),
        KeyCommandError::NotPaired(cause) => not_paired(new(Exit::Key), cause),
        KeyCommandError::NotScanned(cause @ SignerError::Silent { .. }) => {
            new(Exit::Key).because(troubles::not_scanned(cause))
        }
        KeyCommandError::NotScanned(cause) => not_paired(new(Exit::Key), cause),
        KeyCommandError::WhichOne { npubs } => {
            npubs.iter().map(|npub| Verb::KeyRemove.on(npub).to_string()).fold(new(Exit::Usage), Failure::hint)
        }
        KeyCommandError::NotConfirmed { .. } => new(Exit::Failed).hint("--yes asks nothing"),
        KeyCommandError::NoPassphrase => {
            new(Exit::Key).hint("give it in a file: --passphrase-file PATH (mode 0600; - is stdin)")
        }
        KeyCommandError::NotWritten(SecretFileError::Exists(_)) => {
            new(Exit::Usage).with_sources(error).hint("nothing is ever overwritten: name another file")
        }
        _ => new(Exit::Key).with_sources(error),
    }
}

/// A second key would take the first one's place. `setting` names the first, `which`.
pub(in crate::cli) fn key_named((setting, which): (&str, &str), config: &Path) -> Failure {
    Failure::usage(format!("the configuration already names a key: {setting} = {which:?}")).hint(format!(
        "take `{setting}` out of {} first; or keep this key for a profile: --profile NAME",
        config.display()
    ))
}

/// How to use a key file that the configuration does not name.
pub(in crate::cli) fn use_key_file(path: &Path) -> String {
    format!("the key is in {0}: use it with --key-file {0}", quoted(&path.to_string_lossy()))
}

fn unreadable(failure: Failure, cause: &SecretFileError) -> Failure {
    match cause {
        SecretFileError::NotOurs { path, uid } => {
            failure.because(troubles::key_owner(quoted(&path.to_string_lossy()), uid))
        }
        SecretFileError::TooOpen { path, mode } => {
            failure.because(troubles::key_mode(quoted(&path.to_string_lossy()), format!("{mode:04o}")))
        }
        SecretFileError::NotFound(_) => failure.cause(cause.to_string()).hint("correct the path; - stands for stdin"),
        other => failure.cause(other.to_string()),
    }
}

fn of_keyring(failure: Failure, error: &KeyringError) -> Failure {
    let failure = failure.with_sources(error);
    match error {
        KeyringError::Unusable(_) => failure.hint(troubles::keyring().hint),
        KeyringError::Undecided { npubs } | KeyringError::Unknown { npubs, .. } => {
            npubs.iter().map(|npub| Verb::KeyDefault.on(npub).to_string()).fold(failure, Failure::hint)
        }
        KeyringError::Empty | KeyringError::Gone { .. } => {
            failure.hint(format!("put it there: {}", Verb::KeyImport.alone()))
        }
        _ => failure,
    }
}

/// A line of the table of exit codes.
#[derive(Debug)]
pub struct Row {
    pub exit: Exit,
    pub code: u8,
    /// `error.kind` in JSON.
    pub kind: &'static str,
    pub meaning: &'static str,
}

macro_rules! exits {
    ($($exit:ident $code:literal $kind:literal $meaning:literal;)*) => {
        /// How the program ends, other than well.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Exit {
            $(#[doc = $meaning] $exit,)*
        }

        pub const TABLE: [Row; 14] = [$(Row { exit: Exit::$exit, code: $code, kind: $kind, meaning: $meaning }),*];
    };
}

exits! {
    Failed 1 "failed" "failed in a way that no other code names; several rooms failed for different reasons";
    Busy 1 "busy" "another restart of this room is running on this machine";
    Usage 2 "usage" "wrong usage or configuration";
    Key 3 "key" "no usable host key: none, unreadable, wrong passphrase, locked keyring, signer refused or silent";
    Unauthorized 4 "unauthorized" "the API rejected the signature (401)";
    NotHost 5 "notHost" "not the host of this nest (403)";
    NotFound 6 "notFound" "no such nest, no audio room, or no such endpoint (404)";
    Server 7 "server" "the server failed: 5xx, other 4xx, a redirect, an answer that makes no sense";
    Unreachable 8 "unreachable" "DNS, connect or TLS failed; nothing was sent";
    Unknown 9 "unknown" "sent but never answered: it may have restarted";
    Unhealthy 10 "unhealthy" "restarted, or asked to check, but it cannot be joined, or the old room still runs";
    RateLimited 11 "rateLimited" "the API takes no more requests for now (429)";
    Interrupted 130 "interrupted" "interrupted by Ctrl-C; it says whether the request was out";
    Terminated 143 "interrupted" "ended by SIGTERM; it says whether the request was out";
}

impl Exit {
    fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }

    pub fn code(self) -> u8 {
        self.row().code
    }

    fn kind(self) -> &'static str {
        self.row().kind
    }
}

impl From<Signal> for Exit {
    fn from(signal: Signal) -> Self {
        match signal {
            Signal::Interrupt => Self::Interrupted,
            Signal::Terminate => Self::Terminated,
        }
    }
}

/// The code of a run over several rooms: an interruption before all, else the common one, else 1.
pub(in crate::cli) fn common(exits: &[Exit]) -> u8 {
    let interrupted = exits.iter().find(|exit| matches!(exit, Exit::Interrupted | Exit::Terminated));
    match (interrupted, exits) {
        (Some(exit), _) => exit.code(),
        (None, []) => 0,
        (None, [first, rest @ ..]) if rest.iter().all(|exit| exit == first) => first.code(),
        _ => Exit::Failed.code(),
    }
}

/// The table for `--help` and the man page.
pub(in crate::cli) fn help() -> String {
    let lines = TABLE.iter().map(|row| format!("  {:>3}  {:<13} {}", row.code, row.kind, row.meaning));
    std::iter::once("    0                done".to_owned()).chain(lines).collect::<Vec<_>>().join("\n")
}

/// The table for the README.
pub fn markdown() -> String {
    let lines = TABLE.iter().map(|row| format!("| {} | `{}` | {} |\n", row.code, row.kind, row.meaning));
    format!(
        "| code | kind | meaning |\n|---|---|---|\n| 0 | | done; with `--check`: done and joinable |\n{}",
        lines.collect::<String>()
    )
}

/// No relay has answered; some were perhaps not called. `needs_event`: knowing the API would not be enough.
fn unheard(failure: Failure, failed: &[relay::FailedRelay], needs_event: bool) -> Failure {
    let barred = failed.iter().find(|failed| matches!(failed.trouble, relay::RelayTrouble::Barred(_)));
    if let Some(relay::FailedRelay { relay, trouble }) = barred {
        return failure.hint(troubles::barred(trouble, format!("--relay {relay}")).hint);
    }
    failure.hint(if needs_event {
        "is this machine online? Your nests are found on relays; name those that have them: --relay wss://…"
    } else {
        "name the API, and no relay is needed: --api https://…"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_has_one_line() {
        for row in &TABLE {
            assert_eq!(row.exit.row().exit, row.exit);
        }
    }

    #[test]
    fn whoever_removes_a_key_is_not_told_to_make_it_the_default() {
        let unknown = KeyringError::Unknown { npub: "npub1a".into(), npubs: vec!["npub1b".into()] };
        assert_eq!(of_key_removal(&unknown.into()).hints, ["`nest key list` shows those that are there"]);
    }

    #[test]
    fn several_rooms_have_one_code() {
        assert_eq!(common(&[]), 0);
        assert_eq!(common(&[Exit::NotFound, Exit::NotFound]), 6);
        assert_eq!(common(&[Exit::NotFound, Exit::Server]), 1);
        assert_eq!(common(&[Exit::NotFound, Exit::Interrupted]), 130);
    }
}
