//! The Nests API, as a client sees it.

pub mod address;
pub mod answer;
pub mod client;
pub mod lost;
pub mod retry;
pub mod wire;

pub use address::{Base, RoomId};
pub use answer::{Error, Missing};
pub use client::{Call, Client, Network, Reply};
pub use lost::{Layer, Lost, Route};
pub use retry::Policy;

pub use crate::net::proxy::{Proxy, Via};
