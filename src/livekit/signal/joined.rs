//! What LiveKit says when it lets us in.

use std::collections::BTreeSet;
use std::time::Duration;

use livekit_protocol as proto;

use super::is_person;
use crate::livekit::offset::Offset;

/// LiveKit's own departure timeout, where the server does not say.
const USUAL_DEPARTURE_S: u32 = 20;

/// What LiveKit says when it lets us in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// LiveKit's version.
    pub version: Option<String>,
    /// Where it runs, if it says so.
    pub region: Option<String>,
    /// `RM_…`: another one for every life of a room.
    pub sid: String,
    /// The room's name.
    pub room: String,
    /// When the room was made, by the media server's clock.
    pub created: Option<Reading>,
    /// What the Nests API wrote on the room.
    pub metadata: String,
    /// As the server counts them, now and then.
    pub num_participants: u32,
    /// Seconds until a room closes that nobody has joined.
    pub empty_timeout_s: u32,
    /// Seconds until a room closes that everybody has left; 0 from servers that do not say.
    pub departure_timeout_s: u32,
    /// Who we are.
    pub identity: String,
    /// The identities of the people inside, but not ours; recorders and agents do not count.
    pub people: BTreeSet<String>,
    /// How often the server wants to hear of us.
    pub ping_interval: Duration,
    /// How long silence may last.
    pub ping_timeout: Duration,
    /// The media server's clock, read off the moment of our joining.
    pub clock: Option<Offset>,
    /// When the upgrade was sent, by the clock here, in milliseconds since the Unix epoch.
    pub sent_ms: i64,
}

/// A time in milliseconds since the Unix epoch, rounded down to its resolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The time.
    pub ms: i64,
    /// 1, or 1000 where an older server knows seconds only.
    pub resolution_ms: i64,
}

impl Reading {
    fn of(ms: i64, s: i64) -> Option<Self> {
        match (ms, s) {
            (1.., _) => Some(Self { ms, resolution_ms: 1 }),
            (_, 1..) => Some(Self { ms: s.saturating_mul(1000), resolution_ms: 1000 }),
            _ => None,
        }
    }
}

impl Joined {
    /// Seconds until the room closes once everybody has left it.
    #[must_use]
    pub fn closes_after_s(&self) -> u32 {
        match self.departure_timeout_s {
            0 => USUAL_DEPARTURE_S,
            told => told,
        }
    }

    pub(super) fn read(join: proto::JoinResponse, sent_ms: i64, received_ms: i64) -> Self {
        let server = join.server_info.unwrap_or_default();
        let room = join.room.unwrap_or_default();
        let own = join.participant.unwrap_or_default();
        let told = |text: String, older: String| {
            Some(text).filter(|t| !t.is_empty()).or(Some(older)).filter(|t| !t.is_empty())
        };
        let seconds =
            |value: i32, usual: u64| Duration::from_secs(u64::try_from(value).ok().filter(|s| *s > 0).unwrap_or(usual));
        Self {
            version: told(server.version, join.server_version),
            region: told(server.region, join.server_region),
            sid: room.sid,
            room: room.name,
            created: Reading::of(room.creation_time_ms, room.creation_time),
            metadata: room.metadata,
            num_participants: room.num_participants,
            empty_timeout_s: room.empty_timeout,
            departure_timeout_s: room.departure_timeout,
            people: join.other_participants.iter().filter(|p| is_person(p)).map(|p| p.identity.clone()).collect(),
            identity: own.identity,
            ping_interval: seconds(join.ping_interval, 5),
            ping_timeout: seconds(join.ping_timeout, 15),
            clock: Reading::of(own.joined_at_ms, own.joined_at)
                .map(|at| Offset::from_reading(at.ms, at.resolution_ms, sent_ms, received_ms)),
            sent_ms,
        }
    }
}
