//! `nest recreate`: a new nest in the place of one that its server has lost.
//!
//! Room, event, people, and at last the old event: each step is looked for before it is done, so that a run that was
//! interrupted anywhere is finished by the next one.

mod journal;
mod walk;

use serde::Serialize;
use serde_json::Value;

use self::walk::Walk;
use super::keys::Keys;
use super::pick::{Purpose, pick};
use super::publish::Published;
use super::target::Finder;
use super::{Error, Settings, Stop};
use crate::api::{self, Client};
use crate::reporter::Reporter;
use crate::room::RoomRef;

/// What to recreate, and how.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The nest; without it, a person at the terminal chooses.
    pub room: Option<RoomRef>,
    /// Ask nobody.
    pub yes: bool,
    /// Create and publish nothing; show what would be.
    pub dry_run: bool,
}

/// What came of it.
#[derive(Clone, Debug)]
pub enum Done {
    /// There is a new nest, made now or before.
    Recreated(Box<Recreated>),
    /// What would have been done.
    Planned(Box<Planned>),
}

/// The nest that took the place of another.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Recreated {
    /// The new id.
    pub room_id: String,
    /// The old id.
    pub replaces: String,
    /// The API.
    pub api: String,
    /// Hex public key.
    pub host: String,
    /// The address of the new event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub naddr: Option<String>,
    /// The new page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// Whether the room was created by this run, and not by one before.
    pub created: bool,
    /// What relays did with the new event; absent if they had it already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opened: Option<Published>,
    /// Hex public keys of those who may speak in it, beside the host.
    pub granted: Vec<String>,
    /// What relays did with the last version of the old event; absent if they had it already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed: Option<Published>,
    /// What the user should know although it worked.
    pub warnings: Vec<String>,
}

/// Requests and events that were not sent.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Planned {
    /// The old id.
    pub room_id: String,
    /// The request that creates the room: `method`, `url` and `body`.
    pub request: Value,
    /// The new event before it is signed, with [`NEW_ID`] for the id.
    pub opened: Value,
    /// The last version of the old one.
    pub closed: Value,
    /// Relays that would get both.
    pub relays: Vec<String>,
}

/// Stands for the id that the API gives to a new room.
pub const NEW_ID: &str = "NEW-ID";

/// Recreates one nest.
///
/// # Errors
/// Whatever stops it; what was done by then stays done, and the next run goes on from there.
pub async fn run(settings: &Settings, request: &Request, reporter: &dyn Reporter, stop: &Stop) -> Result<Done, Error> {
    let keys = Keys::new(settings, reporter);
    let client = Client::new(settings.network.clone()).map_err(api::Error::from)?;
    let work = async {
        let room = match &request.room {
            Some(room) => room.clone(),
            None => pick(Purpose::Recreate, settings, &keys, &client, reporter).await?,
        };
        let key = keys.of(room.host).await?;
        if let Some(host) = room.host.filter(|host| *host != key.public_key()) {
            return Err(Error::NotHost { you: key.public_key(), host: Some(host), asked: false });
        }
        let finder = Finder { settings, keys: &keys, reporter };
        Walk::new(request, &room, &key, &client, finder).go().await
    };
    tokio::select! {
        biased;
        done = work => done,
        signal = stop.requested() => Err(Error::Stopped(signal)),
    }
}
