//! A keyring of the system that is not to be had.

#![cfg(target_os = "linux")]

use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use nostr_nests::key::keyring::{self, LIMIT, VaultError};
use tempfile::TempDir;

use crate::support::keys::{ask_keyring, in_child, is_child};

#[test]
fn no_session_bus_is_named_at_once() {
    if !is_child() {
        for address in [Some("unix:path=/nonexistent/bus"), Some("tcp:host=127.0.0.1,port=1"), None] {
            in_child("keyring::no_session_bus_is_named_at_once", None, "", |child| {
                child.env("XDG_RUNTIME_DIR", "/nonexistent");
                match address {
                    Some(address) => child.env("DBUS_SESSION_BUS_ADDRESS", address),
                    None => child.env_remove("DBUS_SESSION_BUS_ADDRESS"),
                };
            });
        }
        return;
    }
    let (error, took) = ask_keyring();
    assert!(matches!(error, keyring::KeyringError::Unusable(VaultError::NoSessionBus(_))), "{error:?}");
    assert!(took < Duration::from_secs(1));
}

#[test]
fn a_bus_that_never_answers_is_given_three_seconds() {
    if !is_child() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("bus");
        let _bus = UnixListener::bind(&path).unwrap();
        let start = Instant::now();
        in_child("keyring::a_bus_that_never_answers_is_given_three_seconds", None, "", |child| {
            child.env("DBUS_SESSION_BUS_ADDRESS", format!("unix:path={}", path.display()));
        });
        // The process has ended, although a thread of it hung.
        assert!(start.elapsed() < LIMIT + Duration::from_secs(3));
        return;
    }
    let (error, took) = ask_keyring();
    assert!(matches!(error, keyring::KeyringError::Unusable(VaultError::Silent(LIMIT))), "{error:?}");
    assert!((LIMIT..LIMIT + Duration::from_secs(1)).contains(&took));
}
