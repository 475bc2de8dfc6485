//! `nest`: bring dead Nostr Nests back.

pub mod api;
pub mod clock;
pub mod commands;
pub mod key;
pub mod relay;
pub mod report;
pub mod reporter;
pub mod room;
pub mod secret;
