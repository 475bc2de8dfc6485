//! What stands in for audio in a build without it.
#![expect(clippy::unused_async, reason = "the same signatures as with audio")]

use std::convert::Infallible;
use std::time::Duration;

use tokio::time::Instant;

use super::{AudioFailure, AudioFinding, AudioOptions, JoinedRoom, Seen, Silence, Spoken};
use crate::livekit::connector::Connector;
use crate::livekit::signal::{Ending, JoinError, SignalSession};

pub(in crate::livekit) struct AudioConnection(Infallible);

impl AudioConnection {
    pub async fn speak(&mut self, _: &mut SignalSession, _: Instant) -> Result<Spoken, Silence> {
        match self.0 {}
    }

    pub async fn broken(&mut self) -> Ending {
        match self.0 {}
    }

    pub async fn close(self) {
        match self.0 {}
    }
}

pub(in crate::livekit) async fn enter(connector: &Connector<'_>, _: AudioOptions) -> Result<JoinedRoom, JoinError> {
    let session = connector.join(connector.connect().await?).await?;
    let finding = AudioFinding { elapsed: Duration::ZERO, seen: Seen::default(), result: Err(AudioFailure::NotBuilt) };
    Ok(JoinedRoom::silent(session, Some(finding)))
}
