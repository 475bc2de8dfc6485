//! Getting into a room: the upgrade, the join, and what LiveKit says when it lets us in.

use std::collections::BTreeSet;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use futures_util::SinkExt;
use livekit_protocol as proto;
use prost::Message as _;
use proto::signal_request::Message as Request;
use proto::signal_response::Message as Response;
use tokio::time::{Instant, MissedTickBehavior, interval};
use url::Url;

use super::{DisconnectReason, Ending, SignalSession, connection_text, is_person, next, written};
use crate::clock::Clock;
use crate::livekit::endpoint::Candidate;
use crate::livekit::offset::Offset;
use crate::livekit::validate::TokenRefusal;
use crate::net::dial::{Connection, DialCause, DialError, DialLimits, PingBudget, TimedOut, WebSocket};
use crate::secret::Secret;

const PROTOCOL: i32 = 15;
/// From 3 on it is the server that offers.
const PROTOCOL_OF_OFFERERS: i32 = 2;
/// A room of 500 people fits.
const MAX_MESSAGE: usize = 4 << 20;
/// LiveKit's own departure timeout, where the server does not say.
const USUAL_DEPARTURE_S: u32 = 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinMode {
    SignalOnly,
    /// One peer connection, and we offer. Servers before 1.9 or so do not know it.
    OneConnection,
    /// We offer, as the very first clients did.
    Legacy,
}

/// Why we are not in the room. All but the first come from a LiveKit server: the endpoint is right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JoinError {
    /// No connection, or something that is not LiveKit's at the other end of it.
    Dial(DialError),
    Refused(TokenRefusal),
    /// LiveKit took the token, and sent us away instead of letting us in.
    SentAway(DisconnectReason),
    /// LiveKit took the token, and then the connection broke.
    Broken(String),
    /// LiveKit took the token, and said nothing more.
    TimedOut(TimedOut),
}

impl From<DialError> for JoinError {
    fn from(error: DialError) -> Self {
        let refusal = match &error.cause {
            DialCause::NoWebSocket { status, location: None, body } => TokenRefusal::read(*status, body),
            _ => None,
        };
        refusal.map_or(Self::Dial(error), Self::Refused)
    }
}

impl From<TimedOut> for JoinError {
    fn from(timed_out: TimedOut) -> Self {
        Self::TimedOut(timed_out)
    }
}

/// Joins the room that the token is for, and says `first` before the server has said anything. The token travels in the
/// URL, as every LiveKit client has it; no text of an error holds it.
pub async fn join(
    mode: JoinMode,
    first: Vec<Request>,
    connection: Connection,
    candidate: &Candidate,
    token: &Secret,
    limits: DialLimits,
    clock: Clock,
) -> Result<SignalSession, JoinError> {
    let remote_ip = connection.remote_address.ip().to_canonical();
    let sent_ms = clock.now_ms();
    let (mut socket, mut timings) = connection.upgrade(&url(mode, candidate, token), MAX_MESSAGE, limits).await?;
    let mut pings = PingBudget::default();
    let joining = async {
        for message in first {
            socket.send(written(message)).await.map_err(|error| JoinError::Broken(connection_text(&error)))?;
        }
        first_answer(&mut socket, &mut pings).await
    };
    let (mut answer, time) = limits.bound(joining).await?;
    timings.push("join", time);
    let ice_servers = std::mem::take(&mut answer.ice_servers);
    let joined = Joined::read(answer, sent_ms, clock.now_ms());
    let mut ping = interval(joined.ping_interval.max(Duration::from_millis(100)));
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    Ok(SignalSession {
        people: joined.people.clone(),
        socket,
        ping,
        pings,
        heard: Instant::now(),
        remote_ip,
        ice_servers,
        offered: false,
        published: None,
        refused: None,
        joined,
        timings,
    })
}

fn url(mode: JoinMode, candidate: &Candidate, token: &Secret) -> Url {
    let mut url = candidate.with_path(if mode == JoinMode::OneConnection { "/rtc/v1" } else { "/rtc" }, false);
    url.query_pairs_mut().append_pair("access_token", token.expose());
    if mode == JoinMode::OneConnection {
        let join = proto::JoinRequest {
            client_info: Some(proto::ClientInfo {
                sdk: proto::client_info::Sdk::Rust.into(),
                version: env!("CARGO_PKG_VERSION").into(),
                protocol: PROTOCOL,
                ..Default::default()
            }),
            connection_settings: Some(proto::ConnectionSettings::default()),
            ..Default::default()
        };
        let wrapped = proto::WrappedJoinRequest { join_request: join.encode_to_vec(), ..Default::default() };
        url.query_pairs_mut().append_pair("join_request", &URL_SAFE.encode(wrapped.encode_to_vec()));
        return url;
    }
    let (protocol, subscribe) =
        if mode == JoinMode::SignalOnly { (PROTOCOL, "1") } else { (PROTOCOL_OF_OFFERERS, "0") };
    url.query_pairs_mut()
        .append_pair("protocol", &protocol.to_string())
        .append_pair("sdk", "rust")
        .append_pair("version", env!("CARGO_PKG_VERSION"))
        .append_pair("auto_subscribe", subscribe);
    url
}

async fn first_answer(socket: &mut WebSocket, pings: &mut PingBudget) -> Result<proto::JoinResponse, JoinError> {
    loop {
        match next(socket, pings).await {
            Ok(Response::Join(join)) => return Ok(join),
            Err(Ending::SentAway(reason)) => return Err(JoinError::SentAway(reason)),
            Err(Ending::ConnectionLost(text)) => return Err(JoinError::Broken(text)),
            // Reading does not measure silence, and there is no audio yet.
            Ok(_) | Err(Ending::Silent(_) | Ending::Deaf) => {}
        }
    }
}

/// What LiveKit says when it lets us in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    pub version: Option<String>,
    pub region: Option<String>,
    /// `RM_…`: another one for every life of a room.
    pub sid: String,
    /// When the room was made, by the media server's clock.
    pub created: Option<Reading>,
    /// What the Nests API wrote on the room.
    pub metadata: String,
    /// Until a room closes that everybody has left; 0 from servers that do not say.
    pub departure_timeout_s: u32,
    pub identity: String,
    /// `PA_…`: another one each time that somebody joins.
    pub participant_sid: String,
    /// The identities of the people inside, but not ours; recorders and agents do not count.
    pub people: BTreeSet<String>,
    pub ping_interval: Duration,
    pub ping_timeout: Duration,
    /// The media server's clock, read off the moment of our joining.
    pub clock: Option<Offset>,
    /// When the upgrade was sent, by the clock here, in milliseconds since the Unix epoch.
    pub sent_ms: i64,
}

/// A time in milliseconds since the Unix epoch, rounded down to its resolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    pub ms: i64,
    /// 1, or 1000 where an older server knows seconds only.
    pub resolution_ms: i64,
}

impl Reading {
    pub(crate) fn of(ms: i64, s: i64) -> Option<Self> {
        match (ms, s) {
            (1.., _) => Some(Self { ms, resolution_ms: 1 }),
            (_, 1..) => Some(Self { ms: s.saturating_mul(1000), resolution_ms: 1000 }),
            _ => None,
        }
    }
}

impl Joined {
    /// Takes another reading of the media server's clock into account.
    pub(in crate::livekit) fn narrow_clock(&mut self, read: Option<Offset>) {
        self.clock = match (self.clock, read) {
            (Some(known), Some(read)) => known.and(read).or(Some(known)),
            (known, read) => known.or(read),
        };
    }

    /// Seconds until the room closes once everybody has left it.
    pub(crate) fn closes_after_s(&self) -> u32 {
        match self.departure_timeout_s {
            0 => USUAL_DEPARTURE_S,
            told => told,
        }
    }

    fn read(join: proto::JoinResponse, sent_ms: i64, received_ms: i64) -> Self {
        let server = join.server_info.unwrap_or_default();
        let room = join.room.unwrap_or_default();
        let own = join.participant.unwrap_or_default();
        let told = |text: String, older: String| [text, older].into_iter().find(|text| !text.is_empty());
        let seconds =
            |value: i32, usual: u64| Duration::from_secs(u64::try_from(value).ok().filter(|s| *s > 0).unwrap_or(usual));
        Self {
            version: told(server.version, join.server_version),
            region: told(server.region, join.server_region),
            sid: room.sid,
            created: Reading::of(room.creation_time_ms, room.creation_time),
            metadata: room.metadata,
            departure_timeout_s: room.departure_timeout,
            people: join.other_participants.iter().filter(|p| is_person(p)).map(|p| p.identity.clone()).collect(),
            identity: own.identity,
            participant_sid: own.sid,
            ping_interval: seconds(join.ping_interval, 5),
            ping_timeout: seconds(join.ping_timeout, 15),
            clock: Reading::of(own.joined_at_ms, own.joined_at)
                .map(|at| Offset::from_reading(at.ms, at.resolution_ms, sent_ms, received_ms)),
            sent_ms,
        }
    }
}
