//! The bundled adapters of both ports: the embedded media server, and the store in memory.

use std::time::Duration;

use livekit_protocol::DisconnectReason;
use nostr_nests::server::media::EmbeddedSettings;
use nostr_nests::server::store::Memory;

use crate::support::media_contract::{Subject, contract};
use crate::support::store_contract;

#[tokio::test]
async fn the_embedded_media_server_keeps_the_contract() {
    let with = |auto_create| Subject::embedded(EmbeddedSettings { auto_create, ..EmbeddedSettings::default() });
    contract(&with(true), &with(false)).await;
}

#[tokio::test]
async fn memory_keeps_the_contract_of_stores() {
    let ttl = Duration::from_secs(3);
    store_contract::contract(&Memory::new(ttl), ttl).await;
}

/// A real LiveKit does the same, after a minute.
#[tokio::test]
async fn who_connects_no_media_is_thrown_out() {
    let subject =
        Subject::embedded(EmbeddedSettings { join_timeout: Duration::from_millis(50), ..EmbeddedSettings::default() });
    let mut signal = subject.join("ivan", "m").await.unwrap();
    assert_eq!(signal.farewell().await, DisconnectReason::JoinFailure);
}
