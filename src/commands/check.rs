//! The connection check of a session that the API gave out.

use std::time::Duration;

use crate::api::{Base, Call, Client, RoomId, answer};
use crate::clock::Clock;
use crate::livekit::check::{self, Check, Joining, Tools};
use crate::livekit::endpoint::{self, Hints};
use crate::livekit::{CheckReport, Offset, Restarted, Transport};
use crate::reporter::Reporter;
use crate::secret::Secret;

/// How to check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// How long to stay and watch.
    pub hold: Option<Duration>,
    /// Join with the host's token; ejects a host who is connected elsewhere.
    pub as_host: bool,
    /// Join, but try no audio.
    pub signal_only: bool,
    /// The one way that audio is to take; any, if there is none.
    pub transport: Option<Transport>,
    /// Be audibly silent for a second, if the token that joins may speak.
    pub publish: bool,
}

/// A session to check.
#[derive(Clone, Copy, Debug)]
pub(super) struct Session<'a> {
    /// Who gave it out.
    pub api: &'a Base,
    /// The nest.
    pub room: &'a RoomId,
    /// As the API returned them.
    pub endpoints: &'a [String],
    /// The host's.
    pub token: Option<&'a Secret>,
    /// What is known of the restart that made it.
    pub restart: Restart<'a>,
}

/// What is known of a restart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Restart<'a> {
    /// When, by the clock here.
    pub times: Restarted,
    /// What the API's clock showed when it answered, in milliseconds since the Unix epoch, cut to seconds.
    pub api_date_ms: Option<i64>,
    /// The SID that this machine last saw.
    pub sid_before: Option<&'a str>,
}

/// Joins as a guest (or as the host, if that is wanted) and reports what was found.
pub(super) async fn session(
    client: &Client,
    options: Options,
    session: Session<'_>,
    reporter: &dyn Reporter,
) -> CheckReport {
    let guest = if options.as_host { None } else { guest(client, session.api, session.room, reporter).await };
    let join = match (&guest, options.as_host) {
        (Some(token), _) => Some(Joining { token, host: false }),
        (None, true) => session.token.map(|token| Joining { token, host: true }),
        (None, false) => None,
    };
    let hints = Hints { returned: session.endpoints, streaming: &[], api: Some(session.api.url()), allow_http: false };
    let candidates = endpoint::candidates(hints);
    let Restarted { sent_ms, answered_ms } = session.restart.times;
    let check = Check {
        room: session.room.as_str(),
        join,
        host_token: session.token,
        candidates: &candidates,
        restarted: Some(session.restart.times),
        sid_before: session.restart.sid_before,
        api_clock: session.restart.api_date_ms.map(|date| Offset::from_reading(date, 1000, sent_ms, answered_ms)),
        hold: options.hold,
        signal_only: options.signal_only,
        transport: options.transport,
        publish: options.publish,
        timeout: client.network().timeout,
    };
    let tools = Tools { http: client.http(), tls: &client.network().tls, clock: Clock::default(), reporter };
    check::run(&check, &tools).await
}

/// A listener's token; the check itself says what it means that there is none.
async fn guest(client: &Client, api: &Base, room: &RoomId, reporter: &dyn Reporter) -> Option<Secret> {
    let url = api.room(room, "/guest");
    let token = match client.send(Call::get(&url)).await {
        Ok(reply) => answer::fresh_token(&reply, &url),
        Err(lost) => Err(lost.into()),
    };
    token.map_err(|error| reporter.detail(1, &format!("no guest token: {error}"))).ok()
}
