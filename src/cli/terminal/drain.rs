//! Writing to somebody who may never read: a pipe that is full must not make the program deaf to signals.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};

use crate::commands::Signal;

/// So much fits wherever anything fits: a pipe that can be written takes 4096 bytes at least.
#[cfg(unix)]
const CHUNK: usize = 2048;

#[derive(Debug, Default)]
pub(super) struct Drain {
    /// The number of the signal that has come; 0 if none has. Set by its handler.
    signal: Arc<AtomicUsize>,
    given_up: AtomicBool,
}

impl Drain {
    /// From here on a signal ends the waiting for a reader.
    pub(super) fn heed_signals(&self) -> io::Result<()> {
        #[cfg(unix)]
        for signal in [SIGINT, SIGTERM] {
            let number = usize::try_from(signal).unwrap_or_default();
            signal_hook::flag::register_usize(signal, self.signal.clone(), number)?;
        }
        Ok(())
    }

    pub(super) fn given_up(&self) -> Option<Signal> {
        let signal = self.given_up.load(Ordering::Relaxed).then(|| self.signal.load(Ordering::Relaxed))?;
        Some(if i32::try_from(signal) == Ok(SIGTERM) { Signal::Terminate } else { Signal::Interrupt })
    }

    /// Writes all of it, unless a signal comes and nobody reads: then that is a time-out, once and for all.
    #[cfg(unix)]
    pub(super) fn write(&self, mut out: impl Write + std::os::fd::AsFd, text: &[u8]) -> io::Result<()> {
        for chunk in text.chunks(CHUNK) {
            if self.given_up.load(Ordering::Relaxed) || !self.takes(&out) {
                self.given_up.store(true, Ordering::Relaxed);
                return Err(io::Error::new(io::ErrorKind::TimedOut, "interrupted, and nobody reads it"));
            }
            out.write_all(chunk)?;
            out.flush()?;
        }
        Ok(())
    }

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
            if self.signal.load(Ordering::Relaxed) != 0 && since.get_or_insert_with(Instant::now).elapsed() >= PATIENCE
            {
                return false;
            }
        }
    }
}
