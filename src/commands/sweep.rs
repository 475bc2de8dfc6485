//! Which nests a sweep means: open by their event, and without an audio room. What is over stays over.

use super::list::{Depth, Nest, NestState, Whose};
use super::{Error, Job};
use crate::api;
use crate::clock::Clock;
use crate::reporter::Warning;
use crate::room::RoomRef;

/// The nests of a host that are not known to run.
#[derive(Default)]
pub(super) struct Sweep {
    pub inactive: Vec<RoomRef>,
    /// Open, and nobody knows whether they run.
    pub unknown: Vec<(RoomRef, api::ApiError)>,
}

impl Job<'_> {
    /// Looks at all nests of the host.
    pub(super) async fn sweep(&self) -> Result<Sweep, Error> {
        let (mut sweep, now_s) = (Sweep::default(), Clock::default().now_s());
        let each = |nest: Nest| match (nest.state, &nest.error, &nest.why) {
            (NestState::Inactive, ..) => sweep.inactive.push(nest.reference()),
            (_, Some(error), _) => sweep.unknown.push((nest.reference(), error.clone())),
            (NestState::NotChecked, None, Some(why)) if nest.room.event.is_open(now_s) => {
                self.reporter.warning(&Warning::NotChecked { nest: nest.name().to_owned(), why: why.clone() });
            }
            _ => {}
        };
        self.nests_of(&Whose::Mine, Depth::AudioRoom, |_| {}, each).await?;
        Ok(sweep)
    }
}
