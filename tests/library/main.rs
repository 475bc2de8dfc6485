//! The library, and the bundled server in this process.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may panic, and show what it saw")]

mod check;
mod check_connect;
mod check_room;
mod key_commands;
mod key_sources;
mod keyring;
mod ports;
mod properties;
mod relay_bounds;
mod relay_event;
mod relay_fetch;
mod relay_publish;
mod server_api;
mod server_faults;
mod server_nip98;
#[path = "../support/mod.rs"]
mod support;
