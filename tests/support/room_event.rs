//! Events of the nest `demo` on the mock's relay.

use std::sync::atomic::{AtomicU64, Ordering};

use nostr::nips::nip01::Coordinate;
use nostr::nips::nip19::{Nip19Coordinate, ToBech32 as _};
use nostr::{EventBuilder, Kind, RelayUrl, Tag, Timestamp};
use nostr_nests::net::reach::Reach;
use nostr_nests::net::tls;
use nostr_nests::relay::{RelaySettings, Relays};
use nostr_nests::room::ROOM_KIND;
use nostr_nests::server::Mock;

/// The nest as a link names it: its host, its id, the mock's relay.
pub fn naddr(mock: &Mock) -> String {
    let coordinate = Coordinate::new(Kind::from(ROOM_KIND), mock.host().public_key()).identifier("demo");
    Nip19Coordinate { coordinate, relays: vec![RelayUrl::parse(&mock.relay()).unwrap()] }.to_bech32().unwrap()
}

/// Seconds that the next event is later than now: later than the one that the mock begins with, and than those before,
/// since of two of the same second the id decides.
static LATER: AtomicU64 = AtomicU64::new(60);

/// Publishes a newer version of the nest's event, with these tags beside its `d`.
pub async fn publish(mock: &Mock, tags: &[&[&str]]) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let own = Tag::parse(["d", "demo"]).unwrap();
    let tags = std::iter::once(own).chain(tags.iter().map(|tag| Tag::parse(tag.iter().copied()).unwrap()));
    let event = EventBuilder::new(Kind::from(ROOM_KIND), "").tags(tags);
    let later = LATER.fetch_add(1, Ordering::Relaxed);
    let event = event.custom_created_at(Timestamp::now() + later).sign_with_keys(mock.host()).unwrap();
    let settings = RelaySettings {
        timeout: std::time::Duration::from_secs(10),
        tls: tls::client_config(&[]),
        reach: Reach::ANYWHERE,
        allow_http: false,
        signer: None,
    };
    let delivered = Relays::new([RelayUrl::parse(&mock.relay()).unwrap()], settings).publish(&event).await;
    assert!(delivered.iter().all(|delivery| delivery.outcome.is_ok()), "{delivered:?}");
}
