//! The bundled server: the Nests API, and for tests the signal endpoint of a media server and a Nostr relay.
//!
//! | path | what |
//! |---|---|
//! | `/api/v1/nests/…`, `/health` | the Nests API over the ports [`store::RoomStore`] and [`media::MediaServer`] |
//! | `/rtc`, `/rtc/validate`, `/twirp/…`, also below `/livekit` | the embedded media server, unless a real one is used |
//! | `/n/<room>` | the page of a nest |
//! | `/relay` | the relay |
//! | `/moq-auth/…` | the auth service of the nest on Media over QUIC; a UDP port answers QUIC packets as its media relay |
//!
//! It is used in two ways, on one HTTP front: [`Mock`] serves everything from memory on a thread of its own, with a
//! nest to play with and with faults; `serve` puts the API on Redis and LiveKit.

use std::sync::{Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

mod answer;
mod api;
pub mod faults;
pub mod http;
pub mod media;
mod mock;
mod moq;
pub mod nip98;
mod page;
mod relay;
pub mod serve;
pub mod store;
pub mod token;

pub use faults::Fault;
pub use http::REQUESTS;
pub use mock::{DEMO, DEMO_MOQ, Mock, Options};

/// Why the room store or the media server did not do what it was asked; which of them, and why.
#[derive(Clone, Debug, thiserror::Error)]
pub enum BackendError {
    /// It cannot be asked, does not answer in time, or is not well.
    #[error("{0}: {1}")]
    Unreachable(&'static str, String),
    #[error("{0}: {1}")]
    Broken(&'static str, String),
}

/// The calls of the Nests API, and the endpoints of the embedded media server, of the relay and of the auth service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiCall {
    Create,
    Restart,
    Token,
    Guest,
    Info,
    Permissions,
    Delete,
    Health,
    /// `/rtc`, `/rtc/validate` and `/twirp/…`.
    Signal,
    /// `/relay`, when a connection is made.
    Relay,
    /// `/moq-auth/…`.
    Auth,
    /// What LiveKit tells of rooms and participants.
    Webhook,
    /// `/n/<room>`
    Page,
}

/// Each call in the order of [`ApiCall`], its name in a fault and in metrics, and what a 500 to it says.
pub const CALLS: [(ApiCall, &str, &str); 13] = [
    (ApiCall::Create, "create", "Failed to create nest"),
    (ApiCall::Restart, "restart", "Failed to restart nest"),
    (ApiCall::Token, "token", "Failed to join nest"),
    (ApiCall::Guest, "guest", "Failed to join nest as guest"),
    (ApiCall::Info, "info", "Failed to get nest info"),
    (ApiCall::Permissions, "permissions", "Failed to update permissions"),
    (ApiCall::Delete, "delete", "Failed to delete nest"),
    (ApiCall::Health, "health", "Internal server error"),
    (ApiCall::Signal, "signal", "Internal server error"),
    (ApiCall::Relay, "relay", "Internal server error"),
    (ApiCall::Auth, "auth", "Internal error during auth validation"),
    (ApiCall::Webhook, "webhook", "Internal server error"),
    (ApiCall::Page, "page", "Internal server error"),
];

impl ApiCall {
    pub fn all_with_faults() -> impl Iterator<Item = Self> {
        CALLS.into_iter().map(|(call, ..)| call).filter(|call| *call != Self::Webhook)
    }

    pub fn name(self) -> &'static str {
        CALLS[self as usize].1
    }

    pub fn failure(self) -> &'static str {
        CALLS[self as usize].2
    }
}

/// A mutex whose contents hold together even if somebody has panicked with it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Random capital letters and digits, as in LiveKit's SIDs.
fn random_text(len: usize) -> String {
    const ALPHABET: &[u8; 32] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZ";
    let mut bytes = vec![0; len];
    getrandom::fill(&mut bytes).expect("the operating system's source does not fail in practice");
    bytes.into_iter().map(|byte| char::from(ALPHABET[usize::from(byte & 31)])).collect()
}

pub fn random_uuid() -> String {
    Uuid::new_v4().to_string()
}
