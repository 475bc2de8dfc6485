//! What a check found, in words for a host at four in the morning: what is the case, why, what to do.

use std::net::IpAddr;
use std::time::Duration;

use super::{Note, Step, Verb, moment, moq, note, people, sentence, troubles};
use crate::clock::span;
use crate::commands::check::Report;
use crate::commands::moq::MoqReport;
use crate::livekit::endpoint::Source;
use crate::livekit::fresh::{FreshnessVerdict, Proof, Sign};
use crate::livekit::media::offered::Offered;
use crate::livekit::media::{AudioFailure, AudioFinding, Connected, Silence, Spoken};
use crate::livekit::signal::{DisconnectReason, Ending, JoinError, Kept, SessionClosed};
use crate::livekit::token::Claims;
use crate::livekit::validate::TokenRefusal;
use crate::livekit::{CheckReport, EndpointOutcome, Finding, TokenFinding, TokenHolder, Transport, Tried};
use crate::net::dial::{DialCause, DialError, DialLayer, TimedOut, milliseconds};
use crate::net::reach::Internal;
use crate::net::tls::TlsFailure;
use crate::report::{self, Status};

const MORE_TIME: &str = "give it more time with --timeout";
const OPEN_PORTS: &str =
    "open UDP 50000-60000, or LiveKit's `rtc.udp_port` if that is set, and TCP 7881 in the server's firewall";

pub fn steps(report: &CheckReport) -> Vec<Step> {
    let in_words = |step: &report::Step<Finding>| {
        let Note { detail, hint } = words(report, step);
        let note = Note { detail: sentence(&detail), hint: hint.as_deref().map(sentence) };
        Step::new(step.name, step.status, step.elapsed, note)
    };
    report.steps.iter().map(in_words).collect()
}

pub(crate) fn of(report: &Report) -> Vec<Step> {
    match report {
        Report::LiveKit(report) => steps(report),
        Report::OverQuic(report) => over_quic(report),
    }
}

pub(in crate::cli) fn over_quic(report: &MoqReport) -> Vec<Step> {
    report.steps.iter().map(moq::in_words).collect()
}

fn words(report: &CheckReport, step: &report::Step<Finding>) -> Note {
    let sid = report.room.as_ref().map(|room| room.sid.as_str()).unwrap_or_default();
    match &step.finding {
        Finding::NoToken => note("there is no token: the API gave none"),
        Finding::Token(whose, found) => token(*whose, found),
        Finding::NoEndpoint => {
            note("nobody says where the media server is").hint(troubles::internal_endpoint(Internal::BareName).hint)
        }
        Finding::NothingDialled if step.name == "endpoint" => {
            note("nothing was dialled: there is no usable token to join with")
        }
        Finding::NothingDialled => note("nothing was dialled"),
        Finding::Endpoints(tried) => endpoints(tried, step.status),
        Finding::EndpointUnknown(tried) => {
            note!("nobody says where the media server is: {}", endpoints(tried, Status::Passed).detail)
                .hint("name the nest by its link or naddr: its event says it")
        }
        Finding::Joined(timings) => joined(report, &timings.describe()),
        Finding::NoTokenToJoin(why) => {
            let why = why.as_deref().unwrap_or("the API gave none");
            note!("there is no token to join with: {why}").hint("once the API gives one, check again")
        }
        Finding::NotReached => note("no media server was reached"),
        Finding::NoSuchRoom(room) => note!("the media server has no room {room:?}: the nest is not running there")
            .hint("restart the nest; if it was just restarted, the API talks to another LiveKit than this one"),
        Finding::TurnedAway(tried) => turned_away(tried),
        Finding::NotEntered => note("the room was not entered"),
        Finding::StayedOutside => {
            note("nobody is inside, and whoever joins and leaves shortens the life of an empty nest: not joined")
                .hint("--keep joins it, and stays until somebody comes")
        }
        Finding::Freshness { room, verdict, age_ms, sid_before, closes_after_s } => {
            freshness((room, sid), verdict, *age_ms, sid_before.as_deref(), *closes_after_s)
        }
        Finding::AudioNotTried => note("whether sound gets through was not tried"),
        Finding::Audio { wanted, signal, found } => audio(*wanted, *signal, found, step.status),
        Finding::SpeechNotAsked => {
            note("not asked for: --publish says a second of silence, with a token that may speak")
        }
        Finding::Speech(speech) => spoken(speech),
        Finding::HoldNotAsked => note("not asked for: --hold 45s stays in the room and watches whether it is closed"),
        Finding::Held(held, cut) => note!("nothing closed the room for {}{}", exactly(*held), cut_short(*cut)),
        Finding::Kept(Kept::SomebodyCame, time, _) => {
            note!("somebody else is inside after {}", span_of(*time))
        }
        Finding::Kept(_, time, cut) => note!("nobody has come for {}{}", span_of(*time), cut_short(*cut)),
        Finding::LateTeardown(ms) => troubles::late_teardown(span(*ms)).into(),
        Finding::Ended(closed, since_restart_ms) => ended(closed, *since_restart_ms),
    }
}

fn span_of(time: Duration) -> String {
    span(i64::try_from(time.as_millis()).unwrap_or(i64::MAX))
}

fn cut_short(cut: bool) -> &'static str {
    if cut { " (a check without audio cannot stay longer)" } else { "" }
}

fn token(whose: TokenHolder, found: &TokenFinding) -> Note {
    let whose = match whose {
        TokenHolder::Host => "the host's token",
        TokenHolder::Guest => "the guest's token",
    };
    match found {
        TokenFinding::Malformed(why) => note!("{whose} cannot be used: {why}")
            .hint("the API answered without a usable token: restart again, and tell the operator if it stays so"),
        TokenFinding::OtherRoom(problem) => {
            note!("{whose} does not fit this nest: {problem}").hint("it was used nowhere; ask the API for a fresh one")
        }
        TokenFinding::Refused(refusal, apart_ms) => refused(whose, refusal, *apart_ms),
        TokenFinding::Useless(problem) => note!("{whose} cannot be used: {problem}")
            .hint("ask the API for a fresh one; if that one is no better, the server's clock is wrong"),
        TokenFinding::Accepted(claims) => note!("{whose} is accepted: {}", described(claims)),
        TokenFinding::Unjudged(claims, why) => {
            let why = match why {
                None => "no media server was asked".into(),
                Some(why) => format!("no media server judged it: {why}"),
            };
            note!("{whose} looks right ({}), but {why}", described(claims))
        }
    }
}

fn refused(whose: &str, refusal: &TokenRefusal, apart_ms: Option<i64>) -> Note {
    let refused = note(troubles::wrong_secret(whose, refusal).cause);
    match (refusal, apart_ms) {
        (TokenRefusal::WrongSecret | TokenRefusal::UnknownKey(_), _) => troubles::wrong_secret(whose, refusal).into(),
        (TokenRefusal::Expired | TokenRefusal::NotYetValid, Some(ms)) => {
            let apart = format!("{} {}", span(ms.abs()), if ms > 0 { "ahead of" } else { "behind" });
            troubles::livekit_clock(whose, refusal, apart).into()
        }
        (TokenRefusal::Expired | TokenRefusal::NotYetValid, None) => refused.hint(
            "ask the API for a fresh one; if that one is refused too, the clocks of the API and of LiveKit differ",
        ),
        (TokenRefusal::NoToken, _) => {
            refused.hint("for the operator: a proxy in front of LiveKit drops the query from /rtc/validate")
        }
        _ => refused.hint("ask the API for a fresh one, and tell the operator if that one is refused too"),
    }
}

fn described(claims: &Claims) -> String {
    let who = claims.sub.as_deref().unwrap_or("nobody");
    let who: String = if who.chars().count() > 16 { who.chars().take(8).chain(['…']).collect() } else { who.into() };
    let may = if claims.may_publish() { "may speak" } else { "listens only" };
    let until = claims.exp.map(|exp| format!("valid until {}", moment(exp.saturating_mul(1000)).0));
    format!("{who}, {may}, {}", until.unwrap_or_else(|| "without an end".into()))
}

fn endpoints(tried: &[Tried], status: Status) -> Note {
    let one = |tried: &Tried| {
        let source = match tried.candidate.source {
            Source::Api => "from the API",
            Source::Event => "from the nest's event",
            Source::Usual => "the usual place",
        };
        let internal = tried.candidate.internal.map(|internal| format!(", {internal}")).unwrap_or_default();
        format!("{} ({source}{internal}) {}", tried.candidate.as_str(), outcome(tried))
    };
    let hint = match status {
        Status::Passed => None,
        // The first that should have answered, and did not.
        Status::Warned => {
            tried.iter().find(|tried| tried.outcome != EndpointOutcome::NotForHosts).and_then(endpoint_hint)
        }
        Status::NotChecked => Some(MORE_TIME.into()),
        Status::Failed => tried.iter().find_map(endpoint_hint),
    };
    Note { detail: tried.iter().map(one).collect::<Vec<_>>().join("; "), hint }
}

fn outcome(tried: &Tried) -> String {
    match &tried.outcome {
        EndpointOutcome::Joined | EndpointOutcome::Answered => "answers".into(),
        EndpointOutcome::Failed(_) if tried.answers() => "answers".into(),
        EndpointOutcome::Failed(failed) => unreached(failed),
        EndpointOutcome::OnlyAsked => "was not joined: there is no usable token".into(),
        EndpointOutcome::Cleartext => "was not dialled: the token would travel in the clear".into(),
        EndpointOutcome::NotForHosts => "was not dialled: a host's token goes only where the API says".into(),
        EndpointOutcome::NoTime => "was not tried: the time was used up".into(),
    }
}

/// What went wrong on the way, as the predicate to an endpoint.
fn unreached(error: &JoinError) -> String {
    let DialError { layer, cause, .. } = match error {
        JoinError::Dial(error) => error,
        JoinError::Refused(refusal) => return format!("refuses the token: {refusal}"),
        JoinError::SentAway(reason) => return format!("sends us away: {}", away(*reason)),
        JoinError::Broken(text) => return format!("does not talk to us: {text}"),
        JoinError::TimedOut(timed_out) => return silent("word from the room", *timed_out),
    };
    match cause {
        DialCause::NoAddress(text) => format!("cannot be found in DNS: {text}"),
        DialCause::Barred(_) => format!("is not called: {cause}"),
        DialCause::NoConnection(_) => format!("cannot be connected to ({cause})"),
        DialCause::Tls(failure) => format!("cannot be trusted: {failure}"),
        DialCause::NoWebSocket { status, location: Some(location), .. } => {
            format!("points elsewhere ({status}): {location}")
        }
        DialCause::NoWebSocket { status: status @ 502..=504, .. } => {
            format!("answers {status}: the proxy there does not reach LiveKit")
        }
        DialCause::NoWebSocket { status, .. } => format!("is no LiveKit server: it answers {status}"),
        DialCause::Broken(_) => format!("does not talk to us: {cause}"),
        DialCause::TimedOut(timed_out) => {
            let missing = match layer {
                DialLayer::Dns => "answer from DNS",
                DialLayer::Tcp => "TCP connection",
                DialLayer::Tls => "TLS handshake",
                DialLayer::WebSocket => "WebSocket",
            };
            silent(missing, *timed_out)
        }
    }
}

fn silent(missing: &str, TimedOut { after, cut_short }: TimedOut) -> String {
    let silent = if cut_short { "had not answered when the time was up" } else { "does not answer" };
    format!("{silent}: no {missing} within {}", milliseconds(after))
}

fn endpoint_hint(tried: &Tried) -> Option<String> {
    if let Some(internal) = tried.candidate.internal {
        let public = troubles::internal_endpoint(internal).hint;
        return Some(match internal {
            Internal::BareName | Internal::LocalName => public,
            _ => format!("{public}; private addresses are not reachable from elsewhere"),
        });
    }
    let cause = match &tried.outcome {
        EndpointOutcome::Failed(JoinError::Dial(error)) => &error.cause,
        EndpointOutcome::Cleartext => {
            let hint = "for the operator: put TLS in front of LiveKit; or, in a network that you trust, --allow-http";
            return Some(hint.into());
        }
        _ => return None,
    };
    let hint = match cause {
        DialCause::NoAddress(_) => "try from another network; if it stays so, the operator has to mend the name in DNS",
        DialCause::TimedOut(TimedOut { cut_short: true, .. }) => return None,
        DialCause::Barred(_) => "if that is where you want to go, name the API yourself: --api https://…",
        DialCause::NoConnection(_) | DialCause::TimedOut(_) => {
            "for the operator: is LiveKit running, and does the firewall let its port in?"
        }
        DialCause::Tls(TlsFailure::NotTls) => {
            "for the operator: LiveKit speaks plain HTTP on its own port; hand out the address of the TLS proxy in front of it"
        }
        DialCause::Tls(TlsFailure::UnknownIssuer { .. }) => {
            "browsers refuse it too; if it is the server's own CA, name that with --cacert"
        }
        DialCause::Tls(TlsFailure::NotValidYet { .. }) => "turn NTP on: the clock here is probably behind",
        DialCause::Tls(_) => "for the operator: renew the certificate for this name",
        DialCause::NoWebSocket { status: 502..=504, .. } => "for the operator: is LiveKit running behind its proxy?",
        DialCause::NoWebSocket { .. } | DialCause::Broken(_) => {
            "for the operator: the proxy must pass WebSockets on to LiveKit under this very address"
        }
    };
    Some(hint.into())
}

fn away(reason: DisconnectReason) -> &'static str {
    match reason {
        DisconnectReason::DuplicateIdentity => "the same identity has joined elsewhere",
        DisconnectReason::ServerShutdown => "the media server is shutting down",
        DisconnectReason::ParticipantRemoved => "an admin has removed us",
        DisconnectReason::RoomDeleted => "the room was deleted",
        DisconnectReason::RoomClosed => "the room was closed",
        DisconnectReason::JoinFailure | DisconnectReason::ConnectionTimeout => "no audio connection was made in time",
        DisconnectReason::MediaFailure => "the audio connection failed",
        DisconnectReason::StateMismatch => "the media server has lost track of us",
        DisconnectReason::Migration => "the media server moves the room elsewhere",
        _ => "the media server gives no reason",
    }
}

fn joined(report: &CheckReport, timings: &str) -> Note {
    let Some((server, room)) = report.server.as_ref().zip(report.room.as_ref()) else { return note(timings) };
    let version = server.version.as_ref().map(|version| format!(" on LiveKit {version}")).unwrap_or_default();
    let region = server.region.as_ref().map(|region| format!(" in {region}")).unwrap_or_default();
    let people = match room.participants {
        0 => "nobody else is inside".into(),
        n => people(n as u64),
    };
    let detail = note!("joined {}{version}{region}, {people} ({timings})", room.sid);
    match report.closes_at_ms {
        Some(ms) => {
            let empty = troubles::empty(moment(ms).0);
            detail.hint(format!("{}: {}", empty.cause, empty.hint))
        }
        None => detail,
    }
}

fn turned_away(tried: &Tried) -> Note {
    let EndpointOutcome::Failed(error) = &tried.outcome else { return note(outcome(tried)) };
    let why = unreached(error);
    match error {
        JoinError::TimedOut(TimedOut { cut_short: true, .. }) => {
            note!("{} {why}", tried.candidate.as_str()).hint(MORE_TIME)
        }
        JoinError::SentAway(DisconnectReason::DuplicateIdentity) => note!("the media server {why}").hint("try again"),
        _ => note!("the media server {why}"),
    }
}

/// How long ago a room was created, where that is known; behind its name.
pub(super) fn created(age_ms: Option<i64>) -> String {
    age_ms.map(|age| format!(", created {} ago", span(age))).unwrap_or_default()
}

fn freshness(
    (room, sid): (&str, &str),
    verdict: &FreshnessVerdict,
    age_ms: Option<i64>,
    before: Option<&str>,
    closes_after_s: u32,
) -> Note {
    let created = created(age_ms);
    let auto_create =
        "for the operator: `auto_create: false` in LiveKit's `room` section keeps such rooms from coming into being";
    match verdict {
        FreshnessVerdict::NoRestart => note!("no restart to prove ({sid}{created})"),
        FreshnessVerdict::Fresh(proof) => {
            let proof = match (proof, before) {
                (Proof::Sid, Some(before)) => format!("before it was {before}"),
                (Proof::Sid, None) => "it is another room than before".into(),
                (Proof::Created, _) => "created after the restart was asked for".into(),
                (Proof::RestartedAt, _) => "it says that it was restarted by this request".into(),
                (Proof::Moment(ms), _) => format!("created at the very moment of the restart, give or take {ms} ms"),
            };
            note!("{sid} is the restarted room: {proof}")
        }
        FreshnessVerdict::Old(sign) => {
            let age = match (sign, age_ms) {
                (_, Some(ms)) if ms >= 1000 => created,
                (Sign::Sid, _) => ", the same as before".into(),
                _ => ", created before the restart".into(),
            };
            troubles::old_room(sid, age, closes_after_s, Verb::Restart.on(room).with("--evict", "")).into()
        }
        FreshnessVerdict::OurOwn => {
            note!("There was no room: LiveKit made {sid} only because this check joined. It is not the nest's.")
                .hint(auto_create)
        }
        FreshnessVerdict::Foreign => note!(
            "{sid}{created} is not the restarted room: it carries nothing that the Nests API writes on its rooms."
        )
        .hint(format!(
            "a listener's reconnect may have made it before the API could; restart again. {}",
            sentence(auto_create)
        )),
        FreshnessVerdict::Unsure(ms) => note!(
            "{sid} was created around the time of the restart, but the clocks are not exact enough (± {ms} ms) to say whether after it"
        ),
        FreshnessVerdict::NoEvidence => {
            note!("nothing shows whether {sid} is new: the media server does not say when it was created")
        }
    }
}

fn audio(wanted: Option<Transport>, signal: Option<IpAddr>, found: &AudioFinding, status: Status) -> Note {
    match &found.result {
        Ok(connected) => connection(wanted.is_some(), found, connected, status),
        Err(AudioFailure::NotBuilt) => note("this nest was built without audio"),
        Err(AudioFailure::NoMedia) => note("the server offers no audio: it does signal only"),
        Err(AudioFailure::NoRelay) => note("the media server advertises no TURN server")
            .hint("for the operator: LiveKit's `turn` section helps people whose networks block all else"),
        Err(AudioFailure::OutOfTime(time)) => {
            note!("time was up after {}, before that could be said", milliseconds(*time)).hint(MORE_TIME)
        }
        Err(AudioFailure::Ended(how)) => note!("the session ended while audio was tried: {}", ending(how)),
        Err(AudioFailure::NoAnswer(time)) => {
            note!("the media server lets us in, but did not answer our offer of audio within {}", milliseconds(*time))
                .hint("check again; if it stays so, the operator has to restart LiveKit")
        }
        Err(AudioFailure::NotBegun(text)) => note!("this machine opened no audio connection: {text}"),
        Err(AudioFailure::Broken(text)) => note!("no audio connection: {text}"),
        Err(AudioFailure::NothingOffered) => match wanted.filter(|_| !found.seen.offered.is_empty()) {
            Some(Transport::Tcp) => note("the media server takes no audio by TCP")
                .hint("for the operator: `rtc.tcp_port: 7881` in LiveKit's configuration"),
            Some(_) => note("the media server takes no audio by UDP")
                .hint("for the operator: `rtc.force_tcp` is set, or there are no UDP ports in LiveKit's configuration"),
            None => note("the media server offers no address at which it would take audio")
                .hint(troubles::no_sound("").hint),
        },
        Err(AudioFailure::NoAllocation | AudioFailure::NoConnection(_)) => no_sound(wanted, signal, found),
    }
}

fn connection(forced: bool, found: &AudioFinding, connected: &Connected, status: Status) -> Note {
    let Connected { protocol, local, remote, rtt } = connected;
    let rtt = rtt.map(|rtt| format!(", {} there and back", milliseconds(rtt))).unwrap_or_default();
    let pair = format!("{local} to {remote}{rtt}");
    match protocol {
        Transport::Udp => {
            let tcp = found.seen.tcp.iter().find(|(_, answer)| answer.is_ok());
            let tcp = tcp.map(|(address, _)| format!("; TCP port {} is open too", address.port())).unwrap_or_default();
            note!("sound gets through by UDP: {pair}{tcp}")
        }
        Transport::Tcp if status == Status::Warned => troubles::udp_blocked(pair).into(),
        Transport::Tcp => {
            let only = if forced { "" } else { ", which is all that the server offers" };
            note!("sound gets through by TCP{only}: {pair}")
        }
        Transport::Relay => {
            let url = found.seen.relay.as_deref().unwrap_or("TURN");
            let mut parts = vec![format!("through {url}: {pair}")];
            parts.extend(found.seen.relays.iter().map(|(url, why)| broken(url, why)));
            let detail = parts.join("; ");
            if forced {
                note!("sound gets through by a relay, {detail}")
            } else {
                note!("UDP and TCP blocked, a relay works, {detail}").hint(troubles::udp_blocked(pair).hint)
            }
        }
    }
}

fn no_sound(wanted: Option<Transport>, signal: Option<IpAddr>, found: &AudioFinding) -> Note {
    let seen = &found.seen;
    let kinds: &[Transport] = match wanted {
        Some(Transport::Relay) => &[],
        Some(Transport::Udp) => &[Transport::Udp],
        Some(Transport::Tcp) => &[Transport::Tcp],
        None => &[Transport::Udp, Transport::Tcp],
    };
    let mut parts = Vec::new();
    for kind in kinds {
        let offered = seen.offered.iter().filter(|offered| offered.transport == *kind);
        let addresses: Vec<_> = offered.map(|offered| address(offered, signal, found)).collect();
        if !addresses.is_empty() {
            parts.push(format!("{kind} blocked ({})", addresses.join(", ")));
        }
    }
    parts.extend(seen.relays.iter().map(|(url, why)| broken(url, why)));
    let trouble = troubles::no_sound(parts.join("; "));
    let inner = signal.is_some_and(|signal| seen.offered.iter().any(|offered| offered.internal(signal).is_some()));
    let elsewhere = signal.filter(|signal| seen.offered.iter().all(|offered| offered.address.ip() != *signal));
    let hint = match (inner, elsewhere) {
        _ if wanted == Some(Transport::Relay) => troubles::turn("", "").hint,
        (true, _) => trouble.hint,
        (false, Some(signal)) => format!(
            "{}, unless it is right already (the signal connection goes to {signal}); if it is, {OPEN_PORTS}",
            trouble.hint
        ),
        (false, None) => format!("for the operator: {OPEN_PORTS}"),
    };
    note(trouble.cause).hint(hint)
}

fn address(offered: &Offered, signal: Option<IpAddr>, found: &AudioFinding) -> String {
    let address = offered.address;
    if let Some(internal) = signal.and_then(|signal| offered.internal(signal)) {
        return format!("{address}, {internal}");
    }
    if found.seen.unroutable.contains(&address.ip()) {
        return format!("{address}, to which there is no way from here");
    }
    let by_tcp = found.seen.tcp.iter().find(|(called, _)| *called == address && offered.transport == Transport::Tcp);
    match by_tcp {
        Some((_, Err(why))) => format!("{address}: {why}"),
        Some((_, Ok(()))) => format!("{address} takes connections but does not speak ICE"),
        None => format!("{address} does not answer"),
    }
}

fn broken(url: &str, failure: &AudioFailure) -> String {
    let why = match failure {
        AudioFailure::NoAllocation => "it gives us no address".into(),
        AudioFailure::NoConnection(_) => "nothing comes through it".into(),
        AudioFailure::OutOfTime(time) => format!("silence for {}", milliseconds(*time)),
        AudioFailure::NothingOffered => "the media server has no UDP for it to talk to".into(),
        AudioFailure::Ended(how) => ending(how),
        AudioFailure::NotBegun(text) | AudioFailure::Broken(text) => text.clone(),
        AudioFailure::NoAnswer(_) | AudioFailure::NoMedia | AudioFailure::NotBuilt | AudioFailure::NoRelay => {
            "no audio was offered".into()
        }
    };
    troubles::turn(url, why).cause
}

fn spoken(speech: &Result<Spoken, Silence>) -> Note {
    match speech {
        Ok(Spoken { sid, sent, heard, lost }) => {
            note!("the media server hears us: {heard} of {sent} packets of silence so far, {lost} lost ({sid})")
        }
        Err(Silence::NoConnection) => note("there is no audio connection to speak on"),
        Err(Silence::NotAllowed) => note("this token only listens; with the host's key, --as-host speaks"),
        Err(Silence::Refused(why)) => note!("the media server does not let us speak: {why}"),
        Err(Silence::Unacknowledged(time)) => {
            note!("the media server did not acknowledge our track within {}", milliseconds(*time))
        }
        Err(Silence::Unheard(sent)) => {
            note!("the media server took our track, but says of none of {sent} packets that it heard it")
                .hint("check again; if it stays so, the network lets sound in but not out")
        }
        Err(Silence::Ended(how)) => note!("the session ended while we spoke: {}", ending(how)),
        Err(Silence::Broken(text)) => note!("could not speak: {text}"),
    }
}

fn ended(closed: &SessionClosed, since_restart_ms: Option<i64>) -> Note {
    let restart = since_restart_ms.map(|ms| format!(" ({} after the restart)", span(ms))).unwrap_or_default();
    let after = format!("{}{restart}", exactly(closed.after));
    match &closed.how {
        Ending::SentAway(reason @ (DisconnectReason::RoomDeleted | DisconnectReason::RoomClosed)) => {
            note!("the room was closed after {after}: {}", away(*reason))
                .hint("restart the nest, unless its host has just closed it")
        }
        Ending::SentAway(reason @ (DisconnectReason::JoinFailure | DisconnectReason::ConnectionTimeout)) => {
            note!("watched for {after}, and the room stayed; then LiveKit ended this check's visit: {}", away(*reason))
        }
        Ending::SentAway(reason) => note!("we were sent away after {after}: {}", away(*reason)),
        Ending::ConnectionLost(text) => note!("the connection was lost after {after}: {text}")
            .hint("check again: a proxy, the network or the media server has cut it"),
        Ending::Deaf => note!("the audio connection broke after {after}")
            .hint("check again: the network or the media server has cut it"),
        Ending::Silent(silence) => {
            note!("the media server stopped answering: nothing was heard for {}{restart}", exactly(*silence))
                .hint("check again: the network or the media server hangs")
        }
    }
}

fn ending(how: &Ending) -> String {
    match how {
        Ending::SentAway(reason) => away(*reason).into(),
        Ending::ConnectionLost(text) => text.clone(),
        Ending::Silent(_) => "the media server stopped answering".into(),
        Ending::Deaf => "the audio connection broke".into(),
    }
}

/// A length of time as exactly as it matters: `50 ms`, `1.5 s`, `12 s`.
fn exactly(time: Duration) -> String {
    match time.as_secs_f64() {
        s if s < 0.95 => format!("{:.0} ms", s * 1000.0),
        s if s < 9.95 && (s - s.round()).abs() > 0.05 => format!("{s:.1} s"),
        s => format!("{s:.0} s"),
    }
}
