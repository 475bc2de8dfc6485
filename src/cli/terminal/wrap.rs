//! Text that fits the terminal: hanging indents; words, links, and commands to be copied stay whole.

use std::borrow::Cow;

use textwrap::core::{Word, display_width};
use textwrap::{Options, WordSeparator, WordSplitter, WrapAlgorithm};

/// Stands in a line where those begin that it is broken into. Text of strangers has none: [`clean`](super::clean)
/// escapes it.
pub(in crate::cli) const HANG: char = '\t';

/// An indent in a terminal that is too narrow for the one that was wanted.
const NARROW: usize = 4;

const UNITS: [&str; 6] = ["ms", "s", "min", "h", "days", "KB"];

/// The lines of `text`, broken where the terminal ends; without `columns` as they are.
pub(super) fn fit(text: &str, columns: Option<usize>) -> String {
    let lines = text.split('\n').map(|line| {
        let (label, rest) = line.split_once(HANG).unwrap_or(("", line));
        let plain = format!("{label}{rest}");
        match columns.filter(|columns| display_width(&plain) > *columns) {
            None => plain,
            Some(columns) if label.is_empty() => hung(lead(&plain), rest.trim_start(), NARROW / 2, columns),
            Some(columns) => hung(label, rest, 0, columns),
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The same for what clap says, where columns stand under each other with two spaces between them. What belongs to a
/// command that is too long for that comes below it.
pub(super) fn fit_help(text: &str, columns: Option<usize>) -> String {
    let lines = text.split('\n').map(|line| {
        let Some(columns) = columns.filter(|columns| display_width(line) > *columns) else { return line.into() };
        let lead = lead(line);
        let column = line.rfind("  ").map(|at| at + 2).filter(|at| !line[..*at].trim().is_empty());
        let (left, right) = line.split_at(column.unwrap_or(lead.len()));
        Cow::Owned(match column {
            // A command without a word on it.
            None if lead.len() == 2 && right.contains("nest ") => line.to_owned(),
            None => hung(lead, right, 0, columns),
            Some(_) if display_width(left) <= columns / 2 => hung(left, right, 0, columns),
            Some(_) => format!("{}\n{}", left.trim_end(), hung(&format!("{lead}    "), right, 0, columns)),
        })
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The spaces that a line begins with.
fn lead(line: &str) -> &str {
    &line[..line.len() - line.trim_start_matches(' ').len()]
}

/// `label` and `text` behind it; what does not fit comes under the text, and so much `deeper`, but leaves half of the
/// `columns` to the text.
fn hung(label: &str, text: &str, deeper: usize, columns: usize) -> String {
    let most = columns / 2;
    let label =
        if lead(label).len() > most { format!("{:NARROW$}{}", "", label.trim_start()) } else { label.to_owned() };
    let rest = Some(display_width(&label) + deeper).filter(|rest| *rest <= most).unwrap_or(NARROW);
    // What fits nowhere stays where it is.
    let first = words(text).next().is_some_and(|word| rest + display_width(word.trim_end()) > columns);
    let (label, text) = if first { (label, text.to_owned()) } else { (String::new(), label + text) };
    let rest = " ".repeat(rest);
    let options = Options::new(columns)
        .initial_indent(&label)
        .subsequent_indent(&rest)
        .word_separator(WordSeparator::Custom(words))
        .word_splitter(WordSplitter::NoHyphenation)
        .wrap_algorithm(WrapAlgorithm::FirstFit)
        .break_words(false);
    textwrap::fill(&text, options)
}

/// Broken at spaces, but not at those between backticks: a command is copied in one piece, and then the terminal breaks
/// it, which the copy does not show. Nor between a number and its unit, or between a dot and the number behind it.
fn words(line: &str) -> Box<dyn Iterator<Item = Word<'_>> + '_> {
    let paired = line.matches('`').count().is_multiple_of(2);
    let (mut start, mut command, mut space) = (0, false, false);
    let mut ends: Vec<_> = line
        .char_indices()
        .filter_map(|(at, c)| {
            let begins = space && c != ' ' && !command && !together(&line[..at], &line[at..]);
            command ^= paired && c == '`';
            space = c == ' ';
            begins.then_some(at)
        })
        .collect();
    ends.push(line.len());
    Box::new(ends.into_iter().map(move |end| Word::from(&line[std::mem::replace(&mut start, end)..end])))
}

fn together(before: &str, after: &str) -> bool {
    // Behind it may be a comma, or the end of a colour.
    let word = after.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
    let unit = UNITS.contains(&word) && before.trim_end().ends_with(|c: char| c.is_ascii_digit());
    unit || before.ends_with("· ") && after.starts_with(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HINT: &str = "  \u{1b}[32mhint:\u{1b}[0m \tto bring it back all the same: `nest restart demo --yes`, or ask npub1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq";

    #[test]
    fn nothing_that_is_copied_is_broken() {
        let wide = fit(HINT, None);
        assert!(!wide.contains(HANG));
        for columns in 40..140 {
            let text = fit(HINT, Some(columns));
            assert!(text.contains("`nest restart demo --yes`") && text.contains(" npub1"), "{text}");
            let lines = text.lines().filter(|line| !line.trim().starts_with(['`', 'n']));
            assert!(lines.clone().all(|line| display_width(line) <= columns), "{columns}: {text}");
            assert!(text.lines().skip(1).all(|line| lead(line).len() == 8), "{text}");
            let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            assert_eq!(words(&text), words(&wide));
        }
    }

    #[test]
    fn a_narrow_terminal_has_small_indents() {
        let text = fit("              hint: \tgive the API by another name", Some(40));
        assert_eq!(text, "              hint: give the API by\n                    another name");
        let text = fit("              hint: \tgive the API by another name", Some(24));
        assert_eq!(text, "    hint: give the API\n          by another\n          name");
        assert_eq!(
            fit("it took long\u{1b}[2m · 27 ms\u{1b}[0m, or 3 s", Some(18)),
            "it took long\u{1b}[2m\n  · 27 ms\u{1b}[0m, or 3 s"
        );
        assert_eq!(fit("an odd ` in the title of a nest", Some(20)), "an odd ` in the\n  title of a nest");
        assert_eq!(fit("日本語の部屋 日本語の部屋", Some(20)), "日本語の部屋\n  日本語の部屋");
    }

    #[test]
    fn help_keeps_its_columns_or_puts_them_below() {
        let line = "  nest restart ROOM -q    the same for cron: silent when all is well";
        assert_eq!(fit_help(line, Some(80)), line);
        let below = "  nest restart ROOM -q\n      the same for cron: silent when all\n      is well";
        assert_eq!(fit_help(line, Some(40)), below);
        let beside = "  -q, --quiet  Print nothing but warnings, and\n               errors";
        assert_eq!(fit_help("  -q, --quiet  Print nothing but warnings, and errors", Some(46)), beside);
    }
}
