//! Every file of a test is part of a test binary: nothing is forgotten.

use std::fs;
use std::path::Path;

use crate::support::current::root;

/// What is in a folder of `tests/`: names of files and of folders.
fn inside(folder: &Path) -> impl Iterator<Item = String> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap())
}

#[test]
fn every_file_is_a_module_of_its_binary() {
    for name in inside(&root("tests")) {
        let folder = root("tests").join(&name);
        assert!(folder.is_dir(), "tests/{name} belongs to no binary");
        // Cargo finds each `tests/*/main.rs` by itself; `support` is part of all of them.
        let main = if name == "support" { "mod" } else { "main" };
        let text = fs::read_to_string(folder.join(format!("{main}.rs"))).unwrap();
        for file in inside(&folder) {
            let Some(module) = file.strip_suffix(".rs").filter(|module| *module != main) else { continue };
            let included = text.lines().any(|line| line.trim_start_matches("pub ") == format!("mod {module};"));
            assert!(included, "tests/{name}/{main}.rs has no `mod {module};`");
        }
    }
}

#[test]
fn what_needs_more_than_rust_is_in_its_own_binary() {
    for name in inside(&root("tests")).filter(|name| name != "support") {
        for file in inside(&root("tests").join(&name)).filter(|file| file.ends_with(".rs")) {
            let text = fs::read_to_string(root("tests").join(&name).join(&file)).unwrap();
            let attributes = |start: &str| text.lines().filter(|line| line.trim_start().starts_with(start)).count();
            let (ignored, tests) = (attributes("#[ignore"), attributes("#[test]") + attributes("#[tokio::test"));
            let wanted = if name == "real" { tests } else { 0 };
            assert_eq!(
                ignored, wanted,
                "tests/{name}/{file}: #[ignore = \"needs …\"] is for tests/real, and for all there"
            );
        }
    }
}
