//! What it takes to get in at one endpoint, as often as needed.

use livekit_protocol::signal_request::Message as Request;
use tokio::time::{Instant, timeout_at};

use super::check::Tools;
use super::dial::{self, Cause, Connection, Failed, Layer, Patience};
use super::endpoint::Candidate;
use super::signal::{Session, Shape, join_as};
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
    /// Connects, if that was not done ahead.
    pub async fn dial(&self) -> Result<Connection, Failed> {
        let ahead = async { self.tools.ahead?.take(self.candidate).await };
        match timeout_at(self.patience.until, ahead).await {
            Ok(Some(done)) => done.inspect(|connection| self.tell(connection)),
            // Where it has used up all the time, there is none for another.
            Ok(None) | Err(_) => self.connect().await,
        }
    }

    async fn connect(&self) -> Result<Connection, Failed> {
        let connected = dial::connect(self.candidate, self.tools.tls, self.patience).await;
        connected.inspect(|connection| self.tell(connection))
    }

    fn tell(&self, connection: &Connection) {
        self.tools.reporter.detail(2, &format!("{} is {}", self.candidate.as_str(), connection.peer));
    }

    /// Joins without audio.
    pub async fn join(&self, connection: Connection) -> Result<Session, Failed> {
        self.join_as(Shape::Signal, &[], connection).await
    }

    /// Joins and says `first`, which is an offer; servers that do not know this way are asked in the older one.
    #[cfg(feature = "media")]
    pub async fn join_offering(&self, connection: Connection, first: &[Request]) -> Result<Session, Failed> {
        match self.join_as(Shape::Single, first, connection).await {
            Err(Failed { cause: Cause::Refused { status: 400..=499, refusal: None }, .. }) => {
                self.join_as(Shape::Older, first, self.connect().await?).await
            }
            done => done,
        }
    }

    /// On a connection that was closed before anything was said, nobody has been asked.
    async fn join_as(&self, shape: Shape, first: &[Request], connection: Connection) -> Result<Session, Failed> {
        let Self { candidate, token, tools, patience, .. } = *self;
        let joining = |connection| join_as(shape, first.to_vec(), connection, candidate, token, patience, tools.clock);
        let ahead = connection.ahead;
        match joining(connection).await {
            Err(Failed { layer: Layer::WebSocket, cause: Cause::Broken(_), .. }) if ahead => {
                joining(self.connect().await?).await
            }
            done => done,
        }
    }
}
