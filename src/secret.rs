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
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

/// Sixteen random bytes in hex.
pub fn nonce() -> String {
    format!("{:016x}{:016x}", random(), random())
}

pub(crate) fn random() -> u64 {
    getrandom::u64().expect("the operating system has randomness")
}

/// For the one field of a document that is a token which was asked for.
pub(crate) fn exposed<S: serde::Serializer>(secret: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose())
}

/// Replaces by stars whatever looks like a secret of this field: base64 of JSON (NIP-98 values, JWTs), `nsec1…`,
/// `ncryptsec1…`, and the values of `access_token=` and `secret=`.
///
/// Servers echo what they were sent; every text of theirs passes here before it is kept.
pub fn scrub(text: &str) -> Cow<'_, str> {
    let mut out = String::new();
    let (mut at, mut kept) = (0, 0);
    // One way through, so that a long text of nothing but marks takes no longer than any other.
    while at < text.len() {
        let Some((body, keep)) = mark(&text.as_bytes()[at..]) else {
            at += 1;
            continue;
        };
        let len = text.as_bytes()[at + body..].iter().take_while(|b| is_part(**b)).count();
        let end = at + body + len;
        // A word such as `eyJ` or `nsec1…` alone is harmless; a value is always masked.
        if len >= if keep { 1 } else { 12 } {
            out.push_str(&text[kept..if keep { at + body } else { at }]);
            out.push_str(MASK);
            kept = end;
        }
        at = end;
    }
    if kept == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[kept..]);
    Cow::Owned(out)
}

/// At most 200 characters of what a stranger said, scrubbed.
pub(crate) fn excerpt(text: &str) -> String {
    scrub(text.trim()).chars().take(200).collect()
}

/// The length of the mark that `bytes` begin with, and whether it may be shown.
fn mark(bytes: &[u8]) -> Option<(usize, bool)> {
    // Base64 is case-sensitive, bech32 and parameter names are not.
    const EXACT: [&str; 2] = ["eyJ", "ZXlK"]; // The second is base64 of the first.
    const ANY_CASE: [(&str, bool); 4] =
        [("nsec1", false), ("ncryptsec1", false), ("access_token=", true), ("secret=", true)];
    let begins = |mark: &str| bytes.get(..mark.len()).is_some_and(|head| head.eq_ignore_ascii_case(mark.as_bytes()));
    let exact = EXACT.iter().find(|mark| bytes.starts_with(mark.as_bytes())).map(|mark| (mark.len(), false));
    exact.or_else(|| ANY_CASE.iter().find(|(mark, _)| begins(mark)).map(|(mark, keep)| (mark.len(), *keep)))
}

fn is_part(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+/_-=.%".contains(&byte)
}
