//! `nest man` and `nest completions`: written by the definitions of the arguments.

use std::io;

use clap::{Command, CommandFactory as _, ValueEnum};
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::key::signers;
use super::prelude::*;
use crate::cli::args::Cli;
use crate::cli::messages::{errors, manual};
use crate::commands::key::{Stored, list};
use crate::key::npub;
use crate::server::faults;

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
    app.terminal.result(with_words(shell, &String::from_utf8_lossy(&script)).trim_end());
    0
}

/// What a script asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Words {
    Nests,
    Profiles,
    Faults,
    Keys,
    Signers,
}

/// Prints words that can be completed, each with what it is after a tab.
pub(super) fn words(app: &App<'_>, kinds: &[Words]) -> u8 {
    let sources = &app.sources;
    let of = |kind: &Words| -> Vec<(String, String)> {
        match kind {
            Words::Nests => {
                let names = sources.short_names();
                let aliases = sources.aliased();
                let aliases = aliases.map(|(alias, room)| (alias, names.title(&room).unwrap_or_default().to_owned()));
                aliases.chain(names.all().map(|(short, title)| (format!("@{short}"), title.to_owned()))).collect()
            }
            Words::Profiles => sources.profiles().map(|name| (name.to_owned(), String::new())).collect(),
            Words::Faults => faults::TABLE.iter().map(|row| (row.name.to_owned(), row.shows.to_owned())).collect(),
            Words::Keys => {
                let stored = sources.keyring().and_then(|keyring| list(&keyring).ok()).unwrap_or_default();
                let default = |stored: &Stored| if stored.default { "the default" } else { "" };
                stored.iter().map(|stored| (npub(&stored.public_key), default(stored).to_owned())).collect()
            }
            Words::Signers => signers(sources).map(|(name, key)| (name, npub(&key))).collect(),
        }
    };
    for (word, what) in kinds.iter().flat_map(of) {
        app.terminal.result(format!("{}\t{}", clean(&word), clean(&what)).trim_end());
    }
    0
}

/// The same script, which also asks for the words that only this machine knows, and names commands before flags.
fn with_words(shell: Shell, script: &str) -> String {
    let inside = |lines: &str| script.replacen("_nest() {\n", &format!("_nest() {{\n{lines}\n"), 1);
    match shell {
        Shell::Bash => inside(BASH).lines().map(|line| commands_first(line) + "\n").collect(),
        Shell::Zsh => inside(ZSH),
        Shell::Fish => format!("{script}{FISH}\n"),
        _ => script.to_owned(),
    }
}

/// A line of bash that lists words, with the flags at its end.
fn commands_first(line: &str) -> String {
    let listed = line.trim_start().strip_prefix("opts=\"").and_then(|rest| rest.strip_suffix('"'));
    let Some(listed) = listed.filter(|listed| !listed.is_empty()) else { return line.to_owned() };
    let (flags, commands): (Vec<_>, Vec<_>) = listed.split(' ').partition(|word| word.starts_with('-'));
    line.replace(listed, &[commands, flags].concat().join(" "))
}

/// Bash may break words at an `@`: what it says to be replaced (`$2`) has it, or the reply is not to have it either.
const BASH: &str = r#"    local typed="${COMP_LINE:0:COMP_POINT}" kind=""
    typed="${typed##* }"
    case "$3" in
        --profile) kind=profiles ;;
        --fault) kind=faults ;;
        --bunker) kind=signers ;;
        default|remove) [[ "${COMP_WORDS[1]}" == key && "$typed" != -* ]] && kind=keys,signers ;;
        export) [[ "${COMP_WORDS[1]}" == key && "$typed" != -* ]] && kind=keys ;;
    esac
    [[ "$typed" == @* ]] && kind=nests
    if [[ -n "$kind" ]]; then
        local word what
        COMPREPLY=()
        while IFS=$'\t' read -r word what; do
            [[ "$word" == "$typed"* ]] && COMPREPLY+=( "$word${what:+  ($what)}" )
        done < <("$1" completions --words "$kind" 2>/dev/null)
        # Among others it is shown what each is; alone, and where each is inserted in its turn, only the word is wanted.
        if [[ ${#COMPREPLY[@]} == 1 || "$COMP_TYPE" == 37 ]]; then
            COMPREPLY=( "${COMPREPLY[@]%%  (*}" )
        fi
        if [[ "$kind" == nests && "$2" != @* ]]; then
            COMPREPLY=( "${COMPREPLY[@]#@}" )
        fi
        return 0
    fi
"#;

const ZSH: &str = r#"    local kind=""
    case "${words[CURRENT-1]}" in
        --profile) kind=profiles ;;
        --fault) kind=faults ;;
        --bunker) kind=signers ;;
        default|remove) [[ "${words[2]}" == key && "$PREFIX" != -* ]] && kind=keys,signers ;;
        export) [[ "${words[2]}" == key && "$PREFIX" != -* ]] && kind=keys ;;
    esac
    [[ "$PREFIX" == @* ]] && kind=nests
    if [[ -n "$kind" ]]; then
        local -a found names
        found=(${(f)"$(${words[1]} completions --words $kind 2>/dev/null)"})
        names=(${found%%$'\t'*})
        found=(${found//$'\t'/  })
        compadd -d found -- $names
        return
    fi
"#;

const FISH: &str = r#"complete -c nest -n 'string match -q "@*" -- (commandline -ct)' -f -a '(nest completions --words nests 2>/dev/null)'
complete -c nest -l profile -x -a '(nest completions --words profiles 2>/dev/null)'
complete -c nest -l bunker -x -a '(nest completions --words signers 2>/dev/null)'
complete -c nest -n '__fish_nest_using_subcommand mock' -l fault -x -a '(nest completions --words faults 2>/dev/null)'
complete -c nest -n '__fish_nest_using_subcommand key; and __fish_seen_subcommand_from default remove' -f -a '(nest completions --words keys,signers 2>/dev/null)'
complete -c nest -n '__fish_nest_using_subcommand key; and __fish_seen_subcommand_from export' -f -a '(nest completions --words keys 2>/dev/null)'"#;
