//! Where LiveKit may be reached, and which addresses nobody outside can use.

use nostr_nests::livekit::Transport;
use nostr_nests::livekit::endpoint::{Candidate, Hints, Source, candidates};
use nostr_nests::livekit::media::offered::{Offered, aims_inside, split};
use nostr_nests::net::is_loopback;
use nostr_nests::net::reach::Internal;
use proptest::prelude::*;
use url::Url;

fn api(text: &str) -> Url {
    Url::parse(text).unwrap()
}

fn of(returned: &[&str], streaming: &[&str], api: &Url, allow_http: bool) -> Vec<Candidate> {
    let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
    candidates(Hints { returned: &owned(returned), streaming: &owned(streaming), api: Some(api), allow_http })
}

#[test]
fn what_each_form_means() {
    let far = api("https://nests.example/api/v1/nests");
    for (text, plain_refused, plain_allowed) in [
        ("wss+livekit://h.example", "wss://h.example", "wss://h.example"),
        ("WSS+LiveKit://h.example:443/", "wss://h.example", "wss://h.example"),
        ("wss+livekit://h.example:7880/sub/", "wss://h.example:7880/sub", "wss://h.example:7880/sub"),
        ("wss+livekit://localhost:7880", "ws://localhost:7880", "ws://localhost:7880"),
        ("wss+livekit://127.0.0.1:7880", "ws://127.0.0.1:7880", "ws://127.0.0.1:7880"),
        ("wss+livekit://[::1]:7880", "ws://[::1]:7880", "ws://[::1]:7880"),
        ("wss+livekit://http://h.example:7880", "wss://h.example:7880", "ws://h.example:7880"),
        ("wss+livekit://http://127.0.0.1:7880", "ws://127.0.0.1:7880", "ws://127.0.0.1:7880"),
        ("wss+livekit://https://localhost:1", "wss://localhost:1", "wss://localhost:1"),
        ("ws+livekit://h.example", "ws://h.example", "ws://h.example"),
        ("ws+livekit://h.example:80", "ws://h.example", "ws://h.example"),
        ("https://h.example/livekit", "wss://h.example/livekit", "wss://h.example/livekit"),
        ("http://h.example", "ws://h.example", "ws://h.example"),
        ("wss://me:hunter2@h.example/?a#b", "wss://h.example", "wss://h.example"),
        ("ws://[::1]", "ws://[::1]", "ws://[::1]"),
    ] {
        for (allow_http, expected) in [(false, plain_refused), (true, plain_allowed)] {
            let found = of(&[text], &[], &far, allow_http);
            assert_eq!(found[0].as_str(), expected, "{text} {allow_http}");
            let may_be_dialled = allow_http || expected.starts_with("wss") || is_loopback(&found[0].url);
            assert_eq!(found[0].cleartext, !may_be_dialled, "{text} {allow_http}");
            assert_eq!(found[1].as_str(), "wss://nests.example/livekit");
        }
    }
    for text in ["", "h.example", "moq://h.example", "wss+livekit://", "https://h.example/a/live.M3U8"] {
        assert_eq!(of(&[text], &[], &far, true).len(), 1, "{text}");
    }
}

#[test]
fn order_is_kept_and_nothing_comes_twice() {
    let far = api("https://nests.example:8443/pre/api/v1/nests");
    let found = of(
        &["wss+livekit://livekit:7880", "https://a.example/"],
        &["wss://a.example", "wss://nests.example:8443/livekit/", "wss://evil.example"],
        &far,
        false,
    );
    let told: Vec<_> = found.iter().map(|c| (c.as_str(), c.source, c.host_token)).collect();
    assert_eq!(
        told,
        [
            ("wss://livekit:7880", Source::Api, true),
            ("wss://a.example", Source::Api, true),
            ("wss://nests.example:8443/livekit", Source::Event, true),
            ("wss://evil.example", Source::Event, false),
        ]
    );
    let near = api("http://127.0.0.1:8080");
    assert_eq!(of(&[], &[], &near, false)[0].as_str(), "ws://127.0.0.1:8080/livekit");
}

#[test]
fn internal_addresses_are_named() {
    use Internal::*;
    for (host, from_far, from_here) in [
        ("livekit:7880", Some(BareName), Some(BareName)),
        ("sfu.local", Some(LocalName), Some(LocalName)),
        ("sfu.internal.:1", Some(LocalName), Some(LocalName)),
        ("10.1.2.3", Some(Private), None),
        ("192.168.0.9", Some(Private), None),
        ("100.64.0.1", Some(Private), None),
        ("[fd00::1]", Some(Private), None),
        ("169.254.1.1", Some(LinkLocal), None),
        ("[fe80::1]", Some(LinkLocal), None),
        ("localhost", Some(Loopback), None),
        ("[::ffff:127.0.0.1]", Some(Loopback), None),
        ("0.0.0.0", Some(Unspecified), Some(Unspecified)),
        ("live.example.com", None, None),
        ("203.0.113.7", None, None),
    ] {
        let text = format!("wss://{host}");
        for (api_url, expected) in [("https://nests.example", from_far), ("http://localhost:1", from_here)] {
            assert_eq!(of(&[&text], &[], &api(api_url), false)[0].internal, expected, "{host} from {api_url}");
        }
    }
    assert_eq!(of(&["wss://10.0.0.2"], &[], &api("https://10.0.0.1"), false)[0].internal, None);
}

#[test]
fn paths_are_kept() {
    let found = of(&["wss://h.example/sub"], &[], &api("https://h.example"), false);
    assert_eq!(found[0].with_path("/rtc", false).as_str(), "wss://h.example/sub/rtc");
    assert_eq!(found[0].with_path("/rtc/validate", true).as_str(), "https://h.example/sub/rtc/validate");
}

proptest! {
    #[test]
    fn any_text_is_survived(scheme in "(wss\\+livekit|ws|https|[a-z+]{1,5})", rest in ".{0,40}", allow in any::<bool>()) {
        let far = api("https://nests.example");
        for candidate in of(&[&format!("{scheme}://{rest}")], &[&rest], &far, allow) {
            prop_assert!(matches!(candidate.url.scheme(), "ws" | "wss"));
            prop_assert!(candidate.url.username().is_empty() && candidate.url.password().is_none());
            prop_assert!(candidate.url.query().is_none());
            prop_assert!(allow || candidate.url.scheme() == "wss" || is_loopback(&candidate.url) || candidate.cleartext);
            prop_assert_eq!(candidate.with_path("/rtc", true).scheme().starts_with("http"), true);
        }
    }
}

#[test]
fn candidates_as_livekit_writes_them() {
    let read = |text| Offered::read(text).map(|offered| (offered.transport, offered.address.to_string()));
    for (text, expected) in [
        (
            "candidate:1988909849 1 udp 2130706431 10.77.0.1 7882 typ host ufrag abc",
            Some((Transport::Udp, "10.77.0.1:7882")),
        ),
        (
            "candidate:1 1 tcp 1671430143 203.0.113.9 7881 typ host tcptype passive ufrag abc",
            Some((Transport::Tcp, "203.0.113.9:7881")),
        ),
        ("candidate:1 1 TCP 1671430143 203.0.113.9 9 typ host tcptype active", None),
        ("candidate:1 1 udp 2130706431 fd00::1 7882 typ srflx", Some((Transport::Udp, "[fd00::1]:7882"))),
        ("candidate:1 1 udp 41885439 192.0.2.1 30000 typ relay", Some((Transport::Relay, "192.0.2.1:30000"))),
        ("candidate:1 1 udp 2130706431 0c6f8c0a.local 7882 typ host", None),
        ("candidate:1 1 udp", None),
        ("", None),
    ] {
        assert_eq!(read(text), expected.map(|(transport, at)| (transport, at.to_owned())), "{text}");
    }
}

#[test]
fn a_media_server_cannot_aim_at_this_machine() {
    let aims = |address: &str, signal: &str| aims_inside(address.parse().unwrap(), signal.parse().unwrap());
    for (address, signal, expected) in [
        ("127.0.0.1", "203.0.113.9", true),
        ("::1", "203.0.113.9", true),
        ("::ffff:127.0.0.1", "10.0.0.1", true),
        ("169.254.169.254", "203.0.113.9", true),
        ("fe80::1", "10.0.0.1", true),
        ("0.0.0.0", "203.0.113.9", true),
        ("127.0.0.1", "127.0.0.1", false),
        ("169.254.1.1", "169.254.1.2", false),
        // The operator's usual mistake.
        ("10.0.0.1", "203.0.113.9", false),
        ("203.0.113.8", "203.0.113.9", false),
    ] {
        assert_eq!(aims(address, signal), expected, "{address} from {signal}");
    }
    let sdp = "v=0\r\na=candidate:1 1 udp 2130706431 127.0.0.1 7882 typ host\r\na=mid:0\r\na=candidate:2 1 tcp 1 ::1 1 typ host\r\n";
    let (candidates, rest) = split(sdp);
    assert_eq!(candidates.len(), 2);
    assert!(candidates.iter().all(|candidate| Offered::read(candidate).is_some()), "{candidates:?}");
    assert_eq!(rest, "v=0\r\na=mid:0\r\n");
}

#[test]
fn only_outsiders_are_told_of_inner_addresses() {
    let told = |address: &str, signal: &str| {
        let offered = Offered { address: address.parse().unwrap(), transport: Transport::Udp };
        offered.internal(signal.parse().unwrap())
    };
    assert_eq!(told("127.0.0.1:1", "203.0.113.9"), Some(Internal::Loopback));
    assert_eq!(told("127.0.0.1:1", "10.0.0.1"), Some(Internal::Loopback));
    assert_eq!(told("127.0.0.1:1", "127.0.0.1"), None);
    assert_eq!(told("172.17.0.2:1", "203.0.113.9"), Some(Internal::Private));
    assert_eq!(told("[fd00::2]:1", "203.0.113.9"), Some(Internal::Private));
    assert_eq!(told("10.0.0.2:1", "192.168.1.1"), None);
    assert_eq!(told("203.0.113.9:1", "10.0.0.1"), None);
}
