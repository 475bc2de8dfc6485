//! The check of a nest on Media over QUIC: nothing is joined, but what listeners need is asked whether it is there.

use std::time::Duration;

use futures_util::future::join;
use serde::Serialize;
use url::Url;

use crate::api::{HttpClient, HttpRequest, TransportError};
use crate::clock::Clock;
use crate::livekit::Verdict;
use crate::net::{is_loopback, quic};
use crate::relay::{MediaOverQuic, RoomEvent, Status as RoomStatus};
use crate::report::{Status, Step};

/// Limit of each question.
const LIMIT: Duration = Duration::from_secs(5);

/// What was seen of what such a nest needs. As JSON it is without its steps, whose words are made elsewhere.
#[derive(Debug, Serialize)]
pub struct MoqReport {
    /// Nothing is joined: `Joinable` says that all that was asked is there.
    pub verdict: Verdict,
    /// The media relay, as the event names it.
    pub endpoint: Option<String>,
    /// Event, relay, auth service, media.
    #[serde(skip)]
    pub steps: Vec<Step<MoqFinding>>,
}

/// What a step found. Whether that is good or bad, the step's status says.
#[derive(Debug)]
pub enum MoqFinding {
    /// The event alone makes such a nest live. `over`: closed, ended, or past its end.
    Event {
        status: String,
        over: bool,
    },
    NoRelay,
    NoRelayAddress(String),
    /// Whether it speaks QUIC on that UDP port.
    Relay {
        relay: String,
        port: u16,
        answer: Result<quic::QuicAnswer, quic::QuicError>,
    },
    NoAuth,
    NoAuthAddress(String),
    /// It was not asked: tokens would travel in the clear.
    AuthCleartext(String),
    /// The auth service's HTTP status, or why it could not be asked.
    Auth(String, Result<u16, TransportError>),
    /// Nobody has listened: `nest` does not speak Media over QUIC.
    NotSpoken,
}

type Judged = (Status, MoqFinding, Option<Duration>);

/// Asks the relay and its auth service.
pub(super) async fn check(
    event: &RoomEvent,
    media: MediaOverQuic<'_>,
    client: &HttpClient,
    allow_http: bool,
) -> MoqReport {
    let limit = LIMIT.min(client.network().timeout);
    let (relay, auth) = join(relay(media.relay, limit), auth(media.auth, client, allow_http, limit)).await;
    let spoken = (Status::NotChecked, MoqFinding::NotSpoken, None);
    let steps = [("event", event_step(event)), ("relay", relay), ("auth", auth), ("media", spoken)];
    let failed = steps.iter().any(|(_, (status, ..))| *status == Status::Failed);
    MoqReport {
        verdict: if failed { Verdict::Unhealthy } else { Verdict::Joinable },
        endpoint: media.relay.map(str::to_owned),
        steps: steps.map(|(name, (status, finding, elapsed))| Step { name, status, elapsed, finding }).into(),
    }
}

fn event_step(event: &RoomEvent) -> Judged {
    let over = event.is_over(Clock::default().now_s());
    let status = match event.status().is_open() || event.status() == RoomStatus::Planned {
        _ if over => Status::Failed,
        true => Status::Passed,
        false => Status::Warned,
    };
    (status, MoqFinding::Event { status: event.status().as_str().to_owned(), over }, None)
}

async fn relay(named: Option<&str>, limit: Duration) -> Judged {
    let Some(text) = named else { return (Status::Failed, MoqFinding::NoRelay, None) };
    let url = Url::parse(text).ok();
    let Some((host, port)) = url.as_ref().and_then(|url| Some((url.host_str()?, url.port_or_known_default()?))) else {
        return (Status::Failed, MoqFinding::NoRelayAddress(text.into()), None);
    };
    let answer = quic::ask(host.trim_matches(['[', ']']), port, limit).await;
    let status = if answer.is_ok() { Status::Passed } else { Status::Failed };
    let elapsed = answer.as_ref().ok().map(|answer| answer.elapsed);
    (status, MoqFinding::Relay { relay: text.into(), port, answer }, elapsed)
}

async fn auth(named: Option<&str>, client: &HttpClient, allow_http: bool, limit: Duration) -> Judged {
    let Some(text) = named else { return (Status::NotChecked, MoqFinding::NoAuth, None) };
    let Some(url) = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https")) else {
        return (Status::Failed, MoqFinding::NoAuthAddress(text.into()), None);
    };
    if url.scheme() == "http" && !allow_http && !is_loopback(&url) {
        return (Status::Failed, MoqFinding::AuthCleartext(text.into()), None);
    }
    let started = tokio::time::Instant::now();
    let answer = client.send(HttpRequest::get(&url).within(limit)).await.map(|reply| reply.status);
    // It may well want more than a bare question.
    let well = matches!(answer, Ok(..500));
    let status = if well { Status::Passed } else { Status::Failed };
    (status, MoqFinding::Auth(text.into(), answer), well.then(|| started.elapsed()))
}
