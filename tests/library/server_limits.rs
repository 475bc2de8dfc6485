//! Who a client is, and how much it may ask for.

use std::net::IpAddr;
use std::time::Duration;

use nostr_nests::server::http::{Quota, RateAllowance, RateLimiter};
use nostr_nests::server::serve::proxy::{bucket, client_ip, network};
use reqwest::header::HeaderMap;

fn seen(connected: &str, forwarded: &[&str], trusted: &[&str]) -> String {
    let trusted: Vec<_> = trusted.iter().map(|text| network(text).unwrap()).collect();
    let mut headers = HeaderMap::new();
    for line in forwarded {
        headers.append("x-forwarded-for", line.parse().unwrap());
    }
    client_ip(connected.parse().unwrap(), &headers, &trusted).to_string()
}

#[test]
fn only_trusted_proxies_are_believed() {
    assert_eq!(seen("203.0.113.7", &["1.2.3.4"], &[]), "203.0.113.7");
    assert_eq!(seen("203.0.113.7", &["1.2.3.4"], &["10.0.0.0/8"]), "203.0.113.7");
    assert_eq!(seen("10.1.1.1", &["1.2.3.4"], &["10.0.0.0/8"]), "1.2.3.4");
    assert_eq!(seen("::ffff:10.1.1.1", &["1.2.3.4"], &["10.0.0.0/8"]), "1.2.3.4");
    // The client's own lie stands to the left.
    assert_eq!(seen("10.1.1.1", &["9.9.9.9, 1.2.3.4"], &["10.0.0.0/8"]), "1.2.3.4");
    assert_eq!(seen("10.1.1.1", &["9.9.9.9", "1.2.3.4, 10.2.2.2"], &["10.0.0.0/8"]), "1.2.3.4");
    assert_eq!(seen("127.0.0.1", &["[2001:db8::1]:4711"], &["127.0.0.1"]), "2001:db8::1");
    assert_eq!(seen("127.0.0.1", &["unknown"], &["127.0.0.1"]), "127.0.0.1");
    assert_eq!(seen("127.0.0.1", &[], &["127.0.0.1"]), "127.0.0.1");
}

#[test]
fn networks() {
    let holds = |net: &str, ip: &str| network(net).unwrap().contains(&ip.parse::<IpAddr>().unwrap());
    assert!(holds("0.0.0.0/0", "8.8.8.8") && holds("2001:db8::/32", "2001:db8:1::1"));
    assert!(!holds("10.0.0.0/9", "10.128.0.1") && !holds("::/0", "8.8.8.8"));
    for wrong in ["", "10.0.0.0/33", "10.0.0.0/x", "host", "10/8"] {
        assert!(network(wrong).is_err(), "{wrong}");
    }
    assert_eq!(bucket("2001:db8::1:2:3:4".parse().unwrap()).to_string(), "2001:db8::");
}

#[test]
fn each_has_so_many_requests_in_a_window() {
    let (limiter, quota) = (RateLimiter::default(), Quota { limit: 2, window: Duration::from_millis(100) });
    let refused = |who| limiter.count(quota, who).exceeded;
    assert_eq!([refused("a"), refused("a"), refused("a"), refused("b")], [false, false, true, false]);
    assert!(!limiter.count(Quota { limit: 3, ..quota }, "a").exceeded, "another quota counts anew");
    std::thread::sleep(Duration::from_millis(110));
    let fresh = limiter.count(quota, "a");
    assert_eq!((fresh.exceeded, fresh.remaining, fresh.reset_s), (false, 1, 1));
}

/// One address after the other, as somebody with many networks of IPv6 has them, once began a new window for everybody.
#[test]
fn strangers_do_not_reset_the_limits_of_others() {
    let (limiter, quota) = (RateLimiter::default(), Quota { limit: 2, window: Duration::from_secs(60) });
    for _ in 0..3 {
        limiter.count(quota, 0);
    }
    assert!((1..250_000).all(|stranger| !limiter.count(quota, stranger).exceeded));
    assert!(limiter.count(quota, 0).exceeded);
    assert_eq!(limiter.left(quota, 250_000).remaining, 2);
}

#[test]
fn the_tighter_limit_is_told() {
    let budget = |remaining| RateAllowance {
        quota: Quota { limit: 5, window: Duration::from_secs(60) },
        exceeded: false,
        remaining,
        reset_s: 1,
    };
    assert_eq!(budget(3).tighter(Some(budget(2))).remaining, 2);
    assert_eq!(budget(3).tighter(Some(budget(4))).remaining, 3);
    assert_eq!(budget(3).tighter(None).headers()[0], ("ratelimit-policy", "5;w=60".into()));
}
