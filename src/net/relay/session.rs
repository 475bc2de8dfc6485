//! One connection to one relay for one short call: ask for events, hand one in, say who asks when the relay wants to
//! know (NIP-42).
//!
//! Connecting is limited in time here; for the rest the caller sets the limit, by dropping the future.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use nostr::{
    ClientMessage, Event, EventId, Filter, JsonUtil, RelayMessage, RelayUrl, SubscriptionId,
    message::MachineReadablePrefix as Prefix,
};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use super::sieve::Sieve;
use super::{RelaySettings, RelayTrouble, SUBSCRIPTION, Signer, refusal, words};
use crate::net::dial::WebSocket;

/// Events in one answer, whatever they are.
const EVENTS_MAX: usize = 2_000;

/// How long a relay has to say that it knows now who asks.
const AUTH_VERDICT: Duration = Duration::from_secs(1);

pub(crate) struct RelaySession<'a> {
    socket: WebSocket,
    url: &'a RelayUrl,
    signer: Option<&'a Signer>,
    challenge: Option<String>,
    authenticated: bool,
    sieve: Sieve,
}

impl<'a> RelaySession<'a> {
    pub async fn open(url: &'a RelayUrl, settings: &'a RelaySettings) -> Result<Self, RelayTrouble> {
        Ok(Self {
            socket: settings.dial(url.into()).await?,
            url,
            signer: settings.signer.as_ref(),
            challenge: None,
            authenticated: false,
            sieve: Sieve::of_answer(),
        })
    }

    /// Asks for the events that one of the filters fits, and hands over each one that the relay calls an answer:
    /// nothing about them has been checked.
    pub async fn ask(&mut self, filters: &[Filter], mut heard: impl FnMut(Event)) -> Result<(), RelayTrouble> {
        let id = SubscriptionId::new(SUBSCRIPTION);
        let request = ClientMessage::req(id.clone(), filters.to_vec());
        self.send(&request).await?;
        let mut events = 0;
        loop {
            let message = self.next().await?;
            if let Some(refusal) = refusal(&message) {
                self.authenticate(refusal).await?;
                self.send(&request).await?;
                continue;
            }
            match message {
                RelayMessage::Event { subscription_id, event } if *subscription_id == id => {
                    events += 1;
                    if events > EVENTS_MAX {
                        return Err(RelayTrouble::TooMuch);
                    }
                    heard(event.into_owned());
                }
                RelayMessage::EndOfStoredEvents(done) if *done == id => return Ok(()),
                _ => {}
            }
        }
    }

    /// Hands the event in and waits until the relay has said that it took it.
    pub async fn publish(&mut self, event: &Event) -> Result<(), RelayTrouble> {
        let message = ClientMessage::event(event.clone());
        loop {
            self.send(&message).await?;
            match self.verdict(event.id).await? {
                (true, _) => return Ok(()),
                // Some relays call the event a duplicate and the answer no.
                (false, reason) if Prefix::parse(&reason) == Some(Prefix::Duplicate) => return Ok(()),
                (false, reason) => self.authenticate(&reason).await?,
            }
        }
    }

    pub async fn close(mut self) {
        let _ = self.socket.close(None).await;
    }

    /// Says who asks, once, if that is why the relay refused.
    async fn authenticate(&mut self, refusal: &str) -> Result<(), RelayTrouble> {
        if self.authenticated {
            return Err(RelayTrouble::Refused(words(refusal)));
        }
        let signer = Signer::named_by_refusal(self.signer, self.challenge.is_some(), refusal)?;
        let challenge = loop {
            match self.challenge.take() {
                Some(challenge) => break challenge,
                None => drop(self.next().await?),
            }
        };
        let event = signer.answer(challenge, self.url).await?;
        self.send(&ClientMessage::auth(event.clone())).await?;
        self.authenticated = true;
        match timeout(AUTH_VERDICT, self.verdict(event.id)).await {
            Ok(Ok((false, reason))) => Err(RelayTrouble::AuthRefused(words(&reason))),
            Ok(Err(trouble)) => Err(trouble),
            // No answer is no refusal: some relays say nothing at all.
            Ok(Ok((true, _))) | Err(_) => Ok(()),
        }
    }

    async fn verdict(&mut self, id: EventId) -> Result<(bool, String), RelayTrouble> {
        loop {
            if let RelayMessage::Ok { event_id, status, message } = self.next().await?
                && (event_id == id || event_id == EventId::all_zeros())
            {
                return Ok((status, message.into_owned()));
            }
        }
    }

    async fn send(&mut self, message: &ClientMessage<'_>) -> Result<(), RelayTrouble> {
        let sent = self.socket.send(Message::text(message.as_json())).await;
        sent.map_err(|error| self.sieve.connection_error(&error))
    }

    /// The next message that can be read; a challenge is kept for when it is needed.
    async fn next(&mut self) -> Result<RelayMessage<'static>, RelayTrouble> {
        loop {
            let Some(message) = self.sieve.sift(self.socket.next().await)? else { continue };
            if let RelayMessage::Auth { challenge } = &message {
                self.challenge = Some(challenge.to_string());
            }
            return Ok(message);
        }
    }
}
