//! Which answers count when somebody is asked for QUIC.

use nostr_nests::net::quic::{Id, question, versions};
use proptest::prelude::*;

const IDS: [Id; 2] = [[8, 1, 1, 1, 1, 1, 1, 1, 1], [8, 2, 2, 2, 2, 2, 2, 2, 2]];

fn answer(versions: &[u32]) -> Vec<u8> {
    let mut packet = vec![0x80, 0, 0, 0, 0];
    packet.extend([IDS[1], IDS[0]].concat());
    packet.extend(versions.iter().flat_map(|version| version.to_be_bytes()));
    packet
}

#[test]
fn only_an_answer_to_the_question_counts() {
    assert_eq!(versions(&answer(&[1, 0x1a2a_3a4a]), &IDS), Some(vec![1]));
    assert_eq!(versions(&answer(&[]), &IDS), None);
    assert_eq!(versions(&answer(&[1]), &[IDS[1], IDS[0]]), None);
    assert_eq!(versions(&answer(&[1])[..24], &IDS), None);
    assert_eq!(versions(&question(&IDS), &IDS), None);
}

proptest! {
    #[test]
    fn any_packet_is_read(packet in proptest::collection::vec(any::<u8>(), 0..64)) {
        prop_assert_eq!(versions(&packet, &IDS), None);
    }
}
