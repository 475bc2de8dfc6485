//! Steps 2 and 3: where the media server is, and whether it lets us in.

use super::super::dial::{Cause, Failed, Layer, milliseconds};
use super::super::endpoint::{Candidate, Internal, Source};
use super::super::findings::{Findings, Outcome, Tried};
use super::super::signal::DisconnectReason;
use super::super::validate::Refusal;
use super::moment;
use super::said::{self, fill};
use crate::report::{Status, Step};
use crate::tls;

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
        Outcome::Failed(failed) => why(failed),
        Outcome::OnlyAsked => "was not joined: there is no usable token".into(),
        Outcome::Cleartext => "was not dialled: the token would travel in the clear".into(),
        Outcome::NotForHosts => "was not dialled: a host's token goes only where the API says".into(),
        Outcome::NoTime => "was not tried: the time was used up".into(),
    }
}

/// What went wrong on the way, as the predicate to an endpoint.
fn why(failed: &Failed) -> String {
    match &failed.cause {
        Cause::NoAddress(text) => format!("cannot be found in DNS: {text}"),
        Cause::NoConnection(tried) => {
            let tried: Vec<_> = tried.iter().map(|(address, error)| format!("{address}: {error}")).collect();
            format!("cannot be connected to ({})", tried.join(", "))
        }
        Cause::Tls(failure) => format!("cannot be trusted: {failure}"),
        Cause::Refused { refusal: Some(refusal), .. } => format!("refuses the token: {refusal}"),
        Cause::Refused { status: status @ 502..=504, refusal: None } => {
            format!("answers {status}: the proxy there does not reach LiveKit")
        }
        Cause::Refused { status, refusal: None } => format!("is no LiveKit server: it answers {status}"),
        Cause::Redirected { status, location } => format!("points elsewhere ({status}): {location}"),
        Cause::Broken(text) => format!("does not talk to us: {text}"),
        Cause::SentAway(reason) => format!("sends us away: {}", away(*reason)),
        Cause::TimedOut(time) => format!("does not answer: no {} within {}", layer(failed.layer), milliseconds(*time)),
        Cause::OutOfTime(time) => {
            format!("had not answered when the time was up: no {} within {}", layer(failed.layer), milliseconds(*time))
        }
    }
}

fn layer(layer: Layer) -> &'static str {
    match layer {
        Layer::Dns => "answer from DNS",
        Layer::Tcp => "TCP connection",
        Layer::Tls => "TLS handshake",
        Layer::WebSocket => "WebSocket",
        Layer::Join => "word from the room",
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
    let Outcome::Failed(failed) = &tried.outcome else {
        return matches!(tried.outcome, Outcome::Cleartext).then(|| {
            "for the operator: put TLS in front of LiveKit; or, in a network that you trust, --allow-http".into()
        });
    };
    let text = match &failed.cause {
        Cause::NoAddress(_) => "try from another network; if it stays so, the operator has to mend the name in DNS",
        Cause::NoConnection(_) | Cause::TimedOut(_) => {
            "for the operator: is LiveKit running, and does the firewall let its port in?"
        }
        Cause::Tls(tls::Failure::NotTls) => {
            "for the operator: LiveKit speaks plain HTTP on its own port; hand out the address of the TLS proxy in front of it"
        }
        Cause::Tls(tls::Failure::UnknownIssuer { .. }) => {
            "browsers refuse it too; if it is the server's own CA, name that with --cacert"
        }
        Cause::Tls(tls::Failure::NotValidYet { .. }) => "turn NTP on: the clock here is probably behind",
        Cause::Tls(_) => "for the operator: renew the certificate for this name",
        Cause::Refused { status: 502..=504, .. } => "for the operator: is LiveKit running behind its proxy?",
        Cause::Refused { .. } | Cause::Redirected { .. } | Cause::Broken(_) => {
            "for the operator: the proxy must pass WebSockets on to LiveKit under this very address"
        }
        Cause::SentAway(_) | Cause::OutOfTime(_) => return None,
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
    let Some((tried, failed)) = findings.tried.iter().find_map(|tried| Some((tried, tried.turned_away()?))) else {
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
    match &failed.cause {
        Cause::Refused { refusal: Some(Refusal::NoSuchRoom), .. } => step(
            Status::Failed,
            format!("the media server has no room {:?}: the nest is not running there", findings.check.room),
        )
        .hint("restart the nest; if it was just restarted, the API talks to another LiveKit than this one"),
        Cause::OutOfTime(_) => step(Status::NotChecked, format!("{} {}", tried.candidate.as_str(), why(failed)))
            .hint("give it more time with --timeout"),
        Cause::SentAway(DisconnectReason::DuplicateIdentity) => {
            step(Status::Failed, format!("the media server {}", why(failed))).hint("try again")
        }
        _ => step(Status::Failed, format!("the media server {}", why(failed))),
    }
}
