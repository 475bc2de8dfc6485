//! The HTTP front of `mock` and `serve`: from connections to requests to the routes of either, within limits. Every
//! request that was answered, or dropped, is one event of `tracing` with the target [`REQUESTS`].

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::StatusCode;
use hyper::body::{Bytes, Incoming};
use hyper::header::RETRY_AFTER;
use hyper::http::Extensions;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use ipnet::IpNet;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_io_timeout::TimeoutStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tracing::info;

use super::answer::{HttpAnswer, RETRY_S};
use super::lock;
use super::serve::proxy;
use crate::clock::millis;
use crate::secret::scrub;

/// The target of the event that tells of a request.
pub const REQUESTS: &str = "nostr_nests::requests";

/// The longest head that is read, in bytes; to a longer one hyper answers 431.
const HEAD_LIMIT: usize = 64 * 1024;

/// Whether this process runs: answered even where there are too many connections.
pub(super) const ALIVE: &str = "/health/alive";

/// How many connections beyond the limit are told that there are too many, and how long each of them lasts at most.
const SPARE: usize = 32;
const SPARE_LIMIT: Duration = Duration::from_secs(1);

/// How long a connection stays once the server is to stop and nothing is carried out for it.
const LINGER: Duration = Duration::from_secs(1);

/// The connection is to be closed without an answer; a response carries this through the routes to where the connection is.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("connection dropped")]
pub(super) struct ConnectionDropped;

/// Whose request it is: behind a trusted proxy, not the one who has connected.
#[derive(Clone, Copy)]
pub(super) struct ClientIp(pub(super) IpAddr);

impl ClientIp {
    pub(super) fn of(request: &Extensions) -> Self {
        *request.get().expect("the front says whose request it is")
    }
}

/// What a request did, or why it did not: for the log.
#[derive(Clone, Debug)]
pub(super) struct Note(pub(super) String);

#[derive(Default)]
pub(super) struct HttpLimits {
    pub(super) connections: usize,
    pub(super) body: usize,
    /// How long a head or a body may take to arrive, an answer to be read on, and how long an idle connection stays.
    pub(super) arrival: Duration,
    /// How long it may take to carry a request out, whatever it waits for.
    pub(super) request: Duration,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub(super) trusted: Vec<IpNet>,
}

pub(super) struct HttpFront {
    limits: HttpLimits,
    free_connections: Arc<Semaphore>,
    spare_connections: Arc<Semaphore>,
    /// Requests and web sockets under way, which do not depend on the connection that they came by.
    tasks: Mutex<JoinSet<()>>,
    stopping: watch::Sender<bool>,
}

impl HttpFront {
    pub(super) fn new(limits: HttpLimits) -> Arc<Self> {
        let [free_connections, spare_connections] = [limits.connections, SPARE].map(|n| Arc::new(Semaphore::new(n)));
        let (tasks, stopping) = (Mutex::default(), watch::channel(false).0);
        Arc::new(Self { limits, free_connections, spare_connections, tasks, stopping })
    }

    pub(super) fn open_connections(&self) -> usize {
        self.limits.connections - self.free_connections.available_permits()
    }

    /// Runs something until it ends, at the latest when the server does.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = lock(&self.tasks);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }

    /// Carries something out even if the client goes away: half a restart helps nobody.
    pub(super) async fn carry_out(&self, work: impl Future<Output = HttpAnswer> + Send + 'static) -> HttpAnswer {
        let (sender, result) = oneshot::channel();
        let work = timeout(self.limits.request, work);
        // Nobody may be waiting any more.
        self.spawn(async move { drop(sender.send(work.await)) });
        match result.await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => HttpAnswer::unavailable().note("took too long"),
            Err(_) => HttpAnswer::error(StatusCode::INTERNAL_SERVER_ERROR, "Internal server error").note("panic"),
        }
    }

    /// The whole body, or the answer that refuses it.
    pub(super) async fn read_body(&self, body: Body) -> Result<Bytes, Box<HttpAnswer>> {
        let refused = |status, text: &str| Err(Box::new(HttpAnswer::error(status, text)));
        match timeout(self.limits.arrival, Limited::new(body, self.limits.body).collect()).await {
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => {
                refused(StatusCode::PAYLOAD_TOO_LARGE, "request entity too large")
            }
            Ok(Err(_)) => refused(StatusCode::BAD_REQUEST, "The body is not whole"),
            Err(_) => refused(StatusCode::REQUEST_TIMEOUT, "The body takes too long"),
        }
    }

    /// Serves a WebSocket on the connection of a request, once its answer was sent.
    pub(super) fn serve_websocket<F>(
        &self,
        upgraded: OnUpgrade,
        limits: Option<WebSocketConfig>,
        serve: impl FnOnce(ServerSocket) -> F + Send + 'static,
    ) where
        F: Future<Output = ()> + Send,
    {
        self.spawn(async move {
            if let Ok(stream) = upgraded.await {
                serve(WebSocketStream::from_raw_socket(TokioIo::new(stream), Role::Server, limits).await).await;
            }
        });
    }

    /// Accepts connections until `stop` is ready, then lets what is carried out finish, but not for longer than `grace`.
    /// Whoever only sends or reads slowly is not waited for.
    pub(super) async fn serve(
        self: &Arc<Self>,
        routes: Router,
        listener: TcpListener,
        stop: impl Future<Output = ()>,
        grace: Duration,
    ) {
        let (mut stop, mut connections) = (pin!(stop), JoinSet::new());
        loop {
            tokio::select! {
                () = &mut stop => break,
                accepted = listener.accept() => match accepted {
                    Ok((stream, peer)) => {
                        let (front, routes) = (self.clone(), routes.clone());
                        if let Ok(permit) = self.free_connections.clone().try_acquire_owned() {
                            connections.spawn(front.connection(routes, stream, peer, permit, false));
                        } else if let Ok(permit) = self.spare_connections.clone().try_acquire_owned() {
                            let spare = front.connection(routes, stream, peer, permit, true);
                            connections.spawn(async { drop(timeout(SPARE_LIMIT, spare).await) });
                        }
                    }
                    // Out of file descriptors, most likely: some will be free soon.
                    Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                },
                Some(_) = connections.join_next() => {}
            }
        }
        drop(listener);
        self.stopping.send_replace(true);
        let finished = async {
            loop {
                let _ = timeout(LINGER, all(&mut connections)).await;
                let mut tasks = std::mem::take(&mut *lock(&self.tasks));
                if tasks.is_empty() {
                    break;
                }
                // Then there are answers to be sent.
                all(&mut tasks).await;
            }
        };
        let _ = timeout(grace, finished).await;
        // What is not done by now is cut off.
        lock(&self.tasks).abort_all();
    }

    async fn connection(
        self: Arc<Self>,
        routes: Router,
        stream: TcpStream,
        peer: SocketAddr,
        _permit: OwnedSemaphorePermit,
        spare: bool,
    ) {
        // Without it, an answer is only slower.
        let _ = stream.set_nodelay(true);
        let mut stopping = self.stopping.subscribe();
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(self.limits.arrival).max_buf_size(HEAD_LIMIT);
        builder.keep_alive(!spare);
        let routes = TowerToHyperService::new(routes);
        let arrival = self.limits.arrival;
        let handler = service_fn(move |request| self.clone().respond(routes.clone(), request, peer.ip(), spare));
        // Whoever does not read an answer does not keep the connection.
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(arrival));
        let mut connection = pin!(builder.serve_connection(TokioIo::new(Box::pin(stream)), handler).with_upgrades());
        // An error is a client that has gone, or a connection that is dropped on purpose.
        tokio::select! {
            _ = connection.as_mut() => return,
            _ = stopping.wait_for(|stopping| *stopping) => connection.as_mut().graceful_shutdown(),
        }
        let _ = connection.await;
    }

    async fn respond(
        self: Arc<Self>,
        routes: TowerToHyperService<Router>,
        mut request: hyper::Request<Incoming>,
        peer: IpAddr,
        spare: bool,
    ) -> Result<Response, ConnectionDropped> {
        let begun = Instant::now();
        let client = proxy::client_ip(peer, request.headers(), &self.limits.trusted);
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        request.extensions_mut().insert(ClientIp(client));
        let mut response = if spare && path != ALIVE {
            let answer = HttpAnswer::error(StatusCode::SERVICE_UNAVAILABLE, "Too many connections");
            answer.header(RETRY_AFTER, RETRY_S).note("too many connections").into_response()
        } else {
            let Ok(response) = routes.call(request).await;
            response
        };
        let dropped = response.extensions_mut().remove::<ConnectionDropped>();
        let status = dropped.is_none().then(|| response.status().as_u16());
        let note = response.extensions_mut().remove::<Note>().map_or_else(String::new, |Note(note)| note);
        // Neither query nor headers, which hold secrets; path and note may be a stranger's words. Dropped: no status.
        info!(
            target: REQUESTS,
            status,
            method = %method,
            path = &*scrub(&path),
            elapsed_ms = millis(begun.elapsed()),
            address = %client,
            note = &*scrub(&without_queries(&note)),
        );
        dropped.map_or(Ok(response), Err)
    }
}

/// Queries of URLs hold tokens.
fn without_queries(note: &str) -> String {
    let cut = |word: &str| match word.split_once('?') {
        Some((url, _)) if word.contains("://") => url.to_owned(),
        _ => word.to_owned(),
    };
    note.split(' ').map(cut).collect::<Vec<_>>().join(" ")
}

/// The connection of a WebSocket, from the server's side.
pub(super) type ServerSocket = WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>;

/// Waits until all of them have ended.
async fn all(tasks: &mut JoinSet<()>) {
    while tasks.join_next().await.is_some() {}
}

/// Upgrades a request to a WebSocket (RFC 6455, 4.2): the answer that accepts it, and the connection once that was sent.
/// `None` when no upgrade was asked for.
pub(super) fn upgrade_to_websocket(request: &mut Request) -> Option<(HttpAnswer, OnUpgrade)> {
    let (head, ()) = create_response_with_body(request, || ()).ok()?.into_parts();
    let answer = HttpAnswer { headers: head.headers, ..HttpAnswer::empty(head.status) };
    Some((answer, hyper::upgrade::on(request)))
}

/// How many addresses or keys are counted at most; beyond that those are forgotten that have asked least.
const COUNTED: usize = 100_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    pub limit: u32,
    pub window: Duration,
}

pub struct RateLimiter<K> {
    window: Mutex<Option<Window<K>>>,
}

struct Window<K> {
    quota: Quota,
    begun: Instant,
    counts: HashMap<K, u32>,
}

/// What somebody may still ask for, after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateAllowance {
    pub quota: Quota,
    pub exceeded: bool,
    pub remaining: u32,
    /// Seconds until the window ends.
    pub reset_s: u64,
}

impl<K> Default for RateLimiter<K> {
    fn default() -> Self {
        Self { window: Mutex::new(None) }
    }
}

impl<K: Eq + Hash> RateLimiter<K> {
    /// Counts a request. Another quota than before begins a new window.
    pub fn count(&self, quota: Quota, who: K) -> RateAllowance {
        self.add(quota, who, 1)
    }

    /// What is left, without counting anything.
    pub fn left(&self, quota: Quota, who: K) -> RateAllowance {
        self.add(quota, who, 0)
    }

    fn add(&self, quota: Quota, who: K, requests: u32) -> RateAllowance {
        let mut window = lock(&self.window);
        let current = window.take_if(|window| window.quota == quota && window.begun.elapsed() < quota.window);
        let fresh = || Window { quota, begun: Instant::now(), counts: HashMap::new() };
        let Window { begun, counts, .. } = window.insert(current.unwrap_or_else(fresh));
        if counts.len() >= COUNTED && !counts.contains_key(&who) {
            let mut sorted: Vec<_> = counts.values().copied().collect();
            let median = *sorted.select_nth_unstable(COUNTED / 2).1;
            counts.retain(|_, count| *count > median);
        }
        let count = counts.entry(who).or_default();
        *count = count.saturating_add(requests);
        RateAllowance {
            quota,
            exceeded: *count > quota.limit,
            remaining: quota.limit.saturating_sub(*count),
            reset_s: quota.window.saturating_sub(begun.elapsed()).as_secs().max(1),
        }
    }
}

impl RateAllowance {
    /// Whichever of two budgets leaves less.
    pub fn tighter(self, other: Option<Self>) -> Self {
        other.filter(|other| other.remaining < self.remaining).unwrap_or(self)
    }

    /// `RateLimit-*`, as upstream announces them.
    pub fn headers(self) -> [(&'static str, String); 4] {
        let Quota { limit, window } = self.quota;
        [
            ("ratelimit-policy", format!("{limit};w={}", window.as_secs())),
            ("ratelimit-limit", limit.to_string()),
            ("ratelimit-remaining", self.remaining.to_string()),
            ("ratelimit-reset", self.reset_s.to_string()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn a_panic_ends_one_request() {
        let (connections, seconds) = (2, Duration::from_secs(5));
        let limits = HttpLimits { connections, body: 1, arrival: seconds, request: seconds, trusted: Vec::new() };
        let front = HttpFront::new(limits);
        let carrying = front.clone();
        let routes = Router::new()
            .route("/handler", get(async || -> HttpAnswer { panic!("on purpose") }))
            .route("/work", get(async move || carrying.carry_out(async { panic!("on purpose") }).await))
            .route("/else", get(async || HttpAnswer::empty(StatusCode::OK)));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { front.serve(routes, listener, std::future::pending(), seconds).await });
        for (path, answer) in [("handler", ""), ("work", "HTTP/1.1 500"), ("else", "HTTP/1.1 200")].repeat(3) {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let request = format!("GET /{path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut read = String::new();
            // Where it is cut off, an error.
            let _ = stream.read_to_string(&mut read).await;
            assert!(read.starts_with(answer) && read.is_empty() == answer.is_empty(), "{path}: {read}");
        }
    }
}
