//! What it takes to get in at one endpoint, as often as needed.

use tokio::time::Instant;

use super::check::Tools;
use super::dial::{self, Connection, Failed, Patience};
use super::endpoint::Candidate;
use super::signal::{self, Session};
use crate::secret::Secret;

/// An endpoint, and a token that may be shown there.
#[derive(Clone, Copy)]
pub(super) struct Door<'a> {
    pub candidate: &'a Candidate,
    pub token: &'a Secret,
    pub tools: &'a Tools<'a>,
    pub patience: Patience,
    /// For everything after the join.
    pub until: Instant,
}

impl Door<'_> {
    /// Connects.
    pub async fn dial(&self) -> Result<Connection, Failed> {
        let begun = match self.tools.ahead {
            Some(ahead) => ahead.take(self.candidate).await,
            None => None,
        };
        let connection = match begun {
            Some(done) => done?,
            None => dial::connect(self.candidate, self.tools.tls, self.patience).await?,
        };
        self.tools.reporter.detail(2, &format!("{} is {}", self.candidate.as_str(), connection.peer));
        Ok(connection)
    }

    /// Joins without audio.
    pub async fn join(&self, connection: Connection) -> Result<Session, Failed> {
        let Self { candidate, token, tools, patience, .. } = *self;
        signal::join(connection, candidate, token, patience, tools.clock).await
    }

    /// Joins and says `first`, which is an offer; servers that do not know this way are asked in the older one.
    #[cfg(feature = "media")]
    pub async fn join_offering(
        &self,
        connection: Connection,
        first: &[livekit_protocol::signal_request::Message],
    ) -> Result<Session, Failed> {
        use super::dial::Cause;
        use super::signal::{Shape, join_as};

        let Self { candidate, token, tools, patience, .. } = *self;
        let joining =
            |shape, connection| join_as(shape, first.to_vec(), connection, candidate, token, patience, tools.clock);
        match joining(Shape::Single, connection).await {
            Err(Failed { cause: Cause::Refused { status: 400..=499, refusal: None }, .. }) => {
                joining(Shape::Older, self.dial().await?).await
            }
            done => done,
        }
    }
}
