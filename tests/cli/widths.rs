//! What a person sees of each command in terminals that are narrow, usual and wide.

use std::cell::RefCell;

use expectrl::Expect as _;
use nostr::Keys;
use nostr::nips::nip19::ToBech32 as _;
use nostr_nests::server::Mock;

use crate::snapshot::fits;
use crate::support::bunker::{Bunker, honest};
use crate::support::nest::{Nest, mock, parse};
use crate::support::nostr_client::{NostrClient, event, publish_two_more};
use crate::support::terminal::Terminal;

const WIDTHS: [u16; 3] = [60, 80, 120];

fn at(mock: &Mock) -> Nest {
    Nest::new(mock).env("NEST_RELAYS", mock.relay())
}

/// A mock whose nest is back, with these faults.
fn running(faults: &[&str]) -> Mock {
    let mock = mock(&[]);
    at(&mock).args(["restart", "demo"]).run().expect(0);
    mock.set_faults(parse(faults));
    mock
}

#[test]
fn restart() {
    let mock = mock(&[]);
    fits("wide-restart", &WIDTHS, 0, || at(&mock).args(["restart", "demo"]));
    fits("wide-restart-verbose", &WIDTHS, 0, || at(&mock).args(["restart", "demo", "-v"]));
    // With another room before it, the old one is told by its SID, however fast this machine is.
    let home = tempfile::tempdir().unwrap();
    let again = || at(&mock).env("XDG_STATE_HOME", home.path()).args(["restart", "demo"]);
    again().run().expect(0);
    mock.set_faults(parse(&["old-room-kept"]));
    fits("wide-restart-old-room-kept", &WIDTHS, 10, again);
    let stranger = Keys::generate().secret_key().to_secret_hex();
    fits("wide-restart-wrong-key", &WIDTHS, 5, || at(&mock).env("NEST_KEY", &stranger).args(["restart", "demo"]));
}

#[test]
fn status_check_and_token() {
    let mock = running(&[]);
    fits("wide-status", &WIDTHS, 0, || at(&mock).args(["status", "demo"]));
    fits("wide-token", &WIDTHS, 0, || at(&mock).args(["token", "demo"]));
    fits("wide-check", &WIDTHS, 0, || at(&mock).without("NEST_KEY").args(["check", "demo", "--join"]));
    mock.set_faults(parse(&["wrong-secret"]));
    fits("wide-check-unhealthy", &WIDTHS, 10, || at(&mock).without("NEST_KEY").args(["check", "demo", "--join"]));
    mock.set_faults(parse(&["lost-record"]));
    fits("wide-status-gone", &WIDTHS, 0, || at(&mock).args(["status", "demo"]));
}

#[test]
fn doctor() {
    let mock = mock(&[]);
    fits("wide-doctor-broken", &WIDTHS, 10, || at(&mock).args(["doctor", "demo"]));
    at(&mock).args(["restart", "demo"]).run().expect(0);
    fits("wide-doctor", &WIDTHS, 0, || at(&mock).args(["doctor", "demo"]));
    fits("wide-doctor-nothing", &[40, 60, 80, 120], 10, || Nest::alone().args(["doctor"]));
}

#[test]
fn list() {
    let mock = running(&[]);
    publish_two_more(&mock, "A rather long title of a weekly nest about this and that");
    // Rows appear as answers arrive: only one nest is asked for.
    fits("wide-list", &[40, 60, 80, 120], 0, || at(&mock).without("NEST_API").args(["list"]));
}

#[test]
fn close_and_recreate() {
    let mocks = RefCell::new(Vec::new());
    let anew = |faults: &[&str], args: &[&str]| {
        let mock = running(faults);
        let nest = at(&mock).args(args);
        mocks.borrow_mut().push(mock);
        nest
    };
    fits("wide-close", &WIDTHS, 0, || anew(&[], &["close", "demo", "--yes"]));
    fits("wide-recreate", &WIDTHS, 0, || anew(&["lost-record"], &["recreate", "demo", "--yes"]));
}

#[test]
fn the_first_minutes() {
    let mock = mock(&[]);
    let host = mock.host().secret_key().to_secret_hex();
    let begin = || at(&mock).without("NEST_KEY").file("host.key", &host, 0o600);
    // The paths of a home are as long as this machine has it.
    let args = ["--config", "nest.toml", "--key-file", "host.key", "--alias", "weekly", "--no-timer", "-y"];
    fits("wide-init", &WIDTHS, 0, || begin().args(["init", &format!("{}/api/v1/nests/demo", mock.api())]).args(args));
    let opener = || begin().env("PATH", "bin").file("bin/xdg-open", "#!/bin/sh\n", 0o755);
    fits("wide-open", &WIDTHS, 0, || opener().args(["open", "demo", "--key-file", "host.key"]));
    fits("wide-key-show", &WIDTHS, 0, || begin().args(["key", "show", "--key-file", "host.key"]));
    fits("wide-auth", &WIDTHS, 2, || begin().args(["auth", "POST", "nostrnests.com"]));
}

#[test]
fn signers() {
    let mock = mock(&[]);
    let bunker = Bunker::start(mock.host(), &mock.relay(), honest);
    let signs = || at(&mock).without("NEST_KEY").env("NEST_BUNKER", bunker.uri());
    fits("wide-key-show-signer", &WIDTHS, 0, || signs().args(["key", "show"]));
    fits("wide-help-key-connect", &WIDTHS, 0, || Nest::alone().args(["key", "connect", "--help"]));
    let silent = Bunker::start(&Keys::generate(), &mock.relay(), |_, _| Vec::new());
    let args = ["restart", "demo", "--signer-timeout", "1s"];
    fits("wide-signer-silent", &WIDTHS, 3, || {
        at(&mock).without("NEST_KEY").env("NEST_BUNKER", silent.uri()).args(args)
    });
}

#[test]
fn keys_usage_and_help() {
    let npubs = [(); 2].map(|()| Keys::generate().public_key().to_bech32().unwrap());
    let keys = serde_json::json!({ "default": npubs[0], "keys": npubs }).to_string();
    fits("wide-key-list", &WIDTHS, 0, || {
        let nest = Nest::alone().file(".local/state/nest/keys.json", &keys, 0o600);
        nest.env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere").args(["key", "list"])
    });
    fits("wide-usage", &WIDTHS, 2, || Nest::alone().args(["restart", "--chekc", "demo"]));
    fits("wide-help", &WIDTHS, 0, || Nest::alone().args(["--help"]));
    fits("wide-help-status", &WIDTHS, 0, || Nest::alone().args(["status", "--help"]));
}

/// Here only that nothing is broken: [`Terminal::shows`] sees to it.
#[test]
fn help_of_every_command_fits_forty_columns() {
    let commands = "init restart status check doctor token list recreate close open mock serve completions help man";
    for command in commands.split(' ').map(|name| vec![name]).chain([vec!["key", "import"], vec![]]) {
        for help in ["-h", "--help"] {
            let (rows, code) = Terminal::of_width(40, Nest::alone().args(&command).args([help])).shows();
            assert_eq!(code, 0, "{rows:#?}");
        }
    }
}

#[test]
fn forty_columns_are_enough() {
    let mock = running(&[]);
    for args in
        ["restart demo", "status demo", "check demo --join", "doctor demo", "token demo", "list", "recreate demo --yes"]
    {
        Terminal::of_width(40, at(&mock).args(args.split(' '))).shows();
    }
    let mock = self::mock(&[]);
    let key = mock.host().secret_key().to_secret_hex();
    let begin = at(&mock).without("NEST_KEY").file("host.key", &key, 0o600);
    let (rows, code) =
        Terminal::of_width(40, begin.args(["init", &mock.api(), "--key-file", "host.key", "--no-timer", "-y"])).shows();
    assert_eq!(code, 0, "{rows:#?}");
}

/// A question of several lines is not written anew with its answer, and no line is left of a choice.
#[test]
fn questions_are_redrawn_rightly() {
    let mock = mock(&[]);
    for columns in [40, 60, 80] {
        let mut person = Terminal::of_width(columns, at(&mock).args(["close", "demo"]));
        person.sees("[y/N]");
        person.session.send("n\r").unwrap();
        let (rows, code) = person.shows();
        assert_eq!((code, rows.iter().filter(|row| row.contains("good?")).count()), (1, 1), "{rows:#?}");
        assert_eq!(rows.iter().filter(|row| row.contains("Close")).count(), 1, "{rows:#?}");
    }

    for (id, title) in [("b", "Beta"), ("c", "A rather long title of a weekly nest about this and that")] {
        let tags = [["title", title], ["status", "open"], ["service", &mock.api()]];
        NostrClient::at(&mock.relay()).publish(&event(mock.host(), id, 5, &tags.each_ref().map(|tag| &tag[..])));
    }
    for columns in [40, 60, 80] {
        let mut person = Terminal::of_width(columns, at(&mock).args(["close"]));
        person.sees("A rather");
        for key in ["\u{1b}[B", "\u{1b}[B", "\u{1b}[A", "\r"] {
            person.session.send(key).unwrap();
        }
        person.sees("good?");
        person.session.send("n\r").unwrap();
        let (rows, _) = person.shows();
        let count = |text: &str| rows.iter().filter(|row| row.contains(text)).count();
        assert_eq!((count("which nest"), count(" · open · ")), (1, 0), "{rows:#?}");
    }
}
