//! The real program, as users and scripts call it.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may panic, and show what it saw")]

mod alias;
mod all_inactive;
mod api_errors;
mod arbitrary_answers;
mod auth;
mod check;
mod check_preconnect;
mod close;
mod doctor;
mod follow;
mod hints;
mod init;
mod keep;
mod key;
mod key_errors;
mod leaks;
mod leaks_unsent;
mod list;
mod media_over_quic;
mod mock;
mod network;
mod pick;
mod process;
mod publish_status;
mod recreate;
mod restart;
mod restart_check;
mod restart_evict;
mod restart_proof;
mod restart_renewal;
mod restart_shows;
mod retries;
mod screens;
mod serve;
mod short_limits;
mod signer;
mod snapshot;
mod status;
mod strangers;
#[path = "../support/mod.rs"]
mod support;
mod terminal;
mod token;
mod unanswered;
mod widths;
