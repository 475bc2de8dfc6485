//! Sending what is signed: a fresh event for every attempt, the pauses between them, and one repair of the clock.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use nostr::UnsignedEvent;
use reqwest::Method;
use url::Url;

use crate::api::retry::Next;
use crate::api::{self, Base, Call, Client, Lost, Policy, Reply, answer};
use crate::clock::{self, Clock};
use crate::key::{self, HostKey};
use crate::nip98;
use crate::reporter::{Reporter, Step};
use crate::secret::Secret;

/// Below this the difference cannot be why a signature was refused; servers allow a minute, some half of it. Seconds.
const CLOCK_AHEAD_MIN: u64 = 20;

/// Above this it is not a clock that runs wrong, but one that lies. Seconds.
const CLOCK_AHEAD_MAX: u64 = 24 * 60 * 60;

/// How far a restart has come, for whoever has to say it when the work is cut short.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Progress {
    /// Nothing was sent.
    #[default]
    NothingSent,
    /// What was sent was refused.
    Refused,
    /// A request went out, and nobody has said that it was not carried out.
    MayBeDone,
}

/// Everything that one attempt needs.
pub(in crate::commands) struct Sender<'a> {
    pub client: &'a Client,
    pub key: &'a HostKey,
    pub policy: Policy,
    pub reporter: &'a dyn Reporter,
    /// The name that the reporter knows the room by.
    pub room: &'a str,
    /// What the reporter hears while a request is under way.
    pub step: Step,
    pub progress: &'a Mutex<Progress>,
    /// Seconds to add to the clock here, once it was found to be wrong.
    pub shift_s: AtomicI64,
}

/// What came of all attempts.
pub(in crate::commands) struct Outcome {
    /// Of the last attempt that was answered, or that may have been carried out; else of the last.
    pub reply: Result<Reply, Lost>,
    /// How many requests were sent, or tried.
    pub attempts: u32,
    /// The local clock just before the first one that may have been carried out, or else before the last, in
    /// milliseconds since the Unix epoch.
    pub sent_ms: i64,
    /// What the user should know.
    pub warnings: Vec<String>,
}

impl Outcome {
    /// The answer, unless it leaves open what happened.
    pub fn settled(self) -> Result<Reply, api::Error> {
        match self.reply {
            Ok(reply) if answer::is_unanswered(&Ok(reply.clone())) => {
                Err(Lost::Unanswered(format!("the gateway gave up waiting (status {})", reply.status)).into())
            }
            reply => Ok(reply?),
        }
    }
}

impl Sender<'_> {
    /// Sends `method` to `url` until there is an answer to keep.
    pub async fn send(&self, api: &Base, method: &Method, url: &Url) -> Result<Outcome, key::Error> {
        self.send_body(api, method, url, None).await
    }

    /// The same with a body, which is JSON.
    pub async fn send_body(
        &self,
        api: &Base,
        method: &Method,
        url: &Url,
        body: Option<&[u8]>,
    ) -> Result<Outcome, key::Error> {
        let mut warnings = Vec::new();
        let (mut attempts, mut retries, mut sent_ms) = (0, 0, 0);
        let mut answer = None;
        loop {
            attempts += 1;
            self.reporter.step(self.room, Step::Sign);
            let authorization = self.sign(method, url, body).await?;
            self.reporter.step(self.room, if method == Method::GET { Step::Look } else { self.step });
            self.reporter.detail(1, &format!("{method} {url} (attempt {attempts})"));
            let before = self.progress();
            self.advance(Progress::MayBeDone);
            if before < Progress::MayBeDone || attempts == 1 {
                sent_ms = Clock::default().now_ms();
            }
            let call = Call { method, url, authorization: Some(&authorization), body, limit: None };
            let reply = self.client.send(call).await;
            self.advance(before.max(meaning(&reply)));
            self.tell(&reply);
            if self.shift_s() == 0
                && let Some(ahead) = repairable(api, &reply)
            {
                self.shift_s.store(-ahead, Ordering::Relaxed);
                self.warn(&mut warnings, clock_warning(ahead));
                continue;
            }
            retries += 1;
            match self.policy.next(&reply, retries, random()) {
                Next::Again(pause) => {
                    answer = reply.ok().or(answer);
                    self.wait(pause).await;
                }
                Next::Stop => {
                    let reply = match (reply, answer) {
                        (Err(lost @ Lost::Unreachable { .. }), Some(earlier)) => {
                            self.warn(&mut warnings, format!("attempt {attempts}: {lost}"));
                            Ok(earlier)
                        }
                        (reply, _) => reply,
                    };
                    return Ok(Outcome { reply, attempts, sent_ms, warnings });
                }
            }
        }
    }

    /// How far it has come.
    pub fn progress(&self) -> Progress {
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Seconds that were added to the clock here when signing; none as long as nothing was wrong with it.
    pub fn shift_s(&self) -> i64 {
        self.shift_s.load(Ordering::Relaxed)
    }

    /// The same error, with what is known of the attempts that led to it.
    pub fn blamed(&self, error: api::Error) -> api::Error {
        match error {
            // Signed with the server's own time: the clock is not why it was refused.
            api::Error::Unauthorized { said, url, .. } if self.shift_s() != 0 => {
                api::Error::Unauthorized { said, url, clock_ahead_s: None }
            }
            api::Error::RateLimited { said, retry_after, .. } => {
                api::Error::RateLimited { said, retry_after, policy: Some(self.policy) }
            }
            other => other,
        }
    }

    fn advance(&self, progress: Progress) {
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner) = progress;
    }

    fn warn(&self, warnings: &mut Vec<String>, text: String) {
        self.reporter.warning(&text);
        warnings.push(text);
    }

    /// The `Authorization` value for one request now.
    async fn sign(&self, method: &Method, url: &Url, body: Option<&[u8]>) -> Result<Secret, key::Error> {
        let signed = self.key.sign(self.event(method, url, body)).await?;
        Ok(nip98::authorization(&signed))
    }

    /// The event that [`Self::sign`] signs.
    pub fn event(&self, method: &Method, url: &Url, body: Option<&[u8]>) -> UnsignedEvent {
        let created_at = Clock::default().now_s().saturating_add(self.shift_s());
        let request = nip98::Request { method: method.as_str(), url: url.as_str(), body };
        nip98::event(request, self.key.public_key(), created_at, &nonce())
    }

    fn tell(&self, reply: &Result<Reply, Lost>) {
        match reply {
            Ok(reply) => self.reporter.detail(1, &format!("answer {} {}", reply.status, brief(reply))),
            Err(lost) => self.reporter.detail(1, &lost.to_string()),
        }
    }

    async fn wait(&self, pause: Duration) {
        self.reporter.step(self.room, Step::Wait);
        self.reporter.detail(1, &format!("next attempt in {pause:.1?}"));
        tokio::time::sleep(pause).await;
    }
}

fn brief(reply: &Reply) -> String {
    if reply.status < 300 { format!("({} bytes)", reply.body.len()) } else { reply.text() }
}

/// What an answer to a restart, or its absence, says about whether the restart was carried out.
fn meaning(reply: &Result<Reply, Lost>) -> Progress {
    match reply {
        Err(Lost::Unreachable { .. } | Lost::Unusable(_)) => Progress::NothingSent,
        Ok(reply) if matches!(reply.status, 300..=499 | 503) => Progress::Refused,
        _ => Progress::MayBeDone,
    }
}

/// How far our clock is ahead, in seconds, if that may be why the signature was refused and the answer can be believed.
fn repairable(api: &Base, reply: &Result<Reply, Lost>) -> Option<i64> {
    let reply = reply.as_ref().ok().filter(|reply| reply.status == 401 && api.is_trusted_path())?;
    let range = CLOCK_AHEAD_MIN..=CLOCK_AHEAD_MAX;
    reply.clock_ahead_s().filter(|ahead| range.contains(&ahead.unsigned_abs()))
}

fn clock_warning(ahead: i64) -> String {
    let (apart, side) = (clock::span(ahead.saturating_abs() * 1000), if ahead > 0 { "ahead of" } else { "behind" });
    format!(
        "your clock is {apart} {side} the server's; signed again with the server's time. \
         Set the clock right: timedatectl set-ntp true"
    )
}

/// Sixteen random bytes in hex.
fn nonce() -> String {
    format!("{:016x}{:016x}", random_u64(), random_u64())
}

/// In `0.0..1.0`.
fn random() -> f64 {
    f64::from(u32::try_from(random_u64() >> 32).unwrap_or_default()) / (f64::from(u32::MAX) + 1.0)
}

fn random_u64() -> u64 {
    getrandom::u64().expect("the operating system has randomness")
}
