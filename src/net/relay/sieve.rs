//! What a relay sends, bounded and read before anybody else sees it.

use std::time::{Duration, Instant};

use nostr::{EventId, JsonUtil as _, RelayMessage};
use tokio_tungstenite::tungstenite::{self, Message, error::ProtocolError};

use super::{RelayTrouble, words};
use crate::net::dial::PingBudget;
use crate::net::io_text;

/// Bytes of all messages together.
const BYTES_MAX: usize = 16 << 20;
/// Messages that nobody can read before the relay is given up.
const NONSENSE_MAX: usize = 10;

/// How much a relay may send: so much in all, or so much in each span of time.
#[derive(Debug)]
pub struct Sieve {
    /// After so long it may send as much again; `None`: never.
    renewed_after: Option<Duration>,
    begun: Instant,
    bytes: usize,
    nonsense: usize,
    pings: PingBudget,
    /// The relay's last `NOTICE`: often the only reason that it gives.
    notice: String,
}

impl Sieve {
    /// For one short call: the bounds are those of the whole answer.
    pub fn of_answer() -> Self {
        Self {
            renewed_after: None,
            begun: Instant::now(),
            bytes: 0,
            nonsense: 0,
            pings: PingBudget::default(),
            notice: String::new(),
        }
    }

    /// For a connection that lives long: the bounds are those of each minute.
    pub fn of_stream() -> Self {
        Self { renewed_after: Some(Duration::from_mins(1)), ..Self::of_answer() }
    }

    /// Another connection of the same relay, which has not said anything on it.
    pub fn connected_anew(&mut self) {
        self.notice.clear();
    }

    /// Reads what has come from the socket; `None` where it is nothing for us. An error ends the connection.
    pub fn sift(
        &mut self,
        frame: Option<Result<Message, tungstenite::Error>>,
    ) -> Result<Option<RelayMessage<'static>>, RelayTrouble> {
        let text = match frame {
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {
                return if self.pings.spend() { Err(RelayTrouble::PingFlood) } else { Ok(None) };
            }
            Some(Ok(Message::Binary(_))) => return self.unreadable(),
            Some(Ok(Message::Close(frame))) => {
                let reason = frame.map_or(String::new(), |frame| words(&frame.reason));
                let why = if reason.is_empty() { self.notice.clone() } else { reason };
                return Err(RelayTrouble::ConnectionLost(why));
            }
            Some(Err(error)) => return Err(self.connection_error(&error)),
            None => return Err(RelayTrouble::ConnectionLost(self.notice.clone())),
        };
        if self.renewed_after.is_some_and(|span| self.begun.elapsed() >= span) {
            (self.begun, self.bytes, self.nonsense) = (Instant::now(), 0, 0);
        }
        self.bytes += text.len();
        if self.bytes > BYTES_MAX {
            return Err(RelayTrouble::TooMuch);
        }
        let Some(message) = RelayMessage::from_json(text.as_bytes()).ok().or_else(|| unnamed_verdict(&text)) else {
            return self.unreadable();
        };
        if let RelayMessage::Notice(notice) = &message {
            self.notice = words(notice);
        }
        Ok(Some(message))
    }

    fn unreadable<T>(&mut self) -> Result<Option<T>, RelayTrouble> {
        self.nonsense += 1;
        if self.nonsense < NONSENSE_MAX { Ok(None) } else { Err(RelayTrouble::Nonsense) }
    }

    pub fn connection_error(&self, error: &tungstenite::Error) -> RelayTrouble {
        match error {
            tungstenite::Error::Capacity(_) => RelayTrouble::TooMuch,
            tungstenite::Error::WriteBufferFull(_) => RelayTrouble::PingFlood,
            tungstenite::Error::Io(error) if self.notice.is_empty() => {
                RelayTrouble::ConnectionLost(words(&io_text(error)))
            }
            tungstenite::Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)
            | tungstenite::Error::ConnectionClosed
            | tungstenite::Error::AlreadyClosed
            | tungstenite::Error::Io(_) => RelayTrouble::ConnectionLost(self.notice.clone()),
            _ => RelayTrouble::Nonsense,
        }
    }
}

/// `["OK", "", false, "…"]`: some relays do not say which event they refuse. Only one is ever under way.
fn unnamed_verdict(text: &str) -> Option<RelayMessage<'static>> {
    let (kind, _, status, message): (String, String, bool, String) = serde_json::from_str(text).ok()?;
    (kind == "OK").then(|| RelayMessage::ok(EventId::all_zeros(), status, message))
}
