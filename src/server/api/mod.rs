//! The calls of the Nests API, in the order of checks that clients know: body, signature, record, rights, LiveKit.

mod restart;
mod tokens;

use std::future::Future;
use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{RawPathParams, Request, State};
use axum::routing::{MethodFilter, on};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, LINK, RETRY_AFTER};
use hyper::http::request::Parts;
use hyper::{HeaderMap, StatusCode};
use livekit_protocol::{ParticipantInfo, Room};
use nostr::{PublicKey, RelayUrl};
use serde::Deserialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use url::{Url, form_urlencoded};

use self::restart::Lease;
use self::tokens::NestRole;
use super::answer::HttpAnswer;
use super::http::{ClientIp, HttpFront, Quota, RateAllowance, RateLimiter};
use super::media::MediaServer;
use super::nip98::{self, Nip98Error};
use super::page::{self, NestPage, PageContext, PageState};
use super::store::{self, LeaseAnswer, Record, RestartAnswer, RoomStore, UsedSignature};
use super::token::{Claims, Issuer, RoomConfig};
use super::{ApiCall, BackendError, random_uuid};
use crate::api::wire::{API_PATH, Create, Info, Permissions, Session, TokenAnswer};
use crate::clock::Clock;
use crate::room::RoomRef;

pub(super) use self::tokens::DEPARTURE_TIMEOUT_S;

/// The calls, and where they are below [`API_PATH`]; a slash at the end changes nothing.
const ROUTES: [(ApiCall, MethodFilter, &str); 8] = [
    (ApiCall::Create, MethodFilter::PUT, ""),
    (ApiCall::Restart, MethodFilter::POST, "/{id}/restart"),
    (ApiCall::Token, MethodFilter::GET, "/{id}"),
    (ApiCall::Guest, MethodFilter::GET, "/{id}/guest"),
    (ApiCall::Info, MethodFilter::GET, "/{id}/info"),
    (ApiCall::Permissions, MethodFilter::POST, "/{id}/permissions"),
    (ApiCall::Delete, MethodFilter::DELETE, "/{id}"),
    (ApiCall::Webhook, MethodFilter::POST, "/webhook"),
];

/// The routes of the API, and of the page of a nest if there is to be one, to a handler, which is told the call and the id
/// of the nest (empty for `create` and `webhook`).
pub(super) fn routes<S, H, F>(page: bool, handler: H) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
    H: Fn(S, ApiCall, String, Request) -> F + Copy + Send + Sync + 'static,
    F: Future<Output = HttpAnswer> + Send,
{
    let mut router = Router::new();
    let calls = ROUTES
        .into_iter()
        .flat_map(|(call, method, path)| ["", "/"].map(|end| (call, method, format!("{API_PATH}{path}{end}"))));
    // Addresses in the page are relative to its own.
    let page = page.then(|| page::PATHS.map(|path| (ApiCall::Page, MethodFilter::GET, path.to_owned())));
    for (call, method, path) in calls.chain(page.into_iter().flatten()) {
        let answer = move |State(service): State<S>, params: Result<RawPathParams, RawPathParamsRejection>, request| async move {
            // An id that is empty, or no UTF-8, is that of no nest.
            let id = match params.as_ref().map(|params| params.iter().next()) {
                Ok(None) => String::new(),
                Ok(Some((_, id))) if !id.is_empty() => id.to_owned(),
                _ => return HttpAnswer::no_endpoint(),
            };
            handler(service, call, id, request).await
        };
        router = router.route(&path, on(method, answer));
    }
    router
}

/// How often a change starts over because the record was changed at the same moment.
const ATTEMPTS: usize = 10;

pub(super) struct NestsApi {
    pub(super) store: Arc<dyn RoomStore>,
    pub(super) media: Arc<dyn MediaServer>,
    /// The key whose tokens the media server accepts.
    pub(super) issuer: Issuer,
    pub(super) clock: Clock,
    /// The endpoint that clients are told to dial: `wss+livekit://host`.
    pub(super) endpoint: String,
    /// How long a room stays once the last one has left, in seconds.
    pub(super) departure_timeout_s: u32,
    /// Whether answers about a nest say where its page is.
    pub(super) tells_page: bool,
    /// Where the web client is, if that is known: the page of a nest leads to it.
    pub(super) web_client: Option<String>,
    /// Whether outages are glossed over, tokens say less, guests get into rooms that are no nests, and an HLS stream is
    /// promised that nobody serves, as upstream does. Otherwise an outage is a 503, a token says from when it is valid, and
    /// what a room is to be like that LiveKit makes for it, a restart says which room it has made, and who asks for a token
    /// to probe a nest gets one.
    pub(super) mimic_upstream: bool,
    pub(super) key_limit: Option<(Quota, RateLimiter<PublicKey>)>,
}

impl NestsApi {
    /// Whether LiveKit has signed this, as it signs what it tells; the tokens of its clients are signed with the same key.
    pub(super) fn is_webhook_of_livekit(&self, headers: &HeaderMap) -> bool {
        self.webhook_claims(headers).is_ok_and(|claims| !claims.sha256.is_empty())
    }

    /// What LiveKit says of a webhook, signed with the secret that it shares with us, for some minutes.
    fn webhook_claims(&self, headers: &HeaderMap) -> Result<Claims, &'static str> {
        let token = authorization(headers).ok_or("Missing Authorization header")?;
        let token = token.strip_prefix("Bearer ").unwrap_or(token);
        // LiveKit's words echo the token.
        let claims = self.issuer.verify(token, self.clock.now_s()).map_err(|_| "Invalid webhook signature")?;
        claims.exp.is_some().then_some(claims).ok_or("Webhook signature never expires")
    }

    /// Reads the whole of a request and answers it. `origin` is what clients sign in place of the server's own name and port.
    pub(super) async fn answer(
        self: Arc<Self>,
        front: &HttpFront,
        call: ApiCall,
        id: String,
        origin: String,
        request: Request,
    ) -> HttpAnswer {
        let (head, body) = request.into_parts();
        match front.read_body(body).await {
            Ok(body) => front.carry_out(ApiRequest { nests: self, call, id, head, origin, body }.answer()).await,
            Err(refused) => *refused,
        }
    }
}

struct ApiRequest {
    nests: Arc<NestsApi>,
    call: ApiCall,
    id: String,
    head: Parts,
    origin: String,
    body: Bytes,
}

#[derive(Deserialize)]
struct WebhookEvent {
    event: String,
    room: Option<WebhookRoom>,
}

#[derive(Deserialize)]
struct WebhookRoom {
    sid: String,
    name: String,
}

/// Why a request is not carried out.
#[derive(Debug)]
pub(super) enum ApiFailure {
    /// The client's fault: told as it is.
    Refused(Box<HttpAnswer>),
    /// Ours: the reason is for the log.
    Backend(BackendError),
}

impl From<BackendError> for ApiFailure {
    fn from(error: BackendError) -> Self {
        Self::Backend(error)
    }
}

impl From<Nip98Error> for ApiFailure {
    fn from(error: Nip98Error) -> Self {
        let (text, replayed) = (error.to_string(), error == Nip98Error::Replayed);
        let answer = HttpAnswer::error(StatusCode::UNAUTHORIZED, &*text).note(text);
        // Two calls in one second may be the same event, where a client adds nothing random: a second later it is another.
        Self::Refused(Box::new(if replayed { answer.header(RETRY_AFTER, 1) } else { answer }))
    }
}

impl ApiRequest {
    async fn answer(self) -> HttpAnswer {
        let mut key_budget = None;
        let answer = match self.carry_out(&mut key_budget).await {
            Ok(answer) => answer,
            Err(ApiFailure::Refused(answer)) => *answer,
            Err(ApiFailure::Backend(error @ BackendError::Unreachable(..))) if !self.nests.mimic_upstream => {
                HttpAnswer::unavailable().note(error.to_string())
            }
            Err(ApiFailure::Backend(error)) => {
                HttpAnswer::error(StatusCode::INTERNAL_SERVER_ERROR, self.call.failure()).note(error.to_string())
            }
        };
        let answer = answer.with_budget(key_budget);
        let about_a_nest = matches!(self.call, ApiCall::Restart | ApiCall::Token | ApiCall::Guest | ApiCall::Info);
        if self.nests.tells_page && about_a_nest {
            answer.header(LINK, page::link(&self.origin, &self.id))
        } else {
            answer
        }
    }

    async fn carry_out(&self, key_budget: &mut Option<RateAllowance>) -> Result<HttpAnswer, ApiFailure> {
        match self.call {
            ApiCall::Guest => self.guest().await,
            ApiCall::Info => self.info().await,
            ApiCall::Webhook => self.webhook().await,
            ApiCall::Page => Ok(self.page().await),
            ApiCall::Health | ApiCall::Signal | ApiCall::Relay | ApiCall::Auth => Ok(HttpAnswer::no_endpoint()),
            ApiCall::Restart => self.restart(key_budget).await,
            ApiCall::Token => self.token(&self.signer(key_budget).await?).await,
            ApiCall::Delete => self.delete(&self.signer(key_budget).await?).await,
            ApiCall::Create => {
                let body = self.json()?;
                self.create(&self.signer(key_budget).await?, &body).await
            }
            ApiCall::Permissions => {
                let body = self.json()?;
                self.permissions(&self.signer(key_budget).await?, &body).await
            }
        }
    }

    fn json(&self) -> Result<Value, ApiFailure> {
        let body: &[u8] = if self.body.is_empty() { b"{}" } else { &self.body };
        serde_json::from_slice(body).map_err(|_| refused(StatusCode::BAD_REQUEST, "Body is not JSON"))
    }

    /// Who has signed the request. A signature is good for one request; a client that only reads may use it again, since two
    /// such requests in one second may be signed alike, and nobody else may.
    async fn signer(&self, key_budget: &mut Option<RateAllowance>) -> Result<String, ApiFailure> {
        let (signer, signature) = self.verify()?;
        let from = signature.from;
        let first = self.nests.store.first_use(signature, nip98::MEMORY).await;
        if !matches!(first, Ok(Some(_))) {
            *key_budget = self.count(signer);
        }
        match first? {
            Some(first) if first != from || !self.head.method.is_safe() => Err(Nip98Error::Replayed.into()),
            _ => Ok(signer.to_hex()),
        }
    }

    /// Who has signed the request, and the signature, which may have been used before.
    fn verify(&self) -> Result<(PublicKey, UsedSignature), ApiFailure> {
        let url = format!("{}{}", self.origin, self.head.uri.path_and_query().map_or("/", |path| path.as_str()));
        let (method, now_s) = (self.head.method.as_str(), self.nests.clock.now_s());
        let (key, event) = nip98::verify(authorization(&self.head.headers), method, &url, &self.body, now_s)?;
        let left = self.nests.key_limit.as_ref().map(|(quota, limiter)| limiter.left(*quota, key));
        if let Some(budget) = left.filter(|budget| budget.remaining == 0) {
            return Err(ApiFailure::Refused(Box::new(HttpAnswer::too_many(budget))));
        }
        let ClientIp(from) = ClientIp::of(&self.head.extensions);
        Ok((key, UsedSignature { id: event.to_hex(), from }))
    }

    /// Counts a request of this key. Only for a signature that was not used before, so that nobody can use up the budget
    /// of another's key with what was seen on its way.
    fn count(&self, key: PublicKey) -> Option<RateAllowance> {
        self.nests.key_limit.as_ref().map(|(quota, limiter)| limiter.count(*quota, key))
    }

    async fn create(&self, signer: &str, body: &Value) -> Result<HttpAnswer, ApiFailure> {
        let wanted = read_create(body).map_err(|text| refused(StatusCode::BAD_REQUEST, text))?;
        let record = Record::new(random_uuid(), signer, wanted.relays, self.nests.clock.now_ms());
        let record = Record { hls_stream: wanted.hls_stream, ..record };
        // The record first: a room without one could not be deleted by anybody.
        self.nests.store.put(&record).await?;
        let room = match self.nests.media.create(&self.nests.room_of(&record, None)).await {
            Ok(room) => room,
            Err(error) => {
                // Nobody knows the id of this record; if it cannot be deleted, it expires.
                if let Some(lease) = self.nests.acquire_lease(&record.id, false, None).await? {
                    let _ = self.nests.store.delete(&record.id, lease.number).await;
                }
                return Err(error.into());
            }
        };
        let note = format!("create {} {}", record.id, room.sid);
        let session = self.session(&record, Some(RoomConfig::of(&room)));
        Ok(HttpAnswer::json(StatusCode::OK, &session).note(note))
    }

    async fn restart(&self, key_budget: &mut Option<RateAllowance>) -> Result<HttpAnswer, ApiFailure> {
        let (signer, signature) = self.verify()?;
        let begun = self.nests.store.begin_restart(&self.id, &signer.to_hex(), signature, nip98::MEMORY).await;
        if !matches!(begun, Ok(RestartAnswer::Replayed)) {
            *key_budget = self.count(signer);
        }
        let (granted, waited_for) = match begun? {
            RestartAnswer::Replayed => return Err(Nip98Error::Replayed.into()),
            RestartAnswer::NotFound => return Err(not_found("Nest not found")),
            RestartAnswer::NotHost => {
                return Err(refused(StatusCode::FORBIDDEN, "Only the host can restart the nest"));
            }
            RestartAnswer::Host(LeaseAnswer::Granted(number), asked, record) => {
                (Some((Lease::granted(number, asked), *record)), None)
            }
            RestartAnswer::Host(LeaseAnswer::Held(lease), ..) => (None, Some(lease)),
            RestartAnswer::Host(LeaseAnswer::Restarted | LeaseAnswer::Failed, ..) => (None, None),
        };
        let (record, config, room, note) = match self.nests.restart(&self.id, granted, waited_for).await? {
            Some(replaced) => {
                let room = replaced.room;
                let before = room.sid_before.as_deref().unwrap_or("no room");
                let note = format!("restart {} {before} → {}", self.id, room.sid);
                (replaced.record, Some(replaced.config), Some(room), note)
            }
            None => (self.record().await?, None, None, format!("restart {} together with another", self.id)),
        };
        let session = Session {
            message: Some("Nest restarted successfully".into()),
            room: room.filter(|_| !self.nests.mimic_upstream),
            ..self.session(&record, config)
        };
        Ok(HttpAnswer::json(StatusCode::OK, &session).note(note))
    }

    async fn token(&self, signer: &str) -> Result<HttpAnswer, ApiFailure> {
        let record = self.record().await?;
        let room = self.live_room().await?.ok_or_else(|| not_found("Nest is no longer active"))?;
        self.nests.store.renew(&self.id).await?;
        let config = Some(self.nests.config_of(Some(&room)));
        let token = Value::String(self.nests.mint(signer, &self.id, NestRole::of(&record, signer), config));
        Ok(HttpAnswer::json(StatusCode::OK, &TokenAnswer { token }))
    }

    async fn guest(&self) -> Result<HttpAnswer, ApiFailure> {
        let inactive = || not_found("Nest not found or no longer active");
        let room = self.live_room().await?.ok_or_else(inactive)?;
        if !self.nests.mimic_upstream && !self.is_nest(&room).await? {
            return Err(inactive());
        }
        let config = self.nests.config_of(Some(&room));
        let token = if !self.nests.mimic_upstream && self.asks_for_probe() {
            self.nests.mint_probe(&self.id, config)
        } else {
            self.nests.mint_guest(&self.id, config)
        };
        let token = Value::String(token);
        Ok(HttpAnswer::json(StatusCode::OK, &TokenAnswer { token }))
    }

    /// `?probe=1`
    fn asks_for_probe(&self) -> bool {
        let query = self.head.uri.query().unwrap_or_default();
        form_urlencoded::parse(query.as_bytes()).any(|(name, value)| name == "probe" && value == "1")
    }

    /// Whether a room is that of a nest, and not one that somebody else has on the same media server: it says so itself,
    /// also when the record is gone, or there is a record.
    async fn is_nest(&self, room: &Room) -> Result<bool, ApiFailure> {
        Ok(tokens::metadata_of(room).is_some() || self.nests.store.get(&self.id).await?.is_some())
    }

    /// Unlike the answers of the API, the page tells an outage from a nest that does not run, also where those of upstream do
    /// not. What is wrong in detail is for the log.
    async fn page(&self) -> HttpAnswer {
        if self.id.is_empty() {
            return page::file(self.head.uri.path());
        }
        let clock = self.nests.clock;
        let context = PageContext { origin: &self.origin, web_client: self.nests.web_client.as_deref(), clock };
        let room = match RoomRef::parse(&self.id) {
            Ok(room) => room,
            Err(error) => {
                let state = PageState::NoNest(error.to_string());
                let page = NestPage { id: self.id.clone(), state, record: None, host: None, relays: Vec::new() };
                return page.answer(context);
            }
        };
        let id = room.id.as_str();
        let (store, media) = (&self.nests.store, &self.nests.media);
        let (record, live, people) = tokio::join!(store.get(id), media.find(id), media.participants(id));
        // What a link says of another host's nest is not about this one.
        let named = |host: &str| room.host.is_none_or(|named| named.to_hex() == host);
        let own = |live: &Room, record: Option<&Record>| match tokens::metadata_of(live) {
            Some(metadata) => metadata.get("host").and_then(Value::as_str).is_none_or(named),
            None => record.is_some(),
        };
        let record = record.map(|record| record.filter(|record| named(&record.host)));
        let (state, note) = match (&record, live, people) {
            (Err(error), ..) => (PageState::Unknown, error.to_string()),
            (Ok(None), Err(_), _) => (PageState::Gone, String::new()),
            (Ok(Some(_)), Err(error), _) | (Ok(_), Ok(Some(_)), Err(error)) => {
                (PageState::MediaDown, error.to_string())
            }
            (Ok(record), Ok(Some(live)), Ok(people)) if own(&live, record.as_ref()) => {
                let inside = people.iter().filter(|person| !is_hidden(person)).count();
                (PageState::Running(Box::new(live), inside), String::new())
            }
            (Ok(None), Ok(_), _) => (PageState::Gone, String::new()),
            (Ok(Some(_)), Ok(_), _) => (PageState::Inactive, String::new()),
        };
        let record = record.ok().flatten();
        let host = record.as_ref().map_or(room.host, |record| PublicKey::from_hex(&record.host).ok());
        let relays = match &record {
            Some(record) => record.relays.iter().filter_map(|url| RelayUrl::parse(url).ok()).collect(),
            None => room.relays,
        };
        let page = NestPage { id: id.to_owned(), state, record, host, relays };
        page.answer(context).note(note)
    }

    async fn info(&self) -> Result<HttpAnswer, ApiFailure> {
        let record = self.record().await?;
        let people = match self.nests.media.participants(&self.id).await {
            // Nobody sees a probe, but LiveKit lists it.
            Ok(people) => people.iter().filter(|person| !is_hidden(person)).count(),
            // As upstream: a media server that is down has nobody in it.
            Err(_) if self.nests.mimic_upstream => 0,
            Err(error) => return Err(error.into()),
        };
        let info = Info {
            link: tokens::link(&record),
            host: record.host,
            speakers: record.speakers,
            admins: record.admins,
            recording: false,
            participant_count: people as u64,
            created_at: record.created_at,
            restarted_at: record.restarted_at,
            status: record.status,
        };
        Ok(HttpAnswer::json(StatusCode::OK, &info))
    }

    /// Under the lease: a restart at the same time would bring the record back.
    async fn delete(&self, signer: &str) -> Result<HttpAnswer, ApiFailure> {
        if self.record().await?.host != signer {
            return Err(refused(StatusCode::FORBIDDEN, "Only the host can delete the nest"));
        }
        let lease = self.nests.acquire_lease(&self.id, false, None).await?.ok_or_else(Lease::over)?;
        let note = match self.nests.media.delete(&self.id).await {
            Ok(_) => format!("delete {}", self.id),
            // As upstream: done even when LiveKit fails.
            Err(error) if self.nests.mimic_upstream => error.to_string(),
            Err(error) => {
                let _ = self.nests.store.fail_restart(&self.id, lease.number, false).await;
                return Err(error.into());
            }
        };
        if !self.nests.store.delete(&self.id, lease.number).await? {
            return Err(Lease::over());
        }
        Ok(HttpAnswer::empty(StatusCode::NO_CONTENT).note(note))
    }

    /// 201 when the record has changed, 204 when it already was so.
    async fn permissions(&self, signer: &str, body: &Value) -> Result<HttpAnswer, ApiFailure> {
        let wanted = read_permissions(body).map_err(|text| refused(StatusCode::BAD_REQUEST, text))?;
        let changed = self.change(signer, &wanted).await?;
        let status = if changed { StatusCode::CREATED } else { StatusCode::NO_CONTENT };
        let note = self.tell_media(&wanted).await.err().unwrap_or_default();
        Ok(HttpAnswer::empty(status).note(note))
    }

    /// Changes the record if that is necessary; whether it was.
    async fn change(&self, signer: &str, wanted: &Permissions) -> Result<bool, ApiFailure> {
        for _ in 0..ATTEMPTS {
            let record = self.record().await?;
            let is_host = record.host == signer;
            if !is_host && !record.admins.iter().any(|admin| admin == signer) {
                return Err(refused(StatusCode::FORBIDDEN, "Insufficient permissions"));
            }
            if wanted.is_admin.is_some() && !is_host {
                return Err(refused(StatusCode::FORBIDDEN, "Only host can manage admin permissions"));
            }
            let (mut new, who) = (record.clone(), &wanted.participant);
            let speakers_changed = wanted.can_publish.is_some_and(|listed| list(&mut new.speakers, who, listed));
            let admins_changed = wanted.is_admin.is_some_and(|listed| list(&mut new.admins, who, listed));
            if !speakers_changed && !admins_changed {
                return Ok(false);
            }
            if self.nests.store.replace(&record, &new).await? {
                return Ok(true);
            }
        }
        Err(unavailable(store::NAME, "the record changes all the time"))
    }

    /// Has LiveKit do the same for somebody who is in the room already. A failure is only logged: the record counts.
    async fn tell_media(&self, wanted: &Permissions) -> Result<(), String> {
        let media = &self.nests.media;
        let (room, who) = (&self.id, &wanted.participant);
        if let Some(can_publish) = wanted.can_publish {
            media.permit(room, who, can_publish).await.map_err(|e| e.to_string())?;
        }
        if let Some(muted) = wanted.mute_microphone {
            media.mute(room, who, muted).await.map_err(|e| e.to_string())?;
        }
        Ok(())
    }

    /// What LiveKit tells of its rooms. A room that has closed makes its nest inactive; a nest that is entered lives on.
    /// Nothing is ever erased: the host may bring the nest back. Events of a room that has been replaced since are ignored.
    async fn webhook(&self) -> Result<HttpAnswer, ApiFailure> {
        self.verify_webhook()?;
        let event: WebhookEvent = serde_json::from_slice(&self.body)
            .map_err(|_| refused(StatusCode::BAD_REQUEST, "Body is no LiveKit event"))?;
        let Some(room) = event.room.filter(|room| !room.sid.is_empty() && !room.name.is_empty()) else {
            return Ok(HttpAnswer::empty(StatusCode::OK).note(event.event));
        };
        let done = match event.event.as_str() {
            "room_started" => self.renew(&room, Some(store::active())).await?,
            "participant_joined" => self.renew(&room, None).await?,
            "room_finished" => self.closed(&room).await?,
            _ => false,
        };
        let ignored = if done { "" } else { ", ignored" };
        Ok(HttpAnswer::empty(StatusCode::OK).note(format!("{} {} {}{ignored}", event.event, room.name, room.sid)))
    }

    fn verify_webhook(&self) -> Result<(), ApiFailure> {
        let unauthorized = |text: &str| refused(StatusCode::UNAUTHORIZED, text);
        let claims = self.nests.webhook_claims(&self.head.headers).map_err(unauthorized)?;
        if STANDARD.decode(&claims.sha256).ok().as_deref() != Some(Sha256::digest(&self.body).as_slice()) {
            return Err(unauthorized("Webhook signature is for another body"));
        }
        Ok(())
    }

    /// The present room of a nest lives: so does its record.
    async fn renew(&self, room: &WebhookRoom, status: Option<String>) -> Result<bool, ApiFailure> {
        let Some(record) = self.nests.store.get(&room.name).await? else { return Ok(false) };
        if self.nests.media.find(&room.name).await?.is_none_or(|live| live.sid != room.sid) {
            return Ok(false);
        }
        match status.filter(|status| record.status != *status) {
            Some(status) => self.set_status(&record, status).await,
            None => Ok(self.nests.store.renew(&room.name).await.map(|()| true)?),
        }
    }

    /// A room has closed. If there is another, or one is being made, it was the old one.
    async fn closed(&self, room: &WebhookRoom) -> Result<bool, ApiFailure> {
        // Read first, so that a restart in the meantime makes the write fail.
        let Some(record) = self.nests.store.get(&room.name).await? else { return Ok(false) };
        if self.nests.store.restart_unfinished(&room.name).await? || self.nests.media.find(&room.name).await?.is_some()
        {
            return Ok(false);
        }
        self.set_status(&record, "inactive".into()).await
    }

    async fn set_status(&self, record: &Record, status: String) -> Result<bool, ApiFailure> {
        Ok(self.nests.store.replace(record, &Record { status, ..record.clone() }).await?)
    }

    async fn record(&self) -> Result<Record, ApiFailure> {
        self.nests.store.get(&self.id).await?.ok_or_else(|| not_found("Nest not found"))
    }

    /// The audio room. One that is missing because a restart is under way or was killed is waited for or made.
    async fn live_room(&self) -> Result<Option<Room>, ApiFailure> {
        let nests = &self.nests;
        match nests.media.find(&self.id).await {
            Ok(None) if nests.store.restart_unfinished(&self.id).await? => {}
            Ok(room) => return Ok(room),
            // As upstream: a media server that is down has no room.
            Err(_) if nests.mimic_upstream => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        match nests.restart(&self.id, None, None).await {
            Ok(_) => Ok(nests.media.find(&self.id).await?),
            Err(ApiFailure::Refused(..)) => Ok(None),
            Err(failure) => Err(failure),
        }
    }
}

fn authorization(headers: &HeaderMap) -> Option<&str> {
    headers.get(AUTHORIZATION)?.to_str().ok()
}

/// The body of a creation, checked as upstream's validator does, in its words.
fn read_create(body: &Value) -> Result<Create, String> {
    let fields = object(body, &["relays", "hls_stream"])?;
    let relays = match fields.get("relays") {
        None => Err("\"relays\" is required"),
        Some(Value::Array(relays)) if relays.is_empty() => Err("At least one relay is required"),
        Some(Value::Array(relays)) if relays.len() > 10 => Err("Maximum 10 relays allowed"),
        Some(Value::Array(relays)) => Ok(relays),
        Some(_) => Err("\"relays\" must be an array"),
    }?;
    let relay = |value: &Value| {
        let text = value.as_str()?;
        let url = Url::parse(text).ok()?;
        matches!(url.scheme(), "ws" | "wss").then(|| text.to_owned())
    };
    let relays: Option<Vec<_>> = relays.iter().map(relay).collect();
    Ok(Create {
        relays: relays.ok_or("Relays must be valid WebSocket URLs")?,
        hls_stream: flag(fields, "hls_stream")?.unwrap_or(false),
    })
}

fn read_permissions(body: &Value) -> Result<Permissions, String> {
    let fields = object(body, &["participant", "can_publish", "mute_microphone", "is_admin"])?;
    let participant = fields.get("participant").ok_or("Participant pubkey is required")?;
    let hex = |text: &&str| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let participant = participant.as_str().filter(hex).ok_or("Participant must be a valid hex pubkey")?;
    Ok(Permissions {
        participant: participant.to_ascii_lowercase(),
        can_publish: flag(fields, "can_publish")?,
        mute_microphone: flag(fields, "mute_microphone")?,
        is_admin: flag(fields, "is_admin")?,
    })
}

fn object<'a>(body: &'a Value, known: &[&str]) -> Result<&'a Map<String, Value>, String> {
    let fields = body.as_object().ok_or("\"value\" must be of type object")?;
    match fields.keys().find(|name| !known.contains(&name.as_str())) {
        Some(unknown) => Err(format!("\"{unknown}\" is not allowed")),
        None => Ok(fields),
    }
}

fn flag(fields: &Map<String, Value>, name: &str) -> Result<Option<bool>, String> {
    match fields.get(name) {
        None => Ok(None),
        Some(Value::Bool(value)) => Ok(Some(*value)),
        Some(_) => Err(format!("{name} must be a boolean")),
    }
}

/// Puts `who` on a list or takes it off; whether that changed anything.
fn list(list: &mut Vec<String>, who: &str, listed: bool) -> bool {
    let before = list.len();
    list.retain(|key| key != who);
    if listed {
        list.push(who.to_owned());
    }
    list.len() != before
}

fn is_hidden(person: &ParticipantInfo) -> bool {
    person.permission.as_ref().is_some_and(|permission| permission.hidden)
}

fn unavailable(backend: &'static str, why: &str) -> ApiFailure {
    BackendError::Unreachable(backend, why.into()).into()
}

fn refused(status: StatusCode, text: impl Into<String>) -> ApiFailure {
    let text = text.into();
    ApiFailure::Refused(Box::new(HttpAnswer::error(status, &*text).note(text)))
}

fn not_found(text: &str) -> ApiFailure {
    refused(StatusCode::NOT_FOUND, text)
}
