//! What a check joins: a session that a restart gave out, or whatever else is wanted.

use std::time::Duration;

use tokio::time::Instant;

use super::{CheckOptions, streaming};
use crate::api::{HttpClient, SignedReply};
use crate::clock::Clock;
use crate::commands::Job;
use crate::commands::restart::Restarted;
use crate::commands::target::Target;
use crate::livekit::check::{self, Check, Joining, Tools};
use crate::livekit::endpoint::{self, Candidate, Hints};
use crate::livekit::{self, CheckReport, Offset, Preconnect};
use crate::reporter::Reporter;

/// When a restart was carried out.
#[derive(Clone, Copy, Debug)]
pub(in crate::commands) struct RestartTimes {
    /// Between which moments of the clock here.
    here: livekit::RestartWindow,
    api_clock: Option<Offset>,
}

impl RestartTimes {
    pub fn of<T>(sent: &SignedReply<T>) -> Self {
        let SignedReply { sent_ms, answered_ms, date_ms, .. } = *sent;
        let api_clock = date_ms.map(|date| Offset::from_reading(date, 1000, sent_ms, answered_ms));
        Self { here: livekit::RestartWindow { sent_ms, answered_ms }, api_clock }
    }
}

/// Joins the session that a restart gave out, as a guest (or as the host, if that is wanted), and reports what was found.
pub(in crate::commands) async fn restarted_session(
    job: &Job<'_>,
    options: CheckOptions,
    target: &Target,
    restarted: &Restarted,
    times: RestartTimes,
) -> CheckReport {
    let network = &job.settings.network;
    let until = Instant::now() + network.timeout;
    let streaming = streaming(target.event.as_ref());
    let candidates = endpoint::candidates(Hints {
        returned: &restarted.endpoints,
        streaming: &streaming,
        api: Some(target.api.url()),
        allow_http: job.settings.allow_http,
    });
    // The media server is dialled while the API is still being asked for a guest's token.
    let preconnect = Preconnect::begin(&candidates, options.as_host, &network.tls, network.timeout);
    let guest = if options.as_host { None } else { Some(job.probe(&target.api).guest(&target.room.id).await.result) };
    let (join, no_token) = match &guest {
        Some(Ok(token)) => (Some(Joining { token, host: false }), None),
        Some(Err(error)) => (None, Some(error.to_string())),
        None => (restarted.token.as_ref().map(|token| Joining { token, host: true }), None),
    };
    let check = Check {
        join,
        no_token: no_token.as_deref(),
        host_token: restarted.token.as_ref(),
        restarted: Some(times.here),
        sid_before: restarted.sid_before.as_deref(),
        api_clock: times.api_clock,
        ..options.on(target.room.id.as_str(), &candidates, until.saturating_duration_since(Instant::now()))
    };
    carry_out(&check, preconnect.as_ref(), &job.client, job.reporter).await
}

impl CheckOptions {
    /// A check for which there is no token yet, of a room of whose restart nothing is known.
    pub(in crate::commands) fn on<'a>(
        self,
        room: &'a str,
        candidates: &'a [Candidate],
        timeout: Duration,
    ) -> Check<'a> {
        let Self { hold, signal_only, transport, publish, .. } = self;
        Check { room, candidates, hold, signal_only, transport, publish, timeout, ..Check::default() }
    }
}

/// Checks; `preconnect` leads to one of the candidates, and was begun before there was a token.
pub(in crate::commands) async fn carry_out(
    check: &Check<'_>,
    preconnect: Option<&Preconnect>,
    client: &HttpClient,
    reporter: &dyn Reporter,
) -> CheckReport {
    let tools =
        Tools { http: client.http(), tls: &client.network().tls, preconnect, clock: Clock::default(), reporter };
    Box::pin(check::run(check, &tools)).await
}
