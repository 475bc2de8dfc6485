//! `nest key` through the whole program, where no keyring is needed.

use std::os::unix::fs::PermissionsExt as _;

use nostr::nips::nip19::{FromBech32 as _, ToBech32 as _};
use nostr::nips::nip49::EncryptedSecretKey;
use nostr::{Keys, SecretKey};

use crate::support::nest::Nest;
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
        assert_eq!((&opened(&output.stdout, "secret"), output.stderr.as_str()), (keys.secret_key(), ""));
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

#[test]
fn without_a_session_bus_it_says_so_at_once() {
    let state = tempfile::tempdir().unwrap();
    let nsec = Keys::generate().secret_key().to_bech32().unwrap();
    let import = Nest::alone().env("XDG_STATE_HOME", state.path()).args(["key", "import", "--key-file", "-"]);
    let output = import.env("XDG_RUNTIME_DIR", state.path()).stdin(nsec).run().expect(3);
    assert!(output.stderr.contains("no session bus"), "{}", output.stderr);
    assert!(output.stderr.contains("--key-file"), "{}", output.stderr);
}
