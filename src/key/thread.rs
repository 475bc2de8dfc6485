//! Work that may block for ever, kept where nobody has to wait for it.

use std::io;
use std::thread;

use tokio::sync::oneshot;

/// Runs `work` on a thread of its own.
///
/// A runtime waits for its blocking pool when it ends, and so would hang with it. This thread is simply left behind when
/// the future is dropped, and ends with the process.
pub(super) async fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    let (done, result) = oneshot::channel();
    thread::Builder::new().name("key".into()).spawn(move || done.send(work()).ok())?;
    result.await.map_err(|_| io::Error::other("the thread that read the key died"))
}
