//! New versions of a nest's event: every tag that is not changed stays as it is and where it is. Pure.

use nostr::nips::nip01::Coordinate;
use nostr::{Event, Kind, PublicKey, RelayUrl, Tag, Timestamp, UnsignedEvent};
use url::Url;

use super::event::{PREDECESSOR, RoomEvent, SUCCESSOR, Status, Vocabulary, is, is_endpoint, marked, time};
use crate::api::address::ApiUrl;
use crate::api::wire::API_PATH;
use crate::clock::Clock;
use crate::room::RoomId;

/// Where the proof stands in a `p` tag: behind the key, a relay and the role.
const PROOF: usize = 4;

/// The next version of an event, or the first of its successor, before it is signed.
#[derive(Clone, Debug)]
pub struct Rewrite {
    host: PublicKey,
    kind: Kind,
    content: String,
    tags: Vec<Tag>,
    status: Status,
    over_quic: bool,
    now_s: i64,
    /// Of the version that it replaces.
    newer_than: Option<Timestamp>,
}

impl RoomEvent {
    /// A new version of this event, so far with nothing changed.
    pub fn rewrite(&self, clock: Clock) -> Rewrite {
        let Event { pubkey, kind, content, tags, created_at, .. } = self.event();
        Rewrite {
            host: *pubkey,
            kind: *kind,
            content: content.clone(),
            tags: tags.iter().cloned().collect(),
            status: self.status(),
            over_quic: self.media_over_quic().is_some(),
            now_s: clock.now_s(),
            newer_than: Some(*created_at),
        }
    }

    /// The event of a nest that takes the place of this one: the same tags, but its own id, open since now, and a pointer
    /// back. Nobody's proof of having agreed to be named goes with it: that is a signature over the old id. The API and
    /// `streaming` are the caller's to set.
    pub fn successor_with(&self, id: &RoomId, seen_on: Option<&RelayUrl>, clock: Clock) -> Rewrite {
        let mut successor = self.rewrite(clock);
        successor.newer_than = None;
        successor.put(&["d"], [id.as_str()]);
        for person in &mut successor.tags {
            if is(person.as_slice(), "p") && person.as_slice().len() > PROOF {
                *person = Tag::parse(&person.as_slice()[..PROOF]).expect("it has a name");
            }
        }
        successor.tags.retain(|tag| ![SUCCESSOR, PREDECESSOR].iter().any(|marker| marked(tag.as_slice(), marker)));
        successor.point(PREDECESSOR, &self.coordinate(), seen_on);
        successor.set_open()
    }

    /// The last version of this event, once `successor` has taken its place: over, with a pointer to it.
    pub fn superseded_by(&self, successor: &Coordinate, seen_on: Option<&RelayUrl>, clock: Clock) -> Rewrite {
        let mut last = self.rewrite(clock);
        last.tags.retain(|tag| !marked(tag.as_slice(), SUCCESSOR));
        last.point(SUCCESSOR, successor, seen_on);
        last.set_over()
    }
}

impl Rewrite {
    /// Says that the nest is open since now, in the event's own vocabulary; a private one stays so. An `ends` in the past
    /// goes. A nest that is planned for later stays planned, for the same time.
    pub fn set_open(mut self) -> Self {
        let now = self.now_s;
        let later = |tag: &Tag| {
            let tag = tag.as_slice();
            is(tag, "starts") && tag.get(1).and_then(|at| time(at)).is_some_and(|at| at > now)
        };
        if self.status == Status::Planned && self.tags.iter().any(later) {
            return self;
        }
        self.drop_past_end();
        let status = match (&self.status, self.vocabulary()) {
            (Status::Private, _) => Status::Private,
            (_, Vocabulary::Room) => Status::Open,
            (_, Vocabulary::Title) => Status::Live,
        };
        self.put(&["starts"], [now.to_string().as_str()]);
        self.put_status(status)
    }

    /// Says that the nest is over, in the event's own vocabulary, since now or since an `ends` that has passed.
    pub fn set_over(mut self) -> Self {
        let now = self.now_s;
        if !self.has_passed("ends") {
            self.put(&["ends"], [now.to_string().as_str()]);
        }
        let status = match self.vocabulary() {
            Vocabulary::Room => Status::Closed,
            Vocabulary::Title => Status::Ended,
        };
        self.put_status(status)
    }

    /// Says that a nest on Media over QUIC is live, whatever its status was, in the words that all clients read (EGG-01;
    /// the web client reads no others): `live`, the title in `title`, one `relays` tag with all relays. A private one stays
    /// so. It starts now, if it has not started before; an `ends` in the past goes.
    pub fn set_live(mut self) -> Self {
        self.drop_past_end();
        if !self.has_passed("starts") {
            let now = self.now_s.to_string();
            self.put(&["starts"], [now.as_str()]);
        }
        if let Some(title) = self.value("title").map(str::to_owned) {
            let same = |tag: &[String]| is(tag, "room") && tag.get(1).is_some_and(|room| *room == title);
            self.tags.retain(|tag| !same(tag.as_slice()));
        } else if let Some(room) = self.value("room").map(str::to_owned) {
            self.put(&["title", "room"], [room.as_str()]);
        }
        self.join_relays();
        self.status = if self.status == Status::Private { Status::Private } else { Status::Live };
        let (word, words) = (self.status.clone(), self.tags.iter().map(Tag::as_slice).filter(|tag| is(tag, "status")));
        if !words.map(|tag| tag.get(1).map(String::as_str)).eq([Some(word.as_str())]) {
            self.put(&["status"], [word.as_str()]);
        }
        self
    }

    /// Names the relay and the auth service of a nest on Media over QUIC, as `https` URLs. What `endpoint` and `service`
    /// say goes, since Amethyst takes whichever name comes first.
    pub fn set_moq(mut self, relay: &str, auth: &str) -> Self {
        self.put(&["streaming", "endpoint"], [relay]);
        // Web clients put `/auth` behind it: a slash too many is a 404.
        self.put(&["auth", "service"], [auth.trim_end_matches('/')]);
        self.over_quic = true;
        self
    }

    pub fn set_streaming<'a>(mut self, endpoints: impl IntoIterator<Item = &'a str>) -> Self {
        self.put(&["streaming"], endpoints);
        self
    }

    /// Names the API where the event has it, in `endpoint` or in `service`, spelt as it was: as an origin, or in full.
    pub fn set_api(mut self, api: &ApiUrl) -> Self {
        let full = api.as_str();
        let values = |name: &'static str| {
            let tags = self.tags.iter().map(Tag::as_slice).filter(move |tag| is(tag, name));
            tags.filter_map(|tag| tag.get(1))
        };
        let endpoint = values("endpoint").find(|url| is_endpoint(url));
        let name = if endpoint.is_some() { "endpoint" } else { "service" };
        let old = endpoint.or_else(|| values(name).next()).map(|text| text.trim_end_matches('/'));
        let origin_only = old.is_some_and(|text| !text.is_empty() && !text.ends_with(API_PATH));
        let text = if origin_only { full.strip_suffix(API_PATH).unwrap_or(full) } else { full };
        self.put(&[name], [text]);
        self
    }

    /// The event to sign: of now, and in any case of a later second than the version that it replaces.
    pub fn build(self) -> UnsignedEvent {
        let now = Timestamp::from(u64::try_from(self.now_s).unwrap_or_default());
        let least = self.newer_than.map(|old| Timestamp::from(old.as_secs().saturating_add(1)));
        UnsignedEvent::new(self.host, least.unwrap_or(now).max(now), self.kind, self.tags, self.content)
    }

    /// That of Media over QUIC, whose clients read no other; else that of the word that it uses; else by what it calls
    /// its title.
    fn vocabulary(&self) -> Vocabulary {
        let has = |name| self.tags.iter().any(|tag| is(tag.as_slice(), name));
        let by_title = if has("room") && !has("title") { Vocabulary::Room } else { Vocabulary::Title };
        let spoken = self.status.vocabulary().unwrap_or(by_title);
        if self.over_quic { Vocabulary::Title } else { spoken }
    }

    /// The first value of that name that is not blank, as it is written.
    fn value(&self, name: &str) -> Option<&str> {
        let tags = self.tags.iter().map(Tag::as_slice).filter(|tag| is(tag, name));
        tags.filter_map(|tag| tag.get(1)).map(String::as_str).find(|value| !value.trim().is_empty())
    }

    /// Whether the time in the first tag of that name is not in the future.
    fn has_passed(&self, name: &str) -> bool {
        let mut tags = self.tags.iter().map(Tag::as_slice).filter(|tag| is(tag, name));
        tags.next().is_some_and(|tag| has_passed(tag, self.now_s))
    }

    fn drop_past_end(&mut self) {
        let now = self.now_s;
        self.tags.retain(|tag| !(is(tag.as_slice(), "ends") && has_passed(tag.as_slice(), now)));
    }

    /// Makes one `relays` tag of several, with each relay once.
    fn join_relays(&mut self) {
        let tags = self.tags.iter().map(Tag::as_slice).filter(|tag| is(tag, "relays"));
        if tags.clone().count() < 2 {
            return;
        }
        let mut all = vec!["relays".to_owned()];
        for relay in tags.flat_map(|tag| &tag[1..]) {
            if !all[1..].contains(relay) {
                all.push(relay.clone());
            }
        }
        self.replace(&["relays"], [Tag::parse(all).expect("it has a name")]);
    }

    fn put_status(mut self, status: Status) -> Self {
        // A word that means this already is left as it is spelt.
        if self.status != status {
            self.put(&["status"], [status.as_str()]);
            self.status = status;
        }
        self
    }

    /// Puts tags of the first of these names where the first tag of any of them was, or at the end, in place of all that
    /// there were.
    fn put<'a>(&mut self, names: &[&str], values: impl IntoIterator<Item = &'a str>) {
        self.replace(names, values.into_iter().map(|value| tag([names[0], value])));
    }

    fn replace(&mut self, names: &[&str], by: impl IntoIterator<Item = Tag>) {
        let is_old = |tag: &Tag| names.iter().any(|name| is(tag.as_slice(), name));
        let at = self.tags.iter().position(is_old).unwrap_or(self.tags.len());
        self.tags.retain(|tag| !is_old(tag));
        self.tags.splice(at..at, by);
    }

    fn point(&mut self, marker: &str, to: &Coordinate, relay: Option<&RelayUrl>) {
        let relay = relay.map_or("", RelayUrl::as_str);
        self.tags.push(tag(["a", &to.to_string(), relay, marker]));
    }
}

/// The same URL of a relay in other letters, with or without its last slash. Web pages that are open log in anew when the
/// text of `streaming` has changed, and only then (nostrnests/nests 4fd42b6). It is the same relay to all clients: web and
/// Amethyst (10149d7) put the nest's name in place of the whole path. `None` for what is no `https` URL, or has a query or
/// a fragment. Not for `auth`: web would ask for `//auth`.
pub fn other_spelling(streaming: &str) -> Option<String> {
    let url = Url::parse(streaming).ok().filter(|url| url.scheme() == "https" && url.has_host())?;
    if url.query().is_some() || url.fragment().is_some() {
        return None;
    }
    Some(streaming.strip_suffix('/').map_or_else(|| format!("{streaming}/"), str::to_owned))
}

fn has_passed(tag: &[String], now_s: i64) -> bool {
    tag.get(1).and_then(|at| time(at)).is_some_and(|at| at <= now_s)
}

fn tag<const N: usize>(values: [&str; N]) -> Tag {
    Tag::parse(values).expect("it has a name")
}
