//! Every file of a test is part of a test binary, and of the right one.

use std::fs;
use std::path::Path;

use crate::support::current::root;

/// What is in a folder: names of files and of folders.
fn inside(folder: &Path) -> impl Iterator<Item = String> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap())
}

/// The modules that lie in a folder, with their text.
fn modules(folder: &Path) -> impl Iterator<Item = (String, String)> {
    let names = inside(folder).filter_map(|file| file.strip_suffix(".rs").map(str::to_owned));
    names.map(|name| (name.clone(), fs::read_to_string(folder.join(format!("{name}.rs"))).unwrap()))
}

#[test]
fn every_file_is_a_module_of_its_binary() {
    for name in inside(&root("tests")) {
        let folder = root("tests").join(&name);
        assert!(folder.is_dir(), "tests/{name} belongs to no binary");
        // Cargo finds each `tests/*/main.rs` by itself; `support` is part of all of them.
        let main = if name == "support" { "mod" } else { "main" };
        let text = fs::read_to_string(folder.join(format!("{main}.rs"))).unwrap();
        for (module, _) in modules(&folder).filter(|(module, _)| module != main) {
            let included = text.lines().any(|line| line.trim_start_matches("pub ") == format!("mod {module};"));
            assert!(included, "tests/{name}/{main}.rs has no `mod {module};`");
        }
    }
}

#[test]
fn what_needs_more_than_rust_is_in_its_own_binary() {
    for name in inside(&root("tests")).filter(|name| name != "support") {
        for (module, text) in modules(&root("tests").join(&name)) {
            let attributes = |start: &str| text.lines().filter(|line| line.trim_start().starts_with(start)).count();
            let (ignored, tests) = (attributes("#[ignore"), attributes("#[test]") + attributes("#[tokio::test"));
            let wanted = if name == "real" { tests } else { 0 };
            assert_eq!(
                ignored, wanted,
                "tests/{name}/{module}.rs: `#[ignore]` is for all tests in tests/real, and only there"
            );
        }
    }
}

/// The modules from top to bottom, as docs/architecture.md has them.
const ORDER: [&str; 19] = [
    "cli", "nests", "commands", "server", "relay", "room", "moq", "api", "nip98", "key", "livekit", "net", "lock",
    "state", "reporter", "report", "clock", "secret", "files",
];

/// A module uses only those below it.
#[test]
fn imports_run_one_way() {
    let place = |name: &str| ORDER.iter().position(|module| *module == name);
    let mut open = vec![root("src")];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let inside = path.strip_prefix(root("src")).unwrap().to_str().unwrap();
        let module = inside.split(['/', '.']).next().unwrap();
        if matches!(module, "lib" | "main") {
            continue;
        }
        let own = place(module).unwrap_or_else(|| panic!("{module} has no place in the order"));
        let text = fs::read_to_string(&path).unwrap();
        for (at, _) in text.match_indices("crate::") {
            let after = &text[at + "crate::".len()..];
            let list = after.strip_prefix('{').and_then(|list| list.split_once('}')).map_or(after, |(list, _)| list);
            let names = if after.starts_with('{') { list.split(',').collect() } else { vec![list] };
            for name in names {
                let used: String = name.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                let below = place(&used).is_none_or(|used| used >= own);
                assert!(below, "{inside} uses {used}, which is above {module}");
            }
        }
    }
}

/// A snapshot that is missing or differs fails in its own test.
#[test]
fn every_snapshot_is_compared_by_a_test() {
    let tests: String = modules(&root("tests/cli")).map(|(_, text)| text).collect();
    for file in inside(&root("tests/cli/snapshots")) {
        let name = file.strip_suffix(".snap").unwrap_or_else(|| panic!("tests/cli/snapshots/{file} is no snapshot"));
        assert!(tests.contains(&format!("\"{name}\"")), "no test names the snapshot {name}: delete it");
    }
}
