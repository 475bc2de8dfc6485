//! `/rtc/validate`: what a media server thinks of a token. Asking joins nobody and creates nothing.

use std::time::{Duration, Instant};

use reqwest::header::DATE;
use reqwest::{Method, StatusCode};
use url::Url;

use super::endpoint::Candidate;
use super::offset::Offset;
use crate::clock::{Clock, parse_http_date};
use crate::net::reach::{GuardedHttp, RequestError};
use crate::net::tls::TlsFailure;
use crate::secret::{Secret, excerpt};

/// A refusal echoes the token, and says why only after it.
const MAX_BODY: usize = 64 * 1024;

/// Why a media server does not let a token in. The texts are those of livekit-server 1.13.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenRefusal {
    #[error("it is signed with another secret than this media server's")]
    WrongSecret,
    #[error("it is signed by the API key {0:?}, which this media server does not have")]
    UnknownKey(String),
    /// `exp` is past, by the media server's clock.
    #[error("it has expired by this media server's clock")]
    Expired,
    /// `nbf` is to come, by the media server's clock.
    #[error("it is not valid yet by this media server's clock")]
    NotYetValid,
    #[error("it does not allow to join a room")]
    MayNotJoin,
    #[error("it is no token to this media server")]
    NotAToken,
    #[error("it did not arrive")]
    NoToken,
    #[error("it names no room")]
    NoRoomName,
    #[error("it names no participant")]
    NoIdentity,
    /// The room does not exist, and the server makes none on demand.
    #[error("there is no such room")]
    NoSuchRoom,
    #[error("{text} (status {status})")]
    Other { status: u16, text: String },
}

const REASONS: [(&str, TokenRefusal); 10] = [
    ("signature is invalid", TokenRefusal::WrongSecret),
    ("error in cryptographic primitive", TokenRefusal::WrongSecret),
    ("is expired", TokenRefusal::Expired),
    ("not valid yet", TokenRefusal::NotYetValid),
    ("permissions denied", TokenRefusal::MayNotJoin),
    ("invalid authorization token", TokenRefusal::NotAToken),
    ("no permissions to access the room", TokenRefusal::NoToken),
    ("no room name", TokenRefusal::NoRoomName),
    ("identity cannot be empty", TokenRefusal::NoIdentity),
    ("requested room does not exist", TokenRefusal::NoSuchRoom),
];

impl TokenRefusal {
    /// Reads the reason out of a refusal; `None` when it does not come from a LiveKit server.
    pub fn read(status: u16, body: &str) -> Option<Self> {
        // What stands before is the token.
        let why = body.rsplit_once("error:").map_or(body, |(_, why)| why).trim();
        if let Some((_, key)) = why.split_once("invalid API key:") {
            return Some(Self::UnknownKey(excerpt(key.trim())));
        }
        let known = REASONS.iter().find(|(text, _)| why.contains(text)).map(|(_, refusal)| refusal.clone());
        let told = matches!(status, 400 | 401 | 403) && !why.is_empty() && !why.contains('<');
        known.or_else(|| told.then(|| Self::Other { status, text: excerpt(why) }))
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValidateError {
    #[error("{0}")]
    Unreachable(String),
    #[error("no answer within {} ms", .0.as_millis())]
    TimedOut(Duration),
    /// Something answered that is no LiveKit server, or an error in front of one.
    #[error("what answers there is no LiveKit server (status {0})")]
    NotLiveKit(u16),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidateAnswer {
    pub verdict: Result<(), TokenRefusal>,
    /// How far its clock is from the one here (its `Date` has whole seconds).
    pub clock: Option<Offset>,
    /// From the request to the end of the answer.
    pub elapsed: Duration,
}

/// Shows a token to the media server at `candidate`; waits `limit` at most. Without a token LiveKit refuses in its own
/// words, which tells that it is one. `http` must not follow redirects.
pub async fn ask(
    http: &GuardedHttp,
    candidate: &Candidate,
    token: Option<&Secret>,
    limit: Duration,
    clock: Clock,
) -> Result<ValidateAnswer, ValidateError> {
    let mut url = candidate.with_path("/rtc/validate", true);
    if let Some(token) = token {
        url.query_pairs_mut().append_pair("access_token", token.expose());
    }
    tokio::time::timeout(limit, get(http, url, clock)).await.unwrap_or(Err(ValidateError::TimedOut(limit)))
}

async fn get(http: &GuardedHttp, url: Url, clock: Clock) -> Result<ValidateAnswer, ValidateError> {
    let started = Instant::now();
    let MediaAnswer { status, body, clock } =
        fetch(http, http.request(Method::GET, url), clock).await.map_err(ValidateError::Unreachable)?;
    let body = String::from_utf8_lossy(&body);
    let no_livekit = ValidateError::NotLiveKit(status.as_u16());
    let verdict = match status {
        StatusCode::OK if body.trim() == "success" => Ok(()),
        StatusCode::OK => return Err(no_livekit),
        _ => Err(TokenRefusal::read(status.as_u16(), &body).ok_or(no_livekit)?),
    };
    Ok(ValidateAnswer { verdict, clock, elapsed: started.elapsed() })
}

/// An answer of a media server.
pub(super) struct MediaAnswer {
    pub status: StatusCode,
    /// Not more of it than is to be believed.
    pub body: Vec<u8>,
    /// How far its clock is from the one here.
    pub clock: Option<Offset>,
}

/// Sends a request to a media server; an error never holds the URL, in which a token may be.
pub(super) async fn fetch(
    http: &GuardedHttp,
    request: reqwest::RequestBuilder,
    clock: Clock,
) -> Result<MediaAnswer, String> {
    let sent_ms = clock.now_ms();
    let mut response = http.send(request).await.map_err(|error| match error {
        RequestError::Barred(barred) => barred.to_string(),
        RequestError::Http(error) => unreachable(error),
    })?;
    let received_ms = clock.now_ms();
    let status = response.status();
    let date = response.headers().get(DATE).and_then(|date| parse_http_date(date.to_str().ok()?));
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        let room = MAX_BODY - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if body.len() == MAX_BODY {
            break;
        }
    }
    let clock = date.map(|date| Offset::from_reading(date, 1000, sent_ms, received_ms));
    Ok(MediaAnswer { status, body, clock })
}

/// The error without the URL, which holds the token.
#[expect(clippy::needless_pass_by_value, reason = "it is used up")]
fn unreachable(error: reqwest::Error) -> String {
    if let Some(failure) = TlsFailure::behind(&error) {
        return failure.to_string();
    }
    let mut innermost: &dyn std::error::Error = &error;
    while let Some(deeper) = innermost.source() {
        innermost = deeper;
    }
    if innermost.downcast_ref().is_some_and(hyper::Error::is_incomplete_message) {
        return "the connection was lost before there was an answer".into();
    }
    excerpt(&innermost.to_string())
}
