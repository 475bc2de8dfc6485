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

/// What whoever reports a trouble is asked for.
#[test]
fn the_version_says_of_what_it_is_built() {
    let plain = nest(&["--version"]);
    assert_eq!(plain, concat!("nest ", env!("CARGO_PKG_VERSION"), "\n"));
    for args in [&["--version", "-v"][..], &["-vV"], &["-V", "--verbose"]] {
        let whole = nest(args);
        assert!(
            whole.starts_with(&plain) && whole.contains("\ntarget    ") && whole.contains("\nfeatures  "),
            "{whole}"
        );
    }
}

/// Of a clone, of a package without git, of neither, and not for those who only develop.
#[test]
fn the_commit_is_known_wherever_it_can_be() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("build");
    let rustc = Command::new("rustc").arg(root("build.rs")).arg("-o").arg(&program).output().unwrap();
    assert!(rustc.status.success(), "{rustc:?}");
    let says = |place: &std::path::Path, profile: &str| {
        let mut build = Command::new(&program);
        let output = build.current_dir(place).env("PROFILE", profile).env("TARGET", "x-y").output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let nowhere = says(folder.path(), "release");
    assert!(nowhere.contains("NEST_TARGET=x-y\n") && !nowhere.contains("NEST_COMMIT"), "{nowhere}");
    let info = "{\n  \"git\": {\n    \"sha1\": \"0123456789abcdef0123\"\n  },\n  \"path_in_vcs\": \"\"\n}";
    fs::write(folder.path().join(".cargo_vcs_info.json"), info).unwrap();
    assert!(says(folder.path(), "release").contains("NEST_COMMIT=0123456789ab\n"));
    assert!(!says(folder.path(), "debug").contains("NEST_COMMIT"));
    let head = Command::new("git").args(["rev-parse", "HEAD"]).current_dir(root("")).output();
    if let Some(head) = head.ok().filter(|head| head.status.success() && root(".git").exists()) {
        let head = String::from_utf8(head.stdout).unwrap();
        assert!(says(&root(""), "release").contains(&format!("NEST_COMMIT={}\n", &head[..12])));
    }
}

/// On a machine on which nobody has installed anything of the kind before.
#[test]
fn the_lines_that_install_work_in_a_fresh_home() {
    let own = std::path::Path::new(env!("CARGO_BIN_EXE_nest")).parent().unwrap();
    let page = fs::read_to_string(root("README.md")).unwrap();
    let (_, block) = page.split_once("## Completions and man pages\n\n```sh\n").unwrap();
    let readme = block.split("```").next().unwrap().lines().filter(|line| !line.contains("man -l")).map(str::to_owned);
    let help = |args: &[&str]| {
        let text = nest(args);
        let (examples, _) = text.split_once("\n\n").unwrap();
        let lines = examples.lines().skip(1).filter(|line| !line.contains("man -l")).map(|line| line.trim().to_owned());
        lines.collect::<Vec<_>>()
    };
    for lines in [readme.collect(), help(&["completions", "--help"]), help(&["man", "--help"])] {
        let home = tempfile::tempdir().unwrap();
        // What stands behind several spaces explains.
        let commands = lines.iter().map(|line| line.split("   ").next().unwrap()).collect::<Vec<_>>();
        let mut shell = Command::new("/bin/sh");
        shell.args(["-euc", &commands.join("\n")]).env_clear().env("HOME", home.path());
        let output = shell.env("PATH", format!("{}:/usr/bin:/bin", own.display())).output().unwrap();
        assert!(output.status.success(), "{commands:?}: {output:?}");
        assert!(fs::read_dir(home.path()).unwrap().next().is_some(), "{commands:?} install nothing");
    }
}

#[test]
fn help_is_found_under_its_own_name_too() {
    assert_eq!(nest(&["help"]), nest(&["--help"]));
    assert_eq!(nest(&["help", "key", "import"]), nest(&["key", "import", "--help"]));
    let unknown = Command::new(env!("CARGO_BIN_EXE_nest")).args(["help", "nonsense"]).env_clear().output().unwrap();
    assert_eq!(unknown.status.code(), Some(2), "{unknown:?}");
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
