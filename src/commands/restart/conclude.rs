//! What the API's last answer means, and what there is to find out when it does not say.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;

use super::attempt::{Outcome, Progress, Sender};
use super::walk::Walk;
use super::{Restarted, look};
use crate::api::{self, Base, answer};
use crate::clock;
use crate::commands::{Error, sight};
use crate::key::HostKey;
use crate::livekit::token;
use crate::reporter::Step;
use crate::room::RoomRef;
use crate::secret::{Secret, scrub};

/// What asking further may take after a failure.
pub(super) const LOOK_LIMIT: Duration = Duration::from_secs(2);

impl Walk<'_> {
    /// What the last answer means, and what else there is to find out.
    pub async fn conclude(
        &self,
        room: &RoomRef,
        api: &Base,
        sender: &Sender<'_>,
        outcome: Outcome,
        was_running: Option<bool>,
    ) -> Result<Restarted, Error> {
        let url = api.room(&room.id, "/restart");
        let key = sender.key;
        if answer::is_unanswered(&outcome.reply) {
            return self.look_afterwards(room, api, sender, outcome, was_running).await;
        }
        let reply = outcome.reply.map_err(api::Error::from)?;
        let error = match answer::session(&reply, &url, &room.id) {
            Ok((session, token)) => {
                let message = scrub(&session.message.unwrap_or_default()).into_owned();
                let endpoints = session.endpoints.iter().map(|text| scrub(text).into_owned()).collect();
                let restarted = Restarted { endpoints, message, ..blank(api, room) };
                let attempts = outcome.attempts;
                return Ok(Restarted { attempts, warnings: outcome.warnings, ..with_token(restarted, token, key) });
            }
            Err(error) => sender.blamed(error),
        };
        match error {
            api::Error::Forbidden { .. } => {
                let info = sight::record(self.client, api, &room.id, LOOK_LIMIT).await;
                let host = info.and_then(|info| nostr::PublicKey::from_hex(&info.host).ok());
                Err(Error::NotHost { you: key.public_key(), host, asked: true })
            }
            source @ api::Error::Server { status: 500.., .. } => {
                let seen = look::around(self.client, api, &room.id, LOOK_LIMIT).await;
                Err(Error::Server { source, attempts: outcome.attempts, seen })
            }
            error @ api::Error::Unauthorized { .. } if sender.shift_s() != 0 => Err(Error::NotRestarted(error)),
            other if sender.progress() < Progress::MayBeDone => Err(Error::NotRestarted(other)),
            other => Err(other.into()),
        }
    }

    /// The answer is missing: looks whether the restart happened, and fetches the token if there is proof.
    async fn look_afterwards(
        &self,
        room: &RoomRef,
        api: &Base,
        sender: &Sender<'_>,
        outcome: Outcome,
        was_running: Option<bool>,
    ) -> Result<Restarted, Error> {
        let why = match &outcome.reply {
            Ok(reply) => format!("the gateway gave up waiting (status {})", reply.status),
            Err(lost) => lost.to_string(),
        };
        self.reporter.step(room.id.as_str(), Step::Look);
        self.reporter.detail(1, &format!("{why}; looking whether it was restarted"));
        if !look::proof(self.client, api, &room.id, was_running, outcome.sent_ms).await {
            return Err(Error::Unknown { why });
        }
        let url = api.room(&room.id, "");
        let fetched = sender.send(api, &Method::GET, &url).await.map_err(Arc::new)?.reply;
        let token = fetched.map_err(api::Error::from).and_then(|reply| answer::fresh_token(&reply, &url));
        let restarted = with_token(blank(api, room), token.map_err(Error::NoToken)?, sender.key);
        let warning = format!("{why}, but the nest was restarted; the token was fetched afterwards");
        self.reporter.warning(&warning);
        let message = "The answer was lost; the nest was seen to have been restarted".into();
        let warnings = outcome.warnings.into_iter().chain([warning]).collect();
        Ok(Restarted { message, attempts: outcome.attempts, warnings, ..restarted })
    }
}

pub(super) fn blank(api: &Base, room: &RoomRef) -> Restarted {
    Restarted {
        room_id: room.id.to_string(),
        endpoints: Vec::new(),
        token: None,
        message: String::new(),
        api: api.to_string(),
        host: None,
        attempts: 0,
        elapsed_ms: 0,
        expires_at: None,
        closes_at: None,
        warnings: Vec::new(),
        published: None,
        check: None,
        sid_before: None,
    }
}

fn with_token(restarted: Restarted, token: Secret, key: &HostKey) -> Restarted {
    let exp = token::decode(token.expose()).ok().and_then(|claims| claims.exp);
    let expires_at = exp.and_then(|seconds| clock::rfc3339(seconds.saturating_mul(1000)));
    Restarted { expires_at, token: Some(token), host: Some(key.public_key().to_hex()), ..restarted }
}
