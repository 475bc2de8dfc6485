//! `POST /api/v1/nests/webhook`: what LiveKit tells of its rooms.
//!
//! A room that has closed makes its nest inactive; a nest that is entered lives on. Nothing is ever erased: the host may
//! bring the nest back. Events of a room that has been replaced since are ignored.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::StatusCode;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::{ApiFailure, ApiRequest, refused};
use crate::server::answer::HttpAnswer;
use crate::server::store::{self, Record};

const INACTIVE: &str = "inactive";

#[derive(Deserialize)]
struct WebhookEvent {
    event: String,
    room: Option<WebhookRoom>,
}

#[derive(Deserialize)]
struct WebhookRoom {
    sid: String,
    name: String,
}

impl ApiRequest {
    pub(super) async fn webhook(&self) -> Result<HttpAnswer, ApiFailure> {
        self.verify_webhook()?;
        let event: WebhookEvent = serde_json::from_slice(&self.body)
            .map_err(|_| refused(StatusCode::BAD_REQUEST, "Body is no LiveKit event"))?;
        let Some(room) = event.room.filter(|room| !room.sid.is_empty() && !room.name.is_empty()) else {
            return Ok(HttpAnswer::empty(StatusCode::OK).note(event.event));
        };
        let done = match event.event.as_str() {
            "room_started" => self.renew(&room, Some(store::active())).await?,
            "participant_joined" => self.renew(&room, None).await?,
            "room_finished" => self.closed(&room).await?,
            _ => false,
        };
        let ignored = if done { "" } else { ", ignored" };
        Ok(HttpAnswer::empty(StatusCode::OK).note(format!("{} {} {}{ignored}", event.event, room.name, room.sid)))
    }

    /// LiveKit signs the hash of the body with the secret that it shares with us, for some minutes.
    fn verify_webhook(&self) -> Result<(), ApiFailure> {
        let unauthorized = |text: &str| refused(StatusCode::UNAUTHORIZED, text);
        let token = self.authorization().ok_or_else(|| unauthorized("Missing Authorization header"))?;
        let token = token.strip_prefix("Bearer ").unwrap_or(token);
        // LiveKit's words echo the token.
        let claims = self.nests.media.issuer().verify(token, self.nests.clock.now_s());
        let claims = claims.map_err(|_| unauthorized("Invalid webhook signature"))?;
        if claims.exp.is_none() {
            return Err(unauthorized("Webhook signature never expires"));
        }
        if STANDARD.decode(&claims.sha256).ok().as_deref() != Some(Sha256::digest(&self.body).as_slice()) {
            return Err(unauthorized("Webhook signature is for another body"));
        }
        Ok(())
    }

    /// The present room of a nest lives: so does its record.
    async fn renew(&self, room: &WebhookRoom, status: Option<String>) -> Result<bool, ApiFailure> {
        let Some(record) = self.nests.store.get(&room.name).await? else { return Ok(false) };
        if self.nests.media.find(&room.name).await?.is_none_or(|live| live.sid != room.sid) {
            return Ok(false);
        }
        match status.filter(|status| record.status != *status) {
            Some(status) => self.set_status(&record, status).await,
            None => Ok(self.nests.store.renew(&room.name).await.map(|()| true)?),
        }
    }

    /// A room has closed. If there is another, or one is being made, it was the old one.
    async fn closed(&self, room: &WebhookRoom) -> Result<bool, ApiFailure> {
        // Read first, so that a restart in the meantime makes the write fail.
        let Some(record) = self.nests.store.get(&room.name).await? else { return Ok(false) };
        if self.nests.store.restart_unfinished(&room.name).await? || self.nests.media.find(&room.name).await?.is_some()
        {
            return Ok(false);
        }
        self.set_status(&record, INACTIVE.into()).await
    }

    async fn set_status(&self, record: &Record, status: String) -> Result<bool, ApiFailure> {
        Ok(self.nests.store.replace(record, &Record { status, ..record.clone() }).await?)
    }
}
