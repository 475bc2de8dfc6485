//! LiveKit as a client meets it: tokens, endpoints, the signal connection, and the check that strings them together.

pub mod check;
pub mod dial;
pub mod endpoint;
mod findings;
pub mod fresh;
pub mod offset;
pub mod report;
pub mod signal;
pub mod token;
pub mod validate;
mod words;

pub use check::Restarted;
pub use offset::Offset;
pub use report::{CheckReport, Verdict};
