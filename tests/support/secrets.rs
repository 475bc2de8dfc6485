//! What no output may contain, and whether it does.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nostr::nips::nip19::ToBech32 as _;
use nostr_nests::server::Mock;

/// So much of a secret is a part of it, and not a coincidence.
const PART: usize = 20;

pub const PASSWORD: &str = "hunter2-of-the-proxy";
pub const PASSPHRASE: &str = "correct horse battery staple";

/// A secret key where arguments stand, as people put it there: all of it is refused.
pub fn secret_arguments(nsec: &str) -> [Vec<String>; 6] {
    let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
    [
        words(&["restart", "demo", "--key-file", nsec]),
        words(&["restart", nsec]),
        words(&["mock", "--", "sh", "-c", nsec]),
        words(&[nsec]),
        words(&["restart", "demo", &format!("--api={nsec}")]),
        words(&["restart", &nsec.to_uppercase()]),
    ]
}

/// What nobody may see.
pub struct Secrets(pub Vec<(&'static str, String)>);

impl Secrets {
    pub fn of(mock: &Mock) -> Self {
        let (key, mut all) = (mock.host().secret_key(), Vec::new());
        all.push(("hex key", key.to_secret_hex()));
        all.push(("nsec", key.to_bech32().unwrap()));
        all.push(("base64 key", STANDARD.encode(key.as_secret_bytes())));
        all.push(("proxy's password", PASSWORD.into()));
        all.push(("Proxy-Authorization", STANDARD.encode(format!("me:{PASSWORD}"))));
        all.push(("passphrase", PASSPHRASE.into()));
        if let Some(value) = mock.last_authorization() {
            let event = value.strip_prefix("Nostr ").unwrap().to_owned();
            let json: serde_json::Value = serde_json::from_slice(&STANDARD.decode(&event).unwrap()).unwrap();
            all.push(("signature", json["sig"].as_str().unwrap().to_owned()));
            // The signature is at its end; before it come things that tokens contain as well, such as the public key.
            all.push(("Authorization", event[event.len() - 80..].to_owned()));
        }
        Self(all)
    }

    #[track_caller]
    pub fn none_in(&self, text: &str, context: &str) {
        let lower = text.to_ascii_lowercase();
        for (name, secret) in &self.0 {
            let secret = secret.to_ascii_lowercase();
            for at in 0..=secret.len().saturating_sub(PART) {
                let part = &secret[at..(at + PART).min(secret.len())];
                assert!(!lower.contains(part), "{context}: a part of the {name}, {part}, is in\n{text}");
            }
        }
    }
}

/// Everything in `text` that begins as a token does.
pub fn tokens(text: &str) -> Vec<&str> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || "-_.+/".contains(c)));
    let from_mark = words.filter_map(|word| word.find("eyJ").map(|at| &word[at..]));
    from_mark.filter(|token| token.len() > PART).collect()
}
