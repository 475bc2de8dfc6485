//! `nest doctor`: every link between a host and a nest, gathered side by side as data.
//!
//! Nothing is changed, and an empty nest is not joined: that would shorten its life.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join4;
use nostr::PublicKey;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout_at};

use super::check::{CheckOptions, carry_out};
use super::list::NestState;
use super::moq::MoqReport;
use super::target::EventAndApi;
use super::{Error, Job, Stop, Warning, token};
use crate::api::probe::{Answer, Health};
use crate::api::{self, ApiUrl, HttpClient, NestProbe, RetryPolicy, RoomId, TransportError, Via};
use crate::clock::Clock;
use crate::key::{self, HostKey, RemoteSigner};
use crate::livekit::check::{Check, Joining};
use crate::livekit::endpoint::{Candidate, Source};
use crate::livekit::validate::{self, TokenRefusal, ValidateError};
use crate::livekit::{CheckReport, Offset};
use crate::net::dial::{self, DialError, DialLimits, LAYER_LIMIT, Timings};
use crate::net::tls::TlsSession;
use crate::relay;
use crate::reporter::{NonInteractive, Stage};
use crate::room::{RoomRef, RoomRefError};

/// A room that nobody has: what stands in for one where no nest is named.
const NOBODYS: &str = "nest-doctor";

pub(crate) struct DoctorFindings {
    pub room: Option<RoomRef>,
    /// `None`: there is none.
    pub key: Option<Result<Arc<HostKey>, Arc<key::KeyError>>>,
    pub api: Result<ServerFindings, Error>,
    /// Its event; `None` if nothing leads to one.
    pub event: Result<Option<relay::FetchedEvent>, Error>,
    pub event_elapsed: Duration,
    pub candidates: Vec<Candidate>,
    /// `None` where nobody can say where the media server is.
    pub media: Option<Media>,
    /// Of a nest on Media over QUIC, which no API has a record of: how it is, and what was found; or time was up.
    pub over_quic: Option<Result<(NestState, MoqReport), Elapsed>>,
}

pub(crate) struct ServerFindings {
    pub api: ApiUrl,
    pub connection: ApiConnection,
    pub health: Answer<Health>,
    pub nest: NestProbe,
    /// How far its clock is from the one here.
    pub clock: Option<Offset>,
    /// `None`: nobody signed.
    pub signature: Option<Result<Signature, Error>>,
}

impl ServerFindings {
    /// Whether anything was sent to it at all.
    pub fn is_reached(&self) -> bool {
        let unreachable = |error: Option<&api::ApiError>| {
            matches!(error, Some(api::ApiError::Transport(TransportError::Unreachable { .. })))
        };
        !(unreachable(self.health.result.as_ref().err()) && unreachable(self.nest.guest.as_ref().err()))
    }
}

pub(crate) struct Signature {
    /// Not empty if the signature was accepted only with the server's time.
    pub warnings: Vec<Warning>,
    pub elapsed: Duration,
}

impl DoctorFindings {
    pub async fn gather(interactive: &Job<'_>, room: Option<&RoomRef>) -> Result<Self, Error> {
        let mut job = interactive.within_one_timeout();
        // What cannot be known is said at once, and not asked again and again.
        job.settings.retry = RetryPolicy { retries: 0, ..job.settings.retry };
        let id = RoomId::new(NOBODYS).map_err(RoomRefError::from)?;
        let stand_in = RoomRef::bare(id);
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
        // A signer that had to be waited for takes no time from what follows.
        let is_remote = signer.is_some_and(|key| key.signer().is_some());
        let half = Instant::now() + job.settings.network.timeout / 2;
        let until = if is_remote { until.max(half) } else { until };
        let mut event_elapsed = started.elapsed();
        let mut api = api.map(|(_, server)| server);
        if let (Some(room), Ok(None), Ok(ServerFindings { nest, .. })) = (room, &event, &api) {
            let info = nest.info.as_ref().ok();
            let started = Instant::now();
            let mut job = job.clone();
            let left = until.saturating_duration_since(started);
            job.settings.relays.timeout = job.settings.relays.timeout.min(left);
            let found = job.event_by_record(room, info).await;
            // Of an API that does not answer, the event is a question of its own only where it needs none.
            let over_quic = |event: &relay::FetchedEvent| event.event.media_over_quic().is_some();
            let needs_none = found.as_ref().is_ok_and(|event| event.as_ref().is_some_and(over_quic));
            if needs_none || info.is_some() || nest.has_record() == Some(false) {
                (event, event_elapsed) = (found, started.elapsed());
            }
        }
        let over_quic = match event.as_ref().ok().and_then(Option::as_ref) {
            Some(event) if event.event.media_over_quic().is_some() && !has_record(&api) => {
                api = Err(Error::OverQuic(Box::new(event.clone())));
                let look = timeout_at(until, job.look_over_quic(event)).await;
                let now_s = Clock::default().now_s();
                Some(look.map(|look| (look.state(&event.event, now_s), look.report(&event.event))))
            }
            _ => None,
        };
        let (candidates, media) = match (&api, room) {
            (Ok(server), Some(_)) => {
                let event = event.as_ref().ok().and_then(Option::as_ref);
                let health = server.health.result.as_ref().ok();
                let returned: Vec<_> = health.and_then(|health| health.livekit.clone()).into_iter().collect();
                // Before a guess: the API may say it.
                let told = event.is_some_and(|event| !event.event.streaming().is_empty());
                let candidates = job.candidates(if told { &[] } else { &returned }, event, &server.api);
                let media = probe_media(&job, name, &candidates, server, until).await;
                (candidates, Some(media))
            }
            _ => (Vec::new(), None),
        };
        Ok(Self { room: room.cloned(), key, api, event, event_elapsed, candidates, media, over_quic })
    }

    /// Whose nest it is, by its record or by its name.
    pub fn host(&self) -> Option<PublicKey> {
        let recorded = self.server().and_then(|server| server.nest.host());
        recorded.or(self.room.as_ref().and_then(|room| room.host))
    }

    pub fn server(&self) -> Option<&ServerFindings> {
        self.api.as_ref().ok()
    }

    /// Whether nobody says where the media server is, and what answers at its usual place is none.
    pub fn guessed_wrong(&self) -> bool {
        let wrong = |(candidate, why): &(Candidate, ValidateError)| {
            candidate.source == Source::Usual && matches!(why, ValidateError::NotLiveKit(200..=499))
        };
        matches!(&self.media, Some(Media::Silent(silent)) if !silent.is_empty() && silent.iter().all(wrong))
    }

    pub fn event(&self) -> Option<&relay::FetchedEvent> {
        self.event.as_ref().ok().and_then(Option::as_ref)
    }
}

/// A record makes it a nest on LiveKit, whatever its event says.
fn has_record(api: &Result<ServerFindings, Error>) -> bool {
    api.as_ref().is_ok_and(|server| server.nest.info.is_ok())
}

/// Asks the API everything.
async fn ask(job: &Job<'_>, api: ApiUrl, id: &RoomId, key: Option<&HostKey>, until: Instant) -> ServerFindings {
    let probe = job.probe(&api).within(until.saturating_duration_since(Instant::now()));
    let (connection, health, nest, signature) =
        join4(connect(&job.client, &api, until), probe.health(), probe.nest(id), signature(job, &api, id, key, until))
            .await;
    let clock = health.clock.or(nest.clock);
    ServerFindings { api, connection, health, nest, clock, signature }
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
    let key = key?;
    // Where somebody may have to allow it, that has a limit of its own.
    let until = until + key.signer().map_or(Duration::ZERO, RemoteSigner::limit);
    let fetched = timeout_at(until, token::fetch(job, api, id, key)).await.ok()?;
    let accepted = |warnings| Signature { warnings, elapsed: started.elapsed() };
    Some(match fetched {
        Ok((_, _, warnings)) => Ok(accepted(warnings)),
        Err(Error::Api(error)) if error.says_absent() => Ok(accepted(Vec::new())),
        Err(error) => Err(error),
    })
}

/// How the API is reached.
pub(crate) enum ApiConnection {
    /// Through a proxy, which looks up the name and connects.
    Proxy(Via),
    /// `tls` is `None` for plain http.
    Direct {
        remote_address: String,
        timings: Timings,
        tls: Option<TlsSession>,
    },
    Failed(DialError),
}

/// Connects, and says nothing on the connection.
async fn connect(client: &HttpClient, api: &ApiUrl, until: Instant) -> ApiConnection {
    let network = client.network();
    if let Some(via) = network.proxy.as_ref().and_then(|proxy| proxy.via(api.url())) {
        return ApiConnection::Proxy(via);
    }
    let limits = DialLimits { each: LAYER_LIMIT, until };
    match dial::connect(api.url(), &network.tls, &network.reach, Some("http/1.1"), limits).await {
        Ok(connection) => ApiConnection::Direct {
            remote_address: connection.remote_address.to_string(),
            tls: connection.tls(),
            timings: connection.timings,
        },
        Err(error) => ApiConnection::Failed(error),
    }
}

/// The limit of the questions to one endpoint.
const ENDPOINT_LIMIT: Duration = Duration::from_secs(5);

pub(crate) enum Media {
    /// People are inside, so one more who comes and goes does no harm.
    Joined(Box<CheckReport>),
    /// One that answers, and what it says of a listener's token, if there was one.
    Answers {
        endpoint: String,
        verdict: Option<Result<(), TokenRefusal>>,
        elapsed: Duration,
    },
    /// None answers; why.
    Silent(Vec<(Candidate, ValidateError)>),
    NoTime,
}

/// Joins where people are inside; else asks who is there, and shows a listener's token if there is one.
async fn probe_media(
    job: &Job<'_>,
    room: &str,
    candidates: &[Candidate],
    server: &ServerFindings,
    until: Instant,
) -> Media {
    let left = || until.saturating_duration_since(Instant::now());
    if left().is_zero() {
        return Media::NoTime;
    }
    let inside = server.nest.info.as_ref().is_ok_and(|info| info.participant_count > 0);
    let token = server.nest.guest.as_ref().ok();
    if let Some(token) = token.filter(|_| inside) {
        let check = Check {
            join: Some(Joining { token, host: false }),
            api_clock: server.clock,
            ..CheckOptions::default().on(room, candidates, left())
        };
        return Media::Joined(Box::new(carry_out(&check, None, &job.client, job.reporter).await));
    }
    // The usual place is on the API's own host: where that cannot be reached, it cannot either.
    let unreached = |candidate: &Candidate| !server.is_reached() && candidate.source == Source::Usual;
    let hopeless = |candidate: &Candidate| candidate.cleartext || unreached(candidate);
    let mut silent = Vec::new();
    for candidate in candidates.iter().filter(|candidate| !hopeless(candidate)) {
        let limit = ENDPOINT_LIMIT.min(left());
        let started = Instant::now();
        let http = job.client.http();
        match validate::ask(http, candidate, token, limit, Clock::default()).await {
            Ok(answer) => {
                let endpoint = candidate.as_str().to_owned();
                let verdict = token.map(|_| answer.verdict);
                return Media::Answers { endpoint, verdict, elapsed: started.elapsed() };
            }
            // With more time it might have answered.
            Err(ValidateError::TimedOut(limit)) if limit < ENDPOINT_LIMIT => return Media::NoTime,
            Err(why) => silent.push((candidate.clone(), why)),
        }
    }
    Media::Silent(silent)
}

/// Looks at everything about a nest, or at what all nests of a server share. Ends within the time-out, once there is a key; a
/// remote signer has a limit of its own.
///
/// # Errors
/// [`Error::Interrupted`], and what [`Settings::api_named`](super::Settings::api_named) says against the name.
pub(crate) async fn run(job: &Job<'_>, room: Option<&RoomRef>, stop: &Stop) -> Result<DoctorFindings, Error> {
    stop.unless(Box::pin(DoctorFindings::gather(job, room))).await
}
