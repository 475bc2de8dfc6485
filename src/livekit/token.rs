//! What a LiveKit token says of itself. Nothing is verified: only the media server can do that. Pure.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde_json::{Map, Value};

/// What LiveKit forgives on `exp` and `nbf`, in seconds.
pub const LEEWAY_S: i64 = 60;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Not `header.claims.signature`, each of them base64url without padding (RFC 7515, 2).
    #[error("it is no JWT")]
    NoJwt,
    /// The claims are no JSON object.
    #[error("its claims cannot be read")]
    Claims,
}

/// The claims of a token. What is missing or of another type is absent; times are in seconds since the Unix epoch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Claims {
    /// Who it is for: a hex public key, or `guest-…`.
    pub sub: Option<String>,
    pub exp: Option<i64>,
    /// Upstream writes 0.
    pub nbf: Option<i64>,
    pub video: Option<Grants>,
    /// What kind of participant it makes; `standard` when it is not said.
    pub kind: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    pub room: Option<String>,
    pub room_join: bool,
    /// Allowed when it is not said.
    pub can_publish: Option<bool>,
    pub room_admin: bool,
}

/// Why a token will not do, before anyone was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    #[error("it expired at {}", time(*exp))]
    Expired { exp: i64 },
    #[error("it is not valid before {}", time(*nbf))]
    NotYetValid { nbf: i64 },
    #[error("it is for another room, {0:?}")]
    OtherRoom(String),
    #[error("it names no room")]
    NoRoom,
    #[error("it names no participant")]
    NoIdentity,
    #[error("it does not allow to join")]
    MayNotJoin,
}

fn time(s: i64) -> String {
    crate::clock::rfc3339(s.saturating_mul(1000)).unwrap_or_else(|| "an impossible time".into())
}

/// The claims of a JWT as they stand there.
pub(crate) fn payload(token: &str) -> Result<Map<String, Value>, Malformed> {
    serde_json::from_slice(&parts(token)?[1]).map_err(|_| Malformed::Claims)
}

/// Header, claims and signature, decoded; none of them is empty.
pub(crate) fn parts(token: &str) -> Result<[Vec<u8>; 3], Malformed> {
    let decoded = |part| BASE64.decode(part).ok().filter(|bytes| !bytes.is_empty());
    let parts: Option<Vec<_>> = token.split('.').map(decoded).collect();
    parts.and_then(|parts| parts.try_into().ok()).ok_or(Malformed::NoJwt)
}

pub fn decode(token: &str) -> Result<Claims, Malformed> {
    let claims = payload(token)?;
    Ok(Claims {
        sub: text(&claims, "sub"),
        exp: seconds(&claims, "exp"),
        nbf: seconds(&claims, "nbf"),
        video: claims.get("video").and_then(Value::as_object).map(grants),
        kind: text(&claims, "kind"),
    })
}

fn grants(video: &Map<String, Value>) -> Grants {
    let flag = |name| video.get(name).and_then(Value::as_bool);
    Grants {
        room: text(video, "room").filter(|room| !room.is_empty()),
        room_join: flag("roomJoin").unwrap_or(false),
        can_publish: flag("canPublish"),
        room_admin: flag("roomAdmin").unwrap_or(false),
    }
}

fn text(map: &Map<String, Value>, name: &str) -> Option<String> {
    map.get(name).and_then(Value::as_str).map(str::to_owned)
}

/// JWT times may have a fraction (RFC 7519, 2).
#[expect(clippy::cast_possible_truncation, reason = "saturates, and such times are nonsense anyway")]
fn seconds(map: &Map<String, Value>, name: &str) -> Option<i64> {
    let value = map.get(name)?;
    value.as_i64().or_else(|| value.as_f64().map(|s| s as i64))
}

impl Claims {
    /// What stands against joining `room` with it when the media server's clock shows `now_s`.
    pub fn problems(&self, room: &str, now_s: i64) -> Vec<Problem> {
        let mut problems = Vec::new();
        if let Some(exp) = self.exp.filter(|exp| exp.saturating_add(LEEWAY_S) < now_s) {
            problems.push(Problem::Expired { exp });
        }
        if let Some(nbf) = self.nbf.filter(|nbf| nbf.saturating_sub(LEEWAY_S) > now_s) {
            problems.push(Problem::NotYetValid { nbf });
        }
        if self.sub.as_deref().unwrap_or_default().is_empty() {
            problems.push(Problem::NoIdentity);
        }
        let none = Grants::default();
        let video = self.video.as_ref().unwrap_or(&none);
        if !video.room_join {
            problems.push(Problem::MayNotJoin);
        }
        match &video.room {
            None => problems.push(Problem::NoRoom),
            Some(other) if other != room => problems.push(Problem::OtherRoom(other.clone())),
            Some(_) => {}
        }
        problems
    }

    /// Whether its holder may come and go without ending a nest: LiveKit counts agents as nobody.
    pub fn is_probe(&self) -> bool {
        self.kind.as_deref() == Some("agent")
    }

    pub fn may_publish(&self) -> bool {
        self.video.as_ref().is_some_and(|video| video.can_publish.unwrap_or(true))
    }
}
