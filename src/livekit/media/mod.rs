//! Audio, as far as a check needs it: an ICE and DTLS connection to the media server, and a second of silence on it.

#[cfg(not(feature = "media"))]
mod absent;
#[cfg(feature = "media")]
mod audio_connection;
#[cfg(feature = "media")]
mod connect;
#[cfg(feature = "media")]
mod enter;
pub mod offered;
#[cfg(feature = "media")]
mod reports;
#[cfg(feature = "media")]
mod runtime;
#[cfg(feature = "media")]
pub mod turn;
#[cfg(feature = "media")]
mod voice;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde::Serialize;

use super::signal::{Ending, Entered, SignalSession};
use offered::Offered;
use tokio::time::Instant;

#[cfg(not(feature = "media"))]
pub(super) use absent::{AudioConnection, enter};
#[cfg(feature = "media")]
pub(super) use {audio_connection::AudioConnection, enter::enter};

/// How audio travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum Transport {
    /// Straight to the media server, as it should be.
    Udp,
    /// Straight to the media server, ICE over TCP.
    Tcp,
    /// Through a TURN server.
    Relay,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Relay => "a relay",
        })
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Connected {
    pub protocol: Transport,
    /// The relay's when it goes through one.
    pub local: SocketAddr,
    pub remote: SocketAddr,
    pub rtt: Option<Duration>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AudioFailure {
    NotBuilt,
    /// The server does signal only.
    NoMedia,
    NoAnswer(Duration),
    /// The server offers no address of the kind that was wanted.
    NothingOffered,
    /// The server advertises no TURN.
    NoRelay,
    /// The TURN server gave us no address.
    NoAllocation,
    NoConnection(Duration),
    /// Time was up before that could be said.
    OutOfTime(Duration),
    Ended(Ending),
    /// This machine could not even begin, and why: that says nothing of the server.
    NotBegun(String),
    /// The library gave up, and why.
    Broken(String),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Where the server takes audio, by its own word.
    pub offered: Vec<Offered>,
    /// Which of those let us connect by TCP, and why not.
    pub tcp: Vec<(SocketAddr, Result<(), String>)>,
    /// Which of them cannot even be called.
    pub unroutable: Vec<IpAddr>,
    /// The TURN servers that were of no use.
    pub relays: Vec<(String, AudioFailure)>,
    pub relay: Option<String>,
}

impl Seen {
    /// Whether the server takes audio by UDP, straight or through a relay of its own.
    pub(crate) fn offers_udp(&self) -> bool {
        self.offered.iter().any(|offered| offered.transport != Transport::Tcp)
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct AudioFinding {
    pub elapsed: Duration,
    pub seen: Seen,
    pub result: Result<Connected, AudioFailure>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AudioOptions {
    /// The one way to take; any, if there is none.
    pub transport: Option<Transport>,
    /// To be heard. Only for those who may.
    pub publish: bool,
}

/// A second of silence that arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spoken {
    /// The track's: `TR_…`.
    pub sid: String,
    /// Packets, 50 a second.
    pub sent: u32,
    /// Those of them that the server had heard when it last said so.
    pub heard: u32,
    /// Those that it missed until then.
    pub lost: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Silence {
    NoConnection,
    /// The token does not allow to speak.
    NotAllowed,
    Refused(String),
    Unacknowledged(Duration),
    /// It does, but never says that it heard any of so many packets.
    Unheard(u32),
    Ended(Ending),
    /// The library gave up, and why.
    Broken(String),
}

/// A room that was joined with audio in mind.
pub(super) struct JoinedRoom {
    /// As it was when we came in first.
    pub entered: Entered,
    pub joined_at: Instant,
    /// `None` when it ended while audio was tried.
    pub session: Option<SignalSession>,
    /// `None` when audio was not asked for.
    pub finding: Option<AudioFinding>,
    pub live: Option<AudioConnection>,
}

impl JoinedRoom {
    pub fn silent(session: SignalSession, finding: Option<AudioFinding>) -> Self {
        let entered = session.entered();
        Self { entered, joined_at: Instant::now(), session: Some(session), finding, live: None }
    }
}
