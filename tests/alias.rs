//! Aliases: `@weekly` for whatever the configuration says, and what a shell makes of them.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "support/nest.rs"]
mod nest;
#[path = "support/outside.rs"]
mod outside;

use std::path::Path;
use std::process::Command;

use nest::{Nest, mock};
use outside::{Relay, event, naddr};

const CONFIG: &str = ".config/nest/config.toml";

#[test]
fn an_alias_stands_for_any_name_of_a_nest() {
    let mock = mock(&[]);
    let url = format!("{}/api/v1/nests/demo", mock.api());
    let own = event(mock.host(), "demo", 5, &[&["title", "Demo"], &["status", "live"], &["service", &mock.api()]]);
    let relay = Relay::with(vec![own.clone()]);
    let link = format!("https://nests.example/{}", naddr(&own, &[&relay.url]));
    let config =
        format!("[alias]\nweekly = '{url}'\nlink = '{link}'\nbare = 'demo'\n[profile.other.alias]\nweekly = 'gone'\n");
    let with = |args: &[&str]| Nest::new(&mock).without("NEST_API").file(CONFIG, &config, 0o600).args(args);
    // The same room by three names is one room.
    let output = with(&["restart", "@weekly", "--json"]).run().expect(0);
    assert_eq!(output.document()["roomId"], "demo");
    with(&["restart", "@link"]).run().expect(0);
    let all = with(&["restart", "@weekly", "@bare", "demo", "--json"]).env("NEST_API", mock.api()).run().expect(0);
    assert_eq!(all.documents().len(), 1);
    with(&["restart", "@weekly", "--profile", "other"]).env("NEST_API", mock.api()).run().expect(6);

    let unknown = with(&["restart", "@monthly"]).run().expect(2);
    assert!(unknown.stderr.contains("@bare @link @weekly"), "{}", unknown.stderr);
    let none = Nest::new(&mock).args(["restart", "@weekly"]).run().expect(2);
    assert!(none.stderr.contains("[alias]"), "{}", none.stderr);
    let wrong =
        Nest::new(&mock).file(CONFIG, "alias.old = 'naddr1qqqq'", 0o600).args(["restart", "@old"]).run().expect(2);
    assert!(wrong.stderr.contains("@old stands for"), "{}", wrong.stderr);

    assert_eq!(with(&["list", "--aliases"]).run().expect(0).stdout, "@bare\n@link\n@weekly\n");
    let json = with(&["list", "--aliases", "--json"]).run().expect(0).document();
    assert_eq!(json["aliases"][2], "@weekly");
    assert_eq!(Nest::alone().args(["list", "--aliases"]).run().expect(0).stdout, "");
}

/// What a shell offers, with the binary on its path and a configuration in its home.
fn offered(shell: &str, args: &[&str], script: &str) -> Vec<String> {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join(CONFIG);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, "[alias]\nweekly = 'a'\nweekend = 'b'\nmonthly = 'c'\n").unwrap();
    let own = Path::new(env!("CARGO_BIN_EXE_nest")).parent().unwrap();
    let output = Command::new(shell)
        .args(args)
        .arg(script)
        .env_clear()
        .env("HOME", home.path())
        .env("PATH", format!("{}:/usr/bin:/bin", own.display()))
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/completions"))
        .output()
        .unwrap_or_else(|error| panic!("{shell}: {error}"));
    assert!(output.status.success() && output.stderr.is_empty(), "{shell}: {output:?}");
    String::from_utf8(output.stdout).unwrap().split_whitespace().map(str::to_owned).collect()
}

#[test]
fn bash_completes_aliases_whether_it_breaks_words_at_them_or_not() {
    let ask = |words: &str, before: &str| {
        let line = "nest restart --check @week";
        let script = format!(
            "{before}; source ./nest.bash; COMP_LINE='{line}'; COMP_POINT=${{#COMP_LINE}}; COMP_WORDS=({words}); \
             COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
             _nest nest \"${{COMP_WORDS[COMP_CWORD]}}\" x; printf '%s\\n' \"${{COMPREPLY[@]}}\""
        );
        offered("bash", &["--norc", "-c"], &script)
    };
    let broken = ask("nest restart --check @ week", r#"COMP_WORDBREAKS=$' \t\n"@><=;|&(:'"#);
    assert_eq!(broken, ["weekend", "weekly"]);
    let whole = ask("nest restart --check @week", "COMP_WORDBREAKS=' '");
    assert_eq!(whole, ["@weekend", "@weekly"]);
}

#[test]
#[ignore = "needs zsh and fish"]
fn fish_and_zsh_complete_aliases() {
    let fish = offered("fish", &["--no-config", "-c"], "source ./nest.fish; complete -C 'nest restart @week'");
    assert_eq!(fish, ["@weekend", "@weekly"]);
    // Outside of its editor, zsh has no `compadd`: this stands in for it.
    let script = "compadd() { shift; print -l -- $@ }; PREFIX=@week; words=(nest restart @week); \
        compdef() { }; source ./_nest; _nest";
    assert_eq!(offered("zsh", &["-f", "-c"], script), ["@monthly", "@weekend", "@weekly"]);
}
