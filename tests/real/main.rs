//! Everything that needs what Rust does not bring: servers that others wrote, a keyring, network namespaces, shells.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may panic, and show what it saw")]

mod automation;
mod check;
mod check_media;
mod check_netns;
mod diagnosis;
mod key;
mod keyring;
mod page;
mod ports;
mod proxies;
mod relay;
mod relay_commands;
mod restart;
mod serve_faults;
mod serve_outage;
mod serve_probe;
mod serve_rejoin;
mod serve_replicas;
mod serve_restart;
mod serve_timeouts;
mod server;
mod shells;
mod signer;
mod situations;
#[path = "../support/mod.rs"]
mod support;
mod users;
mod world;
