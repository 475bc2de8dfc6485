//! `nest completions`: written by the definitions of the arguments.

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::App;
use crate::cli::args::Cli;

pub(super) fn run(app: &App<'_>, shell: Shell) -> u8 {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "nest", &mut script);
    app.terminal.result(with_aliases(shell, &String::from_utf8_lossy(&script)).trim_end());
    0
}

/// The same script, which also asks for the aliases of the configuration once a word begins with `@`.
fn with_aliases(shell: Shell, script: &str) -> String {
    let inside = |lines: &str| script.replacen("_nest() {\n", &format!("_nest() {{\n{lines}\n"), 1);
    match shell {
        Shell::Bash => inside(BASH),
        Shell::Zsh => inside(ZSH),
        Shell::Fish => format!("{script}{FISH}\n"),
        _ => script.to_owned(),
    }
}

/// Bash breaks words at an `@` unless it was told not to: what stands before a break is not to be repeated.
const BASH: &str = r#"    local typed="${COMP_LINE:0:COMP_POINT}"
    typed="${typed##* }"
    if [[ "$typed" == @* ]]; then
        COMPREPLY=( $(compgen -W "$("$1" list --aliases 2>/dev/null)" -- "$typed") )
        if [[ "$COMP_WORDBREAKS" == *@* ]]; then
            COMPREPLY=( "${COMPREPLY[@]#@}" )
        fi
        return 0
    fi
"#;

const ZSH: &str = r#"    if [[ "$PREFIX" == @* ]]; then
        compadd -- ${(f)"$(${words[1]} list --aliases 2>/dev/null)"}
        return
    fi
"#;

const FISH: &str =
    r#"complete -c nest -n 'string match -q "@*" -- (commandline -ct)' -f -a '(nest list --aliases 2>/dev/null)'"#;
