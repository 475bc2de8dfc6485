//! `nest mock`, alone and around a command.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use crate::support::nest::{Nest, at_once};
use crate::support::nests_api::client;

fn mock() -> Nest {
    Nest::alone().env("PATH", "/usr/bin:/bin")
}

#[test]
fn the_newcomers_command() {
    let output = mock().args(["mock", "--", "nest", "restart", "demo", "--check"]).run().expect(0);
    let shown: Vec<_> = output.stdout.lines().map(without_chance).collect();
    let readme = include_str!("../../README.md").split("```text\n").nth(1).unwrap().split("```").next().unwrap();
    for line in readme.lines().filter(|line| line.trim() != "…") {
        assert!(shown.contains(&without_chance(line)), "{line} is not in {shown:#?}");
    }
    assert_eq!(output.stderr, "", "the mock itself is silent");
}

#[test]
fn the_document_in_the_readme_is_what_a_restart_prints() {
    let output = mock().args(["mock", "--", "nest", "restart", "demo", "--json"]).run().expect(0);
    let readme = include_str!("../../README.md").split("```json\n").nth(1).unwrap().split("```").next().unwrap();
    let readme: serde_json::Value = serde_json::from_str(readme).unwrap();
    let names = |document: &serde_json::Value| {
        let mut names: Vec<_> = document.as_object().unwrap().keys().cloned().collect();
        names.sort();
        names
    };
    let document = output.document();
    assert_eq!(names(&readme), names(&document));
    for name in ["roomId", "message", "attempts", "proof", "warnings"] {
        assert_eq!(readme[name], document[name], "{name}");
    }
}

/// A line without what is different each time: words with digits in them, room SIDs, how the room was timed, and how
/// long a step took, which is not said when that is nothing.
fn without_chance(line: &str) -> String {
    let plain = |word: &str| {
        let chance = word.contains(|c: char| c.is_ascii_digit()) || word.contains("RM_");
        if chance { "#".to_owned() } else { word.to_owned() }
    };
    let timed = line.split_once("restarted room: ").map_or(line, |(before, _)| before);
    let words = timed.split(' ').map(plain).collect::<Vec<_>>().join(" ");
    words.trim_end_matches(" · # ms").to_owned()
}

#[test]
fn the_exit_code_is_that_of_the_command() {
    mock().args(["mock", "--", "nest", "restart", "nope"]).run().expect(6);
    mock().args(["mock", "--", "sh", "-c", "exit 42"]).run().expect(42);
    let none = mock().args(["mock", "--", "no-such-program"]).run().expect(1);
    assert!(none.stderr.contains("cannot run no-such-program"), "{}", none.stderr);
}

#[test]
fn the_command_sees_nothing_that_leads_it_elsewhere() {
    let print = "env | grep -E '^(NEST_|.*_proxy|.*_PROXY)' | cut -d= -f1 | sort | tr '\\n' ' '";
    let output = mock()
        .env("NEST_KEY_FILE", "elsewhere")
        .env("NEST_CONFIG", "")
        .env("HTTPS_PROXY", "http://127.0.0.1:9")
        .env("http_proxy", "http://127.0.0.1:9")
        .args(["mock", "--", "sh", "-c", print])
        .run()
        .expect(0);
    assert_eq!(output.stdout.trim(), "NEST_API NEST_KEY NEST_RELAYS");
}

#[test]
fn faults_are_named_on_the_command_line() {
    let faulty = |fault: &'static str| mock().args(["mock", "--fault", fault, "--", "nest", "restart", "demo"]);
    faulty("status=500x2").args(["--check"]).run().expect(0);
    faulty("wrong-secret").args(["--check"]).run().expect(10);
    let wrong = faulty("no-such-fault").run().expect(2);
    assert!(wrong.stderr.contains("no-such-fault"), "{}", wrong.stderr);
    assert!(wrong.stderr.contains("nest mock --help lists them"), "{}", wrong.stderr);
    let call = faulty("no-answer@nobody").run().expect(2);
    assert!(call.stderr.contains("\"nobody\"; a call is "), "{}", call.stderr);
    let help = mock().args(["mock", "--help"]).run().expect(0).stdout;
    for row in nostr_nests::server::faults::TABLE {
        assert!(help.contains(row.name) && help.contains(row.shows), "{}", row.name);
    }
}

/// What the example of the help shows with each fault: what is added to it, its exit code, and words that it says.
const SHOWN: &[(&str, &[&str], i32, &str)] = &[
    ("old-room-kept", &[], 10, "LiveKit still runs the old room"),
    ("no-room", &[], 10, "LiveKit has no room of this nest"),
    ("late-teardown=4s", &["--hold", "20s"], 10, "LiveKit was still deleting the old one"),
    ("wrong-secret", &[], 10, "signed with another secret"),
    ("internal-endpoint", &[], 0, "an internal name"),
    ("status=500", &["--retries", "0"], 7, "failed with status 500"),
    ("plain-text=429", &["--retries", "0"], 11, "takes no more requests"),
    ("html", &["--retries", "0"], 7, "failed with status 502"),
    ("empty", &[], 6, "no restart endpoint"),
    ("rate-limit=0", &["--retries", "0"], 11, "takes no more requests"),
    ("redirect", &[], 7, "redirects to"),
    ("gateway-timeout", &[], 0, "gave up waiting (status 504)"),
    ("drop-before", &["--timeout", "3s"], 9, "not seen so far"),
    ("drop-after", &[], 0, "the connection was lost"),
    ("no-answer", &["--timeout", "3s"], 0, "no answer within 3s"),
    ("slow-body", &["--timeout", "3s"], 0, "no whole answer within 3s"),
    ("half-body", &[], 0, "the answer was cut off"),
    ("huge-body", &[], 7, "more than a mebibyte"),
    ("token-object", &[], 7, "without a usable token"),
    ("other-room", &[], 7, "your links still point to demo"),
    ("echo-authorization", &[], 4, "Invalid NIP-98 authentication: Nostr ***"),
    ("echo-token", &["--retries", "0"], 7, "cannot hand out ***"),
    ("control-characters", &["-v"], 0, "\\u{1b}[31m"),
    ("no-restart", &[], 6, "Endpoint not found"),
    ("lost-record", &[], 6, "no longer has this nest"),
    ("redis-hang=100ms", &[], 0, "joinable in"),
    ("redis-hang", &["--timeout", "3s"], 9, "not seen so far"),
    ("livekit-down", &["--retries", "0"], 7, "failed with status 500"),
    ("clock=+10m", &[], 0, "your clock is 10 min behind"),
    ("clock=2099", &[], 4, "the server's clock says 2099"),
];

#[test]
fn every_fault_shows_what_its_help_says() {
    // A restart of a nest whose API is known asks no relay; and no server for Media over QUIC.
    let elsewhere = ["relay-auth", "moq-event", "quic-down"];
    for row in nostr_nests::server::faults::TABLE.iter().filter(|row| !elsewhere.contains(&row.name)) {
        assert!(SHOWN.iter().any(|(fault, ..)| fault.split('=').next() == Some(row.name)), "{} is missing", row.name);
    }
    at_once(SHOWN, |(fault, more, code, words)| {
        let example = ["mock", "--fault", fault, "--", "nest", "restart", "demo", "--check"];
        let output = mock().args(example).args(*more).run();
        assert_eq!(output.code, *code, "{fault}: {output:?}");
        assert!(output.stdout.contains(words) || output.stderr.contains(words), "{fault}: {output:?}");
    });
}

/// The page about troubles ends as the faults do that show them.
#[test]
fn the_page_about_troubles_agrees() {
    let page = include_str!("../../docs/troubleshooting.md");
    for (fault, seen) in [
        ("old-room-kept", "restarted, but nothing changed"),
        ("late-teardown=4s", "restarted, and everybody is thrown out"),
        ("wrong-secret", "LiveKit refuses the fresh token"),
        ("internal-endpoint", "the API's endpoint is `livekit:7880`"),
        ("plain-text=429", "429"),
        ("redirect", "301"),
        ("lost-record", "404 `Nest not found`"),
        ("no-restart", "404 `Endpoint not found`"),
        ("livekit-down", "500 `Failed to restart nest`"),
        ("token-object", "200 without a usable token"),
        ("drop-before", "no answer"),
        ("clock=2099", "401, and the clocks are days apart"),
    ] {
        let row = page.lines().find(|line| line.starts_with(&format!("| {seen}")));
        let code = row.and_then(|row| row.trim_end_matches(" |").rsplit(' ').next()?.parse().ok());
        let shown = SHOWN.iter().find(|(name, ..)| *name == fault).map(|(_, _, code, _)| *code);
        assert!(shown.is_some() && code == shown, "{fault}: the page says {code:?}, the fault shows {shown:?}");
    }
}

#[test]
fn a_relay_that_asks_who_is_there_gets_an_answer_if_there_is_a_key() {
    let asked = |rest: &[&'static str]| mock().args(["mock", "--fault", "relay-auth", "--"]).args(rest).run();
    let list = asked(&["nest", "list"]).expect(0);
    assert!(list.stdout.contains("  Demo nest"), "{list:?}");
    // A bare name says nothing of the host: the key does.
    asked(&["nest", "restart", "demo", "--publish-status"]).expect(0);
    let host = "npub1sn0wdenkukak0d9dfczzeacvhkrgz92ak56egt7vdgzn8pv2wfqqhrjdv9";
    let list = asked(&["env", "-u", "NEST_KEY", "nest", "list", "--host", host]);
    assert!(list.code != 0 && list.stderr.contains("it wants to know who asks"), "{list:?}");
}

#[test]
fn the_examples_of_the_help_do_what_they_say() {
    let help = mock().args(["mock", "--help"]).run().expect(0).stdout;
    let examples =
        help.lines().filter_map(|line| line.trim().strip_prefix("nest ")).filter(|line| line.contains(" -- "));
    let codes = examples.map(|line| mock().args(line.split("  ").next().unwrap().split(' ')).run().code);
    assert_eq!(codes.collect::<Vec<_>>(), [0, 10]);
}

#[test]
fn it_serves_loopback_only() {
    let output = mock().args(["mock", "--listen", "0.0.0.0:0", "--", "true"]).run().expect(2);
    assert!(output.stderr.contains("loopback"), "{}", output.stderr);
}

#[tokio::test]
async fn its_page_can_be_opened() {
    let serves = async |args: &[&str]| {
        let opener = "#!/bin/sh\necho \"$1\" >\"$HOME/opened\"\n";
        let nest = Nest::alone().file("bin/xdg-open", opener, 0o755);
        let path = format!("{}:/usr/bin:/bin", nest.home().join("bin").display());
        let (mut command, home) = nest.env("PATH", path).args(["mock"]).args(args).into_parts();
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
        let said: Vec<_> = lines.take_while(|line| line != "Ctrl-C ends it.").collect();
        (child, home, said)
    };
    let stop = |mut child: std::process::Child| {
        child.kill().unwrap();
        child.wait().unwrap();
    };
    let (child, home, said) = serves(&["--open"]).await;
    let page = said.iter().find_map(|line| line.strip_prefix("Its page, for a browser: ")).unwrap();
    let answer = client().get(page).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), page.ends_with("/n/demo")), (200, true), "{page}");
    let opened = home.path().join("opened");
    let begun = std::time::Instant::now();
    while std::fs::read_to_string(&opened).map_or(true, |opened| opened.trim() != page) {
        assert!(begun.elapsed() < std::time::Duration::from_secs(10), "not opened");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    stop(child);
    let (child, home, said) = serves(&[]).await;
    assert!(said.iter().any(|line| line.starts_with("Its page")) && !home.path().join("opened").exists());
    stop(child);
    let (child, _home, said) = serves(&["--no-page"]).await;
    assert!(said.iter().all(|line| !line.contains("page")), "{said:?}");
    stop(child);
    mock().args(["mock", "--no-page", "--open"]).run().expect(2);
}

/// A pong is a queue, too: what is owed to a client that sends pings and reads nothing once filled the memory.
#[tokio::test]
async fn whoever_floods_its_relay_costs_little_memory() {
    use futures_util::SinkExt as _;
    use tokio_tungstenite::tungstenite::Message;
    let (mut command, _home) = mock().args(["mock"]).into_parts();
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut export = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut export).unwrap();
    let relay = export.split("NEST_RELAYS='").nth(1).unwrap().split('\'').next().unwrap();
    let peak_kib = || -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        peak.trim().trim_end_matches(" kB").parse().unwrap()
    };
    let (mut pings, _) = tokio_tungstenite::connect_async(relay).await.unwrap();
    let (mut filters, _) = tokio_tungstenite::connect_async(relay).await.unwrap();
    let before = peak_kib();
    let flood = async {
        for _ in 0..500_000 {
            pings.feed(Message::Ping(vec![0; 125].into())).await?;
        }
        for n in 0..64 {
            let many = vec!["{}"; 80_000].join(",");
            filters.send(Message::text(format!("[\"REQ\",\"{n}\",{many}]"))).await?;
        }
        pings.flush().await
    };
    // Whether it is cut off or not.
    let _ = tokio::time::timeout(std::time::Duration::from_secs(20), flood).await;
    let grown = peak_kib() - before;
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(grown < 40_000, "{grown} KiB more");
}

#[test]
fn alone_it_says_what_to_paste_and_ends_cleanly() {
    let (mut command, _home) = mock().args(["mock"]).into_parts();
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let (export, unset) = (lines.next().unwrap(), lines.next().unwrap());
    // Pasted into a shell, it leads to the mock.
    let script = format!("{export}\n{unset}\nexec {} restart demo --check", env!("CARGO_BIN_EXE_nest"));
    let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
    assert!(output.status.success(), "{output:?}");

    let key = export.split("NEST_KEY='").nth(1).unwrap().split('\'').next().unwrap();
    let id = rustix::process::Pid::from_raw(child.id().try_into().unwrap()).unwrap();
    rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(log.contains("200 POST /api/v1/nests/demo/restart"), "{log}");
    assert!(!log.contains(key) && !log.contains("eyJ"), "{log}");
}
