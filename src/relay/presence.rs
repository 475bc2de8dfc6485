//! Who says on Nostr that they are in a nest: kind 10312, one event a key, renewed for as long as somebody is there.

use std::collections::HashMap;

use nostr::nips::nip01::Coordinate;
use nostr::{Event, PublicKey};

/// The kind of a presence (NIP-53).
pub const PRESENCE_KIND: u16 = 10312;

/// How long a presence counts that is not renewed, in seconds.
pub const PRESENT_FOR_S: i64 = 300;

/// Anybody can make keys, and with each of them a presence.
const PEOPLE_MAX: usize = 10_000;

/// The nest that a presence is of.
pub fn nest_of(presence: &Event) -> Option<Coordinate> {
    presence.tags.coordinates().next().cloned()
}

/// Who is in one nest.
#[derive(Clone, Debug, Default)]
pub struct Presences(HashMap<PublicKey, i64>);

impl Presences {
    /// Takes a presence at `now_s`, in seconds since the Unix epoch.
    pub fn enter(&mut self, presence: &Event, now_s: i64) {
        // One that is dated ahead would count for longer than others.
        let at = i64::try_from(presence.created_at.as_secs()).unwrap_or(i64::MAX).min(now_s);
        if self.0.len() >= PEOPLE_MAX {
            self.0.retain(|_, at| now_s - *at < PRESENT_FOR_S);
        }
        if self.0.len() < PEOPLE_MAX {
            let known = self.0.entry(presence.pubkey).or_insert(at);
            *known = at.max(*known);
        }
    }

    /// Somebody is in another nest now.
    pub fn leave(&mut self, who: &PublicKey) {
        self.0.remove(who);
    }

    pub fn count(&self, now_s: i64) -> u64 {
        self.0.values().filter(|at| now_s - **at < PRESENT_FOR_S).count() as u64
    }
}
