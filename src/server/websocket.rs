//! The upgrade of a request to a WebSocket (RFC 6455, 4.2), for the signal endpoint and the relay.

use hyper::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use hyper::upgrade::OnUpgrade;
use hyper::{HeaderMap, Request, StatusCode};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::answer::Answer;

/// The answer that accepts the upgrade, and the connection once it was sent; `None` when none was asked for.
pub(super) fn upgrade<B>(request: &mut Request<B>) -> Option<(Answer, OnUpgrade)> {
    let accept = accept(request.headers())?;
    let answer = Answer::empty(StatusCode::SWITCHING_PROTOCOLS)
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_ACCEPT, accept);
    Some((answer, hyper::upgrade::on(request)))
}

fn accept(headers: &HeaderMap) -> Option<String> {
    let has = |name, wanted: &str| {
        let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|value| value.trim().eq_ignore_ascii_case(wanted))
    };
    let wanted = has(CONNECTION, "upgrade") && has(UPGRADE, "websocket") && has(SEC_WEBSOCKET_VERSION, "13");
    let key = headers.get(SEC_WEBSOCKET_KEY)?;
    wanted.then(|| derive_accept_key(key.as_bytes()))
}
