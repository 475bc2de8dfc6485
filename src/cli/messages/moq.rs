//! Nests on Media over QUIC in words: which client shows one, and what its relay and its auth service say.

use super::errors::{Exit, Failure};
use super::{Note, Step, Verb, note, notices, troubles};
use crate::api::ApiError;
use crate::clock::span;
use crate::commands::moq::{MoqFinding, MoqParts, Shown};
use crate::commands::restart::{RestartProof, Restarted};
use crate::moq::auth::AuthError;
use crate::relay::shown::Hidden;
use crate::report::{self, Status};

/// `nostrnests.com shows it · Amethyst does not: the event is 9 h old`
pub(in crate::cli) fn shown(clients: &[Shown]) -> String {
    each(clients).collect::<Vec<_>>().join(" · ")
}

fn each(clients: &[Shown]) -> impl Iterator<Item = String> {
    clients.iter().map(|Shown { client, hidden }| match hidden {
        None => format!("{} shows it", client.name),
        Some(why) => format!("{} does not: {}", client.name, hidden_words(why)),
    })
}

/// Why a client does not show a nest.
pub(in crate::cli) fn hidden_words(why: &Hidden) -> String {
    let span = |seconds: i64| span(seconds.saturating_mul(1000));
    match why {
        Hidden::StillLiveKit => "still LiveKit".into(),
        Hidden::Missing(tag) => format!("the event has no {tag:?}"),
        Hidden::NotHttps(tag) => format!("{tag:?} is no https URL"),
        Hidden::Status(word) => format!("status {word} is not shown"),
        Hidden::Over => "it is over".into(),
        Hidden::TooOld { age_s, limit_s } => {
            format!("the event is {} old, and {} are the most", span(*age_s), span(*limit_s))
        }
        Hidden::DatedAhead { by_s } => format!("the event is dated {} ahead", span(*by_s)),
        Hidden::NotYet { in_s, .. } => format!("it starts in {}", span(*in_s)),
        Hidden::Overdue { by_s, .. } => format!("it was to start {} ago", span(*by_s)),
        Hidden::NobodyPresent { last_s, onstage } => {
            let whom = if *onstage { "nobody on stage" } else { "nobody present" };
            match last_s {
                Some(last_s) => format!("{whom} for {}", span(*last_s)),
                None => whom.into(),
            }
        }
    }
}

/// What of its servers does not answer.
fn broken(parts: Option<&MoqParts>) -> impl Iterator<Item = Note> {
    let steps = parts.into_iter().flat_map(MoqParts::steps);
    let steps = steps.filter(|step| step.status == Status::Failed || step.had_no_time());
    steps.map(|step| words(&step.finding))
}

/// How it stands, line by line: who shows it, and what of its servers does not answer.
pub(in crate::cli) fn standing(clients: &[Shown], parts: Option<&MoqParts>) -> impl Iterator<Item = String> {
    each(clients).chain(broken(parts).map(|note| note.detail))
}

/// Why nobody gets into a nest that is open, or finds it.
pub(in crate::cli) fn inactive(clients: &[Shown], parts: Option<&MoqParts>, room: &str) -> Failure {
    let mut broken = broken(parts).peekable();
    let new = |message: &str| Failure::new(Exit::Unhealthy, message);
    if broken.peek().is_none() {
        let hidden = troubles::no_client(shown(clients), Verb::Restart.on(room));
        return new("people do not find this nest").because(hidden);
    }
    let failure = broken.fold(new("people cannot get into this nest"), |failure, Note { detail, hint }| {
        hint.into_iter().fold(failure.cause(detail), Failure::hint)
    });
    failure.hint(format!("to move it to other servers: {}", Verb::Restart.on(room).with("--relay-url", "https://…")))
}

/// Published again, and yet not back.
pub(super) fn unhealthy(restarted: &Restarted, room: &str) -> Failure {
    if restarted.proof == Some(RestartProof::OldRoom) {
        return Failure::new(Exit::Unhealthy, "the relays took the event, and still have the old one")
            .hint(format!("publish it again: {}", Verb::Restart.on(room)));
    }
    Failure::new(Exit::Unhealthy, "the event was published again, and no client shows this nest")
        .cause(shown(&restarted.shown))
        .hint("what is missing in the event, the web app or your client can add")
}

/// There is no token for a nest on Media over QUIC.
pub(super) fn no_token(auth: &str, error: &AuthError) -> Failure {
    let exit = match error {
        AuthError::Answer(error) => match error {
            ApiError::Unauthorized { .. } => Exit::Unauthorized,
            ApiError::RateLimited { .. } => Exit::RateLimited,
            ApiError::NotFound { .. } => Exit::NotFound,
            ApiError::Transport(_) => Exit::Unreachable,
            _ => Exit::Server,
        },
        AuthError::Address | AuthError::NestId | AuthError::OtherGrant => Exit::Failed,
    };
    let status = if let AuthError::Answer(error) = error { error.status() } else { None };
    let Note { detail, hint } = refusal(auth, error);
    let failure = Failure { status, ..Failure::new(exit, "there is no token") }.cause(detail);
    hint.into_iter().fold(failure, Failure::hint)
}

pub(super) fn in_words(step: &report::Step<MoqFinding>) -> Step {
    Step::new(step.name, step.status, step.elapsed, words(&step.finding))
}

pub(super) fn words(finding: &MoqFinding) -> Note {
    match finding {
        MoqFinding::Event { status, over: true } => {
            note!("its status is {status:?}: the nest is over").hint("a restart by its host reopens it")
        }
        MoqFinding::Event { status, over: false } => note!("its status is {status:?}"),
        MoqFinding::Shown(clients, Some(why)) => note!("{}; who is present is not known: {why}", shown(clients)),
        MoqFinding::Shown(clients, None) => note(shown(clients)),
        MoqFinding::NoRelay => {
            note("the event names no media relay").hint("a restart by its host with --relay-url names one")
        }
        MoqFinding::NoRelayAddress(text) => note!("{text} is no address"),
        MoqFinding::Relay { relay, port, answer: Err(error) } => troubles::quic_silent(relay, error, port).into(),
        MoqFinding::Relay { relay, answer: Ok(answer), .. } => {
            let versions = answer.versions.iter().map(|version| match version {
                1 => "1".to_owned(),
                0x6b33_43cf => "2".to_owned(),
                other => format!("{other:#x}"),
            });
            let versions = versions.collect::<Vec<_>>().join(", ");
            note!("{relay} answers by UDP at {} and speaks QUIC ({versions})", answer.address)
        }
        MoqFinding::NoAuth => {
            note("the event names no auth service").hint("a restart by its host with --auth-url names one")
        }
        MoqFinding::NoAuthAddress(text) => note!("{text} is no web address"),
        MoqFinding::AuthCleartext(text) => note!("{text} was not asked: tokens would travel in the clear"),
        MoqFinding::Auth(text, Ok(..500)) => note!("{text} answers"),
        MoqFinding::Auth(text, Ok(status)) => troubles::no_token(text, failing(*status)).into(),
        MoqFinding::Auth(text, Err(lost)) => troubles::no_token(text, lost).into(),
        MoqFinding::Token(text, Ok(())) => note!("{text} lets the host speak"),
        MoqFinding::Token(text, Err(error)) => refusal(text, error),
        MoqFinding::NotSpoken => note("nobody has listened: whether there is sound is not tried on Media over QUIC"),
    }
}

fn failing(status: u16) -> String {
    format!("it fails with status {status}")
}

/// What an auth service says in place of a token (nostrnests/nests 4fd42b6, moq-auth), and what to do about it.
pub(super) fn refusal(auth: &str, error: &AuthError) -> Note {
    let operator = |setting: &str| format!("for whoever runs {auth}: {setting}");
    let error = match error {
        AuthError::NestId => {
            return note(
                "the nest's id has characters that an auth service does not take (letters, digits, . _ - only)",
            )
            .hint("such a nest cannot run on Media over QUIC: open a new one");
        }
        AuthError::Address => {
            return note("the event names no auth service that may be asked over https")
                .hint("a restart by its host with --auth-url names one");
        }
        AuthError::OtherGrant => {
            return note!("{auth} gives a token that does not let the host speak in this nest")
                .hint(operator("its tokens have to name the nest and the key, as upstream's moq-auth does"));
        }
        AuthError::Answer(error) => error,
    };
    match error {
        ApiError::Unauthorized { clock_ahead_s, server_text, .. } => match server_text.as_str() {
            text if text.starts_with("Event too old") => {
                let (apart, side) = notices::apart(clock_ahead_s.unwrap_or_default());
                let clock = troubles::clock(apart, side);
                note!("{auth} refuses: {text}: {}", clock.cause).hint(clock.hint)
            }
            text if text.starts_with("URL host mismatch") => note!("{auth} refuses: {text}").hint(operator(
                "its proxy has to hand on the name that was asked for, proxy_set_header Host $http_host",
            )),
            text if text.starts_with("URL path mismatch") => note!("{auth} refuses: {text}")
                .hint(operator("its proxy must not change the path; or give its real address with --auth-url")),
            text => note!("{auth} refuses the signature: {text}")
                .hint(operator("is it an auth service for Media over QUIC, and up to date?")),
        },
        ApiError::RateLimited { retry_after, .. } => {
            let wait = retry_after.map_or(60, |wait| wait.as_secs());
            note!("{auth} takes no more requests from this address for now").hint(format!("try again in {wait} s"))
        }
        ApiError::NotFound { .. } => note!("there is no auth service at {auth}")
            .hint("a restart by its host with --auth-url gives its right address"),
        ApiError::Server { status: 400, server_text, .. } => {
            note!("{auth} does not take the name of this nest: {server_text}")
                .hint("such a nest cannot run on Media over QUIC: open a new one")
        }
        ApiError::Server { status, server_text, .. } => {
            troubles::no_token(auth, format!("{}: {server_text}", failing(*status))).into()
        }
        ApiError::Forbidden { server_text } => troubles::no_token(auth, format!("it refuses: {server_text}")).into(),
        ApiError::Redirect { target, .. } => {
            note!("{auth} redirects to {target}, and signatures are not sent elsewhere")
                .hint("a restart by its host with --auth-url gives its real address")
        }
        ApiError::Nonsense { status, why } => {
            note!("{auth} answers {status} {why}").hint("a restart by its host with --auth-url gives its right address")
        }
        error => troubles::no_token(auth, error).into(),
    }
}
