//! What the tests and the benchmarks share.
#![allow(dead_code, reason = "each of them uses a part")]

pub mod api_contract;
pub mod arbitrary;
pub mod browser;
pub mod check;
pub mod current;
pub mod fake_livekit;
pub mod following;
pub mod keys;
pub mod livekit;
pub mod log;
pub mod media_contract;
pub mod nest;
pub mod nests_api;
pub mod netns;
pub mod nostr_client;
pub mod nostr_judge;
pub mod nostr_relay;
pub mod page;
pub mod port;
pub mod process;
pub mod raw;
pub mod redis;
pub mod relays;
pub mod room_event;
pub mod room_service;
pub mod secrets;
pub mod serve;
pub mod shell;
pub mod signal;
pub mod store_contract;
pub mod tap;
pub mod terminal;
pub mod tls;
