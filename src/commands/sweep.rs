//! Which nests `--all-inactive` means: open by their event, and without an audio room. What is over stays over.

use super::keys::Keys;
use super::list::{Depth, Looking, Nest, State, Whose};
use super::{Error, Settings};
use crate::api::{self, Client};
use crate::clock::Clock;
use crate::reporter::Reporter;
use crate::room::RoomRef;

/// What a look at all nests of the host came to.
#[derive(Default)]
pub(super) struct Sweep {
    /// To be restarted.
    pub inactive: Vec<RoomRef>,
    /// Open, and nobody knows whether they run.
    pub unknown: Vec<(RoomRef, api::Error)>,
}

/// Looks at all nests of the host.
pub(super) async fn look(
    settings: &Settings,
    keys: &Keys<'_>,
    client: &Client,
    reporter: &dyn Reporter,
) -> Result<Sweep, Error> {
    let (mut sweep, now_s) = (Sweep::default(), Clock::default().now_s());
    let each = |nest: Nest| match (nest.state, &nest.error, &nest.why) {
        (State::Inactive, ..) => sweep.inactive.push(nest.reference()),
        (_, Some(error), _) => sweep.unknown.push((nest.reference(), error.clone())),
        (State::NotChecked, None, Some(why)) if nest.room.event.is_open(now_s) => {
            reporter.warning(&format!("{}: not checked: {why}", nest.name()));
        }
        _ => {}
    };
    Looking { settings, keys, client, reporter }.at(&Whose::Mine, Depth::Running, |_| {}, each).await?;
    Ok(sweep)
}
