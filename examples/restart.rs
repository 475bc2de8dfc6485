//! What `nest restart ROOM --api URL --key-file PATH --check` does, from a program of your own.
//!
//! `cargo run --example restart -- https://nostrnests.com ROOM host.key`
#![allow(clippy::print_stdout, reason = "an example has no other way to show what it hears")]

use std::path::PathBuf;
use std::time::Duration;

use nostr_nests::api::{Base, Network, Policy};
use nostr_nests::commands::restart::{self, Done, Request};
use nostr_nests::commands::{ApiSources, RelaySources, Settings, Stop, check};
use nostr_nests::key::{Plan, Source};
use nostr_nests::reporter::{Reporter, Step};
use nostr_nests::room::RoomRef;
use nostr_nests::{Error, tls};

/// Progress events arrive here.
struct Progress;

impl Reporter for Progress {
    fn step(&self, room: &str, step: Step) {
        println!("{room}: {step:?}");
    }

    fn warning(&self, text: &str) {
        println!("warning: {text}");
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(api), Some(room), Some(key)) = (args.next(), args.next(), args.next()) else {
        return Err("usage: restart API ROOM KEY_FILE".into());
    };
    let settings = Settings {
        network: Network { timeout: Duration::from_secs(30), tls: tls::client_config(&[]), proxy: None },
        api: ApiSources { given: Some(Base::parse(&api)?), ..ApiSources::default() },
        relays: RelaySources { given: vec![], profile: vec![], timeout: Duration::from_secs(5) },
        allow_http: false,
        key: Plan { explicit: vec![Source::KeyFile(PathBuf::from(key))], ..Plan::default() },
        retry: Policy { retries: 3, max_wait: Duration::from_secs(60) },
        jobs: 1,
        state_dir: None,
        interactive: false,
    };
    let request = Request { check: Some(check::Options::default()), ..Request::new(vec![RoomRef::parse(&room)?]) };
    restart::run(&settings, &request, &Progress, &Stop::never(), &|room, result| match result {
        Ok(Done::Restarted(nest)) => println!("{} is back: {:?}", room.id, nest.endpoints),
        Ok(_) => {}
        Err(Error::NotHost { host, .. }) => println!("{} is the nest of {host:?}", room.id),
        Err(Error::Unhealthy(nest)) => println!("{} is back, and not well: {:?}", room.id, nest.check),
        Err(error) => println!("{}: {error}", room.id),
    })
    .await;
    Ok(())
}
