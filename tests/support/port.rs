//! Ports for servers that have to be told theirs.

use std::net::{Ipv4Addr, SocketAddr};

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
