//! One more restart after a check that has joined an empty nest and left it: the room that it has left would close after
//! the departure timeout (a minute), a new one lives as long as any empty nest (half an hour).
//!
//! ```text
//! 1  restart     RM_a → RM_b, with proof
//! 2  check       joins RM_b and leaves it: it closes a minute later
//! 3  LiveKit     is asked whether anybody is inside: whoever is would be thrown out, and keeps the room open anyway
//! 4  restart     RM_b → RM_c, once and without repetition: by then somebody might have come
//! 5  LiveKit     is asked for the room: RM_c is the one that stays
//! ```

use std::future::ready;

use futures_util::future::join;

use super::flow::{Ready, RoomRestart};
use super::{RestartProof, Restarted};
use crate::api::SignedClient;
use crate::commands::{Error, check};
use crate::livekit::{CheckReport, Verdict};
use crate::reporter::{Stage, Warning};

impl RoomRestart<'_> {
    /// Renews a nest that the check has proven joinable and left empty. Where the server's restart is not proven real,
    /// when the nest closes is all that can be said.
    ///
    /// # Errors
    /// [`Error::Unhealthy`] if the nest has lost its room over it, or may have.
    pub(super) async fn renewed(
        &self,
        client: &SignedClient<'_>,
        nest: &Ready,
        mut restarted: Restarted,
    ) -> Result<Restarted, Error> {
        let Some(report) = &restarted.check else { return Ok(restarted) };
        let Some(closes_ms) = report.closes_at_ms else { return Ok(restarted) };
        if report.verdict != Verdict::Joinable || restarted.proof != Some(RestartProof::Fresh) {
            return Ok(restarted);
        }
        let not_renewed = |why: String| self.reporter.warn(Warning::NotRenewed { why, closes_ms });
        match self.is_empty(&restarted, report).await {
            Ok(true) => {}
            Ok(false) => {
                restarted.outlives_check();
                restarted.closes_at = None;
                return Ok(restarted);
            }
            Err(why) => {
                not_renewed(why);
                return Ok(restarted);
            }
        }
        let client = client.without_retries();
        let info = self.prepare_proof(&nest.target, true);
        let (sent, info) = join(Box::pin(client.restart(&self.room.id)), info).await;
        let sent = match sent {
            Ok(sent) => sent,
            Err(error) => {
                not_renewed(error.to_string());
                return Ok(restarted);
            }
        };
        let window = check::RestartTimes::of(&sent).here;
        let checked = report.room.as_ref().map(|room| room.sid.clone());
        let before = Restarted { sid_before: checked, told: None, closes_at: None, ..restarted.clone() };
        let (after, failed) = match sent.result {
            Ok((session, token)) => (before.with_session(session, token), None),
            Err(error) => (before, Some(error.to_string())),
        };
        let after = self.proven(nest, ready(info), window, after).await;
        if after.proof == Some(RestartProof::OldRoom) {
            not_renewed(failed.unwrap_or_else(|| "the server says that it was, and the room is still the same".into()));
            return Ok(restarted);
        }
        let renewed_as = after.room.as_ref().map(|room| room.sid.clone());
        let mut after = Restarted { renewed_as, sid_before: restarted.sid_before, ..after };
        after.outlives_check();
        match (after.proof, failed) {
            (Some(RestartProof::NoRoom), _) | (Some(RestartProof::Unproven), Some(_)) => {
                Err(Error::Unhealthy(Box::new(self.finished(after))))
            }
            _ => Ok(after),
        }
    }

    async fn is_empty(&self, restarted: &Restarted, report: &CheckReport) -> Result<bool, String> {
        self.reporter.step(Stage::Look);
        let token = restarted.token.as_ref().ok_or("there is no token to ask LiveKit with")?;
        check::was_left_empty(self.job, &self.room.id, token, report).await
    }
}

impl Restarted {
    fn outlives_check(&mut self) {
        if let Some(report) = &mut self.check {
            report.outlived();
        }
    }
}
