//! The check of a nest on Media over QUIC: nothing is joined, but what listeners need is asked whether it is there.

use std::time::Duration;

use futures_util::future::join;
use url::Url;

use crate::api::{Call, Client};
use crate::clock::Clock;
use crate::livekit::{CheckReport, Verdict};
use crate::net::{is_loopback, quic};
use crate::relay::{MediaOverQuic, RoomEvent};
use crate::report::{Status, Step};

/// Limit of each question.
const LIMIT: Duration = Duration::from_secs(5);

/// Asks the relay and its auth service.
pub(super) async fn check(
    event: &RoomEvent,
    media: MediaOverQuic<'_>,
    client: &Client,
    allow_http: bool,
) -> CheckReport {
    let limit = LIMIT.min(client.network().timeout);
    let (relay, auth) = join(relay(media.relay, limit), auth(media.auth, client, allow_http, limit)).await;
    let spoken = Step::new("media", Status::NotChecked, "nest does not speak Media over QUIC: nobody has listened");
    let steps = vec![said(event), relay, auth, spoken];
    let failed = steps.iter().any(|step| step.status == Status::Failed);
    CheckReport {
        verdict: if failed { Verdict::Unhealthy } else { Verdict::Joinable },
        endpoint: media.relay.map(str::to_owned),
        server: None,
        room: None,
        media: None,
        steps,
        joined_after: None,
        media_after: None,
        closes_at_ms: None,
    }
}

/// The event alone makes such a nest live.
fn said(event: &RoomEvent) -> Step {
    let status = event.status();
    let says = format!("its status is {:?}", status.as_str());
    if event.is_over(Clock::default().now_s()) {
        return Step::new("event", Status::Failed, format!("{says}: the nest is over"))
            .hint("to reopen it, its host publishes its event again from the web app");
    }
    Step::new("event", if status.is_open() { Status::Passed } else { Status::Warned }, says)
}

async fn relay(named: Option<&str>, limit: Duration) -> Step {
    const NAME: &str = "relay";
    let Some(text) = named else {
        return Step::new(NAME, Status::Failed, "the event names no media relay")
            .hint("its host publishes its event again from the web app");
    };
    let url = Url::parse(text).ok();
    let Some((host, port)) = url.as_ref().and_then(|url| Some((url.host_str()?, url.port_or_known_default()?))) else {
        return Step::new(NAME, Status::Failed, format!("{text} is no address"));
    };
    match quic::ask(host.trim_matches(['[', ']']), port, limit).await {
        Ok(quic::QuicAnswer { address, versions, elapsed }) => {
            let versions = versions.iter().map(|version| match version {
                1 => "1".to_owned(),
                0x6b33_43cf => "2".to_owned(),
                other => format!("{other:#x}"),
            });
            let versions = versions.collect::<Vec<_>>().join(", ");
            let detail = format!("{text} answers by UDP at {address} and speaks QUIC ({versions})");
            Step::new(NAME, Status::Passed, detail).took(elapsed)
        }
        Err(error) => Step::new(NAME, Status::Failed, format!("{text} {error}")).hint(format!(
            "Media over QUIC needs UDP to port {port}: try from another network; if it is the same there, ask whoever runs that relay"
        )),
    }
}

async fn auth(named: Option<&str>, client: &Client, allow_http: bool, limit: Duration) -> Step {
    const NAME: &str = "auth";
    let Some(text) = named else { return Step::new(NAME, Status::NotChecked, "the event names no auth service") };
    let Some(url) = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https")) else {
        return Step::new(NAME, Status::Failed, format!("{text} is no web address"));
    };
    if url.scheme() == "http" && !allow_http && !is_loopback(&url) {
        return Step::new(NAME, Status::Failed, format!("{text} was not asked: tokens would travel in the clear"));
    }
    let started = tokio::time::Instant::now();
    let failed = |detail| {
        Step::new(NAME, Status::Failed, detail).hint("without it nobody gets a token: ask whoever runs the media relay")
    };
    match client.send(Call::get(&url).within(limit)).await {
        // It may well want more than a bare question.
        Ok(reply) if reply.status < 500 => {
            Step::new(NAME, Status::Passed, format!("{text} answers")).took(started.elapsed())
        }
        Ok(reply) => failed(format!("{text} fails with status {}", reply.status)),
        Err(lost) => failed(format!("{text}: {lost}")),
    }
}
