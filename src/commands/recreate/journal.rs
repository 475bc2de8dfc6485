//! What is remembered between the creation of a room and its event on relays: without it, an interruption in between
//! would leave a room that nobody finds, and the next run would make another.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use nostr::hashes::Hash as _;
use nostr::hashes::sha256;
use nostr::nips::nip01::Coordinate;
use serde::{Deserialize, Serialize};

use crate::api::{ApiUrl, RoomId};
use crate::state;

/// A room that was created to take the place of another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Created {
    /// The event of the nest whose place it takes.
    old: String,
    api: String,
    room_id: String,
    pub endpoints: Vec<String>,
}

impl Created {
    pub fn new(old: &Coordinate, api: &ApiUrl, id: &RoomId, endpoints: Vec<String>) -> Self {
        Self { old: old.to_string(), api: api.to_string(), room_id: id.to_string(), endpoints }
    }

    pub fn id(&self) -> Option<RoomId> {
        RoomId::new(&*self.room_id).ok()
    }
}

/// The file for one nest.
pub(super) struct Journal {
    file: Option<PathBuf>,
}

impl Journal {
    /// Without a folder nothing is remembered.
    pub fn new(folder: Option<&Path>, old: &Coordinate) -> Self {
        let name = sha256::Hash::hash(old.to_string().as_bytes()).to_string();
        Self { file: folder.map(|folder| folder.join("recreate").join(format!("{}.json", &name[..32]))) }
    }

    /// What was created for `old` at `api`, if the work was interrupted then. A damaged file, or somebody else's, counts
    /// as none.
    pub fn read(&self, old: &Coordinate, api: &ApiUrl) -> Option<Created> {
        let mut text = Vec::new();
        state::open(self.file.as_ref()?).and_then(|mut file| file.read_to_end(&mut text)).ok()?;
        let created: Created = serde_json::from_slice(&text).ok()?;
        (created.old == old.to_string() && created.api == api.as_str()).then_some(created)
    }

    /// Remembers all of it or nothing.
    pub fn write(&self, created: &Created) -> io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        state::replace(file, &serde_json::to_vec(created)?)
    }

    /// Forgets it: everything is on relays.
    pub fn end(&self) {
        if let Some(file) = &self.file {
            // What stays behind does no harm: the events are looked at first.
            let _ = fs::remove_file(file);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nostr::{Keys, Kind};

    #[test]
    fn it_remembers_one_nest_at_one_api() {
        let folder = tempfile::tempdir().unwrap();
        let old = Coordinate::new(Kind::from(30312), Keys::generate().public_key()).identifier("a:b");
        let api = ApiUrl::parse("https://nests.example").unwrap();
        let journal = Journal::new(Some(folder.path()), &old);
        assert_eq!(journal.read(&old, &api), None);
        let created = Created::new(&old, &api, &RoomId::new("new").unwrap(), vec!["wss://x".into()]);
        journal.write(&created).unwrap();
        assert_eq!(journal.read(&old, &api), Some(created));
        assert_eq!(journal.read(&old, &ApiUrl::parse("https://other.example").unwrap()), None);
        let other = Coordinate::new(old.kind, old.public_key).identifier("c");
        assert_eq!(Journal::new(Some(folder.path()), &other).read(&other, &api), None);
        fs::write(journal.file.as_ref().unwrap(), "{").unwrap();
        assert_eq!(journal.read(&old, &api), None);
        journal.end();
        assert!(fs::read_dir(folder.path().join("recreate")).unwrap().next().is_none());
    }
}
