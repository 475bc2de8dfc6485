//! `nest token`: a fresh token without a restart. The nest goes on as it is.

use std::sync::Arc;

use serde::Serialize;
use tokio::time::Instant;

use super::{Error, Job, NestKind, Stop, Warning, moq};
use crate::api::{ApiUrl, RoomId};
use crate::clock;
use crate::key::HostKey;
use crate::livekit::token::{self, Claims};
use crate::moq::auth::{AuthError, AuthReply};
use crate::relay::FetchedEvent;
use crate::reporter::{RoomReporter, Stage};
use crate::room::RoomRef;
use crate::secret::{Secret, exposed};

/// A token that was asked for.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Fetched {
    /// What carries the nest's sound.
    pub kind: NestKind,
    /// The id of the nest.
    pub room_id: String,
    /// The key's token.
    #[serde(serialize_with = "exposed")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub token: Secret,
    /// The API that gave it out; on Media over QUIC, the auth service.
    pub api: String,
    /// Hex public key: whose token it is.
    pub identity: String,
    /// Whether it may speak.
    pub may_publish: bool,
    /// Whether it may run the nest.
    pub is_admin: bool,
    /// How many requests were sent, or tried.
    pub attempts: u32,
    /// From the start of the work to its end, in milliseconds.
    pub elapsed_ms: u64,
    /// When the token ends, RFC 3339.
    pub expires_at: Option<String>,
    /// What the user should know although it worked.
    #[serde(skip)]
    pub warnings: Vec<Warning>,
}

/// Fetches a token for the key of the settings.
///
/// # Errors
/// See [`Error`]; nothing is restarted in any case.
pub async fn run(job: &Job<'_>, room: &RoomRef, stop: &Stop) -> Result<Fetched, Error> {
    let work = async {
        let since = Instant::now();
        let target = match job.target(room).await {
            Err(Error::OverQuic(event)) => return over_quic(job, room, &event, since).await,
            target => target?,
        };
        job.reporter.step(room.id.as_str(), Stage::Key);
        let key = job.key_of(room.host).await?;
        let fetched = fetch(job, &target.api, &room.id, &key).await;
        if let Err(Error::Api(error)) = &fetched {
            match job.absent(&target, Some(key.public_key()), error).await {
                Err(Error::OverQuic(event)) => return over_quic(job, room, &event, since).await,
                Err(Error::NotKnown) => return Err(Error::NotKnown),
                _ => {}
            }
        }
        let (token, attempts, warnings) = fetched?;
        let claims = token::decode(token.expose()).unwrap_or_default();
        Ok(Fetched {
            kind: NestKind::LiveKit,
            room_id: room.id.to_string(),
            api: target.api.to_string(),
            identity: key.public_key().to_hex(),
            may_publish: claims.may_publish(),
            is_admin: claims.video.as_ref().is_some_and(|video| video.room_admin),
            attempts,
            elapsed_ms: clock::millis(since.elapsed()),
            expires_at: expires_at(&claims),
            warnings,
            token,
        })
    };
    stop.unless(work).await
}

/// The token for the media relay of a nest on Media over QUIC.
async fn over_quic(job: &Job<'_>, room: &RoomRef, event: &FetchedEvent, since: Instant) -> Result<Fetched, Error> {
    job.reporter.step(room.id.as_str(), Stage::Key);
    let key = job.key_of(None).await?;
    let reporter = RoomReporter::new(job.reporter, room.id.as_str());
    let named = event.event.media_over_quic().and_then(|media| media.auth);
    let auth = named.map(str::to_owned).unwrap_or_default();
    let failed = |source| Error::Auth { auth: auth.clone(), source: Arc::new(source) };
    let url = moq::auth_address(named, job.settings().allow_http).map_err(|_| failed(AuthError::Address))?;
    let AuthReply { token, attempts, .. } = job.publish_token(event, &url, &key, &reporter).await?;
    let token = token.map_err(failed)?;
    let claims = token::decode(token.expose()).unwrap_or_default();
    Ok(Fetched {
        kind: NestKind::Moq,
        room_id: room.id.to_string(),
        api: auth,
        identity: key.public_key().to_hex(),
        may_publish: true,
        is_admin: key.public_key() == event.event.host(),
        attempts,
        elapsed_ms: clock::millis(since.elapsed()),
        expires_at: expires_at(&claims),
        warnings: reporter.take_warnings(),
        token,
    })
}

/// Asks for the token of `key`: the token, the number of requests, and warnings that were told already.
pub(super) async fn fetch(
    job: &Job<'_>,
    api: &ApiUrl,
    id: &RoomId,
    key: &HostKey,
) -> Result<(Secret, u32, Vec<Warning>), Error> {
    let reporter = RoomReporter::new(job.reporter, id.as_str());
    let sent = job.signed(api, key, &reporter).token(id).await.map_err(Arc::new)?;
    Ok((sent.result?, sent.attempts, reporter.take_warnings()))
}

/// When a token ends, RFC 3339, where it says so.
pub(super) fn expires_at(claims: &Claims) -> Option<String> {
    clock::rfc3339(claims.exp?.saturating_mul(1000))
}
