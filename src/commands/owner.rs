//! Whose nests: a host, the relays that are known to have the events, and who answers for them.

use std::time::Duration;

use nostr::nips::nip05::{Nip05Address, Nip05Profile};
use nostr::{PublicKey, RelayUrl};

use super::target::{self, signer, signer_of};
use super::{Error, Job};
use crate::api::{ApiError, HttpClient, HttpRequest};
use crate::relay::{Relays, Signer};

/// Limit of asking a NIP-05 address.
const ADDRESS_LIMIT: Duration = Duration::from_secs(10);

/// Whose nests are meant.
#[derive(Clone, Debug, Default)]
pub enum Whose {
    /// Those of the key that is there.
    #[default]
    Mine,
    /// Those of somebody, with relays to look on.
    Key(PublicKey, Vec<RelayUrl>),
    /// Those of whoever has this NIP-05 address.
    Address(Nip05Address),
}

/// A host, and how to reach the relays that have the host's events.
pub(super) struct Owner {
    pub key: PublicKey,
    hints: Vec<RelayUrl>,
    signer: Option<Signer>,
}

impl Owner {
    /// Finds out who it is. A key in the keyring stays there: its public part is known.
    pub async fn find(whose: &Whose, job: &Job<'_>) -> Result<Self, Error> {
        let (key, hints) = match whose {
            Whose::Mine => return Self::mine(job).await,
            Whose::Key(key, hints) => (*key, hints.clone()),
            Whose::Address(address) => {
                let reach = &job.settings.network.reach;
                reach.named(address.url());
                let profile = ask(address, &job.client).await?;
                reach.passed_on(address.url(), profile.relays.iter().map(Into::into));
                (profile.public_key, profile.relays)
            }
        };
        Ok(Self { key, hints, signer: None })
    }

    async fn mine(job: &Job<'_>) -> Result<Self, Error> {
        let plan = &job.settings.key;
        if plan.named().is_some() {
            let key = job.key_of(None).await?;
            return Ok(Self { key: key.public_key(), hints: Vec::new(), signer: Some(signer_of(&key)) });
        }
        let choose = |keyring: &crate::key::Keyring| keyring.choose(None);
        let chosen = plan.keyring.as_ref().map(choose).transpose();
        let chosen = chosen.map_err(|error| std::sync::Arc::new(crate::key::KeyError::from(error)))?.flatten();
        let key = chosen.ok_or(Error::NoHost)?;
        Ok(Self { key, hints: Vec::new(), signer: signer(plan, key) })
    }

    /// The relays to ask for the host's events.
    pub fn relays(&self, job: &Job<'_>) -> Relays {
        target::relays(&job.settings, &self.hints, Some(self.key), self.signer.clone())
    }
}

/// Asks the domain of a NIP-05 address, over HTTPS; redirects are refused, as NIP-05 wants it.
async fn ask(address: &Nip05Address, client: &HttpClient) -> Result<Nip05Profile, Error> {
    let wrong = |why: String| Error::Address { address: address.to_string(), why };
    let reply = client.send(HttpRequest::get(address.url()).within(ADDRESS_LIMIT)).await;
    let reply = reply.map_err(|lost| wrong(lost.to_string()))?;
    match reply.status {
        200 => {}
        300..=399 => return Err(wrong("it redirects, which NIP-05 forbids".into())),
        status => return Err(wrong(format!("its server answers with status {status}"))),
    }
    let json = crate::api::answer::json(&reply, address.url());
    let json =
        json.map_err(|error: ApiError| wrong(format!("what its server says is no NIP-05 document ({error})")))?;
    Nip05Profile::from_json(address, &json).map_err(|_| wrong("its server does not know the name".into()))
}
