//! Nests that are followed: what relays and the API say of them, for as long as somebody wants to know it.
//!
//! Relays tell by themselves. The API has to be asked: about each nest once in `interval`, about one nest at a time, and
//! never more than it announces to allow.

use std::collections::HashMap;
use std::convert::Infallible;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::{FuturesUnordered, pending, unfold};
use nostr::nips::nip01::Coordinate;
use nostr::{Event, Filter, Kind, PublicKey, RelayUrl, Timestamp};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};
use url::Origin;

use super::list::RESERVE;
use super::moq::{self, MoqLook, MoqParts};
use super::{Error, Job};
use crate::api::{ApiError, ApiUrl, NestProbe, RoomId};
use crate::clock::Clock;
use crate::net::relay::follow::{Follower, Heard};
use crate::relay::gather::may_lead_to;
use crate::relay::presence::{LISTED_FOR_S, PRESENCE_KIND, Presence, Presences};
use crate::relay::{FetchedEvent, RelayTrouble, Relays, RoomEvent};
use crate::reporter::Warning;
use crate::room::{ROOM_KIND, RoomRef};

/// How long an API is left alone that has had enough, where it does not say how long.
const LEFT_ALONE: Duration = Duration::from_secs(60);

/// The same where it says how long, and that is longer: no clock reaches as far as some say.
const LEFT_ALONE_AT_MOST: Duration = Duration::from_hours(24);

/// Relays that are followed at most.
const RELAYS_MAX: usize = 20;

/// Nests of one host whose presences are followed.
const PRESENCES_MAX: usize = 50;

/// Nests of one host that are followed at most; those that are made after that are left out.
const NESTS_MAX: usize = 1000;

/// How often a nest is looked at because its event has changed, at most.
const LOOKED_AT_AFTER: Duration = Duration::from_secs(5);

/// How often it is told, at most, that a relay is of no use.
const TROUBLE_TOLD_AFTER: Duration = Duration::from_mins(1);

/// A nest that is followed, as it was seen last.
pub(super) struct Followed {
    pub room: RoomRef,
    pub event: Result<Option<FetchedEvent>, Error>,
    pub api: Result<ApiUrl, Error>,
    /// What the API says; `None`: it has not been asked yet.
    pub probe: Option<NestProbe>,
    /// Whether the servers of a nest on Media over QUIC answer; `None`: they have not been asked yet.
    pub parts: Option<MoqParts>,
    presences: Presences,
    /// When it is to be looked at again.
    due: Instant,
    /// When its API was asked last.
    asked: Option<Instant>,
}

impl Followed {
    /// One whose API has been asked just now, or is to be asked next.
    pub fn new(
        room: RoomRef,
        event: Result<Option<FetchedEvent>, Error>,
        api: Result<ApiUrl, Error>,
        probe: Option<NestProbe>,
    ) -> Self {
        let presences = Presences::default();
        Self { room, event, api, probe, parts: None, presences, due: Instant::now(), asked: None }
    }

    fn known_event(&self) -> Option<&FetchedEvent> {
        self.event.as_ref().ok().and_then(Option::as_ref)
    }

    /// The address of its event, if it is known.
    fn coordinate(&self) -> Option<Coordinate> {
        let host = self.room.host.or_else(|| Some(self.known_event()?.event.host()))?;
        Some(Coordinate::new(Kind::from(ROOM_KIND), host).identifier(self.room.id.as_str()))
    }

    /// The same with what was seen of it on Media over QUIC.
    pub fn seen(self, look: MoqLook) -> Self {
        Self { parts: Some(look.parts), presences: look.presences, ..self }
    }

    /// Its event, if by that it is a live nest on Media over QUIC.
    pub fn over_quic(&self) -> Option<&FetchedEvent> {
        let event = self.known_event()?;
        let live = event.event.media_over_quic().is_some() && event.event.is_open(Clock::default().now_s());
        Some(event).filter(|_| live && self.api.is_err())
    }

    /// What was seen of a nest on Media over QUIC; `None` for others, and as long as its servers have still to be asked.
    pub fn look(&self) -> Option<MoqLook> {
        let (event, parts) = (self.over_quic()?, self.parts.clone()?);
        let shown = moq::shown(&event.event, &self.presences, Clock::default().now_s());
        Some(MoqLook { shown, presences: self.presences.clone(), unheard: None, parts })
    }

    /// Whether it was looked at, so that there is something to tell.
    fn is_known(&self) -> bool {
        match self.over_quic() {
            Some(_) => self.parts.is_some(),
            None => self.probe.is_some() || self.api.is_err(),
        }
    }

    /// How many people say on Nostr that they are there; `None` where its event is not known.
    pub fn present(&self) -> Option<u64> {
        self.coordinate().map(|_| self.presences.count(Clock::default().now_s()))
    }
}

/// What was told of each nest: what has not changed is not told again.
#[derive(Default)]
pub(super) struct Told(HashMap<RoomId, Value>);

impl Told {
    /// Whether this differs from what was told of the nest before.
    pub fn is_news(&mut self, id: &RoomId, row: &impl Serialize) -> bool {
        let row = json!(row);
        self.0.insert(id.clone(), row.clone()) != Some(row)
    }
}

/// Who is asked about a nest: its API, or the servers of one on Media over QUIC.
enum Ask {
    Api(ApiUrl),
    Servers { relay: Option<String>, auth: Option<String> },
}

enum Answer {
    Api(ApiUrl, Box<NestProbe>),
    Servers(MoqParts),
}

/// When an API may be asked again.
enum Pace {
    Asked,
    After(Instant),
}

/// What was told of a relay that is, or was, of no use.
struct Troubled {
    /// When that was told last.
    told: Instant,
    /// Whether it is to be told that it answers again.
    pending: bool,
}

pub(super) struct Following<'a> {
    job: &'a Job<'a>,
    nests: Vec<Followed>,
    /// Whose nests are followed, those included that are made from now on.
    host: Option<PublicKey>,
    interval: Duration,
    /// By origin: whatever the path, it is one server.
    pace: HashMap<Origin, Pace>,
    troubles: HashMap<RelayUrl, Troubled>,
    /// Hears of each nest that may have changed.
    tell: &'a mut (dyn FnMut(&Followed) + Send),
}

impl<'a> Following<'a> {
    pub fn new(
        job: &'a Job<'a>,
        nests: Vec<Followed>,
        host: Option<PublicKey>,
        interval: Duration,
        tell: &'a mut (dyn FnMut(&Followed) + Send),
    ) -> Self {
        let mut following = Self { job, nests, host, interval, pace: HashMap::new(), troubles: HashMap::new(), tell };
        let now = Instant::now();
        for nest in &mut following.nests {
            nest.due = now + interval;
            if let (Ok(api), Some(probe)) = (&nest.api, &nest.probe) {
                following.pace.insert(api.url().origin(), Pace::After(now + pause(probe)));
            }
        }
        following
    }

    /// Follows until it is dropped.
    pub async fn run(mut self, relays: Relays) -> Infallible {
        // What it is busy with, such as a signature, goes on while the API is asked.
        let mut heard = Box::pin(match self.follower(relays).await {
            Some(follower) => {
                unfold(follower, async |mut follower| Some((follower.next().await, follower))).left_stream()
            }
            None => pending().right_stream(),
        });
        let mut probes = FuturesUnordered::new();
        let job = self.job;
        loop {
            let free = job.settings.jobs.saturating_sub(probes.len());
            for (at, ask) in self.due(free) {
                let id = self.nests[at].room.id.clone();
                probes.push(async move {
                    let answer = match ask {
                        Ask::Api(api) => {
                            let probe = job.probe(&api).nest(&id).await;
                            Answer::Api(api, Box::new(probe))
                        }
                        Ask::Servers { relay, auth } => {
                            Answer::Servers(moq::parts(job, relay.as_deref(), auth.as_deref()).await)
                        }
                    };
                    (at, answer)
                });
            }
            tokio::select! {
                Some((relay, heard)) = heard.next() => self.hear(relay, heard),
                Some((at, answer)) = probes.next() => self.answered(at, answer),
                () = sleep_until(self.next_due()), if probes.len() < job.settings.jobs => {}
            }
        }
    }

    /// The relays with the events of the nests; `None` where no event is known.
    async fn follower(&self, relays: Relays) -> Option<Follower> {
        let coordinates: Vec<_> = self.nests.iter().filter_map(Followed::coordinate).take(PRESENCES_MAX).collect();
        let rooms = Filter::new().kind(Kind::from(ROOM_KIND));
        let rooms = match self.host {
            Some(host) => rooms.author(host),
            None if coordinates.is_empty() => return None,
            None => {
                let rooms = rooms.authors(coordinates.iter().map(|coordinate| coordinate.public_key));
                rooms.identifiers(coordinates.iter().map(|coordinate| &coordinate.identifier))
            }
        };
        let present_since = Timestamp::now() - Duration::from_secs(LISTED_FOR_S.unsigned_abs());
        let presences = Filter::new().kind(Kind::from(PRESENCE_KIND)).since(present_since);
        let presences = coordinates.iter().fold(presences, Filter::coordinate);
        let mut filters = vec![rooms];
        filters.extend((!coordinates.is_empty()).then_some(presences));
        let homes = self.nests.iter().filter_map(Followed::known_event).flat_map(|event| {
            let from = event.seen_on.first().cloned();
            let may_lead_to = move |relay: &RelayUrl| {
                from.as_ref().is_some_and(|from| may_lead_to(from, relay, self.job.settings.allow_http))
            };
            event.homes().into_iter().filter(may_lead_to).collect::<Vec<_>>()
        });
        let more: Vec<_> = if self.job.settings.relays.given.is_empty() { homes.collect() } else { Vec::new() };
        Some(relays.also(more).follow(filters, RELAYS_MAX).await)
    }

    /// The nests about which somebody is to be asked now, so many at most. Those that have nobody are told as they are.
    fn due(&mut self, at_most: usize) -> Vec<(usize, Ask)> {
        let now = Instant::now();
        let mut due: Vec<_> = self.nests.iter_mut().enumerate().filter(|(_, nest)| nest.due <= now).collect();
        // Those that have waited longest: where an API takes less than all need, each of its nests has its turn.
        due.sort_by_key(|(_, nest)| nest.due);
        let mut asked = Vec::new();
        for (at, nest) in due {
            let Ok(api) = &nest.api else {
                if let Some(media) = nest.over_quic().and_then(|event| event.event.media_over_quic()) {
                    if asked.len() < at_most {
                        let [relay, auth] = [media.relay, media.auth].map(|url| url.map(str::to_owned));
                        asked.push((at, Ask::Servers { relay, auth }));
                        (nest.due, nest.asked) = (now + self.interval, Some(now));
                    }
                    continue;
                }
                nest.due = now + self.interval;
                (self.tell)(nest);
                continue;
            };
            let origin = api.url().origin();
            let free = self.pace.get(&origin).is_none_or(|pace| matches!(pace, Pace::After(time) if *time <= now));
            if free && asked.len() < at_most {
                asked.push((at, Ask::Api(api.clone())));
                (nest.due, nest.asked) = (now + self.interval, Some(now));
                self.pace.insert(origin, Pace::Asked);
            }
        }
        asked
    }

    /// When [`Self::due`] may have something new.
    fn next_due(&self) -> Instant {
        let next = self.nests.iter().filter_map(|nest| {
            match nest.api.as_ref().ok().and_then(|api| self.pace.get(&api.url().origin())) {
                None => Some(nest.due),
                Some(Pace::After(time)) => Some(nest.due.max(*time)),
                // Its answer comes first.
                Some(Pace::Asked) => None,
            }
        });
        next.min().unwrap_or_else(|| Instant::now() + self.interval)
    }

    fn answered(&mut self, at: usize, answer: Answer) {
        let nest = &mut self.nests[at];
        match answer {
            Answer::Api(api, probe) => {
                self.pace.insert(api.url().origin(), Pace::After(Instant::now() + pause(&probe)));
                nest.probe = Some(*probe);
            }
            Answer::Servers(parts) => nest.parts = Some(parts),
        }
        (self.tell)(nest);
    }

    fn hear(&mut self, relay: RelayUrl, heard: Heard) {
        match heard {
            Heard::Event(event) if event.kind.as_u16() == PRESENCE_KIND => self.present(&event),
            Heard::Event(event) => {
                // What is no nest was not asked for.
                if let Ok(room) = RoomEvent::new(*event) {
                    self.published(room, relay);
                }
            }
            Heard::Trouble(trouble) => self.troubled(relay, &trouble),
            Heard::Forged => {
                let why = format!("{relay}: it sends events that their authors have not signed; these are ignored");
                self.job.reporter.warning(&Warning::Relays { why });
            }
            Heard::Stored => {
                let told = self.troubles.get_mut(&relay).is_some_and(|told| std::mem::take(&mut told.pending));
                if told {
                    self.job.reporter.warning(&Warning::RelayBack { relay: relay.to_string() });
                }
            }
            Heard::Connected | Heard::Refused(_) | Heard::NotTaken { .. } | Heard::Challenge(_) => {}
        }
    }

    /// A loss is told once, however often connecting again fails; and not much more often if it comes and goes.
    fn troubled(&mut self, relay: RelayUrl, trouble: &RelayTrouble) {
        let told = self.troubles.get(&relay);
        if told.is_none_or(|told| !told.pending && told.told.elapsed() >= TROUBLE_TOLD_AFTER) {
            self.job.reporter.warning(&Warning::Relays { why: format!("{relay}: {trouble}") });
            self.troubles.insert(relay, Troubled { told: Instant::now(), pending: true });
        }
    }

    fn present(&mut self, event: &Event) {
        let Some(presence) = Presence::read(event) else { return };
        let now_s = Clock::default().now_s();
        for nest in &mut self.nests {
            let before = nest.present();
            if nest.coordinate().as_ref() == Some(&presence.nest) {
                nest.presences.enter(presence.clone(), now_s);
            } else {
                nest.presences.leave(&presence.who);
            }
            if nest.present() != before && nest.is_known() {
                (self.tell)(nest);
            }
        }
    }

    /// A version of a nest's event: if it is newer, the nest is looked at with it.
    fn published(&mut self, room: RoomEvent, relay: RelayUrl) {
        let own = |nest: &&mut Followed| {
            nest.room.id == *room.id() && nest.coordinate().is_some_and(|known| known.public_key == room.host())
        };
        let full = self.nests.len() >= NESTS_MAX;
        let nest = match self.nests.iter_mut().find(own) {
            Some(nest) => nest,
            None if self.host == Some(room.host()) && !full => {
                let api = Err(Error::NoApi);
                self.nests.push(Followed::new(room.reference(), Ok(None), api, None));
                self.nests.last_mut().expect("one has just been added")
            }
            None => return,
        };
        let newer = nest.known_event().is_none_or(|known| room.replaces(&known.event));
        match &mut nest.event {
            Ok(Some(known)) => known.merge(room, &relay),
            event => *event = Ok(Some(FetchedEvent::new(room, vec![relay]))),
        }
        if newer {
            // A list does not ask about nests that are over.
            let over = self.host.is_some()
                && nest.known_event().is_some_and(|known| known.event.is_over(Clock::default().now_s()));
            let was_over_quic = matches!(nest.api, Err(Error::OverQuic(_)));
            nest.api = match nest.known_event() {
                // As before, whoever has named an API.
                Some(known) if was_over_quic && known.event.media_over_quic().is_some() => {
                    Err(Error::OverQuic(Box::new(known.clone())))
                }
                _ if over => Err(Error::NoApi),
                known => self.job.api_with_audio_room(&nest.room, known),
            };
            let now = Instant::now();
            nest.due = nest.asked.map_or(now, |asked| now.max(asked + self.interval.min(LOOKED_AT_AFTER)));
        }
    }
}

/// How long an API is left alone after an answer, so that what it allows lasts until its count begins anew.
fn pause(probe: &NestProbe) -> Duration {
    let refused = [probe.guest.as_ref().err(), probe.info.as_ref().err()].into_iter().flatten().find_map(|e| match e {
        ApiError::RateLimited { retry_after, .. } => Some(retry_after.unwrap_or(LEFT_ALONE)),
        _ => None,
    });
    let spread = || {
        let limit = probe.rate_limit?;
        // Each look is two requests.
        let looks = limit.remaining.saturating_sub(RESERVE) / 2;
        Some(limit.reset.unwrap_or(LEFT_ALONE) / looks.max(1))
    };
    refused.or_else(spread).unwrap_or_default().min(LEFT_ALONE_AT_MOST)
}
