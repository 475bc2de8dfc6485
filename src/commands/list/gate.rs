//! What one API may still be asked: never more than it announces, and nothing more once it has failed.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, watch};
use url::Url;

use crate::api::{self, Call, Client, Lost, Reply};

/// Requests that are left for whatever the host does next.
const RESERVE: u32 = 5;

/// The limit of one request: a table is looked at, not waited for.
const LIMIT: Duration = Duration::from_secs(5);

/// Lets requests to one API through, the first one alone: its answer tells how many there may be.
pub(super) struct Gate {
    state: Mutex<State>,
    heard: Notify,
    /// Nests that still have to be asked for.
    waiting: AtomicU32,
    /// How many requests may be under way, to all APIs together.
    places: Arc<Semaphore>,
    /// Whether all nests that will have to be asked for are known.
    all: watch::Receiver<bool>,
}

#[derive(Default)]
struct State {
    asked: bool,
    heard: bool,
    /// As announced, less what was sent since; `None`: nothing was announced.
    left: Option<u32>,
    closed: Option<api::Error>,
    /// What only completes the picture is not asked for any more.
    terse: bool,
}

impl Gate {
    pub fn new(places: Arc<Semaphore>, all: watch::Receiver<bool>) -> Self {
        Self { state: Mutex::default(), heard: Notify::new(), waiting: AtomicU32::default(), places, all }
    }

    /// There is one more nest to be asked for.
    pub fn expect(&self) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
    }

    /// Asks what has to be known of a nest.
    pub async fn ask(&self, client: &Client, url: &Url) -> Result<Reply, api::Error> {
        let admitted = self.admit().await;
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        admitted?;
        let _place = self.places.acquire().await;
        if let Some(error) = self.closed() {
            return Err(error);
        }
        let reply = client.send(Call::get(url).within(LIMIT)).await;
        self.hear(&reply, |state, error| state.closed = Some(error));
        Ok(reply?)
    }

    /// Asks what only completes the picture; not at the expense of nests that nothing is known of.
    pub async fn complete(&self, client: &Client, url: &Url) -> Option<Reply> {
        // Whoever would say it has gone when this fails.
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
        let reply = client.send(Call::get(url).within(LIMIT)).await;
        self.hear(&reply, |state, _| state.terse = true);
        reply.ok()
    }

    async fn admit(&self) -> Result<(), api::Error> {
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
                        return Err(api::Error::RateLimited { said: String::new(), retry_after: None, policy: None });
                    }
                }
            }
            heard.await;
        }
    }

    fn hear(&self, reply: &Result<Reply, Lost>, fail: impl FnOnce(&mut State, api::Error)) {
        let mut state = self.lock();
        state.heard = true;
        match reply {
            Err(lost) => fail(&mut state, lost.clone().into()),
            Ok(reply) => {
                if reply.status == 429 {
                    let (said, retry_after) = (reply.text(), reply.retry_after);
                    state.closed = Some(api::Error::RateLimited { said, retry_after, policy: None });
                }
                // What is on its way is not in the server's number yet, but it is in ours.
                state.left = [state.left, reply.remaining].into_iter().flatten().min();
            }
        }
        drop(state);
        self.heard.notify_waiters();
    }

    fn closed(&self) -> Option<api::Error> {
        self.lock().closed.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
