//! What every room store does: one contract for all of them.

use std::time::{Duration, Instant};

use nostr_nests::server::store::{Record, RoomStore, TURN, Turn};
use serde_json::{Map, json};

fn record(id: &str) -> Record {
    Record {
        id: id.into(),
        host: "a".repeat(64),
        speakers: vec!["b".repeat(64)],
        admins: Vec::new(),
        relays: vec!["wss://relay.example".into()],
        hls_stream: true,
        created_at: 1_795_417_759_894,
        status: "active".into(),
        restarted_at: None,
        rest: Map::from_iter([("theirs".into(), json!({ "deep": [1, 2.5, null] }))]),
    }
}

fn restarted(id: &str, at: i64) -> Record {
    Record { restarted_at: Some(at), ..record(id) }
}

/// The whole contract; `ttl` is the store's own.
pub async fn contract(store: &dyn RoomStore, ttl: Duration) {
    store.ping().await.unwrap();
    tokio::join!(lifetimes(store, ttl), replacing(store), turns(store), killed(store), closing(store), uses(store));
}

/// Records are remembered, overwritten, renewed and forgotten.
async fn lifetimes(store: &dyn RoomStore, ttl: Duration) {
    let (first, second) = (record("s"), restarted("s", 1_795_417_760_000));
    assert_eq!(store.get("s").await.unwrap(), None);
    store.put(&first).await.unwrap();
    assert_eq!(store.get("s").await.unwrap(), Some(first));
    assert_eq!(store.get("S").await.unwrap(), None);
    tokio::time::sleep(ttl * 6 / 10).await;
    store.put(&second).await.unwrap();
    tokio::time::sleep(ttl * 6 / 10).await;
    assert_eq!(store.get("s").await.unwrap(), Some(second.clone()), "a write begins a new life");
    store.renew("s").await.unwrap();
    tokio::time::sleep(ttl * 6 / 10).await;
    assert_eq!(store.get("s").await.unwrap(), Some(second), "and so does use");
    let begun = Instant::now();
    while store.get("s").await.unwrap().is_some() {
        assert!(begun.elapsed() < ttl * 2, "it lives for ever");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    store.renew("s").await.unwrap();
    assert_eq!(store.get("s").await.unwrap(), None, "what is forgotten stays forgotten");
}

async fn replacing(store: &dyn RoomStore) {
    let (old, new, newer) = (record("r"), restarted("r", 1), restarted("r", 2));
    assert!(!store.replace(&old, &new).await.unwrap(), "there is none");
    store.put(&old).await.unwrap();
    assert!(store.replace(&old, &new).await.unwrap());
    assert!(!store.replace(&old, &newer).await.unwrap(), "it has changed");
    assert_eq!(store.get("r").await.unwrap(), Some(new));
}

fn mine(turn: Turn) -> u64 {
    match turn {
        Turn::Mine(turn) => turn,
        other => panic!("{other:?}"),
    }
}

async fn turns(store: &dyn RoomStore) {
    let ask = async |after| store.turn("t", after).await.unwrap();
    assert!(!store.unfinished("t").await.unwrap());
    let first = mine(ask(None).await);
    assert!(store.unfinished("t").await.unwrap());
    assert_eq!((ask(None).await, ask(Some(first)).await), (Turn::Taken(first), Turn::Taken(first)));
    assert!(matches!(store.turn("another", None).await.unwrap(), Turn::Mine(_)));

    // What others have written meanwhile stays.
    store.put(&record("t")).await.unwrap();
    let changed = Record { speakers: Vec::new(), ..record("t") };
    assert!(store.replace(&record("t"), &changed).await.unwrap());
    assert!(!store.finish(first + 1, &restarted("t", 9)).await.unwrap(), "not the holder");
    assert!(store.finish(first, &restarted("t", 1)).await.unwrap());
    assert_eq!(store.get("t").await.unwrap(), Some(Record { restarted_at: Some(1), ..changed }));
    assert!(!store.unfinished("t").await.unwrap());
    assert_eq!(ask(Some(first)).await, Turn::Done, "who has waited is done as well");
    assert!(!store.finish(first, &restarted("t", 3)).await.unwrap(), "over is over");

    let second = mine(ask(None).await);
    assert!(second > first);
    store.fail("t", second, true).await.unwrap();
    assert_eq!(ask(Some(second)).await, Turn::Failed);
    assert!(store.unfinished("t").await.unwrap(), "half way");
    let third = mine(ask(None).await);
    store.fail("t", third, false).await.unwrap();
    assert!(!store.unfinished("t").await.unwrap());

    // A record that is lost in between is there again.
    let fourth = mine(ask(None).await);
    assert!(store.finish(fourth, &restarted("lost", 4)).await.is_ok_and(|done| !done), "another nest's turn");
    assert!(store.finish(fourth, &restarted("t", 4)).await.unwrap());
    assert_eq!(ask(Some(second)).await, Turn::Done, "a later one has done it");
}

/// A turn that nobody ends runs out.
async fn killed(store: &dyn RoomStore) {
    let begun = Instant::now();
    let lost = mine(store.turn("k", None).await.unwrap());
    let next = loop {
        match store.turn("k", Some(lost)).await.unwrap() {
            Turn::Mine(turn) => break turn,
            other => assert_eq!(other, Turn::Taken(lost)),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let waited = begun.elapsed();
    assert!(waited + Duration::from_millis(100) >= TURN && waited < TURN + Duration::from_secs(1), "{waited:?}");
    assert!(next > lost);
    assert!(!store.finish(lost, &restarted("k", 1)).await.unwrap(), "whoever comes back is too late");
    store.fail("k", lost, false).await.unwrap();
    assert!(!store.close("k", lost).await.unwrap());
    assert_eq!(store.turn("k", None).await.unwrap(), Turn::Taken(next));
    assert!(store.finish(next, &restarted("k", 2)).await.unwrap());
    assert_eq!(store.get("k").await.unwrap(), Some(restarted("k", 2)), "there was no record any more");
}

async fn closing(store: &dyn RoomStore) {
    store.put(&record("c")).await.unwrap();
    let turn = mine(store.turn("c", None).await.unwrap());
    assert!(store.close("c", turn).await.unwrap());
    assert_eq!((store.get("c").await.unwrap(), store.unfinished("c").await.unwrap()), (None, false));
    assert!(matches!(store.turn("c", Some(turn)).await.unwrap(), Turn::Mine(_)), "nothing is left of it");
}

async fn uses(store: &dyn RoomStore) {
    let memory = Duration::from_secs(1);
    assert!(store.first_use("u", memory).await.unwrap());
    assert!(!store.first_use("u", memory).await.unwrap());
    assert!(store.first_use("v", memory).await.unwrap());
    tokio::time::sleep(memory + Duration::from_millis(100)).await;
    assert!(store.first_use("u", memory).await.unwrap(), "it may be forgotten");
}
