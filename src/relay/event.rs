//! A nest's event, read tolerantly: what it says, and nothing that it does not say. Pure.

use nostr::nips::nip01::Coordinate;
use nostr::nips::nip19::{Nip19Coordinate, ToBech32};
use nostr::{Event, PublicKey, RelayUrl, Tag};
use url::Url;

use super::each_once;
use crate::api::address::{API_PATH, ApiUrl};
use crate::room::{ROOM_KIND, RoomId, RoomRef};

/// What marks the pointer from a closed nest to the one that took its place; stands behind the relay of an `a` tag.
pub(super) const SUCCESSOR: &str = "successor";
/// What marks the pointer back.
pub(super) const PREDECESSOR: &str = "predecessor";

/// A text in an naddr has one byte for its length.
const TLV_MAX: usize = 255;
/// Hints in an naddr: more make a link that nobody can read out.
const HINTS_MAX: usize = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotARoom {
    #[error("the event is of kind {0}, and a nest has kind {ROOM_KIND}")]
    Kind(u16),
    /// Without a `d` that can name a room.
    #[error("the event has no room id")]
    NoId,
}

/// A nest as its host published it. The event is kept whole; its signature is whoever fetched it to check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomEvent {
    event: Event,
    id: RoomId,
}

/// Where a nest on Media over QUIC runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MediaOverQuic<'a> {
    /// The relay: the first `https` value of `streaming`; without a `streaming`, that of `endpoint`.
    pub relay: Option<&'a str>,
    /// The base URL of the auth service: `auth`, or else `service`.
    pub auth: Option<&'a str>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    Host,
    Admin,
    Speaker,
    /// Anything else, as it is written.
    Other(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    pub key: PublicKey,
    pub role: Role,
}

impl Role {
    fn parse(text: &str) -> Self {
        match text.trim().to_ascii_lowercase().as_str() {
            "host" | "owner" => Self::Host,
            "admin" | "moderator" => Self::Admin,
            "speaker" => Self::Speaker,
            _ => Self::Other(text.to_owned()),
        }
    }
}

/// Whether a nest is open, as its event says it, in one of two vocabularies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    Open,
    Private,
    Closed,
    Planned,
    Live,
    Ended,
    /// Anything else as it is written; empty when there is no status.
    Unknown(String),
}

/// Clients write the status in one of two sets of words, which go with the two names of the tag for a title.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Vocabulary {
    /// The title is in `room`; the status is `open`, `private` or `closed`.
    Room,
    /// The title is in `title`; the status is `planned`, `live` or `ended`.
    Title,
}

static STATUSES: [(&str, Status, Vocabulary); 6] = [
    ("open", Status::Open, Vocabulary::Room),
    ("private", Status::Private, Vocabulary::Room),
    ("closed", Status::Closed, Vocabulary::Room),
    ("planned", Status::Planned, Vocabulary::Title),
    ("live", Status::Live, Vocabulary::Title),
    ("ended", Status::Ended, Vocabulary::Title),
];

impl Status {
    pub fn parse(text: &str) -> Self {
        let known = STATUSES.iter().find(|(word, ..)| text.trim().eq_ignore_ascii_case(word));
        known.map_or_else(|| Self::Unknown(text.to_owned()), |(_, status, _)| status.clone())
    }

    pub fn as_str(&self) -> &str {
        match self {
            Self::Unknown(text) => text,
            known => STATUSES.iter().find(|(_, status, _)| status == known).map_or("", |(word, ..)| word),
        }
    }

    pub fn is_over(&self) -> bool {
        matches!(self, Self::Closed | Self::Ended)
    }

    pub(crate) fn is_open(&self) -> bool {
        matches!(self, Self::Open | Self::Private | Self::Live)
    }

    /// Whose word it is; `None` for a word of neither.
    pub(super) fn vocabulary(&self) -> Option<Vocabulary> {
        STATUSES.iter().find(|(_, status, _)| status == self).map(|(.., vocabulary)| *vocabulary)
    }
}

impl RoomEvent {
    /// Takes an event of a nest.
    ///
    /// # Errors
    /// [`NotARoom`]: everything else that is missing or odd in it is borne.
    pub fn new(event: Event) -> Result<Self, NotARoom> {
        let kind = event.kind.as_u16();
        if kind != ROOM_KIND {
            return Err(NotARoom::Kind(kind));
        }
        let d = event.tags.iter().find_map(|tag| value_of(tag, "d")).ok_or(NotARoom::NoId)?;
        let id = RoomId::new(d).map_err(|_| NotARoom::NoId)?;
        Ok(Self { event, id })
    }

    pub fn event(&self) -> &Event {
        &self.event
    }

    pub fn id(&self) -> &RoomId {
        &self.id
    }

    pub fn host(&self) -> PublicKey {
        self.event.pubkey
    }

    pub fn coordinate(&self) -> Coordinate {
        Coordinate::new(self.event.kind, self.event.pubkey).identifier(self.id.as_str())
    }

    /// `naddr1…`, with those relays as hints that are known to have the event, then those that it names.
    /// `None` for an id that is too long for one (255 bytes).
    pub fn naddr(&self, seen_on: &[RelayUrl]) -> Option<String> {
        self.address(self.coordinate(), seen_on)
    }

    /// The same of the nest that took the place of this one, if it is the same host's.
    pub fn successor_naddr(&self, seen_on: &[RelayUrl]) -> Option<String> {
        self.address(self.successor().filter(|to| to.public_key == self.host())?, seen_on)
    }

    fn address(&self, coordinate: Coordinate, seen_on: &[RelayUrl]) -> Option<String> {
        if coordinate.identifier.len() > TLV_MAX {
            return None;
        }
        let fitting = seen_on.iter().cloned().chain(self.relays()).filter(|relay| relay.as_str().len() <= TLV_MAX);
        let mut relays = each_once(fitting);
        relays.truncate(HINTS_MAX);
        Nip19Coordinate { coordinate, relays }.to_bech32().ok()
    }

    /// The same as a reference, with the relays of the event as its hints and its API.
    pub fn reference(&self) -> RoomRef {
        let name = self.naddr(&[]).unwrap_or_else(|| format!("{ROOM_KIND}:{}:{}", self.host(), self.id));
        RoomRef { id: self.id.clone(), name, host: Some(self.host()), relays: self.relays(), api: self.api() }
    }

    /// Seconds since the Unix epoch.
    pub fn created_at(&self) -> u64 {
        self.event.created_at.as_secs()
    }

    /// Whether this version replaces `other`: later, or at the same second with the lower id (NIP-01).
    pub fn replaces(&self, other: &Self) -> bool {
        (self.event.created_at, other.event.id) > (other.event.created_at, self.event.id)
    }

    /// What people call it: `title` in one vocabulary, `room` in the other.
    pub fn title(&self) -> Option<&str> {
        self.value("title").or_else(|| self.value("room"))
    }

    pub fn summary(&self) -> Option<&str> {
        self.value("summary")
    }

    pub fn image(&self) -> Option<&str> {
        self.value("image")
    }

    pub fn topics(&self) -> Vec<&str> {
        self.values("t").collect()
    }

    pub fn status(&self) -> Status {
        Status::parse(self.value("status").unwrap_or_default())
    }

    /// Closed or ended, or past its `ends`. Such a nest is restarted only when it is named.
    pub fn is_over(&self, now_s: i64) -> bool {
        self.status().is_over() || self.ends().is_some_and(|ends| ends <= now_s)
    }

    /// Open, private or live, and not past its `ends`: without an audio room such a nest is inactive.
    /// A status of some other vocabulary is neither this, nor [planned](Self::is_planned), nor [over](Self::is_over).
    pub fn is_open(&self, now_s: i64) -> bool {
        self.status().is_open() && !self.is_over(now_s)
    }

    /// Announced, and not begun as far as its event says. Whether its time has come, `starts` says.
    pub fn is_planned(&self, now_s: i64) -> bool {
        self.status() == Status::Planned && !self.is_over(now_s)
    }

    /// The API as it is written, as an origin or a full `…/api/v1/nests`: in `endpoint`, or else in `service`.
    pub fn service(&self) -> Option<&str> {
        self.endpoint().or_else(|| self.value("service"))
    }

    /// The API that the event names, in either spelling; `None` too when it cannot be read.
    pub fn api(&self) -> Option<ApiUrl> {
        ApiUrl::parse(self.service()?).ok()
    }

    /// The web page on which people join: what `service` is where `endpoint` names the API.
    pub fn page(&self) -> Option<Url> {
        self.endpoint()?;
        let page = self.value("service")?;
        if self.media_over_quic().is_some_and(|media| media.auth == Some(page)) {
            return None;
        }
        Url::parse(page).ok().filter(|url| matches!(url.scheme(), "https" | "http"))
    }

    /// In an older use of the word it is a media server, which is none of http.
    fn endpoint(&self) -> Option<&str> {
        self.values("endpoint").find(|url| is_endpoint(url))
    }

    pub fn streaming(&self) -> Vec<&str> {
        self.values("streaming").collect()
    }

    /// The relays of the nest, without those that are no relay URLs, each once.
    pub fn relays(&self) -> Vec<RelayUrl> {
        let tags = self.event.tags.iter().map(Tag::as_slice).filter(|tag| is(tag, "relays"));
        each_once(tags.flat_map(|tag| &tag[1..]).filter_map(|url| RelayUrl::parse(url).ok()))
    }

    /// Every address that it names, whatever for.
    pub fn urls(&self) -> Vec<Url> {
        let values = self.event.tags.iter().flat_map(|tag| tag.as_slice().iter().skip(1));
        values.filter(|value| value.contains("://")).filter_map(|value| Url::parse(value).ok()).collect()
    }

    /// Everybody named, with a role or without.
    pub fn people(&self) -> Vec<Person> {
        let person = |tag: &[String]| {
            let key = PublicKey::from_hex(tag.get(1)?).ok()?;
            Some(Person { key, role: Role::parse(tag.get(3).map_or("", String::as_str)) })
        };
        let tags = self.event.tags.iter().map(Tag::as_slice).filter(|tag| is(tag, "p"));
        tags.filter_map(person).collect()
    }

    /// When it starts or started, in seconds since the Unix epoch.
    pub fn starts(&self) -> Option<i64> {
        self.value("starts").and_then(time)
    }

    /// When it ends or ended, in seconds since the Unix epoch.
    pub fn ends(&self) -> Option<i64> {
        self.value("ends").and_then(time)
    }

    /// The relay and its auth service, for a nest that runs on Media over QUIC: it has an `auth`, or its `streaming` is
    /// `https`. An `https` one beside a WebSocket, or a playlist of segments, is how a nest on LiveKit is heard over HTTP.
    ///
    /// For what is missing then, the names of EGG-01's drafts are read: `endpoint` and `service`, if they do not name a
    /// Nests API. Alone these two make no nest on Media over QUIC: NIP-53 has them for an API and a page.
    pub fn media_over_quic(&self) -> Option<MediaOverQuic<'_>> {
        let streaming = self.streaming();
        let livekit =
            |url: &&str| ["ws://", "wss://", "ws+livekit://", "wss+livekit://"].iter().any(|s| begins(url, s));
        let auth = self.value("auth");
        if auth.is_none() && streaming.iter().any(livekit) {
            return None;
        }
        let relay = streaming.iter().copied().find(|url| begins(url, "https://") && !url.contains(".m3u8"));
        relay.or(auth)?;
        let draft = |name| {
            self.values(name).find(|url| begins(url, "https://") && !url.trim_end_matches('/').ends_with(API_PATH))
        };
        Some(MediaOverQuic {
            relay: relay.or_else(|| draft("endpoint").filter(|_| streaming.is_empty())),
            auth: auth.or_else(|| draft("service")),
        })
    }

    /// The nest that took the place of this one.
    pub fn successor(&self) -> Option<Coordinate> {
        self.pointer(SUCCESSOR)
    }

    /// The nest whose place this one took.
    pub fn predecessor(&self) -> Option<Coordinate> {
        self.pointer(PREDECESSOR)
    }

    fn pointer(&self, marker: &str) -> Option<Coordinate> {
        let tag = self.event.tags.iter().map(Tag::as_slice).find(|tag| marked(tag, marker))?;
        // Not `Coordinate::parse`: it cuts an id at a colon.
        RoomRef::parse(tag.get(1)?).ok()?.coordinate()
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.values(name).next()
    }

    /// The first values of all tags of that name, without blank ones.
    fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        self.event.tags.iter().filter_map(move |tag| value_of(tag, name)).map(str::trim).filter(|v| !v.is_empty())
    }
}

fn value_of<'a>(tag: &'a Tag, name: &str) -> Option<&'a str> {
    let tag = tag.as_slice();
    is(tag, name).then(|| tag.get(1).map(String::as_str))?
}

pub(super) fn is(tag: &[String], name: &str) -> bool {
    tag.first().is_some_and(|first| first == name)
}

/// Whether it is a pointer to another nest with that marker.
pub(super) fn marked(tag: &[String], marker: &str) -> bool {
    is(tag, "a") && tag.get(3).is_some_and(|m| m == marker)
}

/// Whether a value of `endpoint` can be that of an API.
pub(super) fn is_endpoint(url: &str) -> bool {
    begins(url.trim(), "https://") || begins(url.trim(), "http://")
}

fn begins(url: &str, scheme: &str) -> bool {
    url.get(..scheme.len()).is_some_and(|head| head.eq_ignore_ascii_case(scheme))
}

/// Seconds; some clients write milliseconds, which as seconds would be after the year 5000.
pub(super) fn time(text: &str) -> Option<i64> {
    let number: i64 = text.parse().ok()?;
    Some(if number >= 100_000_000_000 { number / 1000 } else { number })
}
