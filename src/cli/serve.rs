//! `nest serve`, between the arguments, the environment, the configuration file and the terminal.

use std::fmt::Display;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use super::args::{self, LogFormat, ServeArgs};
use super::context::Context;
use super::error::Failure;
use super::exit::Exit;
use super::style;
use super::ui::Ui;
use crate::commands::Stop;
use crate::commands::serve::{self, Error, Event};
use crate::key::file;
use crate::secret::Secret;
use crate::server::media::livekit;
use crate::server::serve::{Endpoint, Network, Origin, Quota, Settings};
use crate::server::store::redis;

/// Upstream's port, for the proxy on this machine.
const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5544);

/// How long a record lives, as upstream has it.
const RECORD_TTL: Duration = Duration::from_hours(24);

/// What an address may ask for in a minute.
const RATE: u32 = 600;

/// What a key may ask for in a minute.
const KEY_RATE: u32 = 120;

/// Connections at the same time.
const CONNECTIONS: u32 = 1024;

/// The `[serve]` section of the configuration: the flags by their names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct ServeFile {
    listen: Option<String>,
    redis: Option<String>,
    redis_password_file: Option<PathBuf>,
    livekit: Option<String>,
    livekit_key: Option<String>,
    livekit_secret_file: Option<PathBuf>,
    public_url: Option<String>,
    public_livekit_url: Option<String>,
    allow_internal_endpoint: Option<bool>,
    record_ttl: Option<String>,
    trusted_proxy: Option<Vec<String>>,
    rate_limit: Option<u32>,
    key_rate_limit: Option<u32>,
    max_connections: Option<u32>,
    log_format: Option<String>,
}

impl ServeFile {
    /// Relative paths count from the folder of the file.
    pub(super) fn below(self, folder: &Path) -> Self {
        let join = |path: PathBuf| folder.join(path);
        Self {
            redis_password_file: self.redis_password_file.map(join),
            livekit_secret_file: self.livekit_secret_file.map(join),
            ..self
        }
    }
}

/// Serves until interrupted, then finishes what is under way.
pub(super) async fn run(context: &Context<'_>, args: ServeArgs, ui: &Arc<Ui>, stop: &Stop) -> Result<u8, Failure> {
    let given = Given { context, file: context.serve() };
    let listen = given.read("listen", args.listen.as_deref(), given.file.listen.as_deref(), parse)?;
    let format = match args.log_format {
        Some(format) => Some(format),
        None => given.read("log-format", None, given.file.log_format.as_deref(), log_format)?,
    };
    let log = ui.clone();
    let settings = Settings {
        log: match format.unwrap_or_default() {
            LogFormat::Text => Arc::new(move |entry| log.status(&style::clean(&entry.to_string()))),
            LogFormat::Json => Arc::new(move |entry| log.status(&entry.json().to_string())),
        },
        ..given.settings(&args).await?
    };
    let tell = |event: Event<'_>| match event {
        Event::Listening(address) => ui.status(&format!("listening on {address}")),
        Event::State(state) => {
            for (name, result) in [("Redis", &state.redis), ("LiveKit", &state.livekit)] {
                if let Err(why) = result {
                    ui.warn(&format!("{name} is not there yet: {why}"));
                }
            }
        }
        Event::Stopping => ui.status("stopping: finishing what is under way"),
    };
    let listen = listen.unwrap_or(LISTEN);
    serve::run(listen, settings, tell, stop).await.map(|()| 0).map_err(|error| failure(&error))
}

fn failure(error: &Error) -> Failure {
    let exit = if matches!(error, Error::Settings(_)) { Exit::Usage } else { Exit::Failed };
    let failure = Failure::new(exit, error.to_string());
    std::error::Error::source(error).into_iter().fold(failure, |failure, source| failure.cause(source.to_string()))
}

/// Where settings are given besides flags.
struct Given<'a> {
    context: &'a Context<'a>,
    file: ServeFile,
}

impl Given<'_> {
    /// Flag, then environment, then file, then default.
    async fn settings(&self, args: &ServeArgs) -> Result<Settings, Failure> {
        let file = &self.file;
        let internal = self.read("allow-internal-endpoint", None, None, parse)?.or(file.allow_internal_endpoint);
        let internal = args.allow_internal_endpoint || internal.unwrap_or(false);
        let endpoint =
            self.text("public-livekit-url", args.public_livekit_url.as_ref(), file.public_livekit_url.as_ref())?;
        let endpoint = Endpoint::new(&endpoint, internal).map_err(|error| {
            wrong("public-livekit-url", &error).hint("--allow-internal-endpoint, if that is what clients are to dial")
        })?;
        let origin = self.text("public-url", args.public_url.as_ref(), file.public_url.as_ref())?;
        let ttl = self.read("record-ttl", None, file.record_ttl.as_deref(), args::lifetime)?;
        let quota = |limit: u32| (limit > 0).then_some(Quota { limit, window: Duration::from_mins(1) });
        let connections = self.count("max-connections", args.max_connections, file.max_connections, CONNECTIONS)?;
        Ok(Settings {
            livekit: livekit::Config {
                url: self.text("livekit", args.livekit.as_ref(), file.livekit.as_ref())?,
                key: self.text("livekit-key", args.livekit_key.as_ref(), file.livekit_key.as_ref())?,
                secret: self.livekit_secret(args).await?,
            },
            redis: redis::Config { url: self.redis_url(args)?, password: self.redis_password(args).await? },
            origin: origin.parse::<Origin>().map_err(|error| wrong("public-url", &error))?,
            endpoint,
            record_ttl: args.record_ttl.or(ttl).unwrap_or(RECORD_TTL),
            trusted: self.trusted(args)?,
            address_quota: quota(self.count("rate-limit", args.rate_limit, file.rate_limit, RATE)?),
            key_quota: quota(self.count("key-rate-limit", args.key_rate_limit, file.key_rate_limit, KEY_RATE)?),
            connections: connections.max(1) as usize,
            log: Arc::new(|_| {}),
        })
    }

    /// A setting from wherever it is given first.
    fn read<T, E: Display>(
        &self,
        name: &str,
        flag: Option<&str>,
        file: Option<&str>,
        read: impl Fn(&str) -> Result<T, E>,
    ) -> Result<Option<T>, Failure> {
        let variable = self.context.serve_variable(name);
        let text = flag.or(variable.as_deref()).or(file);
        text.map(read).transpose().map_err(|error| wrong(name, &error))
    }

    fn text(&self, name: &str, flag: Option<&String>, file: Option<&String>) -> Result<String, Failure> {
        self.read(name, flag.map(String::as_str), file.map(String::as_str), parse::<String>)?
            .ok_or_else(|| missing(name))
    }

    fn count(&self, name: &str, flag: Option<u32>, file: Option<u32>, usual: u32) -> Result<u32, Failure> {
        let variable = self.read(name, None, None, parse)?;
        Ok(flag.or(variable).or(file).unwrap_or(usual))
    }

    fn trusted(&self, args: &ServeArgs) -> Result<Vec<Network>, Failure> {
        let name = "trusted-proxy";
        let variable = || self.context.serve_variable(name).map(|list| list.split(',').map(str::to_owned).collect());
        let flags = Some(&args.trusted_proxy).filter(|list| !list.is_empty()).cloned();
        let list: Vec<String> = flags.or_else(variable).or_else(|| self.file.trusted_proxy.clone()).unwrap_or_default();
        list.iter().map(|text| text.trim().parse().map_err(|error| wrong(name, &error))).collect()
    }

    /// A password in it is a secret, and arguments can be read by everybody on the machine.
    fn redis_url(&self, args: &ServeArgs) -> Result<Secret, Failure> {
        let has_password = |text: &String| url::Url::parse(text).is_ok_and(|url| url.password().is_some());
        if args.redis.as_ref().is_some_and(has_password) {
            return Err(Failure::new(Exit::Usage, "a Redis password among the arguments; nothing was done")
                .hint("--redis-password-file, or a systemd credential named redis-password"));
        }
        self.text("redis", args.redis.as_ref(), self.file.redis.as_ref()).map(Secret::new)
    }

    async fn redis_password(&self, args: &ServeArgs) -> Result<Option<Secret>, Failure> {
        self.secret("redis-password", args.redis_password_file.as_ref(), self.file.redis_password_file.as_ref()).await
    }

    async fn livekit_secret(&self, args: &ServeArgs) -> Result<Secret, Failure> {
        let secret = self
            .secret("livekit-secret", args.livekit_secret_file.as_ref(), self.file.livekit_secret_file.as_ref())
            .await?;
        secret.ok_or_else(|| missing("livekit-secret-file").hint("or a systemd credential named livekit-secret"))
    }

    /// From the file that is named, or the systemd credential if there is one.
    async fn secret(
        &self,
        name: &str,
        flag: Option<&PathBuf>,
        file: Option<&PathBuf>,
    ) -> Result<Option<Secret>, Failure> {
        let variable = || self.context.serve_variable(&format!("{name}-file")).map(PathBuf::from);
        let read = match (flag.cloned().or_else(variable).or_else(|| file.cloned()), self.context.credential(name)) {
            (Some(path), _) => file::read(&path).await.map(Some),
            (None, Some(path)) => match file::read_credential(&path).await {
                Err(file::Error::NotFound(_)) => Ok(None),
                read => read.map(Some),
            },
            (None, None) => Ok(None),
        };
        let unread = |error: file::Error| Failure::new(Exit::Usage, format!("cannot read the {name}: {error}"));
        Ok(read.map_err(unread)?.map(|secret| Secret::new(secret.expose().trim())))
    }
}

fn parse<T: FromStr<Err: Display>>(text: &str) -> Result<T, T::Err> {
    text.parse()
}

fn log_format(text: &str) -> Result<LogFormat, String> {
    <LogFormat as clap::ValueEnum>::from_str(text, false)
}

fn missing(name: &str) -> Failure {
    Failure::new(Exit::Usage, format!("--{name} is missing"))
        .hint(format!("it can also be `{name}` below [serve] in the configuration, or a variable: nest serve --help"))
}

fn wrong(name: &str, error: &dyn Display) -> Failure {
    Failure::new(Exit::Usage, format!("{name}: {error}"))
}
