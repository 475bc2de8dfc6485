//! Requests without a whole answer: whether anything was sent, and at which layer it failed.

use std::error::Error as StdError;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpInfo;
use url::Url;

use crate::net::proxy::{Via, host_and_port};
use crate::net::reach::Barred;
use crate::net::tls::TlsFailure;
use crate::secret::scrub;

/// Why there is no answer.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// No connection was made: nothing was sent.
    #[error("cannot reach {host}: {why}")]
    Unreachable {
        /// Host and port that were tried.
        host: String,
        layer: TransportLayer,
        why: String,
        route: Box<Route>,
        url: Box<Url>,
    },
    /// The request may have been carried out: it was sent, and the answer is missing or cut off.
    #[error("{0}")]
    Unanswered(String),
    /// The request cannot be made at all; nothing was sent.
    #[error("cannot use the network: {0}")]
    Unusable(String),
}

/// A request without a whole answer.
pub(super) struct Lost {
    pub why: TransportError,
    /// To be sent again: a GET, on a connection that was kept from an earlier request and closed before there was any
    /// answer. Most likely the server had closed it already, and never saw the request.
    pub again: bool,
}

impl From<TransportError> for Lost {
    fn from(why: TransportError) -> Self {
        Self { why, again: false }
    }
}

/// The way a connection was to take.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Route {
    /// The proxy, if it was to go through one.
    pub via: Option<Via>,
    /// What the name stands for, if it was no address already.
    pub tried: Vec<IpAddr>,
}

/// The layer at which a connection failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransportLayer {
    /// The name has no address.
    Dns,
    /// Only strangers lead to it, and it is not for strangers to lead there.
    Barred,
    Refused,
    /// No connection in time, or no way there.
    Connect,
    /// The certificate, or the TLS handshake.
    Tls(Option<Box<TlsFailure>>),
    /// The way through the proxy.
    Proxy,
}

/// Our own end of the connection that was lost before there was any answer.
pub(super) fn lost_connection(error: &reqwest::Error) -> Option<SocketAddr> {
    if error.is_timeout() || is_no_http(error) {
        return None;
    }
    let mut about = hyper::http::Extensions::new();
    sources(error).find_map(|e| e.downcast_ref::<legacy::Error>()?.connect_info())?.get_extras(&mut about);
    about.get().map(HttpInfo::local_addr)
}

fn is_no_http(error: &reqwest::Error) -> bool {
    sources(error).filter_map(|e| e.downcast_ref::<hyper::Error>()).any(hyper::Error::is_parse)
}

/// Sorts an error of reqwest. `limit` is that of the request.
pub(super) fn from_reqwest(error: &reqwest::Error, url: &Url, limit: Duration, route: Route) -> TransportError {
    if !error.is_connect() {
        if error.is_builder() {
            return TransportError::Unusable(chain(error));
        }
        let began = error.is_body() || error.is_decode();
        let why = if error.is_timeout() {
            format!("no {}answer within {:?}", if began { "whole " } else { "" }, rounded(limit))
        } else if began {
            "the answer was cut off".into()
        } else if is_no_http(error) {
            "the answer was no HTTP".into()
        } else {
            "the connection was lost before there was an answer".into()
        };
        return TransportError::Unanswered(why);
    }
    let (layer, why) = layer(error, route.via.is_some());
    unreachable(layer, why, route, url)
}

/// An address that was not called.
pub(super) fn barred(barred: Barred, url: &Url) -> TransportError {
    unreachable(TransportLayer::Barred, barred.to_string(), Route::default(), url)
}

fn unreachable(layer: TransportLayer, why: String, route: Route, url: &Url) -> TransportError {
    let (route, host) = (Box::new(route), host_and_port(url));
    TransportError::Unreachable { host, layer, why, route, url: Box::new(url.clone()) }
}

/// A limit as it was given, even if a moment of it was over when the request began.
fn rounded(limit: Duration) -> Duration {
    let step = match limit.as_millis() {
        ..100 => Duration::from_millis(1),
        100..1000 => Duration::from_millis(10),
        _ => Duration::from_millis(100),
    };
    let steps = (limit + step / 2).as_nanos() / step.as_nanos();
    step.saturating_mul(u32::try_from(steps).unwrap_or(u32::MAX))
}

fn layer(error: &reqwest::Error, proxied: bool) -> (TransportLayer, String) {
    let whole = chain(error);
    if let Some(failure) = TlsFailure::behind(error) {
        let why = failure.to_string();
        return (TransportLayer::Tls(Some(Box::new(failure))), why);
    }
    if let Some(barred) = sources(error).find_map(|e| e.downcast_ref::<Barred>()) {
        return (TransportLayer::Barred, barred.to_string());
    }
    // TLS refuses a name that no address can belong to before DNS is asked.
    let no_name = || sources(error).any(<dyn StdError>::is::<rustls::pki_types::InvalidDnsNameError>);
    let no_address = error.is_dns() || whole.contains("dns error") || no_name();
    let io = sources(error).find_map(|e| e.downcast_ref::<io::Error>()).map(io::Error::kind);
    let (layer, why) = match io {
        _ if no_address => (TransportLayer::Dns, "its name has no address".into()),
        _ if whole.contains("proxy authorization required") => {
            (TransportLayer::Proxy, "it wants a user name and a password".into())
        }
        _ if whole.contains("tunnel error: unsuccessful") => {
            (TransportLayer::Proxy, "it refuses to connect there".into())
        }
        Some(io::ErrorKind::ConnectionRefused) => {
            (TransportLayer::Refused, "nobody listens there: connection refused".into())
        }
        Some(io::ErrorKind::InvalidData) => (TransportLayer::Tls(None), last(error)),
        Some(io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset) => {
            (TransportLayer::Connect, "the connection was closed while it was being made".into())
        }
        _ if error.is_timeout() => (TransportLayer::Connect, "no connection in time".into()),
        _ => (TransportLayer::Connect, last(error)),
    };
    (if proxied { TransportLayer::Proxy } else { layer }, why)
}

fn sources<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |e: &&'a (dyn StdError + 'static)| -> Option<&'a (dyn StdError + 'static)> {
        let e: &'a (dyn StdError + 'static) = *e;
        // An io::Error hands out the source of what it wraps, never the wrapped error itself.
        match e.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => e.source(),
        }
    })
}

fn last(error: &reqwest::Error) -> String {
    let text = sources(error).last().map(ToString::to_string).unwrap_or_default();
    scrub(&text).into_owned()
}

/// An error and its causes on one line.
pub(super) fn chain(error: &reqwest::Error) -> String {
    let texts: Vec<String> = sources(error).map(ToString::to_string).collect();
    scrub(&texts.join(": ")).into_owned()
}
