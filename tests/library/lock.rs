//! One restart of a room at a time on this machine.

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt as _, symlink};
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

#[tokio::test]
async fn what_others_can_change_is_not_believed() {
    let home = tempfile::tempdir().unwrap();
    let rooms = home.path().join("nest/rooms");
    let take = || RoomLock::acquire(&rooms, "https://h/r", Duration::ZERO);
    let held = take().await.unwrap();
    held.remember("RM_a", Some(Departure { left_ms: 1, closes_ms: 2 })).unwrap();
    let lock = std::fs::read_dir(&rooms).unwrap().next().unwrap().unwrap().path();
    let own = |path, mode| std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    for (path, open, own_mode) in [(&rooms, 0o777, 0o700), (&rooms, 0o1770, 0o755), (&lock, 0o602, 0o600)] {
        own(path, open);
        let why = take().await.unwrap_err();
        assert!(matches!(why, LockError::File { .. }), "somebody else may hold it: {why:?}");
        let said = format!("other users can write to {} (mode {open:04o})", path.display());
        assert!(why.to_string().ends_with(&said), "{why}");
        assert_eq!(Departure::last(&rooms, "https://h/r"), None, "{open:o}");
        own(path, own_mode);
        assert!(matches!(take().await, Err(LockError::Busy)));
        assert!(Departure::last(&rooms, "https://h/r").is_some());
    }
    // A umask of 002 has made these: they are closed, and believed.
    for (path, open, closed) in [(&rooms, 0o775, 0o700), (&lock, 0o664, 0o600)] {
        own(path, open);
        assert!(Departure::last(&rooms, "https://h/r").is_some());
        assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o7777, closed);
    }
    // Where others can write, a link would lead us to a file of our own.
    own(&rooms, 0o777);
    std::fs::remove_file(&lock).unwrap();
    let precious = home.path().join("precious");
    symlink(&precious, &lock).unwrap();
    take().await.unwrap_err();
    assert!(!precious.exists());
}
