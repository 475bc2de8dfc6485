//! Who says on Nostr that they are in a nest: kind 10312, one event a key, renewed for as long as somebody is there
//! (NIP-53, EGG-04). Pure.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::time::Duration;

use nostr::nips::nip01::Coordinate;
use nostr::{Event, Kind, PublicKey, Tag, Timestamp, UnsignedEvent};

use super::event::is;
use crate::clock::Clock;
use crate::room::RoomRef;

/// The kind of a presence (NIP-53).
pub const PRESENCE_KIND: u16 = 10312;

/// How long somebody counts as present who does not renew it, in seconds: in the room of the web client (nostrnests/nests
/// 4fd42b6). Amethyst waits 360 s (EGG-04).
pub const PRESENT_FOR_S: i64 = 300;

/// How long a presence keeps a nest in a client's list at most, in seconds: in both, 10 minutes.
pub const LISTED_FOR_S: i64 = 600;

/// How far clocks may be apart, in seconds: what is dated further ahead says nothing about now.
const AHEAD_MAX_S: i64 = 60;

/// How often a presence of ours is renewed: as EGG-04 and Amethyst have it. Web renews every 120 s. The shortest patience is
/// that of Amethyst's card of a nest: 180 s (10149d7).
pub const RENEW_AFTER: Duration = Duration::from_secs(30);

/// Anybody can make keys, and with each of them a presence.
const PEOPLE_MAX: usize = 10_000;

/// What somebody says of being in a nest. A flag that is missing, or is not `1`, is not set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presence {
    pub who: PublicKey,
    pub nest: Coordinate,
    /// Seconds since the Unix epoch.
    pub at_s: i64,
    /// On the stage, as speakers are, whether or not they are heard.
    pub onstage: bool,
    /// The hand is up: wants to speak.
    pub hand: bool,
    /// Sends audio to the relay.
    pub publishing: bool,
    pub muted: bool,
}

impl Presence {
    /// Reads a presence, of the first nest that it names; `None` if it names none. Its signature is whoever fetched it
    /// to check.
    pub fn read(event: &Event) -> Option<Self> {
        if event.kind.as_u16() != PRESENCE_KIND {
            return None;
        }
        let values = |name: &'static str| {
            let tags = event.tags.iter().map(Tag::as_slice).filter(move |tag| is(tag, name));
            tags.filter_map(|tag| tag.get(1))
        };
        let set = |name| values(name).next().is_some_and(|value| value == "1");
        Some(Self {
            who: event.pubkey,
            nest: values("a").find_map(|nest| RoomRef::parse(nest).ok()?.coordinate())?,
            at_s: i64::try_from(event.created_at.as_secs()).unwrap_or(i64::MAX),
            onstage: set("onstage"),
            hand: set("hand"),
            publishing: set("publishing"),
            muted: set("muted"),
        })
    }

    /// Seconds since it was renewed.
    pub fn age_s(&self, now_s: i64) -> i64 {
        now_s.saturating_sub(self.at_s)
    }

    fn is_fresh(&self, now_s: i64) -> bool {
        self.age_s(now_s) < PRESENT_FOR_S
    }
}

/// Who is in one nest, and who was, as far as that is remembered.
#[derive(Clone, Debug, Default)]
pub struct Presences(HashMap<PublicKey, Presence>);

impl Presences {
    /// Takes a presence in this nest at `now_s`, in seconds since the Unix epoch.
    pub fn enter(&mut self, presence: Presence, now_s: i64) {
        if presence.at_s > now_s.saturating_add(AHEAD_MAX_S) {
            return;
        }
        // One that is dated ahead would count for longer than others.
        let presence = Presence { at_s: presence.at_s.min(now_s), ..presence };
        if self.0.len() >= PEOPLE_MAX {
            self.0.retain(|_, known| known.age_s(now_s) <= LISTED_FOR_S);
        }
        let known = self.0.get(&presence.who);
        if known.map_or(self.0.len() < PEOPLE_MAX, |known| known.at_s < presence.at_s) {
            self.0.insert(presence.who, presence);
        }
    }

    /// Somebody is in another nest now.
    pub fn leave(&mut self, who: &PublicKey) {
        self.0.remove(who);
    }

    pub fn count(&self, now_s: i64) -> u64 {
        self.0.values().filter(|presence| presence.is_fresh(now_s)).count() as u64
    }

    /// Who is there: those on stage first, then those with a hand up, then the others; the one renewed last comes first.
    pub fn people(&self, now_s: i64) -> Vec<&Presence> {
        let mut people: Vec<_> = self.0.values().filter(|presence| presence.is_fresh(now_s)).collect();
        people.sort_by_key(|p| Reverse((p.onstage, p.hand, p.at_s, p.who)));
        people
    }

    /// When somebody was there last, or on stage, in seconds since the Unix epoch.
    pub fn last_s(&self, onstage: bool) -> Option<i64> {
        self.0.values().filter(|presence| presence.onstage || !onstage).map(|presence| presence.at_s).max()
    }
}

/// The host's own presence, to be signed and published every [`RENEW_AFTER`]: on stage and silent. It replaces that of the
/// app with which the host may be in a nest. `last` is the time of the one before, if there was one.
pub fn on_stage(nest: &Coordinate, clock: Clock, last: Option<Timestamp>) -> UnsignedEvent {
    own(nest, "1", clock, last)
}

/// What follows the last [`on_stage`] (EGG-04): no longer on stage. For Amethyst's list the host has gone with that. In
/// the web client's, any presence counts until it is 10 minutes old.
pub fn off_stage(nest: &Coordinate, clock: Clock, last: Option<Timestamp>) -> UnsignedEvent {
    own(nest, "0", clock, last)
}

/// With the tags of the web client, in its order.
fn own(nest: &Coordinate, onstage: &str, clock: Clock, last: Option<Timestamp>) -> UnsignedEvent {
    let now = Timestamp::from(u64::try_from(clock.now_s()).unwrap_or_default());
    // Of two of the same second, the id would decide which one a relay keeps.
    let at = last.map_or(now, |last| now.max(last + 1));
    let nest_text = nest.to_string();
    let tags = [["a", nest_text.as_str()], ["hand", "0"], ["publishing", "0"], ["muted", "1"], ["onstage", onstage]];
    let tags = tags.map(|tag| Tag::parse(tag).expect("it has a name"));
    UnsignedEvent::new(nest.public_key, at, Kind::from(PRESENCE_KIND), tags, "")
}
