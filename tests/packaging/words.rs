//! The words of the program: all in one place, and none of them only for show.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use nostr_nests::cli::messages::{page, troubles};

use crate::support::current::root;

/// Every file below `folder` that is no picture, and what is in it.
fn sources(folder: &str) -> impl Iterator<Item = (PathBuf, String)> {
    let mut open = vec![root(folder)];
    std::iter::from_fn(move || {
        loop {
            let path = open.pop()?;
            if path.extension().is_some_and(|end| end == "png") {
                continue;
            }
            if path.is_file() {
                let text = fs::read_to_string(&path).unwrap();
                return Some((path, text));
            }
            open.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        }
    })
}

/// The table is the program's own words: every row is said elsewhere too, by its name.
#[test]
fn every_trouble_is_told_somewhere() {
    let rows = fs::read_to_string(root("src/cli/messages/troubles.rs")).unwrap();
    let rows = rows.split_once("\ntroubles! {\n").unwrap().1.split_once("\n}\n").unwrap().0;
    let names = rows.lines().filter_map(|line| line.strip_prefix("    ")?.split_once('(')).map(|(name, _)| name);
    let names: Vec<_> =
        names.filter(|name| name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')).collect();
    let program: String =
        sources("src").filter(|(path, _)| !path.ends_with("troubles.rs")).map(|(_, text)| text).collect();
    for name in &names {
        assert!(program.contains(&format!("troubles::{name}(")), "{name}: only the table says it");
    }
    assert_eq!(names.len() + 2, troubles::markdown().lines().count());
}

/// A word that is missing would be seen only by whoever comes into its situation.
#[test]
fn the_page_of_a_nest_has_all_its_words_and_no_others() {
    let words: BTreeMap<String, String> = serde_json::from_str(&page::json()).unwrap();
    let files = sources("src/server/page").filter(|(path, _)| !path.ends_with("words.json"));
    let text = files.map(|(_, text)| text).collect::<String>();
    let code = |line: &&str| !line.trim_start().starts_with("//");
    let text = text.lines().filter(code).collect::<Vec<_>>().join("\n");
    let named = |start: &str| {
        text.split(start)
            .skip(1)
            .map(|rest| rest.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap())
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let starts = ["WORDS.", "fill(\"", "word(\"", "said(\"", "outcome(\"", "progress(\"", "{{."];
    let used: Vec<_> = starts.into_iter().flat_map(named).collect();
    assert!(used.len() > 70, "{used:?}");
    for name in used.iter().filter(|name| *name != "get") {
        assert!(words.contains_key(name), "there is no {name}");
    }
    for name in words.keys().filter(|name| !name.contains('.')) {
        let quoted = ["\"NAME\"", ".NAME"].map(|form| form.replace("NAME", name));
        assert!(quoted.iter().any(|form| text.contains(form)), "nothing says {name}");
    }
}

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

fn names_a_flag(text: &str) -> bool {
    format!(" {text}").split(" --").skip(1).any(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase()))
}

#[test]
fn strings_are_told_from_comments() {
    let source = "/// \"no\"\nf('\"', \"a \\\" --b\"); // \"no\"\nlet x: &'a str = r#\"--\"c\"#;";
    assert_eq!(strings(source), ["a \\\" --b", "--\"c"]);
    assert!(names_a_flag("use --api") && names_a_flag("--api") && !names_a_flag("a--b, -- and --…"));
}

/// Whoever calls the library has no flags: what to do about an error is said in `cli/messages`, in the program's words.
#[test]
fn only_the_command_line_names_flags() {
    let mut found = Vec::new();
    for (path, source) in sources("src") {
        if path.starts_with(root("src/cli")) || path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let program = source.split("#[cfg(test)]\nmod").next().unwrap();
        found.extend(
            strings(program)
                .into_iter()
                .filter(|text| names_a_flag(text))
                .map(|text| format!("{}: {text}", path.display())),
        );
    }
    assert!(found.is_empty(), "{found:#?}");
}

/// What is echoed, or typed into a program that does not know it for a secret, is on the screen and in the history.
#[test]
fn no_page_shows_a_key_on_the_screen() {
    let pages = ["docs", "man", "packaging"].into_iter().flat_map(sources);
    let readme = root("README.md");
    let all = pages.chain([(readme.clone(), fs::read_to_string(readme).unwrap())]).chain(sources("src/cli"));
    for (path, text) in all {
        for line in text.lines() {
            let line = line.to_ascii_lowercase();
            let shows = ["echo", "printf", "<<<", "cat >", "paste"].iter().any(|way| line.contains(way));
            let key = ["nsec", "hex", "host key", "host's key", "secret key"].iter().any(|name| line.contains(name));
            assert!(!(shows && key), "{}: {line}", path.display());
        }
    }
}
