//! Steps 4 and 7: is it the restarted room, and does it stay?

use std::time::Duration;

use super::super::findings::{Entered, Findings};
use super::super::fresh::{self, Proof, Sign, Verdict};
use super::super::signal::{Closed, DisconnectReason, Ending};
use super::said::{self, fill};
use super::way::away;
use super::{sentence, span};
use crate::report::{Status, Step};

/// A room that closes so soon after a restart closes because of it: the late teardown comes within 30 s.
const LATE_TEARDOWN_MS: i64 = 60_000;

pub(super) fn fresh(findings: &Findings<'_>) -> Step {
    const NAME: &str = "fresh";
    let (Some(entered), Some(freshness)) = (&findings.entered, &findings.freshness) else {
        return Step::new(NAME, Status::NotChecked, "the room was not entered");
    };
    judged(findings, entered, &freshness.verdict).took(freshness.elapsed)
}

fn judged(findings: &Findings<'_>, entered: &Entered, verdict: &Verdict) -> Step {
    const NAME: &str = "fresh";
    let joined = &entered.joined;
    let age_ms = fresh::created_here(joined, findings.media_clock)
        .map(|created| joined.sent_ms.saturating_sub(created.middle_ms()));
    let created = age_ms.map_or_else(String::new, |age| format!(", created {} ago", span(age)));
    let auto_create =
        "for the operator: `auto_create: false` in LiveKit's `room` section keeps such rooms from coming into being";
    match verdict {
        Verdict::NoRestart => {
            Step::new(NAME, Status::NotChecked, format!("no restart to prove ({}{created})", joined.sid))
        }
        Verdict::Fresh(proof) => {
            let proof = match (proof, findings.check.sid_before) {
                (Proof::Sid, Some(before)) => format!("before it was {before}"),
                (Proof::Sid, None) => "it is another room than before".into(),
                (Proof::Created, _) => "created after the restart was asked for".into(),
                (Proof::RestartedAt, _) => "it says that it was restarted by this request".into(),
                (Proof::Moment(ms), _) => format!("created at the very moment of the restart, give or take {ms} ms"),
            };
            Step::new(NAME, Status::Passed, format!("{} is the restarted room: {proof}", joined.sid))
        }
        Verdict::Old(sign) => {
            let age = match (sign, age_ms) {
                (_, Some(ms)) if ms >= 1000 => format!(", created {} ago", span(ms)),
                (Sign::Sid, _) => ", the same as before".into(),
                _ => ", created before the restart".into(),
            };
            let detail = fill(said::OLD_ROOM, &[("room", &joined.sid), ("age", &age)]);
            let seconds = joined.closes_after_s().to_string();
            Step::new(NAME, Status::Failed, detail).hint(fill(said::OLD_ROOM_HINT, &[("seconds", &seconds)]))
        }
        Verdict::OurOwn => Step::new(
            NAME,
            Status::Failed,
            format!(
                "There was no room: LiveKit made {} only because this check joined. It is not the nest's.",
                joined.sid
            ),
        )
        .hint(auto_create),
        Verdict::Foreign => Step::new(
            NAME,
            Status::Failed,
            format!(
                "{}{created} is not the restarted room: it carries nothing that the Nests API writes on its rooms.",
                joined.sid
            ),
        )
        .hint(format!(
            "a listener's reconnect may have made it before the API could; restart again. {}",
            sentence(auto_create)
        )),
        Verdict::Unsure(ms) => Step::new(
            NAME,
            Status::Warned,
            format!(
                "{} was created around the time of the restart, but the clocks are not exact enough (± {ms} ms) to say whether after it",
                joined.sid
            ),
        ),
        Verdict::NoEvidence => Step::new(
            NAME,
            Status::NotChecked,
            format!("nothing shows whether {} is new: the media server does not say when it was created", joined.sid),
        ),
    }
}

pub(super) fn hold(findings: &Findings<'_>) -> Step {
    const NAME: &str = "hold";
    let Some(asked) = findings.check.hold else {
        return Step::new(
            NAME,
            Status::NotChecked,
            "not asked for: --hold 45s stays in the room and watches whether it is closed",
        );
    };
    match &findings.held {
        None => Step::new(NAME, Status::NotChecked, "the room was not entered"),
        Some(Ok(())) => {
            let held = findings.hold().unwrap_or(asked);
            let capped = if asked > held { " (a check without audio cannot stay longer)" } else { "" };
            Step::new(NAME, Status::Passed, format!("nothing closed the room for {}{capped}", exactly(held))).took(held)
        }
        Some(Err(closed)) => ended(findings, closed).took(closed.after),
    }
}

fn ended(findings: &Findings<'_>, closed: &Closed) -> Step {
    let step = |status, detail: String| Step::new("hold", status, detail);
    let since_restart = findings.since_restart_ms();
    let restart = since_restart.map_or_else(String::new, |ms| format!(" ({} after the restart)", span(ms)));
    let after = format!("{}{restart}", exactly(closed.after));
    match &closed.how {
        Ending::SentAway(reason @ (DisconnectReason::RoomDeleted | DisconnectReason::RoomClosed)) => {
            // Somebody else's restart may have been followed by another, or by the nest's end.
            match since_restart.filter(|_| findings.check.restarted.is_some()) {
                Some(ms) if ms <= LATE_TEARDOWN_MS => {
                    step(Status::Failed, fill(said::LATE_TEARDOWN, &[("after", &span(ms))]))
                        .hint(said::LATE_TEARDOWN_HINT)
                }
                _ => step(Status::Failed, format!("the room was closed after {after}: {}", away(*reason)))
                    .hint("restart the nest, unless its host has just closed it"),
            }
        }
        Ending::SentAway(reason @ (DisconnectReason::JoinFailure | DisconnectReason::ConnectionTimeout)) => step(
            Status::NotChecked,
            format!(
                "watched for {after}, and the room stayed; then LiveKit ended this check's visit: {}",
                away(*reason)
            ),
        ),
        Ending::SentAway(reason) => step(Status::Failed, format!("we were sent away after {after}: {}", away(*reason))),
        Ending::Lost(text) => step(Status::Failed, format!("the connection was lost after {after}: {text}"))
            .hint("check again: a proxy, the network or the media server has cut it"),
        Ending::Deaf => step(Status::Failed, format!("the audio connection broke after {after}"))
            .hint("check again: the network or the media server has cut it"),
        Ending::Silent(silence) => step(
            Status::Failed,
            format!("the media server stopped answering: nothing was heard for {}{restart}", exactly(*silence)),
        )
        .hint("check again: the network or the media server hangs"),
    }
}

/// A length of time as exactly as it matters: `50 ms`, `1.5 s`, `12 s`.
fn exactly(time: Duration) -> String {
    match time.as_secs_f64() {
        s if s < 0.95 => format!("{:.0} ms", s * 1000.0),
        s if s < 9.95 && (s - s.round()).abs() > 0.05 => format!("{s:.1} s"),
        s => format!("{s:.0} s"),
    }
}
