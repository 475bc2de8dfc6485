//! Which source of the key answers, and what is said when it does not.

use std::fs::{self, Permissions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use nostr::{EventBuilder, Keys, Kind, PublicKey, UnsignedEvent};
use nostr_nests::key::keyring::{self, Keyring};
use nostr_nests::key::{KeyError, KeyOrigin, KeyPlan, KeySource, file, load, npub, parse};
use nostr_nests::reporter::Silent;
use nostr_nests::secret::Secret;
use tempfile::TempDir;

use crate::support::keys::{MemoryVault, NCRYPTSEC, NCRYPTSEC_HEX, Person, in_child, is_child, new_key};

fn write(folder: &TempDir, name: &str, text: &str, mode: u32) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    path
}

fn plan(explicit: impl Into<Vec<KeySource>>) -> KeyPlan {
    KeyPlan { explicit: explicit.into(), ..KeyPlan::default() }
}

async fn loaded(plan: &KeyPlan) -> Result<(PublicKey, String), KeyError> {
    load(plan, None, &Silent).await.map(|key| (key.public_key(), key.source().to_string()))
}

#[tokio::test]
async fn the_first_source_answers_and_says_what_it_is_called() {
    let folder = TempDir::new().unwrap();
    let (alice, nsec) = new_key();
    let path = write(&folder, "k", &format!("{}\n", nsec.expose()), 0o600);
    let text = path.display();
    let other = KeySource::Env(new_key().1);
    for (source, name) in [
        (KeySource::KeyFile(path.clone()), format!("the key file {text}")),
        (KeySource::EnvFile(path.clone()), format!("NEST_KEY_FILE {text}")),
        (KeySource::Env(nsec.clone()), "NEST_KEY".into()),
        (KeySource::Credential(path.clone()), format!("the systemd credential {text}")),
        (KeySource::Profile(path.clone()), format!("the configuration's key file {text}")),
    ] {
        assert_eq!(loaded(&plan([source, other.clone()])).await.unwrap(), (alice, name));
    }
}

#[tokio::test]
async fn the_error_of_an_explicit_source_is_final() {
    let folder = TempDir::new().unwrap();
    let missing = folder.path().join("missing");
    let all = plan([KeySource::EnvFile(missing.clone()), KeySource::Env(new_key().1)]);
    match load(&all, None, &Person::who_types(&[NCRYPTSEC_HEX])).await.unwrap_err() {
        KeyError::Unreadable { origin: KeyOrigin::EnvFile(at), cause: file::SecretFileError::NotFound(path) } => {
            assert_eq!((at, path), (missing.clone(), missing));
        }
        other => panic!("{other:?}"),
    }
    let empty = loaded(&plan([KeySource::Env(Secret::new(" \n")), KeySource::Env(new_key().1)])).await;
    assert!(matches!(empty, Err(KeyError::Unusable { origin: KeyOrigin::Env, cause: parse::KeyParseError::Empty })));
}

#[tokio::test]
async fn a_credential_that_is_not_there_does_not_count() {
    let folder = TempDir::new().unwrap();
    let (alice, nsec) = new_key();
    let all = plan([KeySource::Credential(folder.path().join("nest-key")), KeySource::Env(nsec)]);
    assert_eq!(loaded(&all).await.unwrap(), (alice, "NEST_KEY".into()));
}

#[tokio::test]
async fn an_explicit_source_leaves_the_keyring_alone() {
    let folder = TempDir::new().unwrap();
    let (alice, nsec) = new_key();
    // A list that cannot even be read would be an error if anybody looked.
    let index = write(&folder, "keys.json", "{", 0o600);
    let keyring = Keyring::over(Arc::new(MemoryVault::default()), index);
    let mut all = KeyPlan { keyring: Some(keyring), ..plan([KeySource::Env(nsec)]) };
    assert_eq!(loaded(&all).await.unwrap().0, alice);
    all.explicit.clear();
    assert!(matches!(loaded(&all).await, Err(KeyError::Keyring(keyring::KeyringError::Damaged { .. }))));
}

#[tokio::test]
async fn a_file_that_others_can_read_is_refused_with_its_mode() {
    let folder = TempDir::new().unwrap();
    let (alice, nsec) = new_key();
    for mode in [0o644, 0o640, 0o604, 0o660] {
        let path = write(&folder, "open", nsec.expose(), mode);
        match loaded(&plan([KeySource::KeyFile(path.clone())])).await.unwrap_err() {
            KeyError::Unreadable { cause: file::SecretFileError::TooOpen { path: at, mode: seen }, .. } => {
                assert_eq!((at, seen), (path, mode));
            }
            other => panic!("{other:?}"),
        }
    }
    let path = write(&folder, "open", nsec.expose(), 0o640);
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let error = loaded(&plan([KeySource::Profile(link)])).await.unwrap_err();
    assert!(matches!(error, KeyError::Unreadable { cause: file::SecretFileError::TooOpen { mode: 0o640, .. }, .. }));
    // systemd guards its credentials with access lists.
    assert_eq!(loaded(&plan([KeySource::Credential(path)])).await.unwrap().0, alice);
    for mode in [0o600, 0o400, 0o700] {
        let path = write(&folder, &format!("{mode:o}"), nsec.expose(), mode);
        assert_eq!(loaded(&plan([KeySource::KeyFile(path)])).await.unwrap().0, alice);
    }
}

#[tokio::test]
async fn a_way_around_is_no_way_to_a_credential() {
    let folder = TempDir::new().unwrap();
    let (alice, nsec) = new_key();
    let path = write(&folder, "open", nsec.expose(), 0o640);
    let up = path.parent().unwrap().join("..").join(path.strip_prefix(folder.path().parent().unwrap()).unwrap());
    let error = loaded(&plan([KeySource::Credential(up)])).await.unwrap_err();
    assert!(matches!(error, KeyError::Unreadable { cause: file::SecretFileError::TooOpen { .. }, .. }), "{error:?}");
    assert_eq!(loaded(&plan([KeySource::Credential(path)])).await.unwrap().0, alice);
}

#[tokio::test]
async fn pipes_may_be_open_to_all() {
    let folder = TempDir::new().unwrap();
    let (alice, nsec) = new_key();
    let fifo = folder.path().join("fifo");
    assert!(Command::new("mkfifo").args(["-m", "666"]).arg(&fifo).status().unwrap().success());
    let writer = std::thread::spawn({
        let (fifo, nsec) = (fifo.clone(), nsec.clone());
        move || fs::write(fifo, nsec.expose()).unwrap()
    });
    assert_eq!(loaded(&plan([KeySource::KeyFile(fifo)])).await.unwrap().0, alice);
    writer.join().unwrap();

    // What a shell makes of <(command).
    let (reader, mut writer) = std::io::pipe().unwrap();
    std::io::Write::write_all(&mut writer, nsec.expose().as_bytes()).unwrap();
    drop(writer);
    let path = PathBuf::from(format!("/dev/fd/{}", reader.as_raw_fd()));
    assert_eq!(loaded(&plan([KeySource::KeyFile(path)])).await.unwrap().0, alice);
}

#[tokio::test]
async fn what_cannot_be_read_is_told_apart() {
    let folder = TempDir::new().unwrap();
    let read = async |path: &Path| match loaded(&plan([KeySource::KeyFile(path.into())])).await.unwrap_err() {
        KeyError::Unreadable { cause, .. } => cause,
        other => panic!("{other:?}"),
    };
    assert!(matches!(read(folder.path()).await, file::SecretFileError::Directory(_)));
    assert!(matches!(read(&folder.path().join("no")).await, file::SecretFileError::NotFound(_)));
    assert!(matches!(read(Path::new("/dev/zero")).await, file::SecretFileError::TooLong(_)));
    let binary = folder.path().join("binary");
    fs::write(&binary, b"\xff\xfe\x00").unwrap();
    fs::set_permissions(&binary, Permissions::from_mode(0o600)).unwrap();
    assert!(matches!(read(&binary).await, file::SecretFileError::NotText(_)));
    let exact = write(&folder, "exact", &" ".repeat(parse::MAX_BYTES), 0o600);
    assert!(matches!(
        loaded(&plan([KeySource::KeyFile(exact)])).await,
        Err(KeyError::Unusable { cause: parse::KeyParseError::Empty, .. })
    ));
    let closed = write(&folder, "closed", "x", 0o000);
    if fs::File::open(&closed).is_err() {
        // Not so for root.
        assert!(matches!(read(&closed).await, file::SecretFileError::Denied(_)));
    }
}

#[test]
fn stdin_is_read_once() {
    let (alice, nsec) = new_key();
    if !is_child() {
        let text = format!("{}\n", nsec.expose());
        return in_child("key_sources::stdin_is_read_once", None, &text, |child| {
            child.env("HOST", npub(&alice));
        });
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let stdin = plan([KeySource::KeyFile("-".into())]);
        let (key, name) = loaded(&stdin).await.unwrap();
        assert_eq!((npub(&key), name), (std::env::var("HOST").unwrap(), "stdin".into()));
        let again = loaded(&stdin).await;
        assert!(
            matches!(again, Err(KeyError::Unreadable { cause: file::SecretFileError::StdinTaken, .. })),
            "{again:?}"
        );
    });
}

#[tokio::test]
async fn the_passphrase_comes_from_a_file_or_a_person_or_not_at_all() {
    let folder = TempDir::new().unwrap();
    let key = write(&folder, "k", NCRYPTSEC, 0o600);
    let sealed = |passphrase_file| KeyPlan { passphrase_file, ..plan([KeySource::KeyFile(key.clone())]) };
    let host = Keys::parse(NCRYPTSEC_HEX).unwrap().public_key();

    for text in ["nostr", "nostr\n", "nostr\r\n"] {
        let file = write(&folder, "p", text, 0o600);
        assert_eq!(loaded(&sealed(Some(file))).await.unwrap().0, host);
    }
    let wrong = write(&folder, "p", " nostr", 0o600);
    let error = loaded(&sealed(Some(wrong))).await.unwrap_err();
    assert!(matches!(error, KeyError::Unusable { cause: parse::KeyParseError::WrongPassphrase, .. }));
    let open = write(&folder, "p", "nostr", 0o644);
    let error = loaded(&sealed(Some(open))).await.unwrap_err();
    assert!(matches!(error, KeyError::Passphrase(file::SecretFileError::TooOpen { .. })));

    let person = Person::who_types(&["oops", "nostr"]);
    assert_eq!(load(&sealed(None), None, &person).await.unwrap().public_key(), host);
    let question = format!("Passphrase of the host key from the key file {}", key.display());
    assert_eq!(person.heard(), [question.clone(), "the passphrase is wrong".into(), question]);

    let error = load(&sealed(None), None, &Person::who_types(&["a", "b", "c", "nostr"])).await.unwrap_err();
    assert!(matches!(error, KeyError::Unusable { cause: parse::KeyParseError::WrongPassphrase, .. }));
    assert!(matches!(loaded(&sealed(None)).await, Err(KeyError::PassphraseNeeded { origin: KeyOrigin::KeyFile(_) })));
}

#[tokio::test]
async fn a_person_is_asked_last_and_no_key_is_invented() {
    let folder = TempDir::new().unwrap();
    let keyring = Keyring::over(Arc::new(MemoryVault::default()), folder.path().join("keys.json"));
    let all = KeyPlan { keyring: Some(keyring.clone()), ..KeyPlan::default() };
    assert!(matches!(loaded(&all).await, Err(KeyError::Missing)));
    let typed = load(&all, None, &Person::who_types(&[NCRYPTSEC_HEX])).await.unwrap();
    assert_eq!((typed.public_key().to_hex(), typed.source().to_string()), {
        (Keys::parse(NCRYPTSEC_HEX).unwrap().public_key().to_hex(), "the prompt".into())
    });
    let (alice, nsec) = new_key();
    keyring.put(alice, nsec).await.unwrap();
    let person = Person::who_types(&[NCRYPTSEC_HEX]);
    let stored = load(&all, None, &person).await.unwrap();
    assert_eq!((stored.public_key(), stored.source()), (alice, &KeyOrigin::Keyring));
    assert!(person.heard().is_empty());
}

#[tokio::test]
async fn no_error_and_no_debug_shows_the_key() {
    let (_, nsec) = new_key();
    let body = &nsec.expose()[10..60];
    let damaged = format!("{}x", nsec.expose());
    for text in [damaged, format!("NEST_KEY={}", nsec.expose())] {
        let all = plan([KeySource::Env(Secret::new(text))]);
        let error = loaded(&all).await.unwrap_err();
        assert!(!format!("{all:?} {error:?} {error}").contains(body));
    }
    let key = load(&plan([KeySource::Env(nsec.clone())]), None, &Silent).await.unwrap();
    let debug = format!("{key:?}");
    assert!(debug.contains(&key.npub()) && debug.contains("Env") && !debug.contains(body), "{debug}");
    let hex = Keys::parse(nsec.expose()).unwrap().secret_key().to_secret_hex();
    assert!(!debug.contains(&hex));
}

#[tokio::test]
async fn a_new_key_file_is_its_owners_alone_and_nothing_is_overwritten() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("new");
    let (alice, nsec) = new_key();
    file::create(&path, &nsec).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(loaded(&plan([KeySource::KeyFile(path.clone())])).await.unwrap().0, alice);
    assert!(matches!(file::create(&path, &new_key().1), Err(file::SecretFileError::Exists(_))));
    assert_eq!(loaded(&plan([KeySource::KeyFile(path)])).await.unwrap().0, alice);
    assert!(matches!(file::create(&folder.path().join("no/new"), &nsec), Err(file::SecretFileError::Io { .. })));
}

fn unsigned(author: PublicKey) -> UnsignedEvent {
    EventBuilder::new(Kind::HttpAuth, "").build(author)
}

#[tokio::test]
async fn a_local_key_signs_in_its_own_name() {
    let (alice, nsec) = new_key();
    let key = load(&plan([KeySource::Env(nsec)]), None, &Silent).await.unwrap();
    for author in [alice, new_key().0] {
        let event = key.sign(unsigned(author)).await.unwrap();
        assert_eq!(event.pubkey, alice);
        event.verify().unwrap();
    }
}
