//! The arguments that all or several commands share. Each command's own stand beside what it does.
#![allow(clippy::doc_markdown, rustdoc::invalid_html_tags, reason = "these comments are the help")]

use std::ffi::OsString;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use clap::builder::Resettable;
use clap::error::{ContextKind, ContextValue};
use clap::{Arg, ArgMatches, Args, CommandFactory as _, FromArgMatches, Parser, ValueEnum, value_parser};

use super::command::Command;
use super::messages::{configuration, errors};
use super::settings::vars;
use crate::key::Sessions;
use crate::livekit;

pub(super) const TEMPLATE: &str = "{before-help}{about}\n\n{usage-heading} {usage}\n\n{all-args}{after-help}";

/// Bring dead Nostr Nests back.
#[derive(Debug, Parser)]
#[command(
    name = "nest",
    version,
    about = "Bring dead Nostr Nests back.",
    help_template = TEMPLATE,
    before_help = "\
Examples:
  nest init                                            begin here: your server, your key, your nest, a timer
  nest restart https://nostrnests.com/naddr1… --check  bring a nest back, and prove that people can join
  nest restart ROOM --api https://nostrnests.com -q    the same for cron: silent when all is well
  nest check https://nostrnests.com/naddr1…            why can I not join? No key is needed
  nest doctor ROOM                                     every link between you and a nest
  nest mock -- nest restart demo --check               try it all on this machine, without a key or a server
",
    after_long_help = exit_help(),
    disable_help_subcommand = true,
    max_term_width = 110
)]
pub struct Cli {
    #[command(flatten)]
    pub output: OutputArgs,
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// Parses the arguments, and the variables of those that are missing. The matches are those of the command.
    pub fn read(args: &[OsString]) -> Result<(Self, ArgMatches), clap::Error> {
        let mut matches = Self::command().try_get_matches_from(args).map_err(|error| name_variable(args, error))?;
        let cli = Self::from_arg_matches(&matches)?;
        while let Some((_, command)) = matches.remove_subcommand() {
            matches = command;
        }
        Ok((cli, matches))
    }
}

/// Of a wrong value clap names the flag, even where it came from the variable. Only `nest serve` has variables that clap
/// can find wrong.
fn name_variable(args: &[OsString], mut error: clap::Error) -> clap::Error {
    if let Some(ContextValue::String(shown)) = error.get(ContextKind::InvalidArg) {
        let flag = shown.split(' ').next().unwrap_or_default();
        let written = args.iter().any(|arg| arg.to_string_lossy().split('=').next() == Some(flag));
        let name = serve_variable(flag.trim_start_matches('-'));
        if !written && std::env::var_os(&name).is_some() {
            error.insert(ContextKind::InvalidArg, ContextValue::String(name));
        }
    }
    error
}

/// The variable of a setting of `nest serve`: `NEST_SERVE_RECORD_TTL` for `record-ttl`.
pub(super) fn serve_variable(name: &str) -> String {
    format!("NEST_SERVE_{}", name.replace('-', "_").to_ascii_uppercase())
}

/// A variable that is empty counts as not set, and help names variables without what is in them.
pub(super) fn variable(arg: Arg) -> Arg {
    match arg.get_env().map(std::env::var_os) {
        None => arg,
        Some(Some(value)) if value.is_empty() => arg.env(Resettable::Reset),
        Some(_) => arg.hide_env_values(true),
    }
}

/// How results and progress are shown.
#[derive(Clone, Debug, Args)]
#[command(mut_args = variable)]
pub struct OutputArgs {
    /// What stdout carries
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text", help_heading = "Output")]
    pub output: Format,
    /// Short for --output json
    #[arg(long, global = true, conflicts_with = "output", help_heading = "Output")]
    pub json: bool,
    /// Print nothing but warnings, and errors in one line each (a format that was asked for is still printed)
    #[arg(short, long, global = true, help_heading = "Output")]
    pub quiet: bool,
    /// Say more; twice: still more
    #[arg(short, long, global = true, action = clap::ArgAction::Count, help_heading = "Output")]
    pub verbose: u8,
    /// Colours [NO_COLOR is honoured]
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", help_heading = "Output")]
    pub color: Color,
    /// The configuration file
    #[arg(long, global = true, value_name = "PATH", env = vars::CONFIG, help_heading = "Configuration")]
    pub config: Option<PathBuf>,
    /// A section of the configuration file
    #[arg(long, global = true, value_name = "NAME", env = vars::PROFILE, help_heading = "Configuration")]
    pub profile: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Text,
    /// One document a room; JSON Lines for several
    Json,
    /// The bare token, for scripts
    Token,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    #[default]
    Auto,
    Always,
    Never,
}

/// Where the API is, and how long to wait for it.
#[derive(Clone, Debug, Default, Args)]
#[command(mut_args = variable)]
pub struct ServerArgs {
    /// The Nests API: its origin, or the full …/api/v1/nests
    #[arg(long, value_name = "URL", env = vars::API, help_heading = "Server")]
    pub api: Option<String>,
    /// Accept plain http to other machines
    #[arg(long, help_heading = "Server")]
    pub allow_http: bool,
    /// Trust the certificates in this PEM file too, for a private CA
    #[arg(long, value_name = "PATH", help_heading = "Server")]
    pub cacert: Option<PathBuf>,
    /// A relay to look for the nest's event on; may be given several times
    #[arg(long, value_name = "URL", value_delimiter = ',', env = vars::RELAYS, help_heading = "Server")]
    pub relay: Vec<String>,
    /// Limit of what is asked of relays
    #[arg(long, value_name = "TIME", value_parser = duration, help_heading = "Server")]
    pub relay_timeout: Option<Duration>,
    /// Limit of one attempt: 500ms, 2s, 5m
    #[arg(long, value_name = "TIME", value_parser = duration, help_heading = "Server")]
    pub timeout: Option<Duration>,
}

/// Where the key comes from. It is never an argument.
#[derive(Clone, Debug, Default, Args)]
pub struct KeyArgs {
    #[command(flatten)]
    pub file: KeyFileArgs,
    /// The remote signer that signs, by its name; `nest key connect` pairs with one [env: NEST_BUNKER, a whole bunker:// URI]
    #[arg(long, value_name = "NAME", conflicts_with = "key_file", value_parser = signer_name, help_heading = "Key")]
    pub bunker: Option<String>,
    /// Limit of one answer of a remote signer; servers accept a signature for a minute [default: 45s]
    #[arg(long, value_name = "TIME", value_parser = duration, help_heading = "Key")]
    pub signer_timeout: Option<Duration>,
}

/// A key that is here, as text.
#[derive(Clone, Debug, Default, Args)]
pub struct KeyFileArgs {
    /// A file with the host's key (nsec, hex, words or ncryptsec), or - for stdin [env: NEST_KEY_FILE]
    #[arg(long, value_name = "PATH", help_heading = "Key")]
    pub key_file: Option<PathBuf>,
    /// A file with the passphrase of an ncryptsec
    #[arg(long, value_name = "PATH", help_heading = "Key")]
    pub passphrase_file: Option<PathBuf>,
}

/// How the relays of a remote signer are reached, by commands that ask nobody else.
#[derive(Clone, Debug, Default, Args)]
pub struct SignerRelayArgs {
    /// Accept relays of a remote signer that are not encrypted (ws://) on other machines
    #[arg(long, help_heading = "Key")]
    pub allow_http: bool,
    /// Trust the certificates in this PEM file too, for relays with a private CA
    #[arg(long, value_name = "PATH", help_heading = "Key")]
    pub cacert: Option<PathBuf>,
}

impl From<SignerRelayArgs> for ServerArgs {
    fn from(args: SignerRelayArgs) -> Self {
        Self { allow_http: args.allow_http, cacert: args.cacert, ..Self::default() }
    }
}

/// The name of a remote signer that was, or is to be, paired with.
pub(super) fn signer_name(text: &str) -> Result<String, String> {
    if Sessions::is_name(text) {
        return Ok(text.to_owned());
    }
    let uri = text.get(..9).is_some_and(|head| head.eq_ignore_ascii_case("bunker://"));
    Err(if uri { configuration::PAIR_FIRST } else { "a name has up to 32 letters, digits, - and _" }.into())
}

/// What commands share that send signed requests.
#[derive(Debug, Args)]
pub struct SignedArgs {
    #[command(flatten)]
    pub server: ServerArgs,
    /// Attempts after the first, for failures that are safe to repeat
    #[arg(long, value_name = "N", help_heading = "Server")]
    pub retries: Option<u32>,
    /// The longest pause that a server may ask for
    #[arg(long, value_name = "TIME", value_parser = duration, help_heading = "Server")]
    pub max_wait: Option<Duration>,
    #[command(flatten)]
    pub key: KeyArgs,
}

/// The nest that a command looks at.
#[derive(Debug, Args)]
pub struct RoomArg {
    /// The nest: a room id, naddr1…, a link to the nest, the room's API URL, 30312:<pubkey>:<d>, or @ALIAS; at a
    /// terminal, without one: choose
    #[arg(value_name = "ROOM")]
    pub room: Option<String>,
}

/// The nest that a command changes by its event too: it has to have one.
#[derive(Debug, Args)]
pub struct NestArg {
    /// The nest: naddr1…, a link to it, 30312:<pubkey>:<d>, its id, or @ALIAS; at a terminal, without one: choose
    #[arg(value_name = "ROOM")]
    pub room: Option<String>,
}

#[derive(Debug, Args)]
pub struct RoomsArg {
    /// The nests: a room id, naddr1…, a link to the nest, the room's API URL, 30312:<pubkey>:<d>, or @ALIAS; at a
    /// terminal, without one: choose
    #[arg(value_name = "ROOM")]
    pub rooms: Vec<String>,
}

#[derive(Debug, Args)]
pub struct JobsArg {
    /// Rooms in work at the same time
    #[arg(short, long, value_name = "N", default_value_t = 8, value_parser = value_parser!(u16).range(1..=256))]
    pub jobs: u16,
}

/// Staying, and telling what changes.
#[derive(Debug, Args)]
pub struct FollowArgs {
    /// Stay, and tell whenever the event, who is present, or what the API says has changed; Ctrl-C ends it
    #[arg(short, long)]
    pub follow: bool,
    /// How often to ask the API meanwhile; never more than it allows
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "15s", requires = "follow")]
    pub interval: Duration,
}

/// How audio is to travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Transport {
    /// Straight to the media server
    Udp,
    /// ICE over TCP
    Tcp,
    /// Through the TURN server that the media server names
    Relay,
}

impl From<Transport> for livekit::Transport {
    fn from(way: Transport) -> Self {
        match way {
            Transport::Udp => Self::Udp,
            Transport::Tcp => Self::Tcp,
            Transport::Relay => Self::Relay,
        }
    }
}

/// Written once, though many commands show it.
pub(super) fn exit_help() -> &'static str {
    static HELP: LazyLock<String> = LazyLock::new(|| format!("Exit codes:\n{}", errors::help()));
    &HELP
}

/// `500ms`, `2s`, `5m`, `24h`.
fn any_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no time; write 500ms, 2s or 5m");
    if !text.ends_with(|c: char| c.is_ascii_alphabetic()) || text.starts_with('-') {
        return Err(wrong());
    }
    let time: jiff::SignedDuration = text.parse().map_err(|_| wrong())?;
    Duration::try_from(time).map_err(|_| wrong())
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let time = any_duration(text)?;
    if time.is_zero() || time > Duration::from_hours(24) {
        return Err("must be more than nothing and at most 24h".into());
    }
    Ok(time)
}

/// How long a record lives: a minute to a year.
pub(super) fn lifetime(text: &str) -> Result<Duration, String> {
    let time = any_duration(text)?;
    let sensible = Duration::from_mins(1)..=Duration::from_hours(24 * 366);
    if sensible.contains(&time) { Ok(time) } else { Err("must be between 1m and a year".into()) }
}

/// A command's arguments, described to clap only when it is called: describing all commands takes longer than parsing one.
#[derive(Debug)]
pub struct Deferred<T>(pub T);

impl<T> Deref for Deferred<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Args> Args for Deferred<T> {
    fn augment_args(command: clap::Command) -> clap::Command {
        command.defer(|command| {
            // A group of arguments that several commands share brings words of its own.
            let (about, long) = (command.get_about().cloned(), command.get_long_about().cloned());
            let command = T::augment_args(command).help_template(TEMPLATE);
            command.about(Resettable::from(about)).long_about(Resettable::from(long))
        })
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl<T: FromArgMatches> FromArgMatches for Deferred<T> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        T::from_arg_matches(matches).map(Self)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0.update_from_arg_matches(matches)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definitions_hold_together() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn times_have_a_unit() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("2s"), Ok(Duration::from_secs(2)));
        assert_eq!(duration("5m"), Ok(Duration::from_mins(5)));
        for bad in ["", "5", "-2s", "0s", "99h", "soon", "1y"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
        assert!(lifetime("720h").is_ok() && lifetime("59s").is_err() && lifetime("9000h").is_err());
    }
}
