//! What shells offer with the completions of the repository.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::current::root;

/// Aliases whose names begin alike, and one whose name does not; and profiles.
const ALIASES: &str = "[alias]\nweekly = 'a'\nweekend = 'b'\nmonthly = 'c'\n[profile.work]\n[profile.home]\n";
const KEYS: &str = r#"{"default":null,"keys":["npub180cvv07tjdrrgpa0j7j7tmnyl2yr6yr7l8j4s3evf6u64th6gkwsyjh6w6"]}"#;

/// What is kept of a signer that was paired with.
const SIGNER: &str = r#"{
    "user":"npub180cvv07tjdrrgpa0j7j7tmnyl2yr6yr7l8j4s3evf6u64th6gkwsyjh6w6",
    "signer":"npub180cvv07tjdrrgpa0j7j7tmnyl2yr6yr7l8j4s3evf6u64th6gkwsyjh6w6",
    "relays":["wss://relay.example"],
    "client":"npub180cvv07tjdrrgpa0j7j7tmnyl2yr6yr7l8j4s3evf6u64th6gkwsyjh6w6"
}"#;

/// Nests that a list has shown.
const SHORT_NAMES: &str = r#"[
    {"short":"k3f9","coordinate":"30312:a:1","name":"naddr1a","title":"Tea & talk"},
    {"short":"k3g2","coordinate":"30312:a:2","name":"naddr1b","title":"Tea \"late\""},
    {"short":"zzzz","coordinate":"30312:a:3","name":"naddr1c","title":"Other"}
]"#;

/// Everything that a script of a shell prints, in `completions/`, with the program on its path, and all of the above.
pub fn offered(shell: &str, args: &[&str], script: &str) -> String {
    let home = home();
    let output =
        at_home(shell, home.path()).args(args).arg(script).output().unwrap_or_else(|error| panic!("{shell}: {error}"));
    assert!(output.status.success() && output.stderr.is_empty(), "{shell}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// A shell in `completions/`, with the program on its path.
pub fn at_home(shell: &str, home: &Path) -> Command {
    let own = Path::new(env!("CARGO_BIN_EXE_nest")).parent().unwrap();
    let mut command = Command::new(shell);
    command.env_clear().env("HOME", home).env("PATH", format!("{}:/usr/bin:/bin", own.display()));
    command.current_dir(root("completions"));
    command
}

/// A home in which all of the above is known.
pub fn home() -> TempDir {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join(".config/nest/config.toml");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, ALIASES).unwrap();
    let state = home.path().join(".local/state/nest");
    fs::create_dir_all(state.join("signers")).unwrap();
    fs::write(state.join("signers/phone.json"), SIGNER).unwrap();
    fs::write(state.join("keys.json"), KEYS).unwrap();
    fs::write(state.join("short-names.json"), SHORT_NAMES).unwrap();
    home
}
