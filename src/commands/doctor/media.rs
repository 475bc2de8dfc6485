//! The media server. An empty nest is not joined: leaving it would shorten its life.

use std::time::Duration;

use tokio::time::Instant;

use super::findings::Far;
use crate::clock::Clock;
use crate::commands::Job;
use crate::commands::check::{CheckOptions, carry_out};
use crate::livekit::CheckReport;
use crate::livekit::check::{Check, Joining};
use crate::livekit::endpoint::{Candidate, Source};
use crate::livekit::validate::{self, Refusal};

/// The limit of the questions to one endpoint.
const LIMIT: Duration = Duration::from_secs(5);

pub(crate) enum Media {
    /// People are inside, so one more who comes and goes does no harm.
    Joined(Box<CheckReport>),
    /// One that answers, and what it says of a listener's token, if there was one.
    Answers {
        endpoint: String,
        verdict: Option<Result<(), Refusal>>,
        elapsed: Duration,
    },
    /// None answers; why, one for each endpoint.
    Silent(Vec<String>),
    NoTime,
}

/// Joins where people are inside; else asks who is there, and shows a listener's token if there is one.
pub(super) async fn probe(job: &Job<'_>, room: &str, candidates: &[Candidate], far: &Far, until: Instant) -> Media {
    let left = || until.saturating_duration_since(Instant::now());
    if left().is_zero() {
        return Media::NoTime;
    }
    let inside = far.nest.info.as_ref().is_ok_and(|info| info.participant_count > 0);
    let token = far.nest.guest.as_ref().ok();
    if let Some(token) = token.filter(|_| inside) {
        let check = Check {
            join: Some(Joining { token, host: false }),
            api_clock: far.clock,
            ..CheckOptions::default().on(room, candidates, left())
        };
        return Media::Joined(Box::new(carry_out(&check, None, &job.client, job.reporter).await));
    }
    // Where the API cannot be reached, neither can its neighbour.
    let beside = |candidate: &Candidate| candidate.source == Source::Usual;
    let hopeless = |candidate: &Candidate| candidate.cleartext || (!far.is_reached() && beside(candidate));
    let mut silent = Vec::new();
    for candidate in candidates.iter().filter(|candidate| !hopeless(candidate)) {
        let limit = LIMIT.min(left());
        let started = Instant::now();
        let http = job.client.http();
        match validate::ask(http, candidate, token, limit, Clock::default()).await {
            Ok(answer) => {
                let endpoint = candidate.as_str().to_owned();
                let verdict = token.map(|_| answer.verdict);
                return Media::Answers { endpoint, verdict, elapsed: started.elapsed() };
            }
            Err(why) => silent.push(format!("{}: {why}", candidate.as_str())),
        }
    }
    Media::Silent(silent)
}
