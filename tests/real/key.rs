//! `nest key` through the whole program, on the real keyring of the system.

use expectrl::Expect as _;
use nostr::nips::nip19::{FromBech32 as _, ToBech32 as _};
use nostr::nips::nip49::EncryptedSecretKey;
use nostr::{Keys, SecretKey};
use nostr_nests::key::Keyring;
use nostr_nests::key::keyring::KeyringError;
use nostr_nests::server::{Mock, Options};

use crate::support::bunker::{Bunker, honest};
use crate::support::nest::Nest;
use crate::support::terminal::Terminal;

/// A call with the session bus of the caller and a state folder that outlives it.
fn call(state: &tempfile::TempDir) -> Nest {
    let bus = std::env::var_os("DBUS_SESSION_BUS_ADDRESS").expect("a session bus: run .ci/with-secret-service");
    Nest::alone().env("DBUS_SESSION_BUS_ADDRESS", bus).env("XDG_STATE_HOME", state.path())
}

#[test]
#[ignore = "needs a keyring"]
fn import_once_and_never_think_of_the_key_again() {
    let mock = Mock::start(Options::default()).unwrap();
    let state = tempfile::tempdir().unwrap();
    let nsec = mock.host().secret_key().to_bech32().unwrap();
    let npub = mock.host().public_key().to_bech32().unwrap();

    let imported = call(&state).args(["key", "import", "--key-file", "-"]).stdin(nsec.clone()).run().expect(0);
    assert!(imported.stdout.starts_with(&npub), "{}", imported.stdout);
    let shown = call(&state).args(["key", "show", "--json"]).run().expect(0).document();
    assert_eq!((&shown["npub"], &shown["kind"]), (&npub.clone().into(), &"keyring".into()));
    assert_eq!(shown["source"], "the OS keyring");
    call(&state).env("NEST_API", mock.api()).args(["restart", "demo", "--check"]).run().expect(0);

    // A second key: the room's host is chosen when the room says who it is, the default otherwise.
    let other = Keys::generate();
    let other_npub = other.public_key().to_bech32().unwrap();
    call(&state).args(["key", "import", "--key-file", "-"]).stdin(other.secret_key().to_secret_hex()).run().expect(0);
    call(&state).args(["key", "default", &other_npub]).run().expect(0);
    let coordinate = format!("30312:{}:demo", mock.host().public_key());
    call(&state).env("NEST_API", mock.api()).args(["restart", &coordinate]).run().expect(0);
    call(&state).env("NEST_API", mock.api()).args(["restart", "demo"]).run().expect(5);
    let list = call(&state).args(["key", "list"]).run().expect(0).stdout;
    assert_eq!(list, format!("{npub}\n{other_npub} (default)\n"));

    call(&state).args(["key", "remove", &npub]).run().expect(1);
    for npub in [&npub, &other_npub] {
        call(&state).args(["key", "remove", npub, "--yes"]).run().expect(0);
    }
    let empty = call(&state).env("NEST_API", mock.api()).args(["restart", "demo"]).run().expect(3);
    assert!(empty.stderr.contains("nest key import"), "{}", empty.stderr);
    assert!(!list.contains(&nsec) && !imported.stdout.contains(&nsec));
}

fn opened(ncryptsec: &str, passphrase: &str) -> SecretKey {
    EncryptedSecretKey::from_bech32(ncryptsec.trim()).unwrap().decrypt(passphrase).unwrap()
}

#[test]
#[ignore = "needs a keyring"]
fn a_new_key_hosts_and_can_be_copied_elsewhere() {
    let state = tempfile::tempdir().unwrap();
    let made = call(&state).args(["key", "generate", "--json"]).run().expect(0);
    let npub = made.document()["npub"].as_str().unwrap().to_owned();
    assert_eq!(made.document()["default"], true);
    assert!(made.stderr.contains(&format!("nest key export {npub}")), "{}", made.stderr);

    // Nobody says yes: nothing is shown.
    for args in [&["key", "export"][..], &["key", "export", "--plain"]] {
        let refused = call(&state).args(args).run().expect(1);
        assert!(refused.stdout.is_empty() && refused.stderr.contains("nobody confirmed it"), "{refused:?}");
    }
    let bare = call(&state).args(["key", "export", "--yes"]).run().expect(3);
    assert!(bare.stdout.is_empty() && bare.stderr.contains("--passphrase-file"), "{bare:?}");

    let plain = call(&state).args(["key", "export", "--plain", "--yes"]).run().expect(0);
    let keys = Keys::parse(plain.stdout.trim()).unwrap();
    assert_eq!((keys.public_key().to_bech32().unwrap(), plain.stdout.lines().count()), (npub.clone(), 1));
    let export = ["key", "export", &npub, "--yes", "--passphrase-file", "pass", "--json"];
    let sealed = call(&state).file("pass", "a pass phrase\n", 0o600).args(export).run().expect(0);
    assert_eq!(&opened(sealed.document()["ncryptsec"].as_str().unwrap(), "a pass phrase"), keys.secret_key());
    for output in [&made, &sealed] {
        assert!(!output.stdout.contains("nsec1") && !output.stderr.contains("nsec1"), "{output:?}");
    }

    let mut person = Terminal::at(call(&state).args(["key", "export"]));
    person.sees("Print the secret key of npub1");
    person.session.send("y\r").unwrap();
    for prompt in ["New passphrase", "again"] {
        person.sees(prompt);
        person.types("typed");
    }
    let (screen, code) = person.ends();
    assert!(code == 0 && !screen.contains("typed"), "{screen}");
    let ncryptsec = screen.split_whitespace().find(|word| word.starts_with("ncryptsec1")).unwrap();
    assert_eq!(&opened(ncryptsec, "typed"), keys.secret_key());
    call(&state).args(["key", "remove", &npub, "--yes"]).run().expect(0);
}

#[test]
#[ignore = "needs a keyring"]
fn what_a_signer_knows_this_machine_by_is_in_the_keyring() {
    let mock = Mock::start(Options::default()).unwrap();
    let bunker = Bunker::start(mock.host(), &mock.relay(), honest);
    let state = tempfile::tempdir().unwrap();
    let call = |args: &[&str]| call(&state).env("XDG_CONFIG_HOME", state.path()).env("NEST_API", mock.api()).args(args);
    let paired = call(&["key", "connect", "-", "--json"]).stdin(bunker.uri()).run().expect(0).document();
    assert_eq!(paired["file"], serde_json::Value::Null);
    let path = state.path().join("nest/signers/main.json");
    let kept: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(kept["clientKey"], serde_json::Value::Null);
    call(&["restart", "demo"]).run().expect(0);
    // It signs nothing for its user, and so is not among the keys.
    assert_eq!(call(&["key", "list", "--json"]).run().expect(0).document()["keys"], serde_json::json!([]));

    // Where the keyring is out of reach, as under cron, so is the signer; a file is for that.
    let away = call(&["restart", "demo"]).env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere").run().expect(3);
    assert!(away.stderr.contains("the OS keyring cannot be used"), "{away:?}");
    assert!(away.stderr.contains("`nest key connect --to-file`"), "{away:?}");
    let shown = call(&["key", "show", "--json"]).run().expect(0).document();
    assert_eq!((&shown["kind"], &shown["answers"]), (&"signer".into(), &true.into()));
    let cut_off = call(&["key", "remove", "main", "--yes"]).env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere").run();
    assert!(cut_off.expect(0).stderr.contains("is still in the keyring"));
    call(&["key", "connect", "-"]).stdin(bunker.uri()).run().expect(0);
    let kept: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    call(&["key", "remove", "main", "--yes"]).run().expect(0);
    let client = nostr::PublicKey::parse(kept["client"].as_str().unwrap()).unwrap();
    let keyring = Keyring::new(state.path().join("nest/keys.json"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    assert!(matches!(runtime.block_on(keyring.get(client)), Err(KeyringError::Gone { .. })));
}
