//! The one dialler: each layer of a connection is timed, bounded and blamed by itself.
//!
//! ```text
//! connect   DNS        the addresses of the name
//!           TCP        the first address that answers
//!           TLS        for https and wss
//! upgrade   WebSocket  an HTTP request, answered with 101
//! ```

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use rustls::pki_types::ServerName;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::{self, error::ProtocolError, protocol::WebSocketConfig};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, client_async_with_config};
use url::Url;

use super::io_text;
use super::reach::{Barred, Reach};
use super::tls::{TlsFailure, TlsSession};
use crate::secret::{excerpt, scrub};

/// For one layer, unless somebody has a reason for another limit.
pub(crate) const LAYER_LIMIT: Duration = Duration::from_secs(10);
/// RFC 8305, 5: how long one address may be silent before the next is tried beside it.
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);
const ADDRESSES_MAX: usize = 8;
/// Bytes that may wait to be written. Each ping wants a pong: pings from somebody who never reads would fill the memory.
pub const WRITE_BUFFER_MAX: usize = 2 << 20;

/// Pings that are answered in each [`PING_SPAN`]; who keeps a connection alive needs a few.
const PINGS_MAX: u32 = 600;
const PING_SPAN: Duration = Duration::from_mins(1);

pub(crate) type WebSocket = WebSocketStream<MaybeTlsStream<TcpStream>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DialLayer {
    Dns,
    Tcp,
    Tls,
    WebSocket,
}

impl DialLayer {
    fn name(self) -> &'static str {
        match self {
            Self::Dns => "DNS",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
            Self::WebSocket => "WebSocket",
        }
    }
}

/// How long each layer took, without those that were not reached or not needed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timings(Vec<(&'static str, Duration)>);

impl Timings {
    pub(crate) fn of(&self, layer: DialLayer) -> Option<Duration> {
        self.0.iter().find(|(name, _)| *name == layer.name()).map(|(_, time)| *time)
    }

    /// The layers below the WebSocket.
    pub(crate) fn connecting(&self) -> Duration {
        [DialLayer::Dns, DialLayer::Tcp, DialLayer::Tls].into_iter().filter_map(|layer| self.of(layer)).sum()
    }

    pub(crate) fn total(&self) -> Duration {
        self.0.iter().map(|(_, time)| *time).sum()
    }

    /// `DNS 2 ms, TCP 11 ms, …`
    pub(crate) fn describe(&self) -> String {
        self.0.iter().map(|(name, time)| format!("{name} {}", milliseconds(*time))).collect::<Vec<_>>().join(", ")
    }

    /// What was done on the connection belongs to it too.
    pub(crate) fn push(&mut self, name: &'static str, time: Duration) {
        self.0.push((name, time));
    }
}

/// A time for people, `0.4 ms` or `41 ms`.
pub(crate) fn milliseconds(time: Duration) -> String {
    let ms = time.as_secs_f64() * 1000.0;
    if ms < 9.95 { format!("{ms:.1} ms") } else { format!("{ms:.0} ms") }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimedOut {
    pub after: Duration,
    /// The layer had less time than it should have, because all together had no more: this says little about the server.
    pub cut_short: bool,
}

/// Why a layer was not passed. Texts are scrubbed, in the words of the system or of the library.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DialCause {
    #[error("{0}")]
    NoAddress(String),
    #[error("{0}")]
    Barred(Barred),
    #[error("{}", .0.iter().map(|(at, why)| format!("{at}: {}", why.to_lowercase())).collect::<Vec<_>>().join(", "))]
    NoConnection(Vec<(SocketAddr, String)>),
    #[error("{0}")]
    Tls(TlsFailure),
    /// What answered speaks HTTP, and did not agree to a WebSocket.
    #[error("it answered with HTTP {status} instead of a WebSocket")]
    NoWebSocket {
        status: u16,
        /// Where a redirect leads: it is not followed.
        location: Option<String>,
        /// As much of it as came with the head.
        body: String,
    },
    #[error("{}", .0.to_lowercase())]
    Broken(String),
    #[error("nothing happened for {} ms", .0.after.as_millis())]
    TimedOut(TimedOut),
}

impl From<TimedOut> for DialCause {
    fn from(timed_out: TimedOut) -> Self {
        Self::TimedOut(timed_out)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {cause}", .layer.name())]
pub struct DialError {
    pub layer: DialLayer,
    pub cause: DialCause,
    /// The layers before it.
    pub timings: Timings,
}

#[derive(Clone, Copy, Debug)]
pub struct DialLimits {
    pub each: Duration,
    pub until: Instant,
}

impl DialError {
    /// Whether the time was up before this layer had all that it may take.
    pub(crate) fn is_cut_short(&self) -> bool {
        matches!(self.cause, DialCause::TimedOut(TimedOut { cut_short: true, .. }))
    }
}

impl DialLimits {
    pub(crate) fn within(limit: Duration) -> Self {
        Self { each: limit, until: Instant::now() + limit }
    }

    /// Does `work` with the time that one layer has.
    pub(crate) async fn bound<T, E: From<TimedOut>>(
        self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<(T, Duration), E> {
        let started = Instant::now();
        let deadline = (started + self.each).min(self.until);
        let after = deadline.saturating_duration_since(started);
        let timed_out = TimedOut { after, cut_short: after < self.each };
        let value = timeout_at(deadline, work).await.unwrap_or_else(|_| Err(timed_out.into()))?;
        Ok((value, started.elapsed()))
    }

    async fn layer<T>(
        self,
        layer: DialLayer,
        timings: &mut Timings,
        work: impl Future<Output = Result<T, DialCause>>,
    ) -> Result<T, DialError> {
        let bounded = self.bound(work).await;
        let (value, time) = bounded.map_err(|cause| DialError { layer, cause, timings: timings.clone() })?;
        timings.push(layer.name(), time);
        Ok(value)
    }
}

#[derive(Debug)]
pub struct Connection {
    stream: MaybeTlsStream<TcpStream>,
    pub(crate) timings: Timings,
    pub(crate) remote_address: SocketAddr,
    #[cfg_attr(not(feature = "media"), allow(dead_code, reason = "audio leaves from there"))]
    pub(crate) local_ip: Option<IpAddr>,
}

impl Connection {
    /// What TLS agreed on; `None` without it.
    pub(crate) fn tls(&self) -> Option<TlsSession> {
        match &self.stream {
            MaybeTlsStream::Rustls(stream) => Some(TlsSession::on(stream.get_ref().1)),
            _ => None,
        }
    }

    /// Turns it into a WebSocket that takes messages of `message_max` bytes at most.
    pub(crate) async fn upgrade(
        self,
        url: &Url,
        message_max: usize,
        limits: DialLimits,
    ) -> Result<(WebSocket, Timings), DialError> {
        let Self { stream, mut timings, .. } = self;
        let upgrading = Box::pin(async {
            let upgraded = client_async_with_config(url.as_str(), stream, Some(websocket_config(message_max))).await;
            upgraded.map(|(socket, _)| socket).map_err(|error| match error {
                tungstenite::Error::Http(response) => not_upgraded(&response),
                error => DialCause::Broken(websocket_text(&error)),
            })
        });
        let socket = limits.layer(DialLayer::WebSocket, &mut timings, upgrading).await?;
        Ok((socket, timings))
    }
}

pub fn websocket_config(message_max: usize) -> WebSocketConfig {
    WebSocketConfig::default()
        .max_message_size(Some(message_max))
        .max_frame_size(Some(message_max))
        .max_write_buffer_size(WRITE_BUFFER_MAX)
}

/// How many pings and other frames that say nothing a peer may send: each costs time, and a ping wants a pong.
#[derive(Debug, Default)]
pub(crate) struct PingBudget {
    since: Option<Instant>,
    spent: u32,
}

impl PingBudget {
    /// Counts one; whether it is one too many.
    pub fn spend(&mut self) -> bool {
        let now = Instant::now();
        if self.since.is_none_or(|since| now.duration_since(since) > PING_SPAN) {
            *self = Self { since: Some(now), spent: 0 };
        }
        self.spent += 1;
        self.spent > PINGS_MAX
    }
}

fn not_upgraded(response: &tungstenite::handshake::client::Response) -> DialCause {
    let status = response.status();
    let location = response.headers().get("location").filter(|_| status.is_redirection());
    let body = String::from_utf8_lossy(response.body().as_deref().unwrap_or_default());
    DialCause::NoWebSocket {
        status: status.as_u16(),
        location: location.and_then(|value| value.to_str().ok()).map(excerpt),
        body: scrub(&body).into_owned(),
    }
}

/// What an error of a WebSocket means; that too much was sent is told by whoever set the limit.
pub(crate) fn websocket_text(error: &tungstenite::Error) -> String {
    match error {
        tungstenite::Error::Io(error) => io_text(error),
        tungstenite::Error::ConnectionClosed
        | tungstenite::Error::AlreadyClosed
        | tungstenite::Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {
            "the server closed the connection".into()
        }
        _ => "what answers there does not speak WebSocket".into(),
    }
}

/// Connects to the host of a URL, by TLS if its scheme is `https` or `wss`; the rest of the URL does not matter.
/// TLS offers the protocol `alpn`, or none. What may be called is `reach`'s to say.
pub async fn connect(
    url: &Url,
    tls: &rustls::ClientConfig,
    reach: &Reach,
    alpn: Option<&str>,
    limits: DialLimits,
) -> Result<Connection, DialError> {
    let mut timings = Timings::default();
    let port = url.port_or_known_default().unwrap_or(443);
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let addresses = match host.parse::<IpAddr>() {
        Ok(ip) => vec![SocketAddr::new(ip, port)],
        Err(_) => limits.layer(DialLayer::Dns, &mut timings, resolve(host, port)).await?,
    };
    let barred =
        |barred| DialError { layer: DialLayer::Dns, cause: DialCause::Barred(barred), timings: Timings::default() };
    let addresses = reach.sift(host, addresses).await.map_err(barred)?;
    let (tcp, remote_address) = limits.layer(DialLayer::Tcp, &mut timings, first_to_answer(&addresses)).await?;
    let local_ip = tcp.local_addr().ok().map(|address| address.ip());
    let stream = if matches!(url.scheme(), "https" | "wss") {
        let mut config = tls.clone();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        let stream = limits.layer(DialLayer::Tls, &mut timings, tls_handshake(config, host, tcp)).await?;
        MaybeTlsStream::Rustls(stream)
    } else {
        MaybeTlsStream::Plain(tcp)
    };
    Ok(Connection { stream, timings, remote_address, local_ip })
}

async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, DialCause> {
    let found = lookup_host((host, port)).await.map_err(|error| {
        let text = io_text(&error);
        DialCause::NoAddress(text.strip_prefix("failed to lookup address information: ").unwrap_or(&text).to_owned())
    })?;
    let mut addresses: Vec<_> = found.take(ADDRESSES_MAX).collect();
    addresses.dedup();
    if addresses.is_empty() { Err(DialCause::NoAddress("it has no address".into())) } else { Ok(addresses) }
}

async fn first_to_answer(addresses: &[SocketAddr]) -> Result<(TcpStream, SocketAddr), DialCause> {
    let mut waiting = addresses.iter();
    let mut under_way = FuturesUnordered::new();
    let mut failures = Vec::new();
    loop {
        // Each turn begins one more: at once after a failure, after a while beside those that are silent.
        if let Some(&address) = waiting.next() {
            under_way.push(async move { (address, TcpStream::connect(address).await) });
        }
        tokio::select! {
            Some((address, result)) = under_way.next() => match result {
                Ok(stream) => {
                    TcpStream::set_nodelay(&stream, true).map_err(|error| DialCause::Broken(io_text(&error)))?;
                    return Ok((stream, address));
                }
                Err(error) => failures.push((address, io_text(&error))),
            },
            () = sleep(ATTEMPT_DELAY), if waiting.len() > 0 => {}
            else => return Err(DialCause::NoConnection(failures)),
        }
    }
}

async fn tls_handshake(
    config: rustls::ClientConfig,
    host: &str,
    tcp: TcpStream,
) -> Result<tokio_rustls::client::TlsStream<TcpStream>, DialCause> {
    let name =
        ServerName::try_from(host.to_owned()).map_err(|error| DialCause::Tls(TlsFailure::Other(error.to_string())))?;
    TlsConnector::from(Arc::new(config)).connect(name, tcp).await.map_err(|error| match TlsFailure::behind(&error) {
        Some(failure) => DialCause::Tls(failure),
        None => DialCause::Broken(io_text(&error)),
    })
}
