//! Every way to name a nest. Pure: nothing is asked of anybody.

use nostr::nips::nip01::Coordinate;
use nostr::nips::nip19::{FromBech32, Nip19Coordinate};
use nostr::{Kind, PublicKey, RelayUrl};
use percent_encoding::percent_decode_str;
use url::Url;

pub use crate::api::address::RoomId;
use crate::api::address::{self, API_PATH, ApiUrl};

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
    /// The author of the event, where the name says it: the host.
    pub host: Option<PublicKey>,
    /// Relays that may have the event, from an naddr.
    pub relays: Vec<RelayUrl>,
    /// The API, where the name is a URL of it.
    pub api: Option<ApiUrl>,
}

impl RoomRef {
    /// Reads any of the ways to name a nest: a bare id, `naddr1…`, `nostr:naddr1…`, a web page with an naddr in its
    /// address, the API URL of the room, `30312:<pubkey>:<d>`.
    pub fn parse(text: &str) -> Result<Self, RoomRefError> {
        let plain = strip_prefix_ignoring_case(text, "nostr:").unwrap_or(text);
        if strip_prefix_ignoring_case(plain, "naddr1").is_some() {
            return Self::from_naddr(plain);
        }
        for other in ["npub1", "nprofile1", "nevent1", "note1", "nsec1", "ncryptsec1"] {
            if strip_prefix_ignoring_case(plain, other).is_some_and(|rest| rest.len() >= 50) {
                return Err(RoomRefError::OtherEntity(other));
            }
        }
        if text.contains("://") {
            return Self::from_link(text);
        }
        match text.split_once(':').map(|(kind, rest)| (kind.parse(), rest.split_once(':'))) {
            Some((Ok(kind), Some((author, d)))) => Self::from_coordinate(text, kind, author, d),
            _ => Ok(Self::bare(RoomId::new(text)?)),
        }
    }

    fn bare(id: RoomId) -> Self {
        Self { id, host: None, relays: Vec::new(), api: None }
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

    fn from_link(text: &str) -> Result<Self, RoomRefError> {
        let nowhere = || RoomRefError::LinkWithoutNest(text.into());
        if let Some(at) = text.find("naddr1") {
            let naddr: String = text[at..].chars().take_while(char::is_ascii_alphanumeric).collect();
            return Self::from_naddr(&naddr);
        }
        let url = Url::parse(text).map_err(|_| nowhere())?;
        let (before, after) = url.path().split_once(API_PATH).ok_or_else(nowhere)?;
        let segment = after.trim_start_matches('/').split('/').next().unwrap_or_default();
        let id = percent_decode_str(segment).decode_utf8().map_err(|_| nowhere())?;
        let mut api = url.clone();
        api.set_path(&format!("{before}{API_PATH}"));
        api.set_query(None);
        api.set_fragment(None);
        let id = RoomId::new(id).map_err(|_| nowhere())?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use nostr::nips::nip19::ToBech32;

    const AUTHOR: &str = "aa4fc8665f5696e33db7e1a572e3b0f5b3d615837b0f362dcb1c8068b098c7b4";

    fn naddr(kind: u16) -> String {
        let coordinate = Coordinate::new(Kind::from(kind), PublicKey::from_hex(AUTHOR).unwrap()).identifier("My Room");
        let relays = vec![RelayUrl::parse("wss://relay.example").unwrap()];
        Nip19Coordinate { coordinate, relays }.to_bech32().unwrap()
    }

    #[test]
    fn a_bare_id_is_kept_byte_for_byte() {
        for id in ["2F9A-b", "a b/ü?#%2e", "...", "demo", "30312", "x:y", "npub1"] {
            let room = RoomRef::parse(id).unwrap();
            assert_eq!(room.id.as_str(), id);
            assert_eq!(room.host, None);
        }
        assert_eq!(RoomRef::parse("a b/ü?%2e.~").unwrap().id.path_segment(), "a%20b%2F%C3%BC%3F%252e.~");
        for bad in ["", ".", ".."] {
            assert_eq!(RoomRef::parse(bad), Err(RoomRefError::Address(address::AddressError::NotAnId(bad.into()))));
        }
    }

    #[test]
    fn an_alias_begins_with_an_at() {
        assert_eq!((alias("@weekly"), alias("weekly"), alias("bob@example.com")), (Some("weekly"), None, None));
    }

    #[test]
    fn addresses_links_and_coordinates_name_the_same_room() {
        let naddr = naddr(ROOM_KIND);
        for text in [
            naddr.clone(),
            naddr.to_uppercase(),
            format!("nostr:{naddr}"),
            format!("https://nostrnests.com/{naddr}"),
            format!("https://nostrnests.com/room?a={naddr}#top"),
        ] {
            let room = RoomRef::parse(&text).unwrap();
            assert_eq!(room.id.as_str(), "My Room", "{text}");
            assert_eq!(room.host.unwrap().to_hex(), AUTHOR);
            assert_eq!(room.relays.len(), 1);
        }
        let room = RoomRef::parse(&format!("30312:{AUTHOR}:a:b")).unwrap();
        assert_eq!((room.id.as_str(), room.host.unwrap().to_hex().as_str()), ("a:b", AUTHOR));
        assert_eq!(room.coordinate().unwrap().to_string(), format!("30312:{AUTHOR}:a:b"));
    }

    #[test]
    fn an_api_url_brings_its_api() {
        for tail in ["", "/", "/restart", "/info?x=1"] {
            let room = RoomRef::parse(&format!("https://h.example:8443/pre/api/v1/nests/a%20b{tail}")).unwrap();
            assert_eq!(room.id.as_str(), "a b");
            assert_eq!(room.api.unwrap().as_str(), "https://h.example:8443/pre/api/v1/nests");
        }
    }

    #[test]
    fn what_names_no_nest_is_refused_by_name() {
        assert_eq!(RoomRef::parse(&naddr(30311)), Err(RoomRefError::WrongKind(30311)));
        assert_eq!(RoomRef::parse(&format!("30311:{AUTHOR}:x")), Err(RoomRefError::WrongKind(30311)));
        assert!(matches!(RoomRef::parse("naddr1qqqq"), Err(RoomRefError::BadAddress { .. })));
        assert!(matches!(RoomRef::parse("30312:zz:x"), Err(RoomRefError::BadAddress { .. })));
        assert!(matches!(RoomRef::parse("https://nostrnests.com/"), Err(RoomRefError::LinkWithoutNest(_))));
        assert!(matches!(RoomRef::parse("https://h/api/v1/nests/%2e%2e"), Err(RoomRefError::LinkWithoutNest(_))));
        let npub = PublicKey::from_hex(AUTHOR).unwrap().to_bech32().unwrap();
        assert_eq!(RoomRef::parse(&npub), Err(RoomRefError::OtherEntity("npub1")));
    }
}
