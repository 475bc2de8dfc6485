//! Steps 5 and 6: does sound get through, there and back?

use std::net::IpAddr;

use super::super::findings::{Findings, Speech};
use super::super::media::offered::Offered;
use super::super::media::{Connected, Failure, Finding, Silence, Spoken, Transport};
use super::super::signal::Ending;
use super::said::{self, fill};
use super::way::away;
use crate::net::dial::milliseconds;
use crate::report::{Status, Step};

const OPEN_PORTS: &str =
    "open UDP 50000-60000, or LiveKit's `rtc.udp_port` if that is set, and TCP 7881 in the server's firewall";
pub(super) fn media(findings: &Findings<'_>) -> Step {
    const NAME: &str = "media";
    let Some(finding) = &findings.media else {
        let why = if findings.entered.is_none() {
            "the room was not entered"
        } else {
            "whether sound gets through was not tried"
        };
        return Step::new(NAME, Status::NotChecked, why);
    };
    let step = |status, detail: String| Step::new(NAME, status, detail).took(finding.elapsed);
    match &finding.result {
        Ok(connected) => stands(findings, finding, connected),
        Err(Failure::NotBuilt) => Step::new(NAME, Status::NotChecked, "this nest was built without audio"),
        Err(Failure::NoMedia) => step(Status::NotChecked, "the server offers no audio: it does signal only".into()),
        Err(Failure::NoRelay) => step(Status::NotChecked, "the media server advertises no TURN server".into())
            .hint("for the operator: LiveKit's `turn` section helps people whose networks block all else"),
        Err(Failure::OutOfTime(time)) => {
            step(Status::NotChecked, format!("time was up after {}, before that could be said", milliseconds(*time)))
                .hint("give it more time with --timeout")
        }
        Err(Failure::Ended(how)) => {
            step(Status::Failed, format!("the session ended while audio was tried: {}", ending(how)))
        }
        Err(Failure::NoAnswer(time)) => step(
            Status::Failed,
            format!(
                "the media server lets us in, but did not answer our offer of audio within {}",
                milliseconds(*time)
            ),
        )
        .hint("check again; if it stays so, the operator has to restart LiveKit"),
        Err(Failure::Broken(text)) => step(Status::Failed, format!("no audio connection: {text}")),
        Err(Failure::NothingOffered) => nothing_offered(findings, finding),
        Err(Failure::NoAllocation | Failure::NoConnection(_)) => nothing_works(findings, finding),
    }
}

fn stands(findings: &Findings<'_>, finding: &Finding, connected: &Connected) -> Step {
    let Connected { protocol, local, remote, rtt } = connected;
    let rtt = rtt.map_or_else(String::new, |rtt| format!(", {} there and back", milliseconds(rtt)));
    let pair = format!("{local} to {remote}{rtt}");
    let step = |status, detail| Step::new("media", status, detail).took(finding.elapsed);
    let forced = findings.check.transport.is_some();
    let udp_offered = finding.seen.offered.iter().any(|offered| offered.transport != Transport::Tcp);
    match protocol {
        Transport::Udp => {
            let tcp = match finding.seen.tcp.iter().find(|(_, told)| told.is_ok()) {
                Some((address, _)) => format!("; TCP port {} is open too", address.port()),
                None => String::new(),
            };
            step(Status::Passed, format!("sound gets through by UDP: {pair}{tcp}"))
        }
        Transport::Tcp if forced => step(Status::Passed, format!("sound gets through by TCP: {pair}")),
        Transport::Tcp if !udp_offered => {
            step(Status::Passed, format!("sound gets through by TCP, which is all that the server offers: {pair}"))
        }
        Transport::Tcp => {
            step(Status::Warned, fill(said::UDP_BLOCKED, &[("pair", &pair)])).hint(said::UDP_BLOCKED_HINT)
        }
        Transport::Relay => {
            let url = finding.seen.relay.as_deref().unwrap_or("TURN");
            let dead = finding.seen.relays.iter();
            let failed: Vec<_> = dead.map(|(url, why)| format!("; {}", broken(url, why))).collect();
            let failed = failed.concat();
            let detail = format!("through {url}: {pair}{failed}");
            if forced && failed.is_empty() {
                step(Status::Passed, format!("sound gets through by a relay, {detail}"))
            } else if forced {
                step(Status::Warned, format!("sound gets through by a relay, {detail}"))
            } else {
                step(Status::Warned, format!("UDP and TCP blocked, a relay works, {detail}"))
                    .hint(said::UDP_BLOCKED_HINT)
            }
        }
    }
}

fn nothing_offered(findings: &Findings<'_>, finding: &Finding) -> Step {
    let step = |status, detail: &str| Step::new("media", status, detail).took(finding.elapsed);
    match (findings.check.transport, finding.seen.offered.is_empty()) {
        (Some(Transport::Tcp), false) => step(Status::Failed, "the media server takes no audio by TCP")
            .hint("for the operator: `rtc.tcp_port: 7881` in LiveKit's configuration"),
        (Some(_), false) => step(Status::Failed, "the media server takes no audio by UDP")
            .hint("for the operator: `rtc.force_tcp` is set, or there are no UDP ports in LiveKit's configuration"),
        _ => {
            step(Status::Failed, "the media server offers no address at which it would take audio").hint(said::NODE_IP)
        }
    }
}

fn nothing_works(findings: &Findings<'_>, finding: &Finding) -> Step {
    let seen = &finding.seen;
    let step = |detail: String| Step::new("media", Status::Failed, detail).took(finding.elapsed);
    let mut parts = Vec::new();
    let kinds: &[Transport] = match findings.check.transport {
        Some(Transport::Relay) => &[],
        Some(Transport::Udp) => &[Transport::Udp],
        Some(Transport::Tcp) => &[Transport::Tcp],
        None => &[Transport::Udp, Transport::Tcp],
    };
    let signal = findings.entered.as_ref().and_then(|entered| entered.peer);
    for kind in kinds {
        let offered: Vec<_> = seen.offered.iter().filter(|offered| offered.transport == *kind).collect();
        if !offered.is_empty() {
            let told: Vec<_> = offered.iter().map(|offered| named(offered, signal, finding)).collect();
            parts.push(format!("{kind} blocked ({})", told.join(", ")));
        }
    }
    parts.extend(seen.relays.iter().map(|(url, why)| broken(url, why)));
    let step = step(fill(said::NO_SOUND, &[("tried", &parts.join("; "))]));
    if findings.check.transport == Some(Transport::Relay) {
        return step.hint(said::TURN_HINT);
    }
    let inner = signal.is_some_and(|signal| seen.offered.iter().any(|offered| offered.internal(signal).is_some()));
    let elsewhere = signal.filter(|signal| seen.offered.iter().all(|offered| offered.address.ip() != *signal));
    step.hint(match (inner, elsewhere) {
        (true, _) => said::NODE_IP.to_owned(),
        (false, Some(signal)) => format!(
            "{}, unless it is right already (the signal connection goes to {signal}); if it is, {OPEN_PORTS}",
            said::NODE_IP
        ),
        (false, None) => format!("for the operator: {OPEN_PORTS}"),
    })
}

pub(super) fn publish(findings: &Findings<'_>) -> Step {
    let unchecked = |why: &str| Step::new("publish", Status::NotChecked, why);
    let Some(Speech { result, elapsed }) = &findings.speech else {
        return unchecked(if findings.check.publish {
            "there is no audio connection to speak on"
        } else {
            "not asked for: --publish says a second of silence, with a token that may speak"
        });
    };
    let step = |status, detail: String| Step::new("publish", status, detail).took(*elapsed);
    let failed = |detail: String| step(Status::Failed, detail);
    match result {
        Ok(Spoken { sid, sent, heard, lost }) => {
            let detail =
                format!("the media server hears us: {heard} of {sent} packets of silence so far, {lost} lost ({sid})");
            step(if *lost > heard / 10 { Status::Warned } else { Status::Passed }, detail)
        }
        Err(Silence::NoConnection) => unchecked("there is no audio connection to speak on"),
        Err(Silence::NotAllowed) => unchecked("this token only listens; with the host's key, --as-host speaks"),
        Err(Silence::Refused(why)) => failed(format!("the media server does not let us speak: {why}")),
        Err(Silence::Unacknowledged(time)) => {
            failed(format!("the media server did not acknowledge our track within {}", milliseconds(*time)))
        }
        Err(Silence::Unheard(sent)) => {
            failed(format!("the media server took our track, but says of none of {sent} packets that it heard it"))
                .hint("check again; if it stays so, the network lets sound in but not out")
        }
        Err(Silence::Ended(how)) => failed(format!("the session ended while we spoke: {}", ending(how))),
        Err(Silence::Broken(text)) => failed(format!("could not speak: {text}")),
    }
}

/// An address, and what is known about it.
fn named(offered: &Offered, signal: Option<IpAddr>, finding: &Finding) -> String {
    let address = offered.address;
    let told = finding.seen.tcp.iter().find(|(called, _)| *called == address && offered.transport == Transport::Tcp);
    if let Some(internal) = signal.and_then(|signal| offered.internal(signal)) {
        return format!("{address}, {internal}");
    }
    if finding.seen.unroutable.contains(&address.ip()) {
        return format!("{address}, to which there is no way from here");
    }
    match told {
        Some((_, Err(why))) => format!("{address}: {why}"),
        Some((_, Ok(()))) => format!("{address} takes connections but does not speak ICE"),
        None => format!("{address} does not answer"),
    }
}

fn broken(url: &str, why: &Failure) -> String {
    fill(said::TURN, &[("url", url), ("why", &unusable(why))])
}

fn unusable(failure: &Failure) -> String {
    match failure {
        Failure::NoAllocation => "it gives us no address".into(),
        Failure::NoConnection(_) => "nothing comes through it".into(),
        Failure::OutOfTime(time) => format!("silence for {}", milliseconds(*time)),
        Failure::NothingOffered => "the media server has no UDP for it to talk to".into(),
        Failure::Ended(how) => ending(how),
        Failure::Broken(text) => text.clone(),
        Failure::NoAnswer(_) | Failure::NoMedia | Failure::NotBuilt | Failure::NoRelay => "no audio was offered".into(),
    }
}

fn ending(how: &Ending) -> String {
    match how {
        Ending::SentAway(reason) => away(*reason).into(),
        Ending::Lost(text) => text.clone(),
        Ending::Silent(_) => "the media server stopped answering".into(),
        Ending::Deaf => "the audio connection broke".into(),
    }
}
