//! A media server without media: rooms, tokens and the signal endpoint as LiveKit has them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use livekit_protocol::signal_response::Message;
use livekit_protocol::{
    DisconnectReason, JoinResponse, LeaveRequest, ParticipantInfo, ParticipantPermission, Room, ServerInfo,
};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

use super::{Error, MediaServer, NewRoom};
use crate::clock::Clock;
use crate::server::random;
use crate::server::token::{Claims, Issuer, Refusal};

/// What the server calls itself in `server_info`.
pub const VERSION: &str = concat!("nest-mock ", env!("CARGO_PKG_VERSION"));

/// Settings of the media server that its operator chooses. The defaults are LiveKit's.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Whether a join creates a room that does not exist.
    pub auto_create: bool,
    /// For rooms that are created without one.
    pub empty_timeout: Duration,
    /// For rooms that are created without one.
    pub departure_timeout: Duration,
    /// How long a participant may stay without media. This server has none: everybody is thrown out then.
    pub join_timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            auto_create: true,
            empty_timeout: Duration::from_secs(300),
            departure_timeout: Duration::from_secs(20),
            join_timeout: Duration::from_secs(60),
        }
    }
}

/// Why a join is refused: status and text of the refused upgrade.
#[derive(Debug, thiserror::Error)]
pub enum JoinRefusal {
    /// The token is not accepted.
    #[error(transparent)]
    Token(#[from] Refusal),
    /// An `Authorization` of another scheme.
    #[error("invalid authorization header. Must start with Bearer ")]
    NoBearer,
    /// There is no token, or it is about no room at all.
    #[error("no permissions to access the room")]
    NoGrants,
    /// The token does not allow to join.
    #[error("permissions denied")]
    NoJoin,
    /// `sub` is empty.
    #[error("identity cannot be empty")]
    NoIdentity,
    /// The token names no room.
    #[error("no room name")]
    NoRoomName,
    /// `auto_create` is off.
    #[error("requested room does not exist")]
    NoRoom,
}

impl JoinRefusal {
    /// The HTTP status that LiveKit answers.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::Token(_) | Self::NoBearer | Self::NoGrants | Self::NoJoin => 401,
            Self::NoIdentity | Self::NoRoomName => 400,
            Self::NoRoom => 404,
        }
    }
}

/// The rooms, and who is in them.
#[derive(Debug)]
pub struct Embedded {
    me: Weak<Self>,
    url: String,
    issuer: Issuer,
    pub(super) settings: Settings,
    rooms: Mutex<HashMap<String, Live>>,
}

#[derive(Debug)]
struct Live {
    room: Room,
    members: HashMap<String, Member>,
    created: Instant,
    /// When the last one left; `None` as long as nobody did.
    departed: Option<Instant>,
}

#[derive(Debug)]
struct Member {
    info: ParticipantInfo,
    inbox: UnboundedSender<Message>,
}

/// A place in a room, given up when dropped.
#[derive(Debug)]
pub(super) struct Seat {
    server: Arc<Embedded>,
    room: String,
    identity: String,
    /// SID of the participant.
    sid: String,
    pub(super) claims: Claims,
    pub(super) inbox: UnboundedReceiver<Message>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.server.leave(&self.room, &self.identity, &self.sid);
    }
}

impl Embedded {
    /// A server without rooms that is reachable at `url` and accepts the tokens of `issuer`.
    #[must_use]
    pub fn new(url: String, issuer: Issuer, settings: Settings) -> Arc<Self> {
        Arc::new_cyclic(|me| Self { me: me.clone(), url, issuer, settings, rooms: Mutex::default() })
    }

    /// A room that lives, without waiting.
    #[must_use]
    pub fn room(&self, name: &str) -> Option<Room> {
        self.rooms().get(name).map(|live| live.room.clone())
    }

    /// Lets a room look as if it had been created then.
    pub(in crate::server) fn backdate(&self, name: &str, created_ms: i64) {
        if let Some(live) = self.rooms().get_mut(name) {
            (live.room.creation_time, live.room.creation_time_ms) = (created_ms / 1000, created_ms);
        }
    }

    /// The identities in a room, without waiting.
    #[must_use]
    pub fn identities(&self, name: &str) -> Vec<String> {
        let mut all: Vec<_> =
            self.rooms().get(name).into_iter().flat_map(|live| live.members.keys().cloned()).collect();
        all.sort_unstable();
        all
    }

    /// The checks of `/rtc/validate`: who may join which room.
    pub fn validate(&self, token: Option<&str>) -> Result<(String, Claims), JoinRefusal> {
        let token = token.filter(|token| !token.is_empty()).ok_or(JoinRefusal::NoGrants)?;
        let claims = self.issuer.verify(token, Clock::default().now_s())?;
        let grants = claims.video.as_ref().ok_or(JoinRefusal::NoGrants)?;
        if grants.room_join != Some(true) {
            return Err(JoinRefusal::NoJoin);
        }
        if claims.sub.is_empty() {
            return Err(JoinRefusal::NoIdentity);
        }
        let name = grants.room.as_deref().filter(|name| !name.is_empty()).ok_or(JoinRefusal::NoRoomName)?;
        if !self.settings.auto_create && !self.rooms().contains_key(name) {
            return Err(JoinRefusal::NoRoom);
        }
        Ok((name.to_owned(), claims))
    }

    /// Takes a seat: whoever had this identity before loses it.
    pub(super) fn join(&self, name: &str, claims: Claims, version: &str) -> Option<(JoinResponse, Seat)> {
        let server = self.me.upgrade()?;
        let (inbox, receiver) = mpsc::unbounded_channel();
        let info = participant(&claims);
        let mut rooms = self.rooms();
        let live = rooms
            .entry(name.to_owned())
            .or_insert_with(|| self.live(&NewRoom { name: name.into(), ..NewRoom::default() }));
        if let Some(before) = live.members.remove(&claims.sub) {
            let _ = before.inbox.send(leave(DisconnectReason::DuplicateIdentity));
        }
        let others = live.members.values().map(|member| member.info.clone()).collect();
        live.members.insert(claims.sub.clone(), Member { info: info.clone(), inbox });
        // Like LiveKit, which counts every five seconds, without the one who joins.
        let room = live.room.clone();
        live.room.num_participants = count(live.members.len());
        let seat = Seat {
            server,
            room: name.into(),
            identity: claims.sub.clone(),
            sid: info.sid.clone(),
            claims,
            inbox: receiver,
        };
        Some((Self::welcome(room, info, others, version), seat))
    }

    /// Pings are wished for every five seconds; whoever sends none is not thrown out, by LiveKit neither.
    fn welcome(room: Room, info: ParticipantInfo, others: Vec<ParticipantInfo>, version: &str) -> JoinResponse {
        JoinResponse {
            room: Some(room),
            participant: Some(info),
            other_participants: others,
            server_version: version.into(),
            ping_timeout: 15,
            ping_interval: 5,
            server_info: Some(ServerInfo {
                version: version.into(),
                protocol: 16,
                node_id: "ND_mock".into(),
                ..ServerInfo::default()
            }),
            ..JoinResponse::default()
        }
    }

    /// A token with the same claims that lasts ten minutes from now.
    pub(super) fn refreshed(&self, claims: &Claims) -> String {
        let now = Clock::default().now_s();
        self.issuer.mint(&Claims { exp: Some(now + 600), nbf: Some(now), ..claims.clone() })
    }

    fn leave(&self, name: &str, identity: &str, sid: &str) {
        let mut rooms = self.rooms();
        let Some(live) = rooms.get_mut(name) else { return };
        if live.members.get(identity).is_some_and(|member| member.info.sid == sid) {
            live.members.remove(identity);
            live.room.num_participants = count(live.members.len());
            live.departed = Some(Instant::now());
            self.close_when_due(live);
        }
    }

    fn live(&self, new: &NewRoom) -> Live {
        let now = Clock::default();
        let timeout = |wanted: Duration, default: Duration| {
            u32::try_from(if wanted.is_zero() { default } else { wanted }.as_secs()).unwrap_or(u32::MAX)
        };
        let room = Room {
            sid: format!("RM_{}", random::text(12)),
            name: new.name.clone(),
            empty_timeout: timeout(new.empty_timeout, self.settings.empty_timeout),
            departure_timeout: timeout(new.departure_timeout, self.settings.departure_timeout),
            max_participants: new.max_participants,
            creation_time: now.now_s(),
            creation_time_ms: now.now_ms(),
            metadata: new.metadata.clone(),
            ..Room::default()
        };
        let live = Live { room, members: HashMap::new(), created: Instant::now(), departed: None };
        self.close_when_due(&live);
        live
    }

    /// Looks again when this room, if it stays empty, has to close.
    fn close_when_due(&self, live: &Live) {
        let (me, name, sid, wait) = (self.me.clone(), live.room.name.clone(), live.room.sid.clone(), live.time_left());
        tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            if let Some(me) = me.upgrade() {
                let mut rooms = me.rooms();
                let due = |live: &Live| live.room.sid == sid && live.members.is_empty() && live.time_left().is_zero();
                if rooms.get(&name).is_some_and(due) {
                    rooms.remove(&name);
                }
            }
        });
    }

    fn rooms(&self) -> MutexGuard<'_, HashMap<String, Live>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Live {
    /// How long the room stays if nobody comes: the empty timeout as long as nobody has left it, the departure timeout
    /// from then on.
    fn time_left(&self) -> Duration {
        let (since, seconds) = match self.departed {
            Some(departed) => (departed, self.room.departure_timeout),
            None => (self.created, self.room.empty_timeout),
        };
        Duration::from_secs(seconds.into()).saturating_sub(since.elapsed())
    }
}

#[async_trait]
impl MediaServer for Embedded {
    fn url(&self) -> &str {
        &self.url
    }

    fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    async fn create(&self, room: &NewRoom) -> Result<Room, Error> {
        let mut rooms = self.rooms();
        Ok(rooms.entry(room.name.clone()).or_insert_with(|| self.live(room)).room.clone())
    }

    async fn delete(&self, name: &str) -> Result<bool, Error> {
        let Some(live) = self.rooms().remove(name) else { return Ok(false) };
        for member in live.members.into_values() {
            let _ = member.inbox.send(leave(DisconnectReason::RoomDeleted));
        }
        Ok(true)
    }

    async fn find(&self, name: &str) -> Result<Option<Room>, Error> {
        Ok(self.room(name))
    }

    async fn describe(&self, name: &str, metadata: &str) -> Result<bool, Error> {
        let mut rooms = self.rooms();
        let Some(live) = rooms.get_mut(name) else { return Ok(false) };
        live.room.metadata = metadata.into();
        Ok(true)
    }

    async fn participants(&self, name: &str) -> Result<Vec<ParticipantInfo>, Error> {
        let rooms = self.rooms();
        Ok(rooms.get(name).into_iter().flat_map(|live| live.members.values().map(|m| m.info.clone())).collect())
    }

    async fn permit(&self, room: &str, identity: &str, can_publish: bool) -> Result<bool, Error> {
        let mut rooms = self.rooms();
        let Some(member) = rooms.get_mut(room).and_then(|live| live.members.get_mut(identity)) else {
            return Ok(false);
        };
        let permission = member.info.permission.get_or_insert_default();
        (permission.can_publish, permission.can_publish_data) = (can_publish, can_publish);
        Ok(true)
    }

    async fn mute(&self, _room: &str, _identity: &str, _muted: bool) -> Result<bool, Error> {
        // Nobody publishes here.
        Ok(false)
    }
}

fn participant(claims: &Claims) -> ParticipantInfo {
    let now = Clock::default();
    let grants = claims.video.clone().unwrap_or_default();
    let can_publish = grants.can_publish.unwrap_or(true);
    ParticipantInfo {
        sid: format!("PA_{}", random::text(12)),
        identity: claims.sub.clone(),
        state: livekit_protocol::participant_info::State::Joined.into(),
        metadata: claims.metadata.clone(),
        name: claims.name.clone(),
        joined_at: now.now_s(),
        joined_at_ms: now.now_ms(),
        permission: Some(ParticipantPermission {
            can_publish,
            can_publish_data: can_publish,
            can_subscribe: grants.can_subscribe.unwrap_or(true),
            ..ParticipantPermission::default()
        }),
        ..ParticipantInfo::default()
    }
}

/// The farewell for a reason.
pub(super) fn leave(reason: DisconnectReason) -> Message {
    Message::Leave(LeaveRequest { reason: reason.into(), ..LeaveRequest::default() })
}

fn count(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}
