//! What the check has seen, as data, and the report that follows from it. Pure.

use std::net::IpAddr;
use std::time::Duration;

use super::check::{Check, LONGEST_HOLD};
use super::endpoint::Candidate;
use super::fresh;
use super::judge;
use super::media::{AudioFinding, Connected, Failure, Silence, Spoken};
use super::offset::{Offset, Span};
use super::report::{CheckReport, Media, Room, Server, Verdict};
use super::signal::{Closed, Ending, JoinError, Joined};
use super::validate::{Refusal, ValidateAnswer, ValidateError};
use crate::clock::{Clock, rfc3339};
use crate::net::dial::{DialCause, DialError, Timings};
use crate::report::Status;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Joined,
    Failed(JoinError),
    /// There was no token to join with.
    OnlyAsked,
    /// A token would travel in the clear.
    Cleartext,
    /// Only a host's token was there, and it may not be sent there.
    NotForHosts,
    /// The time was used up before.
    NoTime,
}

/// A candidate and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    pub candidate: Candidate,
    pub outcome: Outcome,
    /// Until that was known; for one that let us in, until the connection stood.
    pub elapsed: Duration,
}

impl Tried {
    /// The failure, if it came from a LiveKit server: the endpoint is right, and yet we were not let in.
    pub(crate) fn turned_away(&self) -> Option<&JoinError> {
        match &self.outcome {
            Outcome::Failed(JoinError::Dial(_)) => None,
            Outcome::Failed(error) => Some(error),
            _ => None,
        }
    }

    /// Whether a LiveKit server answers there, whatever it says.
    pub(crate) fn answers(&self) -> bool {
        self.outcome == Outcome::Joined || self.turned_away().is_some()
    }

    /// Whether time ran out before this candidate could show anything.
    pub(super) fn cut_short(&self) -> bool {
        match &self.outcome {
            Outcome::NoTime => true,
            Outcome::Failed(
                JoinError::TimedOut(timed_out)
                | JoinError::Dial(DialError { cause: DialCause::TimedOut(timed_out), .. }),
            ) => timed_out.cut_short,
            _ => false,
        }
    }
}

#[derive(Debug)]
pub(super) struct Entered {
    pub joined: Joined,
    pub timings: Timings,
    /// The media server's address, as the signal connection sees it.
    pub peer: Option<IpAddr>,
}

#[derive(Debug)]
pub(super) struct Freshness {
    pub verdict: fresh::FreshnessVerdict,
    pub elapsed: Duration,
    pub last_restart: Option<Span>,
}

#[derive(Debug)]
pub(super) struct Speech {
    pub result: Result<Spoken, Silence>,
    pub elapsed: Duration,
}

#[derive(Debug, Default)]
pub(super) struct Findings<'a> {
    pub check: Check<'a>,
    pub clock: Clock,
    pub tried: Vec<Tried>,
    pub joined_after: Option<Duration>,
    /// What a media server says of the host's token.
    pub host_answer: Option<Result<ValidateAnswer, ValidateError>>,
    /// By the `Date` of the media server that was asked last.
    pub media_clock: Option<Offset>,
    pub entered: Option<Entered>,
    pub freshness: Option<Freshness>,
    /// What came of audio, if it was tried.
    pub media: Option<AudioFinding>,
    /// What came of speaking, if it was tried.
    pub speech: Option<Speech>,
    pub held: Option<Result<(), Closed>>,
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
    pub fn join_refusal(&self) -> Option<&Refusal> {
        self.tried.iter().find_map(|tried| match tried.turned_away()? {
            JoinError::Refused(refusal) => Some(refusal),
            _ => None,
        })
    }

    /// The audio connection, if one was made.
    pub fn connected(&self) -> Option<&Connected> {
        self.media.as_ref()?.result.as_ref().ok()
    }

    /// From the beginning of the check until the audio connection stood.
    fn media_after(&self) -> Option<Duration> {
        self.connected()?;
        Some(self.joined_after? + self.media.as_ref()?.elapsed)
    }

    /// How the session ended while audio was tried.
    pub fn media_ending(&self) -> Option<Ending> {
        match &self.media.as_ref()?.result {
            Err(Failure::Ended(how)) => Some(how.clone()),
            _ => None,
        }
    }

    /// How the session ended while we spoke.
    pub fn publish_ending(&self) -> Option<Ending> {
        match &self.speech.as_ref()?.result {
            Err(Silence::Ended(how)) => Some(how.clone()),
            _ => None,
        }
    }

    pub fn hold(&self) -> Option<Duration> {
        let hold = self.check.hold?;
        Some(if self.connected().is_some() { hold } else { hold.min(LONGEST_HOLD) })
    }

    /// From the nest's last restart to the end of our stay; `None` when no restart before it is known of.
    pub fn since_restart_ms(&self) -> Option<i64> {
        let (ended_ms, restart) = (self.ended_ms?, self.freshness.as_ref()?.last_restart?);
        (ended_ms >= restart.from_ms).then(|| ended_ms.saturating_sub(restart.middle_ms()).max(0))
    }

    /// When the room closes because we left it empty, by the clock here.
    pub fn closes_at_ms(&self) -> Option<i64> {
        let (left_ms, inside) = self.left?;
        let timeout_s = self.entered.as_ref()?.joined.closes_after_s();
        (inside == 0).then(|| left_ms.saturating_add(i64::from(timeout_s) * 1000))
    }

    pub fn report(self) -> CheckReport {
        let steps = judge::steps(&self);
        let any = |status| steps.iter().any(|step| step.status == status);
        let closes_at_ms = self.closes_at_ms();
        let joined = self.entered.as_ref().map(|entered| &entered.joined);
        let endpoint = self.tried.iter().find(|tried| tried.outcome == Outcome::Joined);
        CheckReport {
            verdict: match joined {
                _ if any(Status::Failed) => Verdict::Unhealthy,
                Some(_) => Verdict::Joinable,
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
            steps,
        }
    }
}
