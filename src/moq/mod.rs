//! What a nest on Media over QUIC needs beside its event: an auth service, which gives tokens, and a media relay.

pub mod auth;

use nostr::nips::nip01::Coordinate;

/// How the media relay calls a nest: what its tokens are for. `None` for an id with characters that the auth service does
/// not take (upstream's moq-auth: letters, digits, `.`, `_`, `-`).
pub fn namespace(nest: &Coordinate) -> Option<String> {
    let id = &nest.identifier;
    let taken = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    taken.then(|| format!("nests/{nest}"))
}
