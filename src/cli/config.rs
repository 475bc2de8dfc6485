//! The configuration file: settings for all calls, and profiles that differ from them.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::command::ServeArgs;
use super::messages::errors::Failure;

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct Config {
    pub api: Option<String>,
    pub relays: Option<Vec<String>>,
    pub key_file: Option<PathBuf>,
    pub passphrase_file: Option<PathBuf>,
    /// Short names for nests, written with an `@` before them.
    pub alias: BTreeMap<String, String>,
    pub serve: Option<ServeArgs>,
    /// A profile has no profiles of its own.
    profile: BTreeMap<String, Config>,
}

impl Config {
    fn or(self, other: Self) -> Self {
        Self {
            api: self.api.or(other.api),
            relays: self.relays.or(other.relays),
            key_file: self.key_file.or(other.key_file),
            passphrase_file: self.passphrase_file.or(other.passphrase_file),
            alias: other.alias.into_iter().chain(self.alias).collect(),
            serve: self.serve.or(other.serve),
            profile: BTreeMap::new(),
        }
    }

    /// Relative paths count from the folder of the file.
    fn below(self, folder: &Path) -> Self {
        let join = |path: PathBuf| folder.join(path);
        Self {
            key_file: self.key_file.map(join),
            passphrase_file: self.passphrase_file.map(join),
            serve: self.serve.map(|serve| serve.below(folder)),
            ..self
        }
    }
}

/// Reads `file`, which must be there if it was `named`, and lays `profile` over it.
pub(super) fn load(file: Option<&Path>, named: bool, profile: Option<&str>) -> Result<Config, Failure> {
    let text = match file.map(std::fs::read_to_string) {
        None => String::new(),
        Some(Ok(text)) => text,
        Some(Err(error)) if !named && matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            String::new()
        }
        Some(Err(error)) => {
            let path = file.unwrap_or(Path::new("")).display();
            return Err(Failure::usage(format!("cannot read the configuration {path}: {error}")));
        }
    };
    let folder = file.and_then(Path::parent).unwrap_or(Path::new(""));
    parse(&text, profile).map(|config| config.below(folder)).map_err(|why| {
        let path = file.unwrap_or(Path::new("")).display();
        Failure::usage(format!("the configuration {path} has a mistake: {why}"))
    })
}

fn parse(text: &str, profile: Option<&str>) -> Result<Config, String> {
    let mut config: Config = toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned())?;
    if config.profile.values().any(|profile| !profile.profile.is_empty()) {
        return Err("a profile in it has profiles of its own".into());
    }
    let Some(name) = profile else { return Ok(config) };
    let own = config.profile.remove(name).ok_or_else(|| format!("there is no profile {name:?} in it"))?;
    Ok(own.or(config))
}

#[cfg(test)]
mod tests {
    use super::super::exit::Exit;
    use super::*;

    const TEXT: &str = "api = 'https://a'\nkey-file = 'k'\n[profile.work]\napi = 'https://b'\n";

    #[test]
    fn a_profile_lies_over_the_rest() {
        assert_eq!(parse(TEXT, None).unwrap().api.as_deref(), Some("https://a"));
        let work = parse(TEXT, Some("work")).unwrap();
        assert_eq!((work.api.as_deref(), work.key_file), (Some("https://b"), Some("k".into())));
        assert!(parse(TEXT, Some("home")).unwrap_err().contains("home"));
        assert!(parse("apo = 'x'", None).unwrap_err().contains("apo"));
        assert!(parse("[profile.a.profile.b]\napi = 'x'", None).unwrap_err().contains("of its own"));
    }

    #[test]
    fn a_profile_adds_aliases_to_those_of_all() {
        let text = "[alias]\nweekly = 'a'\ndaily = 'b'\n[profile.work.alias]\ndaily = 'c'\n";
        let aliases = |profile| parse(text, profile).unwrap().alias.into_iter().collect::<Vec<_>>();
        let pair = |name: &str, room: &str| (name.to_owned(), room.to_owned());
        assert_eq!(aliases(None), [pair("daily", "b"), pair("weekly", "a")]);
        assert_eq!(aliases(Some("work")), [pair("daily", "c"), pair("weekly", "a")]);
    }

    #[test]
    fn a_file_that_was_named_must_be_there() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        assert_eq!(load(Some(&file), false, None).unwrap(), Config::default());
        assert_eq!(load(Some(&file), true, None).unwrap_err().exit, Exit::Usage);
        std::fs::write(&file, TEXT).unwrap();
        assert_eq!(load(Some(&file), true, None).unwrap().key_file, Some(folder.path().join("k")));
    }
}
