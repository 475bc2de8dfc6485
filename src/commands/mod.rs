//! What the commands do, in plain types: no clap, no terminal, no environment, no printing.

pub mod check;
pub mod close;
pub mod doctor;
mod error;
pub mod key;
mod keys;
pub mod list;
pub mod mock;
pub mod moq;
pub mod open;
mod owner;
pub mod pick;
mod publish;
mod quiet;
pub mod recreate;
pub mod restart;
pub mod serve;
mod sight;
pub mod status;
mod stop;
mod sweep;
mod target;
pub mod token;

use std::path::PathBuf;

pub use self::error::Error;
pub use self::publish::{Published, Refusal};
pub use self::stop::{Signal, Stop};
pub use self::target::RelaySources;
use crate::api::{Base, Network, Policy};
use crate::key::Plan;
use crate::room::RoomRef;

/// Everything that is decided before the work begins. Plain values; nothing here reads a file or the environment.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How the network is used.
    pub network: Network,
    /// Where the API is said to be.
    pub api: ApiSources,
    /// Where relays are named.
    pub relays: RelaySources,
    /// Whether plain http to other machines is accepted.
    pub allow_http: bool,
    /// Where the key comes from.
    pub key: Plan,
    /// When a request is sent again.
    pub retry: Policy,
    /// Rooms in work at the same time, at least one.
    pub jobs: usize,
    /// Where locks and what was seen last are kept; without it there are none.
    pub state_dir: Option<PathBuf>,
    /// Whether a person is at the terminal.
    pub interactive: bool,
}

/// Where the address of the API may come from, beside the room itself.
#[derive(Clone, Debug, Default)]
pub struct ApiSources {
    /// Given for this call: comes before all others, and may not contradict the room.
    pub given: Option<Base>,
    /// From the environment: comes after the room's own URL.
    pub environment: Option<Base>,
    /// From the profile: comes last.
    pub profile: Option<Base>,
}

impl Settings {
    /// The same for work that is to end within one time-out: relays are asked at most twice, one time after the other.
    fn hurried(&self) -> Self {
        let timeout = self.relays.timeout.min(self.network.timeout / 2);
        Self { relays: RelaySources { timeout, ..self.relays.clone() }, ..self.clone() }
    }

    /// The API that serves `room`, as far as the call, the room's own URL and the environment say it.
    ///
    /// # Errors
    /// [`Error::ApiConflict`], and plain http to another machine.
    pub fn api_named(&self, room: &RoomRef) -> Result<Option<Base>, Error> {
        let ApiSources { given, environment, profile: _ } = &self.api;
        if let (Some(room), Some(given)) = (&room.api, given)
            && room != given
        {
            return Err(Error::ApiConflict { room: Box::new(room.clone()), given: Box::new(given.clone()) });
        }
        let first = [given, &room.api, environment].into_iter().flatten().next().cloned();
        Ok(first.map(|base| base.secure(self.allow_http)).transpose().map_err(crate::room::Error::from)?)
    }
}
