//! The commands that hints name: with what this call was given, and quoted for a shell.

use std::borrow::Cow;
use std::fmt::{self, Display, Formatter};
use std::sync::OnceLock;

use clap::ArgMatches;
use clap::parser::ValueSource;

use super::Verb;

/// What stood on the command line and holds for the next call too. What the environment and the configuration say is
/// there for the next call anyway.
static GIVEN: OnceLock<Vec<Given>> = OnceLock::new();

struct Given {
    flag: &'static str,
    /// `None` for a switch.
    value: Option<String>,
}

const ALL: [&str; 2] = ["config", "profile"];
const SERVER: [&str; 4] = ["api", "allow-http", "cacert", "relay"];
const KEY: [&str; 4] = ["key-file", "passphrase-file", "bunker", "signer-timeout"];

/// Remembers the arguments of this call, once.
pub(in crate::cli) fn remember(args: &ArgMatches) {
    let given = ALL.iter().chain(&SERVER).chain(&KEY).flat_map(|flag| {
        let id = &*flag.replace('-', "_");
        let written =
            args.try_contains_id(id).unwrap_or(false) && args.value_source(id) == Some(ValueSource::CommandLine);
        let values = if written { args.get_raw(id) } else { None };
        let value = |text: &std::ffi::OsStr| (*flag != "allow-http").then(|| text.to_string_lossy().into_owned());
        values.into_iter().flatten().map(|text| Given { flag, value: value(text) }).collect::<Vec<_>>()
    });
    let _ = GIVEN.set(given.collect());
}

/// Those of these flags that were given, with their values.
pub(in crate::cli) fn given(flags: &[&str]) -> Vec<(&'static str, Option<String>)> {
    let given = GIVEN.get().into_iter().flatten().filter(|given| flags.contains(&given.flag));
    given.map(|given| (given.flag, given.value.clone())).collect()
}

/// A command that helps; it shows itself in backticks, which nothing else in a hint that begins with `nest` has.
pub struct Advice {
    verb: Verb,
    room: String,
    more: Vec<(&'static str, String)>,
}

impl Advice {
    pub(super) fn new(verb: Verb, room: &str) -> Self {
        Self { verb, room: room.to_owned(), more: Vec::new() }
    }

    /// With this flag too; a value of this call is replaced. What is to be filled in, such as `PATH` or `wss://…`, is
    /// shown as it is.
    pub(in crate::cli) fn with(mut self, flag: &'static str, value: impl Display) -> Self {
        self.more.push((flag, value.to_string()));
        self
    }

    /// The command alone.
    pub(super) fn bare(&self) -> String {
        self.complete(GIVEN.get().map_or(&[], Vec::as_slice))
    }

    fn complete(&self, given: &[Given]) -> String {
        let asks = !self.verb.name().starts_with("key ");
        let signs = asks && self.verb != Verb::Status;
        let takes = |flag| ALL.contains(&flag) || asks && SERVER.contains(&flag) || signs && KEY.contains(&flag);
        let is_given = |flag: &str| self.more.iter().any(|(more, _)| more.strip_prefix("--") == Some(flag));
        // One key takes the place of another.
        let replaced = |flag: &str| is_given(flag) || flag == "bunker" && is_given("key-file");
        let mut words = vec![format!("nest {}", self.verb.name())];
        let (mut flags, room) = (Vec::new(), quoted(&self.room));
        for Given { flag, value } in given.iter().filter(|given| takes(given.flag) && !replaced(given.flag)) {
            flags.push(format!("--{flag}"));
            flags.extend(value.as_deref().map(|value| quoted(value).into_owned()));
        }
        for (flag, value) in &self.more {
            flags.push((*flag).to_owned());
            flags.extend(Some(quoted(value).into_owned()).filter(|_| !value.is_empty()));
        }
        if self.room.starts_with('-') {
            words.extend(flags);
            words.push(format!("-- {room}"));
        } else {
            words.extend(Some(room.into_owned()).filter(|_| !self.room.is_empty()));
            words.extend(flags);
        }
        words.join(" ")
    }
}

impl Display for Advice {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.bare())
    }
}

/// A word as a POSIX shell reads it.
pub(super) fn quoted(word: &str) -> Cow<'_, str> {
    let plain = |c: char| c.is_alphanumeric() || "-_./:@%+=,…".contains(c);
    if word.chars().all(plain) { word.into() } else { format!("'{}'", word.replace('\'', r"'\''")).into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_repeats_what_was_given_as_far_as_it_takes_it() {
        let given = |flag, value: &str| Given { flag, value: Some(value.to_owned()).filter(|value| !value.is_empty()) };
        let given = [
            given("profile", "my nests"),
            given("api", "http://a?b&c"),
            given("allow-http", ""),
            given("relay", "wss://a"),
            given("relay", "wss://b"),
            given("key-file", "it's"),
        ];
        let told = |advice: Advice| advice.complete(&given);
        let server = "--profile 'my nests' --api 'http://a?b&c' --allow-http --relay wss://a --relay wss://b";
        let restart = || Advice::new(Verb::Restart, "a b");
        assert_eq!(told(restart()), format!(r"nest restart 'a b' {server} --key-file 'it'\''s'"));
        assert_eq!(told(Advice::new(Verb::Status, "demo")), format!("nest status demo {server}"));
        assert_eq!(told(Advice::new(Verb::KeyImport, "")), "nest key import --profile 'my nests'");
        let other = restart().with("--key-file", "PATH").with("--relay", "wss://…").with("--if-inactive", "");
        assert_eq!(
            told(other),
            "nest restart 'a b' --profile 'my nests' --api 'http://a?b&c' --allow-http --key-file PATH --relay wss://… \
             --if-inactive"
        );
        assert!(told(Advice::new(Verb::Close, "-x")).ends_with(" -- -x"));
    }
}
