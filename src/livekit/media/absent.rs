//! What stands in for audio in a build without it.

use std::convert::Infallible;
use std::time::Duration;

use super::{Failure, Finding, Inside, Seen, Transport};
use crate::livekit::dial::Failed;
use crate::livekit::door::Door;
use crate::livekit::signal::Ending;

/// There is none.
pub(in crate::livekit) struct Live(Infallible);

impl Live {
    pub async fn broken(&mut self) -> Ending {
        match self.0 {}
    }

    pub async fn close(self) {
        match self.0 {}
    }
}

/// Joins.
pub(in crate::livekit) async fn enter(door: &Door<'_>, _: Option<Transport>) -> Result<Inside, Failed> {
    let session = door.join(door.dial().await?).await?;
    let finding = Finding { elapsed: Duration::ZERO, seen: Seen::default(), result: Err(Failure::NotBuilt) };
    Ok(Inside::silent(session, Some(finding)))
}
