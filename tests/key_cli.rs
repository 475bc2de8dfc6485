//! `nest key` on the real OS keyring, through the whole program.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "support/nest.rs"]
mod nest;

use nest::Nest;
use nostr::Keys;
use nostr::nips::nip19::ToBech32 as _;
use nostr_nests::server::{Mock, Options};

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
