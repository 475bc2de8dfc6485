//! `nest restart`: the main job.

mod eviction;
mod flow;
mod moq;
mod proof;
mod renewal;

use futures_util::{FutureExt as _, StreamExt as _};
use serde::{Serialize, Serializer};

pub use self::flow::ServerSigns;
pub(crate) use self::flow::restart_room;
pub use self::proof::{RestartProof, RoomAfter};
use super::list::{Depth, Nest, NestState, Whose};
use super::moq::{MoqReport, Shown};
use super::publish::Published;
use super::{Error, Job, NestKind, Stop, Warning};
use crate::api;
use crate::api::wire::SessionRoom;
use crate::clock::Clock;
use crate::livekit::{CheckReport, Verdict};
use crate::room::RoomRef;
use crate::secret::{Secret, exposed};

/// Which nests a restart is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    Named(Vec<RoomRef>),
    /// All of the host's that are inactive, and no others.
    AllInactive,
}

/// How to restart: nothing but the restart itself, unless more is asked for.
#[derive(Clone, Debug, Default)]
pub struct RestartRequest {
    /// Prove that the new session can be joined.
    pub check: Option<super::check::CheckOptions>,
    /// Do nothing for a nest that runs.
    pub if_inactive: bool,
    /// Where the old room still runs after it: remove everybody, wait until the room has closed, and restart again.
    pub evict: bool,
    /// Put the event right, if it says something else than what is the case afterwards.
    pub publish_status: bool,
    /// Do not wait for another restart of the same room on this machine.
    pub no_wait: bool,
    /// Where a nest on Media over QUIC is to be from now on, if it is told.
    pub servers: RequestedServers,
    /// Publish the event of a nest on Media over QUIC although its servers do not answer.
    pub force: bool,
    /// Ask the relays that are known for the nest's title meanwhile.
    pub titled: bool,
    pub yes: bool,
    /// Send nothing; say what would be sent.
    pub dry_run: bool,
}

/// The servers of a nest on Media over QUIC, as far as the caller names them: `https` URLs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestedServers {
    pub relay: Option<String>,
    pub auth: Option<String>,
}

/// What came of one room.
#[derive(Clone, Debug)]
pub enum RestartOutcome {
    /// Restarted, or found running with `if_inactive`.
    Restarted(Box<Restarted>),
    /// What would have been sent.
    Planned(PlannedRestart),
}

/// How it is known that a nest is back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// The API answered so, with this message.
    Answer(String),
    /// It was found running, and nothing was sent.
    Running,
    /// By its event it is over, or to come: nothing was sent.
    LeftAlone,
    /// The answer was lost; the nest was seen to have been restarted.
    Seen,
    /// Its event was published anew: all that a nest on Media over QUIC needs.
    Republished,
}

/// A nest that is back.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Restarted {
    /// What carries its sound.
    pub kind: NestKind,
    /// As the API gave it.
    pub room_id: String,
    /// As the API gave them; on Media over QUIC, the relay as the event names it.
    pub endpoints: Vec<String>,
    /// The host's new token; absent if nothing was sent.
    #[serde(serialize_with = "exposed_if_any")]
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub token: Option<Secret>,
    #[serde(skip)]
    pub evidence: Evidence,
    /// The API that serves it; absent on Media over QUIC.
    pub api: Option<String>,
    /// The auth service of a nest on Media over QUIC.
    pub auth: Option<String>,
    /// Hex public key; absent if no key was needed.
    pub host: Option<String>,
    /// What people call it; absent if its event was not looked at.
    pub title: Option<String>,
    /// The web page on which people join; absent if nobody knows its host.
    pub link: Option<String>,
    /// Requests sent for the restart; none if the nest was running.
    pub attempts: u32,
    /// From the start of the work to its end, check included, in milliseconds.
    pub elapsed_ms: u64,
    /// When the token ends, RFC 3339.
    pub expires_at: Option<String>,
    /// When the nest closes if it stays empty, RFC 3339.
    pub closes_at: Option<String>,
    /// Whether the room is a new one; absent if nothing was sent.
    pub proof: Option<RestartProof>,
    /// What the user should know although it worked.
    #[serde(skip)]
    pub warnings: Vec<Warning>,
    /// What relays did with the event, if it had to be put right.
    pub published: Option<Published>,
    #[serde(skip)]
    pub check: Option<CheckReport>,
    /// The SID of the room that stays, where it was renewed once more after the check, whose room is gone.
    pub renewed_as: Option<String>,
    /// The SID that this machine last saw, for the line that says what became what.
    #[serde(skip)]
    pub sid_before: Option<String>,
    /// What the API says of the room, if it says that.
    #[serde(skip)]
    pub told: Option<SessionRoom>,
    /// The room that LiveKit has, where it was asked.
    #[serde(skip)]
    pub room: Option<RoomAfter>,
    /// Which clients show a nest on Media over QUIC.
    #[serde(skip)]
    pub shown: Vec<Shown>,
    /// What was seen of it, if a check was asked for.
    #[serde(skip)]
    pub over_quic: Option<MoqReport>,
}

/// What was not sent: a request, or the event of a nest on Media over QUIC.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PlannedRestart {
    /// The id of the nest.
    pub room_id: String,
    /// `POST`, or `EVENT`.
    pub method: String,
    /// Exactly as it would be sent, and as it is signed; for an event, the relays, separated by spaces.
    pub url: String,
    /// Names and values, the signature masked; none for an event.
    pub headers: Vec<(&'static str, String)>,
    /// The event in the `Authorization` header, its signature masked; or the one that would be published.
    pub event: serde_json::Value,
}

impl Restarted {
    /// The check, unless it came to no result where LiveKit was asked as well, and knew.
    pub(crate) fn telling_check(&self) -> Option<&CheckReport> {
        let known = matches!(self.proof, Some(RestartProof::OldRoom | RestartProof::NoRoom));
        self.check.as_ref().filter(|check| check.verdict != Verdict::Unknown || !known)
    }
}

// Serde hands over a reference to the field.
#[expect(clippy::ref_option)]
fn exposed_if_any<S: Serializer>(token: &Option<Secret>, serializer: S) -> Result<S::Ok, S::Error> {
    match token {
        Some(token) => exposed(token, serializer),
        None => serializer.serialize_none(),
    }
}

/// Restarts the nests; `done` hears of each of them, in the order in which they are finished.
///
/// # Errors
/// Where it cannot be told which nests a sweep means.
pub async fn run(
    job: &Job<'_>,
    which: &Which,
    request: &RestartRequest,
    stop: &Stop,
    done: &(dyn Fn(&RoomRef, Result<RestartOutcome, Error>) + Sync),
) -> Result<(), Error> {
    let (rooms, if_inactive) = match which {
        Which::Named(rooms) => (rooms.clone(), request.if_inactive),
        Which::AllInactive => {
            let sweep = stop.or_stopped(job.sweep()).await?;
            for (room, error) in sweep.unknown {
                done(&room, Err(Error::NotRestarted(error)));
            }
            (sweep.inactive, true)
        }
    };
    let request = RestartRequest { if_inactive, ..request.clone() };
    futures_util::stream::iter(&rooms)
        .map(|room| restart_room(job, &request, room, stop).map(move |result| (room, result)))
        .buffer_unordered(job.settings.jobs)
        .for_each(|(room, result)| async { done(room, result) })
        .await;
    Ok(())
}

/// How old the event of a nest on Media over QUIC may be for a sweep to restart it, in seconds.
const SWEPT_FOR_S: i64 = 24 * 3600;

/// The nests of a host that are not known to run.
#[derive(Default)]
struct Sweep {
    inactive: Vec<RoomRef>,
    /// Open, and nobody knows whether they run.
    unknown: Vec<(RoomRef, api::ApiError)>,
}

impl Job<'_> {
    /// Looks at all nests of the host.
    async fn sweep(&self) -> Result<Sweep, Error> {
        let (mut sweep, now_s) = (Sweep::default(), Clock::default().now_s());
        // An event on Media over QUIC that is older was left behind.
        let left_behind = |nest: &Nest| {
            let age_s = now_s.saturating_sub_unsigned(nest.room.event.created_at());
            nest.kind == NestKind::Moq && age_s >= SWEPT_FOR_S
        };
        let each = |nest: Nest| match (nest.state, &nest.error, &nest.why) {
            (NestState::Inactive, ..) if left_behind(&nest) => {}
            (NestState::Inactive, ..) => sweep.inactive.push(nest.reference()),
            (_, Some(error), _) => sweep.unknown.push((nest.reference(), error.clone())),
            (NestState::NotChecked | NestState::Unknown, None, Some(why)) if nest.room.event.is_open(now_s) => {
                self.reporter.warning(&Warning::NotChecked { nest: nest.name().to_owned(), why: why.clone() });
            }
            _ => {}
        };
        self.nests_of(&Whose::Mine, Depth::AudioRoom, |_| {}, each).await?;
        Ok(sweep)
    }
}
