//! What a nest hands out: tokens, endpoints, its link; and the room that it asks for.

use std::time::Duration;

use hyper::StatusCode;
use livekit_protocol::Room;
use nostr::nips::nip01::Coordinate;
use nostr::nips::nip19::{Nip19Coordinate, ToBech32 as _};
use nostr::{Kind, PublicKey};
use serde_json::{Map, Value, json};

use super::{Ask, Nests};
use crate::api::wire::Session;
use crate::room::ROOM_KIND;
use crate::server::answer::Answer;
use crate::server::media::NewRoom;
use crate::server::random;
use crate::server::store::Record;
use crate::server::token::{Claims, Grants, RoomConfig};

/// How long a token lasts, in seconds.
const TOKEN_S: i64 = 6 * 3600;

/// How many get into a room.
const MAX_PARTICIPANTS: u32 = 500;

/// What an operator decides about nests.
#[derive(Clone, Debug)]
pub(in crate::server) struct Rules {
    /// Where clients find LiveKit: `wss+livekit://host`.
    pub(in crate::server) endpoint: String,
    /// How long a room stays while nobody was ever in it.
    pub(in crate::server) empty_timeout: Duration,
    /// How long a room stays once the last one has left.
    pub(in crate::server) departure_timeout: Duration,
    /// Tells outages as they are, and tokens from when they are good and what room they are for. Otherwise all is as
    /// upstream has it.
    pub(in crate::server) frank: bool,
}

/// What somebody is in a nest.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Host,
    Admin,
    Speaker,
    Listener,
}

impl Role {
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

    fn name(self) -> &'static str {
        match self {
            Self::Host => "Host",
            Self::Admin => "Admin",
            Self::Speaker => "Speaker",
            Self::Listener => "Listener",
        }
    }
}

impl Ask {
    /// The answer to a creation or a restart.
    pub(super) fn session(&self, record: &Record, message: Option<&str>) -> Answer {
        let mut endpoints = vec![self.nests.rules.endpoint.clone()];
        if record.hls_stream {
            endpoints.push(format!("{}/api/v1/live/{}/live.m3u8", self.origin, record.id));
        }
        let session = Session {
            room_id: record.id.clone(),
            endpoints,
            token: Value::String(self.nests.mint(&record.host, &record.id, Role::Host)),
            message: message.map(Into::into),
        };
        Answer::json(StatusCode::OK, &session)
    }
}

impl Nests {
    /// The room of a nest: as the one before was, if that was the nest's own, and as the record says.
    pub(in crate::server) fn room_of(&self, record: &Record, before: Option<&Room>) -> NewRoom {
        let described = |room: &&Room| serde_json::from_str::<Map<String, Value>>(&room.metadata).ok();
        // A room that somebody's join has created has the media server's timeouts, not the nest's.
        let own = before.filter(|room| described(room).is_some_and(|metadata| metadata.contains_key("nestId")));
        let mut metadata = own.as_ref().and_then(described).unwrap_or_default();
        metadata.insert("nestId".into(), json!(record.id));
        metadata.insert("host".into(), json!(record.host));
        metadata.insert("relays".into(), json!(record.relays));
        metadata.insert("createdAt".into(), json!(record.created_at));
        if let Some(restarted_at) = record.restarted_at {
            metadata.insert("restartedAt".into(), restarted_at.into());
        }
        let seconds = |seconds: u32| Duration::from_secs(seconds.into());
        NewRoom {
            name: record.id.clone(),
            empty_timeout: own.map_or(self.rules.empty_timeout, |room| seconds(room.empty_timeout)),
            departure_timeout: own.map_or(self.rules.departure_timeout, |room| seconds(room.departure_timeout)),
            max_participants: own.map_or(MAX_PARTICIPANTS, |room| room.max_participants),
            metadata: Value::Object(metadata).to_string(),
        }
    }

    /// A token for somebody with a key.
    pub(super) fn mint(&self, identity: &str, room: &str, role: Role) -> String {
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

    /// A token for a listener of no name.
    pub(super) fn mint_guest(&self, room: &str) -> String {
        self.sign(Claims {
            sub: format!("guest-{}-{}", self.clock.now_ms(), random::text(9).to_lowercase()),
            name: "Guest".into(),
            metadata: json!({ "role": "guest" }).to_string(),
            video: Some(Grants {
                room: Some(room.into()),
                room_join: Some(true),
                can_publish: Some(false),
                can_subscribe: Some(true),
                room_admin: Some(false),
                ..Grants::default()
            }),
            ..Claims::default()
        })
    }

    fn sign(&self, claims: Claims) -> String {
        let (now, rules) = (self.clock.now_s(), &self.rules);
        let seconds = |time: Duration| u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
        let room_config = rules.frank.then(|| RoomConfig {
            empty_timeout: seconds(rules.empty_timeout),
            departure_timeout: seconds(rules.departure_timeout),
            max_participants: MAX_PARTICIPANTS,
        });
        let nbf = if rules.frank { now } else { 0 };
        self.media.issuer().mint(&Claims { exp: Some(now + TOKEN_S), nbf: Some(nbf), room_config, ..claims })
    }
}

/// The naddr of a nest; empty when its host is no key.
pub(super) fn link(record: &Record) -> String {
    let Ok(host) = PublicKey::from_hex(&record.host) else { return String::new() };
    let coordinate = Coordinate::new(Kind::from(ROOM_KIND), host).identifier(&record.id);
    Nip19Coordinate { coordinate, relays: Vec::new() }.to_bech32().unwrap_or_default()
}
