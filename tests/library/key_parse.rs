//! Every form of a host key, and what is none.

use std::ffi::OsStr;

use nostr::SecretKey;
use nostr::nips::nip49::{EncryptedSecretKey, KeySecurity};
use nostr_nests::key::parse::{Key, KeyParseError, MAX_BYTES, decrypt, encrypt, found_in_argument, nsec, parse};
use nostr_nests::secret::Secret;
use proptest::prelude::*;

const NSEC: &str = "nsec1vl029mgpspedva04g90vltkh6fvh240zqtv9k0t9af8935ke9laqsnlfe5";
const HEX: &str = "67dea2ed018072d675f5415ecfaed7d2597555e202d85b3d65ea4e58d2d92ffa";
/// The vector of NIP-49: `log_n` 16, passphrase `nostr`.
const NCRYPTSEC: &str = "ncryptsec1qgg9947rlpvqu76pj5ecreduf9jxhselq2nae2kghhvd5g7dgjtcxfqtd67p9m0w57lspw8gsq6yphnm8623nsl8xn9j4jdzz84zm3frztj3z7s35vpzmqf6ksu8r89qk5z2zxfmu5gv8th8wclt0h4p";
const NCRYPTSEC_HEX: &str = "3501454135014541350145413501453fefb02227e449e57cf4d3a3ce05378683";

/// The vectors of NIP-06.
const WORDS: [(&str, &str); 2] = [
    (
        "leader monkey parrot ring guide accident before fence cannon height naive bean",
        "7f7ff03d123792d6ac594bfa67bf6d0c0ab55b6b1fdb6249303fe861f1ccba9a",
    ),
    (
        "what bleak badge arrange retreat wolf trade produce cricket blur garlic valid proud rude strong choose busy staff \
         weather area salt hollow arm fade",
        "c15d739894c81a2fcfd3a2df85a0d2c0dbc47a280d092799f144d73d7ae78add",
    ),
];

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
    for (words, key) in WORDS {
        let lines = words.replace(' ', "\n");
        assert_eq!([plain(words), plain(&words.to_uppercase()), plain(&format!(" {lines}\r\n"))], [key; 3]);
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
        ("bunker://abc?secret=hunter2".into(), KeyParseError::Bunker),
        (WORDS[0].0.replace("bean", ""), KeyParseError::Words("they are 11, and should be 12 or 24".into())),
        (WORDS[0].0.replace("ring", "rung"), KeyParseError::Words("word 4 is not one of those".into())),
        (
            WORDS[0].0.replace("leader monkey", "monkey leader"),
            KeyParseError::Words("one is wrong, or two have changed places".into()),
        ),
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
    for cost in [21, 60] {
        bytes[1] = cost;
        let key = EncryptedSecretKey::from_slice(&bytes).unwrap();
        assert_eq!(decrypt(key, Secret::new("nostr")).await.unwrap_err(), KeyParseError::TooCostly(cost));
    }
    // Whatever else its author has chosen is heeded.
    let key = SecretKey::from_hex(HEX).unwrap();
    for cost in [1, 12, 18] {
        let encrypted = EncryptedSecretKey::new(&key, "nostr", cost, KeySecurity::Unknown).unwrap();
        assert_eq!(decrypt(encrypted, Secret::new("nostr")).await.unwrap(), key);
    }
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
        WORDS[0].0.to_owned(),
        WORDS[1].0.to_uppercase(),
        format!("--bunker=bunker://{HEX}?relay=wss://a.example&secret=hunter2"),
        format!("https://h/?key={NSEC}&x=1"),
        format!("\"{NSEC}\""),
        NSEC[..40].to_owned(),
        "nCryptSec1QGG9947rlpvqu76pj5ecreduf9jxhselq2nae2kg".to_owned(),
    ] {
        assert!(found_in_argument(OsStr::new(&text)).is_some(), "{text}");
    }
}

#[test]
fn what_is_no_secret_passes() {
    for text in ["", "nsec1", "nsec1…", "my-nsec1-room", "ncryptsec", "npub1aaaaaaaaaaaaaaaaaaaa", &"a0".repeat(32)] {
        assert!(found_in_argument(OsStr::new(text)).is_none(), "{text}");
    }
}

#[cfg(unix)]
#[test]
fn bytes_that_are_no_text_hide_nothing() {
    use std::os::unix::ffi::OsStrExt;
    let bytes = [b"\xff\xfe", NSEC.as_bytes(), b"\xff"].concat();
    assert!(found_in_argument(OsStr::from_bytes(&bytes)).is_some());
}

proptest! {
    #[test]
    fn nothing_around_it_hides_a_key(before in ".*", after in ".*") {
        let text = format!("{before}{NSEC}{after}");
        prop_assert!(found_in_argument(OsStr::new(&text)).is_some());
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
