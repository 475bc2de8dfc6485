//! Where faults strike during one request: its answer, and the store and the media server behind the API.

use std::future::pending;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use hyper::StatusCode;
use hyper::header::{HeaderValue, LOCATION, RETRY_AFTER};
use livekit_protocol::{CreateRoomRequest, ParticipantInfo, Room};
use serde_json::{Value, json};

use super::Kind;
use crate::secret::Secret;
use crate::server::answer::{BodyDelivery, Content, HttpAnswer};
use crate::server::media::{self, MediaServer};
use crate::server::token::Issuer;
use crate::server::{BackendError, lock, random_text, random_uuid};

/// The faults that strike one request.
#[derive(Clone, Debug, Default)]
pub(in crate::server) struct ActiveFaults(pub(super) Vec<Kind>);

impl ActiveFaults {
    /// Before anything is looked at: an answer in place of the real one.
    pub(in crate::server) fn before(&self, path: &str, authorization: Option<&HeaderValue>) -> Option<HttpAnswer> {
        for kind in &self.0 {
            let answer = match kind {
                Kind::DropBefore => return Some(HttpAnswer::dropped()),
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
            return Some(answer.note("fault"));
        }
        None
    }

    /// Whether the media server cannot be reached by anybody.
    pub(in crate::server) fn media_down(&self) -> bool {
        self.0.contains(&Kind::LivekitDown)
    }

    /// What tokens are signed with in place of the media server's own key.
    pub(in crate::server) fn issuer(&self, mut own: Issuer) -> Issuer {
        if self.0.contains(&Kind::WrongSecret) {
            own.secret = Secret::new("the secret of another media server");
        }
        own
    }

    /// Whether the relay serves only those who say who they are.
    pub(in crate::server) fn relay_auth(&self) -> bool {
        self.0.contains(&Kind::RelayAuth)
    }

    /// Hangs with the store when a request asks it for the first time; `hung`: whether that has been.
    pub(in crate::server) async fn hang(&self, hung: &AtomicBool) {
        for kind in &self.0 {
            match kind {
                Kind::RedisHang(_) if hung.swap(true, Ordering::Relaxed) => {}
                Kind::RedisHang(Some(time)) => tokio::time::sleep(*time).await,
                Kind::RedisHang(None) => pending().await,
                _ => {}
            }
        }
    }

    /// Whether the store has lost the record of the nest.
    pub(in crate::server) fn record_lost(&self) -> bool {
        self.0.contains(&Kind::LostRecord)
    }

    /// After the request was carried out: changes the answer, or keeps it back.
    pub(in crate::server) async fn after(&self, mut answer: HttpAnswer) -> HttpAnswer {
        for kind in &self.0 {
            match kind {
                _ if matches!(answer.delivery, BodyDelivery::Dropped) => break,
                Kind::DropAfter => return HttpAnswer::dropped(),
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
                Kind::OtherRoom => replace(&mut answer, "/roomId", random_uuid().into()),
                Kind::ControlCharacters => answer.map_texts(|text| self.text(text)),
                _ => {}
            }
        }
        answer
    }

    pub(in crate::server) fn text(&self, text: &str) -> String {
        if self.0.contains(&Kind::ControlCharacters) {
            // Colour, window title, line overwriting, C1 codes, bell, bidirectional override, what nobody sees, a second line.
            format!("\x1b[31m\x1b]0;owned\x07\r{text}\u{8}\u{9b}2J\u{202e}\u{61c}\u{200b}\nerror: forged\0")
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

/// A media server that is down, keeps what it was to delete, or tears down what it has created.
pub(in crate::server) struct FaultyMedia {
    media: Arc<dyn MediaServer>,
    faults: ActiveFaults,
    pretended: Mutex<PretendedRoom>,
}

/// What is said of a room that was not deleted when it should have been.
#[derive(Clone, Default)]
enum PretendedRoom {
    /// The truth: nothing was to be deleted yet.
    #[default]
    AsItIs,
    Deleted,
    CreatedAnew(Box<Room>),
}

impl FaultyMedia {
    pub(in crate::server) fn new(media: Arc<dyn MediaServer>, faults: ActiveFaults) -> Self {
        Self { media, faults, pretended: Mutex::default() }
    }

    fn up(&self) -> Result<&dyn MediaServer, BackendError> {
        if self.faults.media_down() {
            return Err(BackendError::Unreachable(media::NAME, "down".into()));
        }
        Ok(&*self.media)
    }
}

#[async_trait]
impl MediaServer for FaultyMedia {
    async fn create(&self, room: &CreateRoomRequest) -> Result<Room, BackendError> {
        if self.faults.0.contains(&Kind::NoRoom) {
            let (sid, name, metadata) = (format!("RM_{}", random_text(12)), room.name.clone(), room.metadata.clone());
            let room = Room { sid, name, metadata, ..Room::default() };
            *lock(&self.pretended) = PretendedRoom::CreatedAnew(Box::new(room.clone()));
            return Ok(room);
        }
        let mut created = self.up()?.create(room).await?;
        let mut pretended = lock(&self.pretended);
        if !matches!(*pretended, PretendedRoom::AsItIs) {
            // Like upstream, which does not look what CreateRoom has answered.
            created = Room { sid: format!("RM_{}", random_text(12)), metadata: room.metadata.clone(), ..created };
            *pretended = PretendedRoom::CreatedAnew(Box::new(created.clone()));
        }
        drop(pretended);
        for kind in &self.faults.0 {
            if let Kind::LateTeardown(wait) = kind {
                let (media, wait, name) = (self.media.clone(), *wait, room.name.clone());
                tokio::spawn(async move {
                    tokio::time::sleep(wait).await;
                    // What cannot be torn down stays: it is a fault either way.
                    let _ = media.delete(&name).await;
                });
            }
        }
        Ok(created)
    }

    async fn delete(&self, name: &str) -> Result<bool, BackendError> {
        let media = self.up()?;
        if self.faults.0.contains(&Kind::OldRoomKept) {
            *lock(&self.pretended) = PretendedRoom::Deleted;
            return Ok(true);
        }
        media.delete(name).await
    }

    async fn find(&self, name: &str) -> Result<Option<Room>, BackendError> {
        let found = self.up()?.find(name).await?;
        Ok(match lock(&self.pretended).clone() {
            PretendedRoom::AsItIs => found,
            PretendedRoom::Deleted => None,
            PretendedRoom::CreatedAnew(room) => Some(*room),
        })
    }

    async fn describe(&self, name: &str, metadata: &str) -> Result<bool, BackendError> {
        self.up()?.describe(name, metadata).await
    }

    async fn participants(&self, name: &str) -> Result<Vec<ParticipantInfo>, BackendError> {
        self.up()?.participants(name).await
    }

    async fn permit(&self, room: &str, identity: &str, can_publish: bool) -> Result<bool, BackendError> {
        self.up()?.permit(room, identity, can_publish).await
    }

    async fn mute(&self, room: &str, identity: &str, muted: bool) -> Result<bool, BackendError> {
        self.up()?.mute(room, identity, muted).await
    }
}
