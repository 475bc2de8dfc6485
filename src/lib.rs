//! `nest`: bring dead Nostr Nests back.

pub mod api;
pub mod cli;
pub mod clock;
pub mod commands;
pub mod key;
pub mod livekit;
pub mod lock;
#[doc(hidden)]
pub mod net;
pub mod nip98;
#[doc(hidden)]
pub mod relay;
pub mod report;
pub mod reporter;
pub mod room;
pub mod secret;
pub mod server;

pub use commands::Error;
pub use net::tls;
