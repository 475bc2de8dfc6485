//! A shorter limit turns a verdict into `unknown` at most, never into another.

use std::sync::Mutex;

use serde_json::Value;

use crate::support::nest::{Nest, all_faults, at_once, mock, parse};
use crate::support::nostr_client::{NostrClient, event, remember};

const LIMITS: [&str; 4] = ["1ms", "10ms", "30ms", "100ms"];

/// What the command says of a nest. That nobody was reached in time says nothing of it.
fn verdict(document: &Value) -> String {
    let said = ["verdict", "state"].iter().find_map(|field| document[field].as_str());
    let kind = || document["error"]["kind"].as_str().unwrap_or("nothing");
    match said.unwrap_or_else(kind) {
        "unreachable" => "unknown".to_owned(),
        said => said.to_owned(),
    }
}

#[test]
fn a_shorter_limit_changes_no_verdict_but_to_unknown() {
    let faults: Vec<_> = all_faults().map(|fault| format!("{fault}@api")).chain([String::new()]).collect();
    let cases: Vec<_> =
        ["check", "status", "doctor"].iter().flat_map(|verb| faults.iter().map(move |fault| (*verb, fault))).collect();
    let wrong = Mutex::new(Vec::new());
    at_once(&cases, |(verb, fault)| {
        let situations = if fault.is_empty() { &["running", "inactive", "over"][..] } else { &["running"] };
        for situation in situations {
            let mock = mock(&[]);
            let room = if *situation == "over" { "weekly" } else { "demo" };
            match *situation {
                "running" => drop(Nest::new(&mock).args(["restart", "demo"]).run().expect(0)),
                "over" => {
                    remember(&mock, room);
                    NostrClient::at(&mock.relay()).publish(&event(mock.host(), room, 60, &[&["status", "closed"]]));
                }
                _ => {}
            }
            mock.set_faults(if fault.is_empty() { Vec::new() } else { parse(&[fault.as_str()]) });
            let told = |limit| {
                let nest = Nest::new(&mock).env("NEST_RELAYS", mock.relay());
                nest.args([verb, room, "--json", "--timeout", limit]).run().document()
            };
            let long = told("3s");
            for limit in LIMITS {
                let short = told(limit);
                if ![verdict(&long), "unknown".to_owned()].contains(&verdict(&short)) {
                    wrong.lock().unwrap().push(format!("{verb} {fault} {situation} {limit}:\n  {long}\n  {short}"));
                }
            }
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
