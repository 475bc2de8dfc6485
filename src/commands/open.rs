//! `nest open`: the page of a nest.

use nostr::nips::nip19::{Nip19Coordinate, ToBech32 as _};

use super::list::page;
use super::{Error, Job, Stop};
use crate::api::ApiUrl;
use crate::room::RoomRef;

/// The address of the page of `room`.
///
/// # Errors
/// When no relay has the event.
pub async fn link(job: &Job<'_>, room: &RoomRef, stop: &Stop) -> Result<String, Error> {
    stop.or_stopped(find(job, room)).await
}

/// The page of a nest whose host and API are known: nobody is asked.
pub fn page_of(room: &RoomRef, api: &ApiUrl) -> Option<String> {
    let coordinate = room.coordinate()?;
    let relays = room.relays.iter().take(3).cloned().collect();
    let naddr = Nip19Coordinate { coordinate, relays }.to_bech32().ok()?;
    Some(page(&naddr, Some(api)))
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
