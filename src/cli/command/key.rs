//! `nest key`.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use nostr::PublicKey;
use serde_json::{Value, json};

use super::prelude::*;
use crate::cli::args::TEMPLATE;
use crate::cli::config_file::ConfigFile;
use crate::cli::messages::{errors, notices, troubles};
use crate::cli::settings::Sources;
use crate::commands::key::{self, Export, Import, Imported, KeyCommandError, Place, Stored, Written};
use crate::key::file::SecretFileError;
use crate::key::{KeySource, Keyring, load, npub};

#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Put a key into the OS keyring, or into a file of yours alone: from a hidden prompt, a file or stdin
    Import(ImportArgs),
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
  nest key encrypt > host.ncryptsec                asks for the key and for a new passphrase
  nest key encrypt --key-file host.key --passphrase-file host.pass
")]
    Encrypt(KeyArgs),
    /// Show the public part of the key that would be used
    Show(KeyArgs),
    /// Show the keys in the keyring
    List,
    /// Say which key is used when several would do
    Default {
        /// The public key
        npub: String,
    },
    /// Take a key out of the keyring
    Remove {
        /// The public key; may be left out if there is only one
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
    key: KeyArgs,
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
        if let Some(named) = sources.key_file() {
            return Err(errors::key_file_named(named, &config.path));
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
        result = dispatch(app, command) => result.map(|()| 0),
        signal = app.stop.requested() => Ok(Exit::from(signal).code()),
    }
}

pub(super) fn keyring_of(sources: &Sources<'_>) -> Result<Keyring, Failure> {
    let no_home = || Failure::new(Exit::Key, "there is no home folder for the list of keys");
    sources.keyring().ok_or_else(|| no_home().hint(troubles::keyring().hint))
}

async fn dispatch(app: &App<'_>, command: KeyCommand) -> Result<(), Failure> {
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
            match imported.map_err(failed)? {
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
        KeyCommand::Generate { to_file: None, .. } => {
            let stored = key::generate(&keyring()?).await.map_err(|error| errors::of_key_generation(&error))?;
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
            let plan = app.sources.key_plan(&args);
            let encrypted = key::encrypt(plan.named(), plan.passphrase_file.as_deref(), terminal).await;
            show(terminal, &encrypted.map_err(failed)?);
        }
        KeyCommand::Show(args) => {
            let key = load(&app.sources.key_plan(&args), None, terminal).await.map_err(|error| failed(error.into()))?;
            let whole = format!("{}\n{}\nfrom {}", key.npub(), key.public_key().to_hex(), key.source());
            tell(terminal, &key.public_key(), &whole, json!({ "source": key.source().to_string() }));
        }
        KeyCommand::List => list(&keyring()?, app).await.map_err(failed)?,
        KeyCommand::Default { npub: name } => {
            let key = public_key(&name)?;
            key::default(&keyring()?, key).map_err(failed)?;
            tell(terminal, &key, &format!("{} is the default now", npub(&key)), json!({ "default": true }));
        }
        KeyCommand::Remove { npub: name, yes } => {
            let key = name.as_deref().map(public_key).transpose()?;
            let key = key::remove(&keyring()?, key, yes, terminal).await;
            let key = key.map_err(|error| errors::of_key_removal(&error))?;
            tell(terminal, &key, &format!("{} was removed", npub(&key)), json!({ "removed": true }));
        }
    }
    Ok(())
}

async fn list(keyring: &Keyring, app: &App<'_>) -> Result<(), key::KeyCommandError> {
    let terminal = &*app.terminal;
    let (keys, unusable) = (key::list(keyring)?, keyring.open().await.err());
    let why = unusable.as_ref().and_then(std::error::Error::source).map(ToString::to_string);
    if terminal.style.format == Format::Json {
        let keys = keys.iter().map(|stored| of_key(&stored.public_key, json!({ "default": stored.default })));
        let document = json!({ "keys": keys.collect::<Vec<_>>(), "noKeyring": why });
        terminal.document(&document::of(&document), false);
        return Ok(());
    }
    for stored in &keys {
        terminal.text(&format!("{}{}", npub(&stored.public_key), mark(stored)));
    }
    match why {
        Some(why) => terminal.warn(&notices::no_keyring(&why)),
        None if keys.is_empty() => terminal.status(&notices::no_keys()),
        None => {}
    }
    if let Some(source) = app.sources.key_plan(&KeyArgs::default()).named() {
        terminal.status(&notices::key_elsewhere(&source.origin()));
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
