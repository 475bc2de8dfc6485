//! The arguments of `nest serve`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::{TEMPLATE, lifetime};

#[derive(Debug, Args)]
#[command(
    help_template = TEMPLATE,
    before_help = "\
Example:
  nest serve --redis redis://127.0.0.1 --livekit ws://127.0.0.1:7880 --livekit-key KEY \\
    --livekit-secret-file /etc/nest/livekit-secret --public-url https://nests.example \\
    --public-livekit-url wss://nests.example/livekit --trusted-proxy 127.0.0.1
",
    after_help = "\
Each of these can also be a variable (NEST_SERVE_RECORD_TTL for --record-ttl) or a line below [serve] in the
configuration file (record-ttl = \"24h\"). Secrets are files, or systemd credentials named livekit-secret and
redis-password. LiveKit's webhook belongs at /api/v1/nests/webhook; /health and /metrics tell how it goes."
)]
pub struct ServeArgs {
    /// Where to listen [default: 127.0.0.1:5544]
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<String>,
    /// Where the records are: redis://host:port/db or unix:///path
    #[arg(long, value_name = "URL")]
    pub redis: Option<String>,
    /// A file with the password of Redis
    #[arg(long, value_name = "PATH")]
    pub redis_password_file: Option<PathBuf>,
    /// Where this server finds LiveKit: ws://host:7880
    #[arg(long, value_name = "URL")]
    pub livekit: Option<String>,
    /// LiveKit's API key
    #[arg(long, value_name = "NAME")]
    pub livekit_key: Option<String>,
    /// A file with LiveKit's API secret
    #[arg(long, value_name = "PATH")]
    pub livekit_secret_file: Option<PathBuf>,
    /// Where clients find this API, which is what they sign: https://host
    #[arg(long, value_name = "URL")]
    pub public_url: Option<String>,
    /// Where clients find LiveKit: wss://host
    #[arg(long, value_name = "URL")]
    pub public_livekit_url: Option<String>,
    /// Accept a LiveKit URL that works inside a network only
    #[arg(long)]
    pub allow_internal_endpoint: bool,
    /// How long a record lives after its last use [default: 24h]
    #[arg(long, value_name = "TIME", value_parser = lifetime)]
    pub record_ttl: Option<Duration>,
    /// Believe the X-Forwarded-For of this address or network; may be given several times
    #[arg(long, value_name = "NET")]
    pub trusted_proxy: Vec<String>,
    /// Requests of one address in a minute; 0: any number [default: 600]
    #[arg(long, value_name = "N")]
    pub rate_limit: Option<u32>,
    /// Signed requests of one key in a minute; 0: any number [default: 120]
    #[arg(long, value_name = "N")]
    pub key_rate_limit: Option<u32>,
    /// Connections at the same time [default: 1024]
    #[arg(long, value_name = "N")]
    pub max_connections: Option<u32>,
    /// One line on stderr for each request, like this [default: text]
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people
    #[default]
    Text,
    /// For machines
    Json,
}
