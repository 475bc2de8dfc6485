//! Times in both of their forms.

use nostr_nests::clock::{Clock, http_date, parse_http_date, rfc3339};

#[test]
fn both_forms() {
    assert_eq!(rfc3339(1_795_417_759_894).as_deref(), Some("2026-11-23T07:09:19Z"));
    assert_eq!(parse_http_date("Mon, 23 Nov 2026 06:29:19 GMT"), Some(1_795_415_359_000));
    assert_eq!(http_date(1_795_417_759_894), "Mon, 23 Nov 2026 07:09:19 GMT");
    assert_eq!(rfc3339(i64::MAX), None);
    assert_eq!(http_date(253_402_300_800_000), "Fri, 31 Dec 9999 23:59:59 GMT", "it once was a panic");
    assert_eq!((http_date(i64::MAX), http_date(i64::MIN)), (http_date(253_402_300_799_999), http_date(0)));
}

#[test]
fn an_offset_moves_the_clock() {
    let ahead = Clock { offset_ms: 90_000 };
    assert!((89..=91).contains(&(ahead.now_s() - Clock::default().now_s())));
}
