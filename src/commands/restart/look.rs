//! Looking before repeating: was a restart carried out whose answer never came?

use std::time::Duration;

use crate::api::wire::Info;
use crate::api::{self, Base, Call, Client, RoomId, answer};
use crate::secret::scrub;

/// When to look, counted from the last look: a server that hung may finish a little later.
const PAUSES: [Duration; 4] =
    [Duration::ZERO, Duration::from_millis(700), Duration::from_millis(1500), Duration::from_secs(3)];

/// The limit of one look.
const LIMIT: Duration = Duration::from_secs(3);

/// The limit of all looks together.
const PROOF_LIMIT: Duration = Duration::from_secs(10);

/// What is known of a room before or after a restart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sight {
    /// Whether the API gives out tokens for it.
    pub running: Option<bool>,
    /// When the API says that it was restarted, in milliseconds of the API's clock.
    pub restarted_at: Option<i64>,
}

/// Asks the API, without a key and without joining.
pub(super) async fn look(client: &Client, api: &Base, id: &RoomId) -> Sight {
    let (guest, info) = (api.room(id, "/guest"), api.room(id, "/info"));
    let ask = |url| client.send(Call::get(url).within(LIMIT));
    let (guest_reply, info_reply) = futures_util::future::join(ask(&guest), ask(&info)).await;
    let running = guest_reply.ok().and_then(|reply| match answer::fresh_token(&reply, &guest) {
        Ok(_) => Some(true),
        Err(answer::Error::NotFound { .. }) => Some(false),
        Err(_) => None,
    });
    let info = info_reply.ok().and_then(|reply| answer::json::<Info>(&reply, &info).ok());
    Sight { running, restarted_at: info.and_then(|info| info.restarted_at) }
}

/// What can be said about a server that failed, one line each: its own `/health`, and whether it gives out tokens.
pub(super) async fn around(client: &Client, api: &Base, id: &RoomId, limit: Duration) -> Vec<String> {
    let (health, guest) = (api.health(), api.room(id, "/guest"));
    let ask = |url| client.send(Call::get(url).within(limit));
    let (health_reply, guest_reply) = futures_util::future::join(ask(&health), ask(&guest)).await;
    let health = match &health_reply {
        Ok(reply) if reply.status == 200 => {
            let body: serde_json::Value = serde_json::from_slice(&reply.body).unwrap_or_default();
            let livekit = body.get("livekit").map(|value| format!(", livekit {value}")).unwrap_or_default();
            scrub(&format!("/health says that the API is up{livekit}")).into_owned()
        }
        Ok(reply) => format!("/health answers {}", reply.status),
        Err(lost) => format!("/health: {lost}"),
    };
    let guest = match guest_reply.map_err(api::Error::from).and_then(|reply| answer::fresh_token(&reply, &guest)) {
        Ok(_) => "/guest gives out tokens: the old audio room may still be running".to_owned(),
        Err(api::Error::NotFound { .. }) => "/guest says that there is no audio room, or LiveKit is down".to_owned(),
        Err(error) => format!("/guest: {error}"),
    };
    vec![health, guest]
}

/// Whether there is proof that the room was restarted: it was inactive before and runs now, or it says itself that it
/// was restarted after `sent_ms` (in the API's clock). Looks several times; the absence of proof proves nothing.
pub(super) async fn proof(client: &Client, api: &Base, id: &RoomId, was_running: Option<bool>, sent_ms: i64) -> bool {
    let looking = async {
        for pause in PAUSES {
            tokio::time::sleep(pause).await;
            let now = look(client, api, id).await;
            let says_so = now.restarted_at.is_some_and(|at| at >= sent_ms);
            if now.running == Some(true) && (was_running == Some(false) || says_so) {
                return true;
            }
        }
        false
    };
    tokio::time::timeout(client.network().timeout.min(PROOF_LIMIT), looking).await.unwrap_or(false)
}
