//! What the connection check found, as the document that scripts read.

use std::time::Duration;

use serde::Serialize;

use super::media::Transport;
use crate::report::{Status, Step};

/// What it all amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// Joined, and nothing was found to be wrong. On Media over QUIC, where nothing is joined: all that was asked is there.
    Joinable,
    /// Something failed.
    Unhealthy,
    /// Nothing failed, but nobody was let in: time was up, or there was nothing to try.
    Unknown,
}

/// The media server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Server {
    /// LiveKit's version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Where it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
}

/// The audio room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Room {
    /// `RM_…`.
    pub sid: String,
    /// RFC 3339, UTC, by the media server's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    /// RFC 3339, UTC: when the room closes unless somebody joins. Known only after an empty room was left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closes_at: Option<String>,
    /// People inside, besides this check.
    pub participants: usize,
}

/// The audio connection.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Media {
    /// Which way it takes.
    pub protocol: Transport,
    /// Address and port here; the relay's when it goes through one.
    pub local: String,
    /// Address and port of the media server.
    pub remote: String,
    /// There and back, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtt_ms: Option<f64>,
}

/// The check's document.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct CheckReport {
    /// What it all amounts to.
    pub verdict: Verdict,
    /// The endpoint that let us in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Who let us in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<Server>,
    /// Where we were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room: Option<Room>,
    /// The audio connection, where one was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media: Option<Media>,
    /// Seven of them, always in the same order; others for a nest on Media over QUIC.
    pub steps: Vec<Step>,
    /// From the beginning of the check until the room had let us in.
    #[serde(skip)]
    pub joined_after: Option<Duration>,
    /// The same until the audio connection stood.
    #[serde(skip)]
    pub media_after: Option<Duration>,
    /// When the room closes unless somebody joins, in milliseconds since the Unix epoch, by the clock here.
    #[serde(skip)]
    pub closes_at_ms: Option<i64>,
}

impl CheckReport {
    /// The first step that failed.
    #[must_use]
    pub fn failed(&self) -> Option<&Step> {
        self.steps.iter().find(|step| step.status == Status::Failed)
    }
}
