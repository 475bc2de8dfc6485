//! What other programs use: restart, check and status of nests, without a terminal.

use std::path::PathBuf;
use std::time::Duration;

use crate::api::{ApiUrl, Network, RetryPolicy};
use crate::commands::check::{self, CheckOptions, Checked};
use crate::commands::restart::{self, RestartOutcome, RestartRequest, Restarted};
use crate::commands::status::{self, Standing};
use crate::commands::{ApiSources, Error, Job, RelaySources, Settings, Stop};
use crate::key::{KeyPlan, KeySource};
use crate::net::reach::Reach;
use crate::net::tls;
use crate::relay;
use crate::reporter::{Reporter, Silent};
use crate::room::{self, RoomRef};
use crate::secret::Secret;

/// The nests of one host, or those that a listener can see when there is no key.
///
/// A nest is named as on the command line: its id, `naddr1…`, a link to its page, the URL of the room in the API, or
/// `30312:<pubkey>:<d>`. Dropping a future stops the work; a restart whose request is out may be carried out all the same.
///
/// ```no_run
/// # async fn example() -> Result<(), nostr_nests::Error> {
/// use nostr_nests::Nests;
///
/// let nests = Nests::builder().api("https://nostrnests.com").key_file("host.key").build()?;
/// let restarted = nests.restart_and_check("naddr1…").await?;
/// println!("{} is back at {:?}", restarted.room_id, restarted.endpoints);
/// # Ok(())
/// # }
/// ```
pub struct Nests {
    settings: Settings,
    reporter: Box<dyn Reporter>,
}

/// Settings for [`Nests`]; all have defaults.
pub struct NestsBuilder {
    api: Option<String>,
    relays: Vec<String>,
    allow_http: bool,
    key: Option<KeySource>,
    passphrase_file: Option<PathBuf>,
    timeout: Duration,
    retries: u32,
    reporter: Box<dyn Reporter>,
}

impl Nests {
    /// Begins with the defaults: no key, the relays of the web client, 30 s for a request, three more attempts.
    #[must_use]
    pub fn builder() -> NestsBuilder {
        NestsBuilder {
            api: None,
            relays: Vec::new(),
            allow_http: false,
            key: None,
            passphrase_file: None,
            timeout: Duration::from_secs(30),
            retries: 3,
            reporter: Box::new(Silent),
        }
    }

    /// Restarts a nest, whoever is inside.
    ///
    /// # Errors
    /// Each variant of [`Error`] is to be treated differently; with [`Error::Unknown`] it may have been restarted.
    pub async fn restart(&self, room: &str) -> Result<Restarted, Error> {
        self.restart_with(room, None).await
    }

    /// Restarts a nest, and proves that a listener can join the new session. A nest that is left empty by that is restarted
    /// once more, for its full life.
    ///
    /// # Errors
    /// Those of [`Nests::restart`], and [`Error::Unhealthy`] with the restart and the check in it.
    pub async fn restart_and_check(&self, room: &str) -> Result<Restarted, Error> {
        self.restart_with(room, Some(CheckOptions::default())).await
    }

    /// Joins a nest as a listener would, and leaves it again. Leaving an empty nest shortens its life to a minute.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when there is nothing to join, [`Error::Unjoinable`] with what was found.
    pub async fn check(&self, room: &str) -> Result<Checked, Error> {
        let room = RoomRef::parse(room)?;
        match check::run(&self.job()?, &room, CheckOptions::default(), &Stop::never()).await? {
            check::CheckOutcome::Joinable(checked) => Ok(*checked),
            check::CheckOutcome::Restarted(_) => Err(Error::Declined),
        }
    }

    /// What Nostr, the API and the media server say of a nest. Nobody joins, and no key is needed.
    ///
    /// # Errors
    /// Only when the name or the settings are of no use; what does not answer is part of the result.
    pub async fn status(&self, room: &str) -> Result<Standing, Error> {
        status::of_one(&self.job()?, &RoomRef::parse(room)?).await
    }

    async fn restart_with(&self, room: &str, check: Option<CheckOptions>) -> Result<Restarted, Error> {
        let room = RoomRef::parse(room)?;
        let request = RestartRequest { check, ..RestartRequest::default() };
        match restart::restart_room(&self.job()?, &request, &room, &Stop::never()).await? {
            RestartOutcome::Restarted(restarted) => Ok(*restarted),
            RestartOutcome::Planned(_) => Err(Error::Declined),
        }
    }

    fn job(&self) -> Result<Job<'_>, Error> {
        Job::new(self.settings.clone(), &*self.reporter)
    }
}

impl NestsBuilder {
    /// The Nests API: its origin, or the full `…/api/v1/nests`. Without it, the nest's name or event has to say it.
    #[must_use]
    pub fn api(self, url: impl Into<String>) -> Self {
        Self { api: Some(url.into()), ..self }
    }

    /// One more relay to look for events on; the first replaces the default ones.
    #[must_use]
    pub fn relay(mut self, url: impl Into<String>) -> Self {
        self.relays.push(url.into());
        self
    }

    /// Accepts plain http and ws to other machines, which others can read.
    #[must_use]
    pub fn allow_http(self) -> Self {
        Self { allow_http: true, ..self }
    }

    /// The host's key as nsec, hex or ncryptsec.
    #[must_use]
    pub fn key(self, key: impl Into<String>) -> Self {
        Self { key: Some(KeySource::Caller(Secret::new(key))), ..self }
    }

    /// A file with the host's key that nobody else can read (mode 0600).
    #[must_use]
    pub fn key_file(self, path: impl Into<PathBuf>) -> Self {
        Self { key: Some(KeySource::KeyFile(path.into())), ..self }
    }

    /// A file with the passphrase of an ncryptsec.
    #[must_use]
    pub fn passphrase_file(self, path: impl Into<PathBuf>) -> Self {
        Self { passphrase_file: Some(path.into()), ..self }
    }

    /// The limit of one request, from its start to the last byte of the answer.
    #[must_use]
    pub fn timeout(self, limit: Duration) -> Self {
        Self { timeout: limit, ..self }
    }

    /// Attempts after the first, for failures that are safe to repeat.
    #[must_use]
    pub fn retries(self, retries: u32) -> Self {
        Self { retries, ..self }
    }

    /// Who hears of progress and warnings.
    #[must_use]
    pub fn reporter(self, reporter: impl Reporter + 'static) -> Self {
        Self { reporter: Box::new(reporter), ..self }
    }

    /// Resolves the settings; nothing is read or connected yet.
    ///
    /// # Errors
    /// An API or a relay whose address is none.
    pub fn build(self) -> Result<Nests, Error> {
        let api = self.api.map(|url| ApiUrl::parse(&url)).transpose().map_err(room::RoomRefError::from)?;
        let relays = self.relays.iter().map(|url| relay::parse_url(url)).collect::<Result<_, _>>()?;
        let settings = Settings {
            network: Network {
                timeout: self.timeout,
                tls: tls::client_config(&[]),
                proxy: None,
                reach: Reach::ANYWHERE,
            },
            api: ApiSources { given: api, ..ApiSources::default() },
            relays: RelaySources {
                given: relays,
                profile: Vec::new(),
                addresses: Vec::new(),
                timeout: Duration::from_secs(5),
            },
            allow_http: self.allow_http,
            key: KeyPlan {
                explicit: self.key.into_iter().collect(),
                passphrase_file: self.passphrase_file,
                ..KeyPlan::default()
            },
            retry: RetryPolicy { retries: self.retries, max_wait: Duration::from_mins(1) },
            jobs: 1,
            state_dir: None,
            interactive: false,
        };
        Ok(Nests { settings, reporter: self.reporter })
    }
}
