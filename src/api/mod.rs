//! The Nests API, as a client sees it.

pub mod address;
pub mod answer;
pub mod client;
pub mod lost;
pub mod probe;
pub mod retry;
pub(crate) mod signed;
pub mod wire;

pub use address::{Base, RoomId};
pub use answer::{Error, Missing};
pub use client::{Call, Client, Network, Reply};
pub use lost::{Layer, Lost, Route};
pub use probe::{NestProbe, Probe};
pub use retry::Policy;
pub(crate) use signed::{SignedClient, SignedReply};

pub use crate::net::proxy::{Proxy, Via};
