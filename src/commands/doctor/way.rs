//! The way to the API, layer by layer: DNS, proxy, TCP, TLS.

use std::time::Duration;

use tokio::time::Instant;

use crate::api::{Base, Client, Via};
use crate::livekit::dial::{self, Failed, Patience, Timings};
use crate::livekit::endpoint::{Candidate, Source};
use crate::tls::Agreed;

/// For one layer.
const LAYER_LIMIT: Duration = Duration::from_secs(10);

/// A way to the API.
pub(super) enum Way {
    /// Through a proxy, which looks up the name and connects.
    Proxy(Via),
    Direct {
        peer: String,
        timings: Timings,
        /// What TLS agreed on; `None` for plain http.
        tls: Option<Agreed>,
    },
    Ended(Failed),
}

/// Goes there and comes back; nothing is said on the connection.
pub(super) async fn walk(client: &Client, api: &Base, until: Instant) -> Way {
    if let Some(via) = client.network().proxy.as_ref().and_then(|proxy| proxy.via(api.url())) {
        return Way::Proxy(via);
    }
    let mut url = api.url().clone();
    // All four are special schemes, between which this never fails.
    let _ = url.set_scheme(if url.scheme() == "https" { "wss" } else { "ws" });
    let candidate = Candidate { url, source: Source::Usual, internal: None, host_token: false, cleartext: false };
    match dial::connect(&candidate, &client.network().tls, Patience { each: LAYER_LIMIT, until }).await {
        Ok(connection) => {
            Way::Direct { peer: connection.peer.to_string(), timings: connection.timings(), tls: connection.tls() }
        }
        Err(failed) => Way::Ended(failed),
    }
}
