//! The connection to the endpoint is opened while its token is still being fetched.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::spawn_blocking;

use crate::support::check::token;
use crate::support::fake_livekit::{Act, FakeLiveKit, Script, join};
use crate::support::nest::Nest;
use crate::support::raw::Raw;

fn ok(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len()).into()
}

/// An API and a media server behind one address. `/guest` is answered when two other connections have been made (and
/// those on which nobody spoke were lost again, if the house is impatient), or when it is clear that they never will be.
struct House {
    origin: String,
    api: Raw,
    media: FakeLiveKit,
    connections: watch::Receiver<usize>,
    overlapped: Arc<AtomicBool>,
    lost: usize,
}

impl House {
    async fn start(impatient: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("127.0.0.1:{}", listener.local_addr().unwrap().port());
        let (made, connections) = watch::channel(0_usize);
        let (lost, idle) = watch::channel(0_usize);
        let (seen, lost) = (connections.clone(), Arc::new(lost));
        let media = FakeLiveKit::start(Script::joining(join(), &[Act::Close("bye")])).await;
        let overlapped = Arc::<AtomicBool>::default();
        let (met, endpoint, here) =
            (overlapped.clone(), format!("ws+livekit://{origin}/livekit"), tokio::runtime::Handle::current());
        let api = Raw::with(move |_, head| {
            let guest = token("demo", "guest-1");
            if head.contains("/guest?probe=1 ") {
                let (mut seen, mut idle) = (seen.clone(), idle.clone());
                let all = async move {
                    seen.wait_for(|made| *made == 3).await.unwrap();
                    idle.wait_for(|idle| *idle == usize::from(impatient)).await.unwrap();
                };
                let all = here.block_on(async { tokio::time::timeout(Duration::from_secs(8), all).await.is_ok() });
                met.store(all, Ordering::SeqCst);
                ok(&json!({"token": guest.expose()}).to_string())
            } else if head.contains("/restart ") {
                let body = json!({
                    "success": true, "message": "Nest restarted successfully", "roomId": "demo", "endpoints": [endpoint],
                    "token": token("demo", "host").expose()
                });
                ok(&body.to_string())
            } else {
                ok(&json!({"host": "00".repeat(32), "relays": [], "hls": false, "link": "", "participantCount": 0})
                    .to_string())
            }
        });
        let (http, rtc) = (api.address().port(), media.port);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                made.send_modify(|made| *made += 1);
                let lost = lost.clone();
                tokio::spawn(async move {
                    let mut head = [0; 1024];
                    let patience = Duration::from_millis(if impatient { 1500 } else { 60_000 });
                    let Ok(read) = tokio::time::timeout(patience, stream.peek(&mut head)).await else {
                        drop(stream);
                        return lost.send_modify(|lost| *lost += 1);
                    };
                    // A client may think better of it.
                    let read = read.unwrap_or(0);
                    let port = if String::from_utf8_lossy(&head[..read]).contains(" /livekit/") { rtc } else { http };
                    let mut inner = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                    // Either side may close first.
                    let _ = copy_bidirectional(&mut stream, &mut inner).await;
                });
            }
        });
        Self { origin, api, media, connections, overlapped, lost: usize::from(impatient) }
    }

    /// Runs it to its end. The connection that was made beforehand was the one on which it joined.
    async fn proves(&self, args: &'static [&'static str]) {
        let api = format!("http://{}", self.origin);
        let key = nostr::Keys::generate().secret_key().to_secret_hex();
        let nest = Nest::alone().args(args).args(["--api", &api, "--json"]).env("NEST_KEY", key);
        let document = spawn_blocking(move || nest.run().expect(10).document()).await.unwrap();
        assert!(self.overlapped.load(Ordering::SeqCst), "{document}");
        let seen = self.media.seen();
        assert!(seen.iter().any(|line| line.starts_with("GET /livekit/rtc/v1?")), "{seen:?}");
        let used = self.api.asked() + seen.len();
        assert_eq!(*self.connections.borrow(), used + self.lost, "none was made in vain: {seen:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_dials_while_the_guest_token_is_fetched() {
    House::start(false).await.proves(&["restart", "demo", "--check"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_dials_while_the_api_is_asked() {
    House::start(false).await.proves(&["check", "demo", "--join"]).await;
}

/// A proxy closes what nobody speaks on: that says nothing about the media server.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_was_lost_meanwhile_is_made_again() {
    House::start(true).await.proves(&["restart", "demo", "--check"]).await;
    House::start(true).await.proves(&["check", "demo", "--join"]).await;
}
