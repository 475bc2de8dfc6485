//! `nest man` and `nest completions`: written by the definitions of the arguments.

use std::io;

use clap::{Command, CommandFactory as _};
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::prelude::*;
use crate::cli::args::Cli;
use crate::cli::messages::{errors, manual};

/// Prints the man page of a command, named as on the command line or as the page is (`key-import`); of `nest` itself if
/// `path` is empty.
pub(super) fn man(app: &App<'_>, path: &[String]) -> Result<u8, Failure> {
    let mut root = Cli::command();
    root.build();
    let mut names = path.iter().flat_map(|name| name.split('-')).peekable();
    names.next_if_eq(&"nest");
    let command = names.try_fold(&root, |command, name| command.find_subcommand(name)).ok_or_else(|| {
        let missing = format!("there is no command {:?}", path.join(" "));
        Failure::usage(missing).hint("nest --help names them all")
    })?;
    let page = page(command).map_err(|error| Failure::new(Exit::Failed, format!("no man page: {error}")))?;
    app.terminal.result(page.trim_end());
    Ok(0)
}

fn page(command: &Command) -> io::Result<String> {
    let version = concat!("nest ", env!("CARGO_PKG_VERSION"));
    let usage = command.clone().render_usage().to_string();
    let command = command.clone().override_usage(usage.trim_start_matches("Usage: ").to_owned());
    // Without the quotes the field would be missing, and the next one be taken for the date.
    let man = Man::new(command.clone()).date("\"\"").source(version).manual("Nostr Nests");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    if command.get_arguments().any(|argument| !argument.is_hide_set()) {
        man.render_options_section(&mut page)?;
    }
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let (notes, exits) = after.split_once("Exit codes:\n").unwrap_or((&after, ""));
    if !notes.is_empty() {
        let (heading, lines) = notes.split_once(":\n").unwrap_or(("Notes", notes));
        verbatim(heading, lines).to_writer(&mut page)?;
    }
    let exits = if exits.is_empty() { errors::help() } else { exits.to_owned() };
    verbatim("Exit status", &exits).to_writer(&mut page)?;
    listed("ENVIRONMENT", manual::environment(&command)).to_writer(&mut page)?;
    listed("FILES", manual::files(&command)).to_writer(&mut page)?;
    if let Some(examples) = command.get_before_help().map(ToString::to_string) {
        verbatim("Examples", examples.split_once('\n').map_or("", |(_, lines)| lines)).to_writer(&mut page)?;
    }
    Ok(once(&String::from_utf8_lossy(&page)))
}

/// Every part of the page brings the definition of the apostrophe along; the first is enough.
fn once(page: &str) -> String {
    let definition = Roff::new().render();
    format!("{definition}{}", page.replace(&definition, ""))
}

fn verbatim(heading: &str, lines: &str) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", [heading.to_uppercase().as_str()]).control("nf", []);
    for line in lines.trim_end().lines() {
        roff.text([roman(line)]);
    }
    roff.control("fi", []);
    roff
}

fn listed(heading: &str, rows: Vec<(String, String)>) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", [heading]);
    for (name, what) in rows {
        roff.control("TP", []).text([bold(name)]).text([roman(what)]);
    }
    roff
}

pub(super) fn completions(app: &App<'_>, shell: Shell) -> u8 {
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
