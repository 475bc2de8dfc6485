//! What `nest init` asks and tells, and the units that it writes.

use std::path::{Path, PathBuf};

use nostr::PublicKey;

use super::advice::quoted;
use super::errors::{Exit, Failure};
use super::{Step, Verb, says_over, troubles};
use crate::api::ApiUrl;
use crate::key::npub;
use crate::report::Status;

pub(in crate::cli) const WHERE: &str = "Your server, or the link of a nest";
pub(in crate::cli) const WHICH: &str = "Which of your nests is to be looked after";
pub(in crate::cli) const NONE: &str = "none of them";
pub(in crate::cli) const WRITE_UNITS: &str = "Write both, and start the timer?";

pub(in crate::cli) fn alias_of(title: &str) -> String {
    format!("A short name for {title} (empty: none)")
}

/// What an existing configuration says otherwise.
pub(in crate::cli) fn replace(changes: &[(String, String)]) -> String {
    let changes: Vec<_> = changes.iter().map(|(name, old)| format!("{name} = {old:?}")).collect();
    format!("The configuration says {}. Replace that (it stays as a comment)?", changes.join(" and "))
}

pub(in crate::cli) fn would_replace(changes: &[(String, String)]) -> Failure {
    Failure::usage("nothing was written: the configuration says otherwise already")
        .cause(changes.iter().map(|(name, old)| format!("{name} = {old:?}")).collect::<Vec<_>>().join(", "))
        .hint("--yes replaces that, and leaves the old lines as comments; --profile NAME keeps both")
}

pub(in crate::cli) fn two_servers(named: &ApiUrl, given: &ApiUrl) -> Failure {
    Failure::usage(format!("two servers are named: {named}, and {given}")).hint("leave out --api")
}

/// What would have been asked, and nobody is there to answer.
pub(in crate::cli) fn missing(flags: &[&str]) -> Failure {
    let failure = Failure::usage("nobody is at the terminal to be asked; nothing was written");
    flags.iter().fold(failure, |failure, flag| failure.hint(format!("missing: {flag}")))
}

pub(in crate::cli) const MISSING_SERVER: &str = "the server, or the link of a nest: `nest init nostrnests.com`";
pub(in crate::cli) const MISSING_KEY: &str = "the key: --key-file PATH, or - for stdin; --bunker NAME; or --no-key";
pub(in crate::cli) const MISSING_ALIAS: &str = "for the timer, a nest and a short name for it: --alias NAME";

pub(in crate::cli) const NO_KEY: &str =
    "no key was given: looking needs none, restarting does. Run `nest init` again to add one";

pub(in crate::cli) fn is_alias(name: &str) -> Result<String, String> {
    let fits = (1..=32).contains(&name.len()) && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
    if fits { Ok(name.to_owned()) } else { Err("up to 32 letters, digits, - and _".into()) }
}

/// A title as an alias, as far as it has letters for one.
pub(in crate::cli) fn as_alias(title: &str) -> String {
    let words = title.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let whole = words.collect::<Vec<_>>().join("-").to_ascii_lowercase();
    whole.chars().take(32).collect::<String>().trim_end_matches('-').to_owned()
}

/// `verb` keeps it anew.
pub(in crate::cli) fn unreachable_keyring(verb: Verb) -> String {
    let instead = verb.alone().with("--to-file", "");
    format!(
        "the keyring is open only while you are logged in, and so the timer restarts nothing while you are not. On a machine \
         where nobody is logged in, keep the key in a file instead: {instead}"
    )
}

/// The first link of the chain that is not as it has to be; whether that is because the key has not signed.
pub(in crate::cli) fn not_proven(step: &Step, unsigned: bool) -> Failure {
    let exit = match step.name {
        "key" => Exit::Key,
        "signature" if unsigned => Exit::Key,
        "signature" => Exit::Unauthorized,
        "dns" | "proxy" | "tcp" | "tls" => Exit::Unreachable,
        _ => Exit::Server,
    };
    let failure = Failure::new(exit, format!("nothing was written: {} {}", step.name, fault(step.status)));
    let failure = failure.cause(step.detail.clone());
    step.hint.clone().into_iter().fold(failure, Failure::hint)
}

/// With this key the nest could not be restarted.
pub(in crate::cli) fn not_host(you: PublicKey, host: PublicKey, nest: &str) -> Failure {
    let again = Verb::Init.on(nest).with("--key-file", "PATH");
    Failure::new(Exit::NotHost, "nothing was written: this nest is somebody else's").because(troubles::not_host(
        npub(&you),
        npub(&host),
        again,
    ))
}

fn fault(status: Status) -> &'static str {
    if status == Status::Failed { "failed" } else { "could not be checked" }
}

/// The two units that look after a nest, by their kinds. `nest` is the program, `flags` what every call needs.
pub(in crate::cli) fn units(nest: &str, alias: &str, flags: &[String]) -> [(&'static str, String); 2] {
    let nest = unit_word(nest);
    let flags = flags.iter().map(|word| unit_word(word)).collect::<Vec<_>>().join(" ");
    let service = format!(
        "# Written by nest init.\n\n[Unit]\nDescription=Bring the Nostr Nest @{alias} back\n\
         Documentation=man:nest-restart(1)\n\n[Service]\nType=oneshot\n\
         # Does nothing to a nest that runs. No --check: joining an empty nest and leaving it would close it within a minute.\n\
         ExecStart={nest} restart --quiet --if-inactive @{alias} {flags}\nTimeoutStartSec=5min\nNoNewPrivileges=yes\nLimitCORE=0\n\
         UMask=0077\n"
    );
    let timer = format!(
        "# Written by nest init.\n\n[Unit]\nDescription=Look after the Nostr Nest @{alias}\n\
         Documentation=man:nest-restart(1)\n\n[Timer]\n# An empty nest closes after half an hour.\nOnCalendar=*:0/15\n\
         # Not all at the same second: the server allows 100 requests in 15 minutes, and counts a whole office as one.\n\
         RandomizedDelaySec=2min\nAccuracySec=30s\n\n[Install]\nWantedBy=timers.target\n"
    );
    [("service", service), ("timer", timer)]
}

/// A word of a command line as systemd reads it (systemd.service(5), "COMMAND LINES").
fn unit_word(word: &str) -> String {
    let word = word.replace('%', "%%").replace('$', "$$");
    let plain = |c: char| c.is_alphanumeric() || "-_./:@%+=,$".contains(c);
    if word.chars().all(plain) { word } else { format!("\"{}\"", word.replace('\\', r"\\").replace('"', "\\\"")) }
}

pub(in crate::cli) fn offer(alias: &str, units: &[(PathBuf, String)]) -> String {
    let shown = units.iter().map(|(path, text)| {
        let lines = text.lines().filter(|line| !line.is_empty()).map(|line| format!("    {line}\n"));
        format!("  {}\n{}", path.display(), lines.collect::<String>())
    });
    format!(
        "A timer would look every 15 minutes whether @{alias} runs, and restart it if not:\n{}",
        shown.collect::<String>()
    )
}

/// Units that are there already, and are others.
pub(in crate::cli) fn unit_exists(path: &Path) -> Failure {
    Failure::usage(format!("{} is there already, and is another", path.display()))
        .hint("look at it, and remove it; or --yes replaces it; or give this nest another name: --alias NAME")
}

/// What remains to be done by hand because `systemctl` did not do it.
pub(in crate::cli) fn start_by_hand(unit: &str, why: &str) -> String {
    format!(
        "the timer was written and not started: {why}. Start it: `systemctl --user daemon-reload && systemctl --user enable \
         --now {unit}`"
    )
}

pub(in crate::cli) fn linger() -> &'static str {
    "it runs while you are logged in; to have it run always: `loginctl enable-linger`"
}

pub(in crate::cli) fn looks_after(unit: &str, started: bool) -> String {
    if started {
        format!("{unit} looks every 15 minutes, and restarts the nest if it is dead")
    } else {
        format!("{unit} was not started: nobody looks after the nest yet")
    }
}

/// The unit that starts a restart of `@alias` again and again.
pub(in crate::cli) fn timer(alias: &str) -> String {
    format!("nest-restart-{alias}.timer")
}

/// The nest that it looks after is over.
pub(in crate::cli) fn timer_goes_on(timer: &str) -> String {
    format!("{timer} goes on looking after it: `systemctl --user disable --now {timer}`")
}

/// Said before anything is written: perhaps another nest was meant.
pub(in crate::cli) fn over(status: &str, successor: Option<&str>) -> String {
    let over = format!("this nest is over: its event says {}", says_over(status));
    match successor {
        Some(successor) => format!("{over}; another nest took its place: {}", Verb::Init.on(successor)),
        None => over,
    }
}

/// A short name was given, and no nest.
pub(in crate::cli) fn alias_of_what(alias: &str) -> Failure {
    Failure::usage("nothing was written: --alias names a nest, and only a server was given")
        .hint(format!("give the nest's link or naddr: {}", Verb::Init.on("https://…/naddr1…").with("--alias", alias)))
}

/// The next thing to do. What this call was given is in the configuration now.
pub(in crate::cli) fn next(nest: Option<&str>, over: bool) -> String {
    match nest {
        Some(nest) if over => format!("see what there is left of it: `nest status {}`", quoted(nest)),
        Some(nest) => format!("see how it is: `nest status {0}`; bring it back: `nest restart {0}`", quoted(nest)),
        None => "see your nests: `nest list`".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_becomes_an_alias() {
        assert_eq!(as_alias("Nostr & Friends: Weekly!"), "nostr-friends-weekly");
        assert_eq!(as_alias("日本語"), "");
        assert_eq!(as_alias(&format!("{} b", "a".repeat(31))), "a".repeat(31));
        assert!(is_alias("weekly_2-x").is_ok() && is_alias("a b").is_err() && is_alias("").is_err());
    }

    #[test]
    fn systemd_reads_the_words_that_were_meant() {
        assert_eq!(unit_word("/usr/bin/nest"), "/usr/bin/nest");
        assert_eq!(unit_word("/home/a b/50%/$x\"\\"), "\"/home/a b/50%%/$$x\\\"\\\\\"");
    }
}
