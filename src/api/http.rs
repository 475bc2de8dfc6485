//! One request to the API and one answer: no redirects, no retries, and a limit to every wait and every body.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hyper_util::client::legacy::connect::HttpInfo;
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, DATE, HeaderMap, LINK, LOCATION, RETRY_AFTER};
use url::{Host, Url};

use super::address::ApiUrl;
use super::transport::{self, Lost, Route, TransportError};
use crate::clock::{self, Clock};
use crate::net::proxy::Proxy;
use crate::net::reach::{GuardedHttp, Reach, RequestError};
use crate::secret::{Secret, scrub};

/// The largest body that is read, in bytes.
pub const MAX_BODY: usize = 1 << 20;

/// The longest that making a connection may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// The longest that is spent on finding out which addresses were tried in vain.
const LOOKUP_LIMIT: Duration = Duration::from_secs(1);

/// The longest text of a server's that is looked at, in bytes; what is shown of it is shorter.
const MAX_TEXT: usize = 4096;

/// How the network is used.
#[derive(Clone, Debug)]
pub struct Network {
    /// Limit of one request, from its start to the last byte of the answer.
    pub timeout: Duration,
    /// Trusted roots; ALPN is set here.
    pub tls: Arc<rustls::ClientConfig>,
    /// Loopback never goes through it.
    pub proxy: Option<Proxy>,
    /// Whom to call at whose word.
    pub reach: Reach,
}

/// One request; its URL is sent exactly as it is.
#[derive(Clone, Copy, Debug)]
pub struct HttpRequest<'a> {
    pub method: &'a Method,
    pub url: &'a Url,
    /// The NIP-98 value, where the call needs one.
    pub authorization: Option<&'a Secret>,
    pub body: Option<&'a [u8]>,
    /// A limit of this call alone, below the network's own.
    pub limit: Option<Duration>,
}

impl<'a> HttpRequest<'a> {
    /// A GET that anybody may send.
    pub fn get(url: &'a Url) -> Self {
        Self { method: &Method::GET, url, authorization: None, body: None, limit: None }
    }

    /// The same with a limit.
    pub fn within(mut self, limit: Duration) -> Self {
        self.limit = Some(limit);
        self
    }
}

/// How much a server takes, as it says itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests from this address.
    pub remaining: u32,
    /// Until it counts anew.
    pub reset: Option<Duration>,
}

/// An answer, whatever it says.
#[derive(Clone, Debug)]
pub struct HttpReply {
    pub status: u16,
    /// When the server says that it answered, in milliseconds since the Unix epoch, cut to seconds.
    pub date_ms: Option<i64>,
    /// Our clock when the request was sent, in milliseconds since the Unix epoch.
    pub sent_ms: i64,
    /// Our clock when the head of the answer was there.
    pub received_ms: i64,
    /// How long the server asks us to wait.
    pub retry_after: Option<Duration>,
    /// How much the server says that it takes from this address for now.
    pub rate_limit: Option<RateLimit>,
    pub location: Option<String>,
    /// Whether the body calls itself HTML.
    pub html: bool,
    /// The body; empty if it was larger than [`MAX_BODY`].
    pub body: Vec<u8>,
    /// Whether the body was larger than [`MAX_BODY`].
    pub oversized: bool,
    /// Whether the body broke off before its end.
    pub cut: bool,
}

impl HttpReply {
    /// How far our clock is ahead of the server's, in seconds (negative: behind).
    pub fn clock_ahead_s(&self) -> Option<i64> {
        let ours = self.sent_ms.midpoint(self.received_ms);
        self.date_ms.map(|date| ours.saturating_sub(date).div_euclid(1000))
    }

    /// Whether the body is all that the server had to say.
    pub fn is_whole(&self) -> bool {
        if self.oversized || self.cut {
            return false;
        }
        let json = serde_json::from_slice::<serde::de::IgnoredAny>(&self.body);
        !self.body.starts_with(b"{") || !json.is_err_and(|error| error.is_eof())
    }

    /// What an error answer says, one line, without what may be secret: `{"error": …}`, or plain text.
    pub fn text(&self) -> String {
        if self.html && !self.body.starts_with(b"{") && self.status != 429 {
            return String::new();
        }
        let json = serde_json::from_slice::<serde_json::Value>(&self.body).ok();
        let text = match json.as_ref().and_then(|v| v.get("error").or_else(|| v.get("message"))) {
            Some(serde_json::Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
            None => String::from_utf8_lossy(&self.body).into_owned(),
        };
        let line = text[..text.floor_char_boundary(MAX_TEXT)].split_whitespace().collect::<Vec<_>>().join(" ");
        let clean = scrub(&line);
        if clean.chars().count() > 300 || !(clean.is_empty() || self.is_whole()) {
            return clean.chars().take(300).chain(['…']).collect();
        }
        clean.into_owned()
    }
}

/// Sends requests. Made once; connections are kept between rooms.
#[derive(Clone, Debug)]
pub struct HttpClient {
    inner: GuardedHttp,
    network: Network,
    clock: Clock,
    /// Our own ends of the connections that have brought an answer: they may be kept for another request.
    kept: Arc<Mutex<HashSet<SocketAddr>>>,
    /// Below which the pages of nests are, for servers that have said so; each on the server itself.
    pages: Arc<Mutex<Vec<Url>>>,
}

impl HttpClient {
    /// Nothing is connected yet.
    ///
    /// # Errors
    /// [`TransportError::Unusable`] when the TLS or proxy settings do not fit together.
    pub fn new(network: Network) -> Result<Self, TransportError> {
        let mut tls = (*network.tls).clone();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            // Below the 5 s after which Node closes an idle connection: no request races with that.
            .pool_idle_timeout(Duration::from_secs(3))
            // Always shorter than the whole, so that a connection that hangs is never mistaken for a request that does.
            .connect_timeout(CONNECT_LIMIT.min(network.timeout.mul_f32(0.9)))
            .tcp_nodelay(true)
            .dns_resolver(network.reach.clone())
            .user_agent(concat!("nest/", env!("CARGO_PKG_VERSION")));
        if let Some(proxy) = network.proxy.clone() {
            [&proxy.https, &proxy.http].into_iter().flatten().for_each(|(_, proxy)| network.reach.through(proxy));
            let target = move |url: &Url| proxy.target(url).map(|(_, target)| target.clone());
            builder = builder.proxy(reqwest::Proxy::custom(target));
        }
        let inner = builder.build().map_err(|e| TransportError::Unusable(transport::chain(&e)))?;
        let inner = GuardedHttp::new(inner, network.reach.clone());
        Ok(Self { inner, network, clock: Clock::default(), kept: Arc::default(), pages: Arc::default() })
    }

    /// The page that a server has for a nest, if it has said in an answer that there are any.
    pub fn page(&self, api: &ApiUrl, naddr: &str) -> Option<Url> {
        let pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        pages.iter().find(|page| page.origin() == api.url().origin())?.join(naddr).ok()
    }

    fn remember_page(&self, page: Url) {
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        if pages.iter().all(|known| known.origin() != page.origin()) {
            pages.push(page);
        }
    }

    /// The settings that it was made with.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The plain HTTP client below, for requests that are not the API's.
    pub fn http(&self) -> &GuardedHttp {
        &self.inner
    }

    /// Sends one request and reads the answer. What anybody may ask is asked once more where the connection was a kept one
    /// that the server had just closed.
    ///
    /// # Errors
    /// [`TransportError::Unreachable`]: nothing was sent. [`TransportError::Unanswered`]: it was, and there is no whole answer.
    pub async fn send(&self, call: HttpRequest<'_>) -> Result<HttpReply, TransportError> {
        let (limit, began) = (self.limit(call), Instant::now());
        let sent = match self.send_once(call).await {
            // A signature is for one request: whoever signs, asks again.
            Err(lost) if lost.again && call.authorization.is_none() => {
                self.send_once(call.within(limit.saturating_sub(began.elapsed()))).await
            }
            sent => sent,
        };
        sent.map_err(|lost| lost.why)
    }

    fn limit(&self, call: HttpRequest<'_>) -> Duration {
        call.limit.map_or(self.network.timeout, |limit| limit.min(self.network.timeout))
    }

    /// The same, and never a second time.
    pub(super) async fn send_once(&self, call: HttpRequest<'_>) -> Result<HttpReply, Lost> {
        let limit = self.limit(call);
        let mut request = self.inner.request(call.method.clone(), call.url.clone()).timeout(limit);
        if let Some(value) = call.authorization {
            let mut value = reqwest::header::HeaderValue::from_str(value.expose())
                .map_err(|_| TransportError::Unusable("the signature does not fit into a header".into()))?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        match call.body {
            Some(body) => request = request.header(CONTENT_TYPE, "application/json").body(body.to_vec()),
            None if *call.method != Method::GET => request = request.header(CONTENT_LENGTH, 0),
            None => {}
        }
        let sent_ms = self.clock.now_ms();
        let response = match self.inner.send(request).await {
            Ok(response) => response,
            Err(RequestError::Barred(barred)) => {
                return Err(Lost { why: transport::barred(barred, call.url), again: false });
            }
            Err(RequestError::Http(error)) => {
                let was_kept = transport::lost_connection(&error).is_some_and(|end| self.kept().remove(&end));
                let why = self.transport_error(&error, call.url, limit).await;
                return Err(Lost { why, again: was_kept && *call.method == Method::GET });
            }
        };
        self.kept().extend(response.extensions().get().map(HttpInfo::local_addr));
        let received_ms = self.clock.now_ms();
        let head = |name| header(response.headers(), name);
        if let Some(page) = head(LINK).and_then(|link| linked_page(&link, call.url)) {
            self.remember_page(page);
        }
        let date_ms = head(DATE).and_then(|text| clock::parse_http_date(&text));
        let mut reply = HttpReply {
            status: response.status().as_u16(),
            date_ms,
            sent_ms,
            received_ms,
            retry_after: head(RETRY_AFTER).and_then(|text| retry_after(&text, date_ms.unwrap_or(received_ms))),
            rate_limit: rate_limit(response.headers()),
            location: head(LOCATION),
            html: head(CONTENT_TYPE).is_some_and(|kind| kind.starts_with("text/html")),
            body: Vec::new(),
            oversized: false,
            cut: false,
        };
        self.read_body(response, &mut reply, call.url, limit).await?;
        Ok(reply)
    }

    async fn read_body(
        &self,
        mut response: reqwest::Response,
        reply: &mut HttpReply,
        url: &Url,
        limit: Duration,
    ) -> Result<(), TransportError> {
        loop {
            match response.chunk().await {
                Ok(None) => return Ok(()),
                Ok(Some(chunk)) if reply.body.len() + chunk.len() > MAX_BODY => {
                    reply.oversized = true;
                    reply.body = Vec::new();
                    return Ok(());
                }
                Ok(Some(chunk)) => reply.body.extend_from_slice(&chunk),
                // A refusal is one without its last word, too.
                Err(_) if reply.status >= 300 => {
                    reply.cut = true;
                    return Ok(());
                }
                Err(error) => return Err(self.transport_error(&error, url, limit).await),
            }
        }
    }

    fn kept(&self) -> MutexGuard<'_, HashSet<SocketAddr>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn transport_error(&self, error: &reqwest::Error, url: &Url, limit: Duration) -> TransportError {
        let via = self.network.proxy.as_ref().and_then(|proxy| proxy.via(url));
        let tried = if error.is_connect() && via.is_none() { addresses(url).await } else { Vec::new() };
        transport::from_reqwest(error, url, limit, Route { via, tried })
    }
}

/// What the name in a URL stands for; empty where that cannot be found out, or says nothing new.
async fn addresses(url: &Url) -> Vec<IpAddr> {
    let Some(Host::Domain(name)) = url.host() else { return Vec::new() };
    let asked = tokio::time::timeout(LOOKUP_LIMIT, tokio::net::lookup_host((name, 0))).await;
    let mut found: Vec<_> = asked.ok().and_then(Result::ok).into_iter().flatten().map(|found| found.ip()).collect();
    found.dedup();
    found
}

/// The page of a nest on the server that was asked, from `Link: <https://nests.example/n/ID>; rel="alternate";
/// type="text/html"` (RFC 8288), as `nest serve` writes it.
fn linked_page(link: &str, asked: &Url) -> Option<Url> {
    let page = link.strip_prefix('<')?.strip_suffix(">; rel=\"alternate\"; type=\"text/html\"")?;
    Url::parse(page).ok().filter(|page| page.origin() == asked.origin())
}

fn header(headers: &HeaderMap, name: reqwest::header::HeaderName) -> Option<String> {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

/// The `RateLimit` headers in the spellings of the draft's versions: a field of its own, `remaining=5`, `r=5`.
pub fn rate_limit(headers: &HeaderMap) -> Option<RateLimit> {
    let remaining = rate_number(headers, "remaining", "r")?;
    // Some give a time of day, in seconds since the Unix epoch.
    let reset = rate_number(headers, "reset", "t").filter(|seconds| *seconds <= 24 * 3600);
    Some(RateLimit { remaining, reset: reset.map(|seconds| Duration::from_secs(seconds.into())) })
}

fn rate_number(headers: &HeaderMap, name: &str, short: &str) -> Option<u32> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let own = ["ratelimit-", "x-ratelimit-"].into_iter().find_map(|start| text(&format!("{start}{name}")));
    let mut parts = text("ratelimit").unwrap_or_default().split([',', ';']).filter_map(|part| part.split_once('='));
    let part = || parts.find_map(|(key, number)| [name, short].contains(&key.trim()).then_some(number));
    own.or_else(part)?.trim().parse().ok()
}

/// `Retry-After` is seconds or a date (RFC 9110, 10.2.3).
pub fn retry_after(text: &str, now_ms: i64) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let wait_ms = clock::parse_http_date(text.trim())?.saturating_sub(now_ms);
    Some(Duration::from_millis(u64::try_from(wait_ms).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_tells_of_its_own_pages() {
        let asked = Url::parse("https://nests.example/api/v1/nests/a/guest").unwrap();
        let page = |link: &str| linked_page(link, &asked).map(String::from);
        let own = "<https://nests.example/n/a>; rel=\"alternate\"; type=\"text/html\"";
        assert_eq!(page(own).as_deref(), Some("https://nests.example/n/a"));
        for other in ["https://elsewhere.example/n/a", "http://nests.example/n/a", "javascript:alert(1)", "/n/a", ""] {
            assert_eq!(page(&own.replace("https://nests.example/n/a", other)), None, "{other}");
        }
        assert_eq!(page("<https://nests.example/n/a>; rel=\"next\""), None);
    }
}
