//! The clock, the API and the signature in words.

use super::super::connection::ApiConnection;
use super::super::findings::{Far, Findings};
use super::super::{Link, Request};
use super::{NO_CONNECTION, named, not_checked};
use crate::api::{self, Missing};
use crate::commands::Error;
use crate::report::Status;

/// Below this nothing suffers from the difference.
const HARMLESS_S: i64 = 20;
/// Above this the clock is not one that runs wrong, and `nest` does not believe it.
const A_DAY_S: i64 = 24 * 60 * 60;

pub(super) fn clock(findings: &Findings) -> Link {
    const NAME: &str = "clock";
    let Some(far) = findings.far() else { return not_checked(NAME, "there is no API to compare it with") };
    let Some(offset) = far.clock else {
        return not_checked(NAME, "the API did not answer, or does not say what time it is");
    };
    let apart_s = offset.middle_ms().abs() / 1000;
    if apart_s < HARMLESS_S {
        return Link::new(NAME, Status::Passed, format!("agrees with the API's, give or take {} s", apart_s.max(1)));
    }
    let side = if offset.middle_ms() > 0 { "behind" } else { "ahead of" };
    let detail = format!("{apart_s} s {side} the API's; signatures are valid for a minute");
    let ntp = "set the clock right: timedatectl set-ntp true";
    if apart_s <= A_DAY_S {
        Link::new(NAME, Status::Warned, detail).hint(ntp)
    } else {
        let hint = "if the clock here is right, tell the server's operator; if not: timedatectl set-ntp true";
        Link::new(NAME, Status::Failed, detail).hint(hint).next("timedatectl set-ntp true")
    }
}

pub(super) fn api(findings: &Findings, request: &Request) -> Link {
    const NAME: &str = "api";
    let far = match &findings.api {
        Ok(far) => far,
        Err(Error::NoApi) => {
            let nest = if request.room.is_some() { format!(" {}", request.named) } else { String::new() };
            return Link::new(
                NAME,
                Status::Failed,
                "nobody says which API it is: not the arguments, not NEST_API, not the configuration, not an event",
            )
            .hint("name it: --api https://…, or set NEST_API")
            .next(format!("nest doctor{nest} --api https://…"));
        }
        Err(Error::MediaOverQuic { .. }) => return not_checked(NAME, "a nest on Media over QUIC needs none"),
        Err(error) => {
            return Link::new(NAME, Status::Failed, error.to_string())
                .hint("use https://, or accept the risk with --allow-http");
        }
    };
    if matches!(&far.connection, ApiConnection::Failed(_)) || !far.is_reached() {
        return not_checked(NAME, NO_CONNECTION);
    }
    let address = far.api.as_str();
    match (&far.health.result, spoken(far)) {
        (Ok(health), _) if health.version.is_some() || health.status.is_some() => {
            let version = health.version.as_deref().map_or_else(String::new, |version| format!(", version {version}"));
            let status =
                health.status.as_deref().map_or_else(String::new, |status| format!(", it calls itself {status}"));
            Link::new(NAME, Status::Passed, format!("{address} answers{version}{status}")).took(far.health.elapsed)
        }
        (_, Ok(())) => Link::new(NAME, Status::Passed, format!("{address} answers; it does not say which build it is"))
            .took(far.nest.elapsed),
        (_, Err(error)) => Link::new(NAME, Status::Failed, format!("{address}: {error}")).hint(match error {
            api::Error::NotFound { missing: Missing::Unsaid, .. } => {
                "the rest of its answer is lost: try again in a moment"
            }
            api::Error::NotFound { .. } | api::Error::Nonsense { .. } | api::Error::Redirect { .. } => {
                "this is another address than the API's, or an old server: check --api"
            }
            api::Error::RateLimited { .. } => {
                "whoever shares this machine's address shares its limit: wait a quarter of an hour"
            }
            _ => "for the operator: the API's log has the reason; look at Redis and at LiveKit",
        }),
    }
}

/// Whether either question about a nest was answered as a Nests API answers it.
fn spoken(far: &Far) -> Result<(), &api::Error> {
    let nests = |error: &api::Error| {
        matches!(error, api::Error::NotFound { missing: Missing::Record | Missing::AudioRoom, .. })
    };
    match (far.nest.guest.as_ref().err(), far.nest.info.as_ref().err()) {
        (None, _) | (_, None) => Ok(()),
        (Some(guest), Some(info)) if nests(guest) || nests(info) => Ok(()),
        (Some(guest), _) => Err(guest),
    }
}

pub(super) fn signature(findings: &Findings, request: &Request) -> Link {
    const NAME: &str = "signature";
    let Some(far) = findings.far() else { return not_checked(NAME, "there is no API to show one to") };
    if matches!(&far.connection, ApiConnection::Failed(_)) || !far.is_reached() {
        return not_checked(NAME, NO_CONNECTION);
    }
    match (&findings.key, &far.signature) {
        (None, _) => not_checked(NAME, "there is no key to sign with"),
        (Some(Err(_)), _) => not_checked(NAME, "the key cannot be used"),
        (_, None) => not_checked(NAME, "the time was used up; give it more with --timeout"),
        (_, Some(Ok(accepted))) if accepted.warnings.is_empty() => {
            Link::new(NAME, Status::Passed, "accepted, by a call that changes nothing").took(accepted.elapsed)
        }
        (_, Some(Ok(accepted))) => {
            Link::new(NAME, Status::Warned, "accepted, but only when signed with the server's time")
                .took(accepted.elapsed)
                .hint("set the clock right: timedatectl set-ntp true")
        }
        (_, Some(Err(error))) => refused(error, request),
    }
}

fn refused(error: &Error, request: &Request) -> Link {
    const NAME: &str = "signature";
    let Error::Api(error) = error else { return not_checked(NAME, error.to_string()) };
    match error {
        api::Error::Unauthorized { said, url, .. } => {
            let said = if said.is_empty() { String::new() } else { format!(": {said}") };
            Link::new(NAME, Status::Failed, format!("refused{said}; signed was {url}"))
                .hint("if the clock is right: a server behind a proxy may know itself by another scheme, host or prefix; sign its public URL with --api")
                .next(format!("nest doctor {} --api https://…", named(request)))
        }
        api::Error::NotFound { missing: Missing::Endpoint, .. } => {
            not_checked(NAME, "this server has no call to try it with")
        }
        error => not_checked(NAME, format!("the API does not say: {error}")),
    }
}
