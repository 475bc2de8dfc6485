//! `nest token`, as users and scripts see it.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use nostr::Keys;
use serde_json::json;

use crate::support::nest::{Nest, mock, parse};
use crate::support::nests_api::claims;
use crate::support::raw::Raw;
use crate::support::signal::Signal;

const RESTART: &str = "/api/v1/nests/demo/restart";

#[tokio::test]
async fn a_fresh_token_lets_in_and_restarts_nothing() {
    let mock = mock(&[]);
    Nest::new(&mock).args(["restart", "demo"]).run().expect(0);
    let sid = mock.room("demo").unwrap().sid;
    let document = Nest::new(&mock).args(["token", "demo", "--json"]).run().expect(0).document();
    let token = document["token"].as_str().unwrap();
    assert_eq!((&document["isAdmin"], &document["mayPublish"]), (&json!(true), &json!(true)));
    assert_eq!(document["identity"], mock.host().public_key().to_hex());
    assert_eq!((&document["attempts"], &document["warnings"]), (&json!(1), &json!([])));
    let exp = jiff::Timestamp::from_second(claims(token)["exp"].as_i64().unwrap()).unwrap();
    assert_eq!(document["expiresAt"], exp.to_string());
    assert!(Signal::join(mock.livekit(), token).await.is_ok());
    assert_eq!((mock.room("demo").unwrap().sid, mock.requests(RESTART)), (sid, 1));

    let bare = Nest::new(&mock).args(["token", "demo", "--output", "token"]).run().expect(0);
    assert_eq!(claims(bare.stdout.trim())["video"]["roomAdmin"], true);
    assert_eq!((bare.stdout.lines().count(), bare.stderr.as_str()), (1, ""));
    let text = Nest::new(&mock).args(["token", "demo"]).run().expect(0).stdout;
    assert!(text.starts_with("✓ demo · this token may run the nest\n  token     eyJ"), "{text}");
    assert_eq!(Nest::new(&mock).args(["token", "demo", "-q"]).run().expect(0).stdout, "");
}

#[test]
fn everybody_gets_their_own() {
    let mock = mock(&[]);
    Nest::new(&mock).args(["restart", "demo"]).run().expect(0);
    let other = Keys::generate();
    let nest = Nest::new(&mock).env("NEST_KEY", other.secret_key().to_secret_hex());
    let document = nest.args(["token", "demo", "--json"]).run().expect(0).document();
    assert_eq!(document["identity"], other.public_key().to_hex());
    assert_eq!((&document["isAdmin"], &document["mayPublish"]), (&json!(false), &json!(false)));
    let nest = Nest::new(&mock).env("NEST_KEY", other.secret_key().to_secret_hex());
    let text = nest.args(["token", "demo"]).run().expect(0).stdout;
    assert!(text.starts_with("✓ demo · this token may only listen\n"), "{text}");
}

#[test]
fn what_goes_wrong_has_its_code() {
    let mock = mock(&[]);
    let output = Nest::new(&mock).args(["token", "demo", "--json"]).run().expect(6);
    assert_eq!(output.document()["error"]["hints"], json!(["restart it: `nest restart demo`"]));
    Nest::new(&mock).args(["restart", "demo"]).run().expect(0);
    for (fault, code) in [
        ("echo-authorization@token", 4),
        ("token-object@token", 7),
        ("status=500@token", 7),
        ("rate-limit=0", 11),
        ("no-answer@token", 9),
    ] {
        mock.set_faults(parse(&[fault]));
        let args = ["token", "demo", "--output", "token", "--retries", "0", "--timeout", "3s"];
        let output = Nest::new(&mock).args(args).run().expect(code);
        assert_eq!(output.stdout, "", "{fault}");
    }
    mock.set_faults(Vec::new());
    Nest::new(&mock).without("NEST_KEY").args(["token", "demo"]).run().expect(3);
    Nest::alone().args(["token", "demo"]).run().expect(2);
    assert_eq!(mock.requests(RESTART), 1);
}

#[test]
fn failures_that_pass_are_tried_again_and_a_wrong_clock_is_made_good() {
    let mock = mock(&[]);
    Nest::new(&mock).args(["restart", "demo"]).run().expect(0);
    mock.set_faults(parse(&["status=503x1@token"]));
    let document = Nest::new(&mock).args(["token", "demo", "--json"]).run().expect(0).document();
    assert_eq!(document["attempts"], 2);
    mock.set_faults(parse(&["clock=+94s"]));
    let output = Nest::new(&mock).args(["token", "demo", "--json"]).run().expect(0);
    assert!(output.document()["warnings"][0].as_str().unwrap().contains("behind the server's"), "{output:?}");
}

/// A server may close a connection that was kept just as another request goes out on it; some refuse a signature twice.
#[test]
fn a_connection_that_was_just_closed_is_no_failure_and_nothing_is_signed_twice() {
    let signed = Arc::new(Mutex::new(Vec::new()));
    let seen = signed.clone();
    let server = Raw::closing_what_is_kept(move |nth, head| {
        seen.lock().unwrap().extend(head.lines().find(|line| line.starts_with("authorization: ")).map(str::to_owned));
        let (status, body) = if nth == 0 { ("500 Oops", "") } else { ("200 OK", r#"{"token":"e30.e30.c2ln"}"#) };
        format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
    });
    let nest =
        Nest::alone().env("NEST_API", server.url()).env("NEST_KEY", Keys::generate().secret_key().to_secret_hex());
    let document = nest.args(["token", "a", "--json", "--retries", "1"]).run().expect(0).document();
    let signed = signed.lock().unwrap();
    assert_eq!((&document["attempts"], signed.len()), (&json!(3), 3), "{signed:?}");
    assert_eq!(signed.iter().collect::<HashSet<_>>().len(), 3, "each request has a signature of its own");
}
