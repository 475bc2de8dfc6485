//! What is said while the work goes on: warnings, and the questions to a person at the terminal.

use std::io;
use std::path::Path;
use std::time::Duration;

use super::{Verb, moment, says_over, troubles};
use crate::clock::{self, Clock};
use crate::commands::NestKind;
use crate::commands::list::{Nest, NestState};
use crate::commands::pick::Purpose;
use crate::commands::restart::{Evidence, RestartProof, Restarted};
use crate::key::KeyOrigin;
use crate::report::Status;
use crate::reporter::{Question, SecretPrompt, Stage, Warning};

/// Somebody types a key where it can be seen.
pub(in crate::cli) const SECRET_SHOWN: &str =
    "that is a secret key, which is asked for by itself and not shown: take it out";

pub fn warning(warning: &Warning) -> String {
    match warning {
        Warning::ClockRepaired { ahead_s } => {
            let (apart, side) = apart(*ahead_s);
            format!(
                "your clock is {apart} {side} the server's; signed again with the server's time. \
                 Set the clock right: `timedatectl set-ntp true`"
            )
        }
        Warning::AttemptFailed { attempt, why } => format!("attempt {attempt}: {why}"),
        Warning::NoLock { why } => format!("{why}; going on without a lock"),
        Warning::EventIsOver { status } => {
            let over = troubles::event_over(says_over(status));
            format!("{}; {}", over.cause, over.hint)
        }
        Warning::PerhapsOpen { why } => format!("it was not seen that nobody gets in any more: {why}"),
        Warning::AnswerLost { why } => {
            format!("{why}, but the nest was restarted; the token was fetched afterwards")
        }
        Warning::Unproven { nest, why } => {
            let unproven = troubles::unproven(why, Verb::Check.on(nest));
            format!("{}; {}", unproven.cause, unproven.hint)
        }
        Warning::NotRenewed { why, closes_ms } => {
            let empty = troubles::empty(moment(*closes_ms).0);
            format!("{}: {}. It was not renewed: {why}", empty.cause, empty.hint)
        }
        Warning::Evicting { people, out_s } => evicting(*people, *out_s),
        Warning::NotEvicted { why } => format!("the old room was not closed: {why}"),
        Warning::Relays { why } => why.clone(),
        Warning::RelayBack { relay } => format!("{relay} answers again"),
        Warning::NotTaken { relay, why } => format!("{relay} has not taken the event: {why}"),
        Warning::NotRemembered { why } => format!("cannot remember the new room: {why}; do not interrupt this"),
        Warning::MayNotSpeak { person, why } => format!("{person} may not speak: {why}"),
        Warning::NotChecked { nest, why } => format!("{nest}: not checked: {why}"),
        Warning::OldRoomStays { api } => {
            format!(
                "its old audio room is still at {api}: a bare id means that one there, the nest's link or naddr the new one"
            )
        }
        Warning::NotPresent { why } => format!("your presence was not sent: {why}"),
        Warning::HostPresent => "your own app is in this nest and says so: no presence is sent from here".into(),
        Warning::NotHostsPresence => "only its host's key keeps such a nest open: no presence is sent".into(),
        Warning::HostElsewhere { nest } => format!("you are in another nest, {nest}: no presence is sent from here"),
        Warning::WrongPassphrase => "the passphrase is wrong".into(),
        Warning::SignerAwaited { limit } => {
            format!("waiting for the signer, {} s at most: allow it there, if it asks", limit.as_secs())
        }
        Warning::ApproveAt { .. } => "the signer wants to be allowed on this page:".into(),
    }
}

/// Short names that stand for a new nest now.
pub fn names_passed_on(names: &[String]) -> String {
    format!("{} {} for it now", names.join(", "), if names.len() == 1 { "stands" } else { "stand" })
}

/// The configuration could not be changed; `new` is the nest that its short names were to stand for.
pub fn names_stay(config: &Path, why: &io::Error, new: &str) -> String {
    format!(
        "the configuration {} cannot be changed: {why}. A short name below [alias] goes on standing for the old nest: give it \
         the new one by hand, {new}",
        config.display()
    )
}

/// Lines of the log of a server.
pub fn dropped_lines(count: u64) -> String {
    format!("{count} lines of this log were dropped: nobody read them in time")
}

/// A mistake of this program, which one request or connection has met. Its words may hold what strangers have sent.
pub fn panicked(place: &str, words: &str) -> String {
    format!("a mistake in this program ended one request, at {place}: {words}")
}

/// There are fewer file descriptors than connections were asked for.
pub fn fewer_connections(connections: usize) -> String {
    format!("no more than {connections} connections: there are no more file descriptors (ulimit -n)")
}

fn evicting(people: usize, out_s: u32) -> String {
    let removed = match people {
        1 => "one person is removed from the old room, and out".into(),
        n => format!("{n} people are removed from the old room, and out"),
    };
    format!("{removed} for about {out_s} s, until it has closed")
}

/// What says that the nest is back.
pub fn evidence(evidence: &Evidence) -> &str {
    match evidence {
        Evidence::Answer(message) => message,
        Evidence::Running => "The nest is running; nothing was sent",
        Evidence::LeftAlone => "By its event the nest is over, or to come; nothing was sent",
        Evidence::Seen => "The answer was lost; the nest was seen to have been restarted",
        Evidence::Republished => "The nest was published again as live",
    }
}

/// What became of a nest whose restart was not followed by a check.
pub(in crate::cli) fn proof(restarted: &Restarted) -> String {
    let over_quic = restarted.kind == NestKind::Moq;
    match restarted.proof {
        Some(RestartProof::OldRoom) if over_quic => "the relays still have the old event".into(),
        Some(RestartProof::Fresh) if over_quic => "restarted · published again as live".into(),
        Some(RestartProof::Fresh) => "restarted · people can join".into(),
        Some(RestartProof::OldRoom) => "the old room still runs".into(),
        Some(RestartProof::NoRoom) => "there is no audio room".into(),
        Some(RestartProof::Unproven) => "accepted, not proven".into(),
        _ => evidence(&restarted.evidence).to_owned(),
    }
}

/// Whether that is well.
pub(in crate::cli) fn proven(restarted: &Restarted) -> Status {
    let hidden = restarted.kind == NestKind::Moq && restarted.shown.iter().all(|shown| shown.hidden.is_some());
    match restarted.proof {
        Some(_) if hidden => Status::Failed,
        Some(RestartProof::OldRoom | RestartProof::NoRoom) => Status::Failed,
        Some(RestartProof::Unproven) => Status::Warned,
        Some(RestartProof::Fresh) | None => Status::Passed,
    }
}

/// How far a clock is off, and to which side; seconds that it is ahead.
pub(super) fn apart(ahead_s: i64) -> (String, &'static str) {
    (clock::span(ahead_s.saturating_abs().saturating_mul(1000)), if ahead_s > 0 { "ahead of" } else { "behind" })
}

pub fn question(question: Question<'_>) -> String {
    let disconnected = |people, nest: &str| match people {
        1 => format!("One person is in {nest} and will be disconnected."),
        n => format!("{n} people are in {nest} and will be disconnected."),
    };
    match question {
        Question::Restart { people } => format!("{} Restart?", disconnected(people, "this nest")),
        Question::Evict { people, out_s } => {
            format!("The old room still runs. To have it closed, {}. Do it?", evicting(people, out_s))
        }
        Question::RestartInactive => "This nest has no audio room, and it is yours. Restart this nest now?".into(),
        Question::JoinEmpty => {
            "Nobody is in this nest, and whoever joins and leaves it now shortens its life to a minute. Join it?".into()
        }
        Question::Close { nest, people: 0 } => format!("Close {nest} for good?"),
        Question::Close { nest, people } => format!("{} Close it for good?", disconnected(people, nest)),
        Question::Recreate { nest } => format!(
            "The server has lost {nest}. Open a new nest with its title, people and relays, and close this one?"
        ),
        Question::KeyIntoFile { path, why } => {
            format!("There is no keyring here ({why}). Keep the key in {}, which only you can read?", path.display())
        }
        Question::RemoveKey { npub } => {
            format!("Remove the secret key of {npub} from the OS keyring? Without a copy, it is lost for good.")
        }
        Question::ForgetSigner { name } => {
            format!("Forget the signer {name}? Its key stays where it is; to use it again, pair again.")
        }
        Question::ExportKey { npub, plain: true } => {
            format!("Print the secret key of {npub}? Whoever sees it can do everything in this name, for ever.")
        }
        Question::ExportKey { npub, plain: false } => format!("Print the secret key of {npub}, encrypted?"),
    }
}

/// Of a list of keys that are nowhere to be had, or nowhere to be kept.
pub(in crate::cli) fn no_keyring(why: &str) -> String {
    format!(
        "there is no OS keyring here: {why}. Keep a key in a file instead: {}",
        Verb::KeyImport.alone().with("--to-file", "")
    )
}

pub(in crate::cli) fn no_keys() -> String {
    format!("no keys in the OS keyring; {} puts one there", Verb::KeyImport.alone())
}

/// A list whose short names nothing will know.
pub(in crate::cli) fn short_names_lost(why: &std::io::Error) -> String {
    format!("the short names of this list cannot be remembered: {why}")
}

/// A key that comes before those of the keyring.
pub(in crate::cli) fn key_elsewhere(origin: &KeyOrigin) -> String {
    format!("used is the key from {origin}; {} shows whose it is", Verb::KeyShow.alone())
}

/// Of a QR code for which the window is too small; what it holds stands below it too.
pub(in crate::cli) fn code_too_high(rows: usize) -> String {
    format!("the QR code needs {rows} rows: make the window higher and run this again, or paste the line below")
}

pub(in crate::cli) fn code_too_wide(why: &str) -> String {
    format!("{why}: make the window wider and run this again, or paste the line below")
}

/// What it takes to guess a passphrase.
pub(in crate::cli) fn passphrase_cost(one: Duration) -> String {
    let a_million = clock::span(i64::try_from(one.as_millis()).unwrap_or(i64::MAX).saturating_mul(1_000_000));
    format!(
        "to try one passphrase takes {:.1} s on this machine, a million of them {a_million}: a few words that nobody guesses are \
         enough",
        one.as_secs_f32()
    )
}

pub fn prompt(prompt: SecretPrompt<'_>) -> String {
    match prompt {
        SecretPrompt::HostKey => "Host key (nsec, ncryptsec, hex or words; not shown)".into(),
        SecretPrompt::Bunker => "bunker:// URI of the signer (not shown; empty: show a QR code instead)".into(),
        SecretPrompt::Passphrase { origin } => format!("Passphrase of the host key from {origin}"),
        SecretPrompt::NewPassphrase => "New passphrase".into(),
        SecretPrompt::NewPassphraseIfAny => "Passphrase for the new key (empty: none)".into(),
        SecretPrompt::NewPassphraseAgain => "The same passphrase again".into(),
    }
}

/// What is being done, for the line of progress.
pub(in crate::cli) fn stage(stage: Stage) -> &'static str {
    match stage {
        Stage::Lock => "waiting for another restart of this nest",
        Stage::Key => "loading the key",
        Stage::Look => "looking",
        Stage::Sign => "signing",
        Stage::Restart => "restarting",
        Stage::Wait => "waiting before the next attempt",
        Stage::Check => "checking that people can join",
        Stage::Keep => "inside until somebody comes; Ctrl-C leaves",
        Stage::Relays => "asking relays",
        Stage::Create => "creating a room",
        Stage::Grant => "letting people speak",
        Stage::Publish => "publishing",
        Stage::Close => "closing",
        Stage::Evict => "waiting until the old room has closed",
    }
}

/// Which of several nests is meant; and whether it is the only one that suits.
pub(in crate::cli) fn which(purpose: Purpose) -> (&'static str, &'static str) {
    match purpose {
        Purpose::Restart => ("Restart which nest", "Restart it?"),
        Purpose::Recreate => ("Recreate which nest", "Recreate it?"),
        Purpose::Close => ("Close which nest", "Close it?"),
        Purpose::Open => ("Open which nest", "Open it?"),
        Purpose::Status => ("Look at which nest", "Look at it?"),
        Purpose::Check => ("Check which nest", "Check it?"),
        Purpose::Token => ("A token for which nest", "Fetch a token for it?"),
    }
}

pub(in crate::cli) fn this_one(purpose: Purpose, nest: &Nest) -> String {
    format!("{} is {}. {}", nest.name(), state(nest), which(purpose).1)
}

/// The name of a nest, and what is known of it.
pub fn choice(nest: &Nest) -> (String, String) {
    let age = clock::span((Clock::default().now_s() - nest.since_s).saturating_mul(1000));
    (nest.name().to_owned(), format!(" · {} · {} · {age}", nest.status, state(nest)))
}

fn state(nest: &Nest) -> String {
    match (nest.state, nest.people) {
        (NestState::Running, Some(0)) => "running, nobody inside".into(),
        (NestState::Running, Some(people)) => format!("running, {people} inside"),
        (NestState::Running, None) => "running".into(),
        (NestState::Inactive, _) => "inactive".into(),
        (NestState::Gone, _) => "gone from its server".into(),
        (NestState::Over, _) => "over".into(),
        (NestState::Planned, _) => "planned".into(),
        (NestState::NotChecked | NestState::Unknown, _) => "not checked".into(),
    }
}
