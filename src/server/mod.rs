//! The bundled server: a Nests API, the signal endpoint of a media server, and a Nostr relay, on one listener.
//!
//! | path | what |
//! |---|---|
//! | `/api/v1/nests/…`, `/health` | the Nests API over the ports [`store::RoomStore`] and [`media::MediaServer`] |
//! | `/rtc`, `/rtc/validate`, also below `/livekit` | the embedded media server, unless a real one is used |
//! | `/relay` | the relay |
//!
//! [`run`] serves until it is told to stop; [`Mock`] does so on a thread of its own, with a nest to play with.
//! [`serve`] puts the same API on Redis and LiveKit.

mod answer;
mod api;
mod app;
mod call;
pub mod faults;
mod limit;
pub mod media;
mod mock;
pub mod nip98;
mod random;
pub mod serve;
mod signal;
pub mod store;
pub mod token;
mod websocket;

use std::fmt;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use app::App;
pub use call::Call;
pub use faults::Fault;
pub use mock::{DEMO, Mock};

/// How a server is to be.
#[derive(Clone)]
pub struct Options {
    /// What goes wrong on purpose.
    pub faults: Vec<Fault>,
    /// A real LiveKit server in place of the embedded one.
    pub livekit: Option<media::livekit::Config>,
    /// Settings of the embedded media server.
    pub media: media::embedded::Settings,
    /// How long a record lives after its last write.
    pub record_ttl: Duration,
    /// How long a room of a nest stays while nobody was ever in it.
    pub empty_timeout: Duration,
    /// How long a room of a nest stays once the last one has left.
    pub departure_timeout: Duration,
    /// The origin that clients sign, when it is not the listener's: `https://host[:port]`.
    pub public_origin: Option<String>,
    /// Hears of every request.
    pub log: Option<LogSink>,
}

impl Default for Options {
    /// As upstream.
    fn default() -> Self {
        Self {
            faults: Vec::new(),
            livekit: None,
            media: media::embedded::Settings::default(),
            record_ttl: Duration::from_secs(24 * 3600),
            empty_timeout: Duration::from_secs(1800),
            departure_timeout: Duration::from_secs(60),
            public_origin: None,
            log: None,
        }
    }
}

/// Where log lines go.
pub type LogSink = Arc<dyn Fn(LogLine) + Send + Sync>;

/// A request that was answered, or not. Holds no secrets (neither query strings nor headers), but words of strangers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// As it came.
    pub method: String,
    /// As it came, without the query.
    pub path: String,
    /// `None`: the connection was dropped.
    pub status: Option<u16>,
    /// Milliseconds from the head of the request to that of the answer.
    pub elapsed_ms: u64,
    /// What happened, in a few words; may be empty.
    pub note: String,
}

impl fmt::Display for LogLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status {
            Some(status) => write!(f, "{status}")?,
            None => f.write_str("---")?,
        }
        write!(f, " {} {} {} ms", self.method, self.path, self.elapsed_ms)?;
        if self.note.is_empty() { Ok(()) } else { write!(f, " · {}", self.note) }
    }
}

/// Serves until `shutdown` is ready; what is under way then is cut off.
///
/// # Errors
/// When the listener has no address, or the LiveKit URL cannot be used.
pub async fn run(listener: TcpListener, options: Options, shutdown: impl Future<Output = ()>) -> io::Result<()> {
    let app = App::new(listener.local_addr()?, options, None)?;
    app.serve(listener, shutdown).await;
    Ok(())
}
