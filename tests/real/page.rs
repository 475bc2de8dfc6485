//! The page of a nest in a real browser: what participants and hosts see, on a real Redis, a real LiveKit and a relay.

use livekit_protocol::DisconnectReason;
use nostr::nips::nip19::ToBech32 as _;
use nostr::{Event, JsonUtil as _, Keys};
use nostr_nests::secret::Secret;
use nostr_nests::server::media::{Livekit, LivekitConfig, MediaServer as _};
use nostr_nests::server::{DEMO, Mock, Options};
use redis::AsyncCommands as _;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::browser::Browser;
use crate::support::current::root;
use crate::support::livekit::LiveKit;
use crate::support::nest::{Nest, mock, parse};
use crate::support::nests_api::client;
use crate::support::nostr_client::{NostrClient, event, naddr, now, read_only};
use crate::support::nostr_relay::NostrRelay;
use crate::support::port;
use crate::support::redis::Redis;
use crate::support::secrets::{Secrets, tokens};
use crate::support::serve::{KEY, Reply, SECRET, Serve, Setup};
use crate::support::signal::Signal;

/// `nest serve` with a nest of which the host has named a relay.
struct Scene {
    redis: Redis,
    livekit: LiveKit,
    relay: NostrRelay,
    serve: Serve,
    host: Keys,
    id: String,
}

impl Scene {
    async fn new<const N: usize>(args: [&str; N]) -> Self {
        let (redis, livekit, relay) = (Redis::start(), LiveKit::start(false), NostrRelay::start(""));
        let address = format!("127.0.0.1:{}", port::reserved());
        let origin = format!("http://{address}");
        let client = format!("{origin}/client");
        let setup = Setup::new(&redis.url(), &livekit.url).listen(&address).public(&origin);
        let serve = setup.args(["--web-client", &client]).args(args).announcing(&livekit.url);
        let host = Keys::generate();
        let body = json!({ "relays": [relay.url], "hls_stream": false });
        let created = serve.call(&host, Method::PUT, "/api/v1/nests", Some(body)).await.expect(200);
        let id = created.json()["roomId"].as_str().unwrap().to_owned();
        Self { redis, livekit, relay, serve, host, id }
    }

    fn page(&self) -> String {
        self.serve.url(&format!("/n/{}", self.id))
    }

    fn media(&self) -> Livekit {
        let config = LivekitConfig { url: self.livekit.url.clone(), key: KEY.into(), secret: Secret::new(SECRET) };
        Livekit::new(config).unwrap()
    }

    async fn sid(&self) -> String {
        self.media().find(&self.id).await.unwrap().unwrap().sid
    }

    async fn join(&self) -> Signal {
        let guest = self.serve.get(&format!("/api/v1/nests/{}/guest", self.id)).await.expect(200).json();
        Signal::join(&self.livekit.url, guest["token"].as_str().unwrap()).await.unwrap()
    }

    /// Nothing was said on the console but what a browser says of answers that are none of these, and nobody else was asked.
    fn quiet(&self, browser: &mut Browser) {
        quiet(browser, &[&self.serve.origin, &self.relay.url]);
    }
}

/// A browser itself tells of each status from 400 on.
#[track_caller]
fn quiet(browser: &mut Browser, allowed: &[&str]) {
    let (console, requests) = browser.seen();
    let loud: Vec<_> = console.iter().filter(|line| !line.starts_with("Failed to load resource: ")).collect();
    assert!(loud.is_empty(), "{loud:#?}");
    let elsewhere: Vec<_> = requests
        .iter()
        .filter(|url| !url.starts_with("data:") && !allowed.iter().any(|to| url.starts_with(to)))
        .collect();
    assert!(!requests.is_empty() && elsewhere.is_empty(), "{elsewhere:#?}");
}

/// What people look at: desktop in light, phone in dark.
const SCREENS: [(bool, bool); 2] = [(false, false), (true, true)];

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium, redis and livekit"]
async fn participants_read_how_the_nest_is() {
    let (mut scene, mut browser) = (Scene::new([]).await, Browser::start());
    let host = scene.host.public_key().to_bech32().unwrap();
    let check = |browser: &mut Browser, scene: &Scene, words: &str| {
        for (phone, dark) in SCREENS {
            browser.open(&scene.page(), json!({ "phone": phone, "dark": dark }));
            browser.until("#what", words);
            if !words.starts_with("Nobody") {
                browser.until("#who", &host);
            }
            browser.accessible();
        }
        scene.quiet(browser);
    };
    let _inside = scene.join().await;
    check(&mut browser, &scene, "Open · 1 person inside");
    assert!(browser.until("#client", "").contains("Open it in a client"));
    let _other = scene.join().await;
    // It looks again by itself.
    browser.forward(40);
    browser.until("#what", "Open · 2 people inside");

    scene.media().delete(&scene.id).await.unwrap();
    check(&mut browser, &scene, "Not running");
    browser.until("#why", "Its audio room is closed");
    browser.until("#wait", "this page looks again by itself");
    scene.serve.restart(&scene.host, &scene.id).await.expect(200);
    browser.forward(15);
    browser.until("#what", "Open · nobody inside");
    browser.hidden("#wait");

    scene.livekit.stop();
    check(&mut browser, &scene, "Not running: the media server is down");
    browser.until("#wait", "this page looks again by itself");
    scene.livekit.resume();
    browser.forward(15);
    browser.until("#what", "Not running");
    browser.until("#why", "Its audio room is closed");

    scene.redis.freeze();
    check(&mut browser, &scene, "Nobody knows whether it runs");
    scene.redis.thaw();
    scene.serve.until_ready(true).await;
    browser.forward(15);
    browser.until("#why", "Its audio room is closed");

    let () = scene.redis.connect().await.del(format!("nest:{}", scene.id)).await.unwrap();
    browser.forward(15);
    browser.until("#what", "The server no longer has this nest");
    browser.until("#why", "records live 24 h");
    browser.until("#todo code", "nest recreate http");
    browser.accessible();
    scene.quiet(&mut browser);

    // Whoever is offline is told, and sees it when that is over.
    browser.offline(true);
    browser.forward(15);
    browser.until("#wait", "The server was not reached");
    browser.offline(false);
    browser.forward(30);
    browser.until("#wait", "this page looks again by itself");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium, redis and livekit"]
async fn the_page_is_readable_without_scripts() {
    let (scene, mut browser) = (Scene::new([]).await, Browser::start());
    let _inside = scene.join().await;
    browser.open(&scene.page(), json!({ "scripts": false, "phone": true }));
    browser.until("#what", "Open · 1 person inside");
    let all = browser.evaluate("document.body.innerText");
    assert!(all.as_str().unwrap().contains("Scripts are off: reload the page"), "{all}");
    browser.until("#command", "nest restart naddr1");
    // Nothing is offered that would do nothing.
    browser.hidden("button.restart");
    browser.hidden("button.copy");
    scene.quiet(&mut browser);
}

/// Publishes on the relay that the record names.
async fn publish(scene: &Scene, age: u64, tags: &[&[&str]]) {
    let (url, event) = (scene.relay.url.clone(), event(&scene.host, &scene.id, age, tags));
    tokio::task::spawn_blocking(move || NostrClient::at(&url).publish(&event)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium, redis, livekit and nostr-relay"]
async fn the_event_says_what_the_server_cannot_know() {
    let (scene, mut browser) = (Scene::new([]).await, Browser::start());
    scene.media().delete(&scene.id).await.unwrap();
    let tomorrow = (now() + 86_400).to_string();
    publish(&scene, 100, &[&["title", "Tuesday <b>talk</b>"], &["status", "planned"], &["starts", &tomorrow]]).await;
    browser.open(&scene.page(), json!({}));
    browser.until("#what", "Planned for ");
    browser.until("#title", "Tuesday <b>talk</b>");
    browser.accessible();
    publish(&scene, 90, &[&["title", "Tuesday talk"], &["status", "planned"]]).await;
    browser.open(&scene.page(), json!({ "phone": true }));
    // What the event says comes after what the server says.
    assert_eq!(browser.until("#what", "Planned"), "Planned");
    publish(&scene, 80, &[&["title", "Tuesday talk"], &["status", "ended"], &["ends", "1795400000"]]).await;
    browser.open(&scene.page(), json!({ "phone": true, "dark": true }));
    // Unix time 1795400000.
    browser.until("#what", "Over since 23 Nov 2026, 02:13");
    browser.hidden("#wait");
    browser.accessible();
    scene.quiet(&mut browser);
    // Whatever it says: who is inside is inside.
    scene.serve.restart(&scene.host, &scene.id).await.expect(200);
    browser.forward(15);
    browser.until("#what", "Open · nobody inside");
    browser.until("#title", "Tuesday talk");
    // Once that is over, the event is read again.
    publish(&scene, 70, &[&["title", "Next talk"], &["status", "planned"], &["starts", &tomorrow]]).await;
    scene.media().delete(&scene.id).await.unwrap();
    browser.forward(40);
    browser.until("#what", "Planned for ");
    browser.until("#title", "Next talk");
}

/// Relays lie, and links are written by strangers.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium"]
async fn only_what_the_host_has_signed_counts() {
    let (mock, mut browser) = (mock(&[]), Browser::start());
    let genuine = event(mock.host(), "lost", 100, &[&["title", "Genuine"], &["status", "closed"]]);
    let forge = |change: &dyn Fn(&mut Value)| {
        let mut forged: Value = serde_json::from_str(&genuine.as_json()).unwrap();
        change(&mut forged);
        serde_json::from_value::<Event>(forged).unwrap()
    };
    let others = Keys::generate();
    let newer = event(&others, "lost", 1, &[&["title", "Forged"]]);
    let other_nest = event(mock.host(), "other", 1, &[&["title", "Forged"]]);
    let forged = [
        forge(&|event| event["created_at"] = json!(now())),
        forge(&|event| event["tags"][1][1] = json!("Forged")),
        // Another's, with the host's name on it.
        forge(&|event| {
            let host = event["pubkey"].take();
            *event = serde_json::to_value(&newer).unwrap();
            event["pubkey"] = host;
        }),
        newer.clone(),
        other_nest,
    ];
    let relay = read_only(forged.into_iter().chain([genuine.clone()]).collect(), || true);
    let (naddr, origin) = (naddr(&genuine, &[&relay]), mock.api());
    browser.open(&format!("{origin}/n/{naddr}"), json!({}));
    browser.until("#what", "The server no longer has this nest");
    browser.until("#ask", &format!("Ask the relays of this link: {relay}"));
    // Nobody is asked whom only the link names.
    quiet(&mut browser, &[&origin]);
    browser.accessible();
    browser.click("#ask-button");
    browser.until("#what", "Over since");
    browser.until("#title", "Genuine");
    quiet(&mut browser, &[&origin, &relay]);

    // With nothing but forgeries there is no event.
    let relay = read_only(vec![forge(&|event| event["tags"][1][1] = json!("Forged"))], || true);
    browser.open(&format!("{origin}/n/{}", self::naddr(&genuine, &[&relay])), json!({}));
    browser.click("#ask-button");
    browser.until("#ask", "The relays do not say more");
    browser.until("#title", "Nest lost");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium, redis and livekit"]
async fn the_host_restarts_the_nest() {
    let (scene, mut browser) = (Scene::new([]).await, Browser::start());
    let signer = scene.host.secret_key().to_secret_hex();
    let before = scene.sid().await;
    // With people inside it asks first.
    let mut inside = scene.join().await;
    let _other = scene.join().await;
    browser.open(&scene.page(), json!({ "signer": signer, "phone": true }));
    browser.until("#what", "Open · 2 people inside");
    browser.hidden("#restart-nest");
    browser.click("header .restart");
    let question = browser.until("#question", "");
    assert_eq!(question, "2 people are in this nest and will be disconnected. Restart?");
    browser.accessible();
    // Cancel has the focus.
    browser.press("Enter");
    browser.hidden("#confirm");
    browser.hidden("#outcome");
    assert!(inside.is_inside().await && scene.sid().await == before);
    browser.click("header .restart");
    browser.click("#confirm button[value=yes]");
    let outcome = browser.until("#outcome", "Restarted · ");
    let after = scene.sid().await;
    assert!(after != before && outcome.contains(&format!("Restarted · {before} → {after}")), "{outcome}");
    assert_eq!(inside.farewell().await, DisconnectReason::RoomDeleted);
    browser.accessible();
    // It goes to the client's page by itself.
    browser.until("#outcome", "The client opens in 5 s");
    scene.quiet(&mut browser);
    browser.forward(6);
    let naddr = browser.until("pre", "").len();
    assert!(naddr > 0);
    let place = browser.evaluate("location.href");
    assert!(place.as_str().unwrap().starts_with(&format!("{}/client/naddr1", scene.serve.origin)), "{place}");

    // Where the nest does not run, the button is beside the reason; the keyboard will do.
    scene.media().delete(&scene.id).await.unwrap();
    browser.open(&scene.page(), json!({ "signer": signer }));
    browser.until("#what", "Not running");
    browser.until("#restart-nest", "Restart the nest");
    browser.evaluate("document.querySelector('#restart-nest').focus()");
    browser.press("Enter");
    let outcome = browser.until("#outcome", "Restarted · ");
    assert!(outcome.contains(&scene.sid().await) && !outcome.contains('→'), "{outcome}");
    browser.until("#what", "Open · nobody inside");
    // Or it stays, if that is wanted, now or always.
    browser.click("#stay");
    browser.forward(10);
    browser.until("#outcome", "Restarted · ");
    browser.click("#stayed");
    browser.click("header .restart");
    browser.until("#outcome", " → ");
    browser.hidden("#stay");
    browser.forward(10);
    browser.until("#outcome", " → ");
    browser.reload();
    assert_eq!(browser.evaluate("document.querySelector('#stayed').checked"), true);
}

/// What stands there when a restart has come to its end; and nothing is wrong with the page.
#[track_caller]
fn outcome(browser: &mut Browser, name: &str) -> String {
    let outcome = browser.until(&format!("#outcome[data-outcome='{name}']"), "");
    browser.accessible();
    outcome
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium, redis and livekit"]
async fn each_refusal_has_its_own_words() {
    let (scene, mut browser) = (Scene::new(["--key-rate-limit", "3"]).await, Browser::start());
    let (page, host) = (scene.page(), scene.host.secret_key().to_secret_hex());
    let before = scene.sid().await;

    browser.open(&page, json!({ "phone": true }));
    browser.click("header .restart");
    let said = outcome(&mut browser, "noSigner");
    let command = browser.until("#command", "");
    assert!(said.contains("This browser has no key to sign with") && said.contains(&command), "{said}");
    browser.permit("clipboard-read");
    browser.permit("clipboard-write");
    browser.click("#outcome .copy");
    browser.until("#copied", "Copied");
    assert_eq!(browser.evaluate("navigator.clipboard.readText()"), command.as_str());

    browser.open(&page, json!({ "signer": "refuses" }));
    browser.click("header .restart");
    let said = outcome(&mut browser, "notSigned");
    assert!(said.contains("nothing was sent") && said.contains("The signer says: User rejected"), "{said}");
    browser.open(&page, json!({ "signer": "nonsense" }));
    browser.click("header .restart");
    assert!(outcome(&mut browser, "notSigned").contains("what came back is no signed event"));
    browser.open(&page, json!({ "signer": "silent" }));
    browser.click("header .restart");
    browser.until("#outcome", "Waiting for your signature");
    browser.forward(121);
    assert!(outcome(&mut browser, "notSigned").contains("no answer within 120 s"));

    let stranger = Keys::generate();
    browser.open(&page, json!({ "signer": stranger.secret_key().to_secret_hex() }));
    browser.click("header .restart");
    let said = outcome(&mut browser, "403");
    let npubs = [&stranger, &scene.host].map(|keys| keys.public_key().to_bech32().unwrap());
    assert!(said.contains("only the host can restart this nest"), "{said}");
    assert!(said.contains(&format!("You are {}; the host is {}", npubs[0], npubs[1])), "{said}");

    browser.open(&page, json!({ "signer": host }));
    browser.offline(true);
    browser.click("header .restart");
    assert!(outcome(&mut browser, "unreachable").contains("nothing was sent"));
    browser.offline(false);
    assert_eq!(scene.sid().await, before, "nothing has happened so far");

    // The nest was created with the first of three requests.
    for _ in 0..2 {
        scene.serve.restart(&scene.host, &scene.id).await.expect(200);
    }
    browser.click("header .restart");
    let said = outcome(&mut browser, "429");
    assert!(said.contains("takes no more requests") && said.contains("Try again in "), "{said}");
    scene.quiet(&mut browser);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium, redis and livekit"]
async fn what_the_server_cannot_do_is_told_as_the_program_tells_it() {
    let (mut scene, mut browser) = (Scene::new([]).await, Browser::start());
    let (page, host) = (scene.page(), scene.host.secret_key().to_secret_hex());
    let restarts = |browser: &mut Browser, more: Value, name: &str| {
        let mut given = json!({ "signer": host });
        given.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        browser.open(&page, given);
        browser.click("header .restart");
        outcome(browser, name)
    };
    let said = restarts(&mut browser, json!({ "late": 600, "phone": true }), "clock");
    assert!(said.contains("Your clock is 10 min behind the server's"), "{said}");
    assert!(said.contains("the server says: Event is 60"), "{said}");
    let said = restarts(&mut browser, json!({ "signs": "https://other.example/" }), "401");
    assert!(said.contains(&format!("Signed was {}/api/v1/nests/{}/restart", scene.serve.origin, scene.id)), "{said}");

    scene.livekit.stop();
    let said = restarts(&mut browser, json!({ "dark": true }), "down");
    assert!(said.contains("Not restarted: the API failed with status 503"), "{said}");
    assert!(said.contains("The server says it itself: LiveKit is down"), "{said}");
    scene.redis.freeze();
    let said = restarts(&mut browser, json!({}), "down");
    assert!(said.contains("Redis is down, LiveKit is down"), "{said}");
    scene.redis.thaw();
    scene.livekit.resume();
    scene.serve.until_ready(true).await;

    let () = scene.redis.connect().await.del(format!("nest:{}", scene.id)).await.unwrap();
    let said = restarts(&mut browser, json!({}), "404");
    assert!(
        said.contains("Not restarted: the server no longer has this nest") && said.contains("nest recreate"),
        "{said}"
    );
    scene.quiet(&mut browser);
}

/// What servers do that answer oddly, or not at all.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium"]
async fn odd_answers_are_not_taken_for_a_restart() {
    let (mock, mut browser) = (mock(&["old-room-kept"]), Browser::start());
    let (host, page) = (mock.host().secret_key().to_secret_hex(), format!("{}/n/{DEMO}", mock.api()));
    for (fault, name, words) in [
        ("old-room-kept", "oldRoom", "LiveKit still runs the old room"),
        ("status=500", "5xx", "the API failed with status 500"),
        ("html", "5xx", "status 502"),
        ("status=404", "404", "the server no longer has this nest"),
        ("status=403", "403", "only the host can restart this nest"),
        ("plain-text=429,7s", "429", "Try again in 7 s"),
        ("empty", "nonsense", "The server answered 404"),
        ("no-restart", "nonsense", "The server answered 404"),
        ("redirect", "nonsense", "The server answered with a redirect"),
        ("token-object", "nonsense", "nobody can tell whether the nest was restarted"),
        ("other-room", "nonsense", "nobody can tell whether the nest was restarted"),
        ("echo-authorization", "401", "Invalid NIP-98 authentication: ***"),
        ("echo-token", "5xx", "cannot hand out ***"),
        ("drop-before", "lost", "not seen so far, it may still happen"),
        // What was done all the same, its room shows.
        ("drop-after", "restarted", " → RM_"),
        ("half-body", "restarted", " → RM_"),
        ("huge-body", "restarted", " → RM_"),
        ("gateway-timeout", "restarted", " → RM_"),
        ("control-characters@restart", "restarted", " → RM_"),
        ("clock=+10m", "restarted", " → RM_"),
        ("late-teardown=5m", "restarted", " → RM_"),
        ("no-room", "noRoom", "LiveKit has no room of this nest"),
        ("livekit-down@restart", "5xx", "the API failed with status 500"),
    ] {
        mock.set_faults(parse(&[fault]));
        browser.open(&page, json!({ "signer": host }));
        browser.click("header .restart");
        let said = browser.until(&format!("#outcome[data-outcome='{name}']"), words);
        browser.evaluate("document.querySelector('details').open = true");
        let details = browser.until("details", "Requests");
        assert!(details.contains("POST /api/v1/nests/demo/restart"), "{fault}: {details}");
        for text in [said, details] {
            Secrets::of(&mock).none_in(&text, fault);
            assert_eq!(tokens(&text), [""; 0], "{fault}: {text}");
            assert!(text.chars().all(|c| c == '\n' || c == '\t' || !c.is_control()), "{fault}: {text:?}");
        }
        quiet(&mut browser, &[&mock.api(), &mock.relay()]);
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium"]
async fn the_details_are_for_whoever_helps() {
    let (mock, mut browser) = (mock(&["clock=+10m"]), Browser::start());
    browser.open(&format!("{}/n/{DEMO}", mock.api()), json!({ "phone": true }));
    browser.permit("clipboard-read");
    browser.permit("clipboard-write");
    browser.forward(15);
    browser.click("summary");
    let details = browser.until("#here", "200");
    browser.click("details .copy");
    browser.until("#copied", "Copied");
    let copied = browser.evaluate("navigator.clipboard.readText()");
    let copied = copied.as_str().unwrap();
    assert!(copied.contains(&details), "{copied}");
    for words in [
        DEMO,
        &format!("nest {}, {}", env!("CARGO_PKG_VERSION"), mock.api()),
        "this device is 10 min behind the server",
        "Audio room\nnone",
        "GET /n/demo 200 ·",
        "Chrome/",
    ] {
        assert!(copied.contains(words), "{words:?} is not in {copied:?}");
    }
    browser.accessible();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium, redis and livekit"]
async fn whoever_waits_stays_within_the_limits() {
    let (scene, mut browser) = (Scene::new(["--rate-limit", "9"]).await, Browser::start());
    browser.open(&scene.page(), json!({}));
    browser.until("#what", "Open");
    browser.evaluate("document.querySelector('details').open = true");
    // One of the requests has created the nest, and three were for the page.
    for looks in 1..=3 {
        browser.forward(40);
        browser.until(&format!("#here li:nth-child({looks})"), " 200 ");
    }
    // The last of them is left for the host: the next window is waited for.
    browser.forward(25);
    browser.forward(10);
    let requests = browser.evaluate("document.querySelectorAll('#here li').length");
    assert_eq!(requests, 3);

    // What says when to come back is believed.
    let mock = mock(&[]);
    browser.open(&format!("{}/n/{DEMO}", mock.api()), json!({}));
    browser.evaluate("document.querySelector('details').open = true");
    mock.set_faults(parse(&["plain-text=429,100s@page"]));
    browser.forward(15);
    browser.until("#here li:nth-child(1)", " 429 ");
    mock.set_faults(Vec::new());
    browser.forward(80);
    assert_eq!(browser.evaluate("document.querySelectorAll('#here li').length"), 1);
    browser.until("#what", "Not running");
    browser.forward(40);
    browser.until("#here li:nth-child(2)", " 200 ");
}

/// Of an API that says that its nests have pages; unless the event has one of its own.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis, livekit and nostr-relay"]
async fn the_program_prints_the_link_of_the_page() {
    let scene = Scene::new([]).await;
    let service = format!("{}/api/v1/nests", scene.serve.origin);
    publish(&scene, 100, &[&["title", "Tuesday"], &["status", "open"], &["service", &service]]).await;
    let nest = |args: &[&str]| {
        let nest = Nest::alone().env("NEST_RELAYS", &scene.relay.url).env("NEST_API", &scene.serve.origin);
        nest.env("NEST_KEY", scene.host.secret_key().to_secret_hex()).args(args).run().expect(0)
    };
    let pages = format!("{}/n/naddr1", scene.serve.origin);
    let id = &*scene.id;
    for args in [&["list"][..], &["status", id], &["restart", id]] {
        let document = nest(&[args, &["--json"]].concat()).document();
        let link = document["link"].as_str().unwrap_or_else(|| panic!("{args:?}: {document}")).to_owned();
        assert!(link.starts_with(&pages), "{args:?}: {link}");
        let page = Reply::of(client().get(&link).send().await.unwrap()).await.expect(200);
        assert!(page.text.contains("Open · nobody inside"), "{}", page.text);
        // Every command takes it for the nest.
        assert_eq!(nest(&["status", &link, "--json"]).document()["roomId"], id);
        let text = nest(args).stdout;
        assert!(args == ["list"] || text.contains(&link), "{args:?}: {text}");
    }
    let own = "https://rooms.example/tuesday";
    publish(&scene, 50, &[&["title", "Tuesday"], &["status", "open"], &["endpoint", &service], &["service", own]])
        .await;
    // The API that is named says nothing of the event: now the event names the API.
    let naddr = nest(&["list", "--json"]).document()["naddr"].as_str().unwrap().to_owned();
    for args in [&["list"][..], &["status", &naddr], &["restart", &naddr]] {
        let nest = Nest::alone().env("NEST_RELAYS", &scene.relay.url).args(args).args(["--json"]);
        let nest = nest.env("NEST_KEY", scene.host.secret_key().to_secret_hex());
        assert_eq!(nest.run().expect(0).document()["link"], own, "{args:?}");
    }
}

/// With `UPDATE=1` they are made anew, which is what docs/page/renew does.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium"]
async fn the_pictures_in_the_docs_are_of_this_page() {
    let web_client = Some("https://nostrnests.com".into());
    let mock = Mock::start(Options { web_client, ..Options::default() }).unwrap();
    let (mut browser, page) = (Browser::start(), format!("{}/n/{DEMO}", mock.api()));
    let (host, stranger) = (mock.host().secret_key().to_secret_hex(), Keys::generate().secret_key().to_secret_hex());
    let text = std::fs::read_to_string(root("docs/serve.md")).unwrap();
    let take = |browser: &mut Browser, name: &str| {
        let path = format!("docs/page/{name}.png");
        assert!(text.contains(&format!("](page/{name}.png)")), "docs/serve.md does not show {name}");
        if std::env::var_os("UPDATE").is_some() {
            browser.picture(root(&path).to_str().unwrap());
        }
        assert!(std::fs::read(root(&path)).unwrap().starts_with(b"\x89PNG"), "{path}");
    };
    browser.open(&page, json!({ "phone": true }));
    browser.until("#title", "Demo nest");
    browser.until("#what", "Not running");
    take(&mut browser, "not-running");
    browser.open(&page, json!({ "phone": true, "dark": true, "signer": stranger }));
    browser.until("#title", "Demo nest");
    browser.click("header .restart");
    browser.until("#outcome[data-outcome='403']", "");
    take(&mut browser, "not-the-host");
    browser.open(&page, json!({ "signer": host }));
    browser.until("#title", "Demo nest");
    browser.click("#restart-nest");
    browser.until("#outcome", "Restarted");
    let guest = client().get(format!("{}/api/v1/nests/{DEMO}/guest", mock.api())).send().await.unwrap();
    let guest = Reply::of(guest).await.json();
    let _inside = Signal::join(mock.livekit(), guest["token"].as_str().unwrap()).await.unwrap();
    browser.open(&page, json!({ "phone": true, "dark": true }));
    browser.until("#title", "Demo nest");
    browser.until("#what", "1 person inside");
    take(&mut browser, "open");
    browser.open(&page, json!({ "signer": host }));
    browser.until("#title", "Demo nest");
    browser.click("header .restart");
    browser.until("#question", "");
    take(&mut browser, "question");
    browser.click("#confirm button[value=yes]");
    browser.until("#outcome", " → RM_");
    take(&mut browser, "restarted");
}
