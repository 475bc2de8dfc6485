//! What the API says of a nest to anybody: two questions side by side, no key, nobody joins.

use std::future::{Future, ready};
use std::time::Duration;

use futures_util::future::join;
use nostr::PublicKey;
use url::Url;

use crate::api::wire::Info;
use crate::api::{self, Base, Call, Client, Missing, Reply, RoomId, answer};
use crate::livekit::Offset;
use crate::reporter::Reporter;
use crate::secret::Secret;

/// What `/info` may take when a person is waiting for the question.
pub(super) const GLANCE: Duration = Duration::from_secs(1);

/// What it says.
#[derive(Debug)]
pub(crate) struct Sight {
    /// `/guest`: a listener's token, if there is an audio room.
    pub guest: Result<Secret, api::Error>,
    /// `/info`: the record.
    pub info: Result<Info, api::Error>,
    /// How far the API's clock is from the one here.
    pub clock: Option<Offset>,
    /// How long the answers took.
    pub elapsed: Duration,
}

impl Sight {
    /// Whether there is an audio room, as far as it is known.
    pub fn audio_room(&self) -> Option<bool> {
        there(&self.guest)
    }

    /// Whether there is a record, as far as it is known.
    pub fn record(&self) -> Option<bool> {
        there(&self.info)
    }

    /// Whose nest it is, by its record.
    pub fn host(&self) -> Option<PublicKey> {
        PublicKey::from_hex(&self.info.as_ref().ok()?.host).ok()
    }
}

/// The record alone; nothing, if it does not come within `limit`.
pub(super) async fn record(client: &Client, api: &Base, id: &RoomId, limit: Duration) -> Option<Info> {
    let url = api.room(id, "/info");
    let reply = client.send(Call::get(&url).within(limit)).await.ok()?;
    answer::json(&reply, &url).ok()
}

/// A 404 says no, all other failures say nothing.
fn there<T>(answer: &Result<T, api::Error>) -> Option<bool> {
    match answer {
        Ok(_) => Some(true),
        Err(api::Error::NotFound { missing: Missing::Record | Missing::AudioRoom, .. }) => Some(false),
        Err(_) => None,
    }
}

/// Asks; waits `limit` at most.
pub(super) async fn look(client: &Client, api: &Base, id: &RoomId, limit: Duration, reporter: &dyn Reporter) -> Sight {
    look_on(client, api, id, limit, reporter, |_| ready(())).await.0
}

/// The same, and what `on` makes of the record while the audio room is still asked for.
pub(super) async fn look_on<T, F: Future<Output = T>>(
    client: &Client,
    api: &Base,
    id: &RoomId,
    limit: Duration,
    reporter: &dyn Reporter,
    on: impl FnOnce(Option<Info>) -> F,
) -> (Sight, T) {
    let started = tokio::time::Instant::now();
    let (guest_url, info_url) = (api.room(id, "/guest"), api.room(id, "/info"));
    let guest = async {
        let guest = ask(client, &guest_url, limit, reporter).await;
        (guest, started.elapsed())
    };
    let info = async {
        let reply = ask(client, &info_url, limit, reporter).await;
        let (clock, elapsed) = (reply.as_ref().ok().and_then(clock_of), started.elapsed());
        let info: Result<Info, _> = reply.and_then(|reply| answer::json(&reply, &info_url));
        let more = on(info.as_ref().ok().cloned()).await;
        (info, clock, elapsed, more)
    };
    let ((guest, guest_elapsed), (info, info_clock, info_elapsed, more)) = join(guest, info).await;
    let clock = guest.as_ref().ok().and_then(clock_of).or(info_clock);
    let guest = guest.and_then(|reply| answer::fresh_token(&reply, &guest_url));
    (Sight { guest, info, clock, elapsed: guest_elapsed.max(info_elapsed) }, more)
}

async fn ask(client: &Client, url: &Url, limit: Duration, reporter: &dyn Reporter) -> Result<Reply, api::Error> {
    let reply = client.send(Call::get(url).within(limit)).await;
    reporter.detail(
        1,
        &match &reply {
            Ok(reply) if reply.status < 300 => format!("GET {url}: {}", reply.status),
            Ok(reply) => format!("GET {url}: {} {}", reply.status, reply.text()),
            Err(lost) => format!("GET {url}: {lost}"),
        },
    );
    Ok(reply?)
}

/// The API's clock, by the `Date` of an answer.
pub(super) fn clock_of(reply: &Reply) -> Option<Offset> {
    reply.date_ms.map(|date| Offset::from_reading(date, 1000, reply.sent_ms, reply.received_ms))
}
