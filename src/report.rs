//! Diagnosis as data: steps, how each ended and what it found. The words for it are made elsewhere.

use std::time::Duration;

use serde::Serialize;

/// How a step ended. Unknown is not failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum Status {
    /// Seen to be right.
    Passed,
    /// Seen to be wrong.
    Failed,
    /// Right, but something about it should be known.
    Warned,
    /// Nobody looked, or nobody could; the detail says why.
    NotChecked,
}

/// One link of a chain. What was found there is of the type of whoever looked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step<F> {
    /// A stable name, such as `signal`.
    pub name: &'static str,
    pub status: Status,
    /// How long looking took, where that says something.
    pub elapsed: Option<Duration>,
    pub finding: F,
}
