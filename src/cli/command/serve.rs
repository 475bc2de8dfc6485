//! `nest serve`.

use std::fmt::Display;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{FromArgMatches as _, ValueEnum};
use hyper::header::HeaderValue;
use ipnet::IpNet;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use tracing::{info, warn};

use super::prelude::*;
use crate::cli::args::{lifetime, serve_variable, variable};
use crate::cli::messages::notices;
use crate::cli::settings::Sources;
use crate::cli::terminal::LogStyle;
use crate::commands::serve::{self, ServeError, ServeEvent};
use crate::key::file;
use crate::secret::Secret;
use crate::server::media::LivekitConfig;
use crate::server::serve::{Quota, ServeSettings, network, public_endpoint, public_origin, web_origin};
use crate::server::store::RedisConfig;

// The defaults: upstream's port and lifetime of records, and requests in a minute.
const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5544);
const RECORD_TTL: Duration = Duration::from_hours(24);
const RATE: u32 = 600;
const KEY_RATE: u32 = 120;
const CONNECTIONS: u32 = 1024;

/// The flags, and the `[serve]` section of the configuration, which has the same names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
#[command(
    before_help = "\
Example:
  nest serve --redis redis://127.0.0.1 --livekit ws://127.0.0.1:7880 --livekit-key KEY \\
    --livekit-secret-file /etc/nest/livekit-secret --public-url https://nests.example \\
    --public-livekit-url wss://nests.example/livekit --trusted-proxy 127.0.0.1
",
    after_help = "\
Around it:
  Each of these can also be a line below [serve] in the configuration file (record-ttl = \"24h\"). Secrets are files,
  or systemd credentials named livekit-secret and redis-password. LiveKit's webhook belongs at
  /api/v1/nests/webhook; /health and /metrics tell how it goes.",
    mut_args = variable
)]
pub(in crate::cli) struct ServeArgs {
    /// Where to listen [default: 127.0.0.1:5544]
    #[arg(long, value_name = "ADDR", env = "NEST_SERVE_LISTEN")]
    listen: Option<SocketAddr>,
    /// Where the records are: redis://host:port/db or unix:///path
    #[arg(long, value_name = "URL", env = "NEST_SERVE_REDIS")]
    redis: Option<String>,
    /// A file with the password of Redis
    #[arg(long, value_name = "PATH", env = "NEST_SERVE_REDIS_PASSWORD_FILE")]
    redis_password_file: Option<PathBuf>,
    /// Where this server finds LiveKit: ws://host:7880
    #[arg(long, value_name = "URL", env = "NEST_SERVE_LIVEKIT")]
    livekit: Option<String>,
    /// LiveKit's API key
    #[arg(long, value_name = "NAME", env = "NEST_SERVE_LIVEKIT_KEY")]
    livekit_key: Option<String>,
    /// A file with LiveKit's API secret
    #[arg(long, value_name = "PATH", env = "NEST_SERVE_LIVEKIT_SECRET_FILE")]
    livekit_secret_file: Option<PathBuf>,
    /// Where clients find this API, which is what they sign: https://host
    #[arg(long, value_name = "URL", env = "NEST_SERVE_PUBLIC_URL")]
    public_url: Option<String>,
    /// Where clients find LiveKit: wss://host
    #[arg(long, value_name = "URL", env = "NEST_SERVE_PUBLIC_LIVEKIT_URL")]
    public_livekit_url: Option<String>,
    /// Accept a LiveKit URL that works inside a network only
    #[arg(long, num_args = 0, default_missing_value = "true", env = "NEST_SERVE_ALLOW_INTERNAL_ENDPOINT")]
    allow_internal_endpoint: Option<bool>,
    /// How long a record lives after its last use [default: 24h]
    #[arg(long, value_name = "TIME", value_parser = lifetime, env = "NEST_SERVE_RECORD_TTL")]
    #[serde(deserialize_with = "lifetime_in_file")]
    record_ttl: Option<Duration>,
    /// Believe the X-Forwarded-For of this address or network; may be given several times
    #[arg(long, value_name = "NET", value_delimiter = ',', value_parser = network, env = "NEST_SERVE_TRUSTED_PROXY")]
    #[serde(deserialize_with = "networks_in_file")]
    trusted_proxy: Vec<IpNet>,
    /// The origin of a web client that may call; may be given several times [default: any origin may]
    #[arg(long, value_name = "ORIGIN", value_delimiter = ',', value_parser = web_origin, env = "NEST_SERVE_CORS_ORIGIN")]
    #[serde(deserialize_with = "origins_in_file")]
    cors_origin: Vec<HeaderValue>,
    /// Requests of one address in a minute; 0: any number [default: 600]
    #[arg(long, value_name = "N", env = "NEST_SERVE_RATE_LIMIT")]
    rate_limit: Option<u32>,
    /// Signed requests of one key in a minute; 0: any number [default: 120]
    #[arg(long, value_name = "N", env = "NEST_SERVE_KEY_RATE_LIMIT")]
    key_rate_limit: Option<u32>,
    /// Connections at the same time [default: 1024]
    #[arg(long, value_name = "N", env = "NEST_SERVE_MAX_CONNECTIONS")]
    max_connections: Option<u32>,
    /// The web client to which the pages of nests lead: URL/naddr1… is where people join
    #[arg(long, value_name = "URL", env = "NEST_SERVE_WEB_CLIENT")]
    web_client: Option<String>,
    /// Serve no pages of nests (/n/ROOM)
    #[arg(long, num_args = 0, default_missing_value = "true", env = "NEST_SERVE_NO_PAGE")]
    no_page: Option<bool>,
    /// One line on stderr for each request, like this [default: text]
    #[arg(long, value_name = "FORMAT", env = "NEST_SERVE_LOG_FORMAT")]
    log_format: Option<LogFormat>,
}

impl ServeArgs {
    /// Relative paths count from the folder of the file.
    pub fn below(self, folder: &Path) -> Self {
        let join = |path: PathBuf| folder.join(path);
        Self {
            redis_password_file: self.redis_password_file.map(join),
            livekit_secret_file: self.livekit_secret_file.map(join),
            ..self
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// For people
    #[default]
    Text,
    /// For machines
    Json,
}

/// Serves until interrupted, then finishes what is under way.
pub(super) async fn run(app: &App<'_>, args: ServeArgs) -> Result<u8, Failure> {
    no_password_among_arguments(&args, &app.sources)?;
    // Flags and variables count before the file.
    let mut args = app.sources.serve();
    args.update_from_arg_matches(&app.sources.given).map_err(|error| Failure::usage(error.to_string()))?;
    let settings = settings(&args, &app.sources).await?;
    let style = match args.log_format.unwrap_or_default() {
        LogFormat::Text => LogStyle::Text,
        LogFormat::Json => LogStyle::Json,
    };
    let log = app.terminal.queue_log(style);
    tell_of_panics();
    let connections = settings.connections;
    let tell = |event: ServeEvent<'_>| match event {
        ServeEvent::Listening(address) => {
            info!("listening on {address}");
            if connections < wanted_connections(&args) {
                warn!("{}", notices::fewer_connections(connections));
            }
        }
        ServeEvent::Backends(health) => {
            for (name, result) in [("Redis", &health.redis), ("LiveKit", &health.livekit)] {
                if let Err(why) = result {
                    warn!("{name} is not there yet: {why}");
                }
            }
        }
        ServeEvent::Stopping => info!("stopping: finishing what is under way"),
    };
    let served = serve::run(args.listen.unwrap_or(LISTEN), settings, tell, &app.stop).await;
    drop(log);
    served.map(|()| 0).map_err(|error| {
        let exit = if matches!(error, ServeError::Settings(_)) { Exit::Usage } else { Exit::Failed };
        Failure::new(exit, error.to_string()).with_sources(&error)
    })
}

/// Checks what takes more than reading it, and fills in the defaults.
async fn settings(args: &ServeArgs, sources: &Sources<'_>) -> Result<ServeSettings, Failure> {
    let needed = |name: &str, text: &Option<String>| text.clone().ok_or_else(|| missing(name));
    let endpoint = needed("public-livekit-url", &args.public_livekit_url)?;
    let internal = args.allow_internal_endpoint == Some(true);
    let endpoint = public_endpoint(&endpoint, internal).map_err(|error| {
        wrong(sources, "public-livekit-url", &error)
            .hint("--allow-internal-endpoint, if that is what clients are to dial")
    })?;
    let origin = needed("public-url", &args.public_url)?;
    let secret = secret(sources, "livekit-secret", args.livekit_secret_file.as_deref()).await?;
    let quota = |limit: Option<u32>, usual: u32| {
        let limit = limit.unwrap_or(usual);
        (limit > 0).then_some(Quota { limit, window: Duration::from_mins(1) })
    };
    Ok(ServeSettings {
        livekit: LivekitConfig {
            url: needed("livekit", &args.livekit)?,
            key: needed("livekit-key", &args.livekit_key)?,
            secret: secret
                .ok_or_else(|| missing("livekit-secret-file").hint("or a systemd credential named livekit-secret"))?,
        },
        redis: RedisConfig {
            url: needed("redis", &args.redis).map(Secret::new)?,
            password: self::secret(sources, "redis-password", args.redis_password_file.as_deref()).await?,
        },
        origin: public_origin(&origin).map_err(|error| wrong(sources, "public-url", &error))?,
        endpoint,
        record_ttl: args.record_ttl.unwrap_or(RECORD_TTL),
        trusted: args.trusted_proxy.clone(),
        web_origins: args.cors_origin.clone(),
        address_quota: quota(args.rate_limit, RATE),
        key_quota: quota(args.key_rate_limit, KEY_RATE),
        connections: affordable(wanted_connections(args)),
        page: args.no_page != Some(true),
        web_client: args
            .web_client
            .as_deref()
            .map(|url| public_origin(url).map_err(|error| wrong(sources, "web-client", &error)))
            .transpose()?,
    })
}

fn wanted_connections(args: &ServeArgs) -> usize {
    args.max_connections.unwrap_or(CONNECTIONS).max(1) as usize
}

/// As many connections as there can be file descriptors for: strangers must not use up those for Redis and LiveKit.
fn affordable(connections: usize) -> usize {
    /// For Redis, LiveKit, connections that are refused, and the process itself.
    const OTHERS: u64 = 64;
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let limit = getrlimit(Resource::Nofile);
        let wanted = connections as u64 + OTHERS;
        if limit.current.is_some_and(|current| current < wanted) {
            let current = Some(limit.maximum.map_or(wanted, |maximum| maximum.min(wanted)));
            // Where it is forbidden to have more, there are fewer connections.
            let _ = setrlimit(Resource::Nofile, Rlimit { current, ..limit });
        }
        let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        usize::try_from(files.saturating_sub(OTHERS)).unwrap_or(usize::MAX).clamp(1, connections)
    }
    #[cfg(not(unix))]
    connections
}

/// A panic ends one request or connection, and is told in the log: in its form, and without waiting for its reader.
fn tell_of_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        warn!("{}", notices::panicked(&place, panic.payload_as_str().unwrap_or_default()));
    }));
}

/// From the file that is named, or the systemd credential if there is one.
async fn secret(sources: &Sources<'_>, name: &str, named: Option<&Path>) -> Result<Option<Secret>, Failure> {
    let read = match (named, sources.credential(name)) {
        (Some(path), _) => file::read(path).await.map(Some),
        (None, Some(path)) => match file::read_credential(&path).await {
            Err(file::SecretFileError::NotFound(_)) => Ok(None),
            read => read.map(Some),
        },
        (None, None) => Ok(None),
    };
    let unread = |error: file::SecretFileError| Failure::usage(format!("cannot read the {name}: {error}"));
    Ok(read.map_err(unread)?.map(|secret| Secret::new(secret.expose().trim())))
}

/// Everybody on the machine sees arguments, and so a password in one; nobody else sees variables and the file.
fn no_password_among_arguments(args: &ServeArgs, sources: &Sources<'_>) -> Result<(), Failure> {
    let has_password = |text: &String| url::Url::parse(text).is_ok_and(|url| url.password().is_some());
    if args.redis.as_ref().is_some_and(has_password) && !sources.is_from_variable("redis") {
        return Err(Failure::usage("a Redis password among the arguments; nothing was done")
            .hint("--redis-password-file, or a systemd credential named redis-password"));
    }
    Ok(())
}

fn missing(name: &str) -> Failure {
    Failure::usage(format!("--{name} is missing"))
        .hint(format!("it can also be `{name}` below [serve] in the configuration, or a variable: nest serve --help"))
}

fn wrong(sources: &Sources<'_>, name: &str, error: &dyn Display) -> Failure {
    let variable = sources.is_from_variable(&name.replace('-', "_")).then(|| serve_variable(name));
    Failure::usage(format!("{}: {error}", variable.as_deref().unwrap_or(name)))
}

/// The same reading as on the command line, for the configuration.
fn lifetime_in_file<'de, D: Deserializer<'de>>(text: D) -> Result<Option<Duration>, D::Error> {
    lifetime(&String::deserialize(text)?).map(Some).map_err(D::Error::custom)
}

fn networks_in_file<'de, D: Deserializer<'de>>(list: D) -> Result<Vec<IpNet>, D::Error> {
    list_in_file(list, network)
}

fn origins_in_file<'de, D: Deserializer<'de>>(list: D) -> Result<Vec<HeaderValue>, D::Error> {
    list_in_file(list, web_origin)
}

fn list_in_file<'de, D: Deserializer<'de>, T>(
    list: D,
    read: fn(&str) -> Result<T, String>,
) -> Result<Vec<T>, D::Error> {
    Vec::<String>::deserialize(list)?.iter().map(|text| read(text).map_err(D::Error::custom)).collect()
}
