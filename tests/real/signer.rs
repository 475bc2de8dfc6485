//! A host whose key is in a remote signer that others wrote (NDK), over a relay that others wrote.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use nostr::Keys;
use nostr_nests::server::Mock;
use serde_json::json;
use tempfile::TempDir;

use crate::support::current::root;
use crate::support::nest::{Nest, Output, mock, says};
use crate::support::nostr_client::{NostrClient, event};
use crate::support::nostr_relay::NostrRelay;
use crate::support::signer::NdkSigner;

const SECRET: &str = "0123456789abcdef-pairing";

struct Scene {
    mock: Mock,
    relay: NostrRelay,
    signer: NdkSigner,
    machine: TempDir,
}

impl Scene {
    fn new() -> Self {
        let (mock, relay) = (mock(&[]), NostrRelay::start(""));
        let signer = NdkSigner::start(mock.host(), &relay.url, Some(SECRET));
        Self { mock, relay, signer, machine: tempfile::tempdir().unwrap() }
    }

    fn nest(&self, args: &str) -> Nest {
        Nest::new(&self.mock)
            .without("NEST_KEY")
            .env("NEST_RELAYS", &self.relay.url)
            .env("XDG_STATE_HOME", self.machine.path())
            .env("XDG_CONFIG_HOME", self.machine.path())
            .args(args.split(' '))
    }

    fn pair(&self) -> Output {
        self.nest("key connect - --to-file").stdin(self.signer.uri()).run()
    }
}

#[test]
#[ignore = "needs node and nostr-relay"]
fn a_host_pairs_once_and_everything_is_signed_by_the_signer() {
    let mut scene = Scene::new();
    scene.pair().expect(0);
    let permissions = scene.signer.seen().remove(0).1[2].clone();
    assert_eq!(permissions, "sign_event:27235,sign_event:30312,sign_event:10312,sign_event:22242");
    let tags = [["title", "Demo"], ["status", "ended"], ["service", &scene.mock.api()]];
    let over = event(scene.mock.host(), "demo", 500, &tags.each_ref().map(|tag| &tag[..]));
    NostrClient::at(&scene.relay.url).publish(&over);

    let shown = scene.nest("key show --json").run().expect(0).document();
    assert_eq!((&shown["kind"], &shown["answers"]), (&json!("signer"), &json!(true)));
    scene.nest("restart demo --check --publish-status").run().expect(0);
    scene.nest("list").run().expect(0);
    scene.nest("doctor demo").run().expect(0);
    scene.nest("close demo --yes").run().expect(0);
    let closed = NostrClient::at(&scene.relay.url).nest(scene.mock.host().public_key(), "demo");
    closed.verify().unwrap();
    assert!(closed.created_at > over.created_at);
    let header = scene.nest("auth GET https://nests.example/").run().expect(0).stdout;
    assert!(header.starts_with("Nostr "));
}

#[test]
#[ignore = "needs node and nostr-relay"]
fn each_refusal_of_the_signer_has_its_own_words() {
    let mut scene = Scene::new();
    scene.pair().expect(0);
    // Its secret is spent; whoever else has read it cannot use it.
    says(&scene.pair(), 3, &["secret already used", "works once: have the signer show a new one"]);

    scene.signer.policy("refuse");
    let refused = scene.nest("restart demo").run();
    says(&refused, 3, &["it says: Not authorized", "allow nest in the signer"]);
    scene.signer.policy("ignore");
    let silent = scene.nest("restart demo --signer-timeout 2s").run();
    says(&silent, 3, &["it did not answer within 2 s", "is the signer running and online?"]);
    scene.signer.policy("allow");
    scene.nest("restart demo").run().expect(0);

    // The app is closed: its relay is there, and it is not.
    let uri = scene.signer.uri();
    scene.signer = NdkSigner::start(&Keys::generate(), &scene.relay.url, None);
    says(&scene.nest("key show --signer-timeout 2s").run(), 3, &["it did not answer within 2 s"]);
    let each_run = scene.nest("restart demo --signer-timeout 2s").env("NEST_BUNKER", uri).run();
    says(&each_run, 3, &["the signer of NEST_BUNKER", "it did not answer within 2 s"]);
    assert_eq!(scene.mock.requests("/api/v1/nests/demo/restart"), 1);
}

#[test]
#[ignore = "needs node and nostr-relay"]
fn a_run_without_a_home_pairs_and_signs_in_one_go() {
    let scene = Scene::new();
    let call = || Nest::new(&scene.mock).without("NEST_KEY").without("HOME").env("NEST_RELAYS", &scene.relay.url);
    call().env("NEST_BUNKER", scene.signer.uri()).args(["restart", "demo"]).run().expect(0);
    let spent = call().env("NEST_BUNKER", scene.signer.uri()).args(["restart", "demo"]).run();
    says(&spent, 3, &["secret already used", "NEST_BUNKER pairs in each run"]);
    // A signer that has no secret pairs each time. On the relay of the other one both would answer.
    let relay = NostrRelay::start("");
    let lasting = NdkSigner::start(scene.mock.host(), &relay.url, None);
    for _ in 0..2 {
        call().env("NEST_BUNKER", lasting.uri()).args(["restart", "demo"]).run().expect(0);
    }
}

#[test]
#[ignore = "needs node and nostr-relay"]
fn the_signer_scans_what_is_shown() {
    let mut scene = Scene::new();
    let (mut command, _home) = scene.nest("key connect --qr --name phone --to-file").into_parts();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut told = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let uri = told.find(|line| line.starts_with("nostrconnect://")).expect("it shows nothing");
    sleep(Duration::from_secs(1));
    scene.signer.scan(&uri);
    assert!(child.wait().unwrap().success());
    scene.nest("restart demo").run().expect(0);
}

#[test]
#[ignore = "needs node"]
fn another_implementation_accepts_the_header() {
    let mock = mock(&[]);
    let url = "https://nests.example/api/v1/nests/a%20b/restart?x=1";
    let body = json!({ "a": "ü" });
    let nest = Nest::new(&mock).file("body", &body.to_string(), 0o600);
    let header = nest.args(["auth", "POST", url, "--body", "body"]).run().expect(0).stdout;
    let script = "import { createRequire } from 'node:module';
        const require = createRequire(process.argv[1]);
        const { nip98 } = require('nostr-tools');
        const [, , header, url, body] = process.argv;
        const event = await nip98.unpackEventFromToken(header);
        const valid = (url, method, body) => nip98.validateEvent(event, url, method, body).catch(String);
        const of = JSON.parse(body);
        console.log(JSON.stringify([await valid(url, 'post', of), await valid(url, 'get', of),
            await valid(url + '0', 'post', of), await valid(url, 'post', { a: 'o' })]));";
    let judge = Command::new("node")
        .args(["--input-type=module", "-e", script])
        .arg(root("target/tools/browser/node_modules/"))
        .args([header.trim(), url, &body.to_string()])
        .output()
        .unwrap();
    let verdicts: serde_json::Value = serde_json::from_slice(&judge.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&judge.stderr)));
    assert_eq!(verdicts[0], true, "{verdicts}");
    for wrong in 1..4 {
        assert!(verdicts[wrong].as_str().is_some_and(|why| why.contains("Invalid nostr event")), "{verdicts}");
    }
}
