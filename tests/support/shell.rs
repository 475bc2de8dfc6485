//! What shells offer with the completions of the repository.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::current::root;

/// Aliases whose names begin alike, and one whose name does not; and profiles.
const ALIASES: &str = "[alias]\nweekly = 'a'\nweekend = 'b'\nmonthly = 'c'\n[profile.work]\n[profile.home]\n";
const KEYS: &str = r#"{"default":null,"keys":["npub180cvv07tjdrrgpa0j7j7tmnyl2yr6yr7l8j4s3evf6u64th6gkwsyjh6w6"]}"#;

/// Everything that a script of a shell prints, in `completions/`, with the program on its path, [`ALIASES`] and [`KEYS`].
pub fn offered(shell: &str, args: &[&str], script: &str) -> String {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join(".config/nest/config.toml");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, ALIASES).unwrap();
    let keys = home.path().join(".local/state/nest/keys.json");
    fs::create_dir_all(keys.parent().unwrap()).unwrap();
    fs::write(keys, KEYS).unwrap();
    let own = Path::new(env!("CARGO_BIN_EXE_nest")).parent().unwrap();
    let output = Command::new(shell)
        .args(args)
        .arg(script)
        .env_clear()
        .env("HOME", home.path())
        .env("PATH", format!("{}:/usr/bin:/bin", own.display()))
        .current_dir(root("completions"))
        .output()
        .unwrap_or_else(|error| panic!("{shell}: {error}"));
    assert!(output.status.success() && output.stderr.is_empty(), "{shell}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}
