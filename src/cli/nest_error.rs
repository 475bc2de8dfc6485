//! What goes wrong with nests as Nostr knows them, as text and hints.

use super::error::Failure;
use super::exit::Exit;
use crate::commands::{Error, Signal};

/// What to show for `error`, which befell the room that the user calls `room`.
pub(super) fn failure(error: &Error, room: &str) -> Failure {
    let new = |exit| Failure::new(exit, error.to_string());
    match error {
        Error::NoHost => new(Exit::Usage)
            .cause("nothing names a key, and the keyring has none")
            .hint("--host npub1…, or --key-file PATH, or once for all: nest key import"),
        Error::NoRoom { keyless: false } => new(Exit::Usage)
            .cause("none is named, and nobody is at the terminal to be asked")
            .hint("nest list shows them; a name is an id, naddr1…, a link, or @ALIAS"),
        Error::NoRoom { keyless: true } => new(Exit::Usage)
            .cause("none is named, and there is no key whose nests could be shown to choose from")
            .hint("name it: an id, naddr1…, a link, or @ALIAS")
            .hint("or keep your key in the OS keyring, once: nest key import"),
        Error::NothingToChoose => new(Exit::NotFound)
            .cause("the relays have no nest of this key")
            .hint("name a relay that has: --relay wss://…"),
        Error::Address { .. } => new(Exit::Usage).hint("give the key itself: --host npub1…"),
        Error::StillThere => new(Exit::Failed)
            .cause("a restart is enough, and keeps its links")
            .hint(format!("nest restart {room}"))
            .hint(format!("to have a new one all the same, close this one first: nest close {room}")),
        Error::NotPublished { refused, done } => {
            let failure = match done {
                Some(_) => Failure::new(Exit::Failed, "the nest was restarted, but its event could not be published"),
                None => new(Exit::Failed).hint("run it again: what was done is not done twice"),
            };
            refused.iter().fold(failure, Failure::cause)
        }
        Error::NotConfirmed => new(Exit::Usage).hint(format!("nest recreate {room} --yes")),
        Error::Stopped(signal) => {
            let exit = match signal {
                Signal::Interrupt => Exit::Interrupted,
                Signal::Terminate => Exit::Terminated,
            };
            new(exit).hint("run it again: what was done is not done twice")
        }
        _ => new(Exit::Failed),
    }
}
