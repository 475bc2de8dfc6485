//! Every sentence that a person reads, in functions with arguments. The only place that names a flag.

pub mod check;
pub(super) mod doctor;
pub(super) mod errors;
pub mod troubles;

use std::time::Duration;

use serde::Serialize;

use crate::clock::{Clock, local_hour_minute, rfc3339};
use crate::report::Status;

/// One link of the chain.
// In words; the sentence above is the schema's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// A stable name, such as `signal`.
    pub name: &'static str,
    /// How it ended.
    pub status: Status,
    /// How long it took, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub elapsed_ms: Option<u64>,
    /// What was seen, in a few words.
    pub detail: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Step {
    fn new(name: &'static str, status: Status, elapsed: Option<Duration>, said: Said) -> Self {
        let elapsed_ms = elapsed.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        Self { name, status, elapsed_ms, detail: said.detail, hint: said.hint }
    }
}

/// What was found, and what to do about it.
struct Said {
    detail: String,
    hint: Option<String>,
}

fn said(detail: impl Into<String>) -> Said {
    Said { detail: detail.into(), hint: None }
}

impl Said {
    fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

impl From<troubles::Trouble> for Said {
    fn from(trouble: troubles::Trouble) -> Self {
        said(trouble.cause).hint(trouble.hint)
    }
}

/// The time of day here, if it is near enough to now to be understood, else the whole date; and which of the two.
fn moment(ms: i64) -> (String, bool) {
    let near = ms.abs_diff(Clock::default().now_ms()) < 20 * 3600 * 1000;
    let told = if near { local_hour_minute(ms) } else { rfc3339(ms) };
    told.map_or_else(|| ("an impossible time".into(), true), |told| (told, near))
}

/// `text` with a capital letter in front, unless it begins with an address.
fn sentence(text: &str) -> String {
    if text.starts_with("ws") {
        return text.to_owned();
    }
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// How many people are inside.
pub(super) fn people(inside: u64) -> String {
    match inside {
        0 => "nobody inside".into(),
        1 => "1 person inside".into(),
        n => format!("{n} people inside"),
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    /// The literals of strings in a source file, as they are written.
    fn strings(source: &str) -> Vec<&str> {
        let (mut strings, mut rest) = (Vec::new(), source);
        while let Some(at) = rest.find(['"', '/', '\'']) {
            let found = &rest[at..];
            let hashes = rest[..at].len() - rest[..at].trim_end_matches('#').len();
            rest = if found.starts_with("//") {
                found.split_once('\n').map_or("", |(_, after)| after)
            } else if found.starts_with("'\"'") || found.starts_with("'\\") {
                &found[3..]
            } else if let Some(inside) = found.strip_prefix('"') {
                let raw = rest[..at - hashes].ends_with('r');
                let closing = format!("\"{}", "#".repeat(if raw { hashes } else { 0 }));
                let escaped = |end: usize| !raw && (end - inside[..end].trim_end_matches('\\').len()) % 2 == 1;
                let end = inside.match_indices(&closing).map(|(end, _)| end).find(|end| !escaped(*end));
                let (text, after) = inside.split_at(end.expect("a string ends"));
                strings.push(text);
                &after[closing.len()..]
            } else {
                &found[1..]
            };
        }
        strings
    }

    /// An origin of keys is called by what the user gave, and a fault's line is part of the help.
    const MAY: [&str; 2] = ["key/source.rs", "server/faults/mod.rs"];

    fn names_a_flag(text: &str) -> bool {
        format!(" {text}").split(" --").skip(1).any(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase()))
    }

    #[test]
    fn strings_are_told_from_comments() {
        let source = "/// \"no\"\nf('\"', \"a \\\" --b\"); // \"no\"\nlet x: &'a str = r#\"--\"c\"#;";
        assert_eq!(strings(source), ["a \\\" --b", "--\"c"]);
        assert!(names_a_flag("use --api") && names_a_flag("--api") && !names_a_flag("a--b, -- and --…"));
    }

    /// Whoever calls the library has no flags: what to do about an error is said here, in the program's own words.
    #[test]
    fn only_the_command_line_names_flags() {
        let mut open = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
        let mut found: Vec<(PathBuf, String)> = Vec::new();
        while let Some(path) = open.pop() {
            if path.is_dir() {
                let inside = std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path());
                open.extend(inside.filter(|path| !path.ends_with("src/cli")));
            } else if !MAY.iter().any(|file| path.ends_with(file)) {
                let source = std::fs::read_to_string(&path).unwrap();
                let source = source.split("#[cfg(test)]\nmod").next().unwrap();
                found.extend(
                    strings(source)
                        .into_iter()
                        .filter(|text| names_a_flag(text))
                        .map(|text| (path.clone(), text.into())),
                );
            }
        }
        assert!(found.is_empty(), "{found:#?}");
    }
}
