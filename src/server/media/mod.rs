//! The port to the media server, and its adapter for a real LiveKit server, through LiveKit's `RoomService` (Twirp over
//! protobuf). That and the embedded server's adapter pass one contract test.
//!
//! The calls are written out here because the crate `livekit-api` (0.10) takes no HTTP client: with it there would be no
//! TLS of ours, and so no private CA.

use std::time::Duration;

use async_trait::async_trait;
use livekit_protocol as proto;
use livekit_protocol::{CreateRoomRequest, ParticipantInfo, ParticipantPermission, Room};
use prost::Message;
use reqwest::header::CONTENT_TYPE;
use serde::Deserialize;

use super::BackendError;
use super::token::{Claims, Grants, Issuer};
use crate::clock::Clock;
use crate::net::tls::client_config;
use crate::secret::{Secret, scrub};

pub(super) mod embedded;

pub use embedded::EmbeddedSettings;
pub(super) use embedded::{Embedded, seconds};

/// The media server in a [`BackendError`].
pub(super) const NAME: &str = "media server";

/// Rooms of a LiveKit server, in LiveKit's own types.
#[async_trait]
pub trait MediaServer: Send + Sync {
    /// Creates a room; timeouts of zero are the server's own. One that lives is handed back as it is.
    async fn create(&self, room: &CreateRoomRequest) -> Result<Room, BackendError>;
    /// Deletes a room and disconnects whoever is inside; whether there was one.
    async fn delete(&self, name: &str) -> Result<bool, BackendError>;
    async fn find(&self, name: &str) -> Result<Option<Room>, BackendError>;
    /// Writes the metadata of a room that lives; whether there was one.
    async fn describe(&self, name: &str, metadata: &str) -> Result<bool, BackendError>;
    /// Who is in a room; nobody when there is none.
    async fn participants(&self, name: &str) -> Result<Vec<ParticipantInfo>, BackendError>;
    /// Lets a participant publish, or stops it; whether it was there.
    async fn permit(&self, room: &str, identity: &str, can_publish: bool) -> Result<bool, BackendError>;
    /// Mutes the microphone of a participant, or unmutes it; whether there was one.
    async fn mute(&self, room: &str, identity: &str, muted: bool) -> Result<bool, BackendError>;
}

/// How long LiveKit may take to answer a call.
const LIMIT: Duration = Duration::from_millis(1200);

/// The Twirp codes of what asking again does not help against.
const OUR_FAULT: [&str; 4] = ["unauthenticated", "permission_denied", "invalid_argument", "bad_route"];

#[derive(Clone, Debug)]
pub struct LivekitConfig {
    /// `ws://`, `wss://`, `http://` or `https://`.
    pub url: String,
    pub key: String,
    pub secret: Secret,
}

impl LivekitConfig {
    pub fn issuer(&self) -> Issuer {
        Issuer { key: self.key.clone(), secret: self.secret.clone() }
    }
}

#[derive(Clone, Debug)]
pub struct Livekit {
    http: reqwest::Client,
    /// The URL of `RoomService`, without a slash at the end.
    service: String,
    issuer: Issuer,
}

#[derive(Deserialize)]
struct TwirpError {
    code: String,
    #[serde(default)]
    msg: String,
}

impl Livekit {
    /// Connects at the first call; an error is about the URL.
    pub fn new(config: LivekitConfig) -> Result<Self, BackendError> {
        let (issuer, url) = (config.issuer(), config.url);
        let origin = match url.split_once("://") {
            Some(("ws", rest)) => format!("http://{rest}"),
            Some(("wss", rest)) => format!("https://{rest}"),
            Some(("http" | "https", _)) => url,
            _ => return Err(BackendError::Broken(NAME, format!("{url:?} is no ws:// or wss:// URL"))),
        };
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured((*client_config(&[])).clone())
            .no_proxy()
            .timeout(LIMIT)
            .build()
            .map_err(|e| BackendError::Broken(NAME, e.to_string()))?;
        let service = format!("{}/twirp/livekit.RoomService", origin.trim_end_matches('/'));
        Ok(Self { http, service, issuer })
    }

    /// One call; `None` when LiveKit says that there is no such thing.
    async fn call<T>(&self, method: &str, grants: Grants, request: &impl Message) -> Result<Option<T>, BackendError>
    where
        T: Message + Default,
    {
        let claims = Claims { exp: Some(Clock::default().now_s() + 60), video: Some(grants), ..Claims::default() };
        let failed =
            |e: reqwest::Error| BackendError::Unreachable(NAME, format!("{method}: {}", innermost(&e.without_url())));
        let answer = self
            .http
            .post(format!("{}/{method}", self.service))
            .header(CONTENT_TYPE, "application/protobuf")
            .bearer_auth(self.issuer.mint(&claims))
            .body(request.encode_to_vec())
            .send()
            .await
            .map_err(failed)?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(failed)?;
        if status.is_success() {
            return T::decode(body).map(Some).map_err(|e| BackendError::Unreachable(NAME, format!("{method}: {e}")));
        }
        let (broken, why) = match serde_json::from_slice::<TwirpError>(&body) {
            Ok(error) if error.code == "not_found" => return Ok(None),
            Ok(error) => (OUR_FAULT.contains(&error.code.as_str()), scrub(&error.msg).into_owned()),
            Err(_) => (!status.is_server_error(), format!("HTTP {status}")),
        };
        Err(if broken { BackendError::Broken } else { BackendError::Unreachable }(NAME, format!("{method}: {why}")))
    }

    fn admin(room: &str) -> Grants {
        Grants { room: Some(room.into()), room_admin: Some(true), ..Grants::default() }
    }

    fn creator() -> Grants {
        Grants { room_create: Some(true), ..Grants::default() }
    }
}

#[async_trait]
impl MediaServer for Livekit {
    async fn create(&self, room: &CreateRoomRequest) -> Result<Room, BackendError> {
        let room = self.call("CreateRoom", Self::creator(), room).await?;
        room.ok_or_else(|| BackendError::Broken(NAME, "CreateRoom: not found".into()))
    }

    async fn delete(&self, name: &str) -> Result<bool, BackendError> {
        let request = proto::DeleteRoomRequest { room: name.into() };
        Ok(self.call::<proto::DeleteRoomResponse>("DeleteRoom", Self::creator(), &request).await?.is_some())
    }

    async fn find(&self, name: &str) -> Result<Option<Room>, BackendError> {
        let grants = Grants { room_list: Some(true), ..Grants::default() };
        let request = proto::ListRoomsRequest { names: vec![name.into()] };
        let list: Option<proto::ListRoomsResponse> = self.call("ListRooms", grants, &request).await?;
        Ok(list.unwrap_or_default().rooms.into_iter().find(|room| room.name == name))
    }

    async fn describe(&self, name: &str, metadata: &str) -> Result<bool, BackendError> {
        let request = proto::UpdateRoomMetadataRequest { room: name.into(), metadata: metadata.into() };
        Ok(self.call::<Room>("UpdateRoomMetadata", Self::admin(name), &request).await?.is_some())
    }

    async fn participants(&self, name: &str) -> Result<Vec<ParticipantInfo>, BackendError> {
        let request = proto::ListParticipantsRequest { room: name.into() };
        let list: Option<proto::ListParticipantsResponse> =
            self.call("ListParticipants", Self::admin(name), &request).await?;
        Ok(list.unwrap_or_default().participants)
    }

    async fn permit(&self, room: &str, identity: &str, can_publish: bool) -> Result<bool, BackendError> {
        let request = proto::UpdateParticipantRequest {
            room: room.into(),
            identity: identity.into(),
            permission: Some(ParticipantPermission {
                can_subscribe: true,
                can_publish,
                can_publish_data: can_publish,
                ..Default::default()
            }),
            ..Default::default()
        };
        Ok(self.call::<ParticipantInfo>("UpdateParticipant", Self::admin(room), &request).await?.is_some())
    }

    async fn mute(&self, room: &str, identity: &str, muted: bool) -> Result<bool, BackendError> {
        let everyone = self.participants(room).await?;
        let tracks = everyone.into_iter().find(|person| person.identity == identity).unwrap_or_default().tracks;
        let audio: Vec<_> = tracks.into_iter().filter(|track| track.r#type() == proto::TrackType::Audio).collect();
        for track in &audio {
            let request = proto::MuteRoomTrackRequest {
                room: room.into(),
                identity: identity.into(),
                track_sid: track.sid.clone(),
                muted,
            };
            self.call::<proto::MuteRoomTrackResponse>("MutePublishedTrack", Self::admin(room), &request).await?;
        }
        Ok(!audio.is_empty())
    }
}

/// What really went wrong: reqwest's own text only says that something did.
fn innermost(mut error: &dyn std::error::Error) -> String {
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
