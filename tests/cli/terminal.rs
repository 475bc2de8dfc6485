//! What a person at a terminal sees and is asked.

use expectrl::{ControlCode, Expect as _};
use nostr::nips::nip19::ToBech32 as _;
use nostr_nests::server::{Mock, Options};

use crate::support::nest::Nest;
use crate::support::signal::Signal;
use crate::support::terminal::Terminal;

fn mock() -> Mock {
    Mock::start(Options::default()).unwrap()
}

async fn inside(mock: &Mock) -> Signal {
    let restarted = Nest::new(mock).args(["restart", "demo", "--output", "token"]).run().expect(0);
    Signal::join(mock.livekit(), restarted.stdout.trim()).await.unwrap()
}

#[tokio::test]
async fn people_in_the_nest_are_asked_for() {
    let mock = mock();
    let guest = inside(&mock).await;
    let before = mock.room("demo").unwrap().sid;

    let mut person = Terminal::at(Nest::new(&mock).args(["restart", "demo"]));
    person.sees("One person is in this nest and will be disconnected. Restart?");
    person.session.send("n\r").unwrap();
    let (screen, code) = person.ends();
    assert_eq!(code, 1, "{screen}");
    assert_eq!(mock.room("demo").unwrap().sid, before);

    let mut person = Terminal::at(Nest::new(&mock).args(["restart", "demo"]));
    person.sees("Restart?");
    person.session.send("y\r").unwrap();
    let (screen, code) = person.ends();
    assert_eq!(code, 0, "{screen}");
    assert_ne!(mock.room("demo").unwrap().sid, before);
    drop(guest);
}

#[tokio::test]
async fn yes_asks_nothing_and_neither_does_an_empty_nest() {
    let mock = mock();
    let (screen, code) = Terminal::at(Nest::new(&mock).args(["restart", "demo"])).ends();
    assert_eq!(code, 0, "{screen}");
    // For the question, and for the proof.
    assert_eq!(mock.requests("/api/v1/nests/demo/info"), 2);
    let guest = inside(&mock).await;
    let (screen, code) = Terminal::at(Nest::new(&mock).args(["restart", "demo", "--yes"])).ends();
    assert_eq!(code, 0, "{screen}");
    assert!(!screen.contains("Restart?"), "{screen}");
    assert_eq!(mock.requests("/api/v1/nests/demo/info"), 4, "for the proofs alone: {screen}");
    drop(guest);
}

#[test]
fn who_is_inside_is_asked_for_a_second_at_most() {
    let mock = Mock::start(Options { faults: vec!["no-answer@info".parse().unwrap()], ..Options::default() }).unwrap();
    let call = Nest::new(&mock).args(["restart", "demo", "--timeout", "20s", "--json"]);
    let (screen, code) = Terminal::at(call).ends();
    assert_eq!(code, 0, "{screen}");
    let elapsed = screen.split("\"elapsedMs\":").nth(1).and_then(|rest| rest.split([',', '\r', '\n']).next());
    let elapsed_ms: u64 = elapsed.unwrap().trim().parse().unwrap();
    assert!((1000..10_000).contains(&elapsed_ms), "{screen}");
    assert_eq!(mock.requests("/api/v1/nests/demo/restart"), 1);
}

#[test]
fn a_key_is_typed_unseen() {
    let mock = mock();
    let mut person = Terminal::at(Nest::new(&mock).without("NEST_KEY").args(["restart", "demo"]));
    person.sees("Host key");
    let nsec = mock.host().secret_key().to_bech32().unwrap();
    person.types(&nsec);
    let (screen, code) = person.ends();
    assert_eq!(code, 0, "{screen}");
    assert!(!screen.contains(&nsec), "{screen}");
}

#[test]
fn control_c_at_a_question_ends_with_130_and_nothing_sent() {
    let mock = mock();
    let mut person = Terminal::at(Nest::new(&mock).without("NEST_KEY").args(["restart", "demo"]));
    person.sees("Host key");
    person.session.send(ControlCode::EndOfText).unwrap();
    let (screen, code) = person.ends();
    assert_eq!(code, 130, "{screen}");
    assert!(screen.contains("nothing was sent"), "{screen}");
    assert_eq!(mock.all_requests(), 0);
}

#[test]
fn the_spinner_says_what_it_is_doing() {
    let faults = vec!["no-answer".parse().unwrap()];
    let mock = Mock::start(Options { faults, ..Options::default() }).unwrap();
    let mut person = Terminal::at(Nest::new(&mock).args(["restart", "demo", "--timeout", "2s"]));
    person.sees("restarting");
    person.sees("looking");
    assert_eq!(person.ends().1, 0);
}

/// What stands before the error on its line, once the terminal has obeyed.
fn before_the_error(screen: &str) -> String {
    let (before, _) = screen.split_once("error:").unwrap_or_else(|| panic!("{screen}"));
    let line = before.rsplit('\n').next().unwrap();
    line.rsplit("\x1b[2K").next().unwrap().replace(['\r', '\x1b'], "")
}

#[test]
fn control_c_leaves_no_spinner_and_no_half_line() {
    let mock = Mock::start(Options { faults: vec!["no-answer".parse().unwrap()], ..Options::default() }).unwrap();
    let mut person = Terminal::at(Nest::new(&mock).args(["restart", "demo", "--color", "never"]));
    person.sees("restarting");
    person.session.send(ControlCode::EndOfText).unwrap();
    let (screen, code) = person.ends();
    assert_eq!((code, before_the_error(&screen).as_str()), (130, ""), "{screen:?}");
    let (_, after) = screen.split_once("error:").unwrap();
    assert!(!after.contains("restarting"), "it draws itself again: {screen:?}");

    let mut person = Terminal::at(Nest::new(&mock).without("NEST_KEY").args(["restart", "demo", "--color", "never"]));
    person.sees("Host key (nsec, ncryptsec, hex or words; not shown)");
    person.session.send(ControlCode::EndOfText).unwrap();
    let (screen, code) = person.ends();
    assert_eq!((code, before_the_error(&screen).as_str()), (130, ""), "{screen:?}");
}

#[test]
fn a_dead_nest_of_ones_own_is_offered_a_restart() {
    let mock = mock();
    let question = "it is yours. Restart this nest now?";
    let mut person = Terminal::at(Nest::new(&mock).args(["check", "demo"]));
    person.sees(question);
    person.session.send("n\r").unwrap();
    let (screen, code) = person.ends();
    assert_eq!(code, 6, "{screen}");
    assert!(mock.room("demo").is_none());

    let mut person = Terminal::at(Nest::new(&mock).args(["check", "demo"]));
    person.sees(question);
    person.session.send("y\r").unwrap();
    let (screen, code) = person.ends();
    assert_eq!(code, 0, "{screen}");
    assert!(screen.contains(" · restarted · ") && screen.contains("joinable in"), "{screen}");
    assert!(mock.room("demo").is_some());
}

#[test]
fn nobody_else_is_offered_one_or_asked_for_a_key() {
    let mock = mock();
    let other = nostr::Keys::generate().secret_key().to_secret_hex();
    for nest in [Nest::new(&mock).without("NEST_KEY"), Nest::new(&mock).env("NEST_KEY", other)] {
        let (screen, code) = Terminal::at(nest.args(["check", "demo"])).ends();
        assert_eq!(code, 6, "{screen}");
        assert!(screen.contains("write to npub1") && !screen.contains('?'), "{screen}");
    }
}

/// A restart that was wanted and failed is what counts.
#[test]
fn the_restart_that_was_wanted_has_its_own_code() {
    let mock = mock();
    mock.set_faults(vec!["no-restart".parse().unwrap()]);
    let mut person = Terminal::at(Nest::new(&mock).args(["check", "demo"]));
    person.sees("Restart this nest now?");
    person.session.send("y\r").unwrap();
    let (screen, code) = person.ends();
    assert_eq!(code, 6, "{screen}");
    assert!(screen.contains("no restart endpoint"), "{screen}");
}
