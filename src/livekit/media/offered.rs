//! The addresses at which a media server says it takes audio. Pure.

use std::net::{IpAddr, SocketAddr};

use super::Transport;
use crate::livekit::endpoint::{Internal, class};

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offered {
    pub address: SocketAddr,
    /// UDP or TCP; relay when it is the server that goes through one.
    pub transport: Transport,
}

impl Offered {
    /// Reads an ICE candidate (RFC 8839, 5.1); `None` for what nobody can call.
    pub(super) fn read(candidate: &str) -> Option<Self> {
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
    pub(crate) fn internal(&self, signal: IpAddr) -> Option<Internal> {
        let found = class(self.address.ip())?;
        // Who is inside sees the inside.
        (!signal.is_loopback() && class(signal) != Some(found)).then_some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_as_livekit_writes_them() {
        let read = |text| Offered::read(text).map(|offered| (offered.transport, offered.address.to_string()));
        for (text, expected) in [
            (
                "candidate:1988909849 1 udp 2130706431 10.77.0.1 7882 typ host ufrag abc",
                Some((Transport::Udp, "10.77.0.1:7882")),
            ),
            (
                "candidate:1 1 tcp 1671430143 203.0.113.9 7881 typ host tcptype passive ufrag abc",
                Some((Transport::Tcp, "203.0.113.9:7881")),
            ),
            ("candidate:1 1 TCP 1671430143 203.0.113.9 9 typ host tcptype active", None),
            ("candidate:1 1 udp 2130706431 fd00::1 7882 typ srflx", Some((Transport::Udp, "[fd00::1]:7882"))),
            ("candidate:1 1 udp 41885439 192.0.2.1 30000 typ relay", Some((Transport::Relay, "192.0.2.1:30000"))),
            ("candidate:1 1 udp 2130706431 0c6f8c0a.local 7882 typ host", None),
            ("candidate:1 1 udp", None),
            ("", None),
        ] {
            assert_eq!(read(text), expected.map(|(transport, at)| (transport, at.to_owned())), "{text}");
        }
    }

    #[test]
    fn only_outsiders_are_told_of_inner_addresses() {
        let told = |address: &str, signal: &str| {
            let offered = Offered { address: address.parse().unwrap(), transport: Transport::Udp };
            offered.internal(signal.parse().unwrap())
        };
        assert_eq!(told("127.0.0.1:1", "203.0.113.9"), Some(Internal::Loopback));
        assert_eq!(told("127.0.0.1:1", "10.0.0.1"), Some(Internal::Loopback));
        assert_eq!(told("127.0.0.1:1", "127.0.0.1"), None);
        assert_eq!(told("172.17.0.2:1", "203.0.113.9"), Some(Internal::Private));
        assert_eq!(told("[fd00::2]:1", "203.0.113.9"), Some(Internal::Private));
        assert_eq!(told("10.0.0.2:1", "192.168.1.1"), None);
        assert_eq!(told("203.0.113.9:1", "10.0.0.1"), None);
    }
}
