//! Diagnosis as data: steps with a verdict each. Printing comes later and elsewhere.

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

/// One link of the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// A stable name, such as `signal`.
    pub name: &'static str,
    /// How it ended.
    pub status: Status,
    /// How long it took, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub elapsed_ms: Option<u64>,
    /// What was seen, in a few words.
    pub detail: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Step {
    /// A step without time and hint.
    pub fn new(name: &'static str, status: Status, detail: impl Into<String>) -> Self {
        Self { name, status, elapsed_ms: None, detail: detail.into(), hint: None }
    }

    /// The same with the time it took.
    #[must_use]
    pub fn took(mut self, time: std::time::Duration) -> Self {
        self.elapsed_ms = Some(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        self
    }

    /// The same with what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
