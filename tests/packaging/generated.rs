//! Generated files are what the program writes today; to renew them: `UPDATE=1 cargo test current`.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use nostr_nests::cli::messages::{errors, page, troubles};

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

#[test]
fn the_words_of_the_page_of_a_nest_are_current() {
    current("src/server/page/words.json", &page::json());
}

/// Whoever reads a page finds all that the program heeds, and how it ends.
#[test]
fn man_pages_name_every_variable() {
    let main = fs::read_to_string(root("man/nest.1")).unwrap().replace("\\-", "-");
    let serve = fs::read_to_string(root("man/nest-serve.1")).unwrap();
    let quoted = |text: &str| text.split('"').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let is_variable = |text: &String| {
        let known = ["HOME", "TERM"].contains(&text.as_str());
        known || text.contains('_') && text.chars().all(|c| c.is_ascii_uppercase() || c == '_')
    };
    let mut names: Vec<_> = ["src/cli/settings.rs", "src/cli/command/serve.rs"]
        .iter()
        .flat_map(|file| fs::read_to_string(root(file)).unwrap().lines().flat_map(quoted).collect::<Vec<_>>())
        .filter(is_variable)
        .collect();
    names.sort();
    names.dedup();
    assert!(names.len() > 25, "{names:?}");
    for name in names {
        let page = if name.starts_with("NEST_SERVE_") { &serve } else { &main };
        let section = page.split_once(".SH ENVIRONMENT\n").unwrap().1;
        assert!(section.contains(&name), "{name} is in no man page");
    }
    for (file, page) in pages() {
        for section in [".SH \"EXIT STATUS\"", ".SH ENVIRONMENT", ".SH FILES", "NEST_CONFIG"] {
            assert!(page.contains(section), "{file} has no {section}");
        }
        let signs = page.contains("\\fB\\-\\-key\\-file\\fR");
        assert_eq!(page.contains("\\fBNEST_KEY\\fR"), signs || file == "man/nest.1", "{file}");
    }
    assert_eq!(nest(&["man", "key-import"]), nest(&["man", "key", "import"]));
    assert_eq!(nest(&["man", "nest-key-import"]), nest(&["man", "key", "import"]));
}

/// The marked blocks of the pages: `<!-- generated: NAME -->`, up to `<!-- end -->`.
#[test]
fn blocks_in_the_pages_are_current() {
    let fenced = |text: String| format!("```text\n{}\n```\n", text.trim_end());
    let mut blocks: BTreeMap<&str, (String, usize)> = BTreeMap::from([
        ("exit codes", (errors::markdown(), 0)),
        ("troubleshooting", (troubles::markdown(), 0)),
        ("nest restart -h", (fenced(nest(&["restart", "-h"])), 0)),
    ]);
    let docs = fs::read_dir(root("docs")).unwrap().map(|entry| entry.unwrap().file_name());
    let docs = docs.map(|name| format!("docs/{}", name.to_string_lossy()));
    let docs = docs.filter(|path| root(path).is_file());
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
