//! LiveKit as a client meets it: tokens, endpoints, the signal connection, and the check that strings them together.

pub mod endpoint;
pub mod offset;
pub mod token;
