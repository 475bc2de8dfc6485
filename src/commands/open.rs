//! The nest's page in the browser.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nostr::nips::nip19::{Nip19Coordinate, ToBech32 as _};
use url::Url;

use crate::api::Base;
use crate::room::RoomRef;

/// What opens a page on this system, and what stands before the address.
const OPENER: (&str, &[&str]) = if cfg!(target_os = "macos") {
    ("open", &[])
} else if cfg!(windows) {
    ("rundll32", &["url.dll,FileProtocolHandler"])
} else {
    ("xdg-open", &[])
};

/// How long an opener may take to say that it failed; some last as long as the browser.
const LIMIT: Duration = Duration::from_secs(2);

/// Why no page was opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The host is not known, or the id is too long for an address.
    #[error("nobody knows the address of the nest's page")]
    NoPage,
    /// There is no opener.
    #[error("{program} cannot be started: {source}")]
    NoOpener {
        /// What was tried.
        program: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// It found no browser, most likely.
    #[error("{program} failed ({status})")]
    Failed {
        /// What was tried.
        program: &'static str,
        /// How it ended.
        status: ExitStatus,
    },
}

/// The page of a nest: the very link by which it was `named`, or else the naddr on the site of its API, where the web
/// client is.
#[must_use]
pub fn page(named: &str, room: &RoomRef, api: &Base) -> Option<Url> {
    let link = Url::parse(named).ok().filter(|url| matches!(url.scheme(), "http" | "https") && room.api.is_none());
    if link.is_some() {
        return link;
    }
    let coordinate = room.coordinate().filter(|coordinate| coordinate.identifier.len() <= 255)?;
    let naddr =
        Nip19Coordinate { coordinate, relays: room.relays.iter().take(3).cloned().collect() }.to_bech32().ok()?;
    api.url().join(&format!("/{naddr}")).ok()
}

/// Opens a page with whatever this system opens pages with.
///
/// # Errors
/// See [`Error`].
pub async fn open(page: &Url) -> Result<(), Error> {
    let (program, before) = OPENER;
    let mut command = tokio::process::Command::new(program);
    command.args(before).arg(page.as_str()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut opener = command.spawn().map_err(|source| Error::NoOpener { program, source })?;
    match tokio::time::timeout(LIMIT, opener.wait()).await {
        Ok(Ok(status)) if !status.success() => Err(Error::Failed { program, status }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_the_link_or_the_naddr_at_the_api() {
        let api = Base::parse("https://nests.example:8443/pre").unwrap();
        let of = |named: &str| page(named, &RoomRef::parse(named).unwrap(), &api).map(String::from);
        let coordinate = "30312:aa4fc8665f5696e33db7e1a572e3b0f5b3d615837b0f362dcb1c8068b098c7b4:room";
        let found = of(coordinate).unwrap();
        let naddr = found.strip_prefix("https://nests.example:8443/").unwrap();
        assert_eq!(RoomRef::parse(naddr).unwrap().coordinate().unwrap().to_string(), coordinate);
        let link = format!("https://web.example/x/{naddr}?y");
        assert_eq!(of(&link), Some(link));
        assert_eq!(of(&format!("nostr:{naddr}")), Some(found));
        assert_eq!(of("https://nests.example/api/v1/nests/room"), None);
        assert_eq!(of("room"), None);
    }
}
