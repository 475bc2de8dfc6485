//! The host's presence in a nest on Media over QUIC, sent from here: clients show a nest for as long as somebody is present.
//!
//! A key has one presence. So none is sent while the host's own app sends one, or while the host is in another nest.

use std::time::Duration;

use nostr::{Event, Filter, Kind};
use tokio::time::{Instant, sleep_until};

use super::{Error, Job};
use crate::clock::Clock;
use crate::key::HostKey;
use crate::livekit::check::Keeping;
use crate::relay::presence::{PRESENCE_KIND, Presence, Presences, RENEW_AFTER, off_stage, on_stage};
use crate::relay::{Relays, RoomEvent};
use crate::reporter::{RoomReporter, Stage, Warning};

/// How long the host's own app is waited for to renew a presence, in seconds: Amethyst's patience, the longest (EGG-04).
const HOST_GONE_AFTER_S: i64 = 360;

impl Job<'_> {
    /// Sends the host's presence until somebody else is there, the time is over, or `keeping` ends; then takes it back.
    ///
    /// # Errors
    /// When it cannot be signed, or no relay says who is present.
    pub(super) async fn keep_present(
        &self,
        nest: &RoomEvent,
        key: &HostKey,
        relays: &Relays,
        limit: Option<Duration>,
        keeping: &Keeping,
        reporter: &RoomReporter<'_>,
    ) -> Result<(), Error> {
        reporter.step(Stage::Keep);
        let until = limit.map(|limit| Instant::now() + limit);
        let mut sent: Option<Event> = None;
        let stay = async {
            loop {
                if self.is_taken(nest, relays, sent.as_ref(), reporter).await? {
                    return Ok(());
                }
                let last = sent.as_ref().map(|event| event.created_at);
                let event = on_stage(&nest.coordinate(), Clock::default(), last);
                sent = Some(self.send_presence(key, event, relays, reporter).await?);
                let due = Instant::now() + RENEW_AFTER;
                sleep_until(until.map_or(due, |until| until.min(due))).await;
                if until.is_some_and(|until| until <= Instant::now()) {
                    return Ok(());
                }
            }
        };
        let stayed = keeping.stay(stay).await.unwrap_or(Ok(()));
        if let Some(sent) = sent {
            let event = off_stage(&nest.coordinate(), Clock::default(), Some(sent.created_at));
            self.send_presence(key, event, relays, reporter).await?;
        }
        stayed
    }

    /// Whether none is to be sent: somebody else is there, the host's own app sends one, or the host is in another nest.
    async fn is_taken(
        &self,
        nest: &RoomEvent,
        relays: &Relays,
        sent: Option<&Event>,
        reporter: &RoomReporter<'_>,
    ) -> Result<bool, Error> {
        let (host, coordinate, now_s) = (nest.host(), nest.coordinate(), Clock::default().now_s());
        let presences = || Filter::new().kind(Kind::from(PRESENCE_KIND));
        let heard = relays.stored(&[presences().author(host), presences().coordinate(&coordinate)]).await?;
        let (own, others): (Vec<_>, Vec<_>) = heard.iter().partition(|event| event.pubkey == host);
        let own = own.into_iter().filter(|event| sent.is_none_or(|sent| event.created_at > sent.created_at));
        let own = own.filter_map(Presence::read).max_by_key(|presence| presence.at_s);
        if let Some(own) = own.filter(|own| own.age_s(now_s) < HOST_GONE_AFTER_S) {
            if own.nest != coordinate {
                reporter.warn(Warning::HostElsewhere { nest: own.nest.to_string() });
                return Ok(true);
            }
            // One that is off the stage is no longer sent.
            if own.onstage {
                reporter.warn(Warning::HostPresent);
                return Ok(true);
            }
        }
        let mut there = Presences::default();
        for presence in others.into_iter().filter_map(Presence::read) {
            there.enter(presence, now_s);
        }
        let people = there.count(now_s);
        reporter.detail(1, &format!("{people} others present"));
        Ok(people > 0)
    }

    async fn send_presence(
        &self,
        key: &HostKey,
        event: nostr::UnsignedEvent,
        relays: &Relays,
        reporter: &RoomReporter<'_>,
    ) -> Result<Event, Error> {
        let event = key.sign(event).await.map_err(std::sync::Arc::new)?;
        for delivery in relays.publish(&event).await {
            if let Err(trouble) = delivery.outcome {
                reporter.detail(1, &format!("{}: {trouble}", delivery.relay));
            }
        }
        Ok(event)
    }
}
