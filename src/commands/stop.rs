//! Being interrupted, as a value: commands end early and say how far they came.

use std::future::Future;

use tokio::sync::watch;

use super::Error;
use crate::reporter::Progress;

/// What interrupted a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    Interrupt,
    Terminate,
}

/// Tells whether and by what the work was interrupted.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<Option<Signal>>);

impl Stop {
    /// One that never comes.
    pub fn never() -> Self {
        Self(watch::channel(None).1)
    }

    /// One, and the sender that sets it off.
    pub fn channel() -> (watch::Sender<Option<Signal>>, Self) {
        let (sender, receiver) = watch::channel(None);
        (sender, Self(receiver))
    }

    /// Ends when the work is to end.
    pub async fn requested(&self) -> Signal {
        let mut receiver = self.0.clone();
        match receiver.wait_for(Option::is_some).await.map(|signal| *signal) {
            Ok(Some(signal)) => signal,
            // The sender is gone: nobody can interrupt any more.
            _ => std::future::pending().await,
        }
    }

    /// The outcome of work that changes nothing, unless it is interrupted.
    pub(crate) async fn unless<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        tokio::select! {
            biased;
            done = work => done,
            signal = self.requested() => {
                Err(Error::Interrupted { signal, progress: Progress::NothingSent, done: None })
            }
        }
    }

    /// The outcome of work all of which can be repeated, unless it is interrupted.
    pub(super) async fn or_stopped<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        tokio::select! {
            biased;
            done = work => done,
            signal = self.requested() => Err(Error::Stopped(signal)),
        }
    }

    /// The next signal that has not been seen by this clone.
    pub async fn next(&mut self) -> Signal {
        loop {
            if self.0.changed().await.is_err() {
                return std::future::pending().await;
            }
            if let Some(signal) = *self.0.borrow_and_update() {
                return signal;
            }
        }
    }
}
