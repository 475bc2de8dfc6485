//! Being interrupted, as a value: commands end early and say how far they came.

use std::future::Future;

use tokio::sync::watch;

use super::Error;
use crate::livekit::check::Keeping;
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

    /// One for what comes from now on.
    pub(super) fn later(&self) -> Self {
        let mut stop = self.clone();
        stop.0.mark_unchanged();
        stop
    }

    /// The same as [`Self::requested`], but where a stay keeps a nest open, the first Ctrl-C ends only that.
    pub(crate) async fn requested_beyond(&self, keeping: &Keeping) -> Signal {
        let mut stop = self.clone();
        loop {
            let signal = stop.next().await;
            if signal != Signal::Interrupt || !keeping.end() {
                return signal;
            }
        }
    }

    /// The outcome of work that changes nothing, unless it is interrupted.
    pub(crate) async fn unless<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        self.unless_beyond(&Keeping::default(), work).await
    }

    /// The same, where a stay may keep a nest open.
    pub(crate) async fn unless_beyond<T>(
        &self,
        keeping: &Keeping,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        tokio::select! {
            biased;
            done = work => done,
            signal = self.requested_beyond(keeping) => {
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
