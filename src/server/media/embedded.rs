//! A media server without media: rooms, tokens and the signal endpoint (`/rtc` and `/rtc/validate`) as LiveKit has them.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use axum::extract::Request;
use futures_util::{SinkExt as _, StreamExt as _};
use hyper::StatusCode;
use hyper::header::AUTHORIZATION;
use hyper::http::request::Parts;
use livekit_protocol::participant_info::State;
use livekit_protocol::signal_request::Message as Asked;
use livekit_protocol::signal_response::Message;
use livekit_protocol::{
    CreateRoomRequest, DisconnectReason, JoinResponse, LeaveRequest, ListParticipantsRequest, ListParticipantsResponse,
    ParticipantInfo, ParticipantPermission, ParticipantUpdate, Pong, RemoveParticipantResponse, Room,
    RoomParticipantIdentity, ServerInfo, SignalRequest, SignalResponse, UpdateRoomMetadataRequest,
};
use prost::Message as _;
use serde_json::json;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio_tungstenite::tungstenite::{Error as WebSocketError, Message as Frame};
use url::form_urlencoded;

use super::{BackendError, MediaServer};
use crate::clock::Clock;
use crate::server::answer::{Content, HttpAnswer};
use crate::server::http::{HttpFront, ServerSocket, upgrade_to_websocket};
use crate::server::token::{Claims, Issuer};
use crate::server::{lock, random_text};

/// Settings of the media server that its operator chooses. The defaults are LiveKit's.
#[derive(Clone, Copy, Debug)]
pub struct EmbeddedSettings {
    /// Whether a join creates a room that does not exist.
    pub auto_create: bool,
    pub empty_timeout: Duration,
    pub departure_timeout: Duration,
    /// How long a participant may stay without media. This server has none: everybody is thrown out then.
    pub join_timeout: Duration,
}

impl Default for EmbeddedSettings {
    fn default() -> Self {
        Self {
            auto_create: true,
            empty_timeout: Duration::from_secs(300),
            departure_timeout: Duration::from_secs(20),
            join_timeout: Duration::from_secs(60),
        }
    }
}

/// Why a join is refused, in LiveKit's words.
#[derive(Debug, thiserror::Error)]
enum JoinError {
    /// HTTP status 401, even for a request that is no WebSocket's.
    #[error("{0}")]
    Token(String),
    /// Another HTTP status and the text.
    #[error("{1}")]
    Refused(StatusCode, &'static str),
}

pub(crate) struct Embedded {
    issuer: Issuer,
    settings: EmbeddedSettings,
    rooms: Mutex<HashMap<String, LiveRoom>>,
}

struct LiveRoom {
    room: Room,
    members: BTreeMap<String, Member>,
    /// When it closes if it is empty then: after the empty timeout, or the departure timeout once somebody has left.
    closes: Instant,
}

impl LiveRoom {
    /// Tells those inside of somebody who comes or goes.
    fn tell(&self, someone: &ParticipantInfo) {
        for member in self.members.values() {
            let update = ParticipantUpdate { participants: vec![someone.clone()] };
            let _ = member.inbox.send(Message::Update(update));
        }
    }

    fn one_has_left(&mut self, info: &ParticipantInfo) {
        self.tell(&ParticipantInfo { state: State::Disconnected.into(), ..info.clone() });
        self.room.num_participants = count(self.members.len());
        self.closes = Instant::now() + Duration::from_secs(self.room.departure_timeout.into());
    }
}

struct Member {
    info: ParticipantInfo,
    inbox: UnboundedSender<Message>,
}

/// A place in a room, given up when dropped.
struct Seat<'a> {
    server: &'a Embedded,
    room: String,
    participant: ParticipantInfo,
    inbox: UnboundedReceiver<Message>,
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        let (mut rooms, ParticipantInfo { identity, sid, .. }) = (self.server.rooms(), &self.participant);
        let Some(live) = rooms.get_mut(&self.room) else { return };
        // Unless somebody else has joined with this identity meanwhile.
        if live.members.get(identity).is_some_and(|member| member.info.sid == *sid) {
            live.members.remove(identity);
            live.one_has_left(&self.participant);
        }
    }
}

impl Embedded {
    pub(in crate::server) fn new(issuer: Issuer, settings: EmbeddedSettings) -> Arc<Self> {
        Arc::new(Self { issuer, settings, rooms: Mutex::default() })
    }

    pub(in crate::server) fn room(&self, name: &str) -> Option<Room> {
        self.rooms().get(name).map(|live| live.room.clone())
    }

    /// Lets a room look as if it had been created then.
    pub(in crate::server) fn backdate(&self, name: &str, created_ms: i64) {
        if let Some(live) = self.rooms().get_mut(name) {
            (live.room.creation_time, live.room.creation_time_ms) = (created_ms / 1000, created_ms);
        }
    }

    /// Who is in a room, in the order of identities.
    pub(in crate::server) fn members(&self, name: &str) -> Vec<ParticipantInfo> {
        let rooms = self.rooms();
        rooms.get(name).into_iter().flat_map(|live| live.members.values().map(|m| m.info.clone())).collect()
    }

    /// What is asked at one of the endpoints of a server of this `version`.
    pub(in crate::server) async fn answer(
        self: &Arc<Self>,
        front: &HttpFront,
        version: String,
        request: Request,
    ) -> HttpAnswer {
        let path = request.uri().path().to_owned();
        match path.rsplit('/').next().unwrap_or_default() {
            "rtc" => self.connect(front, version, request),
            "validate" => match self.admit(&request) {
                Ok(_) => HttpAnswer::text(StatusCode::OK, PLAIN, "success"),
                Err(error) => refused(&error),
            },
            method => {
                let (head, body) = request.into_parts();
                match front.read_body(body).await {
                    Ok(body) => self.room_service(method, &head, &body),
                    Err(refused) => *refused,
                }
            }
        }
    }

    /// Throws somebody out; whether they were inside.
    fn remove(&self, name: &str, identity: &str) -> bool {
        let mut rooms = self.rooms();
        let Some(live) = rooms.get_mut(name) else { return false };
        let Some(member) = live.members.remove(identity) else { return false };
        let _ = member.inbox.send(leave(DisconnectReason::ParticipantRemoved));
        live.one_has_left(&member.info);
        true
    }

    /// The checks of `/rtc/validate`: who may join which room.
    fn admit(&self, request: &Request) -> Result<(String, Claims), JoinError> {
        let mut query = form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes());
        let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = match header {
            Some(value) => {
                let no_bearer = || JoinError::Token("invalid authorization header. Must start with Bearer ".into());
                Some(value.strip_prefix("Bearer ").ok_or_else(no_bearer)?.into())
            }
            None => query.find(|(key, _)| key == "access_token").map(|(_, value)| value),
        };
        let no_grants = JoinError::Refused(StatusCode::UNAUTHORIZED, "no permissions to access the room");
        let Some(token) = token.filter(|token| !token.is_empty()) else { return Err(no_grants) };
        let claims =
            self.issuer.verify(&token, Clock::default().now_s()).map_err(|e| JoinError::Token(e.to_string()))?;
        let Some(grants) = &claims.video else { return Err(no_grants) };
        if grants.room_join != Some(true) {
            return Err(JoinError::Refused(StatusCode::UNAUTHORIZED, "permissions denied"));
        }
        if claims.sub.is_empty() {
            return Err(JoinError::Refused(StatusCode::BAD_REQUEST, "identity cannot be empty"));
        }
        let name = grants.room.as_deref().filter(|name| !name.is_empty());
        let name = name.ok_or(JoinError::Refused(StatusCode::BAD_REQUEST, "no room name"))?;
        if !self.settings.auto_create && !self.rooms().contains_key(name) {
            return Err(JoinError::Refused(StatusCode::NOT_FOUND, "requested room does not exist"));
        }
        Ok((name.to_owned(), claims))
    }

    /// `/rtc`: joins.
    fn connect(self: &Arc<Self>, front: &HttpFront, version: String, mut request: Request) -> HttpAnswer {
        let upgrade = upgrade_to_websocket(&mut request);
        let ((room, claims), (answer, upgraded)) = match (self.admit(&request), upgrade) {
            (Ok(admitted), Some(upgrade)) => (admitted, upgrade),
            (Err(error), Some(_)) => return refused(&error),
            // As in LiveKit: without an upgrade the endpoint does not exist, unless the token is bad.
            (Err(error @ JoinError::Token(_)), None) => return refused(&error),
            (_, None) => return HttpAnswer::empty(StatusCode::NOT_FOUND),
        };
        let (media, note) = (self.clone(), format!("{} joins {room}", claims.sub));
        front.serve_websocket(upgraded, None, async move |mut socket| {
            // An error is a client that has gone.
            let _ = media.participate(&mut socket, &room, &claims, &version).await;
            let _ = socket.close(None).await;
        });
        answer.note(note)
    }

    /// LiveKit's `RoomService`, as far as a host's token reaches: what it tells of its own room.
    fn room_service(&self, method: &str, head: &Parts, body: &[u8]) -> HttpAnswer {
        match self.room_service_answer(method, head, body) {
            Ok(message) => HttpAnswer { content: Content::Protobuf(message), ..HttpAnswer::empty(StatusCode::OK) },
            Err((status, code, msg)) => HttpAnswer::json(status, &json!({ "code": code, "msg": msg })),
        }
    }

    /// The answer as protobuf, or an HTTP status with Twirp's code and text.
    fn room_service_answer(
        &self,
        method: &str,
        head: &Parts,
        body: &[u8],
    ) -> Result<Vec<u8>, (StatusCode, &'static str, &'static str)> {
        let malformed = |_| (StatusCode::BAD_REQUEST, "malformed", "failed to unmarshal protobuf");
        let admits = |room: &str| {
            let token = head.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
            let claims = token.and_then(|token| self.issuer.verify(token, Clock::default().now_s()).ok());
            let grants = claims.and_then(|claims| claims.video).unwrap_or_default();
            let admin = grants.room_admin == Some(true) && grants.room.as_deref() == Some(room);
            if admin { Ok(()) } else { Err((StatusCode::UNAUTHORIZED, "unauthenticated", "permissions denied")) }
        };
        match method {
            "UpdateRoomMetadata" => {
                let UpdateRoomMetadataRequest { room, metadata } =
                    UpdateRoomMetadataRequest::decode(body).map_err(malformed)?;
                admits(&room)?;
                let mut rooms = self.rooms();
                let no_room = (StatusCode::NOT_FOUND, "not_found", "requested room does not exist");
                let live = rooms.get_mut(&room).ok_or(no_room)?;
                live.room.metadata = metadata;
                Ok(live.room.encode_to_vec())
            }
            "ListParticipants" => {
                let ListParticipantsRequest { room } = ListParticipantsRequest::decode(body).map_err(malformed)?;
                admits(&room)?;
                Ok(ListParticipantsResponse { participants: self.members(&room) }.encode_to_vec())
            }
            "RemoveParticipant" => {
                let RoomParticipantIdentity { room, identity, .. } =
                    RoomParticipantIdentity::decode(body).map_err(malformed)?;
                admits(&room)?;
                if !self.remove(&room, &identity) {
                    return Err((StatusCode::NOT_FOUND, "not_found", "participant does not exist"));
                }
                Ok(RemoveParticipantResponse::default().encode_to_vec())
            }
            _ => Err((StatusCode::NOT_FOUND, "bad_route", "no handler for path")),
        }
    }

    /// Takes a seat: whoever had this identity before loses it.
    fn join(&self, name: &str, claims: &Claims, version: &str) -> (JoinResponse, Seat<'_>) {
        let (inbox, receiver) = mpsc::unbounded_channel();
        let info = participant(claims);
        let mut rooms = self.rooms();
        let live = rooms
            .entry(name.to_owned())
            .or_insert_with(|| self.new_room(&CreateRoomRequest { name: name.into(), ..Default::default() }));
        if let Some(before) = live.members.remove(&claims.sub) {
            let _ = before.inbox.send(leave(DisconnectReason::DuplicateIdentity));
        }
        let others = live.members.values().map(|member| member.info.clone()).collect();
        live.tell(&info);
        live.members.insert(claims.sub.clone(), Member { info: info.clone(), inbox });
        // Like LiveKit, which counts every five seconds, without the one who joins.
        let room = live.room.clone();
        live.room.num_participants = count(live.members.len());
        let seat = Seat { server: self, room: name.into(), participant: info.clone(), inbox: receiver };
        let welcome = JoinResponse {
            room: Some(room),
            participant: Some(info),
            other_participants: others,
            server_version: version.into(),
            // Whoever sends no pings is not thrown out, by LiveKit neither.
            ping_timeout: 15,
            ping_interval: 5,
            server_info: Some(ServerInfo {
                version: version.into(),
                protocol: 16,
                node_id: "ND_mock".into(),
                ..ServerInfo::default()
            }),
            ..JoinResponse::default()
        };
        (welcome, seat)
    }

    /// Joins and stays until the client leaves or is thrown out.
    async fn participate(
        &self,
        socket: &mut ServerSocket,
        room: &str,
        claims: &Claims,
        version: &str,
    ) -> Result<(), WebSocketError> {
        let (welcome, mut seat) = self.join(room, claims, version);
        let now = Clock::default().now_s();
        let refreshed = self.issuer.mint(&Claims { exp: Some(now + 600), nbf: Some(now), ..claims.clone() });
        for message in [Message::Join(welcome), Message::RefreshToken(refreshed)] {
            socket.send(frame(message)).await?;
        }
        let media_due = tokio::time::Instant::now() + self.settings.join_timeout;
        loop {
            tokio::select! {
                asked = socket.next() => {
                    let Some(asked) = asked.transpose()? else { return Ok(()) };
                    let Frame::Binary(bytes) = asked else { continue };
                    let answer = match SignalRequest::decode(bytes).ok().and_then(|request| request.message) {
                        Some(Asked::Leave(_)) => return Ok(()),
                        Some(Asked::Ping(_)) => Message::Pong(Clock::default().now_ms()),
                        Some(Asked::PingReq(ping)) => Message::PongResp(Pong {
                            last_ping_timestamp: ping.timestamp,
                            timestamp: Clock::default().now_ms(),
                        }),
                        _ => continue,
                    };
                    socket.send(frame(answer)).await?;
                }
                message = seat.inbox.recv() => {
                    let Some(message) = message else { return Ok(()) };
                    let last = matches!(message, Message::Leave(_));
                    socket.send(frame(message)).await?;
                    if last {
                        return Ok(());
                    }
                }
                () = tokio::time::sleep_until(media_due) => {
                    return socket.send(frame(leave(DisconnectReason::JoinFailure))).await;
                }
            }
        }
    }

    fn new_room(&self, new: &CreateRoomRequest) -> LiveRoom {
        let now = Clock::default();
        let timeout = |wanted: u32, default: Duration| if wanted == 0 { seconds(default) } else { wanted };
        let room = Room {
            sid: format!("RM_{}", random_text(12)),
            name: new.name.clone(),
            empty_timeout: timeout(new.empty_timeout, self.settings.empty_timeout),
            departure_timeout: timeout(new.departure_timeout, self.settings.departure_timeout),
            max_participants: new.max_participants,
            creation_time: now.now_s(),
            creation_time_ms: now.now_ms(),
            metadata: new.metadata.clone(),
            ..Room::default()
        };
        let closes = Instant::now() + Duration::from_secs(room.empty_timeout.into());
        LiveRoom { room, members: BTreeMap::new(), closes }
    }

    /// The rooms that have not closed by now.
    fn rooms(&self) -> MutexGuard<'_, HashMap<String, LiveRoom>> {
        let mut rooms = lock(&self.rooms);
        let now = Instant::now();
        rooms.retain(|_, live| !live.members.is_empty() || now < live.closes);
        rooms
    }
}

#[async_trait]
impl MediaServer for Embedded {
    async fn create(&self, room: &CreateRoomRequest) -> Result<Room, BackendError> {
        let mut rooms = self.rooms();
        Ok(rooms.entry(room.name.clone()).or_insert_with(|| self.new_room(room)).room.clone())
    }

    async fn delete(&self, name: &str) -> Result<bool, BackendError> {
        let Some(live) = self.rooms().remove(name) else { return Ok(false) };
        for member in live.members.into_values() {
            let _ = member.inbox.send(leave(DisconnectReason::RoomDeleted));
        }
        Ok(true)
    }

    async fn find(&self, name: &str) -> Result<Option<Room>, BackendError> {
        Ok(self.room(name))
    }

    async fn describe(&self, name: &str, metadata: &str) -> Result<bool, BackendError> {
        let mut rooms = self.rooms();
        let Some(live) = rooms.get_mut(name) else { return Ok(false) };
        live.room.metadata = metadata.into();
        Ok(true)
    }

    async fn participants(&self, name: &str) -> Result<Vec<ParticipantInfo>, BackendError> {
        Ok(self.members(name))
    }

    async fn permit(&self, room: &str, identity: &str, can_publish: bool) -> Result<bool, BackendError> {
        let mut rooms = self.rooms();
        let Some(member) = rooms.get_mut(room).and_then(|live| live.members.get_mut(identity)) else {
            return Ok(false);
        };
        let permission = member.info.permission.get_or_insert_default();
        (permission.can_publish, permission.can_publish_data) = (can_publish, can_publish);
        Ok(true)
    }

    async fn mute(&self, _room: &str, _identity: &str, _muted: bool) -> Result<bool, BackendError> {
        // Nobody publishes here.
        Ok(false)
    }
}

fn participant(claims: &Claims) -> ParticipantInfo {
    let now = Clock::default();
    let grants = claims.video.clone().unwrap_or_default();
    let can_publish = grants.can_publish.unwrap_or(true);
    ParticipantInfo {
        sid: format!("PA_{}", random_text(12)),
        identity: claims.sub.clone(),
        state: State::Joined.into(),
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

fn leave(reason: DisconnectReason) -> Message {
    Message::Leave(LeaveRequest { reason: reason.into(), ..LeaveRequest::default() })
}

/// Whole seconds, in which LiveKit has its timeouts.
pub(in crate::server) fn seconds(time: Duration) -> u32 {
    u32::try_from(time.as_secs()).unwrap_or(u32::MAX)
}

fn count(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

/// What the embedded media server calls itself in `server_info`.
pub(in crate::server) const VERSION: &str = concat!("nest-mock ", env!("CARGO_PKG_VERSION"));

const PLAIN: &str = "text/plain; charset=utf-8";

fn refused(error: &JoinError) -> HttpAnswer {
    let status = if let JoinError::Refused(status, _) = error { *status } else { StatusCode::UNAUTHORIZED };
    // The text may hold the token: the note must not.
    HttpAnswer::text(status, PLAIN, error.to_string()).note("join refused")
}

fn frame(message: Message) -> Frame {
    Frame::binary(SignalResponse { message: Some(message) }.encode_to_vec())
}
