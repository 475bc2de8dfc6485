//! A remote signer (NIP-46) that does what a test wants: for what real ones do only now and then.

use std::collections::HashMap;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread;

use futures_util::{SinkExt as _, StreamExt as _};
use nostr::nips::nip44::{self, Version};
use nostr::{Event, EventBuilder, JsonUtil as _, Keys, Kind, PublicKey, RelayUrl, Tag, UnsignedEvent};
use serde_json::{Value, json};
use tokio::runtime::Builder;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

use super::nostr_client::NostrClient;

pub const SECRET: &str = "0123456789abcdef-pairing";

/// What it says to a request.
#[derive(Clone, Debug)]
pub enum Reply {
    Result(String),
    Error(&'static str),
    /// A page on which it is to be allowed.
    Page(String),
}

/// A request: the method and its parameters.
pub type Request = (String, Vec<String>);

type Script = dyn Fn(&Keys, &Event, &Request) -> Vec<Reply> + Send + Sync;

/// It stays until the test ends.
pub struct Bunker {
    keys: Keys,
    relay: String,
    seen: Arc<Mutex<Vec<Request>>>,
}

impl Bunker {
    /// Waits on this relay, once this returns, and answers as the script has it.
    pub fn start(
        keys: &Keys,
        relay: &str,
        script: impl Fn(&Keys, &Request) -> Vec<Reply> + Send + Sync + 'static,
    ) -> Self {
        Self::start_reading(keys, relay, move |keys, _, request| script(keys, request))
    }

    /// The same where it matters in which event it is asked, and by whom.
    pub fn start_reading(
        keys: &Keys,
        relay: &str,
        script: impl Fn(&Keys, &Event, &Request) -> Vec<Reply> + Send + Sync + 'static,
    ) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let bunker = Self { keys: keys.clone(), relay: relay.to_owned(), seen: Arc::clone(&seen) };
        let (ready, started) = mpsc::channel();
        let (keys, relay) = (keys.clone(), relay.to_owned());
        thread::spawn(move || {
            Builder::new_current_thread().enable_all().build().unwrap().block_on(serve(
                &keys,
                &relay,
                &script,
                &seen,
                || {
                    // More than once where it has to say who it is.
                    let _ = ready.send(());
                },
            ));
        });
        started.recv().unwrap();
        bunker
    }

    /// What it shows to be paired with.
    pub fn uri(&self) -> String {
        format!("bunker://{}?relay={}&secret={SECRET}", self.keys.public_key(), self.relay)
    }

    /// Scans what a client shows, and accepts it with this secret; the one that it shows, if none is given.
    pub fn scan(&self, uri: &str, secret: Option<&str>) {
        let uri = url::Url::parse(uri).unwrap();
        let client = PublicKey::from_hex(uri.host_str().unwrap()).unwrap();
        let shown = uri.query_pairs().find(|(name, _)| name == "secret").unwrap().1.into_owned();
        let accepted = Reply::Result(secret.map_or(shown, str::to_owned));
        NostrClient::at(&self.relay).publish(&answer(&self.keys, client, &json!("scanned"), accepted));
    }

    /// What it was asked so far.
    pub fn seen(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }

    pub fn methods(&self) -> Vec<String> {
        self.seen().into_iter().map(|(method, _)| method).collect()
    }
}

/// What an honest signer says, which allows everything.
pub fn honest(keys: &Keys, (method, params): &Request) -> Vec<Reply> {
    vec![Reply::Result(match &**method {
        "connect" => "ack".into(),
        "get_public_key" => keys.public_key().to_hex(),
        "ping" => "pong".into(),
        "sign_event" => signed(keys, &params[0]).as_json(),
        other => panic!("{other} was asked for"),
    })]
}

/// The event that was handed in, signed.
pub fn signed(keys: &Keys, event: &str) -> Event {
    let mut unsigned = UnsignedEvent::from_json(event).unwrap();
    unsigned.pubkey = keys.public_key();
    unsigned.id = None;
    unsigned.sign_with_keys(keys).unwrap()
}

async fn serve(keys: &Keys, relay: &str, script: &Script, seen: &Mutex<Vec<Request>>, ready: impl Fn()) {
    let (mut socket, _) = connect_async(relay).await.unwrap();
    let filter = json!({ "kinds": [24133], "#p": [keys.public_key()] });
    let request = || Message::text(json!(["REQ", "bunker", filter]).to_string());
    socket.send(request()).await.unwrap();
    let mut answered: HashMap<String, String> = HashMap::new();
    while let Some(Ok(message)) = socket.next().await {
        let Ok(text) = message.to_text() else { continue };
        let message: Value = serde_json::from_str(text).unwrap_or_default();
        match message[0].as_str() {
            Some("EOSE") => ready(),
            // It says who it is to every relay that wants to know (NIP-42).
            Some("AUTH") => {
                let relay = RelayUrl::parse(relay).unwrap();
                let challenge = message[1].as_str().unwrap().to_owned();
                let event = EventBuilder::auth(challenge, relay).sign_with_keys(keys).unwrap();
                socket.send(Message::text(json!(["AUTH", event]).to_string())).await.unwrap();
                socket.send(request()).await.unwrap();
            }
            // By now the relay knows who it is.
            Some("OK") if message[2] == false => {
                let again: &String = &answered[message[1].as_str().unwrap()];
                socket.send(Message::text(again)).await.unwrap();
            }
            Some("EVENT") => {
                let event: Event = serde_json::from_value(message[2].clone()).unwrap();
                let text = nip44::decrypt(keys.secret_key(), &event.pubkey, &event.content).unwrap();
                let request: Value = serde_json::from_str(&text).unwrap();
                let params = serde_json::from_value(request["params"].clone()).unwrap();
                let asked = (request["method"].as_str().unwrap().to_owned(), params);
                seen.lock().unwrap().push(asked.clone());
                for reply in script(keys, &event, &asked) {
                    let answer = answer(keys, event.pubkey, &request["id"], reply);
                    let text = json!(["EVENT", answer]).to_string();
                    socket.send(Message::text(&*text)).await.unwrap();
                    answered.insert(answer.id.to_hex(), text);
                }
            }
            _ => {}
        }
    }
}

pub fn answer(keys: &Keys, client: PublicKey, id: &Value, reply: Reply) -> Event {
    let answer = match reply {
        Reply::Result(result) => json!({ "id": id, "result": result, "error": null }),
        Reply::Error(error) => json!({ "id": id, "result": "error", "error": error }),
        Reply::Page(url) => json!({ "id": id, "result": "auth_url", "error": url }),
    };
    let content = nip44::encrypt(keys.secret_key(), &client, answer.to_string(), Version::V2).unwrap();
    EventBuilder::new(Kind::NostrConnect, content).tag(Tag::public_key(client)).sign_with_keys(keys).unwrap()
}
