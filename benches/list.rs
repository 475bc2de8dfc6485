//! How long `nest list` takes for 200 nests, beside what the relay alone takes for their events. In this process, over
//! loopback; `cargo bench --bench list`.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "figures are for people")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::cell::Cell;
use std::time::{Duration, Instant};

use nostr_nests::api::{Network, RetryPolicy};
use nostr_nests::commands::list::{self, ListRequest, Nest, Watch, Whose};
use nostr_nests::commands::{ApiSources, Job, RelaySources, Settings, Stop};
use nostr_nests::key::KeyPlan;
use nostr_nests::net::reach::Reach;
use nostr_nests::net::tls;
use nostr_nests::relay::{self, Relays};
use nostr_nests::reporter::Silent;
use nostr_nests::server::{Mock, Options};
use nostr_sdk::{Keys, RelayUrl};
use support::nostr_client::{Relay, event};

const NESTS: u64 = 200;
const ROUNDS: usize = 10;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let (host, mock) = (Keys::generate(), Mock::start(Options::default()).unwrap());
    for (name, status) in [("all over", "closed"), ("all open, two questions each", "open")] {
        let nest = |n| event(&host, &format!("room-{n}"), n, &[&["status", status], &["service", &mock.api()]]);
        let relay = Relay::with((0..NESTS).map(nest).collect());
        let url = RelayUrl::parse(&relay.url).unwrap();
        let timeout = Duration::from_secs(10);
        let network = Network { timeout, tls: tls::client_config(&[]), proxy: None, reach: Reach::ANYWHERE };
        let reach = relay::RelaySettings {
            timeout,
            tls: network.tls.clone(),
            reach: Reach::ANYWHERE,
            allow_http: true,
            signer: None,
        };
        let settings = Settings {
            network,
            api: ApiSources::default(),
            relays: RelaySources { given: vec![url.clone()], profile: vec![], addresses: vec![], timeout },
            allow_http: true,
            key: KeyPlan::default(),
            retry: RetryPolicy { retries: 0, max_wait: Duration::ZERO },
            jobs: 1,
            state_dir: None,
            interactive: false,
        };
        let request = ListRequest { whose: Whose::Key(host.public_key(), vec![]), ..ListRequest::default() };
        let relays = Relays::new([url], reach);
        let (mut alone, mut whole) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let started = Instant::now();
            assert_eq!(
                relays.list_of(host.public_key(), |_| {}).await.unwrap().rooms.len(),
                usize::try_from(NESTS).unwrap()
            );
            alone.push(started.elapsed());
            let (started, rows) = (Instant::now(), Rows::default());
            let job = Job::new(settings.clone(), &Silent).unwrap();
            list::run(&job, &request, &Stop::never(), &rows).await.unwrap();
            assert_eq!(rows.0.get(), NESTS);
            whole.push(started.elapsed());
        }
        show(&format!("relay: {NESTS} events, {name}"), &mut alone);
        show(&format!("list: {NESTS} rows, {name}"), &mut whole);
    }
}

#[derive(Default)]
struct Rows(Cell<u64>);

impl Watch for Rows {
    fn begins(&self, _: &[Nest]) {}

    fn row(&self, _: &Nest) {
        self.0.set(self.0.get() + 1);
    }
}

fn show(name: &str, all: &mut [Duration]) {
    all.sort();
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    let (least, median, most) = (all[0], all[all.len() / 2], all[all.len() - 1]);
    println!("{name:<55} {:>7.1} ms   ({:.1} to {:.1})", ms(median), ms(least), ms(most));
}
