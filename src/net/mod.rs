//! How anything else is reached: one dialler, TLS, proxies, a packet that tells whether somebody speaks QUIC, and which
//! addresses strangers may lead to.

pub mod dial;
pub mod proxy;
pub mod quic;
pub mod reach;
pub mod relay;
pub mod tls;

use std::io;
use std::net::IpAddr;

use url::{Host, Url};

/// Whether the host of a URL is this machine: `localhost`, 127.0.0.0/8 or `::1`.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => IpAddr::V6(ip).to_canonical().is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        // `ws` and `wss` are special schemes too; anything else has an opaque host.
        None => false,
    }
}

/// An I/O error in the system's words, without its number.
pub(crate) fn io_text(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}
