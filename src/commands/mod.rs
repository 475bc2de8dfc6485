//! What the commands do, in plain types: no clap, no terminal, no environment, no printing.

pub mod auth;
pub mod check;
pub mod close;
pub mod doctor;
mod error;
mod follow;
pub mod key;
pub mod list;
pub mod mock;
pub mod moq;
pub mod open;
mod owner;
pub mod pick;
mod present;
mod publish;
pub mod recreate;
pub mod restart;
pub mod serve;
pub mod status;
mod stop;
mod target;
pub mod token;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nostr::PublicKey;
use serde::Serialize;
use tokio::sync::Mutex;

pub use self::error::{Error, HalfDone, ServerSigns};
pub use self::publish::{Published, Refusal};
pub use self::stop::{Signal, Stop};
pub use self::target::{RelaySources, default_relays};
use crate::api::{self, ApiUrl, HttpClient, Network, Probe, RetryPolicy, SignedClient};
use crate::key::{HostKey, KeyError, KeyPlan};
use crate::lock::{self, RoomLock};
use crate::relay;
use crate::reporter::{NonInteractive, Reporter, RoomReporter, Stage};
pub use crate::reporter::{Progress, Warning};
use crate::room::{RoomId, RoomRef};

/// What asking further may take after a failure.
const FOLLOW_UP_LIMIT: Duration = Duration::from_secs(2);

/// What `/info` may take when a person is waiting for the question.
const QUESTION_LIMIT: Duration = Duration::from_secs(1);

/// Everything that is decided before the work begins. Plain values; nothing here reads a file or the environment.
#[derive(Clone, Debug)]
pub struct Settings {
    pub network: Network,
    /// Where the API is said to be.
    pub api: ApiSources,
    pub relays: RelaySources,
    /// Whether plain http to other machines is accepted.
    pub allow_http: bool,
    pub key: KeyPlan,
    pub retry: RetryPolicy,
    /// Rooms in work at the same time, at least one.
    pub jobs: usize,
    /// Where locks and what was seen last are kept; without it there are none.
    pub state_dir: Option<PathBuf>,
    /// Whether a person is at the terminal.
    pub interactive: bool,
}

/// Where the address of the API may come from, beside the room itself.
#[derive(Clone, Debug, Default)]
pub struct ApiSources {
    /// Given for this call: comes before all others, and may not contradict the room.
    pub given: Option<ApiUrl>,
    /// From the environment: comes after the room's own URL.
    pub environment: Option<ApiUrl>,
    /// From the profile: comes last.
    pub profile: Option<ApiUrl>,
}

impl Settings {
    /// The API that serves `room`, as far as the call, the room's own URL and the environment say it.
    ///
    /// # Errors
    /// [`Error::ApiConflict`], and plain http to another machine.
    pub fn api_named(&self, room: &RoomRef) -> Result<Option<ApiUrl>, Error> {
        let ApiSources { given, environment, profile: _ } = &self.api;
        if let (Some(room), Some(given)) = (&room.api, given)
            && room != given
        {
            return Err(Error::ApiConflict { room: Box::new(room.clone()), given: Box::new(given.clone()) });
        }
        let first = [given, &room.api, environment].into_iter().flatten().next().cloned();
        // Where the user has typed the address of a page, that is where to go.
        room.api.iter().for_each(|api| self.network.reach.named(api.url()));
        Ok(first.map(|base| base.secure(self.allow_http)).transpose().map_err(crate::room::RoomRefError::from)?)
    }
}

/// What carries the sound of a nest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum NestKind {
    /// An audio room in a LiveKit server, behind a Nests API.
    LiveKit,
    /// A relay for Media over QUIC.
    Moq,
}

impl NestKind {
    /// By what its event says.
    pub(crate) fn of(event: Option<&relay::FetchedEvent>) -> Self {
        if event.is_some_and(|event| event.event.media_over_quic().is_some()) { Self::Moq } else { Self::LiveKit }
    }
}

/// One run of a command: its settings, its connections and its keys. Whatever is asked twice is fetched once.
#[derive(Clone)]
pub struct Job<'a> {
    settings: Settings,
    client: HttpClient,
    keys: Arc<Keys>,
    reporter: &'a dyn Reporter,
}

impl<'a> Job<'a> {
    /// Nothing is connected, and no key is loaded yet.
    ///
    /// # Errors
    /// When the TLS or proxy settings do not fit together.
    pub fn new(mut settings: Settings, reporter: &'a dyn Reporter) -> Result<Self, Error> {
        settings.network.reach = target::reach(&settings);
        let client = HttpClient::new(settings.network.clone()).map_err(api::ApiError::from)?;
        Ok(Self { settings, client, keys: Arc::default(), reporter })
    }

    /// The plain values that it works with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The same for work that is to end within one time-out: relays are asked at most twice, one time after the other.
    fn within_one_timeout(&self) -> Self {
        let mut job = self.clone();
        job.settings.relays.timeout = self.settings.relays.timeout.min(self.settings.network.timeout / 2);
        job
    }

    /// The same, where nobody is asked for a secret.
    fn reporting_to<'b>(&self, reporter: &'b NonInteractive<'b>) -> Job<'b>
    where
        'a: 'b,
    {
        Job { reporter, ..self.clone() }
    }

    fn without_prompts(&self) -> NonInteractive<'a> {
        NonInteractive { reporter: self.reporter, warnings: true }
    }

    /// The key for a room of `host`, where the host is known.
    async fn key_of(&self, host: Option<PublicKey>) -> LoadedKey {
        self.keys.load(&self.settings.key, host, self.reporter).await
    }

    /// The key of a room's host.
    ///
    /// # Errors
    /// [`Error::Key`], and [`Error::NotHost`] where the room's name says that it is somebody else's.
    async fn host_key(&self, room: &RoomRef) -> Result<Arc<HostKey>, Error> {
        let key = self.key_of(room.host).await?;
        match room.host.filter(|host| *host != key.public_key()) {
            Some(host) => Err(Error::NotHost { you: key.public_key(), host: Some(host), asked: false }),
            None => Ok(key),
        }
    }

    /// The key for a room of `host`, where there is one to be found without asking anybody to type it.
    async fn key_at_hand(&self, host: Option<PublicKey>) -> Option<LoadedKey> {
        let plan = &self.settings.key;
        if plan.is_at_hand(host) { Some(self.keys.load(plan, host, self.reporter).await) } else { None }
    }

    fn probe<'b>(&'b self, api: &'b ApiUrl) -> Probe<'b> {
        Probe::new(&self.client, api, self.reporter)
    }

    /// What a 403 to this key means: the record says whose nest it is.
    async fn not_host(&self, api: &ApiUrl, id: &RoomId, you: PublicKey) -> Error {
        let info = self.probe(api).within(FOLLOW_UP_LIMIT).info(id).await.result.ok();
        let host = info.and_then(|info| PublicKey::from_hex(&info.host).ok());
        Error::NotHost { you, host, asked: true }
    }

    /// How many people are in a nest, for the question whether to throw them out; a person waits for it.
    async fn people_inside(&self, api: &ApiUrl, id: &RoomId) -> u64 {
        let info = self.probe(api).within(QUESTION_LIMIT).info(id).await;
        info.result.map_or(0, |info| info.participant_count)
    }

    fn signed<'b>(&'b self, api: &'b ApiUrl, key: &'b HostKey, reporter: &'b RoomReporter<'b>) -> SignedClient<'b> {
        SignedClient::new(&self.client, api, key, self.settings.retry, reporter)
    }

    fn rooms_dir(&self) -> Option<PathBuf> {
        Some(self.settings.state_dir.as_ref()?.join("rooms"))
    }

    /// Remembers that a check has left a nest empty. A restart that is at work changes that anyway.
    async fn remember_departure(&self, api: &ApiUrl, id: &RoomId, sid: &str, left: lock::Departure) {
        let Some(folder) = self.rooms_dir() else { return };
        if let Ok(lock) = RoomLock::acquire(&folder, api.restart(id).as_str(), Duration::ZERO).await
            && let Err(error) = lock.remember(sid, Some(left))
        {
            self.reporter.detail(1, &format!("cannot remember the check: {error}"));
        }
    }

    /// That a check from this machine has left the nest empty, where it has.
    fn last_departure(&self, api: &ApiUrl, id: &RoomId) -> Option<lock::Departure> {
        lock::Departure::last(&self.rooms_dir()?, api.restart(id).as_str())
    }

    /// One restart of a room at a time on one machine; a folder that cannot be written is no reason to leave a nest dead.
    ///
    /// # Errors
    /// [`Error::Busy`] when somebody else has had the lock for as long as `wait`.
    async fn lock(
        &self,
        api: &ApiUrl,
        id: &RoomId,
        wait: Duration,
        reporter: &RoomReporter<'_>,
    ) -> Result<Option<RoomLock>, Error> {
        self.lock_named(api.restart(id).as_str(), wait, reporter).await
    }

    /// The same for a nest that has no API.
    async fn lock_named(
        &self,
        name: &str,
        wait: Duration,
        reporter: &RoomReporter<'_>,
    ) -> Result<Option<RoomLock>, Error> {
        let Some(folder) = self.rooms_dir() else { return Ok(None) };
        let acquire = |wait| RoomLock::acquire(&folder, name, wait);
        let mut locked = acquire(Duration::ZERO).await;
        if matches!(locked, Err(lock::LockError::Busy)) && !wait.is_zero() {
            reporter.step(Stage::Lock);
            locked = acquire(wait).await;
        }
        match locked {
            Ok(lock) => Ok(Some(lock)),
            Err(source @ lock::LockError::Busy) => Err(Error::Busy { source, waited: wait }),
            Err(error @ lock::LockError::File { .. }) => {
                reporter.warn(Warning::NoLock { why: error.to_string() });
                Ok(None)
            }
        }
    }
}

type LoadedKey = Result<Arc<HostKey>, Arc<KeyError>>;

/// Loads on first use; whoever comes second waits for the first and gets the same, failures included.
#[derive(Default)]
struct Keys(Mutex<HashMap<Option<PublicKey>, LoadedKey>>);

impl Keys {
    /// The key for a room of `host`, where the host is known.
    async fn load(&self, plan: &KeyPlan, host: Option<PublicKey>, reporter: &dyn Reporter) -> LoadedKey {
        // An explicit key is the same for all rooms, and standard input can be read only once.
        let wanted = if plan.named().is_some() { None } else { host };
        let mut loaded = self.0.lock().await;
        if let Some(key) = loaded.get(&wanted) {
            return key.clone();
        }
        let key = crate::key::load(plan, wanted, reporter).await.map(Arc::new).map_err(Arc::new);
        loaded.insert(wanted, key.clone());
        key
    }
}
