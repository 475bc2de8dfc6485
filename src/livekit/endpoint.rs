//! Where LiveKit may be found, in the order in which to try. Pure.

use std::net::IpAddr;

use url::{Host, Url};

use crate::net::is_loopback;
use crate::net::reach::Internal;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    Api,
    /// The nest's event, in a `streaming` tag.
    Event,
    /// Nobody: the place where the web client looks, `/livekit` on the API's host.
    Usual,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// `ws` or `wss`, without credentials, query, fragment and the slash at the end of a path.
    pub url: Url,
    pub source: Source,
    /// Set when it is unlikely to be reachable from here.
    pub internal: Option<Internal>,
    /// A host's token may be sent there: the API returned it, or it is on the API's own host.
    pub host_token: bool,
    /// Nothing may be sent there: a token would travel in the clear.
    pub cleartext: bool,
}

impl Candidate {
    pub fn as_str(&self) -> &str {
        let url = self.url.as_str();
        if self.url.path() == "/" { url.trim_end_matches('/') } else { url }
    }

    /// Whether a token may be sent there: the host's, if `host`.
    pub fn takes(&self, host: bool) -> bool {
        !self.cleartext && (!host || self.host_token)
    }

    /// The endpoint with `rest` (such as `/rtc`) after its path; `http` instead of `ws` when `http` is set.
    pub fn with_path(&self, rest: &str, http: bool) -> Url {
        let mut url = self.url.clone();
        url.set_path(&format!("{}{rest}", self.url.path().trim_end_matches('/')));
        if http {
            let scheme = if url.scheme() == "wss" { "https" } else { "http" };
            // All four are special schemes, between which this never fails.
            let _ = url.set_scheme(scheme);
        }
        url
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Hints<'a> {
    /// `endpoints` of the API's answer.
    pub returned: &'a [String],
    /// The values of the event's `streaming` tags.
    pub streaming: &'a [String],
    pub api: Option<&'a Url>,
    pub allow_http: bool,
}

/// All endpoints worth a try, the likeliest first, none twice. Playlists (`.m3u8`) and unknown schemes are left out.
pub fn candidates(hints: Hints<'_>) -> Vec<Candidate> {
    let read = |text: &String, source| Some((read(text, hints.allow_http)?, source));
    let returned = hints.returned.iter().filter_map(|text| read(text, Source::Api));
    let streaming = hints.streaming.iter().filter_map(|text| read(text, Source::Event));
    let usual = hints.api.and_then(usual).map(|url| (url, Source::Usual));
    let mut candidates: Vec<Candidate> = Vec::new();
    for (url, source) in returned.chain(streaming).chain(usual) {
        if candidates.iter().any(|known| known.url == url) {
            continue;
        }
        candidates.push(Candidate {
            source,
            internal: internal(&url, hints.api),
            host_token: source != Source::Event || hints.api.is_some_and(|api| api.host_str() == url.host_str()),
            cleartext: url.scheme() == "ws" && !hints.allow_http && !is_loopback(&url),
            url,
        });
    }
    candidates
}

/// `wss+livekit://h` is `wss://h`, but `ws://h` on this machine, where nobody has certificates: upstream writes the
/// scheme without looking at what its LiveKit speaks. It also writes `wss+livekit://http://h`.
fn read(text: &str, allow_http: bool) -> Option<Url> {
    let (outer, rest) = text.trim().split_once("://")?;
    let outer = outer.to_ascii_lowercase();
    let inner = rest.split_once("://").filter(|(scheme, _)| matches!(*scheme, "http" | "https" | "ws" | "wss"));
    let address = inner.map_or(rest, |(_, address)| address);
    let as_secure = websocket("wss", address)?;
    let loopback = is_loopback(&as_secure);
    let secure = match (outer.as_str(), inner) {
        ("wss+livekit", None) => !loopback,
        ("wss+livekit", Some(("http" | "ws", _))) => !loopback && !allow_http,
        ("wss" | "https", None) | ("wss+livekit" | "ws+livekit", Some(("https" | "wss", _))) => true,
        ("ws" | "http" | "ws+livekit", _) => false,
        _ => return None,
    };
    let url = if secure { as_secure } else { websocket("ws", address)? };
    let playlist = url.path().rsplit_once('.').is_some_and(|(_, end)| end.eq_ignore_ascii_case("m3u8"));
    (!playlist).then_some(url)
}

fn usual(api: &Url) -> Option<Url> {
    let mut url = api.clone();
    url.set_path("/livekit");
    websocket(if api.scheme() == "http" { "ws" } else { "wss" }, url.as_str().split_once("://")?.1)
}

fn websocket(scheme: &str, address: &str) -> Option<Url> {
    let mut url = Url::parse(&format!("{scheme}://{address}")).ok()?;
    url.set_query(None);
    url.set_fragment(None);
    url.set_username("").ok()?;
    url.set_password(None).ok()?;
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Some(url)
}

fn address(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Ipv4(ip) => Some(ip.into()),
        Host::Ipv6(ip) => Some(IpAddr::V6(ip).to_canonical()),
        Host::Domain(_) => None,
    }
}

fn internal(url: &Url, api: Option<&Url>) -> Option<Internal> {
    // Whoever reaches an API in a network reaches that network's addresses; without an API the user named the address.
    let near = api.is_none_or(|api| is_loopback(api) || address(api).is_some_and(|ip| Internal::of(ip).is_some()));
    let found = match (address(url), url.host()?) {
        (Some(ip), _) => Internal::of(ip),
        (None, Host::Domain("localhost")) => Some(Internal::Loopback),
        (None, Host::Domain(name)) => return named(name.trim_end_matches('.')),
        _ => None,
    };
    found.filter(|class| !near || *class == Internal::Unspecified)
}

fn named(name: &str) -> Option<Internal> {
    const LOCAL: [&str; 5] = [".local", ".internal", ".localhost", ".lan", ".home.arpa"];
    if LOCAL.iter().any(|end| name.ends_with(end)) {
        Some(Internal::LocalName)
    } else {
        (!name.contains('.')).then_some(Internal::BareName)
    }
}
