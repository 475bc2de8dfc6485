//! Every sentence that a person reads, in functions with arguments. The only place that names a flag.

/// A [`Note`] without a hint, written like `format!`.
macro_rules! note {
    ($($detail:tt)*) => { note(format!($($detail)*)) };
}

pub(super) mod advice;
pub mod check;
pub(super) mod configuration;
pub(super) mod doctor;
pub mod errors;
pub(super) mod init;
pub(super) mod manual;
pub(super) mod moq;
pub mod notices;
pub mod page;
pub(super) mod pairing;
pub mod troubles;

use std::time::Duration;

use serde::Serialize;

use self::advice::Advice;
use crate::clock;
use crate::net::tls::TlsFailure;
use crate::report::Status;

/// What the user called, as far as the wording of an error depends on it; and what a hint advises to call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Restart,
    Check,
    Token,
    Close,
    Recreate,
    Open,
    Status,
    Doctor,
    List,
    Init,
    KeyImport,
    KeyConnect,
    KeyRemove,
    KeyDefault,
    KeyList,
    KeyShow,
}

impl Verb {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Restart => "restart",
            Self::Check => "check",
            Self::Token => "token",
            Self::Close => "close",
            Self::Recreate => "recreate",
            Self::Open => "open",
            Self::Status => "status",
            Self::Doctor => "doctor",
            Self::List => "list",
            Self::Init => "init",
            Self::KeyImport => "key import",
            Self::KeyConnect => "key connect",
            Self::KeyRemove => "key remove",
            Self::KeyDefault => "key default",
            Self::KeyList => "key list",
            Self::KeyShow => "key show",
        }
    }

    /// The command for this nest, or for this key.
    pub(super) fn on(self, subject: &str) -> Advice {
        Advice::new(self, subject)
    }

    /// The command for all of them.
    pub(super) fn alone(self) -> Advice {
        self.on("")
    }

    /// What there would be to tell if it had worked.
    pub(super) fn done(self) -> &'static str {
        match self {
            Self::Restart => "the nest was restarted",
            Self::Token => "there is a token",
            Self::Close => "the nest was closed",
            Self::Recreate => "the nest was recreated",
            _ => "the nest is there",
        }
    }

    /// That it did not come to it.
    pub(super) fn not_done(self) -> &'static str {
        match self {
            Self::Restart => "not restarted",
            Self::Check => "not checked",
            Self::Token => "there is no token",
            Self::Close => "not closed",
            Self::Recreate => "not recreated",
            Self::Open => "not opened",
            _ => "not looked at",
        }
    }
}

/// One link of the chain.
// In words; the sentence above is the schema's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// A stable name, such as `signal`.
    pub name: &'static str,
    /// How it ended.
    pub status: Status,
    /// How long it took, in milliseconds.
    pub elapsed_ms: Option<u64>,
    /// What was seen, in a few words.
    pub detail: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Step {
    fn new(name: &'static str, status: Status, elapsed: Option<Duration>, note: Note) -> Self {
        let elapsed_ms = elapsed.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        Self { name, status, elapsed_ms, detail: note.detail, hint: note.hint }
    }
}

/// The parts that a host thinks of, in the order in which they depend on each other.
pub(in crate::cli) const PARTS: [&str; 5] = ["Your key", "Server", "Nest", "Audio room", "Sound"];

/// The part that a step of a check or of the doctor is about.
pub(in crate::cli) fn part(step: &str) -> &'static str {
    let at = match step {
        "key" | "signature" | "host" => 0,
        "config" | "clock" | "dns" | "proxy" | "tcp" | "tls" | "api" => 1,
        "event" | "record" | "clients" => 2,
        "media" | "publish" => 4,
        _ => 3,
    };
    PARTS[at]
}

/// Whether what a step has found says something to a host although all is well.
pub(in crate::cli) fn is_telling(step: &str) -> bool {
    matches!(step, "key" | "host" | "api" | "event" | "clients" | "record" | "room" | "media")
}

struct Note {
    detail: String,
    hint: Option<String>,
}

fn note(detail: impl Into<String>) -> Note {
    Note { detail: detail.into(), hint: None }
}

impl Note {
    fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

impl From<troubles::Trouble> for Note {
    fn from(trouble: troubles::Trouble) -> Self {
        note(trouble.cause).hint(trouble.hint)
    }
}

/// A time here, and whether it is the time of day alone: today's.
fn moment(ms: i64) -> (String, bool) {
    let text = clock::local_time(ms).unwrap_or_else(|| "an impossible time".into());
    let today = !text.contains(' ');
    (text, today)
}

/// What the event of a nest says that is over: a status, or else a time that is past.
fn says_over(status: &str) -> &str {
    if crate::relay::Status::parse(status).is_over() { status } else { "that it has ended" }
}

/// `text` with a capital letter in front, unless it begins with an address.
fn sentence(text: &str) -> String {
    if text.starts_with("ws") {
        return text.to_owned();
    }
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

pub(super) fn people(inside: u64) -> String {
    match inside {
        0 => "nobody inside".into(),
        1 => "1 person inside".into(),
        n => format!("{n} people inside"),
    }
}

/// The trouble behind a TLS connection that was not made. `plain` is the same address without TLS.
fn of_tls(failure: Option<&TlsFailure>, why: &str, health: &str, plain: &str) -> troubles::Trouble {
    match failure {
        Some(TlsFailure::Expired { .. } | TlsFailure::NotValidYet { .. }) => troubles::expired(why),
        Some(TlsFailure::WrongName { .. }) => troubles::wrong_name(why),
        Some(TlsFailure::UnknownIssuer { self_signed: true, .. }) => troubles::self_signed(why),
        Some(TlsFailure::UnknownIssuer { .. }) => troubles::unknown_issuer(why),
        Some(TlsFailure::NotTls) => troubles::not_tls(why, plain),
        Some(TlsFailure::Other(_)) | None => troubles::tls(why, health),
    }
}
