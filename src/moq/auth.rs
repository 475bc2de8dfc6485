//! The auth service of a nest on Media over QUIC, as upstream's moq-auth: a signed request (NIP-98) gets a token for the
//! media relay.

use nostr::PublicKey;
use nostr::nips::nip01::Coordinate;
use reqwest::Method;
use serde_json::{Value, json};
use url::Url;

use super::namespace;
use crate::api::answer::{self, ApiError};
use crate::api::signed::SignedRequests;
use crate::api::wire::TokenAnswer;
use crate::key;
use crate::livekit::token as jwt;
use crate::reporter::Stage;
use crate::secret::Secret;

/// Why there is no token to publish with.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// The event names none, or none that may be asked: a token would travel in the clear.
    #[error("there is no auth service that may be asked")]
    Address,
    /// It was not asked: it takes no such id in the name of a nest.
    #[error("the auth service takes no such id")]
    NestId,
    /// What it answered, or why it did not.
    #[error(transparent)]
    Answer(#[from] ApiError),
    /// There is a token, but not for speaking in this nest with this key.
    #[error("its token is not for speaking in this nest")]
    OtherGrant,
}

/// What came of asking for a token.
pub(crate) struct AuthReply {
    pub token: Result<Secret, AuthError>,
    /// Requests that were sent, or tried.
    pub attempts: u32,
    /// Seconds that the service's clock is ahead of the one here, where that had to be found out.
    pub ahead_s: i64,
}

/// The token with which the host speaks in the nest, for some minutes.
///
/// # Errors
/// That of the key.
pub(crate) async fn publish_token(
    requests: &SignedRequests<'_>,
    auth: &Url,
    nest: &Coordinate,
    host: PublicKey,
) -> Result<AuthReply, key::KeyError> {
    let Some(namespace) = namespace(nest) else {
        return Ok(AuthReply { token: Err(AuthError::NestId), attempts: 0, ahead_s: 0 });
    };
    let url = token_url(auth);
    let body = json!({ "namespace": namespace, "publish": true }).to_string();
    let sent = requests.send(&Method::POST, &url, Some(body.as_bytes()), Stage::Look).await?;
    let token = sent.result.and_then(|reply| {
        let TokenAnswer { token } = answer::json(&reply, &url)?;
        answer::token(&token, reply.status)
    });
    let token = token
        .map_err(AuthError::from)
        .and_then(|token| if grants(&token, &namespace, host) { Ok(token) } else { Err(AuthError::OtherGrant) });
    Ok(AuthReply { token, attempts: sent.attempts, ahead_s: requests.shift_s() })
}

/// Where it gives tokens, below the address that the event names.
pub fn token_url(auth: &Url) -> Url {
    below(auth, "/auth")
}

/// Where it has the keys by which relays know its tokens (RFC 7517).
pub fn keys_url(auth: &Url) -> Url {
    below(auth, "/.well-known/jwks.json")
}

fn below(auth: &Url, path: &str) -> Url {
    let mut url = auth.clone();
    url.set_path(&format!("{}{path}", auth.path().trim_end_matches('/')));
    url.set_query(None);
    url.set_fragment(None);
    url
}

/// Whether a token lets this key speak in this nest, by its own words: `root` is the nest, `put` what may be published there.
fn grants(token: &Secret, namespace: &str, host: PublicKey) -> bool {
    let Ok(claims) = jwt::payload(token.expose()) else { return false };
    let host = host.to_hex();
    let speaks = claims.get("put").and_then(Value::as_array).is_some_and(|put| put.iter().any(|name| *name == *host));
    claims.get("root").is_some_and(|root| *root == *namespace) && speaks
}
