//! What `nest key connect` asks and tells.

use std::error::Error as _;
use std::path::Path;
use std::time::Duration;

use super::Verb;
use super::advice::quoted;
use super::errors::Failure;
use crate::clock;
use crate::key::BunkerUriError;
use crate::key::keyring::KeyringError;

pub(in crate::cli) const NEXT: &str =
    "whether it answers: `nest key show`; for a timer, allow nest for always in the signer";

/// What to do with a code; so long it is waited for.
pub(in crate::cli) fn scan(limit: Duration) -> String {
    let limit = clock::span(i64::try_from(limit.as_millis()).unwrap_or(i64::MAX));
    format!("scan this with the signer, or paste it there; waiting {limit} for the signer:")
}

pub(in crate::cli) fn nobody_to_ask() -> Failure {
    Failure::usage("nobody is at the terminal to be asked for the bunker:// URI")
        .hint("give it on stdin: `nest key connect -`")
        .hint("or have the signer scan a QR code: `nest key connect --qr`")
}

pub(in crate::cli) fn no_uri(error: BunkerUriError) -> Failure {
    let failure = Failure::usage("this is not what a signer shows to be paired with").cause(error.to_string());
    if error == BunkerUriError::SecretKey {
        return failure.hint(format!("to keep a key here: {}", Verb::KeyImport.alone()));
    }
    failure
        .hint("a signer shows it whole, such as bunker://<public key>?relay=wss://…&secret=…")
        .hint("a signer that only scans: `nest key connect --qr`")
}

pub(in crate::cli) fn connected(npub: &str, name: &str, used: bool) -> String {
    let how = if used { "and is used from now on".into() } else { use_it(name) };
    format!("{npub} signs through the signer {name}, {how}")
}

pub(in crate::cli) fn use_it(name: &str) -> String {
    format!("to be used with --bunker {}; or always: {}", quoted(name), Verb::KeyDefault.on(name))
}

/// The keyring was of no use.
pub(in crate::cli) fn in_file(path: &Path, why: &str) -> String {
    format!("the pairing is kept in {}, which only you can read, and not in the keyring: {why}", path.display())
}

/// What was to be taken out of the configuration stays there.
pub(in crate::cli) fn still_configured(name: &str, config: &Path, why: &std::io::Error) -> String {
    format!("{} still says bunker = {name:?}: it cannot be written: {why}", config.display())
}

pub(in crate::cli) fn left_in_keyring(why: &KeyringError) -> String {
    let cause = why.source().map(|cause| format!(": {cause}")).unwrap_or_default();
    format!("the pairing's key is still in the keyring, where nothing leads to it any more: {why}{cause}")
}

/// Of a signer by which nothing can be signed.
pub(in crate::cli) fn begin_again(name: &str) -> String {
    format!("pair with it again, {}, or forget it: {}", Verb::KeyConnect.alone(), Verb::KeyRemove.on(name))
}
