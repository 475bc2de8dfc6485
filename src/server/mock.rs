//! A server to play with: on loopback, on a thread of its own, with a nest called `demo`. It answers the API, the signal
//! endpoint and the relay, struck by faults.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state, map_response_with_state};
use axum::response::Response;
use axum::routing::{any, get, post};
use hyper::header::{AUTHORIZATION, DATE, HOST, HeaderValue, RETRY_AFTER};
use hyper::{HeaderMap, StatusCode};
use livekit_protocol::Room;
use nostr::{Event, EventBuilder, Keys, Kind, RelayUrl, Tag, Timestamp};
use serde_json::json;
use tokio::sync::{Semaphore, oneshot};

use super::answer::HttpAnswer;
use super::api::{self, DEPARTURE_TIMEOUT_S, NestsApi};
use super::faults::{ActiveFaults, Fault, Faults, FaultyMedia, Kind as FaultKind, MoqEvent};
use super::http::{ClientIp, HttpFront, HttpLimits, Quota, RateLimiter, upgrade_to_websocket};
use super::media::{self, Embedded, EmbeddedSettings, Livekit, LivekitConfig, MediaServer, embedded};
use super::moq::{MoqAuth, QuicPort, TokenRequest};
use super::relay::Relay;
use super::store::{Memory, Record};
use super::token::Issuer;
use super::{ApiCall, BackendError, lock, random_text};
use crate::clock::{Clock, http_date, rfc3339};
use crate::room::ROOM_KIND;
use crate::secret::Secret;

/// The nest that is there from the start, with record and event (open), and an audio room only where a fault wants one.
pub const DEMO: &str = "demo";

/// The nest on Media over QUIC that is there from the start: an event that no client shows any more, an auth service, and a
/// UDP port where its media relay would be.
pub const DEMO_MOQ: &str = "demo-moq";

/// How a mock is to be; the defaults are upstream's.
#[derive(Clone)]
pub struct Options {
    pub faults: Vec<Fault>,
    pub livekit: Option<LivekitConfig>,
    pub media: EmbeddedSettings,
    pub record_ttl: Duration,
    pub departure_timeout: Duration,
    /// Whether there is [`DEMO_MOQ`] too.
    pub moq: bool,
    /// The origin that clients sign, when it is not the listener's: `https://host[:port]`.
    pub public_origin: Option<String>,
    /// Whether nests have a page.
    pub page: bool,
    /// The web client to which it leads.
    pub web_client: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            faults: Vec::new(),
            livekit: None,
            media: EmbeddedSettings::default(),
            record_ttl: Duration::from_secs(24 * 3600),
            departure_timeout: Duration::from_secs(DEPARTURE_TIMEOUT_S.into()),
            moq: false,
            public_origin: None,
            page: true,
            web_client: None,
        }
    }
}

/// A running server; it stops when dropped. Usable with and without a runtime. Its log goes where that of the thread goes
/// that has started it.
pub struct Mock {
    service: Arc<MockService>,
    host: Keys,
    /// The server ends when this is dropped.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Mock {
    /// Starts on a free port of 127.0.0.1.
    pub fn start(options: Options) -> io::Result<Self> {
        Self::on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?, options)
    }

    pub fn on(listener: TcpListener, options: Options) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let has_room = options.faults.iter().any(Fault::needs_a_room);
        let quic = options.moq.then(QuicPort::open).transpose()?;
        let moq_event = options.faults.iter().find_map(|fault| match fault.kind {
            FaultKind::MoqEvent(event) => Some(event),
            _ => None,
        });
        let service = MockService::new(address, options)?;
        let host = Keys::generate();
        let two_hours_ago = Clock::default().now_ms() - 2 * 3600 * 1000;
        let relays = vec![format!("ws://{address}/relay")];
        let record = Record::new(DEMO.into(), &host.public_key().to_hex(), relays, two_hours_ago);
        service.memory.write(record.clone());
        let mut events = vec![demo_event(&host, address, &service.endpoint())?];
        if let Some(quic) = &quic {
            events.push(demo_moq_event(&host, address, quic.address()?, moq_event.unwrap_or_default())?);
        }
        for event in events {
            service.relay.take(event).map_err(|(_, why)| io::Error::other(why))?;
        }
        let (stop, stopped) = oneshot::channel();
        let (ready, started) = mpsc::channel();
        let serving = service.clone();
        let log = tracing::dispatcher::get_default(tracing::Dispatch::clone);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = thread::Builder::new().name("nest-mock".into()).spawn(move || {
            let _log = tracing::dispatcher::set_default(&log);
            runtime.block_on(async move {
                let begun = async {
                    if has_room {
                        serving.open(&record).await.map_err(io::Error::other)?;
                    }
                    tokio::net::TcpListener::from_std(listener)
                };
                match begun.await {
                    Ok(listener) => {
                        let _ = ready.send(Ok(()));
                        let front = serving.front.clone();
                        let faults = serving.clone();
                        if let Some(quic) = quic {
                            // Dropped with the runtime.
                            tokio::spawn(quic.serve(move || !faults.faults.quic_down()));
                        }
                        front.serve(serving.routes(), listener, async { drop(stopped.await) }, Duration::ZERO).await;
                    }
                    Err(error) => drop(ready.send(Err(error))),
                }
            });
        })?;
        let mock = Self { service, host, stop: Some(stop), thread: Some(thread) };
        started.recv().map_err(io::Error::other)??;
        Ok(mock)
    }

    pub fn api(&self) -> String {
        format!("http://{}", self.service.address)
    }

    /// The page of the nest [`DEMO`], unless there are no pages.
    pub fn page(&self) -> Option<String> {
        self.service.page.then(|| format!("{}/n/{DEMO}", self.api()))
    }

    pub fn relay(&self) -> String {
        format!("ws://{}/relay", self.service.address)
    }

    pub fn livekit(&self) -> &str {
        &self.service.livekit.url
    }

    pub fn address(&self) -> SocketAddr {
        self.service.address
    }

    /// The key that hosts the nest `demo`; a new one each time.
    pub fn host(&self) -> &Keys {
        &self.host
    }

    /// From now on these faults, and no others.
    pub fn set_faults(&self, faults: Vec<Fault>) {
        *lock(&self.service.faults.0) = faults;
    }

    /// How many requests came for a path (without query).
    pub fn requests(&self, path: &str) -> usize {
        lock(&self.service.seen).requests.get(path).copied().unwrap_or_default()
    }

    pub fn all_requests(&self) -> usize {
        lock(&self.service.seen).requests.values().sum()
    }

    pub fn last_authorization(&self) -> Option<String> {
        lock(&self.service.seen).authorization.clone()
    }

    pub fn record(&self, id: &str) -> Option<Record> {
        self.service.memory.peek(id)
    }

    /// Writes the record of a nest; its lifetime begins anew.
    pub fn remember(&self, record: Record) {
        self.service.memory.write(record);
    }

    /// Forgets the record of a nest, as the store does after a day.
    pub fn forget(&self, id: &str) {
        self.service.memory.forget(id);
    }

    pub fn room(&self, id: &str) -> Option<Room> {
        self.service.embedded.as_ref()?.room(id)
    }

    pub fn participants(&self, id: &str) -> Vec<String> {
        let people = self.service.embedded.as_ref().map(|media| media.members(id)).unwrap_or_default();
        people.into_iter().map(|person| person.identity).collect()
    }

    /// The key whose tokens the media server accepts.
    pub fn issuer(&self) -> Issuer {
        self.service.livekit.issuer()
    }

    pub fn media(&self) -> Arc<dyn MediaServer> {
        self.service.media.clone()
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn demo_event(host: &Keys, address: SocketAddr, endpoint: &str) -> io::Result<Event> {
    let tags = [
        vec!["d", DEMO],
        vec!["room", "Demo nest"],
        vec!["title", "Demo nest"],
        vec!["status", "open"],
        vec!["service", &format!("http://{address}/api/v1/nests")],
        vec!["streaming", endpoint],
        vec!["relays", &format!("ws://{address}/relay")],
        vec!["p", &host.public_key().to_hex(), "", "Host"],
    ]
    .map(|tag| Tag::parse(tag).expect("no tag is empty"));
    let event = EventBuilder::new(Kind::from(ROOM_KIND), "").tags(tags).allow_self_tagging();
    event.sign_with_keys(host).map_err(io::Error::other)
}

/// As the web client writes it.
fn demo_moq_event(host: &Keys, address: SocketAddr, quic: SocketAddr, event: MoqEvent) -> io::Result<Event> {
    let (age_s, status) = match event {
        MoqEvent::Old => (9 * 3600, "live"),
        MoqEvent::Alone => (3600, "live"),
        MoqEvent::Open | MoqEvent::OldNames => (0, "open"),
        MoqEvent::Ended => (3600, "ended"),
        MoqEvent::New => (0, "live"),
    };
    let at = Timestamp::now() - Duration::from_secs(age_s);
    let tags = [
        ["d", DEMO_MOQ],
        [if event == MoqEvent::OldNames { "room" } else { "title" }, "Demo nest on Media over QUIC"],
        ["status", status],
        ["starts", &at.to_string()],
        ["color", "gradient-1"],
        ["streaming", &format!("https://{quic}")],
        ["auth", &format!("http://{address}{MOQ_AUTH}")],
        ["relays", &format!("ws://{address}/relay")],
    ]
    .map(|tag| Tag::parse(tag).expect("no tag is empty"));
    let event = EventBuilder::new(Kind::from(ROOM_KIND), "").tags(tags).custom_created_at(at);
    event.sign_with_keys(host).map_err(io::Error::other)
}

/// Where the auth service is.
const MOQ_AUTH: &str = "/moq-auth";

/// Whoever plays with the mock may take all the time that a test takes.
const LIMITS: HttpLimits = HttpLimits {
    connections: Semaphore::MAX_PERMITS,
    body: 1024 * 1024,
    arrival: Duration::from_secs(3600),
    request: Duration::from_secs(3600),
    trusted: Vec::new(),
};

/// Upstream counts requests for so long.
const RATE_WINDOW: Duration = Duration::from_secs(15 * 60);

struct MockService {
    faults: Faults,
    livekit: LivekitConfig,
    media: Arc<dyn MediaServer>,
    /// The same media server, if it is the embedded one.
    embedded: Option<Arc<Embedded>>,
    memory: Memory,
    relay: Arc<Relay>,
    moq_auth: MoqAuth,
    departure_timeout_s: u32,
    rate_limiter: RateLimiter<IpAddr>,
    address: SocketAddr,
    public_origin: Option<String>,
    page: bool,
    web_client: Option<String>,
    seen: Mutex<SeenRequests>,
    front: Arc<HttpFront>,
}

#[derive(Debug, Default)]
struct SeenRequests {
    requests: HashMap<String, usize>,
    authorization: Option<String>,
}

impl MockService {
    fn new(address: SocketAddr, options: Options) -> io::Result<Arc<Self>> {
        let Options { faults, livekit, media, record_ttl, departure_timeout, moq: _, public_origin, page, web_client } =
            options;
        let (media, embedded, livekit): (Arc<dyn MediaServer>, _, _) = if let Some(config) = livekit {
            let livekit = Livekit::new(config.clone()).map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e))?;
            (Arc::new(livekit), None, config)
        } else {
            let secret = Secret::new(random_text(40));
            let config = LivekitConfig { url: format!("ws://{address}"), key: "nest-mock".into(), secret };
            let embedded = Embedded::new(config.issuer(), media);
            (embedded.clone(), Some(embedded), config)
        };
        let relay = RelayUrl::parse(&format!("ws://{address}/relay")).map_err(io::Error::other)?;
        Ok(Arc::new(Self {
            faults: Faults(Mutex::new(faults)),
            livekit,
            media,
            embedded,
            memory: Memory::new(record_ttl),
            relay: Arc::new(Relay::new(relay)),
            moq_auth: MoqAuth::new()?,
            departure_timeout_s: media::seconds(departure_timeout),
            rate_limiter: RateLimiter::default(),
            address,
            public_origin,
            page,
            web_client,
            seen: Mutex::default(),
            front: HttpFront::new(LIMITS),
        }))
    }

    fn routes(self: Arc<Self>) -> Router {
        let nowhere = async || HttpAnswer::no_endpoint();
        let mut routes = api::routes(self.page, Self::api)
            .route("/health", get(Self::health))
            .route("/relay", any(Self::relay))
            // As some clients write the address of a relay.
            .route("/relay/", any(Self::relay))
            .route(&format!("{MOQ_AUTH}/auth"), post(Self::moq_auth))
            .route(&format!("{MOQ_AUTH}/health"), get(Self::moq_auth))
            .route(&format!("{MOQ_AUTH}/.well-known/jwks.json"), get(Self::moq_auth))
            .fallback(nowhere)
            .method_not_allowed_fallback(nowhere)
            .layer(map_response_with_state(self.clone(), dated));
        for prefix in ["", "/livekit"] {
            routes = routes
                .route(&format!("{prefix}/rtc"), any(Self::media))
                .route(&format!("{prefix}/rtc/validate"), any(Self::media))
                .route(&format!("{prefix}/twirp/livekit.RoomService/{{method}}"), post(Self::media));
        }
        routes.layer(from_fn_with_state(self.clone(), note)).with_state(self)
    }

    /// Opens the audio room of a record, as if that had been done when the record was made.
    async fn open(&self, record: &Record) -> Result<(), BackendError> {
        self.media.create(&self.nests(&ActiveFaults::default()).room_of(record, None)).await?;
        if let Some(embedded) = &self.embedded {
            embedded.backdate(&record.id, record.created_at);
        }
        Ok(())
    }

    /// The media server as clients are told to dial it.
    fn endpoint(&self) -> String {
        format!("wss+livekit://{}", self.livekit.url.trim_start_matches("ws://").trim_start_matches("wss://"))
    }

    fn nests(&self, faults: &ActiveFaults) -> Arc<NestsApi> {
        Arc::new(NestsApi {
            store: Arc::new(self.memory.struck_by(faults.clone())),
            media: Arc::new(FaultyMedia::new(self.media.clone(), faults.clone())),
            issuer: faults.issuer(self.livekit.issuer()),
            clock: self.faults.clock(),
            endpoint: self.endpoint(),
            departure_timeout_s: self.departure_timeout_s,
            tells_page: false,
            web_client: self.web_client.clone(),
            mimic_upstream: true,
            key_limit: None,
        })
    }

    /// The origin of a request, as the client has to have signed it.
    fn origin(&self, headers: &HeaderMap) -> String {
        let localhost = format!("localhost:{}", self.address.port());
        match &self.public_origin {
            Some(origin) => origin.trim_end_matches('/').to_owned(),
            None if headers.get(HOST).is_some_and(|host| *host == *localhost) => format!("http://{localhost}"),
            None => format!("http://{}", self.address),
        }
    }

    async fn api(self: Arc<Self>, call: ApiCall, id: String, request: Request) -> HttpAnswer {
        let faults = self.faults.strike(call);
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        if let Some(answer) = faults.before(path, request.headers().get(AUTHORIZATION)) {
            return faults.after(answer).await;
        }
        let quota = self.faults.rate_limit().map(|limit| Quota { limit, window: RATE_WINDOW });
        let budget =
            quota.zip(request.extensions().get()).map(|(quota, ClientIp(ip))| self.rate_limiter.count(quota, *ip));
        if let Some(budget) = budget.filter(|budget| budget.exceeded) {
            let text = "Too many requests from this IP, please try again later.";
            let answer = HttpAnswer::text(StatusCode::TOO_MANY_REQUESTS, "text/html; charset=utf-8", text);
            return answer.with_budget(Some(budget)).header(RETRY_AFTER, budget.reset_s);
        }
        let answer = if call == ApiCall::Health {
            self.healthy()
        } else {
            let origin = self.origin(request.headers());
            self.nests(&faults).answer(&self.front, call, id, origin, request).await
        };
        faults.after(answer.with_budget(budget)).await
    }

    /// Even when nothing behind it is, as upstream.
    fn healthy(&self) -> HttpAnswer {
        let health = json!({
            "status": "healthy",
            "timestamp": rfc3339(self.faults.clock().now_ms()),
            "version": env!("CARGO_PKG_VERSION"),
            "livekit": self.livekit.url,
        });
        HttpAnswer::json(StatusCode::OK, &health)
    }

    async fn health(State(service): Mocked, request: Request) -> HttpAnswer {
        service.api(ApiCall::Health, String::new(), request).await
    }

    /// The endpoints of the embedded media server.
    async fn media(State(service): Mocked, request: Request) -> HttpAnswer {
        let Some(media) = &service.embedded else { return HttpAnswer::no_endpoint() };
        let faults = service.faults.strike(ApiCall::Signal);
        if faults.media_down() {
            return HttpAnswer::dropped();
        }
        let answer = match faults.before(request.uri().path(), None) {
            Some(answer) => answer,
            None => media.answer(&service.front, faults.text(embedded::VERSION), request).await,
        };
        faults.after(answer).await
    }

    async fn moq_auth(State(service): Mocked, request: Request) -> HttpAnswer {
        let faults = service.faults.strike(ApiCall::Auth);
        let (head, body) = request.into_parts();
        let header = |name| head.headers.get(name).and_then(|value| value.to_str().ok());
        let (path, from) = (head.uri.path(), head.extensions.get());
        let answer = match (faults.before(path, head.headers.get(AUTHORIZATION)), path.rsplit('/').next()) {
            (Some(answer), _) => answer,
            (None, Some("auth")) => match service.front.read_body(body).await {
                Ok(body) => {
                    let (authorization, host) = (header(AUTHORIZATION), header(HOST).unwrap_or_default());
                    let from = from.map_or(service.address.ip(), |ClientIp(from)| *from);
                    let asked = TokenRequest { authorization, host, path, body: &body };
                    service.moq_auth.token(&asked, from, service.faults.clock())
                }
                Err(refused) => *refused,
            },
            (None, Some("jwks.json")) => service.moq_auth.keys(),
            (None, _) => HttpAnswer::json(StatusCode::OK, &json!({ "status": "ok" })),
        };
        faults.after(answer).await
    }

    async fn relay(State(service): Mocked, mut request: Request) -> HttpAnswer {
        let faults = service.faults.strike(ApiCall::Relay);
        let answer = match (faults.before(request.uri().path(), None), upgrade_to_websocket(&mut request)) {
            (Some(answer), _) => answer,
            (None, None) => HttpAnswer::error(StatusCode::UPGRADE_REQUIRED, "This is a Nostr relay"),
            (None, Some((answer, upgraded))) => {
                let (relay, asks) = (service.relay.clone(), faults.relay_auth());
                let limits = Some(Relay::limits());
                service.front.serve_websocket(upgraded, limits, async move |socket| relay.serve(socket, asks).await);
                answer
            }
        };
        faults.after(answer).await
    }
}

type Mocked = State<Arc<MockService>>;

/// With the clock of the API, which a fault may have set wrong; that of the media server is right.
async fn dated(State(service): Mocked, mut response: Response) -> Response {
    if let Ok(date) = HeaderValue::try_from(http_date(service.faults.clock().now_ms())) {
        response.headers_mut().insert(DATE, date);
    }
    response
}

/// Remembers what was asked for.
async fn note(State(service): Mocked, request: Request, next: Next) -> Response {
    {
        let mut seen = lock(&service.seen);
        *seen.requests.entry(request.uri().path().to_owned()).or_default() += 1;
        let value = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        // Not what is shown to the media server.
        if let Some(value) = value.filter(|value| value.starts_with("Nostr ")) {
            seen.authorization = Some(value.to_owned());
        }
    }
    next.run(request).await
}
