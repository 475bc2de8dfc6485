//! How things look: colours, marks, the words for steps, and the text of strangers made harmless.

use std::fmt::Write as _;
use std::time::Duration;

use anstyle::{AnsiColor, Style};

use crate::report::Status;
use crate::reporter::Step;

/// How often a spinner moves.
pub const TICK: Duration = Duration::from_millis(80);

/// Colours, or none.
#[derive(Clone, Copy, Debug, Default)]
pub struct Paint {
    /// Whether there are any.
    pub on: bool,
}

impl Paint {
    fn with(self, style: Style, text: &str) -> String {
        if self.on { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }

    /// All is well.
    #[must_use]
    pub fn good(self, text: &str) -> String {
        self.with(AnsiColor::Green.on_default(), text)
    }

    /// Something is wrong.
    #[must_use]
    pub fn bad(self, text: &str) -> String {
        self.with(AnsiColor::Red.on_default().bold(), text)
    }

    /// Something should be known.
    #[must_use]
    pub fn warn(self, text: &str) -> String {
        self.with(AnsiColor::Yellow.on_default(), text)
    }

    /// What one may skip.
    #[must_use]
    pub fn dim(self, text: &str) -> String {
        self.with(Style::new().dimmed(), text)
    }

    /// What one looks for.
    #[must_use]
    pub fn strong(self, text: &str) -> String {
        self.with(Style::new().bold(), text)
    }

    /// Leads to `url` when it is clicked, in terminals that know of links (OSC 8).
    #[must_use]
    pub fn link(self, text: &str, url: &str) -> String {
        if self.on { format!("\x1b]8;;{url}\x1b\\{text}\x1b]8;;\x1b\\") } else { text.to_owned() }
    }

    /// The mark of a step.
    #[must_use]
    pub fn mark(self, status: Status) -> String {
        match status {
            Status::Passed => self.good("✓"),
            Status::Failed => self.bad("✗"),
            Status::Warned => self.warn("!"),
            Status::NotChecked => self.dim("–"),
        }
    }
}

/// What a spinner says.
#[must_use]
pub fn step(step: Step) -> &'static str {
    match step {
        Step::Lock => "waiting for another restart of this nest",
        Step::Key => "loading the key",
        Step::Look => "looking",
        Step::Sign => "signing",
        Step::Restart => "restarting",
        Step::Wait => "waiting before the next attempt",
        Step::Check => "checking that people can join",
        Step::Relays => "asking relays",
        Step::Create => "creating a room",
        Step::Grant => "letting people speak",
        Step::Publish => "publishing",
        Step::Close => "closing",
    }
}

/// Replaces what a terminal would obey, or what would turn text around, by its escaped form.
#[must_use]
pub fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if obeyed(c) {
            let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

/// The same inside a JSON document, where such characters only occur in strings.
#[must_use]
pub fn clean_json(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if obeyed(c) && c != '\n' {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    out
}

/// Control characters (C0, DEL, C1), line and paragraph separators, and the marks that reorder text.
fn obeyed(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
        || matches!(c, '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_obeys_nobody_else() {
        assert_eq!(clean("a\x1b[2Jb\u{9b}c\u{202e}d\r\n"), "a\\u{1b}[2Jb\\u{9b}c\\u{202e}d\\u{d}\\u{a}");
        assert_eq!(clean("Ünïcode · 日本 ✓"), "Ünïcode · 日本 ✓");
        let json = clean_json(&serde_json::to_string("x\u{9b}\u{202e}\u{e0001}\u{7f}").unwrap());
        assert_eq!(json, r#""x\u009b\u202e\udb40\udc01\u007f""#);
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), "x\u{9b}\u{202e}\u{e0001}\u{7f}");
    }
}
