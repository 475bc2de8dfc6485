//! Secrets that do not print themselves, and the masking of those that strangers echo.

use std::borrow::Cow;
use std::fmt;

use zeroize::Zeroizing;

/// What stands where a secret was.
pub const MASK: &str = "***";

/// A secret text (key, passphrase, token, `Authorization` value): stars in `Debug`, wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the text over.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text itself, for the one place that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

/// Replaces by stars whatever looks like a secret of this field: base64 of JSON (NIP-98 values, JWTs), `nsec1…`,
/// `ncryptsec1…`, and the values of `access_token=` and `secret=`.
///
/// Servers echo what they were sent; every text of theirs passes here before it is kept.
#[must_use]
pub fn scrub(text: &str) -> Cow<'_, str> {
    const MARKS: [(&str, bool); 6] = [
        ("eyJ", false),
        ("ZXlK", false), // base64 of the former
        ("nsec1", false),
        ("ncryptsec1", false),
        ("access_token=", true),
        ("secret=", true),
    ];
    let mut out = String::new();
    let mut rest = text;
    while let Some((at, mark, keep)) = MARKS
        .iter()
        .filter_map(|&(mark, keep)| Some((find_ignoring_case(rest, mark)?, mark, keep)))
        .min_by_key(|&(at, ..)| at)
    {
        let body = at + mark.len();
        let len = rest[body..].bytes().take_while(|b| b.is_ascii_alphanumeric() || b"+/_-=.%".contains(b)).count();
        // A word such as `eyJ` or `nsec1…` alone is harmless; a value is always masked.
        let secret = len >= if keep { 1 } else { 12 };
        out.push_str(&rest[..if keep || !secret { body } else { at }]);
        if secret {
            out.push_str(MASK);
        }
        rest = &rest[body + if secret { len } else { 0 }..];
    }
    if out.is_empty() {
        return Cow::Borrowed(text);
    }
    out.push_str(rest);
    Cow::Owned(out)
}

fn find_ignoring_case(text: &str, mark: &str) -> Option<usize> {
    // Base64 is case-sensitive, bech32 and parameter names are not.
    let exact = mark.starts_with("eyJ") || mark.starts_with("ZXlK");
    text.as_bytes()
        .windows(mark.len())
        .position(|window| if exact { window == mark.as_bytes() } else { window.eq_ignore_ascii_case(mark.as_bytes()) })
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
