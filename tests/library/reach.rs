//! Whom strangers may make us call.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use nostr::Keys;
use nostr_nests::net::reach::{Internal, Reach};
use url::Url;

const INSIDE: [&str; 8] = [
    "127.0.0.1",
    "10.1.2.3",
    "192.168.0.9",
    "100.64.0.1",
    "169.254.169.254",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "[fd00::1]",
];

fn url(host: &str) -> Url {
    Url::parse(&format!("https://{host}/x")).unwrap()
}

fn at(host: &str) -> Vec<SocketAddr> {
    vec![format!("{host}:443").parse().unwrap()]
}

/// Whether a URL may be called, and what a name stands for that resolves to the same.
async fn may(reach: &Reach, host: &str) -> [bool; 2] {
    [reach.admit(&url(host)).await.is_ok(), reach.sift("name.example", at(host)).await.is_ok()]
}

#[tokio::test]
async fn strangers_lead_to_the_public_alone() {
    let (own, stranger, asked) = (Keys::generate().public_key(), Keys::generate().public_key(), Arc::default());
    let counter: Arc<AtomicUsize> = Arc::clone(&asked);
    let reach = Reach::guarded(move |author| {
        counter.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move { author == own })
    });
    for host in INSIDE {
        assert_eq!(may(&reach, host).await, [false; 2], "{host}: of unknown origin");
        reach.told(stranger, [&url(host), &url("name.example")]);
        assert_eq!(may(&reach, host).await, [false; 2], "{host}: a stranger's");
    }
    assert_eq!(reach.admit(&url("localhost")).await.unwrap_err().kind, Internal::Loopback);
    assert_eq!(may(&reach, "203.0.113.7").await, [true; 2]);
    // Of a name's addresses those are left that all may call.
    let mixed = [at("127.0.0.1"), at("203.0.113.7")].concat();
    assert_eq!(reach.sift("name.example", mixed).await.unwrap(), at("203.0.113.7"));
    // The key is looked at only where it matters, and then the own event leads inside.
    let before = asked.load(Ordering::Relaxed);
    reach.told(own, [&url("own.example")]);
    reach.sift("own.example", at("203.0.113.7")).await.unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), before);
    reach.sift("own.example", at("192.168.0.9")).await.unwrap();
    reach.passed_on(&url("own.example"), [&url("media.example")]);
    reach.sift("media.example", at("192.168.0.10")).await.unwrap();
    reach.passed_on(&url("name.example"), [&url("other.example")]);
    reach.sift("other.example", at("192.168.0.10")).await.unwrap_err();
}

/// Where one such address is meant, others of its kind may be; a name that the user has typed leads where it leads.
#[tokio::test]
async fn the_user_says_where_to_go() {
    let guarded = || Reach::guarded(|_| Box::pin(std::future::ready(false)));
    for (host, kind) in [("127.0.0.1", "[::1]"), ("localhost", "127.0.0.9"), ("10.1.2.3", "192.168.0.9")] {
        let reach = guarded();
        reach.named(&url(host));
        assert_eq!(may(&reach, kind).await, [true; 2], "{host}");
        assert_eq!(may(&reach, "169.254.169.254").await, [false; 2], "{host}");
    }
    let reach = guarded();
    reach.named(&url("nests.home.example"));
    reach.through(&url("10.1.1.1"));
    reach.sift("nests.home.example", at("192.168.0.9")).await.unwrap();
    reach.sift("10.1.1.1", at("10.1.1.1")).await.unwrap();
    assert_eq!(may(&reach, "192.168.0.9").await, [false; 2]);
    assert_eq!(may(&Reach::ANYWHERE, "127.0.0.1").await, [true; 2]);
}
