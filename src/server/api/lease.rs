//! The lease of a nest: whoever holds it may replace or delete the nest's room, everybody else waits. It is kept in the
//! store, and so holds for all processes that share one.

use std::future::Future;
use std::time::{Duration, Instant};

use super::{ApiFailure, NestsApi};
use crate::server::store::LeaseAnswer;

/// How long a lease is used, well below [`crate::server::store::LEASE_TTL`]: a process that was suspended meanwhile
/// must not touch the room of whoever holds the lease by then.
const USE: Duration = Duration::from_secs(4);

/// How long somebody else's lease is waited for: longer than one lasts whose process was killed.
const MAX_WAIT: Duration = Duration::from_secs(8);

/// The right to replace or delete the room of a nest for some time.
#[derive(Clone, Copy)]
pub(super) struct Lease {
    pub(super) number: u64,
    until: Instant,
}

impl Lease {
    /// Goes on as long as the lease lasts.
    pub(super) async fn within<T>(self, work: impl Future<Output = Result<T, ApiFailure>>) -> Result<T, ApiFailure> {
        let late = || ApiFailure::Unavailable("the media server takes too long".into());
        tokio::time::timeout_at(self.until.into(), work).await.unwrap_or_else(|_| Err(late()))
    }

    /// To be called before everything that cannot be undone.
    pub(super) fn check(self) -> Result<(), ApiFailure> {
        if Instant::now() < self.until { Ok(()) } else { Err(Self::over()) }
    }

    pub(super) fn over() -> ApiFailure {
        ApiFailure::Unavailable("the lease is over".into())
    }
}

impl NestsApi {
    /// The lease, once nobody else holds it. For those who `join` others, `None` when somebody else's restart, which had
    /// to be waited for, has succeeded; `waited_for` is the lease of one that is waited for already.
    pub(super) async fn acquire_lease(
        &self,
        id: &str,
        join: bool,
        mut waited_for: Option<u64>,
    ) -> Result<Option<Lease>, ApiFailure> {
        let unavailable = |text: &str| Err(ApiFailure::Unavailable(text.into()));
        let (begun, mut pause) = (Instant::now(), Duration::from_millis(2));
        loop {
            let asked = Instant::now();
            match self.store.acquire_lease(id, waited_for).await? {
                LeaseAnswer::Granted(number) => return Ok(Some(Lease { number, until: asked + USE })),
                LeaseAnswer::Restarted => return Ok(None),
                LeaseAnswer::Failed => return unavailable("the restart under way has failed"),
                LeaseAnswer::Held(_) if begun.elapsed() > MAX_WAIT => {
                    return unavailable("another restart takes too long");
                }
                LeaseAnswer::Held(lease) if join => _ = waited_for.get_or_insert(lease),
                LeaseAnswer::Held(_) => {}
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 3 / 2).min(Duration::from_millis(50));
        }
    }
}
