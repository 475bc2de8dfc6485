//! What a command can fail with. Text, hints and exit codes are made of it elsewhere.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use nostr::PublicKey;
use nostr::nips::nip01::Coordinate;

use super::check::{Checked, Unavailable};
use super::restart::Restarted;
pub use super::restart::ServerSigns;
use super::stop::Signal;
use crate::moq::auth::AuthError;
use crate::reporter::Progress;
use crate::{api, key, lock, relay, room};

/// Everything that can go wrong, one variant for each case that a caller would treat differently.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text names no nest, or the API address is of no use.
    #[error(transparent)]
    Room(#[from] room::RoomRefError),
    /// Neither the room nor the settings say which API serves it.
    #[error("which server is this nest on?")]
    NoApi,
    /// Relays were asked for the event and none of them has it.
    #[error("no relay that answered has the event of this nest")]
    NoEvent {
        coordinate: Box<Coordinate>,
        /// Whether others had not answered when the time was up.
        silent: bool,
    },
    /// Neither the API nor any relay knows the nest.
    #[error("neither the API nor the relays know this nest")]
    NotKnown,
    /// The API that was named does not have it, and its event names another one.
    #[error("not restarted: this server does not have the nest, and its event names another server")]
    Elsewhere { api: Box<api::ApiUrl> },
    /// The server no longer has it, and its event says that it is over.
    #[error("not restarted: the server no longer has this nest, which is over by its event")]
    Over {
        /// The naddr of another nest of its host that took its place.
        successor: Option<String>,
    },
    /// The API has no record to close, or says that it has deleted it, and still gives out tokens for its audio room.
    #[error("not closed: the API says that this nest is gone, and still lets people into its audio room")]
    StillRuns,
    /// Nobody says whose nests are meant.
    #[error("whose nests?")]
    NoHost,
    /// A nest has to be named, and nobody is there to be asked.
    #[error("which nest?")]
    NoRoom {
        /// There is no key whose nests there would be to choose from.
        keyless: bool,
    },
    /// The host has none that could be chosen.
    #[error("there is no nest to choose")]
    NothingToChoose,
    /// A NIP-05 address leads to nobody.
    #[error("{address} leads to no Nostr key: {why}")]
    Address { address: String, why: String },
    /// The record is still there: a restart would do.
    #[error("the server still has this nest")]
    StillThere,
    /// No relay took the event.
    #[error("no relay took the event")]
    NotPublished {
        refused: Vec<String>,
        /// What was done in spite of that.
        done: Option<Box<Restarted>>,
    },
    /// Relays were asked and did not answer.
    #[error(transparent)]
    Relays(#[from] relay::RelayError),
    /// The nest, whose event this is, needs no audio room: commands that can do without one go on with it.
    #[error("this nest runs on Media over QUIC: it has no record at a Nests API that could be lost")]
    OverQuic(Box<relay::FetchedEvent>),
    /// Neither the event of a nest on Media over QUIC nor its host's list says where it runs.
    #[error("nobody says which media relay and which auth service this nest has")]
    NoServers,
    /// Only an inactive nest was to be restarted, and nobody knows whether this one is.
    #[error("not restarted: whether this nest runs is not known")]
    StateUnknown { why: String },
    /// The auth service of a nest on Media over QUIC gives no token.
    #[error("the auth service gives no token")]
    Auth { auth: String, source: Arc<AuthError> },
    /// A nest on Media over QUIC was not published anew: nobody could join.
    #[error("not restarted: people could not join, so nothing was published")]
    NotRepublished(Box<Checked>),
    /// The room's own URL and the API that was given are of different servers.
    #[error("the room is on {room}, and the API was given as {given}")]
    ApiConflict { room: Box<api::ApiUrl>, given: Box<api::ApiUrl> },
    /// There is nothing to join, or the API does not say.
    #[error("this nest cannot be joined at the moment")]
    Unavailable(Box<Unavailable>),
    /// An endpoint was tried, and people cannot join.
    #[error("this nest is not well")]
    Unjoinable(Box<Checked>),
    /// The text to join a media server with is no token.
    #[error("that is no token")]
    NotAToken,
    /// The address is not that of a media server.
    #[error("that is not the address of a media server")]
    NotAMediaServer,
    /// There is no key, or none that can be used.
    #[error(transparent)]
    Key(#[from] Arc<key::KeyError>),
    /// A remote signer has signed some of it, and then no more.
    #[error("{done}, and what follows was not signed")]
    HalfSigned { done: HalfDone, source: Arc<key::KeyError> },
    /// The key is of somebody else than the host.
    #[error("this key is not the host's")]
    NotHost {
        you: PublicKey,
        /// Whose nest it is, if that is known.
        host: Option<PublicKey>,
        /// Whether the API was asked and answered 403.
        asked: bool,
    },
    /// The API answered something else than what was asked for.
    #[error(transparent)]
    Api(#[from] api::ApiError),
    /// The same, and it is certain that nothing was restarted.
    #[error(transparent)]
    NotRestarted(api::ApiError),
    /// 5xx with what else could be found out about the server.
    #[error("{source}")]
    Server { source: api::ApiError, attempts: u32, signs: Box<ServerSigns> },
    /// The request was sent, and nobody knows whether it was carried out.
    #[error("no answer to the restart: {why}; it was not seen to have happened so far")]
    Unknown { why: String },
    /// The request was sent, its answer was lost, it was carried out, and yet there is no token.
    #[error("the nest was restarted, but its token could not be fetched")]
    NoToken(#[source] api::ApiError),
    /// Another restart of this room has the lock.
    #[error("{source}")]
    Busy { source: lock::LockError, waited: Duration },
    /// A person was asked and did not say yes.
    #[error("not restarted, as you answered")]
    Declined,
    /// The same, about something else than a restart.
    #[error("nothing was done, as you answered")]
    Cancelled,
    /// Something that a person has to confirm, and nobody is there.
    #[error("this has to be confirmed, and nobody is there to be asked")]
    NotConfirmed,
    /// Ctrl-C or SIGTERM, where all that was done can be repeated.
    #[error("interrupted")]
    Stopped(Signal),
    /// Restarted, and it cannot be joined, or the old room still runs.
    #[error("the nest was restarted, but it is not well")]
    Unhealthy(Box<Restarted>),
    /// Ctrl-C or SIGTERM.
    #[error("interrupted")]
    Interrupted {
        signal: Signal,
        /// How far it had come by then.
        progress: Progress,
        /// The restart, if it was done and only the check was interrupted.
        done: Option<Box<Restarted>>,
    },
}

/// What was done before a signer signed no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HalfDone {
    /// And there is no token.
    Restarted,
    /// Everybody is out, the old room has closed, and there is no new one.
    Evicted,
    /// In the API; its event says otherwise.
    Closed,
    /// In the API; its event, or what follows it, is missing.
    Created,
}

impl fmt::Display for HalfDone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Restarted => "the nest was restarted",
            Self::Evicted => "everybody was removed from the old room, which has closed",
            Self::Closed => "the nest was closed in the API",
            Self::Created => "a new nest was created in the API",
        })
    }
}

impl HalfDone {
    /// The error for what could not be signed after that.
    pub(super) fn unless_signed(self, error: Error) -> Error {
        if let Error::Key(source) = error { Error::HalfSigned { done: self, source } } else { error }
    }
}

impl Error {
    /// Whether relays have said that there is no such event.
    pub(crate) fn is_absence(&self) -> bool {
        matches!(self, Self::NoEvent { silent: false, .. })
    }

    /// Whether relays might have said something else if they had had more time.
    pub(crate) fn is_silence(&self) -> bool {
        match self {
            Self::NoEvent { silent, .. } => *silent,
            Self::Relays(relay::RelayError::AllFailed(failed)) => failed.iter().any(relay::FailedRelay::is_silent),
            _ => false,
        }
    }
}
