//! What helps where a restart leaves the old room as it was: everybody is removed from it, so that it closes.
//!
//! ```text
//! 1  restart   the server says that it has restarted the nest, and LiveKit still runs RM_a
//! 2  person    is asked, and hears how many people will be out, and for how long
//! 3  LiveKit   removes everybody, by the host's token
//! 4  wait      RM_a closes after its departure timeout; whoever comes back meanwhile is removed again
//! 5  restart   there is no room to be handed out again: RM_b, which is proven like every other
//! ```

use std::sync::Arc;
use std::time::Duration;

use livekit_protocol::{ParticipantInfo, UpdateRoomMetadataRequest};
use tokio::time::{Instant, sleep};

use super::flow::{Ready, RoomRestart};
use super::proof::LIMIT;
use super::{Restarted, RoomAfter};
use crate::api::SignedClient;
use crate::api::wire::Info;
use crate::commands::{Error, HalfDone, check};
use crate::livekit::endpoint::Candidate;
use crate::livekit::room_service::{RoomAnswer, RoomService};
use crate::reporter::{Question, Stage, Warning};

/// How often LiveKit is asked whether the room has closed.
const PAUSE: Duration = Duration::from_millis(500);

/// LiveKit looks for empty rooms every few seconds, and somebody who comes back may have to be removed again.
const SLACK: Duration = Duration::from_secs(20);

impl RoomRestart<'_> {
    /// The restart after the old room has closed, and when it was carried out; `None` where it has not: nobody is inside,
    /// it was not wanted, or LiveKit does not do it, of which is warned.
    ///
    /// # Errors
    /// Those of the second restart.
    pub(super) async fn evicted(
        &self,
        client: &SignedClient<'_>,
        nest: &Ready,
        info: Option<&Info>,
        restarted: &Restarted,
    ) -> Result<Option<(Restarted, check::RestartTimes)>, Error> {
        let Some(old) = &restarted.room else { return Ok(None) };
        match self.close(nest, info, restarted, old).await {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            Err(why) => {
                self.reporter.warn(Warning::NotEvicted { why });
                return Ok(None);
            }
        }
        let sent = client.restart(&self.room.id).await;
        let sent = sent.map_err(|error| HalfDone::Evicted.unless_signed(Arc::new(error).into()))?;
        let times = check::RestartTimes::of(&sent);
        let after = self.conclude(client, nest, sent).await?;
        let after = Restarted { sid_before: Some(old.sid.clone()), warnings: restarted.warnings.clone(), ..after };
        self.note_done(Some(&after));
        Ok(Some((after, times)))
    }

    /// Whether the old room was closed; why it was not, if that was wanted.
    async fn close(
        &self,
        nest: &Ready,
        info: Option<&Info>,
        restarted: &Restarted,
        old: &RoomAfter,
    ) -> Result<bool, String> {
        let out_s = old.closes_after_s.unwrap_or_default();
        let candidates = self.candidates(&nest.target, &restarted.endpoints);
        let (service, mut inside) = self.inside(&candidates, restarted).await?;
        let people = inside.len();
        if self.request.yes {
            self.reporter.warn(Warning::Evicting { people, out_s });
        } else if self.reporter.confirm(Question::Evict { people, out_s }).await != Some(true) {
            return Ok(false);
        }
        // From here on an interruption leaves a nest behind that is not restarted, and will be dead.
        self.note_done(None);
        self.reporter.step(Stage::Evict);
        let room = self.room.id.as_str();
        let same = UpdateRoomMetadataRequest { room: room.into(), metadata: self.metadata(nest, info) };
        let until = Instant::now() + Duration::from_secs(out_s.into()) + SLACK;
        loop {
            for someone in &inside {
                service.remove(room, &someone.identity).await.map_err(|error| error.to_string())?;
            }
            sleep(PAUSE).await;
            if let Ok(RoomAnswer { room, .. }) = service.update_metadata(&same).await
                && room.is_none_or(|room| room.sid != old.sid)
            {
                return Ok(true);
            }
            if Instant::now() > until {
                return Err("everybody was removed, and the old room has not closed in time".into());
            }
            // Without an answer nobody can be removed for now.
            inside = service.participants(room).await.unwrap_or_default();
        }
    }

    /// The LiveKit that has people of this nest, and who they are.
    async fn inside<'a>(
        &'a self,
        candidates: &'a [Candidate],
        restarted: &'a Restarted,
    ) -> Result<(RoomService<'a>, Vec<ParticipantInfo>), String> {
        let token = restarted.token.as_ref().ok_or("there is no token to ask LiveKit with")?;
        let mut why = "nobody says where its LiveKit is".to_owned();
        for candidate in candidates.iter().filter(|it| it.takes(true)) {
            let service = RoomService { http: self.job.client.http(), candidate, token, limit: LIMIT };
            match service.participants(self.room.id.as_str()).await {
                Ok(people) if !people.is_empty() => return Ok((service, people)),
                Ok(_) => why = "nobody is inside".into(),
                Err(error) => why = format!("{}: {error}", candidate.as_str()),
            }
        }
        Err(why)
    }
}
