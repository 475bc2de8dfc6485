//! The signal connection: a WebSocket on which LiveKit lets us into a room, tells who is there, and throws us out.

mod join;

use std::collections::BTreeSet;
use std::future::Future;
use std::net::IpAddr;
use std::time::Duration;

use futures_util::{FutureExt, SinkExt, StreamExt};
use livekit_protocol as proto;
use prost::Message as _;
use proto::participant_info::{Kind, State};
use proto::request_response::{Reason, Request as Refused};
use proto::signal_request::Message as Request;
use proto::signal_response::Message as Response;
use tokio::time::{Instant, Interval, timeout};
use tokio_tungstenite::tungstenite::{self, Message};

pub use join::{JoinError, JoinMode, Joined, Reading, join};
pub use proto::DisconnectReason;

use super::offset::Offset;
use crate::clock::Clock;
use crate::net::dial::{PingBudget, Timings, WebSocket, websocket_text};
use crate::secret::excerpt;

const PING_FLOOD: &str = "the server sends pings without end";

const LEAVE_LIMIT: Duration = Duration::from_millis(500);

/// How a session ended that we did not end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionClosed {
    /// Since we began to watch.
    pub after: Duration,
    pub how: Ending,
}

/// Why a stay ended that kept a room open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    SomebodyCame,
    TimeOver,
    AskedToLeave,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// LiveKit said so, and why.
    SentAway(DisconnectReason),
    ConnectionLost(String),
    /// No answer to pings for so long.
    Silent(Duration),
    /// The signal connection stands, but the audio connection broke.
    Deaf,
}

/// A room as it was when we came in.
#[derive(Debug)]
pub(super) struct Entered {
    pub joined: Joined,
    /// The join is among them.
    pub timings: Timings,
    pub remote_ip: IpAddr,
}

pub struct SignalSession {
    socket: WebSocket,
    ping: Interval,
    pings: PingBudget,
    heard: Instant,
    pub(super) remote_ip: IpAddr,
    /// STUN and TURN servers, with the secrets that they want to see.
    pub(super) ice_servers: Vec<proto::IceServer>,
    /// An audio connection was offered: there can be no other in this session.
    pub(super) offered: bool,
    /// The SID of the track that the server has let us publish.
    pub(super) published: Option<String>,
    pub(super) refused: Option<String>,
    pub joined: Joined,
    pub timings: Timings,
    people: BTreeSet<String>,
}

/// The next message that is not the end.
async fn next(socket: &mut WebSocket, pings: &mut PingBudget) -> Result<Response, Ending> {
    loop {
        let bytes = match socket.next().await {
            Some(Ok(Message::Binary(bytes))) => bytes,
            Some(Ok(Message::Close(frame))) => {
                let reason = frame.map(|frame| excerpt(&frame.reason)).filter(|reason| !reason.is_empty());
                return Err(Ending::ConnectionLost(
                    reason.unwrap_or_else(|| "the server closed the connection".into()),
                ));
            }
            Some(Ok(_)) if pings.spend() => return Err(Ending::ConnectionLost(PING_FLOOD.into())),
            Some(Ok(_)) => continue,
            Some(Err(error)) => return Err(Ending::ConnectionLost(connection_text(&error))),
            None => return Err(Ending::ConnectionLost("the server closed the connection".into())),
        };
        let answer = proto::SignalResponse::decode(bytes)
            .map_err(|_| Ending::ConnectionLost("the server sent what is no LiveKit message".into()))?;
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

fn connection_text(error: &tungstenite::Error) -> String {
    match error {
        tungstenite::Error::Capacity(_) => "the server sent more than a room has to say".into(),
        tungstenite::Error::WriteBufferFull(_) => PING_FLOOD.into(),
        other => websocket_text(other).to_lowercase(),
    }
}

fn is_person(info: &proto::ParticipantInfo) -> bool {
    !matches!(Kind::try_from(info.kind), Ok(Kind::Agent | Kind::Egress))
}

impl SignalSession {
    pub(super) fn entered(&self) -> Entered {
        Entered { joined: self.joined.clone(), timings: self.timings.clone(), remote_ip: self.remote_ip }
    }

    /// Stays for `time`; without media LiveKit ends the stay after a while by itself (see [`super::check::LONGEST_HOLD`]).
    ///
    /// # Errors
    /// [`SessionClosed`] when the session ended before.
    pub async fn hold(&mut self, time: Duration) -> Result<(), SessionClosed> {
        self.hold_unless(time, std::future::pending()).await
    }

    /// The same; ends when `ended` does.
    pub(super) async fn hold_unless(
        &mut self,
        time: Duration,
        ended: impl Future<Output = Ending>,
    ) -> Result<(), SessionClosed> {
        let started = Instant::now();
        self.heard = started;
        let staying = async {
            loop {
                if let Err(how) = self.next().await {
                    return how;
                }
            }
        };
        let how = tokio::select! {
            () = tokio::time::sleep(time) => return Ok(()),
            how = staying => how,
            how = ended => how,
        };
        Err(SessionClosed { after: started.elapsed(), how })
    }

    /// Stays until somebody else is inside, `time` is over, or `leave` ends.
    ///
    /// # Errors
    /// [`SessionClosed`] when the session ended before, or `ended` did.
    pub(super) async fn keep(
        &mut self,
        time: Duration,
        leave: impl Future<Output = ()>,
        ended: impl Future<Output = Ending>,
    ) -> Result<Kept, SessionClosed> {
        let started = Instant::now();
        self.heard = started;
        let alone = async {
            while self.people.is_empty() {
                if let Err(how) = self.next().await {
                    return Some(how);
                }
            }
            None
        };
        let how = tokio::select! {
            how = alone => match how {
                Some(how) => how,
                None => return Ok(Kept::SomebodyCame),
            },
            () = leave => return Ok(Kept::AskedToLeave),
            () = tokio::time::sleep(time) => return Ok(Kept::TimeOver),
            how = ended => how,
        };
        Err(SessionClosed { after: started.elapsed(), how })
    }

    /// The next message. Keeps the connection alive while it waits; may be dropped at any time.
    pub(super) async fn next(&mut self) -> Result<Response, Ending> {
        loop {
            tokio::select! {
                message = next(&mut self.socket, &mut self.pings) => {
                    let message = message?;
                    self.heard = Instant::now();
                    self.note(&message);
                    return Ok(message);
                }
                _ = self.ping.tick() => {
                    let silence = self.heard.elapsed();
                    if silence > self.joined.ping_timeout {
                        return Err(Ending::Silent(silence));
                    }
                    if let Err(error) = self.ping().await {
                        return Err(self.last_words(&error).await);
                    }
                }
            }
        }
    }

    /// The server's clock, read off a ping: on a connection that stands that is quicker than a join, and so more exact.
    /// `None` where there is no answer within `limit`.
    pub(super) async fn read_clock(&mut self, clock: Clock, limit: Duration) -> Result<Option<Offset>, Ending> {
        let sent_ms = clock.now_ms();
        self.say(Request::PingReq(proto::Ping { timestamp: sent_ms, rtt: 0 })).await?;
        let answered = async {
            loop {
                match self.next().await? {
                    Response::PongResp(pong) if pong.last_ping_timestamp == sent_ms && pong.timestamp > 0 => {
                        return Ok(Offset::from_reading(pong.timestamp, 1, sent_ms, clock.now_ms()));
                    }
                    _ => {}
                }
            }
        };
        timeout(limit, answered).await.ok().transpose()
    }

    pub(super) async fn say(&mut self, message: Request) -> Result<(), Ending> {
        match self.send(message).await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.last_words(&error).await),
        }
    }

    /// Why nothing can be said any more: as the server put it before it closed the connection, if it did.
    async fn last_words(&mut self, error: &tungstenite::Error) -> Ending {
        let listening = async {
            loop {
                match next(&mut self.socket, &mut self.pings).await {
                    Ok(message) => self.note(&message),
                    Err(how) => return how,
                }
            }
        };
        timeout(LEAVE_LIMIT, listening).await.unwrap_or_else(|_| Ending::ConnectionLost(connection_text(error)))
    }

    /// Leaves the room. Returns who is still inside, as far as we were told.
    pub async fn leave(mut self) -> BTreeSet<String> {
        while let Some(Ok(message)) = next(&mut self.socket, &mut self.pings).now_or_never() {
            self.note(&message);
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

    fn note(&mut self, message: &Response) {
        let update = match message {
            Response::Update(update) => update,
            Response::TrackPublished(published) => {
                self.published = published.track.as_ref().map(|track| track.sid.clone());
                return;
            }
            Response::RequestResponse(answer)
                if answer.reason != i32::from(Reason::Ok) && matches!(answer.request, Some(Refused::AddTrack(_))) =>
            {
                self.refused = Some(excerpt(&answer.message))
                    .filter(|text| !text.is_empty())
                    .or_else(|| Reason::try_from(answer.reason).ok().map(|reason| reason.as_str_name().to_lowercase()));
                return;
            }
            _ => return,
        };
        for info in &update.participants {
            if info.state == i32::from(State::Disconnected) {
                self.people.remove(&info.identity);
            } else if is_person(info) && info.identity != self.joined.identity {
                self.people.insert(info.identity.clone());
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
        self.socket.send(written(message)).await
    }
}

fn written(message: Request) -> Message {
    Message::Binary(proto::SignalRequest { message: Some(message) }.encode_to_vec().into())
}
