//! Looking before repeating: was a restart carried out whose answer never came?

use std::time::Duration;

use crate::api::wire::Info;
use crate::api::{self, Base, Call, Client, Missing, Reply, RoomId, answer};
use crate::livekit::Offset;
use crate::livekit::endpoint::{self, Hints};
use crate::livekit::offset::Span;

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
    /// Between which moments of the clock here it was restarted, as the API says.
    pub restarted: Option<Span>,
}

/// Asks the API, without a key and without joining.
pub(super) async fn look(client: &Client, api: &Base, id: &RoomId) -> Sight {
    let (guest, info) = (api.room(id, "/guest"), api.room(id, "/info"));
    let ask = |url| client.send(Call::get(url).within(LIMIT));
    let (guest_reply, info_reply) = futures_util::future::join(ask(&guest), ask(&info)).await;
    let running = guest_reply.ok().and_then(|reply| match answer::fresh_token(&reply, &guest) {
        Ok(_) => Some(true),
        Err(answer::Error::NotFound { missing, .. }) if missing != Missing::Unsaid => Some(false),
        Err(_) => None,
    });
    let restarted = info_reply.ok().and_then(|reply| {
        let at = answer::json::<Info>(&reply, &info).ok()?.restarted_at?;
        Some(clock_of(&reply).here(at, 1))
    });
    Sight { running, restarted }
}

/// The clock of the API, by the `Date` of one answer. Where that agrees with the clock here, both are taken to be
/// right: a second is too coarse to tell what happened just before a request from what the request did.
fn clock_of(reply: &Reply) -> Offset {
    const SAME: Offset = Offset { min_ms: 0, max_ms: 0 };
    let read = |date| Offset::from_reading(date, 1000, reply.sent_ms, reply.received_ms);
    reply.date_ms.map(read).filter(|offset| offset.and(SAME).is_none()).unwrap_or(SAME)
}

/// What can be said about a server that failed, one line each: what its own `/health` says, whether it gives out
/// tokens, and whether its media server answers.
pub(super) async fn around(client: &Client, api: &Base, id: &RoomId, limit: Duration) -> Vec<String> {
    let (health, guest) = (api.health(), api.room(id, "/guest"));
    let ask = |url| client.send(Call::get(url).within(limit));
    let (health, guest_reply, media) =
        futures_util::future::join3(ask(&health), ask(&guest), media(client, api, limit)).await;
    let health = match health {
        Ok(reply) if reply.status == 200 => "/health: the API is up, which says nothing of Redis and LiveKit".into(),
        Ok(reply) => format!("/health: status {}", reply.status),
        Err(lost) => format!("/health: {lost}"),
    };
    let guest = match guest_reply.map_err(api::Error::from).and_then(|reply| answer::fresh_token(&reply, &guest)) {
        Ok(_) => "/guest: there is an audio room, perhaps the old one".to_owned(),
        Err(api::Error::NotFound { missing, .. }) if missing != Missing::Unsaid => {
            "/guest: there is no audio room, or LiveKit is down".to_owned()
        }
        Err(error) => format!("/guest: {error}"),
    };
    vec![health, guest, media]
}

/// What answers at the usual place of the media server. Nobody joins, and no token is shown.
async fn media(client: &Client, api: &Base, limit: Duration) -> String {
    let hints = Hints { returned: &[], streaming: &[], api: Some(api.url()), allow_http: false };
    let Some(candidate) = endpoint::candidates(hints).into_iter().next() else {
        return "media server: nobody says where it is".into();
    };
    let said = match client.send(Call::get(&candidate.with_path("/rtc/validate", true)).within(limit)).await {
        // Without a token it refuses: that is how LiveKit sounds.
        Ok(reply) if matches!(reply.status, 200 | 400 | 401) => "LiveKit answers".into(),
        Ok(reply) => format!("no LiveKit, but status {}", reply.status),
        Err(lost) => lost.to_string(),
    };
    format!("{}: {said}", candidate.as_str())
}

/// Whether there is proof that the room was restarted: it was inactive before and runs now, or it says itself that it
/// was restarted after `sent_ms` (of the clock here). Looks several times; the absence of proof proves nothing.
pub(super) async fn proof(client: &Client, api: &Base, id: &RoomId, was_running: Option<bool>, sent_ms: i64) -> bool {
    let looking = async {
        for pause in PAUSES {
            tokio::time::sleep(pause).await;
            let now = look(client, api, id).await;
            let says_so = now.restarted.is_some_and(|at| at.from_ms >= sent_ms);
            if now.running == Some(true) && (was_running == Some(false) || says_so) {
                return true;
            }
        }
        false
    };
    tokio::time::timeout(client.network().timeout.min(PROOF_LIMIT), looking).await.unwrap_or(false)
}
