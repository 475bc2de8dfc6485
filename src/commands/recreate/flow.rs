//! The way from a nest that is gone to the one that takes its place.

use std::sync::Arc;
use std::time::Duration;

use nostr::PublicKey;
use nostr::nips::nip01::Coordinate;
use serde_json::json;

use super::journal::{Created, Journal};
use super::{NEW_ID, PlannedRecreation, RecreateOutcome, RecreateRequest, Recreated};
use crate::api::wire::{Create, Permissions};
use crate::api::{self, ApiUrl, RoomId, SignedClient};
use crate::clock::Clock;
use crate::commands::list::page;
use crate::commands::publish::{Published, hand_in, publish};
use crate::commands::target::has_audio_room;
use crate::commands::{Error, HalfDone, Job};
use crate::key::HostKey;
use crate::relay::{self, Role, RoomEvent};
use crate::reporter::{Question, RoomReporter, Stage, Warning};
use crate::room::RoomRef;
use crate::secret::scrub;

/// The longest that it waits for a restart of the nest, or another of its kind.
const LOCK_WAIT: Duration = Duration::from_mins(1);

/// Relays that the API takes.
const RELAYS_MAX: usize = 10;

/// How often a nest may have been recreated before.
const LINEAGE_MAX: usize = 20;

pub(super) struct Recreation<'a> {
    pub job: &'a Job<'a>,
    pub request: &'a RecreateRequest,
    pub key: &'a HostKey,
    pub reporter: &'a RoomReporter<'a>,
}

/// Where a nest stands among those that took its place.
struct Lineage {
    /// The last one, whose place may have to be taken.
    old: relay::FetchedEvent,
    /// What took it, if the work was begun and not finished.
    successor: Option<relay::FetchedEvent>,
    /// The one before, if `old` is itself a successor whose work is finished.
    before: Option<relay::FetchedEvent>,
}

impl Recreation<'_> {
    pub async fn run(&self) -> Result<RecreateOutcome, Error> {
        let (job, room) = (self.job, &self.request.room);
        self.step(Stage::Relays);
        let named = job.event_of(room, self.key.public_key()).await?;
        has_audio_room(&named)?;
        let api = job.api(room, Some(&named))?;
        // Not at the same time as another of its kind, or a restart, on this machine.
        let _lock = job.lock(&api, &room.id, LOCK_WAIT, self.reporter).await?;
        let client = job.signed(&api, self.key, self.reporter);
        let Lineage { old, successor, before } = self.lineage(named).await?;
        let journal = Journal::new(job.settings.state_dir.as_deref(), &old.event.coordinate());
        if let Some(successor) = successor {
            if self.request.dry_run {
                return Ok(RecreateOutcome::Recreated(Box::new(recreated(&api, &old, &successor.event))));
            }
            let opened = self.spread(&old, &successor).await;
            let begun = Recreated { opened, ..recreated(&api, &old, &successor.event) };
            return self.finish(begun, &client, &old, &successor.event, &journal).await;
        }
        let begun = self.begun(&api, &old, &journal).await;
        let created = begun.is_none();
        if created {
            self.step(Stage::Look);
            match job.probe(&api).info(old.event.id()).await.result {
                Ok(_) => {
                    let before = before.ok_or(Error::StillThere)?;
                    return Ok(RecreateOutcome::Recreated(Box::new(recreated(&api, &before, &old.event))));
                }
                Err(error) if error.says_no_record() => {}
                Err(error) => return Err(error.into()),
            }
        }
        if self.request.dry_run {
            return Ok(RecreateOutcome::Planned(Box::new(planned(&api, &old))));
        }
        let (id, endpoints) = if let Some(begun) = begun {
            begun
        } else {
            self.confirm(&old).await?;
            self.create(&client, &api, &old, &journal).await?
        };
        let next = old.event.successor_with(&id, old.seen_on.first(), Clock::default()).set_api(&api);
        let next = match endpoints.as_slice() {
            [] => next,
            endpoints => next.set_streaming(endpoints.iter().map(String::as_str)),
        };
        self.step(Stage::Publish);
        let relays = job.home_relays(&old, self.key);
        let published = publish(next.build(), self.key, &relays, self.job.reporter).await;
        let (successor, opened) = published.map_err(|error| HalfDone::Created.unless_signed(error))?;
        let begun = Recreated { created, opened: Some(opened), ..recreated(&api, &old, &successor) };
        let finished = self.finish(begun, &client, &old, &successor, &journal).await;
        finished.map_err(|error| HalfDone::Created.unless_signed(error))
    }

    /// People, and the old event: what follows once the new event is out.
    async fn finish(
        &self,
        begun: Recreated,
        client: &SignedClient<'_>,
        old: &relay::FetchedEvent,
        successor: &RoomEvent,
        journal: &Journal,
    ) -> Result<RecreateOutcome, Error> {
        let granted = self.grant(client, successor).await?;
        let to = successor.coordinate();
        let closed_before = old.event.status().is_over() && old.event.successor().as_ref() == Some(&to);
        let closed = if closed_before {
            None
        } else {
            self.step(Stage::Publish);
            let last = old.event.superseded_by(&to, old.seen_on.first(), Clock::default());
            let relays = self.job.home_relays(old, self.key);
            Some(publish(last.build(), self.key, &relays, self.job.reporter).await?.1)
        };
        journal.end();
        let granted = granted.iter().map(PublicKey::to_hex).collect();
        Ok(RecreateOutcome::Recreated(Box::new(Recreated {
            granted,
            closed,
            warnings: self.reporter.take_warnings(),
            ..begun
        })))
    }

    /// The room that an interrupted run has created and not published, if it is still there.
    async fn begun(&self, api: &ApiUrl, old: &relay::FetchedEvent, journal: &Journal) -> Option<(RoomId, Vec<String>)> {
        let created = journal.read(&old.event.coordinate(), api)?;
        let id = created.id()?;
        self.is_ours(api, &id).await.then_some((id, created.endpoints))
    }

    /// Follows the pointers from the nest that was named to the last one that took its place.
    async fn lineage(&self, named: relay::FetchedEvent) -> Result<Lineage, Error> {
        let relays = self.job.relays(&self.request.room, Some(self.key.public_key())).also(named.homes());
        let listed = relays.list_of(self.key.public_key(), |_| {}).await?;
        self.job.warn_of_failed(&listed.asked);
        let mut line = Lineage { old: named, successor: None, before: None };
        for _ in 0..LINEAGE_MAX {
            let Some(next) = self.successor_of(&line.old, &listed.rooms).await? else { return Ok(line) };
            let named = line.old.event.successor() == Some(next.event.coordinate());
            if !(named && line.old.event.status().is_over()) {
                return Ok(Lineage { successor: Some(next), ..line });
            }
            line = Lineage { old: next, successor: None, before: Some(line.old) };
        }
        Ok(line)
    }

    /// The nest that says that it took the place of `old`, or that `old` says so of.
    async fn successor_of(
        &self,
        old: &relay::FetchedEvent,
        mine: &[relay::FetchedEvent],
    ) -> Result<Option<relay::FetchedEvent>, Error> {
        let own = |coordinate: &Coordinate| coordinate.public_key == self.key.public_key();
        let (this, successor) = (old.event.coordinate(), old.event.successor().filter(own));
        let is_successor = |room: &&relay::FetchedEvent| {
            let event = &room.event;
            event.predecessor().as_ref() == Some(&this) || successor.as_ref() == Some(&event.coordinate())
        };
        if let Some(found) = mine.iter().find(is_successor) {
            return Ok(Some(found.clone()));
        }
        let Some(successor) = successor else { return Ok(None) };
        let id = RoomId::new(&successor.identifier).map_err(|error| Error::Room(error.into()))?;
        let named = RoomRef { host: Some(successor.public_key), relays: old.homes(), ..RoomRef::bare(id) };
        Ok(Some(self.job.event_of(&named, successor.public_key).await?))
    }

    /// Whether a room that was created before is still there.
    async fn is_ours(&self, api: &ApiUrl, id: &RoomId) -> bool {
        let info = self.job.probe(api).info(id).await.result;
        info.is_ok_and(|info| info.host == self.key.public_key().to_hex())
    }

    async fn confirm(&self, old: &relay::FetchedEvent) -> Result<(), Error> {
        if self.request.yes {
            return Ok(());
        }
        let name = old.event.title().unwrap_or(old.event.id().as_str());
        match self.reporter.confirm(Question::Recreate { nest: name }).await {
            Some(true) => Ok(()),
            Some(false) => Err(Error::Cancelled),
            None => Err(Error::NotConfirmed),
        }
    }

    /// A new room with the old one's relays and HLS choice, remembered before anything else happens.
    async fn create(
        &self,
        client: &SignedClient<'_>,
        api: &ApiUrl,
        old: &relay::FetchedEvent,
        journal: &Journal,
    ) -> Result<(RoomId, Vec<String>), Error> {
        let (session, status) = client.create(&wanted(old)).await.map_err(Arc::new)?.result?;
        let nonsense = |why: &str| api::ApiError::Nonsense { status, why: why.into() };
        let id = RoomId::new(&*session.room_id).map_err(|_| nonsense("without the id of the new room"))?;
        if id == *old.event.id() {
            return Err(nonsense("with the id of the old room").into());
        }
        let endpoints: Vec<_> = session.endpoints.iter().map(|text| scrub(text).into_owned()).collect();
        let created = Created::new(&old.event.coordinate(), api, &id, endpoints.clone());
        if let Err(error) = journal.write(&created) {
            self.reporter.warn(Warning::NotRemembered { why: error.to_string() });
        }
        Ok((id, endpoints))
    }

    /// Hands the new event to the relays that an interrupted run did not come to.
    async fn spread(&self, old: &relay::FetchedEvent, successor: &relay::FetchedEvent) -> Option<Published> {
        let missing: Vec<_> = old.homes().into_iter().filter(|home| !successor.seen_on.contains(home)).collect();
        if missing.is_empty() {
            return None;
        }
        self.step(Stage::Publish);
        let relays = self.job.home_relays(old, self.key).instead(missing);
        Some(hand_in(&successor.event, &relays, self.job.reporter).await)
    }

    /// Lets the speakers, admins and further hosts of the event speak, and the latter two rule.
    async fn grant(&self, client: &SignedClient<'_>, event: &RoomEvent) -> Result<Vec<PublicKey>, Error> {
        let mut granted = Vec::new();
        for person in event.people() {
            let is_admin = matches!(person.role, Role::Host | Role::Admin);
            if person.key == event.host()
                || granted.contains(&person.key)
                || !(is_admin || person.role == Role::Speaker)
            {
                continue;
            }
            let wanted = Permissions {
                participant: person.key.to_hex(),
                can_publish: Some(true),
                is_admin: is_admin.then_some(true),
                mute_microphone: None,
            };
            match client.permissions(event.id(), &wanted).await.map_err(Arc::new)?.result {
                Ok(()) => granted.push(person.key),
                // The server does not want this one; the others may speak all the same.
                Err(api::ApiError::Server { status: status @ 400..=499, server_text, .. }) => {
                    let why = format!("the API failed with status {status}: {server_text}");
                    self.reporter.warn(Warning::MayNotSpeak { person: person.key.to_hex(), why });
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(granted)
    }

    fn step(&self, step: Stage) {
        self.reporter.step(step);
    }
}

/// The new room as the old one was.
fn wanted(old: &relay::FetchedEvent) -> Create {
    let own = old.event.relays();
    let relays = if own.is_empty() { old.homes() } else { own };
    Create {
        relays: relays.iter().take(RELAYS_MAX).map(ToString::to_string).collect(),
        hls_stream: old.event.streaming().iter().any(|url| url.contains(".m3u8")),
    }
}

/// The nest that took the place of another, so far.
fn recreated(api: &ApiUrl, old: &relay::FetchedEvent, successor: &RoomEvent) -> Recreated {
    let naddr = successor.naddr(&old.seen_on);
    Recreated {
        room_id: successor.id().to_string(),
        replaces: old.event.id().to_string(),
        api: api.to_string(),
        host: successor.host().to_hex(),
        link: naddr.as_deref().map(|naddr| page(naddr, Some(api))),
        naddr,
        created: false,
        opened: None,
        granted: Vec::new(),
        closed: None,
        aliases: Vec::new(),
        warnings: Vec::new(),
    }
}

/// What would be sent.
fn planned(api: &ApiUrl, old: &relay::FetchedEvent) -> PlannedRecreation {
    let id = RoomId::new(NEW_ID).unwrap_or_else(|_| old.event.id().clone());
    let opened = old.event.successor_with(&id, old.seen_on.first(), Clock::default()).set_api(api).build();
    let to = Coordinate::new(old.event.event().kind, old.event.host()).identifier(NEW_ID);
    let closed = old.event.superseded_by(&to, old.seen_on.first(), Clock::default()).build();
    PlannedRecreation {
        room_id: old.event.id().to_string(),
        request: json!({ "method": "PUT", "url": api.as_str(), "body": wanted(old) }),
        opened: json!(opened),
        closed: json!(closed),
        relays: old.homes().iter().map(ToString::to_string).collect(),
    }
}
