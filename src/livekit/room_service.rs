//! What LiveKit's `RoomService` (Twirp over protobuf) tells somebody with a host's token of the host's own room. Nobody
//! joins, and the room closes no sooner.

use std::time::Duration;

use livekit_protocol::{
    ListParticipantsRequest, ListParticipantsResponse, ParticipantInfo, RemoveParticipantResponse, Room,
    RoomParticipantIdentity, UpdateRoomMetadataRequest,
};
use prost::Message;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, StatusCode};
use serde::Deserialize;

use super::endpoint::Candidate;
use super::offset::Offset;
use super::validate::{self, MediaAnswer, TokenRefusal};
use crate::clock::Clock;
use crate::net::reach::GuardedHttp;
use crate::secret::{Secret, excerpt};

/// Why a media server did not say what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RoomServiceError {
    #[error("{0}")]
    Unreachable(String),
    #[error("no answer within {} ms", .0.as_millis())]
    TimedOut(Duration),
    /// In its own words.
    #[error("it refuses: {0}")]
    Refused(String),
    #[error("it refuses the host's token: {0}")]
    TokenRefused(TokenRefusal),
    /// A proxy that does not hand the call on, an older server, or no LiveKit at all; the HTTP status.
    #[error("it does not know the question (status {0})")]
    Unknown(u16),
}

/// A room, and the clock of the server that has it.
#[derive(Clone, Debug)]
pub struct RoomAnswer {
    /// `None`: there is no such room.
    pub room: Option<Room>,
    /// How far its clock is from the one here (its `Date` has whole seconds).
    pub clock: Option<Offset>,
}

#[derive(Deserialize)]
struct TwirpError {
    code: String,
    #[serde(default)]
    msg: String,
}

/// Who asks, where, and for how long at most. The token is the host's, and may be sent there ([`Candidate::takes`]); `http`
/// must not follow redirects.
#[derive(Clone, Copy)]
pub struct RoomService<'a> {
    pub http: &'a GuardedHttp,
    pub candidate: &'a Candidate,
    pub token: &'a Secret,
    pub limit: Duration,
}

impl RoomService<'_> {
    /// Writes the metadata of a room, which LiveKit answers with the whole room.
    pub async fn update_metadata(&self, request: &UpdateRoomMetadataRequest) -> Result<RoomAnswer, RoomServiceError> {
        let (room, clock) = self.call::<Room>("UpdateRoomMetadata", request).await?;
        match room {
            Some(room) if room.sid.is_empty() => Err(RoomServiceError::Unknown(StatusCode::OK.as_u16())),
            room => Ok(RoomAnswer { room, clock }),
        }
    }

    /// Who is in a room, recorders and agents among them; nobody in one that is not there.
    pub async fn participants(&self, room: &str) -> Result<Vec<ParticipantInfo>, RoomServiceError> {
        let request = ListParticipantsRequest { room: room.into() };
        let (list, _) = self.call::<ListParticipantsResponse>("ListParticipants", &request).await?;
        Ok(list.unwrap_or_default().participants)
    }

    /// Removes somebody from a room, if they are in it. They may come back with the token that they have.
    pub async fn remove(&self, room: &str, identity: &str) -> Result<(), RoomServiceError> {
        let who = RoomParticipantIdentity { room: room.into(), identity: identity.into(), ..Default::default() };
        self.call::<RemoveParticipantResponse>("RemoveParticipant", &who).await.map(drop)
    }

    /// One call; `None` when LiveKit says that there is no such thing.
    async fn call<T: Message + Default>(
        &self,
        method: &str,
        request: &impl Message,
    ) -> Result<(Option<T>, Option<Offset>), RoomServiceError> {
        let url = self.candidate.with_path(&format!("/twirp/livekit.RoomService/{method}"), true);
        let request = self
            .http
            .request(Method::POST, url)
            .header(CONTENT_TYPE, "application/protobuf")
            .bearer_auth(self.token.expose())
            .body(request.encode_to_vec());
        let sent = tokio::time::timeout(self.limit, validate::fetch(self.http, request, Clock::default())).await;
        let MediaAnswer { status, body, clock } =
            sent.map_err(|_| RoomServiceError::TimedOut(self.limit))?.map_err(RoomServiceError::Unreachable)?;
        let unknown = RoomServiceError::Unknown(status.as_u16());
        if status == StatusCode::OK {
            return T::decode(&*body).map(|answer| (Some(answer), clock)).map_err(|_| unknown);
        }
        match serde_json::from_slice::<TwirpError>(&body) {
            Ok(error) if error.code == "not_found" => Ok((None, clock)),
            Ok(error) if error.code != "bad_route" => Err(RoomServiceError::Refused(excerpt(&error.msg))),
            _ if status == StatusCode::UNAUTHORIZED => {
                let refusal = TokenRefusal::read(status.as_u16(), &String::from_utf8_lossy(&body));
                Err(refusal.map_or(unknown, RoomServiceError::TokenRefused))
            }
            _ => Err(unknown),
        }
    }
}
