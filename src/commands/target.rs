//! Which API serves a nest, and what relays say of it: everything that is known before the API is asked.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join;
use nostr::nips::nip01::Coordinate;
use nostr::{Kind, PublicKey, RelayUrl};

use tokio::time::timeout;

use super::{ApiSources, Error, FOLLOW_UP_LIMIT, Job, Settings};
use crate::api::wire::Info;
use crate::api::{ApiError, ApiUrl};
use crate::clock::Clock;
use crate::key::{self, HostKey, KeyPlan};
use crate::net::reach::Reach;
use crate::relay::{self, DEFAULT_RELAYS, Found, Relays, Signer};
use crate::reporter::{NonInteractive, Silent, Warning};
use crate::room::{ROOM_KIND, RoomRef};

/// Where relays may be named, beside the nest's own address.
#[derive(Clone, Debug)]
pub struct RelaySources {
    /// For this call, or in the environment: then no others are asked.
    pub given: Vec<RelayUrl>,
    /// From the profile: asked together with those of the nest's address.
    pub profile: Vec<RelayUrl>,
    /// By host, from the addresses of nests in the configuration: where other nests of that host may be, too.
    pub addresses: Vec<(PublicKey, Vec<RelayUrl>)>,
    /// Limit of all that is asked of relays at one time.
    pub timeout: Duration,
}

/// A nest, and where it is.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub room: RoomRef,
    pub api: ApiUrl,
    /// Its event, if relays were asked and have it.
    pub event: Option<relay::FetchedEvent>,
}

/// What relays and the API say of a nest, each with what went wrong.
pub(super) struct EventAndApi<T> {
    /// Its event; `None` if its name does not lead to one.
    pub event: Result<Option<relay::FetchedEvent>, Error>,
    /// Its API, and what was found out there.
    pub api: Result<(ApiUrl, T), Error>,
}

impl Job<'_> {
    /// Where `room` is. Relays are asked only when nothing else says which API serves it: a restart is one round trip.
    pub(super) async fn target(&self, room: &RoomRef) -> Result<Target, Error> {
        let named = self.settings.api_named(room)?.is_some();
        let event = if named {
            None
        } else {
            match self.event(room, false).await {
                // The profile comes after the event: it also stands in for it.
                Err(error) if self.settings.api.profile.is_some() => {
                    self.reporter.warning(&Warning::Relays { why: error.to_string() });
                    None
                }
                event => event?,
            }
        };
        event.as_ref().map_or(Ok(()), has_audio_room)?;
        Ok(Target { room: room.clone(), api: self.api(room, event.as_ref())?, event })
    }

    /// The event of `room`, and what `ask` finds out at its API: side by side where the API is known beforehand.
    ///
    /// # Errors
    /// What [`Settings::api_named`] says against the name.
    pub(super) async fn event_and_api<T, F>(
        &self,
        room: &RoomRef,
        ask: impl FnOnce(ApiUrl) -> F,
    ) -> Result<EventAndApi<T>, Error>
    where
        F: Future<Output = T>,
    {
        if let Some(api) = self.settings.api_named(room)? {
            let (event, found) = join(self.event(room, true), ask(api.clone())).await;
            return Ok(EventAndApi { event, api: Ok((api, found)) });
        }
        let event = self.event(room, false).await;
        let known = event.as_ref().ok().and_then(Option::as_ref);
        let api = match self.api_with_audio_room(room, known) {
            Ok(api) => Ok((api.clone(), ask(api).await)),
            Err(error) => Err(error),
        };
        Ok(EventAndApi { event, api })
    }

    /// The API to ask about the audio room of `room`: one that was named, or that of an event which has such a room.
    pub(super) fn api_with_audio_room(
        &self,
        room: &RoomRef,
        event: Option<&relay::FetchedEvent>,
    ) -> Result<ApiUrl, Error> {
        if self.settings.api_named(room)?.is_none() {
            event.map_or(Ok(()), has_audio_room)?;
        }
        self.api(room, event)
    }

    /// The API of `room`: what was given, the room's own URL, the environment, its event's `service`, the profile.
    pub(super) fn api(&self, room: &RoomRef, event: Option<&relay::FetchedEvent>) -> Result<ApiUrl, Error> {
        let named = self.settings.api_named(room)?;
        let api = named.or_else(|| event?.event.api()).or_else(|| self.settings.api.profile.clone());
        Ok(api.ok_or(Error::NoApi)?.secure(self.settings.allow_http).map_err(crate::room::RoomRefError::from)?)
    }

    /// The event of a nest whose host is known, from relays in any case.
    pub(super) async fn event_of(&self, room: &RoomRef, host: PublicKey) -> Result<relay::FetchedEvent, Error> {
        self.fetch(room, &coordinate(room, host)).await
    }

    /// The event of a nest. A bare id is looked for among the host's own nests, unless the API is known already.
    pub(super) async fn event(&self, room: &RoomRef, api_known: bool) -> Result<Option<relay::FetchedEvent>, Error> {
        if let Some(coordinate) = room.coordinate() {
            return self.fetch(room, &coordinate).await.map(Some);
        }
        if api_known || self.settings.api.profile.is_some() {
            return Ok(None);
        }
        let Some(Ok(key)) = self.key_at_hand(None).await else { return Err(Error::NoApi) };
        let listed = self.relays(room, Some(key.public_key())).list_of(key.public_key(), |_| {}).await?;
        self.warn_of_failed(&listed.asked);
        Ok(listed.rooms.into_iter().find(|listed| *listed.event.id() == room.id))
    }

    /// The event of a nest whose name does not lead to it. Its record does: that names the host, and a link with relays.
    /// Without a record it is looked for among the nests of the key at hand: on Media over QUIC there is none. `None` where
    /// that leads nowhere.
    ///
    /// # Errors
    /// Those of [`Self::event`], but not that there is none where there is a record, unless relays only had no time to
    /// say it.
    pub(super) async fn event_by_record(
        &self,
        room: &RoomRef,
        info: Option<&Info>,
    ) -> Result<Option<relay::FetchedEvent>, Error> {
        // Else the event has led to the API, not the other way round.
        let blind = self.settings.api_named(room)?.is_some() || self.settings.api.profile.is_some();
        let named = match info {
            _ if !blind => None,
            Some(info) => named_by(room, info),
            None => self.of_key_at_hand(room).await,
        };
        let Some(named) = named else { return Ok(None) };
        match timeout(self.settings.relays.timeout, self.event(&named, true)).await {
            Ok(Err(Error::NoEvent { silent: false, .. })) if info.is_some() => Ok(None),
            Err(_) => {
                let silent = |coordinate| Error::NoEvent { coordinate: Box::new(coordinate), silent: true };
                named.coordinate().map(silent).map_or(Ok(None), Err)
            }
            Ok(event) => event,
        }
    }

    /// What the nest's event says after the API has failed: that it runs on Media over QUIC, so that the API does not
    /// matter; or, where the API has no record, that it is elsewhere or over. With neither record nor event there is nothing
    /// that could be brought back. Unless the answer was 404, only relays that somebody has named are asked: nobody else
    /// has to know of an outage.
    ///
    /// # Errors
    /// [`Error::OverQuic`], [`Error::Elsewhere`], [`Error::Over`] and [`Error::NotKnown`] if that is so.
    pub(super) async fn absent(&self, target: &Target, key: Option<PublicKey>, error: &ApiError) -> Result<(), Error> {
        let (room, no_record) = (&target.room, error.says_no_record());
        let judge = |event: &relay::FetchedEvent| {
            has_audio_room(event)?;
            match event.event.api() {
                _ if !no_record => Ok(()),
                Some(api) if api != target.api => Err(Error::Elsewhere { api: Box::new(api) }),
                _ if event.event.is_over(Clock::default().now_s()) => {
                    Err(Error::Over { successor: event.event.successor_naddr(&event.seen_on) })
                }
                _ => Ok(()),
            }
        };
        if let Some(event) = &target.event {
            return judge(event);
        }
        let Some(host) = room.host.or(key) else { return Ok(()) };
        if !matches!(error, ApiError::NotFound { .. }) {
            if !self.knows_relays(room, host) {
                return Ok(());
            }
            let relays = self.relays(room, Some(host));
            let found = timeout(FOLLOW_UP_LIMIT, relays.fetch(&coordinate(room, host))).await;
            let event = found.ok().and_then(Result::ok).and_then(|found| found.room);
            return event.as_ref().map_or(Ok(()), judge);
        }
        let quiet = NonInteractive { reporter: self.reporter, warnings: false };
        match timeout(FOLLOW_UP_LIMIT, self.reporting_to(&quiet).event_of(room, host)).await {
            Ok(Ok(event)) => judge(&event),
            Ok(Err(Error::NoEvent { silent: false, .. })) if no_record => Err(Error::NotKnown),
            _ => Ok(()),
        }
    }

    /// Whether somebody has named relays for this nest: then the usual ones need not be asked.
    pub(super) fn knows_relays(&self, room: &RoomRef, host: PublicKey) -> bool {
        let relays = &self.settings.relays;
        let named = [&relays.given, &relays.profile, &room.relays].iter().any(|relays| !relays.is_empty());
        named || relays.in_addresses(host).next().is_some()
    }

    async fn of_key_at_hand(&self, room: &RoomRef) -> Option<RoomRef> {
        if room.host.is_some() {
            return None;
        }
        let key = self.key_at_hand(None).await?.ok()?;
        Some(RoomRef { host: Some(key.public_key()), ..room.clone() })
    }

    async fn fetch(&self, room: &RoomRef, coordinate: &Coordinate) -> Result<relay::FetchedEvent, Error> {
        let relays = self.relays(room, Some(coordinate.public_key));
        let fallback = self.settings.relays.given.is_empty() && !relays.list().iter().eq(&default_relays());
        let (room_there, earlier) = match relays.fetch(coordinate).await {
            Ok(Found { room: None, asked }) if fallback => (None, asked.failed),
            Err(relay::RelayError::AllFailed(failed)) if fallback => (None, failed),
            found => (Some(found?), Vec::new()),
        };
        let mut found = match room_there {
            Some(found) => found,
            None => relays
                .instead(default_relays())
                .fetch(coordinate)
                .await
                .map_err(|error| error.after(earlier.clone()))?,
        };
        found.asked.failed.splice(0..0, earlier);
        self.warn_of_failed(&found.asked);
        let silent = found.asked.failed.iter().any(relay::FailedRelay::is_silent);
        found.room.ok_or_else(|| Error::NoEvent { coordinate: Box::new(coordinate.clone()), silent })
    }

    /// The relays to ask about a nest of this host, as far as it is known.
    pub(super) fn relays(&self, room: &RoomRef, host: Option<PublicKey>) -> Relays {
        let signer = host.and_then(|host| signer(&self.settings.key, host));
        if let Some(host) = host {
            self.settings.network.reach.told(host, room.relays.iter().map(Into::into));
        }
        relays(&self.settings, &room.relays, host, signer)
    }

    /// The relays to publish to, in the name of `key`.
    pub(super) fn home_relays(&self, room: &relay::FetchedEvent, key: &HostKey) -> Relays {
        relays(&self.settings, &[], None, Some(signer_of(key))).instead(room.homes())
    }

    /// Whoever has named a relay hears that it fails; an address of a nest may be older than the relays in it.
    pub(super) fn warn_of_failed(&self, asked: &relay::Asked) {
        for failed in &asked.failed {
            let why = failed.to_string();
            if self.settings.relays.has_in_addresses_only(&failed.relay) {
                self.reporter.detail(1, &why);
            } else {
                self.reporter.warning(&Warning::Relays { why });
            }
        }
    }
}

impl RelaySources {
    /// The relays that the configuration's addresses of this host's nests name, unless others are given for this call.
    fn in_addresses(&self, host: PublicKey) -> impl Iterator<Item = &RelayUrl> + Clone {
        let own = move |(of, _): &&(PublicKey, Vec<RelayUrl>)| self.given.is_empty() && *of == host;
        self.addresses.iter().filter(own).flat_map(|(_, relays)| relays)
    }

    fn has_in_addresses_only(&self, relay: &RelayUrl) -> bool {
        let named = self.given.contains(relay) || self.profile.contains(relay);
        !named && self.addresses.iter().any(|(_, relays)| relays.contains(relay))
    }
}

fn coordinate(room: &RoomRef, host: PublicKey) -> Coordinate {
    Coordinate::new(Kind::from(ROOM_KIND), host).identifier(room.id.as_str())
}

/// A nest's whole address, where its name is not that.
fn named_by(room: &RoomRef, info: &Info) -> Option<RoomRef> {
    let host = PublicKey::from_hex(&info.host).ok().filter(|_| room.host.is_none())?;
    let link = RoomRef::parse(&info.link).ok().filter(|link| link.host == Some(host) && link.id == room.id);
    Some(RoomRef { host: Some(host), relays: link.map(|link| link.relays).unwrap_or_default(), ..room.clone() })
}

/// The relays that were given; or else those of a hint and the profile, or the usual ones, and those that the
/// configuration's addresses of this host's nests name.
pub(super) fn relays(
    settings: &Settings,
    hints: &[RelayUrl],
    host: Option<PublicKey>,
    signer: Option<Signer>,
) -> Relays {
    let RelaySources { given, profile, timeout, .. } = &settings.relays;
    let in_addresses = host.into_iter().flat_map(|host| settings.relays.in_addresses(host));
    if let Some(host) = host {
        settings.network.reach.told(host, in_addresses.clone().map(Into::into));
    }
    let named = if given.is_empty() { [hints, profile].concat() } else { given.clone() };
    let reached = relay::RelaySettings {
        timeout: *timeout,
        tls: Arc::clone(&settings.network.tls),
        reach: settings.network.reach.clone(),
        allow_http: settings.allow_http,
        signer,
    };
    Relays::new(if named.is_empty() { default_relays() } else { named }, reached).also(in_addresses.cloned())
}

/// What may be called in this run. The key is loaded only once an event leads to an internal address, and nobody is asked
/// for it.
pub(super) fn reach(settings: &Settings) -> Reach {
    let plan = settings.key.clone();
    let reach = Reach::guarded(move |author| {
        let plan = plan.clone();
        Box::pin(async move {
            // What stands in a pipe can be read only once.
            let readable = !plan.named().is_some_and(key::KeySource::is_stdin);
            readable && key::load(&plan, Some(author), &Silent).await.is_ok_and(|key| key.public_key() == author)
        })
    });
    let ApiSources { given, environment, profile } = &settings.api;
    [given, environment, profile].into_iter().flatten().for_each(|api| reach.named(api.url()));
    let RelaySources { given, profile, .. } = &settings.relays;
    given.iter().chain(profile).for_each(|relay| reach.named(relay.into()));
    reach
}

/// Answers relays that want to know who asks. The key is loaded only then, and nobody is asked for it.
pub(super) fn signer(plan: &KeyPlan, host: PublicKey) -> Option<Signer> {
    // What stands in a pipe can be read only once.
    let plan = Some(plan.clone()).filter(|plan| !plan.named().is_some_and(key::KeySource::is_stdin))?;
    Some(Signer::new(host, move |event| {
        let plan = plan.clone();
        Box::pin(async move {
            let key = key::load(&plan, Some(host), &Silent).await.map_err(|error| error.to_string())?;
            key.sign(event).await.map_err(|error| error.to_string())
        })
    }))
}

/// The same with a key in hand.
pub(super) fn signer_of(key: &HostKey) -> Signer {
    let key = key.clone();
    Signer::new(key.public_key(), move |event| {
        let key = key.clone();
        Box::pin(async move { key.sign(event).await.map_err(|error| error.to_string()) })
    })
}

/// A nest on Media over QUIC has none.
pub(super) fn has_audio_room(room: &relay::FetchedEvent) -> Result<(), Error> {
    match room.event.media_over_quic() {
        None => Ok(()),
        Some(_) => Err(Error::OverQuic(Box::new(room.clone()))),
    }
}

/// The relays that are asked where none is named.
pub fn default_relays() -> Vec<RelayUrl> {
    DEFAULT_RELAYS.iter().filter_map(|url| RelayUrl::parse(url).ok()).collect()
}
