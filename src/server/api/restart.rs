//! A restart replaces the audio room of a nest: it deletes the room, creates it again, and answers once the new room is
//! the one that LiveKit lists. Clients who were inside come back at once, which is a race:
//!
//! ```text
//! 1  nest serve   DeleteRoom: LiveKit disconnects everybody, and takes up to 50 ms to close the old room
//! 2  client       joins again, with the token that it has
//! 3a LiveKit      still has the old room: the client gets it again, and LiveKit lists it anew once that join is done
//! 3b LiveKit      no longer has it: with `auto_create` it makes a room for the client, which is not the nest's yet
//! 4  nest serve   CreateRoom: returns the old room (3a), the client's (3b), or ours, which the old one may yet replace
//! ```
//!
//! After 3a the old room is deleted again: whoever is in it would sit in the room that was to be replaced. After 3b the
//! client's room is adopted: deleted, it would only part those inside from those who come in the meantime. After either,
//! and whenever somebody was inside, LiveKit is asked what it lists after each step, and the new room is watched for a
//! moment.
//!
//! A room in which nobody is has nobody who comes back at once. It is deleted, and a new one is created, which is ours if
//! `CreateRoom` hands out neither the old SID nor other metadata. Somebody who comes just then for the first time, so that
//! LiveKit hands out something else, is handled as in 3a and 3b.
//!
//! Whoever holds the lease of a nest may replace or delete its room, everybody else waits. The lease is kept in the store,
//! and so holds for all processes that share one.

use std::future::Future;
use std::time::{Duration, Instant};

use livekit_protocol::Room;

use super::tokens::{adopted_metadata, metadata_of};
use super::{ApiFailure, NestsApi, not_found, unavailable};
use crate::api::wire::SessionRoom;
use crate::server::media;
use crate::server::store::{self, LeaseAnswer, Record};
use crate::server::token::RoomConfig;

/// How often a room is deleted and created, if the old one comes back.
const MAX_ROUNDS: usize = 8;

/// How long LiveKit may take to close a room, more or less, before it is asked again: two nodes take up to 50 ms.
const TEARDOWN: Duration = Duration::from_millis(60);

/// How long a new room is watched: by then a join into the old one (3a) is done, and the old room listed. The same may
/// happen again every few seconds as long as somebody is in the old room, which cannot be waited for.
const WATCH: Duration = Duration::from_millis(60);

/// How long a lease is used, well below [`store::LEASE_TTL`]: a process that was suspended meanwhile
/// must not touch the room of whoever holds the lease by then.
const USE_LEASE: Duration = Duration::from_secs(4);

/// How long somebody else's lease is waited for: longer than one lasts whose process was killed.
const MAX_LEASE_WAIT: Duration = Duration::from_secs(8);

/// The right to replace or delete the room of a nest for some time.
#[derive(Clone, Copy)]
pub(super) struct Lease {
    pub(super) number: u64,
    until: Instant,
}

impl Lease {
    /// One that was asked for at this time, and granted.
    pub(super) fn granted(number: u64, asked: Instant) -> Self {
        Self { number, until: asked + USE_LEASE }
    }

    /// Goes on as long as the lease lasts.
    pub(super) async fn within<T>(self, work: impl Future<Output = Result<T, ApiFailure>>) -> Result<T, ApiFailure> {
        let in_time = tokio::time::timeout_at(self.until.into(), work).await;
        in_time.unwrap_or_else(|_| Err(unavailable(media::NAME, "it takes too long")))
    }

    /// To be called before everything that cannot be undone.
    pub(super) fn check(self) -> Result<(), ApiFailure> {
        if Instant::now() < self.until { Ok(()) } else { Err(Self::over()) }
    }

    pub(super) fn over() -> ApiFailure {
        unavailable(store::NAME, "the lease is over")
    }
}

pub(super) struct ReplacedRoom {
    pub(super) record: Record,
    pub(super) config: RoomConfig,
    pub(super) room: SessionRoom,
}

impl NestsApi {
    /// The lease, once nobody else holds it. For those who `join` others, `None` when somebody else's restart, which had
    /// to be waited for, has succeeded; `waited_for` is the lease of one that is waited for already.
    pub(super) async fn acquire_lease(
        &self,
        id: &str,
        join: bool,
        mut waited_for: Option<u64>,
    ) -> Result<Option<Lease>, ApiFailure> {
        let (begun, mut pause) = (Instant::now(), Duration::from_millis(2));
        loop {
            let asked = Instant::now();
            match self.store.acquire_lease(id, waited_for).await? {
                LeaseAnswer::Granted(number) => return Ok(Some(Lease::granted(number, asked))),
                LeaseAnswer::Restarted => return Ok(None),
                LeaseAnswer::Failed => return Err(unavailable(store::NAME, "the restart under way has failed")),
                LeaseAnswer::Held(_) if begun.elapsed() > MAX_LEASE_WAIT => {
                    return Err(unavailable(store::NAME, "another restart takes too long"));
                }
                LeaseAnswer::Held(lease) if join => _ = waited_for.get_or_insert(lease),
                LeaseAnswer::Held(_) => {}
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 3 / 2).min(Duration::from_millis(50));
        }
    }

    /// Replaces the audio room of a nest. Requests for the same nest that come at the same time make one restart:
    /// `None` when another request, which was waited for, has replaced it. `granted` is the lease, and the record as it
    /// was read under it, if both are there already; `waited_for` the lease of another, whose restart may do for this too.
    pub(super) async fn restart(
        &self,
        id: &str,
        mut granted: Option<(Lease, Record)>,
        mut waited_for: Option<u64>,
    ) -> Result<Option<ReplacedRoom>, ApiFailure> {
        loop {
            let (lease, record) = match granted.take() {
                Some((lease, record)) => (lease, Some(record)),
                None => match self.acquire_lease(id, true, waited_for).await? {
                    Some(lease) => (lease, None),
                    None => return Ok(None),
                },
            };
            let mut restart = Restart { nests: self, id, lease, touched: false };
            match restart.run(record).await {
                Ok(Some(replaced)) => return Ok(Some(replaced)),
                // Takeover: the lease has run out, and the restart of whoever holds the next one counts for this too.
                Ok(None) => waited_for = Some(lease.number),
                Err(failure) => {
                    // If the store cannot be told, the lease runs out by itself.
                    let _ = self.store.fail_restart(id, lease.number, restart.touched).await;
                    return Err(failure);
                }
            }
        }
    }
}

struct Restart<'a> {
    nests: &'a NestsApi,
    id: &'a str,
    lease: Lease,
    /// Whether LiveKit was told to delete or to create: a restart that fails after that has left the nest without its
    /// room, and whoever asks for the nest next finishes it.
    touched: bool,
}

/// Where a room comes from that LiveKit shows after a deletion.
enum RoomOrigin {
    /// The room that was to be deleted, or one that an earlier restart has made (3a).
    BeforeRestart,
    /// LiveKit has made it for a client's join (3b).
    ClientJoin,
    ThisRestart,
}

impl Restart<'_> {
    /// `record` is that of the nest if it was read under the lease already. `None` when somebody else has taken the lease
    /// over.
    async fn run(&mut self, record: Option<Record>) -> Result<Option<ReplacedRoom>, ApiFailure> {
        let (store, lease) = (&self.nests.store, self.lease);
        let before = match record {
            Some(record) => record,
            None => store.get(self.id).await?.ok_or_else(|| not_found("Nest not found"))?,
        };
        let restarted_at = Some(self.nests.clock.now_ms());
        let record = Record { id: self.id.into(), status: store::active(), restarted_at, ..before.clone() };
        let replaced = lease.within(self.replace_room(record)).await?;
        let finished = store.finish_restart(lease.number, &before, &replaced.record).await?;
        Ok(finished.then_some(replaced))
    }

    async fn replace_room(&mut self, record: Record) -> Result<ReplacedRoom, ApiFailure> {
        let media = &self.nests.media;
        let (found, people) = tokio::join!(media.find(self.id), media.participants(self.id));
        let mut live = found?;
        let (new, config) = (self.nests.room_of(&record, live.as_ref()), self.nests.config_of(live.as_ref()));
        let old_sid = live.as_ref().map(|room| room.sid.clone());
        let origin = |room: &Room| {
            if old_sid.as_ref() == Some(&room.sid) {
                RoomOrigin::BeforeRestart
            } else if room.metadata == new.metadata {
                RoomOrigin::ThisRestart
            } else if metadata_of(room).is_some() {
                RoomOrigin::BeforeRestart
            } else {
                RoomOrigin::ClientJoin
            }
        };
        // Whether clients may be racing with us: then LiveKit is asked after each step what it lists, and the new room is
        // watched. If they cannot be counted, they may.
        let nobody = people.is_ok_and(|people| people.is_empty());
        let mut contested = live.as_ref().is_some_and(|room| room.num_participants > 0 || !nobody);
        let mut pause = Duration::from_millis(10);
        for _ in 0..MAX_ROUNDS {
            let deleted = match &live {
                None => true,
                Some(room) if contested && matches!(origin(room), RoomOrigin::BeforeRestart) => {
                    self.tear_down(room).await?
                }
                Some(_) => {
                    self.touch()?;
                    media.delete(self.id).await?
                }
            };
            if !deleted {
                // LiveKit does not list the room, and so cannot delete it, but handed it out: a client is joining the
                // old room (3a). Once that join is done, within seconds, the room can be deleted.
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
            self.touch()?;
            let created = media.create(&new).await?;
            let listed = match origin(&created) {
                RoomOrigin::BeforeRestart => None,
                // A room was deleted in which nobody was: nobody comes back.
                RoomOrigin::ThisRestart if live.is_some() && deleted && !contested => Some(created.clone()),
                // The old room may have replaced ours by now (3a): what LiveKit lists counts.
                _ => media.find(self.id).await?,
            };
            contested |= listed.is_none();
            let room = listed.unwrap_or(created);
            self.lease.check()?;
            let is_new = match origin(&room) {
                // 3a: deleted in the next round.
                RoomOrigin::BeforeRestart => false,
                RoomOrigin::ThisRestart => !contested || self.stays(&room).await?,
                // 3b: adopted by its metadata; `false` if it has closed meanwhile.
                RoomOrigin::ClientJoin => {
                    media.describe(self.id, &adopted_metadata(&room, &new, config)).await? && self.stays(&room).await?
                }
            };
            if is_new {
                // An old LiveKit knows seconds only.
                let created_at_ms = room.creation_time_ms.max(room.creation_time.saturating_mul(1000));
                let room = SessionRoom { sid: room.sid, sid_before: old_sid, created_at_ms };
                return Ok(ReplacedRoom { record, config, room });
            }
            contested = true;
            live = Some(room);
        }
        Err(unavailable(media::NAME, "it keeps the old room"))
    }

    /// To be called before LiveKit is told to delete or to create.
    fn touch(&mut self) -> Result<(), ApiFailure> {
        self.lease.check()?;
        self.touched = true;
        Ok(())
    }

    /// Deletes this very room and waits until LiveKit no longer lists it; whether there was one to delete. A client
    /// that comes back meanwhile has it listed again (3a): then it is deleted once more, as long as the lease lasts.
    async fn tear_down(&mut self, room: &Room) -> Result<bool, ApiFailure> {
        loop {
            self.touch()?;
            let deleted = self.nests.media.delete(self.id).await?;
            let mut pause = Duration::from_millis(2);
            while pause < TEARDOWN {
                if !self.is_listed(room).await? {
                    return Ok(deleted);
                }
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
        }
    }

    /// Watches a new room: whether it is still the one that is listed after a while.
    async fn stays(&self, room: &Room) -> Result<bool, ApiFailure> {
        let begun = Instant::now();
        while begun.elapsed() < WATCH {
            tokio::time::sleep(WATCH / 8).await;
            if !self.is_listed(room).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether this very room is the one that LiveKit lists under its name.
    async fn is_listed(&self, room: &Room) -> Result<bool, ApiFailure> {
        Ok(self.nests.media.find(self.id).await?.is_some_and(|listed| listed.sid == room.sid))
    }
}
