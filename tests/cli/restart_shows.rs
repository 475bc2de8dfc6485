//! What a host wants to see of a restart: the nest's title and link, whether people can join, and until when.

use std::time::{Duration, Instant};

use nostr_nests::server::Mock;

use crate::support::nest::{Nest, mock, parse};
use crate::support::qr::scanned;
use crate::support::raw::Raw;
use crate::support::terminal::Terminal;

fn at(mock: &Mock, args: &[&str]) -> Nest {
    Nest::new(mock).env("NEST_RELAYS", mock.relay()).args(args)
}

#[test]
fn a_nest_that_is_well_is_one_line() {
    let mock = mock(&[]);
    for args in [&["restart", "demo"][..], &["restart", "demo", "--check"]] {
        let shown = at(&mock, args).run().expect(0).stdout;
        let (start, rest) = shown.split_once(" · restarted · ").unwrap();
        assert_eq!((start, shown.lines().count()), ("✓ Demo nest", 1), "{shown}");
        assert!(
            rest.starts_with(if args.len() == 3 { "joinable in" } else { "people can join · closes at" }),
            "{shown}"
        );
        let link = rest.trim_end().rsplit_once(" while empty · ").unwrap().1;
        assert!(link.starts_with(&format!("http://{}/naddr1", mock.address())), "{shown}");
        let document = at(&mock, &[args, &["--json"]].concat()).run().expect(0).document();
        assert!(document["link"].as_str().unwrap().starts_with(&format!("http://{}/naddr1", mock.address())));
    }
}

#[test]
fn the_token_is_shown_to_whoever_asks_for_it() {
    let mock = mock(&[]);
    assert!(!at(&mock, &["restart", "demo"]).run().expect(0).stdout.contains("eyJ"));
    for args in [&["-v"][..], &["--output", "token"], &["--json"]] {
        assert!(at(&mock, &[&["restart", "demo"], args].concat()).run().expect(0).stdout.contains("eyJ"), "{args:?}");
    }
}

#[test]
fn where_something_is_not_well_it_is_said_which_part() {
    let mock = mock(&["wrong-secret"]);
    let shown = at(&mock, &["restart", "demo", "--check"]).run().expect(10).stdout;
    assert!(shown.contains("\n✗ Audio room  The media server refuses"), "{shown}");
    assert!(!shown.contains('✓') && !shown.contains("eyJ"), "{shown}");
    let several = at(&mock, &["restart", "demo", "nope"]).run().stdout;
    assert!(several.starts_with("! Demo nest (demo) · "), "{several}");
}

/// Nobody waits for a relay that does not answer longer than for a blink, and nothing is claimed that is not known.
#[test]
fn the_title_is_worth_a_moment() {
    let mock = mock(&[]);
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let relay = format!("ws://{}", silent.local_addr().unwrap());
    let time = |relay: &str| {
        let since = Instant::now();
        let shown = Nest::new(&mock).env("NEST_RELAYS", relay).args(["restart", "demo"]).run().expect(0).stdout;
        (shown, since.elapsed())
    };
    let (shown, elapsed) = time(&relay);
    assert!(shown.starts_with("✓ demo · restarted"), "{shown}");
    // A relay may take five seconds for all that it is asked.
    assert!(elapsed < Duration::from_secs(3), "{elapsed:?}");
}

#[test]
fn nobody_is_asked_for_a_title_that_nobody_reads() {
    let mock = mock(&[]);
    let relay = Raw::answering("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
    let restart = |args: &[&str]| {
        let nest = Nest::new(&mock).env("NEST_RELAYS", relay.url().replace("http", "ws"));
        nest.args([&["restart", "demo"], args].concat()).run().expect(0);
        relay.asked()
    };
    assert_eq!(restart(&["--json"]) + restart(&["--output", "token"]) + restart(&["-q"]), 0);
    assert_eq!(restart(&[]), 1);
}

#[test]
fn the_title_is_the_link_where_the_terminal_knows_of_links() {
    let mock = mock(&[]);
    for (links, columns) in [("1", 60), ("1", 120), ("0", 120)] {
        let nest = at(&mock, &["restart", "demo"]).env("FORCE_HYPERLINK", links);
        let (screen, _) = Terminal::of_width(columns, nest).ends();
        let target = format!("\u{1b}]8;;http://{}/naddr1", mock.address());
        assert_eq!(screen.contains(&target), links == "1", "{screen:?}");
        let (_, shown) = screen.rsplit_once("restarted").unwrap();
        assert_eq!(shown.contains("http://"), links == "0", "{screen:?}");
    }
    let piped = at(&mock, &["restart", "demo"]).env("FORCE_HYPERLINK", "1").run().stdout;
    assert!(!piped.contains('\u{1b}') && piped.contains("/naddr1"), "{piped:?}");
}

#[test]
fn the_link_is_scanned_by_a_phone() {
    let mock = mock(&[]);
    for args in [&["restart", "demo", "--qr"][..], &["open", "demo", "--qr"]] {
        let shown = at(&mock, args).run().expect(0).stdout;
        let (line, code) = shown.split_once('\n').unwrap();
        assert_eq!(scanned(code), line.rsplit(' ').next().unwrap(), "{shown}");
    }
    mock.set_faults(parse(&["lost-record"]));
    let shown = at(&mock, &["recreate", "demo", "--yes", "--qr"]).run().expect(0).stdout;
    let code = shown.lines().skip_while(|line| !line.starts_with('█')).collect::<Vec<_>>().join("\n");
    let link = shown.lines().find_map(|line| line.strip_prefix("  link ")).unwrap().trim();
    assert_eq!(scanned(&code), link);

    let (rows, code) = Terminal::of_width(40, at(&mock, &["open", "demo", "--qr"])).shows();
    let shown = rows.join(" ");
    assert!(code == 0 && shown.contains("the QR code needs") && !shown.contains('▀'), "{shown}");
}
