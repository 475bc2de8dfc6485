//! The addresses at which a media server says it takes audio. Pure.

use std::net::{IpAddr, SocketAddr};

use super::Transport;
use crate::livekit::endpoint::{Internal, class};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offered {
    pub address: SocketAddr,
    /// UDP or TCP; relay when it is the server that goes through one.
    pub transport: Transport,
}

impl Offered {
    /// Reads an ICE candidate (RFC 8839, 5.1); `None` for what nobody can call.
    pub fn read(candidate: &str) -> Option<Self> {
        let mut words = candidate.trim().trim_start_matches("candidate:").split_ascii_whitespace();
        let protocol = words.nth(2)?;
        let (ip, port, kind) = (words.nth(1)?.parse::<IpAddr>().ok()?, words.next()?.parse().ok()?, words.nth(1)?);
        let transport = match protocol.to_ascii_lowercase().as_str() {
            _ if kind == "relay" => Transport::Relay,
            "udp" => Transport::Udp,
            // Such a one calls, and cannot be called.
            "tcp" if words.any(|word| word == "active") => return None,
            "tcp" => Transport::Tcp,
            _ => return None,
        };
        Some(Self { address: SocketAddr::new(ip, port), transport })
    }

    /// Why it is unlikely to be reachable by someone who reached the signal connection at `signal`.
    pub fn internal(&self, signal: IpAddr) -> Option<Internal> {
        let found = class(self.address.ip())?;
        // Who is inside sees the inside.
        (!signal.is_loopback() && class(signal) != Some(found)).then_some(found)
    }
}
