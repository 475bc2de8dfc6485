//! Where a host likes to open nests on Media over QUIC: kind 10112, a list of relays with their auth services (EGG-09).
//! Pure.

use nostr::{Event, Tag};
use url::{Host, Url};

use super::event::is;

/// The kind of a list of servers (EGG-09).
pub const SERVERS_KIND: u16 = 10112;

/// Entries that are read (EGG-09).
const SERVERS_MAX: usize = 64;

/// A relay, and the auth service whose tokens it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MoqServer {
    /// As it is written: an `https` URL.
    pub relay: String,
    /// The base URL, as it is written or derived.
    pub auth: String,
}

/// The entries of a list that can be used, the preferred one first; each relay once, with or without its last slash.
pub fn servers(list: &Event) -> Vec<MoqServer> {
    let mut servers: Vec<MoqServer> = Vec::new();
    // Older lists say `relay`.
    let tags = list.tags.iter().map(Tag::as_slice).filter(|tag| is(tag, "server") || is(tag, "relay"));
    for tag in tags {
        let value = |at| tag.get(at).map(|text: &String| text.trim()).filter(|text| !text.is_empty());
        let Some(relay) = value(1).filter(|url| is_url(url, &["https"])) else { continue };
        let auth = value(2).map(str::to_owned).or_else(|| derived_auth(relay));
        let Some(auth) = auth.filter(|url| is_url(url, &["https", "http"])) else { continue };
        if servers.len() < SERVERS_MAX && !servers.iter().any(|known| is_same(&known.relay, relay)) {
            servers.push(MoqServer { relay: relay.to_owned(), auth });
        }
    }
    servers
}

/// The auth service that goes with a relay: as the list has it, or else derived.
pub fn auth_of(relay: &str, listed: &[MoqServer]) -> Option<String> {
    let known = listed.iter().find(|server| is_same(&server.relay, relay)).map(|server| server.auth.clone());
    known.or_else(|| derived_auth(relay))
}

/// Whether two addresses differ in nothing but their last slash.
pub fn is_same(one: &str, other: &str) -> bool {
    let bare = |url: &str| url.strip_suffix('/').unwrap_or(url).to_owned();
    bare(one) == bare(other)
}

/// The auth service of a relay where nobody names it (EGG-09): `moq-auth.` in place of the label `moq.`, or before the
/// name; without the port. `None` where there is no name, but an IP address.
pub fn derived_auth(relay: &str) -> Option<String> {
    let url = Url::parse(relay).ok()?;
    let Some(Host::Domain(host)) = url.host() else { return None };
    Some(format!("{}://moq-auth.{}", url.scheme(), host.strip_prefix("moq.").unwrap_or(host)))
}

fn is_url(text: &str, schemes: &[&str]) -> bool {
    Url::parse(text).is_ok_and(|url| schemes.contains(&url.scheme()) && url.has_host())
}
