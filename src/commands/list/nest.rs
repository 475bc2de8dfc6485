//! One line of the list: a nest as its event, its API and its audio room have it.

use nostr::nips::nip19::ToBech32 as _;
use serde::Serialize;
use url::Url;

use super::probes::{Key, NestAnswer};
use crate::api::{self, ApiUrl, HttpClient};
use crate::clock::{self, Clock};
use crate::commands::moq::{self, MoqLook, MoqParts, Shown};
use crate::commands::{Error, NestKind, Settings};
use crate::relay;
use crate::relay::presence::Presences;
use crate::room::RoomRef;

/// The page of a nest whose event names no server.
const WEB: &str = "https://nostrnests.com/";

/// How a nest is, all in all. One on Media over QUIC runs if a client shows it, and its servers answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum NestState {
    /// Open, and there is an audio room.
    Running,
    /// Open, and there is no audio room; or no client shows it, or its servers do not answer. A restart mends that.
    Inactive,
    /// Open, and the server has lost it: a restart cannot mend that.
    Gone,
    /// The event says that it is over. The API is not asked.
    Over,
    /// The event says that it is to come, and there is no audio room as far as is known: nothing is wrong.
    Planned,
    /// Nobody asked; `why` says why.
    NotChecked,
    /// The API was asked and did not say; `why` says why.
    Unknown,
}

/// One nest. What is not known is absent.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Nest {
    /// What carries its sound.
    pub kind: NestKind,
    /// The id: the `d` tag of its event.
    pub room_id: String,
    /// What people call it.
    pub title: Option<String>,
    /// As its event has it: `open`, `private`, `closed`, `planned`, `live`, `ended`, or anything else.
    pub status: String,
    /// How it is, all in all.
    pub state: NestState,
    /// Why it was not checked, or why nobody knows.
    pub why: Option<String>,
    /// Whether the API has a record of it.
    pub record: Option<bool>,
    /// People in the audio room; on Media over QUIC, those who say on Nostr that they are there.
    pub people: Option<u64>,
    /// The API that serves it.
    pub api: Option<String>,
    /// The host's public key in hex.
    pub host: String,
    /// When its event was published, RFC 3339.
    pub published_at: Option<String>,
    /// When it starts or started, RFC 3339.
    pub starts_at: Option<String>,
    /// The address of its event.
    pub naddr: Option<String>,
    /// The web page on which people join.
    pub link: Option<String>,
    /// How many people say on Nostr that they are there; only while the nest is followed.
    pub present: Option<u64>,
    /// When this was seen, RFC 3339 by the clock here; only while the nest is followed.
    pub observed_at: Option<String>,
    /// Since when, in seconds since the Unix epoch: its start, or its event.
    #[serde(skip)]
    pub since_s: i64,
    /// The event behind it.
    #[serde(skip)]
    pub room: relay::FetchedEvent,
    /// The API behind `api`.
    #[serde(skip)]
    pub base: Option<ApiUrl>,
    /// The error behind `why`.
    #[serde(skip)]
    pub error: Option<api::ApiError>,
    /// Which clients show it; empty as long as that is not known.
    #[serde(skip)]
    pub shown: Vec<Shown>,
    /// What a nest on Media over QUIC needs, once that was looked at.
    #[serde(skip)]
    pub parts: Option<MoqParts>,
}

impl Nest {
    /// As the event alone has it; open ones with an API are still to be checked.
    pub(super) fn new(room: relay::FetchedEvent, settings: &Settings) -> Result<Self, Error> {
        let event = &room.event;
        let named = settings.api_named(&RoomRef { api: None, ..event.reference() })?;
        let quic = event.media_over_quic().is_some();
        let base = named.or_else(|| event.api()).or_else(|| settings.api.profile.clone()).filter(|_| !quic);
        let refused = base.as_ref().and_then(|base| base.clone().secure(settings.allow_http).err());
        let now_s = Clock::default().now_s();
        let (state, why) = if event.is_over(now_s) {
            (NestState::Over, None)
        } else if event.is_planned(now_s) {
            (NestState::Planned, None)
        } else if !event.is_open(now_s) {
            (NestState::NotChecked, Some("its event does not say whether it is open".into()))
        } else if quic {
            (NestState::NotChecked, None)
        } else if base.is_none() {
            (NestState::NotChecked, Some("its event names no API".into()))
        } else {
            (NestState::NotChecked, refused.map(|error| error.to_string()))
        };
        let at = |seconds: i64| clock::rfc3339(seconds.saturating_mul(1000));
        let published_s = i64::try_from(event.created_at()).unwrap_or(i64::MAX);
        let naddr = room.naddr();
        // Who is present matters only where it is live.
        let live = quic && state == NestState::NotChecked;
        let shown = if live { Vec::new() } else { moq::shown(event, &Presences::default(), now_s) };
        Ok(Self {
            kind: NestKind::of(Some(&room)),
            room_id: event.id().to_string(),
            title: event.title().map(str::to_owned),
            status: event.status().as_str().to_owned(),
            state,
            why,
            record: None,
            people: None,
            api: base.as_ref().map(ToString::to_string),
            host: event.host().to_hex(),
            published_at: at(published_s),
            starts_at: event.starts().and_then(at),
            link: event.page().map(String::from).or_else(|| naddr.as_deref().map(|naddr| page(naddr, base.as_ref()))),
            naddr,
            present: None,
            observed_at: None,
            since_s: event.starts().unwrap_or(published_s),
            room,
            base,
            error: None,
            shown,
            parts: None,
        })
    }

    /// Of whom the API has something to say: those that are open, and those that are planned, which may have begun.
    pub(super) fn to_be_checked(&self) -> Option<Key> {
        let open = self.state == NestState::NotChecked && self.why.is_none();
        let usable = self.base.clone().filter(|_| open || self.state == NestState::Planned)?;
        Some((usable, self.room.event.id().clone()))
    }

    /// Whether it runs on Media over QUIC, and is still to be looked at.
    pub(super) fn to_be_seen(&self) -> bool {
        self.kind == NestKind::Moq && self.state == NestState::NotChecked && self.why.is_none()
    }

    /// The same with what was seen of it.
    pub(super) fn seen(self, look: MoqLook) -> Self {
        let now_s = Clock::default().now_s();
        let state = look.state(&self.room.event, now_s);
        let people = Some(look.presences.count(now_s)).filter(|_| look.unheard.is_none());
        let why = look.unheard.filter(|_| state == NestState::Unknown);
        Self { state, why, people, shown: look.shown, parts: Some(look.parts), ..self }
    }

    /// Open, and without an audio room.
    pub fn is_inactive(&self) -> bool {
        matches!(self.state, NestState::Inactive | NestState::Gone)
    }

    /// The same with what its API says.
    pub(super) fn with_answer(self, answer: NestAnswer) -> Self {
        match answer {
            NestAnswer::Failed(error) => self.failed(error),
            NestAnswer::Known { running, record, people } => {
                let state = match (running, record) {
                    (true, _) => NestState::Running,
                    _ if self.state == NestState::Planned => NestState::Planned,
                    (false, Some(false)) => NestState::Gone,
                    (false, _) => NestState::Inactive,
                };
                Self { state, record, people, ..self }
            }
        }
    }

    /// The same, with the page that its API has for it, if it has said so.
    pub(super) fn with_page(self, client: &HttpClient) -> Self {
        let page = self.base.as_ref().zip(self.naddr.as_ref()).and_then(|(api, naddr)| client.page(api, naddr));
        match page.filter(|_| self.room.event.page().is_none()) {
            Some(page) => Self { link: Some(page.into()), ..self },
            None => self,
        }
    }

    fn failed(self, error: api::ApiError) -> Self {
        if self.state == NestState::Planned {
            // That is what is expected of it anyway.
            return Self { why: Some(error.to_string()), ..self };
        }
        let state =
            if matches!(error, api::ApiError::RateLimited { .. }) { NestState::NotChecked } else { NestState::Unknown };
        Self { state, why: Some(error.to_string()), error: Some(error), ..self }
    }

    /// How to name it to other commands.
    pub fn reference(&self) -> RoomRef {
        let named = self.room.event.reference();
        let name = self.naddr.clone().unwrap_or(named.name);
        RoomRef { name, api: self.base.clone(), relays: self.room.seen_on.clone(), ..named }
    }

    /// What people call it, or else its id.
    pub fn name(&self) -> &str {
        self.title.as_deref().unwrap_or(&self.room_id)
    }

    /// Whose it is, for people.
    pub fn npub(&self) -> String {
        let Ok(npub) = self.room.event.host().to_bech32();
        npub
    }
}

/// The page of a nest: the web client is on the host of the API.
pub(in crate::commands) fn page(naddr: &str, api: Option<&ApiUrl>) -> String {
    let page = |api: &ApiUrl| -> Option<Url> {
        let mut url = api.health().join(".").ok()?;
        url.set_query(None);
        url.join(naddr).ok()
    };
    api.and_then(page).map_or_else(|| format!("{WEB}{naddr}"), String::from)
}
