//! What there is to be found out, gathered side by side.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join4;
use serde::Deserialize;
use tokio::time::{Instant, timeout_at};

use super::connection::{self, ApiConnection};
use super::media::{self, Media};
use crate::api::{self, Base, Call, Client, Lost, Missing, Policy, Reply, RoomId, answer};
use crate::commands::keys::Keys;
use crate::commands::quiet::Unasked;
use crate::commands::sight::{self, Sight, clock_of};
use crate::commands::target::{Beside, Finder};
use crate::commands::{Error, Settings, token};
use crate::key::{self, HostKey};
use crate::livekit::Offset;
use crate::livekit::endpoint::{self, Candidate, Hints};
use crate::relay;
use crate::reporter::{Reporter, Step};
use crate::room::RoomRef;

/// A room that nobody has: what stands in for one where no nest is named.
const NOBODYS: &str = "nest-doctor";

/// Everything that was found out.
pub(super) struct Findings {
    /// `None`: there is none.
    pub key: Option<Result<Arc<HostKey>, Arc<key::Error>>>,
    pub api: Result<Far, Error>,
    /// Its event; `None` if nothing leads to one.
    pub event: Result<Option<relay::FetchedEvent>, Error>,
    pub event_elapsed: Duration,
    pub candidates: Vec<Candidate>,
    /// `None` where nobody can say where the media server is.
    pub media: Option<Media>,
}

/// What was found out at the API.
pub(super) struct Far {
    pub api: Base,
    pub connection: ApiConnection,
    pub health: Result<Health, api::Error>,
    pub health_elapsed: Duration,
    pub sight: Sight,
    /// How far its clock is from the one here.
    pub clock: Option<Offset>,
    /// `None`: nobody signed.
    pub signature: Option<Result<Signature, Error>>,
}

impl Far {
    /// Whether anything was sent to it at all.
    pub fn is_reached(&self) -> bool {
        let lost = |error: Option<&api::Error>| matches!(error, Some(api::Error::Lost(Lost::Unreachable { .. })));
        !(lost(self.health.as_ref().err()) && lost(self.sight.guest.as_ref().err()))
    }
}

/// What `/health` says.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Health {
    pub status: Option<String>,
    pub version: Option<String>,
}

/// A signature that was accepted.
pub(super) struct Signature {
    /// It was, but only with the server's time.
    pub warnings: Vec<String>,
    pub elapsed: Duration,
}

impl Findings {
    /// Looks at everything.
    pub async fn gather(settings: &Settings, room: Option<&RoomRef>, reporter: &dyn Reporter) -> Result<Self, Error> {
        // What cannot be known is said at once, and not asked again and again.
        let settings = &Settings { retry: Policy { retries: 0, ..settings.retry }, ..settings.hurried() };
        let client = Client::new(settings.network.clone()).map_err(api::Error::from)?;
        let nobodys =
            RoomRef { id: RoomId::new(NOBODYS).map_err(room_error)?, host: None, relays: Vec::new(), api: None };
        let subject = room.unwrap_or(&nobodys);
        let name = subject.id.as_str();
        let keys = Keys::new(settings, reporter);
        reporter.step(name, Step::Key);
        let key = keys.found(subject.host).await;
        reporter.step(name, Step::Look);

        let muffled = Unasked { reporter, muffled: true };
        let finder = Finder { settings, keys: &keys, reporter: &muffled };
        let until = Instant::now() + settings.network.timeout;
        let asker =
            Asker { settings, client: &client, id: &subject.id, key: signer(key.as_ref()), reporter: &muffled, until };
        let started = Instant::now();
        let Beside { mut event, api } = match room {
            Some(room) => finder.beside(room, |api| asker.ask(api)).await?,
            None => asker.alone().await?,
        };
        let mut event_elapsed = started.elapsed();
        let api = api.map(|(_, far)| far);
        if let (Some(room), Ok(None), Ok(Far { sight: Sight { info: Ok(info), .. }, .. })) = (room, &event, &api) {
            let started = Instant::now();
            event = timeout_at(until, finder.led(room, Some(info))).await.unwrap_or(Ok(None));
            event_elapsed = started.elapsed();
        }
        let (candidates, media) = match (&api, room) {
            (Ok(far), Some(_)) => {
                let known = event.as_ref().ok().and_then(Option::as_ref);
                let streaming: Vec<_> =
                    known.iter().flat_map(|room| room.event.streaming()).map(str::to_owned).collect();
                let hints = Hints {
                    returned: &[],
                    streaming: &streaming,
                    api: Some(far.api.url()),
                    allow_http: settings.allow_http,
                };
                let candidates = endpoint::candidates(hints);
                let media = media::look(&client, name, &candidates, far, reporter, until).await;
                (candidates, Some(media))
            }
            _ => (Vec::new(), None),
        };
        Ok(Self { key, api, event, event_elapsed, candidates, media })
    }

    /// The API, if it is known.
    pub fn far(&self) -> Option<&Far> {
        self.api.as_ref().ok()
    }

    /// The event, if there is one.
    pub fn event(&self) -> Option<&relay::FetchedEvent> {
        self.event.as_ref().ok().and_then(Option::as_ref)
    }
}

fn room_error(error: api::address::Error) -> Error {
    Error::Room(error.into())
}

fn signer(key: Option<&Result<Arc<HostKey>, Arc<key::Error>>>) -> Option<&HostKey> {
    key.and_then(|key| key.as_deref().ok())
}

/// Asks the API everything.
struct Asker<'a> {
    settings: &'a Settings,
    client: &'a Client,
    id: &'a RoomId,
    key: Option<&'a HostKey>,
    reporter: &'a dyn Reporter,
    until: Instant,
}

impl Asker<'_> {
    /// The API that was given, without any nest.
    async fn alone(&self) -> Result<Beside<Far>, Error> {
        let sources = &self.settings.api;
        let named = [&sources.given, &sources.environment, &sources.profile].into_iter().flatten().next().cloned();
        let secure = named.map(|api| api.secure(self.settings.allow_http)).transpose().map_err(room_error)?;
        let api = match secure {
            Some(api) => Ok((api.clone(), self.ask(api).await)),
            None => Err(Error::NoApi),
        };
        Ok(Beside { event: Ok(None), api })
    }

    async fn ask(&self, api: Base) -> Far {
        let left = self.until.saturating_duration_since(Instant::now());
        let started = Instant::now();
        let health_url = api.health();
        let health = async {
            let reply = self.client.send(Call::get(&health_url).within(left)).await;
            (reply, started.elapsed())
        };
        let (connection, (health, health_elapsed), sight, signature) = join4(
            connection::connect(self.client, &api, self.until),
            health,
            sight::look(self.client, &api, self.id, left, self.reporter),
            self.signature(&api),
        )
        .await;
        let clock = health.as_ref().ok().and_then(clock_of).or(sight.clock);
        let health = health.map_err(api::Error::from).and_then(|reply: Reply| answer::json(&reply, &health_url));
        Far { api, connection, health, health_elapsed, sight, clock, signature }
    }

    /// Asks for a token, which changes nothing. That there is no such nest is found out only after the signature.
    async fn signature(&self, api: &Base) -> Option<Result<Signature, Error>> {
        let key = self.key?;
        let started = Instant::now();
        let fetched = token::fetch(self.settings, self.client, api, self.id, key, self.reporter);
        let fetched = timeout_at(self.until, fetched).await.ok()?;
        let accepted = |warnings| Signature { warnings, elapsed: started.elapsed() };
        Some(match fetched {
            Ok((_, _, warnings)) => Ok(accepted(warnings)),
            Err(Error::Api(api::Error::NotFound { missing: Missing::Record | Missing::AudioRoom, .. })) => {
                Ok(accepted(Vec::new()))
            }
            Err(error) => Err(error),
        })
    }
}
