//! The port to where nests are remembered. Its two adapters pass one contract test.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::BackendError;

mod memory;
mod redis;

pub use memory::Memory;
pub use redis::{Redis, RedisConfig};

/// How long a lease lasts that nobody ends, because its process was killed.
pub const LEASE_TTL: Duration = Duration::from_secs(5);

/// What is remembered of a nest, under `nest:<id>`. Times in milliseconds since the Unix epoch, keys as hex.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The id of the nest, which is also the name of its LiveKit room.
    pub id: String,
    pub host: String,
    #[serde(default)]
    pub speakers: Vec<String>,
    #[serde(default)]
    pub admins: Vec<String>,
    #[serde(default)]
    pub relays: Vec<String>,
    #[serde(default)]
    pub hls_stream: bool,
    #[serde(rename = "createdAt", default)]
    pub created_at: i64,
    /// `active`; `inactive` once LiveKit has told that the audio room is closed.
    #[serde(default = "active")]
    pub status: String,
    #[serde(rename = "restartedAt", default, skip_serializing_if = "Option::is_none")]
    pub restarted_at: Option<i64>,
    /// What other servers remember besides; it is kept as it is.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

impl Record {
    /// A new nest: its host speaks in it and administers it.
    pub(super) fn new(id: String, host: &str, relays: Vec<String>, created_at: i64) -> Self {
        let (host, only_host) = (host.to_owned(), vec![host.to_owned()]);
        let (speakers, admins) = (only_host.clone(), only_host);
        let (hls_stream, status, restarted_at, rest) = (false, active(), None, Map::new());
        Self { id, host, speakers, admins, relays, hls_stream, created_at, status, restarted_at, rest }
    }

    /// What a restart writes: its own fields into the `current` record, which may have changed, or all of it without one.
    fn restarted(&self, current: Option<Self>) -> Self {
        let (status, restarted_at) = (self.status.clone(), self.restarted_at);
        current.map_or_else(|| self.clone(), |current| Self { status, restarted_at, ..current })
    }
}

pub(super) fn active() -> String {
    "active".into()
}

/// The store in a [`BackendError`].
pub(super) const NAME: &str = "room store";

/// The answer to somebody who asks for the lease of a nest. Whoever holds it may replace the nest's room, nobody else
/// may. The number of a lease is greater than those of all leases before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseAnswer {
    /// It is the caller's until [`RoomStore::finish_restart`], [`RoomStore::fail_restart`], [`RoomStore::delete`], or
    /// until [`LEASE_TTL`] has passed.
    Granted(u64),
    Held(u64),
    /// The lease that was waited for, or a later one, has led to a restart.
    Restarted,
    /// The restart with the lease that was waited for has failed.
    Failed,
}

/// A signature that somebody uses: the id of the event, and the address of the client who has sent it.
#[derive(Clone, Debug)]
pub struct UsedSignature {
    pub id: String,
    pub from: IpAddr,
}

/// The answer to a host who begins a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RestartAnswer {
    /// The signature was used before.
    Replayed,
    NotFound,
    /// The nest is somebody else's.
    NotHost,
    /// Whether the host may go on at once or has to wait for another's lease, when that was asked, and the record. If the
    /// lease is granted, the record is read under it: nobody else restarts or deletes the nest meanwhile.
    Host(LeaseAnswer, Instant, Box<Record>),
}

/// Remembers nests for a time that begins anew with each write; and who is restarting them, and which signatures were
/// used, for all processes that share it.
#[async_trait]
pub trait RoomStore: Send + Sync {
    /// The record of a nest; `None` when there is none or it has expired.
    async fn get(&self, id: &str) -> Result<Option<Record>, BackendError>;
    async fn put(&self, record: &Record) -> Result<(), BackendError>;
    /// Writes `new` if the record still is `old`; whether it was.
    async fn replace(&self, old: &Record, new: &Record) -> Result<bool, BackendError>;
    /// Lets a record live as long as after a write; never shortens its life.
    async fn renew(&self, id: &str) -> Result<(), BackendError>;
    /// Asks for the lease of a nest; `waited_for` is the lease of another that the caller has waited for.
    async fn acquire_lease(&self, id: &str, waited_for: Option<u64>) -> Result<LeaseAnswer, BackendError>;
    /// All that a restart asks before it begins: for the first use of its signature within `memory`, for the record of
    /// `host`, and for the lease. An adapter may ask at once what is asked here one after the other.
    async fn begin_restart(
        &self,
        id: &str,
        host: &str,
        signature: UsedSignature,
        memory: Duration,
    ) -> Result<RestartAnswer, BackendError> {
        if self.first_use(signature, memory).await?.is_some() {
            return Ok(RestartAnswer::Replayed);
        }
        match self.get(id).await? {
            None => return Ok(RestartAnswer::NotFound),
            Some(record) if record.host != host => return Ok(RestartAnswer::NotHost),
            Some(_) => {}
        }
        let asked = Instant::now();
        let lease = self.acquire_lease(id, None).await?;
        let record = self.get(id).await;
        if let (LeaseAnswer::Granted(lease), Ok(None) | Err(_)) = (lease, &record) {
            self.fail_restart(id, lease, false).await?;
        }
        Ok(record?.map_or(RestartAnswer::NotFound, |record| RestartAnswer::Host(lease, asked, record.into())))
    }
    /// Whether a restart was begun and has not ended in any way: it is under way, or its process was killed.
    async fn restart_unfinished(&self, id: &str) -> Result<bool, BackendError>;
    /// Ends the lease with a restart: writes `status` and `restartedAt` of `restarted` into the record, which may have
    /// changed since it was read as `before`, or all of it where there is none any more. `false` when somebody else holds
    /// the lease by now.
    async fn finish_restart(&self, lease: u64, before: &Record, restarted: &Record) -> Result<bool, BackendError>;
    /// Ends the lease; for those who wait for it, it failed too. `unfinished`: the nest is left half restarted.
    async fn fail_restart(&self, id: &str, lease: u64, unfinished: bool) -> Result<(), BackendError>;
    /// Forgets a nest and all its leases. `false` when somebody else holds the lease by now.
    async fn delete(&self, id: &str, lease: u64) -> Result<bool, BackendError>;
    /// Remembers for `memory` who has used a signature first; `None` when it is used for the first time now.
    async fn first_use(&self, signature: UsedSignature, memory: Duration) -> Result<Option<IpAddr>, BackendError>;
}
