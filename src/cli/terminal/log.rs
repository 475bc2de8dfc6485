//! The log of the bundled server: what it tells by `tracing`, on stderr. Nothing that other crates tell is part of it,
//! since their events may hold tokens and keys.

use std::fmt::Debug;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use serde_json::{Map, Value, json};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

use super::{Terminal, clean, clean_json};
use crate::cli::messages::notices;
use crate::clock::{Clock, rfc3339};
use crate::reporter::Reporter as _;
use crate::secret::scrub;
use crate::server::REQUESTS;

/// How a line of the log looks.
#[derive(Clone, Copy, Debug)]
pub enum LogStyle {
    /// For people who serve nobody but themselves: without time and address, as a detail of this level.
    Brief(u8),
    /// For people who run a server.
    Text,
    /// For machines.
    Json,
}

/// How many lines of a server wait for whoever reads them. If there are more, they are dropped and counted.
const WAITING: usize = 1024;

#[derive(Clone)]
struct Log {
    terminal: Arc<Terminal>,
    style: LogStyle,
    /// Where lines are not printed at once.
    queue: Option<Arc<Queue>>,
}

struct Queue {
    /// `None` is the end.
    lines: SyncSender<Option<String>>,
    dropped: Mutex<u64>,
}

/// A log that is printed by a thread of its own. Dropping it waits for the last lines; after a signal not for long.
pub struct QueuedLog {
    log: Log,
    queue: Arc<Queue>,
    printer: Option<JoinHandle<()>>,
}

impl Terminal {
    /// Prints the log from now on, as long as the process lives.
    pub fn print_log(self: &Arc<Self>, style: LogStyle) {
        Log { terminal: self.clone(), style, queue: None }.listen();
    }

    /// The same, but whoever logs never waits for whoever reads it.
    pub fn queue_log(self: &Arc<Self>, style: LogStyle) -> QueuedLog {
        let (lines, waiting) = sync_channel(WAITING);
        let queue = Arc::new(Queue { lines, dropped: Mutex::default() });
        let log = Log { terminal: self.clone(), style, queue: Some(queue.clone()) };
        log.clone().listen();
        let terminal = self.clone();
        let print = move || waiting.iter().map_while(|line| line).for_each(|line: String| terminal.line(&line));
        QueuedLog { log, queue, printer: Some(std::thread::spawn(print)) }
    }
}

impl Drop for QueuedLog {
    fn drop(&mut self) {
        let dropped = self.queue.take_dropped().map(|dropped| self.log.dropped_lines(dropped));
        let mut last = dropped.into_iter().map(Some).chain([None]);
        // An error is a thread that has ended already.
        if last.all(|line| self.queue.lines.send(line).is_ok()) {
            let _ = self.printer.take().map(JoinHandle::join);
        }
    }
}

impl Queue {
    fn take_dropped(&self) -> Option<u64> {
        let mut dropped = self.dropped.lock().unwrap_or_else(PoisonError::into_inner);
        Some(std::mem::take(&mut *dropped)).filter(|dropped| *dropped > 0)
    }

    /// Puts a line into the queue, or counts that `lines` were lost for it.
    fn push(&self, line: String, lines: u64) {
        if self.lines.try_send(Some(line)).is_err() {
            *self.dropped.lock().unwrap_or_else(PoisonError::into_inner) += lines;
        }
    }
}

impl Log {
    fn listen(self) {
        let log = tracing_subscriber::registry().with(self);
        tracing::subscriber::set_global_default(log).expect("a run has one command, and a command one log");
    }

    fn print(&self, line: String) {
        let Some(queue) = &self.queue else { return self.terminal.line(&line) };
        if let Some(dropped) = queue.take_dropped() {
            queue.push(self.dropped_lines(dropped), dropped);
        }
        queue.push(line, 1);
    }

    fn dropped_lines(&self, dropped: u64) -> String {
        self.message(Level::WARN, &notices::dropped_lines(dropped))
    }

    /// A line that is about no request.
    fn message(&self, level: Level, text: &str) -> String {
        let text = &*scrub(text);
        match self.style {
            LogStyle::Json => {
                let level = level.as_str().to_ascii_lowercase();
                clean_json(&json!({ "time": now(), "level": level, "message": text }).to_string())
            }
            _ if level == Level::WARN => self.terminal.warning_line(text),
            _ => clean(text),
        }
    }
}

fn now() -> String {
    rfc3339(Clock::default().now_ms()).unwrap_or_default()
}

impl<S: Subscriber> Layer<S> for Log {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        is_own(metadata.target(), *metadata.level())
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let (target, level) = (event.metadata().target(), *event.metadata().level());
        if self.terminal.style.quiet && level != Level::WARN {
            return;
        }
        match self.style {
            LogStyle::Brief(level) if target == REQUESTS => {
                self.terminal.detail(level, &fields.request_line("", ""));
            }
            LogStyle::Json if target == REQUESTS => self.print(clean_json(&fields.request_json(&now()))),
            LogStyle::Text if target == REQUESTS => {
                let line = fields.request_line(&format!("{} ", now()), &format!(" {}", fields.text("address")));
                self.print(clean(&line));
            }
            _ => self.print(self.message(level, &fields.text("message"))),
        }
    }
}

/// Whether something is told by this program itself, and to be read.
fn is_own(target: &str, level: Level) -> bool {
    target.split("::").next() == Some(env!("CARGO_CRATE_NAME")) && level <= Level::INFO
}

#[derive(Default)]
struct Fields(Map<String, Value>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name().into(), format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().into(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().into(), value.into());
    }
}

impl Fields {
    fn text(&self, name: &str) -> String {
        match self.0.get(name) {
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
            None => String::new(),
        }
    }

    /// `200 POST /path 12 ms · what it did`; a connection that was dropped has no status.
    fn request_line(&self, start: &str, end: &str) -> String {
        let text = |name| self.text(name);
        let status = if self.0.contains_key("status") { text("status") } else { "---".into() };
        let note = if text("note").is_empty() { String::new() } else { format!(" · {}", text("note")) };
        format!("{start}{status} {} {} {} ms{end}{note}", text("method"), text("path"), text("elapsed_ms"))
    }

    fn request_json(&self, now: &str) -> String {
        let field = |name| self.0.get(name);
        let line = json!({
            "time": now,
            "status": field("status"),
            "method": field("method"),
            "path": field("path"),
            "elapsedMs": field("elapsed_ms"),
            "address": field("address"),
            "note": field("note"),
        });
        line.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(status: Option<u16>, note: &str) -> Fields {
        let fields = json!({
            "method": "POST", "path": "/api/v1/nests/a\"b/restart", "elapsed_ms": 12, "address": "203.0.113.7",
            "note": note,
        });
        let mut fields = Fields(fields.as_object().unwrap().clone());
        fields.0.extend(status.map(|status| ("status".into(), status.into())));
        fields
    }

    #[test]
    fn a_request_in_all_forms() {
        let fields = request(Some(200), "restart a RM_a → RM_b");
        let brief = "200 POST /api/v1/nests/a\"b/restart 12 ms · restart a RM_a → RM_b";
        assert_eq!(fields.request_line("", ""), brief);
        let line = fields.request_line("2026-11-23T07:09:19Z ", " 203.0.113.7");
        assert_eq!(
            line,
            "2026-11-23T07:09:19Z 200 POST /api/v1/nests/a\"b/restart 12 ms 203.0.113.7 · restart a RM_a → RM_b"
        );
        let json = r#"{"time":"now","status":200,"method":"POST","path":"/api/v1/nests/a\"b/restart","elapsedMs":12,"address":"203.0.113.7","note":"restart a RM_a → RM_b"}"#;
        assert_eq!(fields.request_json("now"), json);
        assert_eq!(request(None, "").request_line("", ""), "--- POST /api/v1/nests/a\"b/restart 12 ms");
        assert!(request(None, "").request_json("now").contains("\"status\":null"));
    }

    #[test]
    fn nothing_that_other_crates_tell_is_printed() {
        assert!(is_own(REQUESTS, Level::INFO) && is_own("nostr_nests::cli::command::serve", Level::WARN));
        assert!(!is_own("nostr_nests::server", Level::DEBUG));
        for other in ["hyper::proto", "nostr", "nostr_relay_pool::relay", "nostr_nests_elsewhere", ""] {
            assert!(!is_own(other, Level::ERROR), "{other}");
        }
    }
}
