//! The HTTP front of `mock` and `serve`: from connections to requests to an `HttpService`, within limits; access log.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper::{HeaderMap, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;

use super::answer::{Body, HttpAnswer};
use super::lock;
use crate::clock::{Clock, millis, rfc3339};
use crate::secret::scrub;

/// The longest head that is read, in bytes; to a longer one hyper answers 431.
const HEAD_LIMIT: usize = 64 * 1024;

/// The connection is to be closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("connection dropped")]
pub(super) struct ConnectionDropped;

pub(super) trait HttpService: Send + Sync + 'static {
    fn front(&self) -> &HttpFront;

    /// The address that a request is counted and logged for: behind a proxy it is not the one that has `connected`.
    fn client(&self, connected: SocketAddr, _headers: &HeaderMap) -> SocketAddr {
        connected
    }

    fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        client: SocketAddr,
    ) -> impl Future<Output = Result<HttpAnswer, ConnectionDropped>> + Send;
}

pub(super) struct HttpLimits {
    pub(super) connections: usize,
    pub(super) body: usize,
    /// How long a head or a body may take to arrive, and an idle connection stays.
    pub(super) arrival: Duration,
}

pub(super) struct HttpFront {
    limits: HttpLimits,
    log: Option<LogSink>,
    free_connections: Arc<Semaphore>,
    /// Requests and web sockets under way, which do not depend on the connection that they came by.
    tasks: Mutex<JoinSet<()>>,
    stopping: watch::Sender<bool>,
}

impl HttpFront {
    pub(super) fn new(limits: HttpLimits, log: Option<LogSink>) -> Self {
        let free_connections = Arc::new(Semaphore::new(limits.connections));
        Self { limits, log, free_connections, tasks: Mutex::default(), stopping: watch::channel(false).0 }
    }

    pub(super) fn open_connections(&self) -> usize {
        self.limits.connections - self.free_connections.available_permits()
    }

    /// Runs something until it ends, at the latest when the server does.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = lock(&self.tasks);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }

    /// Carries something out even if the client goes away: half a restart helps nobody. `None`: it panicked or ended.
    pub(super) async fn carry_out<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let (sender, result) = oneshot::channel();
        // Nobody may be waiting any more.
        self.spawn(async move { drop(sender.send(work.await)) });
        result.await.ok()
    }

    /// The whole body, or the answer that refuses it.
    pub(super) async fn read_body(&self, body: Incoming) -> Result<Bytes, Box<HttpAnswer>> {
        let refused = |status, text: &str| Err(Box::new(HttpAnswer::error(status, text)));
        match tokio::time::timeout(self.limits.arrival, Limited::new(body, self.limits.body).collect()).await {
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => {
                refused(StatusCode::PAYLOAD_TOO_LARGE, "request entity too large")
            }
            Ok(Err(_)) => refused(StatusCode::BAD_REQUEST, "The body is not whole"),
            Err(_) => refused(StatusCode::REQUEST_TIMEOUT, "The body takes too long"),
        }
    }
}

/// Accepts connections until `stop` is ready, then lets what is under way finish, but not for longer than `grace`.
pub(super) async fn serve<S: HttpService>(
    service: &Arc<S>,
    listener: TcpListener,
    stop: impl Future<Output = ()>,
    grace: Duration,
) {
    let front = service.front();
    let (mut stop, mut connections) = (pin!(stop), JoinSet::new());
    loop {
        tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => match front.free_connections.clone().try_acquire_owned() {
                    Ok(permit) => drop(connections.spawn(connection(service.clone(), stream, peer, permit))),
                    Err(_) => drop(connections.spawn(refuse_connection(stream))),
                },
                // Out of file descriptors, most likely: some will be free soon.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    front.stopping.send_replace(true);
    let finished = async {
        while connections.join_next().await.is_some() {}
        let mut tasks = std::mem::take(&mut *lock(&front.tasks));
        while tasks.join_next().await.is_some() {}
    };
    let _ = tokio::time::timeout(grace, finished).await;
    // What is not done by now is cut off.
    lock(&front.tasks).abort_all();
}

async fn connection<S: HttpService>(
    service: Arc<S>,
    stream: TcpStream,
    peer: SocketAddr,
    _permit: OwnedSemaphorePermit,
) {
    // Without it, an answer is only slower.
    let _ = stream.set_nodelay(true);
    let mut stopping = service.front().stopping.subscribe();
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(service.front().limits.arrival).max_buf_size(HEAD_LIMIT);
    let handler = service_fn(move |request| respond(service.clone(), request, peer));
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), handler).with_upgrades());
    // An error is a client that has gone, or a connection that is dropped on purpose.
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = stopping.wait_for(|stopping| *stopping) => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

async fn respond<S: HttpService>(
    service: Arc<S>,
    request: Request<Incoming>,
    peer: SocketAddr,
) -> Result<Response<Body>, ConnectionDropped> {
    let begun = Instant::now();
    let client = service.client(peer, request.headers());
    let (method, path) = (request.method().to_string(), request.uri().path().to_owned());
    let answer = service.clone().answer(request, client).await;
    if let Some(log) = &service.front().log {
        let (status, note) = match &answer {
            Ok(answer) => (Some(answer.status.as_u16()), answer.note.clone()),
            Err(ConnectionDropped) => (None, "dropped".into()),
        };
        let (time_ms, client_ip, elapsed_ms) = (Clock::default().now_ms(), client.ip(), millis(begun.elapsed()));
        log(AccessLogEntry { time_ms, client_ip, method, path, status, elapsed_ms, note });
    }
    answer.map(HttpAnswer::into_response)
}

/// There are too many connections: says so and closes, without looking at the request.
async fn refuse_connection(mut stream: TcpStream) {
    const ANSWER: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json; charset=utf-8\r\n\
        retry-after: 2\r\nconnection: close\r\ncontent-length: 32\r\n\r\n{\"error\":\"Too many connections\"}";
    let written = async {
        stream.write_all(ANSWER).await?;
        stream.shutdown().await
    };
    // Whoever does not listen has gone.
    let _ = tokio::time::timeout(Duration::from_secs(1), written).await;
}

/// Upgrades a request to a WebSocket (RFC 6455, 4.2): the answer that accepts it, and the connection once that was sent.
/// `None` when no upgrade was asked for.
pub(super) fn upgrade_to_websocket(request: &mut Request<Incoming>) -> Option<(HttpAnswer, OnUpgrade)> {
    let accepted = create_response_with_body(request, || ()).ok()?;
    let headers =
        accepted.headers().iter().map(|(name, value)| (name.clone(), value.to_str().unwrap_or_default().into()));
    let answer = HttpAnswer { headers: headers.collect(), ..HttpAnswer::empty(accepted.status()) };
    Some((answer, hyper::upgrade::on(request)))
}

/// Hears of every request once it is answered, or dropped.
pub type LogSink = Arc<dyn Fn(AccessLogEntry) + Send + Sync>;

/// One request in the access log. Holds no secrets (neither query strings nor headers), but words of strangers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessLogEntry {
    /// When the answer was ready, in milliseconds since the Unix epoch.
    pub time_ms: i64,
    /// The client's address; behind a trusted proxy, the one that the proxy names.
    pub client_ip: IpAddr,
    pub method: String,
    /// The path as it came, without the query.
    pub path: String,
    /// The HTTP status; `None` when the connection was dropped on purpose.
    pub status: Option<u16>,
    /// Milliseconds from the head of the request to that of the answer.
    pub elapsed_ms: u64,
    /// What the request did, or why it did not; may be empty.
    pub note: String,
}

impl AccessLogEntry {
    /// For machines, on one line.
    pub fn json(&self) -> Value {
        json!({
            "time": rfc3339(self.time_ms),
            "status": self.status,
            "method": self.method,
            "path": scrub(&self.path),
            "elapsedMs": self.elapsed_ms,
            "address": self.client_ip,
            "note": scrub(&self.note),
        })
    }

    /// For people who serve nobody but themselves: without time and address.
    pub fn brief(&self) -> String {
        self.line("", "")
    }

    fn line(&self, start: &str, end: &str) -> String {
        let status = self.status.map_or_else(|| "---".into(), |status| status.to_string());
        let note = if self.note.is_empty() { String::new() } else { format!(" · {}", scrub(&self.note)) };
        format!("{start}{status} {} {} {} ms{end}{note}", self.method, scrub(&self.path), self.elapsed_ms)
    }
}

/// For people who run a server.
impl fmt::Display for AccessLogEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = rfc3339(self.time_ms).unwrap_or_default();
        f.write_str(&self.line(&format!("{time} "), &format!(" {}", self.client_ip)))
    }
}

/// How many addresses or keys are counted at most; beyond that a new window begins.
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
        let mut window = lock(&self.window);
        let current = window.take_if(|window| {
            window.quota == quota && window.begun.elapsed() < quota.window && window.counts.len() < COUNTED
        });
        let fresh = || Window { quota, begun: Instant::now(), counts: HashMap::new() };
        let Window { begun, counts, .. } = window.insert(current.unwrap_or_else(fresh));
        let count = counts.entry(who).or_default();
        *count = count.saturating_add(1);
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
