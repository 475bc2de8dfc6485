//! How many requests one API still takes: never more than it announces, and none once it has failed.

use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, watch};

use crate::api::ApiError;
use crate::api::probe::Answer;

/// Requests that are left for whatever the host does next.
const RESERVE: u32 = 5;

/// The limit of one request: nobody waits longer for a row of a table.
pub(super) const LIMIT: Duration = Duration::from_secs(5);

/// Lets requests to one API through, the first one alone: its answer tells how many there may be.
pub(super) struct RateBudget {
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
        state.left = [state.left, answer.remaining].into_iter().flatten().min();
        drop(state);
        self.heard.notify_waiters();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BudgetState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
