//! From connections to requests, within limits, and back.

use std::convert::Infallible;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, CACHE_CONTROL};
use hyper::http::request::Parts as Head;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use super::health::{self, Health, State};
use super::log::Entry;
use super::metrics::Metrics;
use super::peer::{self, Network};
use super::{Endpoint, LogSink, Origin};
use crate::server::answer::{Answer, Body};
use crate::server::api::{Ask, Nests};
use crate::server::call::{Call, Route};
use crate::server::limit::{Limiter, Standing};

/// The longest body that is read, in bytes.
const BODY_LIMIT: usize = 64 * 1024;

/// The longest head that is looked at, in bytes: a signature has less than 2000.
const HEAD_LIMIT: usize = 16 * 1024;

/// The longest head that is read at all, to be told that it is too long.
const READ_LIMIT: usize = 64 * 1024;

/// How long a head or a body may take to arrive, and an idle connection stays.
const ARRIVAL: Duration = Duration::from_secs(15);

/// How long a request may take, whatever it waits for.
const REQUEST: Duration = Duration::from_secs(15);

/// What a front is made of.
pub(super) struct Parts {
    pub(super) nests: Arc<Nests>,
    pub(super) origin: Origin,
    pub(super) livekit: Endpoint,
    pub(super) trusted: Vec<Network>,
    pub(super) addresses: Option<Limiter<IpAddr>>,
    pub(super) connections: usize,
    pub(super) log: LogSink,
}

/// Everything that requests share.
pub(super) struct Front {
    parts: Parts,
    health: Health,
    metrics: Metrics,
    connections: Arc<Semaphore>,
    /// Requests under way: they are carried out even if their client goes away.
    tasks: Mutex<JoinSet<()>>,
    stopping: watch::Sender<bool>,
}

impl Front {
    pub(super) fn new(parts: Parts) -> Self {
        Self {
            health: Health::default(),
            metrics: Metrics::default(),
            connections: Arc::new(Semaphore::new(parts.connections)),
            tasks: Mutex::default(),
            stopping: watch::channel(false).0,
            parts,
        }
    }

    pub(super) async fn state(&self) -> State {
        self.health.state(&self.parts.nests).await
    }

    pub(super) async fn serve(self: Arc<Self>, listener: TcpListener, stop: impl Future<Output = ()>, grace: Duration) {
        let mut stop = pin!(stop);
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                () = &mut stop => break,
                accepted = listener.accept() => match accepted {
                    Ok((stream, peer)) => match self.connections.clone().try_acquire_owned() {
                        Ok(permit) => drop(connections.spawn(self.clone().connection(stream, peer, permit))),
                        Err(_) => drop(connections.spawn(turn_away(stream))),
                    },
                    // Out of file descriptors, most likely: some will be free soon.
                    Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                },
                Some(_) = connections.join_next() => {}
            }
        }
        drop(listener);
        self.stopping.send_replace(true);
        let finished = async {
            while connections.join_next().await.is_some() {}
            let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
            while tasks.join_next().await.is_some() {}
        };
        // Whoever is not done by then is cut off.
        let _ = tokio::time::timeout(grace, finished).await;
    }

    async fn connection(self: Arc<Self>, stream: TcpStream, peer: SocketAddr, _permit: OwnedSemaphorePermit) {
        // A slow peer is its own problem.
        let _ = stream.set_nodelay(true);
        let mut stopping = self.stopping.subscribe();
        let service = service_fn(move |request| self.clone().request(request, peer));
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(ARRIVAL).max_buf_size(READ_LIMIT);
        let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
        // An error is a client that has gone.
        tokio::select! {
            _ = connection.as_mut() => return,
            _ = stopping.wait_for(|stopping| *stopping) => connection.as_mut().graceful_shutdown(),
        }
        let _ = connection.await;
    }

    async fn request(
        self: Arc<Self>,
        request: Request<Incoming>,
        peer: SocketAddr,
    ) -> Result<Response<Body>, Infallible> {
        let begun = Instant::now();
        let (head, body) = request.into_parts();
        let address = peer::client(peer, &head.headers, &self.parts.trusted);
        let (method, path) = (head.method.to_string(), head.uri.path().to_owned());
        let (name, answer) = self.clone().route(head, body, address).await;
        let (elapsed, now_ms) = (begun.elapsed(), self.parts.nests.clock.now_ms());
        let status = answer.status.as_u16();
        self.metrics.answered(name, status, elapsed);
        let elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        let note = answer.note.clone();
        (self.parts.log)(Entry { time_ms: now_ms, address, method, path, status, elapsed_ms, note });
        Ok(answer.into_response(now_ms))
    }

    /// What kind of request it was, and its answer.
    async fn route(self: Arc<Self>, head: Head, body: Incoming, address: IpAddr) -> (&'static str, Answer) {
        let path = head.uri.path();
        match (head.method.as_str(), path) {
            ("GET", "/health") => {
                let answer = health::answer(&self.state().await, &self.parts.livekit, self.parts.nests.clock.now_ms());
                return ("health", answer);
            }
            ("GET", "/health/alive") => {
                return ("health", Answer::json(StatusCode::OK, &serde_json::json!({ "alive": true })));
            }
            ("GET", "/metrics") => {
                let open = self.parts.connections - self.connections.available_permits();
                let text = self.metrics.text(&self.state().await, open);
                return ("metrics", Answer::text(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", text));
            }
            _ => {}
        }
        match Route::of(&head.method, path) {
            Route::Api(call, id) if call != Call::Health => {
                let standing = (call != Call::Webhook).then(|| self.count(address)).flatten();
                let mut answer = match standing {
                    Some(standing) if standing.refused => Answer::too_many(standing),
                    _ => self.api(call, id, head, body).await,
                };
                answer = answer.header(CACHE_CONTROL, "no-store");
                let tighter = standing.map(|standing| standing.tighter(answer.standing)).or(answer.standing);
                (call.name(), tighter.into_iter().fold(answer, Answer::limited))
            }
            _ => {
                let answer = match self.count(address) {
                    Some(standing) if standing.refused => Answer::too_many(standing).limited(standing),
                    _ => Answer::error(StatusCode::NOT_FOUND, "Endpoint not found"),
                };
                ("nowhere", answer)
            }
        }
    }

    fn count(&self, address: IpAddr) -> Option<Standing> {
        self.parts.addresses.as_ref().map(|addresses| addresses.count(peer::bucket(address)))
    }

    async fn api(&self, call: Call, id: String, head: Head, body: Incoming) -> Answer {
        let length: usize = head.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        if length + path.len() > HEAD_LIMIT {
            let text = "Request header fields too large";
            return Answer::error(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, text);
        }
        let body = match read(body).await {
            Ok(body) => body,
            Err(refused) => return *refused,
        };
        let header = |name| head.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let origin = self.parts.origin.to_string();
        let ask = Ask {
            nests: self.parts.nests.clone(),
            call,
            id,
            method: head.method.to_string(),
            url: format!("{origin}{path}"),
            origin,
            authorization: header(AUTHORIZATION),
            body,
        };
        self.carry_out(ask).await
    }

    /// A request that has begun is carried out even if its client goes away: half a restart helps nobody.
    async fn carry_out(&self, ask: Ask) -> Answer {
        let (done, answer) = tokio::sync::oneshot::channel();
        let work = async move {
            let answer = tokio::time::timeout(REQUEST, ask.answer()).await;
            // Nobody may be waiting any more.
            let _ = done.send(answer.unwrap_or_else(|_| Answer::unavailable().note("took too long")));
        };
        {
            let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
            while tasks.try_join_next().is_some() {}
            tasks.spawn(work);
        }
        let broken = || Answer::error(StatusCode::INTERNAL_SERVER_ERROR, "Internal server error").note("panic");
        answer.await.unwrap_or_else(|_| broken())
    }
}

async fn read(body: Incoming) -> Result<Bytes, Box<Answer>> {
    let refused = |status, text: &str| Err(Box::new(Answer::error(status, text)));
    match tokio::time::timeout(ARRIVAL, Limited::new(body, BODY_LIMIT).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            refused(StatusCode::PAYLOAD_TOO_LARGE, "request entity too large")
        }
        Ok(Err(_)) => refused(StatusCode::BAD_REQUEST, "The body is not whole"),
        Err(_) => refused(StatusCode::REQUEST_TIMEOUT, "The body takes too long"),
    }
}

/// There are too many connections: says so and closes, without looking at the request.
async fn turn_away(mut stream: TcpStream) {
    const ANSWER: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json; charset=utf-8\r\n\
        retry-after: 2\r\nconnection: close\r\ncontent-length: 32\r\n\r\n{\"error\":\"Too many connections\"}";
    let said = async {
        stream.write_all(ANSWER).await?;
        stream.shutdown().await
    };
    // Whoever does not listen has gone.
    let _ = tokio::time::timeout(Duration::from_secs(1), said).await;
}
