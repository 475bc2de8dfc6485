//! `nest list`: the nests of a host as Nostr knows them, beside what the API and LiveKit say.

mod asking;
mod gate;
mod nest;

use std::collections::HashMap;
use std::pin::pin;

use tokio::sync::mpsc::unbounded_channel;

use self::asking::Asking;
pub(super) use self::nest::page;
pub use self::nest::{Nest, State};
use super::keys::Keys;
use super::owner::Owner;
pub use super::owner::Whose;
use super::target::Finder;
use super::{Error, Settings, Stop};
use crate::api::{self, Client};
use crate::relay::FetchedEvent;
use crate::reporter::{Reporter, Step};

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
    /// All nests, as relays have them: those that follow are among them.
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
        let mut hidden = Vec::new();
        let each = |nest: Nest| {
            let open = matches!(nest.state, State::NotChecked | State::Unknown);
            match request.inactive && !nest.is_inactive() {
                false => watch.row(&nest),
                true if open => hidden.push(nest),
                true => {}
            }
        };
        let looking = Looking { settings, keys: &keys, client: &client, reporter };
        looking.at(&request.whose, Depth::Whole, |nests| watch.begins(nests), each).await?;
        Ok(hidden)
    };
    tokio::select! {
        biased;
        done = work => done,
        signal = stop.requested() => Err(Error::Stopped(signal)),
    }
}

/// How much is to be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    /// Whether there is an audio room.
    Running,
    /// Also whether there is a record, and how many people are there.
    Whole,
}

/// Where the nests of a host are looked for.
#[derive(Clone, Copy)]
pub(super) struct Looking<'a> {
    pub settings: &'a Settings,
    pub keys: &'a Keys<'a>,
    pub client: &'a Client,
    pub reporter: &'a dyn Reporter,
}

impl Looking<'_> {
    /// Looks at all nests of a host. `begin` hears of them when the relays have told, the one published last first;
    /// `each` gets one after the other as the answers of their APIs come. These are asked while slow relays still answer.
    pub async fn at(
        self,
        whose: &Whose,
        depth: Depth,
        begin: impl FnOnce(&[Nest]),
        mut each: impl FnMut(Nest),
    ) -> Result<(), Error> {
        let Self { settings, keys, client, reporter } = self;
        let owner = Owner::find(whose, settings, keys, client).await?;
        reporter.step(ROW, Step::Relays);
        let relays = owner.relays(settings);
        let mut asking = Asking::new(depth, client);
        let mut answers = Vec::new();
        let (tell, mut told) = unbounded_channel();
        let mut listing = pin!(relays.list_as_heard(owner.key, |event| drop(tell.send(event.clone()))));
        let listed = loop {
            tokio::select! {
                biased;
                Some(event) = told.recv() => {
                    asking.about(&Nest::new(FetchedEvent { event, seen_on: Vec::new(), stale_on: Vec::new() }, settings)?);
                }
                listed = &mut listing => break listed?,
                Some(answer) = asking.next() => answers.push(answer),
            }
        };
        Finder { settings, keys, reporter }.tell(&listed.asked);
        let nests = listed.rooms.into_iter().map(|room| Nest::new(room, settings)).collect::<Result<Vec<_>, _>>()?;
        begin(&nests);
        let mut open = HashMap::new();
        for nest in nests {
            asking.about(&nest);
            match nest.to_be_checked() {
                Some(key) => drop(open.insert(key, nest)),
                None => each(nest),
            }
        }
        asking.all_named();
        let mut early = answers.into_iter();
        while !open.is_empty() {
            let answer = match early.next() {
                None => asking.next().await,
                answer => answer,
            };
            let Some((key, answer)) = answer else { break };
            if let Some(nest) = open.remove(&key) {
                each(nest.with(answer));
            }
        }
        Ok(())
    }
}
