//! A real Redis on loopback, which can be frozen, stopped and started again on its port.

use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{port, process};

/// A server of its own; it ends when dropped.
pub struct Redis {
    pub port: u16,
    process: Option<Child>,
    folder: tempfile::TempDir,
}

impl Redis {
    pub fn start() -> Self {
        let port = port::reserved();
        let mut redis = Self { port, process: None, folder: tempfile::tempdir().unwrap() };
        redis.resume();
        redis
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Starts it again, with what it had saved when it was stopped.
    pub fn resume(&mut self) {
        let args = ["--bind", "127.0.0.1", "--save", "3600 1", "--appendonly", "no", "--dir"];
        let process = Command::new("redis-server")
            .args(["--port", &self.port.to_string()])
            .args(args)
            .arg(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("no redis-server");
        self.process = Some(process);
        let begun = Instant::now();
        while !self.answers() {
            assert!(begun.elapsed() < Duration::from_secs(5), "Redis does not start");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn answers(&self) -> bool {
        use std::io::{Read as _, Write as _};
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) else { return false };
        stream.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        let mut answer = [0; 7];
        stream.write_all(b"PING\r\n").is_ok() && stream.read_exact(&mut answer).is_ok() && &answer == b"+PONG\r\n"
    }

    /// Ends it; what it knows is saved.
    pub fn stop(&mut self) {
        let mut child = self.process.take().unwrap();
        process::signal(child.id(), "TERM");
        child.wait().unwrap();
    }

    /// Another one is in its place, which knows nothing.
    pub fn replace(&mut self) {
        self.stop();
        self.folder = tempfile::tempdir().unwrap();
        self.resume();
    }

    pub fn freeze(&self) {
        process::signal(self.process.as_ref().unwrap().id(), "STOP");
    }

    pub fn thaw(&self) {
        process::signal(self.process.as_ref().unwrap().id(), "CONT");
    }

    /// A connection that shares nothing with the crate's.
    pub async fn connect(&self) -> ::redis::aio::MultiplexedConnection {
        ::redis::Client::open(self.url()).unwrap().get_multiplexed_async_connection().await.unwrap()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            // It may have ended already.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}
