//! The host's presence in a nest on Media over QUIC, sent from here: clients show a nest for as long as somebody is present.
//!
//! A key has one presence. So none is sent while the host's own app sends one, or while the host is in another nest.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nostr::{Event, Filter, Kind, Timestamp, UnsignedEvent};
use tokio::time::{Instant, sleep_until};

use crate::clock::Clock;
use crate::key::HostKey;
use crate::livekit::check::Keeping;
use crate::relay::presence::{PRESENCE_KIND, Presence, Presences, RENEW_AFTER, off_stage, on_stage};
use crate::relay::{RelayError, Relays, RoomEvent};
use crate::reporter::{RoomReporter, Stage, Warning};

/// How long the host's own app is waited for to renew a presence: Amethyst's patience, the longest (EGG-04).
const HOST_GONE_AFTER: Duration = Duration::from_secs(360);

/// Presences that a relay is asked for: one is enough to know that somebody is there.
const OTHERS_MAX: usize = 100;

/// Who is present beside what was sent from here.
enum Around {
    Nobody,
    Others,
    /// The host's own app has taken over; the warning says where.
    Host(Warning),
}

/// Where the presence is sent, and what was sent last.
pub(super) struct HostPresence<'a> {
    nest: &'a RoomEvent,
    key: &'a HostKey,
    relays: &'a Relays,
    reporter: &'a RoomReporter<'a>,
    last: Mutex<Option<Event>>,
}

impl<'a> HostPresence<'a> {
    pub fn new(nest: &'a RoomEvent, key: &'a HostKey, relays: &'a Relays, reporter: &'a RoomReporter<'a>) -> Self {
        Self { nest, key, relays, reporter, last: Mutex::default() }
    }

    /// Sends it until somebody else is there, the time is over, or `keeping` ends; then takes it back. What goes wrong is a
    /// warning, and tried again: relays come and go.
    pub async fn keep(&self, limit: Option<Duration>, keeping: &Keeping) {
        self.reporter.step(Stage::Keep);
        let until = limit.map(|limit| Instant::now() + limit);
        let stay = async {
            loop {
                match self.around().await {
                    Ok((Around::Others | Around::Host(_), _)) => return,
                    Ok((Around::Nobody, newest)) => {
                        self.send(|clock| on_stage(&self.nest.coordinate(), clock, newest)).await;
                    }
                    Err(error) => self.reporter.detail(1, &format!("who is present is not known: {error}")),
                }
                let due = Instant::now() + RENEW_AFTER;
                sleep_until(until.map_or(due, |until| until.min(due))).await;
                if until.is_some_and(|until| until <= Instant::now()) {
                    return;
                }
            }
        };
        // Ended by itself, or from outside: both are its end.
        let _ = keeping.stay(stay).await;
        // What the host's own app has said meanwhile is not to be replaced.
        if let Ok((Around::Host(warning), _)) = self.around().await {
            return self.reporter.warn(warning);
        }
        let sent = self.last().as_ref().map(|event| event.created_at);
        if sent.is_some() {
            self.send(|clock| off_stage(&self.nest.coordinate(), clock, sent)).await;
        }
    }

    /// Who else is present, and when the host's key last said that it is somewhere.
    async fn around(&self) -> Result<(Around, Option<Timestamp>), RelayError> {
        let (host, coordinate, now_s) = (self.nest.host(), self.nest.coordinate(), Clock::default().now_s());
        let presences = || Filter::new().kind(Kind::from(PRESENCE_KIND));
        let since = Timestamp::now() - HOST_GONE_AFTER;
        let others = presences().coordinate(&coordinate).since(since).limit(OTHERS_MAX);
        // All relays: the host's app may be heard on the slowest.
        let heard = self.relays.stored(&[presences().author(host), others], None).await?;
        let (own, others): (Vec<_>, Vec<_>) = heard.iter().partition(|event| event.pubkey == host);
        let own = own.into_iter().max_by_key(|event| event.created_at);
        let newest = own.map(|event| event.created_at);
        let foreign = own.filter(|event| self.last().as_ref().is_none_or(|last| event.id != last.id));
        let foreign =
            foreign.filter(|event| event.created_at >= since && event.created_at <= Timestamp::now() + HOST_GONE_AFTER);
        match foreign.and_then(Presence::read) {
            Some(own) if own.nest != coordinate => {
                return Ok((Around::Host(Warning::HostElsewhere { nest: own.nest.to_string() }), newest));
            }
            // One that is off the stage is no longer sent.
            Some(own) if own.onstage => return Ok((Around::Host(Warning::HostPresent), newest)),
            _ => {}
        }
        let mut there = Presences::default();
        for presence in others.into_iter().filter_map(Presence::read) {
            there.enter(presence, now_s);
        }
        Ok((if there.count(now_s) > 0 { Around::Others } else { Around::Nobody }, newest))
    }

    async fn send(&self, presence: impl FnOnce(Clock) -> UnsignedEvent) {
        let event = match self.key.sign(presence(Clock::default())).await {
            Ok(event) => event,
            Err(error) => return self.reporter.warn(Warning::NotPresent { why: error.to_string() }),
        };
        // From here on it may be somewhere, and is to be taken back.
        *self.last() = Some(event.clone());
        let deliveries = self.relays.publish(&event).await;
        if deliveries.iter().all(|delivery| delivery.outcome.is_err()) {
            let why = deliveries.iter().filter_map(|d| Some(format!("{}: {}", d.relay, d.outcome.as_ref().err()?)));
            self.reporter.warn(Warning::NotPresent { why: why.collect::<Vec<_>>().join("; ") });
        }
    }

    fn last(&self) -> MutexGuard<'_, Option<Event>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
