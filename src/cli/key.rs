//! `nest key`, between the arguments and the terminal.

use nostr::PublicKey;
use serde_json::{Value, json};

use super::args::{Format, KeyArgs, KeyCommand};
use super::context::Context;
use super::exit::Exit;
use super::messages::errors::{Failure, key as key_errors};
use super::messages::troubles;
use super::render;
use super::style::clean;
use super::ui::Ui;
use crate::commands::key::{self, Export, Import, Stored, Written};
use crate::commands::{Signal, Stop};
use crate::key::{Keyring, Source, npub};

/// Does what is asked; ends early when interrupted, for a keyring may never answer.
pub(super) async fn run(context: &Context<'_>, command: KeyCommand, ui: &Ui, stop: &Stop) -> Result<u8, Failure> {
    tokio::select! {
        biased;
        result = dispatch(context, command, ui) => result.map(|()| 0),
        signal = stop.requested() => Ok(match signal {
            Signal::Interrupt => Exit::Interrupted.code(),
            Signal::Terminate => Exit::Terminated.code(),
        }),
    }
}

async fn dispatch(context: &Context<'_>, command: KeyCommand, ui: &Ui) -> Result<(), Failure> {
    let failed = |error: key::Error| key_errors::of_command(&error);
    let keyring = || context.keyring().ok_or_else(no_home);
    match command {
        KeyCommand::Import(args) => {
            let request = Import { from: named(&args), keep_encrypted: false, passphrase_file: args.passphrase_file };
            let stored = key::import(&keyring()?, &request, ui).await.map_err(failed)?;
            let what = if stored.new { "is in the OS keyring now" } else { "was in the OS keyring already" };
            let whole = format!("{} {what}{}", npub(&stored.public_key), mark(&stored));
            tell(ui, &whole, &document(&stored.public_key, json!({ "default": stored.default })));
        }
        KeyCommand::Generate { to_file: None, .. } => {
            let stored = key::generate(&keyring()?).await.map_err(failed)?;
            let npub = npub(&stored.public_key);
            let whole = format!("{npub} is new, and in the OS keyring{}", mark(&stored));
            tell(ui, &whole, &document(&stored.public_key, json!({ "default": stored.default })));
            ui.status(&format!("a copy for safe keeping: nest key export {npub}"));
        }
        KeyCommand::Generate { to_file: Some(path), passphrase_file } => {
            let written = key::generate_file(&path, passphrase_file.as_deref(), ui).await.map_err(failed)?;
            let (npub, file) = (npub(&written.public_key), path.display().to_string());
            let how = if is_encrypted(&written) { ", encrypted" } else { "" };
            let whole = format!("{npub} is new, and in {}{how}", clean(&file));
            let more = json!({ "file": file, "encrypted": is_encrypted(&written) });
            tell(ui, &whole, &document(&written.public_key, more));
        }
        KeyCommand::Export { npub, plain, yes, passphrase_file } => {
            let key = npub.as_deref().map(public_key).transpose()?;
            let request = Export { key, plain, yes, passphrase_file };
            show(ui, &key::export(&keyring()?, &request, ui).await.map_err(failed)?);
        }
        KeyCommand::Encrypt(args) => {
            let plan = context.key_plan(&args);
            let encrypted = key::encrypt(plan.named(), plan.passphrase_file.as_deref(), ui).await;
            show(ui, &encrypted.map_err(failed)?);
        }
        KeyCommand::Show(args) => {
            let shown = key::show(&context.key_plan(&args), ui).await.map_err(failed)?;
            let (npub, hex) = (npub(&shown.public_key), shown.public_key.to_hex());
            let whole = format!("{npub}\n{hex}\nfrom {}", shown.origin);
            tell(ui, &whole, &document(&shown.public_key, json!({ "source": shown.origin.to_string() })));
        }
        KeyCommand::List => list(&keyring()?, ui).map_err(failed)?,
        KeyCommand::Default { npub: name } => {
            let key = public_key(&name)?;
            key::default(&keyring()?, key).map_err(failed)?;
            tell(ui, &format!("{} is the default now", npub(&key)), &document(&key, json!({ "default": true })));
        }
        KeyCommand::Remove { npub: name, yes } => {
            let key = name.as_deref().map(public_key).transpose()?;
            let key = key::remove(&keyring()?, key, yes, ui).await.map_err(failed)?;
            tell(ui, &format!("{} was removed", npub(&key)), &document(&key, json!({ "removed": true })));
        }
    }
    Ok(())
}

/// What the arguments name; the environment is for commands that use a key, not for one that stores it.
fn named(args: &KeyArgs) -> Option<Source> {
    args.key_file.clone().map(Source::KeyFile)
}

fn list(keyring: &Keyring, ui: &Ui) -> Result<(), key::Error> {
    let keys = key::list(keyring)?;
    if ui.manner().format == Format::Json {
        let keys: Vec<Value> =
            keys.iter().map(|stored| document(&stored.public_key, json!({ "default": stored.default }))).collect();
        ui.result(&render::document(&json!({ "keys": keys }), false));
    } else if keys.is_empty() {
        ui.status("no keys in the OS keyring; nest key import puts one there");
    }
    for stored in keys.iter().filter(|_| ui.manner().format == Format::Text) {
        ui.result(&format!("{}{}", npub(&stored.public_key), mark(stored)));
    }
    Ok(())
}

fn is_encrypted(written: &Written) -> bool {
    written.text.expose().starts_with("ncryptsec1")
}

/// The secret that was asked for.
fn show(ui: &Ui, written: &Written) {
    let text = written.text.expose();
    let name = if is_encrypted(written) { "ncryptsec" } else { "nsec" };
    match ui.manner().format {
        Format::Json => ui.result(&render::document(&document(&written.public_key, json!({ name: text })), false)),
        Format::Text | Format::Token => ui.result(text),
    }
}

fn mark(stored: &Stored) -> &'static str {
    if stored.default { " (default)" } else { "" }
}

fn public_key(text: &str) -> Result<PublicKey, Failure> {
    PublicKey::parse(text).map_err(|_| {
        Failure::new(Exit::Usage, format!("{text:?} is no public key")).hint("nest key list shows those in the keyring")
    })
}

fn document(key: &PublicKey, more: Value) -> Value {
    let mut document = json!({ "npub": npub(key), "publicKey": key.to_hex() });
    if let (Some(document), Value::Object(more)) = (document.as_object_mut(), more) {
        document.extend(more);
    }
    document
}

fn tell(ui: &Ui, text: &str, document: &Value) {
    match ui.manner().format {
        Format::Json => ui.result(&render::document(document, false)),
        Format::Text | Format::Token if ui.manner().quiet => {}
        Format::Text | Format::Token => ui.result(text),
    }
}

fn no_home() -> Failure {
    Failure::new(Exit::Key, "there is no home folder for the list of keys").hint(troubles::keyring().hint)
}
