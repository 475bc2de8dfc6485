//! `nest init`: from nothing to a nest that a timer looks after, by a person and by flags.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use expectrl::{ControlCode, Expect as _};
use nostr::Keys;
use nostr::nips::nip19::ToBech32 as _;
use nostr_nests::server::Mock;

use crate::support::nest::{Nest, mock};
use crate::support::nostr_client::{NostrClient, event, remember};
use crate::support::room_event;
use crate::support::terminal::Terminal;

/// A machine without a keyring, whose `systemctl` keeps what it is called with.
struct Machine {
    home: tempfile::TempDir,
}

impl Machine {
    fn new(systemctl: &str) -> Self {
        let machine = Self { home: tempfile::tempdir().unwrap() };
        let script = machine.file("bin/systemctl");
        fs::create_dir(script.parent().unwrap()).unwrap();
        fs::write(&script, format!("#!/bin/sh\necho \"$@\" >>{}\n{systemctl}\n", machine.file("called").display()))
            .unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        machine
    }

    fn file(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.file(name)).unwrap_or_default()
    }

    fn config(&self) -> String {
        self.read(".config/nest/config.toml")
    }

    fn nest(&self, mock: &Mock, args: &[&str]) -> Nest {
        let path = format!("{}:/usr/bin:/bin", self.file("bin").display());
        let nest = Nest::alone().env("HOME", self.home.path()).env("XDG_RUNTIME_DIR", self.home.path());
        nest.env("PATH", path).env("NEST_RELAYS", mock.relay()).args(args)
    }
}

fn nsec(mock: &Mock) -> String {
    mock.host().secret_key().to_bech32().unwrap()
}

/// Nothing is left behind, not even a folder.
fn untouched(machine: &Machine) -> bool {
    !machine.file(".config").exists() && !machine.file("called").exists()
}

#[test]
fn a_person_comes_from_nothing_to_a_nest_that_a_timer_looks_after() {
    let (mock, machine) = (mock(&[]), Machine::new("exit 0"));
    let npub = mock.host().public_key().to_bech32().unwrap();
    let mut person = Terminal::at(machine.nest(&mock, &["init"]));
    person.sees("Your server, or the link of a nest");
    person.sees("https://nostrnests.com");
    // A key in the wrong place is not repeated, nor looked for on the network.
    person.session.send(format!("{}\r", nsec(&mock))).unwrap();
    person.sees("that is a secret key");
    person.session.send("\x7f".repeat(63)).unwrap();
    // What stands there is taken away.
    person.session.send("\x7f".repeat(22)).unwrap();
    person.session.send(format!("{}\r", mock.api())).unwrap();
    person.sees("There is no keyring here");
    person.session.send("y\r").unwrap();
    person.sees("Host key");
    person.types(&nsec(&mock));
    person.sees("Which of your nests is to be looked after");
    // The two of the mock are as old as each other: which is first is not known.
    person.sees("none of them");
    person.session.send("\r").unwrap();
    person.sees("signature");
    person.sees("A short name for");
    person.session.send("\x7f".repeat(40)).unwrap();
    person.session.send("weekly\r").unwrap();
    person.sees("nest-restart-weekly.service");
    person.sees("restart --quiet --if-inactive @weekly");
    person.sees("Write both, and start the timer?");
    assert!(!machine.file(".config").exists(), "before it is shown and wanted");
    person.session.send("y\r").unwrap();
    let (screen, code) = person.ends();
    assert_eq!(code, 0, "{screen}");
    assert!(screen.contains("loginctl enable-linger") && screen.contains("nest restart @weekly"), "{screen}");
    assert!(screen.contains(&npub) && !screen.contains("nsec1"), "{screen}");
    assert_eq!(mock.requests("/api/v1/nests/demo/restart"), 0, "it only looks");

    let config = machine.config();
    assert!(config.contains(&format!("api = \"{}\"\n", mock.api())) && config.contains("key-file = \"host.key\"\n"));
    assert!(config.contains("[alias]\nweekly = \"naddr1"), "{config}");
    assert_eq!(machine.read("called"), "--user daemon-reload\n--user enable --now nest-restart-weekly.timer\n");
    let timer = machine.read(".config/systemd/user/nest-restart-weekly.timer");
    assert!(timer.contains("OnCalendar=*:0/15"), "{timer}");
    // The line of the unit does what it is there for, in an environment that has nothing.
    let service = machine.read(".config/systemd/user/nest-restart-weekly.service");
    let line = service.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
    let args: Vec<_> = line.split(' ').skip(1).collect();
    assert_eq!(line.split(' ').next(), Some(env!("CARGO_BIN_EXE_nest")));
    let silent = machine.nest(&mock, &args).run().expect(0);
    assert_eq!((silent.stdout.as_str(), silent.stderr.as_str()), ("", ""));
}

#[test]
fn flags_answer_everything() {
    let (mock, machine) = (mock(&[]), Machine::new("exit 0"));
    let naddr = room_event::naddr(&mock);
    let flags = ["--key-file", "-", "--to-file", "--alias", "weekly", "--timer", "--json"];
    let init = || machine.nest(&mock, &["init", &naddr]).args(flags).stdin(nsec(&mock));
    let document = init().run().expect(0).document();
    assert_eq!((&document["alias"], &document["roomId"]), (&"@weekly".into(), &"demo".into()), "{document}");
    assert_eq!((&document["timer"], &document["started"]), (&"nest-restart-weekly.timer".into(), &true.into()));
    assert_eq!((document["api"].as_str(), document["npub"].is_string()), (Some(&*mock.api()), true), "{document}");
    assert_eq!(fs::metadata(machine.file(".config/nest/host.key")).unwrap().permissions().mode() & 0o777, 0o600);
    machine.nest(&mock, &["restart", "@weekly", "-q"]).run().expect(0);
    // The key is there now: it is found, and nothing changes.
    let before = (machine.config(), machine.read(".config/systemd/user/nest-restart-weekly.service"));
    machine.nest(&mock, &["init", &naddr, "--alias", "weekly", "--timer"]).run().expect(0);
    assert_eq!((machine.config(), machine.read(".config/systemd/user/nest-restart-weekly.service")), before);
    let second = init().run().expect(2);
    assert!(second.stderr.contains("already names a key: key-file"), "{second:?}");
    assert_eq!(machine.config(), before.0);

    // The name that a list has shown leads to the nest, and is no name to keep.
    remember(&mock, "daily");
    let daily = event(mock.host(), "daily", 5, &[&["status", "open"], &["service", &mock.api()]]);
    NostrClient::at(&mock.relay()).publish(&daily);
    let rows = machine.nest(&mock, &["list", "--json"]).run().expect(0).documents();
    let short = |id: &str| rows.iter().find(|row| row["roomId"] == id).unwrap()["shortId"].as_str().unwrap();
    let other = machine.nest(&mock, &["init", short("daily"), "--alias", "daily", "--json"]).run().expect(0);
    assert_eq!(other.document()["alias"], "@daily");
    assert!(machine.config().contains("\ndaily = \"naddr1"), "{}", machine.config());
    let kept = machine.nest(&mock, &["init", "@weekly", "--alias", "friday", "--json"]).run().expect(0);
    assert_eq!(kept.document()["alias"], "@friday");
    machine.nest(&mock, &["restart", "@friday", "-q"]).run().expect(0);

    let closed = machine.nest(&mock, &["close", "@weekly", "--yes"]).run().expect(0);
    assert!(closed.stderr.contains("`systemctl --user disable --now nest-restart-weekly.timer`"), "{closed:?}");
    let over = machine.nest(&mock, &["init", "@weekly"]).run().expect(0);
    assert!(over.stderr.contains("this nest is over: its event says closed"), "{over:?}");
}

#[test]
fn without_a_terminal_it_says_what_is_missing() {
    let (mock, machine) = (mock(&[]), Machine::new("exit 0"));
    let said = |args: &[&str]| machine.nest(&mock, &["init"]).args(args).run().expect(2).stderr;
    let nothing = said(&[]);
    assert!(nothing.contains("missing: the server") && nothing.contains("missing: the key: --key-file"), "{nothing}");
    let keyless = said(&[&mock.api()]);
    assert!(!keyless.contains("missing: the server") && keyless.contains("--no-key"), "{keyless}");
    let timer = said(&[&mock.api(), "--no-key", "--timer"]);
    assert!(timer.contains("missing: the key"), "{timer}");
    let timer = machine.nest(&mock, &["init", &mock.api(), "--timer", "--key-file", "-", "--to-file"]);
    let timer = timer.stdin(nsec(&mock)).run().expect(2).stderr;
    assert!(timer.contains("missing: for the timer, a nest and a short name for it: --alias"), "{timer}");
    let keyring = machine.nest(&mock, &["init", &mock.api(), "--key-file", "-"]).stdin(nsec(&mock)).run().expect(3);
    assert!(keyring.stderr.contains("keep it in a file: run this again with --to-file"), "{keyring:?}");
    assert!(untouched(&machine));
    machine.nest(&mock, &["init", &mock.api(), "--no-key"]).run().expect(0);
    assert_eq!(machine.config(), format!("api = \"{}\"\n", mock.api()));
}

#[test]
fn what_cannot_be_proved_is_not_written() {
    let (mock, machine) = (mock(&[]), Machine::new("exit 0"));
    let naddr = room_event::naddr(&mock);
    let init = |args: &[&str], key: &str| {
        let nest = machine.nest(&mock, &["init"]).args(args).args(["--key-file", "-", "--to-file"]);
        nest.stdin(key.to_owned()).run()
    };
    let dead = init(&["http://127.0.0.1:9"], &nsec(&mock)).expect(8);
    assert!(dead.stderr.contains("nothing was written: tcp failed"), "{dead:?}");
    let garbled = init(&[&mock.api()], "nsec1nonsense").expect(3);
    assert!(!garbled.stderr.contains("nonsense"), "{garbled:?}");
    let stranger = Keys::generate().secret_key().to_bech32().unwrap();
    let other = init(&[&naddr], &stranger).expect(5);
    assert!(other.stderr.contains("nothing was written: this nest is somebody else's"), "{other:?}");
    for (fault, code) in [("clock=2001", 4), ("status=500@api", 7), ("redirect@api", 7)] {
        mock.set_faults(vec![fault.parse().unwrap()]);
        let refused = init(&[&mock.api(), "--timeout", "3s"], &nsec(&mock)).expect(code);
        assert!(refused.stderr.contains("nothing was written"), "{fault}: {refused:?}");
    }
    assert!(untouched(&machine));
}

#[test]
fn a_configuration_that_is_there_loses_nothing() {
    let (mock, machine) = (mock(&[]), Machine::new("exit 0"));
    let config = machine.file(".config/nest/config.toml");
    fs::create_dir_all(config.parent().unwrap()).unwrap();
    let old = "# mine\napi = 'https://old.example' # since May\nrelays = []\n\n[alias]\ndaily = 'naddr1x'\n";
    fs::write(&config, old).unwrap();
    let init = |args: &[&str]| machine.nest(&mock, &["init", &mock.api(), "--no-key"]).args(args);
    let refused = init(&[]).run().expect(2);
    assert!(
        refused.stderr.contains("api = \"https://old.example\"") && refused.stderr.contains("--yes"),
        "{refused:?}"
    );

    let mut person = Terminal::at(init(&["--no-timer"]));
    person.sees("The configuration says api = \"https://old.example\". Replace that");
    person.session.send("n\r").unwrap();
    assert_eq!(person.ends().1, 2);
    assert_eq!(machine.config(), old);

    init(&["--yes"]).run().expect(0);
    let new = machine.config();
    assert_eq!(
        new,
        old.replace(
            "api = 'https://old.example'",
            &format!("# before: api = 'https://old.example'\napi = \"{}\"", mock.api())
        )
    );
    // Said once more, it is the same.
    init(&[]).run().expect(0);
    assert_eq!(machine.config(), new);
    // A nest leads to its server by itself.
    let naddr = room_event::naddr(&mock);
    fs::write(&config, old).unwrap();
    machine.nest(&mock, &["init", &naddr, "--no-key", "--alias", "weekly"]).run().expect(0);
    assert_eq!(machine.config(), format!("{old}weekly = \"{naddr}\"\n"));
}

#[test]
fn units_that_are_there_are_not_overwritten() {
    let (mock, machine) = (mock(&[]), Machine::new("exit 0"));
    let naddr = room_event::naddr(&mock);
    let unit = machine.file(".config/systemd/user/nest-restart-weekly.service");
    fs::create_dir_all(unit.parent().unwrap()).unwrap();
    fs::write(&unit, "# mine\n").unwrap();
    let init = |args: &[&str]| {
        let flags = ["init", &naddr, "--alias", "weekly", "--timer", "--key-file", "-", "--to-file"];
        machine.nest(&mock, &flags).args(args).stdin(nsec(&mock))
    };
    let refused = init(&[]).run().expect(2);
    assert!(refused.stderr.contains("nest-restart-weekly.service is there already"), "{refused:?}");
    assert!(fs::read_to_string(&unit).unwrap() == "# mine\n" && machine.config().is_empty());
    init(&["--yes"]).run().expect(0);
    assert!(fs::read_to_string(&unit).unwrap().contains("ExecStart="));
}

#[test]
fn a_timer_that_was_not_started_is_told() {
    let (mock, machine) = (mock(&[]), Machine::new("echo 'Failed to connect to bus' >&2; exit 1"));
    let flags = ["--alias", "weekly", "--timer", "--key-file", "-", "--to-file"];
    let init = machine.nest(&mock, &["init", &room_event::naddr(&mock)]).args(flags).stdin(nsec(&mock));
    let output = init.run().expect(0);
    assert!(output.stderr.contains("not started: systemctl: Failed to connect to bus"), "{output:?}");
    assert!(output.stderr.contains("systemctl --user enable --now nest-restart-weekly.timer"), "{output:?}");
    assert!(output.stdout.contains("nest-restart-weekly.timer was not started"), "{output:?}");
}

#[test]
fn a_profile_takes_the_place_of_nothing() {
    let (mock, machine) = (mock(&[]), Machine::new("exit 0"));
    let config = machine.file(".config/nest/config.toml");
    std::fs::create_dir_all(config.parent().unwrap()).unwrap();
    let before = "api = 'https://other.example'\nkey-file = 'other.key'\n";
    std::fs::write(&config, before).unwrap();
    let key = machine.file("club.key");
    let flags = ["--profile", "club", "--key-file", "-", "--to-file", key.to_str().unwrap(), "--no-timer"];
    machine.nest(&mock, &["init", &mock.api()]).args(flags).stdin(nsec(&mock)).run().expect(0);
    let written = std::fs::read_to_string(&config).unwrap();
    assert!(written.starts_with(before) && written.contains("[profile.club]\n"), "{written}");
    // What it says itself is not replaced unseen.
    machine.nest(&mock, &["init", "https://127.0.0.1:1"]).args(flags).stdin(nsec(&mock)).run().expect(2);
    assert_eq!(std::fs::read_to_string(&config).unwrap(), written);
    let no_nest = machine.nest(&mock, &["init", &mock.api(), "--alias", "weekly"]).stdin(nsec(&mock)).run();
    let said = no_nest.expect(2).stderr;
    assert!(said.contains("only a server was given") && said.contains("--alias weekly"), "{said}");
}

#[test]
fn control_c_at_any_question_leaves_nothing_behind() {
    let (mock, machine) = (mock(&[]), Machine::new("exit 0"));
    let mut person = Terminal::at(machine.nest(&mock, &["init"]));
    person.sees("Your server");
    person.session.send(ControlCode::EndOfText).unwrap();
    let (screen, code) = person.ends();
    assert!(code == 130 && screen.contains("nothing was written"), "{screen}");
    let mut person = Terminal::at(machine.nest(&mock, &["init", &mock.api(), "--to-file"]));
    person.sees("Host key");
    person.session.send(ControlCode::EndOfText).unwrap();
    let (screen, code) = person.ends();
    assert!(code == 130 && screen.contains("nothing was written"), "{screen}");
    assert!(untouched(&machine));
}

#[test]
fn whoever_has_nothing_is_led_there() {
    let help = Nest::alone().run().expect(2).stderr;
    assert!(help.contains("nest init"), "{help}");
    let hint = "`nest init`";
    let (screen, code) = Terminal::at(Nest::alone().args(["restart"])).ends();
    assert!(code == 2 && screen.contains(hint), "{screen}");
    for args in [&["restart"][..], &["restart", "some-id"]] {
        let output = Nest::alone().args(args).run().expect(2);
        assert!(output.stderr.contains(hint), "{output:?}");
    }
    // What it says where nobody can be asked leads further.
    let led = Nest::alone().args(["init"]).run().expect(2);
    assert!(led.stderr.contains("`nest init nostrnests.com`"), "{led:?}");
}
