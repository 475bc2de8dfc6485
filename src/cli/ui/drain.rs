//! Writing to somebody who may never read: a pipe that is full must not make the program deaf to signals.

use std::io::{self, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::commands::Stop;

/// So much fits wherever anything fits: a pipe that can be written takes 4096 bytes at least.
#[cfg(unix)]
const CHUNK: usize = 2048;

/// One of the outputs.
#[derive(Debug, Default)]
pub(super) struct Drain {
    stop: OnceLock<Stop>,
    given_up: AtomicBool,
}

impl Drain {
    /// From here on a signal ends the waiting for a reader.
    pub(super) fn heed(&self, stop: &Stop) {
        let _ = self.stop.set(stop.clone());
    }

    /// Whether a signal has ended the waiting.
    pub(super) fn gave_up(&self) -> bool {
        self.given_up.load(Ordering::Relaxed)
    }

    /// Writes all of it, unless a signal comes and nobody reads: then that is a time-out, once and for all.
    #[cfg(unix)]
    pub(super) fn write(&self, mut out: impl Write + std::os::fd::AsFd, text: &[u8]) -> io::Result<()> {
        for chunk in text.chunks(CHUNK) {
            if self.gave_up() || !self.takes(&out) {
                self.given_up.store(true, Ordering::Relaxed);
                return Err(io::Error::new(io::ErrorKind::TimedOut, "interrupted, and nobody reads it"));
            }
            out.write_all(chunk)?;
            out.flush()?;
        }
        Ok(())
    }

    /// Writes all of it.
    #[cfg(not(unix))]
    pub(super) fn write(&self, mut out: impl Write, text: &[u8]) -> io::Result<()> {
        out.write_all(text).and_then(|()| out.flush())
    }

    /// Whether the output can be written, now or within a second of a signal.
    #[cfg(unix)]
    fn takes(&self, out: impl std::os::fd::AsFd) -> bool {
        use std::time::{Duration, Instant};

        use rustix::event::{PollFd, PollFlags, Timespec, poll};

        const PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
        const PATIENCE: Duration = Duration::from_secs(1);

        let mut since = None;
        loop {
            match poll(&mut [PollFd::new(&out, PollFlags::OUT)], Some(&PAUSE)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                // What is wrong with it, the write says.
                Ok(_) | Err(_) => return true,
            }
            if self.stop.get().is_some_and(|stop| stop.signal().is_some())
                && since.get_or_insert_with(Instant::now).elapsed() >= PATIENCE
            {
                return false;
            }
        }
    }
}
