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

use futures_util::future::join3;
use nostr::{Filter, Kind};
use tokio::time::Instant;

use super::flow::RoomRestart;
use super::{Evidence, PlannedRestart, RequestedServers, RestartOutcome, RestartProof, Restarted};
use crate::clock::Clock;
use crate::commands::check::{Checked, Report};
use crate::commands::list::NestState;
use crate::commands::moq::{self, Judged, MoqFinding, MoqLook, MoqParts};
use crate::commands::publish::{Published, publish};
use crate::commands::{Error, NestKind};
use crate::key::HostKey;
use crate::livekit::token as jwt;
use crate::relay::servers::{MoqServer, SERVERS_KIND, derived_auth, servers};
use crate::relay::{FetchedEvent, RoomEvent, other_spelling};
use crate::report::Status;
use crate::reporter::{Progress, Stage};
use crate::secret::Secret;

/// Where the nest is to be from now on.
struct Servers {
    relay: Option<String>,
    auth: Option<String>,
    /// Whether that is where it was.
    same: bool,
}

impl RoomRestart<'_> {
    /// Restarts a nest whose event says that it runs on Media over QUIC, or that is to be moved there.
    pub(super) async fn over_quic(&self, event: FetchedEvent) -> Result<RestartOutcome, Error> {
        let Self { job, request, reporter, .. } = *self;
        reporter.step(Stage::Key);
        let key = job.host_key(&event.event.reference()).await?;
        let name = event.event.coordinate().to_string();
        let _lock = if request.dry_run { None } else { job.lock_named(&name, self.lock_wait(), reporter).await? };
        reporter.step(Stage::Look);
        let servers = self.servers(&event).await;
        let (look, (token, attempts)) = self.look(&event, &servers, &key).await?;
        let now_s = Clock::default().now_s();
        if request.if_inactive && servers.same {
            let alone = match look.state(&event.event, now_s) {
                NestState::Running => Some(Evidence::Running),
                // Its host has closed it, or will open it.
                NestState::Over | NestState::Planned => Some(Evidence::LeftAlone),
                NestState::Inactive => None,
                _ => return Err(self.dead(&event.event, look)),
            };
            if let Some(evidence) = alone {
                let found = self.restarted_over_quic(&event.event, evidence, |restarted| restarted);
                return Ok(RestartOutcome::Restarted(Box::new(found)));
            }
        }
        let (Servers { relay: Some(relay), auth: Some(auth), same }, true) =
            (&servers, look.parts.answer() || request.force)
        else {
            return Err(self.dead(&event.event, look));
        };
        // In other letters, it makes pages that are open log in anew.
        let streaming = same.then(|| other_spelling(relay)).flatten().unwrap_or_else(|| relay.clone());
        let next = event.event.rewrite(Clock::default()).set_live().set_moq(&streaming, auth).build();
        if request.dry_run {
            let relays = job.home_relays(&event, &key);
            let url = relays.list().iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
            let planned = PlannedRestart {
                room_id: self.room.id.to_string(),
                method: "EVENT".into(),
                url,
                headers: Vec::new(),
                event: serde_json::json!(next),
            };
            return Ok(RestartOutcome::Planned(planned));
        }
        self.confirm_people(look.presences.count(now_s)).await?;
        reporter.step(Stage::Publish);
        let relays = job.home_relays(&event, &key);
        let (next, published) = publish(next, &key, &relays, job.reporter).await?;
        reporter.advance(Progress::MayBeDone);
        let proof = self.held(&next, &relays.instead(accepted(&published))).await;
        let shown = moq::shown(&next, &look.presences, Clock::default().now_s());
        let listed = shown.iter().any(|shown| shown.hidden.is_none());
        let restarted = self.restarted_over_quic(&next, Evidence::Republished, |restarted| Restarted {
            token,
            host: Some(key.public_key().to_hex()),
            attempts,
            published: Some(published),
            proof: Some(proof),
            shown,
            ..restarted
        });
        if proof == RestartProof::OldRoom || !listed {
            return Err(Error::Unhealthy(Box::new(restarted)));
        }
        self.note_done(Some(&restarted));
        if let Some(options) = request.check.filter(|options| options.keep) {
            job.keep_present(&next, &key, &relays, options.hold, self.keeping, reporter).await?;
        }
        Ok(RestartOutcome::Restarted(Box::new(self.finished(restarted))))
    }

    /// Where it was told to be, or else where its event says; what is missing then, the host's own list says (10112).
    async fn servers(&self, event: &FetchedEvent) -> Servers {
        let RequestedServers { relay, auth } = &self.request.servers;
        let media = event.event.media_over_quic();
        let named = media.and_then(|media| media.relay.map(str::to_owned));
        let named_auth = media.and_then(|media| media.auth.map(str::to_owned));
        let same = relay.is_none() && auth.is_none() && named.is_some() && named_auth.is_some();
        if same {
            return Servers { relay: named, auth: named_auth, same };
        }
        let listed = self.listed(event).await;
        // A relay that was given has the auth service that goes with it, not the one that the event has for another.
        let wanted = relay.clone().or(named.clone()).or_else(|| listed.first().map(|server| server.relay.clone()));
        let moved = relay.is_some() && *relay != named;
        let bare = |url: &str| url.trim_end_matches('/').to_owned();
        let with_it = wanted.as_deref().and_then(|wanted| {
            let known =
                listed.iter().find(|server| bare(&server.relay) == bare(wanted)).map(|server| server.auth.clone());
            known.or_else(|| derived_auth(wanted))
        });
        let auth = auth.clone().or(named_auth.filter(|_| !moved)).or(with_it);
        Servers { relay: wanted, auth, same }
    }

    /// The servers of the host's list; none where no relay has one.
    async fn listed(&self, event: &FetchedEvent) -> Vec<MoqServer> {
        let filter = Filter::new().kind(Kind::from(SERVERS_KIND)).author(event.event.host());
        let lists = self.job.relays_of(event).stored(&[filter]).await.unwrap_or_else(|error| {
            self.reporter.detail(1, &format!("no list of servers: {error}"));
            Vec::new()
        });
        lists.iter().max_by_key(|list| list.created_at).map(servers).unwrap_or_default()
    }

    /// Who is present, whether the media relay answers, and a token of the auth service, all at once.
    async fn look(
        &self,
        event: &FetchedEvent,
        servers: &Servers,
        key: &HostKey,
    ) -> Result<(MoqLook, (Option<Secret>, u32)), Error> {
        let (relays, limit) = (self.job.relays_of(event), moq::LIMIT.min(self.job.settings.network.timeout));
        let (heard, relay, token) = join3(
            moq::presences(&relays, vec![event.event.coordinate()]),
            moq::relay_step(servers.relay.as_deref(), limit),
            self.token(event, servers.auth.as_deref(), key),
        )
        .await;
        let (token, attempts, auth) = token?;
        Ok((MoqLook::new(&event.event, &heard, MoqParts { relay, auth }), (token, attempts)))
    }

    /// The host's token, how many requests it took, and what is to be said of the auth service.
    async fn token(
        &self,
        event: &FetchedEvent,
        auth: Option<&str>,
        key: &HostKey,
    ) -> Result<(Option<Secret>, u32, Judged), Error> {
        let url = match moq::auth_address(auth, self.job.settings.allow_http) {
            Ok(url) => url,
            Err((_, finding, elapsed)) => return Ok((None, 0, (Status::Failed, finding, elapsed))),
        };
        let since = Instant::now();
        let (answer, attempts) = self.job.publish_token(event, &url, key, self.reporter).await?;
        let (status, token, answer) = match answer {
            Ok(token) => (Status::Passed, Some(token), Ok(())),
            Err(error) => (Status::Failed, None, Err(Arc::new(error))),
        };
        let found = MoqFinding::Token(auth.unwrap_or_default().to_owned(), answer);
        Ok((token, attempts, (status, found, Some(since.elapsed()))))
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
    async fn held(&self, event: &RoomEvent, relays: &crate::relay::Relays) -> RestartProof {
        self.reporter.step(Stage::Relays);
        let coordinate = event.coordinate();
        let filter =
            Filter::new().kind(coordinate.kind).author(coordinate.public_key).identifier(coordinate.identifier);
        match relays.stored(&[filter]).await {
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

fn accepted(published: &Published) -> Vec<nostr::RelayUrl> {
    published.accepted.iter().filter_map(|relay| nostr::RelayUrl::parse(relay).ok()).collect()
}
