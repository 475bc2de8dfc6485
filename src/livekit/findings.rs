//! What the check has seen, as data, and how that is judged, without I/O: seven steps, each depending on those before it.

use std::time::Duration;

use super::check::{Check, LONGEST_HOLD};
use super::endpoint::Source;
use super::fresh::{self, FreshnessVerdict};
use super::media::{AudioFailure, AudioFinding, Connected, Silence, Spoken, Transport};
use super::offset::{Offset, Span};
use super::report::{
    CheckReport, EndpointOutcome, Finding, Media, Room, Server, TokenFinding, TokenHolder, Tried, Verdict,
};
use super::signal::{DisconnectReason, Ending, Entered, JoinError, Kept, SessionClosed};
use super::token::{self, Problem};
use super::validate::{TokenRefusal, ValidateAnswer, ValidateError};
use crate::clock::{Clock, rfc3339};
use crate::net::dial::{DialLayer, TimedOut};
use crate::report::{Status, Step};
use crate::secret::Secret;

/// A room that closes so soon after a restart closes because of it: the late teardown comes within 30 s.
const LATE_TEARDOWN_MS: i64 = 60_000;

/// Between two servers' clocks this much can be forgiven.
const CLOCKS_APART_MS: i64 = 30_000;

#[derive(Debug)]
pub(super) struct Freshness {
    pub verdict: FreshnessVerdict,
    pub elapsed: Duration,
    pub last_restart: Option<Span>,
}

#[derive(Debug, Default)]
pub(super) struct Findings<'a> {
    pub check: Check<'a>,
    pub clock: Clock,
    pub tried: Vec<Tried>,
    pub joined_after: Option<Duration>,
    pub host_answer: Option<Result<ValidateAnswer, ValidateError>>,
    /// By the `Date` of the media server that was asked last.
    pub media_clock: Option<Offset>,
    pub entered: Option<Entered>,
    pub freshness: Option<Freshness>,
    pub media: Option<AudioFinding>,
    /// What came of speaking, if it was tried, and how long that took.
    pub speech: Option<(Result<Spoken, Silence>, Duration)>,
    pub held: Option<Result<(), SessionClosed>>,
    /// Why a stay ended that kept the room open, and how long it was.
    pub kept: Option<(Kept, Duration)>,
    pub ended_ms: Option<i64>,
    /// When we left, and how many people were inside then.
    pub left: Option<(i64, usize)>,
}

impl<'a> Findings<'a> {
    pub fn new(check: &Check<'a>, clock: Clock) -> Self {
        Self { check: check.clone(), clock, ..Self::default() }
    }

    /// Keeps what a media server says of the host's token; a verdict is not replaced by silence.
    pub fn host_answer(&mut self, answer: Option<Result<ValidateAnswer, ValidateError>>) {
        let Some(answer) = answer else { return };
        if let Ok(ValidateAnswer { clock: Some(clock), .. }) = answer {
            self.media_clock = Some(clock);
        }
        if answer.is_ok() || !matches!(self.host_answer, Some(Ok(_))) {
            self.host_answer = Some(answer);
        }
    }

    /// The best clock that there is to judge a token's times by.
    pub fn server_clock(&self) -> Option<Offset> {
        let entered = self.entered.as_ref().and_then(|entered| entered.joined.clock);
        entered.or(self.media_clock).or(self.check.api_clock)
    }

    /// The reason that a media server gave for not letting our joining token in.
    pub fn join_refusal(&self) -> Option<&TokenRefusal> {
        self.tried.iter().find_map(|tried| match tried.turned_away()? {
            JoinError::Refused(refusal) => Some(refusal),
            _ => None,
        })
    }

    /// Whether a media server has taken the token, and nobody has joined.
    fn looked_from_outside(&self) -> bool {
        self.tried.iter().any(|tried| tried.outcome == EndpointOutcome::Answered)
    }

    pub fn connected(&self) -> Option<&Connected> {
        self.media.as_ref()?.result.as_ref().ok()
    }

    /// From the beginning of the check until the audio connection stood.
    fn media_after(&self) -> Option<Duration> {
        self.connected()?;
        Some(self.joined_after? + self.media.as_ref()?.elapsed)
    }

    pub fn media_ending(&self) -> Option<Ending> {
        match &self.media.as_ref()?.result {
            Err(AudioFailure::Ended(how)) => Some(how.clone()),
            _ => None,
        }
    }

    /// Notes that the session ended before there was a hold.
    pub fn ended(&mut self, clock: Clock, how: Option<Ending>) {
        self.ended_ms = Some(clock.now_ms());
        self.held = how.map(|how| Err(SessionClosed { after: Duration::ZERO, how }));
    }

    pub fn hold(&self) -> Option<Duration> {
        let hold = self.check.hold.or(self.check.keep.map(|_| Duration::MAX))?;
        Some(if self.connected().is_some() { hold } else { hold.min(LONGEST_HOLD) })
    }

    /// From the nest's last restart to the end of our stay; `None` when no restart before it is known of.
    pub fn since_restart_ms(&self) -> Option<i64> {
        let (ended_ms, restart) = (self.ended_ms?, self.freshness.as_ref()?.last_restart?);
        (ended_ms >= restart.from_ms).then(|| ended_ms.saturating_sub(restart.middle_ms()).max(0))
    }

    /// Whether LiveKit does not count our coming and going.
    fn joined_as_nobody(&self) -> bool {
        let token = self.check.join.and_then(|join| token::decode(join.token.expose()).ok());
        token.is_some_and(|claims| claims.is_probe())
    }

    /// When the room closes because we left it empty, by the clock here.
    pub fn closes_at_ms(&self) -> Option<i64> {
        let (left_ms, inside) = self.left?;
        let timeout_s = self.entered.as_ref()?.joined.closes_after_s();
        (inside == 0 && !self.joined_as_nobody()).then(|| left_ms.saturating_add(i64::from(timeout_s) * 1000))
    }

    pub fn report(self) -> CheckReport {
        let steps = steps(&self);
        let any = |status| steps.iter().any(|step| step.status == status);
        let closes_at_ms = self.closes_at_ms();
        let joined = self.entered.as_ref().map(|entered| &entered.joined);
        let answered = |tried: &&Tried| matches!(tried.outcome, EndpointOutcome::Joined | EndpointOutcome::Answered);
        let endpoint = self.tried.iter().find(answered);
        CheckReport {
            verdict: match joined {
                _ if any(Status::Failed) => Verdict::Unhealthy,
                Some(_) => Verdict::Joinable,
                None if endpoint.is_some() => Verdict::Reachable,
                None => Verdict::Unknown,
            },
            endpoint: endpoint.map(|tried| tried.candidate.as_str().to_owned()),
            server: joined.map(|joined| Server { version: joined.version.clone(), region: joined.region.clone() }),
            room: joined.map(|joined| Room {
                sid: joined.sid.clone(),
                created_at: joined.created.and_then(|created| rfc3339(created.ms)),
                closes_at: closes_at_ms.and_then(rfc3339),
                participants: self.left.map_or_else(|| joined.people.len(), |(_, inside)| inside),
            }),
            media: self.connected().map(|connected| Media {
                protocol: connected.protocol,
                local: connected.local.to_string(),
                remote: connected.remote.to_string(),
                rtt_ms: connected.rtt.map(|rtt| (rtt.as_secs_f64() * 10_000.0).round() / 10.0),
            }),
            joined_after: self.joined_after,
            media_after: self.media_after(),
            closes_at_ms,
            participant_sid: joined.map(|joined| joined.participant_sid.clone()),
            steps,
        }
    }
}

type Judged = (Status, Finding, Option<Duration>);

fn steps(seen: &Findings<'_>) -> Vec<Step<Finding>> {
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

enum Opinion<'a> {
    Accepted,
    Refused(&'a TokenRefusal),
    Silence(Option<&'a ValidateError>),
}

fn token(seen: &Findings<'_>) -> Judged {
    let check = &seen.check;
    let host = check.host_token.map(|token| one_token(seen, TokenHolder::Host, token, &on_host(seen)));
    let joining = check.join.filter(|joining| check.host_token != Some(joining.token)).map(|joining| {
        let whose = if joining.host { TokenHolder::Host } else { TokenHolder::Guest };
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
        Some(Ok(ValidateAnswer { verdict: Ok(()) | Err(TokenRefusal::NoSuchRoom), .. })) => Opinion::Accepted,
        Some(Ok(ValidateAnswer { verdict: Err(refusal), .. })) => Opinion::Refused(refusal),
        Some(Err(error)) => Opinion::Silence(Some(error)),
        None => Opinion::Silence(None),
    }
}

fn on_joining<'a>(seen: &'a Findings<'_>) -> Opinion<'a> {
    match seen.join_refusal() {
        _ if seen.entered.is_some() || seen.looked_from_outside() => Opinion::Accepted,
        Some(TokenRefusal::NoSuchRoom) => Opinion::Accepted,
        Some(refusal) => Opinion::Refused(refusal),
        None => Opinion::Silence(None),
    }
}

fn one_token(seen: &Findings<'_>, whose: TokenHolder, token: &Secret, opinion: &Opinion<'_>) -> (Status, Finding) {
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
    let all = |tried: &[Tried], wanted: fn(&EndpointOutcome) -> bool| tried.iter().all(|tried| wanted(&tried.outcome));
    let (status, tried) = match tried.iter().position(Tried::answers) {
        Some(at) if all(&tried[..at], |outcome| matches!(outcome, EndpointOutcome::NotForHosts)) => {
            (Status::Passed, &tried[..=at])
        }
        Some(at) => (Status::Warned, &tried[..=at]),
        None if tried.is_empty() => return (Status::Failed, Finding::NoEndpoint, None),
        None if all(tried, |outcome| matches!(outcome, EndpointOutcome::OnlyAsked)) => {
            return (Status::NotChecked, Finding::NothingDialled, elapsed);
        }
        None if tried.iter().any(Tried::cut_short) => (Status::NotChecked, tried),
        // A guess that was wrong says nothing about where it is.
        None if tried.iter().all(|tried| tried.candidate.source == Source::Usual && tried.is_no_livekit()) => {
            return (Status::NotChecked, Finding::EndpointUnknown(tried.to_vec()), elapsed);
        }
        None => (Status::Failed, tried),
    };
    (status, Finding::Endpoints(tried.to_vec()), elapsed)
}

fn signal(seen: &Findings<'_>) -> Judged {
    if let Some(entered) = &seen.entered {
        let status = if seen.closes_at_ms().is_some() { Status::Warned } else { Status::Passed };
        return (status, Finding::Joined(entered.timings.clone()), Some(entered.timings.total()));
    }
    if seen.looked_from_outside() {
        return (Status::NotChecked, Finding::StayedOutside, None);
    }
    let room = || seen.check.room.to_owned();
    let Some((tried, error)) = seen.tried.iter().find_map(|tried| Some((tried, tried.turned_away()?))) else {
        let finding = match seen.check.join {
            None => Finding::NoTokenToJoin(seen.check.no_token.map(str::to_owned)),
            _ if seen.tried.iter().all(|tried| matches!(tried.outcome, EndpointOutcome::OnlyAsked)) => {
                Finding::NothingDialled
            }
            _ => Finding::NotReached,
        };
        return (Status::NotChecked, finding, None);
    };
    let (status, finding) = match error {
        JoinError::Refused(TokenRefusal::NoSuchRoom) => (Status::Failed, Finding::NoSuchRoom(room())),
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
        room: seen.check.room.to_owned(),
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
        // What was asked for and is not there is no way in.
        Err(AudioFailure::NoRelay) if wanted == Some(Transport::Relay) => Status::Failed,
        Err(
            AudioFailure::NotBuilt
            | AudioFailure::NoMedia
            | AudioFailure::NoRelay
            | AudioFailure::OutOfTime(_)
            | AudioFailure::NotBegun(_),
        ) => Status::NotChecked,
        Err(_) => Status::Failed,
    };
    let elapsed = (found.result != Err(AudioFailure::NotBuilt)).then_some(found.elapsed);
    let signal = seen.entered.as_ref().map(|entered| entered.remote_ip);
    (status, Finding::Audio { wanted, signal, found: Box::new(found.clone()) }, elapsed)
}

fn publish(seen: &Findings<'_>) -> Judged {
    let Some((result, elapsed)) = &seen.speech else {
        let asked = Finding::Speech(Err(Silence::NoConnection));
        return (
            Status::NotChecked,
            if seen.check.publish { asked } else { not_asked(seen, Finding::SpeechNotAsked) },
            None,
        );
    };
    let status = match result {
        Ok(spoken) if spoken.lost > spoken.heard / 10 => Status::Warned,
        Ok(_) => Status::Passed,
        Err(Silence::NoConnection | Silence::NotAllowed) => Status::NotChecked,
        Err(_) => Status::Failed,
    };
    let elapsed = (status != Status::NotChecked).then_some(*elapsed);
    (status, Finding::Speech(result.clone()), elapsed)
}

/// What could be asked for; not of a nest that was not joined because that would shorten its life.
fn not_asked(seen: &Findings<'_>, finding: Finding) -> Finding {
    if seen.looked_from_outside() { Finding::NotEntered } else { finding }
}

fn hold(seen: &Findings<'_>) -> Judged {
    let Some(held) = seen.hold() else { return (Status::NotChecked, not_asked(seen, Finding::HoldNotAsked), None) };
    let cut = held == LONGEST_HOLD && seen.check.hold.is_none_or(|asked| asked > held);
    let closed = match (&seen.held, seen.kept) {
        (None, _) => return (Status::NotChecked, Finding::NotEntered, None),
        (Some(Ok(())), Some((why, time))) => {
            return (Status::Passed, Finding::Kept(why, time, cut && why == Kept::TimeOver), Some(time));
        }
        (Some(Ok(())), None) => return (Status::Passed, Finding::Held(held, cut), Some(held)),
        (Some(Err(closed)), _) => closed,
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
