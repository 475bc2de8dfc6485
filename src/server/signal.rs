//! The signal endpoint of the embedded media server.

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::AUTHORIZATION;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;
use url::form_urlencoded;

use super::answer::Answer;
use super::app::App;
use super::faults::Active;
use super::media::Embedded;
use super::media::embedded::JoinRefusal;
use super::token::Claims;
use super::websocket;

const PLAIN: &str = "text/plain; charset=utf-8";

/// `/rtc/validate`: would this token be let in?
pub(super) fn validate(media: &Embedded, request: &Request<Incoming>) -> Answer {
    match admit(media, request) {
        Ok(_) => Answer::text(StatusCode::OK, PLAIN, "success"),
        Err(refusal) => refused(&refusal),
    }
}

/// `/rtc`: joins.
pub(super) fn connect(app: &App, media: Arc<Embedded>, faults: &Active, mut request: Request<Incoming>) -> Answer {
    let upgrade = websocket::upgrade(&mut request);
    let (room, claims) = match admit(&media, &request) {
        Ok(admitted) => admitted,
        // What is no WebSocket is nowhere, unless its token is bad.
        Err(refusal) if upgrade.is_some() || matches!(refusal, JoinRefusal::Token(_) | JoinRefusal::NoBearer) => {
            return refused(&refusal);
        }
        Err(_) => return Answer::empty(StatusCode::NOT_FOUND),
    };
    let Some((answer, upgraded)) = upgrade else { return Answer::empty(StatusCode::NOT_FOUND) };
    let note = format!("{} joins {room}", claims.sub);
    let version = faults.text(super::media::embedded::VERSION);
    app.spawn(async move {
        if let Ok(stream) = upgraded.await {
            let socket = WebSocketStream::from_raw_socket(TokioIo::new(stream), Role::Server, None).await;
            media.session(socket, room, claims, version).await;
        }
    });
    answer.note(note)
}

fn admit(media: &Embedded, request: &Request<Incoming>) -> Result<(String, Claims), JoinRefusal> {
    let mut query = form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes());
    let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = match header {
        Some(value) => Some(value.strip_prefix("Bearer ").ok_or(JoinRefusal::NoBearer)?.into()),
        None => query.find(|(key, _)| key == "access_token").map(|(_, value)| value),
    };
    media.validate(token.as_deref())
}

fn refused(refusal: &JoinRefusal) -> Answer {
    let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::UNAUTHORIZED);
    // The text may hold the token: the note must not.
    Answer::text(status, PLAIN, refusal.to_string()).note("join refused")
}
