//! `nest status`: what Nostr, the API and its media server say of a nest, side by side. No key, and nobody joins.

use futures_util::{FutureExt as _, StreamExt as _};
use nostr::PublicKey;
use serde::Serialize;

use super::keys::Keys;
use super::quiet::Unasked;
use super::sight::{self, Sight};
use super::target::{Beside, Finder};
use super::{Error, Settings, Stop};
use crate::api::{self, Client};
use crate::clock::{Clock, rfc3339};
use crate::livekit::Offset;
use crate::relay;
use crate::reporter::{Reporter, Step};
use crate::room::RoomRef;

/// Upstream's: how long an audio room stays that nobody has joined since it was made.
const EMPTY_TIMEOUT_MS: i64 = 1_800_000;

/// In one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// There is an audio room.
    Running,
    /// There is none, and a restart would bring it back.
    Inactive,
    /// There is none, and no record either: no restart can bring it back.
    Gone,
    /// There is none, and its event says that there is to be none.
    Over,
    /// It runs on Media over QUIC, where its event alone makes it live.
    MediaOverQuic,
    /// The API does not say.
    Unknown,
}

/// What is known of a nest.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Standing {
    /// The nest.
    pub room_id: String,
    /// In one word.
    pub state: State,
    /// The API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api: Option<String>,
    /// Hex public key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// What Nostr knows; absent if the nest's name does not lead to its event, or no relay has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<Event>,
    /// Whether the API has a record; a restart needs one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<bool>,
    /// Whether there is an audio room; servers also say no when their media server is down.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio_room: Option<bool>,
    /// People inside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub participants: Option<u64>,
    /// When it was made, or last restarted if the API says that: RFC 3339, by the API's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since_at: Option<String>,
    /// When it closes at the latest if nobody joins, by upstream's settings: RFC 3339, by the API's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closes_at: Option<String>,
    /// What could not be found out, and why.
    pub troubles: Vec<String>,
    /// Nobody said which API serves it.
    #[serde(skip)]
    pub no_api: bool,
}

/// What a nest's event says.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// As it is written.
    pub status: String,
    /// What people call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Closed, ended, or past its end.
    pub over: bool,
    /// Relays that have the newest version.
    pub relays: Vec<String>,
    /// The media relay, for a nest on Media over QUIC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media_over_quic: Option<String>,
}

/// Looks at all nests, `settings.jobs` at a time. `done` hears of each as it ends.
pub async fn run(
    settings: &Settings,
    rooms: &[RoomRef],
    reporter: &dyn Reporter,
    stop: &Stop,
    done: &(dyn Fn(&RoomRef, Result<Standing, Error>) + Sync),
) {
    let client = match Client::new(settings.network.clone()) {
        Ok(client) => client,
        Err(lost) => return rooms.iter().for_each(|room| done(room, Err(api::Error::from(lost.clone()).into()))),
    };
    // What goes wrong on the way is part of the result.
    let unasked = Unasked { reporter, muffled: true };
    let keys = Keys::new(settings, &unasked);
    let finder = Finder { settings, keys: &keys, reporter: &unasked };
    futures_util::stream::iter(rooms)
        .map(|room| stop.unless(one(&client, finder, room)).map(move |result| (room, result)))
        .buffer_unordered(settings.jobs)
        .for_each(|(room, result)| async { done(room, result) })
        .await;
}

async fn one(client: &Client, finder: Finder<'_>, room: &RoomRef) -> Result<Standing, Error> {
    finder.reporter.step(room.id.as_str(), Step::Look);
    let limit = client.network().timeout;
    let look = |api| async move { sight::look(client, &api, &room.id, limit, finder.reporter).await };
    let mut found = finder.beside(room, look).await?;
    // Where there is an audio room, that says it all.
    if let (Ok(None), Ok((_, sight))) = (&found.event, &found.api)
        && sight.audio_room() != Some(true)
    {
        found.event = finder.led(room, sight.info.as_ref().ok()).await.or(Ok(None));
    }
    Ok(standing(room, found))
}

fn standing(room: &RoomRef, found: Beside<Sight>) -> Standing {
    let mut troubles = Vec::new();
    let event = found.event.unwrap_or_else(|error| {
        if !matches!(error, Error::NoApi) {
            troubles.push(format!("event: {error}"));
        }
        None
    });
    let host = room.host.or_else(|| Some(event.as_ref()?.event.host()));
    let blank = Standing {
        room_id: room.id.to_string(),
        state: State::Unknown,
        api: None,
        host: host.map(|host| host.to_hex()),
        event: event.as_ref().map(described),
        record: None,
        audio_room: None,
        participants: None,
        since_at: None,
        closes_at: None,
        troubles,
        no_api: matches!(found.api, Err(Error::NoApi)),
    };
    match found.api {
        Ok((api, sight)) => with_sight(Standing { api: Some(api.to_string()), ..blank }, &sight, host),
        Err(Error::MediaOverQuic { .. }) => Standing { state: State::MediaOverQuic, ..blank },
        Err(Error::NoApi) => blank,
        Err(error) => {
            let troubles = blank.troubles.iter().cloned().chain([error.to_string()]).collect();
            Standing { troubles, ..blank }
        }
    }
}

fn with_sight(mut standing: Standing, sight: &Sight, host: Option<PublicKey>) -> Standing {
    let unsaid = |error: &api::Error| !matches!(error, api::Error::NotFound { .. });
    let guest = sight.guest.as_ref().err().filter(|error| sight.audio_room().is_none() || unsaid(error));
    let info = sight.info.as_ref().err().filter(|error| sight.record().is_none() || unsaid(error));
    standing.troubles.extend(guest.map(|error| format!("audio room: {error}")));
    // Both questions fail in the same way when nobody answers.
    let same = guest.zip(info).is_some_and(|(guest, info)| guest.to_string() == info.to_string());
    standing.troubles.extend(info.filter(|_| !same).map(|error| format!("record: {error}")));
    standing.audio_room = sight.audio_room();
    standing.record = sight.record();
    standing.host = host.or(sight.host()).map(|host| host.to_hex());
    let over = standing.event.as_ref().is_some_and(|event| event.over);
    let over_quic = standing.event.as_ref().is_some_and(|event| event.media_over_quic.is_some());
    standing.state = match (standing.audio_room, standing.record) {
        (Some(true), _) => State::Running,
        _ if over_quic => State::MediaOverQuic,
        (Some(false), _) if over => State::Over,
        (Some(false), Some(false)) => State::Gone,
        (Some(false), Some(true)) => State::Inactive,
        _ => State::Unknown,
    };
    if let Ok(info) = &sight.info {
        let since = info.restarted_at.filter(|at| *at > 0).unwrap_or(info.created_at);
        standing.since_at = Some(since).filter(|since| *since > 0).and_then(rfc3339);
        if standing.state == State::Running {
            standing.participants = Some(info.participant_count);
            let closes = info.restarted_at.map(|at| at.saturating_add(EMPTY_TIMEOUT_MS));
            let there_ms = Clock::default().now_ms().saturating_add(sight.clock.map_or(0, Offset::middle_ms));
            let closes = closes.filter(|at| info.participant_count == 0 && *at > there_ms);
            standing.closes_at = closes.and_then(rfc3339);
        }
    }
    standing
}

fn described(room: &relay::FetchedEvent) -> Event {
    let event = &room.event;
    let media = event.media_over_quic().and_then(|media| media.relay.or(media.auth));
    Event {
        status: event.status().as_str().to_owned(),
        title: event.title().map(str::to_owned),
        over: event.is_over(Clock::default().now_s()),
        relays: room.seen_on.iter().map(ToString::to_string).collect(),
        media_over_quic: media.map(str::to_owned),
    }
}
