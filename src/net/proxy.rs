//! Which requests go through a proxy, and what that proxy may be called: never with its password.

use std::fmt;

use hyper_util::client::proxy::matcher::Matcher;
use url::Url;

use super::is_loopback;

/// The proxies that are to be used, each with the environment variable that asked for it.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    pub https: Option<(&'static str, Url)>,
    pub http: Option<(&'static str, Url)>,
    /// Hosts that are reached directly, as in `NO_PROXY`.
    pub except: Option<String>,
}

/// The proxy that a request goes through, as it may be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Via {
    pub variable: &'static str,
    pub host: String,
}

impl Proxy {
    /// The proxy for `url`, if it goes through one. Loopback never does.
    pub(crate) fn target(&self, url: &Url) -> Option<&(&'static str, Url)> {
        let proxy = if url.scheme() == "https" { self.https.as_ref() } else { self.http.as_ref() }?;
        (!is_loopback(url) && !self.excepts(url)).then_some(proxy)
    }

    pub fn via(&self, url: &Url) -> Option<Via> {
        self.target(url).map(|(variable, proxy)| Via { variable, host: host_and_port(proxy) })
    }

    fn excepts(&self, url: &Url) -> bool {
        let Some(except) = &self.except else { return false };
        let all_others = Matcher::builder().all("http://proxy").no(except.as_str()).build();
        url.as_str().parse().is_ok_and(|uri| all_others.intercept(&uri).is_none())
    }
}

/// The URL of a proxy may hold a password.
impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |proxy: &Option<(&'static str, Url)>| proxy.as_ref().map(|(variable, _)| *variable);
        let (https, http) = (name(&self.https), name(&self.http));
        f.debug_struct("Proxy").field("https", &https).field("http", &http).field("except", &self.except).finish()
    }
}

pub(crate) fn host_and_port(url: &Url) -> String {
    match (url.host_str(), url.port_or_known_default()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (Some(host), None) => host.to_owned(),
        (None, _) => url.scheme().to_owned(),
    }
}
