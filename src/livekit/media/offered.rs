//! The addresses at which a media server says it takes audio. Pure.

use std::net::{IpAddr, SocketAddr};

use super::Transport;
use crate::net::reach::Internal;

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
        let found = Internal::of(self.address.ip())?;
        // Who is inside sees the inside.
        (!signal.is_loopback() && Internal::of(signal) != Some(found)).then_some(found)
    }
}

/// Whether an address is this machine, or somebody on the same cable, while the media server at `signal` is not: it has
/// nothing to offer there. Private addresses are a usual mistake of operators, and can be called.
pub fn aims_inside(address: IpAddr, signal: IpAddr) -> bool {
    let kind = Internal::of(address);
    kind.is_some_and(|kind| kind != Internal::Private) && kind != Internal::of(signal)
}

/// The candidates in an answer, and the answer without them (RFC 8839, 5.1).
pub fn split(sdp: &str) -> (Vec<&str>, String) {
    let (candidates, rest): (Vec<_>, Vec<_>) =
        sdp.split_inclusive('\n').partition(|line| line.starts_with("a=candidate:"));
    (candidates.into_iter().filter_map(|line| line.trim().strip_prefix("a=")).collect(), rest.concat())
}
