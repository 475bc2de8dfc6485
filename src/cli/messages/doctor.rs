//! What the doctor found, in words: one line a link, in the order in which they depend on each other.

use std::time::Duration;

use nostr::PublicKey;

use super::errors;
use super::{Note, Step, Verb, check, moment, moq, of_tls, troubles};
use crate::api::probe::Health;
use crate::api::{self, Missing, TransportError, TransportLayer};
use crate::cli::document::{DoctorDocument, DoctorVerdict};
use crate::clock::{Clock, rfc3339};
use crate::commands::Error;
use crate::commands::doctor::{ApiConnection, DoctorFindings, Media, ServerFindings};
use crate::commands::list::NestState;
use crate::commands::moq::MoqReport;
use crate::key::{self, npub};
use crate::livekit::endpoint::Candidate;
use crate::livekit::media::AudioFailure;
use crate::livekit::validate::ValidateError;
use crate::livekit::{Finding, Offset};
use crate::net::dial::{DialCause, DialLayer};
use crate::net::tls::{TlsFailure, TlsSession};
use crate::report::{self, Status};

/// A difference of clocks that nothing suffers from, in seconds.
const HARMLESS_S: i64 = 20;
/// Above this the clock is not one that runs wrong, and `nest` does not believe it.
const A_DAY_S: i64 = 24 * 60 * 60;
/// A certificate that is not renewed by now will not be.
const SOON_S: i64 = 3 * A_DAY_S;

/// Less than the minute in which a room closes once the last one has left.
const NEW_MS: i64 = 45_000;

const NO_API: &str = "nobody says which API it would be";
const NO_CONNECTION: &str = "there is no connection to the API";
const NO_TIME: &str = "the time was used up; give it more with --timeout";
const LIVEKIT_SILENT: &str = "for the operator: is LiveKit running, and does its proxy pass on WebSockets?";
const BY_PROXY: &str = "the proxy does that";

/// One link, and what to do next if it is the first that is broken.
struct Link {
    status: Status,
    detail: String,
    hint: Option<String>,
    next: Option<String>,
    elapsed: Option<Duration>,
    /// It should have been looked at, and could not be.
    missed: bool,
}

fn link(status: Status, detail: impl Into<String>) -> Link {
    Link { status, detail: detail.into(), hint: None, next: None, elapsed: None, missed: false }
}

fn passed(detail: impl Into<String>) -> Link {
    link(Status::Passed, detail)
}

fn failed(detail: impl Into<String>) -> Link {
    link(Status::Failed, detail)
}

fn warned(detail: impl Into<String>) -> Link {
    link(Status::Warned, detail)
}

fn not_checked(detail: impl Into<String>) -> Link {
    link(Status::NotChecked, detail)
}

fn missed(detail: impl Into<String>) -> Link {
    Link { missed: true, ..not_checked(detail) }
}

impl Link {
    fn took(self, elapsed: impl Into<Option<Duration>>) -> Self {
        Self { elapsed: elapsed.into(), ..self }
    }

    fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// What to do next, in place of the hint.
    fn next(self, next: impl Into<String>) -> Self {
        Self { next: Some(next.into()), ..self }
    }
}

/// The doctor's report. `named` stands for the nest in a command to paste, `config` is where the configuration was read.
pub(in crate::cli) fn document(found: &DoctorFindings, named: &str, config: &str) -> DoctorDocument {
    let links = links(found, if found.room.is_some() { named } else { "ROOM" }, config);
    let broken = links.iter().find(|(_, link)| link.status == Status::Failed);
    let missed: Vec<_> = links.iter().filter(|(_, link)| link.missed).map(|(name, _)| *name).collect();
    let (verdict, next) = match (broken, missed.is_empty()) {
        (Some((_, link)), _) => {
            (DoctorVerdict::Unhealthy, link.next.as_ref().or(link.hint.as_ref()).cloned().unwrap_or_default())
        }
        (None, false) => {
            let told = links.iter().filter(|(_, link)| link.missed).find_map(|(_, link)| link.hint.clone());
            let slow = || match &found.over_quic {
                Some(_) => "it may need more time: --timeout 10s".to_owned(),
                None => format!("it may need more time (--timeout); if it has, {}", troubles::server().hint),
            };
            (DoctorVerdict::Unknown, told.unwrap_or_else(slow))
        }
        (None, true) if found.room.is_some() => (DoctorVerdict::Healthy, Verb::Check.on(named).bare()),
        (None, true) => (DoctorVerdict::Healthy, Verb::Doctor.on("ROOM").bare()),
    };
    let step = |(name, link): (&'static str, Link)| {
        Step::new(name, link.status, link.elapsed, Note { detail: link.detail, hint: link.hint })
    };
    let next_is_command = ["nest ", "timedatectl "].iter().any(|command| next.starts_with(command));
    let nothing = found.room.is_none() && found.key.is_none() && matches!(found.api, Err(Error::NoApi));
    let begin = if nothing { begin() } else { Vec::new() };
    DoctorDocument { verdict, next, next_is_command, begin, missed, steps: links.into_iter().map(step).collect() }
}

/// How to begin where there is nothing yet.
fn begin() -> Vec<String> {
    vec![
        "Nothing is set up yet: there is no key, and nobody says which server.".into(),
        format!("It asks for both, and proves them: {}", Verb::Init.alone()),
        "To try it all on this machine, without a key or a server: `nest mock -- nest restart demo --check`".into(),
        String::new(),
        format!("next: {}", Verb::Init.alone()),
    ]
}

fn links(found: &DoctorFindings, named: &str, config: &str) -> Vec<(&'static str, Link)> {
    let server = found.server();
    let at = |none: &str, link: &dyn Fn(&ServerFindings) -> Link| server.map_or_else(|| not_checked(none), link);
    let mut links = vec![
        ("config", passed(config)),
        ("key", own_key(found, named)),
        ("clock", at("there is no API to compare it with", &clock)),
        ("dns", at(NO_API, &dns)),
        ("proxy", at(NO_API, &proxy)),
        ("tcp", at(NO_API, &tcp)),
        ("tls", at(NO_API, &tls)),
        ("api", api(found, named)),
        ("signature", at("there is no API to show one to", &|server| signature(found, server, named))),
    ];
    if let Some(looked) = &found.over_quic {
        links.extend([("event", event(found, named)), ("host", host(found, named))]);
        links.extend(looked.as_ref().map_or_else(|_| vec![("relay", missed(NO_TIME))], |seen| over_quic(seen, named)));
    } else if found.room.is_some() {
        links.extend([
            ("event", event(found, named)),
            ("record", at("there is no API to have one", &|server| record(found, server, named))),
            ("host", host(found, named)),
            ("room", at("there is no API to ask for it", &|server| room(found, server, named))),
            ("endpoints", at("there is no API", &|_| endpoints(found))),
            ("signal", signal(found)),
            ("media", media(found, named)),
        ]);
    }
    links
}

/// Who shows a nest on Media over QUIC, and whether its servers answer.
fn over_quic((state, report): &(NestState, MoqReport), named: &str) -> Vec<(&'static str, Link)> {
    let restart = Verb::Restart.on(named).bare();
    // A restart publishes nothing while these do not answer.
    let answered = !report.steps.iter().any(|step| step.status == Status::Failed || step.had_no_time());
    let steps = report.steps.iter().filter(|step| step.name != "event");
    let links = steps.map(|step| {
        let Note { detail, hint } = moq::words(&step.finding);
        let clients = step.name == "clients";
        let link = match step.status {
            _ if step.had_no_time() => missed(detail),
            _ if clients && *state == NestState::Unknown && answered => missed(detail),
            _ if clients && *state == NestState::Inactive && answered => {
                failed(detail).hint("its host's restart publishes it anew").next(&restart)
            }
            status => Link { hint, ..link(status, detail) },
        };
        (step.name, link.took(step.elapsed))
    });
    links.collect()
}

fn own_key(found: &DoctorFindings, named: &str) -> Link {
    match &found.key {
        Some(Ok(key)) => passed(format!("{}, from {}", key.npub(), key.source())),
        None => warned("there is none: looking needs no key, restarting does")
            .hint(format!("keep yours in the keyring: {}; or name it with --key-file PATH", Verb::KeyImport.alone())),
        Some(Err(error)) => {
            let hint = match &**error {
                key::KeyError::Signer { .. } | key::KeyError::Session(_) | key::KeyError::Bunker(_) => {
                    return unsigned(error);
                }
                key::KeyError::PassphraseNeeded { .. } => {
                    "name a file that holds the passphrase: --passphrase-file PATH"
                }
                key::KeyError::Keyring(_) => {
                    "unlock the keyring, or use --key-file PATH (mode 0600), or a systemd credential named nest-key"
                }
                _ => "mend it, or name another one: --key-file PATH",
            };
            unsigned(error).hint(hint).next(Verb::Restart.on(named).with("--key-file", "PATH").bare())
        }
    }
}

/// A key that does not sign, and the first thing to do about it.
fn unsigned(error: &key::KeyError) -> Link {
    let failure = errors::of_key(error);
    let link = failed(failure.document().message);
    failure.hints.into_iter().take(1).fold(link, Link::hint)
}

fn clock(server: &ServerFindings) -> Link {
    let Some(offset) = server.clock else {
        return not_checked("the API did not answer, or does not say what time it is");
    };
    let apart_s = offset.middle_ms().abs() / 1000;
    if apart_s < HARMLESS_S {
        return passed(format!("agrees with the API's, give or take {} s", apart_s.max(1)));
    }
    let side = if offset.middle_ms() > 0 { "behind" } else { "ahead of" };
    let detail = format!("{apart_s} s {side} the API's; signatures are valid for a minute");
    if apart_s <= A_DAY_S {
        return warned(detail).hint(troubles::clock("", "").hint);
    }
    failed(detail)
        .hint("if the clock here is right, tell the server's operator; if not: `timedatectl set-ntp true`")
        .next("timedatectl set-ntp true")
}

fn dns(server: &ServerFindings) -> Link {
    let host = server.api.url().host_str().unwrap_or_default();
    let literal = !matches!(server.api.url().host(), Some(url::Host::Domain(_)));
    match &server.connection {
        ApiConnection::Proxy(_) => not_checked(BY_PROXY),
        ApiConnection::Failed(error) if error.layer == DialLayer::Dns && error.is_cut_short() => missed(NO_TIME),
        ApiConnection::Failed(error) if error.layer == DialLayer::Dns => {
            failed(format!("{host} cannot be found: {}", error.cause)).hint(troubles::dns("", host).hint)
        }
        _ if literal => passed(format!("{host} is an address already")),
        ApiConnection::Failed(error) => passed(format!("{host} has an address")).took(error.timings.of(DialLayer::Dns)),
        ApiConnection::Direct { remote_address, timings, .. } => {
            let address = remote_address.rsplit_once(':').map_or(remote_address.as_str(), |(address, _)| address);
            passed(format!("{host} is at {address}")).took(timings.of(DialLayer::Dns))
        }
    }
}

fn proxy(server: &ServerFindings) -> Link {
    let ApiConnection::Proxy(via) = &server.connection else { return passed("none on the way") };
    let through = format!("the way leads through {} ({})", via.host, via.variable);
    match &server.health.result {
        Err(api::ApiError::Transport(TransportError::Unreachable { layer: TransportLayer::Proxy, why, .. })) => {
            failed(format!("{through}, and that failed: {why}"))
                .hint(format!("correct {} or unset it, or go around it with NO_PROXY", via.variable))
        }
        _ => passed(through),
    }
}

fn tcp(server: &ServerFindings) -> Link {
    match &server.connection {
        ApiConnection::Proxy(_) => not_checked(BY_PROXY),
        ApiConnection::Failed(error) => match error.layer {
            DialLayer::Dns => not_checked("there is no address to connect to"),
            DialLayer::Tcp if error.is_cut_short() => missed(NO_TIME),
            DialLayer::Tcp => failed(error.cause.to_string()).hint(troubles::refused("", server.api.health()).hint),
            _ => passed("connected").took(error.timings.of(DialLayer::Tcp)),
        },
        ApiConnection::Direct { remote_address, timings, .. } => {
            passed(format!("connected to {remote_address}")).took(timings.of(DialLayer::Tcp))
        }
    }
}

fn tls(server: &ServerFindings) -> Link {
    if server.api.url().scheme() == "http" {
        let where_to = if server.api.is_loopback() { "on this machine" } else { "which was allowed" };
        return not_checked(format!("plain http, {where_to}"));
    }
    match &server.connection {
        ApiConnection::Proxy(_) => match &server.health.result {
            Err(api::ApiError::Transport(TransportError::Unreachable {
                layer: TransportLayer::Tls(_), why, ..
            })) => failed(why).hint(tls_hint(server, None)),
            Err(api::ApiError::Transport(TransportError::Unreachable { .. })) => not_checked(NO_CONNECTION),
            _ => passed("the certificate is good; no more is seen through a proxy"),
        },
        ApiConnection::Failed(error) if error.layer == DialLayer::Tls && error.is_cut_short() => missed(NO_TIME),
        ApiConnection::Failed(error) if error.layer == DialLayer::Tls => {
            let failure = if let DialCause::Tls(failure) = &error.cause { Some(failure) } else { None };
            failed(error.cause.to_string()).hint(tls_hint(server, failure))
        }
        ApiConnection::Failed(_) => not_checked(NO_CONNECTION),
        ApiConnection::Direct { tls: None, .. } => not_checked("plain http"),
        ApiConnection::Direct { tls: Some(agreed), timings, .. } => {
            certificate(agreed).took(timings.of(DialLayer::Tls))
        }
    }
}

fn tls_hint(server: &ServerFindings, failure: Option<&TlsFailure>) -> String {
    of_tls(failure, "", server.api.health().as_str(), "http://…").hint
}

fn certificate(agreed: &TlsSession) -> Link {
    let issuer = agreed.issuer.as_ref().map(|issuer| format!(", issued by {issuer:?}")).unwrap_or_default();
    let left_s = agreed.not_after.map(|end| end.saturating_sub(Clock::default().now_s()));
    let days = left_s.map(|left| match left / A_DAY_S {
        1 => ", 1 day left".into(),
        days => format!(", {days} days left"),
    });
    let detail = format!("{}{issuer}{}", agreed.version, days.unwrap_or_default());
    match agreed.not_after.filter(|_| left_s.is_some_and(|left| left < SOON_S)) {
        Some(end) => {
            let end = rfc3339(end.saturating_mul(1000)).unwrap_or_default();
            warned(detail).hint(format!("for the operator: renew the certificate, it ends at {end}"))
        }
        None => passed(detail),
    }
}

fn api(found: &DoctorFindings, named: &str) -> Link {
    let server = match &found.api {
        Ok(server) => server,
        Err(Error::NoApi) => {
            let subject = if found.room.is_some() { named } else { "" };
            return failed(
                "nobody says which API it is: not the arguments, not NEST_API, not the configuration, not an event",
            )
            .hint("name it: --api https://…, or set NEST_API")
            .next(Verb::Doctor.on(subject).with("--api", "https://…").bare());
        }
        Err(Error::OverQuic(_)) => return not_checked("a nest on Media over QUIC needs none"),
        Err(error) => {
            return failed(error.to_string()).hint("use https://, or accept the risk with --allow-http");
        }
    };
    if matches!(&server.connection, ApiConnection::Failed(_)) || !server.is_reached() {
        return not_checked(NO_CONNECTION);
    }
    let address = server.api.as_str();
    if let Some(down) = server.health.result.as_ref().ok().and_then(Health::down) {
        let trouble = troubles::backend_down(down);
        return failed(format!("{address} answers; {}", trouble.cause)).hint(trouble.hint).took(server.health.elapsed);
    }
    match (&server.health.result, spoken(server)) {
        (Ok(health), _) if health.version.is_some() || health.status.is_some() => {
            let version = health.version.as_ref().map(|version| format!(", version {version}")).unwrap_or_default();
            let status = health.status.as_ref().map(|status| format!(", it calls itself {status}")).unwrap_or_default();
            passed(format!("{address} answers{version}{status}")).took(server.health.elapsed)
        }
        (_, Ok(())) => {
            passed(format!("{address} answers; it does not say which build it is")).took(server.nest.elapsed)
        }
        (_, Err(error)) => match mending(error) {
            Some(hint) => failed(format!("{address}: {error}")).hint(hint),
            None => missed(format!("{address}: {error}")),
        },
    }
}

/// What to do about an answer that is none; `None` where more time may help.
fn mending(error: &api::ApiError) -> Option<String> {
    Some(match error {
        api::ApiError::Transport(TransportError::Unanswered(_)) => return None,
        api::ApiError::NotFound { missing: Missing::Unsaid, .. } => {
            "the rest of its answer is lost: try again in a moment".into()
        }
        api::ApiError::NotFound { .. } | api::ApiError::Nonsense { .. } | api::ApiError::Redirect { .. } => {
            "this is another address than the API's, or an old server: check --api".into()
        }
        api::ApiError::RateLimited { .. } => {
            "whoever shares this machine's address shares its limit: wait a quarter of an hour".into()
        }
        _ => troubles::server().hint,
    })
}

/// Whether either question about a nest was answered as a Nests API answers it.
fn spoken(server: &ServerFindings) -> Result<(), &api::ApiError> {
    let nests = |error: &api::ApiError| {
        matches!(error, api::ApiError::NotFound { missing: Missing::Record | Missing::AudioRoom, .. })
    };
    match (server.nest.guest.as_ref().err(), server.nest.info.as_ref().err()) {
        (None, _) | (_, None) => Ok(()),
        (Some(guest), Some(info)) if nests(guest) || nests(info) => Ok(()),
        (Some(guest), _) => Err(guest),
    }
}

fn signature(found: &DoctorFindings, server: &ServerFindings, named: &str) -> Link {
    if matches!(&server.connection, ApiConnection::Failed(_)) || !server.is_reached() {
        return not_checked(NO_CONNECTION);
    }
    let error = match (&found.key, &server.signature) {
        (None, _) => return not_checked("there is no key to sign with"),
        (Some(Err(_)), _) => return not_checked("the key cannot be used"),
        (_, None) => return missed(NO_TIME),
        (_, Some(Ok(accepted))) if accepted.warnings.is_empty() => {
            return passed("accepted, by a call that changes nothing").took(accepted.elapsed);
        }
        (_, Some(Ok(accepted))) => {
            return warned("accepted, but only when signed with the server's time")
                .took(accepted.elapsed)
                .hint(troubles::clock("", "").hint);
        }
        (_, Some(Err(error))) => error,
    };
    match error {
        Error::Api(api::ApiError::Unauthorized { server_text, url, .. }) => {
            let why = if server_text.is_empty() { String::new() } else { format!(": {server_text}") };
            failed(format!("refused{why}; signed was {url}"))
                .hint("if the clock is right: a server behind a proxy may know itself by another scheme, host or prefix; sign its public URL with --api")
                .next(Verb::Doctor.on(named).with("--api", "https://…").bare())
        }
        Error::Api(api::ApiError::NotFound { missing: Missing::Endpoint, .. }) => {
            not_checked("this server has no call to try it with")
        }
        Error::Api(error) => unsaid(error),
        Error::Key(error) => unsigned(error),
        error => not_checked(error.to_string()),
    }
}

fn unsaid(error: &api::ApiError) -> Link {
    let link = missed(format!("the API does not say: {error}"));
    match (error, mending(error)) {
        (api::ApiError::RateLimited { .. } | api::ApiError::Server { .. }, Some(hint)) => link.hint(hint),
        _ => link,
    }
}

fn event(found: &DoctorFindings, named: &str) -> Link {
    let room = match &found.event {
        Ok(Some(room)) => room,
        Ok(None) => {
            return not_checked("neither the nest's name nor its record leads to it")
                .hint("name the nest by its naddr or link");
        }
        // The name says that there is one.
        Err(error) if error.is_silence() && found.room.as_ref().is_some_and(|room| room.host.is_some()) => {
            return missed(error.to_string()).took(found.event_elapsed);
        }
        Err(error @ Error::NoEvent { silent: false, .. }) => {
            let no_record = found.server().is_some_and(|server| server.nest.has_record() == Some(false));
            // Perhaps there is no such nest.
            let next = if no_record { Verb::List.alone() } else { Verb::Doctor.on(named).with("--relay", "wss://…") };
            return failed(error.to_string())
                .hint("name a relay that has it: --relay wss://…")
                .next(next.bare())
                .took(found.event_elapsed);
        }
        Err(error) => {
            let status = if found.server().is_none() { Status::Failed } else { Status::Warned };
            return link(status, error.to_string()).hint("name a relay that answers: --relay wss://…");
        }
    };
    let event = &room.event;
    let title = event.title().map(|title| format!("{title:?}, ")).unwrap_or_default();
    let seen = match room.seen_on.as_slice() {
        [only] => only.to_string(),
        several => format!("{} relays", several.len()),
    };
    let detail = format!("{title}status {:?}, on {seen}", event.status().as_str());
    let link = if let Some(media) = event.media_over_quic() {
        let relay = media.relay.or(media.auth).unwrap_or_default();
        let over = event.is_over(Clock::default().now_s());
        let detail = format!("{detail}; it runs on Media over QUIC at {relay}");
        // Without it nothing leads to such a nest, whatever its servers say.
        let reopen = || failed(&detail).hint("a restart by its host reopens it").next(Verb::Restart.on(named).bare());
        if over { reopen() } else { passed(&detail) }
    } else if event.is_over(Clock::default().now_s()) {
        warned(detail).hint("clients show this nest as over, whatever the audio room does")
    } else if !room.stale_on.is_empty() {
        let stale: Vec<_> = room.stale_on.iter().map(ToString::to_string).collect();
        warned(format!("{detail}; {} have an older version", stale.join(", ")))
            .hint("whoever reads there sees the older one")
    } else {
        passed(detail)
    };
    link.took(found.event_elapsed)
}

/// Whose nest it is, if not that of the key that is there.
fn other_host(found: &DoctorFindings) -> Option<PublicKey> {
    let own = found.key.as_ref().and_then(|key| key.as_ref().ok()).map(|key| key.public_key());
    found.host().filter(|host| Some(*host) != own)
}

fn record(found: &DoctorFindings, server: &ServerFindings, named: &str) -> Link {
    match &server.nest.info {
        Ok(info) => {
            let (what, ms) = info.restarted_at.map_or(("created", info.created_at), |at| ("last restarted", at));
            let (time, near) = moment(ms);
            let when = if near { "at" } else { "on" };
            passed(format!("the server has its record, {what} {when} {time}")).took(server.nest.elapsed)
        }
        Err(_) if server.nest.has_record() == Some(false) => {
            let runs = if server.nest.has_audio_room() == Some(true) { "the nest still runs, but " } else { "" };
            let link = failed(format!("{runs}the server no longer has it: records live 24 h from their last write"));
            let successor = found.event().and_then(|room| room.event.successor_naddr(&room.seen_on));
            match (&found.event, other_host(found)) {
                _ if successor.is_some() => {
                    let to = successor.unwrap_or_default();
                    link.hint("another nest took its place").next(Verb::Doctor.on(&to).bare())
                }
                (Err(Error::NoEvent { silent: false, .. }), _) => link.hint("is the name right, and the API?"),
                (Err(Error::Relays(_)), _) => link
                    .hint(
                        "what it needs, its event says, and no relay has answered: name one that does, --relay wss://…",
                    )
                    .next(Verb::Doctor.on(named).with("--relay", "wss://…").bare()),
                (_, Some(host)) => link.hint(format!("ask its host for a new one in its place: {}", npub(&host))),
                _ => link
                    .hint("a restart cannot bring it back, a new nest in its place can")
                    .next(Verb::Recreate.on(named).bare()),
            }
        }
        Err(error) => unsaid(error),
    }
}

fn host(found: &DoctorFindings, named: &str) -> Link {
    let recorded = found.server().and_then(|server| server.nest.host());
    let published = found.event().map(|room| room.event.host());
    let published = published.or(found.room.as_ref().and_then(|room| room.host));
    let Some(host) = recorded.or(published) else { return not_checked("nobody says who hosts this nest") };
    if let Some(other) = published.filter(|other| *other != host) {
        return failed(format!("the record says {}, the event is by {}", npub(&host), npub(&other)))
            .hint("the API lets only the first restart it, and the event is the second's: is this the right API?");
    }
    match &found.key {
        Some(Ok(key)) if key.public_key() == host => passed("it is your nest"),
        Some(Ok(key)) => warned(troubles::not_host(npub(&key.public_key()), npub(&host), "").cause).hint(format!(
            "only the host can restart it. If that is you too: {}",
            Verb::Restart.on(named).with("--key-file", "PATH")
        )),
        _ => not_checked(format!("the host is {}; there is no key to compare with", npub(&host))),
    }
}

fn room(found: &DoctorFindings, server: &ServerFindings, named: &str) -> Link {
    let nest = &server.nest;
    match &nest.guest {
        Ok(_) => {
            let inside = match nest.info.as_ref().map(|info| info.participant_count) {
                Ok(0) => ", nobody is inside",
                Ok(1) => ", one person is inside",
                Ok(n) => &format!(", {n} people are inside"),
                Err(_) => "",
            };
            passed(format!("there is an audio room{inside}")).took(nest.elapsed)
        }
        Err(_) if nest.has_audio_room() == Some(false) && nest.has_record() == Some(false) => {
            not_checked("there is none, as there is no record")
        }
        Err(_) if nest.has_audio_room() == Some(false) => {
            let detail = "there is no audio room, or the API's media server is down";
            if found.event().is_some_and(|room| room.event.is_over(Clock::default().now_s())) {
                return warned(detail).hint("the event says that the nest is over: that is as it should be");
            }
            if found.event().is_some_and(|room| room.event.is_planned(Clock::default().now_s())) {
                return warned(detail).hint("the event says that the nest is planned: it has none before it begins");
            }
            // With its record, its event might have been found.
            let cut_short = matches!((&found.event, &nest.info), (Ok(None), Err(api::ApiError::Transport(_))));
            if cut_short || found.event.as_ref().is_err_and(Error::is_silence) {
                return missed("there is no audio room, and its event, which may say why, is not known");
            }
            if matches!(&found.media, Some(Media::Silent(silent)) if !silent.is_empty()) && !found.guessed_wrong() {
                return failed(detail).hint(LIVEKIT_SILENT);
            }
            if nest.info.as_ref().is_ok_and(|info| info.restarted_at.is_some_and(|at| is_new(at, server))) {
                return failed("it was restarted just now, and there is no audio room")
                    .hint("for the operator: does the API reach its LiveKit, and what does that log? Another restart changes nothing");
            }
            match other_host(found) {
                Some(host) => failed(detail).hint(format!("ask its host to restart it: {}", npub(&host))),
                None => failed(detail).hint("restart it").next(Verb::Restart.on(named).bare()),
            }
        }
        Err(error) => unsaid(error),
    }
}

/// Whether a room that was made then, by the server's clock, cannot have closed by itself.
fn is_new(made_ms: i64, server: &ServerFindings) -> bool {
    let there_ms = Clock::default().now_ms().saturating_add(server.clock.map_or(0, Offset::middle_ms));
    there_ms.saturating_sub(made_ms) < NEW_MS
}

fn silent_words(silent: &[(Candidate, ValidateError)]) -> String {
    silent.iter().map(|(candidate, why)| format!("{}: {why}", candidate.as_str())).collect::<Vec<_>>().join("; ")
}

fn endpoints(found: &DoctorFindings) -> Link {
    if let Some(Media::Silent(silent)) = &found.media
        && found.guessed_wrong()
    {
        return not_checked(format!(
            "nobody says where the media server is; at its usual place it is not: {}",
            silent_words(silent)
        ));
    }
    let candidates = &found.candidates;
    let described = |candidate: &Candidate| {
        let why = match candidate.internal {
            Some(internal) => format!(" ({internal})"),
            None if candidate.cleartext => " (a token would travel in the clear)".into(),
            None => String::new(),
        };
        format!("{}{why}", candidate.as_str())
    };
    let text = candidates.iter().map(described).collect::<Vec<_>>().join("; ");
    let usable = candidates.iter().filter(|candidate| candidate.internal.is_none() && !candidate.cleartext).count();
    let public = "for the operator: set LIVEKIT_URL of the API to the public address, wss://…";
    match usable {
        _ if candidates.is_empty() => failed("nobody says where the media server is"),
        0 => failed(text).hint(public),
        n if n < candidates.len() => warned(text).hint(public),
        _ => passed(text),
    }
}

fn signal(found: &DoctorFindings) -> Link {
    match &found.media {
        None => not_checked("there is no API to give out a token"),
        Some(Media::NoTime) => missed(NO_TIME),
        Some(Media::Silent(silent)) if silent.is_empty() => {
            not_checked("there is no other endpoint to call than beside the API")
        }
        Some(Media::Silent(_)) if found.guessed_wrong() => {
            missed("nobody says where the media server is, and it is not at its usual place")
                .hint("name the nest by its naddr or link: its event says it")
        }
        Some(Media::Silent(silent)) => failed(silent_words(silent))
            .hint(LIVEKIT_SILENT),
        Some(Media::Answers { endpoint, verdict, elapsed }) => match verdict {
            None => passed(format!("LiveKit answers at {endpoint}; there is no room to join")),
            Some(Ok(())) => passed(format!("LiveKit at {endpoint} accepts a listener's token; nobody joined, for leaving would shorten the empty nest's life")),
            Some(Err(refusal)) => failed(format!("LiveKit at {endpoint} refuses a listener's token: {refusal}"))
                .hint("for the operator: LIVEKIT_API_KEY and LIVEKIT_API_SECRET of the API must be those of the media server"),
        }
        .took(*elapsed),
        Some(Media::Joined(report)) => {
            let steps = check::steps(report);
            let broken = steps.iter().find(|step| {
                step.status == Status::Failed && matches!(step.name, "token" | "endpoint" | "signal")
            });
            let link = of_check(broken.or_else(|| steps.iter().find(|step| step.name == "signal")));
            // It was tried to join: only time can have been missing.
            Link { missed: link.status == Status::NotChecked, ..link }
        }
    }
}

fn media(found: &DoctorFindings, named: &str) -> Link {
    match &found.media {
        Some(Media::Joined(report)) => {
            let out_of_time = |step: &report::Step<Finding>| matches!(&step.finding, Finding::Audio { found, .. } if matches!(found.result, Err(AudioFailure::OutOfTime(_))));
            let link = of_check(check::steps(report).iter().find(|step| step.name == "media"));
            Link { missed: report.steps.iter().any(out_of_time), ..link }
        }
        _ => not_checked(format!("nobody joined; to try it: {}", Verb::Check.on(named))),
    }
}

fn of_check(step: Option<&Step>) -> Link {
    let Some(step) = step.cloned() else { return not_checked("the check says nothing of it") };
    Link { hint: step.hint, ..link(step.status, step.detail) }.took(step.elapsed_ms.map(Duration::from_millis))
}
