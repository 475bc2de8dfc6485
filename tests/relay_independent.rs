//! Against a relay that others wrote, in another language: `nostr-relay` of the Python index, in `target/tools/nostr-relay`.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod relay_support;

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use nostr::{Keys, RelayUrl};
use nostr_nests::clock::Clock;
use nostr_nests::relay::{Error, Relays, Status, Trouble};
use relay_support::*;
use tempfile::TempDir;

const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/tools/nostr-relay/bin/nostr-relay");

struct Independent {
    child: Child,
    url: RelayUrl,
    home: TempDir,
}

impl Independent {
    /// Starts it with these lines in its configuration, where `URL` stands for its address.
    fn start(more: &str) -> Self {
        assert!(Path::new(PROGRAM).exists(), "{PROGRAM} is not installed");
        // It has to know its own address.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let url = RelayUrl::parse(&format!("ws://127.0.0.1:{port}")).unwrap();
        let home = tempfile::tempdir().unwrap();
        let config = format!(
            "storage:\n  sqlalchemy.url: sqlite+aiosqlite:///{}/events.sqlite3\n  validators:\n    \
             - nostr_relay.validators.is_signed\ngunicorn:\n  bind: 127.0.0.1:{port}\n  workers: 1\n  loglevel: info\n{}",
            home.path().display(),
            more.replace("URL", url.as_str())
        );
        fs::write(home.path().join("config.yaml"), config).unwrap();
        let mut child = command(home.path())
            .arg("serve")
            .process_group(0)
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        // The socket is open from here on: who connects is served as soon as the worker is up.
        assert!(log.any(|line| line.unwrap().contains("Listening at: http://")), "it did not start");
        thread::spawn(move || log.for_each(drop));
        Self { child, url, home }
    }

    fn relays(&self, signer: Option<&Keys>) -> Relays {
        let mut settings = settings(Duration::from_secs(30));
        settings.signer = signer.map(relay_support::signer);
        Relays::new([self.url.clone()], settings)
    }
}

impl Drop for Independent {
    fn drop(&mut self) {
        // Its worker too.
        let group = format!("-{}", self.child.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = self.child.wait();
    }
}

fn command(home: &Path) -> Command {
    let mut command = Command::new(PROGRAM);
    command.env_clear().env("HOME", home).env("PATH", "/usr/bin:/bin").current_dir(home).arg("-c").arg("config.yaml");
    command
}

#[tokio::test]
#[ignore = "needs nostr-relay"]
async fn an_event_is_published_fetched_listed_and_replaced() {
    let server = Independent::start("");
    let relays = server.relays(None);
    let host = Keys::generate();
    let wanted = coordinate(host.public_key(), "a:b ü");
    assert_eq!(relays.fetch(&wanted).await.unwrap().room, None);

    let first = room(&host, "a:b ü", 100, &[&["title", "Weekly"], &["status", "live"]]);
    let other = room(&host, "other", 50, &[&["room", "Other"], &["status", "open"]]);
    let foreign = room(&Keys::generate(), "a:b ü", 1, &[]);
    for event in [&first, &other, &foreign, &first] {
        assert_eq!(relays.publish(event).await[0].outcome, Ok(()));
    }
    let found = relays.fetch(&wanted).await.unwrap().room.unwrap();
    assert_eq!((found.event.event(), &found.seen_on), (&first, &vec![server.url.clone()]));

    let next = found.event.rewrite(Clock::default()).set_over().build().sign_with_keys(&host).unwrap();
    assert_eq!(relays.publish(&next).await[0].outcome, Ok(()));
    let listed = relays.list_of(host.public_key()).await.unwrap();
    let rooms: Vec<_> = listed.rooms.iter().map(|room| (room.event.title(), room.event.status())).collect();
    assert_eq!(rooms, [(Some("Weekly"), Status::Ended), (Some("Other"), Status::Open)]);

    let forged: nostr::Event = {
        let mut value = serde_json::to_value(&other).unwrap();
        value["content"] = "changed".into();
        serde_json::from_value(value).unwrap()
    };
    let refused = relays.publish(&forged).await.remove(0).outcome;
    assert!(matches!(refused, Err(Trouble::Refused(_))), "{refused:?}");
}

#[tokio::test]
#[ignore = "needs nostr-relay"]
async fn it_is_told_who_asks_when_it_restricts() {
    let server = Independent::start(
        "authentication:\n  enabled: true\n  relay_urls: [\"URL\"]\n  actions:\n    save: w\n    query: w\n",
    );
    let host = Keys::generate();
    let event = room(&host, "weekly", 5, &[]);
    let wanted = coordinate(host.public_key(), "weekly");

    let unknown = server.relays(None);
    let refused = Trouble::Refused("restricted: permission denied".into());
    let Err(Error::AllFailed(failed)) = unknown.fetch(&wanted).await else { panic!() };
    assert_eq!(failed[0].trouble, refused);
    assert_eq!(unknown.publish(&event).await[0].outcome, Err(refused.clone()));
    // A key that it does not know either.
    assert_eq!(server.relays(Some(&Keys::generate())).publish(&event).await[0].outcome, Err(refused));

    let role = ["role", "set", "-p", &host.public_key().to_hex(), "-r", "w"];
    assert!(command(server.home.path()).args(role).output().unwrap().status.success());
    let known = server.relays(Some(&host));
    assert_eq!(known.publish(&event).await[0].outcome, Ok(()));
    assert_eq!(known.fetch(&wanted).await.unwrap().room.unwrap().event.event(), &event);
}
