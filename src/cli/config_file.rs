//! The configuration file as it is changed: comments, order and all that is not meant stay as they are.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{fs, io};

use toml_edit::{Document, DocumentMut, Item, Table, TableLike, Value};

use super::messages::errors::Failure;
use crate::files;

/// Where it is, and which profile of it is meant.
#[derive(Clone, Debug)]
pub(super) struct ConfigFile {
    pub path: PathBuf,
    pub profile: Option<String>,
}

/// A setting by its name, such as `["alias", "weekly"]`, and what it is to be.
pub(super) type Setting = (Vec<String>, String);

impl ConfigFile {
    pub fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    /// How the configuration writes `path`: those in its own folder by their names alone.
    pub fn written(&self, path: &Path) -> String {
        path.strip_prefix(self.folder()).unwrap_or(path).to_string_lossy().into_owned()
    }

    /// Writes the settings, all of them or none. What stood in the place of one stays as a comment before it.
    pub fn set(&self, settings: &[Setting]) -> Result<(), Failure> {
        let failed = |why: &dyn std::fmt::Display| {
            Failure::usage(format!("the configuration {} cannot be written: {why}", self.path.display()))
        };
        let text = self.read().map_err(|error| failed(&error))?;
        let text = changed(&text, self.profile.as_deref(), settings).map_err(|why| failed(&why))?;
        files::replace(&self.path, text.as_bytes()).map_err(|error| failed(&error))
    }

    /// Makes a comment of a setting, wherever it has this value: in the file or in one of its profiles.
    pub fn unset(&self, name: &str, value: &str) -> io::Result<()> {
        let text = self.read()?;
        let without = without(&text, name, value).map_err(io::Error::other)?;
        if without == text { Ok(()) } else { files::replace(&self.path, without.as_bytes()) }
    }

    /// Has short names stand for something else, in the file and in its profiles, where `new` says so of a name and what it
    /// stands for; which these are. What they stood for stays as a comment, except inside a table on one line.
    pub fn pass_on(&self, new: impl Fn(&str, &str) -> Option<String>) -> io::Result<BTreeSet<String>> {
        let mut document: DocumentMut = self.read()?.parse().map_err(io::Error::other)?;
        let mut names: BTreeSet<_> = passed_on(document.as_table_mut(), &new).into_iter().collect();
        let profiles = document.get_mut("profile").and_then(Item::as_table_like_mut);
        for (_, profile) in profiles.into_iter().flat_map(TableLike::iter_mut) {
            names.extend(profile.as_table_like_mut().map(|profile| passed_on(profile, &new)).unwrap_or_default());
        }
        if !names.is_empty() {
            files::replace(&self.path, document.to_string().as_bytes())?;
        }
        Ok(names)
    }

    /// A file that is not there says nothing.
    fn read(&self) -> io::Result<String> {
        match fs::read_to_string(&self.path) {
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                Ok(String::new())
            }
            text => text,
        }
    }
}

/// The same in one table of settings.
fn passed_on(settings: &mut dyn TableLike, new: impl Fn(&str, &str) -> Option<String>) -> Vec<String> {
    let Some(aliases) = settings.get_mut("alias").and_then(Item::as_table_like_mut) else { return Vec::new() };
    let changed = aliases.iter().filter_map(|(name, item)| Some((name.to_owned(), new(name, item.as_str()?)?)));
    let changed: Vec<_> = changed.collect();
    let put = |(name, new): (String, String)| {
        put(aliases, &name, &new);
        name
    };
    changed.into_iter().map(put).collect()
}

/// The file with this setting as a comment, wherever it and its profiles have it with this value on a line of its own.
fn without(text: &str, name: &str, value: &str) -> Result<String, toml_edit::TomlError> {
    let document = Document::parse(text)?;
    let profiles = document.get("profile").and_then(Item::as_table_like).into_iter().flat_map(TableLike::iter);
    let profiles = profiles.filter_map(|(_, profile)| profile.as_table_like());
    let tables = std::iter::once(document.as_table() as &dyn TableLike).chain(profiles);
    let keys = tables.filter_map(|table| table.get_key_value(name).filter(|(_, item)| item.as_str() == Some(value)));
    let mut starts: Vec<_> = keys.filter_map(|(key, _)| Some(key.span()?.start)).collect();
    starts.retain(|start| text[..*start].rsplit('\n').next().is_some_and(|before| before.trim().is_empty()));
    starts.sort_unstable();
    let mut without = text.to_owned();
    starts.iter().rev().for_each(|start| without.insert_str(*start, "# "));
    Ok(without)
}

fn changed(text: &str, profile: Option<&str>, settings: &[Setting]) -> Result<String, String> {
    let mut document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| error.to_string())?;
    for (names, value) in settings {
        let Some((name, folders)) = names.split_last() else { continue };
        let profile = profile.into_iter().flat_map(|name| ["profile", name]);
        let mut table: &mut dyn TableLike = document.as_table_mut();
        for folder in profile.chain(folders.iter().map(String::as_str)) {
            let below = table.entry(folder).or_insert_with(|| {
                let mut table = Table::new();
                // Only a table with settings of its own has a heading.
                table.set_implicit(true);
                Item::Table(table)
            });
            table = below.as_table_like_mut().ok_or_else(|| format!("`{folder}` in it is no table"))?;
        }
        put(table, name, value);
    }
    Ok(document.to_string())
}

fn put(table: &mut dyn TableLike, name: &str, value: &str) {
    let Some(old) = table.get_mut(name).and_then(Item::as_value_mut) else {
        table.insert(name, toml_edit::value(value));
        return;
    };
    if old.as_str() == Some(value) {
        return;
    }
    let (before, decor) = (old.clone().decorated("", "").to_string(), old.decor().clone());
    *old = Value::from(value);
    *old.decor_mut() = decor;
    if let Some(mut key) = table.key_mut(name) {
        let decor = key.leaf_decor_mut();
        let above = decor.prefix().and_then(|prefix| prefix.as_str()).unwrap_or_default();
        // Not inside a table on one line.
        if above.is_empty() || above.ends_with('\n') {
            decor.set_prefix(format!("{above}# before: {name} = {}\n", before.replace('\n', "\n# ")));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str, profile: Option<&str>, settings: &[(&str, &str)]) -> String {
        let setting =
            |(name, value): &(&str, &str)| (name.split('.').map(str::to_owned).collect(), (*value).to_owned());
        changed(text, profile, &settings.iter().map(setting).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn what_is_not_meant_stays() {
        assert_eq!(
            set("", None, &[("api", "https://a"), ("alias.b", "x")]),
            "api = \"https://a\"\n\n[alias]\nb = \"x\"\n"
        );
        let text =
            "# mine\nrelays = ['wss://r'] # one\n\n[alias]\n# every week\nweekly = 'naddr1a'\n\n[profile.work]\n";
        let new = set(text, None, &[("api", "https://a"), ("alias.daily", "naddr1b")]);
        for line in text.lines() {
            assert!(new.lines().any(|kept| kept == line), "{line}: {new}");
        }
        assert_eq!(set(&new, None, &[("api", "https://a"), ("alias.daily", "naddr1b")]), new, "twice is once");
        let read: DocumentMut = new.parse().unwrap();
        assert_eq!((read["api"].as_str(), read["alias"]["daily"].as_str()), (Some("https://a"), Some("naddr1b")));
    }

    #[test]
    fn what_is_replaced_stays_as_a_comment() {
        let text = "# where\napi = 'https://old' # since May\n[alias]\nweekly = 'naddr1a'\n";
        let new = set(text, None, &[("api", "https://new"), ("alias.weekly", "naddr1b")]);
        assert_eq!(
            new,
            "# where\n# before: api = 'https://old'\napi = \"https://new\" # since May\n[alias]\n\
             # before: weekly = 'naddr1a'\nweekly = \"naddr1b\"\n"
        );
        let inline = set("alias = { weekly = 'a', daily = 'b' }", None, &[("alias.weekly", "c")]);
        assert_eq!(inline, "alias = { weekly = \"c\", daily = 'b' }\n");
    }

    #[test]
    fn what_is_taken_out_stays_as_a_comment() {
        let text =
            "# mine\nbunker = 'main' # since May\n[alias]\nbunker = 'main'\n[profile.a]\nbunker=\"main\"\napi = 'x'\n";
        assert_eq!(without(text, "bunker", "other").unwrap(), text);
        assert_eq!(
            without(text, "bunker", "main").unwrap(),
            "# mine\n# bunker = 'main' # since May\n[alias]\nbunker = 'main'\n[profile.a]\n# bunker=\"main\"\napi = 'x'\n"
        );
    }

    #[test]
    fn a_profile_has_settings_of_its_own() {
        let new = set("api = 'https://a'\n", Some("my work"), &[("api", "https://b"), ("alias.x", "y")]);
        let read: DocumentMut = new.parse().unwrap();
        let profile = &read["profile"]["my work"];
        assert_eq!((read["api"].as_str(), profile["api"].as_str()), (Some("https://a"), Some("https://b")), "{new}");
        assert_eq!(profile["alias"]["x"].as_str(), Some("y"));
        assert!(changed("alias = 1", None, &[(vec!["alias".into(), "x".into()], "y".into())]).is_err());
    }
}
