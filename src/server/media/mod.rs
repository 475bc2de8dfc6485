//! The port to the media server. Its two adapters pass one contract test.

use std::time::Duration;

use async_trait::async_trait;
use livekit_protocol::{ParticipantInfo, Room};

use super::BackendError;
use super::token::Issuer;

mod embedded;
mod livekit;
pub(super) mod signal;

pub(super) use embedded::Embedded;
pub use embedded::EmbeddedSettings;
pub use livekit::{Livekit, LivekitConfig};

/// The media server in a [`BackendError`].
pub(super) const NAME: &str = "media server";

/// A room to be created.
#[derive(Clone, Debug, Default)]
pub struct NewRoom {
    /// The id of the nest, which is the name of its room.
    pub name: String,
    /// How long it stays while nobody was ever in it (whole seconds; zero: the server's default).
    pub empty_timeout: Duration,
    /// How long it stays once the last one has left (whole seconds; zero: the server's default).
    pub departure_timeout: Duration,
    /// How many get in; zero: no limit.
    pub max_participants: u32,
    /// What the nest says of itself: JSON as text.
    pub metadata: String,
}

/// Rooms of a LiveKit server, in LiveKit's own types.
#[async_trait]
pub trait MediaServer: Send + Sync {
    /// Where clients find it, as the operator configured it: `ws://host:port`.
    fn url(&self) -> &str;
    /// The key whose tokens it accepts.
    fn issuer(&self) -> &Issuer;
    /// Creates a room. One that lives is handed back as it is.
    async fn create(&self, room: &NewRoom) -> Result<Room, BackendError>;
    /// Deletes a room and disconnects whoever is inside; whether there was one.
    async fn delete(&self, name: &str) -> Result<bool, BackendError>;
    /// The room of this name, if there is one at the moment.
    async fn find(&self, name: &str) -> Result<Option<Room>, BackendError>;
    /// Writes the metadata of a room that lives; whether there was one.
    async fn describe(&self, name: &str, metadata: &str) -> Result<bool, BackendError>;
    /// Who is in a room; nobody when there is none.
    async fn participants(&self, name: &str) -> Result<Vec<ParticipantInfo>, BackendError>;
    /// Lets a participant publish, or stops it; whether it was there.
    async fn permit(&self, room: &str, identity: &str, can_publish: bool) -> Result<bool, BackendError>;
    /// Mutes the microphone of a participant, or unmutes it; whether there was one.
    async fn mute(&self, room: &str, identity: &str, muted: bool) -> Result<bool, BackendError>;
}
