//! Keys as text: nsec, 64 hex digits, ncryptsec (NIP-49). No error repeats the text.

use std::ffi::OsStr;
use std::fmt;

use nostr::SecretKey;
use nostr::nips::nip19::{FromBech32, ToBech32};
use nostr::nips::nip49::{self, EncryptedSecretKey};

use super::on_thread;
use crate::secret::Secret;

/// The longest text that is looked at, in bytes. An ncryptsec has 162.
pub const MAX_BYTES: usize = 4096;

/// A secret key's own characters are 58 and more; so many are enough to be worth hiding.
const TELLING: usize = 12;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyParseError {
    #[error("the passphrase is empty")]
    NoPassphrase,
    #[error("it is empty")]
    Empty,
    #[error("it is longer than {MAX_BYTES} bytes, too long for a key")]
    TooLong,
    #[error("it is {0}, not a secret key")]
    SomethingElse(&'static str),
    #[error("it begins with {0} but is damaged: a character is wrong or missing")]
    Damaged(&'static str),
    #[error("it has {0} hex digits, and a key has 64")]
    HexLength(usize),
    #[error("its 64 hex digits are not a valid key")]
    NotOnCurve,
    #[error("it is none of nsec1…, ncryptsec1… and 64 hex digits")]
    NotAKey,
    #[error("the passphrase is wrong")]
    WrongPassphrase,
    /// Opening it would take more memory than is reasonable (2^`log_n` KiB).
    #[error("its encryption is set to cost 2^{0} rounds, more than nest will spend")]
    TooCostly(u8),
    #[error("it cannot be encrypted or decrypted: {0}")]
    Cipher(String),
}

#[derive(Clone)]
pub enum Key {
    Plain(SecretKey),
    Encrypted(EncryptedSecretKey),
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if matches!(self, Self::Plain(_)) { "Plain(***)" } else { "Encrypted(***)" })
    }
}

/// Reads a key; whitespace around it is tolerated.
pub fn parse(text: &str) -> Result<Key, KeyParseError> {
    if text.len() > MAX_BYTES {
        return Err(KeyParseError::TooLong);
    }
    // Windows editors begin a file with a byte order mark.
    let text = text.trim_start_matches('\u{feff}').trim();
    let begins = |prefix: &str| text.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix));
    if text.is_empty() {
        return Err(KeyParseError::Empty);
    }
    if begins("nsec1") {
        return SecretKey::from_bech32(text).map(Key::Plain).map_err(|_| KeyParseError::Damaged("nsec1"));
    }
    if begins("ncryptsec1") {
        return EncryptedSecretKey::from_bech32(text)
            .map(Key::Encrypted)
            .map_err(|_| KeyParseError::Damaged("ncryptsec1"));
    }
    for (prefix, what) in [
        ("npub1", "an npub, the public half of a key"),
        ("nprofile1", "an nprofile, which is public"),
        ("naddr1", "the address of a nest"),
        ("bunker://", "the address of a remote signer"),
    ] {
        if begins(prefix) {
            return Err(KeyParseError::SomethingElse(what));
        }
    }
    if text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return match text.len() {
            64 => SecretKey::from_hex(text).map(Key::Plain).map_err(|_| KeyParseError::NotOnCurve),
            other => Err(KeyParseError::HexLength(other)),
        };
    }
    Err(KeyParseError::NotAKey)
}

/// Whether an `nsec1…` or `ncryptsec1…` stands anywhere in a command-line argument, in any case, damaged or not: `ps` and
/// the shell's history would keep it.
///
/// Hex is not refused: 64 digits may be the id of a room.
pub fn found_in_argument(argument: &OsStr) -> bool {
    let bytes = argument.as_encoded_bytes();
    [&b"nsec1"[..], b"ncryptsec1"].iter().any(|mark| {
        bytes.windows(mark.len() + TELLING).any(|window| {
            let (head, body) = window.split_at(mark.len());
            head.eq_ignore_ascii_case(mark) && body.iter().all(u8::is_ascii_alphanumeric)
        })
    })
}

pub fn nsec(key: &SecretKey) -> Secret {
    let Ok(nsec) = key.to_bech32();
    Secret::new(nsec)
}

/// Opens an encrypted key. Takes a fraction of a second and up to 256 MiB, as its author chose.
pub async fn decrypt(key: EncryptedSecretKey, passphrase: Secret) -> Result<SecretKey, KeyParseError> {
    on_thread(move || key.decrypt(passphrase.expose()))
        .await
        .map_err(|e| KeyParseError::Cipher(e.to_string()))?
        .map_err(cipher)
}

pub async fn encrypt(key: SecretKey, passphrase: Secret) -> Result<Secret, KeyParseError> {
    if passphrase.expose().is_empty() {
        return Err(KeyParseError::NoPassphrase);
    }
    let encrypted = on_thread(move || key.encrypt(passphrase.expose()))
        .await
        .map_err(|e| KeyParseError::Cipher(e.to_string()))?
        .map_err(cipher)?;
    encrypted.to_bech32().map(Secret::new).map_err(|e| KeyParseError::Cipher(e.to_string()))
}

fn cipher(error: nip49::Error) -> KeyParseError {
    match error {
        nip49::Error::ChaCha20Poly1305(_) => KeyParseError::WrongPassphrase,
        nip49::Error::LogNTooBig { log_n, .. } => KeyParseError::TooCostly(log_n),
        other => KeyParseError::Cipher(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NSEC: &str = "nsec1vl029mgpspedva04g90vltkh6fvh240zqtv9k0t9af8935ke9laqsnlfe5";
    const HEX: &str = "67dea2ed018072d675f5415ecfaed7d2597555e202d85b3d65ea4e58d2d92ffa";
    /// The vector of NIP-49: `log_n` 16, passphrase `nostr`.
    const NCRYPTSEC: &str = "ncryptsec1qgg9947rlpvqu76pj5ecreduf9jxhselq2nae2kghhvd5g7dgjtcxfqtd67p9m0w57lspw8gsq6yphnm8623nsl8xn9j4jdzz84zm3frztj3z7s35vpzmqf6ksu8r89qk5z2zxfmu5gv8th8wclt0h4p";
    const NCRYPTSEC_HEX: &str = "3501454135014541350145413501453fefb02227e449e57cf4d3a3ce05378683";

    fn plain(text: &str) -> String {
        match parse(text).unwrap() {
            Key::Plain(key) => key.to_secret_hex(),
            Key::Encrypted(_) => panic!("encrypted"),
        }
    }

    fn encrypted(text: &str) -> EncryptedSecretKey {
        match parse(text).unwrap() {
            Key::Encrypted(key) => key,
            Key::Plain(_) => panic!("plain"),
        }
    }

    #[test]
    fn all_forms_and_the_whitespace_around_them() {
        for text in [
            NSEC.to_owned(),
            HEX.to_owned(),
            NSEC.to_uppercase(),
            HEX.to_uppercase(),
            format!(" \t{NSEC}\r\n\n"),
            format!("\u{feff}{HEX}\n"),
        ] {
            assert_eq!(plain(&text), HEX);
        }
        assert_eq!(nsec(&SecretKey::from_hex(HEX).unwrap()).expose(), NSEC);
        encrypted(&format!("{NCRYPTSEC}\n"));
    }

    #[test]
    fn what_is_no_key_is_told_by_name_and_not_repeated() {
        let damaged = NSEC.replace("vl029", "vl028");
        for (text, error) in [
            (String::new(), KeyParseError::Empty),
            (" \r\n".into(), KeyParseError::Empty),
            (
                "npub10elfcs4fr0l0r8af98jlmgdh9c8tcxjvz9qkw038js35mp4dma8qzvjptg".into(),
                KeyParseError::SomethingElse("an npub, the public half of a key"),
            ),
            ("bunker://abc?secret=hunter2".into(), KeyParseError::SomethingElse("the address of a remote signer")),
            (damaged, KeyParseError::Damaged("nsec1")),
            (NSEC[..62].into(), KeyParseError::Damaged("nsec1")),
            (NCRYPTSEC[..100].into(), KeyParseError::Damaged("ncryptsec1")),
            (format!("{NSEC}\n{NSEC}"), KeyParseError::Damaged("nsec1")),
            (HEX[1..].into(), KeyParseError::HexLength(63)),
            ("0".repeat(64), KeyParseError::NotOnCurve),
            ("f".repeat(64), KeyParseError::NotOnCurve),
            (format!("NEST_KEY={NSEC}"), KeyParseError::NotAKey),
            (format!("# mine\n{NSEC}"), KeyParseError::NotAKey),
            (" ".repeat(MAX_BYTES + 1), KeyParseError::TooLong),
        ] {
            let got = parse(&text).unwrap_err();
            assert_eq!(got, error);
            assert!(!format!("{got} {got:?}").contains("vl02"), "{got}");
        }
    }

    #[tokio::test]
    async fn a_passphrase_opens_an_encrypted_key_and_another_does_not() {
        let key = encrypted(NCRYPTSEC);
        assert_eq!(decrypt(key, Secret::new("nostr")).await.unwrap().to_secret_hex(), NCRYPTSEC_HEX);
        assert_eq!(decrypt(key, Secret::new("wrong")).await.unwrap_err(), KeyParseError::WrongPassphrase);
    }

    #[tokio::test]
    async fn encryption_comes_back_and_needs_a_passphrase() {
        let key = SecretKey::from_hex(HEX).unwrap();
        let text = encrypt(key.clone(), Secret::new("pass phrase")).await.unwrap();
        let back = decrypt(encrypted(text.expose()), Secret::new("pass phrase")).await.unwrap();
        assert_eq!(back, key);
        assert_eq!(encrypt(key, Secret::new("")).await.unwrap_err(), KeyParseError::NoPassphrase);
    }

    #[tokio::test]
    async fn an_absurd_cost_is_refused_at_once() {
        let mut bytes = encrypted(NCRYPTSEC).as_vec();
        bytes[1] = 60;
        let key = EncryptedSecretKey::from_slice(&bytes).unwrap();
        assert_eq!(decrypt(key, Secret::new("nostr")).await.unwrap_err(), KeyParseError::TooCostly(60));
    }

    #[test]
    fn debug_prints_stars() {
        assert_eq!(format!("{:?} {:?}", parse(HEX), parse(NCRYPTSEC)), "Ok(Plain(***)) Ok(Encrypted(***))");
    }

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

        #[test]
        fn any_text_is_read_or_refused(text in any::<String>()) {
            let _ = parse(&text);
        }

        #[test]
        fn any_text_after_a_prefix_is_read_or_refused(
            prefix in prop::sample::select(vec!["nsec1", "NCRYPTSEC1", "npub1", "bunker://", "\u{feff}", "é"]),
            text in ".*",
        ) {
            let _ = parse(&format!("{prefix}{text}"));
        }

        #[test]
        fn one_wrong_character_never_yields_another_key(at in 5usize..63, to in prop::char::range('a', 'z')) {
            let mut text: Vec<char> = NSEC.chars().collect();
            prop_assume!(text[at] != to);
            text[at] = to;
            let text: String = text.into_iter().collect();
            prop_assert!(parse(&text).is_err());
        }
    }
}
