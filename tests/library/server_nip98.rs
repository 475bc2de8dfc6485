//! Every way to get a NIP-98 signature wrong, and what the bundled server says about it.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE};
use nostr::{Keys, Kind, Timestamp};
use nostr_nests::server::{DEMO, Mock, Options};
use serde_json::Value;

use crate::support::nests_api::{Draft, client};

/// A server, the request that should succeed, and the key that may send it.
struct Case {
    mock: Mock,
    url: String,
}

impl Case {
    fn new() -> Self {
        let mock = Mock::start(Options::default()).unwrap();
        let url = format!("{}/api/v1/nests/{DEMO}/restart", mock.api());
        Self { mock, url }
    }

    fn keys(&self) -> &Keys {
        self.mock.host()
    }

    fn draft(&self) -> Draft {
        Draft::new("POST", &self.url, b"")
    }

    /// A header whose event was changed before it was signed.
    fn header(&self, change: impl FnOnce(&mut Draft)) -> String {
        let mut draft = self.draft();
        change(&mut draft);
        draft.header(self.keys())
    }

    async fn send(&self, header: &str) -> (u16, String) {
        self.send_to(&self.url, header, "").await
    }

    async fn send_to(&self, url: &str, header: &str, body: &str) -> (u16, String) {
        let request = client().post(url).header("authorization", header).body(body.to_owned());
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let json: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        (status, json["error"].as_str().unwrap_or_default().to_owned())
    }
}

fn seconds_from_now(seconds: i64) -> Timestamp {
    Timestamp::from(u64::try_from(i64::try_from(Timestamp::now().as_secs()).unwrap() + seconds).unwrap())
}

#[tokio::test]
async fn what_is_right_is_accepted() {
    let case = Case::new();
    assert_eq!(case.send(&case.header(|_| {})).await.0, 200);
    // Almost too old, almost too new, and by the other name of this machine.
    assert_eq!(case.send(&case.header(|d| d.created_at = seconds_from_now(-58))).await.0, 200);
    assert_eq!(case.send(&case.header(|d| d.created_at = seconds_from_now(58))).await.0, 200);
    let local = case.url.replace("127.0.0.1", "localhost");
    let header = Draft::new("POST", &local, b"").header(case.keys());
    assert_eq!(case.send_to(&local, &header, "").await.0, 200);
    // A query belongs to the URL.
    let query = format!("{}?a=b%20c", case.url);
    let header = Draft::new("POST", &query, b"").header(case.keys());
    assert_eq!(case.send_to(&query, &header, "").await.0, 200);
}

#[tokio::test]
async fn what_is_wrong_is_refused_with_a_reason() {
    let case = Case::new();
    let this = &case.url;
    let json = || case.draft().json(case.keys());
    // Filled up so that the base64 needs padding, or has a character that the two alphabets write differently.
    let filled = |filling: &str, fits: &dyn Fn(&str) -> bool| {
        let texts = (0..3).map(|len| {
            let mut draft = case.draft();
            draft.tags.push(vec!["x".into(), "x".repeat(len) + filling]);
            draft.json(case.keys())
        });
        texts.into_iter().find(|text| fits(text)).unwrap()
    };
    let unpadded = STANDARD_NO_PAD.encode(filled("", &|text| text.len() % 3 != 0));
    let url_safe = URL_SAFE.encode(filled("???", &|text| URL_SAFE.encode(text).contains('_')));
    let tampered = json().replace("\"content\":\"\"", "\"content\":\" \"");
    let other_signature = {
        let (mine, other): (Value, Value) =
            (serde_json::from_str(&json()).unwrap(), serde_json::from_str(&json()).unwrap());
        let mut mine = mine;
        mine["sig"] = other["sig"].clone();
        mine.to_string()
    };
    let other_key = {
        let mut event: Value = serde_json::from_str(&json()).unwrap();
        event["pubkey"] = Keys::generate().public_key().to_hex().into();
        event.to_string()
    };
    let nostr = |text: &str| format!("Nostr {}", STANDARD.encode(text));
    let good = || case.header(|_| {});
    let base64 = "Authorization is not padded standard base64";
    let scheme = "Authorization scheme must be exactly 'Nostr'";
    let for_this = format!("Event is for another URL, this is {this}");
    let set = |name: &'static str, value: String| {
        case.header(|d| {
            let at = tag_of(d, name);
            d.tags[at][1] = value;
        })
    };
    let rows: Vec<(&str, String, &str)> = vec![
        ("scheme in lower case", good().replacen("Nostr", "nostr", 1), scheme),
        ("another scheme", good().replacen("Nostr", "Bearer", 1), scheme),
        ("no space", good().replacen(' ', "", 1), scheme),
        ("two spaces", good().replacen(' ', "  ", 1), base64),
        ("no padding", format!("Nostr {unpadded}"), base64),
        ("url-safe", format!("Nostr {url_safe}"), base64),
        ("no base64", "Nostr ?".into(), base64),
        ("no event", nostr("{}"), "Authorization is not a Nostr event"),
        ("another kind", case.header(|d| d.kind = Kind::TextNote), "Wrong event kind: 1, expected 27235"),
        ("tampered with", nostr(&tampered), "Invalid event id or signature"),
        ("another's signature", nostr(&other_signature), "Invalid event id or signature"),
        ("another's key", nostr(&other_key), "Invalid event id or signature"),
        ("content", case.header(|d| d.content = "x".into()), "Event content must be empty"),
        ("no u", case.header(|d| drop(d.tags.remove(tag_of(d, "u")))), "Event must have exactly one 'u' tag"),
        ("two u", case.header(|d| d.tags.push(vec!["u".into(), this.clone()])), "Event must have exactly one 'u' tag"),
        ("path only", set("u", format!("/api/v1/nests/{DEMO}/restart")), &for_this),
        ("another scheme of URL", set("u", this.replace("http:", "https:")), &for_this),
        ("another host", set("u", this.replace("127.0.0.1", "127.0.0.2")), &for_this),
        ("another name of the host", set("u", this.replace("127.0.0.1", "localhost")), &for_this),
        ("no port", set("u", this.replace(&format!(":{}", case.mock.address().port()), "")), &for_this),
        ("another prefix", set("u", this.replace("/api/", "/nests/api/")), &for_this),
        ("no prefix", set("u", this.replace("/api/v1", "")), &for_this),
        ("another path", set("u", this.replace("demo", "Demo")), &for_this),
        ("trailing slash", set("u", format!("{this}/")), &for_this),
        ("query", set("u", format!("{this}?x=1")), &for_this),
        (
            "no method",
            case.header(|d| drop(d.tags.remove(tag_of(d, "method")))),
            "Event must have exactly one 'method' tag",
        ),
        ("method in lower case", set("method", "post".into()), "Event is for another method, this is POST"),
        ("another method", set("method", "GET".into()), "Event is for another method, this is POST"),
    ];
    for (name, header, text) in rows {
        assert_eq!(case.send(&header).await, (401, text.to_owned()), "{name}");
    }
    for (seconds, words) in [(-75, "s old; check the clock"), (75, "s ahead; check the clock")] {
        let (status, text) = case.send(&case.header(|d| d.created_at = seconds_from_now(seconds))).await;
        assert!(status == 401 && text.ends_with(words), "{text}");
    }
    assert_eq!(case.mock.room(DEMO), None, "none of these may have had an effect");
}

fn tag_of(draft: &Draft, name: &str) -> usize {
    draft.tags.iter().position(|tag| tag[0] == name).unwrap()
}

#[tokio::test]
async fn the_payload_must_fit_the_body() {
    let case = Case::new();
    let url = format!("{}/api/v1/nests/{DEMO}/permissions", case.mock.api());
    let body = format!(r#"{{"participant":"{}"}}"#, "a".repeat(64));
    let mismatch = (401, "Event payload hash does not match the body".to_owned());
    let header = |signed: &[u8]| Draft::new("POST", &url, signed).header(case.keys());
    assert_eq!(case.send_to(&url, &header(b"{}"), &body).await, mismatch);
    assert_eq!(case.send_to(&url, &header(body.as_bytes()), "").await, mismatch, "the body was taken away");
    let tagged = |tag: &[&str]| {
        let mut draft = Draft::new("POST", &url, body.as_bytes());
        draft.tags.push(tag.iter().map(|&part| part.to_owned()).collect());
        draft.header(case.keys())
    };
    for second in [&["payload"][..], &["payload", ""], &["payload", &"0".repeat(64)]] {
        assert_eq!(case.send_to(&url, &tagged(second), &body).await, mismatch, "{second:?}");
    }
    // Some clients never send the tag, and NIP-98 only says that they should.
    for header in [header(body.as_bytes()), header(b"")] {
        let request = client().post(&url).header("authorization", header).body(body.clone());
        assert_eq!(request.send().await.unwrap().status(), 204);
    }
}

#[tokio::test]
async fn a_signature_is_good_for_one_request() {
    let case = Case::new();
    let header = case.header(|_| {});
    assert_eq!(case.send(&header).await.0, 200);
    assert_eq!(case.send(&header).await, (401, "Event was already used".into()));
    // What was refused was not used up.
    let header = case.header(|_| {});
    let elsewhere = format!("{}/api/v1/nests/{DEMO}", case.mock.api());
    assert_eq!(case.send_to(&format!("{elsewhere}/permissions"), &header, "").await.0, 401);
    assert_eq!(case.send(&header).await.0, 200);
}
