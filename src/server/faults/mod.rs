//! What can go wrong on purpose: one table, read by the command line, its help and the tests.
//!
//! A new fault is a row here and an arm in `active`, where it strikes.

mod active;

use std::str::FromStr;
use std::sync::Mutex;
use std::time::Duration;

pub(super) use active::{ActiveFaults, FaultyMedia};

use super::{ApiCall, lock};
use crate::clock::Clock;

/// One fault: what goes wrong, at which calls, how often. Written `NAME[=VALUE][xTIMES][@CALL]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub kind: Kind,
    pub scope: Scope,
    /// How many requests it strikes; `None`: all.
    pub times: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    Only(ApiCall),
    /// All but the endpoints of the media server, of the relay and of the auth service.
    Api,
    All,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    OldRoomKept,
    NoRoom,
    LateTeardown(Duration),
    WrongSecret,
    InternalEndpoint(String),
    Status { code: u16, retry_after: Option<u64> },
    PlainText { code: u16, retry_after: Option<u64> },
    Html(u16),
    Empty(u16),
    RateLimit(u32),
    Redirect(u16),
    GatewayTimeout,
    DropBefore,
    DropAfter,
    NoAnswer,
    SlowBody(Duration),
    HalfBody,
    HugeBody(u64),
    TokenObject,
    OtherRoom,
    EchoAuthorization,
    EchoToken,
    ControlCharacters,
    NoRestart,
    LostRecord,
    RedisHang(Option<Duration>),
    LivekitDown,
    RelayAuth,
    MoqEvent(MoqEvent),
    QuicDown,
    // The clock is so many milliseconds ahead.
    ClockAhead(i64),
    // The clock stands at the beginning of this year.
    ClockYear(i16),
}

/// How the event of the nest on Media over QUIC is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MoqEvent {
    /// Nine hours old: no client shows it.
    #[default]
    Old,
    /// An hour old, and nobody is present.
    Alone,
    /// Its status is `open`, which clients no longer show.
    Open,
    /// It is over.
    Ended,
    /// Its title and status are in words that clients no longer read.
    OldNames,
    /// New: clients show it.
    New,
}

pub struct FaultRow {
    pub name: &'static str,
    /// What follows the name: empty, `=VALUE`, or `[=VALUE]`.
    pub argument: &'static str,
    pub shows: &'static str,
    scope: Scope,
    parse: fn(&str) -> Option<Kind>,
}

const fn row(
    name: &'static str,
    argument: &'static str,
    shows: &'static str,
    scope: Scope,
    parse: fn(&str) -> Option<Kind>,
) -> FaultRow {
    FaultRow { name, argument, shows, scope, parse }
}

const RESTART: Scope = Scope::Only(ApiCall::Restart);

/// All faults, in the order in which the help lists them.
#[rustfmt::skip]
pub const TABLE: &[FaultRow] = &[
    row("old-room-kept", "", "a nest that runs, and a restart that reports success and leaves it as it was", RESTART, |v| bare(v, Kind::OldRoomKept)),
    row("no-room", "", "a restart that reports success and makes no room", RESTART, |v| bare(v, Kind::NoRoom)),
    row("late-teardown", "=TIME", "the new room is torn down TIME after the restart: a check that stays sees it", RESTART, |v| duration(v).map(Kind::LateTeardown)),
    row("wrong-secret", "", "tokens that the media server does not accept", Scope::Api, |v| bare(v, Kind::WrongSecret)),
    row("internal-endpoint", "[=HOST:PORT]", "an endpoint that only the server can reach", Scope::Api,
        |v| Some(Kind::InternalEndpoint(if v.is_empty() { "livekit:7880" } else { v }.into()))),
    row("status", "=CODE[,TIME]", "an error, with TIME with Retry-After", RESTART, |v| coded(v).map(|(code, retry_after)| Kind::Status { code, retry_after })),
    row("plain-text", "=CODE[,TIME]", "an error that is no JSON, as upstream's 429", RESTART, |v| coded(v).map(|(code, retry_after)| Kind::PlainText { code, retry_after })),
    row("html", "[=CODE]", "the error page of a proxy (502)", RESTART, |v| code(v, 502).map(Kind::Html)),
    row("empty", "[=CODE]", "an answer without a body (404)", RESTART, |v| code(v, 404).map(Kind::Empty)),
    row("rate-limit", "[=COUNT]", "429 after COUNT (100) requests in 15 minutes", Scope::Api, |v| number(v, 100).map(Kind::RateLimit)),
    row("redirect", "[=CODE]", "a redirect (301) to /moved", RESTART, |v| code(v, 301).map(Kind::Redirect)),
    row("gateway-timeout", "", "a proxy that answers 504 while the request is carried out", RESTART, |v| bare(v, Kind::GatewayTimeout)),
    row("drop-before", "", "a connection that is lost before the request is carried out", RESTART, |v| bare(v, Kind::DropBefore)),
    row("drop-after", "", "a connection that is lost after the request was carried out", RESTART, |v| bare(v, Kind::DropAfter)),
    row("no-answer", "", "a request that is carried out and never answered", RESTART, |v| bare(v, Kind::NoAnswer)),
    row("slow-body", "[=TIME]", "an answer of one byte every TIME (1s)", RESTART, |v| if v.is_empty() { Some(Duration::from_secs(1)) } else { duration(v) }.map(Kind::SlowBody)),
    row("half-body", "", "half an answer, then the end of the connection", RESTART, |v| bare(v, Kind::HalfBody)),
    row("huge-body", "[=BYTES]", "an answer without end (1000000000 bytes)", RESTART, |v| number(v, 1_000_000_000).map(Kind::HugeBody)),
    row("token-object", "", "success with \"token\": {}", Scope::Api, |v| bare(v, Kind::TokenObject)),
    row("other-room", "", "success for another room than the one asked for", RESTART, |v| bare(v, Kind::OtherRoom)),
    row("echo-authorization", "", "401 with the client's own Authorization in the text", RESTART, |v| bare(v, Kind::EchoAuthorization)),
    row("echo-token", "", "500 with the new token in the text", RESTART, |v| bare(v, Kind::EchoToken)),
    row("control-characters", "", "terminal escapes in every text", Scope::All, |v| bare(v, Kind::ControlCharacters)),
    row("no-restart", "", "an old server: 404 Endpoint not found", RESTART, |v| bare(v, Kind::NoRestart)),
    row("lost-record", "", "a nest that the server has forgotten: 404", Scope::Api, |v| bare(v, Kind::LostRecord)),
    row("redis-hang", "[=TIME]", "requests that hang until the store is back after TIME (never), and are carried out then", Scope::Api,
        |v| if v.is_empty() { Some(Kind::RedisHang(None)) } else { duration(v).map(|time| Kind::RedisHang(Some(time))) }),
    row("livekit-down", "", "a media server that is down: nests look inactive, restarts fail", Scope::All, |v| bare(v, Kind::LivekitDown)),
    row("relay-auth", "", "a relay that wants to know who asks (NIP-42)", Scope::Only(ApiCall::Relay), |v| bare(v, Kind::RelayAuth)),
    row("moq-event", "=DEATH", "demo-moq with an event that is not old: nobody is present (alone), its status or the name of its title is no longer read (open, old-names), it is over (ended), or nothing is wrong (new)", Scope::Only(ApiCall::Auth), |v| moq_event(v).map(Kind::MoqEvent)),
    row("quic-down", "", "demo-moq's media relay does not answer", Scope::Only(ApiCall::Auth), |v| bare(v, Kind::QuicDown)),
    row("clock", "=±TIME|YEAR", "a server whose clock is off by TIME, or in another YEAR", Scope::All, clock),
];

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FaultError {
    #[error("there is no fault {0:?}")]
    Unknown(String),
    #[error("{0:?} is written {1}{2}")]
    Value(String, &'static str, &'static str),
    /// After `@` comes a call, `api` or `all`.
    #[error("there is no call {0:?}; a call is {calls}, api or all", calls = ApiCall::all_with_faults().map(ApiCall::name).collect::<Vec<_>>().join(", "))]
    Call(String),
}

impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let (rest, call) = text.rsplit_once('@').map_or((text, None), |(rest, call)| (rest, Some(call)));
        let (rest, times) = match rest.rsplit_once('x').map(|(rest, times)| (rest, times.parse())) {
            Some((rest, Ok(times))) => (rest, Some(times)),
            _ => (rest, None),
        };
        let (name, value) = rest.split_once('=').unwrap_or((rest, ""));
        let row = TABLE.iter().find(|row| row.name == name).ok_or_else(|| FaultError::Unknown(name.into()))?;
        let kind = (row.parse)(value).ok_or_else(|| FaultError::Value(text.into(), row.name, row.argument))?;
        let only = |name| ApiCall::all_with_faults().find(|call| call.name() == name).map(Scope::Only);
        let scope = match call {
            None => row.scope,
            Some("api") => Scope::Api,
            Some("all") => Scope::All,
            Some(name) => only(name).ok_or_else(|| FaultError::Call(name.into()))?,
        };
        Ok(Self { kind, scope, times })
    }
}

impl Fault {
    /// Whether it is about a room that is there already.
    pub(crate) fn needs_a_room(&self) -> bool {
        self.kind == Kind::OldRoomKept
    }

    fn strike(&mut self) -> Option<Kind> {
        if let Some(left) = &mut self.times {
            *left = left.checked_sub(1)?;
        }
        Some(self.kind.clone())
    }
}

/// The faults of a running server.
pub(super) struct Faults(pub(super) Mutex<Vec<Fault>>);

impl Faults {
    /// The faults that strike this request; one of their times is used up.
    pub(super) fn strike(&self, call: ApiCall) -> ActiveFaults {
        let mut faults = lock(&self.0);
        let struck = faults.iter_mut().filter(|fault| match fault.scope {
            Scope::Only(only) => only == call,
            Scope::Api => !matches!(call, ApiCall::Signal | ApiCall::Relay | ApiCall::Auth),
            Scope::All => true,
        });
        ActiveFaults(struck.filter_map(Fault::strike).collect())
    }

    pub(super) fn clock(&self) -> Clock {
        let offset_ms = self.find(|kind| match kind {
            Kind::ClockAhead(offset_ms) => Some(*offset_ms),
            Kind::ClockYear(year) => {
                let then = jiff::civil::date(*year, 1, 1).to_zoned(jiff::tz::TimeZone::UTC).ok()?;
                Some(then.timestamp().as_millisecond() - Clock::default().now_ms())
            }
            _ => None,
        });
        Clock { offset_ms: offset_ms.unwrap_or_default() }
    }

    pub(super) fn rate_limit(&self) -> Option<u32> {
        self.find(|kind| if let Kind::RateLimit(count) = kind { Some(*count) } else { None })
    }

    /// Whether the media relay of the nest on Media over QUIC does not answer.
    pub(super) fn quic_down(&self) -> bool {
        self.find(|kind| (*kind == Kind::QuicDown).then_some(())).is_some()
    }

    /// What a fault that no request uses up says.
    fn find<T>(&self, read: impl Fn(&Kind) -> Option<T>) -> Option<T> {
        lock(&self.0).iter().find_map(|fault| read(&fault.kind))
    }
}

fn bare(value: &str, kind: Kind) -> Option<Kind> {
    value.is_empty().then_some(kind)
}

fn number<T: FromStr>(value: &str, default: T) -> Option<T> {
    if value.is_empty() { Some(default) } else { value.parse().ok() }
}

fn code(value: &str, default: u16) -> Option<u16> {
    number(value, default).filter(|code| (200..=599).contains(code))
}

/// `CODE[,TIME]`, the time in whole seconds.
fn coded(value: &str) -> Option<(u16, Option<u64>)> {
    let (status, after) = value.split_once(',').map_or((value, None), |(status, after)| (status, Some(after)));
    let after = after.map(|after| duration(after).ok_or(())).transpose().ok()?;
    Some((code(status, 0)?, after.map(|after| after.as_secs())))
}

/// `500ms`, `2s`, `5m`, `1h`.
fn duration(value: &str) -> Option<Duration> {
    Duration::try_from(value.parse::<jiff::SignedDuration>().ok()?).ok()
}

fn moq_event(value: &str) -> Option<MoqEvent> {
    Some(match value {
        "alone" => MoqEvent::Alone,
        "open" => MoqEvent::Open,
        "ended" => MoqEvent::Ended,
        "old-names" => MoqEvent::OldNames,
        "new" => MoqEvent::New,
        _ => return None,
    })
}

fn clock(value: &str) -> Option<Kind> {
    let offset = |text| duration(text).and_then(|time| i64::try_from(time.as_millis()).ok());
    match value.split_at_checked(1)? {
        ("+", text) => offset(text).map(Kind::ClockAhead),
        ("-", text) => offset(text).map(|ms| Kind::ClockAhead(-ms)),
        _ => value.parse().ok().filter(|year| (1970..=9999).contains(year)).map(Kind::ClockYear),
    }
}
