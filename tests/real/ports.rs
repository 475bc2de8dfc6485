//! The same contracts of both ports, kept by a real LiveKit and a real Redis.

use std::time::Duration;

use nostr_nests::secret::Secret;
use nostr_nests::server::store::{Redis, RedisConfig};

use crate::support::media_contract::{Subject, contract};
use crate::support::{redis, store_contract};

#[tokio::test]
#[ignore = "needs livekit"]
async fn livekit_keeps_the_contract() {
    contract(&Subject::real(true), &Subject::real(false)).await;
}

#[tokio::test]
#[ignore = "needs redis"]
async fn redis_keeps_the_contract_of_stores() {
    let (server, ttl) = (redis::Redis::start(), Duration::from_secs(3));
    let config = RedisConfig { url: Secret::new(server.url()), password: None };
    store_contract::contract(&Redis::new(&config, ttl).unwrap(), ttl).await;
}
