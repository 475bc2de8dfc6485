//! Remote signers (NIP-46), and one of another making.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nostr::nips::nip44;
use nostr::nips::nip46::{NostrConnectMetadata, NostrConnectRequest, NostrConnectURI};
use nostr::{Event, EventBuilder, Keys, Kind, PublicKey, RelayUrl, UnsignedEvent};
use nostr_connect::prelude::{NostrConnectKeys, NostrConnectRemoteSigner, NostrConnectSignerActions};
use nostr_nests::key::{
    BunkerUri, BunkerUriError, HostKey, KeyOrigin, PairingOffer, RemoteSigner, SignerError, SignerNetwork,
};
use nostr_nests::reporter::Warning;
use nostr_relay_builder::RelayBuilder;
use nostr_relay_builder::builder::{RelayBuilderNip42, RelayBuilderNip42Mode};
use rustls::RootCertStore;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::support::bunker::{Bunker, Reply, SECRET, answer, honest};
use crate::support::relays::{Then, relay, relay_with, stub, tls};

fn network(limit: Duration) -> SignerNetwork {
    SignerNetwork {
        tls: tls(RootCertStore::empty()),
        allow_http: false,
        relay_timeout: Duration::from_secs(20),
        limit,
        listener: None,
    }
}

/// More time than any test takes.
fn in_time() -> SignerNetwork {
    network(Duration::from_secs(30))
}

fn unsigned(author: PublicKey) -> UnsignedEvent {
    EventBuilder::new(Kind::HttpAuth, "").build(author)
}

/// Signs requests, and nothing else.
struct OnlyRequests;

impl NostrConnectSignerActions for OnlyRequests {
    fn approve(&self, _: &PublicKey, request: &NostrConnectRequest) -> bool {
        !matches!(request, NostrConnectRequest::SignEvent(event) if event.kind != Kind::HttpAuth)
    }
}

/// The signer of rust-nostr, and the keys that it signs with, which are not its own.
fn rust_nostr(relay: &RelayUrl) -> (NostrConnectRemoteSigner, Keys) {
    let keys = NostrConnectKeys { signer: Keys::generate(), user: Keys::generate() };
    let user = keys.user.clone();
    (NostrConnectRemoteSigner::new(keys, [relay.clone()], Some(SECRET.into()), None).unwrap(), user)
}

#[tokio::test]
async fn the_signer_of_rust_nostr_signs() {
    let (_held, relay) = relay(&[]).await;
    let (judge, user) = rust_nostr(&relay);
    let uri = judge.bunker_uri().to_string();
    tokio::spawn(async move { judge.serve(OnlyRequests).await });
    let signer = BunkerUri::parse(&uri).unwrap().pair(Keys::generate(), in_time()).await.unwrap();
    assert_eq!(signer.public_key(), user.public_key());
    assert_ne!(signer.session().signer, user.public_key());
    signer.ping().await.unwrap();
    let key = HostKey::remote(signer.clone(), KeyOrigin::Signer("main".into()));
    let event = key.sign(unsigned(PublicKey::from_byte_array([1; 32]))).await.unwrap();
    assert_eq!(event.pubkey, user.public_key());
    event.verify().unwrap();
    let note = EventBuilder::text_note("hello").build(user.public_key());
    assert_eq!(signer.sign(note).await, Err(SignerError::Refused("Rejected".into())));

    // What was kept of the session is enough another time.
    let again = RemoteSigner::new(signer.session().clone(), user.public_key(), in_time());
    again.sign(unsigned(user.public_key())).await.unwrap().verify().unwrap();

    let wrong = uri.replace(SECRET, "another");
    let refused = BunkerUri::parse(&wrong).unwrap().pair(Keys::generate(), in_time()).await.err();
    assert_eq!(refused, Some(SignerError::NotPaired { why: "Secret not match".into(), secret: true }));
}

#[tokio::test]
async fn the_signer_of_rust_nostr_finds_who_offers_to_pair() {
    let (_held, relay) = relay(&[]).await;
    let offer = PairingOffer::new(vec![relay.clone()]);
    let shown = url::Url::parse(&offer.uri()).unwrap();
    let secret = shown.query_pairs().find(|(name, _)| name == "secret").unwrap().1.into_owned();
    let uri = NostrConnectURI::Client {
        public_key: PublicKey::from_hex(shown.host_str().unwrap()).unwrap(),
        relays: vec![relay],
        metadata: NostrConnectMetadata::new("nest"),
    };
    let waiting = tokio::spawn(async { offer.wait(in_time()).await?.finish().await });
    // Nothing is kept of what it says before anybody listens.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let keys = NostrConnectKeys { signer: Keys::generate(), user: Keys::generate() };
    let judge = NostrConnectRemoteSigner::from_uri(uri, keys.clone(), Some(secret), None).unwrap();
    tokio::spawn(async move { judge.serve(OnlyRequests).await });
    let signer = waiting.await.unwrap().unwrap();
    assert_eq!((signer.public_key(), signer.session().signer), (keys.user.public_key(), keys.signer.public_key()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_wants_to_know_who_asks_is_told_by_the_clients_own_key() {
    for mode in [RelayBuilderNip42Mode::Both, RelayBuilderNip42Mode::Read, RelayBuilderNip42Mode::Write] {
        let builder = RelayBuilder::default().nip42(RelayBuilderNip42 { mode });
        let (_held, relay) = relay_with(builder, &[]).await;
        let host = Keys::generate();
        let bunker = Bunker::start(&host, relay.as_str_without_trailing_slash(), honest);
        let signer = BunkerUri::parse(&bunker.uri()).unwrap().pair(Keys::generate(), in_time()).await.unwrap();
        signer.sign(unsigned(host.public_key())).await.unwrap();
        // The host's own key has signed nothing but what it was asked to.
        assert_eq!(bunker.methods(), ["connect", "get_public_key", "sign_event"]);
    }
}

/// What the signer with these keys is asked by a message to a relay.
fn request(keys: &Keys, message: &Value) -> Option<Value> {
    let event: Event = serde_json::from_value(message[1].clone()).ok()?;
    let text = nip44::decrypt(keys.secret_key(), &event.pubkey, &event.content).ok()?;
    serde_json::from_str(&text).ok()
}

/// What a relay says that hands this request to an honest signer, and its answer back.
fn carried(keys: &Keys, message: &Value) -> Option<Value> {
    let (event, asked) = (serde_json::from_value::<Event>(message[1].clone()).ok()?, request(keys, message)?);
    let params = serde_json::from_value(asked["params"].clone()).ok()?;
    let reply = honest(keys, &(asked["method"].as_str()?.to_owned(), params)).remove(0);
    Some(json!(["EVENT", "nest", answer(keys, event.pubkey, &asked["id"], reply)]))
}

#[tokio::test]
async fn a_request_is_repeated_where_its_relay_goes_and_comes_back() {
    let keys = Keys::generate();
    let (host, requests) = (keys.clone(), Arc::new(Mutex::new(Vec::new())));
    let (seen, lost) = (requests.clone(), AtomicUsize::new(0));
    let relay = stub(move |text| {
        let message: Value = serde_json::from_str(text).unwrap();
        match message[0].as_str() {
            Some("REQ") => (vec![Message::text(json!(["EOSE", message[1]]).to_string())], Then::Listen),
            Some("EVENT") => {
                seen.lock().unwrap().push((message[1]["id"].clone(), request(&host, &message).unwrap()["id"].clone()));
                if lost.fetch_add(1, Ordering::Relaxed) == 0 {
                    return (Vec::new(), Then::HangUp);
                }
                (
                    carried(&host, &message).map(|answer| Message::text(answer.to_string())).into_iter().collect(),
                    Then::Listen,
                )
            }
            _ => (Vec::new(), Then::Listen),
        }
    })
    .await;
    let uri = format!("bunker://{}?relay={relay}", keys.public_key());
    let signer = BunkerUri::parse(&uri).unwrap().pair(Keys::generate(), in_time()).await.unwrap();
    assert_eq!(signer.public_key(), keys.public_key());
    let requests = requests.lock().unwrap();
    let ids: Vec<_> = requests.iter().map(|(_, id)| id).collect();
    assert_eq!((ids.len(), ids[0]), (3, ids[1]), "the same request, and then the next");
    assert_ne!(requests[0].0, requests[1].0, "signers and relays leave out an event that they know");
}

/// Three at once, on relays that want to know who hands them in: the first refusal brings the challenge, and the others are
/// no reason to give the relay up.
#[tokio::test(flavor = "multi_thread")]
async fn several_requests_at_once_are_one_proof_of_who_asks() {
    for mode in [RelayBuilderNip42Mode::Both, RelayBuilderNip42Mode::Write] {
        let builder = RelayBuilder::default().nip42(RelayBuilderNip42 { mode });
        let (_held, relay) = relay_with(builder, &[]).await;
        let host = Keys::generate();
        let bunker = Bunker::start(&host, relay.as_str_without_trailing_slash(), honest);
        let session = BunkerUri::parse(&bunker.uri()).unwrap().session(Keys::generate());
        let signer = RemoteSigner::new(session, host.public_key(), in_time());
        let sign = || signer.sign(unsigned(host.public_key()));
        let (first, second, third) = tokio::join!(sign(), sign(), sign());
        assert!(first.is_ok() && second.is_ok() && third.is_ok(), "{first:?} {second:?} {third:?}");
    }
}

/// On two relays, a signer reads one request, whichever of the two comes and goes.
#[tokio::test(flavor = "multi_thread")]
async fn a_signer_on_two_relays_is_asked_once() {
    let ((_one, first), (_two, second)) = (relay(&[]).await, relay(&[]).await);
    let host = Keys::generate();
    let events = Arc::new(Mutex::new(HashSet::new()));
    let seen = events.clone();
    let bunkers = [&first, &second].map(|relay| {
        let seen = seen.clone();
        Bunker::start_reading(&host, relay.as_str_without_trailing_slash(), move |keys, event, request| {
            seen.lock().unwrap().insert(event.id);
            honest(keys, request)
        })
    });
    let uri = format!("bunker://{}?relay={first}&relay={second}&secret={SECRET}", host.public_key());
    let signer = BunkerUri::parse(&uri).unwrap().pair(Keys::generate(), in_time()).await.unwrap();
    signer.sign(unsigned(host.public_key())).await.unwrap();
    // Both have read all that they were asked before the last is over.
    signer.ping().await.unwrap();
    while bunkers.iter().any(|bunker| bunker.methods().is_empty()) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let asked: HashSet<_> = bunkers.iter().flat_map(Bunker::methods).collect();
    assert_eq!((events.lock().unwrap().len(), asked.len()), (4, 4));
}

/// One that is refused takes no other with it.
#[tokio::test]
async fn a_relay_that_takes_no_more_requests_says_why() {
    let keys = Keys::generate();
    let (host, taken) = (keys.clone(), AtomicUsize::new(0));
    let relay = stub(move |text| {
        let message: Value = serde_json::from_str(text).unwrap();
        let says = match message[0].as_str() {
            Some("REQ") => vec![json!(["EOSE", message[1]])],
            Some("EVENT") if taken.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) => {
                vec![json!(["OK", message[1]["id"], false, "rate-limited: slow down"])]
            }
            Some("EVENT") => carried(&host, &message).into_iter().collect(),
            _ => Vec::new(),
        };
        (says.iter().map(|value| Message::text(value.to_string())).collect(), Then::Listen)
    })
    .await;
    let session = BunkerUri::parse(&format!("bunker://{}?relay={relay}", keys.public_key())).unwrap();
    let signer = RemoteSigner::new(session.session(Keys::generate()), keys.public_key(), in_time());
    let why = format!("{relay}: it refused: rate-limited: slow down");
    for _ in 0..3 {
        assert_eq!(signer.ping().await, Err(SignerError::Unreachable(why.clone())));
        signer.sign(unsigned(keys.public_key())).await.unwrap();
    }
}

/// Some say what they want to have signed only after they have refused.
#[tokio::test]
async fn a_challenge_may_come_late() {
    let keys = Keys::generate();
    let (host, known) = (keys.clone(), AtomicBool::new(false));
    let relay = stub(move |text| {
        let message: Value = serde_json::from_str(text).unwrap();
        let says = match message[0].as_str() {
            Some("REQ") => vec![json!(["EOSE", message[1]])],
            Some("AUTH") => {
                known.store(true, Ordering::Relaxed);
                vec![json!(["OK", message[1]["id"], true, ""])]
            }
            Some("EVENT") if !known.load(Ordering::Relaxed) => {
                vec![json!(["OK", message[1]["id"], false, "auth-required: who are you?"]), json!(["AUTH", "prove it"])]
            }
            Some("EVENT") => carried(&host, &message).into_iter().collect(),
            _ => Vec::new(),
        };
        (says.iter().map(|value| Message::text(value.to_string())).collect(), Then::Listen)
    })
    .await;
    let uri = BunkerUri::parse(&format!("bunker://{}?relay={relay}", keys.public_key())).unwrap();
    uri.pair(Keys::generate(), in_time()).await.unwrap();
}

/// Whoever listens is not to be buried in pages.
#[tokio::test(flavor = "multi_thread")]
async fn pages_without_end_are_three() {
    let (_held, relay) = relay(&[]).await;
    let host = Keys::generate();
    let bunker = Bunker::start(&host, relay.as_str_without_trailing_slash(), |_, _| {
        let pages = (0..40).map(|page| Reply::Page(format!("https://signer.example/{}", page / 2)));
        pages.collect()
    });
    let told = Arc::new(AtomicUsize::new(0));
    let count = told.clone();
    let listener = Arc::new(move |_: &Warning| {
        count.fetch_add(1, Ordering::Relaxed);
    });
    let network = SignerNetwork { listener: Some(listener), ..network(Duration::from_secs(2)) };
    let ended = BunkerUri::parse(&bunker.uri()).unwrap().pair(Keys::generate(), network).await.err();
    assert!(matches!(ended, Some(SignerError::NotApproved { .. })), "{ended:?}");
    assert_eq!(told.load(Ordering::Relaxed), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_listens_hears_of_each_page() {
    let (_held, relay) = relay(&[]).await;
    let host = Keys::generate();
    let bunker = Bunker::start(&host, relay.as_str_without_trailing_slash(), |keys, request| {
        let mut replies = honest(keys, request);
        replies.insert(0, Reply::Page("https://signer.example/".into()));
        replies
    });
    let heard = Arc::new(Mutex::new(Vec::new()));
    let told = heard.clone();
    let listener = Arc::new(move |warning: &Warning| told.lock().unwrap().push(warning.clone()));
    let network = SignerNetwork { listener: Some(listener), ..in_time() };
    BunkerUri::parse(&bunker.uri()).unwrap().pair(Keys::generate(), network).await.unwrap();
    let page = Warning::ApproveAt { url: "https://signer.example/".into() };
    assert_eq!(*heard.lock().unwrap(), [page.clone(), page], "one for each of the two requests");
}

#[test]
fn uris_are_read_as_signers_write_them() {
    let key = Keys::generate().public_key();
    let read = |rest: &str| BunkerUri::parse(&format!("bunker://{key}{rest}"));
    let uri = read("?relay=wss%3A%2F%2Fa.example&relay=wss://b.example/x&secret=abc&perms=1").unwrap();
    assert_eq!((uri.signer, uri.relays.len()), (key, 2));
    assert!(!format!("{uri:?}").contains("abc"));
    assert!(BunkerUri::parse(&format!("  BUNKER://{key}/?relay=wss://a.example\n")).is_ok());
    assert_eq!(read("?secret=abc").unwrap_err(), BunkerUriError::Relay);
    assert_eq!(read("?relay=https://a.example").unwrap_err(), BunkerUriError::Relay);
    assert_eq!(BunkerUri::parse("bunker://npub1?relay=wss://a").unwrap_err(), BunkerUriError::PublicKey);
    assert_eq!(BunkerUri::parse("nostrconnect://x").unwrap_err(), BunkerUriError::Scheme);
    let offer = PairingOffer::new(vec![RelayUrl::parse("wss://a.example").unwrap()]);
    assert!(offer.uri().contains("?relay=wss%3A%2F%2Fa.example&secret="), "{}", offer.uri());
}
