//! A nest's event together with the relays that have it.

use nostr::RelayUrl;

use super::event::RoomEvent;

/// An event can name any number of relays.
const HOMES_MAX: usize = 20;

/// The newest version of a nest's event, its signature checked, and where it was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    /// The newest version.
    pub event: RoomEvent,
    /// Who has it.
    pub seen_on: Vec<RelayUrl>,
    /// Who has only an older one.
    pub stale_on: Vec<RelayUrl>,
}

impl Room {
    /// `naddr1…` with hints that are known to be good; `None` for an id that is too long for one.
    #[must_use]
    pub fn naddr(&self) -> Option<String> {
        self.event.naddr(&self.seen_on)
    }

    /// Where a new version belongs: wherever there is one already, and to the relays of the nest; 20 at most.
    #[must_use]
    pub fn homes(&self) -> Vec<RelayUrl> {
        let mut homes: Vec<RelayUrl> = Vec::new();
        for relay in self.seen_on.iter().chain(&self.stale_on).cloned().chain(self.event.relays()) {
            if !homes.contains(&relay) {
                homes.push(relay);
            }
        }
        homes.truncate(HOMES_MAX);
        homes
    }

    /// Takes in what `relay` has.
    pub(super) fn merge(&mut self, event: RoomEvent, relay: &RelayUrl) {
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
