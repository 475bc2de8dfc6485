//! The calls of the API, where they are found, and the ids of new rooms.

use nostr_nests::server::{CALLS, Mock, Options, random_uuid};

use crate::support::nests_api::client;

#[test]
fn calls_are_listed_in_their_order() {
    assert!(CALLS.iter().enumerate().all(|(index, (call, ..))| *call as usize == index));
}

/// What is nowhere is in the contract of the API.
#[tokio::test]
async fn requests_find_their_call() {
    let mock = Mock::start(Options::default()).unwrap();
    for (method, path, call) in [
        ("PUT", "/api/v1/nests", "create"),
        ("PUT", "/api/v1/nests/", "create"),
        ("POST", "/api/v1/nests/a/restart", "restart"),
        ("GET", "/api/v1/nests/a%20b%2Fc", "token"),
        ("GET", "/api/v1/nests/a/guest", "guest"),
        ("GET", "/api/v1/nests/a/info", "info"),
        ("POST", "/api/v1/nests/a/permissions", "permissions"),
        ("DELETE", "/api/v1/nests/a", "delete"),
        ("GET", "/health", "health"),
        ("GET", "/rtc", "signal"),
        ("GET", "/livekit/rtc/validate", "signal"),
        ("GET", "/relay", "relay"),
        ("GET", "/n/a%20b%2Fc", "page"),
    ] {
        mock.set_faults(vec![format!("status=418@{call}").parse().unwrap()]);
        let request = client().request(method.parse().unwrap(), format!("{}{path}", mock.api()));
        assert_eq!(request.send().await.unwrap().status(), 418, "{method} {path}");
    }
}

#[test]
fn uuids_are_of_version_4() {
    let uuid = random_uuid();
    let parts: Vec<_> = uuid.split('-').map(str::len).collect();
    assert_eq!(parts, [8, 4, 4, 4, 12]);
    assert!(uuid.as_bytes()[14] == b'4' && b"89ab".contains(&uuid.as_bytes()[19]), "{uuid}");
    assert_ne!(uuid, random_uuid());
}
