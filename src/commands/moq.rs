//! How a nest on Media over QUIC stands. No server has a room of it that could be lost: its event makes it live for as long
//! as clients show it, and people get in for as long as its auth service and its media relay answer.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt as _, Shared, join};
use nostr::nips::nip01::Coordinate;
use nostr::{Filter, Kind, Timestamp};
use serde::Serialize;
use tokio::sync::Semaphore;
use url::Url;

use super::list::NestState;
use super::{Error, Job};
use crate::api::signed::SignedRequests;
use crate::api::{HttpClient, HttpRequest, TransportError};
use crate::clock::Clock;
use crate::key::HostKey;
use crate::livekit::Verdict;
use crate::moq::auth::{self, AuthError, AuthReply};
use crate::net::reach::Reach;
use crate::net::{is_loopback, quic};
use crate::relay::presence::{PRESENCE_KIND, Presence, Presences};
use crate::relay::shown::{Client, Hidden, shown_by};
use crate::relay::{FetchedEvent, MediaOverQuic, Relays, RoomEvent, Status as RoomStatus};
use crate::report::{Status, Step};
use crate::reporter::{Progress, RoomReporter};

/// Limit of each question.
pub(super) const LIMIT: Duration = Duration::from_secs(5);

/// How far back presences are asked for: who was there last is worth knowing, who was there yesterday is not.
const REMEMBERED: Duration = Duration::from_hours(24);

/// Presences that a relay is asked for.
const PRESENCES_MAX: usize = 500;

/// How long slower relays have to say who is present once one has.
pub(super) const GRACE: Duration = Duration::from_secs(2);

/// Relays that nests name and that are asked who is present, at most.
const RELAYS_MAX: usize = 20;

/// Whether a client lists a nest.
#[derive(Clone, Debug)]
pub struct Shown {
    pub client: &'static Client,
    /// What keeps it from doing so.
    pub hidden: Option<Hidden>,
}

/// The two servers that such a nest needs: whether they answer.
#[derive(Clone, Debug)]
pub struct MoqParts {
    pub(super) relay: Judged,
    pub(super) auth: Judged,
}

impl MoqParts {
    /// One step each.
    pub fn steps(&self) -> [Step<MoqFinding>; 2] {
        [step("relay", self.relay.clone()), step("auth", self.auth.clone())]
    }

    /// Whether nothing stands against people getting in.
    pub(super) fn answer(&self) -> bool {
        !self.failed() && self.unanswered().next().is_none()
    }

    fn failed(&self) -> bool {
        self.relay.0 == Status::Failed || self.auth.0 == Status::Failed
    }

    /// What would have needed more time to answer.
    pub(super) fn unanswered(&self) -> impl Iterator<Item = String> {
        self.steps().into_iter().filter(Step::had_no_time).filter_map(|step| match step.finding {
            MoqFinding::Relay { relay, answer: Err(error), .. } => Some(format!("{relay} {error}")),
            MoqFinding::Auth(auth, Err(error)) => Some(format!("{auth}: {error}")),
            _ => None,
        })
    }
}

/// What can be seen of a nest without a key.
#[derive(Clone, Debug)]
pub struct MoqLook {
    pub shown: Vec<Shown>,
    pub presences: Presences,
    /// Why it is not known who is present.
    pub unheard: Option<String>,
    pub parts: MoqParts,
}

impl MoqLook {
    /// How the nest is, all in all, and why that is not known.
    pub(super) fn state(&self, event: &RoomEvent, now_s: i64) -> NestState {
        if event.is_over(now_s) {
            NestState::Over
        } else if event.is_planned(now_s) {
            NestState::Planned
        } else if !event.is_open(now_s) {
            NestState::NotChecked
        } else if self.parts.failed() {
            NestState::Inactive
        } else if !self.parts.answer() {
            NestState::Unknown
        } else if self.shown.iter().any(|shown| shown.hidden.is_none()) {
            NestState::Running
        } else if self.depends_on_presences() {
            NestState::Unknown
        } else {
            NestState::Inactive
        }
    }

    /// Whether a client would show the nest if somebody were present, and nobody knows whether that is so.
    fn depends_on_presences(&self) -> bool {
        let alone = |shown: &Shown| matches!(shown.hidden, Some(Hidden::NobodyPresent { .. }));
        self.unheard.is_some() && self.shown.iter().any(alone)
    }
}

/// What a check came to. As JSON it is without its steps, whose words are made elsewhere.
#[derive(Clone, Debug, Serialize)]
pub struct MoqReport {
    /// Nothing is joined: `Joinable` says that all that was asked is there.
    pub verdict: Verdict,
    /// The media relay, as the event names it.
    pub endpoint: Option<String>,
    /// Event, clients, relay, auth service, media.
    #[serde(skip)]
    pub steps: Vec<Step<MoqFinding>>,
}

/// What a step found. Whether that is good or bad, the step's status says.
#[derive(Clone, Debug)]
pub enum MoqFinding {
    /// The event alone makes such a nest live. `over`: closed, ended, or past its end.
    Event {
        status: String,
        over: bool,
    },
    /// Which clients show it; and why it is not known who is present.
    Shown(Vec<Shown>, Option<String>),
    NoRelay,
    NoRelayAddress(String),
    /// Whether it speaks QUIC on that UDP port.
    Relay {
        relay: String,
        port: u16,
        answer: Result<quic::QuicAnswer, Arc<quic::QuicError>>,
    },
    NoAuth,
    NoAuthAddress(String),
    /// It was not asked: tokens would travel in the clear.
    AuthCleartext(String),
    /// The auth service's HTTP status, or why it could not be asked.
    Auth(String, Result<u16, TransportError>),
    /// Whether the auth service lets the host speak.
    Token(String, Result<(), Arc<AuthError>>),
    /// Nobody has listened: `nest` does not speak Media over QUIC.
    NotSpoken,
}

impl Step<MoqFinding> {
    /// Whether a server was asked, and might have answered with more time.
    pub fn had_no_time(&self) -> bool {
        let lost = matches!(&self.finding, MoqFinding::Relay { answer: Err(_), .. } | MoqFinding::Auth(_, Err(_)));
        lost && self.status == Status::NotChecked
    }
}

pub(super) type Judged = (Status, MoqFinding, Option<Duration>);

/// Presences by nest, or why there are none.
pub(super) type Heard = Result<HashMap<Coordinate, Presences>, String>;

type Asked<'a, T> = Shared<BoxFuture<'a, Arc<T>>>;

/// Looks at many nests: relays are asked once for all of them who is present, and each server once whether it answers.
pub(super) struct Looks<'a> {
    job: &'a Job<'a>,
    heard: Asked<'a, Heard>,
    parts: HashMap<(Option<String>, Option<String>), Asked<'a, MoqParts>>,
    places: Arc<Semaphore>,
}

impl<'a> Looks<'a> {
    /// `relays` are those of the host, or of the nest.
    pub fn new(job: &'a Job<'a>, relays: Relays, nests: &[&FetchedEvent]) -> Self {
        let nests = nests.iter().map(|nest| nest.event.coordinate()).collect();
        let heard = async move { Arc::new(presences(&relays, nests).await) };
        let places = Arc::new(Semaphore::new(job.settings.jobs));
        Self { job, heard: heard.boxed().shared(), parts: HashMap::new(), places }
    }

    pub fn at(&mut self, event: &RoomEvent) -> impl Future<Output = MoqLook> + Send + use<'a> {
        let media = event.media_over_quic().unwrap_or(MediaOverQuic { relay: None, auth: None });
        let named = (media.relay.map(str::to_owned), media.auth.map(str::to_owned));
        let (job, places) = (self.job, self.places.clone());
        let ask = |(relay, auth): (Option<String>, Option<String>)| {
            let parts = async move {
                let _place = places.acquire().await;
                Arc::new(parts(job, relay.as_deref(), auth.as_deref()).await)
            };
            parts.boxed().shared()
        };
        let parts = self.parts.entry(named.clone()).or_insert_with(|| ask(named)).clone();
        let (heard, event) = (self.heard.clone(), event.clone());
        async move {
            let (heard, parts) = join(heard, parts).await;
            MoqLook::new(&event, &heard, (*parts).clone())
        }
    }
}

impl MoqLook {
    pub(super) fn new(event: &RoomEvent, heard: &Heard, parts: MoqParts) -> Self {
        let (presences, unheard) = match heard {
            Ok(heard) => (heard.get(&event.coordinate()).cloned().unwrap_or_default(), None),
            Err(why) => (Presences::default(), Some(why.clone())),
        };
        Self { shown: shown(event, &presences, Clock::default().now_s()), presences, unheard, parts }
    }

    pub(super) fn report(self, event: &RoomEvent) -> MoqReport {
        let hidden = self.shown.iter().all(|shown| shown.hidden.is_some());
        let listed = match hidden {
            _ if event.is_planned(Clock::default().now_s()) => Status::Passed,
            true if self.depends_on_presences() => Status::NotChecked,
            true => Status::Warned,
            false => Status::Passed,
        };
        let shown = (listed, MoqFinding::Shown(self.shown, self.unheard), None);
        let spoken = (Status::NotChecked, MoqFinding::NotSpoken, None);
        let [relay, auth] = self.parts.steps();
        let steps = vec![step("event", event_step(event)), step("clients", shown), relay, auth, step("media", spoken)];
        let verdict = match () {
            () if steps.iter().any(|step| step.status == Status::Failed) => Verdict::Unhealthy,
            () if steps.iter().any(Step::had_no_time) => Verdict::Unknown,
            () => Verdict::Joinable,
        };
        MoqReport { verdict, endpoint: event.media_over_quic().and_then(|media| media.relay).map(str::to_owned), steps }
    }
}

fn step(name: &'static str, (status, finding, elapsed): Judged) -> Step<MoqFinding> {
    Step { name, status, elapsed, finding }
}

pub(super) fn shown(event: &RoomEvent, presences: &Presences, now_s: i64) -> Vec<Shown> {
    shown_by(event, presences, now_s).into_iter().map(|(client, hidden)| Shown { client, hidden }).collect()
}

impl Job<'_> {
    /// Looks at one nest.
    pub(super) async fn look_over_quic(&self, event: &FetchedEvent) -> MoqLook {
        Looks::new(self, self.relays_of(event), &[event]).at(&event.event).await
    }

    /// The token with which `key` speaks in a nest.
    pub(super) async fn publish_token(
        &self,
        event: &FetchedEvent,
        auth: &Url,
        key: &HostKey,
        reporter: &RoomReporter<'_>,
    ) -> Result<AuthReply, Error> {
        let trusted_path = auth.scheme() == "https" || is_loopback(auth);
        let requests = SignedRequests::new(&self.client, key, self.settings.retry, reporter, trusted_path);
        let asked = auth::publish_token(&requests, auth, &event.event.coordinate(), key.public_key()).await;
        // Nothing is changed by that.
        reporter.advance(Progress::NothingSent);
        Ok(asked.map_err(Arc::new)?)
    }

    /// The relays to ask about a nest whose event is known: those that were given, or else where it is.
    pub(super) fn relays_of(&self, event: &FetchedEvent) -> Relays {
        let relays = self.relays(&event.event.reference(), Some(event.event.host()));
        self.relays_of_all(relays, &[event])
    }

    /// The relays to publish to in such a nest: where it is, and those that were asked for it.
    pub(super) fn publishing_relays(&self, event: &FetchedEvent, key: &HostKey) -> Relays {
        self.home_relays(event, key).also(self.relays_of(event).list().to_vec())
    }

    /// These relays, and those where these nests are, unless relays were given.
    pub(super) fn relays_of_all(&self, relays: Relays, nests: &[&FetchedEvent]) -> Relays {
        let given = !self.settings.relays.given.is_empty();
        let homes = nests.iter().flat_map(|nest| nest.homes()).take(if given { 0 } else { RELAYS_MAX });
        relays.also(homes.collect::<Vec<_>>())
    }
}

/// Who is in these nests, and who was within a day.
pub(super) async fn presences(relays: &Relays, nests: Vec<Coordinate>) -> Heard {
    let filter =
        Filter::new().kind(Kind::from(PRESENCE_KIND)).since(Timestamp::now() - REMEMBERED).limit(PRESENCES_MAX);
    let filter = nests.iter().fold(filter, Filter::coordinate);
    let now_s = Clock::default().now_s();
    let mut heard: HashMap<_, _> = nests.into_iter().map(|nest| (nest, Presences::default())).collect();
    let mut latest: HashMap<_, Presence> = HashMap::new();
    for event in relays.stored(&[filter], Some(GRACE)).await.map_err(|error| error.to_string())? {
        let Some(presence) = Presence::read(&event) else { continue };
        if latest.get(&presence.who).is_none_or(|known| known.at_s < presence.at_s) {
            latest.insert(presence.who, presence);
        }
    }
    // Somebody is in one nest at a time.
    for presence in latest.into_values() {
        if let Some(presences) = heard.get_mut(&presence.nest) {
            presences.enter(presence, now_s);
        }
    }
    Ok(heard)
}

/// Asks the relay and its auth service.
pub(super) async fn parts(job: &Job<'_>, relay: Option<&str>, auth: Option<&str>) -> MoqParts {
    let (client, allow_http) = (&job.client, job.settings.allow_http);
    let limit = LIMIT.min(client.network().timeout);
    let reach = &client.network().reach;
    let (relay, auth) = join(relay_step(relay, reach, limit), auth_step(auth, client, allow_http, limit)).await;
    MoqParts { relay, auth }
}

fn event_step(event: &RoomEvent) -> Judged {
    let over = event.is_over(Clock::default().now_s());
    let status = match event.status().is_open() || event.status() == RoomStatus::Planned {
        _ if over => Status::Failed,
        true => Status::Passed,
        false => Status::Warned,
    };
    (status, MoqFinding::Event { status: event.status().as_str().to_owned(), over }, None)
}

pub(super) async fn relay_step(named: Option<&str>, reach: &Reach, limit: Duration) -> Judged {
    let Some(text) = named else { return (Status::Failed, MoqFinding::NoRelay, None) };
    let url = Url::parse(text).ok();
    let Some((host, port)) = url.as_ref().and_then(|url| Some((url.host_str()?, url.port_or_known_default()?))) else {
        return (Status::Failed, MoqFinding::NoRelayAddress(text.into()), None);
    };
    let answer = quic::ask(host.trim_matches(['[', ']']), port, reach, limit).await;
    let status = match &answer {
        Ok(_) => Status::Passed,
        Err(quic::QuicError::Silent(limit)) if *limit < LIMIT => Status::NotChecked,
        Err(_) => Status::Failed,
    };
    let elapsed = answer.as_ref().ok().map(|answer| answer.elapsed);
    (status, MoqFinding::Relay { relay: text.into(), port, answer: answer.map_err(Arc::new) }, elapsed)
}

/// The address of an auth service, or what stands against using it.
pub(super) fn auth_address(named: Option<&str>, allow_http: bool) -> Result<Url, Judged> {
    let Some(text) = named else { return Err((Status::NotChecked, MoqFinding::NoAuth, None)) };
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let Some(url) = url else { return Err((Status::Failed, MoqFinding::NoAuthAddress(text.into()), None)) };
    if url.scheme() == "http" && !allow_http && !is_loopback(&url) {
        return Err((Status::Failed, MoqFinding::AuthCleartext(text.into()), None));
    }
    Ok(url)
}

async fn auth_step(named: Option<&str>, client: &HttpClient, allow_http: bool, limit: Duration) -> Judged {
    let url = match auth_address(named, allow_http) {
        Ok(url) => url,
        Err(judged) => return judged,
    };
    let started = tokio::time::Instant::now();
    let answer = client.send(HttpRequest::get(&auth::keys_url(&url)).within(limit)).await.map(|reply| reply.status);
    let elapsed = started.elapsed();
    let status = match &answer {
        // Another kind of service may keep its keys elsewhere.
        Ok(..500) => Status::Passed,
        Err(_) if limit < LIMIT && elapsed >= limit => Status::NotChecked,
        _ => Status::Failed,
    };
    let elapsed = (status == Status::Passed).then_some(elapsed);
    (status, MoqFinding::Auth(named.unwrap_or_default().to_owned(), answer), elapsed)
}
