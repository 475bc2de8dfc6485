//! `nest status --follow` and `nest list --follow`: they stay, and tell what changes.

use std::net::{Ipv4Addr, TcpListener};
use std::thread;
use std::time::Duration;

use nostr_nests::server::{Mock, Options};
use nostr_sdk::{EventBuilder, Kind, Tag};
use serde_json::json;

use crate::support::following::Following;
use crate::support::nest::{Nest, mock};
use crate::support::nostr_client::{NostrClient, event, remember};
use crate::support::port;
use crate::support::raw::Raw;
use crate::support::{relays, room_event};

fn restart(mock: &Mock) {
    Nest::new(mock).args(["restart", "demo"]).run().expect(0);
}

fn present(mock: &Mock, nest: &str) {
    let somebody = nostr_sdk::Keys::generate();
    let coordinate = format!("30312:{}:{nest}", mock.host().public_key().to_hex());
    let presence = EventBuilder::new(Kind::from(10312), "").tags([Tag::parse(["a", &coordinate]).unwrap()]);
    NostrClient::at(&mock.relay()).publish(&presence.sign_with_keys(&somebody).unwrap());
}

#[test]
fn status_tells_when_api_presence_or_event_change() {
    let mock = mock(&[]);
    let naddr = room_event::naddr(&mock);
    let args = ["status", &naddr, "--follow", "--interval", "200ms", "--json"];
    let mut following = Following::start(Nest::new(&mock).without("NEST_KEY").args(args));

    let first = following.next();
    assert_eq!((&first["state"], &first["present"]), (&"inactive".into(), &0.into()));
    assert!(first["observedAt"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok(), "{first}");
    restart(&mock);
    assert_eq!(following.until("state", "running")["participants"], 0);
    present(&mock, "demo");
    assert_eq!(following.until("present", 1)["state"], "running");
    Nest::new(&mock).args(["close", &naddr, "--yes"]).run().expect(0);
    // Its event follows the API, and a look may fall between the two.
    let over = following.until("state", "over");
    assert_eq!((&over["record"], &over["event"]["status"]), (&false.into(), &"closed".into()));

    // What has not changed is not told again.
    assert!(following.lines.recv_timeout(Duration::from_secs(1)).is_err());
    assert_eq!(following.interrupt(), "");
}

#[test]
fn list_tells_of_changes_and_of_new_nests() {
    let mock = mock(&[]);
    let mut following = Following::start(
        Nest::new(&mock).args(["list", "--follow", "--interval", "200ms", "--json"]).env("NEST_RELAYS", mock.relay()),
    );

    let first = following.next();
    assert_eq!((&first["roomId"], &first["state"]), (&"demo".into(), &"inactive".into()));
    assert!(first.get("observedAt").is_none());
    remember(&mock, "daily");
    let api = mock.api();
    NostrClient::at(&mock.relay()).publish(&event(mock.host(), "daily", 0, &[&["status", "open"], &["service", &api]]));
    let new = following.until("roomId", "daily");
    assert_eq!((&new["state"], &new["record"]), (&"inactive".into(), &true.into()));
    restart(&mock);
    assert_eq!(following.until("state", "running")["roomId"], "demo");
    present(&mock, "demo");
    assert_eq!(following.until("present", 1)["roomId"], "demo");
    assert_eq!(following.interrupt(), "");
}

/// nostr-sdk would start threads of its own if its pool ended outside a runtime.
#[test]
fn following_needs_one_thread() {
    let mock = mock(&[]);
    let naddr = room_event::naddr(&mock);
    let mut following = Following::start(Nest::new(&mock).args(["status", &naddr, "-f", "--json"]));
    following.next();
    let status = std::fs::read_to_string(format!("/proc/{}/status", following.child.id())).unwrap();
    let threads = status.lines().find_map(|line| line.strip_prefix("Threads:")).unwrap().trim();
    assert_eq!(threads, "1");
    assert_eq!(following.interrupt(), "");
}

/// Upstream allows a hundred requests in a quarter of an hour: following must not use them up.
#[test]
fn the_api_is_not_asked_more_than_it_allows() {
    let mock = mock(&["rate-limit=12"]);
    let naddr = room_event::naddr(&mock);
    let mut following =
        Following::start(Nest::new(&mock).args(["status", &naddr, "--follow", "--interval", "50ms", "--json"]));
    following.next();
    thread::sleep(Duration::from_secs(2));
    // Ten more are allowed, five of them are the host's, and a look takes two: one in seven minutes.
    assert_eq!(mock.requests("/api/v1/nests/demo/guest"), 1);
    assert_eq!(following.interrupt(), "");
}

/// A time that no clock can show once was a panic.
#[test]
fn an_api_that_wants_to_be_left_alone_for_ever_is() {
    let server = Raw::with(|_, _| {
        b"HTTP/1.1 429 X\r\nRetry-After: 18446744073709551615\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
            .to_vec()
    });
    let mock = mock(&[]);
    let nest = Nest::new(&mock).env("NEST_API", server.url());
    let mut following = Following::start(nest.args(["status", "demo", "--follow", "--interval", "50ms", "--json"]));
    following.next();
    thread::sleep(Duration::from_secs(1));
    assert!(following.interrupt().contains("takes no more requests from this address for now"));
    assert_eq!(server.asked(), 2);
}

#[test]
fn a_relay_that_goes_and_comes_back_is_told_of() {
    let mock = mock(&[]);
    let address = (Ipv4Addr::LOCALHOST, port::reserved());
    let relay = || Mock::on(TcpListener::bind(address).unwrap(), Options::default()).unwrap();
    let titled = |relay: &Mock, title: &str, age| {
        let event = event(mock.host(), "demo", age, &[&["status", "open"], &["title", title]]);
        NostrClient::at(&relay.relay()).publish(&event);
    };
    let first = relay();
    titled(&first, "Before", 60);
    let naddr = room_event::naddr(&mock);
    let args = ["status", &naddr, "--follow", "--interval", "200ms", "--json", "--relay", &first.relay()];
    let mut following = Following::start(Nest::new(&mock).args(args));
    assert_eq!(following.next()["event"]["title"], "Before");
    // From here on it is connected.
    titled(&first, "Meanwhile", 30);
    while following.next()["event"]["title"] != "Meanwhile" {}

    drop(first);
    thread::sleep(Duration::from_millis(500));
    let second = relay();
    titled(&second, "After", 0);

    while following.next()["event"]["title"] != "After" {}
    let said = following.interrupt();
    let lost = said.find("ended the connection").unwrap_or_else(|| panic!("{said}"));
    assert!(said[lost..].contains("answers again"), "{said}");
}

/// Once that was two lines for each time that it changed its mind.
#[tokio::test]
async fn a_relay_that_changes_its_mind_without_end_is_told_of_once() {
    let mock = mock(&[]);
    let relay = relays::stub(|text| {
        let Some(id) = relays::subscription(text) else { return (Vec::new(), relays::Then::Listen) };
        let turn = [json!(["NOTICE", "error: not now"]), json!(["EOSE", id])];
        (turn.iter().map(relays::json).cycle().take(2000).collect(), relays::Then::Listen)
    })
    .await;
    let naddr = room_event::naddr(&mock);
    let args = ["status", &naddr, "--follow", "--interval", "200ms", "--json", "--relay", relay.as_str()];
    let mut following = Following::start(Nest::new(&mock).args(args));
    let said = tokio::task::spawn_blocking(move || {
        following.next();
        restart(&mock);
        following.until("state", "running");
        following.interrupt()
    });
    let said = said.await.unwrap();
    assert_eq!(said.matches("not now").count(), 1, "{said}");
    assert!(said.lines().count() <= 4, "{said}");
}
