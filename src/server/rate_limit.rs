//! Rate limits: so many requests in a window, for each address or key.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::lock;

/// How many addresses or keys are counted at most; beyond that a new window begins.
const COUNTED: usize = 100_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    pub limit: u32,
    pub window: Duration,
}

pub struct RateLimiter<K> {
    window: Mutex<Option<Window<K>>>,
}

struct Window<K> {
    quota: Quota,
    begun: Instant,
    counts: HashMap<K, u32>,
}

/// What somebody may still ask for, after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateAllowance {
    pub quota: Quota,
    pub exceeded: bool,
    pub remaining: u32,
    /// Seconds until the window ends.
    pub reset_s: u64,
}

impl<K> Default for RateLimiter<K> {
    fn default() -> Self {
        Self { window: Mutex::new(None) }
    }
}

impl<K: Eq + Hash> RateLimiter<K> {
    /// Counts a request. Another quota than before begins a new window.
    pub fn count(&self, quota: Quota, who: K) -> RateAllowance {
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
    pub fn tighter(self, other: Option<Self>) -> Self {
        other.filter(|other| other.remaining < self.remaining).unwrap_or(self)
    }

    /// `RateLimit-*`, as upstream announces them.
    pub fn headers(self) -> [(&'static str, String); 4] {
        let Quota { limit, window } = self.quota;
        [
            ("ratelimit-policy", format!("{limit};w={}", window.as_secs())),
            ("ratelimit-limit", limit.to_string()),
            ("ratelimit-remaining", self.remaining.to_string()),
            ("ratelimit-reset", self.reset_s.to_string()),
        ]
    }
}
