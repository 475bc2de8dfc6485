//! A restart: one at a time for each nest, and never half of one for good.

use std::future::Future;
use std::time::{Duration, Instant};

use livekit_protocol::Room;

use super::tokens::{adopted, metadata_of};
use super::{Failure, Nests, not_found};
use crate::server::store::{self, Record, Turn};
use crate::server::token::RoomConfig;

/// How long a turn is used, well below [`store::TURN`]: who comes back after that touches nothing any more.
const WORK: Duration = Duration::from_secs(4);

/// How long somebody else's turn is waited for: longer than one lasts whose process was killed.
const PATIENCE: Duration = Duration::from_secs(8);

/// How often a room is deleted and created, if the old one comes back.
const ROUNDS: usize = 8;

/// How long a deletion may take, more or less, before it is asked for again: that of two nodes takes up to 50 ms.
const ASK_FOR: Duration = Duration::from_millis(60);

/// How long a new room is watched when somebody was in the old one. Whoever comes back while the old one is being closed
/// gets it again from LiveKit, and once that join is done the old one is written down over the new one. (That may happen
/// again as long as somebody is in there, every few seconds: it cannot be waited for.)
const WATCH: Duration = Duration::from_millis(60);

/// What a restart came to.
pub(super) enum Restarted {
    /// Done here.
    Now {
        record: Box<Record>,
        config: RoomConfig,
        /// SID of the room before, if there was one.
        before: Option<String>,
        /// SID of the room now.
        sid: String,
    },
    /// Somebody else was at it already.
    Joined,
}

/// The right to touch a nest's room until a moment.
#[derive(Clone, Copy)]
pub(super) struct Lease {
    pub(super) turn: u64,
    until: Instant,
}

impl Lease {
    /// Goes on as long as the lease lasts.
    async fn within<T>(self, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        let late = || Failure::Unavailable("the media server takes too long".into());
        tokio::time::timeout_at(self.until.into(), work).await.unwrap_or_else(|_| Err(late()))
    }

    /// Before everything that cannot be undone: a process may have slept.
    fn check(self) -> Result<(), Failure> {
        let over = || Failure::Unavailable("the turn is over".into());
        (Instant::now() < self.until).then_some(()).ok_or_else(over)
    }
}

impl Nests {
    /// Replaces the audio room of a nest by a new one. Two at once are one.
    pub(super) async fn restart(&self, id: &str) -> Result<Restarted, Failure> {
        let mut after = None;
        loop {
            let Some(lease) = self.join_turn(id, after).await? else { return Ok(Restarted::Joined) };
            let mut touched = false;
            match self.renew_room(id, lease, &mut touched).await {
                Ok(Some(restarted)) => return Ok(restarted),
                // Somebody else has taken over, and so restarts it for us.
                Ok(None) => after = Some(lease.turn),
                Err(failure) => {
                    // A store that cannot be told lets the turn run out.
                    let _ = self.store.fail(id, lease.turn, touched).await;
                    return Err(failure);
                }
            }
        }
    }

    /// The turn, or nothing when somebody else's has led to a restart.
    async fn join_turn(&self, id: &str, mut after: Option<u64>) -> Result<Option<Lease>, Failure> {
        let mut wait = Wait::new();
        loop {
            let asked = Instant::now();
            match self.store.turn(id, after).await? {
                Turn::Mine(turn) => return Ok(Some(Lease { turn, until: asked + WORK })),
                Turn::Done => return Ok(None),
                Turn::Failed => return Err(Failure::Unavailable("the restart under way has failed".into())),
                Turn::Taken(turn) => {
                    after.get_or_insert(turn);
                    wait.a_little().await?;
                }
            }
        }
    }

    /// The turn, whatever others do with theirs before.
    pub(super) async fn own_turn(&self, id: &str) -> Result<Lease, Failure> {
        let mut wait = Wait::new();
        loop {
            let asked = Instant::now();
            match self.store.turn(id, None).await? {
                Turn::Mine(turn) => return Ok(Lease { turn, until: asked + WORK }),
                _ => wait.a_little().await?,
            }
        }
    }

    /// `None` when the turn was lost on the way.
    async fn renew_room(&self, id: &str, lease: Lease, touched: &mut bool) -> Result<Option<Restarted>, Failure> {
        // As it is now, in this turn: it may have been restarted or deleted since it was looked at.
        let record = self.store.get(id).await?.ok_or_else(|| not_found("Nest not found"))?;
        let restarted_at = Some(self.clock.now_ms());
        let record = Record { id: id.into(), status: store::active(), restarted_at, ..record };
        let (config, before, sid) = lease.within(self.replace_room(&record, lease, touched)).await?;
        let finished = self.store.finish(lease.turn, &record).await?;
        Ok(finished.then_some(Restarted::Now { record: Box::new(record), config, before, sid }))
    }

    /// Deletes the room and creates it; what it is like, and the SIDs before and after, which differ.
    async fn replace_room(
        &self,
        record: &Record,
        lease: Lease,
        touched: &mut bool,
    ) -> Result<(RoomConfig, Option<String>, String), Failure> {
        let id = &record.id;
        let mut live = self.media.find(id).await?;
        // Whether the new room has to be watched. Who cannot be counted may be there.
        let mut contested =
            live.is_some() && self.media.participants(id).await.map_or(true, |people| !people.is_empty());
        let (new, config) = (self.room_of(record, live.as_ref()), self.config_of(live.as_ref()));
        let before = live.as_ref().map(|room| room.sid.clone());
        // That one, or one that a restart before has made, and LiveKit has got out again.
        let is_old = |room: &Room| {
            before.as_ref() == Some(&room.sid) || room.metadata != new.metadata && metadata_of(room).is_some()
        };
        let mut pause = Duration::from_millis(10);
        for _ in 0..ROUNDS {
            let deleted = match &live {
                Some(room) if is_old(room) => self.remove(room, lease, touched).await?,
                Some(_) => self.delete_room(id, lease, touched).await?,
                None => true,
            };
            if !deleted {
                // Somebody has come back into a room that was being deleted, and now LiveKit hands it out, but does not
                // list it. Until it does, within seconds, it cannot be deleted.
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
            lease.check()?;
            *touched = true;
            let room = self.media.create(&new).await?;
            // In the same way, the old one may have been written down over the new one.
            let listed = if is_old(&room) { None } else { self.media.find(id).await? };
            contested |= listed.is_none();
            let room = listed.unwrap_or(room);
            if !is_old(&room) {
                // A room that the join of somebody faster has made is as new: deleted, it would only part those inside
                // from those who come in the meantime.
                let ours = room.metadata == new.metadata;
                contested |= !ours;
                lease.check()?;
                let described = ours || self.media.describe(id, &adopted(&room, &new, config)).await?;
                if described && (!contested || self.stays(&room).await?) {
                    return Ok((config, before, room.sid));
                }
            }
            contested = true;
            live = Some(room);
        }
        Err(Failure::Unavailable("the media server keeps the old room".into()))
    }

    async fn delete_room(&self, id: &str, lease: Lease, touched: &mut bool) -> Result<bool, Failure> {
        lease.check()?;
        *touched = true;
        Ok(self.media.delete(id).await?)
    }

    /// Whether a new room is still the one that is listed, after a while.
    async fn stays(&self, room: &Room) -> Result<bool, Failure> {
        let begun = Instant::now();
        while begun.elapsed() < WATCH {
            tokio::time::sleep(WATCH / 8).await;
            if self.media.find(&room.name).await?.is_none_or(|live| live.sid != room.sid) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Deletes a room, and asks until this very one is no longer listed; whether there was one. The lease limits it.
    /// LiveKit gives the old room to somebody who comes back while it is being deleted, and lists it again: then once
    /// more.
    async fn remove(&self, room: &Room, lease: Lease, touched: &mut bool) -> Result<bool, Failure> {
        loop {
            let deleted = self.delete_room(&room.name, lease, touched).await?;
            let mut pause = Duration::from_millis(2);
            while pause < ASK_FOR {
                if self.media.find(&room.name).await?.is_none_or(|live| live.sid != room.sid) {
                    return Ok(deleted);
                }
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
        }
    }
}

/// Patience with somebody else's turn.
struct Wait {
    begun: Instant,
    pause: Duration,
}

impl Wait {
    fn new() -> Self {
        Self { begun: Instant::now(), pause: Duration::from_millis(2) }
    }

    async fn a_little(&mut self) -> Result<(), Failure> {
        if self.begun.elapsed() > PATIENCE {
            return Err(Failure::Unavailable("another restart takes too long".into()));
        }
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 3 / 2).min(Duration::from_millis(50));
        Ok(())
    }
}
