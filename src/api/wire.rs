//! What travels between a client and the Nests API, shared with the bundled server.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// The path of the API below an origin.
pub const API_PATH: &str = "/api/v1/nests";

/// Below it are the pages of nests, where a server has them.
pub const PAGE_PATH: &str = "/n/";

/// 200 to a restart (`message` set) or a creation (`message` absent).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    /// The room that the token is for.
    pub room_id: String,
    /// Where the server says that its LiveKit is.
    #[serde(default)]
    pub endpoints: Vec<String>,
    /// A JWT. An old commit answered `{}`.
    #[serde(default)]
    pub token: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The audio room that a restart has made, from servers that say so.
    #[serde(default, deserialize_with = "known_room", skip_serializing_if = "Option::is_none")]
    pub room: Option<SessionRoom>,
}

/// What a restart has made of the audio room.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionRoom {
    pub sid: String,
    /// The SID of the room before; there may have been none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid_before: Option<String>,
    /// When the media server has created the room, by its clock, in milliseconds since the Unix epoch.
    pub created_at_ms: i64,
}

/// What another server may mean by `room` must not spoil the rest of its answer.
fn known_room<'de, D: Deserializer<'de>>(room: D) -> Result<Option<SessionRoom>, D::Error> {
    Ok(serde_json::from_value(Value::deserialize(room)?).ok())
}

/// 200 to `GET /:id` and `GET /:id/guest`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TokenAnswer {
    #[serde(default)]
    pub token: Value,
}

/// 200 to `GET /:id/info`. Older servers leave fields out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Info {
    /// Hex public key of the host.
    pub host: String,
    /// Hex public keys of those who may speak.
    pub speakers: Vec<String>,
    /// Hex public keys of those who may run the nest.
    pub admins: Vec<String>,
    /// A link to the nest.
    pub link: String,
    /// Whether it is being recorded.
    pub recording: bool,
    /// People in the audio room.
    pub participant_count: u64,
    /// Milliseconds since the Unix epoch.
    pub created_at: i64,
    /// When it was last restarted, in milliseconds since the Unix epoch; not every server says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restarted_at: Option<i64>,
    /// `active`, `inactive` and the like.
    pub status: String,
}

/// Body of `PUT /api/v1/nests`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Create {
    /// One to ten relay URLs.
    pub relays: Vec<String>,
    /// Whether an HLS stream is wanted.
    pub hls_stream: bool,
}

/// Body of `POST /:id/permissions`: what is absent stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permissions {
    /// Hex public key of the person whose rights change.
    pub participant: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub can_publish: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mute_microphone: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_admin: Option<bool>,
}

/// Any error that is JSON.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Failure {
    pub error: String,
}
