//! What was found, in words: one line a link.

mod nest;
mod server;
mod way;

use super::findings::Findings;
use super::{Link, Request};
use crate::key;
use crate::report::Status;

const NO_CONNECTION: &str = "there is no connection to the API";

/// All links, in the order in which they depend on each other.
pub(super) fn links(findings: &Findings, request: &Request) -> Vec<Link> {
    let mut links = vec![
        Link::new("config", Status::Passed, &request.config),
        own_key(findings, request),
        server::clock(findings),
        way::dns(findings),
        way::proxy(findings),
        way::tcp(findings),
        way::tls(findings),
        server::api(findings, request),
        server::signature(findings, request),
    ];
    if request.room.is_some() {
        links.extend([
            nest::event(findings, request),
            nest::record(findings, request),
            nest::host(findings, request),
            nest::room(findings, request),
            nest::endpoints(findings),
            nest::signal(findings),
            nest::media(findings, request),
        ]);
    }
    links
}

fn own_key(findings: &Findings, request: &Request) -> Link {
    const NAME: &str = "key";
    match &findings.key {
        Some(Ok(key)) => Link::new(NAME, Status::Passed, format!("{}, from {}", key.npub(), key.source())),
        None => Link::new(NAME, Status::Warned, "there is none: looking needs no key, restarting does")
            .hint("nest key import, or --key-file PATH"),
        Some(Err(error)) => {
            let mut detail = error.to_string();
            let mut cause = std::error::Error::source(&**error);
            while let Some(error) = cause {
                detail = format!("{detail}: {error}");
                cause = error.source();
            }
            let hint = match &**error {
                key::KeyError::PassphraseNeeded { .. } => {
                    "name a file that holds the passphrase: --passphrase-file PATH"
                }
                key::KeyError::Keyring(_) => {
                    "unlock the keyring, or use --key-file PATH (mode 0600), or a systemd credential named nest-key"
                }
                _ => "mend it, or name another one: --key-file PATH",
            };
            Link::new(NAME, Status::Failed, detail)
                .hint(hint)
                .next(format!("nest restart {} --key-file PATH", named(request)))
        }
    }
}

/// What stands for the nest in a command to paste.
fn named(request: &Request) -> &str {
    if request.room.is_some() { &request.named } else { "ROOM" }
}

fn not_checked(name: &'static str, why: impl Into<String>) -> Link {
    Link::new(name, Status::NotChecked, why)
}
