//! The port to where nests are remembered. Its two adapters pass one contract test.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

mod memory;
pub mod redis;

pub use memory::Memory;
pub use redis::Redis;

/// How long a turn lasts that nobody ends, because its process was killed.
pub const TURN: Duration = Duration::from_secs(5);

/// What is remembered of a nest, under `nest:<id>`. Times in milliseconds since the Unix epoch, keys as hex.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The id of the nest, which is also the name of its LiveKit room.
    pub id: String,
    /// Who created it.
    pub host: String,
    /// Who may speak.
    #[serde(default)]
    pub speakers: Vec<String>,
    /// Who may change permissions.
    #[serde(default)]
    pub admins: Vec<String>,
    /// Where its event was published.
    #[serde(default)]
    pub relays: Vec<String>,
    /// Whether an HLS stream was asked for.
    #[serde(default)]
    pub hls_stream: bool,
    /// When it was created.
    #[serde(rename = "createdAt", default)]
    pub created_at: i64,
    /// `active`; `inactive` once LiveKit has told that the audio room is closed.
    #[serde(default = "active")]
    pub status: String,
    /// When it was last restarted.
    #[serde(rename = "restartedAt", default, skip_serializing_if = "Option::is_none")]
    pub restarted_at: Option<i64>,
    /// What other servers remember besides; it is kept as it is.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// The status of a nest that can be joined.
#[must_use]
pub fn active() -> String {
    "active".into()
}

/// Why the store is of no use.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be asked, or does not answer in time.
    #[error("room store: {0}")]
    Unreachable(String),
    /// What it holds makes no sense.
    #[error("room store: {0}")]
    Broken(String),
}

/// The right to restart a nest, held by one at a time. The number grows with each turn of a nest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It is the caller's until [`RoomStore::finish`], [`RoomStore::fail`], [`RoomStore::close`] or [`TURN`] has passed.
    Mine(u64),
    /// Somebody else's.
    Taken(u64),
    /// The turn that was waited for, or a later one, has led to a restart.
    Done,
    /// The turn that was waited for has failed.
    Failed,
}

/// Remembers nests for a time that begins anew with each write; and who is restarting them, and which signatures were
/// used, for all processes that share it.
#[async_trait]
pub trait RoomStore: Send + Sync {
    /// The record of a nest; `None` when there is none or it has expired.
    async fn get(&self, id: &str) -> Result<Option<Record>, Error>;
    /// Writes a record under its id.
    async fn put(&self, record: &Record) -> Result<(), Error>;
    /// Writes `new` if the record still is `old`; whether it was.
    async fn replace(&self, old: &Record, new: &Record) -> Result<bool, Error>;
    /// Lets a record live as long as after a write; never shortens its life.
    async fn renew(&self, id: &str) -> Result<(), Error>;
    /// Asks for the turn; `after` is the turn of another that was waited for.
    async fn turn(&self, id: &str, after: Option<u64>) -> Result<Turn, Error>;
    /// Whether a turn was begun and neither done nor failed nor closed: it runs, or its process was killed.
    async fn unfinished(&self, id: &str) -> Result<bool, Error>;
    /// Ends the turn with a restart: writes `status` and `restartedAt` of `restarted` into the record, which may have
    /// changed otherwise, or all of it where there is none any more. `false` when the turn has passed to somebody else.
    async fn finish(&self, turn: u64, restarted: &Record) -> Result<bool, Error>;
    /// Ends the turn; those who wait for it have failed with it. `retry`: the nest is left half restarted.
    async fn fail(&self, id: &str, turn: u64, retry: bool) -> Result<(), Error>;
    /// Forgets a nest and all turns. `false` when the turn has passed to somebody else.
    async fn close(&self, id: &str, turn: u64) -> Result<bool, Error>;
    /// Whether this is the first time within `memory` that something is used.
    async fn first_use(&self, what: &str, memory: Duration) -> Result<bool, Error>;
    /// Whether it answers.
    async fn ping(&self) -> Result<(), Error>;
}
