//! Which call a request is.

use hyper::Method;
use percent_encoding::percent_decode_str;

use crate::api::wire::API_PATH;

/// The calls of the Nests API, and the signal endpoint of the embedded media server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    /// `PUT /api/v1/nests`
    Create,
    /// `POST /:id/restart`
    Restart,
    /// `GET /:id`
    Token,
    /// `GET /:id/guest`
    Guest,
    /// `GET /:id/info`
    Info,
    /// `POST /:id/permissions`
    Permissions,
    /// `DELETE /:id`
    Delete,
    /// `GET /health`
    Health,
    /// `/rtc` and `/rtc/validate`
    Signal,
    /// `POST /api/v1/nests/webhook`, from LiveKit
    Webhook,
}

impl Call {
    /// All calls that faults can strike.
    pub(super) const ALL: [Self; 9] = [
        Self::Create,
        Self::Restart,
        Self::Token,
        Self::Guest,
        Self::Info,
        Self::Permissions,
        Self::Delete,
        Self::Health,
        Self::Signal,
    ];

    /// The name in `--fault …@NAME` and in the log.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Restart => "restart",
            Self::Token => "token",
            Self::Guest => "guest",
            Self::Info => "info",
            Self::Permissions => "permissions",
            Self::Delete => "delete",
            Self::Health => "health",
            Self::Signal => "signal",
            Self::Webhook => "webhook",
        }
    }

    /// What a 500 to this call says.
    pub(super) fn failure(self) -> &'static str {
        match self {
            Self::Create => "Failed to create nest",
            Self::Restart => "Failed to restart nest",
            Self::Token => "Failed to join nest",
            Self::Guest => "Failed to join nest as guest",
            Self::Info => "Failed to get nest info",
            Self::Permissions => "Failed to update permissions",
            Self::Delete => "Failed to delete nest",
            Self::Health | Self::Signal | Self::Webhook => "Internal server error",
        }
    }

    pub(super) fn needs_signature(self) -> bool {
        matches!(self, Self::Create | Self::Restart | Self::Token | Self::Permissions | Self::Delete)
    }

    pub(super) fn takes_json(self) -> bool {
        matches!(self, Self::Create | Self::Permissions)
    }
}

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// A call of the API and the room that it is about (empty for `create` and `health`).
    Api(Call, String),
    /// The WebSocket of the media server.
    Signal,
    /// The same checks, without joining.
    Validate,
    /// The Nostr relay.
    Relay,
    /// Nothing is there.
    Nowhere,
}

impl Route {
    pub(super) fn of(method: &Method, path: &str) -> Self {
        match path.strip_prefix("/livekit").unwrap_or(path) {
            "/rtc" => return Self::Signal,
            "/rtc/validate" => return Self::Validate,
            _ => {}
        }
        match path {
            "/relay" => return Self::Relay,
            "/health" if method == Method::GET => return Self::Api(Call::Health, String::new()),
            _ => {}
        }
        let Some(rest) = path.strip_prefix(API_PATH) else { return Self::Nowhere };
        if matches!(rest, "" | "/") {
            return if method == Method::PUT { Self::Api(Call::Create, String::new()) } else { Self::Nowhere };
        }
        let Some(rest) = rest.strip_prefix('/') else { return Self::Nowhere };
        let (id, action) = rest.split_once('/').unwrap_or((rest, ""));
        let call = match (method.as_str(), action) {
            ("POST", "restart") => Call::Restart,
            ("GET", "") => Call::Token,
            ("GET", "guest") => Call::Guest,
            ("GET", "info") => Call::Info,
            ("POST", "permissions") => Call::Permissions,
            ("DELETE", "") => Call::Delete,
            ("POST", "") if id == "webhook" => Call::Webhook,
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
    fn requests_find_their_call() {
        let api = |call, id: &str| Route::Api(call, id.into());
        for (method, path, route) in [
            ("PUT", "/api/v1/nests", api(Call::Create, "")),
            ("POST", "/api/v1/nests/a/restart", api(Call::Restart, "a")),
            ("GET", "/api/v1/nests/a%20b%2Fc", api(Call::Token, "a b/c")),
            ("GET", "/api/v1/nests/a/guest", api(Call::Guest, "a")),
            ("GET", "/api/v1/nests/a/info", api(Call::Info, "a")),
            ("POST", "/api/v1/nests/a/permissions", api(Call::Permissions, "a")),
            ("DELETE", "/api/v1/nests/a", api(Call::Delete, "a")),
            ("POST", "/api/v1/nests/webhook", api(Call::Webhook, "webhook")),
            ("GET", "/health", api(Call::Health, "")),
            ("GET", "/rtc", Route::Signal),
            ("GET", "/livekit/rtc/validate", Route::Validate),
            ("GET", "/rtc/v1", Route::Nowhere),
            ("GET", "/relay", Route::Relay),
            ("GET", "/api/v1/nests/a/restart", Route::Nowhere),
            ("POST", "/api/v1/nestsa/restart", Route::Nowhere),
            ("GET", "/api/v1/nests/%ff", Route::Nowhere),
            ("GET", "/", Route::Nowhere),
        ] {
            assert_eq!(Route::of(&method.parse().unwrap(), path), route, "{method} {path}");
        }
    }
}
