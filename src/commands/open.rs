//! `nest open`: the page of a nest.

use nostr::nips::nip19::{Nip19Coordinate, ToBech32 as _};

use super::list::page;
use super::{Error, Job, Stop};
use crate::api::ApiUrl;
use crate::relay::{FetchedEvent, RoomEvent};
use crate::room::RoomRef;

/// The address of the page of `room`.
///
/// # Errors
/// When no relay has the event.
pub async fn link(job: &Job<'_>, room: &RoomRef, stop: &Stop) -> Result<String, Error> {
    stop.or_stopped(find(job, room)).await
}

/// The page of a nest, and nobody is asked: the very link by which it was named, or else what its event, or its host and
/// its API, say.
pub(super) fn known_page(room: &RoomRef, event: Option<&FetchedEvent>, api: Option<&ApiUrl>) -> Option<String> {
    if room.name.starts_with("http") && room.api.is_none() {
        return Some(room.name.clone());
    }
    if let Some(naddr) = event.and_then(FetchedEvent::naddr) {
        return Some(page(&naddr, api));
    }
    Some(page(&naddr(room)?, Some(api?)))
}

fn naddr(room: &RoomRef) -> Option<String> {
    let coordinate = room.coordinate()?;
    let relays = room.relays.iter().take(3).cloned().collect();
    Nip19Coordinate { coordinate, relays }.to_bech32().ok()
}

impl Job<'_> {
    /// The page of a nest: the one that its event names, or else the one that its API has, if the API has said so.
    pub(super) fn page(&self, room: &RoomRef, event: Option<&RoomEvent>, api: &ApiUrl) -> Option<String> {
        let own = event.and_then(RoomEvent::page);
        own.or_else(|| self.client.page(api, &naddr(room)?)).map(String::from)
    }
}

async fn find(job: &Job<'_>, room: &RoomRef) -> Result<String, Error> {
    let host = match room.host {
        Some(host) => host,
        None => job.key_of(None).await?.public_key(),
    };
    let event = job.event_of(room, host).await?;
    let api = match job.api(room, Some(&event)) {
        // A nest without an API has a page all the same.
        Err(Error::NoApi) => None,
        api => Some(api?),
    };
    let api = api.filter(|_| event.event.media_over_quic().is_none());
    let coordinate = Box::new(event.event.coordinate());
    let naddr = event.naddr().ok_or(Error::NoEvent { coordinate, silent: false })?;
    Ok(page(&naddr, api.as_ref()))
}
