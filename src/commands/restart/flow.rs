//! One room's way from its name to a nest that is back, in four phases: prepare, send, conclude, prove.
//!
//! ```text
//! prepare   API, lock, key; whether it runs; the question to a person     nothing has been sent
//! send      sign, POST, repeat where that is safe                         from here on it may have restarted
//! conclude  what the answer means; without one, look for proof            restarted, or an error
//! prove     ask LiveKit for the room (and close the old one, if that is wanted), or join the new session and renew it; put the event right
//! ```

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use futures_util::future::{Either, join, join3, select};
use nostr::PublicKey;
use reqwest::Method;
use serde_json::json;

use super::proof::RestartProof;
use super::{Evidence, PlannedRestart, RequestedServers, RestartOutcome, RestartRequest, Restarted};
use crate::api::probe::{Health, presence};
use crate::api::wire::{Info, Session};
use crate::api::{ApiError, ApiUrl, Probe, RoomId, SignedClient, SignedReply, TransportError};
use crate::clock::{self, Clock};
use crate::commands::open::known_page;
use crate::commands::publish::publish;
use crate::commands::target::Target;
use crate::commands::{Error, FOLLOW_UP_LIMIT, HalfDone, Job, NestKind, Stop, check, token};
use crate::key::HostKey;
use crate::livekit::check::Keeping;
use crate::livekit::{CheckReport, Finding, Offset, Verdict, token as jwt, validate};
use crate::lock::{Departure, RoomLock};
use crate::relay::{self, FetchedEvent};
use crate::reporter::{NonInteractive, Question, RoomReporter, Stage, Warning};
use crate::room::RoomRef;
use crate::secret::{MASK, Secret, scrub};

/// The longest that a restart waits for another one of the same room.
const LOCK_WAIT: Duration = Duration::from_mins(5);

/// The longest that a restart that is done waits for the nest's title.
const TITLE_WAIT: Duration = Duration::from_millis(300);

/// The restart of one room.
pub(super) struct RoomRestart<'a> {
    pub(super) job: &'a Job<'a>,
    pub(super) request: &'a RestartRequest,
    pub(super) room: &'a RoomRef,
    pub(super) reporter: &'a RoomReporter<'a>,
    pub(super) since: Instant,
    /// Once it is done: an interruption of the proof does not lose it.
    restarted: &'a Mutex<Option<Restarted>>,
    /// The stay of a check that keeps the nest open.
    pub(super) keeping: &'a Keeping,
}

/// What the restart of one room begins with.
enum Prepared {
    /// Nothing has to be sent: it runs, or only the plan was asked for.
    Nothing(Box<RestartOutcome>),
    /// Its event says that it runs on Media over QUIC, or it is to be moved there.
    OverQuic(Box<FetchedEvent>),
    Ready(Box<Ready>),
}

pub(super) struct Ready {
    pub(super) target: Target,
    pub(super) key: Arc<HostKey>,
    /// Held until the end.
    lock: Option<RoomLock>,
    /// `None`: nobody has asked.
    was_running: Option<bool>,
}

impl Ready {
    /// Remembers the SID of the nest's room for the next restart, and for `status` whether a check has left it empty.
    pub(super) fn remember(&self, sid: &str, left: Option<Departure>, reporter: &RoomReporter<'_>) {
        if let Some(Err(error)) = self.lock.as_ref().map(|lock| lock.remember(sid, left)) {
            reporter.detail(1, &format!("cannot remember the SID: {error}"));
        }
    }
}

/// Restarts a room, unless it is interrupted: then it says how far it has come.
pub(crate) async fn restart_room(
    job: &Job<'_>,
    request: &RestartRequest,
    room: &RoomRef,
    stop: &Stop,
) -> Result<RestartOutcome, Error> {
    let (reporter, restarted) = (RoomReporter::new(job.reporter, room.id.as_str()), Mutex::new(None));
    let (since, keeping) = (Instant::now(), Keeping::default());
    let flow = RoomRestart { job, request, room, reporter: &reporter, since, restarted: &restarted, keeping: &keeping };
    tokio::select! {
        biased;
        done = flow.run() => done,
        signal = stop.requested_beyond(&keeping) => {
            let done = restarted.lock().unwrap_or_else(PoisonError::into_inner).take().map(Box::new);
            Err(Error::Interrupted { signal, progress: reporter.progress(), done })
        }
    }
}

impl RoomRestart<'_> {
    async fn run(&self) -> Result<RestartOutcome, Error> {
        let prepared = match self.prepare().await {
            Err(Error::OverQuic(event)) => Prepared::OverQuic(event),
            prepared => prepared?,
        };
        let (done, event) = match prepared {
            Prepared::Nothing(done) => (Ok(*done), None),
            Prepared::OverQuic(event) => (Box::pin(self.over_quic((*event).clone())).await, Some(*event)),
            Prepared::Ready(ready) => {
                let (target, host) = (ready.target.clone(), ready.key.public_key());
                beside(Box::pin(self.restart(*ready)), Box::pin(self.titled(target, host))).await
            }
        };
        self.named(done, event.as_ref())
    }

    /// The nest's event, if a relay that is known has it: for its title and its link.
    async fn titled(&self, target: Target, host: PublicKey) -> Option<FetchedEvent> {
        let known = self.job.knows_relays(self.room, host);
        if target.event.is_some() || !known || !self.request.titled {
            return target.event;
        }
        let quiet = NonInteractive { reporter: self.job.reporter, warnings: false };
        self.job.reporting_to(&quiet).event_of(self.room, host).await.ok()
    }

    /// With what people call the nest, and where they find it.
    fn named(
        &self,
        mut done: Result<RestartOutcome, Error>,
        event: Option<&FetchedEvent>,
    ) -> Result<RestartOutcome, Error> {
        if let Some(restarted) = restarted_in(&mut done) {
            let key = restarted.host.as_deref().and_then(|host| PublicKey::from_hex(host).ok());
            let room = RoomRef { host: self.room.host.or(key), ..self.room.clone() };
            let api = restarted.api.as_deref().and_then(|api| ApiUrl::parse(api).ok());
            let told = event.map(|event| &event.event);
            restarted.title = told.and_then(|event| event.title().map(str::to_owned));
            let own = api.as_ref().and_then(|api| self.job.page(&room, told, api));
            restarted.link = own.or_else(|| known_page(&room, event, api.as_ref()));
        }
        done
    }

    async fn restart(&self, ready: Ready) -> Result<RestartOutcome, Error> {
        let client = self.job.signed(&ready.target.api, &ready.key, self.reporter);
        // Meanwhile what the proof needs; a restart that is done first waits no longer than the proof may take.
        let known = Box::pin(self.prepare_proof(&ready.target, self.asks_for_room()));
        let (sent, known) = match select(Box::pin(client.restart(&self.room.id)), known).await {
            Either::Left((sent, known)) => (sent, Either::Left(known)),
            Either::Right((known, sending)) => (sending.await, Either::Right(std::future::ready(known))),
        };
        let sent = sent.map_err(Arc::new)?;
        let restart = check::RestartTimes::of(&sent);
        let mut restarted = match self.conclude(&client, &ready, sent).await {
            // The API never had it: only its event says where it runs.
            Err(Error::OverQuic(event)) => return Box::pin(self.over_quic(*event)).await,
            concluded => concluded?,
        };
        let over = ready.target.event.as_ref().filter(|event| event.event.is_over(Clock::default().now_s()));
        if let Some(event) = over.filter(|_| !self.request.publish_status) {
            self.reporter.warn(Warning::EventIsOver { status: event.event.status().as_str().to_owned() });
        }
        let told = restarted.told.as_ref().and_then(|told| told.sid_before.clone());
        restarted.sid_before = told.or_else(|| ready.lock.as_ref().and_then(RoomLock::last_sid));
        restarted = self.finished(restarted);
        self.note_done(Some(&restarted));
        self.prove(&client, &ready, known, restart, restarted).await
    }

    /// What is reported of an interruption from here on.
    pub(super) fn note_done(&self, restarted: Option<&Restarted>) {
        *self.restarted.lock().unwrap_or_else(PoisonError::into_inner) = restarted.cloned();
    }

    /// Whether LiveKit is asked for the room: a check finds out itself whether it is a new one, but joins it for that.
    fn asks_for_room(&self) -> bool {
        self.request.check.is_none() || self.request.evict
    }

    /// Everything that is found out before something is sent.
    async fn prepare(&self) -> Result<Prepared, Error> {
        let Self { job, request, room, reporter, .. } = *self;
        if request.servers != RequestedServers::default() {
            let host = job.host_key(room).await?.public_key();
            return Ok(Prepared::OverQuic(Box::new(job.event_of(room, host).await?)));
        }
        let target = job.target(room).await?;
        let wait = self.lock_wait();
        let (mut lock, mut was_running) = (None, None);
        if request.if_inactive {
            if !request.dry_run {
                // Whoever else restarts this nest right now has to be done: what is seen has to hold until the end.
                lock = job.lock(&target.api, &room.id, wait, reporter).await?;
            }
            reporter.step(Stage::Look);
            let guest = job.probe(&target.api).guest(&room.id).await.result;
            match presence(guest) {
                Ok(true) => return self.already_running(target).await,
                Ok(false) => {}
                Err(error) => {
                    job.absent(&target, None, &error).await?;
                    return Err(Error::NotRestarted(error));
                }
            }
            was_running = Some(false);
        }
        reporter.step(Stage::Key);
        let key = job.host_key(room).await?;
        if request.dry_run {
            let planned = planned(&target, &job.signed(&target.api, &key, reporter));
            return Ok(Prepared::Nothing(Box::new(RestartOutcome::Planned(planned))));
        }
        if !request.if_inactive {
            lock = job.lock(&target.api, &room.id, wait, reporter).await?;
        }
        self.confirm(&target).await?;
        Ok(Prepared::Ready(Box::new(Ready { target, key, lock, was_running })))
    }

    /// Nothing is sent for a nest that runs; its event may have to be put right all the same.
    async fn already_running(&self, target: Target) -> Result<Prepared, Error> {
        let mut found = self.finished(self.blank(Some(&target), Evidence::Running));
        if self.request.publish_status {
            let key = self.job.key_of(self.room.host).await?;
            self.publish_status(&key, target.event, &mut found).await?;
        }
        Ok(Prepared::Nothing(Box::new(RestartOutcome::Restarted(Box::new(self.finished(found))))))
    }

    pub(super) fn lock_wait(&self) -> Duration {
        if self.request.no_wait { Duration::ZERO } else { LOCK_WAIT }
    }

    /// With a person there and people in the nest: whether to throw them out.
    async fn confirm(&self, target: &Target) -> Result<(), Error> {
        if self.request.yes || !self.job.settings.interactive {
            return Ok(());
        }
        self.reporter.step(Stage::Look);
        self.confirm_people(self.job.people_inside(&target.api, &self.room.id).await).await
    }

    pub(super) async fn confirm_people(&self, people: u64) -> Result<(), Error> {
        let ask = people > 0 && self.job.settings.interactive && !self.request.yes;
        if ask && self.reporter.confirm(Question::Restart { people }).await != Some(true) {
            return Err(Error::Declined);
        }
        Ok(())
    }

    /// What the last answer means, and what else there is to find out.
    pub(super) async fn conclude(
        &self,
        client: &SignedClient<'_>,
        ready: &Ready,
        sent: SignedReply<(Session, Secret)>,
    ) -> Result<Restarted, Error> {
        let SignedReply { result, not_done, attempts, sent_ms, .. } = sent;
        let probe = self.job.probe(&ready.target.api);
        let host = Some(ready.key.public_key().to_hex());
        let restarted = Restarted { host, attempts, ..self.blank(Some(&ready.target), Evidence::Seen) };
        let error = match result {
            Ok((session, token)) => return Ok(restarted.with_session(session, token)),
            Err(error) => error,
        };
        let absent = self.job.absent(&ready.target, Some(ready.key.public_key()), &error);
        match &error {
            ApiError::Transport(TransportError::Unanswered(why)) => {
                self.reporter.step(Stage::Look);
                self.reporter.detail(1, &format!("{why}; looking whether it was restarted"));
                if !restart_was_seen(&probe, &self.room.id, ready.was_running, sent_ms).await {
                    absent.await?;
                    return Err(Error::Unknown { why: why.clone() });
                }
                let token = client.token(&self.room.id).await;
                let token = token.map_err(|error| HalfDone::Restarted.unless_signed(Arc::new(error).into()))?;
                let token = token.result.map_err(Error::NoToken)?;
                self.reporter.warn(Warning::AnswerLost { why: why.clone() });
                return Ok(restarted.with_token(token));
            }
            ApiError::Forbidden { .. } => {
                return Err(self.job.not_host(&ready.target.api, &self.room.id, ready.key.public_key()).await);
            }
            ApiError::Server { status: 500.., .. } => {
                let (absent, signs) = join(absent, server_signs(self.job, &ready.target.api, &self.room.id)).await;
                absent?;
                return Err(Error::Server { source: error, attempts, signs: Box::new(signs) });
            }
            _ => absent.await?,
        }
        Err(if not_done { Error::NotRestarted(error) } else { error.into() })
    }

    /// That the room is new, or the connection check; and the event, as far as that was asked for.
    async fn prove(
        &self,
        client: &SignedClient<'_>,
        ready: &Ready,
        known: impl Future<Output = Option<Info>>,
        mut restart: check::RestartTimes,
        mut restarted: Restarted,
    ) -> Result<RestartOutcome, Error> {
        if self.asks_for_room() {
            let known = known.shared();
            restarted = self.proven(ready, known.clone(), restart.here, restarted).await;
            if self.request.evict && restarted.proof == Some(RestartProof::OldRoom) {
                let info = known.await;
                if let Some((after, times)) = self.evicted(client, ready, info.as_ref(), &restarted).await? {
                    restart = times;
                    restarted = self.proven(ready, std::future::ready(info), restart.here, after).await;
                }
            }
        }
        let well = if let Some(options) = self.request.check {
            let report =
                check::restarted_session(self.job, options, &ready.target, &restarted, (restart, self.keeping)).await;
            let remember = |report: &CheckReport| {
                if let Some(room) = &report.room {
                    ready.remember(&room.sid, check::departure(report), self.reporter);
                }
            };
            remember(&report);
            restarted.closes_at = report.room.as_ref().and_then(|room| room.closes_at.clone());
            restarted.proof = Some(RestartProof::of_check(&report));
            let verdict = report.verdict;
            let no_token = report.steps.iter().any(|step| matches!(step.finding, Finding::NoTokenToJoin(_)));
            restarted.check = Some(report);
            if verdict == Verdict::Unknown && no_token {
                // Perhaps because there is no room: LiveKit knows.
                let info = self.prepare_proof(&ready.target, true).await;
                restarted = self.proven(ready, std::future::ready(info), restart.here, restarted).await;
            }
            restarted = self.renewed(client, ready, restarted).await?;
            if let (None, Some(report)) = (&restarted.renewed_as, &restarted.check) {
                remember(report);
            }
            verdict == Verdict::Joinable
        } else {
            !matches!(restarted.proof, Some(RestartProof::OldRoom | RestartProof::NoRoom))
        };
        restarted = self.finished(restarted);
        if !well {
            return Err(Error::Unhealthy(Box::new(restarted)));
        }
        if self.request.publish_status {
            self.publish_status(&ready.key, ready.target.event.clone(), &mut restarted).await?;
        }
        Ok(RestartOutcome::Restarted(Box::new(restarted)))
    }

    /// Web clients believe the event: it is made to say that the nest is open, and where. Its failure loses no restart.
    async fn publish_status(
        &self,
        key: &HostKey,
        event: Option<relay::FetchedEvent>,
        restarted: &mut Restarted,
    ) -> Result<(), Error> {
        self.reporter.step(Stage::Publish);
        let published = async {
            let event = match event {
                Some(event) => event,
                None => self.job.event_of(self.room, key.public_key()).await?,
            };
            let Some(next) = as_restarted(&event, &restarted.endpoints) else {
                self.reporter.detail(1, "the event is right as it is");
                return Ok(None);
            };
            let relays = self.job.home_relays(&event, key);
            Ok(Some(publish(next.build(), key, &relays, self.job.reporter).await?.1))
        };
        let failed = |refused| Error::NotPublished { refused, done: Some(Box::new(restarted.clone())) };
        restarted.published = published.await.map_err(|error| match error {
            Error::NotPublished { refused, .. } => failed(refused),
            error @ (Error::NoEvent { .. } | Error::Relays(_)) => failed(vec![error.to_string()]),
            Error::Key(error) => failed(vec![error.told()]),
            other => other,
        })?;
        Ok(())
    }

    pub(super) fn blank(&self, target: Option<&Target>, evidence: Evidence) -> Restarted {
        Restarted {
            kind: NestKind::LiveKit,
            room_id: self.room.id.to_string(),
            endpoints: Vec::new(),
            token: None,
            evidence,
            api: target.map(|target| target.api.to_string()),
            auth: None,
            host: None,
            title: None,
            link: None,
            attempts: 0,
            elapsed_ms: 0,
            expires_at: None,
            closes_at: None,
            warnings: Vec::new(),
            published: None,
            check: None,
            proof: None,
            renewed_as: None,
            sid_before: None,
            room: None,
            told: None,
            shown: Vec::new(),
            over_quic: None,
        }
    }

    pub(super) fn finished(&self, restarted: Restarted) -> Restarted {
        let warnings = [restarted.warnings, self.reporter.take_warnings()].concat();
        Restarted { elapsed_ms: clock::millis(self.since.elapsed()), warnings, ..restarted }
    }
}

/// What `work` comes to, and what `title` has found until then, or a little later.
async fn beside(
    work: impl Future<Output = Result<RestartOutcome, Error>> + Unpin,
    title: impl Future<Output = Option<FetchedEvent>> + Unpin,
) -> (Result<RestartOutcome, Error>, Option<FetchedEvent>) {
    match select(work, title).await {
        Either::Left((mut done, title)) => {
            let wait = if restarted_in(&mut done).is_some() { TITLE_WAIT } else { Duration::ZERO };
            (done, tokio::time::timeout(wait, title).await.ok().flatten())
        }
        Either::Right((event, work)) => (work.await, event),
    }
}

fn restarted_in(done: &mut Result<RestartOutcome, Error>) -> Option<&mut Restarted> {
    match done {
        Ok(RestartOutcome::Restarted(restarted)) | Err(Error::Unhealthy(restarted)) => Some(restarted),
        Err(Error::NotPublished { done, .. }) => done.as_deref_mut(),
        _ => None,
    }
}

impl Restarted {
    fn with_token(self, token: Secret) -> Self {
        let expires_at = jwt::decode(token.expose()).ok().as_ref().and_then(token::expires_at);
        Self { expires_at, token: Some(token), ..self }
    }

    /// With what the API has answered.
    pub(super) fn with_session(self, session: Session, token: Secret) -> Self {
        let endpoints = session.endpoints.iter().map(|text| scrub(text).into_owned()).collect();
        let evidence = Evidence::Answer(scrub(&session.message.unwrap_or_default()).into_owned());
        Self { endpoints, evidence, told: session.room, ..self.with_token(token) }
    }
}

/// The event as it should be: open since now unless it is planned for later, with the endpoints that the API returned.
/// `None` if it is so already.
fn as_restarted(room: &relay::FetchedEvent, endpoints: &[String]) -> Option<relay::Rewrite> {
    let (event, clock) = (&room.event, Clock::default());
    let now = clock.now_s();
    let due = event.is_planned(now) && event.starts().is_none_or(|at| at <= now);
    let over = event.is_over(now) || due;
    let moved = !endpoints.is_empty() && event.streaming() != endpoints;
    let next = event.rewrite(clock);
    let next = if moved { next.set_streaming(endpoints.iter().map(String::as_str)) } else { next };
    (over || moved).then(|| next.set_open())
}

/// What would be sent, with everything that makes it valid masked.
fn planned(Target { room, api, .. }: &Target, client: &SignedClient<'_>) -> PlannedRestart {
    let url = api.restart(&room.id);
    let mut event = json!(client.event(&Method::POST, &url, None));
    event["sig"] = json!(MASK);
    PlannedRestart {
        room_id: room.id.to_string(),
        method: "POST".into(),
        url: url.to_string(),
        headers: vec![("authorization", format!("Nostr {MASK}")), ("content-length", "0".into())],
        event,
    }
}

/// When to look, counted from the last look: a server that hung may finish a little later.
const PAUSES: [Duration; 4] =
    [Duration::ZERO, Duration::from_millis(700), Duration::from_millis(1500), Duration::from_secs(3)];

/// The limit of one question.
const PROBE_LIMIT: Duration = Duration::from_secs(3);

/// The limit of all of them together.
const PROOF_LIMIT: Duration = Duration::from_secs(10);

/// Whether there is proof that the room was restarted: it was inactive before and runs now, or it says itself that it
/// was restarted after `sent_ms` (of the clock here). Looks several times; the absence of proof proves nothing.
async fn restart_was_seen(probe: &Probe<'_>, id: &RoomId, was_running: Option<bool>, sent_ms: i64) -> bool {
    let limit = probe.limit().min(PROOF_LIMIT);
    let probe = probe.within(PROBE_LIMIT);
    let looking = async {
        for pause in PAUSES {
            tokio::time::sleep(pause).await;
            let (guest, info) = join(probe.guest(id), probe.info(id)).await;
            let restarted_at = info.result.ok().and_then(|info| info.restarted_at);
            let says_so = restarted_at.is_some_and(|at| Offset::same_or(info.clock).here(at, 1).from_ms >= sent_ms);
            if guest.result.is_ok() && (was_running == Some(false) || says_so) {
                return true;
            }
        }
        false
    };
    tokio::time::timeout(limit, looking).await.unwrap_or(false)
}

/// What can be seen of a server that failed.
#[derive(Debug)]
pub struct ServerSigns {
    /// What its own `/health` says; of Redis and LiveKit only `nest serve` says something.
    pub health: Result<Health, ApiError>,
    /// Whether it gives out tokens for the room.
    pub audio_room: Result<bool, ApiError>,
    /// The usual place of the media server, and what answers there; `None` where nobody says where it is.
    pub media: Option<(String, Result<(), validate::ValidateError>)>,
}

/// Asks the API and its media server side by side.
async fn server_signs(job: &Job<'_>, api: &ApiUrl, id: &RoomId) -> ServerSigns {
    let probe = job.probe(api).within(FOLLOW_UP_LIMIT);
    let candidate = job.candidates(&[], None, api).into_iter().next();
    let media = async {
        let candidate = candidate?;
        let answer = validate::ask(job.client.http(), &candidate, None, FOLLOW_UP_LIMIT, Clock::default()).await;
        Some((candidate.as_str().to_owned(), answer.map(drop)))
    };
    let (health, guest, media) = join3(probe.health(), probe.guest(id), media).await;
    ServerSigns { health: health.result, audio_room: presence(guest.result), media }
}
