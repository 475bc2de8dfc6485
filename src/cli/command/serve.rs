//! `nest serve`.

use std::fmt::Display;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use ipnet::IpNet;
use serde::Deserialize;

use super::prelude::*;
use crate::cli::args::lifetime;
use crate::cli::settings::Sources;
use crate::commands::serve::{self, ServeError, ServeEvent};
use crate::key::file;
use crate::secret::Secret;
use crate::server::media::LivekitConfig;
use crate::server::serve::{Quota, ServeSettings, network, public_endpoint, public_origin};
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
Each of these can also be a variable (NEST_SERVE_RECORD_TTL for --record-ttl) or a line below [serve] in the
configuration file (record-ttl = \"24h\"). Secrets are files, or systemd credentials named livekit-secret and
redis-password. LiveKit's webhook belongs at /api/v1/nests/webhook; /health and /metrics tell how it goes."
)]
pub(in crate::cli) struct ServeArgs {
    /// Where to listen [default: 127.0.0.1:5544]
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// Where the records are: redis://host:port/db or unix:///path
    #[arg(long, value_name = "URL")]
    redis: Option<String>,
    /// A file with the password of Redis
    #[arg(long, value_name = "PATH")]
    redis_password_file: Option<PathBuf>,
    /// Where this server finds LiveKit: ws://host:7880
    #[arg(long, value_name = "URL")]
    livekit: Option<String>,
    /// LiveKit's API key
    #[arg(long, value_name = "NAME")]
    livekit_key: Option<String>,
    /// A file with LiveKit's API secret
    #[arg(long, value_name = "PATH")]
    livekit_secret_file: Option<PathBuf>,
    /// Where clients find this API, which is what they sign: https://host
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// Where clients find LiveKit: wss://host
    #[arg(long, value_name = "URL")]
    public_livekit_url: Option<String>,
    /// Accept a LiveKit URL that works inside a network only
    #[arg(long)]
    allow_internal_endpoint: bool,
    /// How long a record lives after its last use [default: 24h]
    #[arg(long, value_name = "TIME", value_parser = |text: &str| lifetime(text).map(|_| text.to_owned()))]
    record_ttl: Option<String>,
    /// Believe the X-Forwarded-For of this address or network; may be given several times
    #[arg(long, value_name = "NET")]
    trusted_proxy: Vec<String>,
    /// Requests of one address in a minute; 0: any number [default: 600]
    #[arg(long, value_name = "N")]
    rate_limit: Option<u32>,
    /// Signed requests of one key in a minute; 0: any number [default: 120]
    #[arg(long, value_name = "N")]
    key_rate_limit: Option<u32>,
    /// Connections at the same time [default: 1024]
    #[arg(long, value_name = "N")]
    max_connections: Option<u32>,
    /// One line on stderr for each request, like this [default: text]
    #[arg(long, value_name = "FORMAT")]
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
    let terminal = &app.terminal;
    let given = Given { sources: &app.sources, flags: args, file: app.sources.serve() };
    let listen = given.read("listen", |from| from.listen.as_deref(), parse)?;
    let format = given.value("log-format", |from| from.log_format, |text| LogFormat::from_str(text, false))?;
    let log = terminal.clone();
    let settings = ServeSettings {
        log: match format.unwrap_or_default() {
            LogFormat::Text => Arc::new(move |entry| log.status(&clean(&entry.to_string()))),
            LogFormat::Json => Arc::new(move |entry| log.status(&entry.json().to_string())),
        },
        ..given.settings().await?
    };
    let tell = |event: ServeEvent<'_>| match event {
        ServeEvent::Listening(address) => terminal.status(&format!("listening on {address}")),
        ServeEvent::Backends(health) => {
            for (name, result) in [("Redis", &health.redis), ("LiveKit", &health.livekit)] {
                if let Err(why) = result {
                    terminal.warn(&format!("{name} is not there yet: {why}"));
                }
            }
        }
        ServeEvent::Stopping => terminal.status("stopping: finishing what is under way"),
    };
    let listen = listen.unwrap_or(LISTEN);
    serve::run(listen, settings, tell, &app.stop).await.map(|()| 0).map_err(|error| {
        let exit = if matches!(error, ServeError::Settings(_)) { Exit::Usage } else { Exit::Failed };
        Failure::new(exit, error.to_string()).with_sources(&error)
    })
}

/// Where settings are given: flag, then environment, then file, then default.
struct Given<'a> {
    sources: &'a Sources<'a>,
    flags: ServeArgs,
    file: ServeArgs,
}

impl Given<'_> {
    async fn settings(&self) -> Result<ServeSettings, Failure> {
        let internal =
            self.value("allow-internal-endpoint", |from| from.allow_internal_endpoint.then_some(true), parse)?;
        let endpoint = self.text("public-livekit-url", |from| from.public_livekit_url.as_deref())?;
        let endpoint = public_endpoint(&endpoint, internal == Some(true)).map_err(|error| {
            wrong("public-livekit-url", &error).hint("--allow-internal-endpoint, if that is what clients are to dial")
        })?;
        let origin = self.text("public-url", |from| from.public_url.as_deref())?;
        let ttl = self.read("record-ttl", |from| from.record_ttl.as_deref(), lifetime)?;
        let quota = |limit: Option<u32>, usual: u32| {
            let limit = limit.unwrap_or(usual);
            (limit > 0).then_some(Quota { limit, window: Duration::from_mins(1) })
        };
        let connections = self.value("max-connections", |from| from.max_connections, parse)?.unwrap_or(CONNECTIONS);
        Ok(ServeSettings {
            livekit: LivekitConfig {
                url: self.text("livekit", |from| from.livekit.as_deref())?,
                key: self.text("livekit-key", |from| from.livekit_key.as_deref())?,
                secret: self.secret("livekit-secret", |from| from.livekit_secret_file.as_ref()).await?.ok_or_else(
                    || missing("livekit-secret-file").hint("or a systemd credential named livekit-secret"),
                )?,
            },
            redis: RedisConfig {
                url: self.redis_url()?,
                password: self.secret("redis-password", |from| from.redis_password_file.as_ref()).await?,
            },
            origin: public_origin(&origin).map_err(|error| wrong("public-url", &error))?,
            endpoint,
            record_ttl: ttl.unwrap_or(RECORD_TTL),
            trusted: self.trusted()?,
            address_quota: quota(self.value("rate-limit", |from| from.rate_limit, parse)?, RATE),
            key_quota: quota(self.value("key-rate-limit", |from| from.key_rate_limit, parse)?, KEY_RATE),
            connections: connections.max(1) as usize,
            log: Arc::new(|_| {}),
        })
    }

    /// A setting from wherever it is given first; only the variable is still to be `read`.
    fn value<T, E: Display>(
        &self,
        name: &str,
        of: impl Fn(&ServeArgs) -> Option<T>,
        read: impl Fn(&str) -> Result<T, E>,
    ) -> Result<Option<T>, Failure> {
        let variable = self.sources.serve_variable(name).map(|text| read(&text)).transpose();
        Ok(of(&self.flags).or(variable.map_err(|error| wrong(name, &error))?).or_else(|| of(&self.file)))
    }

    /// The same for a setting that is a text everywhere.
    fn read<T, E: Display>(
        &self,
        name: &str,
        of: impl Fn(&ServeArgs) -> Option<&str>,
        read: impl Fn(&str) -> Result<T, E>,
    ) -> Result<Option<T>, Failure> {
        let variable = self.sources.serve_variable(name);
        let text = of(&self.flags).or(variable.as_deref()).or(of(&self.file));
        text.map(read).transpose().map_err(|error| wrong(name, &error))
    }

    fn text(&self, name: &str, of: impl Fn(&ServeArgs) -> Option<&str>) -> Result<String, Failure> {
        self.read(name, of, parse::<String>)?.ok_or_else(|| missing(name))
    }

    fn trusted(&self) -> Result<Vec<IpNet>, Failure> {
        let name = "trusted-proxy";
        let of = |from: &ServeArgs| Some(from.trusted_proxy.clone()).filter(|list| !list.is_empty());
        let list = self.value(name, of, |text| Ok::<_, String>(text.split(',').map(str::to_owned).collect()))?;
        let list = list.unwrap_or_default();
        list.iter().map(|text| network(text.trim()).map_err(|error| wrong(name, &error))).collect()
    }

    /// A password in it is a secret, and arguments can be read by everybody on the machine.
    fn redis_url(&self) -> Result<Secret, Failure> {
        let has_password = |text: &String| url::Url::parse(text).is_ok_and(|url| url.password().is_some());
        if self.flags.redis.as_ref().is_some_and(has_password) {
            return Err(Failure::usage("a Redis password among the arguments; nothing was done")
                .hint("--redis-password-file, or a systemd credential named redis-password"));
        }
        self.text("redis", |from| from.redis.as_deref()).map(Secret::new)
    }

    /// From the file that is named, or the systemd credential if there is one.
    async fn secret(&self, name: &str, of: impl Fn(&ServeArgs) -> Option<&PathBuf>) -> Result<Option<Secret>, Failure> {
        let path = self.value(&format!("{name}-file"), |from| of(from).cloned(), parse)?;
        let read = match (path, self.sources.credential(name)) {
            (Some(path), _) => file::read(&path).await.map(Some),
            (None, Some(path)) => match file::read_credential(&path).await {
                Err(file::SecretFileError::NotFound(_)) => Ok(None),
                read => read.map(Some),
            },
            (None, None) => Ok(None),
        };
        let unread = |error: file::SecretFileError| Failure::usage(format!("cannot read the {name}: {error}"));
        Ok(read.map_err(unread)?.map(|secret| Secret::new(secret.expose().trim())))
    }
}

fn parse<T: FromStr<Err: Display>>(text: &str) -> Result<T, T::Err> {
    text.parse()
}

fn missing(name: &str) -> Failure {
    Failure::usage(format!("--{name} is missing"))
        .hint(format!("it can also be `{name}` below [serve] in the configuration, or a variable: nest serve --help"))
}

fn wrong(name: &str, error: &dyn Display) -> Failure {
    Failure::usage(format!("{name}: {error}"))
}
