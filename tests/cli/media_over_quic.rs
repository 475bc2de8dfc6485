//! Nests on Media over QUIC, which have no audio room at a Nests API.

use std::net::UdpSocket;

use nostr_sdk::Event;

use crate::support::nest::{self, Nest, mock};
use crate::support::nostr_client::{Relay, coordinate, event, naddr};
use crate::support::raw::Raw;

fn quic(mock: &nostr_nests::server::Mock, id: &str, tags: &[&[&str]]) -> Event {
    let all: Vec<_> = [&["title", "Quic"][..], &["status", "live"]].into_iter().chain(tags.iter().copied()).collect();
    event(mock.host(), id, 9, &all)
}

#[test]
fn it_is_recognised_and_explained_by_every_command() {
    let mock = mock(&[]);
    let first = quic(&mock, "quic", &[&["streaming", "https://moq.example/anon"], &["auth", "https://auth.example"]]);
    let second = quic(&mock, "auth-only", &[&["auth", "https://auth.example"]]);
    let relay = Relay::with(vec![first.clone(), second.clone()]);
    for (args, room) in [
        (&["restart"][..], coordinate(&first)),
        (&["restart", "--if-inactive"], coordinate(&first)),
        (&["restart"], naddr(&second, &[&relay.url])),
        (&["recreate", "--yes"], coordinate(&first)),
    ] {
        // With the API known or not: it does not have the nest either way.
        for api in [None, Some(mock.api())] {
            let nest = Nest::new(&mock).without("NEST_API").env("NEST_RELAYS", &relay.url);
            let nest = if let Some(api) = api { nest.env("NEST_API", api) } else { nest };
            let output = nest.args(args).args([room.as_str(), "--json"]).run().expect(1);
            let error = &output.document()["error"];
            let message = error["message"].as_str().unwrap();
            assert!(message.contains("Media over QUIC"), "{args:?}: {error}");
            assert!(message.contains("moq.example") || message.contains("auth.example"), "{error}");
            assert_eq!(error["kind"], "failed");
        }
    }
    assert!(mock.room("quic").is_none() && mock.requests("/api/v1/nests") == 0);
    let nest = Nest::new(&mock).env("NEST_RELAYS", &relay.url).args(["restart", "--all-inactive"]);
    assert!(nest.run().expect(0).stderr.contains("nothing to restart"));
    let rows = Nest::new(&mock).env("NEST_RELAYS", &relay.url).args(["list", "--json"]).run().expect(0).documents();
    assert!(rows.len() == 2 && rows.iter().all(|row| row["state"] == "mediaOverQuic"), "{rows:?}");
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
    let mock = mock(&[]);
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
        let check = || Nest::alone().args(["check", &naddr(&nest, &[&relay.url]), "--timeout", "4s"]);
        let (json, text) = std::thread::scope(|scope| {
            let json = scope.spawn(|| check().args(["--json"]).run().expect(*code));
            let text = check().run().expect(*code).stdout;
            (json.join().unwrap(), text)
        });
        let document = json.document();
        let seen: Vec<_> = document["steps"].as_array().unwrap().iter().map(|step| &step["status"]).collect();
        assert_eq!(seen, [steps[0], steps[1], steps[2], "notChecked"], "{document}");
        assert!(document["steps"].to_string().contains(words), "{words}: {document}");
        assert_eq!(document["verdict"], if *code == 0 { "joinable" } else { "unhealthy" });
        assert_eq!(text.contains("quic · what Media over QUIC needs is there"), *code == 0, "{text}");
    });
    assert_eq!((mock.requests("/rtc"), mock.all_requests()), (0, 0));
}
