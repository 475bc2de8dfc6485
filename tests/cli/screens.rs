//! What a person sees of each command, as a snapshot.

use nostr::Keys;
use nostr::nips::nip19::ToBech32 as _;
use nostr_nests::server::Mock;

use crate::snapshot::matches;
use crate::support::nest::{Nest, mock, parse};
use crate::support::nostr_client::publish_two_more;
use crate::support::room_event;

/// With these faults, once the nest is back.
fn running(faults: &[&str]) -> Mock {
    let mock = mock(&[]);
    Nest::new(&mock).args(["restart", "demo"]).run().expect(0);
    mock.set_faults(parse(faults));
    mock
}

fn stranger() -> String {
    Keys::generate().secret_key().to_secret_hex()
}

#[test]
fn restart() {
    let mock = mock(&[]);
    matches("restart", Nest::new(&mock).args(["restart", "demo"])).expect(0);
    matches("restart-several", Nest::new(&mock).args(["restart", "demo", "nope"])).expect(6);
    matches("restart-wrong-key", Nest::new(&mock).env("NEST_KEY", stranger()).args(["restart", "demo"])).expect(5);
    mock.set_faults(parse(&["clock=2001"]));
    matches("restart-wrong-clock", Nest::new(&mock).args(["restart", "demo"])).expect(4);
}

#[test]
fn restart_with_a_check() {
    let mock = mock(&[]);
    let home = tempfile::tempdir().unwrap();
    let restart = || Nest::new(&mock).env("XDG_STATE_HOME", home.path()).args(["restart", "demo", "--check"]);
    // With another room before it, the new one is told by its SID, however slow this machine is.
    restart().run().expect(0);
    matches("restart-check", restart()).expect(0);
    mock.set_faults(parse(&["old-room-kept"]));
    matches("restart-old-room-kept", restart()).expect(10);
}

#[test]
fn check() {
    let listener =
        |mock: &Mock| Nest::new(mock).without("NEST_KEY").env("NEST_RELAYS", mock.relay()).args(["check", "demo"]);
    matches("check-reachable", listener(&running(&[]))).expect(0);
    matches("check-joinable", listener(&running(&[])).args(["--join"])).expect(0);
    matches("check-unhealthy", listener(&running(&["wrong-secret"]))).expect(10);
    matches("check-verbose", listener(&running(&[])).args(["--join", "--verbose"])).expect(0);
    matches("check-inactive", listener(&mock(&[]))).expect(6);
}

#[tokio::test]
async fn status() {
    let mock = running(&[]);
    let status = || Nest::new(&mock).without("NEST_KEY").env("NEST_RELAYS", mock.relay()).args(["status", "demo"]);
    matches("status-running", status()).expect(0);
    mock.media().delete("demo").await.unwrap();
    matches("status-inactive", status()).expect(10);
    mock.set_faults(parse(&["lost-record"]));
    matches("status-gone", status()).expect(10);
    mock.set_faults(Vec::new());
    room_event::publish(&mock, &[&["status", "closed"]]).await;
    matches("status-over", status()).expect(10);
}

#[test]
fn list() {
    let mock = running(&[]);
    // The API is asked about one of them only: rows appear as its answers arrive.
    publish_two_more(&mock, "Weekly");
    matches("list", Nest::new(&mock).without("NEST_API").env("NEST_RELAYS", mock.relay()).args(["list"])).expect(0);
}

#[test]
fn doctor() {
    let doctor = |mock: &Mock| Nest::new(mock).env("NEST_RELAYS", mock.relay()).args(["doctor", "demo"]);
    matches("doctor-healthy", doctor(&running(&[]))).expect(0);
    matches("doctor-broken", doctor(&mock(&[]))).expect(10);
    matches("doctor-verbose", doctor(&running(&[])).args(["-v"])).expect(0);
    matches("doctor-server", Nest::new(&mock(&["livekit-down"])).args(["doctor"])).expect(0);
    matches("doctor-unreachable", Nest::new(&mock(&[])).args(["doctor", "--api", "https://nests.invalid"])).expect(10);
}

#[test]
fn close_and_recreate() {
    let mock = running(&[]);
    let call = |args: &[&str]| Nest::new(&mock).env("NEST_RELAYS", mock.relay()).args(args);
    matches("close", call(&["close", "demo"])).expect(0);
    matches("recreate-dry-run", call(&["recreate", "demo", "--dry-run"])).expect(0);
    matches("recreate", call(&["recreate", "demo", "--yes"])).expect(0);
}

#[test]
fn token() {
    let mock = running(&[]);
    mock.set_faults(parse(&["echo-authorization@token"]));
    matches("token-refused", Nest::new(&mock).args(["token", "demo"])).expect(4);
}

#[test]
fn key() {
    matches("key-generate", Nest::alone().args(["key", "generate", "--to-file", "host.key"])).expect(0);
    let npubs = [(); 2].map(|()| Keys::generate().public_key().to_bech32().unwrap());
    let keys = serde_json::json!({ "default": npubs[0], "keys": npubs }).to_string();
    let no_bus = Nest::alone().env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent/bus");
    matches("key-list", no_bus.file(".local/state/nest/keys.json", &keys, 0o600).args(["key", "list"])).expect(0);
}

#[test]
fn usage() {
    matches(
        "unreachable",
        Nest::new(&mock(&[])).args(["restart", "demo", "--api", "https://nests.invalid", "--retries", "0"]),
    )
    .expect(8);
    let config = ".config/nest/config.toml";
    let typo = "api = 'https://nests.example'\n\n[profile.work]\nrelasy = ['wss://nos.lol']\n";
    matches("configuration-typo", Nest::alone().file(config, typo, 0o600).args(["list"])).expect(2);
    let syntax = "api = https://nests.example\n";
    matches("configuration-syntax", Nest::alone().file(config, syntax, 0o600).args(["list"])).expect(2);
    matches("usage", Nest::alone().args(["restart", "--chekc", "demo"])).expect(2);
    for (name, args) in [("help", &["--help"][..]), ("help-restart", &["restart", "--help"])] {
        matches(name, Nest::alone().env("COLUMNS", "80").args(args)).expect(0);
    }
}
