//! What a restart costs inside the process: naming the room, signing, and the whole call against the in-process server.
#![allow(clippy::unwrap_used, reason = "a benchmark may panic")]

use divan::{Bencher, black_box};
use nostr::nips::nip01::Coordinate;
use nostr::nips::nip19::{Nip19Coordinate, ToBech32 as _};
use nostr::{Keys, Kind, RelayUrl};
use nostr_nests::key::{HostKey, KeyOrigin};
use nostr_nests::room::{ROOM_KIND, RoomRef};
use nostr_nests::server::{DEMO, Mock, Options};
use nostr_nests::{Nests, nip98};

fn main() {
    divan::main();
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// From the request to the value of the `Authorization` header.
#[divan::bench]
fn sign(bencher: Bencher) {
    let key = HostKey::local(Keys::generate().secret_key().clone(), KeyOrigin::Prompt);
    let runtime = runtime();
    let url = "https://nostrnests.com/api/v1/nests/2f9a6c1e-7d3b-4a55-9a0e-0d6b1c2e3f40/restart";
    bencher.bench_local(|| {
        let request = nip98::Request { method: "POST", url: black_box(url), body: None };
        let event = nip98::event(request, key.public_key(), 1_795_417_759, "0123456789abcdef");
        nip98::authorization(&runtime.block_on(key.sign(event)).unwrap())
    });
}

#[divan::bench(args = ["id", "naddr", "link", "api"])]
fn parse(bencher: Bencher, form: &str) {
    let coordinate = Coordinate::new(Kind::from(ROOM_KIND), Keys::generate().public_key()).identifier("my-room");
    let relays = vec![RelayUrl::parse("wss://relay.example").unwrap()];
    let naddr = Nip19Coordinate { coordinate, relays }.to_bech32().unwrap();
    let text = match form {
        "id" => "2f9a6c1e-7d3b-4a55-9a0e-0d6b1c2e3f40".into(),
        "naddr" => naddr,
        "link" => format!("https://nostrnests.com/{naddr}"),
        _ => "https://nostrnests.com/api/v1/nests/my-room".into(),
    };
    bencher.bench(|| RoomRef::parse(black_box(&text)).unwrap());
}

/// Loads the key, connects, signs, sends, reads the answer; the server verifies the signature and makes the room.
#[divan::bench(sample_count = 50)]
fn restart_against_the_bundled_server(bencher: Bencher) {
    let mock = Mock::start(Options::default()).unwrap();
    let key = mock.host().secret_key().to_secret_hex();
    let nests = Nests::builder().api(mock.api()).key(key).retries(0).build().unwrap();
    let runtime = runtime();
    bencher.bench_local(|| runtime.block_on(nests.restart(DEMO)).unwrap());
}
