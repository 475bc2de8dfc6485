//! What the page of a nest says, on `nest serve` and `nest mock`. Both read it from `src/server/page/words.json`, which is
//! made of this: the page and the program say the same of the same trouble.

use std::collections::BTreeMap;

use serde_json::to_string_pretty;

use super::troubles::{self, Trouble};
use super::{Verb, notices, people, sentence};
use crate::api::{ApiError, Missing};
use crate::reporter::Question;

/// A state of the nest or of a restart: what is the case, why, and what to do. What is known only when it happens stands in
/// braces.
struct Said {
    name: &'static str,
    what: String,
    why: String,
    todo: String,
}

fn said(name: &'static str, what: impl Into<String>, why: &str, todo: &str) -> Said {
    Said { name, what: what.into(), why: whole(why), todo: whole(todo) }
}

/// With a capital letter and a full stop.
fn whole(text: &str) -> String {
    let stop = if text.is_empty() || text.ends_with(['.', '`']) { "" } else { "." };
    sentence(text) + stop
}

/// Why a nest was not restarted, as the program says it, and what to do about it in a browser.
fn refused(name: &'static str, what: impl std::fmt::Display, trouble: &Trouble, todo: Option<&str>) -> Said {
    let what = format!("{}: {what}", sentence(Verb::Restart.not_done()));
    said(name, what, &trouble.cause, todo.unwrap_or(&trouble.hint))
}

/// The command for a terminal.
const COMMAND: &str = "nest restart {room} --api {api}";

const WAIT: &str = "There is no need to reload: this page looks again by itself, and changes when the nest is back.";

fn states() -> [Said; 9] {
    let gone = troubles::record_gone("`nest recreate {room} --api {api}`");
    [
        said("running", "Open · {people}", "", "open it in your client to listen or to talk"),
        said(
            "inactive",
            "Not running",
            "its audio room is closed: nobody can join right now",
            "write to its host, who can restart it",
        ),
        said("gone", sentence(&Missing::Record.to_string()), &gone.cause, &format!("for the host: {}", gone.hint)),
        said(
            "mediaDown",
            "Not running: the media server is down",
            "the server that carries the sound of all nests here does not answer",
            "it will most likely be back soon. If not, tell whoever runs {api}",
        ),
        said(
            "unknown",
            "Nobody knows whether it runs",
            "the server cannot look it up: what remembers its nests does not answer",
            "it will most likely be back soon. If not, tell whoever runs {api}",
        ),
        said(
            "noNest",
            "This link names no nest",
            "{why}",
            "check the link, or ask for it again where you have found it",
        ),
        said(
            "over",
            "Over since {time}",
            "its host has ended it, says its event on Nostr",
            "ask the host about the next one",
        ),
        said("planned", "Planned for {time}", "it has not begun yet, says its event on Nostr", ""),
        said("plannedSomeTime", "Planned", "it has not begun yet, says its event on Nostr, which names no time", ""),
    ]
}

fn outcomes() -> Vec<Said> {
    let (room, api) = ("{room}", "{api}");
    let unauthorized = ApiError::Unauthorized { server_text: String::new(), url: String::new(), clock_ahead_s: None };
    let limited = ApiError::RateLimited { server_text: String::new(), retry_after: None, policy: None };
    let failed = "the API failed with status {status}";
    let (again, operator) =
        ("`nest restart {room} --api {api} --evict`", "if it goes on like this, tell whoever runs {api}");
    let lost = troubles::lost_answer("{said}", "");
    vec![
        said("restarted", "Restarted · {proof}", "the audio room is new; whoever was inside joins again", ""),
        refused("oldRoom", "the old room still runs", &troubles::old_room("{sid}", "", "{seconds}", again), None),
        refused(
            "noRoom",
            "there is no audio room",
            &troubles::no_room(format!("`nest doctor {room} --api {api}`")),
            None,
        ),
        said("unproven", "Accepted, not proven", &troubles::unproven("{why}", "").cause, "look again in a moment"),
        said(
            "noSigner",
            "This browser has no key to sign with",
            "a restart is signed with the host's key, by an extension or an app that puts a signer into the page (NIP-07)",
            &format!("open this page in a browser that has one, or restart it from a terminal: `{COMMAND}`"),
        ),
        said(
            "notSigned",
            "Not signed; nothing was sent",
            "the signer says: {said}",
            "press Restart again, and allow it in your signer",
        ),
        refused(
            "401",
            &unauthorized,
            &troubles::signed_url("{url}", ""),
            Some("open this page at the server's public address, {api}"),
        ),
        refused(
            "clock",
            &unauthorized,
            &troubles::clock("{apart}", "{side}"),
            Some("set the clock of this device right, and let it be set by the network"),
        ),
        refused(
            "403",
            "only the host can restart this nest",
            &troubles::not_host("{you}", "{host}", ""),
            Some("use the host's key: choose it in your signer"),
        ),
        refused("404", Missing::Record, &troubles::record_gone("`nest recreate {room} --api {api}`"), None),
        refused("429", limited, &troubles::rate_limit("in {seconds} s"), None),
        refused("5xx", failed, &troubles::server(), None),
        refused("down", failed, &troubles::backend_down("{down}"), None),
        said(
            "unreachable",
            "Cannot reach {api}; nothing was sent",
            "this device is offline, or the server is down",
            "try again once you are online; this page looks by itself meanwhile",
        ),
        said(
            "lost",
            "The restart was sent and not answered: not seen so far, it may still happen",
            &lost.cause,
            "wait a minute; this page looks whether it runs",
        ),
        said("nonsense", "The server answered {status}", &troubles::nonsense(Verb::Restart.done()).cause, operator),
    ]
}

/// What stands on the page whatever is the case, and what it is made of.
fn labels() -> Vec<(&'static str, String)> {
    let question = |people| notices::question(Question::Restart { people });
    let counted = |text: String| text.replacen('7', "{n}", 1);
    let labels = [
        ("nest", "Nest {id}"),
        ("restart", "Restart"),
        ("restartNest", "Restart the nest"),
        ("host", "Host"),
        ("contact", "Write to the host"),
        ("open", "Open it in a client"),
        ("openApp", "Open it in an app"),
        ("forHosts", "Are you the host?"),
        (
            "forHostsWhy",
            "The Restart button makes a new audio room, with the same link. It asks the signer of your browser.",
        ),
        ("terminal", "From a terminal:"),
        ("command", COMMAND),
        ("copy", "Copy"),
        ("copied", "Copied"),
        ("notCopied", "Not copied: select it, and copy it yourself"),
        ("stayed", "Stay on this page after a restart"),
        ("leaving", "The client opens in {seconds} s."),
        ("stay", "Stay here"),
        ("cancel", "Cancel"),
        ("whoIsInside", "Looking who is inside…"),
        ("signing", "Waiting for your signature…"),
        ("restarting", "Restarting…"),
        ("looking", "Looking whether the room is new…"),
        ("wait", WAIT),
        ("noScript", "Scripts are off: reload the page to look again. The host can restart the nest from a terminal."),
        ("ask", "Its event on Nostr says whether it is over or planned. Ask the relays of this link: {relays}"),
        ("askButton", "Ask them"),
        ("asked", "The relays do not say more."),
        ("details", "Details for troubleshooting"),
        ("copyDetails", "Copy the details"),
        ("offline", "The server was not reached when this page last looked."),
        ("ahead", "ahead of"),
        ("behind", "behind"),
        ("noAnswer", "no answer within {seconds} s"),
        ("redirect", "with a redirect"),
        ("tooLarge", "the answer is too large"),
        ("noSignature", "what came back is no signed event"),
        ("serverSays", "the server says: {said}"),
        ("stillLooking", "the page could not see the audio room afterwards"),
        ("factNest", "Nest"),
        ("factServer", "Server"),
        ("factLooked", "Looked"),
        ("factRecord", "Record"),
        ("factRoom", "Audio room"),
        ("factClock", "Clock"),
        ("factClockIs", "this device is {apart} {side} the server"),
        ("factClockRight", "agrees with the server's"),
        ("factBrowser", "Browser"),
        ("factRequests", "Requests"),
        ("created", "created {time}"),
        ("createdRestarted", "created {time}, restarted {restarted}"),
        ("redis", "Redis"),
        ("mediaServer", "LiveKit"),
        ("isDown", "{name} is down"),
        ("none", "none"),
        ("notKnown", "not known"),
        ("audioRoom", "{sid}, created {time}, {people}"),
    ];
    let counts = [
        ("people0", people(0)),
        ("people1", people(1)),
        ("people", counted(people(7))),
        ("question1", question(1)),
        ("question", counted(question(7))),
    ];
    labels.map(|(name, text)| (name, text.to_owned())).into_iter().chain(counts).collect()
}

/// All of it as JSON, by name; `NAME.why` and `NAME.todo` go with the states and outcomes.
pub fn json() -> String {
    let said = states().into_iter().chain(outcomes()).flat_map(|Said { name, what, why, todo }| {
        [(name.to_owned(), what), (format!("{name}.why"), why), (format!("{name}.todo"), todo)]
    });
    let labels = labels().into_iter().map(|(name, text)| (name.to_owned(), text));
    let words: BTreeMap<_, _> = said.chain(labels).collect();
    to_string_pretty(&words).expect("texts are JSON") + "\n"
}
