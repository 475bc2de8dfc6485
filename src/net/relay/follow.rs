//! Relays that are followed for as long as one wants. nostr-sdk connects, pings, connects again after a loss, and then
//! repeats the question; its transport hands over what the relays say.

use std::collections::HashMap;
use std::time::Duration;

use nostr::message::MachineReadablePrefix as Prefix;
use nostr::{ClientMessage, Event, EventId, Filter, RelayUrl, SubscriptionId};
use nostr_sdk::pool::RelayLimits;
use nostr_sdk::{Client, ClientOptions, RelayOptions, RelayPoolOptions, SubscribeOptions};
use tokio::sync::mpsc::{Receiver, channel};
use tokio::time::{Instant, sleep_until};

use super::transport::Transport;
use super::{RelaySettings, RelayTrouble, SUBSCRIPTION, Signer, words};

/// How many messages wait to be read before the relays are slowed down.
const WAITING_MAX: usize = 64;

/// How long nostr-sdk waits before it connects again, give or take 3 s; longer after some failures, a minute at most. Less
/// than a second must not come of it: nostr-sdk does not repeat a question that it has asked within the same second.
const RECONNECT_AFTER: Duration = Duration::from_secs(5);

/// How long a relay is left alone that has refused the question.
const REFUSED_FOR: Duration = Duration::from_secs(60);

/// What is heard of a relay that is followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It is connected, and will be asked.
    Connected,
    /// An event that fits the question; its signature holds.
    Event(Box<Event>),
    /// All events that it had have come; from now on those that are new.
    Stored,
    /// It sends events whose id or signature does not hold; these are left out.
    Forged,
    /// It is of no use for now. It will be tried again.
    Trouble(RelayTrouble),
    /// It does not answer the question.
    Refused(String),
    /// It does not take the event of this id.
    NotTaken { event: EventId, why: String },
    /// What an answer to "who asks?" has to contain (NIP-42).
    Challenge(String),
}

/// Some relays that are asked the same, until it is dropped.
pub struct Follower {
    client: Client,
    filters: Vec<Filter>,
    signer: Option<Signer>,
    heard: Receiver<(RelayUrl, Heard)>,
    standings: HashMap<RelayUrl, Standing>,
}

/// How we stand with a relay.
#[derive(Default)]
struct Standing {
    /// What it wants to have signed to know who asks.
    challenge: Option<String>,
    /// The event that says so, which is sent once a connection, however often the relay wants it.
    answer: Option<EventId>,
    /// Why it has refused before it said what it wants to have signed.
    awaits_challenge: Option<String>,
    /// Whoever was to say who asks has not signed that.
    unsigned: Option<RelayTrouble>,
    /// It was asked, and has not said since that all that it has has come.
    asked: bool,
    /// It has refused, and is left alone until then, whatever more it says.
    refused_until: Option<Instant>,
}

impl Follower {
    /// Asks relays for the events that one of the filters fits. Has to be called, and dropped, in a runtime.
    pub async fn new(relays: Vec<RelayUrl>, filters: Vec<Filter>, settings: RelaySettings) -> Self {
        let (sender, heard) = channel(WAITING_MAX);
        let signer = settings.signer.clone();
        // By itself it would show the key to every relay that sends a challenge, needed or not.
        let pool = RelayPoolOptions::new().automatic_authentication(false).notification_channel_size(1);
        let options = RelayOptions::new()
            .retry_interval(RECONNECT_AFTER)
            .limits(RelayLimits::disable())
            .notification_channel_size(1);
        let client = Client::builder()
            .websocket_transport(Transport::new(&relays, settings, sender.clone()))
            .opts(ClientOptions::new().pool(pool))
            .build();
        let mut follower = Self { client, filters, signer, heard, standings: HashMap::new() };
        for relay in &relays {
            let added = follower.client.pool().add_relay(relay, options.clone()).await;
            if let Err(error) = added {
                let trouble = RelayTrouble::Unreachable(words(&error.to_string()));
                // There is room for one message of each relay.
                let _ = sender.try_send((relay.clone(), Heard::Trouble(trouble)));
            }
            follower.connect(relay).await;
        }
        follower
    }

    /// What hands events to these relays.
    pub fn publisher(&self) -> Publisher {
        Publisher { client: self.client.clone() }
    }

    /// What is heard next.
    pub async fn next(&mut self) -> (RelayUrl, Heard) {
        loop {
            let due = self.standings.values().filter_map(|standing| standing.refused_until).min();
            tokio::select! {
                heard = self.heard.recv() => {
                    // The transport keeps a sender for as long as the client lives.
                    let Some((relay, heard)) = heard else { return std::future::pending().await };
                    if let Some(heard) = self.take(&relay, heard).await {
                        return (relay, heard);
                    }
                }
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => self.ask_again().await,
            }
        }
    }

    /// Answers what needs an answer; hands back what is for others.
    async fn take(&mut self, relay: &RelayUrl, heard: Heard) -> Option<Heard> {
        match heard {
            Heard::Challenge(challenge) => {
                let standing = self.standing(relay);
                standing.challenge = Some(challenge).filter(|_| standing.answer.is_none());
                let why = standing.awaits_challenge.take()?;
                self.refused(relay, &why).await.err().map(Heard::Trouble)
            }
            Heard::Stored => std::mem::take(&mut self.standing(relay).asked).then_some(heard),
            Heard::Refused(_) if self.standing(relay).refused_until.is_some() => None,
            Heard::Refused(why) => match self.refused(relay, &why).await {
                Ok(()) => None,
                Err(trouble) => {
                    self.standing(relay).refused_until = Some(Instant::now() + REFUSED_FOR);
                    Some(Heard::Trouble(trouble))
                }
            },
            Heard::NotTaken { event, why } => {
                let Standing { answer, asked, ref challenge, .. } = *self.standing(relay);
                match Prefix::parse(&why) {
                    _ if answer == Some(event) || answer.is_some() && event == EventId::all_zeros() => {
                        Some(Heard::Trouble(RelayTrouble::AuthRefused(words(&why))))
                    }
                    Some(Prefix::Duplicate) => None,
                    // Once the relay knows who asks, it is asked again, and whoever has sent the event sends it again too.
                    Some(Prefix::AuthRequired) if answer.is_some() && asked => None,
                    Some(Prefix::AuthRequired) if answer.is_none() => {
                        self.refused(relay, &why).await.err().map(Heard::Trouble)
                    }
                    Some(Prefix::Restricted) if answer.is_none() && challenge.is_some() => {
                        self.refused(relay, &why).await.err().map(Heard::Trouble)
                    }
                    _ => Some(Heard::NotTaken { event, why: words(&why) }),
                }
            }
            Heard::Connected => {
                // Each connection has its own challenge.
                *self.standing(relay) = Standing { asked: true, ..Standing::default() };
                // nostr-sdk has forgotten a question that was refused.
                let kept = async { self.client.relay(relay).await.ok()?.subscription(&subscription()).await };
                if kept.await.is_none() {
                    self.ask(relay).await;
                }
                Some(Heard::Connected)
            }
            heard => Some(heard),
        }
    }

    /// Says who asks, once a connection and only if that is why the relay refused, and asks again.
    async fn refused(&mut self, relay: &RelayUrl, why: &str) -> Result<(), RelayTrouble> {
        let challenge = self.standing(relay).challenge.take();
        let signer = Signer::named_by_refusal(self.signer.as_ref(), challenge.is_some(), why)?.clone();
        let Some(challenge) = challenge else {
            // Some relays say what they want to have signed only after they have refused.
            self.standing(relay).awaits_challenge = Some(why.to_owned());
            return Err(RelayTrouble::Refused(words(why)));
        };
        // A person who does not sign is not asked again and again.
        if let Some(unsigned) = self.standing(relay).unsigned.clone() {
            return Err(unsigned);
        }
        let event = match signer.answer(challenge, relay).await {
            Ok(event) => event,
            Err(trouble) => {
                self.standing(relay).unsigned = Some(trouble.clone());
                return Err(trouble);
            }
        };
        let standing = self.standing(relay);
        (standing.answer, standing.refused_until) = (Some(event.id), None);
        if let Ok(link) = self.client.relay(relay).await {
            // It fails if the connection has been lost meanwhile: then everything begins anew.
            let _ = link.send_msg(ClientMessage::auth(event));
        }
        self.ask(relay).await;
        Ok(())
    }

    async fn ask_again(&mut self) {
        let now = Instant::now();
        let due = self.standings.iter_mut().filter_map(|(relay, standing)| {
            standing.refused_until.take_if(|until| *until <= now).map(|_| relay.clone())
        });
        for relay in due.collect::<Vec<_>>() {
            self.ask(&relay).await;
        }
    }

    fn standing(&mut self, relay: &RelayUrl) -> &mut Standing {
        self.standings.entry(relay.clone()).or_default()
    }

    async fn connect(&mut self, relay: &RelayUrl) {
        if let Ok(link) = self.client.relay(relay).await {
            link.connect();
        }
        self.ask(relay).await;
    }

    /// nostr-sdk keeps the question, and asks when there is a connection.
    async fn ask(&mut self, relay: &RelayUrl) {
        self.standing(relay).asked = true;
        if let Ok(link) = self.client.relay(relay).await {
            // It fails if the relay cannot be reached: then it is asked once it can.
            let _ = link.subscribe_with_id(subscription(), self.filters.clone(), SubscribeOptions::default()).await;
        }
    }
}

/// Hands events to relays that are followed.
#[derive(Clone, Debug)]
pub struct Publisher {
    client: Client,
}

impl Publisher {
    /// Sends the event, if the relay is connected. Whether it was taken is not waited for: [`Heard::NotTaken`] says that it
    /// was not.
    pub async fn send(&self, relay: &RelayUrl, event: &Event) {
        if let Ok(link) = self.client.relay(relay).await {
            // It fails if the connection has been lost: that is heard as well.
            let _ = link.send_msg(ClientMessage::event(event.clone()));
        }
    }
}

fn subscription() -> SubscriptionId {
    SubscriptionId::new(SUBSCRIPTION)
}
