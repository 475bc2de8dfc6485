//! The Nests API, as a client sees it.

pub mod address;
pub mod answer;
pub mod http;
pub mod probe;
pub mod retry;
pub(crate) mod signed;
pub mod transport;
pub mod wire;

pub use address::{ApiUrl, RoomId};
pub use answer::{ApiError, Missing};
pub use http::{HttpClient, HttpReply, HttpRequest, Network};
pub use probe::{NestProbe, Probe};
pub use retry::RetryPolicy;
pub(crate) use signed::{SignedClient, SignedReply};
pub use transport::{Route, TransportError, TransportLayer};

pub use crate::net::proxy::{Proxy, Via};
