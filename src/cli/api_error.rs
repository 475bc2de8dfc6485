//! What goes wrong between here and the API, as text and hints.

use std::time::Duration;

use url::Url;

use super::advice::{self, Advice};
use super::context::{MAX_WAIT, RETRIES};
use super::error::Failure;
use super::exit::Exit;
use crate::api::address::API_PATH;
use crate::api::{Base, Error, Layer, Lost, Missing, Policy, Route};
use crate::clock::{self, Clock};
use crate::commands::ServerSigns;
use crate::net::tls;
use crate::room::RoomRef;

/// A clock that is further off does not run wrong: it was never set. Seconds.
const A_DAY: u64 = 24 * 60 * 60;

/// What was run, as far as an error's wording depends on it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asking<'a> {
    /// Without the room: `nest restart`.
    command: &'static str,
    room: &'a str,
    /// Whether the request that failed had a signature.
    signed: bool,
}

impl<'a> Asking<'a> {
    /// A request of a restart.
    pub(super) fn restart(room: &'a str) -> Self {
        Self { command: "nest restart", room, signed: true }
    }

    /// The request for the host's token.
    pub(super) fn token(room: &'a str) -> Self {
        Self { command: "nest token", ..Self::restart(room) }
    }

    /// What a check asks as a guest does.
    pub(super) fn check(room: &'a str) -> Self {
        Self { command: "nest check", room, signed: false }
    }

    /// The table of advice speaks of the restart; the same goes for the other commands.
    fn advised(&self, failure: Failure, advice: &Advice, known: &[(&str, &str)]) -> Failure {
        failure.cause(advice.cause(known)).hint(advice.hint(known).replace("nest restart", self.command))
    }
}

/// What to show for an answer that is not the one asked for, or for none.
pub(super) fn failure(error: &Error, asking: Asking<'_>) -> Failure {
    let room = asking.room;
    let new = |exit| Failure { status: error.status(), ..Failure::new(exit, error.to_string()) };
    match error {
        Error::Unauthorized { said, url, .. } if !asking.signed => Failure {
            message: "the API wants a signature where guests need none".into(),
            ..quoted(new(Exit::Unauthorized), said)
        }
        .cause(format!("{url} was asked without one"))
        .hint("check the address with --api; if it is right, tell the server's operator"),
        Error::Unauthorized { said, url, clock_ahead_s } => {
            unauthorized(quoted(new(Exit::Unauthorized), said), url, *clock_ahead_s, asking)
        }
        Error::Forbidden { said } => quoted(new(Exit::NotHost), said),
        Error::NotFound { missing, url, said } => {
            let mut failure = quoted(new(Exit::NotFound), said);
            if *missing == Missing::Endpoint && url.ends_with("/restart") {
                failure.message = "this server has no restart endpoint".into();
            }
            match missing {
                Missing::Record => failure.advised(&advice::RECORD_GONE, &[("room", room)]),
                Missing::AudioRoom => failure.advised(&advice::NO_AUDIO_ROOM, &[("room", room)]),
                Missing::Endpoint => failure.advised(&advice::NO_ENDPOINT, &[("url", url), ("health", &health(url))]),
                Missing::Unsaid => failure.because(&advice::LOST_404),
            }
        }
        Error::RateLimited { said, retry_after, policy } => {
            rate_limited(quoted(new(Exit::RateLimited), said), *retry_after, *policy, asking)
        }
        Error::Server { status: ..500, said, .. } => quoted(new(Exit::Server), said).hint(advice::NONSENSE.hint),
        Error::Server { said, retry_after, .. } => {
            let failure = quoted(new(Exit::Server), said).because(&advice::SERVER);
            match retry_after {
                Some(wait) => failure.hint(format!("it asks to try again {}", when(*wait))),
                None => failure,
            }
        }
        Error::Redirect { url, target, .. } => {
            let api = pointed_to(url, target);
            let known = [("room", room), ("api", api.as_deref().unwrap_or_default())];
            let failure = asking.advised(new(Exit::Server), &advice::REDIRECT, &known);
            if api.is_some() { failure } else { Failure { hints: vec![elsewhere(url, target)], ..failure } }
        }
        Error::Nonsense { .. } => new(Exit::Server).because(&advice::NONSENSE),
        Error::OtherRoom { .. } => new(Exit::Server).hint("do not use the new room; tell the server's operator"),
        Error::Lost(lost) => self::lost(lost),
    }
}

/// The same, where it is certain that nothing was restarted.
pub(super) fn not_restarted(error: &Error, room: &str) -> Failure {
    // Before that only guests' requests are sent.
    let signed = !matches!(error, Error::Unauthorized { url, .. } if !url.ends_with("/restart"));
    let failure = failure(error, Asking { signed, ..Asking::restart(room) });
    match error {
        Error::Lost(Lost::Unreachable { .. } | Lost::Unusable(_)) => failure,
        // What was not answered was a question only.
        Error::Lost(Lost::Unanswered(why)) => {
            Failure::new(Exit::Unreachable, "not restarted: the API does not say whether the nest runs").cause(why)
        }
        _ => Failure { message: format!("not restarted: {}", failure.message), ..failure },
    }
}

/// What to show for a 5xx, with what was `seen` of the server afterwards.
pub(super) fn server(error: &Error, attempts: u32, signs: &ServerSigns, room: &str) -> Failure {
    let mut failure = failure(error, Asking::restart(room));
    let tried = if attempts > 1 { format!(", tried {attempts} times") } else { String::new() };
    let status = error.status().map(|status| format!(" with status {status}")).unwrap_or_default();
    failure.message = format!("the restart failed{status}{tried}");
    failure.causes.extend(seen(signs));
    failure
}

/// What can be seen of a server that failed, one line each.
fn seen(signs: &ServerSigns) -> [String; 3] {
    let health = match &signs.health {
        Ok(()) => "/health: the API is up, which says nothing of Redis and LiveKit".into(),
        Err(error) => match error.status() {
            Some(status) => format!("/health: status {status}"),
            None => format!("/health: {error}"),
        },
    };
    let guest = match &signs.audio_room {
        Ok(true) => "/guest: there is an audio room, perhaps the old one".into(),
        Ok(false) => "/guest: there is no audio room, or LiveKit is down".into(),
        Err(error) => format!("/guest: {error}"),
    };
    let media = match &signs.media {
        None => "media server: nobody says where it is".into(),
        Some((endpoint, Ok(()))) => format!("{endpoint}: LiveKit answers"),
        Some((endpoint, Err(error))) => format!("{endpoint}: {error}"),
    };
    [health, guest, media]
}

/// What to show when the restart was proved, and its token is missing.
pub(super) fn no_token(error: &Error, room: &str) -> Failure {
    let cause = failure(error, Asking::restart(room));
    let failure = Failure::new(Exit::Failed, "the nest was restarted, but its token could not be fetched");
    let failure = std::iter::once(cause.message).chain(cause.causes).fold(failure, Failure::cause);
    Failure { status: cause.status, ..failure }
        .hint(format!("another restart brings another token: nest restart {room}"))
}

fn quoted(failure: Failure, said: &str) -> Failure {
    if said.is_empty() { failure } else { failure.cause(format!("the server says: {said}")) }
}

fn unauthorized(failure: Failure, url: &str, clock_ahead_s: Option<i64>, asking: Asking<'_>) -> Failure {
    let Some(ahead) = clock_ahead_s.filter(|ahead| ahead.unsigned_abs() >= 20) else {
        return asking.advised(failure, &advice::SIGNED_URL, &[("url", url), ("room", asking.room)]);
    };
    let apart = ahead.unsigned_abs();
    if apart <= A_DAY {
        let side = if ahead > 0 { "ahead of" } else { "behind" };
        return failure
            .advised(&advice::CLOCK, &[("apart", &clock::span(ahead.saturating_abs() * 1000)), ("side", side)]);
    }
    let now_ms = Clock::default().now_ms();
    let there_ms = now_ms.saturating_sub(ahead.saturating_mul(1000));
    let day = |ms| clock::rfc3339(ms).unwrap_or_else(|| "an impossible time".into());
    failure.advised(&advice::CLOCK_FAR, &[("there", &day(there_ms)), ("here", &day(now_ms))])
}

fn rate_limited(
    failure: Failure,
    retry_after: Option<Duration>,
    policy: Option<Policy>,
    asking: Asking<'_>,
) -> Failure {
    let Asking { command, room, .. } = asking;
    let when = match (retry_after, policy) {
        (None, _) => "in 15 minutes".into(),
        (Some(wait), Some(policy)) if wait.as_secs() < A_DAY => {
            let max_wait = format!(" --max-wait {}s", wait.as_secs() + 1);
            let more = if wait > policy.max_wait {
                format!("let it wait: {command} {room}{max_wait}")
            } else {
                let retries = policy.retries.saturating_mul(2).max(RETRIES);
                let max_wait = if wait > MAX_WAIT { max_wait } else { String::new() };
                format!("let it try more often: {command} {room} --retries {retries}{max_wait}")
            };
            format!("{}, or {more}", when(wait))
        }
        (Some(wait), _) => when(wait),
    };
    failure.advised(&advice::RATE_LIMIT, &[("when", &when)])
}

/// `in 5 s`, `after 14:32`, or the date if that is another day.
fn when(wait: Duration) -> String {
    let wait_ms = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
    if wait < Duration::from_mins(1) {
        return format!("in {}", clock::span(wait_ms.max(1000)));
    }
    let at = Clock::default().now_ms().saturating_add(wait_ms);
    let told = if wait.as_secs() < A_DAY { clock::local_hour_minute(at) } else { clock::rfc3339(at) };
    told.map_or_else(|| "in the far future".into(), |time| format!("after {time}"))
}

fn lost(lost: &Lost) -> Failure {
    match lost {
        Lost::Unreachable { host, layer, why, route, url } => unreachable(host, layer, why, route, url),
        Lost::Unanswered(why) => Failure::new(Exit::Unknown, format!("no answer: {why}")),
        Lost::Unusable(_) => Failure::new(Exit::Usage, lost.to_string()),
    }
}

fn unreachable(host: &str, layer: &Layer, why: &str, route: &Route, url: &Url) -> Failure {
    let failure = Failure::new(Exit::Unreachable, format!("cannot reach {host}; nothing was sent"));
    let addresses: Vec<_> = route.tried.iter().map(ToString::to_string).collect();
    let tried = if addresses.is_empty() { String::new() } else { format!(" (tried {})", addresses.join(", ")) };
    let (why, health, plain) = (format!("{why}{tried}"), health(url.as_str()), format!("http://{host}"));
    let name = url.host_str().unwrap_or(host);
    let known = [("why", why.as_str()), ("host", name), ("health", &health), ("plain", &plain)];
    let advice = match layer {
        Layer::Dns => &advice::DNS,
        Layer::Tls(Some(failure)) => match **failure {
            tls::TlsFailure::Expired { .. } | tls::TlsFailure::NotValidYet { .. } => &advice::EXPIRED,
            tls::TlsFailure::WrongName { .. } => &advice::WRONG_NAME,
            tls::TlsFailure::UnknownIssuer { .. } => &advice::UNKNOWN_ISSUER,
            tls::TlsFailure::NotTls => &advice::NOT_TLS,
            tls::TlsFailure::Other(_) => &advice::TLS,
        },
        Layer::Tls(None) => &advice::TLS,
        Layer::Refused | Layer::Connect | Layer::Proxy => &advice::REFUSED,
    };
    match (&route.via, layer) {
        (None, _) => failure.advised(advice, &known),
        (Some(via), Layer::Tls(_)) => failure
            .advised(advice, &known)
            .cause(format!("the connection went through the proxy {} ({})", via.host, via.variable)),
        (Some(via), _) => {
            let proxy = [("proxy", via.host.as_str()), ("variable", via.variable), ("why", &why), ("host", name)];
            failure.advised(&advice::PROXY, &proxy)
        }
    }
}

/// The page on which the API at `url` says that it is up.
fn health(url: &str) -> String {
    let base = RoomRef::parse(url).ok().and_then(|room| room.api);
    base.map_or_else(|| url.to_owned(), |base| base.health().to_string())
}

/// The API that a redirect points to, if it is the same call elsewhere, and can be pasted into a shell.
fn pointed_to(url: &str, target: &str) -> Option<String> {
    let (from, to) = (Url::parse(url).ok()?, Url::parse(target).ok()?);
    let call = &from.path()[from.path().rfind(API_PATH)?..];
    let base = target.strip_suffix(call)?;
    let usable = Base::parse(base).and_then(|base| base.secure(false)).is_ok();
    let harmless = base.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~%/:[]".contains(&b));
    (usable && harmless && to != from).then(|| base.to_owned())
}

/// What to do about any other redirect.
fn elsewhere(url: &str, target: &str) -> String {
    let host = |text| Url::parse(text).ok().and_then(|url| url.host_str().map(str::to_owned));
    match host(target) {
        Some(to) if host(url).is_some_and(|from| from != to) => {
            format!("if the API has moved to {to}, name its address there with --api")
        }
        _ => "check the address with --api".into(),
    }
}
