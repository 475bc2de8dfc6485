//! A connection that is made while the token to be shown on it is still being fetched.

use std::fmt;
use std::mem::take;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;

use super::dial::{self, Connection, Failed, Patience};
use super::endpoint::Candidate;

/// A connection that is under way. Dropped, it is given up.
pub struct Ahead {
    candidate: Candidate,
    dialling: Mutex<JoinSet<Result<Connection, Failed>>>,
}

impl fmt::Debug for Ahead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ahead").field("to", &self.candidate.as_str()).finish_non_exhaustive()
    }
}

impl Ahead {
    /// Begins with the first of `candidates` that a token may be shown to: the host's, if `host`. `limit` is for all of
    /// them.
    #[must_use]
    pub fn begin(
        candidates: &[Candidate],
        host: bool,
        tls: &Arc<rustls::ClientConfig>,
        limit: Duration,
    ) -> Option<Self> {
        let candidate = candidates.iter().find(|candidate| candidate.takes(host))?.clone();
        let share = limit / u32::try_from(candidates.len()).unwrap_or(u32::MAX);
        let patience = Patience::with(&candidate, share);
        let (called, tls) = (candidate.clone(), Arc::clone(tls));
        let mut dialling = JoinSet::new();
        dialling.spawn(async move { dial::connect(&called, &tls, patience).await });
        Some(Self { candidate, dialling: Mutex::new(dialling) })
    }

    /// What came of it, once, if it leads to `candidate`.
    pub(super) async fn take(&self, candidate: &Candidate) -> Option<Result<Connection, Failed>> {
        if self.candidate.url != candidate.url {
            return None;
        }
        let mut dialling = take(&mut *self.dialling.lock().unwrap_or_else(PoisonError::into_inner));
        let done = dialling.join_next().await?.ok()?;
        Some(done.map(|connection| Connection { ahead: true, ..connection }))
    }
}
