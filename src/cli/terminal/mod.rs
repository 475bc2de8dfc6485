//! The only printer: results on stdout; status, warnings, progress, questions and errors on stderr.
#![expect(clippy::print_stderr, reason = "this is the module that prints")]

mod drain;
mod log;
mod qr;
mod style;
mod wrap;

use std::collections::HashMap;
use std::io::{self, IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use console::{measure_text_width, truncate_str};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::Value;
use tokio::sync::oneshot;

use self::drain::Drain;
pub(super) use self::log::LogStyle;
pub(super) use self::style::{Paint, clean, clean_json};
pub(super) use self::wrap::HANG;
use self::wrap::{fit, fit_help};
use super::args::Format;
use super::messages::errors::Failure;
use super::messages::notices;
use crate::commands::Signal;
use crate::key::holds_secret;
use crate::reporter::{Answer, Question, Reporter, SecretPrompt, Stage, Warning};
use crate::secret::{Secret, scrub};

/// As much of a nest's name as tells it from others.
const NAME_MIN: usize = 12;

const TICK: Duration = Duration::from_millis(80);

/// How long a signal takes from this process to itself, at most.
const SIGNAL_LIMIT: Duration = Duration::from_millis(500);

#[derive(Clone, Copy, Debug)]
pub(super) struct Streams {
    pub stdin: bool,
    pub stdout: bool,
    pub stderr: bool,
    /// Whether the terminal, wherever it is, knows of links (OSC 8).
    pub links: bool,
}

impl Streams {
    pub fn of_process() -> Self {
        Self {
            stdin: io::stdin().is_terminal(),
            stdout: io::stdout().is_terminal(),
            stderr: io::stderr().is_terminal(),
            links: supports_hyperlinks::supports_hyperlinks(),
        }
    }

    pub fn interactive(self) -> bool {
        self.stdin && self.stderr
    }

    /// The width of stdout, where that is a terminal.
    pub fn columns(self) -> Option<usize> {
        columns(self.stdout, &console::Term::stdout())
    }

    fn err_columns(self) -> Option<usize> {
        columns(self.stderr, &console::Term::stderr())
    }
}

fn columns(is_terminal: bool, terminal: &console::Term) -> Option<usize> {
    Some(size(is_terminal, terminal)?.1)
}

/// Rows and columns, where it is a terminal that has some.
fn size(is_terminal: bool, terminal: &console::Term) -> Option<(usize, usize)> {
    let (rows, columns) = is_terminal.then(|| terminal.size_checked()).flatten()?;
    Some((usize::from(rows), usize::from(columns))).filter(|(_, columns)| *columns > 0)
}

#[derive(Clone, Copy, Debug)]
pub(super) struct OutputStyle {
    pub format: Format,
    /// Nothing but errors and warnings.
    pub quiet: bool,
    pub verbose: u8,
    pub streams: Streams,
    /// Width of stdout, where that is a terminal.
    pub columns: Option<usize>,
    pub out: Paint,
    pub err: Paint,
}

pub(super) struct Terminal {
    pub style: OutputStyle,
    bars: Option<MultiProgress>,
    rows: Mutex<HashMap<String, ProgressBar>>,
    broken: OnceLock<io::Error>,
    out: Drain,
    err: Drain,
    /// A choice hides the cursor, and may be cut short.
    cursor_hidden: AtomicBool,
    /// A question is on the line at which the cursor stands, and may be cut short.
    asking: Arc<AtomicBool>,
    /// As the terminal was before any question switched off its echo.
    #[cfg(unix)]
    before: Option<rustix::termios::Termios>,
}

impl Terminal {
    pub fn new(style: OutputStyle) -> Self {
        Self {
            style,
            bars: (style.streams.stderr && !style.quiet).then(MultiProgress::new),
            rows: Mutex::default(),
            broken: OnceLock::new(),
            out: Drain::default(),
            err: Drain::default(),
            cursor_hidden: AtomicBool::default(),
            asking: Arc::default(),
            #[cfg(unix)]
            before: style.streams.interactive().then(|| rustix::termios::tcgetattr(io::stdin()).ok()).flatten(),
        }
    }

    /// From here on a signal ends the waiting for whoever reads what is printed.
    pub fn heed_signals(&self) -> io::Result<()> {
        self.out.heed_signals()?;
        self.err.heed_signals()
    }

    fn rows(&self) -> MutexGuard<'_, HashMap<String, ProgressBar>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn end_row(&self, room: &str) {
        if let Some(bar) = self.rows().remove(room) {
            bar.finish_and_clear();
        }
    }

    pub fn end_rows(&self) {
        for (_, bar) in self.rows().drain() {
            bar.finish_and_clear();
        }
    }

    /// An outcome, on stdout: its document (on one line, if it is one of `several`), or else its text, unless `--quiet`.
    pub fn outcome(&self, several: bool, document: impl FnOnce() -> Value, text: impl FnOnce(Paint) -> Option<String>) {
        if self.style.format == Format::Json {
            self.document(&document(), several);
        } else if !self.style.quiet
            && let Some(text) = text(self.style.out)
        {
            self.text(&text);
        }
    }

    /// What a person reads, on stdout.
    pub fn text(&self, text: &str) {
        self.result(&fit(text, self.style.columns));
    }

    /// A link as a code that a phone reads; only as text.
    pub fn qr(&self, link: &str) {
        if self.style.format != Format::Text || self.style.quiet {
            return;
        }
        match qr::code(link, self.style.columns, self.style.out) {
            Ok(code) => self.result(&code),
            Err(why) => self.warn(&why),
        }
    }

    /// What a phone is to read before there is a result: on stderr, with what to do about it.
    pub fn offer(&self, link: &str, what: &str) {
        self.tell(what);
        let (rows, columns) = size(self.style.streams.stderr, &console::Term::stderr()).unzip();
        // All of it is to be seen at once, and the line with the cursor.
        let around = fit(what, columns).lines().count() + link.len().div_ceil(columns.unwrap_or(usize::MAX)) + 1;
        match qr::code(link, columns, self.style.err) {
            Ok(code) if rows.is_none_or(|rows| code.lines().count() + around <= rows) => self.line(&code),
            Ok(code) => self.warn(&notices::code_too_high(code.lines().count() + around)),
            Err(why) => self.warn(&notices::code_too_wide(&why)),
        }
        self.line(link);
    }

    pub fn document(&self, document: &Value, one_line: bool) {
        let text = if one_line { document.to_string() } else { format!("{document:#}") };
        self.result(&clean_json(&text));
    }

    /// A result, on stdout, as it is. `text` is already harmless.
    pub fn result(&self, text: &str) {
        let written = self.aside(|| self.out.write(io::stdout().lock(), format!("{text}\n").as_bytes()));
        if let Err(error) = written {
            let _ = self.broken.set(error);
        }
    }

    /// What went wrong with stdout, unless its reader only had enough.
    pub fn output_failure(&self) -> Option<&io::Error> {
        self.broken.get().filter(|error| error.kind() != io::ErrorKind::BrokenPipe)
    }

    /// The signal because of which a result was left unwritten that nobody reads, if there was one.
    pub fn given_up(&self) -> Option<Signal> {
        self.out.given_up()
    }

    pub fn yes_or_no(&self, question: &str) -> Answer<'_, bool> {
        self.ask_below(&clean(question), " [y/N] yes", |question| {
            answered(dialoguer::Confirm::new().with_prompt(question).default(false).wait_for_newline(true).interact())
        })
    }

    /// A line that is typed and shown, once it is `valid` and no secret; `offered` is what stands there to begin with.
    pub fn typed(
        &self,
        question: &str,
        offered: &str,
        valid: impl Fn(&str) -> Result<(), String> + Send + 'static,
    ) -> Answer<'_, String> {
        let offered = clean(offered);
        self.ask_below(&clean(question), &format!(": {offered}"), move |question| {
            let input = dialoguer::Input::<String>::new().with_prompt(question).with_initial_text(offered);
            let valid = |text: &String| {
                if holds_secret(text) { Err(notices::SECRET_SHOWN.to_owned()) } else { valid(text) }
            };
            answered(input.allow_empty(true).validate_with(valid).interact_text())
        })
    }

    /// Each item is a name and what is known of it. Of those that do not fit, names are cut.
    pub fn choose(&self, question: &str, items: &[(String, String)]) -> Answer<'_, usize> {
        let question = clean(question);
        // Behind the mark of the one that is chosen; a terminal may break a line that fills it.
        let columns = self.style.streams.err_columns().unwrap_or(usize::MAX).saturating_sub("> ".len() + 1);
        let shown: Vec<_> = items.iter().map(|(name, rest)| item(&clean(name), &clean(rest), columns)).collect();
        self.cursor_hidden.store(self.style.streams.interactive(), Ordering::Relaxed);
        // What it says of the choice in the end would be cut by the terminal.
        let prompt = question.clone();
        let select =
            move || dialoguer::Select::new().with_prompt(prompt).items(&shown).default(0).report(false).interact_opt();
        let chosen = self.ask(move || answered(select()).flatten());
        let names: Vec<_> = items.iter().map(|(name, _)| clean(name)).collect();
        Box::pin(async move {
            let chosen = chosen.await;
            if let Some(name) = chosen.and_then(|at| names.get(at)) {
                self.tell(&format!("{question}: {HANG}{name}"));
            }
            chosen
        })
    }

    pub fn warn(&self, text: &str) {
        self.tell(&format!("{} {HANG}{}", self.style.err.warn("warning:"), harmless(text)));
    }

    fn warning_line(&self, text: &str) -> String {
        format!("{} {}", self.style.err.warn("warning:"), harmless(text))
    }

    /// A warning about a page, whose address a person needs as it is: secrets in it are the page's own.
    pub fn page_to_open(&self, text: &str, url: &str) {
        self.tell(&format!("{} {HANG}{} {}", self.style.err.warn("warning:"), harmless(text), clean(url)));
    }

    pub fn status(&self, text: &str) {
        if !self.style.quiet {
            self.tell(text);
        }
    }

    /// Ends the line of a question that was cut short.
    fn end_question(&self) {
        if self.asking.swap(false, Ordering::Relaxed) {
            self.line("");
        }
    }

    /// An error with its causes and hints, on stderr; in one line for logs and cron. `room`: which of several nests.
    pub fn failure(&self, room: Option<&str>, failure: &Failure) {
        self.end_question();
        let paint = self.style.err;
        let mut lines = Vec::new();
        let room = room.map(|room| format!("{}: ", clean(room))).unwrap_or_default();
        lines.push(format!("{} {HANG}{room}{}", paint.bad("error:"), harmless(&failure.message)));
        if self.style.quiet {
            lines.extend(failure.causes.iter().map(|cause| format!("; {}", harmless(cause.trim_end_matches('.')))));
            lines.extend(failure.hints.iter().map(|hint| format!("; {} {}", paint.good("hint:"), harmless(hint))));
            return self.tell(&lines.concat().replace('\n', " "));
        }
        // Cut, where it is too wide: the mark stands where it belongs.
        let columns = self.style.streams.err_columns().unwrap_or(usize::MAX);
        lines.extend(failure.excerpt.iter().map(|line| truncate_str(&harmless(line), columns, "…").into_owned()));
        lines.extend(
            failure.causes.iter().map(|cause| format!("  {} {HANG}{}", paint.dim("caused by:"), harmless(cause))),
        );
        lines.extend(failure.hints.iter().map(|hint| format!("  {} {HANG}{}", paint.good("hint:"), harmless(hint))));
        self.tell(&lines.join("\n"));
    }

    pub fn restore(&self) {
        // Those that are left would draw themselves again.
        self.end_rows();
        self.end_question();
        if self.cursor_hidden.swap(false, Ordering::Relaxed) {
            let _ = console::Term::stderr().show_cursor();
        }
        #[cfg(unix)]
        if let Some(before) = &self.before {
            let _ = rustix::termios::tcsetattr(io::stdin(), rustix::termios::OptionalActions::Now, before);
        }
    }

    /// What a person reads, on stderr.
    fn tell(&self, text: &str) {
        self.line(&fit(text, self.style.streams.err_columns()));
    }

    /// Nobody can be told when stderr is gone, so its errors end here.
    fn line(&self, text: &str) {
        self.aside(|| {
            let _ = self.err.write(io::stderr().lock(), format!("{text}\n").as_bytes());
        });
    }

    /// Prints without tearing the progress lines apart.
    fn aside<T>(&self, print: impl FnOnce() -> T) -> T {
        match &self.bars {
            Some(bars) => bars.suspend(print),
            None => print(),
        }
    }

    /// Asks with the last line of a question that needs several, for that is all that a prompt draws anew. `more` is what
    /// stands behind it.
    fn ask_below<T: Send + 'static>(
        &self,
        question: &str,
        more: &str,
        ask: impl FnOnce(String) -> Option<T> + Send + 'static,
    ) -> Answer<'_, T> {
        let columns = self.style.streams.err_columns().map(|columns| columns.saturating_sub(more.len()));
        let fitted = fit(&format!("{HANG}{question}"), columns);
        let (above, last) = fitted.rsplit_once('\n').unwrap_or(("", &fitted));
        if !above.is_empty() && self.style.streams.interactive() {
            self.line(above);
        }
        let last = last.to_owned();
        self.ask(move || ask(last))
    }

    /// Asks in a thread of its own: the terminal may never answer, and the work can be interrupted meanwhile.
    fn ask<T: Send + 'static>(&self, ask: impl FnOnce() -> Option<T> + Send + 'static) -> Answer<'_, T> {
        if !self.style.streams.interactive() {
            return Box::pin(std::future::ready(None));
        }
        let rows: Vec<_> = self.rows().values().cloned().collect();
        for row in &rows {
            row.disable_steady_tick();
        }
        if let Some(bars) = &self.bars {
            let _ = bars.clear();
        }
        let (answer, answered) = oneshot::channel();
        self.asking.store(true, Ordering::Relaxed);
        let asking = Arc::clone(&self.asking);
        std::thread::spawn(move || {
            let given = ask();
            asking.store(false, Ordering::Relaxed);
            let _ = answer.send(given);
        });
        Box::pin(async move {
            let answer = answered.await.ok().flatten();
            for row in &rows {
                row.enable_steady_tick(TICK);
            }
            answer
        })
    }
}

/// An item of a choice on one line of so many `columns`.
fn item(name: &str, rest: &str, columns: usize) -> String {
    let most = columns.saturating_sub(measure_text_width(rest)).max(NAME_MIN);
    let whole = format!("{}{rest}", truncate_str(name, most, "…"));
    truncate_str(&whole, columns, "…").into_owned()
}

/// The answer to a question in raw mode. Ctrl-C is no answer: the signal that it raises ends the work, and comes first.
fn answered<T>(answer: dialoguer::Result<T>) -> Option<T> {
    let dialoguer::Error::IO(error) = match answer {
        Ok(answer) => return Some(answer),
        Err(error) => error,
    };
    if error.kind() == io::ErrorKind::Interrupted {
        std::thread::sleep(SIGNAL_LIMIT);
    }
    None
}

/// Nobody else's control characters, nobody's secrets.
fn harmless(text: &str) -> String {
    clean(&scrub(text))
}

impl Reporter for Terminal {
    fn step(&self, room: &str, step: Stage) {
        self.detail(2, &format!("{room}: {}", notices::stage(step)));
        let Some(bars) = &self.bars else { return };
        let columns = self.style.streams.err_columns().unwrap_or(usize::MAX);
        let mut rows = self.rows();
        let row = rows.entry(room.to_owned()).or_insert_with(|| {
            let style = ProgressStyle::with_template("{spinner:.cyan} {prefix:.bold} {msg} {elapsed:.dim}")
                .unwrap_or_else(|_| ProgressStyle::default_spinner());
            let prefix = truncate_str(&clean(room), columns / 3, "…").into_owned();
            let bar = bars.add(ProgressBar::new_spinner().with_style(style).with_prefix(prefix));
            bar.enable_steady_tick(TICK);
            bar
        });
        // The mark stands before it, and the time behind it.
        let left = columns.saturating_sub(measure_text_width(&row.prefix()) + "⠁   100s ".len());
        row.set_message(truncate_str(notices::stage(step), left, "…"));
    }

    fn warning(&self, warning: &Warning) {
        self.warn(&notices::warning(warning));
    }

    fn warning_detail(&self, warning: &Warning) {
        self.detail(1, &notices::warning(warning));
    }

    fn detail(&self, level: u8, text: &str) {
        if level <= self.style.verbose && !self.style.quiet {
            self.tell(&self.style.err.dim(&harmless(text)));
        }
    }

    fn confirm<'a>(&'a self, question: Question<'a>) -> Answer<'a, bool> {
        self.yes_or_no(&notices::question(question))
    }

    fn secret<'a>(&'a self, prompt: SecretPrompt<'a>) -> Answer<'a, Secret> {
        self.ask_below(&clean(&notices::prompt(prompt)), ": ", |prompt| {
            let typed = dialoguer::Password::new().with_prompt(prompt).allow_empty_password(true).interact();
            typed.ok().filter(|typed| !typed.is_empty()).map(Secret::new)
        })
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.restore();
    }
}

/// What clap has to say: help and version on stdout, mistakes on stderr.
pub(super) fn clap_message(error: &clap::Error, paint: Paint, streams: Streams) {
    let text = error.render();
    let text = if paint.on { text.ansi().to_string() } else { text.to_string() };
    if error.use_stderr() {
        eprint!("{}", fit_help(&scrub(&text), streams.err_columns()));
    } else {
        print(&fit_help(&text, streams.columns()));
    }
}

/// Help, and the version. A reader that had enough of it is no failure.
pub(super) fn print(text: &str) {
    let _ = io::stdout().lock().write_all(text.as_bytes());
}
