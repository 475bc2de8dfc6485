//! `POST /:id/permissions`.

use hyper::StatusCode;
use serde_json::Value;

use super::answer::Answer;
use super::api::{Ask, Failure, bad_request, forbidden};
use super::validate;
use crate::api::wire::Permissions;

impl Ask {
    /// 201 when the record changed, 204 when it did not.
    pub(super) async fn permissions(&self, signer: &str, body: &Value) -> Result<Answer, Failure> {
        let wanted = validate::permissions(body).map_err(bad_request)?;
        let mut record = self.record().await?;
        let is_host = record.host == signer;
        if !is_host && !record.admins.iter().any(|admin| admin == signer) {
            return Err(forbidden("Insufficient permissions"));
        }
        if wanted.is_admin.is_some() && !is_host {
            return Err(forbidden("Only host can manage admin permissions"));
        }
        let who = &wanted.participant;
        let speaks = wanted.can_publish.is_some_and(|listed| list(&mut record.speakers, who, listed));
        let runs = wanted.is_admin.is_some_and(|listed| list(&mut record.admins, who, listed));
        if speaks || runs {
            self.app.store.put(&record).await?;
        }
        let status = if speaks || runs { StatusCode::CREATED } else { StatusCode::NO_CONTENT };
        let note = self.tell_media(&wanted).await.err().unwrap_or_default();
        Ok(Answer::empty(status).note(note))
    }

    /// Lets those who are in the room feel it at once. What the media server says about it is for the log only: the
    /// record counts.
    async fn tell_media(&self, wanted: &Permissions) -> Result<(), String> {
        let media = self.media().map_err(|_| "media server is down")?;
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
