//! What was seen, judged: seven steps in the order in which they depend on each other. Pure.

use std::time::Duration;

use super::findings::{Findings, Outcome, Tried};
use super::fresh::{self, FreshnessVerdict};
use super::media::{Failure, Silence, Transport};
use super::offset::Offset;
use super::report::{Finding, TokenFinding, Whose};
use super::signal::{DisconnectReason, Ending, JoinError};
use super::token::{self, Problem};
use super::validate::{Refusal, ValidateAnswer, ValidateError};
use crate::net::dial::{DialLayer, TimedOut};
use crate::report::{Status, Step};
use crate::secret::Secret;

/// A room that closes so soon after a restart closes because of it: the late teardown comes within 30 s.
const LATE_TEARDOWN_MS: i64 = 60_000;

/// Between two servers' clocks this much can be forgiven.
const CLOCKS_APART_MS: i64 = 30_000;

type Judged = (Status, Finding, Option<Duration>);

pub(super) fn steps(seen: &Findings<'_>) -> Vec<Step<Finding>> {
    let steps: [(&str, Judged); 7] = [
        ("token", token(seen)),
        ("endpoint", endpoint(seen)),
        ("signal", signal(seen)),
        ("fresh", fresh(seen)),
        ("media", media(seen)),
        ("publish", publish(seen)),
        ("hold", hold(seen)),
    ];
    steps.into_iter().map(|(name, (status, finding, elapsed))| Step { name, status, elapsed, finding }).collect()
}

/// What the media server says of one token.
enum Opinion<'a> {
    Accepted,
    Refused(&'a Refusal),
    Silence(Option<&'a ValidateError>),
}

fn token(seen: &Findings<'_>) -> Judged {
    let check = &seen.check;
    let host = check.host_token.map(|token| one_token(seen, Whose::Host, token, &on_host(seen)));
    let joining = check.join.filter(|joining| check.host_token != Some(joining.token)).map(|joining| {
        let whose = if joining.host { Whose::Host } else { Whose::Guest };
        one_token(seen, whose, joining.token, &on_joining(seen))
    });
    let rank = |status: &Status| match status {
        Status::Failed => 0,
        Status::Warned => 1,
        Status::NotChecked => 2,
        Status::Passed => 3,
    };
    // Of two the one that matters more; of two good ones the first.
    let worst = [host, joining].into_iter().flatten().min_by_key(|(status, _)| rank(status));
    let (status, finding) = worst.unwrap_or((Status::NotChecked, Finding::NoToken));
    (status, finding, judged_after(seen))
}

/// How long a media server took to judge the token: the host's when asked, else the one that joins, by the upgrade.
fn judged_after(seen: &Findings<'_>) -> Option<Duration> {
    let asked = seen.host_answer.as_ref().and_then(|answer| Some(answer.as_ref().ok()?.elapsed));
    let joined = seen.entered.as_ref().and_then(|entered| entered.timings.of(DialLayer::WebSocket));
    let refused = || seen.tried.iter().find(|tried| tried.turned_away().is_some()).map(|tried| tried.elapsed);
    asked.or(joined).or_else(refused)
}

fn on_host<'a>(seen: &'a Findings<'_>) -> Opinion<'a> {
    match &seen.host_answer {
        Some(Ok(ValidateAnswer { verdict: Ok(()) | Err(Refusal::NoSuchRoom), .. })) => Opinion::Accepted,
        Some(Ok(ValidateAnswer { verdict: Err(refusal), .. })) => Opinion::Refused(refusal),
        Some(Err(error)) => Opinion::Silence(Some(error)),
        None => Opinion::Silence(None),
    }
}

fn on_joining<'a>(seen: &'a Findings<'_>) -> Opinion<'a> {
    match seen.join_refusal() {
        _ if seen.entered.is_some() => Opinion::Accepted,
        Some(Refusal::NoSuchRoom) => Opinion::Accepted,
        Some(refusal) => Opinion::Refused(refusal),
        None => Opinion::Silence(None),
    }
}

fn one_token(seen: &Findings<'_>, whose: Whose, token: &Secret, opinion: &Opinion<'_>) -> (Status, Finding) {
    let (status, found) = match token::decode(token.expose()) {
        Err(malformed) => (Status::Failed, TokenFinding::Malformed(malformed)),
        Ok(claims) => {
            let there_ms = seen.clock.now_ms().saturating_add(seen.server_clock().map_or(0, Offset::middle_ms));
            let mut problems = claims.problems(seen.check.room, there_ms.div_euclid(1000));
            let other_room = problems.iter().position(|problem| matches!(problem, Problem::OtherRoom(_)));
            match (opinion, other_room) {
                (_, Some(at)) => (Status::Failed, TokenFinding::OtherRoom(problems.swap_remove(at))),
                (Opinion::Refused(refusal), _) => {
                    (Status::Failed, TokenFinding::Refused((*refusal).clone(), clocks_apart_ms(seen)))
                }
                (Opinion::Accepted, _) => (Status::Passed, TokenFinding::Accepted(claims)),
                (Opinion::Silence(why), _) => match problems.into_iter().next() {
                    Some(problem) => (Status::Failed, TokenFinding::Useless(problem)),
                    None => (Status::NotChecked, TokenFinding::Unjudged(claims, why.cloned())),
                },
            }
        }
    };
    (status, Finding::Token(whose, found))
}

/// How far LiveKit's clock is ahead of the API's, where it is more than can be forgiven.
fn clocks_apart_ms(seen: &Findings<'_>) -> Option<i64> {
    let (media, api) = (seen.server_clock()?, seen.check.api_clock?);
    let ahead_ms = media.middle_ms().saturating_sub(api.middle_ms());
    (ahead_ms.abs() >= CLOCKS_APART_MS).then_some(ahead_ms)
}

fn endpoint(seen: &Findings<'_>) -> Judged {
    let tried = seen.tried.as_slice();
    let elapsed = Some(tried.iter().map(|tried| tried.elapsed).sum());
    let all = |tried: &[Tried], wanted: fn(&Outcome) -> bool| tried.iter().all(|tried| wanted(&tried.outcome));
    let (status, tried) = match tried.iter().position(Tried::answers) {
        Some(at) if all(&tried[..at], |outcome| matches!(outcome, Outcome::NotForHosts)) => {
            (Status::Passed, &tried[..=at])
        }
        Some(at) => (Status::Warned, &tried[..=at]),
        None if tried.is_empty() => return (Status::Failed, Finding::NoEndpoint, None),
        None if all(tried, |outcome| matches!(outcome, Outcome::OnlyAsked)) => {
            return (Status::NotChecked, Finding::NothingDialled, elapsed);
        }
        None if tried.iter().any(Tried::cut_short) => (Status::NotChecked, tried),
        None => (Status::Failed, tried),
    };
    (status, Finding::Endpoints(tried.to_vec()), elapsed)
}

fn signal(seen: &Findings<'_>) -> Judged {
    if let Some(entered) = &seen.entered {
        let status = if seen.closes_at_ms().is_some() { Status::Warned } else { Status::Passed };
        return (status, Finding::Joined(entered.timings.clone()), Some(entered.timings.total()));
    }
    let room = || seen.check.room.to_owned();
    let Some((tried, error)) = seen.tried.iter().find_map(|tried| Some((tried, tried.turned_away()?))) else {
        let finding = match seen.check.join {
            None => Finding::NoTokenToJoin(room(), seen.check.no_token.map(str::to_owned)),
            _ if seen.tried.iter().all(|tried| matches!(tried.outcome, Outcome::OnlyAsked)) => Finding::NothingDialled,
            _ => Finding::NotReached,
        };
        return (Status::NotChecked, finding, None);
    };
    let (status, finding) = match error {
        JoinError::Refused(Refusal::NoSuchRoom) => (Status::Failed, Finding::NoSuchRoom(room())),
        JoinError::TimedOut(TimedOut { cut_short: true, .. }) => {
            (Status::NotChecked, Finding::TurnedAway(tried.clone()))
        }
        _ => (Status::Failed, Finding::TurnedAway(tried.clone())),
    };
    (status, finding, Some(tried.elapsed))
}

fn fresh(seen: &Findings<'_>) -> Judged {
    let (Some(entered), Some(freshness)) = (&seen.entered, &seen.freshness) else {
        return (Status::NotChecked, Finding::NotEntered, None);
    };
    let joined = &entered.joined;
    let created = fresh::created_here(joined, seen.media_clock);
    let status = match freshness.verdict {
        FreshnessVerdict::Fresh(_) => Status::Passed,
        FreshnessVerdict::Unsure(_) => Status::Warned,
        FreshnessVerdict::NoRestart | FreshnessVerdict::NoEvidence => Status::NotChecked,
        FreshnessVerdict::Old(_) | FreshnessVerdict::OurOwn | FreshnessVerdict::Foreign => Status::Failed,
    };
    let finding = Finding::Freshness {
        verdict: freshness.verdict.clone(),
        age_ms: created.map(|created| joined.sent_ms.saturating_sub(created.middle_ms())),
        sid_before: seen.check.sid_before.map(str::to_owned),
        closes_after_s: joined.closes_after_s(),
    };
    (status, finding, Some(freshness.elapsed))
}

fn media(seen: &Findings<'_>) -> Judged {
    let Some(found) = &seen.media else {
        let why = if seen.entered.is_none() { Finding::NotEntered } else { Finding::AudioNotTried };
        return (Status::NotChecked, why, None);
    };
    let wanted = seen.check.transport;
    let status = match &found.result {
        Ok(connected) => match connected.protocol {
            Transport::Udp => Status::Passed,
            Transport::Tcp if wanted.is_some() || !found.seen.offers_udp() => Status::Passed,
            Transport::Relay if wanted.is_some() && found.seen.relays.is_empty() => Status::Passed,
            Transport::Tcp | Transport::Relay => Status::Warned,
        },
        Err(Failure::NotBuilt | Failure::NoMedia | Failure::NoRelay | Failure::OutOfTime(_)) => Status::NotChecked,
        Err(_) => Status::Failed,
    };
    let elapsed = (found.result != Err(Failure::NotBuilt)).then_some(found.elapsed);
    let signal = seen.entered.as_ref().and_then(|entered| entered.peer);
    (status, Finding::Audio { wanted, signal, found: Box::new(found.clone()) }, elapsed)
}

fn publish(seen: &Findings<'_>) -> Judged {
    let Some(speech) = &seen.speech else {
        let asked = Finding::Speech(Err(Silence::NoConnection));
        return (Status::NotChecked, if seen.check.publish { asked } else { Finding::SpeechNotAsked }, None);
    };
    let status = match &speech.result {
        Ok(spoken) if spoken.lost > spoken.heard / 10 => Status::Warned,
        Ok(_) => Status::Passed,
        Err(Silence::NoConnection | Silence::NotAllowed) => Status::NotChecked,
        Err(_) => Status::Failed,
    };
    let elapsed = (status != Status::NotChecked).then_some(speech.elapsed);
    (status, Finding::Speech(speech.result.clone()), elapsed)
}

fn hold(seen: &Findings<'_>) -> Judged {
    let Some(asked) = seen.check.hold else { return (Status::NotChecked, Finding::HoldNotAsked, None) };
    let closed = match &seen.held {
        None => return (Status::NotChecked, Finding::NotEntered, None),
        Some(Ok(())) => {
            let held = seen.hold().unwrap_or(asked);
            return (Status::Passed, Finding::Held(held, asked > held), Some(held));
        }
        Some(Err(closed)) => closed,
    };
    let since_restart_ms = seen.since_restart_ms();
    // Somebody else's restart may have been followed by another, or by the nest's end.
    let late = since_restart_ms.filter(|ms| seen.check.restarted.is_some() && *ms <= LATE_TEARDOWN_MS);
    let ended = Finding::Ended(closed.clone(), since_restart_ms);
    let (status, finding) = match (&closed.how, late) {
        (Ending::SentAway(DisconnectReason::RoomDeleted | DisconnectReason::RoomClosed), Some(ms)) => {
            (Status::Failed, Finding::LateTeardown(ms))
        }
        (Ending::SentAway(DisconnectReason::JoinFailure | DisconnectReason::ConnectionTimeout), _) => {
            (Status::NotChecked, ended)
        }
        _ => (Status::Failed, ended),
    };
    (status, finding, Some(closed.after))
}
