//! `nest list`: the nests of a host as Nostr knows them, beside what the API and LiveKit say.

mod gate;
mod nest;

use std::collections::HashMap;

use futures_util::StreamExt as _;

use self::gate::Gate;
pub(super) use self::nest::page;
pub use self::nest::{Nest, State};
use super::keys::Keys;
use super::owner::Owner;
pub use super::owner::Whose;
use super::target::Finder;
use super::{Error, Settings, Stop};
use crate::api::wire::Info;
use crate::api::{self, Base, Client, Missing, answer};
use crate::reporter::{Reporter, Step};

/// Nests that are looked at at the same time.
const JOBS: usize = 8;

/// Under which name the reporter hears of it.
pub const ROW: &str = "nests";

/// What to list.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Whose nests.
    pub whose: Whose,
    /// Only those that a restart would bring back, or `recreate`.
    pub inactive: bool,
}

/// Hears of the list while it is made.
pub trait Watch {
    /// All nests, before any API was asked: those that follow are among them.
    fn begins(&self, nests: &[Nest]);
    /// One of them, in the order of the answers.
    fn row(&self, nest: &Nest);
}

/// Lists the nests; returns those that are not shown although nobody knows whether they should be.
///
/// # Errors
/// When there is no host, or no relay answers. A nest whose API fails is a row that says so.
pub async fn run(
    settings: &Settings,
    request: &Request,
    reporter: &dyn Reporter,
    stop: &Stop,
    watch: &dyn Watch,
) -> Result<Vec<Nest>, Error> {
    let keys = Keys::new(settings, reporter);
    let client = Client::new(settings.network.clone()).map_err(api::Error::from)?;
    let work = async {
        let nests = nests(settings, &request.whose, &keys, &client, reporter).await?;
        watch.begins(&nests);
        let mut hidden = Vec::new();
        look(nests, Depth::Whole, &client, |nest| {
            let open = matches!(nest.state, State::NotChecked | State::Unknown);
            match request.inactive && !nest.is_inactive() {
                false => watch.row(&nest),
                true if open => hidden.push(nest),
                true => {}
            }
        })
        .await;
        Ok(hidden)
    };
    tokio::select! {
        biased;
        done = work => done,
        signal = stop.requested() => Err(Error::Stopped(signal)),
    }
}

/// The nests of a host as relays have them, the one published last first. No API is asked.
pub(super) async fn nests(
    settings: &Settings,
    whose: &Whose,
    keys: &Keys<'_>,
    client: &Client,
    reporter: &dyn Reporter,
) -> Result<Vec<Nest>, Error> {
    let owner = Owner::find(whose, settings, keys, client).await?;
    reporter.step(ROW, Step::Relays);
    let listed = owner.relays(settings).list_of(owner.key).await?;
    Finder { settings, keys, reporter }.tell(&listed.asked);
    listed.rooms.into_iter().map(|room| Nest::new(room, settings)).collect()
}

/// How much is to be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    /// Whether there is an audio room.
    Running,
    /// Also whether there is a record, and how many people are there.
    Whole,
}

/// Asks the APIs, several nests at a time; `each` gets them in the order of the answers.
pub(super) async fn look(nests: Vec<Nest>, depth: Depth, client: &Client, mut each: impl FnMut(Nest)) {
    let mut counts: HashMap<Base, u32> = HashMap::new();
    let (open, settled): (Vec<_>, Vec<_>) = nests.into_iter().partition(Nest::is_to_be_checked);
    for base in open.iter().filter_map(|nest| nest.base.clone()) {
        *counts.entry(base).or_default() += 1;
    }
    settled.into_iter().for_each(&mut each);
    let gates: HashMap<Base, Gate> = counts.into_iter().map(|(base, count)| (base, Gate::new(count))).collect();
    let looking = open.into_iter().filter_map(|nest| {
        let (base, gate) = gates.get_key_value(nest.base.as_ref()?)?;
        Some(look_at(nest, base, gate, depth, client))
    });
    let mut looked = futures_util::stream::iter(looking).buffer_unordered(JOBS);
    while let Some(nest) = looked.next().await {
        each(nest);
    }
}

async fn look_at(nest: Nest, base: &Base, gate: &Gate, depth: Depth, client: &Client) -> Nest {
    let id = nest.room.event.id().clone();
    let guest = base.room(&id, "/guest");
    let running = match gate.ask(client, &guest).await.and_then(|reply| answer::fresh_token(&reply, &guest)) {
        Ok(_) => true,
        Err(api::Error::NotFound { missing, .. }) if missing != Missing::Endpoint => false,
        Err(error) => return nest.failed(error),
    };
    let nest = Nest { state: if running { State::Running } else { State::Inactive }, ..nest };
    if depth == Depth::Running {
        return nest;
    }
    let url = base.room(&id, "/info");
    let Some(reply) = gate.complete(client, &url).await else { return nest };
    match answer::json::<Info>(&reply, &url) {
        Ok(info) => Nest { record: Some(true), people: running.then_some(info.participant_count), ..nest },
        Err(api::Error::NotFound { missing: Missing::Record, .. }) => {
            let state = if running { State::Running } else { State::Gone };
            Nest { record: Some(false), state, ..nest }
        }
        Err(_) => nest,
    }
}
