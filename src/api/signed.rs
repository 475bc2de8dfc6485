//! The calls that are signed (NIP-98): a fresh event for every attempt, pauses between them, one repair of the clock.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use nostr::UnsignedEvent;
use reqwest::Method;
use serde_json::json;
use url::Url;

use super::answer::{self, ApiError, is_unanswered};
use super::http::{HttpClient, HttpReply, HttpRequest};
use super::retry::{Next, RetryPolicy};
use super::wire::{Create, Permissions, Session, TokenAnswer};
use super::{ApiUrl, RoomId, TransportError};
use crate::clock::Clock;
use crate::key::{self, HostKey};
use crate::nip98;
use crate::reporter::{Progress, RoomReporter, Stage, Warning};
use crate::secret::{self, Secret, nonce};

/// Below this the difference cannot be why a signature was refused; servers allow a minute, some half of it. Seconds.
const CLOCK_AHEAD_MIN: u64 = 20;

/// Above this it is not a clock that runs wrong, but one that lies. Seconds.
const CLOCK_AHEAD_MAX: u64 = 24 * 60 * 60;

/// Requests that are signed, to one server about one room: a clock that was found to be wrong stays repaired.
pub(crate) struct SignedRequests<'a> {
    client: &'a HttpClient,
    key: &'a HostKey,
    policy: RetryPolicy,
    reporter: &'a RoomReporter<'a>,
    /// Whether nobody on the way can have set the server's clock.
    trusted_path: bool,
    /// Seconds to add to the clock here, once it was found to be wrong.
    shift_s: AtomicI64,
}

/// The Nests API as the host may use it.
pub(crate) struct SignedClient<'a> {
    requests: SignedRequests<'a>,
    api: &'a ApiUrl,
}

/// What came of all attempts of one call.
pub(crate) struct SignedReply<T> {
    pub result: Result<T, ApiError>,
    /// It is certain that nothing was done: every request was refused, or none was sent.
    pub not_done: bool,
    /// How many requests were sent, or tried.
    pub attempts: u32,
    /// When the first request that may have been carried out, or else the last, was sent; Unix milliseconds, local clock.
    pub sent_ms: i64,
    /// The local clock when the last answer was there, or when it was given up.
    pub answered_ms: i64,
    /// What the API's clock showed when it answered, in milliseconds since the Unix epoch, cut to seconds.
    pub date_ms: Option<i64>,
}

impl<T> SignedReply<T> {
    fn map<U>(self, read: impl FnOnce(T) -> Result<U, ApiError>) -> SignedReply<U> {
        let Self { result, not_done, attempts, sent_ms, answered_ms, date_ms } = self;
        SignedReply { result: result.and_then(read), not_done, attempts, sent_ms, answered_ms, date_ms }
    }
}

impl<'a> SignedClient<'a> {
    pub fn new(
        client: &'a HttpClient,
        api: &'a ApiUrl,
        key: &'a HostKey,
        policy: RetryPolicy,
        reporter: &'a RoomReporter<'a>,
    ) -> Self {
        Self { requests: SignedRequests::new(client, key, policy, reporter, api.is_trusted_path()), api }
    }

    /// The same, for a call that is not to be carried out later than now.
    pub fn without_retries(&self) -> Self {
        let policy = RetryPolicy { retries: 0, ..self.requests.policy };
        let shift_s = AtomicI64::new(self.requests.shift_s());
        Self { requests: SignedRequests { policy, shift_s, ..self.requests }, api: self.api }
    }

    /// `POST /:id/restart`: the new session, and the host's token for it.
    pub async fn restart(&self, id: &RoomId) -> Result<SignedReply<(Session, Secret)>, key::KeyError> {
        let url = self.api.restart(id);
        let sent = self.requests.send(&Method::POST, &url, None, Stage::Restart).await?;
        let sent = sent.map(|reply| answer::session(&reply, &url, id));
        Ok(SignedReply { result: sent.result.map_err(|error| self.with_policy(error)), ..sent })
    }

    /// `GET /:id`: a fresh token of the key's own. Nothing is changed.
    pub async fn token(&self, id: &RoomId) -> Result<SignedReply<Secret>, key::KeyError> {
        let url = self.api.room(id, "");
        let sent = self.requests.send(&Method::GET, &url, None, Stage::Look).await?;
        let token = |reply: HttpReply| answer::token(&answer::json::<TokenAnswer>(&reply, &url)?.token, reply.status);
        let sent = sent.map(token);
        Ok(SignedReply { result: sent.result.map_err(|error| self.with_policy(error)), ..sent })
    }

    /// `PUT /`: a new room. The status is that of the answer.
    pub async fn create(&self, wanted: &Create) -> Result<SignedReply<(Session, u16)>, key::KeyError> {
        let (url, body) = (self.api.url(), json!(wanted).to_string());
        let sent = self.requests.send(&Method::PUT, url, Some(body.as_bytes()), Stage::Create).await?;
        Ok(sent.map(|reply| Ok((answer::json(&reply, url)?, reply.status))))
    }

    /// `POST /:id/permissions`.
    pub async fn permissions(&self, id: &RoomId, wanted: &Permissions) -> Result<SignedReply<()>, key::KeyError> {
        let (url, body) = (self.api.room(id, "/permissions"), json!(wanted).to_string());
        let sent = self.requests.send(&Method::POST, &url, Some(body.as_bytes()), Stage::Grant).await?;
        Ok(sent.map(|reply| answer::done(&reply, &url)))
    }

    /// `DELETE /:id`.
    pub async fn delete(&self, id: &RoomId) -> Result<SignedReply<()>, key::KeyError> {
        let url = self.api.room(id, "");
        let sent = self.requests.send(&Method::DELETE, &url, None, Stage::Close).await?;
        Ok(sent.map(|reply| answer::done(&reply, &url)))
    }

    /// The event that is signed for a request now.
    pub fn event(&self, method: &Method, url: &Url, body: Option<&[u8]>) -> UnsignedEvent {
        self.requests.event(method, url, body)
    }

    /// The same error, with what is known of the attempts that led to it.
    fn with_policy(&self, error: ApiError) -> ApiError {
        match error {
            // Signed with the server's own time: the clock is not why it was refused.
            ApiError::Unauthorized { server_text, url, .. } if self.requests.shift_s() != 0 => {
                ApiError::Unauthorized { server_text, url, clock_ahead_s: None }
            }
            ApiError::RateLimited { server_text, retry_after, .. } => {
                ApiError::RateLimited { server_text, retry_after, policy: Some(self.requests.policy) }
            }
            other => other,
        }
    }
}

impl<'a> SignedRequests<'a> {
    pub fn new(
        client: &'a HttpClient,
        key: &'a HostKey,
        policy: RetryPolicy,
        reporter: &'a RoomReporter<'a>,
        trusted_path: bool,
    ) -> Self {
        Self { client, key, policy, reporter, trusted_path, shift_s: AtomicI64::default() }
    }

    /// The event that is signed for a request now.
    pub fn event(&self, method: &Method, url: &Url, body: Option<&[u8]>) -> UnsignedEvent {
        let created_at = Clock::default().now_s().saturating_add(self.shift_s());
        let request = nip98::Request { method: method.as_str(), url: url.as_str(), body };
        nip98::event(request, self.key.public_key(), created_at, &nonce())
    }

    /// Sends until there is an answer to keep. The body is JSON. Unlike a GET, what a gateway gave up on may be carried out.
    pub async fn send(
        &self,
        method: &Method,
        url: &Url,
        body: Option<&[u8]>,
        step: Stage,
    ) -> Result<SignedReply<HttpReply>, key::KeyError> {
        let reporter = self.reporter;
        let (mut attempts, mut retries, mut sent_ms) = (0, 0, 0);
        let (mut earlier, mut lost, mut asked_again) = (None, None, false);
        let reply = loop {
            attempts += 1;
            reporter.step(Stage::Sign);
            let signed = match self.key.sign(self.event(method, url, body)).await {
                Ok(signed) => signed,
                // What an earlier attempt may have done is not forgotten because a signer has gone meanwhile.
                Err(error) => match earlier.map(Ok).or(lost.map(Err)) {
                    Some(reply) if reporter.progress() == Progress::MayBeDone => {
                        reporter.warn(Warning::AttemptFailed { attempt: attempts, why: error.told() });
                        break reply;
                    }
                    _ => return Err(error),
                },
            };
            let authorization = nip98::authorization(&signed);
            reporter.step(step);
            reporter.detail(1, &format!("{method} {url} (attempt {attempts})"));
            let before = reporter.progress();
            reporter.advance(Progress::MayBeDone);
            if before < Progress::MayBeDone || attempts == 1 {
                sent_ms = Clock::default().now_ms();
            }
            let call = HttpRequest { method, url, authorization: Some(&authorization), body, limit: None };
            let sent = self.client.send_once(call).await;
            let again = sent.as_ref().is_err_and(|lost| lost.again);
            let reply = sent.map_err(|lost| lost.why);
            reporter.advance(before.max(progress_after(&reply)));
            reporter.detail(1, &described(&reply));
            if self.shift_s() == 0
                && let Some(ahead_s) = self.repairable(&reply)
            {
                self.shift_s.store(-ahead_s, Ordering::Relaxed);
                reporter.warn(Warning::ClockRepaired { ahead_s });
                continue;
            }
            if again && !asked_again {
                asked_again = true;
                continue;
            }
            retries += 1;
            let next = self.policy.next(&reply, retries, random());
            match (next, reply, earlier.take()) {
                (Next::Again(pause), reply, before) => {
                    match reply {
                        Ok(reply) => earlier = Some(reply),
                        Err(error) => (earlier, lost) = (before, Some(error)),
                    }
                    self.wait(pause).await;
                }
                // An answer says more than that a later attempt did not come through.
                (Next::Stop, Err(lost @ TransportError::Unreachable { .. }), Some(answer)) => {
                    reporter.warn(Warning::AttemptFailed { attempt: attempts, why: lost.to_string() });
                    break Ok(answer);
                }
                (Next::Stop, reply, _) => break reply,
            }
        };
        let answered_ms = reply.as_ref().map_or_else(|_| Clock::default().now_ms(), |reply| reply.received_ms);
        let date_ms = reply.as_ref().ok().and_then(|reply| reply.date_ms);
        let refused_as_signed = self.shift_s() != 0 && reply.as_ref().is_ok_and(|reply| reply.status == 401);
        let not_done = refused_as_signed || reporter.progress() < Progress::MayBeDone;
        let result = match reply {
            Ok(reply) if *method != Method::GET && is_unanswered(&reply) => {
                Err(TransportError::Unanswered(format!("the gateway gave up waiting (status {})", reply.status)).into())
            }
            reply => reply.map_err(ApiError::from),
        };
        Ok(SignedReply { result, not_done, attempts, sent_ms, answered_ms, date_ms })
    }

    /// Seconds that were added to the clock here when signing; none as long as nothing was wrong with it.
    pub fn shift_s(&self) -> i64 {
        self.shift_s.load(Ordering::Relaxed)
    }

    /// Seconds that our clock is ahead, if that may be why the signature was refused and the answer can be believed.
    fn repairable(&self, reply: &Result<HttpReply, TransportError>) -> Option<i64> {
        let reply = reply.as_ref().ok().filter(|reply| reply.status == 401 && self.trusted_path)?;
        let range = CLOCK_AHEAD_MIN..=CLOCK_AHEAD_MAX;
        reply.clock_ahead_s().filter(|ahead| range.contains(&ahead.unsigned_abs()))
    }

    async fn wait(&self, pause: Duration) {
        self.reporter.step(Stage::Wait);
        self.reporter.detail(1, &format!("next attempt in {pause:.1?}"));
        tokio::time::sleep(pause).await;
    }
}

fn described(reply: &Result<HttpReply, TransportError>) -> String {
    match reply {
        Ok(reply) if reply.status < 300 => format!("answer {} ({} bytes)", reply.status, reply.body.len()),
        Ok(reply) => format!("answer {} {}", reply.status, reply.text()),
        Err(lost) => lost.to_string(),
    }
}

/// What an answer to a request that changes something, or its absence, says about whether it was carried out.
fn progress_after(reply: &Result<HttpReply, TransportError>) -> Progress {
    match reply {
        Err(TransportError::Unreachable { .. } | TransportError::Unusable(_)) => Progress::NothingSent,
        Ok(reply) if matches!(reply.status, 300..=499 | 503) => Progress::Refused,
        _ => Progress::MayBeDone,
    }
}

/// In `0.0..1.0`.
fn random() -> f64 {
    f64::from(u32::try_from(secret::random() >> 32).unwrap_or_default()) / (f64::from(u32::MAX) + 1.0)
}
