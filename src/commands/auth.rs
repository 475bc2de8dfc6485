//! `nest auth`: what another program needs to send a signed request (NIP-98).

use url::Url;

use crate::clock::Clock;
use crate::key::{HostKey, KeyError};
use crate::nip98;
use crate::secret::{Secret, nonce};

/// The value of the `Authorization` header for one request, which is good for about a minute. `url` is signed as
/// clients send it: normalised (WHATWG URL).
///
/// # Errors
/// When the key does not sign.
pub async fn authorization(key: &HostKey, method: &str, url: &Url, body: Option<&[u8]>) -> Result<Secret, KeyError> {
    let request = nip98::Request { method, url: url.as_str(), body };
    let event = nip98::event(request, key.public_key(), Clock::default().now_s(), &nonce());
    Ok(nip98::authorization(&key.sign(event).await?))
}
