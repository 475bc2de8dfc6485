//! DNS, proxy, TCP and TLS in words.

use super::super::Link;
use super::super::connection::ApiConnection;
use super::super::findings::Findings;
use super::not_checked;
use crate::api::{self, Layer as ApiLayer, Lost};
use crate::clock::{Clock, rfc3339};
use crate::net::dial::{DialCause, DialLayer};
use crate::net::tls::{TlsFailure, TlsSession};
use crate::report::Status;

/// A certificate that is not renewed by now will not be.
const SOON_S: i64 = 3 * 24 * 60 * 60;

const NO_API: &str = "nobody says which API it would be";
const BY_PROXY: &str = "the proxy does that";

pub(super) fn dns(findings: &Findings) -> Link {
    const NAME: &str = "dns";
    let Some(far) = findings.far() else { return not_checked(NAME, NO_API) };
    let host = far.api.url().host_str().unwrap_or_default().to_owned();
    let literal = !matches!(far.api.url().host(), Some(url::Host::Domain(_)));
    match &far.connection {
        ApiConnection::Proxy(_) => not_checked(NAME, BY_PROXY),
        ApiConnection::Failed(failed) if failed.layer == DialLayer::Dns => {
            Link::new(NAME, Status::Failed, format!("{host} cannot be found: {}", failed.cause))
                .hint(format!("check the spelling of {host}, and that this machine is online"))
        }
        _ if literal => Link::new(NAME, Status::Passed, format!("{host} is an address already")),
        ApiConnection::Failed(failed) => {
            let link = Link::new(NAME, Status::Passed, format!("{host} has an address"));
            took(link, failed.timings.of(DialLayer::Dns))
        }
        ApiConnection::Direct { remote_address, timings, .. } => took(
            Link::new(NAME, Status::Passed, format!("{host} is at {}", without_port(remote_address))),
            timings.of(DialLayer::Dns),
        ),
    }
}

pub(super) fn proxy(findings: &Findings) -> Link {
    const NAME: &str = "proxy";
    let Some(far) = findings.far() else { return not_checked(NAME, NO_API) };
    let ApiConnection::Proxy(via) = &far.connection else { return Link::new(NAME, Status::Passed, "none on the way") };
    let through = format!("{} ({})", via.host, via.variable);
    match &far.health.result {
        Err(api::Error::Lost(Lost::Unreachable { layer: ApiLayer::Proxy, why, .. })) => {
            Link::new(NAME, Status::Failed, format!("the way leads through {through}, and that failed: {why}"))
                .hint(format!("correct {} or unset it, or go around it with NO_PROXY", via.variable))
        }
        _ => Link::new(NAME, Status::Passed, format!("the way leads through {through}")),
    }
}

pub(super) fn tcp(findings: &Findings) -> Link {
    const NAME: &str = "tcp";
    let Some(far) = findings.far() else { return not_checked(NAME, NO_API) };
    match &far.connection {
        ApiConnection::Proxy(_) => not_checked(NAME, BY_PROXY),
        ApiConnection::Failed(failed) => match failed.layer {
            DialLayer::Dns => not_checked(NAME, "there is no address to connect to"),
            DialLayer::Tcp => Link::new(NAME, Status::Failed, failed.cause.to_string())
                .hint(format!("the server is down, or a firewall is in between: curl -v {}", far.api.health())),
            _ => took(Link::new(NAME, Status::Passed, "connected"), failed.timings.of(DialLayer::Tcp)),
        },
        ApiConnection::Direct { remote_address, timings, .. } => {
            took(Link::new(NAME, Status::Passed, format!("connected to {remote_address}")), timings.of(DialLayer::Tcp))
        }
    }
}

pub(super) fn tls(findings: &Findings) -> Link {
    const NAME: &str = "tls";
    let Some(far) = findings.far() else { return not_checked(NAME, NO_API) };
    if far.api.url().scheme() == "http" {
        let where_to = if far.api.is_loopback() { "on this machine" } else { "which was allowed" };
        return not_checked(NAME, format!("plain http, {where_to}"));
    }
    match &far.connection {
        ApiConnection::Proxy(_) => match &far.health.result {
            Err(api::Error::Lost(Lost::Unreachable { layer: ApiLayer::Tls(_), why, .. })) => {
                Link::new(NAME, Status::Failed, why).hint(hint(None))
            }
            Err(api::Error::Lost(Lost::Unreachable { .. })) => not_checked(NAME, super::NO_CONNECTION),
            _ => Link::new(NAME, Status::Passed, "the certificate is good; no more is seen through a proxy"),
        },
        ApiConnection::Failed(failed) if failed.layer == DialLayer::Tls => {
            let failure = if let DialCause::Tls(failure) = &failed.cause { Some(failure) } else { None };
            Link::new(NAME, Status::Failed, failed.cause.to_string()).hint(hint(failure))
        }
        ApiConnection::Failed(_) => not_checked(NAME, super::NO_CONNECTION),
        ApiConnection::Direct { tls: None, .. } => not_checked(NAME, "plain http"),
        ApiConnection::Direct { tls: Some(agreed), timings, .. } => {
            took(certificate(agreed), timings.of(DialLayer::Tls))
        }
    }
}

fn certificate(agreed: &TlsSession) -> Link {
    let issuer = agreed.issuer.as_ref().map(|issuer| format!(", issued by {issuer:?}")).unwrap_or_default();
    let left_s = agreed.not_after.map(|end| end.saturating_sub(Clock::default().now_s()));
    let days = left_s.map(|left| match left / 86_400 {
        1 => ", 1 day left".into(),
        days => format!(", {days} days left"),
    });
    let detail = format!("{}{issuer}{}", agreed.version, days.unwrap_or_default());
    match (left_s, agreed.not_after) {
        (Some(left), Some(end)) if left < SOON_S => {
            let end = rfc3339(end.saturating_mul(1000)).unwrap_or_default();
            Link::new("tls", Status::Warned, detail)
                .hint(format!("for the operator: renew the certificate, it ends at {end}"))
        }
        _ => Link::new("tls", Status::Passed, detail),
    }
}

fn hint(failure: Option<&TlsFailure>) -> &'static str {
    match failure {
        Some(TlsFailure::Expired { .. } | TlsFailure::NotValidYet { .. }) => {
            "for the operator: renew it. If the date here is wrong: timedatectl set-ntp true"
        }
        Some(TlsFailure::WrongName { .. }) => "give the API by a name that is in the certificate: --api https://…",
        Some(TlsFailure::UnknownIssuer { .. }) => {
            "for a private CA, or a proxy that opens TLS, name its certificate: --cacert PATH"
        }
        Some(TlsFailure::NotTls) => "in a network that you trust: --api http://… --allow-http",
        _ => "for the operator: look at the certificate and at the TLS set-up",
    }
}

fn took(link: Link, time: Option<std::time::Duration>) -> Link {
    match time {
        Some(time) => link.took(time),
        None => link,
    }
}

fn without_port(remote_address: &str) -> &str {
    remote_address.rsplit_once(':').map_or(remote_address, |(address, _)| address)
}
