//! A plain client of LiveKit's signal endpoint.

use futures_util::{SinkExt as _, StreamExt as _};
use livekit_protocol::signal_request::Message as Ask;
use livekit_protocol::signal_response::Message;
use livekit_protocol::{DisconnectReason, JoinResponse, LeaveRequest, Ping, SignalRequest, SignalResponse};
use prost::Message as _;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::{self, Message as Frame};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// A signal connection.
pub struct Signal {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    pub join: JoinResponse,
}

impl Signal {
    /// Joins; a refusal is its status and text.
    pub async fn join(livekit: &str, token: &str) -> Result<Self, (u16, String)> {
        let url = format!("{livekit}/rtc?access_token={token}&protocol=16&sdk=rust&auto_subscribe=1");
        let (mut socket, _) = match connect_async(url).await {
            Ok(connected) => connected,
            Err(tungstenite::Error::Http(refused)) => {
                let text = refused.body().clone().unwrap_or_default();
                return Err((refused.status().as_u16(), String::from_utf8_lossy(&text).into_owned()));
            }
            Err(other) => panic!("{other}"),
        };
        match next(&mut socket).await {
            Some(Message::Join(join)) => Ok(Self { socket, join }),
            other => panic!("expected join, got {other:?}"),
        }
    }

    pub async fn ask(&mut self, message: Ask) {
        let bytes = SignalRequest { message: Some(message) }.encode_to_vec();
        self.socket.send(Frame::binary(bytes)).await.unwrap();
    }

    /// The next message; `None` when the connection has ended.
    pub async fn next(&mut self) -> Option<Message> {
        next(&mut self.socket).await
    }

    /// The next message that `wanted` recognises.
    pub async fn until<T>(&mut self, wanted: impl Fn(Message) -> Option<T>) -> T {
        loop {
            let message = self.next().await.expect("the connection has ended");
            if let Some(found) = wanted(message) {
                return found;
            }
        }
    }

    /// Whether the server still has us inside: it answers a ping.
    pub async fn is_inside(&mut self) -> bool {
        let ping = SignalRequest { message: Some(Ask::PingReq(Ping { timestamp: 1, rtt: 0 })) };
        if self.socket.send(Frame::binary(ping.encode_to_vec())).await.is_err() {
            return false;
        }
        loop {
            match self.next().await {
                Some(Message::PongResp(_)) => return true,
                None | Some(Message::Leave(_)) => return false,
                Some(_) => {}
            }
        }
    }

    /// Says goodbye.
    pub async fn leave(mut self) {
        self.ask(Ask::Leave(LeaveRequest::default())).await;
        while self.next().await.is_some() {}
    }

    /// Why the server ended the connection, and that it did.
    pub async fn farewell(&mut self) -> DisconnectReason {
        let reason = self.until(|m| if let Message::Leave(leave) = m { Some(leave.reason()) } else { None }).await;
        while self.next().await.is_some() {}
        reason
    }
}

async fn next(socket: &mut WebSocketStream<MaybeTlsStream<TcpStream>>) -> Option<Message> {
    loop {
        match socket.next().await? {
            Ok(Frame::Binary(bytes)) => return SignalResponse::decode(bytes).unwrap().message,
            Ok(Frame::Close(_)) | Err(_) => return None,
            Ok(_) => {}
        }
    }
}
