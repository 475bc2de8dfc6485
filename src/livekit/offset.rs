//! How far a server's clock is from the one here, as far as one can know.

/// What a server's clock shows minus what the one here shows, in milliseconds; the truth lies between the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offset {
    pub min_ms: i64,
    pub max_ms: i64,
}

/// A span on the clock here, in milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub from_ms: i64,
    pub to_ms: i64,
}

impl Span {
    pub fn middle_ms(self) -> i64 {
        self.from_ms.midpoint(self.to_ms)
    }

    pub fn width_ms(self) -> i64 {
        self.to_ms.saturating_sub(self.from_ms)
    }
}

impl Offset {
    /// A server's clock. Where it agrees with the clock here, both are taken to be right: the second of a `Date` is too
    /// coarse to tell what happened just before a request from what the request did.
    pub fn same_or(clock: Option<Self>) -> Self {
        const SAME: Offset = Offset { min_ms: 0, max_ms: 0 };
        clock.filter(|offset| offset.and(SAME).is_none()).unwrap_or(SAME)
    }

    /// From a server's time that was read between two moments here. `resolution_ms` is how much its clock leaves out:
    /// 1000 for an HTTP `Date`, 1 for a time in milliseconds.
    pub fn from_reading(server_ms: i64, resolution_ms: i64, sent_ms: i64, received_ms: i64) -> Self {
        Self {
            min_ms: server_ms.saturating_sub(received_ms).saturating_sub(1),
            max_ms: server_ms.saturating_add(resolution_ms).saturating_sub(sent_ms),
        }
    }

    /// When the clock here showed what the server calls `server_ms` (rounded down to `resolution_ms`).
    pub fn here(self, server_ms: i64, resolution_ms: i64) -> Span {
        Span {
            from_ms: server_ms.saturating_sub(self.max_ms),
            to_ms: server_ms.saturating_add(resolution_ms).saturating_sub(self.min_ms),
        }
    }

    pub fn middle_ms(self) -> i64 {
        self.min_ms.midpoint(self.max_ms)
    }

    /// What both allow; `None` when they contradict each other.
    pub fn and(self, other: Self) -> Option<Self> {
        let both = Self { min_ms: self.min_ms.max(other.min_ms), max_ms: self.max_ms.min(other.max_ms) };
        (both.min_ms <= both.max_ms).then_some(both)
    }
}
