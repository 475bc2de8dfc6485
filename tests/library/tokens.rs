//! What stands in a token, and in which words LiveKit refuses one.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use nostr_nests::livekit::token::{Malformed, Problem, decode};
use nostr_nests::livekit::validate::TokenRefusal;
use nostr_nests::secret::Secret;
use nostr_nests::server::token::{Claims, Issuer, TokenError};
use proptest::prelude::*;
use serde_json::{Value, json};

const NOW: i64 = 1_795_417_759;

fn token(claims: &Value) -> String {
    format!("eyJhbGciOiJIUzI1NiJ9.{}.c2ln", BASE64.encode(claims.to_string()))
}

#[test]
fn a_token_of_upstream_is_read() {
    let claims = decode(&token(&json!({
        "sub": "aa", "iss": "devkey", "exp": NOW + 21600, "nbf": 0, "metadata": "{}",
        "video": {"room": "demo", "roomJoin": true, "canPublish": false, "canSubscribe": true, "roomAdmin": true},
    })))
    .unwrap();
    assert_eq!(claims.problems("demo", NOW), []);
    assert_eq!((claims.exp, claims.nbf), (Some(NOW + 21600), Some(0)));
    assert!(!claims.may_publish() && claims.video.unwrap().room_admin);
}

#[test]
fn what_stands_against_a_token_is_named() {
    let with = |claims: Value| decode(&token(&claims)).unwrap().problems("demo", NOW);
    let video = json!({"room": "demo", "roomJoin": true});
    for (exp, ok) in [(NOW + 1, true), (NOW - 60, true), (NOW - 61, false)] {
        assert_eq!(with(json!({"sub": "a", "exp": exp, "video": video})).is_empty(), ok, "{exp}");
    }
    assert_eq!(with(json!({"sub": "a", "nbf": NOW + 61, "video": video})), [Problem::NotYetValid { nbf: NOW + 61 }]);
    assert_eq!(with(json!({"sub": "a", "exp": 12.5, "video": video})), [Problem::Expired { exp: 12 }]);
    assert_eq!(with(json!({"video": video})), [Problem::NoIdentity]);
    assert_eq!(with(json!({"sub": "a", "video": 7})), [Problem::MayNotJoin, Problem::NoRoom]);
    let other = with(json!({"sub": "a", "video": {"room": "Demo", "roomJoin": true}}));
    assert_eq!(other, [Problem::OtherRoom("Demo".into())]);
}

#[test]
fn what_is_no_token_is_no_token() {
    let parts = token(&json!({}));
    assert!(decode(&parts).is_ok());
    let (padded, more, less) = (parts.replace(".c2ln", ".c2k="), format!("{parts}.c2ln"), parts.replace(".c2ln", ""));
    for text in [
        "",
        "{}",
        "..",
        "e30.e30.",
        ".e30.c2ln",
        "e30..c2ln",
        "e30.!.c2ln",
        "e.e30.c2ln",
        "e30.e30.c2l",
        "e30.e30.c2+n",
    ]
    .into_iter()
    .chain([&*padded, &more, &less, &format!(" {parts}"), &format!("{parts}\n")])
    {
        assert_eq!(decode(text), Err(Malformed::NoJwt), "{text:?}");
    }
    for claims in ["1", "[1]", "{", "\u{feff}{}"] {
        assert_eq!(decode(&format!("e30.{}.c2ln", BASE64.encode(claims))), Err(Malformed::Claims), "{claims}");
    }
}

proptest! {
    #[test]
    fn any_text_is_survived(text in ".*", claims in ".*", now in any::<i64>()) {
        for token in [text, format!("e30.{}.c2ln", BASE64.encode(&claims))] {
            if let Ok(claims) = decode(&token) {
                let _ = claims.problems("demo", now);
            }
        }
    }

    #[test]
    fn any_times_are_survived(exp in any::<f64>(), nbf in any::<i64>(), now in any::<i64>()) {
        let claims = decode(&token(&json!({"exp": exp, "nbf": nbf}))).unwrap();
        for problem in claims.problems("demo", now) {
            prop_assert!(!problem.to_string().is_empty());
        }
    }
}

const JWT: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl";

#[test]
fn the_texts_of_a_real_server() {
    let echoed = |why: &str| format!("invalid token: {JWT}, error: {why}");
    for (status, text, refusal) in [
        (401, echoed("token signature is invalid: signature is invalid"), TokenRefusal::WrongSecret),
        (401, echoed("token has invalid claims: token is expired"), TokenRefusal::Expired),
        (401, echoed("token has invalid claims: token is not valid yet"), TokenRefusal::NotYetValid),
        (401, "invalid API key: otherkey".into(), TokenRefusal::UnknownKey("otherkey".into())),
        (401, "permissions denied".into(), TokenRefusal::MayNotJoin),
        (401, "invalid authorization token".into(), TokenRefusal::NotAToken),
        (401, "no permissions to access the room".into(), TokenRefusal::NoToken),
        (400, "no room name".into(), TokenRefusal::NoRoomName),
        (400, "identity cannot be empty".into(), TokenRefusal::NoIdentity),
        (404, "requested room does not exist".into(), TokenRefusal::NoSuchRoom),
        (401, echoed("new trouble"), TokenRefusal::Other { status: 401, text: "new trouble".into() }),
    ] {
        assert_eq!(TokenRefusal::read(status, &text), Some(refusal), "{text}");
    }
    for (status, text) in [(404, "404 page not found"), (401, "<html>Sign in</html>"), (502, "bad gateway"), (401, "")]
    {
        assert_eq!(TokenRefusal::read(status, text), None, "{text}");
    }
}

proptest! {
    #[test]
    fn a_token_is_never_kept(before in ".{0,30}", after in ".{0,30}", status in 100_u16..600) {
        let body = format!("{before}{JWT}{after}");
        let told = TokenRefusal::read(status, &body).map(|refusal| format!("{refusal} {refusal:?}")).unwrap_or_default();
        prop_assert!(!told.contains("eyJzdWIiOiJ4In0"), "{told}");
    }
}

fn issuer(secret: &str) -> Issuer {
    Issuer { key: "devkey".into(), secret: Secret::new(secret) }
}

#[test]
fn a_known_token_is_minted_and_read() {
    // Computed with another implementation (Python's hmac).
    let token = issuer("secret").mint(&Claims { sub: "a".into(), exp: Some(10), ..Claims::default() });
    assert_eq!(
        token,
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhIiwiaXNzIjoiZGV2a2V5IiwiZXhwIjoxMH0.\
         JpQg-FQU17fCQyNxHxP4NTxwGKQ9WjcjMhF-fG2h3Zw"
    );
    assert_eq!(issuer("secret").verify(&token, 10).unwrap().sub, "a");
}

#[test]
fn what_is_not_valid_is_refused_in_livekits_words() {
    let claims = Claims { sub: "a".into(), exp: Some(1000), nbf: Some(500), ..Claims::default() };
    let token = issuer("secret").mint(&claims);
    for (secret, now, end) in [
        ("other", 700, "error: token signature is invalid: signature is invalid"),
        ("secret", 1060, "error: token has invalid claims: token is expired"),
        ("secret", 439, "error: token has invalid claims: token is not valid yet"),
    ] {
        let text = issuer(secret).verify(&token, now).unwrap_err().to_string();
        assert_eq!(text, format!("invalid token: {token}, {end}"));
    }
    assert!(issuer("secret").verify(&token, 1059).is_ok());
    assert!(issuer("secret").verify(&token, 440).is_ok());
    assert_eq!(issuer("x").verify("no.jwt.at all", 0), Err(TokenError::Malformed));
    let foreign = Issuer { key: "other".into(), secret: Secret::new("secret") }.mint(&claims);
    assert_eq!(issuer("secret").verify(&foreign, 700).unwrap_err().to_string(), "invalid API key: other");
}
