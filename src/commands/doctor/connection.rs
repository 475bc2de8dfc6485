//! The connection to the API, layer by layer: DNS, proxy, TCP, TLS.

use tokio::time::Instant;

use crate::api::{ApiUrl, HttpClient, Via};
use crate::net::dial::{self, DialError, DialLimits, LAYER_LIMIT, Timings};
use crate::net::tls::TlsSession;

/// How the API is reached.
pub(crate) enum ApiConnection {
    /// Through a proxy, which looks up the name and connects.
    Proxy(Via),
    /// `tls` is `None` for plain http.
    Direct {
        remote_address: String,
        timings: Timings,
        tls: Option<TlsSession>,
    },
    Failed(DialError),
}

/// Connects, and says nothing on the connection.
pub(super) async fn connect(client: &HttpClient, api: &ApiUrl, until: Instant) -> ApiConnection {
    let network = client.network();
    if let Some(via) = network.proxy.as_ref().and_then(|proxy| proxy.via(api.url())) {
        return ApiConnection::Proxy(via);
    }
    let limits = DialLimits { each: LAYER_LIMIT, until };
    match dial::connect(api.url(), &network.tls, Some("http/1.1"), limits).await {
        Ok(connection) => ApiConnection::Direct {
            remote_address: connection.remote_address.to_string(),
            tls: connection.tls(),
            timings: connection.timings,
        },
        Err(error) => ApiConnection::Failed(error),
    }
}
