//! `POST /:id/permissions`.

use hyper::StatusCode;
use serde_json::Value;

use super::{ApiFailure, ApiRequest, refused, validate};
use crate::api::wire::Permissions;
use crate::server::answer::HttpAnswer;

/// How often a change starts over because the record was changed at the same moment.
const ATTEMPTS: usize = 10;

impl ApiRequest {
    /// 201 when the record has changed, 204 when it already was so.
    pub(super) async fn permissions(&self, signer: &str, body: &Value) -> Result<HttpAnswer, ApiFailure> {
        let wanted = validate::permissions(body).map_err(|text| refused(StatusCode::BAD_REQUEST, text))?;
        let changed = self.change(signer, &wanted).await?;
        let status = if changed { StatusCode::CREATED } else { StatusCode::NO_CONTENT };
        let note = self.tell_media(&wanted).await.err().unwrap_or_default();
        Ok(HttpAnswer::empty(status).note(note))
    }

    /// Changes the record if that is necessary; whether it was.
    async fn change(&self, signer: &str, wanted: &Permissions) -> Result<bool, ApiFailure> {
        for _ in 0..ATTEMPTS {
            let record = self.record().await?;
            let is_host = record.host == signer;
            if !is_host && !record.admins.iter().any(|admin| admin == signer) {
                return Err(refused(StatusCode::FORBIDDEN, "Insufficient permissions"));
            }
            if wanted.is_admin.is_some() && !is_host {
                return Err(refused(StatusCode::FORBIDDEN, "Only host can manage admin permissions"));
            }
            let (mut new, who) = (record.clone(), &wanted.participant);
            let speakers_changed = wanted.can_publish.is_some_and(|listed| list(&mut new.speakers, who, listed));
            let admins_changed = wanted.is_admin.is_some_and(|listed| list(&mut new.admins, who, listed));
            if !speakers_changed && !admins_changed {
                return Ok(false);
            }
            if self.nests.store.replace(&record, &new).await? {
                return Ok(true);
            }
        }
        Err(ApiFailure::Unavailable("the record changes all the time".into()))
    }

    /// Has LiveKit do the same for somebody who is in the room already. If it does not, that is for the log only: the
    /// record counts.
    async fn tell_media(&self, wanted: &Permissions) -> Result<(), String> {
        let media = &self.nests.media;
        let (room, who) = (&self.id, &wanted.participant);
        if let Some(can_publish) = wanted.can_publish {
            media.permit(room, who, can_publish).await.map_err(|e| e.to_string())?;
        }
        if let Some(muted) = wanted.mute_microphone {
            media.mute(room, who, muted).await.map_err(|e| e.to_string())?;
        }
        Ok(())
    }
}

/// Puts `who` on a list or takes it off; whether that changed anything.
fn list(list: &mut Vec<String>, who: &str, listed: bool) -> bool {
    let before = list.len();
    list.retain(|key| key != who);
    if listed {
        list.push(who.to_owned());
    }
    list.len() != before
}
