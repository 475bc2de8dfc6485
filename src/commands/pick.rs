//! Which nest, when none was named: a person at the terminal chooses among those of the host.

use super::keys::Keys;
use super::list::{self, Depth, Nest, State, Whose};
use super::{Error, Settings};
use crate::api::Client;
use crate::clock::{self, Clock};
use crate::reporter::Reporter;
use crate::room::RoomRef;

/// What the nest is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Restart,
    Recreate,
    Close,
    Open,
}

impl Purpose {
    fn verb(self) -> &'static str {
        match self {
            Self::Restart => "Restart",
            Self::Recreate => "Recreate",
            Self::Close => "Close",
            Self::Open => "Open",
        }
    }

    /// Which nests one expects to be asked for.
    fn suits(self, nest: &Nest) -> bool {
        match self {
            Self::Restart => nest.is_inactive(),
            Self::Recreate => nest.state == State::Gone,
            Self::Close | Self::Open => false,
        }
    }
}

/// Asks. Where only one nest suits, it is asked about that one.
///
/// # Errors
/// [`Error::NoRoom`] when nobody is there, [`Error::NothingToChoose`], [`Error::Cancelled`].
pub(super) async fn pick(
    purpose: Purpose,
    settings: &Settings,
    keys: &Keys<'_>,
    client: &Client,
    reporter: &dyn Reporter,
) -> Result<RoomRef, Error> {
    if !settings.interactive {
        return Err(Error::NoRoom);
    }
    let mut nests = Vec::new();
    let listed = list::nests(settings, &Whose::Mine, keys, client, reporter).await?;
    list::look(listed, Depth::Whole, client, |nest| nests.push(nest)).await;
    // Those that are meant most likely come first, those that are over last.
    nests.sort_by_key(|nest| (!purpose.suits(nest), nest.state == State::Over, std::cmp::Reverse(nest.since_s)));
    let suitable = nests.iter().filter(|nest| purpose.suits(nest)).count();
    let chosen = match nests.as_slice() {
        [] => return Err(Error::NothingToChoose),
        [first, ..] if suitable == 1 => {
            let question = format!("{} is {}. {} it?", first.name(), state(first), purpose.verb());
            if reporter.confirm(&question).await == Some(true) { Some(0) } else { None }
        }
        several => {
            let items: Vec<_> = several.iter().map(line).collect();
            reporter.choose(&format!("{} which nest?", purpose.verb()), &items).await
        }
    };
    let nest = chosen.and_then(|at| nests.get(at)).ok_or(Error::Cancelled)?;
    Ok(nest.reference())
}

fn line(nest: &Nest) -> String {
    let age = clock::span((Clock::default().now_s() - nest.since_s).saturating_mul(1000));
    format!("{} · {} · {} · {age}", nest.name(), nest.status, state(nest))
}

fn state(nest: &Nest) -> String {
    match (nest.state, nest.people) {
        (State::Running, Some(people)) => format!("running, {people} inside"),
        (State::Running, None) => "running".into(),
        (State::Inactive, _) => "inactive".into(),
        (State::Gone, _) => "gone from its server".into(),
        (State::Over, _) => "over".into(),
        (State::MediaOverQuic, _) => "on Media over QUIC".into(),
        (State::NotChecked | State::Unknown, _) => "not checked".into(),
    }
}
