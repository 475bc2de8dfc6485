//! The connection check: of a nest as a listener meets it, of a session that a restart gave out, of any LiveKit server.

mod session;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use nostr::PublicKey;
use tokio::time::Instant;

use super::keys::Keys;
use super::quiet::Unasked;
use super::restart::{self, Restarted};
use super::sight::{self, Sight};
use super::target::{Beside, Finder};
use super::{Error, Settings, Stop, moq, token};
use crate::api::wire::Info;
use crate::api::{self, Base, Client, Missing};
use crate::clock::Clock;
use crate::livekit::check::{Check, Joining};
use crate::livekit::endpoint::{self, Hints};
use crate::livekit::token as jwt;
use crate::livekit::{CheckReport, Preconnect, Transport, Verdict};
use crate::relay;
use crate::reporter::{Reporter, Step};
use crate::room::RoomRef;
use crate::secret::Secret;

pub(super) use session::{Restart, Session, carry_out, session};

/// How to check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// How long to stay and watch.
    pub hold: Option<Duration>,
    /// Join with the host's token; ejects a host who is connected elsewhere.
    pub as_host: bool,
    /// Join, but try no audio.
    pub signal_only: bool,
    /// The one way that audio is to take; any, if there is none.
    pub transport: Option<Transport>,
    /// Be audibly silent for a second, if the token that joins may speak.
    pub publish: bool,
}

/// What a check came to.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The nest; what the token says, for a session without one.
    pub room: String,
    /// Whose nest it is, where that is known.
    pub host: Option<PublicKey>,
    /// What was seen.
    pub report: CheckReport,
}

/// A nest without anything to join, or whose API does not say.
#[derive(Debug)]
pub struct Unavailable {
    /// What the API says.
    pub source: api::Error,
    /// Whose nest it is, where that is known.
    pub host: Option<PublicKey>,
    /// Whether it is the nest of the key that is at hand.
    pub ours: bool,
    /// What the event says, if it says that the nest is over.
    pub over: Option<String>,
}

/// What came of it.
#[derive(Clone, Debug)]
pub enum Done {
    /// It can be joined.
    Joinable(Box<Checked>),
    /// There was no audio room; a person wanted a restart, and the new session can be joined.
    Restarted(Box<Restarted>),
}

/// Checks a nest as a listener would. When it is inactive, the key at hand is its host's and a person is there, offers
/// the restart.
///
/// # Errors
/// See [`Error`]; those of a restart only if one was wanted.
pub async fn run(
    settings: &Settings,
    room: &RoomRef,
    options: Options,
    reporter: &dyn Reporter,
    stop: &Stop,
) -> Result<Done, Error> {
    match stop.unless(Box::pin(nest(settings, room, options, reporter))).await {
        Err(Error::Unavailable(why)) if why.can_be_restarted() && settings.interactive => {
            let question = "This nest has no audio room, and it is yours. Restart this nest now?";
            let answer = stop.unless(async { Ok(reporter.confirm(question).await) }).await?;
            if answer == Some(true) {
                Box::pin(restarted(settings, room, options, reporter, stop)).await
            } else {
                Err(Error::Unavailable(why))
            }
        }
        other => other.map(|checked| Done::Joinable(Box::new(checked))),
    }
}

impl Unavailable {
    /// A restart by the key at hand would bring it back.
    #[must_use]
    pub fn can_be_restarted(&self) -> bool {
        self.ours && matches!(self.source, api::Error::NotFound { missing: Missing::AudioRoom, .. })
    }
}

async fn restarted(
    settings: &Settings,
    room: &RoomRef,
    options: Options,
    reporter: &dyn Reporter,
    stop: &Stop,
) -> Result<Done, Error> {
    // Nobody is inside, and the question was asked already.
    let request = restart::Request { check: Some(options), yes: true, ..restart::Request::new(vec![room.clone()]) };
    let result = Mutex::new(None);
    restart::run(settings, &request, reporter, stop, &|_, done| {
        *result.lock().unwrap_or_else(PoisonError::into_inner) = Some(done);
    })
    .await?;
    match result.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(Ok(restart::Done::Restarted(restarted))) => Ok(Done::Restarted(restarted)),
        Some(Err(error)) => Err(error),
        Some(Ok(restart::Done::Planned(_))) | None => Err(Error::Declined),
    }
}

async fn nest(
    settings: &Settings,
    room: &RoomRef,
    options: Options,
    reporter: &dyn Reporter,
) -> Result<Checked, Error> {
    let settings = &settings.hurried();
    let client = Client::new(settings.network.clone()).map_err(api::Error::from)?;
    let until = Instant::now() + settings.network.timeout;
    let left = || until.saturating_duration_since(Instant::now());
    let unasked = Unasked { reporter, muffled: false };
    let keys = Keys::new(settings, &unasked);
    let finder = Finder { settings, keys: &keys, reporter: &unasked };
    reporter.step(room.id.as_str(), Step::Look);
    let look = |api: Base| {
        let (client, limit) = (&client, left());
        let on = move |info: Option<Info>| async move { finder.led(room, info.as_ref()).await };
        let hints = Hints { returned: &[], streaming: &[], api: Some(api.url()), allow_http: settings.allow_http };
        let likely = if options.as_host { Vec::new() } else { endpoint::candidates(hints) };
        let ahead = Preconnect::begin(&likely, false, &client.network().tls, limit);
        async move { (sight::look_on(client, &api, &room.id, limit, reporter, on).await, ahead) }
    };
    let Beside { event, api } = finder.beside(room, look).await?;
    let mut unheard = None;
    let found = match (event, api) {
        (Ok(None), Ok((api, ((sight, led), ahead)))) => {
            // Nobody has named a relay: that none answers matters only where the way is not found without.
            let led = led.unwrap_or_else(|error| {
                unheard = Some(error.to_string());
                None
            });
            Beside { event: Ok(led), api: Ok((api, (sight, ahead))) }
        }
        (event, api) => Beside { event, api: api.map(|(api, ((sight, _), ahead))| (api, (sight, ahead))) },
    };
    if let Ok(Some(relay::FetchedEvent { event, .. })) = &found.event
        && let Some(media) = event.media_over_quic()
    {
        let report = moq::check(event, media, &client, settings.allow_http).await;
        return concluded(report, room.id.as_str(), Some(event.host()));
    }
    let (event, api, (sight, ahead)) = match found {
        Beside { event: Err(error), api: Err(Error::NoApi) } | Beside { api: Err(error), .. } => return Err(error),
        Beside { event, api: Ok((api, seen)) } => (event, api, seen),
    };
    let event = event.unwrap_or_else(|error| {
        reporter.warning(&error.to_string());
        None
    });
    tell(reporter, &api, event.as_ref());
    let host = room.host.or(sight.host());
    let clock = sight.clock;
    let guest = match audio_room(sight) {
        Ok(guest) => guest,
        Err(source) => {
            let over = event.as_ref().filter(|room| room.event.is_over(Clock::default().now_s()));
            let over = over.map(|room| room.event.status().as_str().to_owned());
            let ours = is_ours(&keys, host).await;
            return Err(Error::Unavailable(Box::new(Unavailable { source, host, ours, over })));
        }
    };
    let streaming: Vec<_> = event.iter().flat_map(|room| room.event.streaming()).map(str::to_owned).collect();
    let hints = Hints { returned: &[], streaming: &streaming, api: Some(api.url()), allow_http: settings.allow_http };
    let candidates = endpoint::candidates(hints);
    let ahead =
        if options.as_host { Preconnect::begin(&candidates, true, &client.network().tls, left()) } else { ahead };
    let own = if options.as_host {
        // It was asked for, so a person may be asked for the key.
        let keys = Keys::new(settings, reporter);
        let key = keys.of(host).await?;
        Some(token::fetch(settings, &client, &api, &room.id, &key, reporter).await?.0)
    } else {
        None
    };
    let join = own.as_ref().map_or(Joining { token: &guest, host: false }, |token| Joining { token, host: true });
    let check = Check {
        join: Some(join),
        host_token: own.as_ref(),
        api_clock: clock,
        ..options.on(room.id.as_str(), &candidates, left())
    };
    let report = carry_out(&check, ahead.as_ref(), &client, reporter).await;
    if let Some(why) = unheard.filter(|_| report.endpoint.is_none()) {
        reporter.warning(&why);
    }
    concluded(report, room.id.as_str(), host)
}

/// Checks a session at `url` with a token for it, whoever gave it out.
///
/// # Errors
/// [`Error::NoSession`] before anything is dialled, else [`Error::Unjoinable`].
pub async fn endpoint(
    settings: &Settings,
    url: &str,
    token: &Secret,
    options: Options,
    reporter: &dyn Reporter,
    stop: &Stop,
) -> Result<Checked, Error> {
    let claims = jwt::decode(token.expose()).map_err(|_| Error::NoSession("what --token-file names is no token"))?;
    let returned = [url.to_owned()];
    let hints = Hints { returned: &returned, streaming: &[], api: None, allow_http: settings.allow_http };
    let candidates = endpoint::candidates(hints);
    if candidates.is_empty() {
        return Err(Error::NoSession("what --url names is no media server"));
    }
    let client = Client::new(settings.network.clone()).map_err(api::Error::from)?;
    let grants = claims.video.unwrap_or_default();
    let name = grants.room.unwrap_or_default();
    let check = Check {
        join: Some(Joining { token, host: grants.room_admin }),
        any_room: true,
        ..options.on(&name, &candidates, client.network().timeout)
    };
    let work = async { Ok(carry_out(&check, None, &client, reporter).await) };
    concluded(stop.unless(work).await?, &name, None)
}

fn concluded(report: CheckReport, room: &str, host: Option<PublicKey>) -> Result<Checked, Error> {
    let joinable = report.verdict == Verdict::Joinable;
    let checked = Checked { room: room.to_owned(), host, report };
    if joinable { Ok(checked) } else { Err(Error::Unjoinable(Box::new(checked))) }
}

/// The guest's token, or what its absence means: `/guest` does not tell a record that is gone from a room that is.
fn audio_room(sight: Sight) -> Result<Secret, api::Error> {
    match (sight.guest, sight.info) {
        (
            Err(api::Error::NotFound { missing: Missing::AudioRoom, .. }),
            Err(gone @ api::Error::NotFound { missing: Missing::Record | Missing::Endpoint, .. }),
        ) => Err(gone),
        (guest, _) => guest,
    }
}

/// Whether the key at hand is the host's. Nobody is asked for one.
async fn is_ours(keys: &Keys<'_>, host: Option<PublicKey>) -> bool {
    let Some(host) = host else { return false };
    matches!(keys.found(Some(host)).await, Some(Ok(key)) if key.public_key() == host)
}

fn tell(reporter: &dyn Reporter, api: &Base, event: Option<&relay::FetchedEvent>) {
    reporter.detail(1, &format!("API {api}"));
    let Some(room) = event else { return };
    let seen: Vec<_> = room.seen_on.iter().map(ToString::to_string).collect();
    let (id, status) = (room.event.event().id, room.event.status());
    reporter.detail(1, &format!("event {id}, {}, seen on {}", status.as_str(), seen.join(", ")));
}
