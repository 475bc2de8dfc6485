//! A host whose key is in a remote signer (NIP-46).

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, ChildStderr, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::{Duration, Instant};

use expectrl::Expect as _;
use nostr::nips::nip19::ToBech32 as _;
use nostr::{EventBuilder, JsonUtil as _, Keys, Kind};
use nostr_nests::server::{DEMO_MOQ, Mock, Options};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::support::bunker::{Bunker, Reply, Request, SECRET, honest, signed};
use crate::support::nest::{Nest, Output, mock, parse, says};
use crate::support::nostr_client::{NostrClient, event, remember};
use crate::support::process::catches;
use crate::support::qr::scanned;
use crate::support::secrets::Secrets;
use crate::support::terminal::Terminal;

/// What stays from call to call on one machine.
struct Machine(tempfile::TempDir);

impl Machine {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn nest(&self, mock: &Mock) -> Nest {
        Nest::new(mock)
            .without("NEST_KEY")
            .env("NEST_RELAYS", mock.relay())
            .env("XDG_STATE_HOME", self.0.path())
            .env("XDG_CONFIG_HOME", self.0.path())
    }

    /// Pairs with this signer, as its user would.
    fn pair(&self, mock: &Mock, bunker: &Bunker) {
        self.nest(mock).args(["key", "connect", "-"]).stdin(bunker.uri()).run().expect(0);
    }

    fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.0.path().join(path)).unwrap()
    }
}

/// A nest, and a signer that has its host's key, which answers as the script has it.
fn scene(script: impl Fn(&Keys, &Request) -> Vec<Reply> + Send + Sync + 'static) -> (Mock, Bunker, Machine) {
    let mock = mock(&[]);
    let bunker = Bunker::start(mock.host(), &mock.relay(), script);
    (mock, bunker, Machine::new())
}

/// Honest, but for what it says to this method.
fn but(method: &'static str, reply: fn(&Keys, &Request) -> Vec<Reply>) -> (Mock, Bunker, Machine) {
    scene(move |keys, request| if request.0 == method { reply(keys, request) } else { honest(keys, request) })
}

#[test]
fn a_host_pairs_once_and_restarts_from_then_on() {
    let (mock, bunker, machine) = scene(honest);
    let paired = machine.nest(&mock).args(["key", "connect", "-", "--json"]).stdin(bunker.uri()).run().expect(0);
    let document = paired.document();
    assert_eq!(document["publicKey"], mock.host().public_key().to_hex());
    assert_eq!((&document["signer"], &document["default"]), (&json!("main"), &json!(true)));
    assert_eq!(machine.read("nest/config.toml"), "bunker = \"main\"\n");

    // It is asked for no more than is needed, and the secret is not kept.
    let (method, params) = bunker.seen().remove(0);
    assert_eq!((&*method, &*params[0], &*params[1]), ("connect", &*mock.host().public_key().to_hex(), SECRET));
    assert_eq!(params[2], "sign_event:27235,sign_event:30312,sign_event:10312,sign_event:22242");
    let kept = machine.read("nest/signers/main.json");
    assert!(
        !kept.contains(SECRET) && kept.contains("nsec1"),
        "there is no keyring here, and so the client's key is in it"
    );
    assert!(!kept.contains(&mock.host().secret_key().to_secret_hex()));
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let signers = machine.0.path().join("nest/signers");
    assert_eq!((mode(&signers), mode(&signers.join("main.json"))), (0o700, 0o600));

    let restarted = machine.nest(&mock).args(["restart", "demo"]).run().expect(0);
    assert!(restarted.stdout.contains("people can join"), "{restarted:?}");
    assert_eq!(bunker.methods(), ["connect", "get_public_key", "sign_event"]);
}

#[test]
fn every_command_signs_by_it() {
    let (mock, bunker, machine) = scene(honest);
    machine.pair(&mock, &bunker);
    for args in [
        "restart demo --check",
        "restart demo --publish-status",
        "token demo",
        "doctor demo",
        "list",
        "status demo",
        "check demo --join",
        "restart --all-inactive",
        "close demo --yes",
    ] {
        machine.nest(&mock).args(args.split(' ')).run().expect(0);
    }
    mock.set_faults(parse(&["lost-record"]));
    machine.nest(&mock).args(["recreate", "demo", "--yes"]).run().expect(0);
    let kinds: Vec<_> = bunker.seen().into_iter().filter(|(method, _)| method == "sign_event").collect();
    assert!(kinds.iter().any(|(_, params)| params[0].contains("30312")));
}

#[test]
fn several_restarts_share_one_connection() {
    let (mock, bunker, machine) = scene(honest);
    machine.pair(&mock, &bunker);
    let before = mock.requests("/relay");
    machine.nest(&mock).without("NEST_RELAYS").args(["restart", "demo", "b", "c", "-q"]).run();
    assert_eq!(mock.requests("/relay") - before, 1);
    assert_eq!(bunker.methods().iter().filter(|method| *method == "sign_event").count(), 3);
}

/// What a restart says whose signer answers a request in another way, and a pairing before it as usual.
#[track_caller]
fn restart_but(method: &'static str, reply: fn(&Keys, &Request) -> Vec<Reply>) -> Output {
    let (mock, bunker, machine) = but(method, reply);
    machine.pair(&mock, &bunker);
    let restarted = machine.nest(&mock).args(["restart", "demo", "--signer-timeout", "1s"]).run();
    assert_eq!(mock.requests("/api/v1/nests/demo/restart"), usize::from(restarted.code == 0), "{restarted:?}");
    restarted
}

#[test]
fn each_failure_of_a_signer_has_its_own_words() {
    let silent = restart_but("sign_event", |_, _| Vec::new());
    says(&silent, 3, &["the signer main did not sign", "it did not answer within 1 s", "open its app"]);

    let refused = restart_but("sign_event", |_, _| vec![Reply::Error("no permission")]);
    says(&refused, 3, &["it says: no permission", "allow nest in the signer", "pair again: `nest key connect`"]);

    let other = restart_but("sign_event", |_, (_, params)| {
        vec![Reply::Result(signed(&Keys::generate(), &params[0]).as_json())]
    });
    says(&other, 3, &["it signs as npub1", "choose the right key"]);

    let another_event = restart_but("sign_event", |keys, _| {
        let event = EventBuilder::new(Kind::HttpAuth, "").sign_with_keys(keys).unwrap();
        vec![Reply::Result(event.as_json())]
    });
    says(&another_event, 3, &["another event than the one to sign", "nothing of it was used"]);

    let forged = restart_but("sign_event", |keys, (_, params)| {
        let mut event: serde_json::Value = serde_json::from_str(&signed(keys, &params[0]).as_json()).unwrap();
        event["sig"] = json!("0".repeat(128));
        vec![Reply::Result(event.to_string())]
    });
    says(&forged, 3, &["a signature that does not hold"]);

    let nonsense = restart_but("sign_event", |_, _| vec![Reply::Result("yes".into())]);
    says(&nonsense, 3, &["its answer to a signature makes no sense"]);
}

#[test]
fn a_page_on_which_it_wants_to_be_allowed_is_shown() {
    let allowed = restart_but("sign_event", |keys, request| {
        let mut replies = vec![Reply::Page("https://signer.example/allow?id=1".into())];
        replies.extend(honest(keys, request));
        replies
    });
    says(&allowed, 0, &["wants to be allowed on this page: https://signer.example/allow?id=1"]);

    let never = restart_but("sign_event", |_, _| vec![Reply::Page("https://signer.example/allow".into())]);
    says(&never, 3, &["nobody approved it within 1 s", "open https://signer.example/allow, allow it there"]);

    let hostile = restart_but("sign_event", |_, _| vec![Reply::Page("javascript:alert(1)".into())]);
    says(&hostile, 3, &["it names no page"]);
    assert!(!hostile.stderr.contains("javascript"), "{hostile:?}");
}

#[test]
fn a_person_is_told_what_is_waited_for() {
    let slow = restart_but("ping", honest);
    assert!(!slow.stderr.contains("waiting for the signer"), "{slow:?}");
    let (mock, bunker, machine) = but("sign_event", |keys, request| {
        sleep(Duration::from_secs(4));
        honest(keys, request)
    });
    machine.pair(&mock, &bunker);
    let slow = machine.nest(&mock).args(["restart", "demo"]).run();
    says(&slow, 0, &["waiting for the signer, 45 s at most: allow it there, if it asks"]);
}

#[test]
fn a_signer_out_of_reach_is_told_from_a_silent_one() {
    let (mock, bunker, machine) = scene(honest);
    machine.pair(&mock, &bunker);
    let path = machine.0.path().join("nest/signers/main.json");
    let kept = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, kept.replace(&mock.relay(), "ws://127.0.0.1:9")).unwrap();
    let away = machine.nest(&mock).args(["restart", "demo", "--signer-timeout", "1s"]).run();
    says(&away, 3, &["ws://127.0.0.1:9: it cannot be reached: Connection refused", "pair again"]);
    std::fs::write(&path, kept.replace(&mock.relay(), "ws://relay.example")).unwrap();
    let insecure = machine.nest(&mock).args(["restart", "demo"]).run();
    says(&insecure, 3, &["ws://relay.example: it is not encrypted"]);
}

#[test]
fn a_pairing_that_fails_says_why() {
    let connect = |reply: fn(&Keys, &Request) -> Vec<Reply>| {
        let (mock, bunker, machine) = but("connect", reply);
        let args = ["key", "connect", "-", "--signer-timeout", "1s"];
        let output = machine.nest(&mock).args(args).stdin(bunker.uri()).run();
        let kept = machine.0.path().join("nest/signers/main.json").exists();
        // Whoever has not said no may still say yes.
        assert_eq!(kept, output.code == 0 || output.stderr.contains("did not answer"), "{output:?}");
        output
    };
    // Some signers hand the secret back instead of `ack`.
    connect(|_, (_, params)| vec![Reply::Result(params[1].clone())]).expect(0);
    let spent = connect(|_, _| vec![Reply::Error("secret already used")]);
    says(&spent, 3, &["it says: secret already used", "works once: have the signer show a new one"]);
    let (mock, bunker, machine) = but("connect", |_, _| vec![Reply::Error("Not authorized")]);
    let cut = bunker.uri().split("&secret").next().unwrap().to_owned();
    let cut = machine.nest(&mock).args(["key", "connect", &cut]).run();
    says(&cut, 3, &["it says: Not authorized", "had no secret= in it. A shell cuts a URI at &"]);
    says(&connect(|_, _| vec![Reply::Result("hello".into())]), 3, &["its answer to the pairing makes no sense"]);
    says(&connect(|_, _| Vec::new()), 3, &["it did not answer within 1 s"]);

    let (mock, bunker, machine) = but("get_public_key", |_, _| Vec::new());
    let args = ["key", "connect", "-", "--signer-timeout", "1s"];
    let gone = machine.nest(&mock).args(args).stdin(bunker.uri()).run();
    says(&gone, 3, &["it answered, and then no more", "run this again: the same bunker:// URI still does"]);
}

/// A real one accepts its secret once, and again from whom it has accepted.
#[test]
fn a_pairing_that_is_allowed_later_is_finished_by_the_same_uri() {
    let (ready, clients) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(HashSet::new())));
    let (allowed, known) = (ready.clone(), clients.clone());
    let mock = mock(&[]);
    let bunker = Bunker::start_reading(mock.host(), &mock.relay(), move |keys, event, request| {
        if request.0 == "connect" && known.lock().unwrap().insert(event.pubkey) && known.lock().unwrap().len() > 1 {
            return vec![Reply::Error("secret already used")];
        }
        if allowed.load(Ordering::Relaxed) { honest(keys, request) } else { Vec::new() }
    });
    let machine = Machine::new();
    let connect = || {
        let args = ["key", "connect", "-", "--signer-timeout", "1s"];
        machine.nest(&mock).args(args).stdin(bunker.uri()).run()
    };
    says(&connect(), 3, &["not paired with the signer", "it did not answer within 1 s", "run this again"]);
    let early = machine.nest(&mock).args(["restart", "demo", "--bunker", "main"]).run();
    says(&early, 3, &["did not come to its end", "with the same bunker:// URI: `nest key connect`"]);
    let listed = machine.nest(&mock).args(["key", "list"]).run();
    says(&listed, 0, &["did not come to its end", "`nest key connect`", "`nest key remove main`"]);
    // Another one that is paired with meanwhile does not take its place.
    let other = Bunker::start(&Keys::generate(), &mock.relay(), honest);
    let meanwhile = machine.nest(&mock).args(["key", "connect", "-", "--json"]).stdin(other.uri()).run().expect(0);
    assert_eq!(meanwhile.document()["signer"], "main-2");
    machine.nest(&mock).args(["key", "remove", "main-2", "--yes"]).run().expect(0);
    ready.store(true, Ordering::Relaxed);
    connect().expect(0);
    assert_eq!(clients.lock().unwrap().len(), 1, "it is the same client");
    machine.nest(&mock).args(["restart", "demo"]).run().expect(0);
}

#[test]
fn what_is_no_uri_pairs_with_nobody() {
    let machine = Machine::new();
    let mock = mock(&[]);
    let connect = |uri: &str| machine.nest(&mock).args(["key", "connect", "-"]).stdin(uri).run();
    let key = Keys::generate().public_key().to_hex();
    says(&connect("\n"), 2, &["it is empty"]);
    says(&connect("main"), 2, &["it does not begin with bunker://"]);
    let nsec = Keys::generate().secret_key().to_bech32().unwrap();
    says(&connect(&nsec), 2, &["it is a secret key", "to keep a key here: `nest key import`"]);
    says(&connect("bunker://abc?relay=wss://a"), 2, &["64 hex digits"]);
    says(&connect(&format!("bunker://{key}?secret={SECRET}")), 2, &["it names no relay"]);
    says(&machine.nest(&mock).args(["key", "connect"]).run(), 2, &["nest key connect -", "nest key connect --qr"]);

    // Arguments are seen by everybody.
    let uri = format!("bunker://{key}?relay=ws://127.0.0.1:9&secret={SECRET}");
    let told = machine.nest(&mock).args(["key", "connect", &uri]).run();
    says(&told, 2, &["the secret of a signer among the arguments; nothing was done", "where `nest key connect` asks"]);
    let public = uri.split("&secret").next().unwrap();
    let without = machine.nest(&mock).args(["key", "connect", public, "--signer-timeout", "1s"]).run();
    says(&without, 3, &["127.0.0.1:9"]);
    says(&machine.nest(&mock).args(["restart", "demo", "--bunker", public]).run(), 2, &["pair with the signer once"]);
    for output in [told, without] {
        assert!(!output.stderr.contains(SECRET), "{output:?}");
    }

    let imported = machine.nest(&mock).args(["key", "import", "--to-file", "--key-file", "-"]).stdin(uri).run();
    says(&imported, 3, &["the address of a remote signer", "pair with the signer instead: `nest key connect`"]);
}

#[test]
fn a_whole_uri_in_the_environment_pairs_and_signs_in_one_go() {
    let (mock, bunker, _) = scene(honest);
    let run = |uri: &str, args: &[&str]| {
        let nest = Nest::new(&mock).without("NEST_KEY").without("HOME").env("NEST_BUNKER", uri);
        nest.env("NEST_RELAYS", mock.relay()).args(args).run()
    };
    run(&bunker.uri(), &["restart", "demo"]).expect(0);
    assert_eq!(bunker.methods(), ["connect", "get_public_key", "sign_event"]);
    says(&run("bunker://x", &["restart", "demo"]), 3, &["NEST_BUNKER leads to no signer", "64 hex digits"]);
    says(&run("main", &["restart", "demo"]), 3, &["the name of a signer is for --bunker NAME"]);
    // It is not kept, and there is nothing else that could be.
    says(&run(&bunker.uri(), &["init", &mock.api(), "--no-timer", "-y"]), 3, &["`nest key connect`"]);

    let (mock, bunker, _) = but("connect", |_, _| vec![Reply::Error("secret already used")]);
    let nest = Nest::new(&mock).without("NEST_KEY").env("NEST_BUNKER", bunker.uri()).args(["restart", "demo"]);
    says(&nest.run(), 3, &["the signer of NEST_BUNKER did not sign", "NEST_BUNKER pairs in each run: pair once"]);
}

/// A pairing by what a signer is shown, and what that is.
fn offered(mock: &Mock, machine: &Machine) -> (Child, BufReader<ChildStderr>, String) {
    let args = ["key", "connect", "--qr", "--relay", &mock.relay(), "--name", "phone"];
    let (mut command, _home) = machine.nest(mock).args(args).into_parts();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut told = BufReader::new(child.stderr.take().unwrap());
    let mut uri = String::new();
    while !uri.starts_with("nostrconnect://") {
        uri.clear();
        assert_ne!(told.read_line(&mut uri).unwrap(), 0, "it ended");
    }
    while mock.requests("/relay") < 2 {
        sleep(Duration::from_millis(10));
    }
    sleep(Duration::from_millis(200));
    (child, told, uri.trim().to_owned())
}

#[test]
fn a_signer_scans_what_is_shown() {
    let (mock, bunker, machine) = scene(honest);
    let (mut child, _told, uri) = offered(&mock, &machine);
    // Whoever has not seen it cannot take the place of whoever has.
    let stranger = Bunker::start(&Keys::generate(), &mock.relay(), honest);
    stranger.scan(&uri, Some("guessed"));
    bunker.scan(&uri, None);
    assert!(child.wait().unwrap().success());
    let mut said = String::new();
    child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    let npub = mock.host().public_key().to_bech32().unwrap();
    assert!(said.starts_with(&format!("{npub} signs through the signer phone, and is used")), "{said}");
    machine.nest(&mock).args(["restart", "demo"]).run().expect(0);
    assert!(stranger.methods().is_empty());
}

#[test]
fn a_code_that_was_scanned_for_nothing_leaves_nothing_behind() {
    let (mock, bunker, machine) = but("get_public_key", |_, _| vec![Reply::Error("not now")]);
    let (mut child, mut told, uri) = offered(&mock, &machine);
    bunker.scan(&uri, None);
    let mut said = String::new();
    told.read_to_string(&mut said).unwrap();
    assert!(child.wait().unwrap().code() == Some(3) && said.contains("not now"), "{said}");
    assert!(!machine.0.path().join("nest/signers").exists() && !machine.0.path().join("nest/config.toml").exists());
}

#[test]
fn a_person_pastes_the_uri_unseen_or_has_a_code_to_scan() {
    let (mock, bunker, machine) = scene(honest);
    let mut person = Terminal::at(machine.nest(&mock).args(["key", "connect"]));
    person.sees("bunker:// URI of the signer (not shown");
    person.types(&bunker.uri());
    let (screen, code) = person.ends();
    assert!(code == 0 && !screen.contains(SECRET) && screen.contains("is used from now on"), "{code} {screen}");

    for (columns, fits) in [(50, false), (80, true), (200, true)] {
        let args = ["key", "connect", "--relay", &mock.relay(), "--name", "phone"];
        let mut person = Terminal::of_width(columns, machine.nest(&mock).args(args));
        person.sees("bunker:// URI of the signer");
        person.types("");
        person.sees(if fits { "▀" } else { "make the window wider" });
        person.sees("nostrconnect://");
        // Whoever waits for nothing leaves.
        person.session.send([3]).unwrap();
        let (screen, code) = person.ends();
        assert_eq!(code, 130, "{screen}");
        assert!(!screen.contains("signs through") && screen.contains("interrupted"), "{screen}");
    }
}

/// Where nothing can be kept, no secret is spent; and there is an end to the search for a free name.
#[test]
fn a_folder_that_cannot_be_written_is_found_out_before_the_signer_is_asked() {
    let (mock, bunker, machine) = scene(honest);
    std::fs::write(machine.0.path().join("state"), "").unwrap();
    let nest = machine.nest(&mock).env("XDG_STATE_HOME", machine.0.path().join("state"));
    says(&nest.args(["key", "connect", "-"]).stdin(bunker.uri()).run(), 3, &["cannot be written"]);
    assert!(bunker.methods().is_empty());
    // A profile that is not there yet is begun.
    let begun = machine.nest(&mock).args(["key", "connect", "-", "--profile", "club"]).stdin(bunker.uri()).run();
    says(&begun, 0, &["whether it answers: `nest key show`"]);
    assert!(
        machine.read("nest/config.toml").contains("[profile.club]\nbunker = "),
        "{}",
        machine.read("nest/config.toml")
    );
    let insecure = machine.nest(&mock).args(["key", "connect", "--qr", "--relay", "ws://relay.example"]).run();
    says(&insecure, 2, &["is not encrypted (ws://)", "--allow-http"]);
    assert!(!insecure.stderr.contains("nostrconnect"), "{insecure:?}");
}

/// As a phone reads it.
#[test]
fn the_code_holds_the_same_as_the_line_below_it() {
    let (mock, _, machine) = scene(honest);
    let relays = "wss://relay.example.com,wss://another-relay.example.org";
    let args = ["key", "connect", "--qr", "--relay", relays, "--signer-timeout", "1s"];
    let told = machine.nest(&mock).args(args).run().expect(3).stderr;
    let lines: Vec<_> = told.lines().collect();
    let uri = lines.iter().position(|line| line.starts_with("nostrconnect://")).unwrap();
    let code: Vec<_> = lines[..uri].iter().filter(|line| line.starts_with('█')).copied().collect();
    assert!(code[0].chars().count() <= 80, "{told}");
    assert_eq!(scanned(&code.join("\n")), lines[uri]);
}

#[test]
#[cfg(target_os = "linux")]
fn the_page_is_opened_where_that_is_wanted_and_the_browser_learns_nothing() {
    let (mock, bunker, machine) = but("connect", |keys, request| {
        let mut replies = vec![Reply::Page("https://signer.example/allow".into())];
        replies.extend(honest(keys, request));
        replies
    });
    let opener = "#!/bin/sh\n(echo \"$1\"; env) > \"$HOME/draft\"; mv \"$HOME/draft\" \"$HOME/seen\"\n";
    for (wanted, args) in [(true, &["--open"][..]), (false, &[])] {
        let nest = machine.nest(&mock).file("bin/xdg-open", opener, 0o755).file("uri", &bunker.uri(), 0o600);
        let path = format!("{}:/usr/bin:/bin", nest.home().join("bin").display());
        let nest = nest.env("PATH", path).env("NEST_BUNKER", bunker.uri()).args(["key", "connect", "-"]).args(args);
        let (mut command, home) = nest.into_parts();
        let uri = std::fs::File::open(home.path().join("uri")).unwrap();
        let told = command.stdin(uri).output().unwrap();
        assert_eq!(told.status.code(), Some(0), "{told:?}");
        let since = Instant::now();
        let seen = home.path().join("seen");
        while wanted && !seen.exists() {
            assert!(since.elapsed() < Duration::from_secs(10), "{told:?}");
            sleep(Duration::from_millis(10));
        }
        assert_eq!(seen.exists(), wanted);
        if wanted {
            let seen = std::fs::read_to_string(seen).unwrap();
            assert!(seen.starts_with("https://signer.example/allow\n") && !seen.contains(SECRET), "{seen}");
        }
    }
}

#[test]
fn it_is_shown_whether_the_signer_answers() {
    let (mock, bunker, machine) = scene(honest);
    machine.pair(&mock, &bunker);
    let shown = machine.nest(&mock).args(["key", "show", "--json"]).run().expect(0).document();
    assert_eq!((&shown["kind"], &shown["answers"]), (&json!("signer"), &json!(true)));
    let text = machine.nest(&mock).args(["key", "show"]).run().expect(0).stdout;
    assert!(text.ends_with("from the signer main, which answers\n"), "{text}");
    let host = mock.host().secret_key().to_secret_hex();
    for (kind, nest) in [
        ("environment", Nest::alone().env("NEST_KEY", &host)),
        ("file", Nest::alone().file("key", &host, 0o600).env("NEST_KEY_FILE", "key")),
    ] {
        assert_eq!(nest.args(["key", "show", "--json"]).run().expect(0).document()["kind"], kind);
    }

    let (mock, bunker, machine) = but("ping", |_, _| Vec::new());
    machine.pair(&mock, &bunker);
    let silent = machine.nest(&mock).args(["key", "show", "--signer-timeout", "1s", "--json"]).run().expect(3);
    let document = silent.document();
    assert_eq!((&document["answers"], &document["error"]["kind"]), (&json!(false), &json!("key")));
    let silent = machine.nest(&mock).args(["key", "show", "--signer-timeout", "1s"]).run();
    says(&silent, 3, &["it did not answer within 1 s"]);
    assert!(silent.stdout.ends_with("which does not answer\n"), "{silent:?}");
}

#[test]
fn signers_are_listed_and_forgotten() {
    let (mock, bunker, machine) = scene(honest);
    machine.pair(&mock, &bunker);
    machine.pair(&mock, &bunker);
    // One for another key takes another name.
    let other = Keys::generate();
    let others = Bunker::start(&other, &mock.relay(), honest);
    machine.pair(&mock, &others);
    let list = || machine.nest(&mock).args(["key", "list", "--json"]).run().expect(0).document()["signers"].clone();
    let row = |name: &str, keys: &Keys| {
        let key = keys.public_key();
        json!({ "npub": key.to_bech32().unwrap(), "publicKey": key.to_hex(), "name": name })
    };
    assert_eq!(list(), json!([row("main", mock.host()), row("main-2", &other)]));

    let second = machine.nest(&mock).args(["restart", "demo", "--bunker", "main-2"]).run();
    says(&second, 5, &["only the host can restart", "`nest restart demo --key-file PATH`"]);
    machine.nest(&mock).args(["key", "default", "main-2"]).run().expect(0);
    machine.nest(&mock).args(["restart", "demo"]).run().expect(5);
    machine.nest(&mock).args(["key", "default", "main"]).run().expect(0);
    machine.nest(&mock).args(["restart", "demo"]).run().expect(0);
    let unknown = machine.nest(&mock).args(["restart", "demo", "--bunker", "phone"]).run();
    says(&unknown, 3, &["no signer named phone was paired with", "known are main, main-2"]);

    says(&machine.nest(&mock).args(["key", "remove", "main-2"]).run(), 1, &["--yes"]);
    machine.nest(&mock).args(["key", "remove", "main-2", "--yes"]).run().expect(0);
    // Its key will do in the place of its name, and the configuration forgets it too.
    let npub = mock.host().public_key().to_bech32().unwrap();
    machine.nest(&mock).args(["key", "remove", &npub, "--yes"]).run().expect(0);
    assert_eq!(list(), json!([]));
    let config = machine.read("nest/config.toml");
    assert!(
        config.lines().all(|line| line.starts_with("# ")) && config.ends_with("\n# bunker = \"main\"\n"),
        "{config}"
    );
    says(&machine.nest(&mock).args(["restart", "demo"]).run(), 3, &["there is no host key", "`nest key connect`"]);
    let gone = machine.nest(&mock).args(["restart", "demo", "--bunker", "main"]).run();
    says(&gone, 3, &["pair with it: `nest key connect --name main`"]);
}

#[test]
fn what_is_kept_of_a_signer_is_not_believed_where_others_can_change_it() {
    let (mock, bunker, machine) = scene(honest);
    machine.pair(&mock, &bunker);
    let path = machine.0.path().join("nest/signers/main.json");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
    says(&machine.nest(&mock).args(["restart", "demo"]).run(), 3, &["other users can write to"]);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    for pair_again in [true, false] {
        std::fs::write(&path, "{").unwrap();
        says(
            &machine.nest(&mock).args(["restart", "demo"]).run(),
            3,
            &["is damaged", "pair again: `nest key connect`"],
        );
        if pair_again {
            machine.pair(&mock, &bunker);
            machine.nest(&mock).args(["restart", "demo"]).run().expect(0);
        } else {
            machine.nest(&mock).args(["key", "remove", "main", "--yes"]).run().expect(0);
        }
    }
}

/// What was done before a signer has gone is not forgotten.
#[test]
fn a_signer_that_goes_in_the_middle_loses_nothing_of_what_was_done() {
    let only_requests = |keys: &Keys, request: &Request| {
        if request.0 == "sign_event" && !request.1[0].contains("\"kind\":27235") {
            return vec![Reply::Error("no permission")];
        }
        honest(keys, request)
    };
    let (mock, bunker, machine) = scene(only_requests);
    machine.pair(&mock, &bunker);
    let publish = |id: &str, status: &str| {
        let tags = [["title", "T"], ["status", status], ["service", &mock.api()]];
        NostrClient::at(&mock.relay()).publish(&event(mock.host(), id, 60, &tags.each_ref().map(|tag| &tag[..])));
    };
    remember(&mock, "weekly");
    publish("weekly", "closed");
    let restarted = machine.nest(&mock).args(["restart", "weekly", "--publish-status", "--json"]).run();
    let document = restarted.document();
    assert!(document["token"].as_str().is_some_and(|token| token.len() > 20), "{restarted:?}");
    says(&restarted, 1, &["the nest was restarted, but its event could not be published", "no permission"]);

    remember(&mock, "open");
    publish("open", "open");
    let closed = machine.nest(&mock).args(["close", "open", "--yes"]).run();
    says(
        &closed,
        3,
        &["the nest was closed in the API, and what follows was not signed", "no permission", "run it again"],
    );
    publish("lost", "open");
    let recreated = machine.nest(&mock).args(["recreate", "lost", "--yes"]).run();
    says(&recreated, 3, &["a new nest was created in the API, and what follows was not signed", "run it again"]);

    // The first attempt may have restarted it.
    let once = AtomicUsize::new(0);
    let (mock, bunker, machine) = scene(move |keys, request| {
        let second = request.0 == "sign_event" && once.fetch_add(1, Ordering::Relaxed) > 0;
        if second { vec![Reply::Error("no more")] } else { honest(keys, request) }
    });
    machine.pair(&mock, &bunker);
    mock.set_faults(parse(&["status=502@restart"]));
    let failed = machine.nest(&mock).args(["restart", "demo"]).run();
    assert!(matches!(failed.code, 7 | 9), "{failed:?}");
    assert!(failed.stderr.contains("attempt 2: the signer main did not sign: it refused: no more"), "{failed:?}");
}

#[test]
fn the_doctor_and_init_say_what_is_wrong_with_a_signer() {
    let (mock, bunker, machine) = but("sign_event", |_, _| vec![Reply::Error("no permission")]);
    machine.pair(&mock, &bunker);
    let doctor = machine.nest(&mock).args(["doctor", "demo"]).run();
    assert_eq!(doctor.code, 10, "{doctor:?}");
    assert!(doctor.stdout.contains("did not sign: it says: no permission"), "{doctor:?}");
    assert!(doctor.stdout.contains("allow nest in the signer"), "{doctor:?}");
    let unknown = machine.nest(&mock).args(["doctor", "demo", "--bunker", "phone"]).run();
    assert!(unknown.stdout.contains("nest key connect --name phone"), "{unknown:?}");
    let begun = machine.nest(&mock).args(["init", &mock.api(), "--bunker", "main", "--no-timer", "-y"]).run();
    says(&begun, 3, &["nothing was written", "no permission", "allow nest in the signer"]);

    let (mock, bunker, machine) = but("sign_event", |_, _| Vec::new());
    machine.pair(&mock, &bunker);
    let args = ["doctor", "demo", "--signer-timeout", "1s", "--timeout", "500ms"];
    let doctor = machine.nest(&mock).args(args).run();
    assert!(doctor.code == 10 && doctor.stdout.contains("it did not answer within 1 s"), "{doctor:?}");
}

#[test]
fn quiet_is_quiet_and_control_c_ends_the_waiting() {
    let (mock, bunker, machine) = but("sign_event", |keys, request| {
        sleep(Duration::from_secs(4));
        honest(keys, request)
    });
    machine.pair(&mock, &bunker);
    let quiet = machine.nest(&mock).args(["restart", "demo", "-q"]).run().expect(0);
    assert_eq!(quiet.stderr, "");

    let (mock, bunker, machine) = but("sign_event", |_, _| Vec::new());
    machine.pair(&mock, &bunker);
    for args in ["restart demo", "close demo --yes", "doctor demo", "auth POST https://a.example/", "token demo"] {
        let asked = bunker.seen().len();
        let (mut command, _home) = machine.nest(&mock).args(args.split(' ')).into_parts();
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let since = Instant::now();
        while bunker.seen().len() == asked {
            assert!(since.elapsed() < Duration::from_secs(10), "{args}");
            sleep(Duration::from_millis(5));
        }
        kill_process(Pid::from_child(&child), Signal::INT).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(130), "{args}");
        assert!(since.elapsed() < Duration::from_secs(10), "{args}");
    }
}

/// A pipe that never ends keeps nobody.
#[test]
fn a_body_that_never_ends_is_not_waited_for() {
    let mock = mock(&[]);
    let nest = Nest::new(&mock).args(["auth", "POST", "https://a.example/", "--body", "-"]);
    let (mut command, _home) = nest.into_parts();
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    // Whoever waits for the child closes it otherwise.
    let stdin = child.stdin.take();
    while !catches(&child, Signal::TERM) {
        sleep(Duration::from_millis(1));
    }
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(143));
    drop(stdin);
}

#[test]
fn one_key_takes_the_place_of_another_only_where_that_is_said() {
    let (mock, bunker, machine) = scene(honest);
    let config = machine.0.path().join("nest/config.toml");
    std::fs::create_dir(config.parent().unwrap()).unwrap();
    std::fs::write(&config, "key-file = 'host.key'\n[profile.phone]\nbunker = 'main'\n").unwrap();
    let paired = machine.nest(&mock).args(["key", "connect", "-"]).stdin(bunker.uri()).run().expect(0);
    assert!(paired.stdout.contains("to be used with --bunker main"), "{paired:?}");
    assert!(machine.read("nest/config.toml").starts_with("key-file"));
    machine.nest(&mock).args(["restart", "demo", "--profile", "phone"]).run().expect(0);
    machine.nest(&mock).args(["restart", "demo", "--bunker", "main"]).run().expect(0);
    let uri = format!("bunker = '{}'\n", bunker.uri());
    std::fs::write(&config, uri).unwrap();
    for args in ["restart demo", "restart demo --json"] {
        let wrong = machine.nest(&mock).args(args.split(' ')).run();
        says(&wrong, 2, &["`bunker` is not the name of a signer", "nest key connect"]);
        assert!(!format!("{}{}", wrong.stdout, wrong.stderr).contains(SECRET), "{wrong:?}");
    }
    std::fs::write(&config, "key-file = 'host.key'\nbunker = 'main'\n").unwrap();
    says(
        &machine.nest(&mock).args(["restart", "demo"]).run(),
        2,
        &["`key-file` and `bunker` both say where the key is"],
    );
}

#[test]
fn it_can_be_begun_with() {
    let (mock, bunker, machine) = scene(honest);
    let config = machine.0.path().join("nest/config.toml");
    machine.pair(&mock, &bunker);
    std::fs::remove_file(&config).unwrap();
    let begun = machine.nest(&mock).args(["init", &mock.api(), "--bunker", "main", "--no-timer", "-y", "--json"]).run();
    assert_eq!(begun.expect(0).document()["keySource"], "the signer main");
    assert!(machine.read("nest/config.toml").contains("bunker = \"main\""));
    let again = machine.nest(&mock).args(["init", &mock.api(), "--key-file", "k", "--no-timer", "-y"]);
    says(
        &again.file("k", &mock.host().secret_key().to_secret_hex(), 0o600).run(),
        2,
        &["names a key: bunker = \"main\""],
    );
    let words = machine.nest(&mock).args(["completions", "--words", "signers"]).run().expect(0).stdout;
    assert_eq!(words, format!("main\t{}\n", mock.host().public_key().to_bech32().unwrap()));
}

#[test]
fn a_nest_on_media_over_quic_is_restarted_by_it() {
    let mock = Mock::start(Options { moq: true, ..Options::default() }).unwrap();
    let (bunker, machine) = (Bunker::start(mock.host(), &mock.relay(), honest), Machine::new());
    machine.pair(&mock, &bunker);
    machine.nest(&mock).without("NEST_API").args(["restart", DEMO_MOQ, "--keep=100ms", "-q"]).run().expect(0);
    let signed: Vec<_> = bunker.seen().into_iter().filter(|(method, _)| method == "sign_event").collect();
    for kind in ["30312", "10312"] {
        assert!(signed.iter().any(|(_, params)| params[0].contains(&format!("\"kind\":{kind}"))), "{kind}: {signed:?}");
    }
}

#[test]
fn nothing_of_a_signer_is_told_that_nobody_should_know() {
    let (mock, bunker, machine) = scene(honest);
    let mut outputs =
        vec![machine.nest(&mock).args(["key", "connect", "-", "-vv"]).stdin(bunker.uri()).run().expect(0)];
    for args in ["restart demo -vv", "key show -vv", "key list --json", "doctor demo -vv"] {
        outputs.push(machine.nest(&mock).args(args.split(' ')).run().expect(0));
    }
    let uri = bunker.uri();
    outputs.push(machine.nest(&mock).env("NEST_BUNKER", &uri).args(["restart", "demo", "-vv"]).run().expect(0));
    // One that says again what it was given.
    let (other, echo, elsewhere) = but("connect", |_, (_, params)| {
        vec![Reply::Error(Box::leak(format!("no {} and secret={}", params[1], params[1]).into_boxed_str()))]
    });
    for args in ["key connect - --json -vv", "key connect - -vv", "restart demo --json -vv", "doctor demo -vv"] {
        let nest = elsewhere.nest(&other).env("NEST_BUNKER", echo.uri()).args(args.split(' ')).stdin(echo.uri());
        let output = nest.run();
        assert!(output.code == 3 || args.starts_with("doctor"), "{output:?}");
        outputs.push(output);
    }
    let kept: serde_json::Value = serde_json::from_str(&machine.read("nest/signers/main.json")).unwrap();
    let mut secrets = Secrets::of(&mock);
    secrets.0.push(("the secret of the pairing", SECRET.into()));
    secrets.0.push(("the client's key", kept["clientKey"].as_str().unwrap().to_owned()));
    for output in outputs {
        secrets.none_in(&format!("{}{}", output.stdout, output.stderr), "a signer");
    }
}
