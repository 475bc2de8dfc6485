//! Reporters for commands that look: nobody is asked for a secret.

use crate::reporter::{Answer, Reporter, Step};

/// Speaks through another reporter, and asks nobody for a secret.
pub(super) struct Unasked<'a> {
    /// Who hears of it.
    pub reporter: &'a dyn Reporter,
    /// Warnings are only detail: what they say is part of the result.
    pub muffled: bool,
}

impl Reporter for Unasked<'_> {
    fn step(&self, room: &str, step: Step) {
        self.reporter.step(room, step);
    }

    fn warning(&self, text: &str) {
        if self.muffled { self.reporter.detail(1, text) } else { self.reporter.warning(text) }
    }

    fn detail(&self, level: u8, text: &str) {
        self.reporter.detail(level, text);
    }

    fn confirm<'a>(&'a self, question: &'a str) -> Answer<'a, bool> {
        self.reporter.confirm(question)
    }
}
