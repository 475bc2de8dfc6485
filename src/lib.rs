//! `nest`: bring dead Nostr Nests back.

pub mod api;
pub mod clock;
pub mod nip98;
pub mod report;
pub mod reporter;
pub mod room;
pub mod secret;
pub mod tls;
