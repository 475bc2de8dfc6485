//! Which nest, when none was named: those of the host, the likeliest first, for a person at the terminal to choose among.

use super::list::{Depth, Nest, NestState, Whose};
use super::{Error, Job, Stop};

/// What the nest is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Restart,
    Recreate,
    Close,
    Open,
    Status,
    Check,
    Token,
}

impl Purpose {
    /// Which nests one expects to be asked for.
    fn suits(self, nest: &Nest) -> bool {
        match self {
            Self::Restart => nest.is_inactive(),
            Self::Recreate => nest.state == NestState::Gone,
            Self::Check | Self::Token => nest.state == NestState::Running,
            Self::Close | Self::Open | Self::Status => false,
        }
    }
}

/// The nests of the key at hand, at least one.
#[derive(Debug)]
pub struct Choice {
    /// Those that are meant most likely come first, those that are over last.
    pub nests: Vec<Nest>,
    /// Only the first of them suits the purpose.
    pub only_first_suits: bool,
}

/// Looks for the nests that could be meant.
///
/// # Errors
/// [`Error::NoRoom`] when nobody is there to choose or there is no key, [`Error::NothingToChoose`].
pub async fn choice(job: &Job<'_>, purpose: Purpose, stop: &Stop) -> Result<Choice, Error> {
    if !job.settings.interactive {
        return Err(Error::NoRoom { keyless: !job.settings.key.is_at_hand(None) });
    }
    let mut nests = Vec::new();
    let found = stop.unless(job.nests_of(&Whose::Mine, Depth::Whole, |_| {}, |nest| nests.push(nest))).await;
    found.map_err(|error| match error {
        Error::NoHost => Error::NoRoom { keyless: true },
        other => other,
    })?;
    if nests.is_empty() {
        return Err(Error::NothingToChoose);
    }
    nests.sort_by_key(|nest| (!purpose.suits(nest), nest.state == NestState::Over, std::cmp::Reverse(nest.since_s)));
    let suitable = nests.iter().filter(|nest| purpose.suits(nest)).count();
    Ok(Choice { nests, only_first_suits: suitable == 1 })
}
