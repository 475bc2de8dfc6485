//! What the program writes and the repository keeps is what the program writes today.
//!
//! To renew it all: `UPDATE=1 cargo test current`.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "support/current.rs"]
mod current;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use current::{current, root};
use nostr_nests::cli::{exit, messages::troubles};

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
        ("troubleshooting", (troubles::markdown(), 0)),
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

fn accepted(program: &str, args: &[&str], file: &str) {
    let output = Command::new(program).args(args).arg(root(file)).env("LC_ALL", "C.UTF-8").output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.trim().is_empty(), "{program} on {file}: {}\n{said}", output.status);
}

#[test]
#[ignore = "needs zsh and fish"]
fn real_shells_read_the_completions() {
    accepted("bash", &["--norc", "-n"], "completions/nest.bash");
    accepted("zsh", &["-f", "-n"], "completions/_nest");
    accepted("fish", &["--no-config", "--no-execute"], "completions/nest.fish");
}

/// What a shell offers after `words`, asked the way the Tab key asks.
fn offered(program: &str, args: &[&str], script: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(program)
        .args(args)
        .arg(script)
        .current_dir(root("completions"))
        .env_clear()
        .env("HOME", folder.path())
        .env("PATH", "/usr/bin:/bin")
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success() && output.stderr.is_empty(), "{program}: {output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect()
}

#[test]
#[ignore = "needs zsh, fish and elvish"]
fn real_shells_complete_commands_and_options() {
    let bash = |words: &str, at: usize| {
        let ask = r#"_nest nest "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}""#;
        let script = format!(
            "source ./nest.bash; COMP_WORDS=({words}); COMP_CWORD={at}; {ask}; printf '%s\\n' ${{COMPREPLY[@]}}"
        );
        offered("bash", &["--norc", "-c"], &script)
    };
    assert_eq!(bash("nest res", 1), ["restart"]);
    assert!(bash("nest restart --if", 2).contains(&"--if-inactive".into()));
    assert_eq!(bash("nest restart --output ''", 3), ["text", "json", "token"]);

    let fish =
        |line: &str| offered("fish", &["--no-config", "-c"], &format!("source ./nest.fish; complete -C '{line}'"));
    assert_eq!(fish("nest res"), ["restart"]);
    assert_eq!(fish("nest restart --if"), ["--if-inactive"]);
    assert_eq!(fish("nest key im"), ["import"]);

    let zsh = offered(
        "zsh",
        &["-f", "-c"],
        "fpath=($PWD $fpath); autoload -Uz compinit; compinit -D -u; print -l ${_comps[nest]}",
    );
    assert_eq!(zsh, ["_nest"]);

    // Outside of its editor, elvish has nothing that could be completed: this stands in for it.
    let editor = "var edit: = (ns [&complex-candidate~={|text &display=x| echo $text} \
        &completion:=(ns [&arg-completer=[&]])])";
    let ask = "eval &ns=(ns [&edit:=$edit:]) &on-end={|ns| $ns[edit:][completion:][arg-completer][nest] nest key ''}";
    let elvish = offered("elvish", &["-norc", "-c"], &format!("{editor}; {ask} (slurp < nest.elv)"));
    assert!(elvish.contains(&"import".into()), "{elvish:?}");
}

#[test]
#[ignore = "needs mandoc"]
fn man_pages_are_well_formed() {
    for file in pages().keys() {
        // Errors only: what clap_mangen writes has spare line breaks, which mandoc remarks upon.
        accepted("mandoc", &["-T", "lint", "-W", "error"], file);
    }
}
