//! A plain client of the Nests API that shares nothing with the crate's: reqwest and the nostr crate.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nostr::{EventBuilder, JsonUtil, Keys, Kind, Tag, Timestamp};
use reqwest::{Client, Method, RequestBuilder};
use sha2::{Digest, Sha256};

/// A client that follows nothing and knows no proxies.
pub fn client() -> Client {
    client_at(None)
}

/// The same, at this address of the machine.
pub fn client_at(address: impl Into<Option<IpAddr>>) -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let tls = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let builder = Client::builder().tls_backend_preconfigured(tls).no_proxy();
    builder.redirect(reqwest::redirect::Policy::none()).local_address(address).build().unwrap()
}

/// The parts of a NIP-98 event that a test may want to get wrong.
pub struct Draft {
    pub kind: Kind,
    pub content: String,
    pub tags: Vec<Vec<String>>,
    pub created_at: Timestamp,
}

impl Draft {
    pub fn new(method: &str, url: &str, body: &[u8]) -> Self {
        let mut tags = vec![vec!["u".into(), url.into()], vec!["method".into(), method.into()]];
        let mut nonce = [0; 8];
        getrandom::fill(&mut nonce).unwrap();
        tags.push(vec!["nonce".into(), hex(&nonce)]);
        if !body.is_empty() {
            tags.push(vec!["payload".into(), hex(&Sha256::digest(body))]);
        }
        Self { kind: Kind::HttpAuth, content: String::new(), tags, created_at: Timestamp::now() }
    }

    pub fn json(self, keys: &Keys) -> String {
        let tags = self.tags.into_iter().map(|tag| Tag::parse(tag).unwrap());
        let event = EventBuilder::new(self.kind, self.content).tags(tags).custom_created_at(self.created_at);
        event.sign_with_keys(keys).unwrap().as_json()
    }

    pub fn header(self, keys: &Keys) -> String {
        format!("Nostr {}", STANDARD.encode(self.json(keys)))
    }
}

/// A signed request, not sent yet.
pub fn signed(keys: &Keys, method: Method, url: &str, body: Option<serde_json::Value>) -> RequestBuilder {
    let body = body.map(|body| body.to_string()).unwrap_or_default();
    let header = Draft::new(method.as_str(), url, body.as_bytes()).header(keys);
    let request = client().request(method, url).header("authorization", header);
    if body.is_empty() { request } else { request.header("content-type", "application/json").body(body) }
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// The claims of a token, unverified.
pub fn claims(token: &str) -> serde_json::Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}
