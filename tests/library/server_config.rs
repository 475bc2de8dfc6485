//! Where a server says that clients find it.

use nostr_nests::server::serve::proxy::{PublicUrlError, announced, public_endpoint, public_origin};

#[test]
fn what_clients_cannot_reach_is_refused() {
    for internal in [
        "wss://livekit:7880",
        "ws://livekit",
        "wss://localhost",
        "wss://127.0.0.1",
        "wss://10.0.0.1",
        "wss://192.168.1.5:7880",
        "wss://100.64.0.1",
        "wss://[::1]",
        "wss://[fd00::1]",
        "wss://[::ffff:10.0.0.1]",
        "wss://media.internal",
        "wss://media.LAN.",
    ] {
        assert!(matches!(public_endpoint(internal, false), Err(PublicUrlError::Internal(_))), "{internal}");
        assert!(public_endpoint(internal, true).is_ok(), "{internal}");
    }
    assert!(matches!(public_endpoint("ws://nests.example", false), Err(PublicUrlError::Insecure(_))));
    for wrong in ["https://nests.example", "nests.example", "wss://", "wss://a.b/?x=1", "wss://u:p@a.b"] {
        assert!(matches!(public_endpoint(wrong, true), Err(PublicUrlError::Url(..))), "{wrong}");
    }
}

#[test]
fn endpoints_are_announced_as_clients_read_them() {
    let announced = |text| announced(&public_endpoint(text, true).unwrap());
    assert_eq!(announced("wss://nests.example"), "wss+livekit://nests.example");
    assert_eq!(announced("wss://nests.example:7443/livekit/"), "wss+livekit://nests.example:7443/livekit");
    assert_eq!(announced("ws://127.0.0.1:7880"), "wss+livekit://127.0.0.1:7880");
    assert_eq!(announced("ws://livekit:7880"), "ws+livekit://livekit:7880");
}

#[test]
fn origins_have_no_slash_at_the_end() {
    assert_eq!(public_origin("https://nests.example/").unwrap(), "https://nests.example");
    assert_eq!(public_origin("https://example.org/nests/").unwrap(), "https://example.org/nests");
    assert!(public_origin("wss://nests.example").is_err() && public_origin("nests.example").is_err());
}
