//! The library, and the bundled server in this process.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may panic, and show what it saw")]

mod check;
mod check_connect;
mod check_room;
mod clock;
mod dialler;
mod endpoints;
mod freshness;
#[cfg(feature = "media")]
mod fuzz;
mod kept_connections;
mod key_commands;
mod key_parse;
mod key_sources;
mod keyring;
mod lock;
mod nests;
mod nip98;
mod ports;
mod properties;
mod proxies;
mod quic;
mod reach;
mod relay_bounds;
mod relay_event;
mod relay_fetch;
mod relay_follow;
mod relay_presence;
mod relay_publish;
mod relay_shown;
mod replies;
mod rooms;
mod secrets;
mod server_api;
mod server_config;
mod server_faults;
mod server_limits;
mod server_log;
mod server_moq_auth;
mod server_nip98;
mod server_page;
mod server_relay;
mod server_routes;
mod signer;
#[path = "../support/mod.rs"]
mod support;
mod tls;
mod tokens;
#[cfg(feature = "media")]
mod turn;
