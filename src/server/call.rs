//! Which call a request is.

use hyper::Method;
use percent_encoding::percent_decode_str;

use crate::api::wire::API_PATH;

/// The calls of the Nests API, and the signal endpoint of the embedded media server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ApiCall {
    Create,
    Restart,
    Token,
    Guest,
    Info,
    Permissions,
    Delete,
    Health,
    /// `/rtc` and `/rtc/validate`.
    Signal,
    /// From LiveKit.
    Webhook,
}

/// Each call in the order of [`ApiCall`], its name in `--fault …@NAME` and in metrics, and what a 500 to it says.
const CALLS: [(ApiCall, &str, &str); 10] = [
    (ApiCall::Create, "create", "Failed to create nest"),
    (ApiCall::Restart, "restart", "Failed to restart nest"),
    (ApiCall::Token, "token", "Failed to join nest"),
    (ApiCall::Guest, "guest", "Failed to join nest as guest"),
    (ApiCall::Info, "info", "Failed to get nest info"),
    (ApiCall::Permissions, "permissions", "Failed to update permissions"),
    (ApiCall::Delete, "delete", "Failed to delete nest"),
    (ApiCall::Health, "health", "Internal server error"),
    (ApiCall::Signal, "signal", "Internal server error"),
    (ApiCall::Webhook, "webhook", "Internal server error"),
];

impl ApiCall {
    pub(super) fn all_with_faults() -> impl Iterator<Item = Self> {
        CALLS.into_iter().map(|(call, ..)| call).filter(|call| *call != Self::Webhook)
    }

    pub(super) fn name(self) -> &'static str {
        CALLS[self as usize].1
    }

    pub(super) fn failure(self) -> &'static str {
        CALLS[self as usize].2
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum HttpRoute {
    /// A call of the API and the room that it is about (empty for `create` and `health`).
    Api(ApiCall, String),
    Signal,
    /// The same checks, without joining.
    Validate,
    Relay,
    Nowhere,
}

impl HttpRoute {
    pub(super) fn of(method: &Method, path: &str) -> Self {
        match (method.as_str(), path) {
            (_, "/rtc" | "/livekit/rtc") => return Self::Signal,
            (_, "/rtc/validate" | "/livekit/rtc/validate") => return Self::Validate,
            (_, "/relay") => return Self::Relay,
            ("GET", "/health") => return Self::Api(ApiCall::Health, String::new()),
            _ => {}
        }
        let Some(rest) = path.strip_prefix(API_PATH) else { return Self::Nowhere };
        if method == Method::PUT && matches!(rest, "" | "/") {
            return Self::Api(ApiCall::Create, String::new());
        }
        let Some(rest) = rest.strip_prefix('/') else { return Self::Nowhere };
        let (id, action) = rest.split_once('/').unwrap_or((rest, ""));
        let call = match (method.as_str(), action) {
            ("POST", "restart") => ApiCall::Restart,
            ("GET", "") => ApiCall::Token,
            ("GET", "guest") => ApiCall::Guest,
            ("GET", "info") => ApiCall::Info,
            ("POST", "permissions") => ApiCall::Permissions,
            ("DELETE", "") => ApiCall::Delete,
            ("POST", "") if id == "webhook" => ApiCall::Webhook,
            _ => return Self::Nowhere,
        };
        match percent_decode_str(id).decode_utf8() {
            Ok(id) if !id.is_empty() => Self::Api(call, id.into_owned()),
            _ => Self::Nowhere,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
