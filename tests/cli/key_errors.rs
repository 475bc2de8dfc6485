//! Keys that are not to be had, and keys in the wrong place.

use std::io::ErrorKind;
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use nostr::nips::nip19::ToBech32 as _;
use nostr_nests::server::Mock;

use crate::support::nest::{Nest, Output, mock};
use crate::support::secrets::secret_arguments;

const SOURCES: &str = "without a desktop session keep the key in a file: `nest key import --to-file`. Or name one: --key-file PATH (mode 0600), or a systemd credential named nest-key. If a remote signer has it: `nest key connect`";

/// As cron would call it, on a machine whose keyring has the host's key.
fn cron(mock: &Mock, bus: Option<&str>) -> Output {
    let npub = mock.host().public_key().to_bech32().unwrap();
    let list = format!("{{\"default\":null,\"keys\":[\"{npub}\"]}}");
    let call = Nest::new(mock).without("NEST_KEY").file(".local/state/nest/keys.json", &list, 0o600);
    let call = bus.into_iter().fold(call, |call, bus| call.env("DBUS_SESSION_BUS_ADDRESS", bus));
    call.args(["restart", "demo", "-q"]).run()
}

#[test]
fn no_session_bus() {
    let mock = mock(&[]);
    let output = cron(&mock, Some("unix:path=/nonexistent/bus")).expect(3);
    let said = output.stderr;
    assert!(said.starts_with("error: the OS keyring cannot be used; there is no session bus: "), "{said}");
    assert!(said.ends_with(&format!("; hint: {SOURCES}\n")), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert_eq!(mock.all_requests(), 0);
}

#[test]
fn a_bus_that_never_answers_is_waited_for_three_seconds() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("bus");
    let bus = UnixListener::bind(&path).unwrap();
    let mock = mock(&[]);
    let since = Instant::now();
    let output = cron(&mock, Some(&format!("unix:path={}", path.display()))).expect(3);
    let took = since.elapsed();
    assert!((Duration::from_secs(3)..Duration::from_secs(5)).contains(&took), "{took:?}");
    assert_eq!(
        output.stderr,
        format!("error: the OS keyring cannot be used; it did not answer within 3 s; hint: {SOURCES}\n")
    );
    drop(bus);
}

#[test]
fn an_explicit_key_comes_first() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("bus");
    let listener = UnixListener::bind(&path).unwrap();
    listener.set_nonblocking(true).unwrap();
    let mock = mock(&[]);
    let bus = format!("unix:path={}", path.display());
    Nest::new(&mock).env("DBUS_SESSION_BUS_ADDRESS", bus).args(["restart", "demo", "-q"]).run().expect(0);
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock, "the keyring was asked");
}

#[test]
fn no_key_at_all() {
    let mock = mock(&[]);
    let output = Nest::new(&mock).without("NEST_KEY").args(["restart", "demo", "--json"]).run().expect(3);
    assert_eq!(
        output.stderr,
        "error: there is no host key
  caused by: nothing names a key, the keyring has none, and none was typed
  hint: keep it in the keyring: `nest key import`; where there is none, in a file: `nest key import --to-file`. Or name one: --key-file PATH (mode 0600), or a systemd credential named nest-key. If a remote signer has it: `nest key connect`\n"
    );
    assert_eq!(output.document()["error"]["kind"], "key");
    assert_eq!(mock.all_requests(), 0);
}

#[test]
fn a_key_among_the_arguments() {
    let nsec = nostr::Keys::generate().secret_key().to_bech32().unwrap();
    for args in secret_arguments(&nsec) {
        let output = Nest::alone().args(args).run().expect(2);
        assert_eq!(output.stdout, "");
        assert_eq!(
            output.stderr,
            "error: a secret key among the arguments; nothing was done
  caused by: arguments are seen by everybody in `ps`, and kept in the shell's history
  hint: put it into a file (nest … --key-file PATH), a pipe (--key-file -), or the keyring (`nest key import`); if this one was typed, others may have it\n"
        );
    }
}
