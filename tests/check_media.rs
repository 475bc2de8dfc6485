//! Audio on a real livekit-server, over loopback.

mod check_support;

use check_support::livekit::LiveKit;
use check_support::{check, report, step, token};
use nostr_nests::livekit::Transport;
use nostr_nests::livekit::check::Check;
use nostr_nests::livekit::report::Verdict;
use nostr_nests::report::Status;

#[tokio::test]
#[ignore = "needs livekit"]
async fn sound_gets_through_by_udp() {
    let server = LiveKit::start(false).await;
    server.create("demo", 60).await;
    let guest = token("demo", "guest-1");
    let candidates = server.candidates();
    let report = report(&Check { signal_only: false, ..check("demo", &guest, &candidates) }).await;
    println!("{:?} {:?}", report.joined_after, report.media_after);
    assert_eq!(report.verdict, Verdict::Joinable);
    assert_eq!(step(&report, "media").status, Status::Passed);
    assert_eq!(report.media.as_ref().unwrap().protocol, Transport::Udp);
    assert_eq!(server.inside("demo").await, 0, "the check has left");
}
