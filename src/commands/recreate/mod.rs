//! `nest recreate`: a new nest in the place of one that its server has lost.
//!
//! Room, event, people, and at last the old event: each step is looked for before it is done, so that a run that was
//! interrupted anywhere is finished by the next one.

mod flow;
mod journal;

use serde::Serialize;
use serde_json::Value;

use self::flow::Recreation;
use super::publish::Published;
use super::{Error, Job, Stop, Warning};
use crate::reporter::RoomReporter;
use crate::room::RoomRef;

/// What to recreate, and how.
#[derive(Clone, Debug)]
pub struct RecreateRequest {
    pub room: RoomRef,
    pub yes: bool,
    /// Create and publish nothing; show what would be.
    pub dry_run: bool,
}

/// What came of it.
#[derive(Clone, Debug)]
pub enum RecreateOutcome {
    /// There is a new nest, made now or before.
    Recreated(Box<Recreated>),
    /// What would have been done.
    Planned(Box<PlannedRecreation>),
}

/// The nest that took the place of another.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Recreated {
    /// The id that the API gave to the new room.
    pub room_id: String,
    /// The id of the nest whose place it takes.
    pub replaces: String,
    /// The API that serves both.
    pub api: String,
    /// The host's public key in hex.
    pub host: String,
    /// The address of the new event.
    pub naddr: Option<String>,
    /// The web page of the new nest.
    pub link: Option<String>,
    /// Whether the room was created by this run, and not by one before.
    pub created: bool,
    /// What relays did with the new event; absent if they had it already.
    pub opened: Option<Published>,
    /// Hex public keys of those who may speak in it, beside the host.
    pub granted: Vec<String>,
    /// What relays did with the last version of the old event; absent if they had it already.
    pub closed: Option<Published>,
    /// The short names, such as `@weekly`, that stood for the old nest and that the configuration has stand for this one now.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// What the user should know although it worked.
    #[serde(skip)]
    pub warnings: Vec<Warning>,
}

/// Requests and events that were not sent.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PlannedRecreation {
    /// The id of the nest whose place would be taken.
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

/// Opens a new nest in the place of one that its server has lost.
///
/// # Errors
/// Whatever stops it; what was done by then stays done, and the next run goes on from there.
pub async fn run(job: &Job<'_>, request: &RecreateRequest, stop: &Stop) -> Result<RecreateOutcome, Error> {
    let work = async {
        let key = job.host_key(&request.room).await?;
        let reporter = RoomReporter::new(job.reporter, request.room.id.as_str());
        Recreation { job, request, key: &key, reporter: &reporter }.run().await
    };
    stop.or_stopped(work).await
}
