//! What LiveKit's `RoomService` (Twirp over protobuf) tells somebody with a host's token of the host's own room. Nobody
//! joins, and the room closes no sooner.

use std::time::Duration;

use livekit_protocol::{Room, UpdateRoomMetadataRequest};
use prost::Message;
use reqwest::StatusCode;
use reqwest::header::CONTENT_TYPE;
use serde::Deserialize;

use super::endpoint::Candidate;
use super::offset::Offset;
use super::validate::{self, MediaAnswer};
use crate::clock::Clock;
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

/// Writes the metadata of a room, which LiveKit answers with the whole room. `token` is the host's, and may be sent there
/// ([`Candidate::takes`]); `http` must not follow redirects.
pub async fn update_metadata(
    http: &reqwest::Client,
    candidate: &Candidate,
    token: &Secret,
    request: &UpdateRoomMetadataRequest,
    limit: Duration,
) -> Result<RoomAnswer, RoomServiceError> {
    let url = candidate.with_path("/twirp/livekit.RoomService/UpdateRoomMetadata", true);
    let request = http
        .post(url)
        .header(CONTENT_TYPE, "application/protobuf")
        .bearer_auth(token.expose())
        .body(request.encode_to_vec());
    let sent = tokio::time::timeout(limit, validate::fetch(request, Clock::default())).await;
    let MediaAnswer { status, body, clock } =
        sent.map_err(|_| RoomServiceError::TimedOut(limit))?.map_err(RoomServiceError::Unreachable)?;
    let unknown = RoomServiceError::Unknown(status.as_u16());
    if status == StatusCode::OK {
        let room = Room::decode(&*body).ok().filter(|room| !room.sid.is_empty()).ok_or(unknown)?;
        return Ok(RoomAnswer { room: Some(room), clock });
    }
    match serde_json::from_slice::<TwirpError>(&body) {
        Ok(error) if error.code == "not_found" => Ok(RoomAnswer { room: None, clock }),
        Ok(error) if error.code != "bad_route" => Err(RoomServiceError::Refused(excerpt(&error.msg))),
        _ => Err(unknown),
    }
}
