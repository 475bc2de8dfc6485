//! Two nests of one host on real servers, with whatever is wrong there, and what the servers themselves say of the nests.

use std::sync::Mutex;
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::{SinkExt as _, StreamExt as _};
use nostr::nips::nip01::Coordinate;
use nostr::nips::nip19::{Nip19Coordinate, ToBech32 as _};
use nostr::{Keys, Kind};
use nostr_nests::room::ROOM_KIND;
use nostr_nests::secret::Secret;
use nostr_nests::server::media::LivekitConfig;
use nostr_nests::server::{Mock, Options};
use redis::AsyncCommands as _;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

use crate::support::check::{now_ms, token};
use crate::support::livekit::{KEY, LiveKit, SECRET};
use crate::support::nest::{Nest, parse};
use crate::support::nostr_client::{event, now};
use crate::support::nostr_relay::NostrRelay;
use crate::support::redis::Redis;
use crate::support::serve::{Serve, Setup};
use crate::support::signal::Signal;
use crate::support::tap::Tap;
use crate::support::{port, process};

/// How long a room stays once the last one has left, in seconds: short, to be waited for.
const DEPARTURE_S: u32 = 2;

const OLD: Duration = Duration::from_millis(2100);

/// Longer than `nest serve` waits for anybody.
const BRIEFLY: Duration = Duration::from_millis(1500);

/// Until then a connection has ended that was cut, and somebody is no longer counted who has left.
const SETTLED: Duration = Duration::from_secs(5);

/// The longest that LiveKit takes to close a room that was left.
const CLOSED: Duration = Duration::from_secs(30);

/// Where nobody listens.
const NOWHERE: &str = "ws://127.0.0.1:9";

/// What is different about the nest, which else is open and runs with nobody inside, or about its servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Given {
    /// So many people are inside.
    Inside(usize),
    /// Its room was made so long ago that a `Date`, which tells seconds only, shows it.
    Old,
    NoRoom,
    NoRecord,
    NoEvent,
    /// Its event says so; what is planned starts tomorrow.
    Status(&'static str),
    /// Nothing but its event says which API it is.
    ByEvent,
    /// The key is somebody else's.
    Stranger,
    RelayGone,
    RedisFrozen,
    RedisGone,
    LiveKitFrozen,
    LiveKitGone,
    ApiFrozen,
    ApiGone,
    /// What is frozen goes on while the program runs.
    Briefly,
    /// The API has another secret than LiveKit.
    WrongSecret,
    /// The API takes one signed request a minute.
    Limited,
    /// The API carries this call out, and its answer is lost. A call is the end of its path; `ID` is that of a deletion.
    AnswerLost(&'static str),
    /// This call does not come to the API, and is not answered.
    RequestLost(&'static str),
    /// The API is one like upstream's; with these faults.
    Upstream(&'static str),
}

use Given::*;

impl Given {
    /// Whether the servers of others cannot be used.
    fn needs_servers(&self) -> bool {
        matches!(self, RedisFrozen | RedisGone | LiveKitFrozen | LiveKitGone)
    }

    /// Whether the API of others cannot be used.
    fn needs_api(&self) -> bool {
        let lost = matches!(self, AnswerLost(_) | RequestLost(_));
        lost || self.needs_servers() || matches!(self, ApiFrozen | ApiGone | WrongSecret | Limited)
    }
}

/// The servers that all situations share which leave them well.
pub struct Shared {
    backends: Backends,
    api: String,
    relay: NostrRelay,
    _serve: Mutex<Serve>,
}

struct Backends {
    redis: Redis,
    livekit: LiveKit,
}

impl Backends {
    fn start() -> Self {
        Self { redis: Redis::start(), livekit: LiveKit::start(false) }
    }

    fn serve(&self) -> Setup {
        Setup::new(&self.redis.url(), &self.livekit.url).args(["--rate-limit", "0"])
    }
}

impl Shared {
    pub fn start() -> Self {
        let (backends, address) = (Backends::start(), address());
        let api = format!("http://{address}");
        let serve = backends.serve().listen(&address).public(&api).announcing(&backends.livekit.url);
        Self { backends, api, relay: NostrRelay::start(""), _serve: serve.into() }
    }
}

fn address() -> String {
    format!("127.0.0.1:{}", port::reserved())
}

pub struct World<'a> {
    given: &'static [Given],
    shared: &'a Shared,
    own: Option<Backends>,
    api: String,
    serve: Option<Serve>,
    mock: Option<Mock>,
    host: Keys,
    /// The nest that it is about, and another one, which runs with nobody inside.
    pub nests: [String; 2],
    people: Vec<Signal>,
}

/// What the servers have of a nest.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// The SID of LiveKit's room.
    pub room: Option<String>,
    /// The SIDs of those inside, of which each connection has its own.
    pub inside: Vec<String>,
    /// As it is in Redis.
    pub record: Option<String>,
    pub event: Option<Value>,
}

impl<'a> World<'a> {
    /// `number` tells its nests from the others on the same servers.
    pub async fn new(number: usize, given: &'static [Given], shared: &'a Shared) -> Self {
        let mut world = Self {
            given,
            shared,
            own: given.iter().any(Given::needs_servers).then(Backends::start),
            api: shared.api.clone(),
            serve: None,
            mock: None,
            host: Keys::generate(),
            nests: [format!("nest-{number}"), format!("other-{number}")],
            people: Vec::new(),
        };
        if let Some(faults) =
            given.iter().find_map(|given| if let Upstream(faults) = given { Some(faults) } else { None })
        {
            world.start_upstream(faults);
        } else if given.iter().any(Given::needs_api) {
            world.start_serve().await;
        }
        let [nest, other] = world.nests.clone();
        world.create(&other, &[]).await;
        world.create(&nest, given).await;
        if world.has(Old) {
            sleep(OLD).await;
        }
        world
    }

    fn has(&self, given: Given) -> bool {
        self.given.contains(&given)
    }

    fn backends(&self) -> &Backends {
        self.own.as_ref().unwrap_or(&self.shared.backends)
    }

    pub fn livekit(&self) -> &LiveKit {
        &self.backends().livekit
    }

    fn start_upstream(&mut self, faults: &str) {
        let url = self.livekit().url.clone();
        let livekit = Some(LivekitConfig { url, key: KEY.into(), secret: Secret::new(SECRET) });
        let mock = Mock::start(Options { livekit, ..Options::default() }).unwrap();
        mock.set_faults(parse(&faults.split_whitespace().collect::<Vec<_>>()));
        self.api = mock.api();
        self.mock = Some(mock);
    }

    async fn start_serve(&mut self) {
        let address = address();
        let mut setup = self.backends().serve().listen(&address);
        self.api = format!("http://{address}");
        if self.given.iter().any(|given| matches!(given, AnswerLost(_) | RequestLost(_))) {
            let tap = Tap::before(&format!("ws://{address}")).await;
            self.api = tap.url.replace("ws://", "http://");
            for given in self.given {
                match given {
                    AnswerLost("ID") => tap.keep_answer(&self.nests[0]),
                    AnswerLost(call) => tap.keep_answer(call),
                    RequestLost(call) => tap.hook(move |called| called != *call),
                    _ => {}
                }
            }
        }
        if self.has(WrongSecret) {
            setup = setup.secret("a-secret-of-another-media-server-than-this-one");
        }
        if self.has(Limited) {
            setup = setup.args(["--key-rate-limit", "1"]);
        }
        self.serve = Some(setup.public(&self.api).announcing(&self.livekit().url));
    }

    /// A nest, written where its API would write it, so that nothing is asked of the API.
    async fn create(&mut self, id: &str, given: &[Given]) {
        if !given.contains(&NoRoom) {
            self.livekit().create(id, DEPARTURE_S).await;
        }
        let host = self.host.public_key().to_hex();
        let record = json!({
            "id": id, "host": host, "speakers": [host], "admins": [host], "relays": [self.shared.relay.url],
            "hls_stream": false, "createdAt": now_ms() - 3_600_000, "status": "active",
        });
        match &self.mock {
            _ if given.contains(&NoRecord) => {}
            Some(mock) => mock.remember(serde_json::from_value(record).unwrap()),
            None => {
                let mut redis = self.backends().redis.connect().await;
                let () = redis.set_ex(format!("nest:{id}"), record.to_string(), 86_400).await.unwrap();
            }
        }
        if !given.contains(&NoEvent) {
            let status = given.iter().find_map(|given| if let Status(status) = given { Some(*status) } else { None });
            let (tomorrow, endpoint) =
                ((now() + 86_400).to_string(), self.livekit().url.replace("ws:", "wss+livekit:"));
            let mut tags = vec![
                vec!["title", id],
                vec!["status", status.unwrap_or("open")],
                vec!["service", &self.api],
                vec!["streaming", &endpoint],
                vec!["relays", &self.shared.relay.url],
            ];
            if status == Some("planned") {
                tags.push(vec!["starts", &tomorrow]);
            }
            let event = event(&self.host, id, 60, &tags.iter().map(Vec::as_slice).collect::<Vec<_>>());
            let taken = self.ask_relay(&json!(["EVENT", event])).await;
            assert_eq!(taken.last().map(|answer| &answer[2]), Some(&json!(true)), "{taken:?}");
        }
        for given in given {
            if let Inside(people) = given {
                let livekit = self.livekit();
                let join = async |n| {
                    let token = token(id, &format!("guest-{n}"));
                    Signal::join(&livekit.url, token.expose()).await.unwrap()
                };
                self.people = join_all((0..*people).map(join)).await;
            }
        }
    }

    /// Freezes and stops what is to be so, and waits until `nest serve` has noticed.
    pub async fn strike(&mut self) {
        for given in self.given {
            match (given, &mut self.own, &mut self.serve) {
                (RedisFrozen, Some(own), _) => own.redis.freeze(),
                (RedisGone, Some(own), _) => own.redis.stop(),
                (LiveKitFrozen, Some(own), _) => process::signal(own.livekit.id(), "STOP"),
                (LiveKitGone, Some(own), _) => own.livekit.stop(),
                (ApiFrozen, _, Some(serve)) => serve.signal("STOP"),
                (ApiGone, _, serve) => *serve = None,
                _ => {}
            }
        }
        if let (Some(_), Some(serve)) = (&self.own, &self.serve) {
            serve.until_ready(false).await;
        }
    }

    /// Has what is frozen go on, if it is so briefly only.
    pub fn thaw_soon(&self) {
        if self.has(Briefly) {
            std::thread::sleep(BRIEFLY);
            self.thaw();
        }
    }

    fn thaw(&self) {
        for given in self.given {
            match (given, &self.own, &self.serve) {
                (RedisFrozen, Some(own), _) => own.redis.thaw(),
                (LiveKitFrozen, Some(own), _) => process::signal(own.livekit.id(), "CONT"),
                (ApiFrozen, _, Some(serve)) => serve.signal("CONT"),
                _ => {}
            }
        }
    }

    /// Brings all back, to be asked.
    pub fn mend(&mut self) {
        self.thaw();
        for given in self.given {
            match (given, &mut self.own) {
                (RedisGone, Some(own)) => own.redis.resume(),
                (LiveKitGone, Some(own)) => own.livekit.resume(),
                _ => {}
            }
        }
    }

    /// The program with these arguments, in which `NEST` and `OTHER` stand for the links of the nests, `ID` for the id of
    /// the first, and `NOBODYS` for that of none.
    pub fn nest(&self, line: &str) -> Nest {
        let [nest, other] = &self.nests;
        let args = line.split(' ').map(|word| match word {
            "NEST" => self.naddr(nest),
            "OTHER" => self.naddr(other),
            "ID" => nest.clone(),
            "NOBODYS" => format!("nobodys-{nest}"),
            word => word.to_owned(),
        });
        let key = if self.has(Stranger) { Keys::generate() } else { self.host.clone() };
        let relay = if self.has(RelayGone) { NOWHERE } else { &self.shared.relay.url };
        let nest = Nest::alone().args(args).args(["--json"]).file("bin/xdg-open", "#!/bin/sh\n", 0o755);
        let path = nest.home().join("bin");
        let nest = nest.env("PATH", path).env("NEST_RELAYS", relay).env("NEST_API", &self.api);
        let nest = nest.env("NEST_KEY", key.secret_key().to_secret_hex());
        if self.has(ByEvent) { nest.without("NEST_API") } else { nest }
    }

    fn naddr(&self, id: &str) -> String {
        let coordinate = Coordinate::new(Kind::from(ROOM_KIND), self.host.public_key()).identifier(id);
        Nip19Coordinate { coordinate, relays: Vec::new() }.to_bech32().unwrap()
    }

    pub async fn look(&self) -> [Seen; 2] {
        let [nest, other] = &self.nests;
        [self.look_at(nest).await, self.look_at(other).await]
    }

    pub async fn look_at(&self, id: &str) -> Seen {
        let people = self.livekit().call("ListParticipants", json!({ "room": id })).await;
        let people = people["participants"].as_array().cloned().unwrap_or_default();
        let mut inside: Vec<_> = people.iter().map(|person| person["sid"].as_str().unwrap().to_owned()).collect();
        inside.sort_unstable();
        let record = match &self.mock {
            Some(mock) => mock.record(id).map(|record| json!(record).to_string()),
            None => self.backends().redis.connect().await.get(format!("nest:{id}")).await.unwrap(),
        };
        let filter = json!({ "kinds": [ROOM_KIND], "authors": [self.host.public_key().to_hex()], "#d": [id] });
        let event = self.ask_relay(&json!(["REQ", "look", filter])).await;
        let event = event.into_iter().find(|message| message[0] == "EVENT").map(|mut message| message[2].take());
        Seen { room: self.livekit().sid(id).await, inside, record, event }
    }

    /// What the relay answers.
    async fn ask_relay(&self, message: &Value) -> Vec<Value> {
        let (mut socket, _) = connect_async(&self.shared.relay.url).await.unwrap();
        socket.send(Message::text(message.to_string())).await.unwrap();
        let mut answers = Vec::new();
        while !answers.last().is_some_and(|answer: &Value| answer[0] == "EOSE" || answer[0] == "OK") {
            if let Message::Text(text) = socket.next().await.expect("the relay hangs up").unwrap() {
                answers.push(serde_json::from_str(&text).unwrap());
            }
        }
        answers
    }

    /// Looks until `wrong` finds nothing; what it finds in the end.
    pub async fn settled(&self, wrong: impl Fn(&[Seen; 2]) -> Vec<String>) -> Vec<String> {
        let begun = Instant::now();
        loop {
            let found = wrong(&self.look().await);
            if found.is_empty() || begun.elapsed() > SETTLED {
                return found;
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// How many of those who were inside are so still, on the same connection.
    pub async fn still_inside(&mut self) -> usize {
        let all = self.people.iter_mut().map(|person| timeout(SETTLED, person.is_inside()));
        join_all(all).await.into_iter().filter(|inside| *inside == Ok(true)).count()
    }

    /// Waits until a room is closed that stays a little longer than ours, and was left just now: by then ours are closed
    /// too, if somebody had left them before.
    pub async fn outlast_departure(&self) {
        let name = format!("visited-{}", self.nests[0]);
        self.livekit().create(&name, DEPARTURE_S + 1).await;
        Signal::join(&self.livekit().url, token(&name, "visitor").expose()).await.unwrap().leave().await;
        self.until_closed(&name).await;
    }

    pub async fn until_closed(&self, room: &str) {
        let begun = Instant::now();
        while self.livekit().sid(room).await.is_some() {
            assert!(begun.elapsed() < CLOSED, "{room} stays");
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// What LiveKit says to a token; nobody joins.
    pub async fn validates(&self, token: &str) -> bool {
        let url = self.livekit().url("http", &format!("/rtc/validate?access_token={token}"));
        self.livekit().http.get(url).send().await.unwrap().status().is_success()
    }
}
