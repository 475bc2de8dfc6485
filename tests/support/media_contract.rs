//! One contract for both media servers: what the embedded one answers, a real LiveKit answers too.

use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use livekit_protocol::signal_request::Message as Ask;
use livekit_protocol::signal_response::Message;
use livekit_protocol::{CreateRoomRequest, DisconnectReason, LeaveRequest, Ping};
use nostr_nests::secret::Secret;
use nostr_nests::server::media::{EmbeddedSettings, Livekit, LivekitConfig, MediaServer};
use nostr_nests::server::token::{Claims, Grants, Issuer};
use nostr_nests::server::{Mock, Options};

use super::livekit::{KEY, LiveKit, SECRET};
use super::nests_api::{self, claims};
use super::signal::Signal;

/// A media server, and whatever keeps it running.
pub struct Subject {
    media: Arc<dyn MediaServer>,
    /// Where clients find it.
    url: String,
    /// The key whose tokens it accepts.
    issuer: Issuer,
    _mock: Option<Mock>,
    _livekit: Option<LiveKit>,
}

impl Subject {
    /// The embedded one, reached over the wire like the other.
    pub fn embedded(media: EmbeddedSettings) -> Self {
        let mock = Mock::start(Options { media, ..Options::default() }).unwrap();
        let (url, issuer) = (mock.livekit().to_owned(), mock.issuer());
        Self { media: mock.media(), url, issuer, _mock: Some(mock), _livekit: None }
    }

    pub fn real(auto_create: bool) -> Self {
        let server = LiveKit::start(auto_create);
        let config = LivekitConfig { url: server.url.clone(), key: KEY.into(), secret: Secret::new(SECRET) };
        let (url, issuer) = (config.url.clone(), config.issuer());
        Self { media: Arc::new(Livekit::new(config).unwrap()), url, issuer, _mock: None, _livekit: Some(server) }
    }

    fn token(&self, identity: &str, room: &str) -> String {
        let grants = Grants { room: Some(room.into()), room_join: Some(true), ..Grants::default() };
        self.issuer.mint(&Claims {
            sub: identity.into(),
            name: "A name".into(),
            metadata: r#"{"role":"listener"}"#.into(),
            exp: Some(now() + 60),
            video: Some(grants),
            ..Claims::default()
        })
    }

    pub async fn join(&self, identity: &str, room: &str) -> Result<Signal, (u16, String)> {
        Signal::join(&self.url, &self.token(identity, room)).await
    }

    async fn create(&self, name: &str, metadata: &str) -> livekit_protocol::Room {
        self.media.create(&room(name, metadata)).await.unwrap()
    }
}

fn room(name: &str, metadata: &str) -> CreateRoomRequest {
    CreateRoomRequest {
        name: name.into(),
        empty_timeout: 1800,
        departure_timeout: 60,
        max_participants: 500,
        metadata: metadata.into(),
        ..CreateRoomRequest::default()
    }
}

fn now() -> i64 {
    i64::try_from(std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs()).unwrap()
}

async fn rooms(subject: &Subject) {
    let media = &subject.media;
    assert_eq!(media.find("a").await.unwrap(), None);
    assert!(!media.delete("a").await.unwrap());
    assert_eq!(media.participants("a").await.unwrap(), []);

    let first = subject.create("a", "first").await;
    assert!(first.sid.starts_with("RM_"), "{first:?}");
    assert!((now() - first.creation_time).abs() <= 2, "{first:?}");
    assert_eq!(first.creation_time_ms / 1000, first.creation_time);
    assert_eq!((first.name.as_str(), first.metadata.as_str()), ("a", "first"));
    assert_eq!((first.empty_timeout, first.departure_timeout, first.max_participants), (1800, 60, 500));

    let again = subject.create("a", "second").await;
    assert_eq!(
        (again.sid.as_str(), again.metadata.as_str()),
        (first.sid.as_str(), "first"),
        "a live room is handed back"
    );
    assert_eq!(media.find("a").await.unwrap().unwrap().sid, first.sid);
    assert_eq!(media.find("b").await.unwrap(), None);

    assert!(media.describe("a", "described").await.unwrap());
    // LiveKit may still be writing down how the room was made.
    until(async || media.find("a").await.unwrap().unwrap().metadata == "described").await;
    assert_eq!(media.find("a").await.unwrap().unwrap().sid, first.sid);
    assert!(!media.describe("b", "nothing").await.unwrap());

    assert!(media.delete("a").await.unwrap());
    assert_eq!(media.find("a").await.unwrap(), None);
    let fresh = subject.create("a", "third").await;
    assert_ne!(fresh.sid, first.sid);
    assert_eq!(fresh.metadata, "third");
}

async fn joining(subject: &Subject) {
    let created = subject.create("j", "meta").await;
    let mut first = subject.join("alice", "j").await.unwrap();
    let join = first.join.clone();
    let seen = join.room.as_ref().unwrap();
    assert_eq!((&seen.sid, &seen.name, &seen.metadata), (&created.sid, &created.name, &created.metadata));
    assert_eq!(seen.creation_time_ms, created.creation_time_ms);
    assert_eq!((seen.empty_timeout, seen.departure_timeout), (1800, 60));
    assert_eq!(seen.num_participants, 0, "who joins is not counted yet");
    let me = join.participant.as_ref().unwrap();
    assert!(me.sid.starts_with("PA_"), "{me:?}");
    assert_eq!(
        (me.identity.as_str(), me.name.as_str(), me.metadata.as_str()),
        ("alice", "A name", r#"{"role":"listener"}"#)
    );
    assert_eq!(join.other_participants, []);
    let server = join.server_info.as_ref().unwrap();
    assert!(!server.version.is_empty() && !server.node_id.is_empty() && server.protocol > 0, "{server:?}");
    assert_eq!(join.server_version, server.version);
    assert_eq!((join.ping_interval, join.ping_timeout), (5, 15));

    // One of the next messages is a token that nobody asked for.
    let token = first.until(|m| if let Message::RefreshToken(token) = m { Some(token) } else { None }).await;
    let claims = claims(&token);
    assert_eq!((&claims["sub"], &claims["video"]["room"]), (&"alice".into(), &"j".into()));

    let second = subject.join("bob", "j").await.unwrap();
    let others: Vec<_> = second.join.other_participants.iter().map(|other| other.identity.as_str()).collect();
    assert_eq!(others, ["alice"]);
    let mut inside: Vec<_> = subject.media.participants("j").await.unwrap().into_iter().map(|p| p.identity).collect();
    inside.sort();
    assert_eq!(inside, ["alice", "bob"]);
}

async fn leaving(subject: &Subject) {
    subject.create("l", "").await;
    let mut early = subject.join("carol", "l").await.unwrap();
    let late = subject.join("carol", "l").await.unwrap();
    assert_eq!(early.farewell().await, DisconnectReason::DuplicateIdentity);
    assert_eq!(subject.media.participants("l").await.unwrap().len(), 1);
    assert_ne!(early.join.participant.unwrap().sid, late.join.participant.as_ref().unwrap().sid);

    let mut other = subject.join("dave", "l").await.unwrap();
    other
        .ask(Ask::Leave(LeaveRequest { reason: DisconnectReason::ClientInitiated.into(), ..LeaveRequest::default() }))
        .await;
    while other.next().await.is_some() {}
    until(async || subject.media.participants("l").await.unwrap().len() == 1).await;

    let mut inside = late;
    assert!(subject.media.delete("l").await.unwrap());
    let begun = Instant::now();
    assert_eq!(inside.farewell().await, DisconnectReason::RoomDeleted);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert_eq!(subject.media.find("l").await.unwrap(), None);
    assert_eq!(subject.media.participants("l").await.unwrap(), []);
}

async fn pings(subject: &Subject) {
    subject.create("p", "").await;
    let mut signal = subject.join("erin", "p").await.unwrap();
    let sent = now() * 1000;
    signal.ask(Ask::Ping(sent)).await;
    signal.until(|m| if let Message::Pong(at) = m { Some(at) } else { None }).await;
    signal.ask(Ask::PingReq(Ping { timestamp: sent, rtt: 1 })).await;
    let pong = signal.until(|m| if let Message::PongResp(pong) = m { Some(pong) } else { None }).await;
    assert_eq!(pong.last_ping_timestamp, sent);
    assert!((pong.timestamp - sent).abs() < 5000, "{pong:?}");
}

/// Waits until something is the case.
async fn until(mut holds: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < Duration::from_secs(5), "in vain");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn validate(subject: &Subject, query: &str, bearer: Option<&str>) -> (u16, String) {
    let origin = subject.url.replace("ws://", "http://");
    let mut request = nests_api::client().get(format!("{origin}/rtc/validate{query}"));
    if let Some(bearer) = bearer {
        request = request.header("authorization", bearer);
    }
    let answer = request.send().await.unwrap();
    assert!(answer.headers().contains_key("date"));
    let status = answer.status().as_u16();
    (status, String::from_utf8(answer.bytes().await.unwrap().to_vec()).unwrap())
}

/// What `/rtc/validate` says of a token, and that a refused join says the same.
async fn admission(subject: &Subject) {
    let issuer = &subject.issuer;
    let grants = Grants { room: Some("v".into()), room_join: Some(true), ..Grants::default() };
    let good = Claims { sub: "x".into(), exp: Some(now() + 60), video: Some(grants.clone()), ..Claims::default() };
    let stranger = Issuer { key: "nobody".into(), secret: issuer.secret.clone() };
    let liar = Issuer { key: issuer.key.clone(), secret: Secret::new("another secret of thirty-two characters") };
    let with = |change: &dyn Fn(&mut Claims)| {
        let mut claims = good.clone();
        change(&mut claims);
        issuer.mint(&claims)
    };
    let grant = |grants: Grants| with(&|claims| claims.video = Some(grants.clone()));
    let echo = |token: String, why: &str| (401, format!("invalid token: {token}, error: {why}"));
    let says = |status: u16, text: &str| (status, text.to_owned());
    let (expired, early) = (with(&|c| c.exp = Some(now() - 120)), with(&|c| c.nbf = Some(now() + 120)));
    let both = with(&|c| (c.exp, c.nbf) = (Some(now() - 120), Some(now() + 120)));
    let forged = liar.mint(&good);
    let headed = |header: &str| {
        let token = issuer.mint(&good);
        format!("{}.{}", URL_SAFE_NO_PAD.encode(header), token.split_once('.').unwrap().1)
    };
    let (unsigned, longer) = (headed(r#"{"alg":"none"}"#), headed(r#"{"alg":"HS512"}"#));
    for (name, token, expected) in [
        ("good", issuer.mint(&good), says(200, "success")),
        ("never expires", with(&|c| c.exp = None), says(200, "success")),
        ("just expired", with(&|c| c.exp = Some(now() - 50)), says(200, "success")),
        ("nearly valid", with(&|c| c.nbf = Some(now() + 50)), says(200, "success")),
        ("nbf 0", with(&|c| c.nbf = Some(0)), says(200, "success")),
        ("expired", expired.clone(), echo(expired, "token has invalid claims: token is expired")),
        ("not yet", early.clone(), echo(early, "token has invalid claims: token is not valid yet")),
        ("both", both.clone(), echo(both, "token has invalid claims: token is expired, token is not valid yet")),
        ("other secret", forged.clone(), echo(forged, "token signature is invalid: signature is invalid")),
        ("other key", stranger.mint(&good), says(401, "invalid API key: nobody")),
        ("unsigned", unsigned.clone(), echo(unsigned, "token signature is invalid: signing method none is invalid")),
        ("HS512", longer.clone(), echo(longer, "token signature is invalid: signing method HS512 is invalid")),
        ("nonsense", "nonsense".into(), says(401, "invalid authorization token")),
        ("half", "a.b".into(), says(401, "invalid authorization token")),
        ("no grants", with(&|c| c.video = None), says(401, "no permissions to access the room")),
        ("no join", grant(Grants { room_join: None, ..grants.clone() }), says(401, "permissions denied")),
        (
            "no join, explicitly",
            grant(Grants { room_join: Some(false), ..grants.clone() }),
            says(401, "permissions denied"),
        ),
        ("no identity", with(&|c| c.sub = String::new()), says(400, "identity cannot be empty")),
        ("no room", grant(Grants { room: None, ..grants.clone() }), says(400, "no room name")),
    ] {
        let answer = validate(subject, &format!("?access_token={token}"), None).await;
        assert_eq!(answer, expected, "{name}");
        assert_eq!(validate(subject, "", Some(&format!("Bearer {token}"))).await, expected, "{name} as bearer");
        if expected.0 != 200 {
            let refused = Signal::join(&subject.url, &token).await.err().expect(name);
            assert_eq!(refused.0, expected.0, "{name}");
            // A WebSocket client may hand over only the beginning of the text.
            assert!(expected.1.starts_with(&refused.1), "{name}: {refused:?}");
        }
    }
    let nobody = says(401, "no permissions to access the room");
    assert_eq!(validate(subject, "", None).await, nobody);
    assert_eq!(validate(subject, "?access_token=", None).await, nobody);
    let scheme = says(401, "invalid authorization header. Must start with Bearer ");
    assert_eq!(validate(subject, "", Some("Basic eA==")).await, scheme);
    assert_eq!(subject.media.find("v").await.unwrap(), None, "validation creates nothing");

    // What is no WebSocket is nowhere.
    let origin = subject.url.replace("ws://", "http://");
    let plain =
        nests_api::client().get(format!("{origin}/rtc?access_token={}", issuer.mint(&good))).send().await.unwrap();
    assert_eq!(plain.status(), 404);
    assert_eq!(plain.bytes().await.unwrap(), "");
}

async fn auto_create(subject: &Subject) {
    let mut signal = subject.join("frank", "unknown").await.unwrap();
    let room = signal.join.room.take().unwrap();
    assert_eq!((room.name.as_str(), room.metadata.as_str()), ("unknown", ""));
    assert_eq!((room.empty_timeout, room.departure_timeout), (300, 20), "LiveKit's own");
    assert_eq!(subject.media.find("unknown").await.unwrap().unwrap().sid, room.sid);
}

async fn no_auto_create(subject: &Subject) {
    let expected = (404, "requested room does not exist".to_owned());
    let refused = subject.join("frank", "unknown").await.err().unwrap();
    assert_eq!(refused.0, 404);
    assert!(expected.1.starts_with(&refused.1));
    let query = format!("?access_token={}", subject.token("frank", "unknown"));
    assert_eq!(validate(subject, &query, None).await, expected);
    subject.create("unknown", "").await;
    assert!(subject.join("frank", "unknown").await.is_ok());
}

/// A room closes after its empty timeout as long as nobody has left it, after its departure timeout from then on.
async fn timeouts(subject: &Subject) {
    let timed = |name: &str, empty, departure| CreateRoomRequest {
        empty_timeout: empty,
        departure_timeout: departure,
        ..room(name, "")
    };
    let media = &subject.media;
    let gone = async |name: &str| media.find(name).await.unwrap().is_none();
    media.create(&timed("never-entered", 2, 60)).await.unwrap();
    media.create(&timed("left", 60, 1)).await.unwrap();
    media.create(&timed("left-early", 2, 60)).await.unwrap();
    media.create(&timed("inhabited", 2, 1)).await.unwrap();
    drop(subject.join("gina", "left").await.unwrap());
    drop(subject.join("gina", "left-early").await.unwrap());
    let _stays = subject.join("gina", "inhabited").await.unwrap();
    until(async || gone("left").await).await;
    until(async || gone("never-entered").await).await;
    // The empty timeout no longer counts, and neither does when somebody is inside.
    assert!(!gone("left-early").await);
    assert!(!gone("inhabited").await);
}

async fn rights(subject: &Subject) {
    let media = &subject.media;
    subject.create("r", "").await;
    assert!(!media.permit("r", "heidi", false).await.unwrap());
    assert!(!media.permit("nowhere", "heidi", false).await.unwrap());
    let _signal = subject.join("heidi", "r").await.unwrap();
    let may = async || media.participants("r").await.unwrap()[0].permission.clone().unwrap().can_publish;
    assert!(may().await);
    assert!(media.permit("r", "heidi", false).await.unwrap());
    assert!(!may().await);
    assert!(!media.mute("r", "heidi", true).await.unwrap(), "she publishes nothing");
}

/// Everything at once: the rooms differ, and so do not disturb each other.
pub async fn contract(subject: &Subject, without: &Subject) {
    tokio::join!(
        rooms(subject),
        joining(subject),
        leaving(subject),
        pings(subject),
        admission(subject),
        auto_create(subject),
        timeouts(subject),
        rights(subject),
        no_auto_create(without),
    );
}
