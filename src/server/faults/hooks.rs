//! Faults of a request and of its answer.

use std::future::pending;

use hyper::StatusCode;
use hyper::header::{HeaderValue, LOCATION, RETRY_AFTER};
use serde_json::{Value, json};

use super::Kind;
use crate::server::answer::{BodyDelivery, Content, HttpAnswer};
use crate::server::http::ConnectionDropped;

/// The faults that strike one request.
#[derive(Clone, Debug, Default)]
pub(in crate::server) struct ActiveFaults(pub(super) Vec<Kind>);

impl ActiveFaults {
    /// Before anything is looked at: an answer in place of the real one.
    pub(in crate::server) fn before(
        &self,
        path: &str,
        authorization: Option<&HeaderValue>,
    ) -> Result<Option<HttpAnswer>, ConnectionDropped> {
        for kind in &self.0 {
            let answer = match kind {
                Kind::DropBefore => return Err(ConnectionDropped),
                Kind::Status { code, retry_after } => {
                    retry(HttpAnswer::error(status(*code), reason(*code)), *retry_after)
                }
                Kind::PlainText { code, retry_after } => {
                    retry(HttpAnswer::text(status(*code), "text/html; charset=utf-8", reason(*code)), *retry_after)
                }
                Kind::Html(code) => page(*code),
                Kind::Empty(code) => HttpAnswer::empty(status(*code)),
                Kind::Redirect(code) => HttpAnswer::empty(status(*code)).header(LOCATION, format!("/moved{path}")),
                Kind::NoRestart => HttpAnswer::no_endpoint(),
                Kind::EchoAuthorization => {
                    let echo = authorization.and_then(|value| value.to_str().ok()).unwrap_or_default();
                    HttpAnswer::error(StatusCode::UNAUTHORIZED, format!("Invalid NIP-98 authentication: {echo}"))
                }
                _ => continue,
            };
            return Ok(Some(answer.note("fault")));
        }
        Ok(None)
    }

    /// Whether the media server cannot be reached by anybody.
    pub(in crate::server) fn media_down(&self) -> bool {
        self.0.contains(&Kind::LivekitDown)
    }

    /// After the request was carried out: changes the answer, or keeps it back.
    pub(in crate::server) async fn after(&self, mut answer: HttpAnswer) -> Result<HttpAnswer, ConnectionDropped> {
        for kind in &self.0 {
            match kind {
                Kind::DropAfter => return Err(ConnectionDropped),
                Kind::NoAnswer => pending().await,
                Kind::GatewayTimeout => answer = page(504).note(answer.note),
                Kind::SlowBody(pause) => answer.delivery = BodyDelivery::Slow(*pause),
                Kind::HalfBody => answer.delivery = BodyDelivery::Half,
                Kind::HugeBody(length) => answer.delivery = BodyDelivery::Huge(*length),
                Kind::TokenObject => replace(&mut answer, "/token", json!({})),
                Kind::EchoToken => {
                    if let Some(Value::String(token)) = field(&mut answer, "/token") {
                        let text = format!("Failed to restart nest: cannot hand out {token}");
                        answer = HttpAnswer::error(StatusCode::INTERNAL_SERVER_ERROR, text).note(answer.note);
                    }
                }
                Kind::InternalEndpoint(host) => {
                    replace(&mut answer, "/endpoints/0", format!("wss+livekit://{host}").into());
                }
                Kind::OtherRoom => replace(&mut answer, "/roomId", crate::server::random_uuid().into()),
                Kind::ControlCharacters => answer.map_texts(|text| self.text(text)),
                _ => {}
            }
        }
        Ok(answer)
    }

    pub(in crate::server) fn text(&self, text: &str) -> String {
        if self.0.contains(&Kind::ControlCharacters) {
            // Colour, window title, line overwriting, C1 codes, bell, bidirectional override, a second line.
            format!("\x1b[31m\x1b]0;owned\x07\r{text}\u{8}\u{9b}2J\u{202e}\nerror: forged\0")
        } else {
            text.to_owned()
        }
    }
}

/// `pointer` is that of RFC 6901.
fn field<'a>(answer: &'a mut HttpAnswer, pointer: &str) -> Option<&'a mut Value> {
    if let Content::Json(json) = &mut answer.content { json.pointer_mut(pointer) } else { None }
}

fn replace(answer: &mut HttpAnswer, pointer: &str, new: Value) {
    if let Some(value) = field(answer, pointer) {
        *value = new;
    }
}

fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

fn reason(code: u16) -> &'static str {
    match code {
        401 => "Invalid NIP-98 authentication",
        403 => "Only the host can restart the nest",
        404 => "Nest not found",
        429 => "Too many requests from this IP, please try again later.",
        500 => "Failed to restart nest",
        _ => status(code).canonical_reason().unwrap_or("Error"),
    }
}

fn retry(answer: HttpAnswer, after: Option<u64>) -> HttpAnswer {
    match after {
        Some(seconds) => answer.header(RETRY_AFTER, seconds),
        None => answer,
    }
}

/// What nginx says in place of the server behind it.
fn page(code: u16) -> HttpAnswer {
    let title = format!("{code} {}", status(code).canonical_reason().unwrap_or_default());
    let html = format!(
        "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
    );
    HttpAnswer::text(status(code), "text/html", html)
}
