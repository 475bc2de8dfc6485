//! LiveKit access tokens: JWTs signed with HS256.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::Sha256;

use crate::secret::Secret;

/// How far clocks may be apart, in seconds, before LiveKit refuses a token.
const LEEWAY_S: i64 = 60;

/// What a token allows. `None` leaves the grant out, which LiveKit takes for no (`canPublish`, `canSubscribe`: yes).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Grants {
    pub room: Option<String>,
    pub room_join: Option<bool>,
    pub can_publish: Option<bool>,
    pub can_subscribe: Option<bool>,
    pub room_admin: Option<bool>,
    pub room_record: Option<bool>,
    pub room_create: Option<bool>,
    pub room_list: Option<bool>,
    /// Nobody else in the room sees the participant.
    pub hidden: Option<bool>,
}

/// What a room is like that LiveKit makes, or takes up again, when somebody joins with a token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RoomConfig {
    /// Seconds until it closes if nobody comes.
    pub empty_timeout: u32,
    /// Seconds until it closes once everybody has left.
    pub departure_timeout: u32,
    pub max_participants: u32,
}

impl RoomConfig {
    pub(super) fn of(room: &livekit_protocol::Room) -> Self {
        let livekit_protocol::Room { empty_timeout, departure_timeout, max_participants, .. } = *room;
        Self { empty_timeout, departure_timeout, max_participants }
    }
}

/// The claims of a token. Times in seconds since the Unix epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Claims {
    pub sub: String,
    pub iss: String,
    /// Not valid after this time; a token without one never expires.
    pub exp: Option<i64>,
    pub nbf: Option<i64>,
    /// The name that others in the room see.
    pub name: String,
    /// What kind of participant it is; empty for a person.
    pub kind: String,
    pub video: Option<Grants>,
    #[serde(rename = "roomConfig")]
    pub room_config: Option<RoomConfig>,
    /// For the application: here a JSON object as text.
    pub metadata: String,
    /// Of a webhook: the base64 of the hash of its body.
    pub sha256: String,
}

/// Why a token is not accepted, in LiveKit's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("invalid authorization token")]
    Malformed,
    #[error("invalid API key: {0}")]
    UnknownKey(String),
    /// LiveKit echoes the whole token.
    #[error("invalid token: {token}, error: {why}")]
    Invalid { token: String, why: String },
}

/// An API key and its secret, which mint and verify tokens.
#[derive(Clone, Debug)]
pub struct Issuer {
    pub key: String,
    pub secret: Secret,
}

impl Issuer {
    /// A token with these claims, `iss` being this key.
    pub fn mint(&self, claims: &Claims) -> String {
        let claims = Claims { iss: self.key.clone(), ..claims.clone() };
        let mut json = serde_json::json!(claims);
        leave_out_empty(&mut json);
        let [header, json] =
            [r#"{"alg":"HS256","typ":"JWT"}"#, &json.to_string()].map(|part| URL_SAFE_NO_PAD.encode(part));
        let signed = format!("{header}.{json}");
        let signature = URL_SAFE_NO_PAD.encode(self.mac(&signed).finalize().into_bytes());
        format!("{signed}.{signature}")
    }

    /// The claims of a token of this issuer that is valid at `now_s`.
    pub fn verify(&self, token: &str, now_s: i64) -> Result<Claims, TokenError> {
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
        let (alg, claims) = read(signed).ok_or(TokenError::Malformed)?;
        if claims.iss != self.key {
            return Err(TokenError::UnknownKey(claims.iss));
        }
        let invalid = |why: &str| Err(TokenError::Invalid { token: token.to_owned(), why: why.to_owned() });
        if alg != "HS256" {
            return invalid(&format!("token signature is invalid: signing method {alg} is invalid"));
        }
        let genuine = URL_SAFE_NO_PAD.decode(signature).is_ok_and(|s| self.mac(signed).verify_slice(&s).is_ok());
        if !genuine {
            return invalid("token signature is invalid: signature is invalid");
        }
        let expired = claims.exp.is_some_and(|exp| exp.saturating_add(LEEWAY_S) <= now_s).then_some("token is expired");
        let early =
            claims.nbf.is_some_and(|nbf| nbf.saturating_sub(LEEWAY_S) > now_s).then_some("token is not valid yet");
        let wrong: Vec<_> = expired.into_iter().chain(early).collect();
        if !wrong.is_empty() {
            return invalid(&format!("token has invalid claims: {}", wrong.join(", ")));
        }
        Ok(claims)
    }

    fn mac(&self, signed: &str) -> Hmac<Sha256> {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(self.secret.expose().as_bytes()).expect("HMAC takes keys of any length");
        mac.update(signed.as_bytes());
        mac
    }
}

fn leave_out_empty(json: &mut Value) {
    if let Value::Object(fields) = json {
        fields.retain(|_, value| !value.is_null() && value != "");
        fields.values_mut().for_each(leave_out_empty);
    }
}

/// The algorithm and the claims of `header.claims`, unverified.
fn read(signed: &str) -> Option<(String, Claims)> {
    let (header, claims) = signed.split_once('.')?;
    let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
    let claims = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
    Some((header.get("alg")?.as_str()?.to_owned(), claims))
}
