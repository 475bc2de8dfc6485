//! `nest key` and the choice between keys, over a vault in memory.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nostr::{Keys, PublicKey};
use nostr_nests::commands::key::{self as command, Export, Import, Imported, KeyCommandError, Place, Stored};
use nostr_nests::key::keyring::{self, Keyring, LIMIT, Vault, VaultError};
use nostr_nests::key::source::KeyOpener;
use nostr_nests::key::{self, KeyOrigin, KeyPlan, KeySource, npub, parse};
use nostr_nests::reporter::{Reporter, Silent};
use nostr_nests::secret::Secret;
use tempfile::TempDir;

use crate::support::keys::{MemoryVault, NCRYPTSEC, NCRYPTSEC_HEX, Person, import, new_key};

fn keyring(folder: &TempDir) -> Keyring {
    Keyring::over(Arc::new(MemoryVault::default()), folder.path().join("state/keys.json"))
}

fn from(text: &str) -> Import {
    Import { from: Some(KeySource::Env(Secret::new(text))), ..Import::default() }
}

fn opener(reporter: &dyn Reporter) -> KeyOpener<'_> {
    KeyOpener { passphrase_file: None, reporter }
}

async fn three(keyring: &Keyring) -> [PublicKey; 3] {
    let mut keys = [(); 3].map(|()| new_key());
    for (key, nsec) in &mut keys {
        assert_eq!(import(keyring, &from(nsec.expose()), &Silent).await.unwrap().public_key, *key);
    }
    keys.map(|(key, _)| key)
}

/// The keyring's own error under a command's.
fn keyring_error(error: KeyCommandError) -> keyring::KeyringError {
    match error {
        KeyCommandError::Key(key::KeyError::Keyring(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_first_key_becomes_the_default_and_the_same_again_is_fine() {
    let folder = TempDir::new().unwrap();
    let keyring = keyring(&folder);
    let (alice, nsec) = new_key();
    let (bob, other) = new_key();
    let put = async |text: &Secret| import(&keyring, &from(text.expose()), &Silent).await.unwrap();
    assert_eq!(put(&nsec).await, Stored { public_key: alice, default: true, new: true });
    assert_eq!(put(&other).await, Stored { public_key: bob, default: false, new: true });
    assert_eq!(put(&nsec).await, Stored { public_key: alice, default: true, new: false });
    let listed: Vec<_> = command::list(&keyring).unwrap().iter().map(|key| (key.public_key, key.default)).collect();
    assert_eq!(listed, [(alice, true), (bob, false)]);

    let plan = KeyPlan { keyring: Some(keyring.clone()), ..KeyPlan::default() };
    let shown = key::load(&plan, None, &Silent).await.unwrap();
    assert_eq!((shown.public_key(), shown.source()), (alice, &KeyOrigin::Keyring));
    command::default(&keyring, bob).unwrap();
    assert_eq!(key::load(&plan, None, &Silent).await.unwrap().public_key(), bob);
    let stranger = new_key().0;
    match keyring_error(command::default(&keyring, stranger).unwrap_err()) {
        keyring::KeyringError::Unknown { npub: unknown, npubs } => {
            assert_eq!((unknown, npubs), (npub(&stranger), vec![npub(&alice), npub(&bob)]));
        }
        other => panic!("{other:?}"),
    }
    let list = fs::read_to_string(folder.path().join("state/keys.json")).unwrap();
    assert!(list.contains(&npub(&alice)) && !list.contains("nsec"));
    assert_eq!(fs::read_dir(folder.path().join("state")).unwrap().count(), 1, "a draft was left behind");
}

#[tokio::test]
async fn the_host_of_the_room_decides_between_several() {
    let folder = TempDir::new().unwrap();
    let keyring = keyring(&folder);
    let [alice, bob, carol] = three(&keyring).await;
    let stranger = new_key().0;
    assert_eq!(keyring.choose(Some(carol)).unwrap(), Some(carol));
    assert_eq!(keyring.choose(Some(stranger)).unwrap(), Some(alice));
    assert_eq!(keyring.choose(None).unwrap(), Some(alice));

    keyring.remove(alice).await.unwrap();
    match keyring.choose(None).unwrap_err() {
        keyring::KeyringError::Undecided { npubs } => assert_eq!(npubs, [npub(&bob), npub(&carol)]),
        other => panic!("{other:?}"),
    }
    assert_eq!(keyring.choose(Some(bob)).unwrap(), Some(bob));
    keyring.remove(carol).await.unwrap();
    assert_eq!(keyring.choose(None).unwrap(), Some(bob));

    let plan = KeyPlan { keyring: Some(keyring.clone()), ..KeyPlan::default() };
    assert_eq!(key::load(&plan, Some(bob), &Silent).await.unwrap().public_key(), bob);
}

#[tokio::test]
async fn a_key_is_removed_when_somebody_says_so() {
    let folder = TempDir::new().unwrap();
    let keyring = keyring(&folder);
    let nothing = command::remove(&keyring, None, true, &Silent).await.unwrap_err();
    assert!(matches!(keyring_error(nothing), keyring::KeyringError::Empty));
    let [alice, bob, carol] = three(&keyring).await;

    let which = command::remove(&keyring, None, true, &Silent).await;
    assert!(matches!(which, Err(KeyCommandError::WhichOne { npubs }) if npubs.len() == 3));
    for person in [&Person::who_says(false) as &dyn Reporter, &Silent] {
        let kept = command::remove(&keyring, Some(bob), false, person).await;
        assert!(matches!(kept, Err(KeyCommandError::NotConfirmed { .. })), "{kept:?}");
    }
    assert!(keyring.get(bob).await.is_ok());
    let person = Person::who_says(true);
    assert_eq!(command::remove(&keyring, Some(bob), false, &person).await.unwrap(), bob);
    assert!(person.heard()[0].contains(&npub(&bob)));
    assert!(matches!(keyring.get(bob).await, Err(keyring::KeyringError::Gone { npub: gone }) if gone == npub(&bob)));
    let again = command::remove(&keyring, Some(bob), true, &Silent).await.unwrap_err();
    assert!(matches!(keyring_error(again), keyring::KeyringError::Unknown { .. }));

    command::remove(&keyring, Some(carol), true, &Silent).await.unwrap();
    assert_eq!(command::remove(&keyring, None, true, &Silent).await.unwrap(), alice);
    assert!(command::list(&keyring).unwrap().is_empty());
}

#[tokio::test]
async fn an_encrypted_key_is_kept_as_it_was_given_or_opened() {
    let folder = TempDir::new().unwrap();
    let keyring = keyring(&folder);
    let host = Keys::parse(NCRYPTSEC_HEX).unwrap();
    let passphrase = || Person::who_types(&["nostr"]);

    let kept = Import { keep_encrypted: true, ..from(&format!("{NCRYPTSEC}\n")) };
    assert_eq!(import(&keyring, &kept, &passphrase()).await.unwrap().public_key, host.public_key());
    assert_eq!(keyring.get(host.public_key()).await.unwrap().expose(), NCRYPTSEC);
    let plan = KeyPlan { keyring: Some(keyring.clone()), ..KeyPlan::default() };
    assert_eq!(key::load(&plan, None, &passphrase()).await.unwrap().public_key(), host.public_key());
    let alone = key::load(&plan, None, &Silent).await;
    assert!(matches!(alone, Err(key::KeyError::PassphraseNeeded { origin: KeyOrigin::Keyring })));
    let nsec = parse::nsec(host.secret_key());
    let bare = Export { plain: true, yes: true, ..Export::default() };
    assert_eq!(command::export(&keyring, &bare, &passphrase()).await.unwrap().text, nsec);

    let opened = import(&keyring, &from(NCRYPTSEC), &passphrase()).await.unwrap();
    assert_eq!(opened, Stored { public_key: host.public_key(), default: true, new: false });
    assert_eq!(keyring.get(host.public_key()).await.unwrap(), nsec);
}

#[tokio::test]
async fn a_new_key_can_be_taken_out_and_brought_back() {
    let folder = TempDir::new().unwrap();
    let ring = keyring(&folder);
    let plain = Export { plain: true, yes: true, ..Export::default() };
    let nothing = command::export(&ring, &plain, &Silent).await.unwrap_err();
    assert!(matches!(keyring_error(nothing), keyring::KeyringError::Empty));
    let made = command::generate(&ring).await.unwrap();
    assert!(made.default && made.new);

    // Not without a yes, and without a passphrase not encrypted.
    let asked = Export { key: Some(made.public_key), ..plain.clone() };
    for person in [&Person::who_says(false) as &dyn Reporter, &Silent] {
        let kept = command::export(&ring, &Export { yes: false, ..asked.clone() }, person).await;
        assert!(matches!(kept, Err(KeyCommandError::NotConfirmed { what: "exported", .. })), "{kept:?}");
    }
    let nsec = command::export(&ring, &asked, &Silent).await.unwrap().text;
    assert_eq!(Keys::parse(nsec.expose()).unwrap().public_key(), made.public_key);
    let sealed = async |person: &Person| {
        command::export(&ring, &Export { yes: true, ..Export::default() }, person).await.map(|written| written.text)
    };
    assert!(matches!(sealed(&Person::who_types(&[])).await, Err(KeyCommandError::NoPassphrase)));
    assert!(matches!(sealed(&Person::who_types(&["pw", "px"])).await, Err(KeyCommandError::Mistyped)));
    let sealed = sealed(&Person::who_types(&["pw", "pw"])).await.unwrap();
    assert!(sealed.expose().starts_with("ncryptsec1"));
    let second = TempDir::new().unwrap();
    let back = import(&keyring(&second), &from(sealed.expose()), &Person::who_types(&["pw"])).await.unwrap();
    assert_eq!(back.public_key, made.public_key);

    let source = KeySource::Env(nsec.clone());
    let sealed = command::encrypt(Some(&source), None, &Person::who_types(&["pw", "pw"])).await.unwrap();
    assert_eq!(sealed.public_key, made.public_key);
    let opened = opener(&Person::who_types(&["pw"])).open(&sealed.text, &KeyOrigin::Env).await.unwrap();
    assert_eq!(Keys::new(opened).public_key(), made.public_key);
    // Another passphrase for a key that has one.
    let source = KeySource::Env(sealed.text);
    let again = command::encrypt(Some(&source), None, &Person::who_types(&["pw", "new", "new"])).await.unwrap();
    let opened = opener(&Person::who_types(&["new"])).open(&again.text, &KeyOrigin::Env).await.unwrap();
    assert_eq!(Keys::new(opened).public_key(), made.public_key);
    let bare = folder.path().join("bare");
    key::file::create(&bare, &Secret::new("")).unwrap();
    let bare = command::encrypt(Some(&KeySource::Env(nsec)), Some(&bare), &Silent).await;
    assert!(matches!(bare, Err(KeyCommandError::NotEncrypted(parse::KeyParseError::NoPassphrase))));
}

#[tokio::test]
async fn an_imported_key_is_asked_for_when_it_is_nowhere_else() {
    let folder = TempDir::new().unwrap();
    let person = Person::who_types(&[NCRYPTSEC_HEX]);
    let stored = import(&keyring(&folder), &Import::default(), &person).await.unwrap();
    assert_eq!(stored.public_key, Keys::parse(NCRYPTSEC_HEX).unwrap().public_key());
    let nobody = import(&keyring(&folder), &Import::default(), &Silent).await;
    assert!(matches!(nobody, Err(KeyCommandError::Key(key::KeyError::Missing))));
}

/// A keyring that is not there, or shows only when it is written to that it is locked.
enum Useless {
    Absent,
    Locked,
}

impl Vault for Useless {
    fn open(&self) -> Result<(), VaultError> {
        if matches!(self, Self::Absent) { Err(VaultError::NoSessionBus("no bus".into())) } else { Ok(()) }
    }
    fn get(&self, _: &str) -> Result<Option<Secret>, VaultError> {
        Ok(None)
    }
    fn set(&self, _: &str, _: &Secret) -> Result<(), VaultError> {
        Err(VaultError::Locked("it is locked".into()))
    }
    fn delete(&self, _: &str) -> Result<bool, VaultError> {
        Ok(false)
    }
}

#[tokio::test]
async fn without_a_keyring_a_file_is_offered_and_nobody_types_in_vain() {
    let folder = TempDir::new().unwrap();
    for (vault, why, asked_first) in
        [(Useless::Absent, "no bus", "no keyring"), (Useless::Locked, "locked", "Host key")]
    {
        let keyring = Keyring::over(Arc::new(vault), folder.path().join("keys.json"));
        let path = folder.path().join(format!("{why}/host.key"));
        let place = Place::Keyring { keyring: &keyring, or_file: Some(&path) };
        let types = || Person::who_types(&[NCRYPTSEC, "nostr"]);
        for person in [types(), types().and_says(false)] {
            let error = command::import(place, &Import::default(), &person).await.unwrap_err();
            assert!(matches!(keyring_error(error), keyring::KeyringError::Unusable(_)));
            assert!(!path.exists());
            let was_typed = person.heard().iter().any(|prompt| prompt.contains("Host key"));
            assert_eq!(was_typed, asked_first == "Host key", "{:?}", person.heard());
        }
        let person = types().and_says(true);
        let imported = command::import(place, &Import::default(), &person).await.unwrap();
        let Imported::File(written) = imported else { panic!("{imported:?}") };
        assert_eq!(written.text.expose(), NCRYPTSEC);
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{NCRYPTSEC}\n"));
        let heard = person.heard();
        assert!(heard[0].contains(asked_first) && heard.iter().any(|asked| asked.contains(why)), "{heard:?}");
        // Nothing is overwritten.
        let again = command::import(Place::File(&path), &from(NCRYPTSEC_HEX), &Silent).await;
        assert!(matches!(again, Err(KeyCommandError::NotWritten(key::file::SecretFileError::Exists(_)))));
    }
}

#[tokio::test]
async fn a_damaged_list_is_named_and_left_alone() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("keys.json");
    let keyring = Keyring::over(Arc::new(MemoryVault::default()), &path);
    for text in ["", "[]", "{\"keys\":[\"npub1x\"]}", "{\"default\":1,\"keys\":[]}", "\u{0}"] {
        fs::write(&path, text).unwrap();
        match keyring_error(command::generate(&keyring).await.unwrap_err()) {
            keyring::KeyringError::Damaged { path: at, .. } => assert_eq!(at, path),
            other => panic!("{other:?}"),
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
    // What a later version may add is no damage, nor is a default that is gone.
    let alice = npub(&new_key().0);
    fs::write(&path, format!("{{\"new\":1,\"default\":\"{}\",\"keys\":[\"{alice}\"]}}", npub(&new_key().0))).unwrap();
    assert_eq!(npub(&keyring.choose(None).unwrap().unwrap()), alice);
}

#[tokio::test]
async fn a_keyring_that_holds_another_key_is_not_believed() {
    let folder = TempDir::new().unwrap();
    let vault = Arc::new(MemoryVault::default());
    let keyring = Keyring::over(vault.clone(), folder.path().join("keys.json"));
    let [alice, ..] = three(&keyring).await;
    vault.set(&npub(&alice), &new_key().1).unwrap();
    let plan = KeyPlan { keyring: Some(keyring), ..KeyPlan::default() };
    match key::load(&plan, None, &Silent).await.unwrap_err() {
        key::KeyError::Keyring(keyring::KeyringError::Mixed { npub: of }) => assert_eq!(of, npub(&alice)),
        other => panic!("{other:?}"),
    }
}

/// Forgets what it is given, or hangs once it is open.
enum Broken {
    Forgets,
    Hangs,
}

impl Vault for Broken {
    fn open(&self) -> Result<(), VaultError> {
        Ok(())
    }
    fn get(&self, _: &str) -> Result<Option<Secret>, VaultError> {
        if matches!(self, Self::Hangs) {
            std::thread::sleep(Duration::from_secs(600));
        }
        Ok(None)
    }
    fn set(&self, _: &str, _: &Secret) -> Result<(), VaultError> {
        Ok(())
    }
    fn delete(&self, _: &str) -> Result<bool, VaultError> {
        Err(VaultError::Locked("the prompt was dismissed".into()))
    }
}

#[tokio::test]
async fn an_import_that_cannot_be_read_back_is_an_error() {
    let folder = TempDir::new().unwrap();
    let keyring = Keyring::over(Arc::new(Broken::Forgets), folder.path().join("keys.json"));
    let lost = keyring_error(command::generate(&keyring).await.unwrap_err());
    assert!(matches!(lost, keyring::KeyringError::Mixed { .. }));
    assert!(command::list(&keyring).unwrap().is_empty());
    let locked = keyring_error(command::remove(&keyring, Some(new_key().0), true, &Silent).await.unwrap_err());
    assert!(matches!(locked, keyring::KeyringError::Unusable(VaultError::Locked(_))));
}

#[tokio::test]
async fn a_keyring_that_hangs_is_given_three_seconds() {
    let folder = TempDir::new().unwrap();
    let keyring = Keyring::over(Arc::new(Broken::Hangs), folder.path().join("keys.json"));
    let start = Instant::now();
    let hung = keyring.get(new_key().0).await;
    assert!(matches!(hung, Err(keyring::KeyringError::Unusable(VaultError::Waiting(LIMIT)))), "{hung:?}");
    assert!((LIMIT..LIMIT + Duration::from_secs(2)).contains(&start.elapsed()));
}
