//! Short names for nests, such as `@k3f9`: those that a list has shown are known to this machine, and never sent.

use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use nostr::hashes::{Hash as _, sha256};
use serde::{Deserialize, Serialize};

use super::Nest;
use crate::room::RoomRef;
use crate::state;

/// Letters and digits that are not taken for each other.
const DIGITS: &[u8] = b"23456789abcdefghjkmnpqrstuvwxyz";
const SHORTEST: usize = 4;
/// More than any list has; those that were shown last are kept.
const MOST: usize = 2000;

/// A nest behind a short name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Known {
    short: String,
    /// The address of its event, which does not change.
    coordinate: String,
    /// What leads to it, as a command takes it.
    name: String,
    title: String,
}

/// The short names that lists on this machine have shown, those of the last one first.
#[derive(Debug, Default)]
pub struct ShortNames {
    /// Without a folder there are no short names.
    file: Option<PathBuf>,
    known: Vec<Known>,
    /// Names that mean something else.
    taken: Vec<String>,
    /// Whether there is something to be remembered.
    changed: bool,
}

impl ShortNames {
    /// Those that are known. A file that is damaged, or that others can have written, counts as none.
    pub fn load(state_dir: Option<&Path>) -> Self {
        let file = state_dir.map(|folder| folder.join("short-names.json"));
        let known =
            file.as_ref().and_then(|file| serde_json::from_reader(BufReader::new(state::open(file).ok()?)).ok());
        let known = known.unwrap_or_default();
        Self { file, known, ..Self::default() }
    }

    /// The same, where these names (without `@`) are aliases.
    pub fn beside(self, aliases: impl Iterator<Item = String>) -> Self {
        Self { taken: aliases.collect(), ..self }
    }

    /// What a short name (without `@`) stands for, as a command takes it.
    pub fn resolve(&self, short: &str) -> Option<&str> {
        self.known.iter().find(|known| known.short == short).map(|known| &*known.name)
    }

    /// The title of a nest, as far as its name tells which it is.
    pub fn title(&self, room: &RoomRef) -> Option<&str> {
        let is_it = |known: &&Known| {
            let mut parts = known.coordinate.splitn(3, ':').skip(1);
            let (host, id) = (parts.next(), parts.next());
            id == Some(room.id.as_str()) && room.host.is_none_or(|named| Some(&*named.to_hex()) == host)
        };
        self.known.iter().find(is_it).map(|known| &*known.title)
    }

    /// All of them (without `@`), with the titles of their nests.
    pub fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        self.known.iter().map(|known| (&*known.short, &*known.title))
    }

    /// The short name of a nest; it stays the same as long as it is remembered.
    pub fn of(&mut self, nest: &Nest) -> Option<String> {
        self.file.as_ref()?;
        let coordinate = nest.room.event.coordinate().to_string();
        let before = self.known.iter().position(|known| known.coordinate == coordinate).map(|at| self.known.remove(at));
        let short = before.as_ref().map(|known| known.short.clone()).filter(|short| !self.taken.contains(short));
        let short = short.or_else(|| self.free(&coordinate))?;
        let (name, title) = (nest.reference().name, nest.name().to_owned());
        let known = Known { short: short.clone(), coordinate, name, title };
        self.changed |= before.as_ref() != Some(&known);
        self.known.insert(0, known);
        self.known.truncate(MOST);
        Some(short)
    }

    /// As short as can be told from all others.
    fn free(&self, coordinate: &str) -> Option<String> {
        let hash = sha256::Hash::hash(coordinate.as_bytes()).to_byte_array();
        let whole: String = hash.iter().map(|byte| char::from(DIGITS[usize::from(*byte) % DIGITS.len()])).collect();
        let is_free = |short: &&str| {
            !self.taken.iter().chain(self.known.iter().map(|known| &known.short)).any(|used| used == short)
        };
        (SHORTEST..=whole.len()).map(|length| &whole[..length]).find(is_free).map(str::to_owned)
    }

    /// Remembers them, for this user alone.
    pub fn save(&mut self) -> io::Result<()> {
        match &self.file {
            Some(file) if std::mem::take(&mut self.changed) => state::replace(file, &serde_json::to_vec(&self.known)?),
            _ => Ok(()),
        }
    }
}
