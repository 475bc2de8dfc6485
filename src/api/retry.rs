//! When a request is sent again, and after how long. Pure: the randomness is passed in.

use std::time::Duration;

use super::http::HttpReply;
use super::transport::TransportError;

/// The first pause; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// How often and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts after the first.
    pub retries: u32,
    pub max_wait: Duration,
}

/// What follows an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Send it again after this pause.
    Again(Duration),
    Stop,
}

impl RetryPolicy {
    /// What follows attempt number `attempt` (from 1). `random` is in `0.0..1.0`.
    ///
    /// Sent again: a connection that was never made, 429 and 503 (after `Retry-After`), 500 and 502. Not sent again:
    /// whatever was sent and not answered, which includes 504, and all other answers.
    pub fn next(&self, outcome: &Result<HttpReply, TransportError>, attempt: u32, random: f64) -> Next {
        if attempt > self.retries {
            return Next::Stop;
        }
        match outcome {
            Err(TransportError::Unreachable { .. }) => Next::Again(self.pause(attempt, random)),
            Ok(reply) if matches!(reply.status, 429 | 503) => match reply.retry_after {
                Some(wait) if wait > self.max_wait => Next::Stop,
                // A little after the named time, and not all at once.
                Some(wait) => Next::Again(wait + FIRST_PAUSE.mul_f64(random)),
                None => Next::Again(self.pause(attempt, random)),
            },
            Ok(reply) if matches!(reply.status, 500 | 502) => Next::Again(self.pause(attempt, random)),
            _ => Next::Stop,
        }
    }

    /// Exponential, with jitter over the upper half.
    fn pause(&self, attempt: u32, random: f64) -> Duration {
        let full = FIRST_PAUSE.saturating_mul(1 << (attempt - 1).min(16));
        full.mul_f64(0.5 + random / 2.0).min(self.max_wait)
    }
}
