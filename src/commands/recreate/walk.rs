//! The way from a nest that is gone to the one that takes its place.

use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nostr::PublicKey;
use nostr::nips::nip01::Coordinate;
use reqwest::Method;
use serde_json::json;

use super::journal::{Created, Journal};
use super::{Done, NEW_ID, Planned, Recreated, Request};
use crate::api::wire::{Create, Info, Permissions, Session};
use crate::api::{self, Base, Call, Client, Missing, RoomId, answer};
use crate::clock::Clock;
use crate::commands::Error;
use crate::commands::list::page;
use crate::commands::publish::{Published, hand_in, publish};
use crate::commands::restart::Progress;
use crate::commands::restart::attempt::Sender;
use crate::commands::target::{Finder, has_audio_room};
use crate::key::HostKey;
use crate::lock::{self, RoomLock};
use crate::relay::{self, Role, RoomEvent};
use crate::reporter::Step;
use crate::room::RoomRef;
use crate::secret::scrub;

/// The longest that it waits for a restart of the nest, or another of its kind.
const LOCK_WAIT: Duration = Duration::from_mins(1);

/// Relays that the API takes.
const RELAYS_MAX: usize = 10;

/// How often a nest may have been recreated before.
const LINEAGE_MAX: usize = 20;

pub(super) struct Walk<'a> {
    request: &'a Request,
    room: &'a RoomRef,
    key: &'a HostKey,
    client: &'a Client,
    finder: Finder<'a>,
    progress: Mutex<Progress>,
    warnings: Mutex<Vec<String>>,
}

/// Where a nest stands among those that took its place.
struct Lineage {
    /// The last one, whose place may have to be taken.
    old: relay::FetchedEvent,
    /// What took it, if the work was begun and not finished.
    heir: Option<relay::FetchedEvent>,
    /// The one before, if `old` is itself an heir whose work is finished.
    before: Option<relay::FetchedEvent>,
}

impl<'a> Walk<'a> {
    pub fn new(
        request: &'a Request,
        room: &'a RoomRef,
        key: &'a HostKey,
        client: &'a Client,
        finder: Finder<'a>,
    ) -> Self {
        Self { request, room, key, client, finder, progress: Mutex::default(), warnings: Mutex::default() }
    }

    pub async fn go(&self) -> Result<Done, Error> {
        self.step(Step::Relays);
        let named = self.finder.event_of(self.room, self.key.public_key()).await?;
        has_audio_room(&named)?;
        let api = self.finder.api_of(self.room, &named)?;
        let _lock = self.lock(&api).await?;
        let Lineage { old, heir, before } = self.lineage(named).await?;
        let journal = Journal::new(self.finder.settings.state_dir.as_deref(), &old.event.coordinate());
        if let Some(heir) = heir {
            let opened = self.spread(&old, &heir).await;
            let begun = Recreated { opened, ..recreated(&api, &old, &heir.event) };
            return self.finish(begun, &api, &old, &heir.event, &journal).await;
        }
        let begun = self.begun(&api, &old, &journal).await;
        let created = begun.is_none();
        let (id, endpoints) = if let Some(begun) = begun {
            begun
        } else {
            self.step(Step::Look);
            if !self.is_gone(&api, &old).await? {
                let before = before.ok_or(Error::StillThere)?;
                return Ok(Done::Recreated(Box::new(recreated(&api, &before, &old.event))));
            }
            if self.request.dry_run {
                return Ok(Done::Planned(Box::new(planned(&api, &old))));
            }
            self.confirm(&old).await?;
            self.create(&api, &old, &journal).await?
        };
        let next = old.event.heir(&id, old.seen_on.first(), Clock::default()).set_service(&api);
        let next = match endpoints.as_slice() {
            [] => next,
            endpoints => next.set_streaming(endpoints.iter().map(String::as_str)),
        };
        self.step(Step::Publish);
        let relays = self.finder.homes(&old, self.key);
        let (heir, opened) = publish(next.build(), self.key, &relays, self.finder.reporter).await?;
        let begun = Recreated { created, opened: Some(opened), ..recreated(&api, &old, &heir) };
        self.finish(begun, &api, &old, &heir, &journal).await
    }

    /// People, and the old event: what follows once the new event is out.
    async fn finish(
        &self,
        begun: Recreated,
        api: &Base,
        old: &relay::FetchedEvent,
        heir: &RoomEvent,
        journal: &Journal,
    ) -> Result<Done, Error> {
        let granted = self.grant(api, heir).await?;
        let to = heir.coordinate();
        let said = old.event.status().is_over() && old.event.successor().as_ref() == Some(&to);
        let closed = if said {
            None
        } else {
            self.step(Step::Publish);
            let last = old.event.farewell(&to, old.seen_on.first(), Clock::default());
            let relays = self.finder.homes(old, self.key);
            Some(publish(last.build(), self.key, &relays, self.finder.reporter).await?.1)
        };
        journal.end();
        let warnings = std::mem::take(&mut *self.warnings.lock().unwrap_or_else(PoisonError::into_inner));
        let granted = granted.iter().map(PublicKey::to_hex).collect();
        Ok(Done::Recreated(Box::new(Recreated { granted, closed, warnings, ..begun })))
    }

    /// The room that an interrupted run has created and not published, if it is still there.
    async fn begun(&self, api: &Base, old: &relay::FetchedEvent, journal: &Journal) -> Option<(RoomId, Vec<String>)> {
        let created = journal.read(&old.event.coordinate(), api)?;
        let id = created.id()?;
        self.is_ours(api, &id).await.then_some((id, created.endpoints))
    }

    /// Follows the pointers from the nest that was named to the last one that took its place.
    async fn lineage(&self, named: relay::FetchedEvent) -> Result<Lineage, Error> {
        let relays = self.finder.relays(self.room).also(named.homes());
        let listed = relays.list_of(self.key.public_key()).await?;
        self.finder.tell(&listed.asked);
        let mut line = Lineage { old: named, heir: None, before: None };
        for _ in 0..LINEAGE_MAX {
            let Some(heir) = self.heir_of(&line.old, &listed.rooms).await? else { return Ok(line) };
            let said = line.old.event.successor() == Some(heir.event.coordinate());
            if !(said && line.old.event.status().is_over()) {
                return Ok(Lineage { heir: Some(heir), ..line });
            }
            line = Lineage { old: heir, heir: None, before: Some(line.old) };
        }
        Ok(line)
    }

    /// The nest that says that it took the place of `old`, or that `old` says so of.
    async fn heir_of(
        &self,
        old: &relay::FetchedEvent,
        mine: &[relay::FetchedEvent],
    ) -> Result<Option<relay::FetchedEvent>, Error> {
        let own = |coordinate: &Coordinate| coordinate.public_key == self.key.public_key();
        let (this, successor) = (old.event.coordinate(), old.event.successor().filter(own));
        let is_heir = |room: &&relay::FetchedEvent| {
            let event = &room.event;
            event.predecessor().as_ref() == Some(&this) || successor.as_ref() == Some(&event.coordinate())
        };
        if let Some(heir) = mine.iter().find(is_heir) {
            return Ok(Some(heir.clone()));
        }
        let Some(successor) = successor else { return Ok(None) };
        let id = RoomId::new(&successor.identifier).map_err(|error| Error::Room(error.into()))?;
        let heir = RoomRef { id, host: Some(successor.public_key), relays: old.homes(), api: None };
        Ok(Some(self.finder.event_of(&heir, successor.public_key).await?))
    }

    /// Whether the server has lost the nest.
    async fn is_gone(&self, api: &Base, old: &relay::FetchedEvent) -> Result<bool, Error> {
        match self.info(api, old.event.id()).await {
            Ok(_) => Ok(false),
            Err(api::Error::NotFound { missing: Missing::Record, .. }) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether a room that was created before is still there.
    async fn is_ours(&self, api: &Base, id: &RoomId) -> bool {
        self.info(api, id).await.is_ok_and(|info| info.host == self.key.public_key().to_hex())
    }

    async fn info(&self, api: &Base, id: &RoomId) -> Result<Info, api::Error> {
        let url = api.room(id, "/info");
        answer::json(&self.client.send(Call::get(&url)).await?, &url)
    }

    async fn confirm(&self, old: &relay::FetchedEvent) -> Result<(), Error> {
        if self.request.yes {
            return Ok(());
        }
        let name = old.event.title().unwrap_or(old.event.id().as_str());
        let question = format!(
            "The server has lost {name}. Open a new nest with its title, people and relays, and close this one?"
        );
        match self.finder.reporter.confirm(&question).await {
            Some(true) => Ok(()),
            Some(false) => Err(Error::Cancelled),
            None => Err(Error::NotConfirmed),
        }
    }

    /// A new room with the old one's relays and HLS choice, remembered before anything else happens.
    async fn create(
        &self,
        api: &Base,
        old: &relay::FetchedEvent,
        journal: &Journal,
    ) -> Result<(RoomId, Vec<String>), Error> {
        let body = json!(wanted(old)).to_string();
        let sender = self.sender(Step::Create);
        let outcome = sender.send_body(api, &Method::PUT, api.url(), Some(body.as_bytes())).await.map_err(Arc::new)?;
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).extend(outcome.warnings.iter().cloned());
        let reply = outcome.settled()?;
        let session: Session = answer::json(&reply, api.url())?;
        let nonsense = |why: &str| api::Error::Nonsense { status: reply.status, why: why.into() };
        let id = RoomId::new(&*session.room_id).map_err(|_| nonsense("without the id of the new room"))?;
        if id == *old.event.id() {
            return Err(nonsense("with the id of the old room").into());
        }
        let endpoints: Vec<_> = session.endpoints.iter().map(|text| scrub(text).into_owned()).collect();
        let created = Created::new(&old.event.coordinate(), api, &id, endpoints.clone());
        if let Err(error) = journal.write(&created) {
            self.warn(format!("cannot remember the new room: {error}; do not interrupt this"));
        }
        Ok((id, endpoints))
    }

    /// Hands the new event to the relays that an interrupted run did not come to.
    async fn spread(&self, old: &relay::FetchedEvent, heir: &relay::FetchedEvent) -> Option<Published> {
        let missing: Vec<_> = old.homes().into_iter().filter(|home| !heir.seen_on.contains(home)).collect();
        if missing.is_empty() {
            return None;
        }
        self.step(Step::Publish);
        let relays = self.finder.homes(old, self.key).instead(missing);
        Some(hand_in(&heir.event, &relays, self.finder.reporter).await)
    }

    /// Lets the speakers and admins of the event speak, and the admins rule.
    async fn grant(&self, api: &Base, heir: &RoomEvent) -> Result<Vec<PublicKey>, Error> {
        let sender = self.sender(Step::Grant);
        let url = api.room(heir.id(), "/permissions");
        let mut granted = Vec::new();
        for person in heir.people() {
            let is_admin = person.role == Role::Admin;
            if person.key == heir.host() || granted.contains(&person.key) || !(is_admin || person.role == Role::Speaker)
            {
                continue;
            }
            let wanted = Permissions {
                participant: person.key.to_hex(),
                can_publish: Some(true),
                is_admin: is_admin.then_some(true),
                mute_microphone: None,
            };
            let body = json!(wanted).to_string();
            let outcome = sender.send_body(api, &Method::POST, &url, Some(body.as_bytes())).await.map_err(Arc::new)?;
            let reply = outcome.settled()?;
            match answer::done(&reply, &url) {
                Ok(()) => granted.push(person.key),
                // The server does not want this one; the others may speak all the same.
                Err(error @ api::Error::Server { status: 400..=499, .. }) => {
                    self.warn(format!("{} may not speak: {error}: {}", person.key.to_hex(), reply.text()));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(granted)
    }

    /// Not at the same time as another of its kind, or a restart, on this machine.
    async fn lock(&self, api: &Base) -> Result<Option<RoomLock>, Error> {
        let Some(folder) = &self.finder.settings.state_dir else { return Ok(None) };
        let url = api.room(&self.room.id, "/restart");
        match RoomLock::acquire(&folder.join("rooms"), url.as_str(), LOCK_WAIT).await {
            Ok(lock) => Ok(Some(lock)),
            Err(source @ lock::Error::Busy) => Err(Error::Busy { source, waited: LOCK_WAIT }),
            Err(error @ lock::Error::File { .. }) => {
                self.warn(format!("{error}; going on without a lock"));
                Ok(None)
            }
        }
    }

    fn sender(&self, step: Step) -> Sender<'_> {
        Sender {
            client: self.client,
            key: self.key,
            policy: self.finder.settings.retry,
            reporter: self.finder.reporter,
            room: self.room.id.as_str(),
            step,
            progress: &self.progress,
            shift_s: AtomicI64::default(),
        }
    }

    fn step(&self, step: Step) {
        self.finder.reporter.step(self.room.id.as_str(), step);
    }

    fn warn(&self, text: String) {
        self.finder.reporter.warning(&text);
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).push(text);
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
fn recreated(api: &Base, old: &relay::FetchedEvent, heir: &RoomEvent) -> Recreated {
    let naddr = heir.naddr(&old.seen_on);
    Recreated {
        room_id: heir.id().to_string(),
        replaces: old.event.id().to_string(),
        api: api.to_string(),
        host: heir.host().to_hex(),
        link: naddr.as_deref().map(|naddr| page(naddr, Some(api))),
        naddr,
        created: false,
        opened: None,
        granted: Vec::new(),
        closed: None,
        warnings: Vec::new(),
    }
}

/// What would be sent.
fn planned(api: &Base, old: &relay::FetchedEvent) -> Planned {
    let id = RoomId::new(NEW_ID).unwrap_or_else(|_| old.event.id().clone());
    let opened = old.event.heir(&id, old.seen_on.first(), Clock::default()).set_service(api).build();
    let to = Coordinate::new(old.event.event().kind, old.event.host()).identifier(NEW_ID);
    let closed = old.event.farewell(&to, old.seen_on.first(), Clock::default()).build();
    Planned {
        room_id: old.event.id().to_string(),
        request: json!({ "method": "PUT", "url": api.as_str(), "body": wanted(old) }),
        opened: json!(opened),
        closed: json!(closed),
        relays: old.homes().iter().map(ToString::to_string).collect(),
    }
}
