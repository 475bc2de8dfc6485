//! One question to many relays at once: newest version wins, nothing is believed that the host has not signed.
//!
//! When relays are not waited for any longer:
//!
//! ```text
//! one nest    a relay has the event ── 300 ms ── done
//! all nests   a relay has listed all it has ─┬─ 300 ms ── what is known is handed on, later what comes
//!                                            └─ 1 s ── done
//! both        settings.timeout ── done
//! ```

use std::cmp::Reverse;
use std::collections::HashMap;
use std::time::Duration;

use nostr::nips::nip65::{self, RelayMetadata};
use nostr::{Event, Filter, Kind, PublicKey, RelayUrl};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::event::RoomEvent;
use super::{FailedRelay, RelaySettings, RelayTrouble, each_once};
use crate::net::is_loopback;
use crate::net::relay::session::RelaySession;
use crate::room::{ROOM_KIND, RoomId};

/// How long the others have to send a newer version once one relay has the nest.
const GRACE_ONE: Duration = Duration::from_millis(300);
/// How long the others have to name more nests once one relay has listed all of its own.
const GRACE_ALL: Duration = Duration::from_secs(1);
/// Relays taken from a host's list.
const OUTBOX_MAX: usize = 8;
/// Nests of one host that are asked for.
const LIST_MAX: usize = 500;
/// An event can name any number of relays.
const HOMES_MAX: usize = 20;

/// The newest version of a nest's event, its signature checked, and where it was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedEvent {
    pub event: RoomEvent,
    pub seen_on: Vec<RelayUrl>,
    /// Who has only an older one.
    pub stale_on: Vec<RelayUrl>,
    /// Where the host publishes (NIP-65), as far as those who were asked know it.
    pub writes: Vec<RelayUrl>,
}

impl FetchedEvent {
    /// One that was seen on these relays, so far.
    pub fn new(event: RoomEvent, seen_on: Vec<RelayUrl>) -> Self {
        Self { event, seen_on, stale_on: Vec::new(), writes: Vec::new() }
    }

    /// `naddr1…` with hints that are known to be good; `None` for an id that is too long for one.
    pub fn naddr(&self) -> Option<String> {
        self.event.naddr(&self.seen_on)
    }

    /// Where a new version belongs: wherever there is one already, to the relays that the host writes to, and to those of
    /// the nest; 20 at most.
    pub fn homes(&self) -> Vec<RelayUrl> {
        let known = self.seen_on.iter().chain(&self.stale_on).chain(&self.writes).cloned();
        each_once(known.chain(self.event.relays())).into_iter().take(HOMES_MAX).collect()
    }

    /// Takes what a relay has: a newer version, or a copy of the same.
    pub(crate) fn merge(&mut self, event: RoomEvent, relay: &RelayUrl) {
        if event.replaces(&self.event) {
            self.stale_on.append(&mut self.seen_on);
            self.event = event;
        } else if event.event().id != self.event.event().id {
            if !self.seen_on.contains(relay) && !self.stale_on.contains(relay) {
                self.stale_on.push(relay.clone());
            }
            return;
        }
        self.stale_on.retain(|stale| stale != relay);
        if !self.seen_on.contains(relay) {
            self.seen_on.push(relay.clone());
        }
    }
}

/// What became of the question, relay by relay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// They sent all that they have.
    pub answered: Vec<RelayUrl>,
    /// They did not: worth a warning.
    pub failed: Vec<FailedRelay>,
    /// They were not waited for, because others had answered enough.
    pub unheard: Vec<RelayUrl>,
    /// They sent events whose id or signature does not hold; these were ignored.
    pub forging: Vec<RelayUrl>,
}

/// Is called with the nests that are known [`GRACE_ONE`] after the first relay has listed all it has; then with each that
/// comes later, or in a newer version.
pub(super) type Hear<'a> = dyn FnMut(&RoomEvent) + Send + 'a;

enum Arrival {
    Event(Box<Event>),
    End(Result<(), RelayTrouble>),
}

struct Gathering<'a> {
    host: PublicKey,
    /// `None`: all nests of the host are asked for.
    id: Option<&'a RoomId>,
    settings: &'a RelaySettings,
    filters: [Filter; 2],
    arrivals: UnboundedSender<(usize, Arrival)>,
    tasks: JoinSet<()>,
    /// Whom was asked; with the end of the answer, once it has come.
    relays: Vec<(RelayUrl, Option<Result<(), RelayTrouble>>)>,
    relays_max: usize,
    rooms: HashMap<RoomId, FetchedEvent>,
    /// The host's list of relays (NIP-65), and who had it.
    outbox: Option<(Event, RelayUrl)>,
    forging: Vec<RelayUrl>,
    hear: &'a mut Hear<'a>,
    hearing: bool,
}

/// Asks all of `list`, and those of the host's own list: always for all nests, for one when it is not found at once.
pub(super) async fn gather<'a>(
    host: PublicKey,
    id: Option<&'a RoomId>,
    list: &[RelayUrl],
    settings: &'a RelaySettings,
    hear: &'a mut Hear<'a>,
) -> (Vec<FetchedEvent>, Asked) {
    let (arrivals, hearing) = unbounded_channel();
    let rooms = Filter::new().kind(Kind::from(ROOM_KIND)).author(host);
    let rooms = match id {
        Some(id) => rooms.identifier(id.as_str()),
        None => rooms.limit(LIST_MAX),
    };
    // Without a limit: some relays would take it for that of both.
    let outbox = Filter::new().kind(Kind::RelayList).author(host);
    let mut gathering = Gathering {
        host,
        id,
        settings,
        filters: [rooms, outbox],
        arrivals,
        tasks: JoinSet::new(),
        relays: Vec::new(),
        relays_max: list.len() + OUTBOX_MAX,
        rooms: HashMap::new(),
        outbox: None,
        forging: Vec::new(),
        hear,
        hearing: false,
    };
    settings.reach.told(host, list.iter().map(Into::into));
    for relay in list {
        gathering.ask(relay);
    }
    gathering.hear(hearing).await
}

impl Gathering<'_> {
    fn ask(&mut self, relay: &RelayUrl) {
        if self.relays.iter().any(|(known, _)| known == relay) {
            return;
        }
        let who = self.relays.len();
        self.relays.push((relay.clone(), None));
        let (relay, settings, filters) = (relay.clone(), self.settings.clone(), self.filters.clone());
        let arrivals = self.arrivals.clone();
        // Nobody listens any more once there is enough.
        let say = move |arrival| drop(arrivals.send((who, arrival)));
        self.tasks.spawn(async move {
            let mut session = match RelaySession::open(&relay, &settings).await {
                Ok(session) => session,
                Err(trouble) => return say(Arrival::End(Err(trouble))),
            };
            let end = session.ask(&filters, |event| say(Arrival::Event(Box::new(event)))).await;
            say(Arrival::End(end));
            session.close().await;
        });
    }

    async fn hear(mut self, mut hearing: UnboundedReceiver<(usize, Arrival)>) -> (Vec<FetchedEvent>, Asked) {
        let deadline = Instant::now() + self.settings.timeout;
        let mut until = deadline;
        let mut settled = None;
        let mut open = self.relays.len();
        while open > 0 {
            let next = timeout_at(settled.unwrap_or(until).min(until), hearing.recv()).await;
            if next.is_err() && settled.take().is_some_and(|settled| settled < until) {
                self.hearing = true;
                self.rooms.values().for_each(|room| (self.hear)(&room.event));
                continue;
            }
            let Ok(Some((who, arrival))) = next else { break };
            let enough = match arrival {
                Arrival::Event(event) => self.take(who, *event) && self.id.is_some(),
                Arrival::End(end) => {
                    let all_told = end.is_ok() && !self.rooms.is_empty();
                    self.relays[who].1 = Some(end);
                    all_told
                }
            };
            if enough {
                if !self.hearing {
                    settled.get_or_insert(Instant::now() + GRACE_ONE);
                }
                let grace = if self.id.is_some() { GRACE_ONE } else { GRACE_ALL };
                until = until.min(Instant::now() + grace);
            }
            self.widen();
            open = self.relays.iter().filter(|(_, end)| end.is_none()).count();
        }
        self.result(until < deadline)
    }

    fn take(&mut self, who: usize, event: Event) -> bool {
        let relay = &self.relays[who].0;
        if event.pubkey != self.host {
            return false;
        }
        if event.kind == Kind::RelayList {
            let newer = self.outbox.as_ref().is_none_or(|(known, _)| known.created_at < event.created_at);
            if newer && is_genuine(&event, relay, &mut self.forging) {
                self.settings.reach.told(self.host, nip65::extract_relay_list(&event).map(|(relay, _)| relay.into()));
                self.outbox = Some((event, relay.clone()));
            }
            return false;
        }
        let Ok(room) = RoomEvent::new(event) else { return false };
        if self.id.is_some_and(|id| id != room.id()) {
            return false;
        }
        let known = self.rooms.get_mut(room.id());
        // Checking a signature costs more than all the rest, and most relays say the same.
        if known.as_ref().is_none_or(|known| known.event != room) && !is_genuine(room.event(), relay, &mut self.forging)
        {
            return false;
        }
        self.settings.reach.told(self.host, &room.urls());
        if self.hearing && known.as_ref().is_none_or(|known| room.replaces(&known.event)) {
            (self.hear)(&room);
        }
        if let Some(known) = known {
            known.merge(room, relay);
        } else {
            let seen_on = vec![relay.clone()];
            self.rooms.insert(room.id().clone(), FetchedEvent::new(room, seen_on));
        }
        true
    }

    /// Turns to the relays of the host's list, if that is called for.
    fn widen(&mut self) {
        let told = self.relays.iter().any(|(_, end)| matches!(end, Some(Ok(()))));
        if self.id.is_some() && !(told && self.rooms.is_empty()) {
            return;
        }
        for relay in self.writes() {
            if self.relays.len() < self.relays_max {
                self.ask(&relay);
            }
        }
    }

    /// The relays that the host's list names for writing.
    fn writes(&self) -> Vec<RelayUrl> {
        let Some((outbox, from)) = &self.outbox else { return Vec::new() };
        let writes = nip65::extract_relay_list(outbox).filter(|(_, marker)| **marker != Some(RelayMetadata::Read));
        let usable = writes.map(|(relay, _)| relay).filter(|to| may_lead_to(from, to, self.settings.allow_http));
        usable.take(OUTBOX_MAX).cloned().collect()
    }

    fn result(self, cut_short: bool) -> (Vec<FetchedEvent>, Asked) {
        let writes = self.writes();
        let mut asked = Asked { forging: self.forging, ..Asked::default() };
        for (relay, end) in self.relays {
            match end {
                Some(Ok(())) => asked.answered.push(relay),
                Some(Err(trouble)) => asked.failed.push(FailedRelay { relay, trouble }),
                None if cut_short => asked.unheard.push(relay),
                None => asked.failed.push(FailedRelay { relay, trouble: RelayTrouble::Silent(self.settings.timeout) }),
            }
        }
        let rooms = self.rooms.into_values().map(|room| FetchedEvent { writes: writes.clone(), ..room });
        let mut rooms: Vec<_> = rooms.collect();
        rooms.sort_by_cached_key(|room| (Reverse(room.event.created_at()), room.event.id().clone()));
        (rooms, asked)
    }
}

/// A list that comes from elsewhere does not open connections to this machine.
pub fn may_lead_to(from: &RelayUrl, relay: &RelayUrl, allow_http: bool) -> bool {
    let local = |relay: &RelayUrl| is_loopback(relay.into());
    if local(relay) { local(from) } else { <&Url>::from(relay).scheme() == "wss" || allow_http }
}

fn is_genuine(event: &Event, relay: &RelayUrl, forging: &mut Vec<RelayUrl>) -> bool {
    let genuine = event.verify().is_ok();
    if !genuine && !forging.contains(relay) {
        forging.push(relay.clone());
    }
    genuine
}
