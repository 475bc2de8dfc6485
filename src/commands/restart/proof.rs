//! Whether the room that runs after a restart is a new one: LiveKit is asked for it with the host's fresh token, and
//! nobody joins.
//!
//! The answer to the only question that tells it (`UpdateRoomMetadata`) comes at the price of writing the metadata, so it
//! is asked after a restart only, and with what the API itself writes there. `restartedAt` is left out: what counts is
//! when the room was created, and an old room must not be dated anew.

use std::time::Duration;

use futures_util::future::{join, join_all};
use livekit_protocol::{Room, UpdateRoomMetadataRequest};
use serde::Serialize;
use serde_json::json;

use super::Restarted;
use super::flow::{Ready, RoomRestart};
use crate::api::wire::Info;
use crate::clock::{Clock, rfc3339};
use crate::commands::target::Target;
use crate::livekit::endpoint::{Candidate, Source};
use crate::livekit::room_service::{RoomAnswer, RoomService, RoomServiceError};
use crate::livekit::signal::Reading;
use crate::livekit::{CheckReport, Finding, RestartWindow, fresh, validate};
use crate::reporter::{Stage, Warning};

/// What finding it out may take.
pub(super) const LIMIT: Duration = Duration::from_secs(1);

/// Whether the room that runs after a restart is a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum RestartProof {
    /// It was created after the restart was asked for.
    Fresh,
    /// It was there before: nothing was restarted, whatever the API says.
    OldRoom,
    /// There is none, whatever the API says.
    NoRoom,
    /// That is not known.
    Unproven,
}

impl RestartProof {
    /// What the connection check has found out about it.
    pub(super) fn of_check(report: &CheckReport) -> Self {
        let freshness = report.steps.iter().find_map(|step| match &step.finding {
            Finding::Freshness { verdict, .. } => Some(verdict),
            Finding::NoSuchRoom(_) => Some(&fresh::FreshnessVerdict::OurOwn),
            _ => None,
        });
        match freshness {
            Some(fresh::FreshnessVerdict::Fresh(_)) => Self::Fresh,
            Some(fresh::FreshnessVerdict::Old(_)) => Self::OldRoom,
            Some(fresh::FreshnessVerdict::OurOwn) => Self::NoRoom,
            _ => Self::Unproven,
        }
    }
}

/// The room that was found after a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomAfter {
    pub sid: String,
    /// In milliseconds since the Unix epoch, by the media server's clock.
    pub created_ms: i64,
    /// Seconds until it closes once everybody has left it, where that is known.
    pub closes_after_s: Option<u32>,
    /// Whether nobody was inside, as far as LiveKit lists it.
    pub empty: bool,
}

impl RoomRestart<'_> {
    /// What the question needs, while the restart is on its way: what the API writes on its rooms, and connections to
    /// media servers on other hosts than the API's, whose own connection is there already.
    pub(super) async fn prepare_proof(&self, target: &Target, wanted: bool) -> Option<Info> {
        if !wanted {
            return None;
        }
        let candidates = self.candidates(target, &[]);
        let elsewhere = candidates.iter().filter(|candidate| candidate.url.host_str() != target.api.url().host_str());
        let http = self.job.client.http();
        // Without a token it refuses, over a connection that stays.
        let connect = elsewhere.map(|candidate| validate::ask(http, candidate, None, LIMIT, Clock::default()));
        // Without its answer there is still something to ask with.
        let info = self.job.probe(&target.api).within(LIMIT / 2);
        join(info.info(&self.room.id), join_all(connect)).await.0.result.ok()
    }

    /// Asks LiveKit for the room; `info` comes from [`Self::prepare_proof`].
    pub(super) async fn proven(
        &self,
        ready: &Ready,
        info: impl Future<Output = Option<Info>>,
        restart: RestartWindow,
        mut restarted: Restarted,
    ) -> Restarted {
        // An API that knows both rooms has looked itself: nothing need be asked.
        if let Some(told) = restarted.told.as_ref().filter(|told| told.sid_before.as_ref() != Some(&told.sid)) {
            ready.remember(&told.sid, None, self.reporter);
            let (sid, created_ms) = (told.sid.clone(), told.created_at_ms);
            let room = RoomAfter { sid, created_ms, closes_after_s: None, empty: false };
            (restarted.room, restarted.proof) = (Some(room), Some(RestartProof::Fresh));
            return restarted;
        }
        self.reporter.step(Stage::Look);
        let asked = tokio::time::timeout(LIMIT, self.ask(ready, info, &restarted)).await;
        let asked = asked.unwrap_or(Err(RoomServiceError::TimedOut(LIMIT).to_string()));
        let proof = match asked {
            Ok(RoomAnswer { room: None, .. }) => RestartProof::NoRoom,
            Ok(RoomAnswer { room: Some(room), clock }) => {
                let before = restarted.sid_before.as_ref().map(|before| *before == room.sid);
                let created_since = fresh::created_since(created_ms(&room), clock, restart.sent_ms);
                let proof = match (before, created_since) {
                    (Some(true), _) | (_, Some(false)) => RestartProof::OldRoom,
                    (_, Some(true)) | (Some(false), None) => RestartProof::Fresh,
                    (None, None) => RestartProof::Unproven,
                };
                self.found(ready, &room, proof, &mut restarted);
                proof
            }
            Err(why) => {
                self.doubt(why);
                RestartProof::Unproven
            }
        };
        restarted.proof = Some(proof);
        restarted
    }

    pub(super) fn doubt(&self, why: String) {
        self.reporter.warn(Warning::Unproven { nest: self.room.name.clone(), why });
    }

    fn found(&self, ready: &Ready, room: &Room, proof: RestartProof, restarted: &mut Restarted) {
        if proof == RestartProof::Unproven {
            self.doubt("the clocks are not exact enough to tell whether its room is new".into());
        } else {
            ready.remember(&room.sid, None, self.reporter);
        }
        if proof == RestartProof::Fresh && room.num_participants == 0 {
            restarted.closes_at = rfc3339(created_ms(room).saturating_add(i64::from(room.empty_timeout) * 1000));
        }
        restarted.room = Some(RoomAfter {
            sid: room.sid.clone(),
            created_ms: created_ms(room),
            closes_after_s: Some(room.departure_timeout),
            empty: room.num_participants == 0,
        });
    }

    /// Asks where the host's token may be sent, until somebody knows the question.
    async fn ask(
        &self,
        ready: &Ready,
        info: impl Future<Output = Option<Info>>,
        restarted: &Restarted,
    ) -> Result<RoomAnswer, String> {
        let token = restarted.token.as_ref().ok_or("there is no token to ask LiveKit with")?;
        let request = UpdateRoomMetadataRequest {
            room: self.room.id.to_string(),
            metadata: self.metadata(ready, info.await.as_ref()),
        };
        let mut why = None;
        for candidate in self.candidates(&ready.target, &restarted.endpoints).iter().filter(|it| it.takes(true)) {
            let service = RoomService { http: self.job.client.http(), candidate, token, limit: LIMIT };
            let failed = match service.update_metadata(&request).await {
                // Nobody has named this place: another LiveKit may be there.
                Ok(RoomAnswer { room: None, .. }) if candidate.source == Source::Usual => {
                    format!("{} has no such room", candidate.as_str())
                }
                Ok(answer) => return Ok(answer),
                Err(error) => format!("{}: {error}", candidate.as_str()),
            };
            // The first was named by the API, the last is a guess.
            why.get_or_insert(failed);
        }
        Err(why.unwrap_or_else(|| "nobody says where its LiveKit is".into()))
    }

    /// What the API writes on its rooms, as far as it is known.
    pub(super) fn metadata(&self, ready: &Ready, info: Option<&Info>) -> String {
        let host = info.map_or_else(|| ready.key.public_key().to_hex(), |info| info.host.clone());
        let mut metadata = json!({ "nestId": self.room.id.as_str(), "host": host });
        let event = ready.target.event.as_ref().map(|event| event.event.relays());
        let relays = event.filter(|relays| !relays.is_empty()).unwrap_or_else(|| self.room.relays.clone());
        if !relays.is_empty() {
            metadata["relays"] = json!(relays);
        }
        if let Some(info) = info {
            metadata["createdAt"] = info.created_at.into();
        }
        metadata.to_string()
    }

    pub(super) fn candidates(&self, target: &Target, returned: &[String]) -> Vec<Candidate> {
        self.job.candidates(returned, target.event.as_ref(), &target.api)
    }
}

fn created_ms(room: &Room) -> i64 {
    Reading::of(room.creation_time_ms, room.creation_time).map_or(0, |created| created.ms)
}
