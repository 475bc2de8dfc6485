//! Step 1: is the token good, by its own words and by the media server's?

use std::time::Duration;

use super::super::findings::{Findings, Outcome};
use super::super::offset::Offset;
use super::super::token::{self, Claims, Problem};
use super::super::validate::{Refusal, ValidateAnswer};
use super::said::{self, fill};
use super::{moment, span};
use crate::net::dial::DialLayer;
use crate::report::{Status, Step};
use crate::secret::Secret;

const NAME: &str = "token";

/// What the media server says of one token.
enum Word<'a> {
    Accepted,
    Refused(&'a Refusal),
    Silence(Option<String>),
}

pub(super) fn step(findings: &Findings<'_>) -> Step {
    let check = findings.check;
    let hosts = check.host_token.map(|token| ("the host's token", token, word_on_host(findings)));
    let joining = check.join.filter(|joining| check.host_token != Some(joining.token)).map(|joining| {
        (if joining.host { "the host's token" } else { "the guest's token" }, joining.token, word_on_joining(findings))
    });
    let steps: Vec<_> =
        [hosts, joining].into_iter().flatten().map(|(whose, token, word)| one(findings, whose, token, &word)).collect();
    let step =
        worst(steps).unwrap_or_else(|| Step::new(NAME, Status::NotChecked, "there is no token: the API gave none"));
    match judged_after(findings) {
        Some(time) => step.took(time),
        None => step,
    }
}

/// How long a media server took to judge the token: the host's when asked, else the one that joins, by the upgrade.
fn judged_after(findings: &Findings<'_>) -> Option<Duration> {
    let asked = findings.host_answer.as_ref().and_then(|answer| Some(answer.as_ref().ok()?.elapsed));
    let joined = findings.entered.as_ref().and_then(|entered| entered.timings.of(DialLayer::WebSocket));
    let refused = || findings.tried.iter().find(|tried| tried.turned_away().is_some()).map(|tried| tried.elapsed);
    asked.or(joined).or_else(refused)
}

fn word_on_host<'a>(findings: &'a Findings<'_>) -> Word<'a> {
    match &findings.host_answer {
        Some(Ok(ValidateAnswer { verdict: Ok(()) | Err(Refusal::NoSuchRoom), .. })) => Word::Accepted,
        Some(Ok(ValidateAnswer { verdict: Err(refusal), .. })) => Word::Refused(refusal),
        Some(Err(error)) => Word::Silence(Some(error.to_string())),
        None => Word::Silence(None),
    }
}

fn word_on_joining<'a>(findings: &'a Findings<'_>) -> Word<'a> {
    let joined = findings.tried.iter().any(|tried| matches!(tried.outcome, Outcome::Joined));
    match findings.join_refusal() {
        _ if joined => Word::Accepted,
        Some(Refusal::NoSuchRoom) => Word::Accepted,
        Some(refusal) => Word::Refused(refusal),
        None => Word::Silence(None),
    }
}

fn one(findings: &Findings<'_>, whose: &str, token: &Secret, word: &Word<'_>) -> Step {
    let claims = match token::decode(token.expose()) {
        Ok(claims) => claims,
        Err(malformed) => {
            return Step::new(NAME, Status::Failed, format!("{whose} cannot be used: {malformed}"))
                .hint("the API answered without a usable token: restart again, and tell the operator if it stays so");
        }
    };
    let now_ms = findings.clock.now_ms();
    let there_ms = now_ms.saturating_add(findings.server_clock().map_or(0, Offset::middle_ms));
    let problems = claims.problems(findings.check.room, there_ms.div_euclid(1000));
    let other_room = problems.iter().find(|problem| matches!(problem, Problem::OtherRoom(_)));
    match (word, other_room, problems.first()) {
        (_, Some(other), _) => Step::new(NAME, Status::Failed, format!("{whose} does not fit this nest: {other}"))
            .hint("it was used nowhere; ask the API for a fresh one"),
        (Word::Refused(refusal), ..) => {
            let known = [("whose", whose), ("why", &refusal.to_string())];
            Step::new(NAME, Status::Failed, fill(said::REFUSED, &known)).hint(hint(findings, refusal))
        }
        (Word::Silence(_), None, Some(problem)) => {
            Step::new(NAME, Status::Failed, format!("{whose} cannot be used: {problem}"))
                .hint("ask the API for a fresh one; if that one is no better, the server's clock is wrong")
        }
        (Word::Accepted, ..) => {
            Step::new(NAME, Status::Passed, format!("{whose} is accepted: {}", describe(&claims, now_ms)))
        }
        (Word::Silence(why), ..) => {
            let why = why
                .as_ref()
                .map_or_else(|| "no media server was asked".into(), |why| format!("no media server judged it: {why}"));
            Step::new(
                NAME,
                Status::NotChecked,
                format!("{whose} looks right ({}), but {why}", describe(&claims, now_ms)),
            )
        }
    }
}

fn describe(claims: &Claims, now_ms: i64) -> String {
    let who = claims.sub.as_deref().unwrap_or("nobody");
    let who: String = if who.chars().count() > 16 { who.chars().take(8).chain(['…']).collect() } else { who.into() };
    let may = if claims.may_publish() { "may speak" } else { "listens only" };
    let until = claims.exp.map_or_else(
        || "without an end".into(),
        |exp| format!("valid until {}", moment(exp.saturating_mul(1000), now_ms)),
    );
    format!("{who}, {may}, {until}")
}

fn hint(findings: &Findings<'_>, refusal: &Refusal) -> String {
    match refusal {
        Refusal::WrongSecret | Refusal::UnknownKey(_) => said::WRONG_SECRET_HINT.into(),
        Refusal::Expired | Refusal::NotYetValid => match apart(findings) {
            Some(apart) => fill(said::CLOCKS_HINT, &[("apart", &apart)]),
            None => {
                "ask the API for a fresh one; if that one is refused too, the clocks of the API and of LiveKit differ"
                    .into()
            }
        },
        Refusal::NoToken => "for the operator: a proxy in front of LiveKit drops the query from /rtc/validate".into(),
        _ => "ask the API for a fresh one, and tell the operator if that one is refused too".into(),
    }
}

/// How far the two servers' clocks are apart, where it is more than can be forgiven.
fn apart(findings: &Findings<'_>) -> Option<String> {
    let (media, api) = (findings.server_clock()?, findings.check.api_clock?);
    let ahead_ms = media.middle_ms().saturating_sub(api.middle_ms());
    if ahead_ms.abs() < 30_000 {
        return None;
    }
    Some(format!("{} {}", span(ahead_ms.abs()), if ahead_ms > 0 { "ahead of" } else { "behind" }))
}

/// Of two verdicts the one that matters more; of two good ones the first.
fn worst(steps: Vec<Step>) -> Option<Step> {
    let rank = |step: &Step| match step.status {
        Status::Failed => 0,
        Status::Warned => 1,
        Status::NotChecked => 2,
        Status::Passed => 3,
    };
    steps.into_iter().min_by_key(rank)
}
