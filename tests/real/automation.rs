//! Units and scripts of the repository, judged by systemd and run by a shell.

use std::fs;
use std::process::Command;

use nostr_nests::server::DEMO;

use crate::support::current::root;
use crate::support::nest::Nest;
use crate::support::page::{blocks, silent};

const NEST: &str = env!("CARGO_BIN_EXE_nest");

fn read(path: &str) -> String {
    fs::read_to_string(root(path)).unwrap()
}

#[test]
#[ignore = "needs systemd-analyze"]
fn systemd_accepts_the_units() {
    let folder = tempfile::tempdir().unwrap();
    let mut analyze = Command::new("systemd-analyze");
    analyze.args(["verify", "--man=no", "--recursive-errors=one"]);
    for kind in ["service", "timer"] {
        let unit = read(&format!("packaging/systemd/nest-restart@.{kind}")).replace("/usr/local/bin/nest", NEST);
        let file = folder.path().join(format!("nest-restart@demo.{kind}"));
        fs::write(&file, unit).unwrap();
        analyze.arg(file);
    }
    let serve = read("packaging/systemd/nest-serve.service").replace("/usr/local/bin/nest", NEST);
    fs::write(folder.path().join("nest-serve.service"), serve).unwrap();
    analyze.arg(folder.path().join("nest-serve.service"));
    silent(&analyze.output().unwrap());
    for unit in ["nest-restart@demo.service", "nest-serve.service"] {
        let mut security = Command::new("systemd-analyze");
        security.args(["security", "--offline=true", "--no-pager", "--threshold=20"]);
        let output = security.arg(folder.path().join(unit)).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
}

#[test]
#[ignore = "needs jq"]
fn the_scripts_of_the_page_run() {
    let page = read("docs/automation.md");
    let blocks = blocks(&page, "sh run");
    assert_eq!(blocks.len(), page.matches("```sh run").count());
    let printed: Vec<_> = blocks
        .iter()
        .map(|script| {
            let output = Nest::alone()
                .env("PATH", "/usr/bin:/bin")
                .env("ROOM", DEMO)
                .args(["mock", "--", "bash", "-eu", "-c", script])
                .run()
                .expect(0);
            assert_eq!(output.stderr, "", "{script}");
            output.stdout
        })
        .collect();
    let expected =
        ["the token has ", "running\n", "wss+livekit://127.0.0.1:", "media: ", "demo\trestarted\t", "no-such-nest\n"];
    assert_eq!(printed.len(), expected.len());
    for (printed, expected) in printed.iter().zip(expected) {
        assert!(printed.contains(expected) && !printed.contains("null"), "{printed}");
    }
}
