//! What other programs use: `Nests`, against the bundled server.

use nostr_nests::commands::restart::Evidence;
use nostr_nests::server::{DEMO, Fault, Mock, Options};
use nostr_nests::{Error, Nests, NestsBuilder, Verdict};

fn builder(mock: &Mock) -> NestsBuilder {
    Nests::builder().api(mock.api()).retries(0).key(mock.host().secret_key().to_secret_hex())
}

#[tokio::test]
async fn a_nest_is_restarted_and_checked() {
    let mock = Mock::start(Options::default()).unwrap();
    let nests = builder(&mock).build().unwrap();
    let restarted = nests.restart_and_check(DEMO).await.unwrap();
    assert_eq!(restarted.room_id, DEMO);
    assert_eq!(restarted.evidence, Evidence::Answer("Nest restarted successfully".into()));
    assert_eq!(restarted.check.unwrap().verdict, Verdict::Joinable);
    assert_eq!(nests.check(DEMO).await.unwrap().room, DEMO);
    assert_eq!(nests.status(DEMO).await.unwrap().room_id, DEMO);
    assert!(nests.restart(DEMO).await.unwrap().check.is_none());
}

#[tokio::test]
async fn a_lost_answer_is_told_from_an_answer() {
    let faults = vec!["drop-after".parse::<Fault>().unwrap()];
    let mock = Mock::start(Options { faults, ..Options::default() }).unwrap();
    let restarted = builder(&mock).build().unwrap().restart(DEMO).await.unwrap();
    assert_eq!(restarted.evidence, Evidence::Seen);
}

#[tokio::test]
async fn errors_are_cases_to_be_told_apart() {
    let mock = Mock::start(Options::default()).unwrap();
    let stranger = nostr::Keys::generate().secret_key().to_secret_hex();
    let refused = builder(&mock).key(stranger).build().unwrap().restart(DEMO).await;
    assert!(matches!(refused, Err(Error::NotHost { host: Some(host), .. }) if host == mock.host().public_key()));

    let wrong_key = builder(&mock).key("no key").build().unwrap().restart(DEMO).await.unwrap_err();
    assert_eq!(wrong_key.to_string(), "the host key from the caller cannot be used");

    let no_room = builder(&mock).build().unwrap().check("naddr1broken").await;
    assert!(matches!(no_room, Err(Error::Room(_))), "{no_room:?}");
}
