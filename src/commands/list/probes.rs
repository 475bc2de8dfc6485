//! Asking the APIs of many nests: each nest once, several at a time, no API more than it allows.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{Semaphore, watch};

use super::rate_budget::{LIMIT, RateBudget};
use super::{Depth, Nest};
use crate::api::probe::{presence, record_presence};
use crate::api::{ApiError, ApiUrl, RoomId};
use crate::commands::Job;

/// Requests under way at the same time.
const JOBS: usize = 8;

/// A nest, as its API knows it.
pub(super) type Key = (ApiUrl, RoomId);

/// What an API says of a nest.
pub(super) enum NestAnswer {
    /// Whether there is an audio room, and what more was asked.
    Known { running: bool, record: Option<bool>, people: Option<u64> },
    /// Nothing that could be understood.
    Failed(ApiError),
}

/// The questions to all APIs that are under way, and those still to be asked.
pub(super) struct Probes<'a> {
    job: &'a Job<'a>,
    depth: Depth,
    budgets: HashMap<ApiUrl, Arc<RateBudget>>,
    asked: HashSet<Key>,
    places: Arc<Semaphore>,
    /// Whether all nests have been named: what only completes the picture has to wait for that.
    all: watch::Sender<bool>,
    answers: FuturesUnordered<BoxFuture<'a, (Key, NestAnswer)>>,
}

impl<'a> Probes<'a> {
    pub fn new(job: &'a Job<'a>, depth: Depth) -> Self {
        Self {
            job,
            depth,
            budgets: HashMap::new(),
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
        let budget = self.budgets.entry(key.0.clone());
        let new = || Arc::new(RateBudget::new(self.places.clone(), self.all.subscribe()));
        let budget = budget.or_insert_with(new).clone();
        budget.expect();
        let (job, depth) = (self.job, self.depth);
        self.answers.push(Box::pin(async move {
            let answer = ask(job, &key, &budget, depth).await.unwrap_or_else(NestAnswer::Failed);
            (key, answer)
        }));
    }

    /// All nests have been named.
    pub fn all_named(&self) {
        self.all.send_replace(true);
    }

    /// The next answer; `None` when nothing is under way.
    pub async fn next(&mut self) -> Option<(Key, NestAnswer)> {
        self.answers.next().await
    }
}

async fn ask(job: &Job<'_>, (api, id): &Key, budget: &RateBudget, depth: Depth) -> Result<NestAnswer, ApiError> {
    let probe = job.probe(api).within(LIMIT);
    let running = presence(budget.ask(probe.guest(id)).await)?;
    let (mut record, mut people) = (None, None);
    if depth == Depth::Whole
        && let Some(info) = budget.complete(probe.info(id)).await
    {
        people = info.as_ref().ok().filter(|_| running).map(|info| info.participant_count);
        record = record_presence(&info);
    }
    Ok(NestAnswer::Known { running, record, people })
}
