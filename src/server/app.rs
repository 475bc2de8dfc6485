//! What all requests share, and the way each of them goes.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, HOST, HeaderName, RETRY_AFTER};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use nostr_relay_builder::prelude::MemoryDatabase;
use nostr_relay_builder::{LocalRelay, RelayBuilder};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::answer::{Answer, Body};
use super::api::{Ask, Nests, Rules};
use super::call::{Call, Route};
use super::faults::{Active, Dropped, Faults, FaultyMedia, FaultyStore, Head};
use super::limit::{Limiter, Quota, Standing};
use super::media::{self, Embedded, Livekit, MediaServer};
use super::store::{Memory, Record, RoomStore};
use super::token::Issuer;
use super::{LogLine, Options, random, signal, websocket};
use crate::clock::Clock;
use crate::secret::Secret;

/// Upstream's window of requests.
const WINDOW: Duration = Duration::from_secs(15 * 60);

/// The longest body that is read, in bytes.
const BODY_LIMIT: usize = 1024 * 1024;

/// A running server.
pub(super) struct App {
    pub(super) options: Options,
    pub(super) faults: Faults,
    pub(super) store: Arc<dyn RoomStore>,
    pub(super) media: Arc<dyn MediaServer>,
    rules: Arc<Rules>,
    pub(super) embedded: Option<Arc<Embedded>>,
    pub(super) memory: Arc<Memory>,
    /// What the relay remembers.
    pub(super) events: MemoryDatabase,
    relay: LocalRelay,
    limiter: Mutex<Option<(u32, Arc<Limiter<IpAddr>>)>>,
    address: SocketAddr,
    /// Only for those who test: it keeps the last `Authorization`.
    pub(super) seen: Option<Mutex<Seen>>,
    tasks: Mutex<JoinSet<()>>,
}

/// What a test wants to know about the requests that came.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) requests: HashMap<String, usize>,
    pub(super) authorization: Option<String>,
}

impl App {
    pub(super) fn new(address: SocketAddr, options: Options, seen: Option<Seen>) -> io::Result<Arc<Self>> {
        let memory = Arc::new(Memory::new(options.record_ttl));
        let (media, embedded): (Arc<dyn MediaServer>, _) = if let Some(config) = options.livekit.clone() {
            let livekit = Livekit::new(config).map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e))?;
            (Arc::new(livekit), None)
        } else {
            let issuer = Issuer { key: "nest-mock".into(), secret: Secret::new(random::text(40)) };
            let embedded = Embedded::new(format!("ws://{address}"), issuer, options.media);
            (embedded.clone(), Some(embedded))
        };
        let host = media.url().trim_start_matches("ws://").trim_start_matches("wss://");
        let rules = Arc::new(Rules {
            endpoint: format!("wss+livekit://{host}"),
            empty_timeout: options.empty_timeout,
            departure_timeout: options.departure_timeout,
            frank: false,
        });
        let events = MemoryDatabase::with_opts(nostr_relay_builder::prelude::MemoryDatabaseOptions {
            events: true,
            max_events: Some(10_000),
        });
        Ok(Arc::new(Self {
            faults: Faults::new(options.faults.clone()),
            options,
            store: memory.clone(),
            media,
            rules,
            embedded,
            memory,
            relay: LocalRelay::new(RelayBuilder::default().database(events.clone())),
            events,
            limiter: Mutex::default(),
            address,
            seen: seen.map(Mutex::new),
            tasks: Mutex::default(),
        }))
    }

    /// Accepts connections until `shutdown` is ready, then ends them all.
    pub(super) async fn serve(self: &Arc<Self>, listener: TcpListener, shutdown: impl Future<Output = ()>) {
        let mut shutdown = pin!(shutdown);
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                accepted = listener.accept() => match accepted {
                    Ok((stream, peer)) => drop(connections.spawn(self.clone().connection(stream, peer))),
                    // Out of file descriptors, most likely: some will be free soon.
                    Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                },
                Some(_) = connections.join_next() => {}
            }
        }
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
        self.relay.shutdown();
    }

    /// Runs something until it ends, at the latest when the server does.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }

    /// The clock of the API, which may be wrong on purpose.
    pub(super) fn clock(&self) -> Clock {
        self.faults.clock()
    }

    /// The origin of a request, as the client has to have signed it.
    fn origin(&self, host: Option<&str>) -> String {
        let port = self.address.port();
        match &self.options.public_origin {
            Some(origin) => origin.trim_end_matches('/').to_owned(),
            None if host == Some(&format!("localhost:{port}")) => format!("http://localhost:{port}"),
            None => format!("http://{}", self.address),
        }
    }

    async fn connection(self: Arc<Self>, stream: TcpStream, peer: SocketAddr) {
        // A slow peer is its own problem.
        let _ = stream.set_nodelay(true);
        let service = service_fn(move |request| self.clone().request(request, peer));
        // An error is a client that has gone, or a connection dropped on purpose.
        let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades().await;
    }

    async fn request(self: Arc<Self>, request: Request<Incoming>, peer: SocketAddr) -> Result<Response<Body>, Dropped> {
        let begun = Instant::now();
        let (method, path) = (request.method().to_string(), request.uri().path().to_owned());
        self.note(&request);
        let route = Route::of(request.method(), &path);
        let clock = if matches!(route, Route::Signal | Route::Validate) { Clock::default() } else { self.clock() };
        let answer = self.clone().route(route, request, peer).await;
        if let Some(log) = &self.options.log {
            let (status, note) = match &answer {
                Ok(answer) => (Some(answer.status.as_u16()), answer.note.clone()),
                Err(Dropped) => (None, "dropped".into()),
            };
            let elapsed_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
            log(LogLine { method, path, status, elapsed_ms, note });
        }
        answer.map(|answer| answer.into_response(clock.now_ms()))
    }

    async fn route(
        self: Arc<Self>,
        route: Route,
        request: Request<Incoming>,
        peer: SocketAddr,
    ) -> Result<Answer, Dropped> {
        match (route, &self.embedded) {
            (Route::Api(call, id), _) => self.api(call, id, request, peer.ip()).await,
            (Route::Relay, _) => Ok(self.relay(request, peer)),
            (route @ (Route::Signal | Route::Validate), Some(media)) => {
                let faults = self.faults.strike(Call::Signal);
                if faults.media_down() {
                    return Err(Dropped);
                }
                let head = Head { path: request.uri().path(), authorization: None };
                let answer = match faults.before(head)? {
                    Some(answer) => answer,
                    None if route == Route::Signal => signal::connect(&self, media.clone(), &faults, request),
                    None => signal::validate(media, &request),
                };
                faults.after(answer).await
            }
            _ => Ok(Answer::error(StatusCode::NOT_FOUND, "Endpoint not found")),
        }
    }

    async fn api(
        self: Arc<Self>,
        call: Call,
        id: String,
        request: Request<Incoming>,
        peer: IpAddr,
    ) -> Result<Answer, Dropped> {
        let faults = self.faults.strike(call);
        let (head, body) = request.into_parts();
        let text = |name: HeaderName| head.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let authorization = text(AUTHORIZATION);
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        if let Some(answer) = faults.before(Head { path, authorization: authorization.as_deref() })? {
            return faults.after(answer).await;
        }
        let standing = match self.limit(peer) {
            Ok(standing) => standing,
            Err(refused) => return Ok(*refused),
        };
        let body = match Limited::new(body, BODY_LIMIT).collect().await {
            Ok(body) => body.to_bytes(),
            Err(_) => return Ok(Answer::error(StatusCode::PAYLOAD_TOO_LARGE, "request entity too large")),
        };
        let origin = self.origin(text(HOST).as_deref());
        let url = format!("{origin}{path}");
        let ask = Ask {
            nests: self.nests(&faults),
            call,
            id,
            method: head.method.to_string(),
            url,
            origin,
            authorization,
            body,
        };
        let answer = self.carry_out(ask).await?;
        faults.after(standing.into_iter().fold(answer, Answer::limited)).await
    }

    /// A request that has begun is carried out even if its client goes away, as in any server of this kind.
    async fn carry_out(&self, ask: Ask) -> Result<Answer, Dropped> {
        let (done, answer) = tokio::sync::oneshot::channel();
        self.spawn(async move {
            // Nobody may be waiting any more.
            let _ = done.send(ask.answer().await);
        });
        answer.await.map_err(|_| Dropped)
    }

    /// Opens the audio room of a record, as if that had been done when the record was made.
    pub(super) async fn open(&self, record: &Record) -> Result<(), media::Error> {
        self.media.create(&self.nests(&Active::default()).room_of(record, None)).await?;
        if let Some(embedded) = &self.embedded {
            embedded.backdate(&record.id, record.created_at);
        }
        Ok(())
    }

    /// The API, struck by faults.
    fn nests(&self, faults: &Active) -> Arc<Nests> {
        Arc::new(Nests {
            store: Arc::new(FaultyStore::new(self.store.clone(), faults.clone())),
            media: Arc::new(FaultyMedia::new(self.media.clone(), faults.clone())),
            clock: self.clock(),
            rules: self.rules.clone(),
            keys: None,
        })
    }

    /// The headers that tell how much is left, or the refusal.
    fn limit(&self, peer: IpAddr) -> Result<Option<Standing>, Box<Answer>> {
        let Some(limit) = self.faults.rate_limit() else { return Ok(None) };
        let standing = self.limiter(limit).count(peer);
        if !standing.refused {
            return Ok(Some(standing));
        }
        let text = "Too many requests from this IP, please try again later.";
        let answer = Answer::text(StatusCode::TOO_MANY_REQUESTS, "text/html; charset=utf-8", text);
        Err(Box::new(answer.limited(standing).header(RETRY_AFTER, standing.reset)))
    }

    fn limiter(&self, limit: u32) -> Arc<Limiter<IpAddr>> {
        let mut limiter = self.limiter.lock().unwrap_or_else(PoisonError::into_inner);
        match &*limiter {
            Some((known, limiter)) if *known == limit => limiter.clone(),
            _ => {
                let new = Arc::new(Limiter::new(Quota { limit, window: WINDOW }));
                *limiter = Some((limit, new.clone()));
                new
            }
        }
    }

    fn relay(&self, mut request: Request<Incoming>, peer: SocketAddr) -> Answer {
        let Some((answer, upgraded)) = websocket::upgrade(&mut request) else {
            return Answer::error(StatusCode::UPGRADE_REQUIRED, "This is a Nostr relay");
        };
        let relay = self.relay.clone();
        self.spawn(async move {
            if let Ok(stream) = upgraded.await {
                // An error is a client that has gone.
                let _ = relay.take_connection(TokioIo::new(stream), peer).await;
            }
        });
        answer
    }

    fn note(&self, request: &Request<Incoming>) {
        let Some(seen) = &self.seen else { return };
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        *seen.requests.entry(request.uri().path().to_owned()).or_default() += 1;
        if let Some(value) = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok()) {
            seen.authorization = Some(value.to_owned());
        }
    }
}
