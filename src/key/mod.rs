//! The host's key: what signs, and every place that a key can come from.
//!
//! [`load`] asks the explicit sources of a [`KeyPlan`] first, then whatever can block. A key is never invented.

pub mod file;
pub mod keyring;
pub mod pairing;
pub mod parse;
pub mod sessions;
pub mod signer;
pub mod source;

use std::sync::OnceLock;
use std::{fmt, io, thread};

use nostr::nips::nip19::ToBech32;
use nostr::secp256k1::rand::rngs::OsRng;
use nostr::secp256k1::{All, Secp256k1};
use nostr::{Event, Keys, PublicKey, SecretKey, UnsignedEvent};
use tokio::sync::oneshot;

pub use keyring::Keyring;
pub use pairing::{BunkerUri, BunkerUriError, PairingOffer};
pub use parse::{FoundSecret, found_in_argument, holds_secret};
pub use sessions::{InFile, SessionError, Sessions};
pub use signer::{RemoteSigner, SignerError, SignerNetwork};
pub use source::{KeyOrigin, KeyPlan, KeySource, Signers, load};

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    #[error("there is no host key")]
    Missing,
    #[error("the host key cannot be read from {origin}")]
    Unreadable {
        origin: KeyOrigin,
        #[source]
        cause: file::SecretFileError,
    },
    /// What the source says is no key, or does not open.
    #[error("the host key from {origin} cannot be used")]
    Unusable {
        origin: KeyOrigin,
        #[source]
        cause: parse::KeyParseError,
    },
    #[error("the host key from {origin} is encrypted, and there is nobody to ask for its passphrase")]
    PassphraseNeeded { origin: KeyOrigin },
    #[error("the passphrase cannot be read")]
    Passphrase(#[source] file::SecretFileError),
    #[error(transparent)]
    Keyring(#[from] keyring::KeyringError),
    #[error("{origin} did not sign")]
    Signer {
        origin: KeyOrigin,
        #[source]
        cause: SignerError,
    },
    /// What leads to a signer cannot be read.
    #[error("NEST_BUNKER leads to no signer")]
    Bunker(#[source] BunkerUriError),
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The key never leaves its signer: there is nothing to be read.
    #[error("the key stays in {origin}, and cannot be read")]
    StaysInSigner { origin: KeyOrigin },
}

impl KeyError {
    /// In one line, with what is behind it.
    pub fn told(&self) -> String {
        let mut source = std::error::Error::source(self);
        let causes = std::iter::from_fn(|| {
            let cause = source?;
            source = cause.source();
            Some(format!(": {cause}"))
        });
        format!("{self}{}", causes.collect::<String>())
    }
}

/// A key that signs for the host, here or far away.
#[derive(Clone)]
pub struct HostKey {
    public_key: PublicKey,
    signer: Signer,
    origin: KeyOrigin,
}

#[derive(Clone)]
enum Signer {
    Local(Keys),
    Remote(RemoteSigner),
}

/// What signing works with, blinded against who listens to the machine; once, for twice takes longer than a signature.
fn curve() -> &'static Secp256k1<All> {
    static CURVE: OnceLock<Secp256k1<All>> = OnceLock::new();
    CURVE.get_or_init(Secp256k1::new)
}

impl HostKey {
    pub fn local(key: SecretKey, origin: KeyOrigin) -> Self {
        let keys = Keys::new_with_ctx(curve(), key);
        Self { public_key: keys.public_key(), signer: Signer::Local(keys), origin }
    }

    /// A signer may need a while for each signature: a person may have to approve it.
    pub fn remote(signer: RemoteSigner, origin: KeyOrigin) -> Self {
        Self { public_key: signer.public_key(), signer: Signer::Remote(signer), origin }
    }

    /// The signer, where the key is not here.
    pub fn signer(&self) -> Option<&RemoteSigner> {
        if let Signer::Remote(signer) = &self.signer { Some(signer) } else { None }
    }

    pub fn public_key(&self) -> PublicKey {
        self.public_key
    }

    pub fn npub(&self) -> String {
        npub(&self.public_key)
    }

    pub fn source(&self) -> &KeyOrigin {
        &self.origin
    }

    /// Signs the event, in the name of this key whatever author it says.
    pub async fn sign(&self, mut event: UnsignedEvent) -> Result<Event, KeyError> {
        event.pubkey = self.public_key;
        event.id = None;
        match &self.signer {
            Signer::Local(keys) => Ok(event.sign_with_ctx(curve(), &mut OsRng, keys).expect("a key signs for itself")),
            Signer::Remote(signer) => {
                signer.sign(event).await.map_err(|cause| KeyError::Signer { origin: self.origin.clone(), cause })
            }
        }
    }
}

impl fmt::Debug for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostKey").field("npub", &self.npub()).field("origin", &self.origin).finish_non_exhaustive()
    }
}

pub fn npub(key: &PublicKey) -> String {
    let Ok(npub) = key.to_bech32();
    npub
}

/// Runs `work`, which may block for ever, on a thread of its own.
///
/// A runtime waits for its blocking pool when it ends, and so would hang with it. This thread is simply left behind when
/// the future is dropped, and ends with the process.
pub(crate) async fn on_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    let (done, result) = oneshot::channel();
    thread::Builder::new().name("key".into()).spawn(move || done.send(work()).ok())?;
    result.await.map_err(|_| io::Error::other("the thread that read the key died"))
}
