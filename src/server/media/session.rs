//! One participant's signal connection to the embedded media server.

use std::sync::Arc;

use futures_util::{SinkExt as _, StreamExt as _};
use livekit_protocol::signal_request::Message as Asked;
use livekit_protocol::signal_response::Message;
use livekit_protocol::{DisconnectReason, Pong, SignalRequest, SignalResponse};
use prost::Message as _;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message as Frame;

use super::embedded::{Embedded, Seat, leave};
use crate::clock::Clock;
use crate::server::token::Claims;

impl Embedded {
    /// Joins as a server of this `version` and stays until the client leaves or is thrown out.
    pub(in crate::server) async fn session<S>(
        self: Arc<Self>,
        mut socket: WebSocketStream<S>,
        room: String,
        claims: Claims,
        version: String,
    ) where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let Some((welcome, seat)) = self.join(&room, claims, &version) else { return };
        let refreshed = self.refreshed(&seat.claims);
        for message in [Message::Join(welcome), Message::RefreshToken(refreshed)] {
            if socket.send(frame(message)).await.is_err() {
                return;
            }
        }
        // An error is a client that has gone.
        let _ = self.converse(&mut socket, seat).await;
        let _ = socket.close(None).await;
    }

    async fn converse<S>(
        &self,
        socket: &mut WebSocketStream<S>,
        mut seat: Seat,
    ) -> Result<(), tokio_tungstenite::tungstenite::Error>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
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
