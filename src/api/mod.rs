//! The Nests API, as a client sees it.

pub mod address;
pub mod wire;
