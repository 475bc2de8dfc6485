//! The port to the media server. Its two adapters pass one contract test.

use async_trait::async_trait;
use livekit_protocol::{CreateRoomRequest, ParticipantInfo, Room};

use super::BackendError;
use super::token::Issuer;

pub(super) mod embedded;
mod livekit;

pub use embedded::EmbeddedSettings;
pub(super) use embedded::{Embedded, seconds};
pub use livekit::{Livekit, LivekitConfig};

/// The media server in a [`BackendError`].
pub(super) const NAME: &str = "media server";

/// Rooms of a LiveKit server, in LiveKit's own types.
#[async_trait]
pub trait MediaServer: Send + Sync {
    /// Where clients find it, as the operator configured it: `ws://host:port`.
    fn url(&self) -> &str;
    /// The key whose tokens it accepts.
    fn issuer(&self) -> &Issuer;
    /// Creates a room; timeouts of zero are the server's own. One that lives is handed back as it is.
    async fn create(&self, room: &CreateRoomRequest) -> Result<Room, BackendError>;
    /// Deletes a room and disconnects whoever is inside; whether there was one.
    async fn delete(&self, name: &str) -> Result<bool, BackendError>;
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
