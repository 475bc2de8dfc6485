//! What a nest hands out: tokens, endpoints, its link; and the room that it asks for.

use livekit_protocol::{CreateRoomRequest, Room};
use nostr::nips::nip01::Coordinate;
use nostr::nips::nip19::{Nip19Coordinate, ToBech32 as _};
use nostr::{Kind, PublicKey};
use serde_json::{Map, Value, json};

use super::{ApiRequest, NestsApi};
use crate::api::wire::Session;
use crate::room::ROOM_KIND;
use crate::server::random_text;
use crate::server::store::Record;
use crate::server::token::{Claims, Grants, RoomConfig};

/// How long a token lasts, in seconds.
const TOKEN_S: i64 = 6 * 3600;

/// How long the token of a probe lasts, in seconds: it joins once and leaves.
const PROBE_TOKEN_S: i64 = 60;

const MAX_PARTICIPANTS: u32 = 500;

/// How long a room stays while nobody was ever in it, in seconds, as upstream has it.
const EMPTY_TIMEOUT_S: u32 = 1800;

/// How long a room stays once the last one has left, in seconds, as upstream has it.
pub(in crate::server) const DEPARTURE_TIMEOUT_S: u32 = 60;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NestRole {
    Host,
    Admin,
    Speaker,
    Listener,
}

impl NestRole {
    pub(super) fn of(record: &Record, identity: &str) -> Self {
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
}

impl ApiRequest {
    /// What a creation and a restart answer. `config` is that of the room, as far as it is known.
    pub(super) fn session(&self, record: &Record, config: Option<RoomConfig>) -> Session {
        let mut endpoints = vec![self.nests.endpoint.clone()];
        if self.nests.mimic_upstream && record.hls_stream {
            endpoints.push(format!("{}/api/v1/live/{}/live.m3u8", self.origin, record.id));
        }
        Session {
            room_id: record.id.clone(),
            endpoints,
            token: Value::String(self.nests.mint(&record.host, &record.id, NestRole::Host, config)),
            message: None,
            room: None,
        }
    }
}

/// In the metadata of a room that somebody's join has made: what the nest's room is to be like, where this one is not.
const ROOM_CONFIG: &str = "roomConfig";

/// The metadata of a room that is a nest's own; what somebody's join has made has none.
pub(super) fn metadata_of(room: &Room) -> Option<Map<String, Value>> {
    serde_json::from_str::<Map<_, _>>(&room.metadata).ok().filter(|metadata| metadata.contains_key("nestId"))
}

/// The metadata that makes a room of the nest's out of one that somebody's join has made.
pub(super) fn adopted_metadata(room: &Room, new: &CreateRoomRequest, config: RoomConfig) -> String {
    match serde_json::from_str::<Map<_, _>>(&new.metadata) {
        Ok(mut metadata) if RoomConfig::of(room) != config => {
            metadata.insert(ROOM_CONFIG.into(), json!(config));
            Value::Object(metadata).to_string()
        }
        _ => new.metadata.clone(),
    }
}

impl NestsApi {
    /// What the room of a nest is like: as the one before was, if that was the nest's own.
    pub(super) fn config_of(&self, before: Option<&Room>) -> RoomConfig {
        let own = before.and_then(|room| Some((room, metadata_of(room)?)));
        own.map_or_else(
            || RoomConfig {
                empty_timeout: EMPTY_TIMEOUT_S,
                departure_timeout: self.departure_timeout_s,
                max_participants: MAX_PARTICIPANTS,
            },
            |(room, mut metadata)| {
                let kept = metadata.remove(ROOM_CONFIG).and_then(|config| serde_json::from_value(config).ok());
                kept.unwrap_or_else(|| RoomConfig::of(room))
            },
        )
    }

    /// The room of a nest: as the one before was, and as the record says.
    pub(in crate::server) fn room_of(&self, record: &Record, before: Option<&Room>) -> CreateRoomRequest {
        let mut metadata = before.and_then(metadata_of).unwrap_or_default();
        metadata.remove(ROOM_CONFIG);
        let Record { id, host, relays, created_at, restarted_at, .. } = record;
        let fields =
            [("nestId", json!(id)), ("host", json!(host)), ("relays", json!(relays)), ("createdAt", json!(created_at))];
        let fields = fields.into_iter().chain(restarted_at.map(|time| ("restartedAt", json!(time))));
        metadata.extend(fields.map(|(name, value)| (name.to_owned(), value)));
        let RoomConfig { empty_timeout, departure_timeout, max_participants } = self.config_of(before);
        let (name, metadata) = (record.id.clone(), Value::Object(metadata).to_string());
        CreateRoomRequest { name, empty_timeout, departure_timeout, max_participants, metadata, ..Default::default() }
    }

    pub(super) fn mint(&self, key: &str, room: &str, role: NestRole, config: Option<RoomConfig>) -> String {
        let runs = Some(matches!(role, NestRole::Host | NestRole::Admin));
        let can_publish = Some(role != NestRole::Listener);
        let can_subscribe = Some(true);
        let grants = Grants { can_publish, can_subscribe, room_admin: runs, room_record: runs, ..Grants::default() };
        let name = format!("{role:?}");
        let metadata = json!({ "role": name.to_lowercase(), "pubkey": key }).to_string();
        self.sign(room, &grants, config, TOKEN_S, Claims { sub: key.into(), name, metadata, ..Claims::default() })
    }

    pub(super) fn mint_guest(&self, room: &str, config: RoomConfig) -> String {
        let can_subscribe = Some(true);
        let grants = Grants { can_publish: Some(false), can_subscribe, room_admin: Some(false), ..Grants::default() };
        let (name, metadata) = ("Guest".into(), json!({ "role": "guest" }).to_string());
        let claims = Claims { sub: self.nobody("guest"), name, metadata, ..Claims::default() };
        self.sign(room, &grants, Some(config), TOKEN_S, claims)
    }

    /// A token for somebody who only finds out whether the nest can be joined. LiveKit lets an agent come and go without
    /// starting the departure timeout of an empty room.
    pub(super) fn mint_probe(&self, room: &str, config: RoomConfig) -> String {
        let (no, hidden) = (Some(false), Some(true));
        let grants = Grants { can_publish: no, can_subscribe: no, room_admin: no, hidden, ..Grants::default() };
        let claims = Claims { sub: self.nobody("probe"), kind: "agent".into(), ..Claims::default() };
        self.sign(room, &grants, Some(config), PROBE_TOKEN_S, claims)
    }

    /// An identity that nobody else has.
    fn nobody(&self, prefix: &str) -> String {
        format!("{prefix}-{}-{}", self.clock.now_ms(), random_text(9).to_lowercase())
    }

    fn sign(&self, room: &str, grants: &Grants, config: Option<RoomConfig>, lasts_s: i64, claims: Claims) -> String {
        let now = self.clock.now_s();
        let (nbf, room_config) = if self.mimic_upstream { (0, None) } else { (now, config) };
        let room = Some(room.into());
        let video = Some(Grants { room, room_join: Some(true), ..*grants });
        self.issuer.mint(&Claims { exp: Some(now + lasts_s), nbf: Some(nbf), video, room_config, ..claims })
    }
}

/// The naddr of a nest; empty when its host is no key.
pub(super) fn link(record: &Record) -> String {
    let Ok(host) = PublicKey::from_hex(&record.host) else { return String::new() };
    let coordinate = Coordinate::new(Kind::from(ROOM_KIND), host).identifier(&record.id);
    Nip19Coordinate { coordinate, relays: Vec::new() }.to_bech32().unwrap_or_default()
}
