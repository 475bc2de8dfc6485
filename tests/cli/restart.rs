//! `nest restart`, as users and scripts see it.

use nostr::nips::nip01::Coordinate;
use nostr::nips::nip19::{Nip19Coordinate, ToBech32 as _};
use nostr::{Keys, Kind};
use nostr_nests::server::{Mock, Options};

use crate::support::nest::{self, Nest, at_once};

const RESTART: &str = "/api/v1/nests/demo/restart";

fn mock() -> Mock {
    Mock::start(Options::default()).unwrap()
}

fn with_faults(faults: &[&str]) -> Mock {
    let faults = faults.iter().map(|fault| fault.parse().unwrap()).collect();
    Mock::start(Options { faults, ..Options::default() }).unwrap()
}

#[test]
fn a_dead_nest_is_back() {
    let mock = mock();
    assert!(mock.room("demo").is_none(), "dead to begin with");
    let output = Nest::new(&mock).args(["restart", "demo", "--json"]).run().expect(0);
    let document = output.document();
    let room = mock.room("demo").expect("alive");
    assert_eq!(document["roomId"], "demo");
    assert_eq!(document["message"], "Nest restarted successfully");
    assert_eq!(document["api"], format!("{}/api/v1/nests", mock.api()));
    assert_eq!(document["host"], mock.host().public_key().to_hex());
    assert_eq!(document["attempts"], 1);
    assert_eq!(document["warnings"], serde_json::json!([]));
    assert!(document["expiresAt"].as_str().unwrap().ends_with('Z'));
    assert!(document.get("check").is_none() && document.get("error").is_none());
    assert_eq!(document["token"].as_str().unwrap().split('.').count(), 3);
    assert_eq!(room.num_participants, 0);
    assert_eq!(output.stderr, "", "a pipe sees no progress");
    assert_eq!(document["proof"], "fresh");
    // The restart and, meanwhile, its record; then one question to LiveKit.
    assert_eq!((mock.requests(RESTART), mock.all_requests()), (1, 3));
    assert_eq!(mock.requests("/twirp/livekit.RoomService/UpdateRoomMetadata"), 1);
}

#[test]
fn the_check_proves_that_people_can_join() {
    let mock = mock();
    let document = Nest::new(&mock).args(["restart", "demo", "--check", "--json"]).run().expect(0).document();
    let check = &document["check"];
    assert_eq!(check["verdict"], "joinable");
    assert!(check["room"]["sid"].is_string());
    let statuses: Vec<_> = check["steps"].as_array().unwrap().iter().map(|step| &step["status"]).collect();
    assert_eq!(statuses, ["passed", "passed", "passed", "passed", "notChecked", "notChecked", "notChecked"]);
    assert_eq!(mock.requests("/rtc"), 1);
}

#[test]
fn the_old_room_is_told_from_the_new_one() {
    let mock = mock();
    let home = Nest::new(&mock);
    let state = nest::state_dir(home.home());
    let first = Nest::new(&mock).env("XDG_STATE_HOME", state.clone()).args(["restart", "demo", "--check", "-v"]);
    let first = first.run().expect(0).stdout;
    let before = mock.room("demo").unwrap().sid;
    let second =
        Nest::new(&mock).env("XDG_STATE_HOME", state).args(["restart", "demo", "--check", "-v"]).run().expect(0);
    let second = second.stdout;
    let after = mock.room("demo").unwrap().sid;
    assert_ne!(before, after);
    let told =
        |text: &str| text.split_once("\nrestarted · ").unwrap().1.split_once(" · joinable in").unwrap().0.to_owned();
    let (first_told, second_told) = (told(&first), told(&second));
    assert!(first_told.ends_with(&format!(" (checked) → {before}")), "{first_told}");
    assert!(second_told.starts_with(&format!("{before} → RM_")), "{second_told}");
    assert!(second_told.ends_with(&format!(" (checked) → {after}")), "{second_told}");
    assert!(second.trim_end().ends_with("while empty"), "{second}");
}

#[test]
fn a_restart_that_changes_nothing_is_found_out() {
    let mock = with_faults(&[]);
    Nest::new(&mock).args(["restart", "demo"]).run().expect(0);
    let before = mock.room("demo").unwrap().sid;
    std::thread::sleep(std::time::Duration::from_millis(2100)); // A `Date` tells seconds only.
    mock.set_faults(vec!["old-room-kept".parse().unwrap()]);
    let output = Nest::new(&mock).args(["restart", "demo", "--check", "--json"]).run().expect(10);
    let document = output.document();
    assert_eq!(mock.room("demo").unwrap().sid, before);
    assert_eq!(document["error"]["kind"], "unhealthy");
    assert!(document["token"].is_string(), "the token is never lost");
    assert_eq!(document["check"]["steps"][3]["status"], "failed");
    assert!(output.stderr.contains("still runs the old room"), "{}", output.stderr);
}

#[test]
fn what_the_server_gets_wrong_ends_with_its_code() {
    let codes = [
        ("wrong-secret", true, 10),
        ("status=500x9", false, 7),
        ("status=500x1", false, 0),
        ("no-answer", false, 0),
        ("redis-hang", false, 9),
    ];
    at_once(&codes, |&(fault, check, code)| {
        let mock = with_faults(&[fault]);
        let check: &[&str] = if check { &["--check"] } else { &[] };
        let output = Nest::new(&mock).args(["restart", "demo", "--timeout", "2s", "--retries", "1"]).args(check).run();
        assert_eq!(output.code, code, "{fault}: {output:?}");
    });
}

#[test]
fn an_internal_endpoint_is_named_and_passed_over() {
    let mock = with_faults(&["internal-endpoint"]);
    let document = Nest::new(&mock).args(["restart", "demo", "--check", "--json"]).run().expect(0).document();
    let endpoint = &document["check"]["steps"][1];
    assert!(endpoint["detail"].as_str().unwrap().contains("internal name"), "{endpoint}");
    assert_eq!(endpoint["status"], "warned");
    assert_eq!(document["check"]["endpoint"], format!("{}/livekit", mock.livekit()));
}

#[test]
fn every_way_to_name_a_nest() {
    let mock = mock();
    let host = mock.host().public_key();
    let coordinate = Coordinate::new(Kind::from(30312), host).identifier("demo");
    let naddr = Nip19Coordinate { coordinate: coordinate.clone(), relays: vec![] }.to_bech32().unwrap();
    let url = format!("{}{RESTART}", mock.api());
    for name in
        [naddr.clone(), format!("nostr:{naddr}"), format!("https://nests.example/{naddr}"), coordinate.to_string()]
    {
        Nest::new(&mock).args(["restart", &name]).run().expect(0);
    }
    // The room's own URL names the API too.
    Nest::new(&mock).without("NEST_API").args(["restart", &url]).run().expect(0);
    Nest::new(&mock).env("NEST_API", "https://elsewhere.example").args(["restart", &url]).run().expect(0);
    assert_eq!(mock.requests(RESTART), 6);
    let conflict = Nest::new(&mock).args(["restart", &url, "--api", "https://elsewhere.example"]).run().expect(2);
    assert!(conflict.stderr.contains("elsewhere.example"), "{}", conflict.stderr);
    let nowhere = Nest::new(&mock).env("NEST_API", "").without("NEST_KEY").args(["restart", "demo"]).run().expect(2);
    assert!(nowhere.stderr.contains("--api https://"), "{}", nowhere.stderr);
    assert_eq!(mock.requests(RESTART), 6, "nothing more was sent");
}

#[test]
fn somebody_elses_nest_is_left_alone() {
    let mock = mock();
    let stranger = Keys::generate();
    let key = stranger.secret_key().to_secret_hex();
    let coordinate = Coordinate::new(Kind::from(30312), mock.host().public_key()).identifier("demo").to_string();
    let known = Nest::new(&mock).env("NEST_KEY", key.clone()).args(["restart", &coordinate]).run().expect(5);
    assert_eq!(mock.all_requests(), 0, "the name says whose it is");
    let host = mock.host().public_key().to_bech32().unwrap();
    assert!(known.stderr.contains(&host) && known.stderr.contains(&stranger.public_key().to_bech32().unwrap()));
    let asked = Nest::new(&mock).env("NEST_KEY", key).args(["restart", "demo", "--json"]).run().expect(5);
    assert_eq!(asked.document()["error"]["status"], 403);
    assert!(asked.stderr.contains(&host), "{}", asked.stderr);
}

#[test]
fn several_rooms_are_json_lines_and_have_one_code() {
    let mock = mock();
    let output = Nest::new(&mock).args(["restart", "demo", "nope", "demo", "--json"]).run().expect(6);
    assert_eq!(output.stdout.lines().count(), 2, "the same room twice is one room");
    let documents = output.documents();
    let of = |id: &str| documents.iter().find(|document| document["roomId"] == id).unwrap();
    assert!(of("demo")["token"].is_string());
    assert_eq!(of("nope")["error"]["kind"], "notFound");
    assert!(output.stderr.contains("error: nope: "), "{}", output.stderr);
    Nest::new(&mock).args(["restart", "demo", "nope", "--output", "token"]).run().expect(2);
}

#[test]
fn the_token_alone_is_for_scripts() {
    let mock = mock();
    let output = Nest::new(&mock).args(["restart", "demo", "--output", "token", "-q"]).run().expect(0);
    assert_eq!(output.stdout.lines().count(), 1);
    assert_eq!(output.stdout.trim().split('.').count(), 3);
    let quiet = Nest::new(&mock).args(["restart", "demo", "-q"]).run().expect(0);
    assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), ("", ""));
}

#[test]
fn a_dry_run_shows_all_but_the_signature_and_sends_nothing() {
    let mock = mock();
    let output = Nest::new(&mock).args(["restart", "demo", "--dry-run"]).run().expect(0);
    assert!(output.stdout.starts_with(&format!("POST {}{RESTART}\n", mock.api())), "{}", output.stdout);
    assert!(output.stdout.contains("authorization: Nostr ***\ncontent-length: 0\n"), "{}", output.stdout);
    let document = Nest::new(&mock).args(["restart", "demo", "--dry-run", "--json"]).run().expect(0).document();
    assert_eq!(document["event"]["sig"], "***");
    assert_eq!(document["event"]["pubkey"], mock.host().public_key().to_hex());
    assert_eq!(document["event"]["kind"], 27235);
    assert_eq!(mock.all_requests(), 0);
}

#[test]
fn the_configuration_names_api_and_key() {
    let mock = mock();
    let text = format!("api = '{}'\n[profile.mine]\nkey-file = 'host.key'\n", mock.api());
    let key = mock.host().secret_key().to_bech32().unwrap();
    let call =
        || Nest::alone().file(".config/nest/config.toml", &text, 0o644).file(".config/nest/host.key", &key, 0o600);
    call().args(["restart", "demo", "--profile", "mine"]).run().expect(0);
    call().env("NEST_PROFILE", "mine").args(["restart", "demo"]).run().expect(0);
    call().env("NEST_PROFILE", "").args(["restart", "demo"]).run().expect(3);
    call().env("NEST_PROFILE", "nobody's").args(["--profile", "mine", "restart", "demo"]).run().expect(0);
    call().args(["restart", "demo"]).run().expect(3);
    call().args(["restart", "demo", "--profile", "nobody's"]).run().expect(2);
    call().args(["restart", "demo", "--config", "elsewhere.toml"]).run().expect(2);
}

#[test]
fn a_key_is_found_wherever_it_may_be() {
    let mock = mock();
    let hex = mock.host().secret_key().to_secret_hex();
    let call = || Nest::new(&mock).without("NEST_KEY");
    call().args(["restart", "demo", "--key-file", "-"]).stdin(hex.clone()).run().expect(0);
    call().file("k", &hex, 0o600).args(["restart", "demo", "--key-file", "k"]).run().expect(0);
    call().file("k", &hex, 0o600).env("NEST_KEY_FILE", "k").args(["restart", "demo"]).run().expect(0);
    let credentials = call().file("c/nest-key", &hex, 0o440);
    let folder = credentials.home().join("c");
    credentials.env("CREDENTIALS_DIRECTORY", folder).args(["restart", "demo"]).run().expect(0);
    assert_eq!(mock.requests(RESTART), 4);

    let open = call().file("k", &hex, 0o644).args(["restart", "demo", "--key-file", "k"]).run().expect(3);
    assert!(open.stderr.contains("hint: `chmod 600 k`"), "{}", open.stderr);
    let none = call().args(["restart", "demo"]).run().expect(3);
    assert!(none.stderr.contains("nest key import"), "{}", none.stderr);
    assert_eq!(mock.requests(RESTART), 4, "no key is ever invented");
}

#[test]
fn a_key_among_the_arguments_is_refused_unseen() {
    let nsec = Keys::generate().secret_key().to_bech32().unwrap();
    for args in [vec!["restart", nsec.as_str()], vec!["--nope", nsec.as_str(), "--json"]] {
        let output = Nest::alone().args(args).run().expect(2);
        assert!(!output.stderr.contains(&nsec[5..]) && !output.stdout.contains(&nsec[5..]), "{output:?}");
        assert!(output.stderr.contains("nest key import"), "{}", output.stderr);
    }
}

#[test]
fn help_leads_with_examples_and_names_the_exit_codes() {
    let help = Nest::alone().args(["restart", "--help"]).run().expect(0).stdout;
    assert!(help.starts_with("Examples:\n"), "{help}");
    for row in &nostr_nests::cli::messages::errors::TABLE {
        assert!(help.contains(row.meaning), "{help}");
    }
    let wrong = Nest::alone().args(["restart", "--json"]).run().expect(2);
    assert_eq!(wrong.document()["error"]["kind"], "usage");
}

#[test]
fn the_event_says_which_api_serves_the_nest() {
    let mock = mock();
    let coordinate = format!("30312:{}:demo", mock.host().public_key());
    let call = || Nest::new(&mock).without("NEST_API").env("NEST_RELAYS", mock.relay());
    call().args(["restart", &coordinate]).run().expect(0);
    // A bare id is looked for among the host's own nests.
    call().args(["restart", "demo"]).run().expect(0);
    assert_eq!(mock.requests(RESTART), 2);
    let unknown = call().args(["restart", &coordinate.replace(":demo", ":other")]).run().expect(6);
    assert!(unknown.stderr.contains("--api https://"), "{}", unknown.stderr);
    let dead = call().env("NEST_RELAYS", "ws://127.0.0.1:1").args(["restart", &coordinate]).run().expect(8);
    assert!(dead.stderr.contains("none of the relays answered"), "{}", dead.stderr);
    assert!(dead.stderr.contains("hint: name the API, and no relay is needed"), "{}", dead.stderr);
}

/// What a browser would have been given.
fn opened(mock: &Mock, room: &str, opener: &str) -> (Option<String>, String) {
    let nest = Nest::new(mock).file("bin/xdg-open", opener, 0o755).args(["restart", room, "--open"]);
    let path = format!("{}:/usr/bin:/bin", nest.home().join("bin").display());
    let (mut command, home) = nest.env("PATH", path).into_parts();
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let url = std::fs::read_to_string(home.path().join("opened")).ok();
    (url, String::from_utf8(output.stderr).unwrap())
}

#[test]
#[cfg(target_os = "linux")]
fn open_shows_the_page_of_the_nest() {
    const OPENER: &str = "#!/bin/sh\nprintf %s \"$1\" > \"$HOME/opened\"\n";
    let mock = mock();
    let (url, stderr) = opened(&mock, "demo", OPENER);
    assert_eq!(stderr, "");
    let url = url.unwrap();
    let naddr = url.strip_prefix(&format!("{}/", mock.api())).unwrap();
    let room = nostr_nests::room::RoomRef::parse(naddr).unwrap();
    assert_eq!((room.id.as_str(), room.host), ("demo", Some(mock.host().public_key())));
    let link = format!("https://web.example/{naddr}");
    assert_eq!(opened(&mock, &link, OPENER).0, Some(link));

    let (url, stderr) = opened(&mock, "demo", "#!/bin/sh\nexit 3\n");
    assert_eq!(url, None);
    assert!(stderr.starts_with("warning: no browser was opened: xdg-open: exit status: 3; open http://"), "{stderr}");
    Nest::new(&mock).args(["restart", "demo", "--open", "--dry-run"]).run().expect(2);
}

#[test]
#[cfg(target_os = "linux")]
fn the_browser_learns_nothing_of_the_key() {
    let mock = mock();
    let key = mock.host().secret_key().to_secret_hex();
    for args in [["restart", "demo", "--open"].as_slice(), &["open", "demo"]] {
        let nest = Nest::new(&mock).file("bin/xdg-open", "#!/bin/sh\nenv > \"$HOME/seen\"\n", 0o755);
        let nest = nest.file("key", &key, 0o600).env("NEST_RELAYS", mock.relay());
        let path = format!("{}:/usr/bin:/bin", nest.home().join("bin").display());
        let named = nest.home().join("key");
        let nest = nest.env("PATH", path).env("NEST_KEY_FILE", named).env("CREDENTIALS_DIRECTORY", "/run/credentials");
        let (mut command, home) = nest.args(args).into_parts();
        assert_eq!(command.output().unwrap().status.code(), Some(0));
        let seen = std::fs::read_to_string(home.path().join("seen")).unwrap();
        for name in ["NEST_KEY", "CREDENTIALS_DIRECTORY"] {
            assert!(!seen.contains(name), "{args:?}: {seen}");
        }
        assert!(seen.contains("NEST_API=") && !seen.contains(&key), "all else is as it was: {seen}");
    }
}

#[test]
fn wrong_usage_names_the_nest_the_mistake_and_a_way_out() {
    let call = |args: &[&str]| Nest::alone().args(args).args(["--json"]).run();
    let nameless = call(&["restart", ".", "--api", "https://x.example"]).expect(2).document();
    assert_eq!(nameless["roomId"], ".");
    let nowhere = call(&["restart", "demo", "--api", "nonsense"]).expect(2).document();
    assert_eq!((&nowhere["roomId"], &nowhere["error"]["kind"]), (&"demo".into(), &"usage".into()));
    for (name, value) in
        [("NEST_API", "ftp://user:hunter2@x"), ("NEST_RELAYS", "wss://a.example, http://user:hunter2@x")]
    {
        let wrong = Nest::alone().env(name, value).args(["list"]).run().expect(2).stderr;
        assert!(wrong.starts_with(&format!("error: {name}: ")) && !wrong.contains("hunter2"), "{wrong}");
        let help = Nest::alone().env(name, value).args(["list", "-h"]).run().expect(0).stdout;
        assert!(help.contains(&format!("[env: {name}]")) && !help.contains("hunter2"), "{help}");
    }
    assert!(call(&["restart", ".", "demo"]).expect(2).document().get("roomId").is_none(), "which of the two?");
    let error = &call(&["check", "--url", "wss://x.example"]).expect(2).document()["error"];
    assert_eq!(error["message"], "the following required arguments were not provided: --token-file <PATH>");
    assert!(error["hints"][0].as_str().unwrap().starts_with("nest check --url <WS_URL> --token-file <PATH>"));
    let lost = call(&["restart", "demo", "--api", "https://x.example", "--key-file", "/nonexistent"]).expect(3);
    assert_eq!(lost.document()["error"]["hints"][0], "correct the path; - stands for stdin");
}
