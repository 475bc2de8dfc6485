//! Upstream's rate limit: a fixed window for each address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a window lasts.
const WINDOW: Duration = Duration::from_secs(15 * 60);

/// Counts requests.
#[derive(Debug, Default)]
pub(super) struct Limiter(Mutex<HashMap<IpAddr, (Instant, u32)>>);

/// Where an address stands after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) refused: bool,
    pub(super) remaining: u32,
    /// Seconds until the window ends.
    pub(super) reset: u64,
}

impl Limiter {
    pub(super) fn count(&self, peer: IpAddr, limit: u32) -> Standing {
        let mut windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        windows.retain(|_, (begun, _)| begun.elapsed() < WINDOW);
        let (begun, count) = windows.entry(peer).or_insert_with(|| (Instant::now(), 0));
        *count = count.saturating_add(1);
        Standing {
            refused: *count > limit,
            remaining: limit.saturating_sub(*count),
            reset: WINDOW.saturating_sub(begun.elapsed()).as_secs().max(1),
        }
    }
}
