//! The connection check: tries the endpoints in turn, joins, judges, stays for a while if asked to, and leaves.

use std::future::pending;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use super::connector::{Connector, Preconnect};
use super::endpoint::Candidate;
use super::findings::{Findings, Freshness};
use super::fresh::{self, FreshnessVerdict, RestartWindow};
use super::media::{self, AudioOptions, JoinedRoom, Silence, Transport};
use super::offset::Offset;
use super::report::{CheckReport, EndpointOutcome, Tried};
use super::signal::{Ending, JoinError};
use super::token::{self, Problem};
use super::validate::{self, ValidateError};
use crate::clock::Clock;
use crate::net::dial::{DialCause, DialError, DialLayer, DialLimits, TimedOut, Timings};
use crate::net::reach::GuardedHttp;
use crate::reporter::{Reporter, Stage};
use crate::secret::Secret;

/// A client without media is thrown out after 60 s: no hold is longer than this.
pub const LONGEST_HOLD: Duration = Duration::from_secs(55);

/// For the second of two questions that were asked side by side, once the first is answered.
const GRACE: Duration = Duration::from_secs(3);

/// For one more look at the media server's clock, where that decides.
const CLOCK_LIMIT: Duration = Duration::from_secs(1);

#[derive(Clone, Debug, Default)]
pub struct Check<'a> {
    /// The room's name: the id of the nest.
    pub room: &'a str,
    /// The token that joins: a guest's, unless the user wants to be the host there. `None` when none could be had.
    pub join: Option<Joining<'a>>,
    pub no_token: Option<&'a str>,
    /// The host's token as a restart returned it: shown to the media server, never used to join.
    pub host_token: Option<&'a Secret>,
    pub candidates: &'a [Candidate],
    pub restarted: Option<RestartWindow>,
    /// The room's SID before the restart, where it was seen.
    pub sid_before: Option<&'a str>,
    /// Any room will do, a nest's or not, and it may have been made by our joining.
    pub any_room: bool,
    pub api_clock: Option<Offset>,
    /// When the API says that the nest was last restarted, by its clock, in milliseconds since the Unix epoch.
    pub restarted_at_ms: Option<i64>,
    /// How long to stay; without an audio connection cut down to [`LONGEST_HOLD`].
    pub hold: Option<Duration>,
    /// Stay until somebody else is inside, or until this is asked to end; `hold` is the longest time then.
    pub keep: Option<&'a Keeping>,
    pub signal_only: bool,
    /// Stay outside: the nest is empty, and whoever joins and leaves it shortens its life.
    pub outside: bool,
    /// The one way that audio is to take; any, if there is none.
    pub transport: Option<Transport>,
    /// Be audibly silent for a second, if the token that joins may speak.
    pub publish: bool,
    /// For everything but the hold.
    pub timeout: Duration,
}

/// A stay that keeps a room open, and can be asked to end.
#[derive(Debug, Default)]
pub struct Keeping {
    inside: AtomicBool,
    leave: Notify,
}

impl Keeping {
    /// A stay of another kind: until it is asked to end, or `work` is done.
    pub async fn stay<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        self.inside.store(true, Ordering::Relaxed);
        let done = tokio::select! {
            done = work => Some(done),
            () = self.leave.notified() => None,
        };
        self.inside.store(false, Ordering::Relaxed);
        done
    }

    /// Asks the stay to end; whether there was one that had not been asked yet.
    pub fn end(&self) -> bool {
        let inside = self.inside.swap(false, Ordering::Relaxed);
        if inside {
            self.leave.notify_one();
        }
        inside
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Joining<'a> {
    pub token: &'a Secret,
    /// It is the host's: it goes only where a host's token may go, and ejects a host who is inside.
    pub host: bool,
}

#[derive(Clone, Copy)]
pub struct Tools<'a> {
    pub http: &'a GuardedHttp,
    pub tls: &'a rustls::ClientConfig,
    /// A connection that was begun before there was a token.
    pub preconnect: Option<&'a Preconnect>,
    pub clock: Clock,
    pub reporter: &'a dyn Reporter,
}

impl std::fmt::Debug for Tools<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tools").field("clock", &self.clock).finish_non_exhaustive()
    }
}

/// Runs the check. Ends within the timeout, the hold, and half a second for leaving.
pub async fn run(check: &Check<'_>, tools: &Tools<'_>) -> CheckReport {
    let started = Instant::now();
    tools.reporter.step(check.room, Stage::Check);
    let mut findings = Findings::new(check, tools.clock);
    if let Some(inside) = enter(check, tools, &mut findings, started).await {
        stay(check, tools, &mut findings, inside, started + check.timeout).await;
    }
    findings.report()
}

/// Tries the candidates until one lets us in.
async fn enter<'a>(
    check: &'a Check<'a>,
    tools: &'a Tools<'a>,
    findings: &mut Findings<'a>,
    started: Instant,
) -> Option<JoinedRoom> {
    let joining = check.join.filter(|joining| may_be_shown(joining.token, check.room));
    let until = started + check.timeout;
    for (index, candidate) in check.candidates.iter().enumerate() {
        let left = u32::try_from(check.candidates.len() - index).unwrap_or(u32::MAX);
        let share = until.saturating_duration_since(Instant::now()) / left;
        let limits = candidate.dial_limits(share);
        let tried_at = Instant::now();
        let outcome = if candidate.cleartext {
            EndpointOutcome::Cleartext
        } else if joining.is_some_and(|joining| joining.host && !candidate.host_token) {
            EndpointOutcome::NotForHosts
        } else if share.is_zero() {
            EndpointOutcome::NoTime
        } else {
            tools.reporter.detail(1, &format!("trying {}", candidate.as_str()));
            let connector = joining.map(|joining| Connector { candidate, token: joining.token, tools, limits, until });
            match Box::pin(attempt(check, tools, findings, candidate, connector, limits)).await {
                Ok(Some(inside)) => {
                    tools.reporter.detail(2, &inside.entered.timings.describe());
                    findings.tried.push(Tried {
                        candidate: candidate.clone(),
                        outcome: EndpointOutcome::Joined,
                        elapsed: inside.entered.timings.connecting(),
                    });
                    findings.joined_after = Some(inside.joined_at.saturating_duration_since(started));
                    return Some(inside);
                }
                Ok(None) if check.outside && joining.is_some() => {
                    let elapsed = tried_at.elapsed();
                    findings.tried.push(Tried {
                        candidate: candidate.clone(),
                        outcome: EndpointOutcome::Answered,
                        elapsed,
                    });
                    return None;
                }
                Ok(None) => EndpointOutcome::OnlyAsked,
                Err(error) => EndpointOutcome::Failed(error),
            }
        };
        findings.tried.push(Tried { candidate: candidate.clone(), outcome, elapsed: tried_at.elapsed() });
    }
    None
}

/// A text that is no token is sent to nobody, and a token for another room would disturb that room.
fn may_be_shown(token: &Secret, room: &str) -> bool {
    token::decode(token.expose())
        .is_ok_and(|claims| !claims.problems(room, 0).iter().any(|problem| matches!(problem, Problem::OtherRoom(_))))
}

/// Joins, with audio if wanted, and shows the host's token to `/rtc/validate` meanwhile. `None`: no token to join with.
async fn attempt<'a>(
    check: &'a Check<'a>,
    tools: &'a Tools<'a>,
    findings: &mut Findings<'a>,
    candidate: &'a Candidate,
    connector: Option<Connector<'a>>,
    limits: DialLimits,
) -> Result<Option<JoinedRoom>, JoinError> {
    let host_token = check.host_token.filter(|token| candidate.host_token && token::decode(token.expose()).is_ok());
    let left = || limits.each.min(limits.until.saturating_duration_since(Instant::now()));
    let ask = |token: &'a Secret| validate::ask(tools.http, candidate, Some(token), left(), tools.clock);
    let validating = pin!(async { Some(ask(host_token?).await) });
    let Some(connector) = connector else {
        findings.host_answer(validating.await);
        return Ok(None);
    };
    if check.outside {
        return look_from_outside(&connector, findings).await.map(|()| None);
    }
    let dialling = Box::pin(async {
        if check.signal_only {
            Ok(JoinedRoom::silent(connector.join(connector.connect().await?).await?, None))
        } else {
            let speaker = token::decode(connector.token.expose()).is_ok_and(|claims| claims.may_publish());
            media::enter(&connector, AudioOptions { transport: check.transport, publish: check.publish && speaker })
                .await
        }
    });
    let (dialled, answer) = match select(dialling, validating).await {
        Either::Right((answer, dialling)) => (dialling.await, answer),
        Either::Left((dialled, validating)) => {
            let nobody = matches!(&dialled, Err(JoinError::Dial(error)) if error.layer != DialLayer::WebSocket);
            let grace = GRACE.min(left());
            let answer =
                async { timeout(grace, validating).await.unwrap_or(Some(Err(ValidateError::TimedOut(grace)))) };
            (dialled, if nobody { None } else { answer.await })
        }
    };
    findings.host_answer(answer);
    // A client often sees a part only of the reason why an upgrade is refused.
    if let Err(JoinError::Dial(DialError { cause: DialCause::NoWebSocket { location: None, .. }, .. })) = &dialled
        && let Ok(answer) = ask(connector.token).await
    {
        findings.media_clock = answer.clock;
        if let Err(refusal) = answer.verdict {
            return Err(JoinError::Refused(refusal));
        }
    }
    dialled.map(Some)
}

/// Connects, and shows the token without joining with it.
async fn look_from_outside(connector: &Connector<'_>, findings: &mut Findings<'_>) -> Result<(), JoinError> {
    let Connector { candidate, token, tools, limits, .. } = connector;
    drop(connector.connect().await?);
    let left = limits.each.min(limits.until.saturating_duration_since(Instant::now()));
    let answer = validate::ask(tools.http, candidate, Some(token), left, tools.clock).await.map_err(|error| {
        let cause = match error {
            ValidateError::NotLiveKit(status) => DialCause::NoWebSocket { status, location: None, body: String::new() },
            ValidateError::TimedOut(after) => DialCause::TimedOut(TimedOut { after, cut_short: after < limits.each }),
            ValidateError::Unreachable(text) => DialCause::Broken(text),
        };
        DialError { layer: DialLayer::WebSocket, cause, timings: Timings::default() }
    })?;
    findings.media_clock = answer.clock;
    answer.verdict.map_err(JoinError::Refused)
}

/// Judges the room from inside, holds, leaves.
async fn stay(check: &Check<'_>, tools: &Tools<'_>, findings: &mut Findings<'_>, inside: JoinedRoom, until: Instant) {
    let JoinedRoom { mut entered, mut session, finding, mut live, .. } = inside;
    let judging = Instant::now();
    let mut verdict = fresh::judge(check, &entered.joined, findings.media_clock);
    let mut ended = Ok(());
    if let (FreshnessVerdict::Unsure(_), Some(session)) = (&verdict, &mut session) {
        let limit = CLOCK_LIMIT.min(until.saturating_duration_since(judging));
        ended = session.read_clock(tools.clock, limit).await.map(|read| entered.joined.narrow_clock(read));
        verdict = fresh::judge(check, &entered.joined, findings.media_clock);
    }
    findings.freshness = Some(Freshness {
        verdict,
        last_restart: fresh::last_restart(check, &entered.joined),
        elapsed: judging.elapsed(),
    });
    findings.entered = Some(entered);
    findings.media = finding;
    let (Some(mut session), Ok(())) = (session, &ended) else {
        return findings.ended(tools.clock, ended.err().or_else(|| findings.media_ending()));
    };
    if check.publish && findings.media.is_some() {
        let speaking = Instant::now();
        let result = match &mut live {
            Some(live) => live.speak(&mut session, until).await,
            None => Err(Silence::NoConnection),
        };
        let ending = match &result {
            Err(Silence::Ended(how)) => Some(how.clone()),
            _ => None,
        };
        findings.speech = Some((result, speaking.elapsed()));
        if ending.is_some() {
            return findings.ended(tools.clock, ending);
        }
    }
    if let Some(keeping) = check.keep {
        tools.reporter.step(check.room, Stage::Keep);
        keeping.inside.store(true, Ordering::Relaxed);
        tools.reporter.detail(1, "staying until somebody comes");
        let begun = Instant::now();
        let broken = async {
            match &mut live {
                Some(live) => live.broken().await,
                None => pending().await,
            }
        };
        let limit = findings.hold().unwrap_or(Duration::MAX);
        let kept = session.keep(limit, keeping.leave.notified(), broken).await;
        keeping.inside.store(false, Ordering::Relaxed);
        findings.ended_ms = Some(tools.clock.now_ms());
        findings.kept = kept.as_ref().ok().map(|kept| (*kept, begun.elapsed()));
        findings.held = Some(kept.map(drop));
    } else if let Some(hold) = findings.hold() {
        tools.reporter.detail(1, &format!("staying for {hold:?}"));
        let held = match &mut live {
            Some(live) => session.hold_unless(hold, live.broken()).await,
            None => session.hold(hold).await,
        };
        findings.ended_ms = Some(tools.clock.now_ms());
        findings.held = Some(held);
    }
    let closing = async {
        if let Some(live) = live {
            live.close().await;
        }
    };
    if matches!(findings.held, Some(Err(ref closed)) if closed.how != Ending::Deaf) {
        return closing.await;
    }
    // The server's clock for an empty room begins after this: it never closes before the time that is told.
    let left_ms = tools.clock.now_ms();
    let (inside, ()) = tokio::join!(session.leave(), closing);
    findings.left = Some((left_ms, inside.len()));
}
