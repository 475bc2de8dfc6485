//! No ROOM: a person at the terminal chooses, and nobody else is asked.

use expectrl::Expect as _;
use nostr_nests::server::Mock;

use crate::support::nest::{Nest, mock};
use crate::support::nostr_client::{NostrClient, Relay, event, remember, value};
use crate::support::terminal::Terminal;

const DOWN: &str = "\u{1b}[B";

fn at(mock: &Mock, args: &[&str]) -> Terminal {
    Terminal::at(Nest::new(mock).without("NEST_API").env("NEST_RELAYS", mock.relay()).args(args))
}

fn restarts(mock: &Mock, id: &str) -> usize {
    mock.requests(&format!("/api/v1/nests/{id}/restart"))
}

#[test]
fn one_inactive_nest_is_that_one_and_asked() {
    let mock = mock(&[]);
    let over = event(mock.host(), "over", 5, &[&["title", "Over"], &["status", "ended"], &["service", &mock.api()]]);
    NostrClient::at(&mock.relay()).publish(&over);
    let mut person = at(&mock, &["restart"]);
    person.sees("Demo nest is inactive. Restart it?");
    person.session.send("n\r").unwrap();
    let (screen, code) = person.ends();
    assert_eq!((code, restarts(&mock, "demo")), (1, 0), "{screen}");

    let mut person = at(&mock, &["restart"]);
    person.sees("Restart it?");
    person.session.send("y\r").unwrap();
    let (screen, code) = person.ends();
    assert_eq!((code, restarts(&mock, "demo")), (0, 1), "{screen}");
}

#[test]
fn one_of_several_is_chosen() {
    let mock = mock(&[]);
    let outside = NostrClient::at(&mock.relay());
    for (id, title, age, status) in
        [("b", "Beta \u{1b}[2J", 50, "live"), ("c", "Gamma", 60, "live"), ("d", "Delta", 1, "ended")]
    {
        remember(&mock, id);
        let tags = [&["title", title][..], &["status", status], &["service", &mock.api()]];
        outside.publish(&event(mock.host(), id, age, &tags));
    }
    let mut person = at(&mock, &["restart", "--yes"]);
    person.sees("Restart which nest");
    // What is over comes last.
    person.sees("Delta");
    person.session.send(DOWN).unwrap();
    person.session.send("\r").unwrap();
    let (screen, code) = person.ends();
    assert_eq!((code, restarts(&mock, "b")), (0, 1), "{screen}");
    assert_eq!(restarts(&mock, "demo") + restarts(&mock, "c") + restarts(&mock, "d"), 0);

    let mut person = at(&mock, &["close"]);
    person.sees("Close which nest");
    person.session.send("\r").unwrap();
    person.sees("for good?");
    person.session.send("y\r").unwrap();
    let (screen, code) = person.ends();
    assert_eq!(code, 0, "{screen}");
    assert_eq!(value(&outside.nest(mock.host().public_key(), "demo"), "status"), Some("closed"), "{screen}");

    for (keys, code) in [("\u{1b}", 1), ("\u{3}", 130)] {
        let mut person = at(&mock, &["close"]);
        person.sees("Close which nest");
        person.session.send(keys).unwrap();
        let (screen, ended) = person.ends();
        assert_eq!(ended, code, "{screen}");
        assert!(screen.contains("\u{1b}[?25h"), "the cursor is back: {screen:?}");
    }
}

#[test]
fn a_lost_nest_is_recreated_after_a_question() {
    let mock = mock(&[]);
    mock.forget("demo");
    let mut person = at(&mock, &["recreate"]);
    person.sees("Demo nest is gone from its server. Recreate it?");
    person.session.send("y\r").unwrap();
    person.sees("The server has lost Demo nest.");
    person.session.send("y\r").unwrap();
    let (screen, code) = person.ends();
    assert_eq!((code, mock.requests("/api/v1/nests")), (0, 1), "{screen}");
}

#[test]
fn nobody_at_the_terminal_is_a_usage_error() {
    let mock = mock(&[]);
    for command in ["restart", "recreate", "close", "open", "status", "check", "token"] {
        let output = Nest::new(&mock).env("NEST_RELAYS", mock.relay()).args([command, "--json"]).run().expect(2);
        assert_eq!(output.document()["error"]["kind"], "usage");
        assert!(output.stderr.contains("which nest?"), "{}", output.stderr);
    }
    assert_eq!(mock.all_requests(), 0);
}

#[test]
fn what_looks_at_a_nest_offers_them_too() {
    let mock = mock(&[]);
    let outside = NostrClient::at(&mock.relay());
    remember(&mock, "b");
    outside.publish(&event(
        mock.host(),
        "b",
        50,
        &[&["title", "Beta"], &["status", "live"], &["service", &mock.api()]],
    ));
    Nest::new(&mock).args(["restart", "b"]).run().expect(0);
    // The one that runs is the one to be joined.
    for (command, question, result) in [
        ("check", "Beta is running, nobody inside. Check it?", "joinable"),
        ("token", "Beta is running, nobody inside. Fetch a token for it?", "eyJ"),
    ] {
        let mut person = at(&mock, &[command]);
        person.sees(question);
        person.session.send("y\r").unwrap();
        if command == "check" {
            person.sees("shortens its life to a minute. Join it?");
            person.session.send("y\r").unwrap();
        }
        let (screen, code) = person.ends();
        assert!(code == 0 && screen.contains(result), "{command} {code}: {screen}");
    }
    let mut person = at(&mock, &["status"]);
    person.sees("Look at which nest");
    person.session.send(DOWN).unwrap();
    person.session.send("\r").unwrap();
    let (screen, code) = person.ends();
    assert!(code == 0 && screen.contains("audio room · nobody inside"), "{screen}");
    let mut person = at(&mock, &["status"]);
    person.sees("Look at which nest");
    person.session.send("\r").unwrap();
    let (screen, code) = person.ends();
    assert!(code == 10 && screen.contains("nest restart naddr1"), "{screen}");
}

#[test]
fn without_a_key_there_is_nothing_to_choose_from() {
    let mock = mock(&[]);
    for command in ["restart", "status", "check", "token"] {
        let (screen, code) = Terminal::at(Nest::alone().env("NEST_RELAYS", mock.relay()).args([command])).ends();
        assert!(code == 2 && screen.contains("no key whose nests could be shown"), "{command}: {screen}");
        assert!(!screen.contains("--host"), "{screen}");
    }
}

#[test]
fn without_a_nest_there_is_nothing_to_choose() {
    let mock = mock(&[]);
    let nothing = Relay::with(Vec::new());
    let nest = Nest::new(&mock).env("NEST_RELAYS", &nothing.url).args(["restart"]);
    let (screen, code) = Terminal::at(nest).ends();
    assert_eq!(code, 6, "{screen}");
    assert!(screen.contains("there is no nest to choose"), "{screen}");
}

#[test]
fn the_page_of_a_nest_is_shown_by_the_browser() {
    let mock = mock(&[]);
    let nest = Nest::new(&mock).env("NEST_RELAYS", mock.relay());
    let bin = nest.home().join("bin");
    let opener = if cfg!(target_os = "macos") { "bin/open" } else { "bin/xdg-open" };
    let kept = tempfile::NamedTempFile::new().unwrap();
    let script = format!("#!/bin/sh\nprintf %s \"$1\" > {}\n", kept.path().display());
    let nest = nest.file(opener, &script, 0o755).env("PATH", format!("{}:/usr/bin:/bin", bin.display()));
    let output = nest.args(["open", "demo"]).run().expect(0);
    let link = output.stdout.trim();
    assert!(link.starts_with(&format!("{}/naddr1", mock.api())), "{link}");
    assert_eq!(std::fs::read_to_string(kept.path()).unwrap(), link);

    let none = Nest::new(&mock).env("NEST_RELAYS", mock.relay()).env("PATH", "/nowhere").args(["open", "demo"]);
    let none = none.args(["--json"]).run().expect(1);
    assert!(none.document()["link"].as_str().unwrap().contains("/naddr1"), "one document: {none:?}");
    assert!(none.stderr.contains("no browser was opened") && none.stderr.contains("yourself"), "{none:?}");
}
