//! The restart of a nest on Media over QUIC: what is dead is found first, then its event is published anew.
//!
//! ```text
//! prepare   key, lock; relays: who is present; auth service: a token; media relay: a packet   nothing is published
//! publish   the event as live, to its relays and the host's own
//! prove     the relays have it, and clients show it
//! ```
//!
//! Pages that are open log in anew when the text of `streaming` has changed (nostrnests/nests 4fd42b6), and never renew
//! their token otherwise: so it is spelt in another way each time.

use std::sync::Arc;
use std::time::SystemTime;

use futures_util::future::join3;
use nostr::{Filter, Kind, RelayUrl, UnsignedEvent};
use tokio::time::Instant;
use url::Url;

use super::flow::RoomRestart;
use super::{Evidence, PlannedRestart, RequestedServers, RestartOutcome, RestartProof, Restarted};
use crate::clock::Clock;
use crate::commands::check::{Checked, Report};
use crate::commands::list::NestState;
use crate::commands::moq::{self, Judged, MoqFinding, MoqLook, MoqParts};
use crate::commands::present::HostPresence;
use crate::commands::publish::{Published, hand_in, signed};
use crate::commands::{Error, NestKind};
use crate::key::HostKey;
use crate::livekit::token as jwt;
use crate::lock::RoomLock;
use crate::moq::auth::AuthReply;
use crate::relay::servers::{MoqServer, SERVERS_KIND, auth_of, is_same, servers};
use crate::relay::{FetchedEvent, Relays, RoomEvent, other_spelling};
use crate::report::Status;
use crate::reporter::{Progress, Stage, Warning};
use crate::secret::Secret;

/// A token, if there is one, and what it took.
#[derive(Default)]
struct TokenReply {
    token: Option<Secret>,
    attempts: u32,
    /// Seconds that the auth service's clock is ahead: clients judge by such clocks, and not by one here that is wrong.
    ahead_s: i64,
}

/// Where the nest is to be from now on.
struct Servers {
    relay: Option<String>,
    auth: Option<String>,
    /// Whether that is where it was.
    same: bool,
}

impl Servers {
    fn both(&self) -> Option<(&str, &str)> {
        self.relay.as_deref().zip(self.auth.as_deref())
    }

    /// The event to publish. In other letters, `streaming` makes pages that are open log in anew.
    fn next(&self, event: &RoomEvent, relay: &str, auth: &str, clock: Clock) -> UnsignedEvent {
        let named = event.media_over_quic().and_then(|media| media.relay).filter(|_| self.same);
        let streaming = named.and_then(other_spelling).unwrap_or_else(|| relay.to_owned());
        event.rewrite(clock).set_live().set_moq(&streaming, auth).build()
    }
}

/// What an inactive nest is not; `None` for one that is.
///
/// # Errors
/// [`Error::StateUnknown`].
fn unless_inactive(event: &RoomEvent, look: &MoqLook, now_s: i64) -> Result<Option<Evidence>, Error> {
    let why = || look.unheard.clone().unwrap_or_else(|| format!("its status is {:?}", event.status().as_str()));
    match look.state(event, now_s) {
        NestState::Running => Ok(Some(Evidence::Running)),
        // Its host has closed it, or will open it.
        NestState::Over | NestState::Planned => Ok(Some(Evidence::LeftAlone)),
        NestState::Inactive => Ok(None),
        _ => Err(Error::StateUnknown { why: why() }),
    }
}

impl RoomRestart<'_> {
    /// Restarts a nest whose event says that it runs on Media over QUIC, or that is to be moved there.
    pub(super) async fn over_quic(&self, event: FetchedEvent) -> Result<RestartOutcome, Error> {
        let Self { job, request, reporter, .. } = *self;
        reporter.step(Stage::Key);
        let key = job.host_key(&event.event.reference()).await?;
        let servers = self.servers(&event).await;
        let relays = job.publishing_relays(&event, &key);
        if request.dry_run {
            let Some((relay, auth)) = servers.both() else { return Err(Error::NoServers) };
            let next = servers.next(&event.event, relay, auth, Clock::default());
            return Ok(RestartOutcome::Planned(self.planned(&next, &relays)));
        }
        let (event, _lock) = self.locked(event).await?;
        reporter.step(Stage::Look);
        let (look, reply) = self.look(&event, &servers, &key).await?;
        let clock = Clock { offset_ms: reply.ahead_s.saturating_mul(1000) };
        if request.if_inactive
            && request.servers == RequestedServers::default()
            && let Some(evidence) = unless_inactive(&event.event, &look, clock.now_s())?
        {
            let found = self.restarted_over_quic(&event.event, evidence, |restarted| restarted);
            return Ok(RestartOutcome::Restarted(Box::new(found)));
        }
        let Some((relay, auth)) = servers.both().filter(|_| look.parts.answer() || request.force) else {
            return Err(self.dead(&event.event, look));
        };
        self.confirm_people(look.presences.count(clock.now_s())).await?;
        reporter.step(Stage::Publish);
        let next = servers.next(&event.event, relay, auth, clock);
        let next = signed(next, &key).await?;
        reporter.advance(Progress::MayBeDone);
        let published = hand_in(&next, &relays, job.reporter).await;
        // Where no relay says that it took the event, one may have it all the same.
        let taken = if published.accepted.is_empty() { relays.clone() } else { relays.instead(accepted(&published)) };
        let proof = self.held(&next, &taken).await;
        if published.accepted.is_empty() && proof != RestartProof::Fresh {
            return Err(published.not_taken());
        }
        let shown = moq::shown(&next, &look.presences, clock.now_s());
        let listed = shown.iter().any(|shown| shown.hidden.is_none());
        if let (None, Some(api)) = (event.event.media_over_quic(), event.event.api()) {
            reporter.warn(Warning::OldRoomStays { api: api.to_string() });
        }
        let report = request.check.is_some().then(|| MoqLook { shown: shown.clone(), ..look }.report(&next));
        let restarted = self.restarted_over_quic(&next, Evidence::Republished, |restarted| Restarted {
            token: reply.token,
            host: Some(key.public_key().to_hex()),
            attempts: reply.attempts,
            published: Some(published),
            proof: Some(proof),
            shown,
            over_quic: report,
            ..restarted
        });
        if proof == RestartProof::OldRoom || !listed {
            return Err(Error::Unhealthy(Box::new(restarted)));
        }
        self.note_done(Some(&restarted));
        if let Some(options) = request.check.filter(|options| options.keep) {
            HostPresence::new(&next, &key, &relays, reporter).keep(options.hold, self.keeping).await;
        }
        Ok(RestartOutcome::Restarted(Box::new(self.finished(restarted))))
    }

    /// The lock, and the event as it is then: another restart may have published it meanwhile.
    async fn locked(&self, event: FetchedEvent) -> Result<(FetchedEvent, Option<RoomLock>), Error> {
        let name = event.event.coordinate().to_string();
        let lock = self.job.lock_named(&name, self.lock_wait(), self.reporter).await?;
        let looked_at = SystemTime::now().checked_sub(self.since.elapsed());
        let changed = lock.as_ref().zip(looked_at).is_some_and(|(lock, time)| lock.was_held_since(time));
        let event = if changed { self.job.event_of(self.room, event.event.host()).await? } else { event };
        Ok((event, lock))
    }

    fn planned(&self, next: &UnsignedEvent, relays: &Relays) -> PlannedRestart {
        PlannedRestart {
            room_id: self.room.id.to_string(),
            method: "EVENT".into(),
            url: relays.list().iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
            headers: Vec::new(),
            event: serde_json::json!(next),
        }
    }

    /// Where it was told to be, or else where its event says; what is missing then, the host's own list says (10112).
    async fn servers(&self, event: &FetchedEvent) -> Servers {
        let RequestedServers { relay, auth } = self.request.servers.clone();
        let reach = &self.job.settings.network.reach;
        [&relay, &auth].into_iter().flatten().filter_map(|url| Url::parse(url).ok()).for_each(|url| reach.named(&url));
        let media = event.event.media_over_quic();
        let [named, named_auth] =
            [media.and_then(|media| media.relay), media.and_then(|media| media.auth)].map(|url| url.map(str::to_owned));
        let alike = |one: &Option<String>, other: &Option<String>| match (one, other) {
            (Some(one), Some(other)) => is_same(one, other),
            (one, other) => one == other,
        };
        let stays = relay.is_none() || alike(&relay, &named);
        // An auth service that the event has goes with the relay that it has.
        let auth = auth.or_else(|| named_auth.clone().filter(|_| stays));
        let relay = if stays { named.clone() } else { relay };
        let listed = if relay.is_some() && auth.is_some() { Vec::new() } else { self.listed(event).await };
        let relay = relay.or_else(|| listed.first().map(|server| server.relay.clone()));
        let auth = auth.or_else(|| auth_of(relay.as_deref()?, &listed));
        let same = alike(&relay, &named) && alike(&auth, &named_auth);
        Servers { relay, auth, same }
    }

    /// The servers of the host's list; none where no relay has one.
    async fn listed(&self, event: &FetchedEvent) -> Vec<MoqServer> {
        let filter = Filter::new().kind(Kind::from(SERVERS_KIND)).author(event.event.host());
        let lists = self.job.relays_of(event).stored(&[filter], Some(moq::GRACE)).await.unwrap_or_else(|error| {
            self.reporter.detail(1, &format!("no list of servers: {error}"));
            Vec::new()
        });
        let listed = lists.iter().max_by_key(|list| list.created_at).map(servers).unwrap_or_default();
        let urls: Vec<_> = listed
            .iter()
            .flat_map(|server| [&server.relay, &server.auth])
            .filter_map(|url| Url::parse(url).ok())
            .collect();
        self.job.settings.network.reach.told(event.event.host(), &urls);
        listed
    }

    /// Who is present, whether the media relay answers, and a token of the auth service, all at once.
    async fn look(
        &self,
        event: &FetchedEvent,
        servers: &Servers,
        key: &HostKey,
    ) -> Result<(MoqLook, TokenReply), Error> {
        let network = &self.job.settings.network;
        let (relays, limit) = (self.job.relays_of(event), moq::LIMIT.min(network.timeout));
        let (heard, relay, reply) = join3(
            moq::presences(&relays, vec![event.event.coordinate()]),
            moq::relay_step(servers.relay.as_deref(), &network.reach, limit),
            self.token(event, servers.auth.as_deref(), key),
        )
        .await;
        let (auth, reply) = reply?;
        Ok((MoqLook::new(&event.event, &heard, MoqParts { relay, auth }), reply))
    }

    /// What is to be said of the auth service, and the host's token.
    async fn token(
        &self,
        event: &FetchedEvent,
        auth: Option<&str>,
        key: &HostKey,
    ) -> Result<(Judged, TokenReply), Error> {
        let url = match moq::auth_address(auth, self.job.settings.allow_http) {
            Ok(url) => url,
            Err((_, finding, elapsed)) => return Ok(((Status::Failed, finding, elapsed), TokenReply::default())),
        };
        let since = Instant::now();
        let AuthReply { token, attempts, ahead_s } = self.job.publish_token(event, &url, key, self.reporter).await?;
        let (status, token, answer) = match token {
            Ok(token) => (Status::Passed, Some(token), Ok(())),
            Err(error) => (Status::Failed, None, Err(Arc::new(error))),
        };
        let found = MoqFinding::Token(auth.unwrap_or_default().to_owned(), answer);
        Ok(((status, found, Some(since.elapsed())), TokenReply { token, attempts, ahead_s }))
    }

    /// Nothing was published: nobody could join anyway.
    fn dead(&self, event: &RoomEvent, look: MoqLook) -> Error {
        let report = Report::OverQuic(look.report(event));
        Error::NotRepublished(Box::new(Checked {
            room: self.room.id.to_string(),
            host: Some(event.host()),
            report,
            renewed: None,
        }))
    }

    /// Whether the relays that have taken the event have it.
    async fn held(&self, event: &RoomEvent, relays: &Relays) -> RestartProof {
        self.reporter.step(Stage::Relays);
        let coordinate = event.coordinate();
        let filter =
            Filter::new().kind(coordinate.kind).author(coordinate.public_key).identifier(coordinate.identifier);
        match relays.stored(&[filter], None).await {
            Ok(events) if events.iter().any(|held| held.id == event.event().id) => RestartProof::Fresh,
            Ok(_) => RestartProof::OldRoom,
            Err(error) => {
                self.doubt(error.to_string());
                RestartProof::Unproven
            }
        }
    }

    fn restarted_over_quic(
        &self,
        event: &RoomEvent,
        evidence: Evidence,
        with: impl FnOnce(Restarted) -> Restarted,
    ) -> Restarted {
        let media = event.media_over_quic();
        let restarted = with(Restarted {
            kind: NestKind::Moq,
            endpoints: media.and_then(|media| media.relay).map(str::to_owned).into_iter().collect(),
            ..self.blank(None, evidence)
        });
        let claims = restarted.token.as_ref().and_then(|token| jwt::decode(token.expose()).ok());
        let expires_at = claims.as_ref().and_then(crate::commands::token::expires_at);
        let auth = media.and_then(|media| media.auth).map(str::to_owned);
        self.finished(Restarted { auth, expires_at, ..restarted })
    }
}

fn accepted(published: &Published) -> Vec<RelayUrl> {
    published.accepted.iter().filter_map(|relay| RelayUrl::parse(relay).ok()).collect()
}
