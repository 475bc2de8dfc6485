//! What anybody may ask of the API: no key, nobody joins. The one place that says what a 404 to such a question means.

use std::future::{Future, ready};
use std::time::Duration;

use futures_util::future::join;
use nostr::PublicKey;
use serde::Deserialize;
use tokio::time::Instant;
use url::Url;

use super::answer::{self, ApiError};
use super::http::{HttpClient, HttpReply, HttpRequest, RateLimit};
use super::wire::{Info, TokenAnswer};
use super::{ApiUrl, RoomId};
use crate::livekit::Offset;
use crate::reporter::Reporter;
use crate::secret::Secret;

/// The questions to one API that need no key.
#[derive(Clone, Copy)]
pub struct Probe<'a> {
    client: &'a HttpClient,
    api: &'a ApiUrl,
    reporter: &'a dyn Reporter,
    limit: Duration,
    /// The query of the URL of a guest's token.
    query: Option<&'static str>,
}

/// An answer, and what came with it.
#[derive(Debug)]
pub struct Answer<T> {
    pub result: Result<T, ApiError>,
    /// How far the API's clock is from the one here.
    pub clock: Option<Offset>,
    /// How much the server says that it takes from this address for now.
    pub rate_limit: Option<RateLimit>,
    pub elapsed: Duration,
}

/// What `/health` says.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Health {
    pub status: Option<String>,
    pub version: Option<String>,
    /// Where clients find its media server.
    pub livekit: Option<String>,
    /// Whether what is behind the API is `up` or `down`; only `nest serve` says it.
    pub redis: Option<String>,
    pub media_server: Option<String>,
}

impl Health {
    /// What is down behind the API, by its own words.
    pub fn down(&self) -> Option<&'static str> {
        let down = |word: &Option<String>| word.as_deref() == Some("down");
        match (down(&self.redis), down(&self.media_server)) {
            (true, true) => Some("Redis and LiveKit are down"),
            (true, false) => Some("Redis is down"),
            (false, true) => Some("LiveKit is down"),
            (false, false) => None,
        }
    }
}

/// What the API says of one nest.
#[derive(Debug)]
pub struct NestProbe {
    /// `/guest`: a listener's token, if there is an audio room.
    pub guest: Result<Secret, ApiError>,
    /// `/info`: the record.
    pub info: Result<Info, ApiError>,
    /// How far the API's clock is from the one here.
    pub clock: Option<Offset>,
    /// Until both answers were there.
    pub elapsed: Duration,
    /// How much the server says that it takes after them.
    pub rate_limit: Option<RateLimit>,
}

impl NestProbe {
    /// Whether there is an audio room, as far as it is known.
    pub fn has_audio_room(&self) -> Option<bool> {
        match &self.guest {
            Ok(_) => Some(true),
            Err(error) => error.says_absent().then_some(false),
        }
    }

    /// Whether there is a record, as far as it is known.
    pub fn has_record(&self) -> Option<bool> {
        record_presence(&self.info)
    }

    /// Whose nest it is, by its record.
    pub fn host(&self) -> Option<PublicKey> {
        PublicKey::from_hex(&self.info.as_ref().ok()?.host).ok()
    }
}

/// Whether what was asked for is there, or why that is not known.
pub fn presence<T>(result: Result<T, ApiError>) -> Result<bool, ApiError> {
    match result {
        Ok(_) => Ok(true),
        Err(error) if error.says_absent() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether there is a record, as far as an answer to `/info` says it.
pub fn record_presence<T>(info: &Result<T, ApiError>) -> Option<bool> {
    match info {
        Ok(_) => Some(true),
        Err(error) => error.says_no_record().then_some(false),
    }
}

impl<'a> Probe<'a> {
    /// One whose questions wait as long as the network's settings say.
    pub fn new(client: &'a HttpClient, api: &'a ApiUrl, reporter: &'a dyn Reporter) -> Self {
        Self { client, api, reporter, limit: client.network().timeout, query: None }
    }

    /// The same, with a limit for each question.
    pub fn within(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }

    /// One that asks for a guest's token only to try whether the nest is joinable: `nest serve` has tokens whose holders
    /// nobody sees, and who may leave an empty nest without ending it. Other servers give their usual ones.
    pub fn for_trying(self) -> Self {
        Self { query: Some("probe=1"), ..self }
    }

    /// The limit of each question.
    pub fn limit(&self) -> Duration {
        self.limit
    }

    /// A listener's token; there is one if there is an audio room.
    pub async fn guest(&self, id: &RoomId) -> Answer<Secret> {
        let mut url = self.api.room(id, "/guest");
        url.set_query(self.query);
        self.get(&url, |reply| {
            let answer: TokenAnswer = answer::json(reply, &url)?;
            answer::token(&answer.token, reply.status)
        })
        .await
    }

    pub async fn info(&self, id: &RoomId) -> Answer<Info> {
        let url = self.api.room(id, "/info");
        self.get(&url, |reply| answer::json(reply, &url)).await
    }

    /// Whether the API is up. A failure that says what is down is an answer.
    pub async fn health(&self) -> Answer<Health> {
        let url = self.api.health();
        let telling = |reply: &HttpReply| {
            let health = serde_json::from_slice::<Health>(&reply.body).ok().filter(|_| reply.status == 503);
            health.filter(|health| health.down().is_some())
        };
        self.get(&url, |reply| telling(reply).map_or_else(|| answer::json(reply, &url), Ok)).await
    }

    /// Audio room and record, side by side.
    pub async fn nest(&self, id: &RoomId) -> NestProbe {
        self.nest_and(id, |_| ready(())).await.0
    }

    /// The same, and what `next` makes of the record while the audio room is still asked for.
    pub async fn nest_and<T, F: Future<Output = T>>(
        &self,
        id: &RoomId,
        next: impl FnOnce(Option<Info>) -> F,
    ) -> (NestProbe, T) {
        let info = async {
            let info = self.info(id).await;
            let next = next(info.result.as_ref().ok().cloned()).await;
            (info, next)
        };
        let (guest, (info, next)) = join(self.guest(id), info).await;
        let (clock, elapsed) = (guest.clock.or(info.clock), guest.elapsed.max(info.elapsed));
        let limits = [guest.rate_limit, info.rate_limit].into_iter().flatten();
        let rate_limit = limits.min_by_key(|limit| limit.remaining);
        (NestProbe { guest: guest.result, info: info.result, clock, elapsed, rate_limit }, next)
    }

    async fn get<T>(&self, url: &Url, read: impl FnOnce(&HttpReply) -> Result<T, ApiError>) -> Answer<T> {
        let started = Instant::now();
        let reply = self.client.send(HttpRequest::get(url).within(self.limit)).await;
        self.reporter.detail(
            1,
            &match &reply {
                Ok(reply) if reply.status < 300 => format!("GET {url}: {}", reply.status),
                Ok(reply) => format!("GET {url}: {} {}", reply.status, reply.text()),
                Err(lost) => format!("GET {url}: {lost}"),
            },
        );
        Answer {
            clock: reply.as_ref().ok().and_then(clock),
            rate_limit: reply.as_ref().ok().and_then(|reply| reply.rate_limit),
            elapsed: started.elapsed(),
            result: reply.map_err(ApiError::from).and_then(|reply| read(&reply)),
        }
    }
}

/// The server's clock, by the `Date` of its answer.
fn clock(reply: &HttpReply) -> Option<Offset> {
    reply.date_ms.map(|date| Offset::from_reading(date, 1000, reply.sent_ms, reply.received_ms))
}
