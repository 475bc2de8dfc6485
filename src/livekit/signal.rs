//! The signal connection: a WebSocket on which LiveKit lets us into a room, tells who is there, and throws us out.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::{FutureExt, SinkExt, StreamExt};
use livekit_protocol as proto;
use prost::Message as _;
use proto::participant_info::{Kind, State};
use proto::signal_request::Message as Request;
use proto::signal_response::Message as Response;
use tokio::net::TcpStream;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};
use tokio_tungstenite::tungstenite::{self, Message, protocol::WebSocketConfig};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, client_async_with_config};

pub use proto::DisconnectReason;

use super::dial::{Cause, Connection, Failed, Layer, Patience, Timings, plain};
use super::endpoint::Candidate;
use super::offset::Offset;
use super::validate::{Refusal, excerpt};
use crate::clock::Clock;
use crate::secret::Secret;

/// The signal protocol spoken here: the newest that needs no media to be of use.
const PROTOCOL: &str = "15";
/// A room of 500 people fits.
const MAX_MESSAGE: usize = 4 << 20;
/// How long leaving may take.
const LEAVE_LIMIT: Duration = Duration::from_millis(500);

/// LiveKit's own departure timeout, where the server does not say.
const USUAL_DEPARTURE_S: u32 = 20;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// What LiveKit says when it lets us in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// LiveKit's version.
    pub version: Option<String>,
    /// Where it runs, if it says so.
    pub region: Option<String>,
    /// `RM_…`: another one for every life of a room.
    pub sid: String,
    /// The room's name.
    pub room: String,
    /// When the room was made, by the media server's clock.
    pub created: Option<Reading>,
    /// What the Nests API wrote on the room.
    pub metadata: String,
    /// As the server counts them, now and then.
    pub num_participants: u32,
    /// Seconds until a room closes that nobody has joined.
    pub empty_timeout_s: u32,
    /// Seconds until a room closes that everybody has left; 0 from servers that do not say.
    pub departure_timeout_s: u32,
    /// Who we are.
    pub identity: String,
    /// The identities of the people inside, but not ours; recorders and agents do not count.
    pub people: BTreeSet<String>,
    /// How often the server wants to hear of us.
    pub ping_interval: Duration,
    /// How long silence may last.
    pub ping_timeout: Duration,
    /// The media server's clock, read off the moment of our joining.
    pub clock: Option<Offset>,
    /// When the upgrade was sent, by the clock here, in milliseconds since the Unix epoch.
    pub sent_ms: i64,
}

/// A time in milliseconds since the Unix epoch, rounded down to its resolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The time.
    pub ms: i64,
    /// 1, or 1000 where an older server knows seconds only.
    pub resolution_ms: i64,
}

impl Reading {
    fn of(ms: i64, s: i64) -> Option<Self> {
        match (ms, s) {
            (1.., _) => Some(Self { ms, resolution_ms: 1 }),
            (_, 1..) => Some(Self { ms: s.saturating_mul(1000), resolution_ms: 1000 }),
            _ => None,
        }
    }
}

/// How a session ended that we did not end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// Since we began to watch.
    pub after: Duration,
    /// How.
    pub how: Ending,
}

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// LiveKit said so, and why.
    SentAway(DisconnectReason),
    /// The connection was closed, or it broke.
    Lost(String),
    /// No answer to pings for so long.
    Silent(Duration),
}

/// A place in a room.
#[derive(Debug)]
pub struct Session {
    socket: Socket,
    /// What was said at the beginning.
    pub joined: Joined,
    /// How long each layer took.
    pub timings: Timings,
    people: BTreeSet<String>,
}

/// Joins the room that the token is for. The token travels in the URL, as every LiveKit client has it.
///
/// # Errors
/// [`Failed`] at one of the last two layers. No text in it holds the token.
pub async fn join(
    connection: Connection,
    candidate: &Candidate,
    token: &Secret,
    patience: Patience,
    clock: Clock,
) -> Result<Session, Failed> {
    let Connection { stream, mut timings, .. } = connection;
    let sent_ms = clock.now_ms();
    let mut socket =
        patience.layer(Layer::WebSocket, &mut timings, Box::pin(upgrade(stream, candidate, token))).await?;
    let answer = patience.layer(Layer::Join, &mut timings, first_answer(&mut socket)).await?;
    let joined = Joined::read(answer, sent_ms, clock.now_ms());
    Ok(Session { people: joined.people.clone(), socket, joined, timings })
}

async fn upgrade(stream: MaybeTlsStream<TcpStream>, candidate: &Candidate, token: &Secret) -> Result<Socket, Cause> {
    let mut url = candidate.with_path("/rtc", false);
    url.query_pairs_mut()
        .append_pair("access_token", token.expose())
        .append_pair("protocol", PROTOCOL)
        .append_pair("sdk", "rust")
        .append_pair("version", env!("CARGO_PKG_VERSION"))
        .append_pair("auto_subscribe", "1");
    let config = WebSocketConfig::default().max_message_size(Some(MAX_MESSAGE)).max_frame_size(Some(MAX_MESSAGE));
    match client_async_with_config(url.as_str(), stream, Some(config)).await {
        Ok((socket, _)) => Ok(socket),
        Err(tungstenite::Error::Http(response)) => {
            let status = response.status();
            let location = response.headers().get("location").and_then(|value| value.to_str().ok());
            if let (true, Some(location)) = (status.is_redirection(), location) {
                return Err(Cause::Redirected { status: status.as_u16(), location: excerpt(location) });
            }
            let body = String::from_utf8_lossy(response.body().as_deref().unwrap_or_default()).into_owned();
            Err(Cause::Refused { status: status.as_u16(), refusal: Refusal::read(status.as_u16(), &body) })
        }
        Err(error) => Err(Cause::Broken(lost(&error))),
    }
}

async fn first_answer(socket: &mut Socket) -> Result<proto::JoinResponse, Cause> {
    loop {
        match next(socket).await {
            Ok(Response::Join(join)) => return Ok(join),
            Ok(_) => {}
            Err(Ending::SentAway(reason)) => return Err(Cause::SentAway(reason)),
            Err(Ending::Lost(text)) => return Err(Cause::Broken(text)),
            Err(Ending::Silent(time)) => return Err(Cause::TimedOut(time)),
        }
    }
}

/// The next message that is not the end.
async fn next(socket: &mut Socket) -> Result<Response, Ending> {
    loop {
        let bytes = match socket.next().await {
            Some(Ok(Message::Binary(bytes))) => bytes,
            Some(Ok(Message::Close(frame))) => {
                let reason = frame.map(|frame| excerpt(&frame.reason)).filter(|reason| !reason.is_empty());
                return Err(Ending::Lost(reason.unwrap_or_else(|| "the server closed the connection".into())));
            }
            Some(Ok(_)) => continue,
            Some(Err(error)) => return Err(Ending::Lost(lost(&error))),
            None => return Err(Ending::Lost("the server closed the connection".into())),
        };
        let answer = proto::SignalResponse::decode(bytes)
            .map_err(|_| Ending::Lost("the server sent what is no LiveKit message".into()))?;
        match answer.message {
            Some(Response::Leave(leave)) => {
                let reason = DisconnectReason::try_from(leave.reason).unwrap_or(DisconnectReason::UnknownReason);
                return Err(Ending::SentAway(reason));
            }
            // A secret that nobody asked for.
            Some(Response::RefreshToken(_)) | None => {}
            Some(message) => return Ok(message),
        }
    }
}

fn lost(error: &tungstenite::Error) -> String {
    match error {
        tungstenite::Error::Io(error) => plain(error),
        tungstenite::Error::ConnectionClosed
        | tungstenite::Error::AlreadyClosed
        | tungstenite::Error::Protocol(tungstenite::error::ProtocolError::ResetWithoutClosingHandshake) => {
            "the server closed the connection".into()
        }
        tungstenite::Error::Capacity(_) => "the server sent more than a room has to say".into(),
        _ => "what answers there does not speak WebSocket".into(),
    }
}

fn is_person(info: &proto::ParticipantInfo) -> bool {
    !matches!(Kind::try_from(info.kind), Ok(Kind::Agent | Kind::Egress))
}

impl Joined {
    /// Seconds until the room closes once everybody has left it.
    #[must_use]
    pub fn closes_after_s(&self) -> u32 {
        match self.departure_timeout_s {
            0 => USUAL_DEPARTURE_S,
            told => told,
        }
    }

    fn read(join: proto::JoinResponse, sent_ms: i64, received_ms: i64) -> Self {
        let server = join.server_info.unwrap_or_default();
        let room = join.room.unwrap_or_default();
        let own = join.participant.unwrap_or_default();
        let told = |text: String, older: String| {
            Some(text).filter(|t| !t.is_empty()).or(Some(older)).filter(|t| !t.is_empty())
        };
        let seconds =
            |value: i32, usual: u64| Duration::from_secs(u64::try_from(value).ok().filter(|s| *s > 0).unwrap_or(usual));
        Self {
            version: told(server.version, join.server_version),
            region: told(server.region, join.server_region),
            sid: room.sid,
            room: room.name,
            created: Reading::of(room.creation_time_ms, room.creation_time),
            metadata: room.metadata,
            num_participants: room.num_participants,
            empty_timeout_s: room.empty_timeout,
            departure_timeout_s: room.departure_timeout,
            people: join.other_participants.iter().filter(|p| is_person(p)).map(|p| p.identity.clone()).collect(),
            identity: own.identity,
            ping_interval: seconds(join.ping_interval, 5),
            ping_timeout: seconds(join.ping_timeout, 15),
            clock: Reading::of(own.joined_at_ms, own.joined_at)
                .map(|at| Offset::from_reading(at.ms, at.resolution_ms, sent_ms, received_ms)),
            sent_ms,
        }
    }
}

impl Session {
    /// Stays for `time`; without media LiveKit ends the stay after a while by itself (see [`super::check::LONGEST_HOLD`]).
    ///
    /// # Errors
    /// [`Closed`] when the session ended before.
    pub async fn hold(&mut self, time: Duration) -> Result<(), Closed> {
        let started = Instant::now();
        let mut heard = started;
        let mut ping = interval(self.joined.ping_interval);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let how = loop {
            tokio::select! {
                () = sleep_until(started + time) => return Ok(()),
                _ = ping.tick() => {
                    let silence = heard.elapsed();
                    if silence > self.joined.ping_timeout {
                        break Ending::Silent(silence);
                    }
                    if let Err(error) = self.ping().await {
                        break Ending::Lost(lost(&error));
                    }
                }
                message = next(&mut self.socket) => match message {
                    Ok(message) => {
                        heard = Instant::now();
                        self.note(message);
                    }
                    Err(how) => break how,
                },
            }
        };
        Err(Closed { after: started.elapsed(), how })
    }

    /// Leaves the room. Returns who is still inside, as far as we were told.
    pub async fn leave(mut self) -> BTreeSet<String> {
        while let Some(Ok(message)) = next(&mut self.socket).now_or_never() {
            self.note(message);
        }
        let goodbye = async {
            let leave = proto::LeaveRequest { reason: DisconnectReason::ClientInitiated.into(), ..Default::default() };
            self.send(Request::Leave(leave)).await?;
            self.socket.close(None).await?;
            while let Some(Ok(_)) = self.socket.next().await {}
            Ok::<_, tungstenite::Error>(())
        };
        // Whatever goes wrong here: the connection is dropped, and the server notices.
        let _ = timeout(LEAVE_LIMIT, goodbye).await;
        self.people
    }

    fn note(&mut self, message: Response) {
        let Response::Update(update) = message else { return };
        for info in update.participants {
            if info.state == i32::from(State::Disconnected) {
                self.people.remove(&info.identity);
            } else if is_person(&info) && info.identity != self.joined.identity {
                self.people.insert(info.identity);
            }
        }
    }

    /// Older servers know the first form, newer ones want the second; clients send both.
    async fn ping(&mut self) -> Result<(), tungstenite::Error> {
        let now = Clock::default().now_ms();
        self.send(Request::Ping(now)).await?;
        self.send(Request::PingReq(proto::Ping { timestamp: now, rtt: 0 })).await
    }

    async fn send(&mut self, message: Request) -> Result<(), tungstenite::Error> {
        let bytes = proto::SignalRequest { message: Some(message) }.encode_to_vec();
        self.socket.send(Message::Binary(bytes.into())).await
    }
}
