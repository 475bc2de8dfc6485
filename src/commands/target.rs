//! Which API serves a nest, and what relays say of it: everything that is known before the API is asked.

use std::sync::Arc;
use std::time::Duration;

use nostr::RelayUrl;
use nostr::nips::nip01::Coordinate;

use super::keys::Keys;
use super::{Error, Settings};
use crate::api::Base;
use crate::relay::{self, DEFAULT_RELAYS, Found, Relays};
use crate::reporter::Reporter;
use crate::room::RoomRef;

/// Where relays may be named, beside the nest's own address.
#[derive(Clone, Debug)]
pub struct RelaySources {
    /// For this call, or in the environment: then no others are asked.
    pub given: Vec<RelayUrl>,
    /// From the profile: asked together with those of the nest's address.
    pub profile: Vec<RelayUrl>,
    /// Limit of all that is asked of relays at one time.
    pub timeout: Duration,
}

/// When relays are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// Only when nothing else says which API serves the nest: a restart is one round trip.
    IfNeeded,
    /// Whenever the nest's name leads to an event: its `streaming` and status are wanted too.
    Always,
}

/// A nest, and where it is.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// As it was named.
    pub room: RoomRef,
    /// The API that serves it.
    pub api: Base,
    /// Its event, if relays were asked and have it.
    pub event: Option<relay::Room>,
}

/// Finds targets.
#[derive(Clone, Copy)]
pub(super) struct Finder<'a> {
    pub settings: &'a Settings,
    pub keys: &'a Keys<'a>,
    pub reporter: &'a dyn Reporter,
}

impl Finder<'_> {
    /// The API of `room`: what was given, the room's own URL, the environment, its event's `service`, the profile.
    pub async fn target(&self, room: &RoomRef, ask: Ask) -> Result<Target, Error> {
        let named = self.settings.api_named(room)?;
        let event = if named.is_some() && ask == Ask::IfNeeded {
            None
        } else {
            match self.event(room, named.is_some()).await {
                // The profile comes after the event: it also stands in for it.
                Err(error) if named.is_some() || self.settings.api.profile.is_some() => {
                    self.reporter.warning(&error.to_string());
                    None
                }
                event => event?,
            }
        };
        let service = event.as_ref().and_then(|room| room.event.api());
        if let (None, None, Some(media)) =
            (&named, &service, event.as_ref().and_then(|room| room.event.media_over_quic()))
        {
            return Err(Error::MediaOverQuic { relay: media.relay.or(media.auth).unwrap_or_default().to_owned() });
        }
        let api = named.or(service).or_else(|| self.settings.api.profile.clone()).ok_or(Error::NoApi)?;
        let api = api.secure(self.settings.allow_http).map_err(crate::room::Error::from)?;
        Ok(Target { room: room.clone(), api, event })
    }

    /// The event of a nest. A bare id is looked for among the host's own nests, unless the API is known already.
    async fn event(&self, room: &RoomRef, api_known: bool) -> Result<Option<relay::Room>, Error> {
        if let Some(coordinate) = room.coordinate() {
            return self.fetch(room, &coordinate).await.map(Some);
        }
        if api_known || self.settings.api.profile.is_some() {
            return Ok(None);
        }
        let Ok(key) = self.keys.of(None).await else { return Err(Error::NoApi) };
        let listed = self.relays(room).list_of(key.public_key()).await?;
        self.tell(&listed.asked);
        Ok(listed.rooms.into_iter().find(|listed| *listed.event.id() == room.id))
    }

    async fn fetch(&self, room: &RoomRef, coordinate: &Coordinate) -> Result<relay::Room, Error> {
        let relays = self.relays(room);
        let first = relays.fetch(coordinate).await;
        let fallback = self.settings.relays.given.is_empty() && !relays.list().iter().eq(&defaults());
        let found = match first {
            Ok(Found { room: None, .. }) | Err(relay::Error::AllFailed(_)) if fallback => {
                relays.instead(defaults()).fetch(coordinate).await?
            }
            found => found?,
        };
        self.tell(&found.asked);
        found.room.ok_or_else(|| Error::NoEvent { coordinate: Box::new(coordinate.clone()) })
    }

    /// The relays to ask about a nest.
    pub fn relays(&self, room: &RoomRef) -> Relays {
        let RelaySources { given, profile, timeout } = &self.settings.relays;
        let settings = relay::Settings {
            timeout: *timeout,
            tls: Arc::clone(&self.settings.network.tls),
            allow_http: self.settings.allow_http,
            signer: None,
        };
        let named = if given.is_empty() { [room.relays.as_slice(), profile].concat() } else { given.clone() };
        Relays::new(if named.is_empty() { defaults() } else { named }, settings)
    }

    fn tell(&self, asked: &relay::Asked) {
        for failed in &asked.failed {
            self.reporter.warning(&failed.to_string());
        }
    }
}

fn defaults() -> Vec<RelayUrl> {
    DEFAULT_RELAYS.iter().filter_map(|url| RelayUrl::parse(url).ok()).collect()
}
