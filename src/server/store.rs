//! The port to where nests are remembered, and its adapter for memory.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

/// What is remembered of a nest, under `nest:<id>`. Times in milliseconds since the Unix epoch, keys as hex.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The id of the nest, which is also the name of its LiveKit room.
    pub id: String,
    /// Who created it.
    pub host: String,
    /// Who may speak.
    pub speakers: Vec<String>,
    /// Who may change permissions.
    pub admins: Vec<String>,
    /// Where its event was published.
    pub relays: Vec<String>,
    /// Whether an HLS stream was asked for.
    pub hls_stream: bool,
    /// When it was created.
    #[serde(rename = "createdAt")]
    pub created_at: i64,
    /// Always `active`.
    pub status: String,
    /// When it was last restarted.
    #[serde(rename = "restartedAt", default, skip_serializing_if = "Option::is_none")]
    pub restarted_at: Option<i64>,
}

/// The store cannot be asked.
#[derive(Debug, thiserror::Error)]
#[error("room store: {0}")]
pub struct Error(pub String);

/// Remembers nests for a time that begins anew with each write.
#[async_trait]
pub trait RoomStore: Send + Sync {
    /// The record of a nest; `None` when there is none or it has expired.
    async fn get(&self, id: &str) -> Result<Option<Record>, Error>;
    /// Writes a record under its id.
    async fn put(&self, record: &Record) -> Result<(), Error>;
    /// Forgets a nest.
    async fn delete(&self, id: &str) -> Result<(), Error>;
}

/// Remembers nests as long as the process lives.
#[derive(Debug)]
pub struct Memory {
    ttl: Duration,
    records: Mutex<HashMap<String, (Instant, Record)>>,
}

impl Memory {
    /// A store whose records live for `ttl` after each write.
    #[must_use]
    pub fn new(ttl: Duration) -> Self {
        Self { ttl, records: Mutex::default() }
    }

    /// The record of a nest, without waiting.
    #[must_use]
    pub fn peek(&self, id: &str) -> Option<Record> {
        let mut records = self.lock();
        if records.get(id).is_some_and(|(written, _)| written.elapsed() >= self.ttl) {
            records.remove(id);
        }
        records.get(id).map(|(_, record)| record.clone())
    }

    /// Writes a record, without waiting.
    pub fn write(&self, record: Record) {
        self.lock().insert(record.id.clone(), (Instant::now(), record));
    }

    /// Forgets a nest, without waiting.
    pub fn forget(&self, id: &str) {
        self.lock().remove(id);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, (Instant, Record)>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl RoomStore for Memory {
    async fn get(&self, id: &str) -> Result<Option<Record>, Error> {
        Ok(self.peek(id))
    }

    async fn put(&self, record: &Record) -> Result<(), Error> {
        self.write(record.clone());
        Ok(())
    }

    async fn delete(&self, id: &str) -> Result<(), Error> {
        self.forget(id);
        Ok(())
    }
}
