//! `nest list`: what Nostr, the API and LiveKit say of each nest, side by side.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use expectrl::{Eof, Expect as _, Session};
use nostr_nests::server::Mock;
use nostr_sdk::nips::nip19::ToBech32 as _;
use nostr_sdk::{Event, JsonUtil as _, Keys};
use serde_json::{Value, json};

use crate::support::nest::{self, Nest, mock};
use crate::support::nostr_client::{NostrClient, Relay, event, now, read_only, remember};
use crate::support::raw::Raw;
use crate::support::tls;

fn guest(id: &str) -> String {
    format!("/api/v1/nests/{id}/guest")
}

/// A nest of each kind, beside `demo`, which runs.
fn house(mock: &Mock) -> Vec<Event> {
    let host = mock.host();
    let api = format!("{}/api/v1/nests", mock.api());
    let (ended, soon) = ((now() - 60).to_string(), (now() + 3600).to_string());
    for id in ["asleep", "planned", "private", "closed", "ended", "past"] {
        remember(mock, id);
    }
    Nest::new(mock).args(["restart", "demo"]).run().expect(0);
    let service = &["service", &api][..];
    vec![
        event(host, "asleep", 100, &[&["title", "Asleep"], &["status", "live"], service]),
        event(host, "planned", 200, &[&["title", "Planned"], &["status", "planned"], &["starts", &soon], service]),
        event(host, "private", 300, &[&["room", "Private"], &["status", "private"], service]),
        event(host, "lost", 400, &[&["room", "Lost"], &["status", "open"], service]),
        event(host, "closed", 500, &[&["room", "Closed"], &["status", "closed"], service]),
        event(host, "ended", 600, &[&["title", "Ended"], &["status", "ended"], service]),
        event(host, "past", 700, &[&["title", "Past"], &["status", "live"], &["ends", &ended], service]),
        event(host, "quic", 800, &[&["title", "Quic"], &["status", "live"], &["streaming", "https://127.0.0.1:1"]]),
        event(host, "homeless", 900, &[&["title", "Homeless"], &["status", "open"]]),
        event(host, "vague", 950, &[&["title", "Vague"], &["status", "maybe"], service]),
    ]
}

fn list(mock: &Mock) -> Nest {
    Nest::new(mock).without("NEST_API").env("NEST_RELAYS", mock.relay()).args(["list"])
}

fn states(rows: &[Value]) -> BTreeMap<String, String> {
    let text = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
    rows.iter().map(|row| (text(row, "roomId"), text(row, "state"))).collect()
}

#[test]
fn one_row_a_nest_of_every_kind() {
    let mock = mock(&[]);
    let outside = NostrClient::at(&mock.relay());
    for event in house(&mock) {
        outside.publish(&event);
    }
    let output = list(&mock).args(["--json"]).run().expect(0);
    let rows = output.documents();
    assert_eq!(output.stdout.lines().count(), rows.len(), "one document a line");
    let expected = [
        ("asleep", "inactive"),
        ("closed", "over"),
        ("demo", "running"),
        ("ended", "over"),
        ("homeless", "notChecked"),
        ("lost", "gone"),
        ("past", "over"),
        ("planned", "planned"),
        ("private", "inactive"),
        ("quic", "inactive"),
        ("vague", "notChecked"),
    ];
    assert_eq!(states(&rows), expected.map(|(id, state)| (id.to_owned(), state.to_owned())).into());
    for id in ["closed", "ended", "past", "quic", "homeless", "vague"] {
        assert_eq!(mock.requests(&guest(id)), 0, "the API is asked only for what is open: {id}");
    }
    assert_eq!(mock.requests("/rtc"), 0, "nobody joins");
    let row = |id: &str| rows.iter().find(|row| row["roomId"] == id).unwrap();
    let asleep = row("asleep");
    assert_eq!(
        (&asleep["title"], &asleep["status"], &asleep["record"]),
        (&json!("Asleep"), &json!("live"), &json!(true))
    );
    assert_eq!((&row("demo")["people"], &row("lost")["record"]), (&json!(0), &json!(false)));
    assert_eq!(asleep["host"], mock.host().public_key().to_hex());
    let (link, naddr) = (asleep["link"].as_str().unwrap(), asleep["naddr"].as_str().unwrap());
    assert_eq!(link, format!("{}/{naddr}", mock.api()));
    // Its link is a name for the other commands.
    Nest::new(&mock).without("NEST_API").args(["restart", link]).run().expect(0);
    assert!(row("quic")["link"].as_str().unwrap().starts_with("https://nostrnests.com/naddr1"));

    let inactive = list(&mock).args(["--inactive", "--json"]).run().expect(0);
    let inactive_states = states(&inactive.documents());
    assert_eq!(inactive_states.keys().collect::<Vec<_>>(), ["lost", "private", "quic"]);
    assert!(inactive.stderr.contains("Vague: not known whether it is inactive"), "{}", inactive.stderr);
}

#[test]
fn a_pipe_gets_whole_lines_without_colours_and_a_terminal_what_fits() {
    let mock = mock(&[]);
    let outside = NostrClient::at(&mock.relay());
    for event in house(&mock) {
        outside.publish(&event);
    }
    let evil = event(
        mock.host(),
        "evil",
        10,
        &[&["title", "red \u{1b}[31m\u{202e}日本語の部屋の長い名前がここに"], &["status", "closed"]],
    );
    outside.publish(&evil);
    let piped = list(&mock).run().expect(0).stdout;
    assert!(!piped.contains('\u{1b}') && !piped.contains('\u{202e}') && !piped.contains('…'), "{piped}");
    assert_eq!(piped.lines().count(), 12);
    assert_eq!(piped.lines().filter(|line| line.contains("/naddr1")).count(), 12, "{piped}");

    for (columns, color) in [(40, "always"), (80, "always"), (72, "never"), (160, "always")] {
        let nest = list(&mock).args(["--color", color]).env("TERM", "xterm-256color");
        let (nest, _home) = nest.env("FORCE_HYPERLINK", "1").into_parts();
        // The terminal has its size before the program asks for it: the library sets another one once the shell runs.
        let mut command = Command::new("sh");
        command.arg("-c").arg(format!("read -r _ && stty cols {columns} && exec \"$0\" \"$@\""));
        command.arg(nest.get_program()).args(nest.get_args()).env_clear();
        command.envs(nest.get_envs().filter_map(|(name, value)| Some((name, value?)))).env("PATH", "/usr/bin:/bin");
        let mut terminal = Session::spawn(command).unwrap();
        terminal.set_expect_timeout(Some(Duration::from_secs(20)));
        terminal.send_line("").unwrap();
        let screen = terminal.expect(Eof).unwrap();
        let screen = String::from_utf8_lossy(screen.as_bytes()).into_owned();
        let rows: Vec<_> = screen.lines().filter(|line| line.contains('@')).collect();
        assert!(rows.len() >= 12, "{screen}");
        for row in &rows {
            // The address behind a link takes no place.
            let shown = row.split("\u{1b}\\").map(|part| part.split("\u{1b}]8;;").next().unwrap()).collect::<String>();
            let width = console::measure_text_width(shown.trim_end());
            assert_eq!(row.contains("\u{1b}]8;;http"), color == "always", "{row}");
            assert!(width < columns, "{columns}: {width}: {row:?}");
        }
        assert!(screen.contains("NAME") && screen.contains("TITLE") && screen.contains("STATE"), "{screen}");
        assert_eq!(rows.iter().any(|row| row.contains("\u{1b}[")), color == "always", "{rows:?}");
    }
}

#[test]
fn a_short_name_is_known_to_every_command_and_to_nobody_else() {
    let mock = mock(&[]);
    let outside = NostrClient::at(&mock.relay());
    let api = mock.api();
    let service = &["service", &api][..];
    for id in ["one", "two"] {
        remember(&mock, id);
        outside.publish(&event(mock.host(), id, 10, &[&["title", "Twin"], &["status", "open"], service]));
    }
    let home = tempfile::tempdir().unwrap();
    let config = "[alias]\nweekly = 'two'\n";
    let nest = |args: &[&str]| {
        let nest = Nest::new(&mock).without("NEST_API").env("NEST_RELAYS", mock.relay());
        nest.env("XDG_STATE_HOME", home.path()).args(args)
    };
    let rows = nest(&["list", "--json"]).run().expect(0).documents();
    let short = |id: &str| {
        let row = rows.iter().find(|row| row["roomId"] == id).unwrap();
        row["shortId"].as_str().unwrap().to_owned()
    };
    let (one, two) = (short("one"), short("two"));
    assert!(one != two && one.starts_with('@') && one.len() == 5, "{one} {two}");
    let known = home.path().join("nest/short-names.json");
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&known.metadata().unwrap().permissions()) & 0o777, 0o600);
    // It stays the same, and the list of a person has it first, whole and beside the title.
    let text = nest(&["list"]).run().expect(0).stdout;
    for short in [&one, &two] {
        assert!(text.lines().any(|line| line.starts_with(&format!("{short}  Twin"))), "{text}");
    }

    // Every command takes it, from here alone: what is sent is the id.
    let restarted = nest(&["restart", &one, "--json"]).run().expect(0).document();
    assert_eq!(restarted["roomId"], "one");
    for command in ["status", "check", "token", "doctor", "open", "close", "restart"] {
        let output = nest(&[command, &two, "--json"]).env("PATH", "/nowhere").stdin("").run();
        assert!(output.code != 2, "{command}: {output:?}");
        let document = output.documents().into_iter().next().unwrap_or_default();
        assert!(document["roomId"] == "two" || matches!(command, "doctor" | "open"), "{command}: {output:?}");
    }
    for path in ["guest", "restart", "info"] {
        assert_eq!(mock.requests(&format!("/api/v1/nests/{}/{path}", one.replace('@', "%40"))), 0);
    }
    // A hint names the nest as it was named.
    let status = nest(&["status", &short("demo")]).run().expect(10);
    assert!(
        status.stdout.contains(&format!("nest restart {}", short("demo"))) || status.stderr.contains(&short("demo"))
    );

    // An alias comes first, and one that no list has shown is none.
    let file = home.path().join("config.toml");
    std::fs::write(&file, config).unwrap();
    let rows = nest(&["list", "--json", "--config", file.to_str().unwrap()]).run().expect(0).documents();
    let shown = |id: &str| rows.iter().find(|row| row["roomId"] == id).unwrap()["shortId"].as_str();
    assert_eq!((shown("one"), shown("two")), (Some(&*one), Some("@weekly")));
    let words = nest(&["completions", "--words", "nests", "--config", file.to_str().unwrap()]).run().expect(0).stdout;
    assert!(words.contains("@weekly\tTwin\n") && words.contains(&format!("{one}\tTwin\n")), "{words}");
    let unknown = Nest::new(&mock).args(["restart", &one]).run().expect(2);
    assert!(unknown.stderr.contains("no list has shown such a nest"), "{unknown:?}");
    // A bare id is what it is, byte for byte.
    let bare = Nest::new(&mock).args(["restart", one.trim_start_matches('@')]).run().expect(6);
    assert_eq!(mock.requests(&format!("/api/v1/nests/{}/restart", &one[1..])), 1, "{bare:?}");
}

#[test]
fn the_announced_limit_is_never_passed() {
    for limit in [6, 15, 40] {
        let mock = mock(&[&format!("rate-limit={limit}")]);
        let api = mock.api();
        let nests: Vec<_> = (0..30u64)
            .map(|n| event(mock.host(), &format!("room-{n}"), n, &[&["status", "open"], &["service", &api]]))
            .collect();
        let relay = Relay::with(nests);
        let output = Nest::new(&mock).env("NEST_RELAYS", &relay.url).args(["list", "--json"]).run().expect(0);
        let rows = states(&output.documents());
        let unchecked = rows.values().filter(|state| *state == "notChecked").count();
        assert!(mock.all_requests() < limit, "{} of {limit}", mock.all_requests());
        assert_eq!(rows.len(), 30);
        assert!(unchecked >= 30usize.saturating_sub(limit) && unchecked < 30, "{limit}: {unchecked}");
        // There is something left for what the host does next.
        Nest::new(&mock).args(["restart", "demo"]).run().expect(0);
    }
}

#[test]
fn the_api_is_asked_while_relays_still_answer() {
    let mock = Arc::new(mock(&[]));
    let ids = ["a", "b", "c", "d", "e"];
    let nests = ids.map(|id| event(mock.host(), id, 9, &[&["status", "open"], &["service", &mock.api()]]));
    // Open on one relay, and over by a newer version on another: that is not asked for.
    let [old, new] = [("open", 9), ("closed", 5)]
        .map(|(status, age)| event(mock.host(), "over", age, &[&["status", status], &["service", &mock.api()]]));
    let (quick, newer) = (Relay::with([&nests[..], &[old]].concat()), Relay::with(vec![new]));
    // One that has something to add, once the API has been asked for all the others.
    let late = event(mock.host(), "late", 5, &[&["status", "closed"], &["service", &mock.api()]]);
    let asked = mock.clone();
    let slow = read_only(vec![late], move || ids.iter().all(|id| asked.requests(&guest(id)) == 1));
    let relays = format!("{slow},{},{}", quick.url, newer.url);
    let rows = Nest::new(&mock).env("NEST_RELAYS", relays).args(["list", "--json"]).run().expect(0).documents();
    let rows = states(&rows);
    assert_eq!((rows.len(), rows.get("late").map(String::as_str)), (7, Some("over")), "{rows:?}");
    assert_eq!((rows["over"].as_str(), mock.requests(&guest("over"))), ("over", 0));
    assert!(ids.iter().all(|id| rows[*id] == "gone" && mock.requests(&guest(id)) == 1), "{rows:?}");
}

#[test]
fn two_hundred_events_are_asked_for_once() {
    let host = Keys::generate();
    let mock = mock(&[]);
    let nests: Vec<_> = (0..200u64)
        .map(|n| {
            let status = if n % 2 == 0 { "open" } else { "closed" };
            event(&host, &format!("room-{n}"), n, &[&["status", status], &["service", &mock.api()]])
        })
        .collect();
    let relay = Relay::with(nests);
    let npub = host.public_key().to_bech32().unwrap();
    let output = Nest::alone().args(["list", "--json", "--host", &npub, "--relay", &relay.url]).run().expect(0);
    assert_eq!(states(&output.documents()).len(), 200);
    assert_eq!(mock.all_requests(), 200, "two a nest that is open");
}

#[test]
fn rows_appear_as_answers_arrive() {
    let mock = mock(&["no-answer@guest"]);
    let other = nest::mock(&[]);
    let host = mock.host();
    let events = vec![
        event(host, "silent", 1, &[&["status", "open"], &["service", &mock.api()]]),
        event(host, "quick", 2, &[&["status", "open"], &["service", &other.api()]]),
        event(host, "over", 3, &[&["status", "closed"]]),
    ];
    let relay = Relay::with(events);
    let nest =
        Nest::new(&mock).without("NEST_API").env("NEST_RELAYS", &relay.url).args(["list", "--json", "--timeout", "4s"]);
    let (mut command, _home) = nest.into_parts();
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(|line| line.unwrap());
    let mut following = || serde_json::from_str::<Value>(&lines.next().unwrap()).unwrap()["roomId"].clone();
    assert_eq!([following(), following()], ["over", "quick"]);
    let since = Instant::now();
    assert_eq!(following(), "silent");
    assert!(since.elapsed() > Duration::from_secs(1), "{:?}", since.elapsed());
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_server_that_does_not_answer_is_asked_once() {
    let dead = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let silent = Raw::answering("");
    let host = Keys::generate();
    let nests = |api: &str| -> Vec<Event> {
        let event = |n| event(&host, &format!("room-{n}"), n, &[&["status", "open"], &["service", api]]);
        (0..20).map(event).collect()
    };
    for (api, why) in [(format!("http://{dead}"), "cannot reach"), (silent.url(), "")] {
        let relay = Relay::with(nests(&api));
        let key = host.public_key().to_hex();
        let output = Nest::alone().args(["list", "--json", "--host", &key, "--relay", &relay.url]).run().expect(0);
        let rows = output.documents();
        assert_eq!(rows.len(), 20);
        assert!(rows.iter().all(|row| row["state"] == "unknown"), "{rows:?}");
        assert!(rows[0]["why"].as_str().unwrap().contains(why), "{}", rows[0]);
    }
    assert_eq!(silent.asked(), 1);
}

#[test]
fn relays_that_fail_are_told_and_the_newest_version_wins() {
    let host = Keys::generate();
    let old = event(&host, "weekly", 500, &[&["title", "Old"], &["status", "live"]]);
    let new = event(&host, "weekly", 5, &[&["title", "New"], &["status", "ended"]]);
    let mut forged: Value =
        serde_json::from_str(&event(&host, "forged", 1, &[&["status", "closed"]]).as_json()).unwrap();
    forged["content"] = json!("changed");
    let forged = Event::from_json(forged.to_string()).unwrap();
    let (first, second) = (Relay::with(vec![old, forged]), Relay::with(vec![new]));
    let dead = format!("ws://{}", TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap());
    let npub = host.public_key().to_bech32().unwrap();
    let list = |relays: &[&str]| {
        Nest::alone().env("NEST_RELAYS", relays.join(",")).args(["list", "--json", "--host", &npub]).run()
    };
    let output = list(&[&first.url, &dead, &second.url]).expect(0);
    let row = output.document();
    assert_eq!((&row["title"], &row["state"]), (&json!("New"), &json!("over")));
    assert!(output.stderr.contains(&format!("warning: {dead}")), "{}", output.stderr);
    let all_down = list(&[&dead]).expect(8);
    assert_eq!(all_down.document()["error"]["kind"], "unreachable");
    let nothing = Relay::with(Vec::new());
    let nobody = list(&[&nothing.url]).expect(0);
    assert_eq!(nobody.stdout, "");
    assert!(nobody.stderr.contains("no nest of this host"), "{}", nobody.stderr);
}

#[test]
fn a_host_may_be_named_by_address() {
    let host = Keys::generate();
    let relay = Relay::with(vec![event(&host, "weekly", 5, &[&["title", "Weekly"], &["status", "closed"]])]);
    let hex = host.public_key().to_hex();
    let document = json!({ "names": { "bob": hex, "_": hex }, "relays": { hex.clone(): [relay.url] } }).to_string();
    let http = |head: &str, body: &str| {
        format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len()).into_bytes()
    };
    let well_known = Raw::with({
        let (found, moved) = (http("200 OK", &document), http("301 Moved\r\nLocation: https://elsewhere.example", ""));
        move |_, line: &str| if line.contains("name=moved") { moved.clone() } else { found.clone() }
    });
    let authority = tls::Authority::new();
    let port = authority.front("localhost", tls::NOW, well_known.address());
    let list = |name: &str| {
        let nest = Nest::alone().file("ca.pem", &authority.pem, 0o644);
        nest.args(["list", "--json", "--cacert", "ca.pem", "--host", &format!("{name}localhost:{port}")]).run()
    };
    for name in ["bob@", "BOB@", ""] {
        let output = list(name).expect(0);
        assert_eq!(output.document()["title"], "Weekly", "{name}: its relays are those of the document");
    }
    for (name, why) in [("eve@", "does not know the name"), ("moved@", "redirects")] {
        let refused = list(name).expect(2);
        assert!(refused.stderr.contains(why), "{}", refused.stderr);
    }
    assert_eq!(well_known.asked(), 5);
    let stranger = Nest::alone().args(["list", "--host", "bob"]).run().expect(2);
    assert!(stranger.stderr.contains("bob@example.com"), "{}", stranger.stderr);
}

#[test]
fn whose_nests_is_never_guessed() {
    let output = Nest::alone().args(["list"]).run().expect(2);
    assert!(output.stderr.contains("whose nests?") && output.stderr.contains("--host npub1"), "{}", output.stderr);
    Nest::alone().args(["list", "--output", "token"]).run().expect(2);
}

#[test]
fn the_mock_has_something_to_list() {
    let nest = env!("CARGO_BIN_EXE_nest");
    let output = Nest::alone().env("PATH", "/usr/bin:/bin").args(["mock", "--", nest, "list"]).run().expect(0);
    let rows: Vec<_> = output.stdout.lines().map(|row| row.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert!(rows.iter().any(|row| row.contains(" Demo nest open inactive")), "{rows:?}");
    assert!(rows.iter().any(|row| row.contains(" Demo nest on Media over QUIC live inactive")), "{rows:?}");
}
