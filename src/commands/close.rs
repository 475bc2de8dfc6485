//! `nest close`: ends a nest, in the API and in the words of its own event.

use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Mutex};

use reqwest::Method;
use serde::Serialize;

use super::keys::Keys;
use super::pick::{Purpose, pick};
use super::publish::{Published, publish};
use super::restart::Progress;
use super::restart::attempt::Sender;
use super::target::Finder;
use super::{Error, Settings, Stop, sight};
use crate::api::{self, Base, Client, Missing, answer};
use crate::clock::Clock;
use crate::key::HostKey;
use crate::relay;
use crate::reporter::{Reporter, Step};
use crate::room::RoomRef;

/// What to close.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The nest; without it, a person at the terminal chooses.
    pub room: Option<RoomRef>,
    /// Ask nobody.
    pub yes: bool,
}

/// A nest that is over.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Closed {
    /// The id.
    pub room_id: String,
    /// The API; absent for a nest that has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api: Option<String>,
    /// Whether the API had a record to delete; absent for a nest that has no API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deleted: Option<bool>,
    /// What relays did with the last version of the event; absent if it said so already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub published: Option<Published>,
    /// What the event says now; absent if no relay has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// What the user should know although it worked.
    pub warnings: Vec<String>,
}

/// Closes one nest. Repeated, it does what is left.
///
/// # Errors
/// Whatever stops it: the event stays as it is unless the API has let the nest go.
pub async fn run(
    settings: &Settings,
    request: &Request,
    reporter: &dyn Reporter,
    stop: &Stop,
) -> Result<Closed, Error> {
    tokio::select! {
        biased;
        done = close(settings, request, reporter) => done,
        signal = stop.requested() => Err(Error::Stopped(signal)),
    }
}

async fn close(settings: &Settings, request: &Request, reporter: &dyn Reporter) -> Result<Closed, Error> {
    let keys = Keys::new(settings, reporter);
    let client = Client::new(settings.network.clone()).map_err(api::Error::from)?;
    let room = match &request.room {
        Some(room) => room.clone(),
        None => pick(Purpose::Close, settings, &keys, &client, reporter).await?,
    };
    let key = keys.of(room.host).await?;
    if let Some(host) = room.host.filter(|host| *host != key.public_key()) {
        return Err(Error::NotHost { you: key.public_key(), host: Some(host), asked: false });
    }
    let finder = Finder { settings, keys: &keys, reporter };
    reporter.step(room.id.as_str(), Step::Relays);
    let mut warnings = Vec::new();
    let event = match finder.event_of(&room, key.public_key()).await {
        Err(error @ Error::NoEvent { .. }) if settings.api_named(&room)?.is_some() => {
            reporter.warning(&error.to_string());
            warnings.push(error.to_string());
            None
        }
        event => Some(event?),
    };
    let api = match &event {
        Some(event) if event.event.media_over_quic().is_some() => None,
        Some(event) => Some(finder.api_of(&room, event)?),
        None => settings.api_named(&room)?,
    };
    if settings.interactive && !request.yes {
        confirm(&room, api.as_ref(), event.as_ref(), &client, reporter).await?;
    }
    let deleted = match &api {
        None => None,
        Some(api) => Some(delete(api, &room, &key, &client, settings, reporter, &mut warnings).await?),
    };
    let over = |event: &relay::FetchedEvent| event.event.status().is_over();
    let published = match event.as_ref().filter(|event| !over(event)) {
        None => None,
        Some(event) => {
            reporter.step(room.id.as_str(), Step::Publish);
            let last = event.event.rewrite(Clock::default()).set_over().build();
            Some(publish(last, &key, &finder.homes(event, &key), reporter).await?.1)
        }
    };
    let status = published.as_ref().map(|published| published.status.clone());
    Ok(Closed {
        room_id: room.id.to_string(),
        api: api.map(|api| api.to_string()),
        deleted,
        status: status.or_else(|| event.map(|event| event.event.status().as_str().to_owned())),
        published,
        warnings,
    })
}

async fn confirm(
    room: &RoomRef,
    api: Option<&Base>,
    event: Option<&relay::FetchedEvent>,
    client: &Client,
    reporter: &dyn Reporter,
) -> Result<(), Error> {
    let record = match api {
        Some(api) => sight::record(client, api, &room.id, sight::GLANCE).await,
        None => None,
    };
    let name = event.and_then(|event| event.event.title()).unwrap_or(room.id.as_str());
    let question = match record.map_or(0, |record| record.participant_count) {
        0 => format!("Close {name} for good?"),
        1 => format!("One person is in {name} and will be disconnected. Close it for good?"),
        n => format!("{n} people are in {name} and will be disconnected. Close it for good?"),
    };
    if reporter.confirm(&question).await == Some(true) { Ok(()) } else { Err(Error::Cancelled) }
}

/// Whether there was something to delete.
async fn delete(
    api: &Base,
    room: &RoomRef,
    key: &HostKey,
    client: &Client,
    settings: &Settings,
    reporter: &dyn Reporter,
    warnings: &mut Vec<String>,
) -> Result<bool, Error> {
    let progress = Mutex::new(Progress::default());
    let sender = Sender {
        client,
        key,
        policy: settings.retry,
        reporter,
        room: room.id.as_str(),
        step: Step::Close,
        progress: &progress,
        shift_s: AtomicI64::default(),
    };
    let url = api.room(&room.id, "");
    let outcome = sender.send(api, &Method::DELETE, &url).await.map_err(Arc::new)?;
    warnings.extend(outcome.warnings.iter().cloned());
    let reply = outcome.settled()?;
    match answer::done(&reply, &url) {
        Ok(()) => Ok(true),
        Err(api::Error::NotFound { missing: Missing::Record, .. }) => Ok(false),
        Err(api::Error::Forbidden { .. }) => Err(Error::NotHost { you: key.public_key(), host: None, asked: true }),
        Err(error) => Err(error.into()),
    }
}
