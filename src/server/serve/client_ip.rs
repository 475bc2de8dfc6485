//! The address of the client, behind proxies that are trusted.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use hyper::HeaderMap;

/// A network of addresses: `10.0.0.0/8`, or a single address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IpNetwork {
    address: IpAddr,
    bits: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no address and no network such as 10.0.0.0/8")]
pub(crate) struct IpNetworkError(String);

impl FromStr for IpNetwork {
    type Err = IpNetworkError;

    fn from_str(text: &str) -> Result<Self, IpNetworkError> {
        let wrong = || IpNetworkError(text.into());
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(most), |bits| bits.parse().map_err(|_| wrong()))?;
        if bits <= most { Ok(Self { address, bits }) } else { Err(wrong()) }
    }
}

impl IpNetwork {
    fn contains(self, address: IpAddr) -> bool {
        let same = |a: u128, b: u128, len: u32| {
            let shift = len - u32::from(self.bits);
            a.checked_shr(shift).unwrap_or(0) == b.checked_shr(shift).unwrap_or(0)
        };
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(a), IpAddr::V4(b)) => same(u32::from(a).into(), u32::from(b).into(), 32),
            (IpAddr::V6(a), IpAddr::V6(b)) => same(a.into(), b.into(), 128),
            _ => false,
        }
    }
}

/// The address of the client: the last one in `X-Forwarded-For` that is not one of our proxies, if it was such a proxy
/// that connected. Everything before that can be written by anybody.
pub(super) fn client_ip(connected: IpAddr, headers: &HeaderMap, trusted: &[IpNetwork]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    let mut address = connected.to_canonical();
    let lines: Vec<_> = headers.get_all("x-forwarded-for").iter().filter_map(|line| line.to_str().ok()).collect();
    let mut hops = lines.iter().flat_map(|line| line.split(',')).rev();
    while is_trusted(address) {
        match hops.next().and_then(hop) {
            Some(hop) => address = hop.to_canonical(),
            None => break,
        }
    }
    address
}

/// What rate limits count as one client: an IPv6 client has a whole /64.
pub(super) fn bucket(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(ip) => Ipv6Addr::from(u128::from(ip) & !u128::from(u64::MAX)).into(),
    }
}

/// `203.0.113.7`, `203.0.113.7:4711`, `[2001:db8::1]:4711`.
fn hop(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.trim_start_matches('[').trim_end_matches(']').parse();
    bare.ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(connected: &str, forwarded: &[&str], trusted: &[&str]) -> String {
        let trusted: Vec<IpNetwork> = trusted.iter().map(|text| text.parse().unwrap()).collect();
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append("x-forwarded-for", line.parse().unwrap());
        }
        client_ip(connected.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        assert_eq!(seen("203.0.113.7", &["1.2.3.4"], &[]), "203.0.113.7");
        assert_eq!(seen("203.0.113.7", &["1.2.3.4"], &["10.0.0.0/8"]), "203.0.113.7");
        assert_eq!(seen("10.1.1.1", &["1.2.3.4"], &["10.0.0.0/8"]), "1.2.3.4");
        assert_eq!(seen("::ffff:10.1.1.1", &["1.2.3.4"], &["10.0.0.0/8"]), "1.2.3.4");
        // The client's own lie stands to the left.
        assert_eq!(seen("10.1.1.1", &["9.9.9.9, 1.2.3.4"], &["10.0.0.0/8"]), "1.2.3.4");
        assert_eq!(seen("10.1.1.1", &["9.9.9.9", "1.2.3.4, 10.2.2.2"], &["10.0.0.0/8"]), "1.2.3.4");
        assert_eq!(seen("127.0.0.1", &["[2001:db8::1]:4711"], &["127.0.0.1"]), "2001:db8::1");
        assert_eq!(seen("127.0.0.1", &["unknown"], &["127.0.0.1"]), "127.0.0.1");
        assert_eq!(seen("127.0.0.1", &[], &["127.0.0.1"]), "127.0.0.1");
    }

    #[test]
    fn networks() {
        let holds =
            |network: &str, address: &str| network.parse::<IpNetwork>().unwrap().contains(address.parse().unwrap());
        assert!(holds("0.0.0.0/0", "8.8.8.8") && holds("2001:db8::/32", "2001:db8:1::1"));
        assert!(!holds("10.0.0.0/9", "10.128.0.1") && !holds("::/0", "8.8.8.8"));
        for wrong in ["", "10.0.0.0/33", "10.0.0.0/x", "host", "10/8"] {
            assert!(wrong.parse::<IpNetwork>().is_err(), "{wrong}");
        }
        assert_eq!(bucket("2001:db8::1:2:3:4".parse().unwrap()).to_string(), "2001:db8::");
    }
}
