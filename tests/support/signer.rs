//! A remote signer that others wrote, in another language: NDK's (`signer.mjs`).

use nostr::Keys;
use serde_json::{Value, json};

use super::node::NodeProgram;

/// It ends when dropped.
pub struct NdkSigner {
    program: NodeProgram,
    /// Its public key, as hex.
    pub key: String,
    relay: String,
    secret: Option<String>,
}

impl NdkSigner {
    /// A signer for these keys, which waits on this relay, and pairs with whoever brings the secret first.
    pub fn start(keys: &Keys, relay: &str, secret: Option<&str>) -> Self {
        let mut program = NodeProgram::start("signer", &[]);
        let given = json!({ "relays": [relay], "key": keys.secret_key().to_secret_hex(), "secret": secret });
        let key = program.call("start", given).unwrap()["signer"].as_str().unwrap().to_owned();
        Self { program, key, relay: relay.to_owned(), secret: secret.map(str::to_owned) }
    }

    /// What it shows to be paired with.
    pub fn uri(&self) -> String {
        let secret = self.secret.as_ref().map(|secret| format!("&secret={secret}")).unwrap_or_default();
        format!("bunker://{}?relay={}{secret}", self.key, self.relay)
    }

    /// What it does from now on when it is asked to sign: `allow`, `refuse` or `ignore`.
    pub fn policy(&mut self, policy: &str) {
        self.program.call("policy", json!({ "policy": policy })).unwrap();
    }

    /// Scans what a client shows.
    pub fn scan(&mut self, uri: &str) {
        self.program.call("pair", json!({ "uri": uri })).unwrap();
    }

    /// What it was asked so far: the methods and their parameters.
    pub fn seen(&mut self) -> Vec<(String, Value)> {
        let seen = self.program.call("seen", json!({})).unwrap();
        let requests = seen.as_array().unwrap().iter();
        requests.map(|one| (one["method"].as_str().unwrap().to_owned(), one["params"].clone())).collect()
    }
}
