//! Generated files are what the program writes today; to renew them: `UPDATE=1 cargo test current`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use nostr_nests::cli::{advice, exit};

use crate::support::current::{current, root};

const COMPLETIONS: [(&str, &str); 5] = [
    ("bash", "completions/nest.bash"),
    ("elvish", "completions/nest.elv"),
    ("fish", "completions/nest.fish"),
    ("powershell", "completions/_nest.ps1"),
    ("zsh", "completions/_nest"),
];

/// What `nest` prints with an environment of its own.
fn nest(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_nest")).args(args).env_clear().output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Every man page by its file: that of `nest`, and of all commands below.
fn pages() -> BTreeMap<String, String> {
    let mut pages = BTreeMap::new();
    let mut open = vec!["nest".to_owned()];
    while let Some(name) = open.pop() {
        let args: Vec<_> = std::iter::once("man").chain(name.split('-').skip(1)).collect();
        let page = nest(&args);
        // A page names those below it: `nest\-key\-import(1)`.
        open.extend(page.lines().filter_map(|line| line.strip_suffix("(1)")).map(|line| line.replace("\\-", "-")));
        pages.insert(format!("man/{name}.1"), page);
    }
    pages
}

#[test]
fn completions_are_current() {
    for (shell, file) in COMPLETIONS {
        current(file, &nest(&["completions", shell]));
    }
}

#[test]
fn man_pages_are_current() {
    let pages = pages();
    for (file, page) in &pages {
        current(file, page);
    }
    for entry in fs::read_dir(root("man")).unwrap() {
        let name = format!("man/{}", entry.unwrap().file_name().to_string_lossy());
        assert!(pages.contains_key(&name), "{name} is of a command that is gone: remove it");
    }
}

/// The marked blocks of the pages: `<!-- generated: NAME -->`, up to `<!-- end -->`.
#[test]
fn blocks_in_the_pages_are_current() {
    let fenced = |text: String| format!("```text\n{}\n```\n", text.trim_end());
    let mut blocks: BTreeMap<&str, (String, usize)> = BTreeMap::from([
        ("exit codes", (exit::markdown(), 0)),
        ("troubleshooting", (advice::markdown(), 0)),
        ("nest restart -h", (fenced(nest(&["restart", "-h"])), 0)),
    ]);
    let docs = fs::read_dir(root("docs")).unwrap().map(|entry| entry.unwrap().file_name());
    let docs = docs.map(|name| format!("docs/{}", name.to_string_lossy()));
    for path in docs.chain(["README.md".to_owned()]) {
        let page = fs::read_to_string(root(&path)).unwrap();
        let mut parts = page.split("<!-- generated: ");
        let mut wanted = parts.next().unwrap().to_owned();
        for part in parts {
            let (name, rest) = part.split_once(" -->").unwrap();
            let (_, after) = rest.split_once("<!-- end -->").unwrap_or_else(|| panic!("{path}: {name} has no end"));
            let (block, seen) = blocks.get_mut(name).unwrap_or_else(|| panic!("{path}: nothing generates {name:?}"));
            *seen += 1;
            wanted = format!("{wanted}<!-- generated: {name} -->\n\n{block}\n<!-- end -->{after}");
        }
        current(&path, &wanted);
    }
    for (name, (_, seen)) in blocks {
        assert!(seen == 1, "{name:?} is in {seen} places; one page has it");
    }
}

/// The table is the program's own words: every row is said elsewhere too, by its name.
/// `packaging/startup.ld` names functions that the program still has. A compiler that writes names in another way finds
/// none of them, and lays nothing out.
#[test]
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn the_layout_of_the_program_is_current() {
    let layout = fs::read_to_string(root("packaging/startup.ld")).unwrap();
    let patterns = layout.lines().filter_map(|line| line.strip_prefix("    *(.text.")?.strip_suffix(')'));
    let wanted: BTreeSet<_> = patterns.filter_map(|name| name.strip_suffix("17h*E*")).collect();
    assert!(wanted.len() > 1000, "{}", wanted.len());
    let program = fs::read(env!("CARGO_BIN_EXE_nest")).unwrap();
    let names = program.split(|byte| *byte == 0).filter(|name| name.starts_with(b"_ZN"));
    let names = names.filter_map(|name| str::from_utf8(name).ok()?.rsplit_once("17h"));
    let found: BTreeSet<_> = names.map(|(name, _)| name).filter(|name| wanted.contains(name)).collect();
    let share = found.len() * 100 / wanted.len();
    assert!(share == 0 || share >= 90, "{share} % are left: renew it with packaging/startup.sh");
}

#[test]
fn every_advice_is_given_somewhere() {
    let read = |path: &str| fs::read_to_string(root(path)).unwrap();
    let all = |folder: &str, but: &str| {
        let mut open = vec![root(folder)];
        let mut text = String::new();
        while let Some(path) = open.pop() {
            if path.is_dir() {
                open.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
            } else if !path.ends_with(but) {
                text += &fs::read_to_string(path).unwrap();
            }
        }
        text
    };
    let source = read("src/cli/advice.rs");
    let rows = source.split_once("\nadvice! {\n").unwrap().1.split_once("\n}\n").unwrap().0;
    let name = |text: &str| text.chars().take_while(|c| c.is_ascii_uppercase() || *c == '_').collect::<String>();
    let (program, media) = (all("src/cli", "cli/advice.rs"), all("src/livekit", "words/said.rs"));
    let used = |text: &str, name: &str| {
        text.match_indices(name)
            .any(|(at, _)| !text[at + name.len()..].starts_with(|c: char| c == '_' || c.is_ascii_uppercase()))
    };
    let mut seen = 0;
    for row in rows.split(";\n    ").map(str::trim_start).filter(|row| !name(row).is_empty()) {
        seen += 1;
        let shared: Vec<_> = row.split("said::").skip(1).map(name).collect();
        if name(row) == "EVENT_OVER" {
            // A warning says it in one sentence.
            let notices = read("src/cli/messages/notices.rs");
            let said = format!("{}; {}", advice::EVENT_OVER.cause(&[("status", "{status}")]), advice::EVENT_OVER.hint);
            assert!(notices.contains(&said), "{said}");
        } else if shared.is_empty() {
            assert!(used(&program, &format!("advice::{}", name(row))), "{}: only the table says it", name(row));
        }
        for text in shared {
            assert!(used(&media, &format!("said::{text}")), "{text}: only the table says it");
        }
    }
    assert_eq!(seen, advice::TABLE.len());
}
