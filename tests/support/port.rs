//! Ports for servers that have to be told theirs.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};

use tokio::net::TcpSocket;

/// A TCP port on loopback for a server that is yet to start, or where nobody ever listens. It stays bound until the test
/// ends: then neither a connection nor another server gets it by chance, whereas one that sets `SO_REUSEADDR`, as servers
/// do, may listen on it.
pub fn reserved() -> u16 {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
    let port = socket.local_addr().unwrap().port();
    std::mem::forget(socket);
    port
}

/// A UDP port on loopback for a server that is yet to start. None of those that the system hands out by chance: between
/// this look and the server's start, a client's socket would get it.
pub fn udp() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Other processes of the same tests begin elsewhere.
    let start = u16::try_from(std::process::id() % 10_000).unwrap();
    (0..10_000)
        .map(|_| 20_000 + (start + NEXT.fetch_add(1, Ordering::Relaxed) % 10_000) % 10_000)
        .find(|port| UdpSocket::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .expect("no UDP port is free")
}
