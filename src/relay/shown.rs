//! Which clients show a nest in their lists, and why another does not. Pure.
//!
//! The rules are data, read in the sources of the clients; each table says in which version. A nest is shown if it is
//! among those that are live or planned. A link opens a nest in any case.

use nostr::Tag;

use super::RoomEvent;
use super::event::{Status, is};
use super::presence::{LISTED_FOR_S, Presences};

const HOUR_S: i64 = 3600;
const DAY_S: i64 = 24 * HOUR_S;

/// A client that lists nests, and its rules.
#[derive(Debug)]
pub struct Client {
    pub name: &'static str,
    /// The version, or the commit, whose source was read.
    pub version: &'static str,
    /// The day of that commit.
    pub date: &'static str,
    reads: Reads,
    required: &'static [Required],
    /// Whether a single `streaming` of LiveKit is enough to leave a nest out.
    refuses_livekit: bool,
    statuses: &'static [(&'static str, List)],
    without_status: Option<List>,
    /// The age of an event in seconds up to which it is listed.
    max_age_s: i64,
    /// Whether an event is listed whose time has not come.
    from_the_future: bool,
    /// The age of an event in seconds up to which nobody has to be present.
    grace_s: i64,
    /// The age of a presence in seconds up to which it counts.
    presence_s: i64,
    /// Whether only those on stage count.
    onstage_only: bool,
    /// How long ago a planned nest was to start, and in what time it may start, in seconds; both are too much already.
    planned: (i64, i64),
}

/// Which tag is read where several have the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reads {
    /// The first, whatever it says.
    FirstTag,
    /// The first that says something that can be used.
    FirstValue,
}

/// A tag without whose value a nest is not listed.
#[derive(Debug)]
struct Required {
    /// Its name, then the older one if that is read too.
    names: &'static [&'static str],
    https: bool,
}

/// Where a nest is listed with some status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum List {
    Live,
    Planned,
    /// Among the past ones, or nowhere.
    Over,
}

/// Those whose rules are known.
pub static CLIENTS: [Client; 2] = [
    // NestsUI-v2/src/hooks/useRoomList.ts. All times are inclusive.
    Client {
        name: "nostrnests.com",
        version: "4fd42b6",
        date: "2026-04-21",
        reads: Reads::FirstTag,
        required: &[Required { names: &["title"], https: false }, Required { names: &["streaming"], https: true }],
        refuses_livekit: true,
        statuses: &[("live", List::Live), ("planned", List::Planned), ("ended", List::Over)],
        without_status: Some(List::Live),
        max_age_s: 7 * DAY_S,
        from_the_future: true,
        grace_s: LISTED_FOR_S,
        presence_s: LISTED_FOR_S,
        onstage_only: false,
        planned: (HOUR_S, 30 * DAY_S),
    },
    // NestsFeedFilter.kt and MeetingSpaceEvent.kt. 600 s are too much for it.
    Client {
        name: "Amethyst",
        version: "1.14.0 (10149d7)",
        date: "2026-08-22",
        reads: Reads::FirstValue,
        required: &[
            Required { names: &["title", "room"], https: false },
            Required { names: &["streaming", "endpoint"], https: true },
            Required { names: &["auth", "service"], https: true },
        ],
        refuses_livekit: false,
        statuses: &[
            ("live", List::Live),
            ("open", List::Live),
            ("private", List::Live),
            ("planned", List::Planned),
            ("ended", List::Over),
            ("closed", List::Over),
        ],
        without_status: None,
        max_age_s: 8 * HOUR_S,
        from_the_future: false,
        grace_s: LISTED_FOR_S - 1,
        presence_s: LISTED_FOR_S - 1,
        onstage_only: true,
        planned: (HOUR_S, 30 * DAY_S),
    },
];

/// Why a client does not show a nest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hidden {
    /// Its event is that of a nest on LiveKit.
    StillLiveKit,
    /// The tag of that name, or its value.
    Missing(&'static str),
    NotHttps(&'static str),
    /// A word that the client does not know.
    Status(String),
    /// Closed or ended.
    Over,
    /// The event was published too long ago.
    TooOld {
        age_s: i64,
        limit_s: i64,
    },
    /// The event is dated so many seconds after now.
    DatedAhead {
        by_s: i64,
    },
    /// It is planned, and starts in so many seconds; `limit_s` would be too much already.
    NotYet {
        in_s: i64,
        limit_s: i64,
    },
    /// It is planned, and was to start so many seconds ago; `limit_s` is too much already.
    Overdue {
        by_s: i64,
        limit_s: i64,
    },
    /// Nobody has been there, or on stage where that is what counts, for so many seconds; `None`: as far as is known,
    /// never.
    NobodyPresent {
        last_s: Option<i64>,
        onstage: bool,
    },
}

/// Each client, with what keeps it from showing the nest.
pub fn shown_by(event: &RoomEvent, presences: &Presences, now_s: i64) -> Vec<(&'static Client, Option<Hidden>)> {
    CLIENTS.iter().map(|client| (client, hidden(client, event, presences, now_s))).collect()
}

/// What keeps a client from showing a nest at `now_s`, in seconds since the Unix epoch; of several reasons, the first in
/// the order of [`Hidden`]. The event is the newest of the nest, and `presences` those in it.
pub fn hidden(client: &Client, event: &RoomEvent, presences: &Presences, now_s: i64) -> Option<Hidden> {
    client.judge(event, presences, now_s).err()
}

impl Client {
    fn judge(&self, event: &RoomEvent, presences: &Presences, now_s: i64) -> Result<(), Hidden> {
        let on_livekit =
            event.media_over_quic().is_none() && (event.service().is_some() || !event.streaming().is_empty());
        let complete = self.required.iter().try_for_each(|required| self.check(event, required));
        complete.map_err(|missing| if on_livekit { Hidden::StillLiveKit } else { missing })?;
        if self.refuses_livekit && event.streaming().iter().any(|url| url.starts_with("wss+livekit://")) {
            return Err(Hidden::StillLiveKit);
        }
        let list = self.list(event)?;
        if list == List::Over {
            return Err(Hidden::Over);
        }
        let published = i64::try_from(event.created_at()).unwrap_or(i64::MAX);
        let age_s = now_s.saturating_sub(published);
        if age_s > self.max_age_s {
            return Err(Hidden::TooOld { age_s, limit_s: self.max_age_s });
        }
        if age_s < 0 && !self.from_the_future {
            return Err(Hidden::DatedAhead { by_s: age_s.saturating_neg() });
        }
        if list == List::Planned {
            let in_s = self.starts(event, published)?.map_or(0, |starts| starts.saturating_sub(now_s));
            let (past_s, future_s) = self.planned;
            return match in_s {
                _ if in_s >= future_s => Err(Hidden::NotYet { in_s, limit_s: future_s }),
                _ if in_s <= -past_s => Err(Hidden::Overdue { by_s: in_s.saturating_neg(), limit_s: past_s }),
                _ => Ok(()),
            };
        }
        let last_s = presences.last_s(self.onstage_only).map(|at| now_s.saturating_sub(at));
        if age_s <= self.grace_s || last_s.is_some_and(|last_s| last_s <= self.presence_s) {
            return Ok(());
        }
        Err(Hidden::NobodyPresent { last_s, onstage: self.onstage_only })
    }

    /// The values of these tags among which the client takes one.
    fn values<'a>(&self, event: &'a RoomEvent, names: &'a [&str]) -> impl Iterator<Item = &'a str> {
        let first = self.reads == Reads::FirstTag;
        let tags = event.event().tags.iter().map(Tag::as_slice).filter(|tag| names.iter().any(|name| is(tag, name)));
        let values = tags.take(if first { 1 } else { usize::MAX }).filter_map(|tag| tag.get(1));
        values.map(String::as_str).filter(move |value| first || !value.is_empty())
    }

    fn check(&self, event: &RoomEvent, Required { names, https }: &Required) -> Result<(), Hidden> {
        let value = self.values(event, names).next().unwrap_or_default();
        match value {
            "" => Err(Hidden::Missing(names[0])),
            _ if self.reads == Reads::FirstValue && value.trim().is_empty() => Err(Hidden::Missing(names[0])),
            _ if *https && !value.starts_with("https://") => Err(Hidden::NotHttps(names[0])),
            _ => Ok(()),
        }
    }

    fn list(&self, event: &RoomEvent) -> Result<List, Hidden> {
        let mut words = self.values(event, &["status"]).peekable();
        let Some(&first) = words.peek() else { return self.without_status.ok_or(Hidden::Missing("status")) };
        let known = words.find_map(|word| self.statuses.iter().find(|(status, _)| *status == word));
        match known {
            Some((_, list)) => Ok(*list),
            None if Status::parse(first).is_over() => Ok(List::Over),
            None => Err(Hidden::Status(first.to_owned())),
        }
    }

    /// When a planned nest starts, as the client reads it; `None` where it asks for no time.
    fn starts(&self, event: &RoomEvent, published: i64) -> Result<Option<i64>, Hidden> {
        let mut texts = self.values(event, &["starts"]);
        if self.reads == Reads::FirstValue {
            return Ok(texts.find_map(|text| text.parse().ok()));
        }
        let Some(text) = texts.next().filter(|text| !text.is_empty()) else { return Ok(Some(published)) };
        // JavaScript's `parseInt` reads as far as there are digits.
        let number = text.trim_start().split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
        number.parse().map(Some).map_err(|_| Hidden::Missing("starts"))
    }
}
