//! The people whom an event names.

use nostr::PublicKey;

/// What a `p` tag makes of somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// Runs the nest.
    Host,
    /// May mute and invite.
    Admin,
    /// May speak.
    Speaker,
    /// Anything else, as it is written.
    Other(String),
}

/// Somebody named in the event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// Who.
    pub key: PublicKey,
    /// As what.
    pub role: Role,
}

impl Role {
    /// Reads the role of a `p` tag, in whatever case.
    pub(super) fn parse(text: &str) -> Self {
        match text.trim().to_ascii_lowercase().as_str() {
            "host" => Self::Host,
            "admin" | "moderator" => Self::Admin,
            "speaker" => Self::Speaker,
            _ => Self::Other(text.to_owned()),
        }
    }
}
