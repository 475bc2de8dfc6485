//! What a check joins: a session that a restart gave out, or whatever else is wanted.

use std::time::Duration;

use tokio::time::Instant;

use super::Options;
use crate::api::{Base, Call, Client, RoomId, answer};
use crate::clock::Clock;
use crate::livekit::check::{self, Check, Joining, Tools};
use crate::livekit::endpoint::{self, Candidate, Hints};
use crate::livekit::{self, CheckReport, Offset, Preconnect};
use crate::reporter::Reporter;
use crate::secret::Secret;

/// A session to check.
#[derive(Clone, Copy, Debug)]
pub(in crate::commands) struct Session<'a> {
    /// Who gave it out.
    pub api: &'a Base,
    /// The nest.
    pub room: &'a RoomId,
    /// As the API returned them.
    pub endpoints: &'a [String],
    /// As its event names them.
    pub streaming: &'a [String],
    /// Plain `ws://` may leave this machine.
    pub allow_http: bool,
    /// The host's.
    pub token: Option<&'a Secret>,
    /// What is known of the restart that made it.
    pub restart: Restart<'a>,
}

/// What is known of a restart.
#[derive(Clone, Copy, Debug)]
pub(in crate::commands) struct Restart<'a> {
    /// When, by the clock here.
    pub times: livekit::Restarted,
    /// What the API's clock showed when it answered, in milliseconds since the Unix epoch, cut to seconds.
    pub api_date_ms: Option<i64>,
    /// The SID that this machine last saw.
    pub sid_before: Option<&'a str>,
}

/// Joins as a guest (or as the host, if that is wanted) and reports what was found.
pub(in crate::commands) async fn session(
    client: &Client,
    options: Options,
    session: Session<'_>,
    reporter: &dyn Reporter,
) -> CheckReport {
    let until = Instant::now() + client.network().timeout;
    let Session { endpoints: returned, streaming, allow_http, .. } = session;
    let candidates = endpoint::candidates(Hints { returned, streaming, api: Some(session.api.url()), allow_http });
    let network = client.network();
    let preconnect = Preconnect::begin(&candidates, options.as_host, &network.tls, network.timeout);
    let guest = if options.as_host { None } else { Some(guest(client, session.api, session.room).await) };
    let (join, no_token) = match &guest {
        Some(Ok(token)) => (Some(Joining { token, host: false }), None),
        Some(Err(why)) => (None, Some(why.as_str())),
        None => (session.token.map(|token| Joining { token, host: true }), None),
    };
    let livekit::Restarted { sent_ms, answered_ms } = session.restart.times;
    let left = until.saturating_duration_since(Instant::now());
    let check = Check {
        join,
        no_token,
        host_token: session.token,
        restarted: Some(session.restart.times),
        sid_before: session.restart.sid_before,
        api_clock: session.restart.api_date_ms.map(|date| Offset::from_reading(date, 1000, sent_ms, answered_ms)),
        ..options.on(session.room.as_str(), &candidates, left)
    };
    carry_out(&check, preconnect.as_ref(), client, reporter).await
}

impl Options {
    /// A check for which there is no token yet, of a room of whose restart nothing is known.
    pub(in crate::commands) fn on<'a>(
        self,
        room: &'a str,
        candidates: &'a [Candidate],
        timeout: Duration,
    ) -> Check<'a> {
        Check {
            room,
            join: None,
            no_token: None,
            host_token: None,
            candidates,
            restarted: None,
            sid_before: None,
            any_room: false,
            api_clock: None,
            hold: self.hold,
            signal_only: self.signal_only,
            transport: self.transport,
            publish: self.publish,
            timeout,
        }
    }
}

/// Checks; `preconnect` leads to one of the candidates, and was begun before there was a token.
pub(in crate::commands) async fn carry_out(
    check: &Check<'_>,
    preconnect: Option<&Preconnect>,
    client: &Client,
    reporter: &dyn Reporter,
) -> CheckReport {
    let tools =
        Tools { http: client.http(), tls: &client.network().tls, preconnect, clock: Clock::default(), reporter };
    Box::pin(check::run(check, &tools)).await
}

/// A listener's token, or why there is none; the check itself says what that means.
async fn guest(client: &Client, api: &Base, room: &RoomId) -> Result<Secret, String> {
    let url = api.room(room, "/guest");
    let token = match client.send(Call::get(&url)).await {
        Ok(reply) => answer::fresh_token(&reply, &url),
        Err(lost) => Err(lost.into()),
    };
    token.map_err(|error| error.to_string())
}
