//! Room events as Nostr knows them: read, rewritten, fetched from relays, listed, published.
//!
//! A relay is a stranger: it is bounded in time, size and number, and believed only what the host has signed.

mod event;
pub mod gather;
pub mod presence;
mod rewrite;
pub mod servers;
pub mod shown;

use std::collections::HashMap;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use nostr::filter::MatchEventOptions;
use nostr::nips::nip01::Coordinate;
use nostr::{Event, Filter, PublicKey, RelayUrl};
use tokio::time::{Instant, timeout, timeout_at};
use url::Url;

pub use event::{MediaOverQuic, NotARoom, Person, Role, RoomEvent, Status};
pub use gather::{Asked, FetchedEvent};
pub use rewrite::{Rewrite, other_spelling};

use crate::net::relay::follow::Follower;
use crate::net::relay::session::RelaySession;
pub use crate::net::relay::{RelaySettings, RelayTrouble, Signer, Signing};
use crate::room::RoomId;
use gather::{Hear, gather};

/// The relays that the Nests web client uses when nobody names others.
pub const DEFAULT_RELAYS: [&str; 5] = [
    "wss://relay.snort.social",
    "wss://nos.lol",
    "wss://relay.damus.io",
    "wss://relay.ditto.pub",
    "wss://relay.primal.net",
];

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RelayError {
    /// Credentials are left out of `text`.
    #[error("{text:?} is not the address of a relay: {why}")]
    BadUrl { text: String, why: &'static str },
    #[error("no relay to ask")]
    NoRelays,
    /// None answered. Whether the event exists is not known.
    #[error("none of the relays answered: {}", each_trouble_once(.0))]
    AllFailed(Vec<FailedRelay>),
    /// A coordinate of another kind, or without a usable id.
    #[error("the coordinate {0} is not of a nest")]
    NotARoom(Coordinate),
}

impl RelayError {
    /// The same, where others had failed before.
    pub(crate) fn after(self, mut earlier: Vec<FailedRelay>) -> Self {
        match self {
            Self::AllFailed(failed) => {
                earlier.extend(failed);
                Self::AllFailed(earlier)
            }
            error => error,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{relay}: {trouble}")]
pub struct FailedRelay {
    pub relay: RelayUrl,
    pub trouble: RelayTrouble,
}

/// `wss://a, wss://b: why; wss://c: why`
fn each_trouble_once(failed: &[FailedRelay]) -> String {
    let mut troubles: Vec<(&RelayTrouble, Vec<&str>)> = Vec::new();
    for FailedRelay { relay, trouble } in failed {
        match troubles.iter_mut().find(|(known, _)| *known == trouble) {
            Some((_, relays)) => relays.push(relay.as_str()),
            None => troubles.push((trouble, vec![relay.as_str()])),
        }
    }
    let lines = troubles.iter().map(|(trouble, relays)| format!("{}: {trouble}", relays.join(", ")));
    lines.collect::<Vec<_>>().join("; ")
}

impl FailedRelay {
    /// Whether it only had not answered in time.
    pub fn is_silent(&self) -> bool {
        matches!(self.trouble, RelayTrouble::Silent(_))
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// `None`: no relay that answered has it.
    pub room: Option<FetchedEvent>,
    pub asked: Asked,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Each once, in its newest version; the one published last comes first.
    pub rooms: Vec<FetchedEvent>,
    pub asked: Asked,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    pub relay: RelayUrl,
    /// `Ok`: it said that it has the event.
    pub outcome: Result<(), RelayTrouble>,
}

/// A list of relays, and how to reach them. Connections are made for each call, and closed after it.
#[derive(Clone)]
pub struct Relays {
    list: Vec<RelayUrl>,
    settings: RelaySettings,
}

impl Relays {
    pub fn new(list: impl IntoIterator<Item = RelayUrl>, settings: RelaySettings) -> Self {
        Self { list: each_once(list), settings }
    }

    /// The same with some more, such as the hints of a link.
    pub fn also(self, more: impl IntoIterator<Item = RelayUrl>) -> Self {
        Self { list: each_once(self.list.into_iter().chain(more)), ..self }
    }

    /// Others, reached in the same way: where an event was found, for instance.
    pub fn instead(&self, list: impl IntoIterator<Item = RelayUrl>) -> Self {
        Self::new(list, self.settings.clone())
    }

    pub fn list(&self) -> &[RelayUrl] {
        &self.list
    }

    /// Fetches the newest version of one nest's event.
    ///
    /// All relays are asked at once. Done when all have answered, 300 ms after the first one that has it, or when the
    /// time is over. Where nobody has it, the relays that the host says to write to (NIP-65) are asked in the same time.
    ///
    /// # Errors
    /// [`RelayError::NoRelays`], [`RelayError::NotARoom`], [`RelayError::AllFailed`]; that some relays fail is data.
    pub async fn fetch(&self, coordinate: &Coordinate) -> Result<Found, RelayError> {
        let is_room = coordinate.kind.as_u16() == crate::room::ROOM_KIND;
        let id = RoomId::new(&coordinate.identifier).ok().filter(|_| is_room);
        let id = id.ok_or_else(|| RelayError::NotARoom(coordinate.clone()))?;
        let (mut rooms, asked) = self.gather(coordinate.public_key, Some(&id), &mut |_| {}).await?;
        Ok(Found { room: rooms.pop(), asked })
    }

    /// Fetches the newest version of the events of all nests of a host (at most 500 from each relay).
    ///
    /// The host's own relays (NIP-65) are asked too. Done when all have answered, 1 s after the first that told
    /// everything and had something to tell, or when the time is over. `hear` gets what is known 300 ms after the first
    /// relay has told everything, and whatever comes later.
    pub async fn list_of(
        &self,
        host: PublicKey,
        mut hear: impl FnMut(&RoomEvent) + Send,
    ) -> Result<Listed, RelayError> {
        let (rooms, asked) = self.gather(host, None, &mut hear).await?;
        Ok(Listed { rooms, asked })
    }

    /// What these relays have that fits one of the filters, each event once, its signature checked. All are asked at once.
    /// Done when all have answered, `grace` after the first that has told everything, or when the time is over.
    ///
    /// # Errors
    /// [`RelayError::NoRelays`], [`RelayError::AllFailed`]; that some relays fail is no error.
    pub async fn stored(&self, filters: &[Filter], grace: Option<Duration>) -> Result<Vec<Event>, RelayError> {
        if self.list.is_empty() {
            return Err(RelayError::NoRelays);
        }
        let mut asked: FuturesUnordered<_> = self.list.iter().map(|relay| self.ask(relay, filters)).collect();
        // Each of them ends in time by itself.
        let (mut until, mut told) = (Instant::now() + 2 * self.settings.timeout, false);
        let (mut events, mut failed) = (HashMap::new(), Vec::new());
        while let Ok(Some((relay, heard, end))) = timeout_at(until, asked.next()).await {
            match end {
                Ok(()) => {
                    until = grace.map_or(until, |grace| until.min(Instant::now() + grace));
                    told = true;
                }
                Err(trouble) => failed.push(FailedRelay { relay, trouble }),
            }
            for event in heard {
                let asked_for = filters.iter().any(|filter| filter.match_event(&event, MatchEventOptions::new()));
                if asked_for && !events.contains_key(&event.id) && event.verify().is_ok() {
                    events.insert(event.id, event);
                }
            }
        }
        if told { Ok(events.into_values().collect()) } else { Err(RelayError::AllFailed(failed)) }
    }

    async fn ask(&self, relay: &RelayUrl, filters: &[Filter]) -> (RelayUrl, Vec<Event>, Result<(), RelayTrouble>) {
        let mut events = Vec::new();
        let work = async {
            let mut session = RelaySession::open(relay, &self.settings).await?;
            session.ask(filters, |event| events.push(event)).await?;
            session.close().await;
            Ok(())
        };
        let limit = self.settings.timeout;
        let end = timeout(limit, work).await.unwrap_or(Err(RelayTrouble::Silent(limit)));
        (relay.clone(), events, end)
    }

    /// Hands a signed event to all relays at once, and waits for what each of them says.
    pub async fn publish(&self, event: &Event) -> Vec<Delivery> {
        join_all(self.list.iter().map(|relay| self.hand_in(relay, event))).await
    }

    /// Follows the first `max` of these relays: what they have of the filters, and what comes later.
    pub async fn follow(&self, filters: Vec<Filter>, max: usize) -> Follower {
        Follower::new(self.list.iter().take(max).cloned().collect(), filters, self.settings.clone()).await
    }

    async fn hand_in(&self, relay: &RelayUrl, event: &Event) -> Delivery {
        let work = async {
            let mut session = RelaySession::open(relay, &self.settings).await?;
            session.publish(event).await?;
            session.close().await;
            Ok(())
        };
        let limit = self.settings.timeout;
        let outcome = timeout(limit, work).await.unwrap_or(Err(RelayTrouble::Silent(limit)));
        Delivery { relay: relay.clone(), outcome }
    }

    async fn gather<'a>(
        &'a self,
        host: PublicKey,
        id: Option<&'a RoomId>,
        hear: &'a mut Hear<'a>,
    ) -> Result<(Vec<FetchedEvent>, Asked), RelayError> {
        if self.list.is_empty() {
            return Err(RelayError::NoRelays);
        }
        let (rooms, asked) = gather(host, id, &self.list, &self.settings, hear).await;
        if rooms.is_empty() && asked.answered.is_empty() {
            Err(RelayError::AllFailed(asked.failed))
        } else {
            Ok((rooms, asked))
        }
    }
}

fn each_once(relays: impl IntoIterator<Item = RelayUrl>) -> Vec<RelayUrl> {
    let mut list = Vec::new();
    for relay in relays {
        if !list.contains(&relay) {
            list.push(relay);
        }
    }
    list
}

pub fn parse_url(text: &str) -> Result<RelayUrl, RelayError> {
    let text = text.trim();
    let bad = |text: &str, why| RelayError::BadUrl { text: text.to_owned(), why };
    let relay = RelayUrl::parse(text)
        .map_err(|_| bad(text.rsplit('@').next().unwrap_or_default(), "it must begin with wss://"))?;
    let url: &Url = (&relay).into();
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad(url.host_str().unwrap_or_default(), "it must not contain a user name or password"));
    }
    Ok(relay)
}
