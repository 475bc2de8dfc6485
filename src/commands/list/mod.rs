//! `nest list`: the nests of a host as Nostr knows them, beside what the API and LiveKit say.

mod nest;
mod probes;
mod short;

use std::collections::HashMap;
use std::pin::pin;
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::sync::mpsc::unbounded_channel;

pub(super) use self::nest::page;
pub use self::nest::{Nest, NestState};
pub(super) use self::probes::RESERVE;
use self::probes::{NestAnswer, Probes};
pub use self::short::ShortNames;
use super::follow::{Followed, Following, Told};
use super::moq::Looks;
use super::owner::Owner;
pub use super::owner::Whose;
use super::{Error, Job, NestKind, Stop};
use crate::clock::{Clock, rfc3339};
use crate::relay::FetchedEvent;
use crate::reporter::Stage;

/// Under which name the reporter hears of it.
pub const ROW: &str = "nests";

/// Whose nests to list, and which of them.
#[derive(Clone, Debug, Default)]
pub struct ListRequest {
    pub whose: Whose,
    /// Only those that a restart would bring back, or `recreate`.
    pub inactive: bool,
}

/// Hears of the list while it is made.
pub trait Watch {
    /// All nests, as relays have them: those that follow are among them.
    fn begins(&self, nests: &[Nest]);
    /// One of them, in the order of the answers.
    fn row(&self, nest: &Nest);
}

/// Lists the nests; returns those that are not shown although nobody knows whether they should be.
///
/// # Errors
/// When there is no host, or no relay answers. A nest whose API fails is a row that says so.
pub async fn run(job: &Job<'_>, request: &ListRequest, stop: &Stop, watch: &dyn Watch) -> Result<Vec<Nest>, Error> {
    let work = async {
        let mut hidden = Vec::new();
        let each = |nest: Nest| {
            let open = matches!(nest.state, NestState::NotChecked | NestState::Unknown);
            match request.shows(&nest) {
                true => watch.row(&nest),
                false if open => hidden.push(nest),
                false => {}
            }
        };
        job.nests_of(&request.whose, Depth::Whole, |nests| watch.begins(nests), each).await?;
        Ok(hidden)
    };
    stop.or_stopped(work).await
}

impl ListRequest {
    fn shows(&self, nest: &Nest) -> bool {
        !self.inactive || nest.is_inactive()
    }
}

/// Lists the nests, then each of them whenever its event, who is present or what its API says has changed, and those that
/// are made meanwhile. Ends when it is stopped.
///
/// # Errors
/// Those of [`run`], and [`Error::Stopped`].
pub async fn follow(
    job: &Job<'_>,
    request: &ListRequest,
    interval: Duration,
    stop: &Stop,
    watch: &(dyn Watch + Sync),
) -> Result<(), Error> {
    let mut told = Told::default();
    let work = async {
        let owner = Owner::find(&request.whose, job).await?;
        let mut nests = Vec::new();
        let each = |nest: Nest| {
            // Nobody has asked yet who is present.
            told.is_news(nest.room.event.id(), &Nest { present: Some(0), ..nest.clone() });
            if request.shows(&nest) {
                watch.row(&nest);
            }
            nests.push(nest);
        };
        job.nests_of_owner(&owner, Depth::Whole, |nests| watch.begins(nests), each).await?;
        let nests = nests.into_iter().map(|nest| {
            let api = match &nest.base {
                // Whatever API is named for others.
                _ if nest.kind == NestKind::Moq => Err(Error::OverQuic(Box::new(nest.room.clone()))),
                Some(base) if nest.state != NestState::Over => Ok(base.clone()),
                _ => Err(Error::NoApi),
            };
            Followed::new(nest.reference(), Ok(Some(nest.room)), api, None)
        });
        let mut tell = |followed: &Followed| {
            let Some(nest) = followed_row(followed, job) else { return };
            if told.is_news(nest.room.event.id(), &nest) && request.shows(&nest) {
                watch.row(&Nest { observed_at: rfc3339(Clock::default().now_ms()), ..nest });
            }
        };
        match Following::new(job, nests.collect(), Some(owner.key), interval, &mut tell).run(owner.relays(job)).await {}
    };
    stop.or_stopped(work).await
}

/// A nest that is followed; `None` as long as its API has still to be asked.
fn followed_row(followed: &Followed, job: &Job<'_>) -> Option<Nest> {
    let event = followed.event.as_ref().ok()?.clone()?;
    let nest = Nest { present: followed.present(), ..Nest::new(event, &job.settings).ok()? };
    if nest.to_be_seen() {
        return Some(nest.seen(followed.look()?));
    }
    match (nest.to_be_checked(), &followed.probe) {
        (Some(_), None) => None,
        (Some(_), Some(probe)) => Some(nest.with_answer(NestAnswer::of(probe)).with_page(&job.client)),
        (None, _) => Some(nest),
    }
}

/// How much is to be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    /// Whether there is an audio room.
    AudioRoom,
    /// Also whether there is a record, and how many people are there.
    Whole,
}

impl Job<'_> {
    /// Looks at all nests of a host. `begin` hears of them when the relays have told, the one published last first;
    /// `each` gets one after the other as the answers of their APIs come. These are asked while slow relays still answer.
    pub(super) async fn nests_of(
        &self,
        whose: &Whose,
        depth: Depth,
        begin: impl FnOnce(&[Nest]),
        each: impl FnMut(Nest),
    ) -> Result<(), Error> {
        let owner = Owner::find(whose, self).await?;
        self.nests_of_owner(&owner, depth, begin, each).await
    }

    async fn nests_of_owner(
        &self,
        owner: &Owner,
        depth: Depth,
        begin: impl FnOnce(&[Nest]),
        mut each: impl FnMut(Nest),
    ) -> Result<(), Error> {
        self.reporter.step(ROW, Stage::Relays);
        let relays = owner.relays(self);
        let mut probes = Probes::new(self, depth);
        let mut answers = Vec::new();
        let (tell, mut told) = unbounded_channel();
        let mut listing = pin!(relays.list_of(owner.key, |event| drop(tell.send(event.clone()))));
        let listed = loop {
            tokio::select! {
                biased;
                Some(event) = told.recv() => {
                    probes.about(&Nest::new(FetchedEvent::new(event, Vec::new()), &self.settings)?);
                }
                listed = &mut listing => break listed?,
                Some(answer) = probes.next() => answers.push(answer),
            }
        };
        self.warn_of_failed(&listed.asked);
        let nests =
            listed.rooms.into_iter().map(|room| Nest::new(room, &self.settings)).collect::<Result<Vec<_>, _>>()?;
        begin(&nests);
        let over_quic: Vec<_> = nests.iter().filter(|nest| nest.to_be_seen()).map(|nest| &nest.room).collect();
        let mut looks = Looks::new(self, self.relays_of_all(relays.clone(), &over_quic), &over_quic);
        let (mut open, mut unseen, mut seen) = (HashMap::new(), HashMap::new(), FuturesUnordered::new());
        for nest in nests {
            probes.about(&nest);
            if let Some(key) = nest.to_be_checked() {
                open.insert(key, nest);
            } else if nest.to_be_seen() {
                let (id, look) = (nest.room.event.id().clone(), looks.at(&nest.room.event));
                unseen.insert(id.clone(), nest);
                seen.push(look.map(|look| (id, look)));
            } else {
                each(nest);
            }
        }
        probes.all_named();
        let mut early = answers.into_iter();
        loop {
            let answer = async {
                match early.next() {
                    None => probes.next().await,
                    answer => answer,
                }
            };
            tokio::select! {
                Some((key, answer)) = answer, if !open.is_empty() => {
                    if let Some(nest) = open.remove(&key) {
                        each(nest.with_answer(answer).with_page(&self.client));
                    }
                }
                Some((id, look)) = seen.next() => {
                    if let Some(nest) = unseen.remove(&id) {
                        each(nest.seen(look));
                    }
                }
                else => return Ok(()),
            }
        }
    }
}
