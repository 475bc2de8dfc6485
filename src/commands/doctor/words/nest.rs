//! One nest in words: event, record, host, audio room, endpoints, signal, media.

use nostr::PublicKey;

use super::super::findings::Findings;
use super::super::media::Media;
use super::super::{Link, Request};
use super::{named, not_checked};
use crate::clock::{Clock, local_hour_minute, rfc3339};
use crate::commands::Error;
use crate::key::npub;
use crate::livekit::endpoint::Candidate;
use crate::report::{Status, Step};

pub(super) fn event(findings: &Findings, request: &Request) -> Link {
    const NAME: &str = "event";
    let room = match &findings.event {
        Ok(Some(room)) => room,
        Ok(None) => {
            return not_checked(NAME, "neither the nest's name nor its record leads to it")
                .hint("name the nest by its naddr or link");
        }
        Err(error @ Error::NoEvent { .. }) => {
            return Link::new(NAME, Status::Failed, error.to_string())
                .hint("name a relay that has it: --relay wss://…")
                .next(format!("nest doctor {} --relay wss://…", named(request)))
                .took(findings.event_elapsed);
        }
        Err(error) if findings.far().is_none() => {
            return Link::new(NAME, Status::Failed, error.to_string())
                .hint("name a relay that answers: --relay wss://…");
        }
        Err(error) => {
            return Link::new(NAME, Status::Warned, error.to_string())
                .hint("name a relay that answers: --relay wss://…");
        }
    };
    let (status, event) = (room.event.status(), &room.event);
    let title = event.title().map(|title| format!("{title:?}, ")).unwrap_or_default();
    let seen = match room.seen_on.as_slice() {
        [only] => only.to_string(),
        several => format!("{} relays", several.len()),
    };
    let detail = format!("{title}status {:?}, on {seen}", status.as_str());
    let took = |link: Link| link.took(findings.event_elapsed);
    if let Some(media) = event.media_over_quic() {
        let relay = media.relay.or(media.auth).unwrap_or_default();
        return took(Link::new(NAME, Status::Warned, format!("{detail}; it runs on Media over QUIC at {relay}")))
            .hint("there is no audio room to restart: the event alone makes it live. Whether that relay answers, nest check shows");
    }
    if event.is_over(Clock::default().now_s()) {
        return took(Link::new(NAME, Status::Warned, detail))
            .hint("clients show this nest as over, whatever the audio room does");
    }
    if !room.stale_on.is_empty() {
        let stale: Vec<_> = room.stale_on.iter().map(ToString::to_string).collect();
        return took(Link::new(NAME, Status::Warned, format!("{detail}; {} have an older version", stale.join(", "))))
            .hint("whoever reads there sees the older one");
    }
    took(Link::new(NAME, Status::Passed, detail))
}

pub(super) fn record(findings: &Findings, request: &Request) -> Link {
    const NAME: &str = "record";
    let Some(far) = findings.far() else { return not_checked(NAME, "there is no API to have one") };
    match &far.nest.info {
        Ok(info) => {
            let since = info.restarted_at.map_or_else(
                || format!("created {}", when(info.created_at)),
                |at| format!("last restarted {}", when(at)),
            );
            Link::new(NAME, Status::Passed, format!("it is there, {since}")).took(far.nest.elapsed)
        }
        Err(_) if far.nest.has_record() == Some(false) => {
            let runs = if far.nest.has_audio_room() == Some(true) { "the nest still runs, but " } else { "" };
            Link::new(
                NAME,
                Status::Failed,
                format!("{runs}the server no longer has it: records live 24 h from their last write"),
            )
            .hint("a restart cannot bring it back, a new nest in its place can")
            .next(format!("nest recreate {}", named(request)))
        }
        Err(error) => not_checked(NAME, format!("the API does not say: {error}")),
    }
}

pub(super) fn host(findings: &Findings, request: &Request) -> Link {
    const NAME: &str = "host";
    let recorded = findings.far().and_then(|far| far.nest.host());
    let published = findings.event().map(|room| room.event.host());
    let named_host = request.room.as_ref().and_then(|room| room.host);
    let Some(host) = recorded.or(published).or(named_host) else {
        return not_checked(NAME, "nobody says who hosts this nest");
    };
    if let Some(other) = published.or(named_host).filter(|other| *other != host) {
        return Link::new(
            NAME,
            Status::Failed,
            format!("the record says {}, the event is by {}", npub(&host), npub(&other)),
        )
        .hint("the API lets only the first restart it, and the event is the second's: is this the right API?");
    }
    match &findings.key {
        Some(Ok(key)) if key.public_key() == host => Link::new(NAME, Status::Passed, "it is your nest"),
        Some(Ok(key)) => not_yours(&host, &key.public_key(), request),
        _ => not_checked(NAME, format!("the host is {}; there is no key to compare with", npub(&host))),
    }
}

fn not_yours(host: &PublicKey, you: &PublicKey, request: &Request) -> Link {
    Link::new("host", Status::Warned, format!("you are {}; the host is {}", npub(you), npub(host))).hint(format!(
        "only the host can restart it. If that is you too: nest restart {} --key-file PATH",
        named(request)
    ))
}

pub(super) fn room(findings: &Findings, request: &Request) -> Link {
    const NAME: &str = "room";
    let Some(far) = findings.far() else { return not_checked(NAME, "there is no API to ask for it") };
    let sight = &far.nest;
    match &sight.guest {
        Ok(_) => {
            let inside = match sight.info.as_ref().map(|info| info.participant_count) {
                Ok(0) => ", nobody is inside",
                Ok(1) => ", one person is inside",
                Ok(n) => &format!(", {n} people are inside"),
                Err(_) => "",
            };
            Link::new(NAME, Status::Passed, format!("there is an audio room{inside}")).took(sight.elapsed)
        }
        Err(_) if sight.has_audio_room() == Some(false) && sight.has_record() == Some(false) => {
            not_checked(NAME, "there is none, as there is no record")
        }
        Err(_) if sight.has_audio_room() == Some(false) => {
            let over = findings.event().is_some_and(|room| room.event.is_over(Clock::default().now_s()));
            let detail = "there is no audio room, or the API's media server is down";
            if over {
                return Link::new(NAME, Status::Warned, detail)
                    .hint("the event says that the nest is over: that is as it should be");
            }
            let ours = findings
                .key
                .as_ref()
                .and_then(|key| key.as_ref().ok())
                .is_some_and(|key| Some(key.public_key()) == sight.host());
            let link = Link::new(NAME, Status::Failed, detail);
            match sight.host().filter(|_| !ours) {
                Some(host) => {
                    let ask = format!("ask its host to restart it: {}", npub(&host));
                    link.hint(ask.clone()).next(ask)
                }
                None => link.hint("restart it").next(format!("nest restart {} --check", named(request))),
            }
        }
        Err(error) => not_checked(NAME, format!("the API does not say: {error}")),
    }
}

pub(super) fn endpoints(findings: &Findings) -> Link {
    const NAME: &str = "endpoints";
    if findings.far().is_none() {
        return not_checked(NAME, "there is no API");
    }
    let told: Vec<_> = findings.candidates.iter().map(described).collect();
    let usable = |candidate: &&Candidate| candidate.internal.is_none() && !candidate.cleartext;
    if findings.candidates.is_empty() {
        Link::new(NAME, Status::Failed, "nobody says where the media server is")
    } else if findings.candidates.iter().find(usable).is_none() {
        Link::new(NAME, Status::Failed, told.join("; "))
            .hint("for the operator: set LIVEKIT_URL of the API to the public address, wss://…")
    } else if findings.candidates.iter().any(|candidate| !usable(&candidate)) {
        Link::new(NAME, Status::Warned, told.join("; "))
            .hint("for the operator: set LIVEKIT_URL of the API to the public address, wss://…")
    } else {
        Link::new(NAME, Status::Passed, told.join("; "))
    }
}

fn described(candidate: &Candidate) -> String {
    let why = match candidate.internal {
        Some(internal) => format!(" ({internal})"),
        None if candidate.cleartext => " (a token would travel in the clear)".into(),
        None => String::new(),
    };
    format!("{}{why}", candidate.as_str())
}

pub(super) fn signal(findings: &Findings) -> Link {
    const NAME: &str = "signal";
    match &findings.media {
        None => not_checked(NAME, "there is no API to give out a token"),
        Some(Media::NoTime) => not_checked(NAME, "the time was used up; give it more with --timeout"),
        Some(Media::Silent(why)) if why.is_empty() => not_checked(NAME, "there is no other endpoint to call than beside the API"),
        Some(Media::Silent(why)) => Link::new(NAME, Status::Failed, why.join("; "))
            .hint("for the operator: is LiveKit running, and does its proxy pass on WebSockets?"),
        Some(Media::Answers { endpoint, verdict, elapsed }) => match verdict {
            None => Link::new(NAME, Status::Passed, format!("LiveKit answers at {endpoint}; there is no room to join")),
            Some(Ok(())) => Link::new(
                NAME,
                Status::Passed,
                format!("LiveKit at {endpoint} accepts a listener's token; nobody joined, for leaving would shorten the empty nest's life"),
            ),
            Some(Err(refusal)) => {
                Link::new(NAME, Status::Failed, format!("LiveKit at {endpoint} refuses a listener's token: {refusal}"))
                    .hint("for the operator: LIVEKIT_API_KEY and LIVEKIT_API_SECRET of the API must be those of the media server")
            }
        }
        .took(*elapsed),
        Some(Media::Joined(report)) => {
            let of = |name| report.steps.iter().find(move |step| step.name == name);
            let first = ["token", "endpoint", "signal"].into_iter().filter_map(of).find(|step| step.status == Status::Failed);
            renamed(NAME, first.or(of("signal")))
        }
    }
}

pub(super) fn media(findings: &Findings, request: &Request) -> Link {
    const NAME: &str = "media";
    match &findings.media {
        Some(Media::Joined(report)) => renamed(NAME, report.steps.iter().find(|step| step.name == NAME)),
        _ => not_checked(NAME, format!("nobody joined; to try it: nest check {}", named(request))),
    }
}

fn renamed(name: &'static str, step: Option<&Step>) -> Link {
    match step {
        Some(step) => Link { step: Step { name, ..step.clone() }, next: None },
        None => not_checked(name, "the check says nothing of it"),
    }
}

fn when(ms: i64) -> String {
    let near = ms.abs_diff(Clock::default().now_ms()) < 20 * 3600 * 1000;
    let told = if near {
        local_hour_minute(ms).map(|time| format!("at {time}"))
    } else {
        rfc3339(ms).map(|day| format!("on {day}"))
    };
    told.unwrap_or_else(|| "at an impossible time".into())
}
