//! TURN servers that a media server advertises. The library knows neither names nor TCP nor TLS: names are looked up
//! here, and what speaks TCP or TLS gets a bridge on loopback that speaks UDP.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use livekit_protocol as proto;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket, lookup_host};
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use webrtc::peer_connection::RTCIceServer;

use super::AudioFailure;
use super::audio_connection::source;
use super::offered::aims_inside;
use crate::net::io_text;
use crate::net::tls::TlsFailure;
use crate::secret::excerpt;

/// Servers that are tried; LiveKit advertises two or three.
const TURNS_MAX: usize = 8;
/// Addresses of one name that are tried.
const ADDRESSES_MAX: usize = 8;

/// RFC 7065, with what it takes to be let in.
pub struct Turn {
    pub url: String,
    pub secure: bool,
    pub tcp: bool,
    pub host: String,
    pub port: u16,
    username: String,
    credential: String,
}

/// A TURN server that the library can talk to.
pub(super) struct TurnBridge {
    pub server: RTCIceServer,
    pub near: IpAddr,
    /// Ends when it is dropped.
    _pump: JoinSet<()>,
}

/// The first of them, in the server's order.
pub(super) fn advertised(servers: &[proto::IceServer]) -> Vec<Turn> {
    let turns = servers.iter().flat_map(|server| server.urls.iter().filter_map(|url| read(url, server)));
    turns.take(TURNS_MAX).collect()
}

pub fn read(url: &str, server: &proto::IceServer) -> Option<Turn> {
    let (scheme, rest) = url.split_once(':')?;
    let secure = match scheme {
        "turn" => false,
        "turns" => true,
        _ => return None,
    };
    let (address, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (host, port) = match address.rsplit_once(':') {
        // An IPv6 address without a port ends inside its brackets.
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
        _ => (address, if secure { 5349 } else { 3478 }),
    };
    Some(Turn {
        url: excerpt(url),
        secure,
        tcp: secure || query.contains("transport=tcp"),
        host: host.trim_matches(['[', ']']).to_owned(),
        port,
        username: server.username.clone(),
        credential: server.credential.clone(),
    })
}

impl Turn {
    /// `signal` is where the media server was reached that advertises it.
    pub(super) async fn open(&self, tls: &rustls::ClientConfig, signal: IpAddr) -> Result<TurnBridge, AudioFailure> {
        let refused = |error: std::io::Error| AudioFailure::Broken(io_text(&error).to_lowercase());
        let found = lookup_host((self.host.as_str(), self.port)).await.map_err(refused)?;
        let found: Vec<SocketAddr> =
            found.take(ADDRESSES_MAX).filter(|found| !aims_inside(found.ip(), signal)).collect();
        if found.is_empty() {
            return Err(AudioFailure::Broken("its address is none that a media server elsewhere can give out".into()));
        }
        if !self.tcp {
            let reached = found.iter().find_map(|address| Some((*address, source(*address)?)));
            let (address, near) =
                reached.ok_or_else(|| AudioFailure::Broken("there is no way to it from here".into()))?;
            return Ok(TurnBridge { server: self.at(address), near, _pump: JoinSet::new() });
        }
        let stream = TcpStream::connect(found.as_slice()).await.map_err(refused)?;
        stream.set_nodelay(true).map_err(refused)?;
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(refused)?;
        let server = self.at(socket.local_addr().map_err(refused)?);
        let mut pumping = JoinSet::new();
        if self.secure {
            let name = ServerName::try_from(self.host.clone()).map_err(super::connect::broken)?;
            let connecting = TlsConnector::from(Arc::new(tls.clone())).connect(name, stream);
            let stream = connecting.await.map_err(|error| match TlsFailure::behind(&error) {
                Some(failure) => AudioFailure::Broken(failure.to_string()),
                None => refused(error),
            })?;
            pumping.spawn(pump(socket, stream));
        } else {
            pumping.spawn(pump(socket, stream));
        }
        Ok(TurnBridge { server, near: Ipv4Addr::LOCALHOST.into(), _pump: pumping })
    }

    fn at(&self, address: SocketAddr) -> RTCIceServer {
        RTCIceServer {
            urls: vec![format!("turn:{address}?transport=udp")],
            username: self.username.clone(),
            credential: self.credential.clone(),
        }
    }
}

/// Carries TURN messages between datagrams and a stream (RFC 8656, 3.1 and 12.5) until one of both ends.
pub async fn pump(socket: UdpSocket, stream: impl AsyncRead + AsyncWrite) {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut datagram = vec![0; 2048];
    let mut caller = None;
    let mut unread = Vec::new();
    loop {
        tokio::select! {
            received = socket.recv_from(&mut datagram) => {
                let Ok((length, from)) = received else { continue };
                // Anybody on this machine could write to this socket; the first to do so is the library.
                if *caller.get_or_insert(from) != from {
                    continue;
                }
                let padded = length.next_multiple_of(4).min(datagram.len());
                datagram[length..padded].fill(0);
                if writer.write_all(&datagram[..padded]).await.is_err() || writer.flush().await.is_err() {
                    return;
                }
            }
            read = reader.read_buf(&mut unread) => {
                if !matches!(read, Ok(1..)) {
                    return;
                }
                while let Some((length, padded)) = message(&unread) {
                    if unread.len() < padded {
                        break;
                    }
                    if let Some(caller) = caller {
                        // Datagrams may be lost.
                        let _ = socket.send_to(&unread[..length], caller).await;
                    }
                    unread.drain(..padded);
                }
            }
        }
    }
}

/// The length of the message at the beginning of `bytes`, without and with its padding.
fn message(bytes: &[u8]) -> Option<(usize, usize)> {
    let [first, _, high, low, ..] = *bytes else { return None };
    let length = usize::from(u16::from_be_bytes([high, low]));
    Some(match first >> 6 {
        0 => (20 + length, 20 + length),
        _ => (4 + length, (4 + length).next_multiple_of(4)),
    })
}
