//! Handing a new version of an event to the relays that have the old one.

use nostr::UnsignedEvent;
use serde::Serialize;

use super::Error;
use crate::key::HostKey;
use crate::relay::{Delivery, Relays, RoomEvent};
use crate::reporter::{Reporter, Warning};

/// What relays did with an event.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Published {
    /// The id of the event.
    pub event_id: String,
    /// What it says of the nest.
    pub status: String,
    /// Relays that have it.
    pub accepted: Vec<String>,
    /// Relays that do not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<Refusal>,
}

/// A relay that does not have an event.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Refusal {
    /// The URL of the relay.
    pub relay: String,
    /// What it said, or what went wrong on the way to it.
    pub why: String,
}

/// Signs the event and hands it in; a relay that does not take it is a warning.
///
/// # Errors
/// [`Error::NotPublished`] when no relay took it.
pub(super) async fn publish(
    event: UnsignedEvent,
    key: &HostKey,
    relays: &Relays,
    reporter: &dyn Reporter,
) -> Result<(RoomEvent, Published), Error> {
    let room = signed(event, key).await?;
    let published = hand_in(&room, relays, reporter).await;
    if published.accepted.is_empty() { Err(published.not_taken()) } else { Ok((room, published)) }
}

impl Published {
    /// What it means that no relay took the event.
    pub(super) fn not_taken(&self) -> Error {
        let refused = self.refused.iter().map(|refusal| format!("{}: {}", refusal.relay, refusal.why)).collect();
        Error::NotPublished { refused, done: None }
    }
}

pub(super) async fn signed(event: UnsignedEvent, key: &HostKey) -> Result<RoomEvent, Error> {
    let event = key.sign(event).await.map_err(std::sync::Arc::new)?;
    RoomEvent::new(event).map_err(|_| Error::NotPublished { refused: Vec::new(), done: None })
}

/// The same with an event that is signed already.
pub(super) async fn hand_in(room: &RoomEvent, relays: &Relays, reporter: &dyn Reporter) -> Published {
    let mut published = Published {
        event_id: room.event().id.to_hex(),
        status: room.status().as_str().to_owned(),
        accepted: Vec::new(),
        refused: Vec::new(),
    };
    for Delivery { relay, outcome } in relays.publish(room.event()).await {
        match outcome {
            Ok(()) => published.accepted.push(relay.to_string()),
            Err(trouble) => {
                let (relay, why) = (relay.to_string(), trouble.to_string());
                reporter.warning(&Warning::NotTaken { relay: relay.clone(), why: why.clone() });
                published.refused.push(Refusal { relay, why });
            }
        }
    }
    published
}
