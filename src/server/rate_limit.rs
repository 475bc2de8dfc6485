//! Rate limits: so many requests in a window, for each address or key.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::lock;

/// How many addresses or keys are counted at most; beyond that a new window begins.
const COUNTED: usize = 100_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Quota {
    pub(crate) limit: u32,
    pub(crate) window: Duration,
}

pub(super) struct RateLimiter<K> {
    window: Mutex<Option<Window<K>>>,
}

struct Window<K> {
    quota: Quota,
    begun: Instant,
    counts: HashMap<K, u32>,
}

/// What somebody may still ask for, after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RateAllowance {
    pub(super) quota: Quota,
    pub(super) exceeded: bool,
    pub(super) remaining: u32,
    /// Seconds until the window ends.
    pub(super) reset_s: u64,
}

impl<K: Eq + Hash> RateLimiter<K> {
    pub(super) fn new() -> Self {
        Self { window: Mutex::new(None) }
    }

    /// Counts a request. Another quota than before begins a new window.
    pub(super) fn count(&self, quota: Quota, who: K) -> RateAllowance {
        let mut window = lock(&self.window);
        let current = window.take_if(|window| {
            window.quota == quota && window.begun.elapsed() < quota.window && window.counts.len() < COUNTED
        });
        let fresh = || Window { quota, begun: Instant::now(), counts: HashMap::new() };
        let Window { begun, counts, .. } = window.insert(current.unwrap_or_else(fresh));
        let count = counts.entry(who).or_default();
        *count = count.saturating_add(1);
        RateAllowance {
            quota,
            exceeded: *count > quota.limit,
            remaining: quota.limit.saturating_sub(*count),
            reset_s: quota.window.saturating_sub(begun.elapsed()).as_secs().max(1),
        }
    }
}

impl RateAllowance {
    /// Whichever of two budgets leaves less.
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
            ("ratelimit-reset", self.reset_s.to_string()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_so_many_requests_in_a_window() {
        let (limiter, quota) = (RateLimiter::new(), Quota { limit: 2, window: Duration::from_millis(100) });
        let refused = |who| limiter.count(quota, who).exceeded;
        assert_eq!([refused("a"), refused("a"), refused("a"), refused("b")], [false, false, true, false]);
        assert!(!limiter.count(Quota { limit: 3, ..quota }, "a").exceeded, "another quota counts anew");
        std::thread::sleep(Duration::from_millis(110));
        let fresh = limiter.count(quota, "a");
        assert_eq!((fresh.exceeded, fresh.remaining, fresh.reset_s), (false, 1, 1));
    }

    #[test]
    fn the_tighter_limit_is_told() {
        let budget = |remaining| RateAllowance {
            quota: Quota { limit: 5, window: Duration::from_secs(60) },
            exceeded: false,
            remaining,
            reset_s: 1,
        };
        assert_eq!(budget(3).tighter(Some(budget(2))).remaining, 2);
        assert_eq!(budget(3).tighter(Some(budget(4))).remaining, 3);
        assert_eq!(budget(3).tighter(None).headers()[0], ("ratelimit-policy", "5;w=60".into()));
    }
}
