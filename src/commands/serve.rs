//! `nest serve`: the Nests API for real.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;

use super::stop::Stop;
use crate::server::serve::{self, Server, Settings, State};

/// How long requests may go on once the server is to stop. systemd waits for 90 s.
const GRACE: Duration = Duration::from_secs(20);

/// Why nothing is served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The port is taken, most likely.
    #[error("cannot listen on {0}")]
    Listen(SocketAddr, #[source] io::Error),
    /// Something about the settings.
    #[error("cannot serve")]
    Settings(#[from] serve::Error),
}

/// What happens while a server runs.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// It listens here.
    Listening(SocketAddr),
    /// What is behind it, at the start.
    State(&'a State),
    /// It finishes what is under way; a second signal ends it at once.
    Stopping,
}

/// Serves until `stop`, then finishes what is under way.
///
/// # Errors
/// See [`Error`]. Redis and LiveKit may be down: they may come later.
pub async fn run(listen: SocketAddr, settings: Settings, tell: impl Fn(Event<'_>), stop: &Stop) -> Result<(), Error> {
    let server = Server::new(settings)?;
    let listener = TcpListener::bind(listen).await.map_err(|e| Error::Listen(listen, e))?;
    tell(Event::Listening(listener.local_addr().map_err(|e| Error::Listen(listen, e))?));
    let mut signals = stop.clone();
    let stopped = async {
        signals.next().await;
        tell(Event::Stopping);
    };
    let again = async {
        let mut signals = stop.clone();
        signals.next().await;
        signals.next().await;
    };
    let looked = async {
        tell(Event::State(&server.state().await));
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = server.run(listener, stopped, GRACE) => {}
        () = again => {}
        () = looked => {}
    }
    Ok(())
}
