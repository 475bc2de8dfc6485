//! Units and scripts of the repository, judged by systemd and run by a shell.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use nostr_nests::server::{DEMO, Mock, Options};

use crate::support::current::root;
use crate::support::nest::Nest;
use crate::support::page::{blocks, silent};
use crate::support::room_event;

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

/// Those that `nest init` writes, for a home whose name has everything that systemd reads in its own way.
#[test]
#[ignore = "needs systemd-analyze"]
fn systemd_accepts_the_units_of_a_user() {
    let mock = Mock::start(Options::default()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("a b 100% $x");
    let (bin, config) = (home.join("bin"), home.join(".config/nest/my config.toml"));
    fs::create_dir_all(&bin).unwrap();
    fs::write(bin.join("systemctl"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(bin.join("systemctl"), fs::Permissions::from_mode(0o755)).unwrap();
    let init = Nest::alone().env("HOME", &home).env("PATH", bin).env("NEST_RELAYS", mock.relay());
    let init = init.args(["init", &room_event::naddr(&mock), "--alias", "weekly", "--timer", "--key-file", "-"]);
    let init = init.args(["--to-file", "--profile", "work", "--config", config.to_str().unwrap()]);
    init.stdin(mock.host().secret_key().to_secret_hex()).run().expect(0);
    let units = home.join(".config/systemd/user");
    let mut analyze = Command::new("systemd-analyze");
    analyze.args(["--user", "verify", "--man=no", "--recursive-errors=one"]);
    // The folder of a manager without a session, else it has nowhere to look.
    analyze.env("XDG_RUNTIME_DIR", folder.path());
    for kind in ["service", "timer"] {
        // Where its name needs no care.
        let file = folder.path().join(format!("nest-restart-weekly.{kind}"));
        fs::copy(units.join(format!("nest-restart-weekly.{kind}")), &file).unwrap();
        analyze.arg(file);
    }
    silent(&analyze.output().unwrap());
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
