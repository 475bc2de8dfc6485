//! Brings dead Nostr Nests back: restarts live audio rooms, and proves that people can join again.
//!
//! Other programs use [`Nests`]. All else is here for the `nest` program and its tests, and may change at any time:
//!
//! ```text
//! cli        all that knows clap, the terminal and the environment      nest restart --check
//! commands   what a command does, in plain types                         prepare, send, conclude, prove
//! server     the bundled server: nest mock, nest serve
//! relay      room events: read, rewrite, fetch, list, publish
//! room       every way to name a nest
//! api        the Nests API, one method a call                            SignedClient, Probe
//! nip98      a request becomes an event, a signed event a header
//! key        the host's key, and where it comes from
//! livekit    tokens, endpoints, signal, media; the connection check
//! net        one dialler, TLS, proxies, a QUIC packet
//! ```
//!
//! Imports run from the top of this list to the bottom only. `docs/architecture.md` follows one restart through it.

#[doc(hidden)]
pub mod api;
#[doc(hidden)]
pub mod cli;
#[doc(hidden)]
pub mod clock;
#[doc(hidden)]
pub mod commands;
mod files;
#[doc(hidden)]
pub mod key;
#[doc(hidden)]
pub mod livekit;
#[doc(hidden)]
pub mod lock;
#[doc(hidden)]
pub mod moq;
mod nests;
#[doc(hidden)]
pub mod net;
#[doc(hidden)]
pub mod nip98;
#[doc(hidden)]
pub mod relay;
#[doc(hidden)]
pub mod report;
#[doc(hidden)]
pub mod reporter;
#[doc(hidden)]
pub mod room;
#[doc(hidden)]
pub mod secret;
#[doc(hidden)]
pub mod server;
#[doc(hidden)]
pub mod state;

#[doc(inline)]
pub use commands::check::Checked;
#[doc(inline)]
pub use commands::restart::Restarted;
#[doc(inline)]
pub use commands::status::Standing;
#[doc(inline)]
pub use commands::{Error, Warning};
#[doc(inline)]
pub use livekit::{CheckReport, Verdict};
pub use nests::{Nests, NestsBuilder};
#[doc(inline)]
pub use reporter::{Answer, Question, Reporter, SecretPrompt, Stage};
#[doc(inline)]
pub use secret::Secret;
