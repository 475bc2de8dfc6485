//! The two vocabularies in which an event says whether its nest is open.

/// What the event says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// `open`, of the vocabulary that calls its title `room`.
    Open,
    /// `private`, of the same.
    Private,
    /// `closed`, of the same.
    Closed,
    /// `planned`, of the vocabulary that calls its title `title`.
    Planned,
    /// `live`, of the same.
    Live,
    /// `ended`, of the same.
    Ended,
    /// Anything else as it is written; empty when there is no status.
    Unknown(String),
}

/// A set of words for the same thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Vocabulary {
    /// `open`, `private`, `closed`.
    Room,
    /// `planned`, `live`, `ended`.
    Title,
}

impl Status {
    /// Reads the value of a `status` tag, in whatever case.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match text.trim().to_ascii_lowercase().as_str() {
            "open" => Self::Open,
            "private" => Self::Private,
            "closed" => Self::Closed,
            "planned" => Self::Planned,
            "live" => Self::Live,
            "ended" => Self::Ended,
            _ => Self::Unknown(text.to_owned()),
        }
    }

    /// As it stands in the tag.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Open => "open",
            Self::Private => "private",
            Self::Closed => "closed",
            Self::Planned => "planned",
            Self::Live => "live",
            Self::Ended => "ended",
            Self::Unknown(text) => text,
        }
    }

    /// Closed or ended.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self, Self::Closed | Self::Ended)
    }

    /// Open, private, planned or live.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self, Self::Open | Self::Private | Self::Planned | Self::Live)
    }

    /// Whose word it is; `None` for a word of neither.
    pub(super) fn vocabulary(&self) -> Option<Vocabulary> {
        match self {
            Self::Open | Self::Private | Self::Closed => Some(Vocabulary::Room),
            Self::Planned | Self::Live | Self::Ended => Some(Vocabulary::Title),
            Self::Unknown(_) => None,
        }
    }
}
