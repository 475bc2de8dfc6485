//! The relay of the bundled server, spoken to message by message.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use nostr::{Event, EventBuilder, JsonUtil as _, Keys, Kind, RelayUrl, Tag, Timestamp};
use nostr_nests::relay::{RelayTrouble, Relays};
use nostr_nests::server::{DEMO, Mock, Options};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::support::relays::{coordinate, room, settings, signer};

struct Client(WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>);

impl Client {
    async fn at(mock: &Mock) -> Self {
        Self(connect_async(mock.relay()).await.unwrap().0)
    }

    async fn say(&mut self, message: &Value) {
        self.0.send(Message::text(message.to_string())).await.unwrap();
    }

    async fn hear(&mut self) -> Value {
        let heard = tokio::time::timeout(Duration::from_secs(10), self.0.next()).await.expect("it says nothing");
        serde_json::from_str(heard.unwrap().unwrap().to_text().unwrap()).unwrap()
    }

    async fn ask(&mut self, message: Value) -> Value {
        self.say(&message).await;
        self.hear().await
    }

    /// Hands an event in: whether that was a success, and what the relay says of it.
    async fn publish(&mut self, event: &Event) -> (bool, String) {
        let answer = self.ask(json!(["EVENT", event])).await;
        assert_eq!((&answer[0], &answer[1]), (&json!("OK"), &json!(event.id)));
        (answer[2].as_bool().unwrap(), answer[3].as_str().unwrap().to_owned())
    }

    /// The contents of all events that fit one of these filters.
    async fn contents(&mut self, filters: &[Value]) -> Vec<String> {
        let message: Vec<_> = [json!("REQ"), json!("all")].into_iter().chain(filters.iter().cloned()).collect();
        self.say(&message.into()).await;
        let mut found = Vec::new();
        loop {
            let answer = self.hear().await;
            if answer[0] == "EOSE" {
                return found;
            }
            Event::from_json(answer[2].to_string()).unwrap().verify().unwrap();
            found.push(answer[2]["content"].as_str().unwrap().to_owned());
        }
    }
}

fn mock(faults: &[&str]) -> Mock {
    let faults = faults.iter().map(|fault| fault.parse().unwrap()).collect();
    Mock::start(Options { faults, ..Options::default() }).unwrap()
}

/// Said so many seconds ago.
fn event(keys: &Keys, kind: u16, content: &str, age: u64, tags: &[[&str; 2]]) -> Event {
    let tags = tags.iter().map(|tag| Tag::parse(*tag).unwrap());
    let event = EventBuilder::new(Kind::from(kind), content).tags(tags);
    event.custom_created_at(Timestamp::now() - age).sign_with_keys(keys).unwrap()
}

#[tokio::test]
async fn the_newest_come_first_and_each_is_there_once() {
    let mock = mock(&[]);
    let (mut client, keys) = (Client::at(&mock).await, Keys::generate());
    for (content, age) in [("b", 20), ("a", 10), ("c", 30)] {
        assert_eq!(client.publish(&event(&keys, 1, content, age, &[])).await, (true, String::new()));
    }
    let notes = json!({ "kinds": [1] });
    assert_eq!(client.contents(std::slice::from_ref(&notes)).await, ["a", "b", "c"]);
    assert_eq!(client.contents(&[json!({ "kinds": [1], "limit": 2 })]).await, ["a", "b"]);
    assert_eq!(client.contents(&[json!({ "kinds": [1], "limit": 1 }), notes.clone()]).await, ["a", "b", "c"]);
    assert_eq!(client.contents(&[json!({ "kinds": [2] })]).await, Vec::<String>::new());
    let again = event(&keys, 1, "d", 5, &[]);
    client.publish(&again).await;
    let (success, words) = client.publish(&again).await;
    assert!(success && words.starts_with("duplicate:"), "{words}");
}

#[tokio::test]
async fn only_the_newest_version_is_kept() {
    let mock = mock(&[]);
    let (mut client, keys) = (Client::at(&mock).await, Keys::generate());
    for (kind, d) in [(30312, "x"), (10002, "")] {
        let version = |content, age| event(&keys, kind, content, age, &[["d", d]]);
        let mine = json!({ "kinds": [kind], "authors": [keys.public_key()] });
        assert!(client.publish(&version("old", 20)).await.0);
        assert!(client.publish(&version("new", 10)).await.0);
        let (success, words) = client.publish(&version("late", 15)).await;
        assert!(!success && words.starts_with("replaced:"), "{words}");
        assert_eq!(client.contents(&[mine]).await, ["new"]);
    }
    // Another `d`, another author: another event.
    client.publish(&event(&keys, 30312, "other", 30, &[["d", "y"]])).await;
    client.publish(&event(&Keys::generate(), 30312, "theirs", 30, &[["d", "x"]])).await;
    assert_eq!(client.contents(&[json!({ "kinds": [30312], "#d": ["x", "y"] })]).await.len(), 3);
    // What is ephemeral is passed on, and what has expired is not taken.
    assert!(client.publish(&event(&keys, 20_001, "soon gone", 0, &[])).await.0);
    assert!(!client.publish(&event(&keys, 1, "expired", 10, &[["expiration", "1700000000"]])).await.0);
    assert_eq!(client.contents(&[json!({ "kinds": [20_001, 1] })]).await, Vec::<String>::new());
}

#[tokio::test]
async fn subscriptions_hear_what_comes_until_they_are_closed() {
    let mock = mock(&[]);
    let (mut client, mut other, keys) = (Client::at(&mock).await, Client::at(&mock).await, Keys::generate());
    assert_eq!(client.ask(json!(["REQ", "notes", { "kinds": [1] }])).await, json!(["EOSE", "notes"]));
    other.publish(&event(&keys, 7, "no note", 0, &[])).await;
    let first = event(&keys, 1, "first", 0, &[]);
    other.publish(&first).await;
    assert_eq!(client.hear().await, json!(["EVENT", "notes", first]));
    client.say(&json!(["CLOSE", "notes"])).await;
    // It has heard that once it answers what comes after it.
    assert_eq!(client.ask(json!(["REQ", "likes", { "kinds": [7], "limit": 0 }])).await, json!(["EOSE", "likes"]));
    other.publish(&event(&keys, 1, "second", 0, &[])).await;
    let like = event(&keys, 7, "a like", 0, &[]);
    other.publish(&like).await;
    assert_eq!(client.hear().await, json!(["EVENT", "likes", like]));
}

#[tokio::test]
async fn what_is_wrong_is_refused_and_harms_nobody() {
    let mock = mock(&[]);
    let (mut client, keys) = (Client::at(&mock).await, Keys::generate());
    let mut forged = serde_json::to_value(event(&keys, 1, "genuine", 0, &[])).unwrap();
    forged["content"] = json!("forged");
    let answer = client.ask(json!(["EVENT", forged])).await;
    assert_eq!((&answer[0], &answer[2]), (&json!("OK"), &json!(false)));
    assert!(answer[3].as_str().unwrap().starts_with("invalid:"), "{answer}");
    for nonsense in [json!("x"), json!([]), json!(["REQ"]), json!(["EVENT", {}])] {
        assert_eq!(client.ask(nonsense).await[0], "NOTICE");
    }
    let many = [json!("REQ"), json!("many")].into_iter().chain(std::iter::repeat_n(json!({ "kinds": [9] }), 21));
    assert_eq!(client.ask(many.collect()).await[0], "CLOSED");
    for n in 0..20 {
        assert_eq!(client.ask(json!(["REQ", n.to_string(), { "kinds": [9] }])).await[0], "EOSE");
    }
    assert_eq!(client.ask(json!(["REQ", "one more", { "kinds": [9] }])).await[0], "CLOSED");
    assert_eq!(client.ask(json!(["REQ", "0", { "kinds": [9] }])).await[0], "EOSE", "one that is there may change");
    assert_eq!(Client::at(&mock).await.contents(&[json!({ "kinds": [1] })]).await, Vec::<String>::new());
}

#[tokio::test]
async fn it_asks_who_is_there_if_a_fault_wants_it() {
    let mock = mock(&["relay-auth"]);
    let (mut client, keys) = (Client::at(&mock).await, Keys::generate());
    let challenge = client.hear().await;
    assert_eq!(challenge[0], "AUTH");
    let note = event(&keys, 1, "note", 0, &[]);
    assert!(client.publish(&note).await.1.starts_with("auth-required:"));
    let refused = client.ask(json!(["REQ", "x", {}])).await;
    assert!(refused[0] == "CLOSED" && refused[2].as_str().unwrap().starts_with("auth-required:"), "{refused}");
    let answer = |challenge: &str| event(&keys, 22242, "", 0, &[["relay", &mock.relay()], ["challenge", challenge]]);
    assert_eq!(client.ask(json!(["AUTH", answer("of another relay")])).await[2], false);
    assert_eq!(client.ask(json!(["AUTH", answer(challenge[1].as_str().unwrap())])).await[2], true);
    assert_eq!(client.publish(&note).await, (true, String::new()));

    // As the program's own client does it: only when it is refused, and only with a key.
    let url = RelayUrl::parse(&mock.relay()).unwrap();
    let wanted = coordinate(mock.host().public_key(), DEMO);
    let mut settings = settings(Duration::from_secs(20));
    let unsigned = Relays::new([url.clone()], settings.clone());
    let outcome = unsigned.publish(&room(&keys, "x", 0, &[])).await.remove(0).outcome;
    assert!(matches!(outcome, Err(RelayTrouble::AuthRequired(_))), "{outcome:?}");
    settings.signer = Some(signer(&keys));
    assert!(Relays::new([url], settings).fetch(&wanted).await.unwrap().room.is_some());
}

/// NDK writes it so.
#[tokio::test]
async fn its_address_may_end_with_a_slash() {
    let mock = Mock::start(Options::default()).unwrap();
    connect_async(format!("{}/", mock.relay())).await.unwrap();
}
