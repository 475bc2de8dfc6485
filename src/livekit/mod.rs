//! LiveKit as a client meets it: tokens, endpoints, the signal connection, and the check that strings them together.

pub mod dial;
pub mod endpoint;
pub mod offset;
pub mod signal;
pub mod token;
pub mod validate;
