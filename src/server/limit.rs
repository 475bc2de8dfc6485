//! Rate limits: so many requests in a window, for each address or key.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How many are counted at most; beyond that a new window begins.
const LEN: usize = 100_000;

/// How much is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Requests.
    pub limit: u32,
    /// In this time.
    pub window: Duration,
}

/// Counts requests.
#[derive(Debug)]
pub(super) struct Limiter<K> {
    quota: Quota,
    counts: Mutex<(Instant, HashMap<K, u32>)>,
}

/// Where somebody stands after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) quota: Quota,
    pub(super) refused: bool,
    pub(super) remaining: u32,
    /// Seconds until the window ends.
    pub(super) reset: u64,
}

impl<K: Eq + Hash> Limiter<K> {
    pub(super) fn new(quota: Quota) -> Self {
        Self { quota, counts: Mutex::new((Instant::now(), HashMap::new())) }
    }

    pub(super) fn count(&self, who: K) -> Standing {
        let Quota { limit, window } = self.quota;
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let (begun, counts) = &mut *counts;
        if begun.elapsed() >= window || counts.len() >= LEN {
            *begun = Instant::now();
            counts.clear();
        }
        let count = counts.entry(who).or_default();
        *count = count.saturating_add(1);
        Standing {
            quota: self.quota,
            refused: *count > limit,
            remaining: limit.saturating_sub(*count),
            reset: window.saturating_sub(begun.elapsed()).as_secs().max(1),
        }
    }
}

impl Standing {
    /// Whichever leaves less.
    pub(super) fn tighter(self, other: Option<Self>) -> Self {
        other.filter(|other| other.remaining < self.remaining).unwrap_or(self)
    }

    /// `RateLimit-*`, as upstream announces them.
    pub(super) fn headers(self) -> [(&'static str, String); 4] {
        let Quota { limit, window } = self.quota;
        [
            ("ratelimit-policy", format!("{limit};w={}", window.as_secs())),
            ("ratelimit-limit", limit.to_string()),
            ("ratelimit-remaining", self.remaining.to_string()),
            ("ratelimit-reset", self.reset.to_string()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_so_many_requests_in_a_window() {
        let limiter = Limiter::new(Quota { limit: 2, window: Duration::from_millis(100) });
        let refused = |who| limiter.count(who).refused;
        assert_eq!([refused("a"), refused("a"), refused("a"), refused("b")], [false, false, true, false]);
        std::thread::sleep(Duration::from_millis(110));
        let fresh = limiter.count("a");
        assert_eq!((fresh.refused, fresh.remaining, fresh.reset), (false, 1, 1));
    }

    #[test]
    fn the_tighter_limit_is_told() {
        let standing = |remaining| Standing {
            quota: Quota { limit: 5, window: Duration::from_secs(60) },
            refused: false,
            remaining,
            reset: 1,
        };
        assert_eq!(standing(3).tighter(Some(standing(2))).remaining, 2);
        assert_eq!(standing(3).tighter(Some(standing(4))).remaining, 3);
        assert_eq!(standing(3).tighter(None).headers()[0], ("ratelimit-policy", "5;w=60".into()));
    }
}
