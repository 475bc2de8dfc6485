//! Which call a request is.

use hyper::Method;
use percent_encoding::percent_decode_str;

use crate::api::wire::API_PATH;

/// The calls of the Nests API, and the signal endpoint of the embedded media server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiCall {
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
pub const CALLS: [(ApiCall, &str, &str); 10] = [
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
    pub fn all_with_faults() -> impl Iterator<Item = Self> {
        CALLS.into_iter().map(|(call, ..)| call).filter(|call| *call != Self::Webhook)
    }

    pub fn name(self) -> &'static str {
        CALLS[self as usize].1
    }

    pub fn failure(self) -> &'static str {
        CALLS[self as usize].2
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpRoute {
    /// A call of the API and the room that it is about (empty for `create` and `health`).
    Api(ApiCall, String),
    Signal,
    /// The same checks, without joining.
    Validate,
    Relay,
    Nowhere,
}

impl HttpRoute {
    pub fn of(method: &Method, path: &str) -> Self {
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
