//! The signal endpoint of the embedded media server: `/rtc/validate`, and `/rtc` with one participant's connection.

use std::sync::Arc;

use futures_util::{SinkExt as _, StreamExt as _};
use hyper::body::Incoming;
use hyper::header::AUTHORIZATION;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use livekit_protocol::signal_request::Message as Asked;
use livekit_protocol::signal_response::Message;
use livekit_protocol::{DisconnectReason, Pong, SignalRequest, SignalResponse};
use prost::Message as _;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::{Error as WebSocketError, Message as Frame};
use url::form_urlencoded;

use super::embedded::{Embedded, JoinError, leave};
use crate::clock::Clock;
use crate::server::answer::HttpAnswer;
use crate::server::http::{HttpFront, upgrade_to_websocket};
use crate::server::token::Claims;

/// What the embedded media server calls itself in `server_info`.
pub(in crate::server) const VERSION: &str = concat!("nest-mock ", env!("CARGO_PKG_VERSION"));

const PLAIN: &str = "text/plain; charset=utf-8";

/// `/rtc/validate`: whether a token would be let in.
pub(in crate::server) fn validate(media: &Embedded, request: &Request<Incoming>) -> HttpAnswer {
    match admit(media, request) {
        Ok(_) => HttpAnswer::text(StatusCode::OK, PLAIN, "success"),
        Err(error) => refused(&error),
    }
}

/// `/rtc`: joins as a server of this `version`.
pub(in crate::server) fn connect(
    front: &HttpFront,
    media: Arc<Embedded>,
    version: String,
    mut request: Request<Incoming>,
) -> HttpAnswer {
    let upgrade = upgrade_to_websocket(&mut request);
    let ((room, claims), (answer, upgraded)) = match (admit(&media, &request), upgrade) {
        (Ok(admitted), Some(upgrade)) => (admitted, upgrade),
        (Err(error), Some(_)) => return refused(&error),
        // As in LiveKit: without an upgrade the endpoint does not exist, unless the token is bad.
        (Err(error @ JoinError::Token(_)), None) => return refused(&error),
        (_, None) => return HttpAnswer::empty(StatusCode::NOT_FOUND),
    };
    let note = format!("{} joins {room}", claims.sub);
    front.spawn(async move {
        if let Ok(stream) = upgraded.await {
            let mut socket = WebSocketStream::from_raw_socket(TokioIo::new(stream), Role::Server, None).await;
            // An error is a client that has gone.
            let _ = media.participate(&mut socket, &room, &claims, &version).await;
            let _ = socket.close(None).await;
        }
    });
    answer.note(note)
}

fn admit(media: &Embedded, request: &Request<Incoming>) -> Result<(String, Claims), JoinError> {
    let mut query = form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes());
    let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = match header {
        Some(value) => {
            let no_bearer = || JoinError::Token("invalid authorization header. Must start with Bearer ".into());
            Some(value.strip_prefix("Bearer ").ok_or_else(no_bearer)?.into())
        }
        None => query.find(|(key, _)| key == "access_token").map(|(_, value)| value),
    };
    media.validate(token.as_deref())
}

fn refused(error: &JoinError) -> HttpAnswer {
    let status = if let JoinError::Refused(status, _) = error { *status } else { StatusCode::UNAUTHORIZED };
    // The text may hold the token: the note must not.
    HttpAnswer::text(status, PLAIN, error.to_string()).note("join refused")
}

impl Embedded {
    /// Joins and stays until the client leaves or is thrown out.
    async fn participate<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        socket: &mut WebSocketStream<S>,
        room: &str,
        claims: &Claims,
        version: &str,
    ) -> Result<(), WebSocketError> {
        let (welcome, mut seat) = self.join(room, claims, version);
        for message in [Message::Join(welcome), Message::RefreshToken(self.refreshed(claims))] {
            socket.send(frame(message)).await?;
        }
        let media_due = Instant::now() + self.settings.join_timeout;
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
}

fn frame(message: Message) -> Frame {
    Frame::binary(SignalResponse { message: Some(message) }.encode_to_vec())
}
