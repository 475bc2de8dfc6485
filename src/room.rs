//! Every way to name a nest. Pure: nothing is asked of anybody.

use nostr::nips::nip01::Coordinate;
use nostr::nips::nip19::{FromBech32, Nip19Coordinate};
use nostr::{Kind, PublicKey, RelayUrl};
use percent_encoding::percent_decode_str;
use url::Url;

pub use crate::api::address::RoomId;
use crate::api::address::{self, API_PATH, ApiUrl};
use crate::api::wire::PAGE_PATH;

/// The kind of a room event (NIP-53, interactive rooms).
pub const ROOM_KIND: u16 = 30312;

/// Why a text names no nest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RoomRefError {
    #[error("this names an event of kind {0}, and a nest has kind {ROOM_KIND}")]
    WrongKind(u16),
    /// Looks like an event address or a coordinate, but does not decode.
    #[error("{text:?} cannot be read as an event address: {why}")]
    BadAddress { text: String, why: String },
    /// `npub1…`, `nevent1…` and the like, which name something else.
    #[error("{0}… names something else than a nest")]
    OtherEntity(&'static str),
    #[error("{0:?} is a web address that names no nest")]
    LinkWithoutNest(String),
    /// The id or the API cannot be used.
    #[error(transparent)]
    Address(#[from] address::AddressError),
}

/// The name of an alias, `weekly` of `@weekly`; what it stands for is the configuration's to say.
pub fn alias(text: &str) -> Option<&str> {
    text.strip_prefix('@')
}

/// A nest as the user named it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomRef {
    pub id: RoomId,
    /// What names it in a command: as it was written, or else what leads to it.
    pub name: String,
    /// The author of the event, where the name says it: the host.
    pub host: Option<PublicKey>,
    /// Relays that may have the event, from an naddr.
    pub relays: Vec<RelayUrl>,
    /// The API, where the name is a URL of it.
    pub api: Option<ApiUrl>,
}

impl RoomRef {
    /// Reads any of the ways to name a nest: a bare id, `naddr1…`, `nostr:naddr1…`, a web page with an naddr in its
    /// address, the API URL of the room or its page at the API, `30312:<pubkey>:<d>`.
    pub fn parse(text: &str) -> Result<Self, RoomRefError> {
        Ok(Self { name: text.to_owned(), ..Self::parsed(text)? })
    }

    fn parsed(text: &str) -> Result<Self, RoomRefError> {
        let plain = strip_prefix_ignoring_case(text, "nostr:").unwrap_or(text);
        if let Some(room) = Self::from_entity(plain) {
            return room;
        }
        if text.contains("://") {
            return Self::from_link(text);
        }
        match text.split_once(':').map(|(kind, rest)| (kind.parse(), rest.split_once(':'))) {
            Some((Ok(kind), Some((author, d)))) => Self::from_coordinate(text, kind, author, d),
            _ => Ok(Self::bare(RoomId::new(text)?)),
        }
    }

    /// A nest of which only this is known.
    pub fn bare(id: RoomId) -> Self {
        Self { name: id.to_string(), id, host: None, relays: Vec::new(), api: None }
    }

    /// What NIP-19 writes in one word; `None` for any other word.
    fn from_entity(text: &str) -> Option<Result<Self, RoomRefError>> {
        if strip_prefix_ignoring_case(text, "naddr1").is_some() {
            return Some(Self::from_naddr(text));
        }
        let others = ["npub1", "nprofile1", "nevent1", "note1", "nsec1", "ncryptsec1"];
        let is = |other: &&str| strip_prefix_ignoring_case(text, other).is_some_and(|rest| rest.len() >= 50);
        others.into_iter().find(is).map(|other| Err(RoomRefError::OtherEntity(other)))
    }

    fn from_naddr(text: &str) -> Result<Self, RoomRefError> {
        let address = Nip19Coordinate::from_bech32(text)
            .map_err(|e| RoomRefError::BadAddress { text: text.into(), why: e.to_string() })?;
        let Nip19Coordinate { coordinate: Coordinate { kind, public_key, identifier }, relays } = address;
        of_room_kind(kind.as_u16())?;
        Ok(Self { relays, host: Some(public_key), ..Self::bare(RoomId::new(identifier)?) })
    }

    fn from_coordinate(text: &str, kind: u16, author: &str, d: &str) -> Result<Self, RoomRefError> {
        let author =
            PublicKey::parse(author).map_err(|e| RoomRefError::BadAddress { text: text.into(), why: e.to_string() })?;
        of_room_kind(kind)?;
        Ok(Self { host: Some(author), ..Self::bare(RoomId::new(d)?) })
    }

    /// An id in the API's address is what it is, even where it looks like an naddr.
    fn from_link(text: &str) -> Result<Self, RoomRefError> {
        let nowhere = || RoomRefError::LinkWithoutNest(text.into());
        let url = Url::parse(text).map_err(|_| nowhere());
        let path = url.as_ref().map(Url::path).unwrap_or_default();
        let of_api = path.split_once(API_PATH).map(|(before, after)| (before, after.trim_start_matches('/')));
        // The pages of some client are no such pages, though their addresses may look alike.
        let is_page = |id: &str| !id.contains('/') && (id.contains("naddr1") || !text.contains("naddr1"));
        let of_page = path.trim_end_matches('/').rsplit_once(PAGE_PATH).filter(|(_, id)| is_page(id));
        let Some((before, after)) = of_api.or(of_page) else {
            let naddr = &text[text.find("naddr1").ok_or_else(nowhere)?..];
            let end = naddr.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(naddr.len());
            return Self::from_naddr(&naddr[..end]);
        };
        let segment = after.split('/').next().unwrap_or_default();
        let id = percent_decode_str(segment).decode_utf8().map_err(|_| nowhere())?;
        if let (None, Some(room)) = (of_api, Self::from_entity(&id)) {
            return room;
        }
        let id = RoomId::new(id).map_err(|_| nowhere())?;
        let mut api = url.clone()?;
        api.set_path(&format!("{before}{API_PATH}"));
        api.set_query(None);
        api.set_fragment(None);
        Ok(Self { api: Some(ApiUrl::parse(api.as_str())?), ..Self::bare(id) })
    }

    /// The address of the event as relays index it, where the author is known.
    pub fn coordinate(&self) -> Option<Coordinate> {
        self.host.map(|host| Coordinate::new(Kind::from(ROOM_KIND), host).identifier(self.id.as_str()))
    }
}

fn of_room_kind(kind: u16) -> Result<(), RoomRefError> {
    if kind == ROOM_KIND { Ok(()) } else { Err(RoomRefError::WrongKind(kind)) }
}

fn strip_prefix_ignoring_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let head = text.get(..prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then(|| &text[prefix.len()..])
}
