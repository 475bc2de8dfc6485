//! The way to an endpoint, layer by layer: DNS, TCP, TLS, each with its own time and its own failure.

use std::fmt::Write as _;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_tungstenite::MaybeTlsStream;
use url::Host;

use super::endpoint::Candidate;
use super::validate::{Refusal, excerpt};
use crate::tls;

/// For one layer of a connection.
const LAYER_LIMIT: Duration = Duration::from_secs(10);
/// The same, where an answer would be a surprise.
const INTERNAL_LIMIT: Duration = Duration::from_secs(3);
/// RFC 8305, 5: how long one address may be silent before the next is tried beside it.
const STAGGER: Duration = Duration::from_millis(250);

/// One layer of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// The name is looked up.
    Dns,
    /// An address answers.
    Tcp,
    /// The certificate is good.
    Tls,
    /// The server takes the token and speaks WebSocket.
    WebSocket,
    /// The room lets us in.
    Join,
}

/// How long each layer took; `None` where it was not reached or not needed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timings {
    /// Looking up the name.
    pub dns: Option<Duration>,
    /// Connecting to the first address that answered.
    pub tcp: Option<Duration>,
    /// TLS handshake.
    pub tls: Option<Duration>,
    /// WebSocket upgrade.
    pub websocket: Option<Duration>,
    /// From there to the join message.
    pub join: Option<Duration>,
}

impl Timings {
    /// All layers together.
    #[must_use]
    pub fn total(&self) -> Duration {
        self.layers().map(|(_, time)| time).sum()
    }

    /// The layers below the WebSocket.
    #[must_use]
    pub fn way(&self) -> Duration {
        [self.dns, self.tcp, self.tls].into_iter().flatten().sum()
    }

    /// `DNS 2 ms, TCP 11 ms, …`, the layers that there were.
    #[must_use]
    pub fn describe(&self) -> String {
        let mut text = String::new();
        for (name, time) in self.layers() {
            let comma = if text.is_empty() { "" } else { ", " };
            // Writing to a String never fails.
            let _ = write!(text, "{comma}{name} {}", milliseconds(time));
        }
        text
    }

    fn layers(&self) -> impl Iterator<Item = (&'static str, Duration)> {
        let named = [
            ("DNS", self.dns),
            ("TCP", self.tcp),
            ("TLS", self.tls),
            ("WebSocket", self.websocket),
            ("join", self.join),
        ];
        named.into_iter().filter_map(|(name, time)| Some((name, time?)))
    }

    fn slot(&mut self, layer: Layer) -> &mut Option<Duration> {
        match layer {
            Layer::Dns => &mut self.dns,
            Layer::Tcp => &mut self.tcp,
            Layer::Tls => &mut self.tls,
            Layer::WebSocket => &mut self.websocket,
            Layer::Join => &mut self.join,
        }
    }
}

/// A time for people, `0.4 ms` or `41 ms`.
pub(crate) fn milliseconds(time: Duration) -> String {
    let ms = time.as_secs_f64() * 1000.0;
    if ms < 9.95 { format!("{ms:.1} ms") } else { format!("{ms:.0} ms") }
}

/// Why a layer was not passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The name has no address, or nobody could be asked; in the system's words.
    NoAddress(String),
    /// No address let us connect.
    NoConnection(Vec<(SocketAddr, String)>),
    /// No TLS connection.
    Tls(tls::Failure),
    /// The upgrade was answered with a refusal; the reason where the server gave one that LiveKit would give.
    Refused {
        /// HTTP status.
        status: u16,
        /// Why.
        refusal: Option<Refusal>,
    },
    /// The upgrade was answered with a redirect, which is not followed.
    Redirected {
        /// HTTP status.
        status: u16,
        /// Where to, scrubbed.
        location: String,
    },
    /// The answer was no WebSocket, or the connection broke.
    Broken(String),
    /// The server sent us away instead of letting us in.
    SentAway(super::signal::DisconnectReason),
    /// Silence.
    TimedOut(Duration),
    /// Silence, but cut short by the time that the caller has, which says little.
    OutOfTime(Duration),
}

/// A connection that was not made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// The layer that failed.
    pub layer: Layer,
    /// Why.
    pub cause: Cause,
    /// The layers before it.
    pub timings: Timings,
}

/// How long to wait.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For each layer.
    pub each: Duration,
    /// For all together.
    pub until: Instant,
}

impl Patience {
    /// With an endpoint, `share` for all layers.
    #[must_use]
    pub fn with(candidate: &Candidate, share: Duration) -> Self {
        let each = if candidate.internal.is_some() { INTERNAL_LIMIT } else { LAYER_LIMIT };
        Self { each, until: Instant::now() + share }
    }

    pub(super) async fn layer<T>(
        self,
        layer: Layer,
        timings: &mut Timings,
        work: impl Future<Output = Result<T, Cause>>,
    ) -> Result<T, Failed> {
        let started = Instant::now();
        let deadline = (started + self.each).min(self.until);
        let result = timeout_at(deadline, work).await.unwrap_or_else(|_| {
            let waited = deadline.saturating_duration_since(started);
            Err(if waited < self.each { Cause::OutOfTime(waited) } else { Cause::TimedOut(waited) })
        });
        match result {
            Ok(value) => {
                *timings.slot(layer) = Some(started.elapsed());
                Ok(value)
            }
            Err(cause) => Err(Failed { layer, cause, timings: *timings }),
        }
    }
}

/// A way to an endpoint that stands, before anything was said on it.
#[derive(Debug)]
pub struct Connection {
    pub(super) stream: MaybeTlsStream<TcpStream>,
    pub(super) timings: Timings,
    /// The address that answered.
    pub peer: SocketAddr,
    /// The address here that called it.
    pub(super) local: Option<IpAddr>,
    /// It was made before there was something to say on it: the other side may have lost patience.
    pub(super) ahead: bool,
}

impl Connection {
    /// How long each layer took.
    #[must_use]
    pub fn timings(&self) -> Timings {
        self.timings
    }

    /// What TLS agreed on; `None` without it.
    #[must_use]
    pub fn tls(&self) -> Option<tls::Agreed> {
        match &self.stream {
            MaybeTlsStream::Rustls(stream) => Some(tls::Agreed::on(stream.get_ref().1)),
            _ => None,
        }
    }
}

/// Connects to an endpoint. `tls` may have any ALPN: it is set here.
///
/// # Errors
/// [`Failed`] at one of the first three layers.
pub async fn connect(
    candidate: &Candidate,
    tls: &rustls::ClientConfig,
    patience: Patience,
) -> Result<Connection, Failed> {
    let mut timings = Timings::default();
    let url = &candidate.url;
    let port = url.port_or_known_default().unwrap_or(443);
    let (addresses, name) = match url.host() {
        Some(Host::Ipv4(ip)) => (vec![SocketAddr::from((ip, port))], ServerName::from(IpAddr::V4(ip))),
        Some(Host::Ipv6(ip)) => (vec![SocketAddr::from((ip, port))], ServerName::from(IpAddr::V6(ip))),
        host => {
            let host = host.map(|host| host.to_string()).unwrap_or_default();
            let found = patience.layer(Layer::Dns, &mut timings, resolve(&host, port)).await?;
            let name = ServerName::try_from(host).map_err(|e| Failed {
                layer: Layer::Dns,
                cause: Cause::NoAddress(e.to_string()),
                timings,
            })?;
            (found, name)
        }
    };
    let (tcp, peer) = patience.layer(Layer::Tcp, &mut timings, first_to_answer(&addresses)).await?;
    let local = tcp.local_addr().ok().map(|address| address.ip());
    let stream = if url.scheme() == "wss" {
        let mut config = tls.clone();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let handshake = async {
            let connected = TlsConnector::from(Arc::new(config)).connect(name, tcp).await;
            connected.map_err(|error| match tls::failure(&error) {
                Some(failure) => Cause::Tls(failure),
                None => Cause::Broken(plain(&error)),
            })
        };
        MaybeTlsStream::Rustls(patience.layer(Layer::Tls, &mut timings, handshake).await?)
    } else {
        MaybeTlsStream::Plain(tcp)
    };
    Ok(Connection { stream, timings, peer, local, ahead: false })
}

async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, Cause> {
    let found = tokio::net::lookup_host((host, port)).await.map_err(|error| {
        let text = error.to_string();
        Cause::NoAddress(text.strip_prefix("failed to lookup address information: ").unwrap_or(&text).to_owned())
    })?;
    let mut addresses: Vec<_> = found.collect();
    addresses.dedup();
    if addresses.is_empty() { Err(Cause::NoAddress("it has no address".into())) } else { Ok(addresses) }
}

async fn first_to_answer(addresses: &[SocketAddr]) -> Result<(TcpStream, SocketAddr), Cause> {
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
                    TcpStream::set_nodelay(&stream, true).map_err(|e| Cause::Broken(plain(&e)))?;
                    return Ok((stream, address));
                }
                Err(error) => failures.push((address, plain(&error))),
            },
            () = sleep(STAGGER), if waiting.len() > 0 => {}
            else => return Err(Cause::NoConnection(failures)),
        }
    }
}

/// An I/O error without its number.
pub(super) fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    excerpt(text.split(" (os error").next().unwrap_or(&text)).to_lowercase()
}
