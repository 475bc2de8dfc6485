//! `nest status`: what Nostr, the API and its media server say of a nest, side by side. No key, and nobody joins.

use std::time::Duration;

use futures_util::{FutureExt as _, StreamExt as _};
use nostr::PublicKey;
use serde::Serialize;

use super::follow::{Followed, Following, Told};
use super::list::NestState;
use super::moq::{self, MoqLook, MoqParts, Shown};
use super::target::EventAndApi;
use super::{Error, Job, NestKind, Stop};
use crate::api::{self, ApiUrl, NestProbe};
use crate::clock::{Clock, rfc3339};
use crate::livekit::Offset;
use crate::lock::Departure;
use crate::relay;
use crate::relay::presence::Presences;
use crate::reporter::{NonInteractive, Stage};
use crate::room::RoomRef;

/// Upstream's: how long an audio room stays that nobody has joined since it was made.
const EMPTY_TIMEOUT_MS: i64 = 1_800_000;

/// What is known of a nest.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Standing {
    /// What carries its sound.
    pub kind: NestKind,
    /// The id of the nest.
    pub room_id: String,
    /// All of what follows, in one word.
    pub state: NestState,
    /// The API that serves it, if anybody says which.
    pub api: Option<String>,
    /// The host's public key in hex.
    pub host: Option<String>,
    /// Its page, where its event names one or its API has one.
    pub link: Option<String>,
    /// What Nostr knows; absent if the nest's name does not lead to its event, or no relay has it.
    pub event: Option<Event>,
    /// Whether the API has a record; a restart needs one.
    pub record: Option<bool>,
    /// Whether there is an audio room; servers also say no when their media server is down.
    pub audio_room: Option<bool>,
    /// How many people are inside; on Media over QUIC, how many say so on Nostr.
    pub participants: Option<u64>,
    /// How many of them are on stage, as they say on Nostr.
    pub on_stage: Option<u64>,
    /// How many of them want to speak, as they say on Nostr.
    pub hands: Option<u64>,
    /// When somebody was there last, as far as a day back: RFC 3339.
    pub last_present_at: Option<String>,
    /// When it was made, or last restarted if the API says that: RFC 3339, by the API's clock.
    pub since_at: Option<String>,
    /// When it closes at the latest if nobody joins, by upstream's settings: RFC 3339, by the API's clock.
    pub closes_at: Option<String>,
    /// When a check from this machine has left it, which is why it closes so soon: RFC 3339 by the clock here.
    pub left_at: Option<String>,
    /// How many people say on Nostr that they are there; only while the nest is followed.
    pub present: Option<u64>,
    /// When this was seen, RFC 3339 by the clock here; only while the nest is followed.
    pub observed_at: Option<String>,
    /// What could not be found out, and why.
    pub troubles: Vec<String>,
    /// Nobody said which API serves it.
    #[serde(skip)]
    pub no_api: bool,
    /// Relays were asked for its event, and have none.
    #[serde(skip)]
    pub no_event: bool,
    /// Relays have not answered in time: their event might say that it is over, or to come.
    #[serde(skip)]
    pub unheard: bool,
    /// Which clients show it, where its event is known.
    #[serde(skip)]
    pub shown: Vec<Shown>,
    /// What a nest on Media over QUIC needs, once that was looked at.
    #[serde(skip)]
    pub parts: Option<MoqParts>,
}

/// What a nest's event says.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// As it is written.
    pub status: String,
    /// What people call it.
    pub title: Option<String>,
    /// Closed, ended, or past its end.
    pub over: bool,
    /// When it starts or started, RFC 3339.
    pub starts_at: Option<String>,
    /// The address of the nest that took its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub successor: Option<String>,
    /// Relays that have the newest version.
    pub relays: Vec<String>,
    /// The media relay, for a nest on Media over QUIC.
    pub streaming: Option<String>,
    /// Its auth service.
    pub auth: Option<String>,
    /// Whether it is planned, and not over.
    #[serde(skip)]
    pub planned: bool,
}

/// Looks at all nests, `settings.jobs` at a time. `done` hears of each as it ends.
pub async fn run(
    job: &Job<'_>,
    rooms: &[RoomRef],
    stop: &Stop,
    done: &(dyn Fn(&RoomRef, Result<Standing, Error>) + Sync),
) {
    // What relays and the API do not say is part of the result.
    let reporter = NonInteractive { reporter: job.reporter, warnings: false };
    let job = job.reporting_to(&reporter);
    futures_util::stream::iter(rooms)
        .map(|room| stop.unless(of_one(&job, room)).map(move |result| (room, result)))
        .buffer_unordered(job.settings.jobs)
        .for_each(|(room, result)| async { done(room, result) })
        .await;
}

/// Looks at all nests, then tells of each whenever its event, who is present or what the API says has changed. Ends when
/// it is stopped.
///
/// # Errors
/// [`Error::Stopped`].
pub async fn follow(
    job: &Job<'_>,
    rooms: &[RoomRef],
    interval: Duration,
    stop: &Stop,
    tell: &(dyn Fn(&RoomRef, Result<Standing, Error>) + Sync),
) -> Result<(), Error> {
    let quiet = NonInteractive { reporter: job.reporter, warnings: false };
    let (looking, following) = (job.reporting_to(&quiet), job.without_prompts());
    let following = job.reporting_to(&following);
    let mut told = Told::default();
    let mut show = |nest: &Followed| {
        let seen = match (&nest.api, &nest.probe) {
            (Ok(api), Some(probe)) => Ok((api, probe)),
            // The API is asked next.
            (Ok(_), None) => return,
            (Err(error), _) => Err(error),
        };
        let look = nest.look();
        if look.is_none() && nest.over_quic().is_some() {
            // Its servers are asked next.
            return;
        }
        let standing = standing(&looking, &nest.room, &nest.event, seen, look);
        let standing = Standing { present: nest.present(), ..standing };
        if told.is_news(&nest.room.id, &standing) {
            let observed_at = rfc3339(Clock::default().now_ms());
            tell(&nest.room, Ok(Standing { observed_at, ..standing }));
        }
    };
    let work = async {
        let mut nests = Vec::new();
        let mut looks = futures_util::stream::iter(rooms)
            .map(|room| look(&looking, room).map(move |found| (room, found)))
            .buffer_unordered(job.settings.jobs);
        while let Some((room, found)) = looks.next().await {
            match found {
                Ok((EventAndApi { event, api }, look)) => {
                    let known = event.as_ref().ok().and_then(Option::as_ref);
                    let (api, probe) = match (known.filter(|_| look.is_some()), api) {
                        // The API has nothing to do with it, whoever has named it.
                        (Some(event), _) => (Err(Error::OverQuic(Box::new(event.clone()))), None),
                        (None, Ok((api, probe))) => (Ok(api), Some(probe)),
                        (None, Err(error)) => (Err(error), None),
                    };
                    let nest = Followed::new(room.clone(), event, api, probe);
                    let nest = if let Some(look) = look { nest.seen(look) } else { nest };
                    show(&nest);
                    nests.push(nest);
                }
                Err(error) => tell(room, Err(error)),
            }
        }
        let Some(first) = nests.first() else { return Ok(()) };
        let relays = nests.iter().fold(job.relays(&first.room, first.room.host), |relays, nest| {
            relays.also(job.relays(&nest.room, nest.room.host).list().to_vec())
        });
        match Following::new(&following, nests, None, interval, &mut show).run(relays).await {}
    };
    stop.or_stopped(work).await
}

/// Looks at one nest.
pub(crate) async fn of_one(job: &Job<'_>, room: &RoomRef) -> Result<Standing, Error> {
    let (found, look) = look(job, room).await?;
    Ok(standing(job, room, &found.event, found.api.as_ref().map(|(api, probe)| (api, probe)), look))
}

/// What relays and the API say; and what was seen of a nest on Media over QUIC.
async fn look(job: &Job<'_>, room: &RoomRef) -> Result<(EventAndApi<NestProbe>, Option<MoqLook>), Error> {
    job.reporter.step(room.id.as_str(), Stage::Look);
    let probe = |api: ApiUrl| async move { job.probe(&api).nest(&room.id).await };
    let mut found = job.event_and_api(room, probe).await?;
    // Where there is an audio room, that says it all.
    if let (Ok(None), Ok((_, probe))) = (&found.event, &found.api)
        && probe.has_audio_room() != Some(true)
    {
        let event = job.event_by_record(room, probe.info.as_ref().ok()).await;
        let matters = |error: &Error| error.is_silence() || probe.has_record() == Some(false);
        found.event = if event.as_ref().is_err_and(|error| !matters(error)) { Ok(None) } else { event };
    }
    let runs = matches!(&found.api, Ok((_, probe)) if probe.has_audio_room() == Some(true));
    let event = found.event.as_ref().ok().and_then(Option::as_ref);
    let over_quic = event.filter(|event| !runs && event.event.media_over_quic().is_some());
    let look = match over_quic {
        Some(event) => Some(job.look_over_quic(event).await),
        None => None,
    };
    Ok((found, look))
}

fn standing(
    job: &Job<'_>,
    room: &RoomRef,
    event: &Result<Option<relay::FetchedEvent>, Error>,
    api: Result<(&ApiUrl, &NestProbe), &Error>,
    look: Option<MoqLook>,
) -> Standing {
    let unknown = event.as_ref().err().filter(|error| !matches!(error, Error::NoApi));
    let troubles = unknown.map(|error| format!("event: {error}")).into_iter().collect();
    let no_event = event.as_ref().is_err_and(Error::is_absence);
    let event_error = event.as_ref().err();
    let event = event.as_ref().ok().and_then(Option::as_ref);
    let host = room.host.or_else(|| Some(event?.event.host()));
    let now_s = Clock::default().now_s();
    // Who is present matters only where it is live on Media over QUIC.
    let shown = event.map(|event| moq::shown(&event.event, &Presences::default(), now_s)).unwrap_or_default();
    let blank = Standing {
        kind: NestKind::of(event),
        room_id: room.id.to_string(),
        state: NestState::Unknown,
        api: None,
        host: host.map(|host| host.to_hex()),
        link: None,
        event: event.map(described),
        record: None,
        audio_room: None,
        participants: None,
        on_stage: None,
        hands: None,
        last_present_at: None,
        since_at: None,
        closes_at: None,
        left_at: None,
        present: None,
        observed_at: None,
        troubles,
        no_api: matches!(api, Err(Error::NoApi)),
        no_event,
        unheard: event_error.is_some_and(Error::is_silence),
        shown,
        parts: None,
    };
    if let (Some(look), Some(event)) = (look, event) {
        return with_look(blank, look, &event.event, now_s);
    }
    match api {
        Ok((api, probe)) => {
            let standing = with_probe(Standing { api: Some(api.to_string()), ..blank }, probe, host);
            let host = standing.host.as_deref().and_then(|host| PublicKey::from_hex(host).ok());
            let room = &RoomRef { host, ..room.clone() };
            let link = job.page(room, event.map(|event| &event.event), api);
            let standing = Standing { link, ..standing };
            match job.last_departure(api, &room.id) {
                Some(left) => after_departure(standing, probe, left),
                None => standing,
            }
        }
        Err(error) => {
            let over = blank.event.as_ref().is_some_and(|event| event.over);
            let planned = blank.event.as_ref().is_some_and(|event| event.planned);
            let over_quic = matches!(error, Error::OverQuic(_));
            let state = match () {
                () if planned => NestState::Planned,
                () if over && over_quic => NestState::Over,
                () => NestState::Unknown,
            };
            let said = Some(error.to_string()).filter(|_| !over_quic && !blank.no_api);
            let troubles = blank.troubles.iter().cloned().chain(said).collect();
            Standing { state, troubles, ..blank }
        }
    }
}

fn with_look(standing: Standing, look: MoqLook, event: &relay::RoomEvent, now_s: i64) -> Standing {
    let people = look.presences.people(now_s);
    let of = |count: usize| Some(count as u64).filter(|_| look.unheard.is_none());
    let last_s = look.presences.last_s(false);
    Standing {
        // An API that was named has nothing to do with it.
        api: None,
        no_api: false,
        state: look.state(event, now_s),
        participants: of(people.len()),
        on_stage: of(people.iter().filter(|person| person.onstage).count()),
        hands: of(people.iter().filter(|person| person.hand).count()),
        last_present_at: last_s.and_then(|at| rfc3339(at.saturating_mul(1000))),
        troubles: look
            .unheard
            .iter()
            .map(|why| format!("who is present: {why}"))
            .chain(look.parts.unanswered())
            .collect(),
        shown: look.shown,
        parts: Some(look.parts),
        ..standing
    }
}

fn with_probe(mut standing: Standing, probe: &NestProbe, host: Option<PublicKey>) -> Standing {
    // Without a record it may be a nest on Media over QUIC, which its event would say.
    let event_unknown = !standing.troubles.is_empty() && !standing.no_event;
    let unsaid = |error: &api::ApiError| !matches!(error, api::ApiError::NotFound { .. });
    let guest = probe.guest.as_ref().err().filter(|error| probe.has_audio_room().is_none() || unsaid(error));
    let info = probe.info.as_ref().err().filter(|error| probe.has_record().is_none() || unsaid(error));
    standing.troubles.extend(guest.map(|error| format!("audio room: {error}")));
    // Both questions fail in the same way when nobody answers.
    let same = guest.zip(info).is_some_and(|(guest, info)| guest.to_string() == info.to_string());
    standing.troubles.extend(info.filter(|_| !same).map(|error| format!("record: {error}")));
    standing.audio_room = probe.has_audio_room();
    standing.record = probe.has_record();
    standing.host = host.or(probe.host()).map(|host| host.to_hex());
    let over = standing.event.as_ref().is_some_and(|event| event.over);
    let planned = standing.event.as_ref().is_some_and(|event| event.planned);
    standing.state = match (standing.audio_room, standing.record) {
        (Some(true), _) => NestState::Running,
        _ if planned => NestState::Planned,
        (Some(false), _) if over => NestState::Over,
        (Some(false), _) if standing.unheard => NestState::Unknown,
        (Some(false), Some(false)) if event_unknown => NestState::Unknown,
        (Some(false), Some(false)) => NestState::Gone,
        (Some(false), Some(true)) => NestState::Inactive,
        _ => NestState::Unknown,
    };
    if let Ok(info) = &probe.info {
        let since = info.restarted_at.filter(|at| *at > 0).unwrap_or(info.created_at);
        standing.since_at = Some(since).filter(|since| *since > 0).and_then(rfc3339);
        if standing.state == NestState::Running {
            standing.participants = Some(info.participant_count);
            let closes = info.restarted_at.map(|at| at.saturating_add(EMPTY_TIMEOUT_MS));
            let there_ms = Clock::default().now_ms().saturating_add(probe.clock.map_or(0, Offset::middle_ms));
            let closes = closes.filter(|at| info.participant_count == 0 && *at > there_ms);
            standing.closes_at = closes.and_then(rfc3339);
        }
    }
    standing
}

/// A check that has left a nest empty has shortened its life, unless the nest was restarted since.
fn after_departure(standing: Standing, probe: &NestProbe, left: Departure) -> Standing {
    let restarted_at = probe.info.as_ref().ok().and_then(|info| info.restarted_at);
    let restarted_here = restarted_at.map(|at| Offset::same_or(probe.clock).here(at, 1).from_ms);
    let counts = standing.participants == Some(0)
        && Clock::default().now_ms() < left.closes_ms
        && restarted_here.is_none_or(|at| at < left.left_ms);
    if !counts {
        return standing;
    }
    Standing { closes_at: rfc3339(left.closes_ms), left_at: rfc3339(left.left_ms), ..standing }
}

fn described(room: &relay::FetchedEvent) -> Event {
    let (event, now_s) = (&room.event, Clock::default().now_s());
    let media = event.media_over_quic();
    Event {
        status: event.status().as_str().to_owned(),
        title: event.title().map(str::to_owned),
        over: event.is_over(now_s),
        starts_at: event.starts().and_then(|at| rfc3339(at.saturating_mul(1000))),
        successor: event.successor_naddr(&room.seen_on),
        relays: room.seen_on.iter().map(ToString::to_string).collect(),
        streaming: media.and_then(|media| media.relay).map(str::to_owned),
        auth: media.and_then(|media| media.auth).map(str::to_owned),
        planned: event.is_planned(now_s),
    }
}
