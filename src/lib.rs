//! `nest`: bring dead Nostr Nests back.

pub mod api;
pub mod cli;
pub mod clock;
pub mod commands;
pub mod key;
pub mod livekit;
pub mod lock;
pub mod nip98;
pub mod quic;
pub mod relay;
pub mod report;
pub mod reporter;
pub mod room;
pub mod secret;
pub mod server;
pub mod tls;

pub use commands::Error;
