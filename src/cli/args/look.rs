//! The arguments of the commands that look: `nest status`, `check`, `token`, `doctor`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::{KeyArgs, RetryArgs, ServerArgs, TEMPLATE, duration, exit_help};
use crate::livekit;

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

#[derive(Debug, Args)]
#[command(
    help_template = TEMPLATE,
    before_help = "\
Examples:
  nest check https://nostrnests.com/naddr1…              can a listener join? No key is needed
  nest check ROOM --api https://nostrnests.com --hold 45s and does it last?
  nest check --url wss://live.example.com --token-file - any LiveKit server, with any token for it
",
    after_help = exit_help()
)]
pub struct CheckArgs {
    /// The nest: a room id, naddr1…, a link to the nest, the room's API URL, 30312:<pubkey>:<d>, or @ALIAS; at a
    /// terminal, without one: choose
    #[arg(value_name = "ROOM", conflicts_with = "url")]
    pub room: Option<String>,
    /// A media server, instead of a nest
    #[arg(long, value_name = "WS_URL", requires = "token_file")]
    pub url: Option<String>,
    /// A file with a token for it, or - for stdin
    #[arg(long, value_name = "PATH", requires = "url")]
    pub token_file: Option<PathBuf>,
    /// Join with the host's own token; ejects a host who is connected elsewhere
    #[arg(long, conflicts_with = "url")]
    pub as_host: bool,
    /// Stay inside this long, and tell if anything closes the room (at most 55s without audio)
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub hold: Option<Duration>,
    /// The one way that audio is to take
    #[arg(long, value_name = "WAY")]
    pub transport: Option<Transport>,
    /// Send a second of silence, and see that it arrives; needs a token that may speak
    #[arg(long)]
    pub publish: bool,
    #[command(flatten)]
    pub server: ServerArgs,
    #[command(flatten)]
    pub key: KeyArgs,
}

#[derive(Debug, Args)]
#[command(
    help_template = TEMPLATE,
    before_help = "\
Examples:
  nest status https://nostrnests.com/naddr1…      event, record, audio room, people; nobody joins
  nest status A B C --json | jq -r 'select(.state != \"running\") | .roomId'
  nest status ROOM -q || nest restart ROOM -q     the same as nest restart ROOM --if-inactive
",
    after_help = "\
Exit codes:
    0                all of them run
    2  usage         wrong usage or configuration
   10  unhealthy     one of them does not, or it is not known"
)]
pub struct StatusArgs {
    /// The nests: a room id, naddr1…, a link to the nest, the room's API URL, 30312:<pubkey>:<d>, or @ALIAS; at a
    /// terminal, without one: choose
    #[arg(value_name = "ROOM")]
    pub rooms: Vec<String>,
    /// Rooms in work at the same time
    #[arg(short, long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub jobs: u16,
    #[command(flatten)]
    pub server: ServerArgs,
}

#[derive(Debug, Args)]
#[command(
    help_template = TEMPLATE,
    before_help = "\
Examples:
  nest token https://nostrnests.com/naddr1…       a fresh token; the nest goes on as it is
  TOKEN=$(nest token ROOM --output token)         the bare token for a script
",
    after_help = exit_help()
)]
pub struct TokenArgs {
    /// The nest: a room id, naddr1…, a link to the nest, the room's API URL, 30312:<pubkey>:<d>, or @ALIAS; at a
    /// terminal, without one: choose
    #[arg(value_name = "ROOM")]
    pub room: Option<String>,
    #[command(flatten)]
    pub server: ServerArgs,
    #[command(flatten)]
    pub retry: RetryArgs,
    #[command(flatten)]
    pub key: KeyArgs,
}

#[derive(Debug, Args)]
#[command(
    help_template = TEMPLATE,
    before_help = "\
Examples:
  nest doctor --api https://nostrnests.com        key, clock, network, server, signature
  nest doctor https://nostrnests.com/naddr1…      and all that is between you and this nest
  nest doctor ROOM --json | jq -r '.steps[] | select(.status == \"failed\") | .name'
",
    after_help = "\
Nothing is changed. An empty nest is not joined, since that would shorten its life; nest check does it.

Exit codes:
    0                nothing is wrong
    2  usage         wrong usage or configuration
   10  unhealthy     something is"
)]
pub struct DoctorArgs {
    /// The nest: a room id, naddr1…, a link to the nest, the room's API URL, 30312:<pubkey>:<d>, or @ALIAS
    #[arg(value_name = "ROOM")]
    pub room: Option<String>,
    #[command(flatten)]
    pub server: ServerArgs,
    #[command(flatten)]
    pub key: KeyArgs,
}
