//! TURN servers, as LiveKit advertises them and as a stream carries them.

use livekit_protocol::IceServer;
use nostr_nests::livekit::media::turn::{pump, read};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UdpSocket;

#[test]
fn urls_as_livekit_writes_them() {
    let server = IceServer { username: "u".into(), credential: "c".into(), ..Default::default() };
    let read = |url| read(url, &server).map(|turn| (turn.secure, turn.tcp, turn.host, turn.port));
    for (url, expected) in [
        ("turn:203.0.113.9:3478?transport=udp", Some((false, false, "203.0.113.9", 3478))),
        ("turn:[2001:db8::9]:3479?transport=udp", Some((false, false, "2001:db8::9", 3479))),
        ("turn:[2001:db8::9]", Some((false, false, "2001:db8::9", 3478))),
        ("turns:turn.example:443?transport=tcp", Some((true, true, "turn.example", 443))),
        ("turns:turn.example", Some((true, true, "turn.example", 5349))),
        ("turn:turn.example?transport=tcp", Some((false, true, "turn.example", 3478))),
        ("stun:stun.example:19302", None),
        ("turn:turn.example:99999", None),
    ] {
        let expected = expected.map(|(secure, tcp, host, port)| (secure, tcp, host.to_owned(), port));
        assert_eq!(read(url), expected, "{url}");
    }
}

#[tokio::test]
async fn messages_keep_their_edges() {
    let (near, mut far) = tokio::io::duplex(256);
    let bridge = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let library = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    library.connect(bridge.local_addr().unwrap()).await.unwrap();
    let pump = tokio::spawn(pump(bridge, near));

    let stun = [&[0, 1, 0, 4][..], &[7; 16], &[1, 2, 3, 4]].concat();
    let data = [0x40, 0, 0, 2, 8, 9];
    library.send(&stun).await.unwrap();
    library.send(&data).await.unwrap();
    let mut seen = vec![0; 32];
    far.read_exact(&mut seen).await.unwrap();
    assert_eq!(seen, [&stun[..], &data, &[0, 0]].concat(), "channel data is padded on a stream");

    far.write_all(&seen[..10]).await.unwrap();
    far.write_all(&seen[10..]).await.unwrap();
    let mut got = [0; 64];
    let length = library.recv(&mut got).await.unwrap();
    assert_eq!(got[..length], stun);
    let length = library.recv(&mut got).await.unwrap();
    assert_eq!(got[..length], data, "and not in a datagram");
    drop(far);
    pump.await.unwrap();
}
