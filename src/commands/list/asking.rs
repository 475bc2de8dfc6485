//! Asking the APIs of many nests: each nest once, several at a time, no API more than it allows.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{Semaphore, watch};

use super::gate::Gate;
use super::{Depth, Nest};
use crate::api::wire::Info;
use crate::api::{self, Base, Client, Missing, RoomId, answer};

/// Requests under way at the same time.
const JOBS: usize = 8;

/// A nest, as its API knows it.
pub(super) type Key = (Base, RoomId);

/// What an API says of a nest.
pub(super) enum Answer {
    /// Whether there is an audio room, and what more was asked.
    Known { running: bool, record: Option<bool>, people: Option<u64> },
    /// Nothing that could be understood.
    Failed(api::Error),
}

/// Questions under way.
pub(super) struct Asking<'a> {
    client: &'a Client,
    depth: Depth,
    gates: HashMap<Base, Arc<Gate>>,
    asked: HashSet<Key>,
    places: Arc<Semaphore>,
    /// Whether all nests have been named: what only completes the picture has to wait for that.
    all: watch::Sender<bool>,
    answers: FuturesUnordered<BoxFuture<'a, (Key, Answer)>>,
}

impl<'a> Asking<'a> {
    pub fn new(depth: Depth, client: &'a Client) -> Self {
        Self {
            client,
            depth,
            gates: HashMap::new(),
            asked: HashSet::new(),
            places: Arc::new(Semaphore::new(JOBS)),
            all: watch::Sender::new(false),
            answers: FuturesUnordered::new(),
        }
    }

    /// Asks about a nest, if there is anything to be asked and it was not asked before.
    pub fn about(&mut self, nest: &Nest) {
        let Some(key) = nest.to_be_checked() else { return };
        if !self.asked.insert(key.clone()) {
            return;
        }
        let gate = self.gates.entry(key.0.clone());
        let gate = gate.or_insert_with(|| Arc::new(Gate::new(self.places.clone(), self.all.subscribe()))).clone();
        gate.expect();
        let (client, depth) = (self.client, self.depth);
        self.answers.push(Box::pin(async move {
            let answer = ask(&key, &gate, depth, client).await.unwrap_or_else(Answer::Failed);
            (key, answer)
        }));
    }

    /// All nests have been named.
    pub fn all_named(&self) {
        self.all.send_replace(true);
    }

    /// The next answer; `None` when nothing is under way.
    pub async fn next(&mut self) -> Option<(Key, Answer)> {
        self.answers.next().await
    }
}

async fn ask((base, id): &Key, gate: &Gate, depth: Depth, client: &Client) -> Result<Answer, api::Error> {
    let guest = base.room(id, "/guest");
    let running = match gate.ask(client, &guest).await.and_then(|reply| answer::fresh_token(&reply, &guest)) {
        Ok(_) => true,
        Err(api::Error::NotFound { missing: Missing::Record | Missing::AudioRoom, .. }) => false,
        Err(error) => return Err(error),
    };
    let (mut record, mut people) = (None, None);
    let url = base.room(id, "/info");
    if depth == Depth::Whole
        && let Some(reply) = gate.complete(client, &url).await
    {
        match answer::json::<Info>(&reply, &url) {
            Ok(info) => (record, people) = (Some(true), running.then_some(info.participant_count)),
            Err(api::Error::NotFound { missing: Missing::Record, .. }) => record = Some(false),
            Err(_) => {}
        }
    }
    Ok(Answer::Known { running, record, people })
}
