//! `nest token`: a fresh token without a restart. The nest goes on as it is.

use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Mutex};

use reqwest::Method;
use serde::Serialize;
use tokio::time::Instant;

use super::keys::Keys;
use super::restart::Progress;
use super::restart::attempt::Sender;
use super::target::Finder;
use super::{Error, Settings, Stop};
use crate::api::{self, Base, Client, RoomId, answer};
use crate::clock;
use crate::key::HostKey;
use crate::livekit::token::{self, Claims};
use crate::reporter::{Reporter, Step};
use crate::room::RoomRef;
use crate::secret::Secret;

/// A token that was asked for.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Fetched {
    /// The nest.
    pub room_id: String,
    /// The key's token.
    #[serde(serialize_with = "exposed")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub token: Secret,
    /// The API.
    pub api: String,
    /// Hex public key: whose token it is.
    pub identity: String,
    /// Whether it may speak.
    pub may_publish: bool,
    /// Whether it may run the nest.
    pub is_admin: bool,
    /// Requests sent.
    pub attempts: u32,
    /// From the start of the work to its end, in milliseconds.
    pub elapsed_ms: u64,
    /// When the token ends, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// What the user should know although it worked.
    pub warnings: Vec<String>,
}

fn exposed<S: serde::Serializer>(token: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(token.expose())
}

/// Fetches a token for the key of the settings.
///
/// # Errors
/// See [`Error`]; nothing is restarted in any case.
pub async fn run(settings: &Settings, room: &RoomRef, reporter: &dyn Reporter, stop: &Stop) -> Result<Fetched, Error> {
    let work = async {
        let since = Instant::now();
        let client = Client::new(settings.network.clone()).map_err(api::Error::from)?;
        let keys = Keys::new(settings, reporter);
        let target = Finder { settings, keys: &keys, reporter }.target(room).await?;
        reporter.step(room.id.as_str(), Step::Key);
        let key = keys.of(room.host).await?;
        let (token, attempts, warnings) = fetch(settings, &client, &target.api, &room.id, &key, reporter).await?;
        let claims = token::decode(token.expose()).unwrap_or_default();
        Ok(Fetched {
            room_id: room.id.to_string(),
            api: target.api.to_string(),
            identity: key.public_key().to_hex(),
            may_publish: claims.may_publish(),
            is_admin: claims.video.as_ref().is_some_and(|video| video.room_admin),
            attempts,
            elapsed_ms: u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX),
            expires_at: expires_at(&claims),
            warnings,
            token,
        })
    };
    stop.unless(work).await
}

/// Asks for the token of `key`: the token, the number of requests, and warnings that were told already.
pub(super) async fn fetch(
    settings: &Settings,
    client: &Client,
    api: &Base,
    id: &RoomId,
    key: &HostKey,
    reporter: &dyn Reporter,
) -> Result<(Secret, u32, Vec<String>), Error> {
    let progress = Mutex::<Progress>::default();
    let sender = Sender {
        client,
        key,
        policy: settings.retry,
        reporter,
        room: id.as_str(),
        step: Step::Look,
        progress: &progress,
        shift_s: AtomicI64::default(),
    };
    let url = api.room(id, "");
    let outcome = sender.send(api, &Method::GET, &url).await.map_err(Arc::new)?;
    let reply = outcome.reply.map_err(api::Error::from)?;
    let token = answer::fresh_token(&reply, &url).map_err(|error| sender.blamed(error))?;
    Ok((token, outcome.attempts, outcome.warnings))
}

fn expires_at(claims: &Claims) -> Option<String> {
    clock::rfc3339(claims.exp?.saturating_mul(1000))
}
