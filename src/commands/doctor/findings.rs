//! What there is to be found out, gathered side by side.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join4;
use tokio::time::{Instant, timeout_at};

use super::connection::{self, ApiConnection};
use super::media::{self, Media};
use crate::api::probe::{Answer, Health};
use crate::api::{self, ApiUrl, NestProbe, RetryPolicy, RoomId, TransportError};
use crate::commands::check::streaming;
use crate::commands::target::EventAndApi;
use crate::commands::{Error, Job, Warning, token};
use crate::key::{self, HostKey};
use crate::livekit::Offset;
use crate::livekit::endpoint::{self, Candidate, Hints};
use crate::relay;
use crate::reporter::{NonInteractive, Stage};
use crate::room::RoomRef;

/// A room that nobody has: what stands in for one where no nest is named.
const NOBODYS: &str = "nest-doctor";

pub(crate) struct DoctorFindings {
    pub room: Option<RoomRef>,
    /// `None`: there is none.
    pub key: Option<Result<Arc<HostKey>, Arc<key::KeyError>>>,
    pub api: Result<Far, Error>,
    /// Its event; `None` if nothing leads to one.
    pub event: Result<Option<relay::FetchedEvent>, Error>,
    pub event_elapsed: Duration,
    pub candidates: Vec<Candidate>,
    /// `None` where nobody can say where the media server is.
    pub media: Option<Media>,
}

pub(crate) struct Far {
    pub api: ApiUrl,
    pub connection: ApiConnection,
    pub health: Answer<Health>,
    pub nest: NestProbe,
    /// How far its clock is from the one here.
    pub clock: Option<Offset>,
    /// `None`: nobody signed.
    pub signature: Option<Result<Signature, Error>>,
}

impl Far {
    /// Whether anything was sent to it at all.
    pub fn is_reached(&self) -> bool {
        let lost = |error: Option<&api::ApiError>| {
            matches!(error, Some(api::ApiError::Transport(TransportError::Unreachable { .. })))
        };
        !(lost(self.health.result.as_ref().err()) && lost(self.nest.guest.as_ref().err()))
    }
}

pub(crate) struct Signature {
    /// Not empty if the signature was accepted only with the server's time.
    pub warnings: Vec<Warning>,
    pub elapsed: Duration,
}

impl DoctorFindings {
    pub async fn gather(asking: &Job<'_>, room: Option<&RoomRef>) -> Result<Self, Error> {
        let mut job = asking.within_one_timeout();
        // What cannot be known is said at once, and not asked again and again.
        job.settings.retry = RetryPolicy { retries: 0, ..job.settings.retry };
        let stand_in =
            RoomRef { id: RoomId::new(NOBODYS).map_err(room_error)?, host: None, relays: Vec::new(), api: None };
        let subject = room.unwrap_or(&stand_in);
        let name = subject.id.as_str();
        job.reporter.step(name, Stage::Key);
        let key = job.key_at_hand(subject.host).await;
        job.reporter.step(name, Stage::Look);

        let reporter = NonInteractive { reporter: job.reporter, warnings: false };
        let job = job.reporting_to(&reporter);
        let until = Instant::now() + job.settings.network.timeout;
        let signer = key.as_ref().and_then(|key| key.as_deref().ok());
        let ask = |api: ApiUrl| ask(&job, api, &subject.id, signer, until);
        let started = Instant::now();
        let EventAndApi { mut event, api } = if let Some(room) = room {
            job.event_and_api(room, ask).await?
        } else {
            let api = match job.api(subject, None) {
                Ok(api) => Ok((api.clone(), ask(api).await)),
                Err(Error::NoApi) => Err(Error::NoApi),
                Err(error) => return Err(error),
            };
            EventAndApi { event: Ok(None), api }
        };
        let mut event_elapsed = started.elapsed();
        let api = api.map(|(_, far)| far);
        if let (Some(room), Ok(None), Ok(Far { nest: NestProbe { info: Ok(info), .. }, .. })) = (room, &event, &api) {
            let started = Instant::now();
            event = timeout_at(until, job.event_by_record(room, Some(info))).await.unwrap_or(Ok(None));
            event_elapsed = started.elapsed();
        }
        let (candidates, media) = match (&api, room) {
            (Ok(far), Some(_)) => {
                let streaming = streaming(event.as_ref().ok().and_then(Option::as_ref));
                let (api, allow_http) = (Some(far.api.url()), job.settings.allow_http);
                let candidates = endpoint::candidates(Hints { returned: &[], streaming: &streaming, api, allow_http });
                let media = media::probe(&job, name, &candidates, far, until).await;
                (candidates, Some(media))
            }
            _ => (Vec::new(), None),
        };
        Ok(Self { room: room.cloned(), key, api, event, event_elapsed, candidates, media })
    }

    pub fn far(&self) -> Option<&Far> {
        self.api.as_ref().ok()
    }

    pub fn event(&self) -> Option<&relay::FetchedEvent> {
        self.event.as_ref().ok().and_then(Option::as_ref)
    }
}

fn room_error(error: api::address::AddressError) -> Error {
    Error::Room(error.into())
}

/// Asks the API everything.
async fn ask(job: &Job<'_>, api: ApiUrl, id: &RoomId, key: Option<&HostKey>, until: Instant) -> Far {
    let probe = job.probe(&api).within(until.saturating_duration_since(Instant::now()));
    let (connection, health, nest, signature) = join4(
        connection::connect(&job.client, &api, until),
        probe.health(),
        probe.nest(id),
        signature(job, &api, id, key, until),
    )
    .await;
    let clock = health.clock.or(nest.clock);
    Far { api, connection, health, nest, clock, signature }
}

/// Asks for a token, which changes nothing. That there is no such nest is found out only after the signature.
async fn signature(
    job: &Job<'_>,
    api: &ApiUrl,
    id: &RoomId,
    key: Option<&HostKey>,
    until: Instant,
) -> Option<Result<Signature, Error>> {
    let started = Instant::now();
    let fetched = timeout_at(until, token::fetch(job, api, id, key?)).await.ok()?;
    let accepted = |warnings| Signature { warnings, elapsed: started.elapsed() };
    Some(match fetched {
        Ok((_, _, warnings)) => Ok(accepted(warnings)),
        Err(Error::Api(error)) if error.says_absent() => Ok(accepted(Vec::new())),
        Err(error) => Err(error),
    })
}
