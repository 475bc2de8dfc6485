//! What an answer of the API means.

use std::time::Duration;

use serde::de::DeserializeOwned;
use url::Url;

use super::address::RoomId;
use super::http::HttpReply;
use super::retry::RetryPolicy;
use super::transport::TransportError;
use super::wire::Session;
use crate::livekit::token as jwt;
use crate::secret::{Secret, scrub};

/// An answer that is not the one asked for.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApiError {
    /// 401: the signature was not accepted.
    #[error("the API rejected the signature")]
    Unauthorized {
        server_text: String,
        url: String,
        /// How far our clock is ahead of the server's, in seconds.
        clock_ahead_s: Option<i64>,
    },
    /// 403: somebody else's nest.
    #[error("the API says that this key is not the host's")]
    Forbidden { server_text: String },
    /// 404, in its several meanings.
    #[error("{missing}")]
    NotFound {
        /// What is not there.
        missing: Missing,
        url: String,
        server_text: String,
    },
    /// 429: too many requests from this address, or with this key.
    #[error("the API takes no more requests from this address for now")]
    RateLimited {
        server_text: String,
        /// How long it asks us to wait.
        retry_after: Option<Duration>,
        /// How the request was sent again, if it was one that is.
        policy: Option<RetryPolicy>,
    },
    /// 5xx, or a 4xx that has no meaning of its own here.
    #[error("the API failed with status {status}")]
    Server {
        status: u16,
        /// What the server says; empty for HTML.
        server_text: String,
        /// How long it asks us to wait.
        retry_after: Option<Duration>,
    },
    /// 3xx. Following it would turn POST into GET or hand the signature to somebody else.
    #[error("the API redirects to {target}, and redirects are not followed")]
    Redirect { status: u16, url: String, target: String },
    #[error("the API answered {status} {why}")]
    Nonsense { status: u16, why: String },
    #[error("the API created a new room {new}; your links still point to {asked}")]
    OtherRoom { new: String, asked: String },
    #[error(transparent)]
    Transport(#[from] TransportError),
}

/// What a 404 says is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Missing {
    /// The record: it lives 24 h from its last write.
    Record,
    /// The audio room. Also what the API says when its media server is down.
    AudioRoom,
    /// The endpoint: an old server, or no Nests API at all.
    Endpoint,
    /// Any of these: the answer that says it did not come whole.
    Unsaid,
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Record => "the server no longer has this nest",
            Self::AudioRoom => "this nest has no audio room at the moment",
            Self::Endpoint => "this server has no such endpoint",
            Self::Unsaid => "the API answered 404, and nobody knows what is missing",
        })
    }
}

impl ApiError {
    /// Whether a question about a nest was answered with no. Only a 404 of the API's own about a nest says that: one of
    /// another kind (no such endpoint, an answer that broke off) and all other failures say nothing.
    pub fn says_absent(&self) -> bool {
        matches!(self, Self::NotFound { missing: Missing::Record | Missing::AudioRoom, .. })
    }

    /// Whether the API says that it has no record of the nest, for which a restart is of no use.
    pub fn says_no_record(&self) -> bool {
        matches!(self, Self::NotFound { missing: Missing::Record, .. })
    }

    /// The HTTP status behind it, where there was an answer.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Unauthorized { .. } => Some(401),
            Self::Forbidden { .. } => Some(403),
            Self::NotFound { .. } => Some(404),
            Self::RateLimited { .. } => Some(429),
            Self::Server { status, .. } | Self::Redirect { status, .. } | Self::Nonsense { status, .. } => {
                Some(*status)
            }
            Self::OtherRoom { .. } => Some(200),
            Self::Transport(_) => None,
        }
    }
}

/// Whether an answer leaves open what happened: a gateway that gave up waiting may have passed the request on. 520 and 524
/// are Cloudflare's: an empty answer from the server behind, and none in time.
pub(super) fn is_unanswered(reply: &HttpReply) -> bool {
    matches!(reply.status, 504 | 520 | 524)
}

/// The JSON of a success, or what the failure means. `url` is what was asked.
///
/// # Errors
/// All of [`ApiError`] but `Transport` and `OtherRoom`.
pub fn json<T: DeserializeOwned>(reply: &HttpReply, url: &Url) -> Result<T, ApiError> {
    let HttpReply { status, .. } = *reply;
    let server_text = reply.text();
    match status {
        200..=299 => parse(reply),
        300..=399 => {
            let target = reply.location.as_deref().map(|to| url.join(to).map_or(to.to_owned(), String::from));
            let target = target.map_or("nowhere".into(), |to| scrub(&to).into_owned());
            Err(ApiError::Redirect { status, url: url.to_string(), target })
        }
        401 => Err(ApiError::Unauthorized { server_text, url: url.to_string(), clock_ahead_s: reply.clock_ahead_s() }),
        403 => Err(ApiError::Forbidden { server_text }),
        404 => Err(ApiError::NotFound { missing: missing(reply, &server_text), url: url.to_string(), server_text }),
        429 => Err(ApiError::RateLimited { server_text, retry_after: reply.retry_after, policy: None }),
        _ => Err(ApiError::Server { status, server_text, retry_after: reply.retry_after }),
    }
}

/// What a success without anything to read means, or a failure.
pub fn done(reply: &HttpReply, url: &Url) -> Result<(), ApiError> {
    if (200..300).contains(&reply.status) { Ok(()) } else { json::<serde::de::IgnoredAny>(reply, url).map(drop) }
}

fn parse<T: DeserializeOwned>(reply: &HttpReply) -> Result<T, ApiError> {
    let nonsense = |why: &str| ApiError::Nonsense { status: reply.status, why: why.into() };
    if reply.oversized {
        return Err(nonsense("with more than a mebibyte, which no Nests API does"));
    }
    serde_json::from_slice(&reply.body).map_err(|_| {
        nonsense(match reply.body.first() {
            None => "without a body",
            Some(b'<') => "with a web page: this is not the address of a Nests API",
            Some(_) => "with something that is no answer of a Nests API",
        })
    })
}

fn missing(reply: &HttpReply, server_text: &str) -> Missing {
    let server_text = server_text.to_ascii_lowercase();
    if !reply.is_whole() {
        Missing::Unsaid
    } else if server_text.contains("no longer active") {
        Missing::AudioRoom
    } else if server_text.contains("nest not found") {
        Missing::Record
    } else {
        Missing::Endpoint
    }
}

/// A restarted room's session: the token is usable, and the room is the one that was asked for.
///
/// # Errors
/// As [`json`]; [`ApiError::Nonsense`] without a token, [`ApiError::OtherRoom`].
pub fn session(reply: &HttpReply, url: &Url, asked: &RoomId) -> Result<(Session, Secret), ApiError> {
    let session: Session = json(reply, url)?;
    let token = token(&session.token, reply.status)?;
    if session.room_id != asked.as_str() {
        let new = scrub(&session.room_id).chars().take(100).collect();
        return Err(ApiError::OtherRoom { new, asked: asked.to_string() });
    }
    Ok((session, token))
}

/// A JWT, of which nothing but its shape is known; an old commit of the server sent `{}`.
pub(crate) fn token(value: &serde_json::Value, status: u16) -> Result<Secret, ApiError> {
    let text = value.as_str().filter(|text| text.len() < 16_384 && jwt::parts(text).is_ok());
    text.map(Secret::new).ok_or_else(|| ApiError::Nonsense { status, why: "without a usable token".into() })
}
