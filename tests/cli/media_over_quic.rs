//! Nests on Media over QUIC, which have no audio room at a Nests API: what is dead is found, and only that is mended.

use std::net::UdpSocket;

use nostr_nests::server::{DEMO_MOQ, Mock, Options};
use nostr_sdk::{Event, EventBuilder, Kind, Tag};
use serde_json::{Value, json};

use crate::support::following::Following;
use crate::support::nest::{self, Nest, parse};
use crate::support::nostr_client::{
    NostrClient, Relay, coordinate, event, mute, naddr, now, outbox, read_only, tags_without, value,
};
use crate::support::raw::Raw;

/// With the nest that runs on Media over QUIC.
fn mock(faults: &[&str]) -> Mock {
    Mock::start(Options { faults: parse(faults), moq: true, ..Options::default() }).unwrap()
}

fn demo(mock: &Mock) -> Event {
    NostrClient::at(&mock.relay()).nest(mock.host().public_key(), DEMO_MOQ)
}

/// By its address alone: no API is known.
fn nest(mock: &Mock, args: &[&str]) -> Nest {
    let room = naddr(&demo(mock), &[&mock.relay()]);
    Nest::new(mock).without("NEST_API").args(args).args([room.as_str(), "--json"])
}

fn shown(document: &Value) -> Vec<bool> {
    document["shown"].as_array().unwrap().iter().map(|client| client["shows"] == true).collect()
}

/// Somebody says on Nostr that they are there.
fn presence(mock: &Mock, age: u64, onstage: &str) -> Event {
    let nest = coordinate(&demo(mock));
    let tags = [["a", &nest], ["hand", "1"], ["onstage", onstage]].map(|tag| Tag::parse(tag).unwrap());
    let at = (now() - age).into();
    let keys = nostr_sdk::Keys::generate();
    EventBuilder::new(Kind::from(10312), "").tags(tags).custom_created_at(at).sign_with_keys(&keys).unwrap()
}

#[test]
fn a_dead_one_is_restarted_by_publishing_it_again() {
    let mock = mock(&[]);
    let old = demo(&mock);
    let status = nest(&mock, &["status"]).run().expect(10).document();
    assert_eq!((&status["kind"], &status["state"]), (&"moq".into(), &"inactive".into()), "{status:#}");
    let done = nest(&mock, &["restart"]).run().expect(0).document();
    let new = demo(&mock);
    assert_eq!((&done["kind"], &done["proof"]), (&"moq".into(), &"fresh".into()), "{done:#}");
    assert_eq!(done["published"]["eventId"], new.id.to_hex());
    assert_eq!(shown(&done), [true, false], "Amethyst wants the auth service to be https");
    assert!(done["token"].as_str().unwrap().split('.').count() == 3 && done.get("api").is_none());
    // What pages that are open look at has changed in its letters only; all the rest is as it was.
    let streaming = value(&old, "streaming").unwrap();
    assert_eq!(value(&new, "streaming"), Some(&*format!("{streaming}/")));
    assert_eq!(tags_without(&new, &["streaming"]), tags_without(&old, &["streaming"]));
    assert!(new.created_at.as_secs() + 60 > now());

    let status = nest(&mock, &["status"]).run().expect(0).document();
    assert_eq!(status["state"], "running", "{status:#}");
    let again = nest(&mock, &["restart", "--if-inactive"]).run().expect(0).document();
    assert_eq!((&again["attempts"], demo(&mock).id), (&0.into(), new.id), "{again:#}");
    nest(&mock, &["restart"]).run().expect(0);
    assert_eq!(value(&demo(&mock), "streaming"), Some(streaming), "spelt as at first");
    assert_eq!(mock.requests("/api/v1/nests/demo-moq/restart"), 0);
}

/// A stranger's list, and what is no presence, from a relay that answers with whatever it likes.
#[test]
fn what_was_not_asked_for_is_not_believed() {
    let mock = mock(&["moq-event=alone"]);
    let demo = demo(&mock);
    let stranger = nostr_sdk::Keys::generate();
    let signed = |kind: u16, tags: &[&[&str]]| {
        let tags = tags.iter().map(|tag| Tag::parse(tag.iter().copied()).unwrap());
        EventBuilder::new(Kind::from(kind), "").tags(tags).sign_with_keys(&stranger).unwrap()
    };
    let chat = signed(1311, &[&["a", &coordinate(&demo)], &["onstage", "1"]]);
    let list = signed(10112, &[&["server", value(&demo, "streaming").unwrap(), "https://stranger.example"]]);
    let event = event(
        mock.host(),
        DEMO_MOQ,
        3600,
        &[&["title", "Without auth"], &["status", "live"], &["streaming", value(&demo, "streaming").unwrap()]],
    );
    let liar = read_only(vec![event.clone(), chat, list], || true);
    let call = |verb: &str, more: &[&str]| {
        let nest = Nest::new(&mock).without("NEST_API").env("NEST_RELAYS", &liar);
        nest.args([verb, &coordinate(&event), "--json"]).args(more).run().expect(10).document()
    };
    let status = call("status", &[]);
    assert_eq!((&status["state"], &status["participants"]), (&"inactive".into(), &0.into()), "{status:#}");
    let restart = call("restart", &["--retries", "0", "--timeout", "2s"]);
    assert!(!restart.to_string().contains("stranger.example"), "{restart:#}");
}

/// Each death, and what tells of it.
#[test]
fn whatever_it_has_died_of() {
    let cases = [
        ("moq-event=alone", 10, "inactive", "nobody present", "live"),
        ("moq-event=open", 10, "inactive", "status open is not shown", "live"),
        ("moq-event=old-names", 10, "inactive", "the event has no", "live"),
        ("moq-event=ended", 10, "over", "it is over", "live"),
        ("moq-event=new", 0, "running", "", "live"),
    ];
    nest::at_once(&cases, |(fault, code, state, why, after)| {
        let mock = mock(&[fault]);
        let output = nest(&mock, &["status"]).run().expect(*code);
        let status = output.document();
        assert_eq!(status["state"], *state, "{fault}: {status:#}");
        assert!(status["shown"].to_string().contains(why), "{fault}: {status:#}");
        nest(&mock, &["restart"]).run().expect(0);
        assert_eq!(value(&demo(&mock), "status"), Some(*after), "{fault}");
        assert_eq!(nest(&mock, &["status"]).run().expect(0).document()["state"], "running", "{fault}");
    });
}

/// As long as nobody could join, the event stays as it is.
#[test]
fn nothing_is_published_while_its_servers_do_not_answer() {
    let cases = [
        ("quic-down", "does not answer by UDP", "UDP"),
        ("drop-before@auth", "lost before there was an answer", "ask whoever runs"),
        ("status=500@auth", "fails with status 500", "ask whoever runs"),
        ("status=404@auth", "there is no auth service", "--auth-url"),
        ("status=429,7s@auth", "takes no more requests", "try again in 7 s"),
        ("html=502@auth", "fails with status 502", "ask whoever runs"),
        ("redirect=301@auth", "redirects to", "--auth-url"),
        ("half-body@auth", "cut off", "ask whoever runs"),
        ("token-object@auth", "without a usable token", "--auth-url"),
        ("echo-authorization@auth", "refuses the signature", "up to date"),
    ];
    nest::at_once(&cases, |(fault, why, hint)| {
        let mock = mock(&[fault]);
        let old = demo(&mock);
        let restart = |more: &[&str]| nest(&mock, &["restart", "--retries", "0", "--timeout", "2s"]).args(more);
        let output = restart(&[]).run().expect(10);
        let error = &output.document()["error"];
        assert!(error["message"].as_str().unwrap().contains(why), "{fault}: {error:#}");
        assert!(error["hints"].to_string().contains(hint), "{fault}: {error:#}");
        assert!(error["hints"].to_string().contains("--force"), "{fault}: {error:#}");
        assert!(!output.stdout.contains("Nostr ey"), "{fault}: no signature is shown");
        assert_eq!(demo(&mock).id, old.id, "{fault}: nothing was published");
        let forced = restart(&["--force"]).run().expect(0).document();
        assert_eq!((&forced["proof"], demo(&mock).id != old.id), (&"fresh".into(), true), "{fault}");
    });
}

/// The auth service's clock is the one that counts.
#[test]
fn a_wrong_clock_is_repaired_for_the_auth_service_too() {
    for fault in ["clock=+10m", "clock=-10m"] {
        let mock = mock(&[fault]);
        let output = nest(&mock, &["restart"]).run().expect(0);
        assert!(
            output.document()["warnings"].to_string().contains("your clock is 10 min"),
            "{fault}: {}",
            output.stdout
        );
    }
}

#[test]
fn who_is_present_is_told() {
    let mock = mock(&["moq-event=alone"]);
    let client = NostrClient::at(&mock.relay());
    client.publish(&presence(&mock, 14 * 60, "1"));
    // Dated a day ahead: it would count for ever.
    let nest_tag = Tag::parse(["a", &coordinate(&demo(&mock))]).unwrap();
    let ahead = EventBuilder::new(Kind::from(10312), "").tags([nest_tag]).custom_created_at((now() + 86_400).into());
    client.publish(&ahead.sign_with_keys(&nostr_sdk::Keys::generate()).unwrap());
    let status = nest(&mock, &["status"]).run().expect(10).document();
    assert_eq!((&status["participants"], &status["onStage"]), (&0.into(), &0.into()), "{status:#}");
    assert!(status["shown"].to_string().contains("nobody present for 14 min"), "{status:#}");
    client.publish(&presence(&mock, 5, "0"));
    client.publish(&presence(&mock, 9, "1"));
    let status = nest(&mock, &["status"]).run().expect(0).document();
    let people = ["participants", "onStage", "hands"].map(|field| status[field].as_u64().unwrap());
    assert_eq!((people, &status["state"]), ([2, 1, 2], &"running".into()), "{status:#}");
    let rows = Nest::new(&mock).env("NEST_RELAYS", mock.relay()).args(["list", "--json"]).run().expect(0).documents();
    let row = rows.iter().find(|row| row["roomId"] == DEMO_MOQ).unwrap();
    assert_eq!((&row["people"], &row["state"]), (&2.into(), &"running".into()), "{row:#}");
}

/// A bare id leads to the host's own event, whatever the API says that it does not know.
#[test]
fn a_bare_id_is_enough() {
    let mock = mock(&[]);
    let by_id = |args: &[&str]| Nest::new(&mock).env("NEST_RELAYS", mock.relay()).args(args).args([DEMO_MOQ, "--json"]);
    assert_eq!(by_id(&["status"]).run().expect(10).document()["kind"], "moq");
    assert_eq!(by_id(&["restart"]).run().expect(0).document()["proof"], "fresh");
    assert_eq!(by_id(&["status"]).run().expect(0).document()["state"], "running");
    assert_eq!(by_id(&["check"]).run().expect(0).document()["kind"], "moq");
    let token = by_id(&["token"]).run().expect(0).document();
    assert_eq!((&token["kind"], &token["mayPublish"]), (&"moq".into(), &true.into()));
    assert_eq!(by_id(&["close", "--yes"]).run().expect(0).document()["status"], "ended");
    assert_eq!(by_id(&["status"]).run().expect(10).document()["state"], "over");
    let recreate = by_id(&["recreate", "--yes"]).run().expect(1).document();
    assert!(recreate["error"]["hints"].to_string().contains("nest restart"), "{recreate:#}");
}

/// An API that is named for other nests does not matter to it, whatever is wrong with that.
#[test]
fn an_api_that_is_down_keeps_none_from_coming_back() {
    let cases: &[(bool, &str, &[&str])] = &[
        (false, "--if-inactive", &[]),
        (true, "--retries=1", &[]),
        (true, "--retries=0", &["status=502@api"]),
        (false, "--retries=0", &["redirect=302@api"]),
    ];
    nest::at_once(cases, |(by_id, how, faults)| {
        let mock = mock(faults);
        let room = if *by_id { DEMO_MOQ.to_owned() } else { naddr(&demo(&mock), &[&mock.relay()]) };
        let api = if faults.is_empty() { "http://127.0.0.1:1".to_owned() } else { mock.api() };
        let nest = |args: &[&str]| {
            let nest = Nest::new(&mock).env("NEST_API", &api).env("NEST_RELAYS", mock.relay());
            nest.args(args).args([&room, "--json"]).run().expect(0).document()
        };
        let done = nest(&["restart", how]);
        assert_eq!((&done["kind"], &done["proof"]), (&"moq".into(), &"fresh".into()), "{done:#}");
        assert_eq!(nest(&["token", "--retries=0"])["kind"], "moq");
        assert_eq!(nest(&["doctor"])["verdict"], "healthy");
    });
}

/// The host's list says which auth service goes with a relay; without it, the relay's name does.
#[test]
fn it_moves_to_other_servers() {
    let mock = mock(&[]);
    let old = demo(&mock);
    let relay = value(&old, "streaming").unwrap().replace("127.0.0.1", "localhost");
    let auth = value(&old, "auth").unwrap().replace("127.0.0.1", "localhost");
    let moved = |more: &[&str]| nest(&mock, &["restart", "--retries", "0", "--relay-url", &relay]).args(more).run();
    let derived = moved(&[]).expect(10).document();
    assert!(derived["error"]["message"].as_str().unwrap().contains("moq-auth.localhost"), "{derived:#}");
    moved(&["--auth-url", &auth]).expect(0);
    let new = demo(&mock);
    assert_eq!((value(&new, "streaming"), value(&new, "auth")), (Some(&*relay), Some(&*auth)));

    let client = NostrClient::at(&mock.relay());
    let list = EventBuilder::new(Kind::from(10112), "").tags([Tag::parse(["server", &relay, &auth]).unwrap()]);
    client.publish(&list.sign_with_keys(mock.host()).unwrap());
    // One that runs on LiveKit so far.
    let room = naddr(&client.nest(mock.host().public_key(), "demo"), &[&mock.relay()]);
    let args = ["restart", &room, "--relay-url", &relay, "--json"];
    let done = Nest::new(&mock).without("NEST_API").args(args).run().expect(0).document();
    assert_eq!((&done["kind"], &done["auth"]), (&"moq".into(), &json!(auth)), "{done:#}");
    assert!(done["warnings"].to_string().contains("its old audio room is still at"), "{done:#}");
    let new = client.nest(mock.host().public_key(), "demo");
    let tags = ["status", "title", "streaming", "auth", "service", "room"].map(|name| value(&new, name));
    assert_eq!(tags, [Some("live"), Some("Demo nest"), Some(&*relay), Some(&*auth), None, None]);
}

/// cron does not open again what its host has closed, and guesses nothing.
#[test]
fn if_inactive_leaves_alone_what_is_not() {
    let mock = mock(&["moq-event=ended"]);
    let (client, relay) = (NostrClient::at(&mock.relay()), value(&demo(&mock), "streaming").unwrap().to_owned());
    let list = EventBuilder::new(Kind::from(10112), "");
    let auth = value(&demo(&mock), "auth").unwrap().to_owned();
    let list = list.tags([Tag::parse(["server", &relay, &auth]).unwrap()]).sign_with_keys(mock.host()).unwrap();
    client.publish(&list);
    let without_auth = |status: &str, age: u64| {
        event(mock.host(), DEMO_MOQ, age, &[&["title", "T"], &["status", status], &["streaming", &relay]])
    };
    // As the mock has it; then what is missing in the event is in the host's list.
    for (events, words) in [(None, "nothing was sent"), (Some(without_auth("ended", 9)), "nothing was sent")] {
        if let Some(event) = &events {
            client.publish(event);
        }
        let old = demo(&mock);
        let output = nest(&mock, &["restart", "--if-inactive"]).run().expect(0);
        assert!(output.document()["message"].as_str().unwrap().contains(words), "{}", output.stdout);
        assert_eq!(demo(&mock).id, old.id);
    }
    client.publish(&without_auth("paused", 8));
    let old = demo(&mock);
    let output = nest(&mock, &["restart", "--if-inactive"]).run().expect(10);
    let error = &output.document()["error"];
    assert!(error["message"].as_str().unwrap().contains("whether this nest runs is not known"), "{error:#}");
    assert_eq!(demo(&mock).id, old.id);
    nest(&mock, &["restart"]).run().expect(0);
    assert_eq!(value(&demo(&mock), "auth"), Some(&*auth), "from the host's list");
}

/// Web pages put `/auth` behind it.
#[test]
fn a_slash_at_the_end_of_the_auth_service_goes() {
    let mock = mock(&[]);
    let demo_event = demo(&mock);
    let [relay, auth] = ["streaming", "auth"].map(|name| value(&demo_event, name).unwrap());
    let slash = format!("{auth}/");
    let tags: [&[&str]; 4] = [&["title", "T"], &["status", "live"], &["streaming", relay], &["auth", &slash]];
    NostrClient::at(&mock.relay()).publish(&event(mock.host(), DEMO_MOQ, 9, &tags));
    let done = nest(&mock, &["restart", "--check"]).run().expect(0).document();
    assert_eq!(value(&demo(&mock), "auth"), Some(auth));
    let steps = done["check"]["steps"].as_array().unwrap();
    assert!(steps.len() == 5 && steps[..4].iter().all(|step| step["status"] == "passed"), "{done:#}");
}

/// The one that comes second builds on what the first has published, or leaves it alone.
#[test]
fn several_at_once_make_one_restart() {
    let mock = mock(&[]);
    let home = tempfile::tempdir().unwrap();
    let output = std::thread::scope(|scope| {
        let call = || nest(&mock, &["restart", "--if-inactive"]).env("XDG_STATE_HOME", home.path()).run().expect(0);
        let calls = [(); 3].map(|()| scope.spawn(call));
        calls.map(|call| call.join().unwrap().document())
    });
    let sent = output.iter().filter(|document| document.get("published").is_some()).count();
    assert_eq!(sent, 1, "{output:#?}");
}

#[test]
fn an_address_that_no_client_takes_is_no_address() {
    let mock = mock(&[]);
    for wrong in
        ["http://127.0.0.1:4443", "wss://moq.example", "foo", "https://a:b@moq.example", "https://moq.example?x"]
    {
        let output = nest(&mock, &["restart", "--relay-url", wrong]).run().expect(2);
        assert!(output.stderr.contains("--relay-url"), "{wrong}: {}", output.stderr);
    }
    nest(&mock, &["restart", "--auth-url", "http://far.example"]).run().expect(2);
}

/// An event that is older than a day was left behind; what is over or planned stays so.
#[test]
fn a_sweep_takes_those_of_today() {
    let mock = mock(&[]);
    let (client, host) = (NostrClient::at(&mock.relay()), mock.host());
    let demo = demo(&mock);
    let (relay, auth) = (value(&demo, "streaming").unwrap(), value(&demo, "auth").unwrap());
    let later = (now() + 3600).to_string();
    for (id, age, status) in [
        ("yesterday", 25 * 3600, "live"),
        ("today", 23 * 3600, "live"),
        ("ended", 3600, "ended"),
        ("planned", 3600, "planned"),
    ] {
        let tags = [["title", id], ["status", status], ["starts", &later], ["streaming", relay], ["auth", auth]];
        client.publish(&event(host, id, age, &tags.each_ref().map(|tag| &tag[..])));
    }
    let sweep = Nest::new(&mock).without("NEST_API").env("NEST_RELAYS", mock.relay());
    let documents = sweep.args(["restart", "--all-inactive", "--json"]).run().expect(0).documents();
    let mut done: Vec<_> = documents.iter().map(|document| document["roomId"].as_str().unwrap()).collect();
    done.sort_unstable();
    assert_eq!(done, ["demo", "demo-moq", "today"]);
    let status = |id| value(&client.nest(host.public_key(), id), "status").map(str::to_owned).unwrap();
    assert_eq!(["yesterday", "ended", "planned"].map(status), ["live", "ended", "planned"]);
}

/// Followers look where the host writes.
#[test]
fn the_relays_that_the_host_writes_to_have_it_too() {
    let mock = mock(&[]);
    let write = Relay::with(Vec::new());
    NostrClient::at(&mock.relay()).publish(&outbox(mock.host(), &[(&write.url, Some("write"))]));
    let done = nest(&mock, &["restart"]).run().expect(0).document();
    assert_eq!(done["published"]["accepted"].as_array().unwrap().len(), 2, "{done:#}");
    assert_eq!(NostrClient::at(&write.url).nest(mock.host().public_key(), DEMO_MOQ).id, demo(&mock).id);
}

#[test]
fn a_plan_shows_the_event_and_publishes_nothing() {
    let mock = mock(&[]);
    let old = demo(&mock);
    let plan = nest(&mock, &["restart", "--dry-run"]).run().expect(0).document();
    assert_eq!(mock.requests("/moq-auth/auth"), 0, "nothing is sent");
    assert_eq!((&plan["method"], &plan["event"]["kind"]), (&"EVENT".into(), &30312.into()), "{plan:#}");
    assert_eq!(demo(&mock).id, old.id);
}

/// The port of somebody who answers packets of unknown versions as RFC 9000 has it (17.2.1), once the first was lost.
fn speaks_quic() -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let mut packet = [0; 2000];
        for n in 0.. {
            let (length, from) = socket.recv_from(&mut packet).unwrap();
            assert!(length >= 1200 && packet[0] & 0xc0 == 0xc0 && packet[5] == 8 && packet[14] == 8, "a long header");
            let (theirs, ours) = (&packet[5..14], &packet[14..23]);
            let somebody_elses = [&[0x80, 0, 0, 0, 0], theirs, ours, &[0, 0, 0, 1]].concat();
            socket.send_to(&somebody_elses, from).unwrap();
            if n > 0 {
                let versions = [&[0x80, 0, 0, 0, 0], ours, theirs, &[0, 0, 0, 1, 0x6b, 0x33, 0x43, 0xcf]].concat();
                socket.send_to(&versions, from).unwrap();
            }
        }
    });
    port
}

#[test]
fn the_check_asks_its_relay_and_its_auth_service() {
    let mock = nest::mock(&[]);
    let answering = Raw::answering("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    let failing = Raw::answering("HTTP/1.1 503 Unavailable\r\nContent-Length: 0\r\n\r\n");
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let at = |port: u16| format!("https://127.0.0.1:{port}/anon");
    let (here, mute) = (at(speaks_quic()), at(silent.local_addr().unwrap().port()));
    let nobody = at(UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port());
    let (auth, broken) = (answering.url(), failing.url());
    let cases = [
        (&["auth", &auth][..], &*here, "live", 0, ["passed", "passed", "passed"], "speaks QUIC (1, 2)"),
        (&["x"], &here, "live", 0, ["passed", "passed", "notChecked"], "names no auth service"),
        (&["auth", &broken], &here, "live", 10, ["passed", "passed", "failed"], "fails with status 503"),
        (&["auth", "http://far.example"], &here, "live", 10, ["passed", "passed", "failed"], "in the clear"),
        (&["auth", &auth], &here, "ended", 10, ["failed", "passed", "passed"], "the nest is over"),
        (&["auth", &auth], &nobody, "live", 10, ["passed", "failed", "passed"], "cannot be reached by UDP"),
        (&["auth", &auth], &mute, "live", 10, ["passed", "failed", "passed"], "does not answer by UDP within"),
    ];
    nest::at_once(&cases, |(auth, streaming, status, code, steps, words)| {
        let nest =
            event(mock.host(), "quic", 9, &[&["title", "Q"], &["status", status], &["streaming", streaming], auth]);
        let relay = Relay::with(vec![nest.clone()]);
        let nest = naddr(&nest, &[&relay.url]);
        let check = || Nest::alone().env("NEST_API", mock.api()).args(["check", &nest, "--timeout", "6s"]);
        let (json, text) = std::thread::scope(|scope| {
            let json = scope.spawn(|| check().args(["--json"]).run().expect(*code));
            let text = check().run().expect(*code).stdout;
            (json.join().unwrap(), text)
        });
        let document = json.document();
        let seen = document["steps"].as_array().unwrap().iter().filter(|step| step["name"] != "clients");
        let seen: Vec<_> = seen.map(|step| &step["status"]).collect();
        assert_eq!(seen, [steps[0], steps[1], steps[2], "notChecked"], "{document}");
        assert!(document["steps"].to_string().contains(words), "{words}: {document}");
        assert_eq!(document["verdict"], if *code == 0 { "joinable" } else { "unhealthy" });
        assert_eq!(text.contains("quic · what Media over QUIC needs is there"), *code == 0, "{text}");
    });
    // An API that is configured has nothing to do with it.
    assert_eq!(["/rtc/v1", "/api/v1/nests/quic"].map(|path| mock.requests(path)), [0, 0]);
}

/// A relay that does not say that it took the event is asked for it.
#[test]
fn the_doctor_finds_what_the_status_finds() {
    for (faults, verdict, next) in [
        (&["moq-event=new"][..], "healthy", "nest check"),
        (&[], "unhealthy", "nest restart"),
        (&["moq-event=ended"], "unhealthy", "nest restart"),
        (&["moq-event=new", "quic-down"], "unhealthy", "Media over QUIC needs UDP"),
    ] {
        let mock = mock(faults);
        let code = if verdict == "healthy" { 0 } else { 10 };
        let status = nest(&mock, &["status"]).run();
        // By its address; by its id alone; and where the API of other nests is named, there or not.
        let by_id = Nest::new(&mock).env("NEST_RELAYS", mock.relay()).args(["doctor", DEMO_MOQ, "--json"]);
        let addressed = || nest(&mock, &["doctor"]);
        let calls = [addressed(), by_id, addressed().env("NEST_API", "http://127.0.0.1:1")];
        for document in calls.map(|call| call.run().expect(code).document()) {
            assert_eq!(document["verdict"], verdict, "{faults:?}: {document:#}");
            assert!(document["next"].as_str().unwrap().starts_with(next), "{faults:?}: {document:#}");
        }
        assert_eq!(status.code, code, "{faults:?}");
    }
    // With less time it is not known to be dead.
    let quick = mock(&["moq-event=new", "quic-down"]);
    for (command, word) in [("status", "state"), ("check", "verdict"), ("doctor", "verdict")] {
        let document = nest(&quick, &[command, "--timeout", "1s"]).run().expect(10).document();
        assert_eq!(document[word], "unknown", "{command}: {document:#}");
    }
    // Without its event nobody knows what it is.
    let mock = mock(&[]);
    let unheard = Nest::new(&mock).env("NEST_RELAYS", "ws://127.0.0.1:1").args(["doctor", DEMO_MOQ, "--json"]);
    let document = unheard.run().expect(10).document();
    assert_eq!(document["next"], format!("nest doctor {DEMO_MOQ} --relay wss://…"), "{document:#}");
    let address = naddr(&demo(&mock), &[]);
    let unheard = Nest::new(&mock).env("NEST_RELAYS", "ws://127.0.0.1:1").args(["status", &address, "--json"]);
    assert_eq!(unheard.run().expect(10).document()["state"], "unknown", "no record is no sign of anything");
}

#[test]
fn a_relay_that_is_silent_may_have_it_all_the_same() {
    let mock = mock(&[]);
    let demo = demo(&mock);
    let [streaming, auth] = ["streaming", "auth"].map(|name| value(&demo, name).unwrap());
    let tags: &[&[&str]] = &[&["title", "Q"], &["status", "open"], &["streaming", streaming], &["auth", auth]];
    let old = event(mock.host(), DEMO_MOQ, 9, tags);
    let cases = [
        (mute(vec![old.clone()]), 0, "/proof", "fresh"),
        (read_only(vec![old.clone()], || true), 1, "/error/message", "no relay took the event: "),
    ];
    nest::at_once(&cases, |(relay, code, place, words)| {
        let nest =
            Nest::new(&mock).without("NEST_API").args(["restart", &naddr(&old, &[]), "--relay", relay, "--json"]);
        let document = nest.run().expect(*code).document();
        assert!(document.pointer(place).unwrap().as_str().unwrap().starts_with(words), "{document:#}");
    });
}

/// A bare id, and an API that was named: what is looked at stays a nest on Media over QUIC.
#[test]
fn it_stays_one_while_it_is_followed() {
    let mock = mock(&[]);
    let args = ["status", DEMO_MOQ, "--follow", "--interval", "200ms", "--relay", &mock.relay(), "--json"];
    let mut following = Following::start(Nest::new(&mock).args(args));
    let first = following.next();
    assert_eq!((&first["kind"], &first["state"]), (&"moq".into(), &"inactive".into()), "{first}");
    nest(&mock, &["restart"]).run().expect(0);
    let running = following.until("state", "running");
    assert_eq!(running["kind"], "moq", "{running}");
    let list = ["list", "--follow", "--interval", "200ms", "--relay", &mock.relay(), "--json"];
    let mut listed = Following::start(Nest::new(&mock).args(list));
    listed.until("state", "running");
    nest(&mock, &["close", "--yes"]).run().expect(0);
    assert_eq!(listed.until("state", "over")["kind"], "moq");
    nest(&mock, &["restart"]).run().expect(0);
    assert_eq!(listed.until("state", "running")["kind"], "moq");
    assert_eq!(listed.interrupt(), "");
    following.until("state", "running");
    let closed = nest(&mock, &["close", "--yes"]).run();
    assert_eq!(following.until("state", "over")["kind"], "moq", "{}", closed.stdout);
    assert_eq!(following.interrupt(), "");
}

/// What the host's key says of being present, the newest first.
fn own_presence(mock: &Mock) -> Option<Event> {
    let filter = nostr_sdk::Filter::new().kind(Kind::from(10312)).author(mock.host().public_key());
    NostrClient::at(&mock.relay()).stored(filter).into_iter().max_by_key(|event| event.created_at)
}

/// Signed by the host's key, as the host's own app would.
fn host_is_in(mock: &Mock, nest: &str) {
    let tags = [["a", nest], ["onstage", "1"]].map(|tag| Tag::parse(tag).unwrap());
    let event = EventBuilder::new(Kind::from(10312), "").tags(tags).sign_with_keys(mock.host()).unwrap();
    NostrClient::at(&mock.relay()).publish(&event);
}

#[test]
fn the_hosts_presence_keeps_it_open_and_is_taken_back() {
    for verb in ["restart", "check"] {
        let mock = mock(&["moq-event=new"]);
        let kept = std::thread::scope(|scope| {
            let kept = scope.spawn(|| nest(&mock, &[verb, "--keep=2s"]).run().expect(0));
            let begun = std::time::Instant::now();
            let there = loop {
                match own_presence(&mock) {
                    Some(event) => break event,
                    None => assert!(begun.elapsed().as_secs() < 10, "{verb}: nobody is present"),
                }
                std::thread::sleep(std::time::Duration::from_millis(20));
            };
            assert_eq!((value(&there, "onstage"), value(&there, "a")), (Some("1"), Some(&*coordinate(&demo(&mock)))));
            kept.join().unwrap()
        });
        assert_eq!(value(&own_presence(&mock).unwrap(), "onstage"), Some("0"), "{verb}: {}", kept.stderr);
        // Once it is taken back, it can be sent again.
        nest(&mock, &[verb, "--keep=100ms"]).run().expect(0);
    }
}

#[test]
fn no_presence_is_sent_where_the_host_is_anyway_or_elsewhere() {
    let other = "30312:aa4fc8665f5696e33db7e1a572e3b0f5b3d615837b0f362dcb1c8068b098c7b4:other";
    for (elsewhere, words) in [(false, "your own app is in this nest"), (true, "you are in another nest, 30312:aa4f")] {
        let mock = mock(&["moq-event=new"]);
        let here = coordinate(&demo(&mock));
        host_is_in(&mock, if elsewhere { other } else { &here });
        let before = own_presence(&mock).unwrap();
        let output = nest(&mock, &["restart", "--keep=1h"]).run().expect(0);
        assert!(output.document()["warnings"].to_string().contains(words), "{}", output.stdout);
        assert_eq!(own_presence(&mock).unwrap().id, before.id, "nothing was published");
    }
    // It takes over while the presence is sent from here: that is not taken back.
    let mock = mock(&["moq-event=new"]);
    let here = coordinate(&demo(&mock));
    std::thread::scope(|scope| {
        let kept = scope.spawn(|| nest(&mock, &["restart", "--keep=4s"]).run().expect(0));
        let begun = std::time::Instant::now();
        while own_presence(&mock).is_none() {
            assert!(begun.elapsed().as_secs() < 20, "nobody is present");
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        // A second later, as relays have the newest only.
        std::thread::sleep(std::time::Duration::from_millis(1100));
        host_is_in(&mock, &here);
        let own = own_presence(&mock).unwrap();
        assert!(kept.join().unwrap().document()["warnings"].to_string().contains("your own app"));
        assert_eq!(own_presence(&mock).unwrap().id, own.id);
    });
    let mock = self::mock(&["moq-event=new"]);
    NostrClient::at(&mock.relay()).publish(&presence(&mock, 1, "1"));
    nest(&mock, &["restart", "--keep=1h"]).run().expect(0);
    assert!(own_presence(&mock).is_none(), "somebody is there");
    let stranger = nest(&mock, &["check", "--keep=1h", "--relay", &mock.relay()]).without("NEST_KEY").run().expect(0);
    assert!(stranger.stderr.contains("only its host's key"), "{}", stranger.stderr);
}
