//! `nest close`: ends a nest, in the API and in the words of its own event.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::time::sleep;

use super::publish::{Published, publish};
use super::{Error, FOLLOW_UP_LIMIT, HalfDone, Job, NestKind, Stop};
use crate::api::probe::presence;
use crate::api::{ApiError, ApiUrl};
use crate::clock::Clock;
use crate::key::HostKey;
use crate::relay;
use crate::reporter::{Question, RoomReporter, Stage, Warning};
use crate::room::RoomRef;

/// When it is looked whether the audio room is closed, counted from the look before: LiveKit takes a moment.
const PAUSES: [Duration; 3] = [Duration::ZERO, Duration::from_millis(100), Duration::from_secs(1)];

/// A nest that is over.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Closed {
    /// What carried its sound.
    pub kind: NestKind,
    /// The id of the nest.
    pub room_id: String,
    /// The API; absent for a nest that has none.
    pub api: Option<String>,
    /// Whether the API had a record to delete; absent for a nest that has no API.
    pub deleted: Option<bool>,
    /// What relays did with the last version of the event; absent if it said so already.
    pub published: Option<Published>,
    /// What the event says now; absent if no relay has one.
    pub status: Option<String>,
    /// What the user should know although it worked.
    #[serde(skip)]
    pub warnings: Vec<Warning>,
}

/// Closes one nest; a person at the terminal is asked first, unless `yes`. Repeated, it does what is left.
///
/// # Errors
/// Whatever stops it: the event stays as it is unless the API has let the nest go.
pub async fn run(job: &Job<'_>, room: &RoomRef, yes: bool, stop: &Stop) -> Result<Closed, Error> {
    stop.or_stopped(close(job, room, yes)).await
}

async fn close(job: &Job<'_>, room: &RoomRef, yes: bool) -> Result<Closed, Error> {
    let reporter = RoomReporter::new(job.reporter, room.id.as_str());
    let key = job.host_key(room).await?;
    reporter.step(Stage::Relays);
    let event = match job.event_of(room, key.public_key()).await {
        Err(error @ Error::NoEvent { .. }) if job.settings.api_named(room)?.is_some() => {
            reporter.warn(Warning::Relays { why: error.to_string() });
            None
        }
        event => Some(event?),
    };
    let api = match &event {
        Some(event) if event.event.media_over_quic().is_some() => None,
        event => Some(job.api(room, event.as_ref())?),
    };
    if job.settings.interactive && !yes {
        confirm(job, room, api.as_ref(), event.as_ref(), &reporter).await?;
    }
    let deleted = match &api {
        None => None,
        Some(api) => Some(delete(job, api, room, &key, &reporter).await?),
    };
    if event.is_none() && deleted == Some(false) {
        return Err(Error::NotKnown);
    }
    let published = match event.as_ref().filter(|event| !event.event.status().is_over()) {
        None => None,
        Some(event) => {
            reporter.step(Stage::Publish);
            let last = event.event.rewrite(Clock::default()).set_over().build();
            let published = publish(last, &key, &job.home_relays(event, &key), job.reporter).await;
            let late = |error| if deleted == Some(true) { HalfDone::Closed.unless_signed(error) } else { error };
            Some(published.map_err(late)?.1)
        }
    };
    let status = published.as_ref().map(|published| published.status.clone());
    Ok(Closed {
        kind: NestKind::of(event.as_ref()),
        room_id: room.id.to_string(),
        api: api.map(|api| api.to_string()),
        deleted,
        status: status.or_else(|| event.map(|event| event.event.status().as_str().to_owned())),
        published,
        warnings: reporter.take_warnings(),
    })
}

async fn confirm(
    job: &Job<'_>,
    room: &RoomRef,
    api: Option<&ApiUrl>,
    event: Option<&relay::FetchedEvent>,
    reporter: &RoomReporter<'_>,
) -> Result<(), Error> {
    let people = match api {
        Some(api) => job.people_inside(api, &room.id).await,
        None => 0,
    };
    let nest = event.and_then(|event| event.event.title()).unwrap_or(room.id.as_str());
    match reporter.confirm(Question::Close { nest, people }).await {
        Some(true) => Ok(()),
        _ => Err(Error::Cancelled),
    }
}

/// Whether there was something to delete. Whatever the API says of that, nobody must get into the audio room any more.
async fn delete(
    job: &Job<'_>,
    api: &ApiUrl,
    room: &RoomRef,
    key: &HostKey,
    reporter: &RoomReporter<'_>,
) -> Result<bool, Error> {
    let deleted = match job.signed(api, key, reporter).delete(&room.id).await.map_err(Arc::new)?.result {
        Ok(()) => true,
        Err(error) if error.says_no_record() => false,
        Err(ApiError::Forbidden { .. }) => return Err(job.not_host(api, &room.id, key.public_key()).await),
        Err(error) => return Err(error.into()),
    };
    reporter.step(Stage::Look);
    let probe = job.probe(api);
    let probe = if deleted { probe.within(FOLLOW_UP_LIMIT) } else { probe };
    for pause in PAUSES {
        sleep(pause).await;
        match presence(probe.guest(&room.id).await.result) {
            Ok(true) => {}
            Ok(false) => return Ok(deleted),
            // What it has said stands.
            Err(error) if deleted => {
                reporter.warn(Warning::PerhapsOpen { why: error.to_string() });
                return Ok(true);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err(Error::StillRuns)
}
