//! `nest open`: the page of a nest.

use nostr::nips::nip19::{Nip19Coordinate, ToBech32 as _};

use super::keys::Keys;
use super::list::page;
use super::pick::{Purpose, pick};
use super::target::Finder;
use super::{Error, Settings, Stop};
use crate::api::{self, Base, Client};
use crate::reporter::Reporter;
use crate::room::RoomRef;

/// The address of the page of `room`, or of one that a person chooses.
///
/// # Errors
/// When no relay has the event.
pub async fn link(
    settings: &Settings,
    room: Option<&RoomRef>,
    reporter: &dyn Reporter,
    stop: &Stop,
) -> Result<String, Error> {
    tokio::select! {
        biased;
        link = find(settings, room, reporter) => link,
        signal = stop.requested() => Err(Error::Stopped(signal)),
    }
}

/// The page of a nest whose host and API are known: nobody is asked.
#[must_use]
pub fn page_of(room: &RoomRef, api: &Base) -> Option<String> {
    let coordinate = room.coordinate()?;
    let relays = room.relays.iter().take(3).cloned().collect();
    let naddr = Nip19Coordinate { coordinate, relays }.to_bech32().ok()?;
    Some(page(&naddr, Some(api)))
}

async fn find(settings: &Settings, room: Option<&RoomRef>, reporter: &dyn Reporter) -> Result<String, Error> {
    let keys = Keys::new(settings, reporter);
    let client = Client::new(settings.network.clone()).map_err(api::Error::from)?;
    let room = match room {
        Some(room) => room.clone(),
        None => pick(Purpose::Open, settings, &keys, &client, reporter).await?,
    };
    let finder = Finder { settings, keys: &keys, reporter };
    let host = match room.host {
        Some(host) => host,
        None => keys.of(None).await?.public_key(),
    };
    let event = finder.event_of(&room, host).await?;
    let api = match finder.api_of(&room, &event) {
        // A nest without an API has a page all the same.
        Err(Error::NoApi) => None,
        api => Some(api?),
    };
    let api = api.filter(|_| event.event.media_over_quic().is_none());
    let coordinate = Box::new(event.event.coordinate());
    let naddr = event.naddr().ok_or(Error::NoEvent { coordinate })?;
    Ok(page(&naddr, api.as_ref()))
}
