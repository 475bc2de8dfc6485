//! Which call of the API a request is, and the ids of new rooms.

use nostr_nests::server::{ApiCall, CALLS, HttpRoute, random_uuid};

#[test]
fn calls_are_listed_in_their_order() {
    assert!(CALLS.iter().enumerate().all(|(index, (call, ..))| *call as usize == index));
}

#[test]
fn requests_find_their_call() {
    let api = |call, id: &str| HttpRoute::Api(call, id.into());
    for (method, path, route) in [
        ("PUT", "/api/v1/nests", api(ApiCall::Create, "")),
        ("POST", "/api/v1/nests/a/restart", api(ApiCall::Restart, "a")),
        ("GET", "/api/v1/nests/a%20b%2Fc", api(ApiCall::Token, "a b/c")),
        ("GET", "/api/v1/nests/a/guest", api(ApiCall::Guest, "a")),
        ("GET", "/api/v1/nests/a/info", api(ApiCall::Info, "a")),
        ("POST", "/api/v1/nests/a/permissions", api(ApiCall::Permissions, "a")),
        ("DELETE", "/api/v1/nests/a", api(ApiCall::Delete, "a")),
        ("POST", "/api/v1/nests/webhook", api(ApiCall::Webhook, "webhook")),
        ("GET", "/health", api(ApiCall::Health, "")),
        ("GET", "/rtc", HttpRoute::Signal),
        ("GET", "/livekit/rtc/validate", HttpRoute::Validate),
        ("GET", "/rtc/v1", HttpRoute::Nowhere),
        ("GET", "/relay", HttpRoute::Relay),
        ("GET", "/api/v1/nests/a/restart", HttpRoute::Nowhere),
        ("POST", "/api/v1/nestsa/restart", HttpRoute::Nowhere),
        ("GET", "/api/v1/nests/%ff", HttpRoute::Nowhere),
        ("GET", "/", HttpRoute::Nowhere),
    ] {
        assert_eq!(HttpRoute::of(&method.parse().unwrap(), path), route, "{method} {path}");
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
