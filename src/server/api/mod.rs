//! The calls of the Nests API, in the order of checks that clients know: body, signature, record, rights, LiveKit.

mod lease;
mod permissions;
mod restart;
mod tokens;
mod validate;
mod webhook;

use std::sync::Arc;

use hyper::StatusCode;
use hyper::body::Bytes;
use hyper::header::AUTHORIZATION;
use hyper::http::request::Parts;
use livekit_protocol::Room;
use nostr::PublicKey;
use serde_json::{Map, Value, json};

use self::lease::Lease;
use self::restart::RestartOutcome;
use self::tokens::NestRole;
use super::answer::HttpAnswer;
use super::call::ApiCall;
use super::media::MediaServer;
use super::nip98::{self, Nip98Error, SignedRequest};
use super::rate_limit::{Quota, RateAllowance, RateLimiter};
use super::store::{self, Record, RoomStore};
use super::token::RoomConfig;
use super::{BackendError, random_uuid};
use crate::api::wire::{Info, TokenAnswer};
use crate::clock::{Clock, rfc3339};

pub(super) use self::tokens::{DEPARTURE_TIMEOUT, Rules};

/// The API and what is behind it.
pub(super) struct NestsApi {
    pub(super) store: Arc<dyn RoomStore>,
    pub(super) media: Arc<dyn MediaServer>,
    pub(super) clock: Clock,
    pub(super) rules: Arc<Rules>,
    /// How many signed requests a key may send.
    pub(super) key_limit: Option<(Quota, RateLimiter<PublicKey>)>,
}

/// One request and all that it needs.
pub(super) struct ApiRequest {
    nests: Arc<NestsApi>,
    call: ApiCall,
    id: String,
    method: String,
    /// The whole URL, as the client has to have signed it.
    url: String,
    origin: String,
    authorization: Option<String>,
    body: Bytes,
}

/// Why a request is not carried out.
#[derive(Debug)]
pub(super) enum ApiFailure {
    /// The client's fault: told as it is.
    Refused(StatusCode, String),
    /// The key has used up its budget.
    TooMany(RateAllowance),
    /// The store or the media server cannot be reached; the reason is for the log.
    Unavailable(String),
    /// Ours: told as 500; the reason is for the log.
    Broken(String),
}

impl From<BackendError> for ApiFailure {
    fn from(error: BackendError) -> Self {
        match error {
            BackendError::Unreachable(..) => Self::Unavailable(error.to_string()),
            BackendError::Broken(..) => Self::Broken(error.to_string()),
        }
    }
}

impl From<Nip98Error> for ApiFailure {
    fn from(error: Nip98Error) -> Self {
        Self::Refused(StatusCode::UNAUTHORIZED, error.to_string())
    }
}

impl ApiRequest {
    /// `origin` is what clients sign in place of the server's own name and port.
    pub(super) fn new(
        nests: Arc<NestsApi>,
        call: ApiCall,
        id: String,
        head: &Parts,
        origin: String,
        body: Bytes,
    ) -> Self {
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        let authorization = head.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let (method, url) = (head.method.to_string(), format!("{origin}{path}"));
        Self { nests, call, id, method, url, origin, authorization, body }
    }

    pub(super) async fn answer(self) -> HttpAnswer {
        let mut key_budget = None;
        let answer = match self.carry_out(&mut key_budget).await {
            Ok(answer) => answer,
            Err(ApiFailure::Refused(status, text)) => HttpAnswer::error(status, text.as_str()).note(text),
            Err(ApiFailure::TooMany(budget)) => HttpAnswer::too_many(budget),
            Err(ApiFailure::Unavailable(why)) if !self.nests.rules.mimic_upstream => {
                HttpAnswer::unavailable().note(why)
            }
            Err(ApiFailure::Unavailable(why) | ApiFailure::Broken(why)) => {
                HttpAnswer::error(StatusCode::INTERNAL_SERVER_ERROR, self.call.failure()).note(why)
            }
        };
        HttpAnswer { key_budget, ..answer }
    }

    async fn carry_out(&self, key_budget: &mut Option<RateAllowance>) -> Result<HttpAnswer, ApiFailure> {
        let body = self.json()?;
        if !self.call.needs_signature() {
            return match self.call {
                ApiCall::Guest => self.guest().await,
                ApiCall::Info => self.info().await,
                ApiCall::Webhook => self.webhook().await,
                _ => Ok(self.health()),
            };
        }
        let signer = self.signer(key_budget).await?;
        match self.call {
            ApiCall::Create => self.create(&signer, &body).await,
            ApiCall::Restart => self.restart(&signer).await,
            ApiCall::Permissions => self.permissions(&signer, &body).await,
            ApiCall::Delete => self.delete(&signer).await,
            _ => self.token(&signer).await,
        }
    }

    /// The body of those calls that have one.
    fn json(&self) -> Result<Value, ApiFailure> {
        if !self.call.takes_json() {
            return Ok(Value::Null);
        }
        if self.body.is_empty() {
            return Ok(json!({}));
        }
        serde_json::from_slice(&self.body).map_err(|_| bad_request("Body is not JSON"))
    }

    /// The key that has signed the request, as hex.
    async fn signer(&self, key_budget: &mut Option<RateAllowance>) -> Result<String, ApiFailure> {
        let request = SignedRequest {
            authorization: self.authorization.as_deref(),
            method: &self.method,
            url: &self.url,
            body: &self.body,
        };
        let (key, event) = nip98::verify(&request, self.nests.clock.now_s())?;
        // After the signature, so that nobody can use up the budget of another's key.
        *key_budget = self.nests.key_limit.as_ref().map(|(quota, limiter)| limiter.count(*quota, key));
        if let Some(budget) = key_budget.filter(|budget| budget.exceeded) {
            return Err(ApiFailure::TooMany(budget));
        }
        if !self.nests.store.first_use(&event.to_hex(), nip98::MEMORY).await? {
            return Err(Nip98Error::Replayed.into());
        }
        Ok(key.to_hex())
    }

    async fn create(&self, signer: &str, body: &Value) -> Result<HttpAnswer, ApiFailure> {
        let wanted = validate::create(body).map_err(bad_request)?;
        let record = Record {
            id: random_uuid(),
            host: signer.into(),
            speakers: vec![signer.into()],
            admins: vec![signer.into()],
            relays: wanted.relays,
            hls_stream: wanted.hls_stream,
            created_at: self.nests.clock.now_ms(),
            status: store::active(),
            restarted_at: None,
            rest: Map::new(),
        };
        // The record first: a room without one could not be deleted by anybody.
        self.nests.store.put(&record).await?;
        let room = match self.nests.media.create(&self.nests.room_of(&record, None)).await {
            Ok(room) => room,
            Err(error) => {
                // Nobody knows the id of this record; if it cannot be deleted, it expires.
                let lease = self.nests.acquire_lease(&record.id).await?;
                let _ = self.nests.store.delete(&record.id, lease.number).await;
                return Err(error.into());
            }
        };
        let note = format!("create {} {}", record.id, room.sid);
        Ok(self.session(&record, Some(RoomConfig::of(&room)), None).note(note))
    }

    async fn restart(&self, signer: &str) -> Result<HttpAnswer, ApiFailure> {
        self.record_of_host(signer, "Only the host can restart the nest").await?;
        let (record, config, note) = match self.nests.restart(&self.id).await? {
            RestartOutcome::Replaced(replaced) => {
                let before = replaced.old_sid.as_deref().unwrap_or("no room");
                let note = format!("restart {} {before} → {}", self.id, replaced.new_sid);
                (replaced.record, Some(replaced.config), note)
            }
            RestartOutcome::ByAnother => {
                (self.record().await?, None, format!("restart {} together with another", self.id))
            }
        };
        Ok(self.session(&record, config, Some("Nest restarted successfully")).note(note))
    }

    async fn token(&self, signer: &str) -> Result<HttpAnswer, ApiFailure> {
        let record = self.record().await?;
        let room = self.live_room().await?.ok_or_else(|| not_found("Nest is no longer active"))?;
        self.nests.store.renew(&self.id).await?;
        let config = Some(self.nests.config_of(Some(&room)));
        let token = Value::String(self.nests.mint(signer, &self.id, NestRole::of(&record, signer), config));
        Ok(HttpAnswer::json(StatusCode::OK, &TokenAnswer { token }))
    }

    async fn guest(&self) -> Result<HttpAnswer, ApiFailure> {
        let room = self.live_room().await?.ok_or_else(|| not_found("Nest not found or no longer active"))?;
        let token = Value::String(self.nests.mint_guest(&self.id, self.nests.config_of(Some(&room))));
        Ok(HttpAnswer::json(StatusCode::OK, &TokenAnswer { token }))
    }

    async fn info(&self) -> Result<HttpAnswer, ApiFailure> {
        let record = self.record().await?;
        let people = match self.nests.media.participants(&self.id).await {
            Ok(people) => people.len(),
            // As upstream: a media server that is down has nobody in it.
            Err(_) if self.nests.rules.mimic_upstream => 0,
            Err(error) => return Err(error.into()),
        };
        let info = Info {
            link: tokens::link(&record),
            host: record.host,
            speakers: record.speakers,
            admins: record.admins,
            recording: false,
            participant_count: people as u64,
            created_at: record.created_at,
            restarted_at: record.restarted_at,
            status: record.status,
        };
        Ok(HttpAnswer::json(StatusCode::OK, &info))
    }

    /// Under the lease: a restart at the same time would bring the record back.
    async fn delete(&self, signer: &str) -> Result<HttpAnswer, ApiFailure> {
        self.record_of_host(signer, "Only the host can delete the nest").await?;
        let lease = self.nests.acquire_lease(&self.id).await?;
        let note = match self.nests.media.delete(&self.id).await {
            Ok(_) => format!("delete {}", self.id),
            // As upstream: done even when LiveKit fails.
            Err(error) if self.nests.rules.mimic_upstream => error.to_string(),
            Err(error) => {
                let _ = self.nests.store.fail_restart(&self.id, lease.number, false).await;
                return Err(error.into());
            }
        };
        if !self.nests.store.delete(&self.id, lease.number).await? {
            return Err(Lease::over());
        }
        Ok(HttpAnswer::empty(StatusCode::NO_CONTENT).note(note))
    }

    /// Healthy even when nothing behind it is, as upstream.
    fn health(&self) -> HttpAnswer {
        HttpAnswer::json(
            StatusCode::OK,
            &json!({
                "status": "healthy",
                "timestamp": rfc3339(self.nests.clock.now_ms()),
                "version": env!("CARGO_PKG_VERSION"),
                "livekit": self.nests.media.url(),
            }),
        )
    }

    async fn record(&self) -> Result<Record, ApiFailure> {
        self.nests.store.get(&self.id).await?.ok_or_else(|| not_found("Nest not found"))
    }

    async fn record_of_host(&self, signer: &str, otherwise: &str) -> Result<Record, ApiFailure> {
        let record = self.record().await?;
        if record.host == signer { Ok(record) } else { Err(forbidden(otherwise)) }
    }

    /// The audio room. One that is missing because a restart is under way, or was killed half way, is waited for or
    /// made.
    async fn live_room(&self) -> Result<Option<Room>, ApiFailure> {
        let nests = &self.nests;
        match nests.media.find(&self.id).await {
            Ok(None) if nests.store.restart_unfinished(&self.id).await? => {}
            Ok(room) => return Ok(room),
            // As upstream: a media server that is down has no room.
            Err(_) if nests.rules.mimic_upstream => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        match nests.restart(&self.id).await {
            Ok(_) => Ok(nests.media.find(&self.id).await?),
            Err(ApiFailure::Refused(..)) => Ok(None),
            Err(failure) => Err(failure),
        }
    }
}

fn bad_request(text: impl Into<String>) -> ApiFailure {
    ApiFailure::Refused(StatusCode::BAD_REQUEST, text.into())
}

fn forbidden(text: &str) -> ApiFailure {
    ApiFailure::Refused(StatusCode::FORBIDDEN, text.into())
}

fn not_found(text: &str) -> ApiFailure {
    ApiFailure::Refused(StatusCode::NOT_FOUND, text.into())
}
