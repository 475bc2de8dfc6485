//! Getting into a room: the upgrade and the join.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use futures_util::SinkExt;
use livekit_protocol as proto;
use prost::Message as _;
use proto::signal_request::Message as Request;
use proto::signal_response::Message as Response;
use tokio::net::TcpStream;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_tungstenite::tungstenite::{self, protocol::WebSocketConfig};
use tokio_tungstenite::{MaybeTlsStream, client_async_with_config};
use url::Url;

use super::{Ending, Joined, Session, Socket, lost, next, written};
use crate::clock::Clock;
use crate::livekit::dial::{Cause, Connection, Failed, Layer, Patience};
use crate::livekit::endpoint::Candidate;
use crate::livekit::validate::{Refusal, excerpt};
use crate::secret::Secret;

/// The signal protocol spoken here.
const PROTOCOL: i32 = 15;
/// From 3 on it is the server that offers.
const PROTOCOL_OF_OFFERERS: i32 = 2;
/// A room of 500 people fits.
const MAX_MESSAGE: usize = 4 << 20;

/// How a client presents itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::livekit) enum Shape {
    /// Signal alone.
    Signal,
    /// One peer connection, and we offer. Servers before 1.9 or so do not know it.
    Single,
    /// We offer, as the very first clients did.
    Older,
}

/// Joins the room that the token is for, without audio. The token travels in the URL, as every LiveKit client has it.
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
    join_as(Shape::Signal, Vec::new(), connection, candidate, token, patience, clock).await
}

/// The same in another shape; `first` is said before the server has said anything.
pub(in crate::livekit) async fn join_as(
    shape: Shape,
    first: Vec<Request>,
    connection: Connection,
    candidate: &Candidate,
    token: &Secret,
    patience: Patience,
    clock: Clock,
) -> Result<Session, Failed> {
    let Connection { stream, mut timings, .. } = connection;
    let sent_ms = clock.now_ms();
    let url = url(shape, candidate, token);
    let mut socket = patience.layer(Layer::WebSocket, &mut timings, Box::pin(upgrade(stream, &url))).await?;
    let joining = async {
        for message in first {
            socket.send(written(message)).await.map_err(|error| Cause::Broken(lost(&error)))?;
        }
        first_answer(&mut socket).await
    };
    let mut answer = patience.layer(Layer::Join, &mut timings, joining).await?;
    let ice_servers = std::mem::take(&mut answer.ice_servers);
    let joined = Joined::read(answer, sent_ms, clock.now_ms());
    let mut ping = interval(joined.ping_interval.max(Duration::from_millis(100)));
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    Ok(Session {
        people: joined.people.clone(),
        socket,
        ping,
        heard: Instant::now(),
        ice_servers,
        offered: false,
        published: None,
        refused: None,
        joined,
        timings,
    })
}

fn url(shape: Shape, candidate: &Candidate, token: &Secret) -> Url {
    let mut url = candidate.with_path(if shape == Shape::Single { "/rtc/v1" } else { "/rtc" }, false);
    url.query_pairs_mut().append_pair("access_token", token.expose());
    if shape == Shape::Single {
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
    let (protocol, subscribe) = if shape == Shape::Signal { (PROTOCOL, "1") } else { (PROTOCOL_OF_OFFERERS, "0") };
    url.query_pairs_mut()
        .append_pair("protocol", &protocol.to_string())
        .append_pair("sdk", "rust")
        .append_pair("version", env!("CARGO_PKG_VERSION"))
        .append_pair("auto_subscribe", subscribe);
    url
}

async fn upgrade(stream: MaybeTlsStream<TcpStream>, url: &Url) -> Result<Socket, Cause> {
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
            Ok(_) | Err(Ending::Deaf) => {}
            Err(Ending::SentAway(reason)) => return Err(Cause::SentAway(reason)),
            Err(Ending::Lost(text)) => return Err(Cause::Broken(text)),
            Err(Ending::Silent(time)) => return Err(Cause::TimedOut(time)),
        }
    }
}
