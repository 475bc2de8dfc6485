//! The page of a nest, `GET /n/<room>`: for people who have a link and no terminal. It is whole without scripts; its script
//! asks for the page again to see what has changed, and calls the API as any client may.

use std::collections::HashMap;
use std::sync::LazyLock;

use hyper::StatusCode;
use hyper::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS};
use livekit_protocol::Room;
use nostr::nips::nip01::Coordinate;
use nostr::nips::nip19::{Nip19Coordinate, ToBech32 as _};
use nostr::{Kind, PublicKey, RelayUrl};
use sha2::{Digest as _, Sha256};
use url::Url;

use super::answer::{HttpAnswer, RETRY_S};
use super::store::Record;
use crate::api::wire::{API_PATH, PAGE_PATH};
use crate::clock::{Clock, rfc3339};
use crate::room::{ROOM_KIND, RoomId};

/// Where the page of a nest is, below the public origin, and its style and script.
pub(super) const PATHS: [&str; 3] = ["/n/{id}", STYLE_PATH, "/n/-/page.js"];
const STYLE_PATH: &str = "/n/-/page.css";

const HTML: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const WORDS_JSON: &str = include_str!("words.json");

/// All that the page says, by name, as `cli::messages::page` has it.
static WORDS: LazyLock<HashMap<String, String>> =
    LazyLock::new(|| serde_json::from_str(WORDS_JSON).expect("a test compares it with what was written as JSON"));

/// The script, and the words that it uses.
static SCRIPT: LazyLock<String> =
    LazyLock::new(|| format!("const WORDS = {};\n{}", WORDS_JSON.trim_end(), include_str!("page.js")));

/// Another one whenever script or style are others: both may be kept for ever.
static STAMP: LazyLock<String> = LazyLock::new(|| {
    let hash = Sha256::new().chain_update(&*SCRIPT).chain_update(STYLE).finalize();
    hash[..8].iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
});

/// Of how many relays a nest's event is read at most.
const RELAYS: usize = 3;

/// The style or the script. No nest's page has an address with another segment in it.
pub(super) fn file(path: &str) -> HttpAnswer {
    let (kind, text): (_, &str) = match path {
        STYLE_PATH => ("text/css; charset=utf-8", STYLE),
        _ => ("text/javascript; charset=utf-8", &SCRIPT),
    };
    HttpAnswer::text(StatusCode::OK, kind, text)
        .header(X_CONTENT_TYPE_OPTIONS, "nosniff")
        .header(CACHE_CONTROL, "public, max-age=31536000, immutable")
}

/// Where the page of a nest is, as the header `Link` has it (RFC 8288).
pub(super) fn link(origin: &str, id: &str) -> String {
    let segment = RoomId::new(id).map(|id| id.path_segment()).unwrap_or_default();
    format!("<{origin}{PAGE_PATH}{segment}>; rel=\"alternate\"; type=\"text/html\"")
}

/// How a nest is, as far as the server can tell.
#[derive(Clone, Debug)]
pub(super) enum PageState {
    /// Its audio room, and how many people are inside.
    Running(Box<Room>, usize),
    Inactive,
    /// No record, and no room that says that it is this nest's.
    Gone,
    MediaDown,
    /// The store does not answer.
    Unknown,
    /// The link cannot be read, and why.
    NoNest(String),
}

/// What the page of a nest is made of.
#[derive(Clone, Debug)]
pub(super) struct NestPage {
    /// What a stranger wrote, where it is no nest's.
    pub(super) id: String,
    pub(super) state: PageState,
    pub(super) record: Option<Record>,
    /// From the record, or else from the link.
    pub(super) host: Option<PublicKey>,
    /// Where its event may be. Those that only the link names are asked if somebody says so.
    pub(super) relays: Vec<RelayUrl>,
}

/// What all pages of a server have in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct PageContext<'a> {
    /// Where clients find this server.
    pub(super) origin: &'a str,
    /// Where the web client is: below it, an naddr is the page on which people join.
    pub(super) web_client: Option<&'a str>,
    pub(super) clock: Clock,
}

impl PageState {
    /// Its name in the page and among the words.
    fn name(&self) -> &'static str {
        match self {
            Self::Running(..) => "running",
            Self::Inactive => "inactive",
            Self::Gone => "gone",
            Self::MediaDown => "mediaDown",
            Self::Unknown => "unknown",
            Self::NoNest(_) => "noNest",
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Running(..) | Self::Inactive => StatusCode::OK,
            Self::Gone | Self::NoNest(_) => StatusCode::NOT_FOUND,
            Self::MediaDown | Self::Unknown => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl NestPage {
    pub(super) fn answer(&self, context: PageContext<'_>) -> HttpAnswer {
        let PageContext { origin, web_client, clock } = context;
        let state = self.state.name();
        let (sid, inside, departure) = match &self.state {
            PageState::Running(live, inside) => (&*live.sid, *inside, live.departure_timeout),
            _ => ("", 0, 0),
        };
        let naddr = self.naddr().unwrap_or_default();
        let client = web_client.filter(|_| !naddr.is_empty());
        let client = client.map(|base| format!("{}/{naddr}", base.trim_end_matches('/'))).unwrap_or_default();
        let npub = self.host.map(|host| host.to_bech32().unwrap_or_else(|never| match never {})).unwrap_or_default();
        let nest = RoomId::new(&*self.id).map(|id| format!("{origin}{API_PATH}/{}", id.path_segment()));
        let nest = nest.unwrap_or_default();
        let room = if naddr.is_empty() { &nest } else { &naddr };
        let relays: Vec<_> = self.relays.iter().filter_map(|relay| reachable(relay, origin)).take(RELAYS).collect();
        let [urls, sources] = [0, 1].map(|at| relays.iter().map(|relay| &*relay[at]).collect::<Vec<_>>().join(" "));
        let why = if let PageState::NoNest(why) = &self.state { why } else { "" };
        let people = people(inside);
        let told = |name: &str| fill(word(name), &[("room", room), ("api", origin), ("people", &people), ("why", why)]);
        let wait = if matches!(self.state, PageState::Running(..) | PageState::NoNest(_)) { "" } else { word("wait") };
        let shown = |text: &str| if text.is_empty() { "hidden" } else { "" };
        let html = filled(&[
            ("id", &self.id),
            ("state", state),
            ("title", &fill(word("nest"), &[("id", &self.id)])),
            ("stamp", &STAMP),
            ("headline", &told(state)),
            ("why", &told(&format!("{state}.why"))),
            ("todo", &told(&format!("{state}.todo"))),
            ("wait", wait),
            ("host", &self.host.map(|host| host.to_hex()).unwrap_or_default()),
            ("npub", &npub),
            ("npub_shown", shown(&npub)),
            ("naddr", &naddr),
            ("naddr_shown", shown(&naddr)),
            ("room", room),
            ("api", origin),
            ("nest", &nest),
            ("client", &client),
            ("client_shown", shown(&client)),
            ("hosts_shown", if matches!(self.state, PageState::NoNest(_)) { "hidden" } else { "" }),
            ("relays", &urls),
            ("source", if self.record.is_some() { "record" } else { "link" }),
            ("people", &inside.to_string()),
            ("sid", sid),
            ("departure", &departure.to_string()),
            ("command", &told("command")),
            ("server", &format!("nest {}, {origin}", env!("CARGO_PKG_VERSION"))),
            ("now", &time(clock.now_ms())),
            ("record", &self.record_told()),
            ("audio_room", &self.room_told(&people)),
        ]);
        let policy = format!(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self' {sources}; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        );
        let answer = HttpAnswer::text(self.state.status(), "text/html; charset=utf-8", html)
            .header(CONTENT_SECURITY_POLICY, policy)
            .header(X_CONTENT_TYPE_OPTIONS, "nosniff")
            .header(REFERRER_POLICY, "no-referrer")
            .header(CACHE_CONTROL, "no-store");
        let down = self.state.status() == StatusCode::SERVICE_UNAVAILABLE;
        if down { answer.header(RETRY_AFTER, RETRY_S) } else { answer }
    }

    fn naddr(&self) -> Option<String> {
        let coordinate = Coordinate::new(Kind::from(ROOM_KIND), self.host?).identifier(&*self.id);
        let relays = self.relays.iter().take(RELAYS).cloned().collect();
        Nip19Coordinate { coordinate, relays }.to_bech32().ok()
    }

    fn record_told(&self) -> String {
        match (&self.record, &self.state) {
            (Some(Record { created_at, restarted_at: None, .. }), _) => {
                fill(word("created"), &[("time", &time(*created_at))])
            }
            (Some(Record { created_at, restarted_at: Some(restarted), .. }), _) => {
                fill(word("createdRestarted"), &[("time", &time(*created_at)), ("restarted", &time(*restarted))])
            }
            (None, PageState::Unknown) => word("notKnown").to_owned(),
            (None, _) => word("none").to_owned(),
        }
    }

    fn room_told(&self, people: &str) -> String {
        match &self.state {
            PageState::Running(room, _) => {
                let created = time(room.creation_time_ms.max(room.creation_time.saturating_mul(1000)));
                fill(word("audioRoom"), &[("sid", &room.sid), ("time", &created), ("people", people)])
            }
            PageState::Inactive | PageState::NoNest(_) => word("none").to_owned(),
            PageState::Gone | PageState::MediaDown | PageState::Unknown => word("notKnown").to_owned(),
        }
    }
}

/// The URL of a relay, and what allows a page to connect to it; `None` for one that a browser does not take from a page of
/// this origin. A host name may hold characters that mean something in the policy: no such relay is asked.
fn reachable(relay: &RelayUrl, origin: &str) -> Option<[String; 2]> {
    let url = Url::parse(relay.as_str()).ok()?;
    let (scheme, host) = (url.scheme(), url.host_str()?);
    let encrypted = scheme == "wss" || (scheme == "ws" && origin.starts_with("http://"));
    let plain = host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | ':' | '[' | ']'));
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    (encrypted && plain).then(|| [url.to_string(), format!("{scheme}://{host}{port}")])
}

fn word(name: &str) -> &'static str {
    WORDS.get(name).map_or("", String::as_str)
}

fn people(inside: usize) -> String {
    match inside {
        0 => word("people0").to_owned(),
        1 => word("people1").to_owned(),
        n => fill(word("people"), &[("n", &n.to_string())]),
    }
}

fn time(ms: i64) -> String {
    rfc3339(ms).unwrap_or_else(|| word("notKnown").to_owned())
}

/// A text with what is known put where `{name}` stands.
fn fill(text: &str, known: &[(&str, &str)]) -> String {
    replaced(text, ["{", "}"], |name| {
        known.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    })
}

/// The page, with what is known put where `{{name}}` stands, and words where `{{.name}}` does.
fn filled(known: &[(&str, &str)]) -> String {
    replaced(HTML, ["{{", "}}"], |name| {
        let text = match name.strip_prefix('.') {
            Some(name) => word(name),
            None => known.iter().find(|(known, _)| *known == name)?.1,
        };
        Some(escaped(text))
    })
}

/// Replaces what stands between two marks; what is not known stays as it is. What was put in is not looked at again.
fn replaced(text: &str, [open, close]: [&str; 2], value: impl Fn(&str) -> Option<String>) -> String {
    let mut parts = text.split(open);
    let mut made = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once(close).and_then(|(name, rest)| Some((value(name)?, rest))) {
            Some((value, rest)) => made.extend([&*value, rest]),
            None => made.extend([open, part]),
        }
    }
    made
}

/// For text and for attributes in double quotes. Characters that turn the direction of a line around would let a stranger's
/// text look like another, and control characters are none of HTML's.
fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => html.push('\u{fffd}'),
            c if c.is_control() => html.push('\u{fffd}'),
            c => html.push(c),
        }
    }
    html
}
