//! `--publish-status`: web clients believe the event, so it is put right where it says something else.

use super::Restarted;
use crate::clock::Clock;
use crate::commands::Error;
use crate::commands::publish::publish;
use crate::commands::target::Finder;
use crate::key::HostKey;
use crate::relay::{self, Rewrite};
use crate::reporter::Step;
use crate::room::RoomRef;

/// Puts the event right, wherever it is; nothing happens where it is right already.
pub(super) async fn put_right(
    finder: &Finder<'_>,
    room: &RoomRef,
    key: &HostKey,
    event: Option<relay::FetchedEvent>,
    restarted: &mut Restarted,
) -> Result<(), Error> {
    finder.reporter.step(room.id.as_str(), Step::Publish);
    let event = match event {
        Some(event) => event,
        None => finder
            .event_of(room, key.public_key())
            .await
            .map_err(|error| Error::NotPublished { refused: vec![error.to_string()], done: None })?,
    };
    match rewrite(&event, &restarted.endpoints, Clock::default()) {
        None => finder.reporter.detail(1, "the event is right as it is"),
        Some(next) => {
            let relays = finder.homes(&event, key);
            restarted.published = Some(publish(next.build(), key, &relays, finder.reporter).await?.1);
        }
    }
    Ok(())
}

/// The event as it should be: open, started now, with the endpoints that the API returned, if it returned any.
fn rewrite(room: &relay::FetchedEvent, endpoints: &[String], clock: Clock) -> Option<Rewrite> {
    let event = &room.event;
    let over = event.is_over(clock.now_s());
    let moved = !endpoints.is_empty() && event.streaming() != endpoints;
    let next = event.rewrite(clock);
    let next = if moved { next.set_streaming(endpoints.iter().map(String::as_str)) } else { next };
    (over || moved).then(|| next.set_open().set_starts(clock.now_s()))
}
