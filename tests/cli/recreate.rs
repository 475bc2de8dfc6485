//! `nest recreate`: a new nest takes the place of one whose record is gone.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use nostr_nests::server::Mock;
use nostr_sdk::{Event, Keys};

use crate::support::nest::{self, Nest, mock};
use crate::support::nostr_client::{
    self, NostrClient, Relay, coordinate, event, naddr, now, read_only, tags_without, value, values,
};
use crate::support::raw::Raw;

const CREATE: &str = "/api/v1/nests";

/// A nest with people, whose record is gone.
fn lost(mock: &Mock, id: &str, name: &str, status: &str, people: [&Keys; 2]) -> Event {
    let [speaker, admin] = people.map(|keys| keys.public_key().to_hex());
    let (host, relay) = (mock.host().public_key().to_hex(), mock.relay());
    event(
        mock.host(),
        id,
        90_000,
        &[
            &[name, "Weekly"],
            &["summary", "About", "more"],
            &["image", "https://img.example/x.png"],
            &["t", "music"],
            &["status", status],
            &["service", &format!("{}/api/v1/nests", mock.api())],
            &["streaming", "wss+livekit://old.example"],
            &["streaming", "https://old.example/api/v1/live/x/live.m3u8"],
            &["relays", &relay],
            &["p", &host, "", "Host"],
            &["p", &speaker, "", "Speaker"],
            &["p", &admin, "", "admin"],
            &["x-unknown", "1", "2"],
            &["starts", "1000"],
        ],
    )
}

fn recreate(mock: &Mock, room: &str) -> Nest {
    Nest::new(mock).without("NEST_API").env("NEST_RELAYS", mock.relay()).args(["recreate", room])
}

/// The one event that is open, after it was made sure that the old one points to it.
fn the_heir(outside: &NostrClient, old: &Event) -> Event {
    let nests = outside.nests(old.pubkey);
    let of_this: Vec<_> = nests.into_iter().filter(|event| value(event, "d") != Some("demo")).collect();
    let open: Vec<_> = of_this.iter().filter(|event| matches!(value(event, "status"), Some("open" | "live"))).collect();
    assert_eq!((of_this.len(), open.len()), (2, 1), "one new room in events, one open event: {of_this:?}");
    let last = of_this.iter().find(|event| value(event, "d") == value(old, "d")).unwrap();
    assert!(matches!(value(last, "status"), Some("closed" | "ended")));
    assert!(values(last, "a").contains(&&*coordinate(open[0])), "{last:?}");
    assert!(values(open[0], "a").contains(&&*coordinate(old)), "{open:?}");
    open[0].clone()
}

#[test]
fn a_new_nest_takes_the_place_of_the_old_one() {
    for (name, before, open, closed) in [
        ("room", "open", "open", "closed"),
        ("title", "ended", "live", "ended"),
        ("room", "private", "private", "closed"),
    ] {
        let mock = mock(&[]);
        let outside = NostrClient::at(&mock.relay());
        let (speaker, admin) = (Keys::generate(), Keys::generate());
        let old = lost(&mock, "weekly", name, before, [&speaker, &admin]);
        outside.publish(&old);
        let output = recreate(&mock, &naddr(&old, &[])).args(["--yes", "--json"]).run().expect(0);
        let document = output.document();
        let id = document["roomId"].as_str().unwrap();
        assert_eq!(document["replaces"], "weekly");

        let record = mock.record(id).unwrap();
        assert_eq!((record.relays, record.hls_stream), (vec![mock.relay()], true), "as the old one was");
        let set = |keys: &[&Keys]| keys.iter().map(|keys| keys.public_key().to_hex()).collect::<BTreeSet<_>>();
        assert_eq!(record.speakers.into_iter().collect::<BTreeSet<_>>(), set(&[mock.host(), &speaker, &admin]));
        assert_eq!(record.admins.into_iter().collect::<BTreeSet<_>>(), set(&[mock.host(), &admin]));

        let new = outside.nest(old.pubkey, id);
        let last = outside.nest(old.pubkey, "weekly");
        let changed = ["d", "status", "starts", "service", "streaming", "a"];
        assert_eq!(tags_without(&new, &changed), tags_without(&old, &changed), "all other tags are kept");
        assert_eq!((value(&new, "status"), value(&last, "status")), (Some(open), Some(closed)));
        assert_eq!(value(&new, "service"), value(&old, "service"), "{new:?}");
        let streaming = values(&new, "streaming");
        assert!(
            streaming[0].starts_with("wss+livekit://127.0.0.1") && streaming[1].ends_with("live.m3u8"),
            "{streaming:?}"
        );
        assert!(value(&new, "starts").unwrap().parse::<u64>().unwrap() + 60 > now());
        assert_eq!(tags_without(&last, &["status", "ends", "a"]), tags_without(&old, &["status", "a"]));
        assert_eq!((values(&new, "a"), values(&last, "a")), (vec![&*coordinate(&old)], vec![&*coordinate(&new)]));

        // The new link works.
        let link = document["link"].as_str().unwrap();
        assert!(link.starts_with(&format!("{}/naddr1", mock.api())), "{link}");
        Nest::new(&mock).without("NEST_API").args(["restart", link, "--check"]).run().expect(0);

        // Whoever asks for the old one is led to it.
        let new_address = document["naddr"].as_str().unwrap();
        let over =
            Nest::new(&mock).args(["status", &naddr(&old, &[&mock.relay()]), "--json"]).run().expect(10).document();
        assert_eq!(over["event"]["successor"], *new_address, "{over:#}");
        assert!(
            over["error"]["hints"][0].as_str().unwrap().contains(&format!("`nest status {new_address}`")),
            "{over:#}"
        );
        let doctor =
            Nest::new(&mock).args(["doctor", &naddr(&old, &[&mock.relay()]), "--json"]).run().expect(10).document();
        assert_eq!(doctor["next"], format!("nest doctor {new_address}"));
        let restart = Nest::new(&mock).args(["restart", &naddr(&old, &[&mock.relay()]), "--json"]).run().expect(6);
        let restart = restart.document();
        assert!(
            restart["error"]["hints"][0].as_str().unwrap().contains(&format!("`nest restart {new_address}`")),
            "{restart:#}"
        );

        // Again, by any of its names: nothing is done twice.
        for room in ["weekly", &naddr(&old, &[]), &coordinate(&old)] {
            let again = recreate(&mock, room).args(["--yes", "--json"]).run().expect(0).document();
            assert_eq!((&again["roomId"], &again["created"]), (&document["roomId"], &false.into()));
            assert!(again.get("opened").is_none() && again.get("closed").is_none(), "{again}");
        }
        assert_eq!(mock.requests(CREATE), 1);
        assert_eq!((outside.nest(old.pubkey, id).id, outside.nest(old.pubkey, "weekly").id), (new.id, last.id));

        // When that one is gone as well, the old name leads to the next.
        mock.forget(id);
        let third = recreate(&mock, "weekly").args(["--yes", "--json"]).run().expect(0).document();
        assert_eq!(third["replaces"], id);
        assert_eq!(value(&outside.nest(old.pubkey, id), "status"), Some(closed));
    }
}

/// Nobody is advised to make a second nest where the first one is elsewhere.
#[test]
fn an_api_that_never_had_it_is_not_its_server() {
    let (mock, other) = (mock(&[]), mock(&[]));
    let there = event(mock.host(), "there", 5, &[&["title", "There"], &["status", "live"], &["service", &mock.api()]]);
    NostrClient::at(&mock.relay()).publish(&there);
    let nest = Nest::new(&mock).env("NEST_API", other.api()).env("NEST_RELAYS", mock.relay());
    let error = nest.args(["restart", "there", "--json"]).run().expect(6).document()["error"].clone();
    let hint = error["hints"][0].as_str().unwrap();
    assert!(hint.contains(&format!("`nest restart there --api {}/api/v1/nests`", mock.api())), "{error:#}");
}

#[test]
fn short_names_go_on_to_the_new_nest() {
    let mock = mock(&[]);
    let old = lost(&mock, "weekly", "room", "open", [&Keys::generate(), &Keys::generate()]);
    NostrClient::at(&mock.relay()).publish(&old);
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.toml");
    let (address, same, in_api) = (naddr(&old, &[]), coordinate(&old), format!("{}/api/v1/nests/weekly", mock.api()));
    let others = format!("30312:{}:weekly", Keys::generate().public_key());
    // Of a bare id nobody knows whose it is, except where it was named.
    let text = format!(
        "[alias]\n# every Sunday\nweekly = '{address}'\nurl = '{in_api}'\nbare = 'weekly'\nother = 'demo'\n\
         theirs = '{others}'\n[profile.club.alias]\nours = '{same}'\nbare = 'weekly'\n"
    );
    let written = || std::fs::read_to_string(&config).unwrap();
    let run = |args: &[&str]| {
        let nest = Nest::new(&mock).without("NEST_API").env("NEST_RELAYS", mock.relay()).env("NEST_CONFIG", &config);
        nest.args(args).run()
    };

    std::fs::write(&config, &text).unwrap();
    let done = run(&["recreate", "@weekly", "--yes"]).expect(0);
    assert!(done.stdout.contains("  names     @ours, @url, @weekly stand for it now\n"), "{}", done.stdout);
    let changed = written();
    assert!(
        changed.starts_with(&format!("[alias]\n# every Sunday\n# before: weekly = '{address}'\nweekly = ")),
        "{changed}"
    );
    let kept = ["bare = 'weekly'", "other = 'demo'", &format!("theirs = '{others}'")];
    for line in kept {
        assert!(changed.contains(&format!("\n{line}\n")), "{line}: {changed}");
    }
    // What looks after the nest by its name goes on; where no relay was needed, none is.
    run(&["restart", "@weekly", "--check"]).expect(0);
    run(&["restart", "@ours", "--profile", "club"]).expect(0);
    run(&["restart", "@url", "--relay", "ws://127.0.0.1:1"]).expect(0);
    let there = run(&["recreate", "@weekly", "--yes"]).expect(1);
    assert!(there.stderr.contains("`nest restart @weekly`"), "{}", there.stderr);
    assert_eq!(written(), changed);

    // Where it was done already, the names alone are put right; not by looking.
    std::fs::write(&config, &text).unwrap();
    run(&["recreate", "@bare", "--dry-run"]).expect(0);
    assert_eq!(written(), text);
    let again = run(&["recreate", "@bare", "--json"]).expect(0).document();
    assert_eq!(again["aliases"], serde_json::json!(["@bare", "@ours", "@url", "@weekly"]));
    assert!(written().contains("[profile.club.alias]\n"), "{}", written());
}

#[test]
fn nothing_is_created_or_published_by_looking() {
    let mock = mock(&[]);
    let outside = NostrClient::at(&mock.relay());
    let old = lost(&mock, "weekly", "room", "open", [&Keys::generate(), &Keys::generate()]);
    outside.publish(&old);
    let unchanged = || {
        assert_eq!(mock.requests(CREATE), 0);
        assert_eq!(outside.nests(old.pubkey).len(), 2);
        assert_eq!(outside.nest(old.pubkey, "weekly").id, old.id);
    };

    let planned = recreate(&mock, "weekly").args(["--dry-run", "--json"]).run().expect(0).document();
    unchanged();
    assert_eq!(planned["request"]["method"], "PUT");
    assert_eq!(planned["request"]["body"]["hls_stream"], true);
    let tag = |event: &str, name: &str| {
        let tags = planned[event]["tags"].as_array().unwrap();
        tags.iter().find(|tag| tag[0] == name).unwrap()[1].clone()
    };
    assert_eq!((tag("opened", "status"), tag("closed", "status")), ("open".into(), "closed".into()));
    assert!(tag("closed", "a").as_str().unwrap().ends_with(tag("opened", "d").as_str().unwrap()));
    let text = recreate(&mock, "weekly").args(["--dry-run"]).run().expect(0).stdout;
    assert!(text.contains("\"PUT\"") && text.contains("Weekly"), "{text}");

    let unasked = recreate(&mock, "weekly").run().expect(2);
    assert!(unasked.stderr.contains("--yes"), "{}", unasked.stderr);
    unchanged();

    let stranger = Keys::generate().secret_key().to_secret_hex();
    recreate(&mock, &coordinate(&old)).env("NEST_KEY", stranger).args(["--yes"]).run().expect(5);
    recreate(&mock, "no-such-nest").args(["--yes"]).run().expect(6);
    recreate(&mock, "weekly").env("NEST_RELAYS", "ws://127.0.0.1:9").args(["--yes"]).run().expect(8);
    unchanged();

    nostr_client::remember(&mock, "weekly");
    let there = recreate(&mock, "weekly").args(["--yes", "--json"]).run().expect(1);
    assert_eq!(there.document()["roomId"], "weekly");
    assert!(there.stderr.contains("nest restart weekly"), "{}", there.stderr);
    unchanged();
}

#[test]
fn nothing_is_published_unless_the_room_exists() {
    let host = Keys::generate();
    let http = |head: &str, body: &str| {
        format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len()).into_bytes()
    };
    for (head, body, code) in [
        ("500 Oops", r#"{"error":"Failed to create nest"}"#, 7),
        ("401 No", r#"{"error":"Invalid"}"#, 4),
        ("200 OK", "<html>", 7),
        ("200 OK", r#"{"roomId":"","endpoints":[],"token":"x"}"#, 7),
        ("200 OK", r#"{"roomId":"weekly","endpoints":[],"token":"x"}"#, 7),
        ("504 Gateway Timeout", "", 9),
    ] {
        let (created, gone) = (http(head, body), http("404 Not Found", r#"{"error":"Nest not found"}"#));
        let server = Raw::with(move |_, line| if line.starts_with("PUT") { created.clone() } else { gone.clone() });
        let old = event(&host, "weekly", 9, &[&["title", "Weekly"], &["status", "live"], &["service", &server.url()]]);
        let relay = Relay::with(vec![old.clone()]);
        let nest = Nest::alone().env("NEST_KEY", host.secret_key().to_secret_hex()).env("NEST_RELAYS", &relay.url);
        let output = nest.args(["recreate", "weekly", "--yes", "--retries", "0", "--json"]).run();
        assert_eq!(output.code, code, "{head} {body}: {output:?}");
        assert_eq!(NostrClient::at(&relay.url).nests(old.pubkey), [old]);
    }
}

#[test]
fn a_room_that_was_never_published_is_not_made_twice() {
    let mock = mock(&[]);
    let old = lost(&mock, "weekly", "title", "live", [&Keys::generate(), &Keys::generate()]);
    let home = tempfile::tempdir().unwrap();
    let with = |relay: &str, flag: &str| {
        let nest = Nest::new(&mock).env("XDG_STATE_HOME", home.path()).env("NEST_RELAYS", relay);
        nest.args(["recreate", "weekly", flag, "--json", "--relay-timeout", "2s"]).run()
    };
    let run = |relay: &str| with(relay, "--yes");
    let only_looks = |relay: &str| {
        let seen = || NostrClient::at(relay).nests(mock.host().public_key()).into_iter().map(|event| event.id);
        let before: BTreeSet<_> = seen().collect();
        with(relay, "--dry-run").expect(0);
        assert_eq!(seen().collect::<BTreeSet<_>>(), before, "what was interrupted is not finished by looking");
    };
    // A relay that shows events, and swallows what it is given. The nest's own relay is down for the moment.
    let old = event(
        mock.host(),
        "weekly",
        90_000,
        &old.tags
            .iter()
            .map(|tag| tag.as_slice().iter().map(String::as_str).collect::<Vec<_>>())
            .filter(|tag| !["d", "relays"].contains(&tag[0]))
            .collect::<Vec<_>>()
            .iter()
            .map(Vec::as_slice)
            .collect::<Vec<_>>(),
    );
    let mute = read_only(vec![old.clone()], || true);
    let first = run(&mute);
    assert_eq!(first.code, 1, "{first:?}");
    assert!(first.document()["error"]["message"].as_str().unwrap().contains("no relay took the event"));
    assert_eq!(mock.requests(CREATE), 1);

    let outside = NostrClient::at(&mock.relay());
    outside.publish(&old);
    only_looks(&mock.relay());
    let second = run(&mock.relay()).expect(0).document();
    assert_eq!((mock.requests(CREATE), &second["created"]), (1, &false.into()), "the room of the first run is used");
    let heir = the_heir(&outside, &old);
    // The new event is out, and the old one not closed yet.
    only_looks(&Relay::with(vec![old.clone(), heir.clone()]).url);
    assert_eq!(second["roomId"], value(&heir, "d").unwrap());
    assert!(mock.record(value(&heir, "d").unwrap()).is_some());
    assert!(std::fs::read_dir(home.path().join("nest/recreate")).unwrap().next().is_none(), "nothing is left behind");
}

fn killed_after(mock: &Mock, home: &Path, after: Duration) -> bool {
    let nest = recreate(mock, "weekly").env("XDG_STATE_HOME", home).args(["--yes"]);
    let (mut command, _home) = nest.into_parts();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(after);
    let _ = child.kill();
    child.wait().unwrap().success()
}

#[test]
fn killed_at_random_moments_and_run_again_it_is_done_once() {
    let people = [&Keys::generate(), &Keys::generate()];
    let home = tempfile::tempdir().unwrap();
    // The quickest of three: after a longer time than it takes nothing is left to be killed.
    let whole = [(); 3].map(|()| {
        let mock = mock(&[]);
        NostrClient::at(&mock.relay()).publish(&lost(&mock, "weekly", "room", "open", people));
        let since = Instant::now();
        recreate(&mock, "weekly").args(["--yes"]).run().expect(0);
        since.elapsed()
    });
    let whole = whole.into_iter().min().unwrap();
    let mut killed = 0;
    for round in 0..12u32 {
        let mock = mock(&[]);
        let outside = NostrClient::at(&mock.relay());
        let old = lost(&mock, "weekly", "room", "open", people);
        outside.publish(&old);
        let state = home.path().join(round.to_string());
        // Several kills each, spread over the whole run, never at the same moments.
        for kill in 0..3u32 {
            let random = f64::from(u32::from(getrandom::u32().unwrap().to_le_bytes()[0])) / 256.0;
            let after = whole.mul_f64((f64::from(round * 3 + kill) + random) / 36.0);
            killed += u32::from(!killed_after(&mock, &state, after));
        }
        recreate(&mock, "weekly").env("XDG_STATE_HOME", &state).args(["--yes"]).run().expect(0);
        let heir = the_heir(&outside, &old);
        let record = mock.record(value(&heir, "d").unwrap()).expect("the room is there");
        assert_eq!((record.speakers.len(), record.admins.len()), (3, 2));
    }
    assert!(killed > 5, "too few were killed to say anything: {killed}");
}

#[test]
fn two_at_once_are_one_after_the_other() {
    let mock = mock(&[]);
    let outside = NostrClient::at(&mock.relay());
    let old = lost(&mock, "weekly", "room", "open", [&Keys::generate(), &Keys::generate()]);
    outside.publish(&old);
    let home = tempfile::tempdir().unwrap();
    let run = || recreate(&mock, "weekly").env("XDG_STATE_HOME", home.path()).args(["--yes"]).run().expect(0);
    std::thread::scope(|scope| drop([scope.spawn(run), scope.spawn(run)]));
    the_heir(&outside, &old);
    assert_eq!(mock.requests(CREATE), 1);
}

#[test]
fn who_is_to_stay_out_needs_another_nest() {
    let mock = mock(&[]);
    let outside = NostrClient::at(&mock.relay());
    let old = outside.nest(mock.host().public_key(), "demo");
    let call = |args: &[&str]| Nest::new(&mock).env("NEST_RELAYS", mock.relay()).args(args).run().expect(0);
    call(&["close", "demo"]);
    call(&["recreate", "demo", "--yes"]);
    let nests = outside.nests(old.pubkey);
    assert_eq!(nests.iter().filter(|event| value(event, "status") == Some("open")).count(), 1);
    assert_eq!(values(&outside.nest(old.pubkey, "demo"), "a").len(), 1);
}

#[test]
fn a_relay_that_missed_the_new_event_gets_it_with_the_next_run() {
    let mock = mock(&[]);
    let (first, second) = (Relay::with(Vec::new()), Relay::with(Vec::new()));
    let relays = ["relays", &first.url, &second.url];
    let old = event(mock.host(), "weekly", 900, &[&["room", "Weekly"], &["status", "open"], &relays]);
    // As an interrupted run leaves it: the heir on one relay, the old event open on both.
    let id = "0e9b1c3e-new";
    nostr_client::remember(&mock, id);
    let pointer = ["a", &coordinate(&old), "", "predecessor"];
    let heir = event(mock.host(), id, 20, &[&["room", "Weekly"], &["status", "open"], &relays, &pointer]);
    let (one, two) = (NostrClient::at(&first.url), NostrClient::at(&second.url));
    one.publish(&old);
    two.publish(&old);
    one.publish(&heir);
    let nest = Nest::new(&mock).args(["recreate", "weekly", "--relay", &first.url, "--yes", "--json"]);
    let document = nest.run().expect(0).document();
    assert_eq!((&document["roomId"], mock.requests(CREATE)), (&id.into(), 0));
    for relay in [&one, &two] {
        assert_eq!(the_heir(relay, &old).id, heir.id);
    }
}

#[test]
fn a_speaker_that_the_server_refuses_does_not_silence_the_others() {
    let mock = mock(&["status=400x1@permissions"]);
    let outside = NostrClient::at(&mock.relay());
    let old = lost(&mock, "weekly", "room", "open", [&Keys::generate(), &Keys::generate()]);
    outside.publish(&old);
    let output = recreate(&mock, "weekly").args(["--yes", "--json"]).run().expect(0);
    let document = output.document();
    assert_eq!(document["granted"].as_array().unwrap().len(), 1);
    assert_eq!(document["warnings"].as_array().unwrap().len(), 1, "{document}");
    the_heir(&outside, &old);

    // A server that fails is tried again by the next run.
    let mock = nest::mock(&["status=500x9@permissions"]);
    let outside = NostrClient::at(&mock.relay());
    outside.publish(&lost(&mock, "weekly", "room", "open", [&Keys::generate(), &Keys::generate()]));
    recreate(&mock, "weekly").args(["--yes", "--retries", "0"]).run().expect(7);
    mock.set_faults(Vec::new());
    let again = recreate(&mock, "weekly").args(["--yes", "--json"]).run().expect(0).document();
    assert_eq!((again["granted"].as_array().unwrap().len(), mock.requests(CREATE)), (2, 1));
}
