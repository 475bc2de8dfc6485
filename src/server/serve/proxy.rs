//! What lies between clients and the server: where they find the API and LiveKit, by names that work from outside, and
//! whose requests they are behind proxies that are trusted.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use hyper::HeaderMap;
use hyper::header::HeaderValue;
use ipnet::IpNet;
use url::{Host, Url};

use crate::net::is_loopback;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublicUrlError {
    #[error("{0:?} is no {1} URL")]
    Url(String, &'static str),
    #[error("{0} is internal: clients elsewhere cannot reach it")]
    Internal(String),
    #[error("{0} is not encrypted: it has to begin with wss://")]
    Insecure(String),
}

/// Where clients find this API: `https://host`, with a path if the proxy cuts one off. It is part of what they sign.
pub fn public_origin(text: &str) -> Result<String, PublicUrlError> {
    let url = plain(text, ["https", "http"]).ok_or_else(|| PublicUrlError::Url(text.into(), "https://"))?;
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// Where clients find LiveKit: `wss://host`, with a path if any. `internal`: it may be one of a local network.
pub fn public_endpoint(text: &str, internal: bool) -> Result<Url, PublicUrlError> {
    let url = plain(text, ["wss", "ws"]).ok_or_else(|| PublicUrlError::Url(text.into(), "wss://"))?;
    let name = || url.as_str().trim_end_matches('/').to_owned();
    if !internal && is_internal(&url) {
        return Err(PublicUrlError::Internal(name()));
    }
    if !internal && url.scheme() == "ws" {
        return Err(PublicUrlError::Insecure(name()));
    }
    Ok(url)
}

/// An endpoint as answers carry it: clients take `wss+livekit://` for `ws://` on loopback.
pub fn announced(endpoint: &Url) -> String {
    let scheme = if endpoint.scheme() == "wss" || is_loopback(endpoint) { "wss+livekit" } else { "ws+livekit" };
    format!("{scheme}{}", endpoint.as_str()[endpoint.scheme().len()..].trim_end_matches('/'))
}

/// A URL of one of these schemes with a host, and nothing beyond a path.
fn plain(text: &str, schemes: [&str; 2]) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let bare = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    (schemes.contains(&url.scheme()) && url.has_host() && bare && url.password().is_none()).then_some(url)
}

fn is_internal(url: &Url) -> bool {
    const ENDS: [&str; 9] =
        [".local", ".localhost", ".localdomain", ".internal", ".intranet", ".lan", ".home", ".corp", ".home.arpa"];
    match url.host() {
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            !name.contains('.') || ENDS.iter().any(|end| name.ends_with(end))
        }
        Some(Host::Ipv4(ip)) => is_internal_address(ip.into()),
        Some(Host::Ipv6(ip)) => is_internal_address(ip.into()),
        None => true,
    }
}

fn is_internal_address(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(ip) => {
            let carrier = ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64;
            ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.is_unspecified() || carrier
        }
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unspecified() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

/// A network such as `10.0.0.0/8`, or a single address.
pub fn network(text: &str) -> Result<IpNet, String> {
    let text = text.trim();
    let address = |_| text.parse::<IpAddr>().map(IpNet::from);
    text.parse().or_else(address).map_err(|_| format!("{text:?} is no address and no network such as 10.0.0.0/8"))
}

/// The origin of a web page, as browsers send it: `https://host`, with a port where it is not the usual one.
pub fn web_origin(text: &str) -> Result<HeaderValue, String> {
    let url = plain(text.trim(), ["https", "http"]).filter(|url| url.path() == "/");
    let origin = url.and_then(|url| HeaderValue::from_str(&url.origin().ascii_serialization()).ok());
    origin.ok_or_else(|| format!("{text:?} is no origin such as https://nests.example"))
}

/// The address of the client: the last one in `X-Forwarded-For` that is not one of our proxies, if it was such a proxy
/// that connected. Everything before that can be written by anybody.
pub fn client_ip(connected: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
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
pub fn bucket(address: IpAddr) -> IpAddr {
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
