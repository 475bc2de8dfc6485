//! Every argument, with examples. No I/O.
#![allow(clippy::doc_markdown, reason = "these comments are the help")]

mod deferred;
mod key;
mod look;
mod mock;
mod nests;
mod serve;

use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use self::deferred::Deferred;
pub use self::key::KeyCommand;
pub use self::look::{CheckArgs, DoctorArgs, StatusArgs, TokenArgs, Transport};
pub use self::mock::MockArgs;
pub use self::nests::{CloseArgs, ListArgs, OpenArgs, RecreateArgs};
pub use self::serve::{LogFormat, ServeArgs};

const TEMPLATE: &str = "{before-help}{about}\n\n{usage-heading} {usage}\n\n{all-args}{after-help}";

/// Bring dead Nostr Nests back.
#[derive(Debug, Parser)]
#[command(
    name = "nest",
    version,
    about = "Bring dead Nostr Nests back.",
    help_template = TEMPLATE,
    before_help = "\
Examples:
  nest key import                                     keep your key in the OS keyring, once
  nest restart https://nostrnests.com/naddr1… --check bring a nest back, and prove that people can join
  nest restart ROOM --api https://nostrnests.com -q   the same for cron: silent when all is well
  nest check https://nostrnests.com/naddr1…           why can I not join? No key is needed
  nest doctor ROOM                                    every link between you and a nest
  nest mock -- nest restart demo --check              try it all on this machine, without a key or a server
",
    disable_help_subcommand = true,
    max_term_width = 110
)]
pub struct Cli {
    #[command(flatten)]
    pub output: OutputArgs,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Bring nests back: sign, restart, print the new token and endpoints
    Restart(Deferred<RestartArgs>),
    /// See at a glance whether nests run; nobody joins
    Status(Deferred<StatusArgs>),
    /// Prove that a nest can be joined, as a listener would
    Check(Deferred<CheckArgs>),
    /// Look at every link between you and a nest, and say what to do next
    Doctor(Deferred<DoctorArgs>),
    /// Get a fresh token without a restart
    Token(Deferred<TokenArgs>),
    /// Show the nests of a host: what Nostr, the API and LiveKit say of each
    List(Deferred<ListArgs>),
    /// Open a new nest in the place of one that its server has lost
    Recreate(Deferred<RecreateArgs>),
    /// End a nest: in the API, and in its event
    Close(Deferred<CloseArgs>),
    /// Open the page of a nest in the browser
    Open(Deferred<OpenArgs>),
    /// Keep host keys in the OS keyring
    #[command(subcommand)]
    Key(KeyCommand),
    /// Start the bundled server on loopback: Nests API, LiveKit signal, relay
    Mock(Deferred<MockArgs>),
    /// Serve the Nests API for real, on Redis and LiveKit
    Serve(Deferred<ServeArgs>),
    /// Print a script that teaches your shell the commands and options
    #[command(help_template = TEMPLATE, before_help = "\
Examples:
  nest completions bash > ~/.local/share/bash-completion/completions/nest
  nest completions zsh > ~/.zfunc/_nest            with fpath=(~/.zfunc $fpath) before compinit in ~/.zshrc
  nest completions fish > ~/.config/fish/completions/nest.fish
")]
    Completions {
        /// Which shell
        #[arg(value_name = "SHELL")]
        shell: clap_complete::Shell,
    },
    /// Print a man page
    #[command(help_template = TEMPLATE, before_help = "\
Examples:
  nest man restart | man -l -                      read it
  nest man > ~/.local/share/man/man1/nest.1        keep it
")]
    Man {
        /// Of which command; without one, of nest itself
        #[arg(value_name = "COMMAND")]
        command: Vec<String>,
    },
}

/// How results and progress are shown.
#[derive(Clone, Debug, Args)]
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
    /// The configuration file [env: NEST_CONFIG]
    #[arg(long, global = true, value_name = "PATH", help_heading = "Configuration")]
    pub config: Option<PathBuf>,
    /// A section of the configuration file [env: NEST_PROFILE]
    #[arg(long, global = true, value_name = "NAME", help_heading = "Configuration")]
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
pub struct ServerArgs {
    /// The Nests API: its origin, or the full …/api/v1/nests [env: NEST_API]
    #[arg(long, value_name = "URL", help_heading = "Server")]
    pub api: Option<String>,
    /// Accept plain http to other machines
    #[arg(long, help_heading = "Server")]
    pub allow_http: bool,
    /// Trust the certificates in this PEM file too, for a private CA
    #[arg(long, value_name = "PATH", help_heading = "Server")]
    pub cacert: Option<PathBuf>,
    /// A relay to look for the nest's event on; may be given several times [env: NEST_RELAYS]
    #[arg(long, value_name = "URL", help_heading = "Server")]
    pub relay: Vec<String>,
    /// Limit of what is asked of relays
    #[arg(long, value_name = "TIME", value_parser = duration, help_heading = "Server")]
    pub relay_timeout: Option<Duration>,
    /// Limit of one attempt: 500ms, 2s, 5m
    #[arg(long, value_name = "TIME", value_parser = duration, help_heading = "Server")]
    pub timeout: Option<Duration>,
}

/// What is sent again.
#[derive(Clone, Debug, Default, Args)]
pub struct RetryArgs {
    /// Attempts after the first, for failures that are safe to repeat
    #[arg(long, value_name = "N", help_heading = "Server")]
    pub retries: Option<u32>,
    /// The longest pause that a server may ask for
    #[arg(long, value_name = "TIME", value_parser = duration, help_heading = "Server")]
    pub max_wait: Option<Duration>,
}

/// Where the key comes from. It is never an argument.
#[derive(Clone, Debug, Default, Args)]
pub struct KeyArgs {
    /// A file with the host's key (nsec, hex or ncryptsec), or - for stdin [env: NEST_KEY_FILE]
    #[arg(long, value_name = "PATH", help_heading = "Key")]
    pub key_file: Option<PathBuf>,
    /// A file with the passphrase of an ncryptsec
    #[arg(long, value_name = "PATH", help_heading = "Key")]
    pub passphrase_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(
    help_template = TEMPLATE,
    before_help = "\
Examples:
  nest restart https://nostrnests.com/naddr1… --api https://nostrnests.com
  nest restart 2f9a…-uuid --check --hold 45s      prove that people can join, and that it lasts
  TOKEN=$(nest restart ROOM --output token)       the bare token for a script
  nest restart A B C --json | jq .error           several at once, one JSON document a line
  nest restart --all-inactive -q                  whatever is open and dead; what is over stays over
",
    after_help = exit_help()
)]
pub struct RestartArgs {
    /// The nests: a room id, naddr1…, a link to the nest, the room's API URL, 30312:<pubkey>:<d>, or @ALIAS; at a
    /// terminal, without one: choose
    #[arg(value_name = "ROOM")]
    pub rooms: Vec<String>,
    /// All nests of the host that are open by their event and have no audio room, and no others
    #[arg(long, conflicts_with = "rooms")]
    pub all_inactive: bool,
    /// Prove that the new session can be joined (as a listener)
    #[arg(long)]
    pub check: bool,
    /// With --check: stay inside this long, and tell if anything closes the room (at most 55s without audio)
    #[arg(long, value_name = "TIME", value_parser = duration, requires = "check")]
    pub hold: Option<Duration>,
    /// With --check: the one way that audio is to take
    #[arg(long, value_name = "WAY", requires = "check")]
    pub transport: Option<Transport>,
    /// With --check --as-host: send a second of silence, and see that it arrives
    #[arg(long, requires = "as_host")]
    pub publish: bool,
    /// With --check: join with the host's token; ejects a host who is connected elsewhere
    #[arg(long, requires = "check")]
    pub as_host: bool,
    /// Open the nest's page in the browser once it is back
    #[arg(long, conflicts_with = "dry_run")]
    pub open: bool,
    /// Do nothing for a nest that runs
    #[arg(long)]
    pub if_inactive: bool,
    /// Put the event right if it says that the nest is over, or names other endpoints
    #[arg(long)]
    pub publish_status: bool,
    /// End at once if another restart of the room is running on this machine
    #[arg(long)]
    pub no_wait: bool,
    /// Ask nothing
    #[arg(short, long)]
    pub yes: bool,
    /// Send nothing; show what would be sent, the signature masked
    #[arg(long)]
    pub dry_run: bool,
    /// Rooms in work at the same time
    #[arg(short, long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub jobs: u16,
    #[command(flatten)]
    pub server: ServerArgs,
    #[command(flatten)]
    pub retry: RetryArgs,
    #[command(flatten)]
    pub key: KeyArgs,
}

/// Written once, though many commands show it.
fn exit_help() -> &'static str {
    static HELP: LazyLock<String> = LazyLock::new(|| format!("Exit codes:\n{}", super::exit::help()));
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

fn duration(text: &str) -> Result<Duration, String> {
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
