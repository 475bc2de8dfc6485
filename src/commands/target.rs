//! Which API serves a nest, and what relays say of it: everything that is known before the API is asked.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join;
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

/// What relays and the API say of a nest, each with what went wrong.
pub(super) struct Beside<T> {
    /// Its event; `None` if its name does not lead to one.
    pub event: Result<Option<relay::Room>, Error>,
    /// Its API, and what was found out there.
    pub api: Result<(Base, T), Error>,
}

/// A nest on Media over QUIC has no audio room: nothing can be restarted or joined there.
///
/// # Errors
/// [`Error::MediaOverQuic`].
pub(super) fn not_over_quic(event: Option<&relay::Room>) -> Result<(), Error> {
    let Some(media) = event.and_then(|room| room.event.media_over_quic()) else { return Ok(()) };
    Err(Error::MediaOverQuic { relay: media.relay.or(media.auth).unwrap_or_default().to_owned() })
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
    /// Relays are asked only when nothing else says it: a restart is one round trip.
    pub async fn target(&self, room: &RoomRef) -> Result<Target, Error> {
        let named = self.settings.api_named(room)?;
        let event = match named {
            Some(_) => None,
            None => match self.event(room, false).await {
                // The profile comes after the event: it also stands in for it.
                Err(error) if self.settings.api.profile.is_some() => {
                    self.reporter.warning(&error.to_string());
                    None
                }
                event => event?,
            },
        };
        let api = self.api(named, event.as_ref())?;
        Ok(Target { room: room.clone(), api, event })
    }

    /// The event of `room`, and what `ask` finds out at its API: side by side where the API is known beforehand.
    ///
    /// # Errors
    /// What [`Settings::api_named`] says against the name.
    pub async fn beside<T, F>(&self, room: &RoomRef, ask: impl FnOnce(Base) -> F) -> Result<Beside<T>, Error>
    where
        F: Future<Output = T>,
    {
        if let Some(api) = self.settings.api_named(room)? {
            let (event, found) = join(self.event(room, true), ask(api.clone())).await;
            return Ok(Beside { event, api: Ok((api, found)) });
        }
        let event = self.event(room, false).await;
        let known = event.as_ref().ok().and_then(Option::as_ref);
        let api = match self.api(None, known) {
            Ok(api) => Ok((api.clone(), ask(api).await)),
            Err(error) => Err(error),
        };
        Ok(Beside { event, api })
    }

    fn api(&self, named: Option<Base>, event: Option<&relay::Room>) -> Result<Base, Error> {
        let service = event.and_then(|room| room.event.api());
        if named.is_none() && service.is_none() {
            not_over_quic(event)?;
        }
        let api = named.or(service).or_else(|| self.settings.api.profile.clone()).ok_or(Error::NoApi)?;
        Ok(api.secure(self.settings.allow_http).map_err(crate::room::Error::from)?)
    }

    /// The event of a nest. A bare id is looked for among the host's own nests, unless the API is known already.
    pub async fn event(&self, room: &RoomRef, api_known: bool) -> Result<Option<relay::Room>, Error> {
        if let Some(coordinate) = room.coordinate() {
            return self.fetch(room, &coordinate).await.map(Some);
        }
        if api_known || self.settings.api.profile.is_some() {
            return Ok(None);
        }
        let Some(Ok(key)) = self.keys.found(None).await else { return Err(Error::NoApi) };
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
