//! Faults of what is behind the API: a store and a media server that are struck for the length of one request.

use std::future::pending;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use livekit_protocol::{ParticipantInfo, Room};

use super::{Active, Kind};
use crate::secret::Secret;
use crate::server::media::{self, MediaServer, NewRoom};
use crate::server::random;
use crate::server::store::{self, Record, RoomStore, Turn};
use crate::server::token::Issuer;

/// A store that hangs, or has lost a record.
pub(in crate::server) struct FaultyStore {
    store: Arc<dyn RoomStore>,
    faults: Active,
    hung: AtomicBool,
}

impl FaultyStore {
    pub(in crate::server) fn new(store: Arc<dyn RoomStore>, faults: Active) -> Self {
        Self { store, faults, hung: AtomicBool::new(false) }
    }

    /// Hangs, once a request.
    async fn hang(&self) {
        let time =
            self.faults.0.iter().find_map(|kind| if let Kind::RedisHang(time) = kind { Some(*time) } else { None });
        match time {
            Some(time) if !self.hung.swap(true, Ordering::Relaxed) => match time {
                Some(time) => tokio::time::sleep(time).await,
                None => pending().await,
            },
            _ => {}
        }
    }
}

#[async_trait]
impl RoomStore for FaultyStore {
    async fn get(&self, id: &str) -> Result<Option<Record>, store::Error> {
        self.hang().await;
        let lost = self.faults.0.contains(&Kind::LostRecord);
        Ok(self.store.get(id).await?.filter(|_| !lost))
    }

    async fn put(&self, record: &Record) -> Result<(), store::Error> {
        self.hang().await;
        self.store.put(record).await
    }

    async fn replace(&self, old: &Record, new: &Record) -> Result<bool, store::Error> {
        self.store.replace(old, new).await
    }

    async fn renew(&self, id: &str) -> Result<(), store::Error> {
        self.store.renew(id).await
    }

    async fn turn(&self, id: &str, after: Option<u64>) -> Result<Turn, store::Error> {
        self.store.turn(id, after).await
    }

    async fn unfinished(&self, id: &str) -> Result<bool, store::Error> {
        self.store.unfinished(id).await
    }

    async fn finish(&self, turn: u64, restarted: &Record) -> Result<bool, store::Error> {
        self.store.finish(turn, restarted).await
    }

    async fn fail(&self, id: &str, turn: u64, retry: bool) -> Result<(), store::Error> {
        self.store.fail(id, turn, retry).await
    }

    async fn close(&self, id: &str, turn: u64) -> Result<bool, store::Error> {
        self.store.close(id, turn).await
    }

    async fn first_use(&self, what: &str, memory: Duration) -> Result<bool, store::Error> {
        self.store.first_use(what, memory).await
    }

    async fn ping(&self) -> Result<(), store::Error> {
        self.store.ping().await
    }
}

/// A media server that is down, keeps what it was to delete, or tears down what it has created.
pub(in crate::server) struct FaultyMedia {
    media: Arc<dyn MediaServer>,
    faults: Active,
    issuer: Issuer,
    told: Mutex<Told>,
}

/// What is said of a room.
#[derive(Clone, Default)]
enum Told {
    #[default]
    Truth,
    /// That it is deleted.
    Gone,
    /// That it was created anew.
    New(Box<Room>),
}

impl FaultyMedia {
    pub(in crate::server) fn new(media: Arc<dyn MediaServer>, faults: Active) -> Self {
        let mut issuer = media.issuer().clone();
        if faults.0.contains(&Kind::WrongSecret) {
            issuer.secret = Secret::new("the secret of another media server");
        }
        Self { media, faults, issuer, told: Mutex::default() }
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn up(&self) -> Result<&dyn MediaServer, media::Error> {
        if self.faults.media_down() {
            return Err(media::Error::Unreachable("down".into()));
        }
        Ok(&*self.media)
    }

    fn tear_down_late(&self, name: &str) {
        let wait = self.faults.0.iter().find_map(|k| if let Kind::LateTeardown(time) = k { Some(*time) } else { None });
        if let Some(wait) = wait {
            let (media, name) = (self.media.clone(), name.to_owned());
            tokio::spawn(async move {
                tokio::time::sleep(wait).await;
                // What cannot be torn down stays: it is a fault either way.
                let _ = media.delete(&name).await;
            });
        }
    }
}

#[async_trait]
impl MediaServer for FaultyMedia {
    fn url(&self) -> &str {
        self.media.url()
    }

    fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    async fn create(&self, room: &NewRoom) -> Result<Room, media::Error> {
        let mut created = self.up()?.create(room).await?;
        let mut told = self.told();
        if !matches!(*told, Told::Truth) {
            // Upstream does not look: neither would it notice.
            created = Room { sid: format!("RM_{}", random::text(12)), metadata: room.metadata.clone(), ..created };
            *told = Told::New(Box::new(created.clone()));
        }
        drop(told);
        self.tear_down_late(&room.name);
        Ok(created)
    }

    async fn delete(&self, name: &str) -> Result<bool, media::Error> {
        let media = self.up()?;
        if self.faults.0.contains(&Kind::OldRoomKept) {
            *self.told() = Told::Gone;
            return Ok(true);
        }
        media.delete(name).await
    }

    async fn find(&self, name: &str) -> Result<Option<Room>, media::Error> {
        let found = self.up()?.find(name).await?;
        Ok(match self.told().clone() {
            Told::Truth => found,
            Told::Gone => None,
            Told::New(room) => Some(*room),
        })
    }

    async fn describe(&self, name: &str, metadata: &str) -> Result<bool, media::Error> {
        self.up()?.describe(name, metadata).await
    }

    async fn participants(&self, name: &str) -> Result<Vec<ParticipantInfo>, media::Error> {
        self.up()?.participants(name).await
    }

    async fn permit(&self, room: &str, identity: &str, can_publish: bool) -> Result<bool, media::Error> {
        self.up()?.permit(room, identity, can_publish).await
    }

    async fn mute(&self, room: &str, identity: &str, muted: bool) -> Result<bool, media::Error> {
        self.up()?.mute(room, identity, muted).await
    }
}
