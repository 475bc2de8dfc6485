//! A media server that follows a script: what no real one does on demand.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use livekit_protocol as proto;
use prost::Message as _;
use proto::signal_request::Message as Request;
use proto::signal_response::Message as Response;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::check::now_ms;

/// One thing that it does once the WebSocket stands.
#[derive(Clone)]
pub enum Act {
    Say(Box<Response>),
    SayBytes(Vec<u8>),
    Pause(Duration),
    Close(&'static str),
    /// Answers pings until the client leaves.
    Serve,
    /// Sends these bytes again and again as fast as it can, and reads nothing.
    Flood(Vec<u8>),
    /// Neither answers nor ends.
    Hang,
    /// Drops the connection.
    Drop,
}

/// What it does.
#[derive(Clone)]
pub struct Script {
    /// The whole answer to `/rtc/validate`.
    pub validate: String,
    /// The whole answer to `/rtc`, instead of an upgrade.
    pub refuse: Option<String>,
    pub acts: Vec<Act>,
}

pub struct FakeLiveKit {
    pub port: u16,
    /// The request lines that it was sent.
    pub seen: Arc<Mutex<Vec<String>>>,
    /// Whether a client said goodbye.
    pub left: Arc<Mutex<bool>>,
}

pub fn answer(head: &str, body: &str) -> String {
    format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

impl Script {
    /// Lets everybody in, then does `acts`.
    pub fn joining(join: proto::JoinResponse, acts: &[Act]) -> Self {
        let refreshed = Response::RefreshToken("eyJhbGciOiJIUzI1NiJ9.eyJyZWZyZXNoZWQiOjF9.c2ln".into());
        let mut all = vec![Act::Say(Response::Join(join).into()), Act::Say(refreshed.into())];
        all.extend_from_slice(acts);
        Self { validate: answer("200 OK", "success"), refuse: None, acts: all }
    }

    pub fn refusing(head: &str, body: &str) -> Self {
        let refusal = answer(head, body);
        Self { validate: refusal.clone(), refuse: Some(refusal), acts: Vec::new() }
    }
}

impl FakeLiveKit {
    pub async fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (seen, left) = (Arc::<Mutex<Vec<String>>>::default(), Arc::<Mutex<bool>>::default());
        let (also_seen, also_left) = (seen.clone(), left.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, script.clone(), also_seen.clone(), also_left.clone()));
            }
        });
        Self { port, seen, left }
    }

    pub fn url(&self) -> String {
        format!("ws://127.0.0.1:{}", self.port)
    }

    pub fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

async fn serve(mut stream: TcpStream, script: Script, seen: Arc<Mutex<Vec<String>>>, left: Arc<Mutex<bool>>) {
    let mut head = [0; 4096];
    let read = stream.peek(&mut head).await.unwrap();
    let line = String::from_utf8_lossy(&head[..read]).lines().next().unwrap_or_default().to_owned();
    seen.lock().unwrap().push(line.clone());
    let plain = if line.contains("/rtc/validate") { Some(script.validate) } else { script.refuse };
    if let Some(text) = plain {
        let _ = stream.write_all(text.as_bytes()).await;
        let mut rest = [0; 4096];
        let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut rest).await;
        return;
    }
    let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else { return };
    for act in script.acts {
        let sent = match act {
            Act::Say(message) => {
                let bytes = proto::SignalResponse { message: Some(*message) }.encode_to_vec();
                socket.send(Message::Binary(bytes.into())).await
            }
            Act::SayBytes(bytes) => socket.send(Message::Binary(bytes.into())).await,
            Act::Pause(time) => {
                sleep(time).await;
                Ok(())
            }
            Act::Close(reason) => {
                socket.close(Some(CloseFrame { code: CloseCode::Normal, reason: reason.into() })).await
            }
            Act::Flood(bytes) => {
                while socket.get_mut().write_all(&bytes).await.is_ok() {}
                return;
            }
            Act::Hang => {
                std::future::pending::<()>().await;
                Ok(())
            }
            Act::Drop => return,
            Act::Serve => {
                while let Some(Ok(message)) = socket.next().await {
                    let Message::Binary(bytes) = message else { continue };
                    let reply = match proto::SignalRequest::decode(bytes).unwrap().message {
                        Some(Request::PingReq(ping)) => {
                            Response::PongResp(proto::Pong { last_ping_timestamp: ping.timestamp, timestamp: now_ms() })
                        }
                        Some(Request::Leave(_)) => {
                            *left.lock().unwrap() = true;
                            continue;
                        }
                        _ => continue,
                    };
                    let bytes = proto::SignalResponse { message: Some(reply) }.encode_to_vec();
                    let _ = socket.send(Message::Binary(bytes.into())).await;
                }
                Ok(())
            }
        };
        if sent.is_err() {
            return;
        }
    }
    // What was said last must not be lost with the connection.
    while let Some(Ok(_)) = socket.next().await {}
}

/// A room of the nest `demo`, made now, in which nobody else is.
pub fn join() -> proto::JoinResponse {
    let now_ms = now_ms();
    proto::JoinResponse {
        room: Some(proto::Room {
            sid: "RM_fake_livekit".into(),
            name: "demo".into(),
            creation_time: now_ms / 1000,
            creation_time_ms: now_ms,
            metadata: r#"{"nestId":"demo"}"#.into(),
            departure_timeout: 60,
            ..Default::default()
        }),
        participant: Some(person("guest-1")),
        server_info: Some(proto::ServerInfo { version: "1.0.0".into(), region: "attic".into(), ..Default::default() }),
        ping_interval: 1,
        ping_timeout: 2,
        ..Default::default()
    }
}

pub fn person(identity: &str) -> proto::ParticipantInfo {
    let now_ms = now_ms();
    proto::ParticipantInfo {
        identity: identity.into(),
        joined_at: now_ms / 1000,
        joined_at_ms: now_ms,
        ..Default::default()
    }
}

pub fn leave(reason: proto::DisconnectReason) -> Act {
    Act::Say(Response::Leave(proto::LeaveRequest { reason: reason.into(), ..Default::default() }).into())
}

pub fn update(participants: Vec<proto::ParticipantInfo>) -> Act {
    Act::Say(Response::Update(proto::ParticipantUpdate { participants }).into())
}
