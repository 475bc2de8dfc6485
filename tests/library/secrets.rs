//! What is masked before anybody sees it.

use nostr_nests::secret::{Secret, scrub};

#[test]
fn debug_prints_stars() {
    assert_eq!(format!("{:?}", Some(Secret::new("nsec1abc"))), "Some(***)");
}

#[test]
fn what_servers_echo_is_masked() {
    let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln-bmF0_dXJl";
    for (text, masked) in [
        (format!("invalid token: {jwt}, error: expired"), "invalid token: ***, error: expired"),
        (format!("header was Nostr {jwt}=="), "header was Nostr ***"),
        (format!("GET /rtc?access_token={jwt}&x=1"), "GET /rtc?access_token=***&x=1"),
        ("bunker://ab?Secret=hunter2".into(), "bunker://ab?Secret=***"),
        ("key NSEC1QQQQQQQQQQQQQQQQ!".into(), "key ***!"),
        ("nothing here, eyJ or nsec1 alone".into(), "nothing here, eyJ or nsec1 alone"),
    ] {
        assert_eq!(scrub(&text), masked);
    }
}

#[test]
fn a_text_of_marks_is_no_burden() {
    let text = "eyJ secret= nsec1 ".repeat(60_000);
    assert_eq!(scrub(&text), text);
}
