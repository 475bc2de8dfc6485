//! What a command can fail with. Text, hints and exit codes are made of it elsewhere.

use std::sync::Arc;
use std::time::Duration;

use nostr::PublicKey;
use nostr::nips::nip01::Coordinate;

use super::restart::{Progress, Restarted};
use super::stop::Signal;
use crate::{api, key, lock, relay, room};

/// Everything that can go wrong, one variant for each case that a caller would treat differently.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text names no nest, or the API address is of no use.
    #[error(transparent)]
    Room(#[from] room::Error),
    /// Neither the room nor the settings say which API serves it.
    #[error("which server is this nest on?")]
    NoApi,
    /// Relays were asked for the event and none of them has it.
    #[error("no relay that answered has the event of this nest")]
    NoEvent {
        /// The event's address.
        coordinate: Box<Coordinate>,
    },
    /// Relays were asked and did not answer.
    #[error(transparent)]
    Relays(#[from] relay::Error),
    /// The nest needs no audio room: its event alone makes it live.
    #[error("this nest runs on Media over QUIC: there is no audio room to restart")]
    MediaOverQuic {
        /// Its media relay.
        relay: String,
    },
    /// The room's own URL and the `--api` that was given are of different servers.
    #[error("the room is on {room}, and the API was given as {given}")]
    ApiConflict {
        /// From the room.
        room: Box<api::Base>,
        /// From the flag.
        given: Box<api::Base>,
    },
    /// No usable key.
    #[error(transparent)]
    Key(#[from] Arc<key::Error>),
    /// The key is of somebody else than the host.
    #[error("this key is not the host's")]
    NotHost {
        /// Whose key it is.
        you: PublicKey,
        /// Whose nest it is, if that is known.
        host: Option<PublicKey>,
        /// Whether the API was asked and answered 403.
        asked: bool,
    },
    /// The API answered something else than what was asked for.
    #[error(transparent)]
    Api(#[from] api::Error),
    /// The same, and it is certain that nothing was restarted.
    #[error(transparent)]
    NotRestarted(api::Error),
    /// 5xx with what else could be found out about the server.
    #[error("{source}")]
    Server {
        /// The answer.
        source: api::Error,
        /// How often it was tried.
        attempts: u32,
        /// What `/health` and `/guest` say, one line each.
        seen: Vec<String>,
    },
    /// The request was sent, and nobody knows whether it was carried out.
    #[error("no answer to the restart: {why}; it was not seen to have happened so far")]
    Unknown {
        /// How the answer was lost.
        why: String,
    },
    /// The request was sent, its answer was lost, it was carried out, and yet there is no token.
    #[error("the nest was restarted, but its token could not be fetched")]
    NoToken(#[source] api::Error),
    /// Another restart of this room has the lock.
    #[error("{source}")]
    Busy {
        /// Who has it.
        source: lock::Error,
        /// How long was waited for it.
        waited: Duration,
    },
    /// A person was asked and did not say yes.
    #[error("not restarted, as you answered")]
    Declined,
    /// Restarted, and it cannot be joined, or the old room still runs.
    #[error("the nest was restarted, but it is not well")]
    Unhealthy(Box<Restarted>),
    /// Ctrl-C or SIGTERM.
    #[error("interrupted")]
    Interrupted {
        /// By what.
        signal: Signal,
        /// How far it had come by then.
        progress: Progress,
        /// The restart, if it was done and only the check was interrupted.
        done: Option<Box<Restarted>>,
    },
}
