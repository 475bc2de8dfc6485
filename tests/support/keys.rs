//! What the tests of keys share: a vault in memory, a person with ready answers, and tests that run as a child.

use std::collections::HashMap;
use std::env;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use nostr::nips::nip19::ToBech32;
use nostr::{Keys, PublicKey};
use nostr_nests::cli::messages::notices;
use nostr_nests::commands::key::{self as command, Import, Imported, KeyCommandError, Place, Stored};
use nostr_nests::key::keyring::{self, Keyring, Vault, VaultError};
use nostr_nests::reporter::{Answer, Question, Reporter, SecretPrompt, Warning};
use nostr_nests::secret::Secret;
use tempfile::TempDir;

/// NIP-49's own vector; the passphrase is `nostr`.
pub const NCRYPTSEC: &str = "ncryptsec1qgg9947rlpvqu76pj5ecreduf9jxhselq2nae2kghhvd5g7dgjtcxfqtd67p9m0w57lspw8gsq6yphnm8623nsl8xn9j4jdzz84zm3frztj3z7s35vpzmqf6ksu8r89qk5z2zxfmu5gv8th8wclt0h4p";
/// The key in it.
pub const NCRYPTSEC_HEX: &str = "3501454135014541350145413501453fefb02227e449e57cf4d3a3ce05378683";

/// A new key: its public half, and its nsec.
pub fn new_key() -> (PublicKey, Secret) {
    let keys = Keys::generate();
    (keys.public_key(), Secret::new(keys.secret_key().to_bech32().unwrap()))
}

/// Keeps secrets in memory.
#[derive(Default)]
pub struct MemoryVault(Mutex<HashMap<String, Secret>>);

impl Vault for MemoryVault {
    fn open(&self) -> Result<(), VaultError> {
        Ok(())
    }

    fn get(&self, name: &str) -> Result<Option<Secret>, VaultError> {
        Ok(self.0.lock().unwrap().get(name).cloned())
    }

    fn set(&self, name: &str, secret: &Secret) -> Result<(), VaultError> {
        self.0.lock().unwrap().insert(name.into(), secret.clone());
        Ok(())
    }

    fn delete(&self, name: &str) -> Result<bool, VaultError> {
        Ok(self.0.lock().unwrap().remove(name).is_some())
    }
}

/// A person who gives these answers in turn and is gone after the last, and what they were told and asked.
#[derive(Default)]
pub struct Person {
    secrets: Mutex<Vec<&'static str>>,
    yes: Option<bool>,
    heard: Mutex<Vec<String>>,
}

impl Person {
    pub fn who_types(secrets: &[&'static str]) -> Self {
        Self { secrets: Mutex::new(secrets.iter().rev().copied().collect()), ..Self::default() }
    }

    pub fn who_says(yes: bool) -> Self {
        Self::default().and_says(yes)
    }

    pub fn and_says(self, yes: bool) -> Self {
        Self { yes: Some(yes), ..self }
    }

    pub fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }

    fn hears(&self, text: &str) {
        self.heard.lock().unwrap().push(text.into());
    }
}

impl Reporter for Person {
    fn warning(&self, warning: &Warning) {
        self.hears(&notices::warning(warning));
    }

    fn confirm<'a>(&'a self, question: Question<'a>) -> Answer<'a, bool> {
        self.hears(&notices::question(question));
        Box::pin(std::future::ready(self.yes))
    }

    fn secret<'a>(&'a self, prompt: SecretPrompt<'a>) -> Answer<'a, Secret> {
        self.hears(&notices::prompt(prompt));
        Box::pin(std::future::ready(self.secrets.lock().unwrap().pop().map(Secret::new)))
    }
}

/// Puts a key into the keyring, and nowhere else.
pub async fn import(keyring: &Keyring, request: &Import, reporter: &dyn Reporter) -> Result<Stored, KeyCommandError> {
    match command::import(Place::Keyring { keyring, or_file: None }, request, reporter).await? {
        Imported::Keyring(stored) => Ok(stored),
        Imported::File(written) => panic!("{written:?}"),
    }
}

const CHILD: &str = "NEST_TEST_CHILD";

/// Whether this is the child that [`in_child`] started, where a test does what it is about.
pub fn is_child() -> bool {
    env::var_os(CHILD).is_some()
}

/// Runs this very test in a process of its own, which `prepare` has fitted out, under `wrapper` if there is one.
/// Fails when the child fails.
pub fn in_child(test: &str, wrapper: Option<&Path>, stdin: &str, prepare: impl FnOnce(&mut Command)) {
    let this = env::current_exe().unwrap();
    let mut command = Command::new(wrapper.unwrap_or(&this));
    if wrapper.is_some() {
        command.arg(&this);
    }
    command.args(["--exact", test, "--include-ignored", "--nocapture"]).env(CHILD, "1");
    prepare(&mut command);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success() && stdout.contains("1 passed"), "{status}\n{stdout}\n{stderr}");
}

/// What the keyring says when it is asked for a key that it does not have, and how long that takes. The runtime is gone
/// by then: a thread that hangs must not hold it.
pub fn ask_keyring() -> (keyring::KeyringError, Duration) {
    let folder = TempDir::new().unwrap();
    let start = Instant::now();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let error = runtime.block_on(Keyring::new(folder.path().join("keys.json")).get(new_key().0)).unwrap_err();
    drop(runtime);
    (error, start.elapsed())
}
