//! Every way to name a nest, and the address of its API.

use nostr::nips::nip01::Coordinate;
use nostr::nips::nip19::{Nip19Coordinate, ToBech32 as _};
use nostr::{Kind, PublicKey, RelayUrl};
use nostr_nests::api::address::{AddressError, ApiUrl};
use nostr_nests::room::{ROOM_KIND, RoomId, RoomRef, RoomRefError, alias};

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
        assert_eq!(RoomRef::parse(bad), Err(RoomRefError::Address(AddressError::NotAnId(bad.into()))));
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
    // The page of the nest at the same server.
    let room = RoomRef::parse("https://h.example:8443/pre/n/a%20b?x=1#top").unwrap();
    assert_eq!(room.id.as_str(), "a b");
    assert_eq!(room.api.unwrap().as_str(), "https://h.example:8443/pre/api/v1/nests");
    assert_eq!(RoomRef::parse(&format!("https://h.example/n/{}", naddr(30312))).unwrap().api, None);
    let client = format!("https://client.example/n/room#{}", naddr(30312));
    assert_eq!(RoomRef::parse(&client).unwrap().id.as_str(), "My Room");
    for id in ["demo-naddr1fo", "a%20b"] {
        let [page, api] = ["n", "api/v1/nests"].map(|path| RoomRef::parse(&format!("https://h.example/{path}/{id}")));
        let (page, api) = (page.unwrap(), api.unwrap());
        assert_eq!((page.id, page.api), (api.id, api.api));
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
    for link in ["https://h.example/n/", "https://h.example/n/1234/edit"] {
        assert!(matches!(RoomRef::parse(link), Err(RoomRefError::LinkWithoutNest(_))), "{link}");
    }
    let npub = PublicKey::from_hex(AUTHOR).unwrap().to_bech32().unwrap();
    assert_eq!(RoomRef::parse(&npub), Err(RoomRefError::OtherEntity("npub1")));
    assert_eq!(RoomRef::parse(&format!("https://h.example/n/{npub}")), Err(RoomRefError::OtherEntity("npub1")));
}

#[test]
fn origin_and_full_address_are_the_same() {
    for text in ["https://h.example", "https://h.example/", "https://h.example/api/v1/nests/", "HTTPS://H.example:443"]
    {
        assert_eq!(ApiUrl::parse(text).unwrap().as_str(), "https://h.example/api/v1/nests", "{text}");
    }
    let base = ApiUrl::parse("https://h.example/pre").unwrap();
    let id = RoomId::new("a b/%41").unwrap();
    assert_eq!(base.room(&id, "/restart").as_str(), "https://h.example/pre/api/v1/nests/a%20b%2F%2541/restart");
    assert_eq!(base.health().as_str(), "https://h.example/pre/health");
}

#[test]
fn plain_http_stays_on_this_machine() {
    for text in ["http://127.0.0.1:80", "http://localhost:1", "http://[::1]:9", "https://h"] {
        assert!(ApiUrl::parse(text).unwrap().secure(false).is_ok(), "{text}");
    }
    let far = ApiUrl::parse("http://h.example").unwrap();
    assert!(matches!(far.clone().secure(false), Err(AddressError::Insecure(_))));
    assert!(far.secure(true).is_ok());
}

#[test]
fn what_is_no_api_is_refused_without_its_password() {
    for text in ["h.example", "ftp://h", "https://h/?x", "https://h/#x", "https://me:hunter2@h"] {
        let error = ApiUrl::parse(text).unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }
}
