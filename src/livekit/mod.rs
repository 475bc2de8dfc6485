//! LiveKit as a client meets it: tokens, endpoints, the signal connection, and the check that strings them together.
#![cfg_attr(not(feature = "media"), allow(dead_code, reason = "what only audio needs"))]

pub mod check;
mod connector;
pub mod endpoint;
mod findings;
pub mod fresh;
pub mod media;
pub mod offset;
pub mod report;
pub mod room_service;
pub mod signal;
pub mod token;
pub mod validate;

pub use connector::Preconnect;
pub use fresh::RestartWindow;
pub use media::Transport;
pub use offset::Offset;
pub use report::{CheckReport, EndpointOutcome, Finding, TokenFinding, TokenHolder, Tried, Verdict};
