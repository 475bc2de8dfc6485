//! The mock's auth service answers as upstream's moq-auth does (nostrnests/nests 4fd42b6), word for word.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use nostr::{Keys, Kind, Timestamp};
use nostr_nests::server::{Mock, Options};
use serde_json::{Value, json};

use crate::support::nests_api::{Draft, claims, client};

struct Auth {
    mock: Mock,
    keys: Keys,
}

impl Auth {
    fn new() -> Self {
        Self { mock: Mock::start(Options { moq: true, ..Options::default() }).unwrap(), keys: Keys::generate() }
    }

    fn url(&self) -> String {
        format!("{}/moq-auth/auth", self.mock.api())
    }

    fn namespace(&self) -> String {
        format!("nests/30312:{}:room_1.a-B", self.keys.public_key().to_hex())
    }

    fn body(&self) -> String {
        json!({ "namespace": self.namespace(), "publish": true }).to_string()
    }

    /// A header whose event was changed before it was signed.
    fn header(&self, change: impl FnOnce(&mut Draft)) -> String {
        let mut draft = Draft::new("POST", &self.url(), self.body().as_bytes());
        change(&mut draft);
        draft.header(&self.keys)
    }

    async fn ask(&self, header: Option<&str>, body: &str) -> (u16, Value) {
        let mut request = client().post(self.url()).body(body.to_owned());
        if let Some(header) = header {
            request = request.header("authorization", header);
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.headers()["access-control-allow-origin"], "*");
        (answer.status().as_u16(), serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap())
    }
}

fn put(draft: &mut Draft, name: &str, value: Option<&str>) {
    draft.tags.retain(|tag| tag[0] != name);
    draft.tags.extend(value.map(|value| vec![name.to_owned(), value.to_owned()]));
}

fn seconds_ago(seconds: i64) -> Timestamp {
    Timestamp::from(u64::try_from(i64::try_from(Timestamp::now().as_secs()).unwrap() - seconds).unwrap())
}

/// Its key set verifies its tokens (RFC 7518, 3.4).
#[tokio::test]
async fn whoever_signs_gets_a_token_that_its_key_verifies() {
    let auth = Auth::new();
    let host = auth.keys.public_key().to_hex();
    // In either base64, and for any nest.
    let json = Draft::new("post", &auth.url(), b"").json(&auth.keys);
    for header in [format!("Nostr {}", STANDARD.encode(&json)), format!("Nostr {}", URL_SAFE.encode(&json))] {
        let (status, answer) = auth.ask(Some(&header), &auth.body()).await;
        assert_eq!(status, 200, "{answer}");
        let token = answer["token"].as_str().unwrap();
        let told = claims(token);
        assert_eq!(
            (&told["root"], &told["put"], &told["get"]),
            (&json!(auth.namespace()), &json!([host]), &json!([""]))
        );
        assert_eq!(told["exp"].as_i64().unwrap() - told["iat"].as_i64().unwrap(), 600);

        let keys = client().get(format!("{}/moq-auth/.well-known/jwks.json", auth.mock.api())).send().await.unwrap();
        assert_eq!(keys.headers()["cache-control"], "public, max-age=60");
        let keys: Value = serde_json::from_slice(&keys.bytes().await.unwrap()).unwrap();
        let key = &keys["keys"][0];
        let header: Value =
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap()).unwrap();
        assert_eq!((&header["alg"], &header["kid"]), (&json!("ES256"), &key["kid"]));
        let part = |name: &str| URL_SAFE_NO_PAD.decode(key[name].as_str().unwrap()).unwrap();
        let point = [vec![4], part("x"), part("y")].concat();
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let verifier = ring::signature::UnparsedPublicKey::new(&ring::signature::ECDSA_P256_SHA256_FIXED, point);
        verifier.verify(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
    }
    let listener = json!({ "namespace": auth.namespace() }).to_string();
    let (_, answer) = auth.ask(Some(&auth.header(|_| {})), &listener).await;
    assert!(claims(answer["token"].as_str().unwrap()).get("put").is_none(), "only to listen");
}

#[tokio::test]
async fn everything_else_is_refused_in_its_words() {
    let auth = Auth::new();
    let body = auth.body();
    let elsewhere = auth.url().replace("127.0.0.1", "localhost");
    let changed = |change: &dyn Fn(&mut Draft)| Some(auth.header(change));
    let address = auth.mock.address();
    let cases: [(Option<String>, &str, u16, String); 14] = [
        (None, &body, 401, "Missing Authorization header".into()),
        (Some("Bearer x".into()), &body, 401, "Authorization header must start with 'Nostr '".into()),
        (Some("Nostr x".into()), &body, 401, "Failed to decode NIP-98 event from Authorization header".into()),
        (changed(&|draft| draft.kind = Kind::TextNote), &body, 401, "Invalid event kind: expected 27235, got 1".into()),
        (changed(&|draft| draft.created_at = seconds_ago(90)), &body, 401, "Event too old: 90s (max 60s)".into()),
        (changed(&|draft| draft.created_at = seconds_ago(-90)), &body, 401, "Event too old: -90s (max 60s)".into()),
        (changed(&|draft| put(draft, "u", None)), &body, 401, "Missing 'u' tag".into()),
        (changed(&|draft| put(draft, "u", Some("no url"))), &body, 500, "Internal error during auth validation".into()),
        (
            changed(&|draft| put(draft, "u", Some(&elsewhere))),
            &body,
            401,
            format!("URL host mismatch: expected {address}, got localhost:{}", address.port()),
        ),
        (changed(&|draft| put(draft, "method", None)), &body, 401, "Missing 'method' tag".into()),
        (
            changed(&|draft| put(draft, "method", Some("GET"))),
            &body,
            401,
            "Method mismatch: expected POST, got GET".into(),
        ),
        (changed(&|_| {}), "no json", 400, "Invalid JSON body".into()),
        (changed(&|_| {}), "{}", 400, "Missing or invalid 'namespace' field".into()),
        (changed(&|_| {}), r#"{"namespace":"nests/30312:ab:x"}"#, 400, "Invalid namespace format".into()),
    ];
    for (header, body, status, text) in cases {
        // Old by the second at which it arrives.
        let (got, answer) = auth.ask(header.as_deref(), body).await;
        let said = answer["error"].as_str().unwrap().replace("91s", "90s").replace("-89s", "-90s");
        assert_eq!((got, said), (status, text));
    }
    // Twenty a minute from one address, whatever they are: six more, then no more.
    for more in 0..7 {
        let (status, answer) = auth.ask(None, "").await;
        assert_eq!(status, if more < 6 { 401 } else { 429 }, "{answer}");
    }
}
