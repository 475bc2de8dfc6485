//! The one dialler's limits.

use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use nostr_nests::net::dial::{WRITE_BUFFER_MAX, websocket_config};
use tokio::io::AsyncWriteExt as _;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Error, Message, protocol::Role};

/// A peer that sends pings and never reads: the pongs that wait for it are limited.
#[tokio::test]
async fn pongs_do_not_fill_the_memory() {
    let (here, mut there) = tokio::io::duplex(4096);
    let mut socket = WebSocketStream::from_raw_socket(here, Role::Client, Some(websocket_config(1 << 20))).await;
    let ping = [&[0x89, 125][..], &[0; 125]].concat();
    let pings = WRITE_BUFFER_MAX / ping.len() + 100;
    tokio::join!(
        async {
            for _ in 0..pings {
                there.write_all(&ping).await.unwrap();
            }
        },
        async {
            for _ in 0..pings {
                assert!(socket.next().await.unwrap().unwrap().is_ping());
            }
        },
    );
    let sent = socket.send(Message::text("are you there?")).now_or_never();
    assert!(matches!(sent, Some(Err(Error::WriteBufferFull(_)))), "{sent:?}");
}
