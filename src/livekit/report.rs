//! What the connection check found.

use std::net::IpAddr;
use std::time::Duration;

use serde::Serialize;

use super::endpoint::Candidate;
use super::fresh;
use super::media::{AudioFinding, Silence, Spoken, Transport};
use super::signal::{JoinError, Kept, SessionClosed};
use super::token::{Claims, Malformed, Problem};
use super::validate::{self, TokenRefusal};
use crate::net::dial::{DialCause, DialError, Timings};
use crate::report::{Status, Step};

/// What it all amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// Joined, and nothing was found to be wrong. On Media over QUIC, where nothing is joined: all that was asked is there.
    Joinable,
    /// The media server takes the token, and nobody has joined: in an empty nest that would have shortened its life.
    Reachable,
    /// Something failed.
    Unhealthy,
    /// Nothing failed, but nobody was let in: time was up, or there was nothing to try.
    Unknown,
}

/// The media server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Server {
    /// LiveKit's version.
    pub version: Option<String>,
    /// Where it runs.
    pub region: Option<String>,
}

/// The audio room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Room {
    /// `RM_…`.
    pub sid: String,
    /// RFC 3339, UTC, by the media server's clock.
    pub created_at: Option<String>,
    /// RFC 3339, UTC: when the room closes unless somebody joins. Known only after an empty room was left.
    pub closes_at: Option<String>,
    /// People inside, besides this check.
    pub participants: usize,
}

/// The audio connection.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Media {
    /// Which way it takes.
    pub protocol: Transport,
    /// Address and port here; the relay's when it goes through one.
    pub local: String,
    /// Address and port of the media server.
    pub remote: String,
    /// There and back, in milliseconds.
    pub rtt_ms: Option<f64>,
}

/// What a check came to. As JSON it is without its steps, whose words are made elsewhere.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct CheckReport {
    /// What it all amounts to.
    pub verdict: Verdict,
    /// The endpoint that let us in.
    pub endpoint: Option<String>,
    /// Who let us in.
    pub server: Option<Server>,
    /// Where we were.
    pub room: Option<Room>,
    /// The audio connection, where one was made.
    pub media: Option<Media>,
    /// Seven of them, always in the same order.
    #[serde(skip)]
    pub steps: Vec<Step<Finding>>,
    /// From the beginning of the check until the room had let us in.
    #[serde(skip)]
    pub joined_after: Option<Duration>,
    /// The same until the audio connection stood.
    #[serde(skip)]
    pub media_after: Option<Duration>,
    /// When the room closes unless somebody joins, in milliseconds since the Unix epoch, by the clock here.
    #[serde(skip)]
    pub closes_at_ms: Option<i64>,
    /// `PA_…`: who we were inside.
    #[serde(skip)]
    pub participant_sid: Option<String>,
}

impl CheckReport {
    /// Since we left, the room has been replaced, or somebody has come: our leaving no longer closes anything.
    pub fn outlived(&mut self) {
        self.closes_at_ms = None;
        if let Some(room) = &mut self.room {
            room.closes_at = None;
        }
        // A join is warned of for nothing else.
        for step in self.steps.iter_mut().filter(|step| matches!(step.finding, Finding::Joined(_))) {
            step.status = Status::Passed;
        }
    }

    /// The endpoint that has let us in.
    pub fn joined_at(&self) -> Option<&Candidate> {
        let tried = self.steps.iter().find_map(|step| match &step.finding {
            Finding::Endpoints(tried) => Some(tried),
            _ => None,
        })?;
        tried.iter().find(|tried| tried.outcome == EndpointOutcome::Joined).map(|tried| &tried.candidate)
    }

    pub fn failed(&self) -> Option<&Step<Finding>> {
        self.steps.iter().find(|step| step.status == Status::Failed)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndpointOutcome {
    Joined,
    /// It takes the token; nobody has joined with it.
    Answered,
    Failed(JoinError),
    OnlyAsked,
    /// A token would travel in the clear.
    Cleartext,
    /// Only a host's token was there, and it may not be sent there.
    NotForHosts,
    NoTime,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    pub candidate: Candidate,
    pub outcome: EndpointOutcome,
    /// Until that was known; for one that let us in, until the connection stood.
    pub elapsed: Duration,
}

impl Tried {
    /// The failure, if it came from a LiveKit server: the endpoint is right, and yet we were not let in.
    pub(crate) fn turned_away(&self) -> Option<&JoinError> {
        match &self.outcome {
            EndpointOutcome::Failed(JoinError::Dial(_)) => None,
            EndpointOutcome::Failed(error) => Some(error),
            _ => None,
        }
    }

    /// Whether a LiveKit server answers there, whatever it says.
    pub(crate) fn answers(&self) -> bool {
        matches!(self.outcome, EndpointOutcome::Joined | EndpointOutcome::Answered) || self.turned_away().is_some()
    }

    /// Whether something answers there that is no LiveKit server.
    pub(super) fn is_no_livekit(&self) -> bool {
        matches!(
            &self.outcome,
            EndpointOutcome::Failed(JoinError::Dial(DialError {
                cause: DialCause::NoWebSocket { status: 200..=499, .. },
                ..
            }))
        )
    }

    /// Whether time ran out before this candidate could show anything.
    pub(super) fn cut_short(&self) -> bool {
        match &self.outcome {
            EndpointOutcome::NoTime => true,
            EndpointOutcome::Failed(
                JoinError::TimedOut(timed_out)
                | JoinError::Dial(DialError { cause: DialCause::TimedOut(timed_out), .. }),
            ) => timed_out.cut_short,
            _ => false,
        }
    }
}

/// What a step of the check found. Whether that is good or bad, the step's status says.
#[derive(Clone, Debug, PartialEq)]
pub enum Finding {
    NoToken,
    /// If there were two tokens, the one that matters more.
    Token(TokenHolder, TokenFinding),
    NoEndpoint,
    /// For want of a usable token to join with.
    NothingDialled,
    /// Those that were tried, up to the one that answered.
    Endpoints(Vec<Tried>),
    /// Nobody says where it is, and it is not where it usually is.
    EndpointUnknown(Vec<Tried>),
    Joined(Timings),
    /// The room's name, and why there is none, where that is known.
    NoTokenToJoin(Option<String>),
    NotReached,
    NoSuchRoom(String),
    /// Nobody is inside, and nobody has asked to join all the same.
    StayedOutside,
    /// A media server answered, and did not let us in.
    TurnedAway(Tried),
    NotEntered,
    Freshness {
        /// The room's name.
        room: String,
        verdict: fresh::FreshnessVerdict,
        age_ms: Option<i64>,
        sid_before: Option<String>,
        /// Seconds until the room closes once everybody has left it.
        closes_after_s: u32,
    },
    AudioNotTried,
    Audio {
        /// The one way that was to be taken; any, if there is none.
        wanted: Option<Transport>,
        /// The media server's address, as the signal connection sees it.
        signal: Option<IpAddr>,
        found: Box<AudioFinding>,
    },
    SpeechNotAsked,
    Speech(Result<Spoken, Silence>),
    HoldNotAsked,
    /// Nothing closed the room for so long; it was to be longer, which a check without audio cannot do.
    Held(Duration, bool),
    /// Why the stay ended that kept the room open, how long it was, and whether it was to be longer.
    Kept(Kept, Duration, bool),
    /// The room was closed so soon after the restart (milliseconds) that LiveKit was still deleting the old one.
    LateTeardown(i64),
    /// Our stay was ended; so many milliseconds after the nest's last restart, where one is known of.
    Ended(SessionClosed, Option<i64>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenHolder {
    Host,
    Guest,
}

/// What is known of a token, by its own words and by the media server's.
#[derive(Clone, Debug, PartialEq)]
pub enum TokenFinding {
    Malformed(Malformed),
    /// It was shown to nobody.
    OtherRoom(Problem),
    /// LiveKit's clock is so many milliseconds ahead of the API's, where that is too many.
    Refused(TokenRefusal, Option<i64>),
    /// Nobody has judged it, but it cannot be of use.
    Useless(Problem),
    Accepted(Claims),
    /// Nothing speaks against it, but no media server has judged it; why, if one was asked.
    Unjudged(Claims, Option<validate::ValidateError>),
}
