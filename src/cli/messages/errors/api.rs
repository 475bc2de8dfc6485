//! What goes wrong between here and the API.

use std::time::Duration;

use url::Url;

use super::super::advice::{Advice, quoted};
use super::super::{Verb, notices, of_tls};
use super::troubles::{self, Trouble};
use super::{Exit, Failure};
use crate::api::address::{self, API_PATH};
use crate::api::probe::Health;
use crate::api::{ApiError, ApiUrl, Missing, RetryPolicy, Route, TransportError, TransportLayer};
use crate::cli::settings::{MAX_WAIT, RETRIES};
use crate::clock::{self, Clock};
use crate::commands::ServerSigns;
use crate::room::RoomRef;

/// A clock that is further off does not run wrong: it was never set. Seconds.
const A_DAY: u64 = 24 * 60 * 60;

/// The request that failed, as far as an error's wording depends on it.
#[derive(Clone, Copy, Debug)]
pub(in crate::cli) struct RequestContext<'a> {
    pub verb: Verb,
    pub room: &'a str,
    /// Whether the request that failed had a signature.
    pub signed: bool,
}

impl<'a> RequestContext<'a> {
    pub(super) fn signed(verb: Verb, room: &'a str) -> Self {
        Self { verb, room, signed: true }
    }

    pub(super) fn restart(room: &'a str) -> Self {
        Self::signed(Verb::Restart, room)
    }

    fn again(&self) -> Advice {
        self.verb.on(self.room)
    }
}

pub(in crate::cli) fn failure(error: &ApiError, context: RequestContext<'_>) -> Failure {
    let room = context.room;
    let server_text = match error {
        ApiError::Unauthorized { server_text, .. }
        | ApiError::Forbidden { server_text }
        | ApiError::NotFound { server_text, .. }
        | ApiError::RateLimited { server_text, .. }
        | ApiError::Server { server_text, .. } => Some(server_text).filter(|server_text| !server_text.is_empty()),
        _ => None,
    };
    let new = |exit| {
        let failure = Failure { status: error.status(), ..Failure::new(exit, error.to_string()) };
        server_text
            .map(|server_text| format!("the server says: {server_text}"))
            .into_iter()
            .fold(failure, Failure::cause)
    };
    match error {
        ApiError::Unauthorized { url, .. } if !context.signed => {
            Failure { message: "the API wants a signature where guests need none".into(), ..new(Exit::Unauthorized) }
                .cause(format!("{url} was asked without one"))
                .hint("check the address with --api; if it is right, tell the server's operator")
        }
        ApiError::Unauthorized { url, clock_ahead_s, .. } => {
            new(Exit::Unauthorized).because(unauthorized(url, *clock_ahead_s, context))
        }
        ApiError::Forbidden { .. } => new(Exit::NotHost),
        ApiError::NotFound { missing, url, .. } => {
            let mut failure = new(Exit::NotFound);
            if *missing == Missing::Endpoint && address::is_restart(url) {
                failure.message = "this server has no restart endpoint".into();
            }
            failure.because(match missing {
                Missing::Record => troubles::record_gone(Verb::Recreate.on(room)),
                Missing::AudioRoom if context.verb == Verb::Close => troubles::only_a_record(Verb::Status.on(room)),
                Missing::AudioRoom => troubles::no_audio_room(Verb::Restart.on(room)),
                Missing::Endpoint => troubles::no_endpoint(url, lacks(context.verb), health(url)),
                Missing::Unsaid => troubles::lost_404(),
            })
        }
        ApiError::RateLimited { retry_after, policy, .. } => {
            new(Exit::RateLimited).because(troubles::rate_limit(next_try(*retry_after, *policy, context)))
        }
        ApiError::Server { status: ..500, .. } => new(Exit::Server).hint(troubles::nonsense(context.verb.done()).hint),
        ApiError::Server { retry_after, .. } => {
            let again = retry_after.map(|wait| format!("it asks to try again {}", when(wait)));
            again.into_iter().fold(new(Exit::Server).because(troubles::server()), Failure::hint)
        }
        ApiError::Redirect { url, target, .. } => {
            let api = pointed_to(url, target);
            let trouble = troubles::redirect(context.again().with("--api", api.as_deref().unwrap_or_default()));
            let hint = if api.is_some() { trouble.hint } else { elsewhere(url, target) };
            new(Exit::Server).cause(trouble.cause).hint(hint)
        }
        ApiError::Nonsense { .. } => new(Exit::Server).because(troubles::nonsense(context.verb.done())),
        ApiError::OtherRoom { .. } => new(Exit::Server).hint("do not use the new room; tell the server's operator"),
        ApiError::Transport(TransportError::Unanswered(why)) => unanswered(why, context),
        ApiError::Transport(error) => transport(error),
    }
}

/// The same, where it is certain that nothing was restarted.
pub(super) fn not_restarted(error: &ApiError, room: &str) -> Failure {
    // Before that only guests' requests are sent.
    let signed = !matches!(error, ApiError::Unauthorized { url, .. } if !address::is_restart(url));
    let failure = failure(error, RequestContext { signed, ..RequestContext::restart(room) });
    match error {
        ApiError::Transport(TransportError::Unreachable { .. } | TransportError::Unusable(_)) => failure,
        // What was not answered was a question only.
        ApiError::Transport(TransportError::Unanswered(why)) => {
            Failure::new(Exit::Unreachable, "not restarted: the API does not say whether the nest runs").cause(why)
        }
        _ => Failure { message: format!("not restarted: {}", failure.message), ..failure },
    }
}

/// What to show for a 5xx, with what was `seen` of the server afterwards.
pub(super) fn server(error: &ApiError, attempts: u32, signs: &ServerSigns, room: &str) -> Failure {
    let mut failure = failure(error, RequestContext::restart(room));
    let tried = if attempts > 1 { format!(", tried {attempts} times") } else { String::new() };
    let status = error.status().map(|status| format!(" with status {status}")).unwrap_or_default();
    failure.message = format!("the restart failed{status}{tried}");
    if let Some(down) = signs.health.as_ref().ok().and_then(Health::down) {
        failure.hints = vec![troubles::backend_down(down).hint];
    }
    failure.causes.extend(seen(signs));
    failure
}

fn seen(signs: &ServerSigns) -> [String; 3] {
    let up = "the API is up, which says nothing of Redis and LiveKit";
    let health = match &signs.health {
        Ok(health) => format!("/health: {}", health.down().unwrap_or(up)),
        Err(ApiError::Nonsense { status: 200, .. }) => format!("/health: {up}"),
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
pub(super) fn no_token(error: &ApiError, room: &str) -> Failure {
    let cause = failure(error, RequestContext::restart(room));
    let failure = Failure::new(Exit::Failed, "the nest was restarted, but its token could not be fetched");
    let failure = std::iter::once(cause.message).chain(cause.causes).fold(failure, Failure::cause);
    Failure { status: cause.status, ..failure }.hint(format!("ask for it again: {}", Verb::Token.on(room)))
}

fn unauthorized(url: &str, clock_ahead_s: Option<i64>, context: RequestContext<'_>) -> Trouble {
    let Some(ahead) = clock_ahead_s.filter(|ahead| ahead.unsigned_abs() >= 20) else {
        return troubles::signed_url(url, context.again().with("--api", "https://…"));
    };
    if ahead.unsigned_abs() <= A_DAY {
        let (apart, side) = notices::apart(ahead);
        return troubles::clock(apart, side);
    }
    let now_ms = Clock::default().now_ms();
    let there_ms = now_ms.saturating_sub(ahead.saturating_mul(1000));
    let day = |ms| clock::rfc3339(ms).unwrap_or_else(|| "an impossible time".into());
    troubles::clock_far(day(there_ms), day(now_ms))
}

/// When to try again after a 429, and how to have that done.
fn next_try(retry_after: Option<Duration>, policy: Option<RetryPolicy>, context: RequestContext<'_>) -> String {
    let Some(wait) = retry_after else { return "in 15 minutes".into() };
    let Some(policy) = policy.filter(|_| wait.as_secs() < A_DAY) else { return when(wait) };
    let waiting = |again: Advice| again.with("--max-wait", format!("{}s", wait.as_secs() + 1));
    if wait > policy.max_wait {
        return format!("{}, or let it wait: {}", when(wait), waiting(context.again()));
    }
    let again = context.again().with("--retries", policy.retries.saturating_mul(2).max(RETRIES));
    let again = if wait > MAX_WAIT { waiting(again) } else { again };
    format!("{}, or let it try more often: {again}", when(wait))
}

/// `in 5 s`, `after 14:32`, with the day if that is another.
fn when(wait: Duration) -> String {
    let wait_ms = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
    if wait < Duration::from_mins(1) {
        return format!("in {}", clock::span(wait_ms.max(1000)));
    }
    let at = Clock::default().now_ms().saturating_add(wait_ms);
    clock::local_time(at).map_or_else(|| "in the far future".into(), |time| format!("after {time}"))
}

/// What a server does not have that has no such endpoint.
fn lacks(verb: Verb) -> &'static str {
    if verb == Verb::Restart { "restart" } else { "this request" }
}

/// What was sent and not answered may have been done. A question has no such consequence.
fn unanswered(why: &str, context: RequestContext<'_>) -> Failure {
    let room = context.room;
    let failure = |message: &str| Failure::new(Exit::Unknown, message);
    match context.verb {
        Verb::Close if context.signed => failure("the nest may have been closed: the request was not answered")
            .because(troubles::lost_close(why, Verb::Status.on(room))),
        Verb::Recreate if context.signed => failure("not recreated so far: a request was not answered")
            .because(troubles::lost_creation(why, Verb::List.alone())),
        Verb::Token if context.signed => failure("no token has arrived, though one may have been given out")
            .because(troubles::lost_token(why, Verb::Status.on(room))),
        _ => failure(&format!("no answer: {why}")),
    }
}

fn transport(error: &TransportError) -> Failure {
    match error {
        TransportError::Unreachable { host, layer, why, route, url } => unreachable(host, layer, why, route, url),
        TransportError::Unanswered(why) => Failure::new(Exit::Unknown, format!("no answer: {why}")),
        TransportError::Unusable(_) => Failure::usage(error.to_string()),
    }
}

fn unreachable(host: &str, layer: &TransportLayer, why: &str, route: &Route, url: &Url) -> Failure {
    let failure = Failure::new(Exit::Unreachable, format!("cannot reach {host}; nothing was sent"));
    let addresses: Vec<_> = route.tried.iter().map(ToString::to_string).collect();
    let tried = if addresses.is_empty() { String::new() } else { format!(" (tried {})", addresses.join(", ")) };
    let why = format!("{why}{tried}");
    let name = url.host_str().unwrap_or(host);
    let trouble = match (layer, &route.via) {
        (TransportLayer::Tls(failure), _) => {
            of_tls(failure.as_deref(), &why, &health(url.as_str()), &format!("http://{host}"))
        }
        (_, Some(via)) => troubles::proxy(&via.host, via.variable, why, name),
        (TransportLayer::Barred, _) => troubles::barred(why, format!("--api {}", api_of(url.as_str()))),
        (TransportLayer::Dns, None) => troubles::dns(why, name),
        (TransportLayer::Refused | TransportLayer::Connect | TransportLayer::Proxy, None) => {
            troubles::refused(why, health(url.as_str()))
        }
    };
    let failure = failure.because(trouble);
    match (&route.via, layer) {
        (Some(via), TransportLayer::Tls(_)) => {
            failure.cause(format!("the connection went through the proxy {} ({})", via.host, via.variable))
        }
        _ => failure,
    }
}

/// The page on which the API at `url` says that it is up, for a shell.
fn health(url: &str) -> String {
    let base = RoomRef::parse(url).ok().and_then(|room| room.api);
    let page = base.map_or_else(|| url.to_owned(), |base| base.health().to_string());
    quoted(&page).into_owned()
}

/// The API to which a URL belongs, for a shell.
fn api_of(url: &str) -> String {
    let base = RoomRef::parse(url).ok().and_then(|room| room.api);
    quoted(&base.map_or_else(|| url.to_owned(), |base| base.to_string())).into_owned()
}

/// The API that a redirect points to, if it is the same call elsewhere, and can be pasted into a shell.
fn pointed_to(url: &str, target: &str) -> Option<String> {
    let (from, to) = (Url::parse(url).ok()?, Url::parse(target).ok()?);
    let call = &url[url.rfind(API_PATH)?..];
    let base = target.strip_suffix(call)?;
    let usable = ApiUrl::parse(base).and_then(|base| base.secure(false)).is_ok();
    let harmless = quoted(base) == base;
    (usable && harmless && to != from).then(|| base.to_owned())
}

fn elsewhere(url: &str, target: &str) -> String {
    let host = |text| Url::parse(text).ok().and_then(|url| url.host_str().map(str::to_owned));
    match host(target) {
        Some(to) if host(url).is_some_and(|from| from != to) => {
            format!("if the API has moved to {to}, name its address there with --api")
        }
        _ => "check the address with --api".into(),
    }
}
