//! `nest key` through the whole program, on the real OS keyring where one is needed.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "support/nest.rs"]
mod nest;
#[path = "support/seated.rs"]
mod seated;

use std::os::unix::fs::PermissionsExt as _;

use expectrl::Expect as _;
use nest::Nest;
use nostr::nips::nip19::{FromBech32 as _, ToBech32 as _};
use nostr::nips::nip49::EncryptedSecretKey;
use nostr::{Keys, SecretKey};
use nostr_nests::server::{Mock, Options};
use seated::Seated;

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
    assert_eq!(shown["npub"], npub);
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

    let mut person = Seated::at(call(&state).args(["key", "export"]));
    person.sees("Print the secret key of npub1");
    person.terminal.send("y").unwrap();
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
fn a_new_key_in_a_file_is_its_owners_alone() {
    for (args, encrypted) in [(&[][..], false), (&["--passphrase-file", "pass"], true)] {
        let nest = Nest::alone().file("pass", "secret\n", 0o600);
        let home = nest.home().to_owned();
        let (mut command, _home) =
            nest.args(["key", "generate", "--to-file", "host.key", "--json"]).args(args).into_parts();
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((&document["encrypted"], &document["file"]), (&encrypted.into(), &"host.key".into()));
        let path = home.join("host.key");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!String::from_utf8(output.stdout).unwrap().contains(text.trim()), "only in the file");
        let key = if encrypted { opened(&text, "secret") } else { SecretKey::parse(text.trim()).unwrap() };
        assert_eq!(document["npub"], Keys::new(key).public_key().to_bech32().unwrap());
        // As it is, it serves as a key file; and it is never overwritten.
        let again = command.output().unwrap();
        assert_eq!(again.status.code(), Some(2), "{again:?}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }
    Nest::alone().args(["key", "generate", "--passphrase-file", "pass"]).run().expect(2);
}

#[test]
fn a_key_is_encrypted_from_wherever_it_is() {
    let keys = Keys::generate();
    let (nsec, hex) = (keys.secret_key().to_bech32().unwrap(), keys.secret_key().to_secret_hex());
    let encrypt = || Nest::alone().file("pass", "secret", 0o600).args(["key", "encrypt", "--passphrase-file", "pass"]);
    for nest in [
        encrypt().args(["--key-file", "-"]).stdin(format!("{nsec}\n")),
        encrypt().args(["--key-file", "host.key"]).file("host.key", &hex, 0o600),
        encrypt().env("NEST_KEY", nsec.clone()),
        encrypt().env("NEST_KEY_FILE", "host.key").file("host.key", &nsec, 0o600),
    ] {
        let output = nest.run().expect(0);
        assert_eq!((&opened(&output.stdout, "secret"), output.stderr.as_str()), (keys.secret_key(), ""));
    }
    encrypt().args(["--key-file", "host.key"]).file("host.key", &nsec, 0o644).run().expect(3);
    let none = Nest::alone().env("NEST_KEY", nsec.clone()).args(["key", "encrypt"]).run().expect(3);
    assert!(none.stdout.is_empty() && none.stderr.contains("--passphrase-file"), "{none:?}");
    let argument = Nest::alone().args(["key", "encrypt", &nsec]).run().expect(2);
    assert!(!argument.stderr.contains(&nsec), "{argument:?}");

    let mut person = Seated::at(Nest::alone().args(["key", "encrypt"]));
    for (prompt, answer) in [("Host key", nsec.as_str()), ("New passphrase", "typed"), ("again", "mistyped")] {
        person.sees(prompt);
        person.types(answer);
    }
    let (screen, code) = person.ends();
    assert!(code == 3 && screen.contains("not the same"), "{code} {screen}");
    assert!(!screen.contains("nsec1") && !screen.contains("mistyped"), "{screen}");
}

/// FAILURES row 9.
#[test]
fn without_a_session_bus_it_says_so_at_once() {
    let state = tempfile::tempdir().unwrap();
    let nsec = Keys::generate().secret_key().to_bech32().unwrap();
    let import = Nest::alone().env("XDG_STATE_HOME", state.path()).args(["key", "import", "--key-file", "-"]);
    let output = import.env("XDG_RUNTIME_DIR", state.path()).stdin(nsec).run().expect(3);
    assert!(output.stderr.contains("no session bus"), "{}", output.stderr);
    assert!(output.stderr.contains("--key-file"), "{}", output.stderr);
}
