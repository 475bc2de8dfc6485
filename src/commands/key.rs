//! `nest key`: the keys in the OS keyring, and keys as text.

use std::error::Error as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nostr::{Keys, PublicKey, SecretKey};

use crate::files;
use crate::key::parse::{self, Key};
use crate::key::source::{self, KeyOpener};
use crate::key::{
    self, BunkerUri, InFile, KeySource, Keyring, PairingOffer, Sessions, SignerError, SignerNetwork, file, keyring,
    npub,
};
use crate::reporter::{Question, Reporter, SecretPrompt};
use crate::secret::Secret;

#[derive(Debug, thiserror::Error)]
pub enum KeyCommandError {
    #[error(transparent)]
    Key(#[from] key::KeyError),
    /// The npub of a key, or the name of a signer.
    #[error("{subject} was not {what}: nobody confirmed it")]
    NotConfirmed { subject: String, what: &'static str },
    #[error("there are {} keys in the OS keyring: which one?", npubs.len())]
    WhichOne { npubs: Vec<String> },
    #[error("the key is to be encrypted, and there is no passphrase for it")]
    NoPassphrase,
    /// What was typed the second time is not what was typed first.
    #[error("the two passphrases are not the same")]
    Mistyped,
    #[error("the new key was not kept")]
    NotWritten(#[source] file::SecretFileError),
    #[error("not paired with the signer")]
    NotPaired(#[source] SignerError),
    #[error("not paired: no signer has answered the code")]
    NotScanned(#[source] SignerError),
    #[error("the key was not encrypted: {0}")]
    NotEncrypted(#[source] parse::KeyParseError),
}

type Result<T> = std::result::Result<T, KeyCommandError>;

impl From<key::SessionError> for KeyCommandError {
    fn from(error: key::SessionError) -> Self {
        Self::Key(error.into())
    }
}

impl From<keyring::KeyringError> for KeyCommandError {
    fn from(error: keyring::KeyringError) -> Self {
        Self::Key(error.into())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    pub public_key: PublicKey,
    /// Whether it is the one that is used when nothing else is said.
    pub default: bool,
    pub new: bool,
}

/// A secret key as text, as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    pub public_key: PublicKey,
    pub text: Secret,
    /// How long it took here to make the key of a passphrase; whoever tries one needs as long.
    pub cost: Option<Duration>,
}

#[derive(Clone, Debug, Default)]
pub struct Export {
    /// Whose key; the default, if none is named.
    pub key: Option<PublicKey>,
    pub plain: bool,
    pub yes: bool,
    /// The passphrase of the ncryptsec; a person is asked otherwise.
    pub passphrase_file: Option<PathBuf>,
}

#[derive(Clone, Debug, Default)]
pub struct Import {
    /// Where the key is; a person is asked for it otherwise.
    pub from: Option<KeySource>,
    /// Keep an ncryptsec as it is, so that its passphrase is needed every time.
    pub keep_encrypted: bool,
    /// What opens an encrypted key; a person is asked otherwise.
    pub passphrase_file: Option<PathBuf>,
}

/// How a remote signer is paired with.
pub enum Pairing {
    /// By what it has shown.
    Uri(BunkerUri),
    /// By showing it something.
    Offer(PairingOffer),
}

/// A remote signer that was paired with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connected {
    pub public_key: PublicKey,
    pub name: String,
    /// Where what the signer knows this machine by is, if that is not in the keyring.
    pub file: Option<InFile>,
}

/// Where an imported key is to be kept.
#[derive(Clone, Copy, Debug)]
pub enum Place<'a> {
    /// In a new file.
    File(&'a Path),
    /// In the keyring; or in a new file, if there is no keyring and a person agrees.
    Keyring { keyring: &'a Keyring, or_file: Option<&'a Path> },
}

/// Where it is kept now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Imported {
    Keyring(Stored),
    File(Written),
}

/// A key that is to be kept.
#[derive(Clone, Debug)]
pub struct Incoming {
    pub key: SecretKey,
    /// As it was given.
    text: Secret,
}

/// Keeps a key. The keyring is tried before a person is asked to type a secret. The first key in it becomes the default;
/// the same key again is fine. In a file, a key that is encrypted stays so.
pub async fn import(place: Place<'_>, request: &Import, reporter: &dyn Reporter) -> Result<Imported> {
    let place = settle(place, reporter).await?;
    let incoming = read(request, reporter).await?;
    keep(place, &incoming, request.keep_encrypted, reporter).await
}

/// Tries the keyring, and has a person say whether the key is to be in a file if there is none.
pub async fn settle<'a>(place: Place<'a>, reporter: &dyn Reporter) -> Result<Place<'a>> {
    if let Place::Keyring { keyring, or_file } = place
        && let Err(unusable) = keyring.open().await
    {
        return instead(unusable, or_file, reporter).await.map(Place::File);
    }
    Ok(place)
}

pub async fn read(request: &Import, reporter: &dyn Reporter) -> Result<Incoming> {
    let opener = KeyOpener { passphrase_file: request.passphrase_file.as_deref(), reporter };
    let (text, origin) = opener.read(request.from.as_ref()).await?;
    Ok(Incoming { key: opener.open(&text, &origin).await?, text })
}

pub async fn keep(
    place: Place<'_>,
    incoming: &Incoming,
    keep_encrypted: bool,
    reporter: &dyn Reporter,
) -> Result<Imported> {
    let Incoming { key, text } = incoming;
    let encrypted = matches!(parse::parse(text.expose()), Ok(Key::Encrypted(_)));
    let form = |keep: bool| if keep && encrypted { Secret::new(text.expose().trim()) } else { parse::nsec(key) };
    let path = match place {
        Place::File(path) => path,
        Place::Keyring { keyring, or_file } => match store(keyring, key.clone(), form(keep_encrypted)).await {
            // One that is locked shows that only now.
            Err(KeyCommandError::Key(key::KeyError::Keyring(unusable @ keyring::KeyringError::Unusable(_)))) => {
                instead(unusable, or_file, reporter).await?
            }
            stored => return stored.map(Imported::Keyring),
        },
    };
    let text = form(true);
    files::create_folder_of(path)
        .map_err(|cause| file::SecretFileError::Io { path: path.to_owned(), cause })
        .and_then(|()| file::create(path, &text))
        .map_err(KeyCommandError::NotWritten)?;
    Ok(Imported::File(Written { public_key: Keys::new(key.clone()).public_key(), text, cost: None }))
}

/// The file, if a person wants the key there because there is no keyring.
async fn instead<'a>(
    unusable: keyring::KeyringError,
    file: Option<&'a Path>,
    reporter: &dyn Reporter,
) -> Result<&'a Path> {
    let Some(path) = file else { return Err(unusable.into()) };
    let why = unusable.source().map(ToString::to_string).unwrap_or_default();
    match reporter.confirm(Question::KeyIntoFile { path, why: &why }).await {
        Some(true) => Ok(path),
        _ => Err(unusable.into()),
    }
}

/// Pairs with a remote signer, and remembers it under this name, or one like it. What the signer is to know this machine by is
/// kept before it is asked: a pairing that is allowed only later is finished by the same URI.
pub async fn connect(
    sessions: &Sessions,
    pairing: Pairing,
    name: &str,
    in_file: bool,
    network: SignerNetwork,
) -> Result<Connected> {
    let (begun, accepted) = match pairing {
        // Nothing is lost with it: another code can be shown at any time.
        Pairing::Offer(offer) => (None, offer.wait(network).await.map_err(KeyCommandError::NotScanned)?),
        Pairing::Uri(uri) => {
            let resumed = sessions.unfinished(uri.signer).await?;
            let is_new = resumed.is_none();
            let (begun, client) = resumed.unwrap_or_else(|| (sessions.free_name(name, None, None), Keys::generate()));
            sessions.keep(&begun, &uri.session(client.clone()), None, in_file).await?;
            match uri.connect(client, network).await {
                Ok(accepted) => (Some(begun), accepted),
                Err(error) => {
                    // Whoever has not said no may still say yes.
                    let is_over = matches!(error, SignerError::NotPaired { .. } | SignerError::Nonsense(_));
                    if is_over || is_new && matches!(error, SignerError::Unreachable(_)) {
                        sessions.remove(&begun).await?;
                    }
                    return Err(KeyCommandError::NotPaired(error));
                }
            }
        }
    };
    let signer = accepted.finish().await.map_err(KeyCommandError::NotPaired)?;
    let user = signer.public_key();
    let name = sessions.free_name(name, Some(user), begun.as_deref());
    let file = sessions.keep(&name, signer.session(), Some(user), in_file).await?;
    if let Some(begun) = begun.filter(|begun| *begun != name) {
        sessions.remove_file(&begun)?;
    }
    Ok(Connected { public_key: user, name, file })
}

/// Forgets a remote signer, once somebody has confirmed it, or at once with `yes`. Why its key is still in the keyring, if it is.
pub async fn forget(
    sessions: &Sessions,
    name: &str,
    yes: bool,
    reporter: &dyn Reporter,
) -> Result<Option<keyring::KeyringError>> {
    if !yes && reporter.confirm(Question::ForgetSigner { name }).await != Some(true) {
        return Err(KeyCommandError::NotConfirmed { subject: name.to_owned(), what: "forgotten" });
    }
    Ok(sessions.remove(name).await?)
}

pub async fn generate(keyring: &Keyring) -> Result<Stored> {
    let key = SecretKey::generate();
    let nsec = parse::nsec(&key);
    store(keyring, key, nsec).await
}

/// Makes a new key and writes it to a new file that only its owner can read: as ncryptsec if a passphrase is in the file
/// for that, or typed by a person; else as nsec.
pub async fn generate_file(path: &Path, passphrase_file: Option<&Path>, reporter: &dyn Reporter) -> Result<Written> {
    let key = SecretKey::generate();
    let text = match new_passphrase(SecretPrompt::NewPassphraseIfAny, passphrase_file, reporter).await {
        Err(KeyCommandError::NoPassphrase) => parse::nsec(&key),
        passphrase => parse::encrypt(key.clone(), passphrase?).await.map_err(KeyCommandError::NotEncrypted)?,
    };
    file::create(path, &text).map_err(KeyCommandError::NotWritten)?;
    Ok(Written { public_key: Keys::new(key).public_key(), text, cost: None })
}

/// A passphrase that is used from now on: from the file, or typed twice.
async fn new_passphrase(prompt: SecretPrompt<'_>, from: Option<&Path>, reporter: &dyn Reporter) -> Result<Secret> {
    if let Some(path) = from {
        return Ok(source::passphrase(path).await?);
    }
    let typed = reporter.secret(prompt).await.ok_or(KeyCommandError::NoPassphrase)?;
    if reporter.secret(SecretPrompt::NewPassphraseAgain).await.as_ref() == Some(&typed) {
        Ok(typed)
    } else {
        Err(KeyCommandError::Mistyped)
    }
}

async fn store(keyring: &Keyring, key: SecretKey, text: Secret) -> Result<Stored> {
    let public_key = Keys::new(key).public_key();
    let new = keyring.put(public_key, text).await?;
    Ok(Stored { public_key, default: keyring.index()?.default_key() == Some(public_key), new })
}

pub fn list(keyring: &Keyring) -> Result<Vec<Stored>> {
    let index = keyring.index()?;
    let default = index.default_key();
    let stored = |key: &PublicKey| Stored { public_key: *key, default: default == Some(*key), new: false };
    Ok(index.keys.iter().map(stored).collect())
}

pub fn default(keyring: &Keyring, key: PublicKey) -> Result<()> {
    Ok(keyring.set_default(key)?)
}

/// Removes a key (the only one, if none is named) once somebody has confirmed it, or at once with `yes`.
pub async fn remove(
    keyring: &Keyring,
    key: Option<PublicKey>,
    yes: bool,
    reporter: &dyn Reporter,
) -> Result<PublicKey> {
    let key = match (key, keyring.index()?.keys.as_slice()) {
        (Some(key), _) => key,
        (None, [only]) => *only,
        (None, []) => return Err(keyring::KeyringError::Empty.into()),
        (None, keys) => return Err(KeyCommandError::WhichOne { npubs: keys.iter().map(npub).collect() }),
    };
    let npub = npub(&key);
    if !yes && reporter.confirm(Question::RemoveKey { npub: &npub }).await != Some(true) {
        return Err(KeyCommandError::NotConfirmed { subject: npub, what: "removed" });
    }
    keyring.remove(key).await?;
    Ok(key)
}

/// Takes a secret key out of the keyring once somebody has confirmed it: as ncryptsec under a new passphrase, or as nsec.
pub async fn export(keyring: &Keyring, request: &Export, reporter: &dyn Reporter) -> Result<Written> {
    let public_key = match request.key {
        Some(key) => key,
        None => keyring.choose(None)?.ok_or(keyring::KeyringError::Empty)?,
    };
    let npub = npub(&public_key);
    let question = Question::ExportKey { npub: &npub, plain: request.plain };
    if !request.yes && reporter.confirm(question).await != Some(true) {
        return Err(KeyCommandError::NotConfirmed { subject: npub, what: "exported" });
    }
    let secret = KeyOpener { passphrase_file: None, reporter }.open_stored(keyring, public_key).await?;
    if request.plain {
        return Ok(Written { public_key, text: parse::nsec(&secret), cost: None });
    }
    encrypted(secret, request.passphrase_file.as_deref(), reporter).await
}

/// Encrypts the key of a source (typed, if there is none) as ncryptsec under a new passphrase.
pub async fn encrypt(
    from: Option<&KeySource>,
    passphrase_file: Option<&Path>,
    reporter: &dyn Reporter,
) -> Result<Written> {
    let opener = KeyOpener { passphrase_file: None, reporter };
    let (text, origin) = opener.read(from).await?;
    let key = opener.open(&text, &origin).await?;
    encrypted(key, passphrase_file, reporter).await
}

async fn encrypted(key: SecretKey, passphrase_file: Option<&Path>, reporter: &dyn Reporter) -> Result<Written> {
    let passphrase = new_passphrase(SecretPrompt::NewPassphrase, passphrase_file, reporter).await?;
    let (public_key, start) = (Keys::new(key.clone()).public_key(), Instant::now());
    let text = parse::encrypt(key, passphrase).await.map_err(KeyCommandError::NotEncrypted)?;
    Ok(Written { public_key, text, cost: Some(start.elapsed()) })
}
