//! What is published, as a client reads it that shares no code with this program: `aionostr`, in Python, which comes with
//! the relay in `target/tools/nostr-relay`. It computes each id from its own JSON, and verifies the signature with
//! coincurve; here the events are only looked at.

use std::path::Path;
use std::process::{Command, Output};

use nostr::{Event, PublicKey};
use serde_json::json;

use super::nostr_client::value;
use super::nostr_relay::PYTHON;

pub fn ask(relay: &str, host: PublicKey) -> Output {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/nostr_judge.py");
    let filter = json!({ "kinds": [30312], "authors": [host.to_hex()] }).to_string();
    Command::new(PYTHON).arg(script).args([relay, &filter]).env_clear().output().unwrap()
}

/// The nest of a host at a relay that has none which is forged.
pub fn nest(relay: &str, host: PublicKey, d: &str) -> Event {
    let output = ask(relay, host);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let events: Vec<Event> = serde_json::from_slice(&output.stdout).unwrap();
    let mut found = events.into_iter().filter(|event| value(event, "d") == Some(d));
    let nest = found.next().unwrap_or_else(|| panic!("no event of {d}"));
    assert_eq!(found.next(), None, "a relay keeps the newest only");
    nest
}
