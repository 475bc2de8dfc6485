//! `nest init`: from nothing to a nest that a timer looks after.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde::Serialize;
use tokio::process::Command;
use tokio::time::timeout;

use super::key::{NewKeyFile, keyring_of};
use super::prelude::*;
use crate::api::ApiUrl;
use crate::api::address::API_PATH;
use crate::cli::config_file::Setting;
use crate::cli::messages::{self, Step, advice, errors, init as words, notices};
use crate::cli::settings::vars;
use crate::clock::Clock;
use crate::commands::doctor::DoctorFindings;
use crate::commands::key::{self, Import, Imported, Incoming, KeyCommandError, Place};
use crate::commands::{doctor, pick};
use crate::key::{KeyError, KeyOrigin, KeyPlan, KeySource, parse};
use crate::{files, room};

/// How long `systemctl` may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// Where most nests are.
const USUAL: &str = "https://nostrnests.com";

#[derive(Debug, Args)]
#[command(
    before_help = "\
Examples:
  nest init                                       asks for all that it needs
  nest init https://nostrnests.com/naddr1…        for this nest, and the server that it is on
  nest init nostrnests.com --key-file host.key    where nobody can be asked
  nest init naddr1… --key-file - --to-file --alias weekly --timer <host.key
",
    after_help = "\
Nothing is changed on the server, and nothing is written before server and key have been tried. A configuration that \
is there is kept: what is replaced, after a question, stays as a comment."
)]
pub struct InitArgs {
    /// Your server, such as nostrnests.com; or a nest that is on it: naddr1…, its link, 30312:<pubkey>:<d>, or @ALIAS
    #[arg(value_name = "SERVER")]
    pub server_or_nest: Option<String>,
    /// The short name by which the configuration is to know the nest: @NAME
    #[arg(long, value_name = "NAME", value_parser = words::is_alias)]
    pub alias: Option<String>,
    /// Write units for systemd that look after the nest, and start their timer
    #[arg(long, conflicts_with = "no_timer")]
    pub timer: bool,
    /// Offer no timer
    #[arg(long)]
    pub no_timer: bool,
    /// Keep a key that is typed, or comes from stdin or NEST_KEY, in this new file (mode 0600) instead of the OS keyring
    /// [default: host.key beside the configuration]
    #[arg(long, value_name = "PATH", num_args = 0..=1)]
    #[expect(clippy::option_option, reason = "the flag, and its value: clap's own way")]
    pub to_file: Option<Option<PathBuf>>,
    /// Do without a key
    #[arg(long, conflicts_with_all = ["key_file", "to_file", "bunker"])]
    pub no_key: bool,
    /// Replace what the configuration and units say otherwise; leave out the offers
    #[arg(short, long)]
    pub yes: bool,
    #[command(flatten)]
    pub server: ServerArgs,
    #[command(flatten)]
    pub key: KeyArgs,
}

/// What was written.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct InitDocument {
    /// The configuration file.
    config: String,
    /// The API; a nest on Media over QUIC has none.
    api: Option<String>,
    /// The host's public key.
    npub: Option<String>,
    /// Where the key is.
    key_source: Option<String>,
    /// The nest's id.
    room_id: Option<String>,
    /// Whether it is over by its event.
    over: bool,
    /// Its short name, as commands take it.
    alias: Option<String>,
    /// The timer that looks after it.
    timer: Option<String>,
    /// Whether the timer was started.
    started: Option<bool>,
}

/// What was asked and proved; nothing of it is written yet.
#[derive(Default)]
struct Setup {
    settings: Vec<Setting>,
    /// A key that is kept nowhere yet, and the file for it; in the keyring otherwise.
    key: Option<(Incoming, Option<PathBuf>)>,
    /// Where the key is that was proved, and then where it is kept.
    origin: Option<KeyOrigin>,
    units: Vec<(PathBuf, String)>,
    document: InitDocument,
}

pub(super) async fn run(app: &App<'_>, args: &InitArgs) -> Result<u8, Failure> {
    let setup = tokio::select! {
        biased;
        setup = Setup::prepare(app, args) => setup?,
        signal = app.stop.requested() => {
            return Err(Failure::new(Exit::from(signal), "interrupted; nothing was written"));
        }
    };
    let document = setup.carry_out(app).await?;
    let terminal = &*app.terminal;
    terminal.outcome(false, || document::of(&document), |paint| Some(text(&document, paint)));
    let nest = document.alias.as_deref().or(document.room_id.as_deref());
    terminal.status(&format!("{} {}", terminal.style.err.good("next:"), clean(&words::next(nest, document.over))));
    Ok(0)
}

impl Setup {
    async fn prepare(app: &App<'_>, args: &InitArgs) -> Result<Self, Failure> {
        let sources = &app.sources;
        let mut settings = sources.settings(&args.server, &args.key)?;
        if !sources.interactive {
            let api = &settings.api;
            let server = args.server_or_nest.is_some()
                || [&api.given, &api.environment, &api.profile].iter().any(|api| api.is_some());
            let key = args.no_key || settings.key.is_at_hand(None);
            let missing = [(server, words::MISSING_SERVER), (key, words::MISSING_KEY)];
            let missing: Vec<_> = missing.iter().filter(|(there, _)| !there).map(|(_, flag)| *flag).collect();
            if !missing.is_empty() {
                return Err(words::missing(&missing));
            }
        }
        let mut setup = Self::default();
        setup.document.config = sources.config_file()?.path.display().to_string();
        let named = place(app, args, &mut settings).await?;
        if let (None, Some(alias)) = (&named, &args.alias) {
            return Err(words::alias_of_what(alias));
        }
        setup.ask_for_key(app, args, &mut settings).await?;
        let has_key = settings.key.is_at_hand(None);
        let job = app.job(settings)?;
        let nest = match named {
            None if sources.interactive && has_key && args.alias.is_none() && !args.yes => choose(app, &job).await?,
            named => named,
        };
        let found = doctor::run(&job, nest.as_ref(), &app.stop).await;
        app.terminal.end_rows();
        let found = found.map_err(|error| Failure::of(&error, Verb::Init, ""))?;
        setup.prove(app, &found, has_key)?;
        setup.remember_api(app, args, &found);
        if let Some(nest) = &nest {
            setup.ask_for_alias(app, args, nest, &found).await?;
        }
        setup.ask_for_replacement(app, args).await?;
        setup.offer_timer(app, args, has_key).await?;
        Ok(setup)
    }

    /// Finds out where the key comes from. One that no later call would find is read, and is to be kept.
    async fn ask_for_key(&mut self, app: &App<'_>, args: &InitArgs, settings: &mut Settings) -> Result<(), Failure> {
        let (sources, terminal) = (&app.sources, &*app.terminal);
        if args.no_key {
            settings.key = KeyPlan::default();
            return Ok(());
        }
        let named = settings.key.named().cloned();
        // A key that is named otherwise is not to be replaced unseen.
        let in_place_of = |new: &str| match sources.key_named() {
            Some((setting, which)) if setting != new => {
                Err(errors::key_named((setting, &which), &sources.config_file()?.path))
            }
            _ => Ok(()),
        };
        match &named {
            Some(KeySource::Profile(_) | KeySource::Credential(_) | KeySource::ProfileSigner(_)) => return Ok(()),
            Some(source @ KeySource::EnvBunker(_)) if sources.key_named().is_none() => {
                let error = KeyError::StaysInSigner { origin: source.origin() };
                return Err(errors::of_key_command(&KeyCommandError::Key(error)));
            }
            Some(KeySource::Signer(name)) if args.to_file.is_none() => {
                in_place_of("bunker")?;
                self.settings.push((vec!["bunker".into()], name.clone()));
                return Ok(());
            }
            Some(source @ (KeySource::KeyFile(path) | KeySource::EnvFile(path)))
                if args.to_file.is_none() && !source.is_stdin() =>
            {
                in_place_of("key-file")?;
                let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
                self.settings.push((vec!["key-file".into()], sources.config_file()?.written(&path)));
                return Ok(());
            }
            None if settings.key.is_at_hand(None) && args.to_file.is_none() => return Ok(()),
            _ => {}
        }
        if let Some((setting, which)) = sources.key_named() {
            if args.key.file.key_file.is_some() || args.to_file.is_some() {
                return Err(errors::key_named((setting, &which), &sources.config_file()?.path));
            }
            // What is only in this environment is not what later calls find.
            settings
                .key
                .explicit
                .retain(|source| matches!(source, KeySource::Profile(_) | KeySource::ProfileSigner(_)));
            return Ok(());
        }
        let failed = |error| errors::of_new_key(&error, "run this again with --to-file");
        let file = NewKeyFile::at(args.to_file.as_ref().and_then(Option::as_deref), sources);
        let place = if args.to_file.is_some() {
            Some(file.as_ref().map_err(Failure::clone)?.path.clone())
        } else {
            let or_file = file.as_ref().ok().map(|file| &*file.path);
            let place = Place::Keyring { keyring: &keyring_of(sources)?, or_file };
            let settled = key::settle(place, terminal).await.map_err(failed)?;
            if let Place::File(path) = settled { Some(path.to_owned()) } else { None }
        };
        let request =
            Import { from: named, keep_encrypted: false, passphrase_file: settings.key.passphrase_file.clone() };
        let incoming = match key::read(&request, terminal).await {
            // A person may have none.
            Err(KeyCommandError::Key(KeyError::Missing)) if sources.interactive => {
                settings.key = KeyPlan::default();
                terminal.warn(words::NO_KEY);
                return Ok(());
            }
            incoming => incoming.map_err(failed)?,
        };
        let itself = KeySource::Caller(parse::nsec(&incoming.key));
        settings.key = KeyPlan { explicit: vec![itself], ..KeyPlan::default() };
        self.key = Some((incoming, place));
        Ok(())
    }

    /// Holds what the doctor has found against what is needed.
    fn prove(&mut self, app: &App<'_>, found: &DoctorFindings, has_key: bool) -> Result<(), Failure> {
        let name = found.room.as_ref().map_or("", |room| &room.name);
        let steps = messages::doctor::document(found, name, &app.sources.origin).steps;
        // Such a nest has no API to be asked.
        let over_quic = found.event().is_some_and(|event| event.event.media_over_quic().is_some());
        let server = ["dns", "proxy", "tcp", "tls", "api", "signature"];
        let matters = |step: &&Step| match step.name {
            "key" => has_key,
            name => server.contains(&name) && !over_quic,
        };
        let proved = |step: &Step| matches!(step.status, Status::Passed | Status::Warned);
        let needed = |step: &Step| step.name == "api" || step.name == "signature" && has_key;
        let wrong = |step: &&Step| step.status == Status::Failed || needed(step) && !proved(step);
        if let Some(step) = steps.iter().filter(matters).find(wrong) {
            let unsigned =
                matches!(found.server().and_then(|server| server.signature.as_ref()), Some(Err(Error::Key(_))));
            return Err(words::not_proven(step, unsigned));
        }
        for step in steps.iter().filter(matters).filter(|step| needed(step)) {
            app.terminal.status(&step_line(step, app.terminal.style.err));
        }
        if let Some(Ok(key)) = &found.key {
            if let Some(host) = found.host().filter(|host| *host != key.public_key()) {
                return Err(words::not_host(key.public_key(), host, name));
            }
            self.document.npub = Some(key.npub());
            self.origin = Some(key.source().clone());
        }
        if let Some(room) = found.event().filter(|room| room.event.is_over(Clock::default().now_s())) {
            self.document.over = true;
            let successor = room.event.successor_naddr(&room.seen_on);
            app.terminal.warn(&words::over(room.event.status().as_str(), successor.as_deref()));
        }
        self.document.room_id = found.room.as_ref().map(|room| room.id.to_string());
        Ok(())
    }

    fn remember_api(&mut self, app: &App<'_>, args: &InitArgs, found: &DoctorFindings) {
        let Some(server) = found.server() else { return };
        let origin = server.api.as_str().trim_end_matches(API_PATH).to_owned();
        let name = vec!["api".to_owned()];
        let configured = app.sources.configured(&name);
        let same = configured.as_deref().and_then(|api| ApiUrl::named(api).ok()).as_ref() == Some(&server.api);
        // A nest of another server leads there by itself.
        let by_the_way = configured.is_some() && found.room.is_some() && args.server.api.is_none();
        if !same && !by_the_way {
            self.settings.push((name, origin.clone()));
        }
        self.document.api = Some(origin);
    }

    async fn ask_for_alias(
        &mut self,
        app: &App<'_>,
        args: &InitArgs,
        nest: &RoomRef,
        found: &DoctorFindings,
    ) -> Result<(), Failure> {
        // The name that a list has shown is not in the configuration, and may be another nest's one day.
        let configured = app.sources.aliases().any(|alias| alias == nest.name);
        if configured && args.alias.is_none() {
            self.document.alias = Some(nest.name.clone());
            return Ok(());
        }
        let event = found.event();
        let title = event.and_then(|event| event.event.title()).unwrap_or(nest.id.as_str());
        let alias = match &args.alias {
            Some(alias) => alias.clone(),
            None if app.sources.interactive && !args.yes => {
                let valid = |text: &str| if text.is_empty() { Ok(()) } else { words::is_alias(text).map(drop) };
                let typed = app.terminal.typed(&words::alias_of(title), &words::as_alias(title), valid).await;
                typed.unwrap_or_default()
            }
            None => return Ok(()),
        };
        if !alias.is_empty() {
            let named = if room::alias(&nest.name).is_some() { nest.id.as_str() } else { &nest.name };
            let target = event.and_then(crate::relay::FetchedEvent::naddr).unwrap_or_else(|| named.to_owned());
            self.document.alias = Some(format!("@{alias}"));
            self.settings.push((vec!["alias".into(), alias], target));
        }
        Ok(())
    }

    /// What the configuration says otherwise is replaced only if somebody says so.
    async fn ask_for_replacement(&self, app: &App<'_>, args: &InitArgs) -> Result<(), Failure> {
        let config = app.sources.config_file()?;
        let changes: Vec<_> = self
            .settings
            .iter()
            .filter_map(|(names, new)| {
                let old = app.sources.configured_here(names)?;
                let same = old == *new || config.written(Path::new(&old)) == *new;
                (!same).then(|| (names.join("."), old))
            })
            .collect();
        if changes.is_empty() || args.yes || app.terminal.yes_or_no(&words::replace(&changes)).await == Some(true) {
            return Ok(());
        }
        Err(words::would_replace(&changes))
    }

    async fn offer_timer(&mut self, app: &App<'_>, args: &InitArgs, has_key: bool) -> Result<(), Failure> {
        let sources = &app.sources;
        let path = sources.search_path().unwrap_or_default();
        let systemd = std::env::split_paths(&path).any(|folder| folder.join("systemctl").is_file());
        let asked = systemd && sources.interactive && !args.yes && !args.no_timer;
        let alias = self.document.alias.as_deref().and_then(room::alias).filter(|alias| words::is_alias(alias).is_ok());
        let (Some(alias), true, Some(folder)) = (alias, has_key && (args.timer || asked), sources.units_dir()) else {
            let missing = if has_key { words::MISSING_ALIAS } else { words::MISSING_KEY };
            return if args.timer { Err(words::missing(&[missing])) } else { Ok(()) };
        };
        let nest =
            std::env::current_exe().map_err(|error| Failure::new(Exit::Failed, format!("no path of nest: {error}")))?;
        let unit = format!("nest-restart-{alias}");
        let units = words::units(&nest.to_string_lossy(), alias, &lasting_flags(app)?);
        let units: Vec<_> =
            units.into_iter().map(|(kind, text)| (folder.join(format!("{unit}.{kind}")), text)).collect();
        for (path, text) in &units {
            if !args.yes && std::fs::read_to_string(path).map_or(path.exists(), |there| there != *text) {
                return Err(words::unit_exists(path));
            }
        }
        app.terminal.status(&clean_lines(&words::offer(alias, &units)));
        if args.timer || app.terminal.yes_or_no(words::WRITE_UNITS).await == Some(true) {
            self.document.timer = Some(words::timer(alias));
            self.units = units;
        }
        Ok(())
    }

    /// Writes all of it: the key, the configuration, the units.
    async fn carry_out(mut self, app: &App<'_>) -> Result<InitDocument, Failure> {
        let (sources, terminal) = (&app.sources, &*app.terminal);
        let config = sources.config_file()?;
        if let Some((incoming, file)) = &self.key {
            let spare = NewKeyFile::at(None, sources).ok();
            let kept = if let Some(path) = file {
                key::keep(Place::File(path), incoming, false, terminal).await
            } else {
                let or_file = spare.as_ref().map(|file| &*file.path);
                key::keep(Place::Keyring { keyring: &keyring_of(sources)?, or_file }, incoming, false, terminal).await
            };
            match kept.map_err(|error| errors::of_key_command(&error))? {
                Imported::Keyring(_) => self.origin = Some(KeyOrigin::Keyring),
                Imported::File(_) => {
                    let path = file.as_ref().or(spare.as_ref().map(|file| &file.path)).cloned().unwrap_or_default();
                    self.settings.push((vec!["key-file".into()], config.written(&path)));
                    self.origin = Some(KeyOrigin::KeyFile(path));
                }
            }
        }
        self.document.key_source = self.origin.as_ref().map(ToString::to_string);
        config.set(&self.settings)?;
        let Some(timer) = &self.document.timer else { return Ok(self.document) };
        for (path, text) in &self.units {
            let failed = |error| Failure::new(Exit::Failed, format!("{} was not written: {error}", path.display()));
            files::replace(path, text.as_bytes()).map_err(failed)?;
        }
        let mut started = systemctl(&["daemon-reload"]).await;
        if started.is_ok() {
            started = systemctl(&["enable", "--now", timer]).await;
        }
        match &started {
            Ok(()) => terminal.status(words::linger()),
            Err(why) => terminal.warn(&words::start_by_hand(timer, why)),
        }
        let kept_anew = match &self.origin {
            Some(KeyOrigin::Keyring) => Some(Verb::KeyImport),
            Some(KeyOrigin::Signer(name)) if sources.sessions().is_some_and(|all| all.is_in_keyring(name)) => {
                Some(Verb::KeyConnect)
            }
            _ => None,
        };
        if let Some(verb) = kept_anew {
            terminal.warn(&words::unreachable_keyring(verb));
        }
        self.document.started = Some(started.is_ok());
        Ok(self.document)
    }
}

/// The nest that was named, if one was; and the server becomes part of the settings.
async fn place(app: &App<'_>, args: &InitArgs, settings: &mut Settings) -> Result<Option<RoomRef>, Failure> {
    let api = &settings.api;
    let text = match &args.server_or_nest {
        Some(text) => text.clone(),
        None if api.given.is_some() || !app.sources.interactive => return Ok(None),
        None => {
            let known = api.environment.as_ref().or(api.profile.as_ref());
            let known = known.map_or(USUAL, |api| api.as_str().trim_end_matches(API_PATH));
            let valid =
                |text: &str| if is_nest(text) { Ok(()) } else { server(text).map(drop).map_err(|error| error.message) };
            let typed = app.terminal.typed(words::WHERE, known, valid).await;
            typed.ok_or_else(|| Failure::of(&Error::Cancelled, Verb::Init, ""))?
        }
    };
    if is_nest(text.trim()) {
        return app.sources.room(text.trim()).map(Some);
    }
    let server = server(&text)?;
    if let Some(given) = settings.api.given.as_ref().filter(|given| **given != server) {
        return Err(words::two_servers(&server, given));
    }
    settings.api.given = Some(server);
    Ok(None)
}

fn is_nest(text: &str) -> bool {
    let is_link = text.contains("://") && RoomRef::parse(text).is_ok();
    is_link || text.starts_with('@') || text.contains("naddr1") || text.starts_with("30312:")
}

fn server(text: &str) -> Result<ApiUrl, Failure> {
    ApiUrl::named(text).map_err(|error| Failure::usage(error.to_string()).hint(format!("for example {USUAL}")))
}

/// One of the nests of the key, for a person who has named none.
async fn choose(app: &App<'_>, job: &Job<'_>) -> Result<Option<RoomRef>, Failure> {
    let choice = pick::choice(job, Purpose::Restart, &app.stop).await;
    app.terminal.end_rows();
    let nests = match choice {
        Ok(choice) => choice.nests,
        Err(Error::NothingToChoose) => return Ok(None),
        Err(error @ Error::Relays(_)) => {
            app.terminal.warn(&error.to_string());
            return Ok(None);
        }
        Err(error) => return Err(Failure::of(&error, Verb::Init, "")),
    };
    let mut items: Vec<_> = nests.iter().map(notices::choice).collect();
    items.push((words::NONE.to_owned(), String::new()));
    let chosen = app.terminal.choose(words::WHICH, &items).await;
    Ok(chosen.and_then(|at| nests.get(at)).map(crate::commands::list::Nest::reference))
}

/// What this call was given that every later one needs, for a unit has no shell's environment.
fn lasting_flags(app: &App<'_>) -> Result<Vec<String>, Failure> {
    let config = app.sources.config_file()?;
    let absolute =
        |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).to_string_lossy().into_owned();
    let mut flags = vec!["--config".to_owned(), absolute(&config.path)];
    flags.extend(config.profile.iter().flat_map(|name| ["--profile".to_owned(), name.clone()]));
    for (flag, value) in advice::given(&["cacert", "allow-http"]) {
        flags.push(format!("--{flag}"));
        flags.extend(value.map(|path| absolute(Path::new(&path))));
    }
    Ok(flags)
}

/// Has the user's own systemd do something; it learns nothing of the key.
async fn systemctl(args: &[&str]) -> Result<(), String> {
    let mut command = Command::new("systemctl");
    for name in vars::SECRETS {
        command.env_remove(name);
    }
    command.arg("--user").args(args).stdin(Stdio::null()).kill_on_drop(true);
    match timeout(PATIENCE, command.output()).await {
        Ok(Ok(output)) if output.status.success() => Ok(()),
        Ok(Ok(output)) => {
            let said = String::from_utf8_lossy(&output.stderr);
            Err(format!("systemctl: {}", said.lines().next().unwrap_or("it failed")))
        }
        Ok(Err(error)) => Err(format!("systemctl: {error}")),
        Err(_) => Err(format!("systemctl did not end within {} s", PATIENCE.as_secs())),
    }
}

fn clean_lines(text: &str) -> String {
    text.lines().map(clean).collect::<Vec<_>>().join("\n")
}

fn text(document: &InitDocument, paint: Paint) -> String {
    let key =
        document.npub.as_ref().zip(document.key_source.as_ref()).map(|(npub, from)| format!("{npub} from {from}"));
    let started = document.started == Some(true);
    let timer = document.timer.as_ref().map(|timer| words::looks_after(timer, started));
    let nest = document.alias.as_ref().or(document.room_id.as_ref());
    let rows = [("server", &document.api), ("key", &key), ("nest", &nest.cloned()), ("timer", &timer)];
    let rows = rows.iter().filter_map(|(name, value)| Some(paint.row(name, &clean(value.as_ref()?))));
    let head = format!("{} {}", paint.mark(Status::Passed), clean(&document.config));
    std::iter::once(head).chain(rows).collect::<Vec<_>>().join("\n")
}
