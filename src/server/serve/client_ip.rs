//! The address of the client, behind proxies that are trusted.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use hyper::HeaderMap;
use ipnet::IpNet;

/// A network such as `10.0.0.0/8`, or a single address.
pub(crate) fn network(text: &str) -> Result<IpNet, String> {
    let address = |_| text.parse::<IpAddr>().map(IpNet::from);
    text.parse().or_else(address).map_err(|_| format!("{text:?} is no address and no network such as 10.0.0.0/8"))
}

/// The address of the client: the last one in `X-Forwarded-For` that is not one of our proxies, if it was such a proxy
/// that connected. Everything before that can be written by anybody.
pub(super) fn client_ip(connected: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(&address));
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
        let trusted: Vec<_> = trusted.iter().map(|text| network(text).unwrap()).collect();
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
        let holds = |net: &str, ip: &str| network(net).unwrap().contains(&ip.parse::<IpAddr>().unwrap());
        assert!(holds("0.0.0.0/0", "8.8.8.8") && holds("2001:db8::/32", "2001:db8:1::1"));
        assert!(!holds("10.0.0.0/9", "10.128.0.1") && !holds("::/0", "8.8.8.8"));
        for wrong in ["", "10.0.0.0/33", "10.0.0.0/x", "host", "10/8"] {
            assert!(network(wrong).is_err(), "{wrong}");
        }
        assert_eq!(bucket("2001:db8::1:2:3:4".parse().unwrap()).to_string(), "2001:db8::");
    }
}
