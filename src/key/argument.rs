//! Spotting secret keys among command-line arguments, where `ps` and the shell's history would keep them.

use std::ffi::OsStr;

/// A secret key's own characters are 58 and more; so many are enough to be worth hiding.
const TELLING: usize = 12;

/// Whether an `nsec1…` or `ncryptsec1…` stands anywhere in the argument, in any case, damaged or not.
///
/// Hex is not refused: 64 digits may be the id of a room.
#[must_use]
pub fn found_in_argument(argument: &OsStr) -> bool {
    let bytes = argument.as_encoded_bytes();
    [&b"nsec1"[..], b"ncryptsec1"].iter().any(|mark| {
        bytes.windows(mark.len() + TELLING).any(|window| {
            let (head, body) = window.split_at(mark.len());
            head.eq_ignore_ascii_case(mark) && body.iter().all(u8::is_ascii_alphanumeric)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NSEC: &str = "nsec1vl029mgpspedva04g90vltkh6fvh240zqtv9k0t9af8935ke9laqsnlfe5";

    #[test]
    fn secret_keys_are_found_wherever_they_hide() {
        for text in [
            NSEC.to_owned(),
            NSEC.to_uppercase(),
            format!("--key={NSEC}"),
            format!("https://h/?key={NSEC}&x=1"),
            format!("\"{NSEC}\""),
            NSEC[..40].to_owned(),
            "nCryptSec1QGG9947rlpvqu76pj5ecreduf9jxhselq2nae2kg".to_owned(),
        ] {
            assert!(found_in_argument(OsStr::new(&text)), "{text}");
        }
    }

    #[test]
    fn what_is_no_secret_passes() {
        for text in ["", "nsec1", "nsec1…", "my-nsec1-room", "ncryptsec", "npub1aaaaaaaaaaaaaaaaaaaa", &"a0".repeat(32)]
        {
            assert!(!found_in_argument(OsStr::new(text)), "{text}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn bytes_that_are_no_text_hide_nothing() {
        use std::os::unix::ffi::OsStrExt;
        let bytes = [b"\xff\xfe", NSEC.as_bytes(), b"\xff"].concat();
        assert!(found_in_argument(OsStr::from_bytes(&bytes)));
    }

    proptest! {
        #[test]
        fn nothing_around_it_hides_a_key(before in ".*", after in ".*") {
            let text = format!("{before}{NSEC}{after}");
            prop_assert!(found_in_argument(OsStr::new(&text)));
        }
    }
}
