//! Which nest, when none was named: a person at the terminal chooses among those of the host.

use super::keys::Keys;
use super::list::{Depth, Looking, Nest, State, Whose};
use super::{Error, Settings, Stop};
use crate::api::{self, Client};
use crate::clock::{self, Clock};
use crate::reporter::Reporter;
use crate::room::RoomRef;

/// What the nest is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To be restarted: one that is inactive, most likely.
    Restart,
    /// To be recreated: one that is gone, most likely.
    Recreate,
    /// To be closed.
    Close,
    /// To have its page opened.
    Open,
    /// To be looked at.
    Status,
    /// To be joined: one that runs, most likely.
    Check,
    /// To have a token fetched: for one that runs, most likely.
    Token,
}

impl Purpose {
    fn which(self) -> &'static str {
        match self {
            Self::Restart => "Restart which nest",
            Self::Recreate => "Recreate which nest",
            Self::Close => "Close which nest",
            Self::Open => "Open which nest",
            Self::Status => "Look at which nest",
            Self::Check => "Check which nest",
            Self::Token => "A token for which nest",
        }
    }

    fn this(self) -> &'static str {
        match self {
            Self::Restart => "Restart it?",
            Self::Recreate => "Recreate it?",
            Self::Close => "Close it?",
            Self::Open => "Open it?",
            Self::Status => "Look at it?",
            Self::Check => "Check it?",
            Self::Token => "Fetch a token for it?",
        }
    }

    /// Which nests one expects to be asked for.
    fn suits(self, nest: &Nest) -> bool {
        match self {
            Self::Restart => nest.is_inactive(),
            Self::Recreate => nest.state == State::Gone,
            Self::Check | Self::Token => nest.state == State::Running,
            Self::Close | Self::Open | Self::Status => false,
        }
    }
}

/// Asks a person at the terminal for one of the nests of the key at hand.
///
/// # Errors
/// [`Error::NoRoom`] when nobody is there or there is no key, [`Error::NothingToChoose`], [`Error::Cancelled`].
pub async fn one(
    purpose: Purpose,
    settings: &Settings,
    reporter: &dyn Reporter,
    stop: &Stop,
) -> Result<RoomRef, Error> {
    let work = async {
        let client = Client::new(settings.network.clone()).map_err(api::Error::from)?;
        pick(purpose, settings, &Keys::new(settings, reporter), &client, reporter).await
    };
    stop.unless(work).await
}

/// Asks. Where only one nest suits, it is asked about that one.
///
/// # Errors
/// See [`one`].
pub(super) async fn pick(
    purpose: Purpose,
    settings: &Settings,
    keys: &Keys<'_>,
    client: &Client,
    reporter: &dyn Reporter,
) -> Result<RoomRef, Error> {
    if !settings.interactive {
        return Err(Error::NoRoom { keyless: false });
    }
    let mut nests = Vec::new();
    let looking = Looking { settings, keys, client, reporter };
    let looked = looking.at(&Whose::Mine, Depth::Whole, |_| {}, |nest| nests.push(nest)).await;
    looked.map_err(|error| match error {
        Error::NoHost => Error::NoRoom { keyless: true },
        other => other,
    })?;
    // Those that are meant most likely come first, those that are over last.
    nests.sort_by_key(|nest| (!purpose.suits(nest), nest.state == State::Over, std::cmp::Reverse(nest.since_s)));
    let suitable = nests.iter().filter(|nest| purpose.suits(nest)).count();
    let chosen = match nests.as_slice() {
        [] => return Err(Error::NothingToChoose),
        [first, ..] if suitable == 1 => {
            let question = format!("{} is {}. {}", first.name(), state(first), purpose.this());
            if reporter.confirm(&question).await == Some(true) { Some(0) } else { None }
        }
        several => {
            let items: Vec<_> = several.iter().map(line).collect();
            reporter.choose(purpose.which(), &items).await
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
        (State::Running, Some(0)) => "running, nobody inside".into(),
        (State::Running, Some(people)) => format!("running, {people} inside"),
        (State::Running, None) => "running".into(),
        (State::Inactive, _) => "inactive".into(),
        (State::Gone, _) => "gone from its server".into(),
        (State::Over, _) => "over".into(),
        (State::MediaOverQuic, _) => "on Media over QUIC".into(),
        (State::NotChecked | State::Unknown, _) => "not checked".into(),
    }
}
