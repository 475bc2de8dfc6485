//! Everything that knows clap, the terminal and the environment.

mod args;
mod command;
mod config_file;
pub mod document;
pub mod messages;
#[cfg(test)]
mod schema;
mod settings;
mod terminal;

use std::ffi::OsString;
use std::sync::Arc;

use clap::ArgMatches;
use clap::error::ErrorKind;

use self::args::{Cli, Color, Format, OutputArgs};
use self::command::{App, Command};
use self::messages::errors::{Exit, Failure};
use self::messages::{advice, troubles};
use self::settings::{Env, Sources, output_style, paint};
use self::terminal::{Streams, Terminal};
use crate::commands::{Signal, Stop};
use crate::key::{FoundSecret, found_in_argument};

pub fn main(args: &[OsString]) -> u8 {
    forbid_core_dumps();
    let env: Env<'_> = &|name| std::env::var_os(name);
    let streams = Streams::of_process();
    if let Some(found) = args.iter().skip(1).find_map(|arg| found_in_argument(arg)) {
        let (what, trouble) = match found {
            FoundSecret::Key => ("a secret key", troubles::key_argument()),
            FoundSecret::Bunker => ("the secret of a signer", troubles::bunker_argument()),
        };
        let failure = Failure::usage(format!("{what} among the arguments; nothing was done")).because(trouble);
        let terminal = Terminal::new(output_style(&unparsed_output(args), env, streams));
        return finish(&terminal, None, Err(failure));
    }
    let (cli, given) = match Cli::read(args).and_then(helped) {
        Ok(read) => read,
        Err(error) => return misunderstood(args, &error, env, streams),
    };
    advice::remember(&given);
    let terminal = Arc::new(Terminal::new(output_style(&cli.output, env, streams)));
    let room = cli.command.room();
    let result = run(cli, given, env, streams, &terminal);
    let code = finish(&terminal, room.as_deref(), result);
    // A result that nobody reads is not delivered, however well the work went.
    terminal.given_up().map_or(code, |signal| Exit::from(signal).code())
}

/// `nest help COMMAND` is `nest COMMAND --help`.
fn helped((cli, given): (Cli, ArgMatches)) -> Result<(Cli, ArgMatches), clap::Error> {
    let Command::Help { command } = cli.command else { return Ok((cli, given)) };
    let words = std::iter::once("nest").chain(command.iter().map(String::as_str)).chain(["--help"]);
    Cli::read(&words.map(OsString::from).collect::<Vec<_>>())
}

fn run(cli: Cli, given: ArgMatches, env: Env<'_>, streams: Streams, terminal: &Arc<Terminal>) -> Result<u8, Failure> {
    let sources = Sources::load(env, given, &cli.output, streams, cli.command.begins())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(Exit::Failed, format!("cannot start: {error}")))?;
    // Where it is forbidden to listen, the system's own way of ending a program remains.
    let _ = terminal.heed_signals();
    let result = runtime.block_on(async {
        let app = App { sources, terminal: terminal.clone(), stop: signals() };
        cli.command.run(&app).await
    });
    // Threads that wait for a name server or a keyring must not keep the process.
    runtime.shutdown_background();
    result
}

/// Tells a failure that came before the work on any room, and one of stdout; returns the exit code.
fn finish(terminal: &Terminal, room: Option<&str>, result: Result<u8, Failure>) -> u8 {
    terminal.restore();
    let code = result.unwrap_or_else(|failure| {
        if terminal.style.format == Format::Json {
            terminal.document(&document::failure(room, &failure), false);
        }
        terminal.failure(None, &failure);
        failure.exit.code()
    });
    match terminal.output_failure() {
        None => code,
        Some(error) => {
            let failure = Failure::new(Exit::Failed, format!("the result could not be written: {error}"));
            terminal.failure(None, &failure.hint("what was done is done; only its result is missing here"));
            if code == 0 { Exit::Failed.code() } else { code }
        }
    }
}

/// What clap says about wrong arguments, or help and version, which are no mistakes.
fn misunderstood(args: &[OsString], error: &clap::Error, env: Env<'_>, streams: Streams) -> u8 {
    let output = unparsed_output(args);
    let is_terminal = if error.use_stderr() { streams.stderr } else { streams.stdout };
    terminal::clap_message(error, paint(output.color, env, is_terminal), streams);
    if error.kind() == ErrorKind::DisplayVersion && args.iter().any(is_verbose) {
        terminal::print(&build());
    }
    if !error.use_stderr() {
        return 0;
    }
    if output.json {
        let mistake = document::failure(None, &mistake(&error.to_string()));
        Terminal::new(output_style(&output, env, streams)).document(&mistake, false);
    }
    Exit::Usage.code()
}

/// Of arguments that could not be parsed.
fn is_verbose(arg: &OsString) -> bool {
    let arg = arg.to_string_lossy();
    arg == "--verbose" || arg.starts_with('-') && !arg.starts_with("--") && arg.contains('v')
}

/// What this program was built of: for reports of troubles.
fn build() -> String {
    let commit = option_env!("NEST_COMMIT").map(|commit| format!("commit    {commit}\n")).unwrap_or_default();
    let features = if cfg!(feature = "media") { "media" } else { "none" };
    format!("{commit}target    {}\nfeatures  {features}\n", env!("NEST_TARGET"))
}

/// What clap says, taken apart: the first paragraph is the mistake, tips and the usage are what to do.
fn mistake(message: &str) -> Failure {
    let line = |paragraph: &str| paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut paragraphs = message.split("\n\n").map(line);
    let message = paragraphs.next().unwrap_or_default();
    let failure = Failure::usage(message.trim_start_matches("error: "));
    paragraphs.fold(failure, |failure, text| match text.strip_prefix("tip: ").or(text.strip_prefix("Usage: ")) {
        Some(hint) => failure.hint(hint),
        None => failure,
    })
}

/// Whether JSON was asked for, as far as that can be told of arguments that could not be parsed.
fn unparsed_output(args: &[OsString]) -> OutputArgs {
    let own = args.iter().take_while(|arg| *arg != "--").collect::<Vec<_>>();
    let json = own.iter().any(|arg| *arg == "--json" || *arg == "--output=json")
        || own.windows(2).any(|pair| pair[0] == "--output" && pair[1] == "json");
    OutputArgs { output: Format::Text, json, quiet: false, verbose: 0, color: Color::Auto, config: None, profile: None }
}

/// Listens for Ctrl-C and SIGTERM from here on: not first when the work pauses for the first time.
#[cfg(unix)]
fn signals() -> Stop {
    use tokio::signal::unix::{SignalKind, signal};
    let (sender, stop) = Stop::channel();
    let (terminate, interrupt) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    // Where it is forbidden to listen, the system's own way of ending a program remains.
    let (Ok(mut terminate), Ok(mut interrupt)) = (terminate, interrupt) else { return stop };
    tokio::spawn(async move {
        loop {
            let signal = tokio::select! {
                _ = interrupt.recv() => Signal::Interrupt,
                _ = terminate.recv() => Signal::Terminate,
            };
            if sender.send(Some(signal)).is_err() {
                return;
            }
        }
    });
    stop
}

#[cfg(not(unix))]
fn signals() -> Stop {
    let (sender, stop) = Stop::channel();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            let _ = sender.send(Some(Signal::Interrupt));
        }
    });
    stop
}

/// A core dump would hold the key, and so would the memory and the environment that others of the same user look into.
fn forbid_core_dumps() {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, setrlimit};
        // Where it is forbidden to forbid, there is nothing that could be done.
        let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    }
}
