//! What the tests of the connection check share.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nostr_nests::cli::document;
use nostr_nests::cli::messages::{Step, check::steps};
use nostr_nests::clock::Clock;
use nostr_nests::livekit::check::{Check, Joining, Tools, run};
use nostr_nests::livekit::endpoint::{Candidate, Hints, candidates};
use nostr_nests::livekit::report::CheckReport;
use nostr_nests::net::reach::GuardedHttp;
use nostr_nests::net::tls;
use nostr_nests::reporter::Silent;
use nostr_nests::secret::Secret;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;

use super::livekit::{KEY, SECRET};

/// Candidates as if an API far away had returned these, without the usual place.
pub fn of(returned: &[String]) -> Vec<Candidate> {
    let api = "https://nests.example/".parse().unwrap();
    let mut all = candidates(Hints { returned, streaming: &[], api: Some(&api), allow_http: false });
    all.pop();
    all
}

pub fn client(tls: &Arc<rustls::ClientConfig>) -> GuardedHttp {
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured((**tls).clone())
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build();
    client.unwrap().into()
}

/// A JWT, signed HS256 (RFC 2104, RFC 7515).
pub fn jwt(claims: &Value, secret: &str) -> String {
    let text = format!("{}.{}", encode(br#"{"alg":"HS256","typ":"JWT"}"#), encode(claims.to_string().as_bytes()));
    let mut key = [0_u8; 64];
    key[..secret.len()].copy_from_slice(secret.as_bytes());
    let inner = Sha256::new().chain_update(key.map(|byte| byte ^ 0x36)).chain_update(&text).finalize();
    let outer = Sha256::new().chain_update(key.map(|byte| byte ^ 0x5c)).chain_update(inner).finalize();
    format!("{text}.{}", encode(&outer))
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A listener's token.
pub fn token(room: &str, identity: &str) -> Secret {
    let video = json!({"room": room, "roomJoin": true, "canPublish": false, "canSubscribe": true});
    let exp = now_ms() / 1000 + 600;
    let claims = json!({"iss": KEY, "sub": identity, "exp": exp, "nbf": 0, "video": video});
    Secret::new(jwt(&claims, SECRET))
}

/// A speaker's token.
pub fn speaker(room: &str, identity: &str) -> Secret {
    let video = json!({"room": room, "roomJoin": true, "canPublish": true, "canSubscribe": true});
    let exp = now_ms() / 1000 + 600;
    let claims = json!({"iss": KEY, "sub": identity, "exp": exp, "nbf": 0, "video": video});
    Secret::new(jwt(&claims, SECRET))
}

/// `claims` with another value for `name`.
pub fn with(claims: &Value, name: &str, value: Value) -> Value {
    let mut claims = claims.clone();
    claims[name] = value;
    claims
}

pub fn check<'a>(room: &'a str, token: &'a Secret, candidates: &'a [Candidate]) -> Check<'a> {
    Check {
        room,
        join: Some(Joining { token, host: false }),
        candidates,
        signal_only: true,
        timeout: Duration::from_secs(10),
        ..Check::default()
    }
}

pub async fn report(check: &Check<'_>) -> CheckReport {
    let tls = tls::client_config(&[]);
    report_with(check, &tls).await
}

pub async fn report_with(check: &Check<'_>, tls: &Arc<rustls::ClientConfig>) -> CheckReport {
    let tools = Tools { http: &client(tls), tls, preconnect: None, clock: Clock::default(), reporter: &Silent };
    let report = run(check, &tools).await;
    println!("{:#}", document::report(&report));
    report
}

/// A step in words.
pub fn step(report: &CheckReport, name: &str) -> Step {
    steps(report).into_iter().find(|step| step.name == name).unwrap()
}

pub fn now_ms() -> i64 {
    Clock::default().now_ms()
}

/// TLS on a port of its own, plain to `backend`, with a certificate for `localhost` of the root that is returned.
pub async fn tls_front(backend: u16) -> (u16, CertificateDer<'static>) {
    let (certificate, root) = certificate("localhost", -1..1);
    (tls_listener(backend, certificate).await, root)
}

/// A certificate for `name` that is good from so many days from now to so many, and the root behind it.
pub fn certificate(name: &str, days: Range<i64>) -> (Certified, CertificateDer<'static>) {
    let mut root = CertificateParams::new(Vec::new()).unwrap();
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    root.distinguished_name.push(DnType::CommonName, "Test CA");
    let root_key = KeyPair::generate().unwrap();
    let root_cert = root.self_signed(&root_key).unwrap().der().clone();
    let mut leaf = CertificateParams::new(vec![name.into()]).unwrap();
    let day = |offset: i64| {
        let date = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date() + jiff::Span::new().days(offset);
        let (month, day) = (u8::try_from(date.month()).unwrap(), u8::try_from(date.day()).unwrap());
        rcgen::date_time_ymd(i32::from(date.year()), month, day)
    };
    (leaf.not_before, leaf.not_after) = (day(days.start), day(days.end));
    let key = KeyPair::generate().unwrap();
    let cert = leaf.signed_by(&key, &Issuer::new(root, root_key)).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    ((vec![cert.der().clone()], key), root_cert)
}

pub type Certified = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// TLS on a port of its own, plain to `backend`.
pub async fn tls_listener(backend: u16, (chain, key): Certified) -> u16 {
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut front = acceptor.accept(stream).await?;
                let mut back = TcpStream::connect(("127.0.0.1", backend)).await?;
                copy_bidirectional(&mut front, &mut back).await
            });
        }
    });
    port
}
