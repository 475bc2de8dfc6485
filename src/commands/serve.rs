//! `nest serve`: the Nests API for real.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};

use super::stop::Stop;
use crate::server::BackendError;
use crate::server::serve::{BackendHealth, NestServer, ServeSettings};

/// How long requests may go on once the server is to stop. systemd waits for 90 s.
const GRACE: Duration = Duration::from_secs(20);

/// How many bytes of answers the system keeps for somebody who does not read them: without a limit, megabytes for each.
const SEND_BUFFER: u32 = 64 * 1024;

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 1024;

/// Why nothing is served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    /// The port is taken, most likely.
    #[error("cannot listen on {0}")]
    Listen(SocketAddr, #[source] io::Error),
    #[error("cannot serve")]
    Settings(#[from] BackendError),
}

/// What happens while a server runs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ServeEvent<'a> {
    Listening(SocketAddr),
    /// Whether Redis and LiveKit answer, at the start.
    Backends(&'a BackendHealth),
    /// It finishes what is under way; a second signal ends it at once.
    Stopping,
}

/// Serves until `stop`, then finishes what is under way. Redis and LiveKit may be down: they may come later.
pub(crate) async fn run(
    listen: SocketAddr,
    settings: ServeSettings,
    tell: impl Fn(ServeEvent<'_>),
    stop: &Stop,
) -> Result<(), ServeError> {
    let server = NestServer::new(settings)?;
    let listener = bind(listen).map_err(|e| ServeError::Listen(listen, e))?;
    tell(ServeEvent::Listening(listener.local_addr().map_err(|e| ServeError::Listen(listen, e))?));
    let mut signals = stop.clone();
    let stopped = async {
        signals.next().await;
        tell(ServeEvent::Stopping);
    };
    let stopped_twice = async {
        let mut signals = stop.clone();
        signals.next().await;
        signals.next().await;
    };
    let checked = async {
        tell(ServeEvent::Backends(&server.backend_health().await));
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = server.run(listener, stopped, GRACE) => {}
        () = stopped_twice => {}
        () = checked => {}
    }
    Ok(())
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    // Connections have what the socket has by which they come.
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}
