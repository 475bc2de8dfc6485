//! After an answer that is missing, or a failure of the server: what can be seen without a key and without joining.

use std::time::Duration;

use futures_util::future::{join, join3};

use super::flow::FOLLOW_UP_LIMIT;
use crate::api::probe::presence;
use crate::api::{ApiError, ApiUrl, Probe, RoomId};
use crate::clock::Clock;
use crate::commands::Job;
use crate::livekit::endpoint::{self, Hints};
use crate::livekit::{Offset, validate};

/// When to look, counted from the last look: a server that hung may finish a little later.
const PAUSES: [Duration; 4] =
    [Duration::ZERO, Duration::from_millis(700), Duration::from_millis(1500), Duration::from_secs(3)];

/// The limit of one question.
const PROBE_LIMIT: Duration = Duration::from_secs(3);

/// The limit of all of them together.
const PROOF_LIMIT: Duration = Duration::from_secs(10);

/// Whether there is proof that the room was restarted: it was inactive before and runs now, or it says itself that it
/// was restarted after `sent_ms` (of the clock here). Looks several times; the absence of proof proves nothing.
pub(super) async fn restart_was_seen(probe: &Probe<'_>, id: &RoomId, was_running: Option<bool>, sent_ms: i64) -> bool {
    let limit = probe.limit().min(PROOF_LIMIT);
    let probe = probe.within(PROBE_LIMIT);
    let looking = async {
        for pause in PAUSES {
            tokio::time::sleep(pause).await;
            let (guest, info) = join(probe.guest(id), probe.info(id)).await;
            let restarted_at = info.result.ok().and_then(|info| info.restarted_at);
            let says_so = restarted_at.is_some_and(|at| same_or(info.clock).here(at, 1).from_ms >= sent_ms);
            if guest.result.is_ok() && (was_running == Some(false) || says_so) {
                return true;
            }
        }
        false
    };
    tokio::time::timeout(limit, looking).await.unwrap_or(false)
}

/// The clock of the API. Where it agrees with the clock here, both are taken to be right: the second of a `Date` is too
/// coarse to tell what happened just before a request from what the request did.
fn same_or(clock: Option<Offset>) -> Offset {
    const SAME: Offset = Offset { min_ms: 0, max_ms: 0 };
    clock.filter(|offset| offset.and(SAME).is_none()).unwrap_or(SAME)
}

/// What can be seen of a server that failed.
#[derive(Debug)]
pub struct ServerSigns {
    /// Whether its own `/health` says that it is up, which says nothing of Redis and LiveKit.
    pub health: Result<(), ApiError>,
    /// Whether it gives out tokens for the room.
    pub audio_room: Result<bool, ApiError>,
    /// The usual place of the media server, and what answers there; `None` where nobody says where it is.
    pub media: Option<(String, Result<(), validate::ValidateError>)>,
}

/// Asks the API and its media server side by side.
pub(super) async fn server_signs(job: &Job<'_>, api: &ApiUrl, id: &RoomId) -> ServerSigns {
    let probe = job.probe(api).within(FOLLOW_UP_LIMIT);
    let hints = Hints { returned: &[], streaming: &[], api: Some(api.url()), allow_http: false };
    let candidate = endpoint::candidates(hints).into_iter().next();
    let media = async {
        let candidate = candidate?;
        let answer = validate::ask(job.client.http(), &candidate, None, FOLLOW_UP_LIMIT, Clock::default()).await;
        Some((candidate.as_str().to_owned(), answer.map(drop)))
    };
    let (health, guest, media) = join3(probe.health(), probe.guest(id), media).await;
    ServerSigns { health: health.result.map(drop), audio_room: presence(guest.result), media }
}
