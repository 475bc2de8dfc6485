//! `nest key` through the whole program, where no keyring is needed.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use expectrl::Expect as _;
use nostr::nips::nip19::{FromBech32 as _, ToBech32 as _};
use nostr::nips::nip49::EncryptedSecretKey;
use nostr::{Keys, SecretKey};

use crate::support::nest::{Nest, mock};
use crate::support::terminal::Terminal;

fn opened(ncryptsec: &str, passphrase: &str) -> SecretKey {
    EncryptedSecretKey::from_bech32(ncryptsec.trim()).unwrap().decrypt(passphrase).unwrap()
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
        assert_eq!(&opened(&output.stdout, "secret"), keys.secret_key());
        assert!(output.stderr.starts_with("to try one passphrase takes "), "{output:?}");
    }
    encrypt().args(["--key-file", "host.key"]).file("host.key", &nsec, 0o644).run().expect(3);
    let none = Nest::alone().env("NEST_KEY", nsec.clone()).args(["key", "encrypt"]).run().expect(3);
    assert!(none.stdout.is_empty() && none.stderr.contains("--passphrase-file"), "{none:?}");
    let argument = Nest::alone().args(["key", "encrypt", &nsec]).run().expect(2);
    assert!(!argument.stderr.contains(&nsec), "{argument:?}");

    let mut person = Terminal::at(Nest::alone().args(["key", "encrypt"]));
    for (prompt, answer) in [("Host key", nsec.as_str()), ("New passphrase", "typed"), ("again", "mistyped")] {
        person.sees(prompt);
        person.types(answer);
    }
    let (screen, code) = person.ends();
    assert!(code == 3 && screen.contains("not the same"), "{code} {screen}");
    assert!(!screen.contains("nsec1") && !screen.contains("mistyped"), "{screen}");
}

/// On a VPS: no session bus, and so no keyring.
fn without_keyring(home: &Path) -> Nest {
    Nest::alone().env("HOME", home).env("XDG_RUNTIME_DIR", home)
}

#[test]
fn without_a_keyring_a_key_is_kept_in_a_file_and_used_from_then_on() {
    let mock = mock(&[]);
    let home = tempfile::tempdir().unwrap();
    let nsec = mock.host().secret_key().to_bech32().unwrap();
    let npub = mock.host().public_key().to_bech32().unwrap();
    let nest = |args: &[&str]| without_keyring(home.path()).args(args);
    let config = home.path().join(".config/nest/config.toml");
    let file = home.path().join(".config/nest/host.key");

    // It is the keyring that is tried first, not the person.
    let mut person = Terminal::at(nest(&["key", "import"]));
    person.sees("There is no keyring here");
    person.sees("host.key");
    person.session.send("n\r").unwrap();
    let (screen, code) = person.ends();
    assert!(
        code == 3 && !screen.contains("Host key (") && screen.contains("run this again with --to-file"),
        "{screen}"
    );
    assert!(!file.exists() && !config.exists());

    let mut person = Terminal::at(nest(&["key", "import"]));
    person.sees("There is no keyring here");
    person.session.send("y\r").unwrap();
    person.sees("Host key");
    person.types(&nsec);
    let (screen, code) = person.ends();
    assert!(code == 0 && screen.contains(&npub) && !screen.contains(&nsec), "{screen}");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), format!("{nsec}\n"));
    assert_eq!(std::fs::read_to_string(&config).unwrap(), "key-file = \"host.key\"\n");

    nest(&["restart", "demo", "--api", &mock.api()]).run().expect(0);
    let list = nest(&["key", "list"]).run().expect(0);
    assert!(list.stdout.is_empty() && list.stderr.contains("there is no OS keyring here"), "{list:?}");
    assert!(list.stderr.contains("host.key; `nest key show`") && !list.stderr.contains("no keys"), "{list:?}");
    let list = nest(&["key", "list", "--json"]).run().expect(0).document();
    assert!(list["keys"] == serde_json::json!([]) && list["noKeyring"].as_str().unwrap().contains("bus"), "{list}");

    // A second one overwrites nothing, neither file nor configuration.
    let other = Keys::generate().secret_key().to_bech32().unwrap();
    for (args, why) in
        [(&["--to-file"][..], "already names a key: key-file"), (&["--to-file", "new.key"], "already names")]
    {
        let second = nest(&["key", "import", "--key-file", "-"]).args(args).stdin(other.clone()).run().expect(2);
        assert!(second.stderr.contains(why) && second.stderr.contains("--profile NAME"), "{second:?}");
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), format!("{nsec}\n"));
}

#[test]
fn a_key_file_is_recorded_where_the_configuration_is() {
    let keys = Keys::generate();
    let nsec = keys.secret_key().to_bech32().unwrap();
    let home = tempfile::tempdir().unwrap();
    let config = home.path().join("my.toml");
    std::fs::write(&config, "# mine\napi = 'https://a'\n[profile.work]\n# of work\nrelays = []\n").unwrap();
    let nest = |args: &[&str]| {
        without_keyring(home.path()).env("NEST_CONFIG", &config).args(args).args(["--profile", "work", "--json"])
    };
    let elsewhere = home.path().join("keys/work.key");
    let import = ["key", "import", "--key-file", "-", "--to-file", elsewhere.to_str().unwrap()];
    let imported = nest(&import).stdin(nsec.clone()).run().expect(0).document();
    assert_eq!((&imported["encrypted"], imported["file"].as_str()), (&false.into(), elsewhere.to_str()));
    let text = std::fs::read_to_string(&config).unwrap();
    let recorded = "key-file = \"keys/work.key\"\n";
    assert_eq!(text, format!("# mine\napi = 'https://a'\n[profile.work]\n# of work\nrelays = []\n{recorded}"));
    let shown = nest(&["key", "show"]).run().expect(0).document();
    assert_eq!(shown["npub"], keys.public_key().to_bech32().unwrap());

    // What is there stays, and is not asked for a key in vain.
    std::fs::write(&config, "[profile.work]\n").unwrap();
    let again = nest(&["key", "import", "--to-file", elsewhere.to_str().unwrap()]).run().expect(2);
    assert!(again.stderr.contains("exists already") && again.stderr.contains("name another file"), "{again:?}");
    assert_eq!(std::fs::read_to_string(&elsewhere).unwrap(), format!("{nsec}\n"));
}

#[test]
fn an_encrypted_key_stays_encrypted_in_a_file() {
    let nest = Nest::alone().file("pass", "secret", 0o600);
    let home = tempfile::tempdir().unwrap();
    let sealed = nest.args(["key", "encrypt", "--key-file", "-", "--passphrase-file", "pass"]);
    let sealed = sealed.stdin(Keys::generate().secret_key().to_bech32().unwrap()).run().expect(0).stdout;
    let import = ["key", "import", "--to-file", "--key-file", "-", "--passphrase-file", "pass", "--json"];
    let imported = without_keyring(home.path()).file("pass", "secret", 0o600).args(import);
    let imported = imported.stdin(sealed.clone()).run().expect(0).document();
    assert_eq!(imported["encrypted"], true);
    assert_eq!(std::fs::read_to_string(home.path().join(".config/nest/host.key")).unwrap(), sealed);
}

#[test]
fn without_a_session_bus_it_says_so_at_once() {
    let state = tempfile::tempdir().unwrap();
    let nsec = Keys::generate().secret_key().to_bech32().unwrap();
    let import = Nest::alone().env("XDG_STATE_HOME", state.path()).args(["key", "import", "--key-file", "-"]);
    let output = import.env("XDG_RUNTIME_DIR", state.path()).stdin(nsec).run().expect(3);
    assert!(output.stderr.contains("no session bus"), "{}", output.stderr);
    assert!(output.stderr.contains("run this again with --to-file"), "{}", output.stderr);
    let made = Nest::alone().env("XDG_RUNTIME_DIR", state.path()).args(["key", "generate"]).run().expect(3);
    assert!(made.stderr.contains("keep it in a file: `nest key generate --to-file PATH`"), "{}", made.stderr);
}
