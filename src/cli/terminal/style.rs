//! How things look: colours, marks, and the text of strangers made harmless.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

use crate::report::Status;

#[derive(Clone, Copy, Debug, Default)]
pub struct Paint {
    pub on: bool,
}

impl Paint {
    fn with(self, style: Style, text: &str) -> String {
        if self.on { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }

    pub fn good(self, text: &str) -> String {
        self.with(AnsiColor::Green.on_default(), text)
    }

    pub fn bad(self, text: &str) -> String {
        self.with(AnsiColor::Red.on_default().bold(), text)
    }

    pub fn warn(self, text: &str) -> String {
        self.with(AnsiColor::Yellow.on_default(), text)
    }

    pub fn dim(self, text: &str) -> String {
        self.with(Style::new().dimmed(), text)
    }

    pub fn strong(self, text: &str) -> String {
        self.with(Style::new().bold(), text)
    }

    pub fn row(self, name: &str, value: &str) -> String {
        format!("  {} {value}", self.dim(&format!("{name:<9}")))
    }

    /// Leads to `url` when it is clicked, in terminals that know of links (OSC 8).
    pub fn link(self, text: &str, url: &str) -> String {
        if self.on { format!("\x1b]8;;{url}\x1b\\{text}\x1b]8;;\x1b\\") } else { text.to_owned() }
    }

    pub fn mark(self, status: Status) -> String {
        match status {
            Status::Passed => self.good("✓"),
            Status::Failed => self.bad("✗"),
            Status::Warned => self.warn("!"),
            Status::NotChecked => self.dim("–"),
        }
    }
}

/// Replaces what a terminal would obey, or what would turn text around, by its escaped form.
pub fn clean(text: &str) -> String {
    escape(text, obeyed, |c, out| write!(out, "\\u{{{:x}}}", u32::from(c)))
}

/// The same inside a JSON document, where such characters only occur in strings.
pub fn clean_json(text: &str) -> String {
    escape(
        text,
        |c| obeyed(c) && c != '\n',
        |c, out| c.encode_utf16(&mut [0; 2]).iter().try_for_each(|unit| write!(out, "\\u{unit:04x}")),
    )
}

fn escape(text: &str, harmful: fn(char) -> bool, write: fn(char, &mut String) -> std::fmt::Result) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if !harmful(c) || write(c, &mut out).is_err() {
            out.push(c);
        }
    }
    out
}

/// Control characters (C0, DEL, C1), line and paragraph separators, and the marks that reorder text.
fn obeyed(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
        || matches!(c, '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_obeys_nobody_else() {
        assert_eq!(clean("a\x1b[2Jb\u{9b}c\u{202e}d\u{61c}\r\n"), "a\\u{1b}[2Jb\\u{9b}c\\u{202e}d\\u{61c}\\u{d}\\u{a}");
        assert_eq!(clean("Ünïcode · 日本 ✓"), "Ünïcode · 日本 ✓");
        let json = clean_json(&serde_json::to_string("x\u{9b}\u{202e}\u{e0001}\u{7f}").unwrap());
        assert_eq!(json, r#""x\u009b\u202e\udb40\udc01\u007f""#);
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), "x\u{9b}\u{202e}\u{e0001}\u{7f}");
    }
}
