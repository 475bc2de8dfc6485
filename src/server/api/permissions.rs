//! `POST /:id/permissions`.

use hyper::StatusCode;
use serde_json::Value;

use super::{Ask, Failure, bad_request, forbidden, validate};
use crate::api::wire::Permissions;
use crate::server::answer::Answer;

/// How often a change starts over because the record was changed at the same moment.
const ATTEMPTS: usize = 10;

impl Ask {
    /// 201 when the record changed, 204 when it did not.
    pub(super) async fn permissions(&self, signer: &str, body: &Value) -> Result<Answer, Failure> {
        let wanted = validate::permissions(body).map_err(bad_request)?;
        let changed = self.change(signer, &wanted).await?;
        let status = if changed { StatusCode::CREATED } else { StatusCode::NO_CONTENT };
        let note = self.tell_media(&wanted).await.err().unwrap_or_default();
        Ok(Answer::empty(status).note(note))
    }

    /// Changes the record; whether that was necessary.
    async fn change(&self, signer: &str, wanted: &Permissions) -> Result<bool, Failure> {
        for _ in 0..ATTEMPTS {
            let record = self.record().await?;
            let is_host = record.host == signer;
            if !is_host && !record.admins.iter().any(|admin| admin == signer) {
                return Err(forbidden("Insufficient permissions"));
            }
            if wanted.is_admin.is_some() && !is_host {
                return Err(forbidden("Only host can manage admin permissions"));
            }
            let (mut new, who) = (record.clone(), &wanted.participant);
            let speaks = wanted.can_publish.is_some_and(|listed| list(&mut new.speakers, who, listed));
            let runs = wanted.is_admin.is_some_and(|listed| list(&mut new.admins, who, listed));
            if !speaks && !runs {
                return Ok(false);
            }
            if self.nests.store.replace(&record, &new).await? {
                return Ok(true);
            }
        }
        Err(Failure::Unavailable("the record changes all the time".into()))
    }

    /// Lets those who are in the room feel it at once. What the media server says about it is for the log only: the
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
