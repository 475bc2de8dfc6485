//! Where LiveKit may be found, in the order in which to try. Pure.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

use crate::net::is_loopback;

/// Who named an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The API, in its answer.
    Api,
    /// The nest's event, in a `streaming` tag.
    Event,
    /// Nobody: the place where the web client looks, `/livekit` on the API's host.
    Usual,
}

/// Why an endpoint is unlikely to be reachable from elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Internal {
    /// A name without a dot, such as `livekit`.
    BareName,
    /// `.local`, `.internal`, `.localhost`, `.lan` or `.home.arpa`.
    LocalName,
    /// This very machine, although the API is elsewhere.
    Loopback,
    /// RFC 1918, RFC 4193, RFC 6598.
    Private,
    /// 169.254.0.0/16, `fe80::/10`.
    LinkLocal,
    /// `0.0.0.0` or `::`.
    Unspecified,
}

impl fmt::Display for Internal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BareName => "an internal name, known only in the server's own network",
            Self::LocalName => "a name of a local network",
            Self::Loopback => "an address that means the caller's own machine",
            Self::Private => "an address of a private network",
            Self::LinkLocal => "an address of a single cable or Wi-Fi",
            Self::Unspecified => "no address that one can call",
        })
    }
}

/// An endpoint to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// `ws` or `wss`, without credentials, query, fragment and the slash at the end of a path.
    pub url: Url,
    /// Who named it first.
    pub source: Source,
    /// Set when it is unlikely to be reachable from here.
    pub internal: Option<Internal>,
    /// A host's token may be sent there: the API returned it, or it is on the API's own host.
    pub host_token: bool,
    /// Nothing may be sent there: a token would travel in the clear.
    pub cleartext: bool,
}

impl Candidate {
    /// The endpoint as people write it.
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

/// What is known about where LiveKit is.
#[derive(Clone, Copy, Debug)]
pub struct Hints<'a> {
    /// `endpoints` of the API's answer.
    pub returned: &'a [String],
    /// The values of the event's `streaming` tags.
    pub streaming: &'a [String],
    /// The address of the API, any path.
    pub api: Option<&'a Url>,
    /// `ws://` may leave this machine.
    pub allow_http: bool,
}

/// All endpoints worth a try, the likeliest first, none twice. Playlists (`.m3u8`) and unknown schemes are left out.
pub fn candidates(hints: Hints<'_>) -> Vec<Candidate> {
    let returned = hints.returned.iter().map(|text| (read(text, hints.allow_http), Source::Api));
    let streaming = hints.streaming.iter().map(|text| (read(text, hints.allow_http), Source::Event));
    let usual = std::iter::once((hints.api.and_then(usual), Source::Usual));
    let mut candidates: Vec<Candidate> = Vec::new();
    for (url, source) in returned.chain(streaming).chain(usual) {
        let Some(url) = url else { continue };
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
    // Whoever talks to an API on a machine or network reaches that network's addresses; without an API the user has
    // named the address.
    let near = api.is_none_or(|api| is_loopback(api) || address(api).is_some_and(|ip| class(ip).is_some()));
    let found = match (address(url), url.host()?) {
        (Some(ip), _) => class(ip),
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

pub(super) fn class(ip: IpAddr) -> Option<Internal> {
    let (private, link_local) = match ip {
        IpAddr::V4(ip) => (ip.is_private() || is_shared(ip), ip.is_link_local()),
        IpAddr::V6(ip) => (ip.is_unique_local(), is_unicast_link_local(ip)),
    };
    if ip.is_unspecified() {
        Some(Internal::Unspecified)
    } else if ip.is_loopback() {
        Some(Internal::Loopback)
    } else if link_local {
        Some(Internal::LinkLocal)
    } else {
        private.then_some(Internal::Private)
    }
}

/// 100.64.0.0/10 (RFC 6598): carriers and some virtual networks.
fn is_shared(ip: Ipv4Addr) -> bool {
    matches!(ip.octets(), [100, 64..=127, ..])
}

fn is_unicast_link_local(ip: Ipv6Addr) -> bool {
    ip.segments()[0] & 0xffc0 == 0xfe80
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn api(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn of(returned: &[&str], streaming: &[&str], api: &Url, allow_http: bool) -> Vec<Candidate> {
        let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
        candidates(Hints { returned: &owned(returned), streaming: &owned(streaming), api: Some(api), allow_http })
    }

    #[test]
    fn what_each_form_means() {
        let far = api("https://nests.example/api/v1/nests");
        for (text, plain_refused, plain_allowed) in [
            ("wss+livekit://h.example", "wss://h.example", "wss://h.example"),
            ("WSS+LiveKit://h.example:443/", "wss://h.example", "wss://h.example"),
            ("wss+livekit://h.example:7880/sub/", "wss://h.example:7880/sub", "wss://h.example:7880/sub"),
            ("wss+livekit://localhost:7880", "ws://localhost:7880", "ws://localhost:7880"),
            ("wss+livekit://127.0.0.1:7880", "ws://127.0.0.1:7880", "ws://127.0.0.1:7880"),
            ("wss+livekit://[::1]:7880", "ws://[::1]:7880", "ws://[::1]:7880"),
            ("wss+livekit://http://h.example:7880", "wss://h.example:7880", "ws://h.example:7880"),
            ("wss+livekit://http://127.0.0.1:7880", "ws://127.0.0.1:7880", "ws://127.0.0.1:7880"),
            ("wss+livekit://https://localhost:1", "wss://localhost:1", "wss://localhost:1"),
            ("ws+livekit://h.example", "ws://h.example", "ws://h.example"),
            ("ws+livekit://h.example:80", "ws://h.example", "ws://h.example"),
            ("https://h.example/livekit", "wss://h.example/livekit", "wss://h.example/livekit"),
            ("http://h.example", "ws://h.example", "ws://h.example"),
            ("wss://me:hunter2@h.example/?a#b", "wss://h.example", "wss://h.example"),
            ("ws://[::1]", "ws://[::1]", "ws://[::1]"),
        ] {
            for (allow_http, expected) in [(false, plain_refused), (true, plain_allowed)] {
                let found = of(&[text], &[], &far, allow_http);
                assert_eq!(found[0].as_str(), expected, "{text} {allow_http}");
                let may_be_dialled = allow_http || expected.starts_with("wss") || is_loopback(&found[0].url);
                assert_eq!(found[0].cleartext, !may_be_dialled, "{text} {allow_http}");
                assert_eq!(found[1].as_str(), "wss://nests.example/livekit");
            }
        }
        for text in ["", "h.example", "moq://h.example", "wss+livekit://", "https://h.example/a/live.M3U8"] {
            assert_eq!(of(&[text], &[], &far, true).len(), 1, "{text}");
        }
    }

    #[test]
    fn order_is_kept_and_nothing_comes_twice() {
        let far = api("https://nests.example:8443/pre/api/v1/nests");
        let found = of(
            &["wss+livekit://livekit:7880", "https://a.example/"],
            &["wss://a.example", "wss://nests.example:8443/livekit/", "wss://evil.example"],
            &far,
            false,
        );
        let told: Vec<_> = found.iter().map(|c| (c.as_str(), c.source, c.host_token)).collect();
        assert_eq!(
            told,
            [
                ("wss://livekit:7880", Source::Api, true),
                ("wss://a.example", Source::Api, true),
                ("wss://nests.example:8443/livekit", Source::Event, true),
                ("wss://evil.example", Source::Event, false),
            ]
        );
        let near = api("http://127.0.0.1:8080");
        assert_eq!(of(&[], &[], &near, false)[0].as_str(), "ws://127.0.0.1:8080/livekit");
    }

    #[test]
    fn internal_addresses_are_named() {
        use Internal::*;
        for (host, from_far, from_here) in [
            ("livekit:7880", Some(BareName), Some(BareName)),
            ("sfu.local", Some(LocalName), Some(LocalName)),
            ("sfu.internal.:1", Some(LocalName), Some(LocalName)),
            ("10.1.2.3", Some(Private), None),
            ("192.168.0.9", Some(Private), None),
            ("100.64.0.1", Some(Private), None),
            ("[fd00::1]", Some(Private), None),
            ("169.254.1.1", Some(LinkLocal), None),
            ("[fe80::1]", Some(LinkLocal), None),
            ("localhost", Some(Loopback), None),
            ("[::ffff:127.0.0.1]", Some(Loopback), None),
            ("0.0.0.0", Some(Unspecified), Some(Unspecified)),
            ("live.example.com", None, None),
            ("203.0.113.7", None, None),
        ] {
            let text = format!("wss://{host}");
            for (api_url, expected) in [("https://nests.example", from_far), ("http://localhost:1", from_here)] {
                assert_eq!(of(&[&text], &[], &api(api_url), false)[0].internal, expected, "{host} from {api_url}");
            }
        }
        assert_eq!(of(&["wss://10.0.0.2"], &[], &api("https://10.0.0.1"), false)[0].internal, None);
    }

    #[test]
    fn paths_are_kept() {
        let found = of(&["wss://h.example/sub"], &[], &api("https://h.example"), false);
        assert_eq!(found[0].with_path("/rtc", false).as_str(), "wss://h.example/sub/rtc");
        assert_eq!(found[0].with_path("/rtc/validate", true).as_str(), "https://h.example/sub/rtc/validate");
    }

    proptest! {
        #[test]
        fn any_text_is_survived(scheme in "(wss\\+livekit|ws|https|[a-z+]{1,5})", rest in ".{0,40}", allow in any::<bool>()) {
            let far = api("https://nests.example");
            for candidate in of(&[&format!("{scheme}://{rest}")], &[&rest], &far, allow) {
                prop_assert!(matches!(candidate.url.scheme(), "ws" | "wss"));
                prop_assert!(candidate.url.username().is_empty() && candidate.url.password().is_none());
                prop_assert!(candidate.url.query().is_none());
                prop_assert!(allow || candidate.url.scheme() == "wss" || is_loopback(&candidate.url) || candidate.cleartext);
                prop_assert_eq!(candidate.with_path("/rtc", true).scheme().starts_with("http"), true);
            }
        }
    }
}
