//! Pairing with a remote signer (NIP-46): by what it shows (`bunker://`), or by what is shown to it (`nostrconnect://`).

use std::collections::HashMap;

use nostr::nips::nip46::{NostrConnectMessage, NostrConnectMethod};
use nostr::{Event, Filter, Keys, Kind, PublicKey, RelayUrl};
use tokio::time::timeout;
use url::form_urlencoded;

use super::signer::{Link, RemoteSigner, SignerError, SignerNetwork, SignerSession, Standings, read};
use crate::net::relay::follow::{Follower, Heard};
use crate::secret::{MASK, Secret, nonce};

/// What it is asked to sign: requests (NIP-98), nests, who is present, and who asks a relay (NIP-42).
const PERMISSIONS: &str = "sign_event:27235,sign_event:30312,sign_event:10312,sign_event:22242";

/// Relays on which one signer is looked for.
const RELAYS_MAX: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BunkerUriError {
    #[error("it is empty")]
    Empty,
    #[error("it does not begin with bunker://")]
    Scheme,
    #[error("it is a secret key")]
    SecretKey,
    #[error("what follows bunker:// is not the public key of a signer: 64 hex digits")]
    PublicKey,
    #[error("it names no relay (relay=wss://…) that could be read")]
    Relay,
}

/// Where a signer waits to be paired with: `bunker://<public key>?relay=…&secret=…` (NIP-46).
#[derive(Clone, Debug)]
pub struct BunkerUri {
    pub signer: PublicKey,
    pub relays: Vec<RelayUrl>,
    secret: Option<Secret>,
}

impl BunkerUri {
    /// Reads it; whitespace around it is tolerated. No error repeats the text. The `nostr` crate's reader would leave copies
    /// of the secret behind.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, BunkerUriError> {
        let scheme = "bunker://";
        let text = text.trim();
        let begins = text.get(..scheme.len()).is_some_and(|head| head.eq_ignore_ascii_case(scheme));
        let rest = match text {
            _ if begins => &text[scheme.len()..],
            "" => return Err(BunkerUriError::Empty),
            _ if super::parse::parse(text).is_ok() => return Err(BunkerUriError::SecretKey),
            _ => return Err(BunkerUriError::Scheme),
        };
        let (key, query) = rest.split_once('?').unwrap_or((rest, ""));
        let signer = PublicKey::from_hex(key.trim_end_matches('/')).map_err(|_| BunkerUriError::PublicKey)?;
        // Not every number is one that anything can be encrypted to.
        signer.xonly().map_err(|_| BunkerUriError::PublicKey)?;
        let (mut relays, mut secret) = (Vec::new(), None);
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "relay" => relays.push(RelayUrl::parse(&value).map_err(|_| BunkerUriError::Relay)?),
                "secret" if !value.is_empty() => secret = Some(Secret::new(value)),
                _ => {}
            }
        }
        relays.dedup();
        relays.truncate(RELAYS_MAX);
        if relays.is_empty() { Err(BunkerUriError::Relay) } else { Ok(Self { signer, relays, secret }) }
    }

    /// What leads to the signer, for a client with this key.
    pub fn session(&self, client: Keys) -> SignerSession {
        SignerSession { client, signer: self.signer, relays: self.relays.clone() }
    }

    /// Has the signer accept this client. The secret works once, or again for the same client.
    ///
    /// # Errors
    /// [`SignerError::NotPaired`] with the signer's own words, and those of [`RemoteSigner::sign`].
    pub async fn connect(&self, client: Keys, network: SignerNetwork) -> Result<AcceptedSession, SignerError> {
        let link = Link::new(self.session(client), network);
        let secret = self.secret.as_ref().map_or("", Secret::expose);
        let connect = [&self.signer.to_hex(), secret, PERMISSIONS];
        let answer = link.ask(NostrConnectMethod::Connect, &connect).await.map_err(|error| match error {
            SignerError::Refused(why) if secret.is_empty() => SignerError::NotPaired { why, secret: false },
            // It may say it again.
            SignerError::Refused(why) => SignerError::NotPaired { why: why.replace(secret, MASK), secret: true },
            error => error,
        })?;
        if answer != "ack" && (secret.is_empty() || answer != secret) {
            return Err(SignerError::Nonsense("the pairing"));
        }
        Ok(AcceptedSession(link))
    }

    /// The same, and finds out whose key it has.
    ///
    /// # Errors
    /// As [`BunkerUri::connect`].
    pub async fn pair(&self, client: Keys, network: SignerNetwork) -> Result<RemoteSigner, SignerError> {
        self.connect(client, network).await?.finish().await
    }
}

/// A signer has accepted this client, and has not said yet whose key it has.
pub struct AcceptedSession(Link);

impl AcceptedSession {
    /// Asks whose key it has.
    ///
    /// # Errors
    /// As [`RemoteSigner::sign`].
    pub async fn finish(self) -> Result<RemoteSigner, SignerError> {
        let user = self.0.ask(NostrConnectMethod::GetPublicKey, &[]).await?;
        let user = PublicKey::from_hex(&user).map_err(|_| SignerError::Nonsense("whose key it has"))?;
        Ok(RemoteSigner::linked(self.0, user))
    }
}

/// Waits to be found by a signer that a person shows it to: `nostrconnect://` (NIP-46).
pub struct PairingOffer {
    client: Keys,
    relays: Vec<RelayUrl>,
    secret: Secret,
}

impl PairingOffer {
    pub fn new(relays: Vec<RelayUrl>) -> Self {
        Self { client: Keys::generate(), relays, secret: Secret::new(&nonce()[..16]) }
    }

    /// What the signer has to be shown, as a QR code or pasted.
    pub fn uri(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(self.relays.iter().map(|relay| ("relay", relay.as_str_without_trailing_slash())));
        query.append_pair("secret", self.secret.expose()).append_pair("perms", PERMISSIONS).append_pair("name", "nest");
        format!("nostrconnect://{}?{}", self.client.public_key(), query.finish())
    }

    /// Whether this is a signer that has seen the offer: it answers with the secret, or, as signers once did, connects with it.
    fn is_accepted_by(&self, event: &Event) -> bool {
        let secret = self.secret.expose();
        match read(&self.client, event.pubkey, &event.content) {
            Some(NostrConnectMessage::Response { result, .. }) => result.as_deref() == Some(secret),
            Some(NostrConnectMessage::Request { method, params, .. }) => {
                method == NostrConnectMethod::Connect && params.get(1).map(String::as_str) == Some(secret)
            }
            None => false,
        }
    }

    /// Waits for the signer. Only one that has seen the offer knows its secret.
    ///
    /// # Errors
    /// As [`BunkerUri::connect`].
    pub async fn wait(self, network: SignerNetwork) -> Result<AcceptedSession, SignerError> {
        let addressed = Filter::new().kind(Kind::NostrConnect).pubkey(self.client.public_key());
        let mut follower = Follower::new(self.relays.clone(), vec![addressed], network.relays(&self.client)).await;
        let mut troubles = Standings::default();
        let found = async {
            loop {
                let (relay, heard) = follower.next().await;
                match heard {
                    Heard::Stored => troubles.usable(&relay),
                    Heard::Trouble(trouble) => troubles.lost(&relay, trouble),
                    Heard::Event(event) if self.is_accepted_by(&event) => return Ok(event.pubkey),
                    _ => {}
                }
                if let Some(why) = troubles.hopeless(&self.relays, &HashMap::new()) {
                    return Err(SignerError::Unreachable(why));
                }
            }
        };
        let found = timeout(network.limit, found).await;
        drop(follower);
        match found {
            Ok(signer) => {
                let session = SignerSession { client: self.client, signer: signer?, relays: self.relays };
                Ok(AcceptedSession(Link::new(session, network)))
            }
            Err(_) if troubles.any_usable() => Err(SignerError::Silent { limit: network.limit }),
            Err(_) => Err(SignerError::Unreachable(troubles.text(&self.relays, network.limit))),
        }
    }
}
