//! What every room store does: one contract for all of them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use nostr_nests::server::store::{LEASE_TTL, LeaseAnswer, Record, RestartAnswer, RoomStore, UsedSignature};
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
    assert_eq!(store.get("nobody").await.unwrap(), None);
    tokio::join!(lifetimes(store, ttl), replacing(store), leases(store), killed(store), deleting(store), uses(store));
    beginning(store).await;
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

fn granted(answer: LeaseAnswer) -> u64 {
    match answer {
        LeaseAnswer::Granted(lease) => lease,
        other => panic!("{other:?}"),
    }
}

async fn leases(store: &dyn RoomStore) {
    let ask = async |after| store.acquire_lease("t", after).await.unwrap();
    assert!(!store.restart_unfinished("t").await.unwrap());
    let first = granted(ask(None).await);
    assert!(store.restart_unfinished("t").await.unwrap());
    assert_eq!((ask(None).await, ask(Some(first)).await), (LeaseAnswer::Held(first), LeaseAnswer::Held(first)));
    assert!(matches!(store.acquire_lease("another", None).await.unwrap(), LeaseAnswer::Granted(_)));

    // What others have written meanwhile stays.
    store.put(&record("t")).await.unwrap();
    let changed = Record { speakers: Vec::new(), ..record("t") };
    assert!(store.replace(&record("t"), &changed).await.unwrap());
    assert!(!store.finish_restart(first + 1, &record("t"), &restarted("t", 9)).await.unwrap(), "not the holder");
    assert!(store.finish_restart(first, &record("t"), &restarted("t", 1)).await.unwrap());
    assert_eq!(store.get("t").await.unwrap(), Some(Record { restarted_at: Some(1), ..changed }));
    assert!(!store.restart_unfinished("t").await.unwrap());
    assert_eq!(ask(Some(first)).await, LeaseAnswer::Restarted, "who has waited is done as well");
    assert!(!store.finish_restart(first, &record("t"), &restarted("t", 3)).await.unwrap(), "over is over");

    let second = granted(ask(None).await);
    assert!(second > first);
    store.fail_restart("t", second, true).await.unwrap();
    assert_eq!(ask(Some(second)).await, LeaseAnswer::Failed);
    assert!(store.restart_unfinished("t").await.unwrap(), "half way");
    let third = granted(ask(None).await);
    store.fail_restart("t", third, false).await.unwrap();
    assert!(!store.restart_unfinished("t").await.unwrap());

    // A record that is lost in between is there again.
    let fourth = granted(ask(None).await);
    assert!(
        store.finish_restart(fourth, &record("lost"), &restarted("lost", 4)).await.is_ok_and(|done| !done),
        "another nest's lease"
    );
    assert!(store.finish_restart(fourth, &record("t"), &restarted("t", 4)).await.unwrap());
    assert_eq!(ask(Some(second)).await, LeaseAnswer::Restarted, "a later one has done it");
}

/// The signature, the record and the lease in one question, in this order: who is refused holds no lease.
async fn beginning(store: &dyn RoomStore) {
    let memory = Duration::from_secs(60);
    let ask = async |host: &str, id: &str| store.begin_restart("b", host, signature(id, HERE), memory).await.unwrap();
    let host = record("b").host;
    assert_eq!(ask(&host, "b1").await, RestartAnswer::NotFound);
    store.put(&record("b")).await.unwrap();
    assert_eq!(ask(&host, "b1").await, RestartAnswer::Replayed, "used, although there was no nest");
    assert_eq!(ask(&"c".repeat(64), "b2").await, RestartAnswer::NotHost);
    assert_eq!(ask(&host, "b2").await, RestartAnswer::Replayed);
    let again = async |from| store.first_use(signature("b2", from), memory).await.unwrap();
    assert_eq!((again(HERE).await, again(ELSEWHERE).await), (Some(HERE), Some(HERE)));
    assert!(!store.restart_unfinished("b").await.unwrap());

    let RestartAnswer::Host(answer, _, read) = ask(&host, "b3").await else { panic!("it is the host") };
    let lease = granted(answer);
    assert_eq!(*read, record("b"));
    assert!(store.restart_unfinished("b").await.unwrap());
    let RestartAnswer::Host(waits, _, _) = ask(&host, "b4").await else { panic!("it is the host") };
    assert_eq!(waits, LeaseAnswer::Held(lease));
    assert!(store.finish_restart(lease, &read, &restarted("b", 5)).await.unwrap());
    assert_eq!(store.get("b").await.unwrap(), Some(restarted("b", 5)));
    let RestartAnswer::Host(answer, _, read) = ask(&host, "b5").await else { panic!("it is the host") };
    assert!(granted(answer) > lease && *read == restarted("b", 5));
}

/// A lease that nobody ends runs out.
async fn killed(store: &dyn RoomStore) {
    let begun = Instant::now();
    let lost = granted(store.acquire_lease("k", None).await.unwrap());
    let next = loop {
        match store.acquire_lease("k", Some(lost)).await.unwrap() {
            LeaseAnswer::Granted(lease) => break lease,
            other => assert_eq!(other, LeaseAnswer::Held(lost)),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let waited = begun.elapsed();
    assert!(
        waited + Duration::from_millis(100) >= LEASE_TTL && waited < LEASE_TTL + Duration::from_secs(1),
        "{waited:?}"
    );
    assert!(next > lost);
    assert!(
        !store.finish_restart(lost, &record("k"), &restarted("k", 1)).await.unwrap(),
        "whoever comes back is too late"
    );
    store.fail_restart("k", lost, false).await.unwrap();
    assert!(!store.delete("k", lost).await.unwrap());
    assert_eq!(store.acquire_lease("k", None).await.unwrap(), LeaseAnswer::Held(next));
    assert!(store.finish_restart(next, &record("k"), &restarted("k", 2)).await.unwrap());
    assert_eq!(store.get("k").await.unwrap(), Some(restarted("k", 2)), "there was no record any more");
}

async fn deleting(store: &dyn RoomStore) {
    store.put(&record("c")).await.unwrap();
    let lease = granted(store.acquire_lease("c", None).await.unwrap());
    assert!(store.delete("c", lease).await.unwrap());
    assert_eq!((store.get("c").await.unwrap(), store.restart_unfinished("c").await.unwrap()), (None, false));
    assert!(
        matches!(store.acquire_lease("c", Some(lease)).await.unwrap(), LeaseAnswer::Granted(_)),
        "nothing is left of it"
    );
}

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7));
const ELSEWHERE: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 7));

fn signature(id: &str, from: IpAddr) -> UsedSignature {
    UsedSignature { id: id.into(), from }
}

async fn uses(store: &dyn RoomStore) {
    let memory = Duration::from_secs(1);
    let ask = async |id: &str, from| store.first_use(signature(id, from), memory).await.unwrap();
    assert_eq!(ask("u", HERE).await, None);
    assert_eq!((ask("u", HERE).await, ask("u", ELSEWHERE).await), (Some(HERE), Some(HERE)));
    assert_eq!(ask("u", HERE).await, Some(HERE), "whoever comes later changes nothing");
    assert_eq!((ask("v", ELSEWHERE).await, ask("v", ELSEWHERE).await), (None, Some(ELSEWHERE)));
    tokio::time::sleep(memory + Duration::from_millis(100)).await;
    assert_eq!(ask("u", ELSEWHERE).await, None, "it may be forgotten");
    // All at once: one of them is the first.
    let all = futures_util::future::join_all((0..8).map(|_| ask("w", HERE))).await;
    assert_eq!(all.iter().filter(|answer| answer.is_none()).count(), 1, "{all:?}");
}
