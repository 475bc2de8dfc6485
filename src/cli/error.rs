//! The one place where errors become text, hints and an exit code.

use std::time::Duration;

use nostr::PublicKey;
use nostr::nips::nip19::ToBech32 as _;
use serde_json::{Value, json};

use super::advice::{self, Advice};
use super::api_error::Asking;
use super::exit::Exit;
use super::{api_error, check_error, key_error, nest_error};
use crate::api;
use crate::commands::{Error, Progress, Signal};
use crate::livekit::CheckReport;
use crate::report::Status;
use crate::{lock, relay, room};

/// An error, ready to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// How the program ends.
    pub exit: Exit,
    /// The HTTP status behind it.
    pub status: Option<u16>,
    /// What failed.
    pub message: String,
    /// Why, from near to far.
    pub causes: Vec<String>,
    /// What to do.
    pub hints: Vec<String>,
}

impl Failure {
    /// One without cause and hint.
    #[must_use]
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, status: None, message: message.into(), causes: Vec::new(), hints: Vec::new() }
    }

    /// The same with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// The same with a cause.
    #[must_use]
    pub(super) fn cause(mut self, cause: impl Into<String>) -> Self {
        self.causes.push(cause.into());
        self
    }

    /// The same with an advice that needs no filling in.
    #[must_use]
    pub fn because(self, advice: &Advice) -> Self {
        self.advised(advice, &[])
    }

    /// The same with an advice, filled in.
    #[must_use]
    pub(super) fn advised(self, advice: &Advice, known: &[(&str, &str)]) -> Self {
        self.cause(advice.cause(known)).hint(advice.hint(known))
    }

    /// The `error` of a JSON document.
    #[must_use]
    pub fn json(&self) -> Value {
        let mut error = json!({ "kind": self.exit.kind(), "message": self.whole_message(), "hints": self.hints });
        if let Some(status) = self.status {
            error["status"] = json!(status);
        }
        error
    }

    fn whole_message(&self) -> String {
        std::iter::once(&self.message).chain(&self.causes).map(String::as_str).collect::<Vec<_>>().join(": ")
    }

    /// What to show for `error`, which befell the room that the user calls `room`.
    #[must_use]
    pub fn of(error: &Error, room: &str) -> Self {
        match error {
            Error::Room(error) => self::room(error),
            Error::NoApi => Self::new(Exit::Usage, error.to_string())
                .cause("neither the room nor the settings name the API that serves it")
                .hint("name it with --api https://…, or set NEST_API"),
            Error::NoEvent { .. } => Self::new(Exit::NotFound, error.to_string())
                .hint("name a relay that has it: --relay wss://…, or the API: --api https://…"),
            Error::Relays(relay::RelayError::AllFailed(_)) => Self::new(Exit::Unreachable, error.to_string())
                .hint("name the API, and no relay is needed: --api https://…"),
            Error::Relays(_) => Self::new(Exit::Usage, error.to_string()),
            Error::MediaOverQuic { relay } => Self::new(Exit::Failed, error.to_string())
                .advised(&advice::OVER_QUIC, &[("relay", relay), ("room", room)])
                .hint("to reopen a nest that is over, publish its event again from the web app"),
            Error::ApiConflict { .. } => Self::new(Exit::Usage, error.to_string()).hint("leave out --api"),
            Error::Unavailable(why) => check_error::unavailable(why, room),
            Error::Unjoinable(checked) => check_error::unjoinable(checked),
            Error::NotAToken => Self::new(Exit::Usage, "what --token-file names is no token")
                .hint("nest check --url wss://… --token-file PATH"),
            Error::NotAMediaServer => Self::new(Exit::Usage, "what --url names is no media server")
                .hint("nest check --url wss://… --token-file PATH"),
            Error::Key(error) => key_error::failure(error),
            Error::NotHost { you, host, asked } => not_host(*you, *host, *asked, room),
            Error::Api(error) => api_error::failure(error, Asking::restart(room)),
            Error::NotRestarted(error) => api_error::not_restarted(error, room),
            Error::Server { source, attempts, signs } => api_error::server(source, *attempts, signs, room),
            Error::NoToken(source) => api_error::no_token(source, room),
            Error::Unknown { why } => {
                Self::new(Exit::Unknown, "the restart was sent and not answered: not seen so far, it may still happen")
                    .advised(&advice::LOST_ANSWER, &[("why", why), ("room", room)])
            }
            Error::Busy { source: lock::Error::Busy, waited } => busy(*waited),
            Error::Busy { source, .. } => Self::new(Exit::Failed, source.to_string()),
            Error::Declined => Self::new(Exit::Failed, error.to_string()).hint("--yes asks nothing"),
            Error::Unhealthy(restarted) => unhealthy(restarted.check.as_ref()),
            Error::NoHost
            | Error::NoRoom { .. }
            | Error::NothingToChoose
            | Error::Address { .. }
            | Error::StillThere
            | Error::NotPublished { .. }
            | Error::Cancelled
            | Error::NotConfirmed
            | Error::Stopped(_) => nest_error::failure(error, room),
            Error::Interrupted { signal, progress, done } => interrupted(*signal, *progress, done.is_some(), room),
        }
    }
}

fn room(error: &room::Error) -> Failure {
    let failure = Failure::new(Exit::Usage, error.to_string());
    match error {
        room::Error::WrongKind(30311) => {
            failure.hint("30311 is a live stream, or a nest of the old kind: use the link of a new nest")
        }
        room::Error::LinkWithoutNest(_) => {
            failure.hint("a link to a nest contains naddr1…; a room of the API ends in /api/v1/nests/<id>")
        }
        room::Error::Address(api::address::Error::Insecure(_)) => {
            failure.hint("use https://, or accept the risk with --allow-http")
        }
        _ => failure.hint("a nest is named by its id, naddr1…, its link, its API URL, or 30312:<pubkey>:<d>"),
    }
}

fn not_host(you: PublicKey, host: Option<PublicKey>, asked: bool, room: &str) -> Failure {
    let host = host.map_or_else(|| "somebody else".into(), npub);
    let message = if asked {
        "not restarted: only the host can restart this nest"
    } else {
        "only the host can restart this nest; nothing was sent"
    };
    let failure = Failure { status: asked.then_some(403), ..Failure::new(Exit::NotHost, message) };
    failure.advised(&advice::NOT_HOST, &[("you", &npub(you)), ("host", &host), ("room", room)])
}

fn npub(key: PublicKey) -> String {
    key.to_bech32().unwrap_or_else(|_| key.to_hex())
}

fn busy(waited: Duration) -> Failure {
    let failure = Failure::new(Exit::Busy, "not restarted").because(&advice::BUSY);
    if waited.is_zero() {
        return failure;
    }
    let hint = format!("it has not ended in {} s: find it with `pgrep -a nest`", waited.as_secs());
    Failure { hints: vec![hint], ..failure }
}

fn interrupted(signal: Signal, progress: Progress, done: bool, room: &str) -> Failure {
    let exit = Exit::from(signal);
    let look = || format!("restart it only if it is still dead: nest restart {room} --if-inactive");
    match progress {
        _ if done => Failure::new(exit, "interrupted; the nest was restarted, and the check was not finished"),
        Progress::NothingSent => Failure::new(exit, "interrupted; nothing was sent"),
        Progress::Refused => Failure::new(exit, "interrupted before the next attempt; not restarted"),
        Progress::MayBeDone => {
            Failure::new(exit, "interrupted after the restart was sent: the nest may have restarted").hint(look())
        }
    }
}

/// Restarted, or looked at, and not well: the steps that failed are the causes.
fn unhealthy(check: Option<&CheckReport>) -> Failure {
    let steps = check.map(|check| check.steps.as_slice()).unwrap_or_default();
    let failed: Vec<_> = steps.iter().filter(|step| step.status == Status::Failed).collect();
    let Some(first) = failed.first() else {
        let failure = Failure::new(Exit::Unhealthy, "the nest was restarted, but the check came to no result");
        let signal = steps.iter().find(|step| step.name == "signal");
        return signal.into_iter().fold(failure, |failure, step| {
            let failure = failure.cause(step.detail.clone());
            step.hint.iter().fold(failure, |failure, hint| failure.hint(hint.clone()))
        });
    };
    let message = format!("the API says that the nest was restarted, but the check failed at `{}`", first.name);
    // A step that has no advice of its own failed because the one before it did.
    let telling = failed.into_iter().enumerate().filter(|(at, step)| *at == 0 || step.hint.is_some());
    telling.fold(Failure::new(Exit::Unhealthy, message), |failure, (_, step)| {
        let failure = failure.cause(step.detail.clone());
        step.hint.iter().fold(failure, |failure, hint| failure.hint(hint.clone()))
    })
}
