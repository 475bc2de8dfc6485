//! Everything that knows clap, the terminal and the environment.

pub mod advice;
mod api_error;
mod args;
mod check;
mod check_error;
mod close;
mod config;
mod context;
mod doctor;
mod error;
pub mod exit;
mod key;
mod key_error;
mod list;
pub mod messages;
mod mock;
mod nest_error;
mod open;
mod recreate;
mod render;
mod restart;
mod rooms;
#[cfg(test)]
mod schema;
mod serve;
mod shell;
mod status;
mod style;
mod token;
mod ui;

use std::ffi::OsString;
use std::sync::Arc;

use clap::Parser as _;

use self::args::{Cli, Command, Format, OutputArgs};
use self::context::{Context, Terminal};
use self::error::Failure;
use self::exit::Exit;
use self::style::Paint;
use self::ui::{Manner, Ui};
use crate::commands::{Signal, Stop};

/// The whole program: arguments in, exit code out.
#[must_use]
pub fn main(args: &[OsString]) -> u8 {
    forbid_core_dumps();
    let env: context::Env<'_> = &|name| std::env::var_os(name);
    let terminal = context::terminal();
    if args.iter().skip(1).any(|arg| crate::key::found_in_argument(arg)) {
        let failure = Failure::new(Exit::Usage, "a secret key among the arguments; nothing was done")
            .because(&advice::KEY_ARGUMENT);
        return refuse(args, &failure, env, terminal);
    }
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => return misunderstood(args, &error, env, terminal),
    };
    let ui = Arc::new(ui(&cli.output, env, terminal));
    let named = rooms::named(&cli.command);
    let named = named.as_deref();
    let context = match Context::load(env, &cli.output, terminal) {
        Ok(context) => context,
        Err(failure) => return finish(&ui, named, Err(failure)),
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return finish(&ui, named, Err(Failure::new(Exit::Failed, format!("cannot start: {error}")))),
    };
    // Where it is forbidden to listen, the system's own way of ending a program remains.
    let _ = ui.heed_signals();
    let result = runtime.block_on(async {
        let stop = signals();
        match cli.command {
            Command::Restart(args) => restart::run(&context, &args, &ui, &stop).await,
            Command::Status(args) => status::run(&context, &args, &ui, &stop).await,
            Command::Check(args) => check::run(&context, &args, &ui, &stop).await,
            Command::Doctor(args) => doctor::run(&context, args.0, &ui, &stop).await,
            Command::Token(args) => token::run(&context, &args, &ui, &stop).await,
            Command::List(args) => list::run(&context, &args, &ui, &stop).await,
            Command::Recreate(args) => recreate::run(&context, &args, &ui, &stop).await,
            Command::Close(args) => close::run(&context, &args, &ui, &stop).await,
            Command::Open(args) => open::run(&context, &args, &ui, &stop).await,
            Command::Key(command) => key::run(&context, command, &ui, &stop).await,
            Command::Mock(args) => mock::run(&context, args.0, &ui, &stop).await,
            Command::Serve(args) => serve::run(&context, args.0, &ui, &stop).await,
            Command::Completions { shell } => Ok(shell::completions(shell, &ui)),
            Command::Man { command } => shell::man(&command, &ui),
        }
    });
    // Threads that wait for a name server or a keyring must not keep the process.
    runtime.shutdown_background();
    let code = finish(&ui, named, result);
    // A result that nobody reads is not delivered, however well the work went.
    ui.given_up().map_or(code, |signal| Exit::from(signal).code())
}

/// Tells a failure that came before the work on any room, and one of stdout; returns the exit code.
fn finish(ui: &Ui, room: Option<&str>, result: Result<u8, Failure>) -> u8 {
    ui.restore();
    let code = result.unwrap_or_else(|failure| {
        if ui.manner().format == Format::Json {
            ui.result(&render::document(&render::failure_document(room, &failure), false));
        }
        ui.failure(None, &failure);
        failure.exit.code()
    });
    match ui.output_failure() {
        None => code,
        Some(error) => {
            let failure = Failure::new(Exit::Failed, format!("the result could not be written: {error}"));
            ui.failure(None, &failure.hint("what was done is done; only its result is missing here"));
            if code == 0 { Exit::Failed.code() } else { code }
        }
    }
}

fn ui(output: &OutputArgs, env: context::Env<'_>, terminal: Terminal) -> Ui {
    let paint = |is_terminal| Paint { on: context::colours(env, output.color, is_terminal) };
    Ui::new(Manner {
        format: if output.json { Format::Json } else { output.output },
        quiet: output.quiet,
        verbose: output.verbose,
        interactive: terminal.stdin && terminal.stderr,
        progress: terminal.stderr,
        together: terminal.stdout && terminal.stderr,
        columns: terminal.stdout.then(context::columns).flatten(),
        out: paint(terminal.stdout),
        err: paint(terminal.stderr),
    })
}

/// A refusal before anything was parsed.
fn refuse(args: &[OsString], failure: &Failure, env: context::Env<'_>, terminal: Terminal) -> u8 {
    let ui = ui(&unparsed_output(args), env, terminal);
    finish(&ui, None, Err(failure.clone()))
}

/// What clap says about wrong arguments, or help and version, which are no mistakes.
fn misunderstood(args: &[OsString], error: &clap::Error, env: context::Env<'_>, terminal: Terminal) -> u8 {
    let output = unparsed_output(args);
    let is_terminal = if error.use_stderr() { terminal.stderr } else { terminal.stdout };
    ui::clap_message(error, Paint { on: context::colours(env, output.color, is_terminal) });
    if !error.use_stderr() {
        return 0;
    }
    if output.json {
        let document = render::failure_document(None, &mistake(&error.to_string()));
        ui(&output, env, terminal).result(&render::document(&document, false));
    }
    Exit::Usage.code()
}

/// What clap says, taken apart: the first paragraph is the mistake, tips and the usage are what to do.
fn mistake(said: &str) -> Failure {
    let line = |paragraph: &str| paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut paragraphs = said.split("\n\n").map(line);
    let message = paragraphs.next().unwrap_or_default();
    let failure = Failure::new(Exit::Usage, message.trim_start_matches("error: "));
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
    OutputArgs {
        output: Format::Text,
        json,
        quiet: false,
        verbose: 0,
        color: args::Color::Auto,
        config: None,
        profile: None,
    }
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

/// Listens for Ctrl-C from here on.
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
