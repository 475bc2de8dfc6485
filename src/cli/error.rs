//! The one place where errors become text, hints and an exit code.

use std::time::Duration;

use nostr::PublicKey;
use nostr::nips::nip19::ToBech32 as _;
use serde_json::{Value, json};

use super::advice::{self, Advice};
use super::exit::Exit;
use super::key_error;
use crate::api::{self, Layer, Lost, Missing};
use crate::clock::{self, Clock};
use crate::commands::{Error, Signal};
use crate::livekit::CheckReport;
use crate::report::Status;
use crate::{lock, room};

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
                .hint(format!("nest restart {room} --api https://…, or set NEST_API")),
            Error::ApiConflict { .. } => Self::new(Exit::Usage, error.to_string()).hint("leave out --api"),
            Error::Key(error) => key_error::failure(error),
            Error::NotHost { you, host, asked } => not_host(*you, *host, *asked, room),
            Error::Api(error) => api(error, room),
            Error::Server { source, seen } => {
                let mut failure = api(source, room);
                failure.causes.extend(seen.iter().cloned());
                failure
            }
            Error::Unknown { why } => {
                Self::new(Exit::Unknown, "the restart was sent and not answered: not seen so far")
                    .advised(&advice::LOST_ANSWER, &[("why", why), ("room", room)])
            }
            Error::Busy(lock::Error::Busy) => Self::new(Exit::Busy, "not restarted").advised(&advice::BUSY, &[]),
            Error::Busy(error) => Self::new(Exit::Failed, error.to_string()),
            Error::Declined => Self::new(Exit::Failed, error.to_string()).hint("--yes asks nothing"),
            Error::Unhealthy(restarted) => unhealthy(restarted.check.as_ref()),
            Error::Interrupted { signal, sent, done } => interrupted(*signal, *sent, done.is_some(), room),
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
        "only the host can restart this nest"
    } else {
        "only the host can restart this nest; nothing was sent"
    };
    let failure = Failure { status: asked.then_some(403), ..Failure::new(Exit::NotHost, message) };
    failure.advised(&advice::NOT_HOST, &[("you", &npub(you)), ("host", &host), ("room", room)])
}

fn npub(key: PublicKey) -> String {
    key.to_bech32().unwrap_or_else(|_| key.to_hex())
}

fn api(error: &api::Error, room: &str) -> Failure {
    let new = |exit| Failure { status: error.status(), ..Failure::new(exit, error.to_string()) };
    match error {
        api::Error::Unauthorized { said, url, clock_ahead_s } => {
            let failure = quoted(new(Exit::Unauthorized), said);
            match clock_ahead_s.filter(|ahead| ahead.unsigned_abs() >= 20) {
                Some(ahead) => {
                    let side = if ahead > 0 { "ahead of" } else { "behind" };
                    let seconds = ahead.unsigned_abs().to_string();
                    failure.advised(&advice::CLOCK, &[("seconds", &seconds), ("side", side)])
                }
                None => failure.advised(&advice::SIGNED_URL, &[("url", url), ("room", room)]),
            }
        }
        api::Error::Forbidden { said } => quoted(new(Exit::NotHost), said),
        api::Error::NotFound { missing, said } => {
            let failure = quoted(new(Exit::NotFound), said);
            match missing {
                Missing::Record => failure.advised(&advice::RECORD_GONE, &[]),
                Missing::AudioRoom => failure.advised(&advice::NO_AUDIO_ROOM, &[("room", room)]),
                Missing::Endpoint => failure.advised(&advice::NO_ENDPOINT, &[]),
            }
        }
        api::Error::RateLimited { said, retry_after } => rate_limited(new(Exit::RateLimited), said, *retry_after),
        api::Error::Server { said, .. } => {
            let said = if said.is_empty() { "it does not say what" } else { said };
            new(Exit::Server).advised(&advice::SERVER, &[("said", said)])
        }
        api::Error::Redirect { target, .. } => new(Exit::Server).advised(&advice::REDIRECT, &[("target", target)]),
        api::Error::Nonsense { .. } => new(Exit::Server).hint(advice::NONSENSE.hint),
        api::Error::OtherRoom { .. } => new(Exit::Server).hint("do not use the new room; tell the server's operator"),
        api::Error::Lost(lost) => self::lost(lost),
    }
}

fn quoted(failure: Failure, said: &str) -> Failure {
    if said.is_empty() { failure } else { failure.cause(format!("the server says: {said}")) }
}

fn rate_limited(failure: Failure, said: &str, retry_after: Option<Duration>) -> Failure {
    let said = if said.is_empty() { "too many requests" } else { said };
    let at = retry_after.and_then(|wait| {
        let wait_ms = i64::try_from(wait.as_millis()).ok()?;
        clock::local_hour_minute(Clock::default().now_ms().checked_add(wait_ms)?)
    });
    let when = at.map_or_else(|| "in 15 minutes".into(), |time| format!("after {time}"));
    let wait = retry_after.map_or_else(|| "15m".into(), |wait| format!("{}s", wait.as_secs() + 1));
    failure.advised(&advice::RATE_LIMIT, &[("said", said), ("when", &when), ("wait", &wait)])
}

fn lost(lost: &Lost) -> Failure {
    match lost {
        Lost::Unreachable { host, layer, why, proxy } => {
            let failure = Failure::new(Exit::Unreachable, format!("cannot reach {host}; nothing was sent"));
            let name = host.rsplit_once(':').map_or(host.as_str(), |(name, _)| name);
            let health = format!("https://{host}/health");
            let known = [("why", why.as_str()), ("host", name), ("health", health.as_str())];
            match (proxy, layer) {
                (Some(variable), _) => failure.advised(&advice::PROXY, &[("variable", variable), ("why", why)]),
                (None, Layer::Dns) => failure.advised(&advice::DNS, &known),
                (None, Layer::Tls(_)) => failure.advised(&advice::TLS, &known),
                (None, _) => failure.advised(&advice::REFUSED, &known),
            }
        }
        Lost::Unanswered(why) => Failure::new(Exit::Unknown, format!("no answer: {why}")),
        Lost::Unusable(_) => Failure::new(Exit::Usage, lost.to_string()),
    }
}

fn interrupted(signal: Signal, sent: bool, done: bool, room: &str) -> Failure {
    let exit = match signal {
        Signal::Interrupt => Exit::Interrupted,
        Signal::Terminate => Exit::Terminated,
    };
    if done {
        Failure::new(exit, "interrupted; the nest was restarted, the check was not finished")
    } else if sent {
        Failure::new(exit, "interrupted after the request was sent: the nest may have restarted")
            .hint(format!("look before repeating: nest restart {room} --if-inactive"))
    } else {
        Failure::new(exit, "interrupted; nothing was sent")
    }
}

/// Restarted, or looked at, and not well: the steps that failed are the causes.
fn unhealthy(check: Option<&CheckReport>) -> Failure {
    let failed: Vec<_> = check
        .map(|check| check.steps.iter().filter(|step| step.status == Status::Failed).collect())
        .unwrap_or_default();
    let message = match failed.first() {
        Some(step) => format!("restarted, but the check failed at {}", step.name),
        None => "restarted, but the check came to no result".into(),
    };
    failed.into_iter().fold(Failure::new(Exit::Unhealthy, message), |failure, step| {
        let failure = failure.cause(step.detail.clone());
        step.hint.iter().fold(failure, |failure, hint| failure.hint(hint.clone()))
    })
}
