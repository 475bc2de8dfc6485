//! One room's way from its name to a nest that is back.

use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;
use url::Url;

use super::attempt::{Outcome, Progress, Sender};
use super::conclude::{LOOK_LIMIT, blank};
use super::{Done, Planned, Request, Restarted, status};
use crate::api::{self, Base, Call, Client, Missing, answer};
use crate::clock::Clock;
use crate::commands::keys::Keys;
use crate::commands::target::{Finder, Target, has_audio_room};
use crate::commands::{Error, Settings, Stop, check, sight};
use crate::key::HostKey;
use crate::livekit::{self, CheckReport, Verdict};
use crate::lock::{self, RoomLock};
use crate::relay;
use crate::reporter::{Reporter, Step};
use crate::room::{RoomId, RoomRef};
use crate::secret::MASK;

/// The longest that a restart waits for another one of the same room.
const LOCK_WAIT: Duration = Duration::from_mins(5);

pub(super) struct Walk<'a> {
    pub settings: &'a Settings,
    pub request: &'a Request,
    pub reporter: &'a dyn Reporter,
    pub client: &'a Client,
    pub keys: &'a Keys<'a>,
}

/// How far one room has come; what an interruption leaves behind.
#[derive(Default)]
struct Trail {
    progress: Mutex<Progress>,
    restarted: Mutex<Option<Restarted>>,
}

impl Walk<'_> {
    /// The whole way, unless it is cut short.
    pub async fn room(&self, room: &RoomRef, stop: &Stop) -> Result<Done, Error> {
        let trail = Trail::default();
        tokio::select! {
            biased;
            done = self.walk(room, &trail) => done,
            signal = stop.requested() => {
                let done = trail.restarted.lock().unwrap_or_else(PoisonError::into_inner).take().map(Box::new);
                let progress = *trail.progress.lock().unwrap_or_else(PoisonError::into_inner);
                Err(Error::Interrupted { signal, progress, done })
            }
        }
    }

    async fn walk(&self, room: &RoomRef, trail: &Trail) -> Result<Done, Error> {
        let since = Instant::now();
        let name = room.id.as_str();
        let finder = Finder { settings: self.settings, keys: self.keys, reporter: self.reporter };
        let Target { api, event, .. } = finder.target(room).await?;
        let url = api.room(&room.id, "/restart");
        let (mut was_running, mut lock, mut warnings) = (None, None, Vec::new());
        if self.request.if_inactive {
            if !self.request.dry_run {
                // Whoever else restarts this nest right now has to be done: what is seen has to hold until the end.
                lock = self.lock(name, &url, &mut warnings).await?;
            }
            self.reporter.step(name, Step::Look);
            if self.runs(&api, &room.id).await? {
                let mut found = Restarted { warnings, ..running(&api, room, since) };
                if self.request.publish_status {
                    let key = self.keys.of(room.host).await?;
                    self.publish_status(&finder, room, &key, event, &mut found).await?;
                }
                return Ok(Done::Restarted(Box::new(found)));
            }
            was_running = Some(false);
        }
        self.reporter.step(name, Step::Key);
        let key = self.keys.of(room.host).await?;
        let sender = Sender {
            client: self.client,
            key: &key,
            policy: self.settings.retry,
            reporter: self.reporter,
            room: name,
            step: Step::Restart,
            progress: &trail.progress,
            shift_s: AtomicI64::default(),
        };
        if let Some(host) = room.host.filter(|host| *host != key.public_key()) {
            return Err(Error::NotHost { you: key.public_key(), host: Some(host), asked: false });
        }
        if self.request.dry_run {
            return Ok(Done::Planned(planned(room, &sender, &url)));
        }
        if let Some(warning) = event.as_ref().filter(|_| !self.request.publish_status).and_then(over_warning) {
            self.reporter.warning(&warning);
            warnings.push(warning);
        }
        if !self.request.if_inactive {
            lock = self.lock(name, &url, &mut warnings).await?;
        }
        self.question(&api, &room.id).await?;

        let outcome = sender.send(&api, &Method::POST, &url).await.map_err(Arc::new)?;
        let times = times(&outcome);
        let api_date_ms = outcome.reply.as_ref().ok().and_then(|reply| reply.date_ms);
        let concluded = self.conclude(room, &api, &sender, outcome, was_running).await;
        let mut restarted = match concluded {
            Err(Error::NotRestarted(error @ api::Error::NotFound { .. })) => {
                self.needs_room(&finder, room, event.as_ref()).await?;
                return Err(Error::NotRestarted(error));
            }
            concluded => concluded?,
        };
        restarted.warnings.splice(..0, warnings);
        restarted.elapsed_ms = millis(since);
        restarted.sid_before = lock.as_ref().and_then(RoomLock::last_sid);
        *trail.restarted.lock().unwrap_or_else(PoisonError::into_inner) = Some(restarted.clone());

        if let Some(options) = self.request.check {
            let restart = check::Restart { times, api_date_ms, sid_before: restarted.sid_before.as_deref() };
            let target = Target { room: room.clone(), api: api.clone(), event: event.clone() };
            let report = self.check(&target, options, &restarted, restart).await;
            let seen = report.room.as_ref().map(|room| room.sid.clone());
            if let (Some(lock), Some(sid)) = (&lock, seen)
                && let Err(error) = lock.remember_sid(&sid)
            {
                self.reporter.detail(1, &format!("cannot remember the SID: {error}"));
            }
            restarted.closes_at = report.room.as_ref().and_then(|room| room.closes_at.clone());
            restarted.elapsed_ms = millis(since);
            let joinable = report.verdict == Verdict::Joinable;
            restarted.check = Some(report);
            if !joinable {
                return Err(Error::Unhealthy(Box::new(restarted)));
            }
        }
        if self.request.publish_status {
            self.publish_status(&finder, room, &key, event, &mut restarted).await?;
        }
        Ok(Done::Restarted(Box::new(restarted)))
    }

    /// A 404 may come from an API that never had the nest, because it runs on Media over QUIC: its event knows.
    async fn needs_room(
        &self,
        finder: &Finder<'_>,
        room: &RoomRef,
        event: Option<&relay::FetchedEvent>,
    ) -> Result<(), Error> {
        if let Some(event) = event {
            return has_audio_room(event);
        }
        let Some(coordinate) = room.coordinate() else { return Ok(()) };
        let relays = finder.relays(room);
        match tokio::time::timeout(LOOK_LIMIT, relays.fetch(&coordinate)).await {
            Ok(Ok(relay::Found { room: Some(event), .. })) => has_audio_room(&event),
            _ => Ok(()),
        }
    }

    /// The restart is not lost when publishing fails.
    async fn publish_status(
        &self,
        finder: &Finder<'_>,
        room: &RoomRef,
        key: &HostKey,
        event: Option<relay::FetchedEvent>,
        restarted: &mut Restarted,
    ) -> Result<(), Error> {
        status::put_right(finder, room, key, event, restarted).await.map_err(|error| match error {
            Error::NotPublished { refused, .. } => {
                Error::NotPublished { refused, done: Some(Box::new(restarted.clone())) }
            }
            other => other,
        })
    }

    async fn check(
        &self,
        target: &Target,
        options: check::Options,
        restarted: &Restarted,
        restart: check::Restart<'_>,
    ) -> CheckReport {
        let streaming: Vec<_> =
            target.event.iter().flat_map(|room| room.event.streaming()).map(str::to_owned).collect();
        let session = check::Session {
            api: &target.api,
            room: &target.room.id,
            endpoints: &restarted.endpoints,
            streaming: &streaming,
            allow_http: self.settings.allow_http,
            token: restarted.token.as_ref(),
            restart,
        };
        check::session(self.client, options, session, self.reporter).await
    }

    /// Whether the API gives out tokens for the room.
    async fn runs(&self, api: &Base, id: &RoomId) -> Result<bool, Error> {
        let url = api.room(id, "/guest");
        let reply = self.client.send(Call::get(&url)).await.map_err(|lost| Error::NotRestarted(lost.into()))?;
        match answer::fresh_token(&reply, &url) {
            Ok(_) => Ok(true),
            Err(api::Error::NotFound { missing: Missing::Record | Missing::AudioRoom, .. }) => Ok(false),
            Err(error) => Err(Error::NotRestarted(error)),
        }
    }

    /// The lock of the room; a folder that cannot be written is no reason to leave a nest dead.
    async fn lock(&self, name: &str, url: &Url, warnings: &mut Vec<String>) -> Result<Option<RoomLock>, Error> {
        let Some(folder) = self.settings.state_dir.as_ref().map(|folder| folder.join("rooms")) else { return Ok(None) };
        let wait = if self.request.no_wait { Duration::ZERO } else { LOCK_WAIT };
        let acquire = |wait| RoomLock::acquire(&folder, url.as_str(), wait);
        let mut locked = acquire(Duration::ZERO).await;
        if matches!(locked, Err(lock::Error::Busy)) && !wait.is_zero() {
            self.reporter.step(name, Step::Lock);
            locked = acquire(wait).await;
        }
        match locked {
            Ok(lock) => Ok(Some(lock)),
            Err(source @ lock::Error::Busy) => Err(Error::Busy { source, waited: wait }),
            Err(error @ lock::Error::File { .. }) => {
                let warning = format!("{error}; going on without a lock");
                self.reporter.warning(&warning);
                warnings.push(warning);
                Ok(None)
            }
        }
    }

    /// With a person there and people in the nest: whether to throw them out.
    async fn question(&self, api: &Base, id: &RoomId) -> Result<(), Error> {
        if self.request.yes || !self.settings.interactive {
            return Ok(());
        }
        self.reporter.step(id.as_str(), Step::Look);
        let Some(info) =
            sight::record(self.client, api, id, sight::GLANCE).await.filter(|info| info.participant_count > 0)
        else {
            return Ok(());
        };
        let question = match info.participant_count {
            1 => "One person is in this nest and will be disconnected. Restart?".into(),
            n => format!("{n} people are in this nest and will be disconnected. Restart?"),
        };
        if self.reporter.confirm(&question).await == Some(true) { Ok(()) } else { Err(Error::Declined) }
    }
}

/// Between which moments of the clock here the API carried the restart out.
fn times(outcome: &Outcome) -> livekit::check::Restarted {
    let answered_ms = outcome.reply.as_ref().map_or_else(|_| Clock::default().now_ms(), |reply| reply.received_ms);
    livekit::check::Restarted { sent_ms: outcome.sent_ms, answered_ms }
}

/// Web clients believe the event, whatever the audio room does.
fn over_warning(room: &relay::FetchedEvent) -> Option<String> {
    let over = room.event.is_over(Clock::default().now_s());
    over.then(|| {
        format!(
            "the event says {}: clients will still show the nest as over; --publish-status puts that right",
            room.event.status().as_str()
        )
    })
}

fn running(api: &Base, room: &RoomRef, since: Instant) -> Restarted {
    let message = "The nest is running; nothing was sent".into();
    Restarted { message, elapsed_ms: millis(since), ..blank(api, room) }
}

/// What would be sent, with everything that makes it valid masked.
fn planned(room: &RoomRef, sender: &Sender<'_>, url: &Url) -> Planned {
    let mut event = json!(sender.event(&Method::POST, url, None));
    event["sig"] = json!(MASK);
    Planned {
        room_id: room.id.to_string(),
        method: "POST".into(),
        url: url.to_string(),
        headers: vec![("authorization", format!("Nostr {MASK}")), ("content-length", "0".into())],
        event,
    }
}

fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}
