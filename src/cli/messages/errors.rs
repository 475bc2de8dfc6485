//! The one place where errors become text, hints and an exit code.

pub(in crate::cli) mod api;
mod check;
pub(in crate::cli) mod key;

use std::time::Duration;

use self::api::Asking;
pub(in crate::cli) use self::check::gone;
use super::troubles::{self, Trouble};
use crate::api::address;
use crate::cli::document::ErrorDocument;
use crate::cli::exit::Exit;
use crate::commands::{Error, Progress, Signal};
use crate::key::npub;
use crate::{lock, relay, room};

const AGAIN: &str = "run it again: what was done is not done twice";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub exit: Exit,
    pub status: Option<u16>,
    pub message: String,
    pub causes: Vec<String>,
    pub hints: Vec<String>,
}

impl Failure {
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, status: None, message: message.into(), causes: Vec::new(), hints: Vec::new() }
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    pub fn cause(mut self, cause: impl Into<String>) -> Self {
        self.causes.push(cause.into());
        self
    }

    /// The same with the cause and the hint of a trouble.
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
    pub fn of(error: &Error, room: &str) -> Self {
        let new = |exit| Self::new(exit, error.to_string());
        match error {
            Error::Room(error) => of_room(error),
            Error::NoApi => new(Exit::Usage)
                .cause("neither the room nor the settings name the API that serves it")
                .hint("name it with --api https://…, or set NEST_API"),
            Error::NoEvent { .. } => {
                new(Exit::NotFound).hint("name a relay that has it: --relay wss://…, or the API: --api https://…")
            }
            Error::NoHost => new(Exit::Usage)
                .cause("nothing names a key, and the keyring has none")
                .hint("--host npub1…, or --key-file PATH, or once for all: nest key import"),
            Error::NoRoom { keyless: false } => new(Exit::Usage)
                .cause("none is named, and nobody is at the terminal to be asked")
                .hint("nest list shows them; a name is an id, naddr1…, a link, or @ALIAS"),
            Error::NoRoom { keyless: true } => new(Exit::Usage)
                .cause("none is named, and there is no key whose nests could be shown to choose from")
                .hint("name it: an id, naddr1…, a link, or @ALIAS")
                .hint("or keep your key in the OS keyring, once: nest key import"),
            Error::NothingToChoose => new(Exit::NotFound)
                .cause("the relays have no nest of this key")
                .hint("name a relay that has: --relay wss://…"),
            Error::Address { .. } => new(Exit::Usage).hint("give the key itself: --host npub1…"),
            Error::StillThere => new(Exit::Failed)
                .cause("a restart is enough, and keeps its links")
                .hint(format!("nest restart {room}"))
                .hint(format!("to have a new one all the same, close this one first: nest close {room}")),
            Error::NotPublished { refused, done } => {
                let failure = match done {
                    Some(_) => Self::new(Exit::Failed, "the nest was restarted, but its event could not be published"),
                    None => new(Exit::Failed).hint(AGAIN),
                };
                refused.iter().fold(failure, Self::cause)
            }
            Error::Relays(relay::Error::AllFailed(_)) => {
                new(Exit::Unreachable).hint("name the API, and no relay is needed: --api https://…")
            }
            Error::Relays(_) => new(Exit::Usage),
            Error::MediaOverQuic { relay } => new(Exit::Failed)
                .because(troubles::over_quic(relay, room))
                .hint("to reopen a nest that is over, publish its event again from the web app"),
            Error::ApiConflict { .. } => new(Exit::Usage).hint("leave out --api"),
            Error::Unavailable(why) => check::unavailable(why, room),
            Error::Unjoinable(checked) => check::unjoinable(checked),
            Error::NotAToken => no_session("what --token-file names is no token"),
            Error::NotAMediaServer => no_session("what --url names is no media server"),
            Error::Key(error) => key::failure(error),
            Error::NotHost { you, host, asked } => {
                let host = host.as_ref().map_or_else(|| "somebody else".into(), npub);
                let message = if *asked {
                    "not restarted: only the host can restart this nest"
                } else {
                    "only the host can restart this nest; nothing was sent"
                };
                Self { status: asked.then_some(403), ..Self::new(Exit::NotHost, message) }.because(troubles::not_host(
                    npub(you),
                    host,
                    room,
                ))
            }
            Error::Api(error) => api::failure(error, Asking::restart(room)),
            Error::NotRestarted(error) => api::not_restarted(error, room),
            Error::Server { source, attempts, signs } => api::server(source, *attempts, signs, room),
            Error::NoToken(source) => api::no_token(source, room),
            Error::Unknown { why } => {
                Self::new(Exit::Unknown, "the restart was sent and not answered: not seen so far, it may still happen")
                    .because(troubles::lost_answer(why, room))
            }
            Error::Busy { source: lock::Error::Busy, waited } => busy(*waited),
            Error::Busy { source, .. } => Self::new(Exit::Failed, source.to_string()),
            Error::Declined => new(Exit::Failed).hint("--yes asks nothing"),
            Error::Cancelled => new(Exit::Failed),
            Error::NotConfirmed => new(Exit::Usage).hint(format!("nest recreate {room} --yes")),
            Error::Unhealthy(restarted) => check::unhealthy(restarted.check.as_ref()),
            Error::Stopped(signal) => new(Exit::from(*signal)).hint(AGAIN),
            Error::Interrupted { signal, progress, done } => interrupted(*signal, *progress, done.is_some(), room),
        }
    }
}

fn of_room(error: &room::Error) -> Failure {
    Failure::new(Exit::Usage, error.to_string()).hint(match error {
        room::Error::WrongKind(30311) => {
            "30311 is a live stream, or a nest of the old kind: use the link of a new nest"
        }
        room::Error::LinkWithoutNest(_) => {
            "a link to a nest contains naddr1…; a room of the API ends in /api/v1/nests/<id>"
        }
        room::Error::Address(address::Error::Insecure(_)) => "use https://, or accept the risk with --allow-http",
        _ => "a nest is named by its id, naddr1…, its link, its API URL, or 30312:<pubkey>:<d>",
    })
}

fn no_session(message: &str) -> Failure {
    Failure::new(Exit::Usage, message).hint("nest check --url wss://… --token-file PATH")
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
            .hint(format!("restart it only if it is still dead: nest restart {room} --if-inactive")),
    }
}
