//! Steps 2 and 3: where the media server is, and whether it lets us in.

use super::super::endpoint::{Candidate, Internal, Source};
use super::super::findings::{Findings, Outcome, Tried};
use super::super::signal::{DisconnectReason, JoinError};
use super::super::validate::Refusal;
use super::moment;
use super::said::{self, fill};
use crate::net::dial::{DialCause, DialError, DialLayer, TimedOut, milliseconds};
use crate::net::tls::TlsFailure;
use crate::report::{Status, Step};

pub(super) fn endpoint(findings: &Findings<'_>) -> Step {
    const NAME: &str = "endpoint";
    let tried = &findings.tried;
    let elapsed = tried.iter().map(|tried| tried.elapsed).sum::<std::time::Duration>();
    let (status, detail, hint) = if tried.is_empty() {
        return Step::new(NAME, Status::Failed, "nobody says where the media server is").hint(said::PUBLIC_ADDRESS);
    } else if let Some(at) = tried.iter().position(reached) {
        let detail = told(&tried[..=at]);
        match tried[..at].iter().find(|tried| !matches!(tried.outcome, Outcome::NotForHosts)) {
            None => (Status::Passed, detail, None),
            Some(first) => (Status::Warned, detail, hint(first)),
        }
    } else if tried.iter().all(|tried| matches!(tried.outcome, Outcome::OnlyAsked)) {
        (Status::NotChecked, "nothing was dialled: there is no usable token to join with".into(), None)
    } else if tried.iter().any(Tried::cut_short) {
        (Status::NotChecked, told(tried), Some("give it more time with --timeout".into()))
    } else {
        (Status::Failed, told(tried), tried.iter().find_map(hint))
    };
    let step = Step::new(NAME, status, detail).took(elapsed);
    match hint {
        Some(hint) => step.hint(hint),
        None => step,
    }
}

fn reached(tried: &Tried<'_>) -> bool {
    matches!(tried.outcome, Outcome::Joined) || tried.turned_away().is_some()
}

/// Every one tried, and what came of it.
fn told(tried: &[Tried<'_>]) -> String {
    let one = |tried: &Tried<'_>| {
        let Candidate { source, internal, .. } = tried.candidate;
        let source = match source {
            Source::Api => "from the API",
            Source::Event => "from the nest's event",
            Source::Usual => "the usual place",
        };
        let internal = internal.map(|internal| format!(", {internal}")).unwrap_or_default();
        format!("{} ({source}{internal}) {}", tried.candidate.as_str(), outcome(tried))
    };
    tried.iter().map(one).collect::<Vec<_>>().join("; ")
}

fn outcome(tried: &Tried<'_>) -> String {
    match &tried.outcome {
        Outcome::Joined => "answers".into(),
        Outcome::Failed(_) if reached(tried) => "answers".into(),
        Outcome::Failed(error) => why(error),
        Outcome::OnlyAsked => "was not joined: there is no usable token".into(),
        Outcome::Cleartext => "was not dialled: the token would travel in the clear".into(),
        Outcome::NotForHosts => "was not dialled: a host's token goes only where the API says".into(),
        Outcome::NoTime => "was not tried: the time was used up".into(),
    }
}

/// What went wrong on the way, as the predicate to an endpoint.
fn why(error: &JoinError) -> String {
    let DialError { layer, cause, .. } = match error {
        JoinError::Dial(error) => error,
        JoinError::Refused(refusal) => return format!("refuses the token: {refusal}"),
        JoinError::SentAway(reason) => return format!("sends us away: {}", away(*reason)),
        JoinError::Broken(text) => return format!("does not talk to us: {text}"),
        JoinError::TimedOut(timed_out) => return silence("word from the room", *timed_out),
    };
    match cause {
        DialCause::NoAddress(text) => format!("cannot be found in DNS: {text}"),
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
        DialCause::TimedOut(timed_out) => silence(awaited(*layer), *timed_out),
    }
}

fn silence(awaited: &str, TimedOut { after, cut_short }: TimedOut) -> String {
    let silent = if cut_short { "had not answered when the time was up" } else { "does not answer" };
    format!("{silent}: no {awaited} within {}", milliseconds(after))
}

fn awaited(layer: DialLayer) -> &'static str {
    match layer {
        DialLayer::Dns => "answer from DNS",
        DialLayer::Tcp => "TCP connection",
        DialLayer::Tls => "TLS handshake",
        DialLayer::WebSocket => "WebSocket",
    }
}

/// A reason to be sent away, for people.
pub(super) fn away(reason: DisconnectReason) -> &'static str {
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

fn hint(tried: &Tried<'_>) -> Option<String> {
    if tried.candidate.internal.is_some() {
        return Some(match tried.candidate.internal {
            Some(Internal::BareName | Internal::LocalName) | None => said::PUBLIC_ADDRESS.into(),
            Some(_) => format!("{}; private addresses are not reachable from elsewhere", said::PUBLIC_ADDRESS),
        });
    }
    let Outcome::Failed(error) = &tried.outcome else {
        return matches!(tried.outcome, Outcome::Cleartext).then(|| {
            "for the operator: put TLS in front of LiveKit; or, in a network that you trust, --allow-http".into()
        });
    };
    let JoinError::Dial(DialError { cause, .. }) = error else { return None };
    let text = match cause {
        DialCause::NoAddress(_) => "try from another network; if it stays so, the operator has to mend the name in DNS",
        DialCause::TimedOut(TimedOut { cut_short: true, .. }) => return None,
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
    Some(text.into())
}

pub(super) fn signal(findings: &Findings<'_>) -> Step {
    const NAME: &str = "signal";
    if let Some(entered) = &findings.entered {
        let joined = &entered.joined;
        let version = joined.version.as_ref().map_or_else(String::new, |version| format!(" on LiveKit {version}"));
        let region = joined.region.as_ref().map_or_else(String::new, |region| format!(" in {region}"));
        let inside = findings.left.map_or(joined.people.len(), |(_, inside)| inside);
        let people = match inside {
            0 => "nobody else is inside".into(),
            1 => "1 person inside".into(),
            n => format!("{n} people inside"),
        };
        let detail = format!("joined {}{version}{region}, {people} ({})", joined.sid, entered.timings.describe());
        let step = Step::new(NAME, Status::Passed, detail).took(entered.timings.total());
        return match findings.closes_at_ms() {
            Some(ms) => {
                let closes = fill(said::EMPTY_HINT, &[("time", &moment(ms, findings.clock.now_ms()))]);
                Step { status: Status::Warned, ..step }.hint(format!("{}: {closes}", said::EMPTY))
            }
            None => step,
        };
    }
    let Some((tried, error)) = findings.tried.iter().find_map(|tried| Some((tried, tried.turned_away()?))) else {
        if findings.check.join.is_none() {
            let why = findings.check.no_token.unwrap_or("the API gave none");
            return Step::new(NAME, Status::NotChecked, format!("there is no token to join with: {why}"))
                .hint(format!("check again: nest check {}", findings.check.room));
        }
        let why = if findings.tried.iter().all(|tried| matches!(tried.outcome, Outcome::OnlyAsked)) {
            "nothing was dialled"
        } else {
            "no media server was reached"
        };
        return Step::new(NAME, Status::NotChecked, why);
    };
    let step = |status, detail: String| Step::new(NAME, status, detail).took(tried.elapsed);
    match error {
        JoinError::Refused(Refusal::NoSuchRoom) => step(
            Status::Failed,
            format!("the media server has no room {:?}: the nest is not running there", findings.check.room),
        )
        .hint("restart the nest; if it was just restarted, the API talks to another LiveKit than this one"),
        JoinError::TimedOut(TimedOut { cut_short: true, .. }) => {
            step(Status::NotChecked, format!("{} {}", tried.candidate.as_str(), why(error)))
                .hint("give it more time with --timeout")
        }
        JoinError::SentAway(DisconnectReason::DuplicateIdentity) => {
            step(Status::Failed, format!("the media server {}", why(error))).hint("try again")
        }
        _ => step(Status::Failed, format!("the media server {}", why(error))),
    }
}
