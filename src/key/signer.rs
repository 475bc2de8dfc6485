//! A remote signer (NIP-46): a program elsewhere that has the key, and signs what it is asked to over relays. The key
//! itself never comes here.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::unfold;
use nostr::nips::nip44;
use nostr::nips::nip46::{NostrConnectMessage, NostrConnectMethod};
use nostr::{Event, EventBuilder, EventId, Filter, JsonUtil as _, Keys, Kind, PublicKey, RelayUrl, Tag, UnsignedEvent};
use rustls::ClientConfig;
use serde::Serialize;
use serde_json::json;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::{Instant, timeout_at};
use zeroize::Zeroizing;

use super::npub;
use crate::net::reach::Reach;
use crate::net::relay::follow::{Follower, Heard, Publisher};
use crate::net::relay::{self, RelaySettings, RelayTrouble};
use crate::reporter::{Warning, locked};
use crate::secret::{excerpt, nonce};

/// After so long a person is told to look at the signer.
const PROMPT_AFTER: Duration = Duration::from_secs(3);

/// How long a signed request is of use (NIP-98: 60 s), with some time left to send it.
const FRESH_FOR: Duration = Duration::from_secs(55);

/// How often a relay may be lost in a row before it counts as out of reach.
const FAILURES_MAX: u32 = 2;

/// Requests that wait to be sent.
const CALLS_MAX: usize = 16;

/// Pages that a person is told of for one request.
const PAGES_MAX: usize = 3;

/// What can be encrypted (NIP-44), in bytes.
const MESSAGE_MAX: usize = 65_408;

/// Room for any request; what is longer is copied while it is written.
const MESSAGE_ROOM: usize = 4096;

/// The longest address of a page that a signer may have opened, in bytes.
const URL_MAX: usize = 2000;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignerError {
    /// None of its relays could be used; with what each of them said.
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    /// Its relays were there, and it said nothing.
    #[error("it did not answer within {} s", limit.as_secs_f32())]
    Silent { limit: Duration },
    /// It has answered in this run, and then no more.
    #[error("it answered, and then no more: nothing came within {} s", limit.as_secs_f32())]
    Gone { limit: Duration },
    /// It wants a person to approve it on a page, and nobody did in time.
    #[error("nobody approved it within {} s at {url}", limit.as_secs_f32())]
    NotApproved { url: String, limit: Duration },
    #[error("it refused: {0}")]
    Refused(String),
    /// `secret`: whether the URI had one.
    #[error("it did not take the pairing: {why}")]
    NotPaired { why: String, secret: bool },
    /// What it would have to sign is longer than it can be asked.
    #[error("{0} bytes are more than it can be asked to sign")]
    TooLong(usize),
    /// Servers accept the signature of a request for a minute.
    #[error("it signed only after {} s, and servers accept that for a minute", .0.as_secs())]
    TooLate(Duration),
    #[error("its answer to {0} makes no sense")]
    Nonsense(&'static str),
    /// What it returned is not what it was given, or the signature does not hold.
    #[error("it returned another event than the one to sign, or a signature that does not hold")]
    Forged,
    #[error("it signs as {}, not as {}", npub(signs), npub(expected))]
    OtherKey { signs: PublicKey, expected: PublicKey },
}

/// Hears what a person should know while a signer is waited for.
pub type Listener = Arc<dyn Fn(&Warning) + Send + Sync>;

/// How signers are reached.
#[derive(Clone)]
pub struct SignerNetwork {
    pub tls: Arc<ClientConfig>,
    /// Whether relays are accepted that are not encrypted and on other machines.
    pub allow_http: bool,
    /// How long one connection to a relay may take.
    pub relay_timeout: Duration,
    /// How long one answer may take: a person may have to approve it.
    pub limit: Duration,
    pub listener: Option<Listener>,
}

impl SignerNetwork {
    /// Relays of a signer are named by the user, and so may be anywhere. They are told who asks by the key of the client.
    pub(super) fn relays(&self, client: &Keys) -> RelaySettings {
        let keys = client.clone();
        let sign = move |event: UnsignedEvent| {
            let signed = event.sign_with_keys(&keys).map_err(|error| error.to_string());
            Box::pin(std::future::ready(signed)) as relay::Signing
        };
        RelaySettings {
            timeout: self.relay_timeout,
            tls: Arc::clone(&self.tls),
            reach: Reach::ANYWHERE,
            allow_http: self.allow_http,
            signer: Some(relay::Signer::new(client.public_key(), sign)),
        }
    }

    fn tell(&self, warning: &Warning) {
        if let Some(listener) = &self.listener {
            listener(warning);
        }
    }
}

impl fmt::Debug for SignerNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignerNetwork").field("limit", &self.limit).finish_non_exhaustive()
    }
}

/// What leads to a signer once it is paired with.
#[derive(Clone)]
pub struct SignerSession {
    /// The key that the signer knows this client by. It signs nothing else.
    pub client: Keys,
    pub signer: PublicKey,
    pub relays: Vec<RelayUrl>,
}

impl fmt::Debug for SignerSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignerSession")
            .field("signer", &self.signer)
            .field("relays", &self.relays)
            .finish_non_exhaustive()
    }
}

/// A signer that has been paired with. It is connected to when it is first asked, and all clones use the same connections.
#[derive(Clone)]
pub struct RemoteSigner {
    link: Arc<Link>,
    user: PublicKey,
}

impl RemoteSigner {
    /// Of a session that was kept; `user` is the key that it signs with.
    pub fn new(session: SignerSession, user: PublicKey, network: SignerNetwork) -> Self {
        Self::linked(Link::new(session, network), user)
    }

    /// Of a link that is there already.
    pub(super) fn linked(link: Link, user: PublicKey) -> Self {
        Self { link: Arc::new(link), user }
    }

    /// The key that it signs with.
    pub fn public_key(&self) -> PublicKey {
        self.user
    }

    pub fn session(&self) -> &SignerSession {
        &self.link.session
    }

    /// How long one answer may take.
    pub fn limit(&self) -> Duration {
        self.link.network.limit
    }

    /// Has the event signed. What comes back is compared with what was asked for, and its signature verified.
    ///
    /// # Errors
    /// Each way in which a signer fails has its own.
    pub async fn sign(&self, event: UnsignedEvent) -> Result<Event, SignerError> {
        let UnsignedEvent { pubkey, created_at, kind, tags, content, .. } = &event;
        let asked =
            json!({ "pubkey": pubkey, "created_at": created_at, "kind": kind, "tags": tags, "content": content });
        let since = Instant::now();
        let answer = self.link.ask(NostrConnectMethod::SignEvent, &[&asked.to_string()]).await?;
        if *kind == Kind::HttpAuth && since.elapsed() > FRESH_FOR {
            return Err(SignerError::TooLate(since.elapsed()));
        }
        let signed = Event::from_json(answer).map_err(|_| SignerError::Nonsense("a signature"))?;
        if signed.verify().is_err() {
            return Err(SignerError::Forged);
        }
        if signed.pubkey != event.pubkey {
            return Err(SignerError::OtherKey { signs: signed.pubkey, expected: event.pubkey });
        }
        let mut event = event;
        if signed.id == event.id() { Ok(signed) } else { Err(SignerError::Forged) }
    }

    /// Asks whether it is there.
    ///
    /// # Errors
    /// As [`RemoteSigner::sign`].
    pub async fn ping(&self) -> Result<(), SignerError> {
        self.link.ask(NostrConnectMethod::Ping, &[]).await.map(drop)
    }
}

impl fmt::Debug for RemoteSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteSigner").field("user", &npub(&self.user)).field("session", &self.link.session).finish()
    }
}

/// A session, and the task that has its connections.
pub(super) struct Link {
    pub session: SignerSession,
    network: SignerNetwork,
    calls: OnceLock<Sender<Call>>,
    standings: Arc<Mutex<Standings>>,
    /// Whether it has answered anything yet.
    answered: AtomicBool,
    /// Whether a person was told that it is waited for: once is enough.
    told: AtomicBool,
}

/// A request under way.
struct Call {
    id: String,
    message: Zeroizing<String>,
    /// The event that it is sent in, and the relays that have it. Signers tell by it that they have read it on two relays.
    event: Option<(Event, HashSet<RelayUrl>)>,
    /// The events that it was sent in before.
    before: Vec<EventId>,
    /// The relays that have not taken it, and why.
    refused: HashMap<RelayUrl, String>,
    heard: Sender<Answer>,
}

/// A request as it is written (NIP-46).
#[derive(Serialize)]
struct Request<'a> {
    id: &'a str,
    method: NostrConnectMethod,
    params: &'a [&'a str],
}

enum Answer {
    /// A page on which a person has to approve it.
    Page(String),
    Result(String),
    Error(String),
    /// No relay carries it; what each of them says.
    Unreachable(String),
}

impl Link {
    pub fn new(session: SignerSession, network: SignerNetwork) -> Self {
        let (answered, told) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { session, network, calls: OnceLock::new(), standings: Arc::default(), answered, told }
    }

    /// Asks the signer, and waits for the answer as long as the network's limit says.
    pub async fn ask(&self, method: NostrConnectMethod, params: &[&str]) -> Result<String, SignerError> {
        let limit = self.network.limit;
        let deadline = Instant::now() + limit;
        let id = nonce();
        // It may hold the secret of a pairing.
        let mut message = Zeroizing::new(Vec::with_capacity(MESSAGE_ROOM));
        let written = serde_json::to_writer(&mut *message, &Request { id: &id, method, params });
        let message = written.ok().and_then(|()| String::from_utf8(std::mem::take(&mut *message)).ok());
        let message = Zeroizing::new(message.ok_or(SignerError::Nonsense("nothing that it could be asked"))?);
        if message.len() > MESSAGE_MAX {
            return Err(SignerError::TooLong(message.len()));
        }
        let unreachable = || SignerError::Unreachable(locked(&self.standings).text(&self.session.relays, limit));
        let (sender, mut heard) = channel(CALLS_MAX);
        let calls = self.calls.get_or_init(|| self.connect());
        let call = Call { id, message, event: None, before: Vec::new(), refused: HashMap::new(), heard: sender };
        calls.send(call).await.map_err(|_| unreachable())?;
        let (mut page, mut pages, mut prompted) = (None, 0, false);
        loop {
            let until = if prompted { deadline } else { deadline.min(Instant::now() + PROMPT_AFTER) };
            match timeout_at(until, heard.recv()).await {
                Ok(Some(Answer::Result(result))) => {
                    self.answered.store(true, Ordering::Relaxed);
                    return Ok(result);
                }
                Ok(Some(Answer::Error(why))) => {
                    self.answered.store(true, Ordering::Relaxed);
                    return Err(SignerError::Refused(why));
                }
                Ok(Some(Answer::Page(url))) => {
                    // A relay may say the same again and again.
                    if page.as_ref() != Some(&url) && pages < PAGES_MAX {
                        self.network.tell(&Warning::ApproveAt { url: url.clone() });
                        pages += 1;
                    }
                    (page, prompted) = (Some(url), true);
                }
                Ok(Some(Answer::Unreachable(why))) => return Err(SignerError::Unreachable(why)),
                Ok(None) => return Err(unreachable()),
                Err(_) if Instant::now() < deadline => {
                    prompted = true;
                    if locked(&self.standings).any_usable() && !self.told.swap(true, Ordering::Relaxed) {
                        self.network.tell(&Warning::SignerAwaited { limit });
                    }
                }
                Err(_) => {
                    return Err(match page {
                        Some(url) => SignerError::NotApproved { url, limit },
                        None if !locked(&self.standings).any_usable() => unreachable(),
                        None if self.answered.load(Ordering::Relaxed) => SignerError::Gone { limit },
                        None => SignerError::Silent { limit },
                    });
                }
            }
        }
    }

    fn connect(&self) -> Sender<Call> {
        let (sender, calls) = channel(CALLS_MAX);
        let (session, settings) = (self.session.clone(), self.network.relays(&self.session.client));
        tokio::spawn(serve(session, settings, calls, Arc::clone(&self.standings)));
        sender
    }
}

impl Call {
    /// Hands it to a relay. One that has lost it gets it in a new event, if no other relay has it: a signer, and a relay, leave
    /// out an event that they know.
    async fn send(&mut self, session: &SignerSession, publisher: &Publisher, relay: &RelayUrl, usable: &[RelayUrl]) {
        let SignerSession { client, signer, .. } = session;
        if let Some((event, relays)) = &self.event
            && relays.contains(relay)
        {
            if relays.iter().any(|other| other != relay && usable.contains(other)) {
                return;
            }
            self.before.push(event.id);
            self.event = None;
        }
        if self.event.is_none() {
            let content = nip44::encrypt(client.secret_key(), signer, self.message.as_bytes(), nip44::Version::V2);
            let event = content.ok().and_then(|content| {
                EventBuilder::new(Kind::NostrConnect, content).tag(Tag::public_key(*signer)).sign_with_keys(client).ok()
            });
            self.event = event.map(|event| (event, HashSet::new()));
        }
        // The signer's key was looked at when it was read, and the length of the message when it was written.
        if let Some((event, relays)) = &mut self.event {
            self.refused.remove(relay);
            relays.insert(relay.clone());
            publisher.send(relay, event).await;
        }
    }

    fn was_sent_in(&self, id: EventId) -> bool {
        self.event.as_ref().is_some_and(|(event, _)| event.id == id) || self.before.contains(&id)
    }
}

/// Carries requests to the signer and answers back, until nobody asks any more. Answers to such events are not kept by
/// relays, so a request is sent to a relay only once that delivers; and again once it delivers again.
async fn serve(
    session: SignerSession,
    settings: RelaySettings,
    mut calls: Receiver<Call>,
    standings: Arc<Mutex<Standings>>,
) {
    let SignerSession { client, signer, relays } = &session;
    // Some relays keep such events after all, and those of earlier runs answer nothing.
    let answers = Filter::new().kind(Kind::NostrConnect).author(*signer).pubkey(client.public_key()).limit(CALLS_MAX);
    let follower = Follower::new(relays.clone(), vec![answers], settings).await;
    let publisher = follower.publisher();
    // Unlike a call of its own, this may be left and taken up again.
    let mut heard = pin!(unfold(follower, |mut follower| async { Some((follower.next().await, follower)) }));
    let mut open: HashMap<String, Call> = HashMap::new();
    loop {
        tokio::select! {
            call = calls.recv() => {
                let Some(mut call) = call else { return };
                let usable = locked(&standings).usable.clone();
                for relay in &usable {
                    call.send(&session, &publisher, relay, &usable).await;
                }
                open.insert(call.id.clone(), call);
            }
            Some((relay, heard)) = heard.next() => match heard {
                Heard::Stored => {
                    let usable = {
                        let mut standings = locked(&standings);
                        standings.usable(&relay);
                        standings.usable.clone()
                    };
                    // Nobody is asked for what nobody waits for any more.
                    open.retain(|_, call| !call.heard.is_closed());
                    for call in open.values_mut() {
                        call.send(&session, &publisher, &relay, &usable).await;
                    }
                }
                Heard::NotTaken { event, why } => {
                    if let Some(call) = open.values_mut().find(|call| call.was_sent_in(event)) {
                        call.refused.insert(relay, why);
                    }
                }
                Heard::Trouble(trouble) => locked(&standings).lost(&relay, trouble),
                Heard::Event(event) => {
                    if let Some(NostrConnectMessage::Response { id, result, error }) = read(client, *signer, &event.content)
                        && let Some(call) = open.remove(&id)
                    {
                        let answer = answer(result, error);
                        let more = matches!(answer, Answer::Page(_));
                        // However many pages it names, there is room for its answer.
                        if !more || call.heard.capacity() > 1 {
                            let _ = call.heard.try_send(answer);
                        }
                        if more {
                            open.insert(id, call);
                        }
                    }
                }
                Heard::Connected | Heard::Forged | Heard::Refused(_) | Heard::Challenge(_) => {}
            },
        }
        let standings = locked(&standings);
        open.retain(|_, call| {
            let why = standings.hopeless(relays, &call.refused);
            let over = why.is_some();
            // Whoever has asked may be gone.
            let _ = why.map(|why| call.heard.try_send(Answer::Unreachable(why)));
            !over && !call.heard.is_closed()
        });
    }
}

/// What this signer says to this client, if it can be read.
pub(super) fn read(client: &Keys, signer: PublicKey, content: &str) -> Option<NostrConnectMessage> {
    let message = nip44::decrypt(client.secret_key(), &signer, content).ok()?;
    NostrConnectMessage::from_json(message).ok()
}

/// Signers write an error in several ways; a page is in the place of the error.
fn answer(result: Option<String>, error: Option<String>) -> Answer {
    let error = error.filter(|error| !error.is_empty());
    match (result.as_deref(), error) {
        (Some("auth_url"), url) => match url.as_deref().and_then(page) {
            Some(url) => Answer::Page(url),
            None => Answer::Error("it names no page on which to approve it".into()),
        },
        (_, Some(error)) => Answer::Error(excerpt(&error)),
        (None | Some("error"), None) => Answer::Error("it does not say why".into()),
        (Some(_), None) => Answer::Result(result.unwrap_or_default()),
    }
}

/// The address of a page that a browser can be sent to.
fn page(text: &str) -> Option<String> {
    let url = url::Url::parse(text).ok().filter(|url| matches!(url.scheme(), "https" | "http") && url.has_host())?;
    Some(String::from(url)).filter(|url| url.len() <= URL_MAX)
}

/// How it stands with the relays of a signer.
#[derive(Default)]
pub(super) struct Standings {
    /// Those that deliver.
    usable: Vec<RelayUrl>,
    /// What went wrong last, and how often since it last delivered.
    lost: HashMap<RelayUrl, (RelayTrouble, u32)>,
}

impl Standings {
    pub fn usable(&mut self, relay: &RelayUrl) {
        self.lost.remove(relay);
        if !self.usable.contains(relay) {
            self.usable.push(relay.clone());
        }
    }

    pub fn lost(&mut self, relay: &RelayUrl, trouble: RelayTrouble) {
        self.usable.retain(|usable| usable != relay);
        // These will not be different the next time.
        let lasting = matches!(trouble, RelayTrouble::Insecure | RelayTrouble::Barred(_));
        let times = self.lost.get(relay).map_or(0, |(_, times)| *times) + if lasting { FAILURES_MAX } else { 1 };
        self.lost.insert(relay.clone(), (trouble, times));
    }

    pub fn any_usable(&self) -> bool {
        !self.usable.is_empty()
    }

    /// What each relay said, if none of them will carry a request that these have refused.
    pub fn hopeless(&self, relays: &[RelayUrl], refused: &HashMap<RelayUrl, String>) -> Option<String> {
        let lost = |relay| self.lost.get(relay).filter(|(_, times)| *times >= FAILURES_MAX);
        let why = |relay| {
            let refused = refused.get(relay).map(|why| RelayTrouble::Refused(why.clone()));
            refused.or_else(|| lost(relay).map(|(trouble, _)| trouble.clone()))
        };
        let all = relays.iter().map(|relay| Some(format!("{relay}: {}", why(relay)?)));
        all.collect::<Option<Vec<_>>>().map(|all| all.join("; "))
    }

    /// What each relay said.
    pub fn text(&self, relays: &[RelayUrl], limit: Duration) -> String {
        let silent = RelayTrouble::Silent(limit);
        let of = |relay| self.lost.get(relay).map_or(&silent, |(trouble, _)| trouble);
        relays.iter().map(|relay| format!("{relay}: {}", of(relay))).collect::<Vec<_>>().join("; ")
    }
}
