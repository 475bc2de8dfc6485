//! Shells and a reader of man pages take what is in `completions/` and `man/`.

use std::fs;
use std::process::Command;
use std::time::Duration;

use expectrl::{Expect as _, Session};

use crate::support::current::root;
use crate::support::shell::{at_home, home, offered};

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

/// What a shell offers, asked the way the Tab key asks: the first column.
fn choices(shell: &str, args: &[&str], script: &str) -> Vec<String> {
    let offered = offered(shell, args, script);
    offered.lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect()
}

#[test]
#[ignore = "needs zsh, fish and elvish"]
fn real_shells_complete_commands_and_options() {
    let bash = |words: &str, at: usize| {
        let ask = r#"_nest nest "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}""#;
        let script = format!(
            "source ./nest.bash; COMP_WORDS=({words}); COMP_CWORD={at}; {ask}; printf '%s\\n' ${{COMPREPLY[@]}}"
        );
        choices("bash", &["--norc", "-c"], &script)
    };
    assert_eq!(bash("nest res", 1), ["restart"]);
    assert!(bash("nest restart --if", 2).contains(&"--if-inactive".into()));
    assert_eq!(bash("nest restart --output ''", 3), ["text", "json", "token"]);
    let named = |verb: &str| bash(&format!("nest key {verb} ''"), 3).contains(&"phone".into());
    assert_eq!((named("remove"), named("default"), named("export")), (true, true, false));

    let fish =
        |line: &str| choices("fish", &["--no-config", "-c"], &format!("source ./nest.fish; complete -C '{line}'"));
    assert_eq!(fish("nest res"), ["restart"]);
    assert_eq!(fish("nest restart --if"), ["--if-inactive"]);
    assert_eq!(fish("nest key im"), ["import"]);

    let zsh = choices(
        "zsh",
        &["-f", "-c"],
        "fpath=($PWD $fpath); autoload -Uz compinit; compinit -D -u; print -l ${_comps[nest]}",
    );
    assert_eq!(zsh, ["_nest"]);

    // Outside of its editor, elvish has nothing that could be completed: this stands in for it.
    let editor = "var edit: = (ns [&complex-candidate~={|text &display=x| echo $text} \
        &completion:=(ns [&arg-completer=[&]])])";
    let ask = "eval &ns=(ns [&edit:=$edit:]) &on-end={|ns| $ns[edit:][completion:][arg-completer][nest] nest key ''}";
    let elvish = choices("elvish", &["-norc", "-c"], &format!("{editor}; {ask} (slurp < nest.elv)"));
    assert!(elvish.contains(&"import".into()), "{elvish:?}");
}

#[test]
#[ignore = "needs bash at a terminal"]
fn bash_completes_at_a_terminal() {
    let home = home();
    // The library gives out terminals that show nothing of what is typed.
    let mut bash = at_home("sh", home.path());
    bash.args(["-c", "stty echo; exec bash --norc -i"]).env("TERM", "dumb").env("PS1", "$ ");
    let mut session = Session::spawn(bash).unwrap();
    session.set_expect_timeout(Some(Duration::from_secs(10)));
    session.expect("$ ").unwrap();
    session.send_line("source ./nest.bash").unwrap();
    session.expect("$ ").unwrap();
    session.send("nest restart @k\t\t\t").unwrap();
    session.expect("@k3f9  (Tea & talk)").unwrap();
    session.send("f\t").unwrap();
    session.expect("f9 ").unwrap();
}

#[test]
#[ignore = "needs mandoc"]
fn man_pages_are_well_formed() {
    for entry in fs::read_dir(root("man")).unwrap() {
        // Errors only: what clap_mangen writes has spare line breaks, which mandoc remarks upon.
        accepted(
            "mandoc",
            &["-T", "lint", "-W", "error"],
            &format!("man/{}", entry.unwrap().file_name().to_string_lossy()),
        );
    }
}

#[test]
#[ignore = "needs zsh and fish"]
fn fish_and_zsh_complete_aliases() {
    let fish = choices("fish", &["--no-config", "-c"], "source ./nest.fish; complete -C 'nest restart @week'");
    assert_eq!(fish, ["@weekend", "@weekly"]);
    // Outside of its editor, zsh has no `compadd`: this stands in for it.
    let zsh = |typed: &str, words: &str| {
        let script = format!(
            "compadd() {{ print -l -- ${{@[4,-1]}} }}; PREFIX='{typed}'; words=({words}); CURRENT=${{#words}}; \
             compdef() {{ }}; source ./_nest; _nest"
        );
        choices("zsh", &["-f", "-c"], &script)
    };
    assert_eq!(zsh("@week", "nest restart @week"), ["@monthly", "@weekend", "@weekly", "@k3f9", "@k3g2", "@zzzz"]);
    assert_eq!(zsh("", "nest list --profile ''"), ["home", "work"]);
    assert!(zsh("", "nest mock --fault ''").contains(&"old-room-kept".into()));
    let fish =
        |line: &str| choices("fish", &["--no-config", "-c"], &format!("source ./nest.fish; complete -C '{line}'"));
    assert_eq!(fish("nest list --profile w"), ["work"]);
    assert_eq!(fish("nest mock --fault old"), ["old-room-kept"]);
    assert_eq!(fish("nest key default npub1").len(), 1);
    assert!(fish("nest key default ph").contains(&"phone".into()));
    assert!(!fish("nest key export ph").contains(&"phone".into()));
    let shown = zsh("", "nest key remove ''");
    assert!(shown.len() == 2 && shown[1] == "phone", "{shown:?}");
    assert_eq!(zsh("", "nest key export ''"), shown[..1]);
}
