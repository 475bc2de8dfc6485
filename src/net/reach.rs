//! Which addresses may be called at whose word.
//!
//! Links and events are written by strangers, and so is what an API says to which only an event leads. None of that makes
//! this machine call itself or the networks around it, unless the user has named an address there, or the event is the
//! user's own. What a name stands for is looked at once DNS has said it.

use std::collections::HashSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nostr::PublicKey;
use nostr::util::BoxedFuture;
use url::{Host, Url};

/// Hosts that are remembered: an event can name any number of them.
const HOSTS_MAX: usize = 4096;

/// Why an address is unlikely to be reachable from elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Internal {
    /// A name without a dot, such as `livekit`.
    BareName,
    /// `.local`, `.internal`, `.localhost`, `.lan` or `.home.arpa`.
    LocalName,
    Loopback,
    /// RFC 1918, RFC 4193, RFC 6598.
    Private,
    /// 169.254.0.0/16, `fe80::/10`.
    LinkLocal,
    /// `0.0.0.0` or `::`.
    Unspecified,
}

impl Internal {
    /// What an address is; `None` for one that the whole internet can call.
    pub fn of(ip: IpAddr) -> Option<Self> {
        let ip = ip.to_canonical();
        let (private, link_local) = match ip {
            // 100.64.0.0/10 (RFC 6598): carriers and some virtual networks.
            IpAddr::V4(ip) => (ip.is_private() || matches!(ip.octets(), [100, 64..=127, ..]), ip.is_link_local()),
            IpAddr::V6(ip) => (ip.is_unique_local(), ip.is_unicast_link_local()),
        };
        if ip.is_unspecified() {
            Some(Self::Unspecified)
        } else if ip.is_loopback() {
            Some(Self::Loopback)
        } else if link_local {
            Some(Self::LinkLocal)
        } else {
            private.then_some(Self::Private)
        }
    }
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

/// An address that was not called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("only a link or an event that anybody may have written leads to {address}, {kind}")]
pub struct Barred {
    pub address: IpAddr,
    pub kind: Internal,
}

/// Says whether the key at hand is this one, without asking anybody.
type IsOwn = dyn Fn(PublicKey) -> BoxedFuture<'static, bool> + Send + Sync;

/// What may be called; clones share what they have been told.
#[derive(Clone)]
pub struct Reach(Option<Arc<Guard>>);

struct Guard {
    is_own: Box<IsOwn>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// What kinds of internal addresses the user has named: where one is meant, others may be.
    inside: HashSet<Internal>,
    /// Each host with all who have named it.
    hosts: HashSet<(String, Source)>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Source {
    User,
    Event(PublicKey),
}

impl Known {
    fn sources(&self, host: &str) -> Vec<Source> {
        self.hosts.iter().filter(|(known, _)| known == host).map(|(_, source)| *source).collect()
    }

    fn learn(&mut self, url: &Url, source: Source) {
        if self.hosts.len() < HOSTS_MAX {
            self.hosts.insert((host(url).to_owned(), source));
        }
    }
}

impl fmt::Debug for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Reach(guarded)" } else { "Reach(anywhere)" })
    }
}

/// A host as the dialler has it.
fn host(url: &Url) -> &str {
    url.host_str().unwrap_or_default().trim_matches(['[', ']'])
}

/// The address that a URL names without DNS.
fn literal(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Ipv4(ip) => Some(ip.into()),
        Host::Ipv6(ip) => Some(ip.into()),
        // Resolvers have it as this machine (RFC 6761, 6.3).
        Host::Domain(name) => (name == "localhost").then_some(IpAddr::from([127, 0, 0, 1])),
    }
}

impl Reach {
    /// For those who call only whom the user has named.
    pub const ANYWHERE: Self = Self(None);

    /// `is_own` is asked once an event leads to an internal address.
    pub fn guarded(is_own: impl Fn(PublicKey) -> BoxedFuture<'static, bool> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(Guard { is_own: Box::new(is_own), known: Mutex::default() })))
    }

    /// The user has named this address: for this call, in the environment, or in the configuration.
    pub fn named(&self, url: &Url) {
        let Some(guard) = &self.0 else { return };
        let mut known = guard.known();
        known.inside.extend(literal(url).and_then(Internal::of));
        known.learn(url, Source::User);
    }

    /// The user goes through this proxy, wherever it is. That names no address beside it.
    pub fn through(&self, proxy: &Url) {
        if let Some(guard) = &self.0 {
            guard.known().learn(proxy, Source::User);
        }
    }

    /// Events of this author, or links to them, have named these addresses.
    pub fn told<'a>(&self, author: PublicKey, urls: impl IntoIterator<Item = &'a Url>) {
        let Some(guard) = &self.0 else { return };
        let mut known = guard.known();
        urls.into_iter().for_each(|url| known.learn(url, Source::Event(author)));
    }

    /// Whoever is reached at `from` has named these addresses: they count as named by those who have named `from`.
    pub fn passed_on<'a>(&self, from: &Url, urls: impl IntoIterator<Item = &'a Url>) {
        let Some(guard) = &self.0 else { return };
        let mut known = guard.known();
        let sources = known.sources(host(from));
        for url in urls {
            for source in &sources {
                known.learn(url, *source);
            }
        }
    }

    /// Leaves those of a host's addresses that may be called.
    ///
    /// # Errors
    /// [`Barred`] where none is left.
    pub async fn sift(&self, host: &str, addresses: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, Barred> {
        let barred = addresses.iter().find_map(|address| {
            let (address, kind) = (address.ip(), Internal::of(address.ip())?);
            Some(Barred { address, kind })
        });
        let Some(barred) = barred else { return Ok(addresses) };
        if self.leads_inside(host, barred.kind).await {
            return Ok(addresses);
        }
        let open: Vec<_> = addresses.into_iter().filter(|address| Internal::of(address.ip()).is_none()).collect();
        if open.is_empty() { Err(barred) } else { Ok(open) }
    }

    /// The same for a URL that names an address itself; what a name stands for is seen later.
    ///
    /// # Errors
    /// [`Barred`].
    pub async fn admit(&self, url: &Url) -> Result<(), Barred> {
        let Some(ip) = literal(url) else { return Ok(()) };
        self.sift(host(url), vec![SocketAddr::new(ip, 0)]).await.map(drop)
    }

    async fn leads_inside(&self, host: &str, kind: Internal) -> bool {
        let Some(guard) = &self.0 else { return true };
        let sources = {
            let known = guard.known();
            if known.inside.contains(&kind) {
                return true;
            }
            known.sources(host)
        };
        for source in sources {
            match source {
                Source::User => return true,
                Source::Event(author) if (guard.is_own)(author).await => return true,
                Source::Event(_) => {}
            }
        }
        false
    }
}

impl Guard {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl reqwest::dns::Resolve for Reach {
    fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        let reach = self.clone();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let addresses = reach.sift(name.as_str(), found.collect()).await?;
            Ok(Box::new(addresses.into_iter()) as reqwest::dns::Addrs)
        })
    }
}

/// An HTTP client that calls only whom it may call.
#[derive(Clone, Debug)]
pub struct GuardedHttp {
    client: reqwest::Client,
    reach: Reach,
}

/// Why a request has no answer.
#[derive(Debug)]
pub(crate) enum RequestError {
    /// Nothing was sent.
    Barred(Barred),
    Http(reqwest::Error),
}

impl From<reqwest::Error> for RequestError {
    fn from(error: reqwest::Error) -> Self {
        Self::Http(error)
    }
}

/// For those who call only whom the user has named.
impl From<reqwest::Client> for GuardedHttp {
    fn from(client: reqwest::Client) -> Self {
        Self { client, reach: Reach::ANYWHERE }
    }
}

impl GuardedHttp {
    /// `client` resolves names with the same `reach`.
    pub(crate) fn new(client: reqwest::Client, reach: Reach) -> Self {
        Self { client, reach }
    }

    pub(crate) fn reach(&self) -> &Reach {
        &self.reach
    }

    pub(crate) fn request(&self, method: reqwest::Method, url: Url) -> reqwest::RequestBuilder {
        self.client.request(method, url)
    }

    /// # Errors
    /// [`RequestError`].
    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> Result<reqwest::Response, RequestError> {
        let request = request.build()?;
        // The client asks the resolver for names alone.
        self.reach.admit(request.url()).await.map_err(RequestError::Barred)?;
        Ok(self.client.execute(request).await?)
    }
}
