//! What a nest on Media over QUIC needs, for the mock: an auth service that answers as upstream's moq-auth does, and somebody
//! who answers QUIC packets in the place of a media relay.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use hyper::StatusCode;
use hyper::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL};
use nostr::{Event, JsonUtil as _, Kind, PublicKey};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use url::Url;

use super::answer::HttpAnswer;
use super::http::{Quota, RateLimiter};
use crate::clock::Clock;

/// How often an address may ask for a token.
const QUOTA: Quota = Quota { limit: 20, window: Duration::from_secs(60) };

/// How far the time of a signature may be off, in seconds.
const WINDOW_S: i64 = 60;

/// How long a token is good, in seconds.
const LIFE_S: i64 = 600;

/// Gives tokens for the media relay to whoever signs for them.
pub(super) struct MoqAuth {
    key: EcdsaKeyPair,
    /// The name of the key (RFC 7638).
    kid: String,
    limiter: RateLimiter<IpAddr>,
}

/// A request for a token.
pub(super) struct TokenRequest<'a> {
    pub(super) authorization: Option<&'a str>,
    /// As the client has to have signed it, without scheme and query: `host:port` and the path.
    pub(super) host: &'a str,
    pub(super) path: &'a str,
    pub(super) body: &'a [u8],
}

type Refusal = (StatusCode, String);

impl MoqAuth {
    /// With a key that lives as long as it does.
    pub(super) fn new() -> io::Result<Self> {
        let (random, algorithm) = (SystemRandom::new(), &ECDSA_P256_SHA256_FIXED_SIGNING);
        let key = EcdsaKeyPair::generate_pkcs8(algorithm, &random)
            .map_err(io::Error::other)
            .and_then(|key| EcdsaKeyPair::from_pkcs8(algorithm, key.as_ref(), &random).map_err(io::Error::other))?;
        let (x, y) = coordinates(&key);
        let thumbprint = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        let kid = URL_SAFE_NO_PAD.encode(Sha256::digest(thumbprint));
        Ok(Self { key, kid, limiter: RateLimiter::default() })
    }

    /// `GET /.well-known/jwks.json`
    pub(super) fn keys(&self) -> HttpAnswer {
        let (x, y) = coordinates(&self.key);
        let key = json!({
            "kty": "EC", "x": x, "y": y, "crv": "P-256", "kid": self.kid, "alg": "ES256", "use": "sig", "key_ops": ["verify"],
        });
        let answer = HttpAnswer::json(StatusCode::OK, &json!({ "keys": [key] }));
        answer.header(CACHE_CONTROL, "public, max-age=60")
    }

    /// `POST /auth`
    pub(super) fn token(&self, request: &TokenRequest<'_>, from: IpAddr, clock: Clock) -> HttpAnswer {
        let answer = if self.limiter.count(QUOTA, from).exceeded {
            HttpAnswer::error(StatusCode::TOO_MANY_REQUESTS, "Too many requests, try again later")
        } else {
            match self.granted(request, clock.now_s()) {
                Ok(token) => HttpAnswer::json(StatusCode::OK, &json!({ "token": token })),
                Err((status, text)) => HttpAnswer::error(status, text),
            }
        };
        answer.header(ACCESS_CONTROL_ALLOW_ORIGIN, "*")
    }

    fn granted(&self, request: &TokenRequest<'_>, now_s: i64) -> Result<String, Refusal> {
        let signer = signer(request, now_s)?;
        let bad = |text: &str| (StatusCode::BAD_REQUEST, text.to_owned());
        let body: Value = serde_json::from_slice(request.body).map_err(|_| bad("Invalid JSON body"))?;
        let namespace = body.get("namespace").and_then(Value::as_str);
        let namespace = namespace.ok_or_else(|| bad("Missing or invalid 'namespace' field"))?;
        if !is_namespace(namespace) {
            return Err(bad("Invalid namespace format"));
        }
        let mut claims = json!({ "root": namespace, "get": [""], "iat": now_s, "exp": now_s + LIFE_S });
        if body.get("publish") == Some(&Value::Bool(true)) {
            claims["put"] = json!([signer.to_hex()]);
        }
        let header = json!({ "alg": "ES256", "kid": self.kid });
        let [header, claims] = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        let token = format!("{header}.{claims}");
        let signature = self.key.sign(&SystemRandom::new(), token.as_bytes()).map_err(|_| internal())?;
        Ok(format!("{token}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

/// The public key's x and y, as a JWK has them.
fn coordinates(key: &EcdsaKeyPair) -> (String, String) {
    // 4, x, y: an uncompressed point.
    let (x, y) = key.public_key().as_ref()[1..].split_at(32);
    (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y))
}

fn internal() -> Refusal {
    (StatusCode::INTERNAL_SERVER_ERROR, "Internal error during auth validation".into())
}

/// Who has signed the request, in upstream's order of checks and in its words.
fn signer(request: &TokenRequest<'_>, now_s: i64) -> Result<PublicKey, Refusal> {
    let refused = |text: String| (StatusCode::UNAUTHORIZED, text);
    let value = request.authorization.ok_or_else(|| refused("Missing Authorization header".into()))?;
    let encoded = value.strip_prefix("Nostr ");
    let encoded = encoded.ok_or_else(|| refused("Authorization header must start with 'Nostr '".into()))?;
    let json =
        STANDARD.decode(encoded).or_else(|_| URL_SAFE.decode(encoded)).or_else(|_| URL_SAFE_NO_PAD.decode(encoded));
    let event = json.ok().and_then(|json| Event::from_json(json).ok());
    let event = event.ok_or_else(|| refused("Failed to decode NIP-98 event from Authorization header".into()))?;
    event.verify().map_err(|_| refused("Invalid event signature".into()))?;
    if event.kind != Kind::HttpAuth {
        return Err(refused(format!("Invalid event kind: expected 27235, got {}", event.kind)));
    }
    let age = now_s - i64::try_from(event.created_at.as_secs()).unwrap_or(i64::MAX);
    if age.abs() > WINDOW_S {
        return Err(refused(format!("Event too old: {age}s (max {WINDOW_S}s)")));
    }
    let url = value_of(&event, "u").ok_or_else(|| refused("Missing 'u' tag".into()))?;
    let url = Url::parse(url).map_err(|_| internal())?;
    let host = url.host_str().unwrap_or_default();
    let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    if host != request.host {
        return Err(refused(format!("URL host mismatch: expected {}, got {host}", request.host)));
    }
    if url.path() != request.path {
        return Err(refused(format!("URL path mismatch: expected {}, got {}", request.path, url.path())));
    }
    let method = value_of(&event, "method").ok_or_else(|| refused("Missing 'method' tag".into()))?;
    if !method.eq_ignore_ascii_case("POST") {
        return Err(refused(format!("Method mismatch: expected POST, got {method}")));
    }
    Ok(event.pubkey)
}

fn value_of<'a>(event: &'a Event, name: &str) -> Option<&'a str> {
    let tag = event.tags.iter().find(|tag| tag.as_slice().first().is_some_and(|first| first == name))?;
    tag.content()
}

/// `nests/<kind>:<64 hex digits>:<id>`
fn is_namespace(text: &str) -> bool {
    let mut parts = text.strip_prefix("nests/").unwrap_or_default().splitn(3, ':');
    let (Some(kind), Some(host), Some(id)) = (parts.next(), parts.next(), parts.next()) else { return false };
    let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let of = |text: &str, kind: fn(&u8) -> bool| !text.is_empty() && text.as_bytes().iter().all(kind);
    of(kind, u8::is_ascii_digit)
        && host.len() == 64
        && host.bytes().all(hex)
        && of(id, |byte| byte.is_ascii_alphanumeric() || b"._-".contains(byte))
}

/// Answers QUIC packets of versions that nobody has with those that there are (RFC 9000, 6.1), and no others.
pub(super) struct QuicPort {
    socket: UdpSocket,
}

impl QuicPort {
    /// On a free port of 127.0.0.1.
    pub(super) fn open() -> io::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket })
    }

    pub(super) fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Answers until it is dropped; `answers` says of each packet whether it is.
    pub(super) async fn serve(self, answers: impl Fn() -> bool) -> io::Result<()> {
        let socket = tokio::net::UdpSocket::from_std(self.socket)?;
        let mut packet = [0; 2048];
        loop {
            // An error is about an earlier answer that did not reach anybody.
            let Ok((length, from)) = socket.recv_from(&mut packet).await else { continue };
            if let Some(answer) = version_negotiation(&packet[..length]).filter(|_| answers()) {
                let _ = socket.send_to(&answer, from).await;
            }
        }
    }
}

/// The answer to a long header of an unknown version (RFC 9000, 17.2.1): both connection ids, and the versions 1 and 2.
fn version_negotiation(packet: &[u8]) -> Option<Vec<u8>> {
    const VERSIONS: [u8; 8] = [0, 0, 0, 1, 0x6b, 0x33, 0x43, 0xcf];
    let (header, ids) = packet.split_at_checked(5)?;
    let unknown = !VERSIONS.chunks(4).any(|version| *version == header[1..]);
    let to = ids.get(..=usize::from(*ids.first()?))?;
    let rest = &ids[to.len()..];
    let from = rest.get(..=usize::from(*rest.first()?))?;
    let long = header[0] & 0x80 != 0 && packet.len() >= 1200;
    (long && unknown).then(|| [&[0x80, 0, 0, 0, 0], from, to, &VERSIONS[..]].concat())
}
