//! Flag, then environment, then file, then default, merged once into plain [`Settings`]. Variables that stand for a flag
//! are read by clap (`args.rs`); all others, and the configuration, are read here and nowhere else.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Display;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::ArgMatches;
use clap::parser::ValueSource;
use nostr::RelayUrl;
use serde::Deserialize;

use super::args::{Color, Format, KeyArgs, OutputArgs, ServerArgs, SignedArgs};
use super::command::ServeArgs;
use super::config_file::ConfigFile;
use super::messages::configuration;
use super::messages::errors::{self, Failure};
use super::terminal::{OutputStyle, Paint, Streams};
use crate::api::{ApiUrl, Network, Proxy, RetryPolicy};
use crate::commands::list::ShortNames;
use crate::commands::{ApiSources, RelaySources, Settings};
use crate::key::{KeyPlan, KeySource, Keyring, Sessions, SignerNetwork, Signers};
use crate::net::reach::Reach;
use crate::net::relay::may_be_dialled;
use crate::net::tls;
use crate::relay;
use crate::room::{self, RoomRef};
use crate::secret::Secret;

pub(super) mod vars {
    pub const API: &str = "NEST_API";
    /// Relays, with commas between them.
    pub const RELAYS: &str = "NEST_RELAYS";
    pub const CONFIG: &str = "NEST_CONFIG";
    pub const PROFILE: &str = "NEST_PROFILE";
    /// Not read by clap: it is for commands without the flag too, and not for the one that stores a key.
    pub const KEY_FILE: &str = "NEST_KEY_FILE";
    /// Not read by clap: there is no such flag, for everybody on a machine sees arguments.
    pub const KEY: &str = "NEST_KEY";
    /// Not read by clap: it may hold a secret, and the flag takes only a name.
    pub const BUNKER: &str = "NEST_BUNKER";
    /// Where systemd puts credentials.
    pub const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

    /// Those that hold the key or lead to it: they are nobody else's business.
    pub const SECRETS: [&str; 4] = [KEY, KEY_FILE, BUNKER, CREDENTIALS];
}

// The defaults of the flags of the same names.
const TIMEOUT: Duration = Duration::from_secs(30);
const RELAY_TIMEOUT: Duration = Duration::from_secs(5);
/// Servers accept a signature for a minute: one that is approved late would be of no use.
const SIGNER_TIMEOUT: Duration = Duration::from_secs(45);
pub(super) const RETRIES: u32 = 3;
pub(super) const MAX_WAIT: Duration = Duration::from_mins(1);

/// The environment, so that tests can bring their own.
pub(super) type Env<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// Where settings come from.
pub(super) struct Sources<'a> {
    env: Env<'a>,
    /// What clap found in the arguments of the command, and in variables.
    pub given: ArgMatches,
    config: Config,
    /// The file, there or not, as long as anybody can say where it is.
    file: Option<ConfigFile>,
    /// What the configuration was read from, for people.
    pub origin: String,
    pub interactive: bool,
}

impl<'a> Sources<'a> {
    /// Reads the configuration file. One that was named has to be there, and so does a profile, unless the command
    /// `begins` them.
    pub fn load(
        env: Env<'a>,
        given: ArgMatches,
        output: &OutputArgs,
        streams: Streams,
        begins: bool,
    ) -> Result<Self, Failure> {
        let (named, profile) = (&output.config, &output.profile);
        let file = named.clone().or_else(|| Some(home(env, "XDG_CONFIG_HOME", ".config")?.join("nest/config.toml")));
        let config = load(file.as_deref(), named.is_some() && !begins, profile.as_deref(), begins)?;
        let shown = profile.as_ref().map(|name| format!(", profile {name}")).unwrap_or_default();
        let origin = match file.as_ref().filter(|file| file.exists()) {
            Some(file) => format!("{}{shown}", file.display()),
            None => "there is no configuration file, and none is needed".into(),
        };
        let file = file.map(|path| ConfigFile { path, profile: profile.clone() });
        Ok(Self { env, given, config, file, origin, interactive: streams.interactive() })
    }

    /// Merges everything for a command that talks to an API; what few commands have flags for is the default.
    pub fn settings(&self, server: &ServerArgs, key: &KeyArgs) -> Result<Settings, Failure> {
        let from_variable = self.is_from_variable("api");
        let api = base(server.api.as_deref(), if from_variable { vars::API } else { "--api" })?;
        // What a room's own name says of its API counts more than the variable, and less than the flag.
        let (given, environment) = if from_variable { (None, api) } else { (api, None) };
        let network = self.network(server)?;
        let key = KeyPlan { signers: Some(self.signers(server, &network, key.signer_timeout)), ..self.key_plan(key) };
        Ok(Settings {
            network,
            api: ApiSources {
                given,
                environment,
                profile: base(self.config.api.as_deref(), "the configuration's `api`")?,
            },
            relays: self.relays(server)?,
            allow_http: server.allow_http,
            key,
            retry: RetryPolicy { retries: RETRIES, max_wait: MAX_WAIT },
            jobs: 1,
            state_dir: self.state_dir(),
            interactive: self.interactive,
        })
    }

    pub fn signed(&self, args: &SignedArgs) -> Result<Settings, Failure> {
        let retry =
            RetryPolicy { retries: args.retries.unwrap_or(RETRIES), max_wait: args.max_wait.unwrap_or(MAX_WAIT) };
        Ok(Settings { retry, ..self.settings(&args.server, &args.key)? })
    }

    pub fn room(&self, name: &str) -> Result<RoomRef, Failure> {
        let short = if name.starts_with('@') { self.short_names() } else { ShortNames::default() };
        let text = match room::alias(name) {
            None => name,
            Some(alias) => match self.config.alias.get(alias) {
                Some(text) => text,
                None => short.resolve(alias).ok_or_else(|| self.no_alias(name))?,
            },
        };
        RoomRef::parse(text).map(|room| RoomRef { name: name.to_owned(), ..room }).map_err(|error| {
            let failure = errors::of_room(&error);
            if text == name { failure } else { failure.cause(format!("that is what {name} stands for")) }
        })
    }

    fn no_alias(&self, name: &str) -> Failure {
        let failure =
            Failure::usage(format!("the configuration has no alias {name}, and no list has shown such a nest"));
        match self.aliases().collect::<Vec<_>>().join(" ") {
            known if known.is_empty() => failure.hint(format!("below [alias]: {} = \"naddr1…\"", &name[1..])),
            known => failure.hint(format!("it has {known}")),
        }
    }

    pub fn aliases(&self) -> impl Iterator<Item = String> {
        self.config.alias.keys().map(|name| format!("@{name}"))
    }

    /// Those of the lists, which the aliases come before.
    pub fn short_names(&self) -> ShortNames {
        ShortNames::load(self.state_dir().as_deref()).beside(self.config.alias.keys().cloned())
    }

    /// The aliases with the nests that they stand for, as far as those can be read.
    pub fn aliased(&self) -> impl Iterator<Item = (String, RoomRef)> {
        self.config.alias.iter().filter_map(|(name, text)| Some((format!("@{name}"), RoomRef::parse(text).ok()?)))
    }

    /// Those of the configuration, as long as none of them is laid over it.
    pub fn profiles(&self) -> impl Iterator<Item = &str> {
        self.config.profile.keys().map(String::as_str)
    }

    fn relays(&self, server: &ServerArgs) -> Result<RelaySources, Failure> {
        let parse = |text: &String, origin: &str| {
            relay::parse_url(text).map_err(|error| {
                Failure::usage(format!("{origin}: {error}")).hint("a relay is named like wss://nos.lol")
            })
        };
        let from_variable = self.is_from_variable("relay");
        let origin = if from_variable { vars::RELAYS } else { "--relay" };
        // A variable may end with a comma; a flag that is empty is a mistake.
        let given = server.relay.iter().filter(|relay| !from_variable || !relay.trim().is_empty());
        let given = given.map(|relay| parse(relay, origin));
        let profile = self.config.relays.iter().flatten().map(|relay| parse(relay, "the configuration's `relays`"));
        Ok(RelaySources {
            given: given.collect::<Result<_, _>>()?,
            profile: profile.collect::<Result<_, _>>()?,
            addresses: self.aliased().filter_map(|(_, room)| Some((room.host?, room.relays))).collect(),
            timeout: server.relay_timeout.unwrap_or(RELAY_TIMEOUT),
        })
    }

    pub fn network(&self, server: &ServerArgs) -> Result<Network, Failure> {
        let refused = |file: &Path, why: &dyn std::fmt::Display| {
            Failure::usage(format!("cannot read certificates from {}: {why}", file.display()))
        };
        let read = |file: &Path| std::fs::read(file).map_err(|error| refused(file, &error));
        let mut roots = Vec::new();
        if let Some(file) = &server.cacert {
            roots = tls::read_pem(&read(file)?).map_err(|error| refused(file, &error))?;
        }
        let mut bundle = Vec::new();
        if let Some(file) = path(self.env, "SSL_CERT_FILE") {
            bundle = read(&file)?;
            tls::holds_certificates(&bundle).map_err(|error| refused(&file, &error))?;
        }
        let tls = tls::client_config_with_bundle(&roots, bundle);
        Ok(Network { timeout: server.timeout.unwrap_or(TIMEOUT), tls, proxy: self.proxy()?, reach: Reach::ANYWHERE })
    }

    fn proxy(&self) -> Result<Option<Proxy>, Failure> {
        let first =
            |names: &[&'static str]| {
                let (name, value) = names.iter().find_map(|name| Some((*name, text(self.env, name)?)))?;
                let url = if value.contains("://") { value } else { format!("http://{value}") };
                Some(url::Url::parse(&url).map(|url| (name, url)).map_err(|_| {
                    Failure::usage(format!("{name} is no address of a proxy")).hint(format!("unset {name}"))
                }))
            };
        let https = first(&["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]).transpose()?;
        // `HTTP_PROXY` in capitals can be set by whoever calls a CGI program; curl ignores it for that reason.
        let http = first(&["http_proxy", "ALL_PROXY", "all_proxy"]).transpose()?;
        let except = text(self.env, "NO_PROXY").or_else(|| text(self.env, "no_proxy"));
        Ok((https.is_some() || http.is_some()).then_some(Proxy { https, http, except }))
    }

    /// Where the key comes from: what was named, then the keyring; a person is asked last. Without a network, no remote
    /// signer is asked.
    pub fn key_plan(&self, args: &KeyArgs) -> KeyPlan {
        let secret = |name| (self.env)(name).map(|key| Secret::new(key.to_string_lossy()));
        let secret = |name| secret(name).filter(|key| !key.expose().is_empty());
        let explicit = [
            args.file.key_file.clone().map(KeySource::KeyFile),
            args.bunker.clone().map(KeySource::Signer),
            path(self.env, vars::KEY_FILE).map(KeySource::EnvFile),
            secret(vars::KEY).map(KeySource::Env),
            secret(vars::BUNKER).map(KeySource::EnvBunker),
            self.credential("nest-key").map(KeySource::Credential),
            self.config.key_file.clone().map(KeySource::Profile),
            self.config.bunker.clone().map(KeySource::ProfileSigner),
        ];
        KeyPlan {
            explicit: explicit.into_iter().flatten().collect(),
            keyring: self.keyring(),
            passphrase_file: args.file.passphrase_file.clone().or_else(|| self.config.passphrase_file.clone()),
            signers: None,
        }
    }

    /// How remote signers are found and reached.
    pub fn signers(&self, server: &ServerArgs, network: &Network, limit: Option<Duration>) -> Signers {
        let network = SignerNetwork {
            tls: Arc::clone(&network.tls),
            allow_http: server.allow_http,
            relay_timeout: server.relay_timeout.unwrap_or(RELAY_TIMEOUT),
            limit: limit.unwrap_or(SIGNER_TIMEOUT),
            listener: None,
        };
        Signers::new(network, self.sessions())
    }

    /// The relays on which a signer is met that is shown a QR code. With more of them, no phone could read it.
    pub fn meeting_relays(&self, server: &ServerArgs) -> Result<Vec<RelayUrl>, Failure> {
        let RelaySources { given, profile, .. } = self.relays(server)?;
        let named = if given.is_empty() { profile } else { given };
        let relays = if named.is_empty() { crate::commands::default_relays() } else { named };
        if let Some(relay) = relays.iter().find(|relay| !may_be_dialled((*relay).into(), server.allow_http)) {
            return Err(Failure::usage(format!("{relay} is not encrypted (ws://)"))
                .hint("use wss://, or accept the risk with --allow-http"));
        }
        Ok(relays.into_iter().take(2).collect())
    }

    pub fn knows_signer(&self, name: &str) -> bool {
        self.sessions().is_some_and(|sessions| sessions.names().iter().any(|known| known == name))
    }

    /// The remote signers that were paired with.
    pub fn sessions(&self) -> Option<Sessions> {
        Some(Sessions::new(self.state_dir()?.join("signers"), self.keyring()?))
    }

    pub fn keyring(&self) -> Option<Keyring> {
        let keyring = Keyring::new(self.state_dir()?.join("keys.json"));
        Some(if self.interactive { keyring.patient() } else { keyring })
    }

    /// The configuration, to be changed.
    pub fn config_file(&self) -> Result<&ConfigFile, Failure> {
        let no_home = || Failure::usage("there is no home folder for the configuration").hint("name it: --config PATH");
        self.file.as_ref().ok_or_else(no_home)
    }

    /// What the configuration says of a setting that `nest init` writes.
    pub fn configured(&self, setting: &[String]) -> Option<String> {
        self.config.says(setting)
    }

    /// The same, but nothing that the profile in use only inherits: to write that into the profile replaces nothing.
    pub fn configured_here(&self, setting: &[String]) -> Option<String> {
        self.config.here().says(setting).and_then(|_| self.configured(setting))
    }

    /// The folder of the user's units.
    pub fn units_dir(&self) -> Option<PathBuf> {
        Some(home(self.env, "XDG_CONFIG_HOME", ".config")?.join("systemd/user"))
    }

    /// The key that the configuration names, or the profile in use: the setting, and what it says.
    pub fn key_named(&self) -> Option<(&'static str, String)> {
        ["key-file", "bunker"].into_iter().find_map(|name| Some((name, self.configured_here(&[name.to_owned()])?)))
    }

    fn state_dir(&self) -> Option<PathBuf> {
        home(self.env, "XDG_STATE_HOME", ".local/state").map(|folder| folder.join("nest"))
    }

    pub fn serve(&self) -> ServeArgs {
        self.config.serve.clone().unwrap_or_default()
    }

    /// Whether an argument, by its id, was not written but came from its variable.
    pub fn is_from_variable(&self, id: &str) -> bool {
        self.given.value_source(id) == Some(ValueSource::EnvVariable)
    }

    pub fn credential(&self, name: &str) -> Option<PathBuf> {
        path(self.env, vars::CREDENTIALS).map(|folder| folder.join(name))
    }

    pub fn search_path(&self) -> Option<OsString> {
        (self.env)("PATH")
    }
}

pub(super) fn output_style(args: &OutputArgs, env: Env<'_>, streams: Streams) -> OutputStyle {
    let out = paint(args.color, env, streams.stdout);
    OutputStyle {
        format: if args.json { Format::Json } else { args.output },
        quiet: args.quiet,
        verbose: args.verbose,
        columns: streams.columns(),
        streams,
        out: Paint { links: streams.stdout && streams.links && out.on, ..out },
        err: paint(args.color, env, streams.stderr),
    }
}

pub(super) fn paint(choice: Color, env: Env<'_>, is_terminal: bool) -> Paint {
    let wanted = || text(env, "NO_COLOR").is_none() && text(env, "TERM").is_none_or(|term| term != "dumb");
    Paint { on: choice == Color::Always || choice == Color::Auto && is_terminal && wanted(), links: false }
}

fn base(text: Option<&str>, origin: &str) -> Result<Option<ApiUrl>, Failure> {
    text.map(ApiUrl::named)
        .transpose()
        .map_err(|error| Failure::usage(format!("{origin}: {error}")).hint("for example https://nostrnests.com"))
}

/// A variable that is set and not empty.
fn text(env: Env<'_>, name: &str) -> Option<String> {
    env(name).and_then(|value| value.into_string().ok()).filter(|value| !value.is_empty())
}

fn path(env: Env<'_>, name: &str) -> Option<PathBuf> {
    env(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// A folder of the XDG base directories: absolute, or it does not count.
fn home(env: Env<'_>, variable: &str, below_home: &str) -> Option<PathBuf> {
    let xdg = path(env, variable).filter(|path| path.is_absolute());
    xdg.or_else(|| Some(path(env, "HOME").or_else(std::env::home_dir)?.join(below_home)))
        .filter(|path| path != Path::new(below_home))
}

/// The configuration file: settings for all calls, and profiles that differ from them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct Config {
    api: Option<String>,
    relays: Option<Vec<String>>,
    key_file: Option<PathBuf>,
    passphrase_file: Option<PathBuf>,
    /// The name of a remote signer.
    bunker: Option<String>,
    /// Short names for nests, written with an `@` before them.
    alias: BTreeMap<String, String>,
    serve: Option<ServeArgs>,
    /// A profile has no profiles of its own.
    profile: BTreeMap<String, Config>,
    /// The profile by itself, where one is laid over the rest.
    #[serde(skip)]
    laid_over: Option<Box<Config>>,
}

impl Config {
    /// The part that is written to: the profile in use, or else all of it.
    fn here(&self) -> &Self {
        self.laid_over.as_deref().unwrap_or(self)
    }

    fn says(&self, setting: &[String]) -> Option<String> {
        match setting {
            [name] if name == "api" => self.api.clone(),
            [name] if name == "bunker" => self.bunker.clone(),
            [name] if name == "key-file" => Some(self.key_file.as_ref()?.to_string_lossy().into_owned()),
            [table, name] if table == "alias" => self.alias.get(name).cloned(),
            _ => None,
        }
    }

    fn or(self, other: Self) -> Self {
        let has_file = self.key_file.is_some();
        Self {
            laid_over: Some(Box::new(self.clone())),
            api: self.api.or(other.api),
            relays: self.relays.or(other.relays),
            // One key takes the place of another, wherever it is.
            key_file: self.key_file.or(other.key_file.filter(|_| self.bunker.is_none())),
            bunker: self.bunker.or(other.bunker.filter(|_| !has_file)),
            passphrase_file: self.passphrase_file.or(other.passphrase_file),
            alias: other.alias.into_iter().chain(self.alias).collect(),
            serve: self.serve.or(other.serve),
            profile: BTreeMap::new(),
        }
    }

    /// Relative paths count from the folder of the file.
    fn below(self, folder: &Path) -> Self {
        let join = |path: PathBuf| folder.join(path);
        Self {
            key_file: self.key_file.map(join),
            passphrase_file: self.passphrase_file.map(join),
            serve: self.serve.map(|serve| serve.below(folder)),
            ..self
        }
    }
}

/// Reads `file`, which must be there if it was `named`, and lays `profile` over it, which may be `new`.
fn load(file: Option<&Path>, named: bool, profile: Option<&str>, new: bool) -> Result<Config, Failure> {
    let text = match file.map(std::fs::read_to_string) {
        None => String::new(),
        Some(Ok(text)) => text,
        Some(Err(error)) if !named && matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            String::new()
        }
        Some(Err(error)) => {
            let path = file.unwrap_or(Path::new("")).display();
            return Err(Failure::usage(format!("cannot read the configuration {path}: {error}")));
        }
    };
    let folder = file.and_then(Path::parent).unwrap_or(Path::new(""));
    let path = file.unwrap_or(Path::new("")).display();
    parse(&text, profile, new, &path).map(|config| config.below(folder))
}

fn parse(text: &str, profile: Option<&str>, new: bool, path: &dyn Display) -> Result<Config, Failure> {
    let mut config: Config = toml_edit::de::from_str(text)
        .map_err(|error| configuration::mistake(text, error.span(), error.message(), path))?;
    let wrong = |why: &str| Failure::usage(format!("the configuration {path} has a mistake: {why}"));
    if config.profile.values().any(|profile| !profile.profile.is_empty()) {
        return Err(wrong("a profile in it has profiles of its own"));
    }
    if std::iter::once(&config).chain(config.profile.values()).any(|one| one.key_file.is_some() && one.bunker.is_some())
    {
        return Err(wrong("`key-file` and `bunker` both say where the key is"));
    }
    let bunkers = std::iter::once(&config).chain(config.profile.values()).filter_map(|one| one.bunker.as_ref());
    if bunkers.into_iter().any(|name| !Sessions::is_name(name)) {
        // It may be a whole URI, with a secret.
        return Err(wrong("`bunker` is not the name of a signer").hint(configuration::PAIR_FIRST));
    }
    let Some(name) = profile else { return Ok(config) };
    if let Some(own) = config.profile.remove(name).or_else(|| new.then(Config::default)) {
        return Ok(own.or(config));
    }
    let failure = wrong(&format!("there is no profile {name:?} in it"));
    Err(configuration::alike(name, config.profile.keys()).map_or(failure.clone(), |hint| failure.hint(hint)))
}

#[cfg(test)]
mod tests {
    use super::super::messages::errors::Exit;
    use super::*;

    const TEXT: &str = "api = 'https://a'\nkey-file = 'k'\n[profile.work]\napi = 'https://b'\n";

    #[test]
    fn a_profile_lies_over_the_rest() {
        let parse = |text, profile, new| parse(text, profile, new, &"config.toml");
        assert_eq!(parse(TEXT, None, false).unwrap().api.as_deref(), Some("https://a"));
        let work = parse(TEXT, Some("work"), false).unwrap();
        assert_eq!((work.api.as_deref(), work.key_file), (Some("https://b"), Some("k".into())));
        let home = parse(TEXT, Some("wrok"), false).unwrap_err();
        assert!(home.message.contains("wrok") && home.hints == ["did you mean `work`?"], "{home:?}");
        assert_eq!(parse(TEXT, Some("home"), true).unwrap().api.as_deref(), Some("https://a"));
        assert!(parse("[profile.a.profile.b]\napi = 'x'", None, false).unwrap_err().message.contains("of its own"));
    }

    #[test]
    fn a_profile_adds_aliases_to_those_of_all() {
        let text = "[alias]\nweekly = 'a'\ndaily = 'b'\n[profile.work.alias]\ndaily = 'c'\n";
        let aliases =
            |profile| parse(text, profile, false, &"config.toml").unwrap().alias.into_iter().collect::<Vec<_>>();
        let pair = |name: &str, room: &str| (name.to_owned(), room.to_owned());
        assert_eq!(aliases(None), [pair("daily", "b"), pair("weekly", "a")]);
        assert_eq!(aliases(Some("work")), [pair("daily", "c"), pair("weekly", "a")]);
    }

    #[test]
    fn a_file_that_was_named_must_be_there() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        assert_eq!(load(Some(&file), false, None, false).unwrap(), Config::default());
        assert_eq!(load(Some(&file), true, None, false).unwrap_err().exit, Exit::Usage);
        std::fs::write(&file, TEXT).unwrap();
        assert_eq!(load(Some(&file), true, None, false).unwrap().key_file, Some(folder.path().join("k")));
    }
}
