//! One restart of a room at a time on this machine.

use std::time::{Duration, SystemTime};

use nostr_nests::lock::{Departure, LockError, RoomLock};

#[tokio::test]
async fn the_second_waits_for_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let take = |wait| RoomLock::acquire(folder.path(), "https://h/r", wait);
    let began = SystemTime::now();
    let first = take(Duration::ZERO).await.unwrap();
    assert!(!first.was_held_since(began), "nobody has had it");
    assert!(matches!(take(Duration::ZERO).await, Err(LockError::Busy)));
    assert_eq!(first.last_sid(), None);
    let left = Some(Departure { left_ms: 1_700_000_000_000, closes_ms: 1_700_000_060_000 });
    first.remember("RM_long-long-long", left).unwrap();
    assert_eq!(first.last_sid().as_deref(), Some("RM_long-long-long"));
    let last = || Departure::last(folder.path(), "https://h/r");
    assert_eq!(last(), left, "without the lock");
    first.remember("RM_a", None).unwrap();
    assert_eq!(last(), None);
    let (second, ()) = tokio::join!(take(Duration::from_secs(5)), async { drop(first) });
    let second = second.unwrap();
    assert_eq!(second.last_sid().as_deref(), Some("RM_a"));
    assert!(second.was_held_since(began) && !second.was_held_since(SystemTime::now()));
    RoomLock::acquire(folder.path(), "https://h/other", Duration::ZERO).await.unwrap();
}
