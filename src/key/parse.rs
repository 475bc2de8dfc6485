//! Keys as text: nsec, 64 hex digits, ncryptsec (NIP-49), words (NIP-06). No error repeats the text.

use std::ffi::OsStr;
use std::fmt;

use nostr::nips::nip06::{self, FromMnemonic as _};
use nostr::nips::nip19::{FromBech32, ToBech32};
use nostr::nips::nip49::{self, EncryptedSecretKey};
use nostr::{Keys, SecretKey, bip39};
use zeroize::Zeroizing;

use super::on_thread;
use crate::secret::Secret;

/// The longest text that is looked at, in bytes. An ncryptsec has 162.
pub const MAX_BYTES: usize = 4096;

/// How much memory opening a key may take: 2^20 KiB, as its author chose.
const LOG_N_MAX: u8 = 20;

/// The fewest words that are a key.
const MIN_WORDS: usize = 12;

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
    /// What leads to a remote signer, and not a key.
    #[error("it is the address of a remote signer, which keeps the key to itself")]
    Bunker,
    #[error("it begins with {0} but is damaged: a character is wrong or missing")]
    Damaged(&'static str),
    #[error("it has {0} hex digits, and a key has 64")]
    HexLength(usize),
    #[error("its 64 hex digits are not a valid key")]
    NotOnCurve,
    /// Words, as many as those of NIP-06 have; why they are no key.
    #[error("its words are no key: {0}")]
    Words(String),
    #[error("it is none of nsec1…, ncryptsec1…, 64 hex digits, and 12 to 24 words")]
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
    ] {
        if begins(prefix) {
            return Err(KeyParseError::SomethingElse(what));
        }
    }
    if begins("bunker://") {
        return Err(KeyParseError::Bunker);
    }
    if text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return match text.len() {
            64 => SecretKey::from_hex(text).map(Key::Plain).map_err(|_| KeyParseError::NotOnCurve),
            other => Err(KeyParseError::HexLength(other)),
        };
    }
    let letters = text.chars().all(|c| c.is_alphabetic() || c.is_whitespace());
    if letters && text.split_whitespace().nth(1).is_some() {
        return words(text).map(Key::Plain);
    }
    Err(KeyParseError::NotAKey)
}

/// The first account of the words that wallets show (NIP-06), without a passphrase.
fn words(text: &str) -> Result<SecretKey, KeyParseError> {
    let lower = Zeroizing::new(text.to_lowercase());
    let keys = Keys::from_mnemonic(lower.as_str(), None);
    keys.map(|keys| keys.secret_key().clone()).map_err(|error| {
        KeyParseError::Words(match error {
            nip06::Error::BIP39(bip39::Error::BadWordCount(count)) => {
                format!("they are {count}, and should be 12 or 24")
            }
            nip06::Error::BIP39(bip39::Error::UnknownWord(at)) => format!("word {} is not one of those", at + 1),
            nip06::Error::BIP39(bip39::Error::InvalidChecksum) => "one is wrong, or two have changed places".into(),
            error => error.to_string(),
        })
    })
}

/// What is no argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FoundSecret {
    Key,
    /// What leads to a remote signer, with the secret that pairs with it.
    Bunker,
}

/// The secret that stands in a command-line argument: an `nsec1…` or `ncryptsec1…` anywhere, in any case, damaged or not; the
/// words of a key; a `bunker://` with its secret. `ps` and the shell's history would keep it. Hex is not refused: 64 digits may
/// be the id of a room.
pub fn found_in_argument(argument: &OsStr) -> Option<FoundSecret> {
    let bytes = argument.as_encoded_bytes();
    let has = |word: &[u8]| bytes.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word));
    if has(b"bunker://") && has(b"secret=") {
        return Some(FoundSecret::Bunker);
    }
    // So many blanks are in no other argument.
    let is_words = |text: &str| text.split_whitespace().nth(MIN_WORDS - 1).is_some() && words(text).is_ok();
    let found = argument.to_str().is_some_and(is_words)
        || [&b"nsec1"[..], b"ncryptsec1"].iter().any(|mark| {
            bytes.windows(mark.len() + TELLING).any(|window| {
                let (head, body) = window.split_at(mark.len());
                head.eq_ignore_ascii_case(mark) && body.iter().all(u8::is_ascii_alphanumeric)
            })
        });
    found.then_some(FoundSecret::Key)
}

/// The same of a line that is typed, where nothing but 64 hex digits is a key as well.
pub fn holds_secret(line: &str) -> bool {
    let line = line.trim();
    let is_hex = line.len() == 64 && line.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex || found_in_argument(OsStr::new(line)).is_some()
}

pub fn nsec(key: &SecretKey) -> Secret {
    let Ok(nsec) = key.to_bech32();
    Secret::new(nsec)
}

/// Opens an encrypted key. Takes a fraction of a second up to a few seconds, and up to 1 GiB, as its author chose.
pub async fn decrypt(key: EncryptedSecretKey, passphrase: Secret) -> Result<SecretKey, KeyParseError> {
    on_thread(move || key.decrypt_with_max_log_n(passphrase.expose(), LOG_N_MAX))
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
