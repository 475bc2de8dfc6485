//! How work in progress speaks to whoever watches it: steps, warnings, questions. The terminal is one implementation.

use std::future::{Future, ready};
use std::pin::Pin;

use crate::secret::Secret;

/// What a restart or a check is busy with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// Waiting for another restart of this room on this machine.
    Lock,
    /// Loading the host's key.
    Key,
    /// Asking the API what is the case, before or after the restart.
    Look,
    /// Signing the NIP-98 event.
    Sign,
    /// The request is under way: from here on it may have been carried out.
    Restart,
    /// Waiting before the next attempt.
    Wait,
    /// The connection check.
    Check,
    /// Asking relays.
    Relays,
    /// Creating a room in the API.
    Create,
    /// Letting people speak in a new room.
    Grant,
    /// Publishing an event.
    Publish,
    /// Closing a room in the API.
    Close,
}

/// An answer that a person gives later; `None` when there is nobody to ask.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Option<T>> + Send + 'a>>;

/// Hears of progress and asks questions. All methods have a default: silence, and nobody to ask.
pub trait Reporter: Send + Sync {
    /// `room` has come to `step`.
    fn step(&self, _room: &str, _step: Step) {}

    /// Something that the user should know although the work goes on.
    fn warning(&self, _text: &str) {}

    /// For those who asked for detail: level 1 with `-v`, 2 with `-vv`.
    fn detail(&self, _level: u8, _text: &str) {}

    /// A yes-or-no question; no answer but yes is a yes.
    fn confirm<'a>(&'a self, _question: &'a str) -> Answer<'a, bool> {
        Box::pin(ready(None))
    }

    /// One of several: the index of what was chosen.
    fn choose<'a>(&'a self, _question: &'a str, _items: &'a [String]) -> Answer<'a, usize> {
        Box::pin(ready(None))
    }

    /// A question whose answer is not shown.
    fn secret<'a>(&'a self, _prompt: &'a str) -> Answer<'a, Secret> {
        Box::pin(ready(None))
    }
}

/// Says nothing and has nobody to ask.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Reporter for Silent {}
