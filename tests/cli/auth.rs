//! `nest auth`, as the bundled server sees it, which verifies by other code.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nostr::{Event, JsonUtil as _, Keys};
use nostr_nests::server::Mock;
use serde_json::{Value, json};

use crate::support::nest::{Nest, mock};

fn auth(mock: &Mock, args: &[&str]) -> Nest {
    Nest::new(mock).without("NEST_API").args(["auth"]).args(args)
}

/// Sends a request with what was printed, and returns the status.
fn send(method: &str, url: &str, header: &str, body: &str) -> u16 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = crate::support::nests_api::client();
        let request = client.request(method.parse().unwrap(), url).header("authorization", header.trim_end());
        request.body(body.to_owned()).send().await.unwrap().status().as_u16()
    })
}

#[test]
fn a_server_accepts_what_it_prints_for_this_request_and_no_other() {
    let mock = mock(&[]);
    let url = format!("{}/api/v1/nests/demo/restart", mock.api());
    let header = auth(&mock, &["post", &url]).run().expect(0).stdout;
    assert_eq!(send("POST", &format!("{url}?x=1"), &header, ""), 401);
    assert_eq!(send("POST", &url, &header, ""), 200);

    let whole = auth(&mock, &["POST", &url, "--json"]).run().expect(0).document();
    assert_eq!((&whole["method"], &whole["url"]), (&json!("POST"), &json!(url)));
    assert_eq!(send("POST", &url, whole["authorization"].as_str().unwrap(), ""), 200);
}

#[test]
fn a_body_is_signed_too() {
    let mock = mock(&[]);
    let url = format!("{}/api/v1/nests", mock.api());
    let body = json!({ "relays": ["wss://relay.example"], "hls_stream": false }).to_string();
    for nest in [
        auth(&mock, &["PUT", &url, "--body", "body.json"]).file("body.json", &body, 0o644),
        auth(&mock, &["PUT", &url, "--body", "-"]).stdin(body.clone()),
    ] {
        let header = nest.run().expect(0).stdout;
        let event = STANDARD.decode(header.trim().strip_prefix("Nostr ").unwrap()).unwrap();
        let event = Event::from_json(event).unwrap();
        event.verify().unwrap();
        let tags: Value = serde_json::to_value(&event.tags).unwrap();
        let hash = tags.as_array().unwrap().iter().find(|tag| tag[0] == "payload").unwrap()[1].clone();
        assert_eq!(hash, nostr::hashes::sha256::Hash::const_hash(body.as_bytes()).to_string());
        assert_eq!(send("PUT", &url, &header, "{}"), 401, "of another body");
    }
}

#[test]
fn what_cannot_be_sent_so_is_not_signed() {
    let mock = mock(&[]);
    for (args, why) in [
        (&["POST", "nostrnests.com"][..], "whole https:// URL"),
        (&["POST", "ftp://a.example/"], "whole https:// URL"),
        (&["POST", "https://a.example/#part"], "leave them out"),
        (&["POST", "https://me:secret@a.example/"], "leave them out"),
        (&["P OST", "https://a.example/"], "no method of HTTP"),
        (&["POST", "https://a.example/", "--body", "missing"], "the body cannot be read: missing: No such file"),
        (&["POST", "https://a.example/", "--body", "-", "--key-file", "-"], "stdin cannot be both"),
        (&["POST", "https://a.example/", "--output", "token"], "this command fetches none"),
    ] {
        let refused = auth(&mock, args).run().expect(2);
        assert!(refused.stderr.contains(why) && refused.stdout.is_empty(), "{why}: {refused:?}");
    }
    let nobody = Nest::alone().args(["auth", "POST", "https://a.example/"]).run().expect(3);
    assert!(nobody.stderr.contains("nest key import"), "{nobody:?}");
    let other = Keys::generate().secret_key().to_secret_hex();
    auth(&mock, &["GET", "https://a.example/"]).env("NEST_KEY", other).run().expect(0);
}
