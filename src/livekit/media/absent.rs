//! What stands in for audio in a build without it.
#![expect(clippy::unused_async, reason = "the same signatures as with audio")]

use std::convert::Infallible;
use std::time::Duration;

use tokio::time::Instant;

use super::{AudioFinding, Failure, Inside, Seen, Silence, Spoken, Wish};
use crate::livekit::dial::Failed;
use crate::livekit::door::Door;
use crate::livekit::signal::{Ending, Session};

/// There is none.
pub(in crate::livekit) struct Live(Infallible);

impl Live {
    pub async fn speak(&mut self, _: &mut Session, _: Instant) -> Result<Spoken, Silence> {
        match self.0 {}
    }

    pub async fn broken(&mut self) -> Ending {
        match self.0 {}
    }

    pub async fn close(self) {
        match self.0 {}
    }
}

/// Joins.
pub(in crate::livekit) async fn enter(door: &Door<'_>, _: Wish) -> Result<Inside, Failed> {
    let session = door.join(door.dial().await?).await?;
    let finding = AudioFinding { elapsed: Duration::ZERO, seen: Seen::default(), result: Err(Failure::NotBuilt) };
    Ok(Inside::silent(session, Some(finding)))
}
