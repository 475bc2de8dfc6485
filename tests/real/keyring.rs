//! The real keyring of the system.

#![cfg(target_os = "linux")]

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use nostr::{EventBuilder, Keys, Kind};
use nostr_nests::commands::key::{self as command, Export, Import};
use nostr_nests::key::keyring::{self, Keyring, LIMIT, VaultError};
use nostr_nests::key::{self, KeyOrigin, KeyPlan, KeySource};
use nostr_nests::reporter::Silent;
use nostr_nests::secret::Secret;
use tempfile::TempDir;

use crate::support::keys::{NCRYPTSEC, NCRYPTSEC_HEX, Person, ask_keyring, import, in_child, is_child, new_key};

fn from(text: &str) -> Import {
    Import { from: Some(KeySource::Env(Secret::new(text))), ..Import::default() }
}

fn plan(keyring: &Keyring) -> KeyPlan {
    KeyPlan { keyring: Some(keyring.clone()), ..KeyPlan::default() }
}

#[tokio::test]
#[ignore = "needs a keyring"]
async fn a_key_is_imported_once_and_signs_from_then_on() {
    let folder = TempDir::new().unwrap();
    let keyring = Keyring::new(folder.path().join("keys.json"));
    let (alice, nsec) = new_key();
    assert!(import(&keyring, &from(nsec.expose()), &Silent).await.unwrap().new);
    assert!(!import(&keyring, &from(nsec.expose()), &Silent).await.unwrap().new);

    let key = key::load(&plan(&keyring), None, &Silent).await.unwrap();
    assert_eq!((key.public_key(), key.source()), (alice, &KeyOrigin::Keyring));
    key.sign(EventBuilder::new(Kind::HttpAuth, "").build(alice)).await.unwrap().verify().unwrap();
    let plain = Export { plain: true, yes: true, ..Export::default() };
    assert_eq!(command::export(&keyring, &plain, &Silent).await.unwrap().text, nsec);

    command::remove(&keyring, None, true, &Silent).await.unwrap();
    assert!(matches!(keyring.get(alice).await, Err(keyring::KeyringError::Gone { .. })));
    assert!(matches!(key::load(&plan(&keyring), None, &Silent).await, Err(key::KeyError::Missing)));
}

#[tokio::test]
#[ignore = "needs a keyring"]
async fn of_several_keys_the_hosts_is_taken() {
    let folder = TempDir::new().unwrap();
    let keyring = Keyring::new(folder.path().join("keys.json"));
    let keys = [new_key(), new_key(), new_key()];
    for (_, nsec) in &keys {
        import(&keyring, &from(nsec.expose()), &Silent).await.unwrap();
    }
    for (host, _) in &keys {
        let key = key::load(&plan(&keyring), Some(*host), &Silent).await.unwrap();
        assert_eq!(key.public_key(), *host);
    }
    for (host, _) in &keys {
        command::remove(&keyring, Some(*host), true, &Silent).await.unwrap();
    }
}

#[tokio::test]
#[ignore = "needs a keyring"]
async fn an_encrypted_key_stays_encrypted_in_the_keyring() {
    let folder = TempDir::new().unwrap();
    let keyring = Keyring::new(folder.path().join("keys.json"));
    let host = Keys::parse(NCRYPTSEC_HEX).unwrap().public_key();
    let encrypted = Import { keep_encrypted: true, ..from(NCRYPTSEC) };
    import(&keyring, &encrypted, &Person::who_types(&["nostr"])).await.unwrap();
    assert_eq!(keyring.get(host).await.unwrap().expose(), NCRYPTSEC);
    let key = key::load(&plan(&keyring), None, &Person::who_types(&["nostr"])).await.unwrap();
    assert_eq!(key.public_key(), host);
    command::remove(&keyring, None, true, &Silent).await.unwrap();
}

fn dbus(call: &[&str]) -> String {
    let output = Command::new("dbus-send").args(["--session", "--print-reply"]).args(call).output().unwrap();
    assert!(output.status.success(), "{call:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Gives a child a service of its own that it may break.
fn own_service() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.ci/with-secret-service"))
}

#[test]
#[ignore = "needs a keyring"]
fn a_locked_keyring_is_named() {
    if !is_child() {
        return in_child("keyring::a_locked_keyring_is_named", Some(own_service()), "", |_| ());
    }
    let folder = TempDir::new().unwrap();
    // Where the program looks for it too.
    std::fs::create_dir(folder.path().join("nest")).unwrap();
    let keyring = Keyring::new(folder.path().join("nest/keys.json"));
    let (alice, nsec) = new_key();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(keyring.put(alice, nsec)).unwrap();
    dbus(&[
        "--dest=org.freedesktop.secrets",
        "/org/freedesktop/secrets",
        "org.freedesktop.Secret.Service.Lock",
        "array:objpath:/org/freedesktop/secrets/aliases/default",
    ]);
    let start = Instant::now();
    let error = runtime.block_on(keyring.get(alice)).unwrap_err();
    assert!(matches!(error, keyring::KeyringError::Unusable(VaultError::Locked(_))), "{error:?}");
    assert!(start.elapsed() < LIMIT);

    // As cron has it: nothing is sent, and there is a way out.
    let output = Command::new(env!("CARGO_BIN_EXE_nest"))
        .args(["restart", "demo", "--api", "https://127.0.0.1:9"])
        .env("XDG_STATE_HOME", folder.path())
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(3), 0), "{stderr}");
    assert!(stderr.contains("locked") && stderr.contains("--key-file"), "{stderr}");
}

#[test]
#[ignore = "needs a keyring"]
fn a_bus_without_a_keyring_is_named() {
    if !is_child() {
        return in_child("keyring::a_bus_without_a_keyring_is_named", Some(own_service()), "", |_| ());
    }
    let reply = dbus(&[
        "--dest=org.freedesktop.DBus",
        "/org/freedesktop/DBus",
        "org.freedesktop.DBus.GetConnectionUnixProcessID",
        "string:org.freedesktop.secrets",
    ]);
    let daemon = reply.rsplit_once("uint32 ").unwrap().1.trim();
    assert!(Command::new("kill").arg(daemon).status().unwrap().success());
    while dbus(&[
        "--dest=org.freedesktop.DBus",
        "/org/freedesktop/DBus",
        "org.freedesktop.DBus.NameHasOwner",
        "string:org.freedesktop.secrets",
    ])
    .contains("true")
    {}
    let (error, took) = ask_keyring();
    assert!(matches!(error, keyring::KeyringError::Unusable(VaultError::NoService(_))), "{error:?}");
    assert!(took < Duration::from_secs(1));
}
