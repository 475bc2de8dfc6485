//! The calls of the Nests API, in the order of checks that clients know: body, signature, record, rights, LiveKit.

mod permissions;
mod restart;
mod tokens;
mod validate;
mod webhook;

use std::sync::Arc;

use hyper::StatusCode;
use hyper::body::Bytes;
use hyper::header::RETRY_AFTER;
use livekit_protocol::Room;
use nostr::PublicKey;
use serde_json::{Map, Value, json};

use self::restart::Restarted;
use self::tokens::Role;
use super::answer::Answer;
use super::call::Call;
use super::limit::{Limiter, Standing};
use super::media::{self, MediaServer};
use super::store::{self, Record, RoomStore};
use super::token::RoomConfig;
use super::{nip98, random};
use crate::api::wire::{Info, TokenAnswer};
use crate::clock::{Clock, rfc3339};

pub(super) use self::tokens::Rules;

/// When to come back after an outage, in seconds.
pub(super) const RETRY_S: u64 = 2;

/// The API and what is behind it.
pub(super) struct Nests {
    pub(super) store: Arc<dyn RoomStore>,
    pub(super) media: Arc<dyn MediaServer>,
    pub(super) clock: Clock,
    pub(super) rules: Arc<Rules>,
    /// Counts the requests of a key.
    pub(super) keys: Option<Arc<Limiter<PublicKey>>>,
}

/// One request and all that it needs.
pub(super) struct Ask {
    pub(super) nests: Arc<Nests>,
    pub(super) call: Call,
    /// The room that it is about.
    pub(super) id: String,
    pub(super) method: String,
    /// The whole URL, as the client has to have signed it.
    pub(super) url: String,
    pub(super) origin: String,
    pub(super) authorization: Option<String>,
    pub(super) body: Bytes,
}

/// Why a request is not carried out.
#[derive(Debug)]
pub(super) enum Failure {
    /// The client's fault: told as it is.
    Refused(StatusCode, String),
    /// This key asks for too much.
    TooMany(Standing),
    /// The store or the media server is not there; the reason is for the log.
    Unavailable(String),
    /// Ours: told as 500; the reason is for the log.
    Broken(String),
}

impl From<store::Error> for Failure {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::Unreachable(_) => Self::Unavailable(error.to_string()),
            store::Error::Broken(_) => Self::Broken(error.to_string()),
        }
    }
}

impl From<media::Error> for Failure {
    fn from(error: media::Error) -> Self {
        match error {
            media::Error::Unreachable(_) => Self::Unavailable(error.to_string()),
            media::Error::Refused(_) => Self::Broken(error.to_string()),
        }
    }
}

impl From<nip98::Refusal> for Failure {
    fn from(refusal: nip98::Refusal) -> Self {
        Self::Refused(StatusCode::UNAUTHORIZED, refusal.to_string())
    }
}

impl Ask {
    pub(super) async fn answer(self) -> Answer {
        let mut standing = None;
        let mut answer = match self.carry_out(&mut standing).await {
            Ok(answer) => answer,
            Err(Failure::Refused(status, text)) => Answer::error(status, text.as_str()).note(text),
            Err(Failure::TooMany(standing)) => Answer::too_many(standing),
            Err(Failure::Unavailable(why)) if self.nests.rules.frank => Answer::unavailable().note(why),
            Err(Failure::Unavailable(why) | Failure::Broken(why)) => {
                Answer::error(StatusCode::INTERNAL_SERVER_ERROR, self.call.failure()).note(why)
            }
        };
        answer.standing = standing;
        answer
    }

    async fn carry_out(&self, standing: &mut Option<Standing>) -> Result<Answer, Failure> {
        let body = self.json()?;
        if !self.call.needs_signature() {
            return match self.call {
                Call::Guest => self.guest().await,
                Call::Info => self.info().await,
                Call::Webhook => self.webhook().await,
                _ => Ok(self.health()),
            };
        }
        let signer = self.signer(standing).await?;
        match self.call {
            Call::Create => self.create(&signer, &body).await,
            Call::Restart => self.restart(&signer).await,
            Call::Permissions => self.permissions(&signer, &body).await,
            Call::Delete => self.delete(&signer).await,
            _ => self.token(&signer).await,
        }
    }

    /// The body of those calls that have one.
    fn json(&self) -> Result<Value, Failure> {
        if !self.call.takes_json() {
            return Ok(Value::Null);
        }
        if self.body.is_empty() {
            return Ok(json!({}));
        }
        serde_json::from_slice(&self.body).map_err(|_| bad_request("Body is not JSON"))
    }

    /// Who has signed the request, as hex.
    async fn signer(&self, standing: &mut Option<Standing>) -> Result<String, Failure> {
        let request = nip98::Request {
            authorization: self.authorization.as_deref(),
            method: &self.method,
            url: &self.url,
            body: &self.body,
        };
        let signed = nip98::verify(&request, self.nests.clock.now_s())?;
        // Only who holds a key can use up what it may ask for.
        *standing = self.nests.keys.as_ref().map(|keys| keys.count(signed.key));
        if let Some(standing) = standing.filter(|standing| standing.refused) {
            return Err(Failure::TooMany(standing));
        }
        if !self.nests.store.first_use(&signed.event.to_hex(), nip98::MEMORY).await? {
            return Err(nip98::Refusal::Replayed.into());
        }
        Ok(signed.key.to_hex())
    }

    async fn create(&self, signer: &str, body: &Value) -> Result<Answer, Failure> {
        let wanted = validate::create(body).map_err(bad_request)?;
        let record = Record {
            id: random::uuid(),
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
                // Nobody knows its id; if it stays, it is forgotten in a day.
                let lease = self.nests.own_turn(&record.id).await?;
                let _ = self.nests.store.close(&record.id, lease.turn).await;
                return Err(error.into());
            }
        };
        let note = format!("create {} {}", record.id, room.sid);
        Ok(self.session(&record, Some(RoomConfig::of(&room)), None).note(note))
    }

    async fn restart(&self, signer: &str) -> Result<Answer, Failure> {
        self.record_of_host(signer, "Only the host can restart the nest").await?;
        let (record, config, note) = match self.nests.restart(&self.id).await? {
            Restarted::Now { record, config, before, sid } => {
                let before = before.unwrap_or_else(|| "no room".into());
                (*record, Some(config), format!("restart {} {before} → {sid}", self.id))
            }
            Restarted::Joined => (self.record().await?, None, format!("restart {} together with another", self.id)),
        };
        Ok(self.session(&record, config, Some("Nest restarted successfully")).note(note))
    }

    async fn token(&self, signer: &str) -> Result<Answer, Failure> {
        let record = self.record().await?;
        let room = self.live_room().await?.ok_or_else(|| not_found("Nest is no longer active"))?;
        self.nests.store.renew(&self.id).await?;
        let config = Some(self.nests.config_of(Some(&room)));
        let token = Value::String(self.nests.mint(signer, &self.id, Role::of(&record, signer), config));
        Ok(Answer::json(StatusCode::OK, &TokenAnswer { token }))
    }

    async fn guest(&self) -> Result<Answer, Failure> {
        let room = self.live_room().await?.ok_or_else(|| not_found("Nest not found or no longer active"))?;
        let token = Value::String(self.nests.mint_guest(&self.id, self.nests.config_of(Some(&room))));
        Ok(Answer::json(StatusCode::OK, &TokenAnswer { token }))
    }

    async fn info(&self) -> Result<Answer, Failure> {
        let record = self.record().await?;
        let people = match self.nests.media.participants(&self.id).await {
            Ok(people) => people.len(),
            Err(error) if self.nests.rules.frank => return Err(error.into()),
            // As upstream: a media server that is down has nobody in it.
            Err(_) => 0,
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
        Ok(Answer::json(StatusCode::OK, &info))
    }

    /// Not while it is being restarted, which would bring its record back.
    async fn delete(&self, signer: &str) -> Result<Answer, Failure> {
        self.record_of_host(signer, "Only the host can delete the nest").await?;
        let lease = self.nests.own_turn(&self.id).await?;
        let note = match self.nests.media.delete(&self.id).await {
            Ok(_) => format!("delete {}", self.id),
            Err(error) if self.nests.rules.frank => {
                let _ = self.nests.store.fail(&self.id, lease.turn, false).await;
                return Err(error.into());
            }
            // As upstream: done even when LiveKit fails.
            Err(error) => error.to_string(),
        };
        if !self.nests.store.close(&self.id, lease.turn).await? {
            return Err(Failure::Unavailable("the turn is over".into()));
        }
        Ok(Answer::empty(StatusCode::NO_CONTENT).note(note))
    }

    /// Healthy even when nothing behind it is, as upstream.
    fn health(&self) -> Answer {
        Answer::json(
            StatusCode::OK,
            &json!({
                "status": "healthy",
                "timestamp": rfc3339(self.nests.clock.now_ms()),
                "version": env!("CARGO_PKG_VERSION"),
                "livekit": self.nests.media.url(),
            }),
        )
    }

    /// The record of the room.
    async fn record(&self) -> Result<Record, Failure> {
        self.nests.store.get(&self.id).await?.ok_or_else(|| not_found("Nest not found"))
    }

    async fn record_of_host(&self, signer: &str, otherwise: &str) -> Result<Record, Failure> {
        let record = self.record().await?;
        if record.host == signer { Ok(record) } else { Err(forbidden(otherwise)) }
    }

    /// The audio room. One that is missing because a restart is under way, or was killed half way, is waited for or
    /// made. A media server that is down has none, as upstream, unless the API is frank about it.
    async fn live_room(&self) -> Result<Option<Room>, Failure> {
        let nests = &self.nests;
        match nests.media.find(&self.id).await {
            Ok(None) if nests.store.unfinished(&self.id).await? => {}
            Ok(room) => return Ok(room),
            Err(error) if nests.rules.frank => return Err(error.into()),
            Err(_) => return Ok(None),
        }
        match nests.restart(&self.id).await {
            Ok(_) => Ok(nests.media.find(&self.id).await?),
            Err(Failure::Refused(..)) => Ok(None),
            Err(failure) => Err(failure),
        }
    }
}

fn bad_request(text: impl Into<String>) -> Failure {
    Failure::Refused(StatusCode::BAD_REQUEST, text.into())
}

fn forbidden(text: &str) -> Failure {
    Failure::Refused(StatusCode::FORBIDDEN, text.into())
}

fn not_found(text: &str) -> Failure {
    Failure::Refused(StatusCode::NOT_FOUND, text.into())
}

impl Answer {
    /// The store or the media server is not there.
    pub(super) fn unavailable() -> Self {
        let text = format!("Temporarily unavailable, try again in {RETRY_S} seconds");
        Self::error(StatusCode::SERVICE_UNAVAILABLE, text).header(RETRY_AFTER, RETRY_S)
    }

    /// Somebody asks for too much.
    pub(super) fn too_many(standing: Standing) -> Self {
        let answer = Self::error(StatusCode::TOO_MANY_REQUESTS, "Too many requests, please try again later");
        answer.header(RETRY_AFTER, standing.reset).note("rate limit")
    }
}
