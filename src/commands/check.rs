//! The connection check: of a nest as a listener meets it, of a session that a restart gave out, of any LiveKit server.

use std::time::Duration;

use nostr::PublicKey;
use tokio::time::Instant;

use super::moq::MoqReport;
use super::present::HostPresence;
use super::restart::{self, RestartOutcome, RestartProof, Restarted};
use super::target::{EventAndApi, Target};
use super::{Error, FOLLOW_UP_LIMIT, Job, Stop, token};
use crate::api::{self, ApiUrl, HttpClient, Missing, NestProbe, Probe, SignedReply};
use crate::clock::Clock;
use crate::livekit::check::{Check, Joining, Keeping, Tools, run as run_check};
use crate::livekit::endpoint::{self, Candidate, Hints};
use crate::livekit::room_service::RoomService;
use crate::livekit::token as jwt;
use crate::livekit::{self, CheckReport, Offset, Preconnect, Transport, Verdict};
use crate::lock::Departure;
use crate::relay;
use crate::reporter::{Question, Reporter, RoomReporter, Stage, Warning};
use crate::room::{RoomId, RoomRef};
use crate::secret::Secret;

/// How long LiveKit may take to say who is inside.
const LIVEKIT_LIMIT: Duration = Duration::from_secs(1);

/// How long it may take to ask the first question.
const SLACK: Duration = Duration::from_millis(100);

/// How a nest is to be joined, and for how long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CheckOptions {
    pub hold: Option<Duration>,
    /// Stay as a listener until somebody else is inside, at most for the time of `hold`, if there is one.
    pub keep: bool,
    /// Join with the host's token; ejects a host who is connected elsewhere.
    pub as_host: bool,
    /// Join an empty nest too, although that shortens its life.
    pub join: bool,
    /// Join, but try no audio.
    pub signal_only: bool,
    /// The one way that audio is to take; any, if there is none.
    pub transport: Option<Transport>,
    /// Be audibly silent for a second, if the token that joins may speak.
    pub publish: bool,
}

/// What a check came to.
#[derive(Debug)]
pub struct Checked {
    /// The nest; what the token says, for a session without one.
    pub room: String,
    /// Whose nest it is, where that is known; absent if people cannot join and it is that of the key at hand.
    pub host: Option<PublicKey>,
    pub report: Report,
    /// The restart after it, of a nest that was kept open and left empty.
    pub renewed: Option<Box<Restarted>>,
}

/// What was seen of whatever carries the sound of a nest.
#[derive(Debug)]
pub enum Report {
    /// LiveKit was joined, or at least tried.
    LiveKit(Box<CheckReport>),
    /// What listeners need is there, or not: a nest on Media over QUIC is not joined.
    OverQuic(MoqReport),
}

impl Report {
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::LiveKit(report) => report.verdict,
            Self::OverQuic(report) => report.verdict,
        }
    }
}

/// A nest without anything to join, or whose API does not say.
#[derive(Debug)]
pub struct Unavailable {
    pub source: api::ApiError,
    /// Whose nest it is, where that is known.
    pub host: Option<PublicKey>,
    /// Whether it is the nest of the key that is at hand.
    pub ours: bool,
    /// What the event says, if it says that the nest is over.
    pub over: Option<String>,
    /// What the API's `/health` says is down.
    pub down: Option<&'static str>,
}

/// What came of it.
#[derive(Debug)]
pub enum CheckOutcome {
    Joinable(Box<Checked>),
    /// There was no audio room; a person wanted a restart, and the new session can be joined.
    Restarted(Box<Restarted>),
}

/// Checks a nest as a listener would. Offers the restart of an inactive one to a person who has its host's key.
///
/// # Errors
/// See [`Error`]; those of a restart only if one was wanted.
pub async fn run(job: &Job<'_>, room: &RoomRef, options: CheckOptions, stop: &Stop) -> Result<CheckOutcome, Error> {
    let keeping = Keeping::default();
    match stop.unless_beyond(&keeping, Box::pin(nest(job, room, options, &keeping))).await {
        Err(Error::Unavailable(why)) if why.can_be_restarted() && job.settings.interactive => {
            let answer = stop.unless(async { Ok(job.reporter.confirm(Question::RestartInactive).await) }).await?;
            if answer == Some(true) {
                Box::pin(restarted(job, room, options, stop)).await
            } else {
                Err(Error::Unavailable(why))
            }
        }
        Ok(checked) if options.keep => Ok(CheckOutcome::Joinable(Box::new(renewed(job, room, checked, stop).await?))),
        other => other.map(|checked| CheckOutcome::Joinable(Box::new(checked))),
    }
}

impl Unavailable {
    /// A restart by the key at hand would bring it back.
    pub fn can_be_restarted(&self) -> bool {
        self.ours && matches!(self.source, api::ApiError::NotFound { missing: Missing::AudioRoom, .. })
    }
}

async fn restarted(job: &Job<'_>, room: &RoomRef, options: CheckOptions, stop: &Stop) -> Result<CheckOutcome, Error> {
    // Nobody is inside, and the question was asked already.
    let request = restart::RestartRequest { check: Some(options), titled: true, yes: true, ..Default::default() };
    match restart::restart_room(job, &request, room, stop).await? {
        RestartOutcome::Restarted(restarted) => Ok(CheckOutcome::Restarted(restarted)),
        RestartOutcome::Planned(_) => Err(Error::Declined),
    }
}

/// A nest that was kept open, and to which nobody came, gets a new room, if it is ours and LiveKit says that it is empty.
/// Otherwise it closes when the check says.
async fn renewed(job: &Job<'_>, room: &RoomRef, mut checked: Checked, stop: &Stop) -> Result<Checked, Error> {
    let Report::LiveKit(report) = &mut checked.report else { return Ok(checked) };
    let Some(closes_ms) = report.closes_at_ms.filter(|_| report.verdict == Verdict::Joinable) else {
        return Ok(checked);
    };
    // The Ctrl-C that has ended the stay is not one that interrupts this.
    let stop = &stop.later();
    let host = checked.host;
    if !stop.unless(async { Ok(is_ours(job, host).await) }).await? {
        return Ok(checked);
    }
    let why = match stop.unless(async { Ok(is_empty(job, room, report).await) }).await? {
        Ok(false) => {
            report.outlived();
            return Ok(checked);
        }
        Ok(true) => {
            let request = restart::RestartRequest { yes: true, ..Default::default() };
            match restart::restart_room(job, &request, room, stop).await {
                Ok(RestartOutcome::Restarted(restarted)) if restarted.proof == Some(RestartProof::Fresh) => {
                    report.outlived();
                    checked.renewed = Some(restarted);
                    return Ok(checked);
                }
                Ok(_) => "nothing proves that its room is a new one".into(),
                Err(Error::Unhealthy(restarted)) if restarted.proof == Some(RestartProof::OldRoom) => {
                    "the server says that it was, and the room is still the same".into()
                }
                Err(error) => return Err(error),
            }
        }
        Err(why) => why,
    };
    job.reporter.warning(&Warning::NotRenewed { why, closes_ms });
    Ok(checked)
}

/// Whether nobody is in the nest that a check has left: LiveKit says it to the host.
async fn is_empty(job: &Job<'_>, room: &RoomRef, report: &CheckReport) -> Result<bool, String> {
    let asked = async {
        let target = job.target(room).await?;
        let key = job.host_key(room).await?;
        let (token, ..) = token::fetch(job, &target.api, &room.id, &key).await?;
        Ok::<_, Error>(token)
    };
    let token = asked.await.map_err(|error| error.to_string())?;
    was_left_empty(job, &room.id, &token, report).await
}

/// Whether nobody is inside but this check, which LiveKit may list for a moment after it has left.
pub(super) async fn was_left_empty(
    job: &Job<'_>,
    room: &RoomId,
    token: &Secret,
    report: &CheckReport,
) -> Result<bool, String> {
    let candidate = report.joined_at().filter(|candidate| candidate.takes(true));
    let candidate = candidate.ok_or("LiveKit is where no host's token may be sent to ask who is inside")?;
    let service = RoomService { http: job.client.http(), candidate, token, limit: LIVEKIT_LIMIT };
    let inside = service.participants(room.as_str()).await;
    let inside = inside.map_err(|error| format!("who is inside is not known: {error}"))?;
    Ok(inside.iter().all(|someone| Some(&someone.sid) == report.participant_sid.as_ref()))
}

async fn nest(
    interactive: &Job<'_>,
    room: &RoomRef,
    options: CheckOptions,
    keeping: &Keeping,
) -> Result<Checked, Error> {
    let reporter = interactive.without_prompts();
    let job = &interactive.within_one_timeout().reporting_to(&reporter);
    let (client, network) = (&job.client, &job.settings.network);
    let timeout = network.timeout;
    let until = Instant::now() + timeout;
    let left = || until.saturating_duration_since(Instant::now());
    job.reporter.step(room.id.as_str(), Stage::Look);
    // The usual place is dialled while the API is still being asked for a token.
    let ask = |api: ApiUrl| {
        // A limit that is told is the one that was given, not what a busy machine has left of it.
        let limit = Some(left()).filter(|left| *left + SLACK < timeout).unwrap_or(timeout);
        let usual = if options.as_host { Vec::new() } else { job.candidates(&[], None, &api) };
        let preconnect = Preconnect::begin(&usual, false, &network.tls, &network.reach, limit);
        async move {
            let next = |info: Option<api::wire::Info>| async move { job.event_by_record(room, info.as_ref()).await };
            let probe = options.asking(job.probe(&api).within(limit));
            let (probe, by_record) = probe.nest_and(&room.id, next).await;
            (probe, by_record, preconnect)
        }
    };
    let EventAndApi { event, api } = job.event_and_api(room, ask).await?;
    // Nobody has named a relay: that none answers matters only where no endpoint is found without.
    let mut unheard = None;
    let (event, api) = match (event, api) {
        (Ok(None), Ok((api, (probe, Err(error), preconnect)))) if !error.is_absence() => {
            unheard = Some(error.to_string());
            (Ok(None), Ok((api, probe, preconnect)))
        }
        (Ok(None), Ok((api, (probe, by_record, preconnect)))) => (by_record, Ok((api, probe, preconnect))),
        (event, api) => (event, api.map(|(api, (probe, _, preconnect))| (api, probe, preconnect))),
    };
    if let Ok(Some(found)) = &event
        && found.event.media_over_quic().is_some()
    {
        return over_quic(job, room, found, options, keeping).await;
    }
    let (event, (api, probe, preconnect)) = match (event, api) {
        // Without its event nobody names the API: that there is no event is the cause.
        (Err(error), Err(Error::NoApi)) | (_, Err(error)) => return Err(error),
        (event, Ok(found)) => (event, found),
    };
    let nowhere = probe.has_record() == Some(false) && event.as_ref().is_err_and(Error::is_absence);
    let event = event.unwrap_or_else(|error| {
        if !nowhere {
            job.reporter.warning(&Warning::Relays { why: error.to_string() });
        }
        None
    });
    tell(job.reporter, &api, event.as_ref());
    let host = room.host.or(probe.host());
    let people = probe.info.as_ref().map_or(0, |info| info.participant_count);
    let (clock, restarted_at_ms) = (probe.clock, probe.info.as_ref().ok().and_then(|info| info.restarted_at));
    let guest = match audio_room(probe) {
        Ok(guest) => guest,
        Err(source) => {
            let over = event.as_ref().filter(|room| room.event.is_over(Clock::default().now_s()));
            let over = over.map(|room| room.event.status().as_str().to_owned());
            let ours = is_ours(job, host).await;
            let health = job.probe(&api).within(left().min(FOLLOW_UP_LIMIT)).health().await.result;
            let down = health.ok().and_then(|health| health.down());
            if nowhere && down.is_none() && (ours || host.is_none()) {
                return Err(Error::NotKnown);
            }
            return Err(Error::Unavailable(Box::new(Unavailable { source, host, ours, over, down })));
        }
    };
    let told = event.as_ref().is_some_and(|event| !event.event.streaming().is_empty());
    // Before a guess: the API may say it.
    let returned = if told { Vec::new() } else { livekit_of(job, &api, left()).await };
    let candidates = job.candidates(&returned, event.as_ref(), &api);
    // A token that is made for trying costs an empty nest nothing.
    let probing = jwt::decode(guest.expose()).is_ok_and(|claims| claims.is_probe());
    let may_harm = people == 0 && !options.must_join() && !probing;
    let outside = may_harm && interactive.reporter.confirm(Question::JoinEmpty).await != Some(true);
    // What a person needs to answer is not the network's time.
    let until = if may_harm { Instant::now() + job.settings.network.timeout } else { until };
    let left = || until.saturating_duration_since(Instant::now());
    let (preconnect, own) = if options.as_host {
        let preconnect = Preconnect::begin(&candidates, true, &network.tls, &network.reach, left());
        // It was asked for, so a person may be asked for the key.
        let key = interactive.key_of(host).await?;
        (preconnect, Some(token::fetch(interactive, &api, &room.id, &key).await?.0))
    } else {
        (preconnect, None)
    };
    let join = own.as_ref().map_or(Joining { token: &guest, host: false }, |token| Joining { token, host: true });
    let check = Check {
        join: Some(join),
        host_token: own.as_ref(),
        api_clock: clock,
        restarted_at_ms,
        outside,
        keep: options.keep.then_some(keeping),
        ..options.on(room.id.as_str(), &candidates, left())
    };
    let report = carry_out(&check, preconnect.as_ref(), client, job.reporter).await;
    if let (Some(left), Some(seen)) = (departure(&report), &report.room) {
        job.remember_departure(&api, &room.id, &seen.sid, left).await;
    }
    if let Some(why) = unheard.filter(|_| report.endpoint.is_none()) {
        job.reporter.warning(&Warning::Relays { why });
    }
    of_nest(job, room, Report::LiveKit(Box::new(report)), host).await
}

/// What it came to, for a nest; its host is named to others only.
async fn of_nest(job: &Job<'_>, room: &RoomRef, report: Report, host: Option<PublicKey>) -> Result<Checked, Error> {
    let mut result = concluded(report, room.id.as_str(), host);
    if let Err(Error::Unjoinable(checked)) = &mut result
        && is_ours(job, host).await
    {
        checked.host = None;
    }
    result
}

/// Where the API says that its media server is, if it does.
async fn livekit_of(job: &Job<'_>, api: &ApiUrl, limit: Duration) -> Vec<String> {
    let health = job.probe(api).within(limit).health().await.result.ok();
    health.and_then(|health| health.livekit).into_iter().collect()
}

/// That the check has left the nest empty, just now.
pub(super) fn departure(report: &CheckReport) -> Option<Departure> {
    report.closes_at_ms.map(|closes_ms| Departure { left_ms: Clock::default().now_ms(), closes_ms })
}

/// A nest on Media over QUIC is not joined; its host may be present there for a while.
async fn over_quic(
    job: &Job<'_>,
    room: &RoomRef,
    event: &relay::FetchedEvent,
    options: CheckOptions,
    keeping: &Keeping,
) -> Result<Checked, Error> {
    let (host, look) = (event.event.host(), job.look_over_quic(event).await);
    let open = event.event.is_open(Clock::default().now_s()) && look.parts.answer();
    let report = look.report(&event.event);
    if options.keep && open {
        let reporter = RoomReporter::new(job.reporter, room.id.as_str());
        match job.key_at_hand(Some(host)).await {
            Some(Ok(key)) if key.public_key() == host => {
                let relays = job.publishing_relays(event, &key);
                HostPresence::new(&event.event, &key, &relays, &reporter).keep(options.hold, keeping).await;
            }
            _ => reporter.warn(Warning::NotHostsPresence),
        }
    }
    of_nest(job, room, Report::OverQuic(report), Some(host)).await
}

impl Job<'_> {
    /// Where LiveKit may be found: as the API says, as the event says, and at the usual place.
    pub(super) fn candidates(
        &self,
        returned: &[String],
        event: Option<&relay::FetchedEvent>,
        api: &ApiUrl,
    ) -> Vec<Candidate> {
        let streaming: Vec<_> = event.iter().flat_map(|found| found.event.streaming()).map(str::to_owned).collect();
        let (api, allow_http) = (api.url(), self.settings.allow_http);
        let candidates = endpoint::candidates(Hints { returned, streaming: &streaming, api: Some(api), allow_http });
        let reach = &self.settings.network.reach;
        for Candidate { url, source, .. } in &candidates {
            match (source, event) {
                (endpoint::Source::Event, Some(event)) => reach.told(event.event.host(), [url]),
                _ => reach.passed_on(api, [url]),
            }
        }
        candidates
    }
}

/// Checks a session at `url` with a token for it, whoever gave it out.
///
/// # Errors
/// [`Error::NotAToken`] and [`Error::NotAMediaServer`] before anything is dialled, else [`Error::Unjoinable`].
pub async fn endpoint(
    job: &Job<'_>,
    url: &str,
    token: &Secret,
    options: CheckOptions,
    stop: &Stop,
) -> Result<Checked, Error> {
    let claims = jwt::decode(token.expose()).map_err(|_| Error::NotAToken)?;
    let returned = [url.to_owned()];
    let hints = Hints { returned: &returned, streaming: &[], api: None, allow_http: job.settings.allow_http };
    let candidates = endpoint::candidates(hints);
    for candidate in &candidates {
        job.settings.network.reach.named(&candidate.url);
    }
    if candidates.is_empty() {
        return Err(Error::NotAMediaServer);
    }
    let grants = claims.video.unwrap_or_default();
    let name = grants.room.unwrap_or_default();
    let check = Check {
        join: Some(Joining { token, host: grants.room_admin }),
        any_room: true,
        ..options.on(&name, &candidates, job.settings.network.timeout)
    };
    let work = async { Ok(Report::LiveKit(Box::new(carry_out(&check, None, &job.client, job.reporter).await))) };
    concluded(stop.unless(work).await?, &name, None)
}

fn concluded(report: Report, room: &str, host: Option<PublicKey>) -> Result<Checked, Error> {
    let joinable = matches!(report.verdict(), Verdict::Joinable | Verdict::Reachable);
    let checked = Checked { room: room.to_owned(), host, report, renewed: None };
    if joinable { Ok(checked) } else { Err(Error::Unjoinable(Box::new(checked))) }
}

/// The guest's token, or what its absence means: `/guest` does not tell a record that is gone from a room that is.
fn audio_room(probe: NestProbe) -> Result<Secret, api::ApiError> {
    match (probe.guest, probe.info) {
        (
            Err(api::ApiError::NotFound { missing: Missing::AudioRoom, .. }),
            Err(gone @ api::ApiError::NotFound { missing: Missing::Record | Missing::Endpoint, .. }),
        ) => Err(gone),
        (guest, _) => guest,
    }
}

/// Whether the key at hand is the host's. Nobody is asked for one.
async fn is_ours(job: &Job<'_>, host: Option<PublicKey>) -> bool {
    let Some(host) = host else { return false };
    matches!(job.key_at_hand(Some(host)).await, Some(Ok(key)) if key.public_key() == host)
}

fn tell(reporter: &dyn Reporter, api: &ApiUrl, event: Option<&relay::FetchedEvent>) {
    reporter.detail(1, &format!("API {api}"));
    let Some(room) = event else { return };
    let seen: Vec<_> = room.seen_on.iter().map(ToString::to_string).collect();
    let (id, status) = (room.event.event().id, room.event.status());
    reporter.detail(1, &format!("event {id}, {}, seen on {}", status.as_str(), seen.join(", ")));
}

/// When a restart was carried out.
#[derive(Clone, Copy, Debug)]
pub(super) struct RestartTimes {
    /// Between which moments of the clock here.
    pub here: livekit::RestartWindow,
    api_clock: Option<Offset>,
}

impl RestartTimes {
    pub fn of<T>(sent: &SignedReply<T>) -> Self {
        let SignedReply { sent_ms, answered_ms, date_ms, .. } = *sent;
        let api_clock = date_ms.map(|date| Offset::from_reading(date, 1000, sent_ms, answered_ms));
        Self { here: livekit::RestartWindow { sent_ms, answered_ms }, api_clock }
    }
}

/// Joins the session that a restart gave out, as a guest (or as the host, if that is wanted), and reports what was found.
pub(super) async fn restarted_session(
    job: &Job<'_>,
    options: CheckOptions,
    target: &Target,
    restarted: &Restarted,
    (times, keeping): (RestartTimes, &Keeping),
) -> CheckReport {
    let network = &job.settings.network;
    let until = Instant::now() + network.timeout;
    let mut returned = restarted.endpoints.clone();
    if returned.is_empty() && target.event.as_ref().is_none_or(|event| event.event.streaming().is_empty()) {
        // The answer that says it was lost.
        returned = livekit_of(job, &target.api, network.timeout).await;
    }
    let candidates = job.candidates(&returned, target.event.as_ref(), &target.api);
    // The media server is dialled while the API is still being asked for a guest's token.
    let preconnect = Preconnect::begin(&candidates, options.as_host, &network.tls, &network.reach, network.timeout);
    let guest = if options.as_host {
        None
    } else {
        Some(options.asking(job.probe(&target.api)).guest(&target.room.id).await.result)
    };
    let (join, no_token) = match &guest {
        Some(Ok(token)) => (Some(Joining { token, host: false }), None),
        Some(Err(error)) => (None, Some(error.to_string())),
        None => (restarted.token.as_ref().map(|token| Joining { token, host: true }), None),
    };
    let check = Check {
        join,
        no_token: no_token.as_deref(),
        host_token: restarted.token.as_ref(),
        restarted: Some(times.here),
        sid_before: restarted.sid_before.as_deref(),
        api_clock: times.api_clock,
        keep: options.keep.then_some(keeping),
        ..options.on(target.room.id.as_str(), &candidates, until.saturating_duration_since(Instant::now()))
    };
    carry_out(&check, preconnect.as_ref(), &job.client, job.reporter).await
}

impl CheckOptions {
    /// Whether what is wanted can only be seen from inside.
    fn must_join(self) -> bool {
        self.join || self.keep || self.as_host || self.hold.is_some() || self.publish || self.transport.is_some()
    }

    /// Where nothing is to be kept open, the token may be one whose holder counts as nobody.
    fn asking(self, probe: Probe<'_>) -> Probe<'_> {
        if self.keep { probe } else { probe.for_trying() }
    }

    /// A check for which there is no token yet, of a room of whose restart nothing is known.
    pub(super) fn on<'a>(self, room: &'a str, candidates: &'a [Candidate], timeout: Duration) -> Check<'a> {
        let Self { hold, signal_only, transport, publish, .. } = self;
        Check { room, candidates, hold, signal_only, transport, publish, timeout, ..Check::default() }
    }
}

/// Checks; `preconnect` leads to one of the candidates, and was begun before there was a token.
pub(super) async fn carry_out(
    check: &Check<'_>,
    preconnect: Option<&Preconnect>,
    client: &HttpClient,
    reporter: &dyn Reporter,
) -> CheckReport {
    let tools =
        Tools { http: client.http(), tls: &client.network().tls, preconnect, clock: Clock::default(), reporter };
    Box::pin(run_check(check, &tools)).await
}
