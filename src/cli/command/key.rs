//! `nest key`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Subcommand;
use nostr::PublicKey;
use serde_json::{Value, json};

use super::prelude::*;
use crate::cli::args::{KeyFileArgs, SignerRelayArgs, TEMPLATE, signer_name};
use crate::cli::config_file::ConfigFile;
use crate::cli::messages::{errors, notices, pairing, troubles};
use crate::cli::settings::{Sources, vars};
use crate::commands::key::{
    self, Connected, Export, Import, Imported, KeyCommandError, Pairing, Place, Stored, Written,
};
use crate::key::file::SecretFileError;
use crate::key::{BunkerUri, HostKey, InFile, KeyError, KeySource, Keyring, PairingOffer, Sessions, SignerError, npub};
use crate::reporter::{Reporter as _, SecretPrompt};
use crate::secret::Secret;

#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Put a key into the OS keyring, or into a file of yours alone: from a hidden prompt, a file or stdin
    Import(ImportArgs),
    /// Pair with a remote signer (NIP-46), in which the key stays: an app on your phone, nsec.app, a bunker of your own
    Connect(ConnectArgs),
    /// Make a new key, and keep it in the OS keyring, or in a file
    #[command(help_template = TEMPLATE, before_help = "\
Examples:
  nest key generate                                into the OS keyring
  nest key generate --to-file host.key             into a new file of yours alone; a passphrase encrypts it
")]
    Generate {
        /// Write it to this new file (mode 0600) instead
        #[arg(long, value_name = "PATH")]
        to_file: Option<PathBuf>,
        /// With --to-file: a file with the passphrase that is to encrypt it, or - for stdin
        #[arg(long, value_name = "PATH", requires = "to_file")]
        passphrase_file: Option<PathBuf>,
    },
    /// Print a secret key of the keyring, encrypted: a copy for safe keeping, or for another machine
    #[command(help_template = TEMPLATE, before_help = "\
Examples:
  nest key export > host.ncryptsec                 asks for a new passphrase; nest key import brings it back
  nest key export --plain --yes | other-program    the bare nsec
")]
    Export {
        /// The public key [default: the key that is the default]
        npub: Option<String>,
        /// As nsec, not encrypted
        #[arg(long)]
        plain: bool,
        /// Ask nothing
        #[arg(short, long)]
        yes: bool,
        /// A file with the passphrase that is to encrypt it, or - for stdin
        #[arg(long, value_name = "PATH", conflicts_with = "plain")]
        passphrase_file: Option<PathBuf>,
    },
    /// Print a key encrypted (ncryptsec): typed, or from --key-file or NEST_KEY_FILE
    #[command(help_template = TEMPLATE, before_help = "\
Examples:
  (umask 077; nest key encrypt > host.ncryptsec)   asks for the key and for a new passphrase
  nest key encrypt --key-file host.key --passphrase-file host.pass
")]
    Encrypt(KeyFileArgs),
    /// Show the public part of the key that would be used, where it is, and whether its signer answers
    Show {
        #[command(flatten)]
        key: KeyArgs,
        #[command(flatten)]
        relays: SignerRelayArgs,
    },
    /// Show the keys in the keyring, and the signers that were paired with
    List,
    /// Say which key is used when several would do
    Default {
        /// The public key, or the name of a signer
        npub: String,
    },
    /// Take a key out of the keyring, or forget a signer
    Remove {
        /// The public key, or the name of a signer; may be left out if there is only one key
        npub: Option<String>,
        /// Ask nothing
        #[arg(short, long)]
        yes: bool,
    },
}

#[derive(Debug, Args)]
#[command(
    help_template = TEMPLATE,
    before_help = "\
Examples:
  nest key import                                  typed unseen, into the OS keyring
  nest key import --to-file                        where there is no keyring: into host.key beside the configuration
  pass show nostr | nest key import --key-file -   from a password manager
"
)]
pub struct ImportArgs {
    /// Keep it in this new file (mode 0600) instead, and have the configuration name it [default: host.key beside the
    /// configuration]
    #[arg(long, value_name = "PATH", num_args = 0..=1)]
    #[expect(clippy::option_option, reason = "the flag, and its value: clap's own way")]
    to_file: Option<Option<PathBuf>>,
    #[command(flatten)]
    key: KeyFileArgs,
}

#[derive(Debug, Args)]
#[command(
    help_template = TEMPLATE,
    before_help = "\
Examples:
  nest key connect                                 asks for the bunker:// URI, unseen; or shows a QR code
  nest key connect --qr --name phone               to scan with a signer on the phone
  pass show bunker | nest key connect -            from a password manager
",
    after_help = "\
The signer is asked for no more than it needs: to sign requests, nests, your presence, and who asks a relay. From then on \
it has to answer whenever nest signs: for a timer, allow it for always."
)]
pub struct ConnectArgs {
    /// bunker://… as the signer shows it, or - for stdin; one with a secret= is never an argument
    #[arg(value_name = "URI")]
    uri: Option<String>,
    /// Show a QR code (nostrconnect://) for the signer to scan
    #[arg(long, conflicts_with = "uri")]
    qr: bool,
    /// The name that it is to have here
    #[arg(long, value_name = "NAME", value_parser = signer_name, default_value = "main")]
    name: String,
    /// Keep what it knows this machine by in a file (mode 0600), although there is a keyring: for a timer
    #[arg(long)]
    to_file: bool,
    /// Open the page on which a signer wants to be allowed
    #[arg(long)]
    open: bool,
    /// Limit of one answer of the signer
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "2m")]
    signer_timeout: Duration,
    /// With --qr: a relay to meet the signer on; may be given several times
    #[arg(long, value_name = "URL", value_delimiter = ',', env = vars::RELAYS)]
    relay: Vec<String>,
    #[command(flatten)]
    relays: SignerRelayArgs,
}

/// A key file that is not there yet, and the configuration that is to name it.
pub(super) struct NewKeyFile<'a> {
    pub path: PathBuf,
    config: &'a ConfigFile,
}

impl<'a> NewKeyFile<'a> {
    pub fn at(path: Option<&Path>, sources: &'a Sources<'_>) -> Result<Self, Failure> {
        let config = sources.config_file()?;
        let path = std::path::absolute(path.map_or_else(|| config.folder().join("host.key"), Path::to_owned))
            .map_err(|error| Failure::usage(format!("no path for the key file: {error}")))?;
        if let Some((setting, which)) = sources.key_named() {
            return Err(errors::key_named((setting, &which), &config.path));
        }
        if path.exists() {
            return Err(errors::of_key_command(&KeyCommandError::NotWritten(SecretFileError::Exists(path))));
        }
        Ok(Self { path, config })
    }

    /// Has the configuration name it.
    fn record(&self) -> Result<(), Failure> {
        let setting = (vec!["key-file".to_owned()], self.config.written(&self.path));
        self.config.set(&[setting]).map_err(|failure| failure.hint(errors::use_key_file(&self.path)))
    }
}

/// Does what is asked; ends early when interrupted, for a keyring may never answer.
pub(super) async fn run(app: &App<'_>, command: KeyCommand) -> Result<u8, Failure> {
    tokio::select! {
        biased;
        result = dispatch(app, command) => result,
        signal = app.stop.requested() => Err(Failure::new(Exit::from(signal), "interrupted")),
    }
}

pub(super) fn keyring_of(sources: &Sources<'_>) -> Result<Keyring, Failure> {
    let no_home = || Failure::new(Exit::Key, "there is no home folder for the list of keys");
    sources.keyring().ok_or_else(|| no_home().hint(troubles::keyring().hint))
}

async fn dispatch(app: &App<'_>, command: KeyCommand) -> Result<u8, Failure> {
    let failed = |error: key::KeyCommandError| errors::of_key_command(&error);
    let terminal = &*app.terminal;
    let keyring = || keyring_of(&app.sources);
    match command {
        KeyCommand::Import(args) => {
            // The environment is for commands that use a key, not for one that stores it.
            let from = args.key.key_file.map(KeySource::KeyFile);
            let request = Import { from, keep_encrypted: false, passphrase_file: args.key.passphrase_file };
            let file = NewKeyFile::at(args.to_file.as_ref().and_then(Option::as_deref), &app.sources);
            let imported = if args.to_file.is_some() {
                key::import(Place::File(&file.as_ref().map_err(Failure::clone)?.path), &request, terminal).await
            } else {
                let or_file = file.as_ref().ok().map(|file| &*file.path);
                key::import(Place::Keyring { keyring: &keyring()?, or_file }, &request, terminal).await
            };
            match imported.map_err(|error| errors::of_key_import(&error))? {
                Imported::Keyring(stored) => {
                    let what = if stored.new { "is in the OS keyring now" } else { "was in the OS keyring already" };
                    let whole = format!("{} {what}{}", npub(&stored.public_key), mark(&stored));
                    tell(terminal, &stored.public_key, &whole, json!({ "default": stored.default }));
                }
                Imported::File(written) => {
                    let file = file?;
                    file.record()?;
                    tell_file(terminal, &file.path, &written, "is in");
                }
            }
        }
        KeyCommand::Connect(args) => connect(app, args).await?,
        KeyCommand::Generate { to_file: None, .. } => {
            let failed = |error| errors::of_new_key(&error, "`nest key generate --to-file PATH`");
            let stored = key::generate(&keyring()?).await.map_err(failed)?;
            let npub = npub(&stored.public_key);
            let whole = format!("{npub} is new, and in the OS keyring{}", mark(&stored));
            tell(terminal, &stored.public_key, &whole, json!({ "default": stored.default }));
            terminal.status(&format!("a copy for safe keeping: `nest key export {npub}`"));
        }
        KeyCommand::Generate { to_file: Some(path), passphrase_file } => {
            let written = key::generate_file(&path, passphrase_file.as_deref(), terminal).await.map_err(failed)?;
            tell_file(terminal, &path, &written, "is new, and in");
        }
        KeyCommand::Export { npub, plain, yes, passphrase_file } => {
            let key = npub.as_deref().map(public_key).transpose()?;
            let request = Export { key, plain, yes, passphrase_file };
            show(terminal, &key::export(&keyring()?, &request, terminal).await.map_err(failed)?);
        }
        KeyCommand::Encrypt(args) => {
            let plan = app.sources.key_plan(&KeyArgs { file: args, ..KeyArgs::default() });
            // One that is in a signer stays there: another is meant.
            let named = plan.named().filter(|source| !source.is_signer());
            let encrypted = key::encrypt(named, plan.passphrase_file.as_deref(), terminal).await;
            show(terminal, &encrypted.map_err(failed)?);
        }
        KeyCommand::Show { key, relays } => return show_used(terminal, &app.own_key(&key, relays).await?).await,
        KeyCommand::List => list(&keyring()?, app).await.map_err(failed)?,
        KeyCommand::Default { npub: name } => {
            if let Some(signer) = signer_named(&app.sources, &name) {
                use_from_now_on(app, &signer)?;
                return Ok(0);
            }
            let key = public_key(&name)?;
            key::default(&keyring()?, key).map_err(failed)?;
            if let Some(("bunker", name)) = app.sources.key_named() {
                no_longer_used(app, &name);
            }
            tell(terminal, &key, &format!("{} is the default now", npub(&key)), json!({ "default": true }));
        }
        KeyCommand::Remove { npub: name, yes } => {
            if let Some(signer) = name.as_deref().and_then(|name| signer_named(&app.sources, name)) {
                forget(app, &signer, yes).await?;
                return Ok(0);
            }
            let key = name.as_deref().map(public_key).transpose()?;
            let key = key::remove(&keyring()?, key, yes, terminal).await;
            let key = key.map_err(|error| errors::of_key_removal(&error))?;
            tell(terminal, &key, &format!("{} was removed", npub(&key)), json!({ "removed": true }));
        }
    }
    Ok(0)
}

/// The signer that is meant: by its name, or by a key that only it has.
fn signer_named(sources: &Sources<'_>, text: &str) -> Option<String> {
    if sources.knows_signer(text) {
        return Some(text.to_owned());
    }
    let key = PublicKey::parse(text).ok()?;
    let in_keyring = sources.keyring().and_then(|keyring| key::list(&keyring).ok()).unwrap_or_default();
    let only_there = !in_keyring.iter().any(|stored| stored.public_key == key);
    signers(sources).find(|(_, user)| only_there && *user == key).map(|(name, _)| name)
}

async fn forget(app: &App<'_>, name: &str, yes: bool) -> Result<(), Failure> {
    let terminal = &*app.terminal;
    let left = key::forget(&sessions_of(&app.sources)?, name, yes, terminal).await;
    let left = left.map_err(|error| errors::of_key_command(&error))?;
    let document = || json!({ "removed": true, "signer": name });
    terminal.outcome(false, document, |_| Some(format!("the signer {name} is forgotten")));
    if let Some(why) = left {
        terminal.warn(&pairing::left_in_keyring(&why));
    }
    no_longer_used(app, name);
    Ok(())
}

/// Has the configuration name this signer no more.
fn no_longer_used(app: &App<'_>, name: &str) {
    if let Ok(config) = app.sources.config_file()
        && let Err(error) = config.unset("bunker", name)
    {
        app.terminal.warn(&pairing::still_configured(name, &config.path, &error));
    }
}

/// Has the configuration name this signer, in the place of another one.
fn use_from_now_on(app: &App<'_>, name: &str) -> Result<(), Failure> {
    let (sources, config) = (&app.sources, app.sources.config_file()?);
    let user = sessions_of(sources)?.user(name).map_err(|error| errors::of_session(&error))?;
    if let Some((setting @ "key-file", which)) = sources.key_named() {
        return Err(errors::key_named((setting, &which), &config.path));
    }
    config.set(&[(vec!["bunker".to_owned()], name.to_owned())])?;
    let whole = pairing::connected(&npub(&user), name, true);
    tell(&app.terminal, &user, &whole, json!({ "default": true, "signer": name }));
    Ok(())
}

async fn connect(app: &App<'_>, args: ConnectArgs) -> Result<(), Failure> {
    let (sources, terminal) = (&app.sources, &*app.terminal);
    let sessions = sessions_of(sources)?;
    let server = ServerArgs { relay: args.relay, ..args.relays.into() };
    let network = sources.network(&server)?;
    let signers = app.told(sources.signers(&server, &network, Some(args.signer_timeout)), args.open);
    let uri = match args.uri.as_deref() {
        _ if args.qr => None,
        Some("-") => {
            let read = KeySource::KeyFile("-".into()).read().await;
            Some(read.map_err(|error| errors::of_key_command(&error.into()))?)
        }
        Some(uri) => Some(Secret::new(uri)),
        None if sources.interactive => terminal.secret(SecretPrompt::Bunker).await,
        None => return Err(pairing::nobody_to_ask()),
    };
    let by = if let Some(uri) = uri {
        Pairing::Uri(BunkerUri::parse(uri.expose()).map_err(pairing::no_uri)?)
    } else {
        let offer = PairingOffer::new(sources.meeting_relays(&server)?);
        terminal.offer(&offer.uri(), &pairing::scan(args.signer_timeout));
        Pairing::Offer(offer)
    };
    let connected = key::connect(&sessions, by, &args.name, args.to_file, signers.network).await;
    let connected = connected.map_err(|error| errors::of_key_command(&error))?;
    let used = record(sources, &connected.name)?;
    let Connected { public_key, name, file } = connected;
    let whole = pairing::connected(&npub(&public_key), &name, used);
    let more =
        json!({ "signer": name, "default": used, "file": file.as_ref().map(|file| file.path.to_string_lossy()) });
    tell(terminal, &public_key, &whole, more);
    terminal.status(pairing::NEXT);
    if let Some(InFile { path, why: Some(why) }) = file {
        terminal.status(&pairing::in_file(&path, &why));
    }
    if let Some(source) = sources.key_plan(&KeyArgs::default()).named()
        && !matches!(source, KeySource::ProfileSigner(_))
    {
        terminal.status(&notices::key_elsewhere(&source.origin()));
    }
    Ok(())
}

/// Has the configuration name the signer, if it names no key yet. Whether the signer is the one that is used.
fn record(sources: &Sources<'_>, name: &str) -> Result<bool, Failure> {
    if let Some((setting, which)) = sources.key_named() {
        return Ok(setting == "bunker" && which == name);
    }
    let setting = (vec!["bunker".to_owned()], name.to_owned());
    sources.config_file()?.set(&[setting]).map_err(|failure| failure.hint(pairing::use_it(name)))?;
    Ok(true)
}

/// The signers that were paired with, by name, and the keys that they sign with. Those of which nothing can be read are left
/// out.
pub(super) fn signers(sources: &Sources<'_>) -> impl Iterator<Item = (String, PublicKey)> {
    let sessions = sources.sessions();
    let names = sessions.iter().flat_map(Sessions::names).collect::<Vec<_>>();
    names.into_iter().filter_map(move |name| {
        let key = sessions.as_ref()?.user(&name).ok()?;
        Some((name, key))
    })
}

pub(super) fn sessions_of(sources: &Sources<'_>) -> Result<Sessions, Failure> {
    sources.sessions().ok_or_else(|| Failure::new(Exit::Key, "there is no home folder for what is kept of signers"))
}

/// The key that would be used: of a signer, whether it answers too.
async fn show_used(terminal: &Terminal, key: &HostKey) -> Result<u8, Failure> {
    let refusal = match key.signer() {
        None => None,
        Some(signer) => signer.ping().await.err(),
    };
    let answers = refusal.as_ref().is_none_or(|cause| matches!(cause, SignerError::Refused(_)));
    let failure = refusal.map(|cause| {
        let error = KeyError::Signer { origin: key.source().clone(), cause };
        errors::of_key_command(&KeyCommandError::Key(error))
    });
    let source = key.source();
    let mut whole = format!("{}\n{}\nfrom {source}", key.npub(), key.public_key().to_hex());
    let mut more = json!({ "source": source.to_string(), "kind": source.kind() });
    if key.signer().is_some() {
        // That it refuses is an answer.
        whole.push_str(if answers { ", which answers" } else { ", which does not answer" });
        more["answers"] = answers.into();
    }
    if let Some(failure) = &failure {
        more["error"] = document::of(&failure.document());
    }
    tell(terminal, &key.public_key(), &whole, more);
    let Some(failure) = failure else { return Ok(0) };
    terminal.failure(None, &failure);
    Ok(failure.exit.code())
}

async fn list(keyring: &Keyring, app: &App<'_>) -> Result<(), key::KeyCommandError> {
    let terminal = &*app.terminal;
    let (keys, unusable) = (key::list(keyring)?, keyring.open().await.err());
    let signers: Vec<_> = signers(&app.sources).collect();
    let why = unusable.as_ref().and_then(std::error::Error::source).map(ToString::to_string);
    if terminal.style.format == Format::Json {
        let keys = keys.iter().map(|stored| of_key(&stored.public_key, json!({ "default": stored.default })));
        let signers = signers.iter().map(|(name, key)| of_key(key, json!({ "name": name })));
        let document =
            json!({ "keys": keys.collect::<Vec<_>>(), "signers": signers.collect::<Vec<_>>(), "noKeyring": why });
        terminal.document(&document::of(&document), false);
        return Ok(());
    }
    for stored in &keys {
        terminal.text(&format!("{}{}", npub(&stored.public_key), mark(stored)));
    }
    for (name, key) in &signers {
        terminal.text(&format!("{} through the signer {name}", npub(key)));
    }
    for name in app.sources.sessions().iter().flat_map(Sessions::names) {
        if let Some(Err(error)) = app.sources.sessions().map(|sessions| sessions.user(&name)) {
            terminal.warn(&format!("{error}; {}", pairing::begin_again(&name)));
        }
    }
    let named = app.sources.key_plan(&KeyArgs::default()).named().map(KeySource::origin);
    match why {
        Some(_) if !signers.is_empty() => {}
        Some(why) => terminal.warn(&notices::no_keyring(&why)),
        None if keys.is_empty() && signers.is_empty() => terminal.status(&notices::no_keys()),
        None => {}
    }
    if let Some(origin) = named {
        terminal.status(&notices::key_elsewhere(&origin));
    }
    Ok(())
}

fn is_encrypted(written: &Written) -> bool {
    written.text.expose().starts_with("ncryptsec1")
}

/// Prints the secret that was asked for, `--quiet` or not.
fn show(terminal: &Terminal, written: &Written) {
    let text = written.text.expose();
    if terminal.style.format == Format::Json {
        let name = if is_encrypted(written) { "ncryptsec" } else { "nsec" };
        terminal.document(&of_key(&written.public_key, json!({ name: text })), false);
    } else {
        terminal.result(text);
        if let Some(cost) = written.cost {
            terminal.status(&notices::passphrase_cost(cost));
        }
    }
}

fn mark(stored: &Stored) -> &'static str {
    if stored.default { " (default)" } else { "" }
}

fn public_key(text: &str) -> Result<PublicKey, Failure> {
    PublicKey::parse(text).map_err(|_| {
        Failure::usage(format!("{text:?} is no public key"))
            .hint(format!("{} shows those in the keyring", Verb::KeyList.alone()))
    })
}

fn of_key(key: &PublicKey, more: Value) -> Value {
    let mut document = json!({ "npub": npub(key), "publicKey": key.to_hex() });
    if let (Some(document), Value::Object(more)) = (document.as_object_mut(), more) {
        document.extend(more);
    }
    document
}

fn tell_file(terminal: &Terminal, path: &Path, written: &Written, is_in: &str) {
    let (file, encrypted) = (path.display().to_string(), is_encrypted(written));
    let how = if encrypted { ", encrypted" } else { "" };
    let whole = format!("{} {is_in} {}{how}", npub(&written.public_key), clean(&file));
    tell(terminal, &written.public_key, &whole, json!({ "file": file, "encrypted": encrypted }));
}

fn tell(terminal: &Terminal, key: &PublicKey, text: &str, more: Value) {
    terminal.outcome(false, || of_key(key, more), |_| Some(text.to_owned()));
}
