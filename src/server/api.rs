//! The calls of the Nests API, in the order of checks that clients know: body, signature, record, rights, LiveKit.

use std::sync::Arc;

use hyper::StatusCode;
use hyper::body::Bytes;
use livekit_protocol::Room;
use nostr::nips::nip01::Coordinate;
use nostr::nips::nip19::{Nip19Coordinate, ToBech32 as _};
use nostr::{Kind, PublicKey};
use serde_json::{Value, json};

use super::answer::Answer;
use super::app::App;
use super::call::Call;
use super::faults::Active;
use super::media::{self, MediaServer, NewRoom};
use super::store::{self, Record};
use super::token::{Claims, Grants};
use super::{nip98, random, validate};
use crate::api::wire::{Info, Session, TokenAnswer};
use crate::clock::rfc3339;
use crate::room::ROOM_KIND;

/// How long a token lasts, in seconds.
const TOKEN_S: i64 = 6 * 3600;

/// One request and all that it needs.
pub(super) struct Ask {
    pub(super) app: Arc<App>,
    pub(super) faults: Active,
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
    /// Ours: told as 500; the reason is for the log.
    Broken(String),
}

impl From<store::Error> for Failure {
    fn from(error: store::Error) -> Self {
        Self::Broken(error.to_string())
    }
}

impl From<media::Error> for Failure {
    fn from(error: media::Error) -> Self {
        Self::Broken(error.to_string())
    }
}

impl From<nip98::Refusal> for Failure {
    fn from(refusal: nip98::Refusal) -> Self {
        Self::Refused(StatusCode::UNAUTHORIZED, refusal.to_string())
    }
}

/// What somebody is in a nest.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Host,
    Admin,
    Speaker,
    Listener,
}

impl Ask {
    pub(super) async fn answer(self) -> Answer {
        match self.carry_out().await {
            Ok(answer) => answer,
            Err(Failure::Refused(status, text)) => Answer::error(status, text.as_str()).note(text),
            Err(Failure::Broken(why)) => {
                Answer::error(StatusCode::INTERNAL_SERVER_ERROR, self.call.failure()).note(why)
            }
        }
    }

    async fn carry_out(&self) -> Result<Answer, Failure> {
        let body = self.json()?;
        if !self.call.needs_signature() {
            return match self.call {
                Call::Guest => self.guest().await,
                Call::Info => self.info().await,
                _ => Ok(self.health()),
            };
        }
        let request = nip98::Request {
            authorization: self.authorization.as_deref(),
            method: &self.method,
            url: &self.url,
            body: &self.body,
        };
        let signer = self.app.verifier.verify(&request, self.app.clock().now_s())?.to_hex();
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

    async fn create(&self, signer: &str, body: &Value) -> Result<Answer, Failure> {
        let wanted = validate::create(body).map_err(bad_request)?;
        let now = self.app.clock().now_ms();
        let record = Record {
            id: random::uuid(),
            host: signer.into(),
            speakers: vec![signer.into()],
            admins: vec![signer.into()],
            relays: wanted.relays,
            hls_stream: wanted.hls_stream,
            created_at: now,
            status: "active".into(),
            restarted_at: None,
        };
        self.faults.at_store().await;
        let room = self.media()?.create(&self.room_of(&record)).await?;
        self.app.store.put(&record).await?;
        let note = format!("create {} {}", record.id, room.sid);
        Ok(self.session(&record, None).note(note))
    }

    async fn restart(&self, signer: &str) -> Result<Answer, Failure> {
        let record = self.record_of_host(signer, "Only the host can restart the nest").await?;
        let media = self.media()?;
        let before = media.find(&self.id).await?;
        let kept = self.faults.old_room_kept();
        if !kept {
            media.delete(&self.id).await?;
        }
        let record = Record { status: "active".into(), restarted_at: Some(self.app.clock().now_ms()), ..record };
        let room = media.create(&self.room_of(&record)).await?;
        if !kept && before.as_ref().is_some_and(|before| before.sid == room.sid) {
            return Err(Failure::Broken(format!("the media server kept {}", room.sid)));
        }
        self.app.store.put(&record).await?;
        self.tear_down_late();
        let note =
            format!("restart {} {} → {}", self.id, before.map_or("no room".into(), |before| before.sid), room.sid);
        Ok(self.session(&record, Some("Nest restarted successfully")).note(note))
    }

    fn tear_down_late(&self) {
        if let Some(wait) = self.faults.late_teardown() {
            let (media, id) = (self.app.media.clone(), self.id.clone());
            self.app.spawn(async move {
                tokio::time::sleep(wait).await;
                // What cannot be torn down stays: it is a fault either way.
                let _ = media.delete(&id).await;
            });
        }
    }

    async fn token(&self, signer: &str) -> Result<Answer, Failure> {
        let record = self.record().await?;
        if !self.is_live().await {
            return Err(not_found("Nest is no longer active"));
        }
        let role = Role::of(&record, signer);
        let token = Value::String(self.mint(signer, &self.id, role));
        Ok(Answer::json(StatusCode::OK, &TokenAnswer { token }))
    }

    async fn guest(&self) -> Result<Answer, Failure> {
        if !self.is_live().await {
            return Err(not_found("Nest not found or no longer active"));
        }
        let identity = format!("guest-{}-{}", self.app.clock().now_ms(), random::text(9).to_lowercase());
        let token = Value::String(self.sign(Claims {
            sub: identity,
            name: "Guest".into(),
            metadata: json!({ "role": "guest" }).to_string(),
            video: Some(Grants {
                room: Some(self.id.clone()),
                room_join: Some(true),
                can_publish: Some(false),
                can_subscribe: Some(true),
                room_admin: Some(false),
                ..Grants::default()
            }),
            ..Claims::default()
        }));
        Ok(Answer::json(StatusCode::OK, &TokenAnswer { token }))
    }

    async fn info(&self) -> Result<Answer, Failure> {
        let record = self.record().await?;
        // As upstream: a media server that is down has nobody in it.
        let people = match self.media() {
            Ok(media) => media.participants(&self.id).await.unwrap_or_default().len(),
            Err(_) => 0,
        };
        let info = Info {
            link: link(&record),
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

    async fn delete(&self, signer: &str) -> Result<Answer, Failure> {
        self.record_of_host(signer, "Only the host can delete the nest").await?;
        // As upstream: done even when LiveKit fails.
        let note = match self.media() {
            Ok(media) => media.delete(&self.id).await.err().map(|e| e.to_string()),
            Err(_) => Some("media server is down".into()),
        };
        self.app.store.delete(&self.id).await?;
        Ok(Answer::empty(StatusCode::NO_CONTENT).note(note.unwrap_or_else(|| format!("delete {}", self.id))))
    }

    /// Healthy even when nothing behind it is, as upstream.
    fn health(&self) -> Answer {
        Answer::json(
            StatusCode::OK,
            &json!({
                "status": "healthy",
                "timestamp": rfc3339(self.app.clock().now_ms()),
                "version": env!("CARGO_PKG_VERSION"),
                "livekit": self.app.media.url(),
            }),
        )
    }

    /// The record of the room.
    pub(super) async fn record(&self) -> Result<Record, Failure> {
        let lost = self.faults.at_store().await;
        let record = self.app.store.get(&self.id).await?.filter(|_| !lost);
        record.ok_or_else(|| not_found("Nest not found"))
    }

    async fn record_of_host(&self, signer: &str, otherwise: &str) -> Result<Record, Failure> {
        let record = self.record().await?;
        if record.host == signer { Ok(record) } else { Err(forbidden(otherwise)) }
    }

    pub(super) fn media(&self) -> Result<&dyn MediaServer, Failure> {
        if self.faults.media_down() {
            return Err(Failure::Broken("media server is down".into()));
        }
        Ok(&*self.app.media)
    }

    /// Whether there is an audio room; a media server that is down has none, as upstream.
    async fn is_live(&self) -> bool {
        let room: Option<Room> = match self.media() {
            Ok(media) => media.find(&self.id).await.ok().flatten(),
            Err(_) => None,
        };
        room.is_some()
    }

    fn room_of(&self, record: &Record) -> NewRoom {
        let mut metadata = json!({
            "nestId": record.id,
            "host": record.host,
            "relays": record.relays,
            "createdAt": record.created_at,
        });
        if let Some(restarted_at) = record.restarted_at {
            metadata["restartedAt"] = restarted_at.into();
        }
        NewRoom {
            name: record.id.clone(),
            empty_timeout: self.app.options.empty_timeout,
            departure_timeout: self.app.options.departure_timeout,
            max_participants: 500,
            metadata: metadata.to_string(),
        }
    }

    fn session(&self, record: &Record, message: Option<&str>) -> Answer {
        let host = self.app.media.url().trim_start_matches("ws://").trim_start_matches("wss://");
        let mut endpoints = vec![format!("wss+livekit://{host}")];
        if record.hls_stream {
            endpoints.push(format!("{}/api/v1/live/{}/live.m3u8", self.origin, record.id));
        }
        let mut session = Session {
            room_id: record.id.clone(),
            endpoints,
            token: Value::String(self.mint(&record.host, &record.id, Role::Host)),
            message: message.map(Into::into),
        };
        self.faults.session(&mut session);
        Answer::json(StatusCode::OK, &session)
    }

    fn mint(&self, identity: &str, room: &str, role: Role) -> String {
        let (runs, speaks) = (matches!(role, Role::Host | Role::Admin), role != Role::Listener);
        self.sign(Claims {
            sub: identity.into(),
            name: role.name().into(),
            metadata: json!({ "role": role.name().to_lowercase(), "pubkey": identity }).to_string(),
            video: Some(Grants {
                room: Some(room.into()),
                room_join: Some(true),
                can_publish: Some(speaks),
                can_subscribe: Some(true),
                room_admin: Some(runs),
                room_record: Some(runs),
                ..Grants::default()
            }),
            ..Claims::default()
        })
    }

    fn sign(&self, claims: Claims) -> String {
        let exp = self.app.clock().now_s() + TOKEN_S;
        self.faults.issuer(self.app.media.issuer()).mint(&Claims { exp: Some(exp), nbf: Some(0), ..claims })
    }
}

impl Role {
    fn of(record: &Record, identity: &str) -> Self {
        let is = |list: &[String]| list.iter().any(|key| key == identity);
        if record.host == identity {
            Self::Host
        } else if is(&record.admins) {
            Self::Admin
        } else if is(&record.speakers) {
            Self::Speaker
        } else {
            Self::Listener
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Host => "Host",
            Self::Admin => "Admin",
            Self::Speaker => "Speaker",
            Self::Listener => "Listener",
        }
    }
}

/// The naddr of a nest; empty when its host is no key.
fn link(record: &Record) -> String {
    let Ok(host) = PublicKey::from_hex(&record.host) else { return String::new() };
    let coordinate = Coordinate::new(Kind::from(ROOM_KIND), host).identifier(&record.id);
    Nip19Coordinate { coordinate, relays: Vec::new() }.to_bech32().unwrap_or_default()
}

pub(super) fn bad_request(text: impl Into<String>) -> Failure {
    Failure::Refused(StatusCode::BAD_REQUEST, text.into())
}

pub(super) fn forbidden(text: &str) -> Failure {
    Failure::Refused(StatusCode::FORBIDDEN, text.into())
}

fn not_found(text: &str) -> Failure {
    Failure::Refused(StatusCode::NOT_FOUND, text.into())
}
