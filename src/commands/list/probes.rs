//! Asking the APIs of many nests: each nest once, several at a time, no API more than it allows.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{Notify, Semaphore, watch};

use super::{Depth, Nest};
use crate::api::probe::{Answer, presence, record_presence};
use crate::api::{ApiError, ApiUrl, NestProbe, RoomId};
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

impl NestAnswer {
    /// What was asked all at once.
    pub fn of(probe: &NestProbe) -> Self {
        match (probe.has_audio_room(), &probe.guest) {
            (None, Err(error)) => Self::Failed(error.clone()),
            (running, _) => {
                let running = running.unwrap_or_default();
                let people = probe.info.as_ref().ok().filter(|_| running).map(|info| info.participant_count);
                Self::Known { running, record: probe.has_record(), people }
            }
        }
    }
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

/// Requests that are left for whatever the host does next.
pub(in crate::commands) const RESERVE: u32 = 5;

/// The limit of one request: nobody waits longer for a row of a table.
const LIMIT: Duration = Duration::from_secs(5);

/// Lets requests to one API through, the first one alone: its answer tells how many there may be.
struct RateBudget {
    state: Mutex<BudgetState>,
    heard: Notify,
    /// Nests that still have to be asked for.
    waiting: AtomicU32,
    /// How many requests may be under way, to all APIs together.
    places: Arc<Semaphore>,
    /// Whether all nests that will have to be asked for are known.
    all: watch::Receiver<bool>,
}

#[derive(Default)]
struct BudgetState {
    asked: bool,
    heard: bool,
    /// As announced, less what was sent since; `None`: nothing was announced.
    left: Option<u32>,
    closed: Option<ApiError>,
    /// What only completes the picture is not asked for any more.
    terse: bool,
}

impl RateBudget {
    pub fn new(places: Arc<Semaphore>, all: watch::Receiver<bool>) -> Self {
        Self { state: Mutex::default(), heard: Notify::new(), waiting: AtomicU32::default(), places, all }
    }

    /// There is one more nest to be asked for.
    pub fn expect(&self) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
    }

    /// Asks what has to be known of a nest.
    pub async fn ask<T>(&self, probe: impl Future<Output = Answer<T>>) -> Result<T, ApiError> {
        let admitted = self.admit().await;
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        admitted?;
        let _place = self.places.acquire().await;
        if let Some(error) = &self.lock().closed {
            return Err(error.clone());
        }
        let answer = probe.await;
        self.hear(&answer, |state, error| state.closed = Some(error));
        answer.result
    }

    /// Asks what only completes the picture; not at the expense of nests that nothing is known of.
    pub async fn complete<T>(&self, probe: impl Future<Output = Answer<T>>) -> Option<Result<T, ApiError>> {
        // An error means that whoever would say it has gone.
        let _ = self.all.clone().wait_for(|all| *all).await;
        let _place = self.places.acquire().await;
        {
            let mut state = self.lock();
            let spare = RESERVE + self.waiting.load(Ordering::Relaxed);
            if state.terse || state.closed.is_some() || state.left.is_some_and(|left| left <= spare) {
                return None;
            }
            state.left = state.left.map(|left| left - 1);
        }
        let answer = probe.await;
        self.hear(&answer, |state, _| state.terse = true);
        Some(answer.result)
    }

    async fn admit(&self) -> Result<(), ApiError> {
        loop {
            let heard = self.heard.notified();
            {
                let mut state = self.lock();
                if let Some(error) = &state.closed {
                    return Err(error.clone());
                }
                if !state.asked {
                    state.asked = true;
                    return Ok(());
                }
                match state.left {
                    _ if !state.heard => {}
                    None => return Ok(()),
                    Some(left) if left > RESERVE => {
                        state.left = Some(left - 1);
                        return Ok(());
                    }
                    Some(_) => {
                        return Err(ApiError::RateLimited {
                            server_text: String::new(),
                            retry_after: None,
                            policy: None,
                        });
                    }
                }
            }
            heard.await;
        }
    }

    fn hear<T>(&self, answer: &Answer<T>, fail: impl FnOnce(&mut BudgetState, ApiError)) {
        let mut state = self.lock();
        state.heard = true;
        match &answer.result {
            Err(error @ ApiError::Transport(_)) => fail(&mut state, error.clone()),
            Err(error @ ApiError::RateLimited { .. }) => state.closed = Some(error.clone()),
            _ => {}
        }
        // What is on its way is not in the server's number yet, but it is in ours.
        let announced = answer.rate_limit.map(|limit| limit.remaining);
        state.left = [state.left, announced].into_iter().flatten().min();
        drop(state);
        self.heard.notify_waiters();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BudgetState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
