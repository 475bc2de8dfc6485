//! A server that gives one answer, whatever it is asked.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

pub struct Raw {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
    posted: Arc<AtomicUsize>,
}

impl Raw {
    /// Sends these bytes to every request, and closes the connection.
    pub fn answering(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self::with(move |_, _| bytes.clone())
    }

    /// Answers the nth request, counted from 0, by its head.
    pub fn with(answer: impl Fn(usize, &str) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::serving(false, answer)
    }

    /// The same, and keeps the connection; when another request comes on it, closes it without an answer. No bytes are no
    /// answer either.
    pub fn closing_what_is_kept(answer: impl Fn(usize, &str) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::serving(true, answer)
    }

    fn serving(keeps: bool, answer: impl Fn(usize, &str) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let posted = Arc::new(AtomicUsize::new(0));
        let (counter, posts, answer) = (asked.clone(), posted.clone(), Arc::new(answer));
        // Ends with the process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (counter, posts, answer) = (counter.clone(), posts.clone(), answer.clone());
                std::thread::spawn(move || {
                    for on_connection in 0..=usize::from(keeps) {
                        let Some(head) = head(&stream) else { return };
                        posts.fetch_add(usize::from(head.starts_with("POST ")), Ordering::SeqCst);
                        let bytes = answer(counter.fetch_add(1, Ordering::SeqCst), &head);
                        if on_connection > 0 || bytes.is_empty() {
                            return;
                        }
                        // A client that has had enough closes first.
                        let _ = (&stream).write_all(&bytes);
                    }
                });
            }
        });
        Self { address, asked, posted }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// How many of the requests were to change something.
    pub fn posted(&self) -> usize {
        self.posted.load(Ordering::SeqCst)
    }
}

/// The head of a request.
fn head(mut stream: &TcpStream) -> Option<String> {
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    let (mut read, mut byte) = (Vec::new(), [0]);
    while !read.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        read.push(byte[0]);
    }
    Some(String::from_utf8_lossy(&read).into_owned())
}
