//! Every command that a hint names is run where it was given: it ends well, or names a cause that was not named before.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;

use nostr_nests::server::{DEMO, DEMO_MOQ, Mock, Options};
use serde_json::Value;

use crate::support::nest::{Nest, all_faults, at_once, mock, parse, plain};
use crate::support::room_event;

const VERBS: [&str; 9] =
    ["restart", "check", "status", "doctor", "close", "token", "recreate", "check as a guest", "doctor as a guest"];

/// What a person has to fill in.
const PLACEHOLDERS: [&str; 5] =
    ["--api https://…", "--relay wss://…", "--key-file PATH", "ROOM", "--relay-url https://…"];

/// A person at a shell, at home in a folder with a key, or without.
struct Person<'a> {
    home: tempfile::TempDir,
    mock: &'a Mock,
    has_key: bool,
}

/// What one call came to.
struct Told {
    code: i32,
    document: Value,
    whole: String,
}

impl<'a> Person<'a> {
    fn new(mock: &'a Mock) -> Self {
        let (_, home) = Nest::alone().file("my key", &mock.host().secret_key().to_secret_hex(), 0o600).into_parts();
        Self { home, mock, has_key: true }
    }

    /// Everything is given on the command line, and nothing in the environment: hints have to repeat it.
    fn call(&self, verb: &str, room: &str) -> Told {
        let (api, relay) = (self.mock.api(), self.mock.relay());
        let key = if verb == "status" || !self.has_key { "" } else { " --key-file 'my key'" };
        let yes = if ["close", "recreate"].contains(&verb) { " --yes" } else { "" };
        self.run(&format!("nest {verb} {room} --api {api} --relay {relay}{key}{yes}"))
    }

    fn run(&self, command: &str) -> Told {
        let bin = Path::new(env!("CARGO_BIN_EXE_nest")).parent().unwrap();
        let verb = command.split(' ').nth(1).unwrap();
        let timeout = if verb == "key" { "" } else { " --timeout 2s" };
        let retries = if ["restart", "token", "close", "recreate"].contains(&verb) { " --retries 0" } else { "" };
        let limits = if command.contains("--timeout") { "" } else { timeout };
        let retries = if command.contains("--retries") { "" } else { retries };
        let output = Command::new("/bin/sh")
            .args(["-c", &format!("{command}{limits}{retries} --json")])
            .env_clear()
            .env("HOME", self.home.path())
            .env("PATH", bin)
            .current_dir(self.home.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let document = serde_json::Deserializer::from_slice(&output.stdout).into_iter().next();
        let document: Value = document.and_then(Result::ok).unwrap_or_default();
        let code = output.status.code();
        let whole = format!("{command}: {code:?}\n    {document}\n    {}", String::from_utf8_lossy(&output.stderr));
        Told { code: output.status.code().unwrap_or(-1), document, whole }
    }
}

impl Told {
    #[track_caller]
    fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}", self.whole);
        self
    }

    /// Its hints.
    fn hints(&self) -> String {
        self.document["error"]["hints"].to_string()
    }

    /// The commands that its hints name.
    fn advised(&self) -> BTreeSet<String> {
        let mut commands = BTreeSet::new();
        texts(&self.document, &mut |field, text| {
            let in_backticks = text.split('`').skip(1).step_by(2).filter(|command| command.starts_with("nest "));
            commands.extend(in_backticks.map(str::to_owned));
            let bare = text.starts_with("nest ");
            assert!(!bare || field == "next", "{text}");
            commands.extend(bare.then(|| text.to_owned()));
        });
        commands
    }

    /// What is said to be wrong, piece by piece.
    fn causes(&self, mock: &Mock) -> BTreeSet<String> {
        let mut causes = BTreeSet::new();
        let mut add = |text: &str| causes.extend(plain(text, mock).split(": ").map(without_digits));
        texts(&self.document["error"]["message"], &mut |_, text| add(text));
        for field in ["troubles", "warnings"] {
            texts(&self.document[field], &mut |_, text| add(text));
        }
        for steps in [&self.document["steps"], &self.document["check"]["steps"]] {
            let bad = steps.as_array().into_iter().flatten().filter(|step| step["status"] != "passed");
            bad.for_each(|step| add(step["detail"].as_str().unwrap()));
        }
        causes
    }
}

fn without_digits(text: &str) -> String {
    text.chars().filter(|c| !c.is_ascii_digit()).collect()
}

fn texts(value: &Value, tell: &mut impl FnMut(&str, &str)) {
    fn walk(field: &str, value: &Value, tell: &mut impl FnMut(&str, &str)) {
        match value {
            Value::String(text) => tell(field, text),
            Value::Array(items) => items.iter().for_each(|item| walk(field, item, tell)),
            Value::Object(fields) => fields.iter().for_each(|(field, item)| walk(field, item, tell)),
            _ => {}
        }
    }
    walk("", value, tell);
}

/// The call under this fault, and then what its hints advise. What is wrong with a hint.
fn wrong(verb: &str, fault: &str) -> Vec<String> {
    let mock = mock(&[]);
    let mut person = Person::new(&mock);
    // Everybody but a restart finds the nest running; a new one takes the place of one that is lost.
    if !["restart", "recreate"].contains(&verb) {
        person.call("restart", DEMO).expect(0);
    }
    let (verb, guest) = verb.split_once(" as ").map_or((verb, false), |(verb, _)| (verb, true));
    person.has_key = !guest;
    // Most faults strike a restart; the one of the relay only that.
    let own = verb == "restart" || fault == "relay-auth";
    let everywhere = if own { fault.to_owned() } else { format!("{fault}@api") };
    let lost = if verb == "recreate" { vec!["lost-record@info"] } else { Vec::new() };
    mock.set_faults(parse(&[&[everywhere.as_str()], lost.as_slice()].concat()));
    let room = if verb == "recreate" { room_event::naddr(&mock) } else { DEMO.to_owned() };
    followed(&person, &person.call(verb, &room)).into_iter().map(|why| format!("{fault} × {verb}: {why}")).collect()
}

/// Runs what is advised; says what does not help.
fn followed(person: &Person<'_>, told: &Told) -> Vec<String> {
    let known = told.causes(person.mock);
    let mut wrong = Vec::new();
    for command in told.advised() {
        if PLACEHOLDERS.iter().any(|placeholder| command.contains(placeholder)) || command.contains("--max-wait 9") {
            continue;
        }
        let helped = person.run(&command);
        let causes = helped.causes(person.mock);
        // What has to be confirmed says so, and how.
        let unconfirmed = causes.iter().any(|cause| cause.contains("has to be confirmed"));
        if unconfirmed {
            wrong.extend(followed(person, &helped));
        }
        if helped.code == 2 && !unconfirmed || helped.code != 0 && causes.is_subset(&known) {
            wrong.push(format!("{}\n  {}", told.whole, helped.whole));
        }
    }
    wrong
}

#[test]
fn what_a_hint_advises_helps_or_says_more() {
    let cases: Vec<_> = VERBS.iter().flat_map(|verb| all_faults().map(move |fault| (*verb, fault))).collect();
    let wrongs = Mutex::new(Vec::new());
    at_once(&cases, |(verb, fault)| {
        let found = wrong(verb, fault);
        wrongs.lock().unwrap().extend(found);
    });
    let wrongs = wrongs.into_inner().unwrap();
    assert!(wrongs.is_empty(), "{} of {} cases:\n{}", wrongs.len(), cases.len(), wrongs.join("\n"));
}

/// A nest on Media over QUIC, dead in each way.
#[test]
fn so_does_what_is_advised_for_media_over_quic() {
    let deaths = ["alone", "open", "old-names", "ended"].map(|event| format!("moq-event={event}"));
    let servers =
        ["quic-down", "drop-before@auth", "status=500@auth", "status=404@auth", "redirect@auth", "clock=2001"];
    let faults = deaths.iter().map(String::as_str).chain(servers);
    let cases: Vec<_> =
        faults.flat_map(|fault| ["restart", "status", "check", "token", "close"].map(|verb| (verb, fault))).collect();
    let wrongs = Mutex::new(Vec::new());
    at_once(&cases, |(verb, fault)| {
        let mock = Mock::start(Options { faults: parse(&[fault]), moq: true, ..Options::default() }).unwrap();
        let person = Person::new(&mock);
        wrongs.lock().unwrap().extend(followed(&person, &person.call(verb, DEMO_MOQ)));
    });
    let wrongs = wrongs.into_inner().unwrap();
    assert!(wrongs.is_empty(), "{} of {} cases:\n{}", wrongs.len(), cases.len(), wrongs.join("\n"));
}

#[test]
fn a_nest_that_is_over_is_not_restarted_without_a_record() {
    let mock = mock(&[]);
    let (person, naddr) = (Person::new(&mock), room_event::naddr(&mock));
    person.call("restart", DEMO).expect(0);
    person.call("close", DEMO).expect(0);
    let over = person.call("status", &naddr).expect(10);
    assert!(over.hints().contains(&format!("`nest recreate {naddr} --api")), "{}", over.whole);
    assert_eq!(followed(&person, &over), [""; 0]);
}

/// What no relay has an event of cannot be recreated.
#[test]
fn what_nobody_knows_is_not_recreated() {
    let mock = mock(&[]);
    let person = Person::new(&mock);
    for verb in ["restart", "close"] {
        let told = person.call(verb, "nobodys").expect(6);
        assert!(!told.hints().contains("recreate"), "{}", told.whole);
        assert_eq!(followed(&person, &told), [""; 0]);
    }
    let nobodys = format!("30312:{}:nobodys", mock.host().public_key());
    for verb in ["restart", "check", "status", "doctor"] {
        let told = person.call(verb, &nobodys);
        assert!(told.code != 0 && !told.whole.contains("nest recreate"), "{}", told.whole);
    }
}

#[test]
fn a_host_is_not_told_to_write_to_the_host() {
    for fault in ["wrong-secret", "status=500@guest"] {
        let mock = mock(&[]);
        let mut person = Person::new(&mock);
        person.call("restart", DEMO).expect(0);
        mock.set_faults(parse(&[fault]));
        let check = |person: &Person<'_>| {
            let (api, key) = (mock.api(), if person.has_key { " --key-file 'my key'" } else { "" });
            person.run(&format!("nest check {DEMO} --join --api {api} --relay {}{key}", mock.relay())).hints()
        };
        assert!(!check(&person).contains("npub1"), "{fault}: {}", check(&person));
        person.has_key = false;
        assert!(check(&person).contains("npub1"), "{fault}: {}", check(&person));
    }
}

/// Waiting brings no record back.
#[test]
fn nobody_is_told_to_wait_where_that_cannot_help() {
    let mock = mock(&["lost-record"]);
    let person = Person { has_key: false, ..Person::new(&mock) };
    let told = person.call("check", DEMO).expect(6);
    assert!(!told.hints().contains("wait") && told.advised().is_empty(), "{}", told.whole);
}

#[test]
fn a_redirect_is_followed_by_the_same_command() {
    let mock = mock(&["redirect@delete", "redirect@create", "lost-record@info"]);
    let person = Person::new(&mock);
    for verb in ["close", "recreate"] {
        let told = person.call(verb, DEMO).expect(7);
        let advised = told.advised();
        let command = advised.first().unwrap();
        assert!(command.starts_with(&format!("nest {verb} {DEMO}")), "{}", told.whole);
        assert_eq!(command.matches("--api").count(), 1, "{command}");
        assert!(command.contains(&format!("--api {}/moved", mock.api())), "{command}");
        assert_eq!(followed(&person, &told), [""; 0]);
    }
}

#[test]
fn a_nest_keeps_the_name_that_it_was_called_by() {
    let mock = mock(&[]);
    let config = format!("api = {:?}\nrelays = [{:?}]\n[alias]\nweekly = {DEMO:?}\n", mock.api(), mock.relay());
    let nest = Nest::alone().file(".config/nest/config.toml", &config, 0o600);
    let hints = nest.args(["status", "@weekly", "--json"]).run().expect(10).document()["error"]["hints"].to_string();
    assert!(hints.contains("`nest restart @weekly`"), "{hints}");
}

/// Nobody who wants to remove a key is told to put one there.
#[test]
fn a_key_that_is_not_there_is_not_removed() {
    let error = Nest::alone().args(["key", "remove", "--yes", "--json"]).run().expect(3).document()["error"].clone();
    assert_eq!(error["hints"].to_string(), r#"["`nest key list` shows those that are there"]"#);
    Nest::alone().args(["key", "list"]).run().expect(0);
}

/// A name that was not typed rightly is no nest that was lost.
#[test]
fn what_nobody_knows_is_perhaps_called_otherwise() {
    let mock = mock(&[]);
    for (verb, code) in [("status", 10), ("check", 6), ("token", 6), ("restart", 6)] {
        let nest = Nest::new(&mock).env("NEST_RELAYS", mock.relay()).args([verb, "demmo", "--json"]);
        let error = nest.run().expect(code).document()["error"].clone();
        assert!(
            error["message"].as_str().unwrap().contains("neither the API nor the relays know"),
            "{verb}: {error:#}"
        );
        assert!(error["hints"][0].as_str().unwrap().contains("is the name right"), "{verb}: {error:#}");
    }
    let doctor = Nest::new(&mock).env("NEST_RELAYS", mock.relay()).args(["doctor", "demmo", "--json"]);
    let document = doctor.run().expect(10).document();
    assert!(document["next"].as_str().unwrap().contains("nest list"), "{document:#}");
    // Where no relay answers, nobody knows.
    let unheard = Nest::new(&mock).env("NEST_RELAYS", "ws://127.0.0.1:9").args(["status", "demo-moq", "--json"]);
    assert_eq!(unheard.run().expect(10).document()["state"], "unknown");
}
