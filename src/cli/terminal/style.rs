//! How things look: colours, marks, and the text of strangers made harmless.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use icu_properties::CodePointSetData;
use icu_properties::props::DefaultIgnorableCodePoint;

use super::wrap::HANG;
use crate::report::Status;

#[derive(Clone, Copy, Debug, Default)]
pub struct Paint {
    pub on: bool,
    /// Whether the terminal knows of links (OSC 8): then the text of one is enough.
    pub links: bool,
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

    /// Black on white, whatever the terminal has.
    pub fn paper(self, text: &str) -> String {
        self.with(AnsiColor::Black.on(AnsiColor::BrightWhite), text)
    }

    pub fn row(self, name: &str, value: &str) -> String {
        format!("  {} {HANG}{value}", self.dim(&format!("{name:<9}")))
    }

    /// Leads to `url` when it is clicked, in terminals that know of links (OSC 8).
    pub fn link(self, text: &str, url: &str) -> String {
        if self.links { format!("\x1b]8;;{url}\x1b\\{text}\x1b]8;;\x1b\\") } else { text.to_owned() }
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

/// Replaces what a terminal would obey, what would turn text around, and what nobody would see, by its escaped form.
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
    let mut chars = text.chars().peekable();
    let mut before = None;
    while let Some(c) = chars.next() {
        let joins = is_joiner(c) && before.is_some_and(is_joined) && chars.peek().copied().is_some_and(is_joined);
        if !harmful(c) || joins || write(c, &mut out).is_err() {
            out.push(c);
        }
        before = Some(c);
    }
    out
}

/// Control characters (C0, DEL, C1), line and paragraph separators, the marks that reorder text, and all else that leaves
/// no trace on a screen, but those that make the one before an emoji or none.
fn obeyed(c: char) -> bool {
    let unseen = || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c);
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{fff9}'..='\u{fffb}')
        || !c.is_ascii() && !matches!(c, '\u{fe0e}' | '\u{fe0f}') && unseen()
}

/// Persian, the scripts of India and emoji of several parts are not written without them.
fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200c}' | '\u{200d}')
}

/// What a joiner may stand beside; elsewhere it only makes a name that looks like another.
fn is_joined(c: char) -> bool {
    !c.is_ascii() && !c.is_whitespace() && !obeyed(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_obeys_nobody_else() {
        assert_eq!(clean("a\x1b[2Jb\u{9b}c\u{202e}d\u{61c}\r\n"), "a\\u{1b}[2Jb\\u{9b}c\\u{202e}d\\u{61c}\\u{d}\\u{a}");
        let spaces =
            "\u{ad}\u{34f}\u{180e}\u{200b}\u{200c}\u{200d}\u{2060}\u{2064}\u{3164}\u{feff}\u{fff9}\u{e0061}\u{e0100}";
        for unseen in spaces.chars().chain("\u{61c}\u{200e}\u{2028}\u{2068}\u{206a}".chars()) {
            let escaped = unseen.escape_unicode();
            assert_eq!(clean(&format!("a{unseen}b")), format!("a{escaped}b"));
            assert_eq!(clean(&format!("é{unseen}")), format!("é{escaped}"));
            assert_eq!(clean(&format!("é{unseen}{unseen}é")), format!("é{escaped}{escaped}é"));
            assert!(clean_json(&format!("a{unseen}b")).is_ascii());
        }
        for text in ["Ünïcode · 日本 ✓", "👩‍💻 می‌خواهم ❤️‍🔥 1️⃣ क्‍ष"] {
            assert_eq!((clean(text), clean_json(text)), (text.to_owned(), text.to_owned()));
        }
        let json = clean_json(&serde_json::to_string("x\u{9b}\u{202e}\u{e0001}\u{7f}").unwrap());
        assert_eq!(json, r#""x\u009b\u202e\udb40\udc01\u007f""#);
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), "x\u{9b}\u{202e}\u{e0001}\u{7f}");
    }
}
