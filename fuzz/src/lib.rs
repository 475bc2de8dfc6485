//! What strangers send, as bytes, to whatever reads it: it must be read or refused, without a panic. `run.rs` has libFuzzer
//! search for bytes that break this, `tests/library/fuzz.rs` tries some on any Rust.

use std::ffi::OsStr;
use std::net::{IpAddr, Ipv4Addr};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use livekit_protocol::SignalResponse;
use nostr::{Event, JsonUtil as _};
use nostr_nests::api::wire::{Info, TokenAnswer};
use nostr_nests::api::{ApiUrl, HttpReply, RoomId, answer, http};
use nostr_nests::clock::{self, Clock};
use nostr_nests::key::{self, found_in_argument};
use nostr_nests::livekit::endpoint::{Hints, candidates};
use nostr_nests::livekit::media::offered::Offered;
use nostr_nests::livekit::token;
use nostr_nests::livekit::validate::TokenRefusal;
use nostr_nests::net::quic;
use nostr_nests::net::relay::sieve::Sieve;
use nostr_nests::relay::RoomEvent;
use nostr_nests::relay::presence::{Presence, Presences};
use nostr_nests::relay::servers::servers;
use nostr_nests::relay::shown::shown_by;
use nostr_nests::room::RoomRef;
use nostr_nests::secret::{Secret, scrub};
use nostr_nests::server::nip98;
use nostr_nests::server::serve::proxy;
use nostr_nests::server::store::Record;
use nostr_nests::server::token::Issuer;
use prost::Message as _;
use rtc::ice::candidate::unmarshal_candidate;
use tokio_tungstenite::tungstenite::Message;
use url::Url;
use webrtc::peer_connection::{RTCIceCandidateInit, RTCSessionDescription};

/// Whatever reads bytes.
pub type Target = fn(&[u8]);

pub const TARGETS: [(&str, Target); 11] = [
    ("answer", answer),
    ("endpoint", endpoint),
    ("event", event),
    ("key", key),
    ("nip98", nip98),
    ("record", record),
    ("relay", relay),
    ("room", room),
    ("sdp", sdp),
    ("signal", signal),
    ("token", token),
];

/// Some time, in seconds since the Unix epoch.
const NOW_S: i64 = 1_795_417_759;

fn text(data: &[u8]) -> String {
    String::from_utf8_lossy(data).into_owned()
}

/// The answer of an API: the status in the first two bytes, then the body.
fn answer(data: &[u8]) {
    let Some((head, body)) = data.split_first_chunk::<2>() else { return };
    let words = text(body);
    let status = 100 + u16::from_be_bytes(*head) % 900;
    let reply = HttpReply {
        status,
        date_ms: clock::parse_http_date(&words),
        sent_ms: NOW_S * 1000,
        received_ms: NOW_S * 1000,
        retry_after: http::retry_after(&words, NOW_S * 1000),
        rate_limit: None,
        location: Some(words.clone()),
        html: head[0] & 0x80 != 0,
        body: body.to_vec(),
        oversized: false,
        cut: false,
    };
    let url = Url::parse("https://h.example/api/v1/nests/demo/restart").expect("it is one");
    let asked = RoomId::new("demo").expect("it is one");
    if let Ok((session, token)) = answer::session(&reply, &url, &asked) {
        assert!(session.room_id == "demo" && (200..300).contains(&status) && !token.expose().is_empty());
    }
    let _ = answer::json::<TokenAnswer>(&reply, &url);
    let _ = answer::done(&reply, &url).map_err(|error| error.to_string());
    if let Ok(info) = answer::json::<Info>(&reply, &url) {
        let _ = (clock::rfc3339(info.created_at), clock::local_time(info.created_at), clock::span(info.created_at));
        let _ = clock::http_date(info.created_at);
    }
    let _ = (reply.clock_ahead_s(), TokenRefusal::read(status, &words));
    assert!(reply.text().chars().count() <= 301);
}

/// One endpoint on each line: of LiveKit, of an API, of a proxy.
fn endpoint(data: &[u8]) {
    let lines: Vec<_> = text(data).lines().map(str::to_owned).collect();
    let api = lines.first().and_then(|line| ApiUrl::parse(line).ok());
    for allow_http in [false, true] {
        let hints = Hints { returned: &lines, streaming: &lines, api: api.as_ref().map(ApiUrl::url), allow_http };
        for candidate in candidates(hints) {
            assert!(!candidate.takes(true) || allow_http || !candidate.cleartext);
            let _ = (candidate.as_str().len(), candidate.with_path("/rtc", allow_http));
        }
    }
    for line in &lines {
        let _ = (proxy::public_origin(line), proxy::network(line), proxy::web_origin(line));
        let _ = proxy::public_endpoint(line, false).map(|url| proxy::announced(&url));
        if let Ok(value) = line.parse() {
            let headers = [("x-forwarded-for".parse().expect("it is one"), value)].into_iter().collect();
            let trusted = proxy::network("0.0.0.0/0").expect("it is one");
            proxy::bucket(proxy::client_ip(IpAddr::V4(Ipv4Addr::LOCALHOST), &headers, &[trusted]));
        }
    }
}

/// A room event, and what is made of it.
fn event(data: &[u8]) {
    let Ok(event) = Event::from_json(data) else { return };
    let mut present = Presences::default();
    if let Some(presence) = Presence::read(&event) {
        present.enter(presence, NOW_S);
    }
    let _ = (present.people(NOW_S), servers(&event));
    let Ok(room) = RoomEvent::new(event) else { return };
    let _ = shown_by(&room, &present, NOW_S);
    let _ = (room.title(), room.summary(), room.image(), room.topics(), room.service(), room.api(), room.page());
    let _ = (room.streaming(), room.relays(), room.people(), room.starts(), room.ends(), room.media_over_quic());
    let _ = (room.successor(), room.predecessor(), room.naddr(&room.relays()), room.reference());
    let _ = (room.status(), room.is_over(NOW_S), room.is_open(NOW_S), room.is_planned(NOW_S));
    let successor = room.coordinate();
    for rewrite in [
        room.rewrite(Clock::default()).set_open(),
        room.rewrite(Clock::default()).set_over(),
        room.successor_with(room.id(), room.relays().first(), Clock::default()),
        room.superseded_by(&successor, None, Clock::default()),
    ] {
        assert_eq!(rewrite.build().pubkey, room.host());
    }
}

fn key(data: &[u8]) {
    let words = text(data);
    let _ = key::BunkerUri::parse(&words).map_err(|error| assert!(!error.to_string().is_empty()));
    let _ = key::parse::parse(&words).map_err(|error| assert!(!error.to_string().is_empty()));
    let _ = (found_in_argument(OsStr::new(&words)), scrub(&words).len());
}

/// The event of an `Authorization` header, and the header.
fn nip98(data: &[u8]) {
    let url = "http://127.0.0.1:15544/api/v1/nests/demo/restart";
    for header in [format!("Nostr {}", STANDARD.encode(data)), text(data)] {
        for now_s in [1_795_934_200, i64::MAX, i64::MIN] {
            let _ = nip98::verify(Some(&header), "POST", url, b"", now_s).map_err(|error| error.to_string());
        }
    }
}

/// What Redis holds.
fn record(data: &[u8]) {
    if let Ok(record) = serde_json::from_slice::<Record>(data) {
        let again = serde_json::to_vec(&record).expect("it is plain data");
        assert_eq!(serde_json::from_slice::<Record>(&again).expect("it was written by us"), record);
    }
}

/// One message of a relay on each line.
fn relay(data: &[u8]) {
    let mut sieves = [Sieve::of_answer(), Sieve::of_stream()];
    for line in text(data).lines() {
        for sieve in &mut sieves {
            let _ = sieve.sift(Some(Ok(Message::text(line)))).map_err(|trouble| trouble.to_string());
        }
    }
}

/// Every way to name a nest.
fn room(data: &[u8]) {
    let Ok(room) = RoomRef::parse(&text(data)) else { return };
    assert!(!matches!(room.id.as_str(), "" | "." | ".."));
    let base = ApiUrl::parse("https://h.example/pre").expect("it is one");
    let url = base.room(&room.id, "/restart");
    // It is one segment of the path, whatever is in it, and comes back as it was.
    assert_eq!(url.path_segments().map(Iterator::count), Some(6), "{url}");
    assert_eq!(RoomRef::parse(url.as_str()).expect("it is a URL of a nest").id, room.id);
    let _ = room.coordinate();
}

/// What a media server answers to an offer; and its candidates, one on each line.
fn sdp(data: &[u8]) {
    let words = text(data);
    let _ = RTCSessionDescription::answer(words.clone());
    for line in words.lines() {
        let line = line.trim_start_matches("a=");
        let _ = (Offered::read(line), unmarshal_candidate(line), serde_json::from_str::<RTCIceCandidateInit>(line));
    }
}

/// A message of LiveKit's signal connection, and a packet of QUIC.
fn signal(data: &[u8]) {
    let _ = SignalResponse::decode(data);
    let ids = [*b"theirs-01", *b"ours-0001"];
    let _ = quic::versions(data, &ids);
}

/// A token as it is, and its claims alone, for whoever is shown it and for whoever has signed it.
fn token(data: &[u8]) {
    let issuer = Issuer { key: "devkey".into(), secret: Secret::new("secret") };
    for token in [text(data), format!("e30.{}.e30", URL_SAFE_NO_PAD.encode(data))] {
        for now_s in [NOW_S, i64::MAX, i64::MIN] {
            let _ = issuer.verify(&token, now_s).map_err(|error| error.to_string());
            if let Ok(claims) = token::decode(&token) {
                let _ = (claims.problems("demo", now_s), claims.may_publish(), claims.is_probe());
            }
        }
    }
    if let Ok(claims) = serde_json::from_slice(data) {
        // As the issuer would have signed them.
        let _ = issuer.verify(&issuer.mint(&claims), NOW_S).map_err(|error| error.to_string());
    }
}
